import base64
import itertools
import json
import math
import re
import zlib
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
from scipy import ndimage

from srgan.evaluation.verdict import Verdict
from srgan.report.columns import Column
from srgan.report.example_pictures import region
from srgan.report.html import page as pages
from srgan.report.html import plots, shrink
from srgan.report.html.page import Fold, Judged, Page, Section
from srgan.report.html.plots import Line, box_plot, curve_plot
from srgan.report.html.tables import Cell, Row, Table
from srgan.report.html.viewer import HU_BITS, Map, Viewer, pack
from srgan.resampling import nearest
from srgan.system.errors import BAD_INPUT, UserError

EVIL = """</script><script>alert("x")</script> 'a' & <b> http://example.org"""
VOID = {"meta", "img", "input", "br"}
SIZE = (64, 96)


def small_viewer(title="Median"):
    """Noise over all HU; the low dose is four times smaller, the map covers the left half."""
    rng = np.random.default_rng(3)
    normal = rng.integers(-1024, 3072, SIZE).astype(np.float32)
    pictures = {
        "normal dose": normal,
        EVIL: rng.integers(-1024, 3072, (16, 24)).astype(np.float32),
        "srgan": np.clip(normal + rng.normal(0, 40, SIZE), -1024, 3071),
    }
    z = np.full((16, 24), np.nan)
    z[:, :12] = 6
    maps = (Map("consistency", "srgan", z, "expected SDs", (-6, 6), diverging=True),)
    detail = (slice(16, 32), slice(24, 48))
    return Viewer(title, "slice 3", pictures, maps, detail=detail)


def full_page():
    lung = Column("lung", "range 1500 HU", "PSNR, dB", "psnr_db.lung", "high")
    bias = Column("mean", "HU", "error", "bias_hu", "zero")
    share = Column("share")
    table = Table(
        "Nearness", (lung, bias, share),
        (Row("srresnet", (Cell("30.1", 30.123456789, "29 to 31"), Cell("-2.0", -2.01), "10 %")),
         Row("srgan", (Cell("30.1", 30.09), Cell("+10.2", 10.2), EVIL)),
         Row("bicubic", (Cell("28.0", 28.0), Cell("+1.9", 1.9), "")),
         Row("same", (Cell("inf", math.inf), Cell("", None), "")),
         Row("normal dose", (Cell("99.0", 99.0), Cell("0", 0.0), ""), judged=False)),
    )  # fmt: skip
    doses = (0.1, 0.25, 0.5)
    plots = (
        curve_plot("PSNR", [Line("srgan", doses, (1, 2, None))], x="dose", y="dB", ticks=doses),
        curve_plot("SSIM", [Line(EVIL, doses, (1, 2, 3))], x="dose", y="SSIM", log_x=True),
        box_plot(EVIL, {"srgan": range(12), "bicubic": (1, 2, math.nan)}, x="HU", level=0),
    )
    return Page(
        title=EVIL,
        headline="srgan fails: biased in lung.",
        judged=(
            Judged("srresnet", ()),
            Judged("srgan", (Verdict("bias (lung)", f"lung {EVIL}", True),)),
            Judged("bicubic", (Verdict("smoother", "smoother than it was", True),), network=False),
        ),
        remarks=("VGG19 weights: random", EVIL),
        sections=(
            Section("Figures", ("Means over patients.", table)),
            Section("Dose", plots),
            Section("Slices", (small_viewer("Best"), small_viewer())),
        ),
        facts={"model, SHA-256": "9f86d0", EVIL: EVIL},
        settings={"scale": 4, "noise": {"lambda": 1700, "list": [1, 2]}, "name": EVIL},
        notes=("The bounds are first ones.",),
    )


