import math
import re

from srgan.report.html.plots import box_plot, curve_plot
from srgan.report.method_styles import KNOWN, PAPER_COLOURS, line_styles


def test_plots_are_the_same_each_time_and_say_what_is_missing():
    def made():
        lines = {"_a $x$": ((1, 2, 3), (1.5, None, math.inf))}
        return curve_plot("c", lines, x="dose", y="dB", level=0), box_plot("b", {"a": ()}, x="HU")

    first, second = made(), made()
    assert first == second
    assert "_a $x$: 1.5 at 1, 1.5 at 1." in first[0].alt
    assert "nothing measured" in first[1].alt
    for plot in first:
        assert plot.svg.startswith("<svg ")
        assert not re.search(r"http|xmlns|#a0b0|<style|metadata", plot.svg)
        assert len(plot.svg) < 20_000


def test_no_two_methods_look_alike():
    names = [*KNOWN, *(f"{name} {letter}" for letter in "BCDEF" for name in ("a", "b"))]
    styles = line_styles(names, PAPER_COLOURS)
    assert list(styles) == names
    looks = [(style["color"], style["linestyle"]) for style in styles.values()]  # without markers
    assert len(set(looks)) == len(names)
    assert {colour for colour, _ in looks[: len(PAPER_COLOURS)]} == set(PAPER_COLOURS)
