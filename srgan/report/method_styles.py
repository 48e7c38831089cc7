"""How each method is drawn, on the page and in dose.png: a colour, a dash pattern and a marker.

Lines differ by all three, so that they can be told apart in print and by colour-blind readers.
"""

from collections.abc import Sequence
from itertools import cycle

PAPER_COLOURS = (  # each has a contrast of 3 or more on the page's paper, as have the dark ones
    "#1b2026", "#767676", "#a86c00", "#7a4fb0", "#0072b2", "#c94f00", "#00795a", "#b03a80",
    "#4b2d00", "#ab00f0",
)  # fmt: skip
DARK_COLOURS = (
    "#e9ebec", "#a0a0a0", "#f0b429", "#c4a5f5", "#5ab4f0", "#ff8a4c", "#2bc89a", "#f09cc8",
    "#8a68ff", "#d94a5c",
)  # fmt: skip
KNOWN = ("normal dose", "nearest", "bicubic", "nlm+bicubic", "srresnet", "srgan")
ALIKE = {"input": "bicubic", "nlm": "nlm+bicubic"}  # their names at scale 1
DASHES = ("-", ":", "--", (0, (6, 2, 1, 2, 1, 2)), (0, (1, 0)), "-.")
MARKERS = (None, "v", "s", "^", "o", "D")
# Other names take the next of each. There are 5 and 7, so that a pair comes back late.
OTHER_DASHES = ((0, (8, 3)), (0, (3, 2)), (0, (9, 2, 2, 2)), (0, (5, 1, 1, 1)), (0, (12, 4)))
OTHER_MARKERS = ("P", "X", "*", "<", ">", "p", "h")


def line_styles(names: Sequence[str], colours: Sequence[str]) -> dict[str, dict]:
    """Keyword arguments of matplotlib's `plot` for each name, no two alike.

    colours: as many as PAPER_COLOURS. Known names keep their style, others take what is left.
    """
    known = list(zip(KNOWN, colours, DASHES, MARKERS, strict=False))  # there are more colours
    alike = {name: ALIKE[name] for name in names if name in ALIKE and ALIKE[name] not in names}
    others = [name for name in names if name not in (*KNOWN, *alike)]
    free = [
        *colours[len(KNOWN) :],
        *(colour for name, colour, *_ in known if name not in (*names, *alike.values())),
    ]
    more = zip(others, cycle(free), cycle(OTHER_DASHES), cycle(OTHER_MARKERS), strict=False)
    styles = {
        name: {"color": colour, "linestyle": dash, "marker": marker}
        for name, colour, dash, marker in (*known, *more)
    }
    return {name: styles[alike.get(name, name)] for name in names}