class Reader(HTMLParser):
    """Tags with their attributes, in order; what is not closed; the text of each element."""

    def __init__(self, content):
        super().__init__()
        self.tags, self.open, self.words = [], [], []
        self.feed(content)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "script" not in self.open and "style" not in self.open:
            self.words.append(data)

    def all(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.fixture(scope="module")
def content():
    return pages.render(full_page())


@pytest.fixture(scope="module")
def read(content):
    return Reader(content)


def test_the_page_is_well_formed_and_names_its_language(read):
    assert read.open == []
    assert read.all("html") == [{"lang": "en"}]
    assert len(read.all("title")) == len(read.all("h1")) == len(read.all("main")) == 1
    assert {"name": "viewport", "content": "width=device-width, initial-scale=1"} in read.all(
        "meta"
    )
    levels = [int(tag[1]) for tag, _ in read.tags if re.fullmatch("h[1-6]", tag)]
    assert all(b <= a + 1 for a, b in itertools.pairwise(levels))


def test_ids_are_unique_and_references_lead_to_them(content, read):
    ids = [attributes["id"] for _, attributes in read.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    for _, attributes in read.tags:
        linked = [attributes[name][1:] for name in ("href",) if name in attributes]
        linked += attributes.get("aria-labelledby", "").split()
        linked += re.findall(r"url\(#([^)]*)\)", attributes.get("clip-path", ""))
        assert set(linked) <= set(ids)


def test_every_picture_is_told_in_words(read):
    for image in read.all("img"):
        assert len(image["alt"]) > 20
    for drawing in [*read.all("svg"), *read.all("canvas")]:
        assert drawing["role"] == "img"
        assert drawing["aria-label"]
    assert any("nothing" not in s["aria-label"] and "median 5.5" in s["aria-label"]
               for s in read.all("svg"))  # fmt: skip


def test_nothing_is_asked_of_a_network(content, read):
    for tag, attributes in read.tags:
        for name in ("src", "href", "action", "srcset", "data", "poster"):
            assert attributes.get(name, "#").startswith(("#", "data:"))
        assert tag not in ("link", "iframe", "object", "embed", "base")
        assert "//" not in attributes.get("style", "")
        assert not any(name.startswith(("on", "xmlns", "xlink")) for name in attributes)
    policy = next(m for m in read.all("meta") if m.get("http-equiv"))["content"]
    assert policy.startswith("default-src 'none'; img-src data:;")
    assert "'unsafe-inline'" not in policy.split("script-src")[1]
    style, script = (re.search(f"<{tag}>(.*?)</{tag}>", content, re.S)[1] for tag in
                     ("style", "script"))  # fmt: skip
    assert not re.search(r"url\(|@import|fetch\(|https?:|XMLHttp|import\(", style + script)


def test_text_from_anywhere_is_escaped(content, read):
    assert '<script>alert("x")' not in content
    assert len(read.all("script")) == 3  # two viewers' data, one program
    assert [s.get("type") for s in read.all("script")] == ["application/json"] * 2 + [None]
    shown = "".join(read.words)
    assert shown.count(EVIL) >= 8  # title, remark, verdict, cell, plot, choices, fact, setting
    assert any(option.get("value") == EVIL for option in read.all("option"))


def test_the_failing_method_is_named_first(content, read):
    shown = " ".join(read.words)
    assert shown.index(pages.NOTICE) < shown.index("srgan fails")
    assert shown.count(pages.NOTICE) == 2
    order = re.findall(r'<article class="(\w+)"><h3>(\w+)', content)
    assert order == [("fails", "srgan"), ("passes", "srresnet"), ("compared", "bicubic")]
    assert "smoother:</strong> than it was" in content  # the kind is said once


def test_a_headline_of_many_faults_is_set_smaller(content):
    assert '<p class="headline"><span>srgan fails' in content
    many = replace(full_page(), sections=(), headline="srgan B fails (shifted); " * 20)
    told = pages.render(many)
    assert '<p class="headline long"><span>srgan B fails' in told
    assert told.count("<span>srgan B fails (shifted);</span>") == 20  # a line a network


def test_cells_carry_the_values_of_the_summary(content):
    found = {}
    for name, row in re.findall(r'<tr data-row="([^"]+)">(.*?)</tr>', content):
        cells = re.findall(r'<td data-key="([^"]*)" data-value="([^"]*)">', row)
        found[name] = {key: json.loads(value) for key, value in cells if key}
    assert found == {
        "srresnet": {"psnr_db.lung": 30.123456789, "bias_hu": -2.01},
        "srgan": {"psnr_db.lung": 30.09, "bias_hu": 10.2},
        "bicubic": {"psnr_db.lung": 28.0, "bias_hu": 1.9},
        "same": {"psnr_db.lung": None, "bias_hu": None},
        "normal dose": {"psnr_db.lung": 99.0, "bias_hu": 0.0},
    }


def test_the_best_of_a_column_is_marked_in_words_too(content):
    best = re.findall(r'<strong>([^<]*)</strong><span class="unseen"> \(best\)', content)
    assert best == ["+1.9", "inf"]
    table = full_page().sections[0].parts[1]
    finite = replace(table, rows=(*table.rows[:3], table.rows[4]))
    told = pages.table_html(finite, "t", set())
    best = re.findall(r'<strong>([^<]*)</strong><span class="unseen"> \(best\)', told)
    assert best == ["30.1", "30.1", "+1.9"]  # shown alike, equally good
    with pytest.raises(ValueError, match="2 cells, 3 columns"):
        replace(table, rows=(Row("a", ("", "")),))


def unpacked(text, shape, bits):
    """What page.js does."""
    planes = np.frombuffer(zlib.decompress(base64.b64decode(text)), np.uint8).reshape(2, *shape)
    folded = planes[0].astype(int) << 8 | planes[1]
    found = np.zeros((shape[0] + 1, shape[1] + 1), int)
    for (y, x), step in np.ndenumerate((folded >> 1) ^ -(folded & 1)):
        left, above, corner = found[y + 1, x], found[y, x + 1], found[y, x]
        guess = min(max(left, above), max(min(left, above), left + above - corner))
        found[y + 1, x + 1] = (guess + step) % (1 << bits)
    return found[1:, 1:]


@pytest.mark.parametrize("bits", [HU_BITS, 8])
def test_packing_loses_nothing(bits):
    rng = np.random.default_rng(bits)
    for values in (
        rng.integers(0, 1 << bits, (33, 20)),
        np.full((1, 1), (1 << bits) - 1),
        np.indices((8, 8)).sum(0) % 2 * ((1 << bits) - 1),
    ):
        np.testing.assert_array_equal(unpacked(pack(values, bits), values.shape, bits), values)


def test_a_viewer_refuses_what_it_cannot_show():
    viewer = small_viewer()
    normal = viewer.pictures["normal dose"]
    for wrong, words in (
        ({"a": normal, "b": normal[:10]}, "does not divide"),
        ({"a": np.where(normal > 0, normal, np.nan)}, "not finite"),
        ({"a": normal}, "no picture of srgan"),
    ):
        with pytest.raises(ValueError, match=words):
            replace(viewer, pictures=wrong)


def test_plots_are_the_same_each_time_and_tell_gaps():
    def made():
        lines = [Line("_a $x$", (1, 2, 3), (1.5, None, math.inf), (1, 1, 1), (2, 2, 2))]
        return curve_plot("c", lines, x="dose", y="dB", level=0), box_plot("b", {"a": ()}, x="HU")

    first, second = made(), made()
    assert first == second
    assert "_a $x$: 1.5 at 1, 1.5 at 1." in first[0].alt
    assert "nothing measured" in first[1].alt
    for plot in first:
        assert plot.svg.startswith("<svg viewBox")
        assert not re.search(r"http|xmlns|font-family|#a0b0|<style|metadata", plot.svg)
        assert len(plot.svg) < 20_000


def test_no_two_lines_look_alike():
    names = [*plots.KNOWN, *(f"{name} {letter}" for letter in "BCDEF" for name in ("a", "b"))]
    looks = list(plots._styles(names).values())
    assert len({(look["color"], look["linestyle"], look["marker"]) for look in looks}) == len(names)
    assert len({look["color"] for look in looks[: plots.COLOURS]}) == plots.COLOURS
    assert len({(look["color"], look["linestyle"]) for look in looks}) == len(names)  # unmarked


def luminance(colour):
    colour = colour * 2 if len(colour) == 3 else colour
    linear = [(c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4)
              for c in (int(colour[i : i + 2], 16) / 255 for i in (0, 2, 4))]  # fmt: skip
    return np.dot(linear, (0.2126, 0.7152, 0.0722))


def test_colours_have_contrast_in_both_themes(content):
    light, dark = (
        dict(re.findall(r"--([\w-]+): #(\w+);", block))
        for block in re.findall(r":root \{(.*?)\}", content, re.S)[:2]
    )
    text = [("ink", "paper"), ("soft", "paper"), ("accent", "paper"), ("fault", "paper"),
            ("on-fault", "fault"), ("ink", "raised"), ("soft", "raised")]  # fmt: skip
    lines = [(f"line-{i}", "paper") for i in range(plots.COLOURS)] + [("edge", "paper")]
    for theme in (light, light | dark):
        for least, pairs in ((4.5, text), (3.0, lines)):
            for pair in pairs:
                a, b = sorted(luminance(theme[name]) for name in pair)
                assert (b + 0.05) / (a + 0.05) >= least, pair


def test_three_slices_of_six_methods_fit(tmp_path):
    rng = np.random.default_rng(0)
    hu = {f"m{i}": rng.normal(0, 60, (512, 512)) for i in range(7)}  # noisier than any scan
    maps = tuple(Map(f"map {i}", "m6", rng.normal(0, 1, (512, 512)), "", (-4, 4)) for i in range(3))
    path = tmp_path / "index.html"
    pages.write(path, replace(full_page(), sections=(Section("", (Viewer("", "", hu, maps),)),)))
    assert 3 * path.stat().st_size < pages.LARGEST
    assert [p.name for p in tmp_path.iterdir()] == ["index.html"]


def whole_viewers(size, networks):
    """Three as a test makes them, of noise alone: more than any scan has."""
    rng = np.random.default_rng(0)
    shape = (size, size)
    names = [f"{name}{letter}" for letter in ("", " B", " C", " D", " E", " F")
             for name in ("srresnet", "srgan")][:networks]  # fmt: skip
    low = rng.normal(0, 60, (size // 4, size // 4))
    hu = {"normal dose": rng.normal(0, 60, shape)}
    hu |= {"low dose": low, "bicubic": nearest(low, 4)}
    hu |= {name: rng.normal(0, 60, shape) for name in names}
    rho, flagged = ndimage.gaussian_filter(rng.normal(0, 9, shape), 8), np.zeros(shape)
    maps = [
        Map(kind, name, values, "", (-1, 1))
        for name in names
        for kind, values in (("consistency", low / 30), ("invention", rho), ("sFRC", flagged))
    ]
    main = ("low dose", "bicubic", "srresnet", "srgan")
    viewer = Viewer(
        "", "", hu, tuple(maps), ("normal dose", "srgan"), region(hu["normal dose"], "lung"), main
    )
    return [replace(viewer, title=title) for title in ("Best", "Median", "Worst")]


def written(tmp_path, viewers):
    """Of a page of these: its bytes, what it left out, and its viewers as page.js reads them."""
    path = tmp_path / "index.html"
    pages.write(path, replace(full_page(), sections=(Section("Slices", tuple(viewers)),)))
    text = path.read_text()
    found = re.findall(r'<script type="application/json">(.*?)</script>', text)
    said = re.search(r"<p>Left out to keep this page under \d+ MB: (.*?)\.</p>", text)
    return path.stat().st_size, said and said[1].split("; "), list(map(json.loads, found))


@pytest.mark.slow
def test_slices_of_1024_pixels_fit(tmp_path):
    size, said, viewers = written(tmp_path, whole_viewers(1024, 2))
    assert size <= pages.LARGEST
    assert said == ["all but a detail of Best"]
    assert [viewer["shape"] for viewer in viewers] == [[260, 260], [1024, 1024], [1024, 1024]]


OTHERS = ", ".join(f"{n} {letter}" for letter in "BCDEF" for n in ("srresnet", "srgan"))


def test_what_goes_first_is_what_is_missed_least(tmp_path, monkeypatch):
    viewers = whole_viewers(64, 12)
    went = []
    for _ in range(5):
        size, said, _ = written(tmp_path, viewers)
        went.append(said)
        monkeypatch.setattr(pages, "LARGEST", size - 1)
    details = [f"all but a detail of {title}" for title in ("Best", "Median", "Worst")]
    every = [f"the maps of {OTHERS}", f"the pictures of {OTHERS}", *details]
    assert went == [None, every[:1], every[:2], every[:3], every[:4]]


@pytest.mark.slow
def test_twelve_networks_fit(tmp_path):
    size, said, viewers = written(tmp_path, whole_viewers(512, 12))
    assert size <= pages.LARGEST
    assert said == [f"the maps of {OTHERS}", f"the pictures of {OTHERS}"]
    for viewer in viewers:
        names = [picture["name"] for picture in viewer["pictures"]]
        assert names == ["normal dose", "low dose", "bicubic", "srresnet", "srgan"]


def test_a_detail_alone_is_what_the_whole_slice_has_there():
    viewer = replace(small_viewer(), detail=(slice(17, 30), slice(25, 45)), title="Best")
    (cut, whole), said = shrink._cropped([viewer, viewer])
    assert whole is viewer
    assert said == "all but a detail of Best"
    assert "Rows 17 to 32, columns 25 to 48 alone." in cut.words
    for name, hu in viewer.pictures.items():
        factor = SIZE[0] // len(hu)
        here = hu[16 // factor : 32 // factor, 24 // factor : 48 // factor]
        np.testing.assert_array_equal(cut.pictures[name], here)
    np.testing.assert_array_equal(cut.maps[0].values, viewer.maps[0].values[4:8, 6:12])
    assert cut.shape == (16, 24)


def test_a_page_that_nothing_makes_fit_has_no_slices(tmp_path, monkeypatch):
    monkeypatch.setattr(pages, "LARGEST", 1000)
    pages.write(tmp_path / "index.html", full_page())
    text = (tmp_path / "index.html").read_text()
    assert "canvas role" not in text
    assert "the slices; example-*.png beside this page show one a patient.</p>" in text


def test_a_fold_is_shut_and_has_ids_of_its_own():
    page = full_page()
    parts = page.sections[0].parts
    folded = replace(page, sections=(Section("Figures", (*parts, Fold("More", parts))),))
    text = pages.render(folded)
    assert "<details><summary>More</summary>" in text
    ids = re.findall(r' id="([^"]*)"', text)
    assert len(ids) == len(set(ids))


def test_a_column_of_equal_values_has_no_best():
    column = Column("vanished", better="low")
    for cells in ((Cell("0", 0), Cell("0", 0)), (Cell("", 0), Cell("", 1))):
        rows = tuple(Row(name, (cell,)) for name, cell in zip("ab", cells, strict=True))
        assert "best" not in pages.table_html(Table("", (column,), rows), "t", set())


def test_what_was_not_measured_is_said_in_words():
    told = pages.table_html(Table("", (Column("a"),), (Row("b", ("",)),)), "t", set())
    dash = '<span aria-hidden="true">\N{EN DASH}</span><span class="unseen">not measured</span>'
    assert dash in told


def test_a_page_is_whole_or_absent(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot write") as raised:
        pages.write(tmp_path / "file" / "index.html", full_page())
    assert raised.value.exit_code == BAD_INPUT
    assert [p.name for p in tmp_path.iterdir()] == ["file"]
