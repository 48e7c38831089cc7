"""How each method is drawn, on the page and in dose.png: a colour, a dash pattern and a marker.

Lines differ by all three, so that they can be told apart in print and by colour-blind readers.
"""

from collections.abc import Sequence
from dataclasses import dataclass

PAPER_COLOURS = (  # each has a contrast of 3 or more on the page's paper, as have the dark ones
    "#1b2026", "#767676", "#a86c00", "#7a4fb0", "#0072b2", "#c94f00", "#00795a", "#b03a80",
    "#4b2d00", "#ab00f0",
)  # fmt: skip
DARK_COLOURS = (
    "#e9ebec", "#a0a0a0", "#f0b429", "#c4a5f5", "#5ab4f0", "#ff8a4c", "#2bc89a", "#f09cc8",
    "#8a68ff", "#d94a5c",
)  # fmt: skip
KNOWN = ("normal dose", "nearest", "bicubic", "nlm+bicubic", "srresnet", "srgan")
DASHES = ("-", ":", "--", (0, (6, 2, 1, 2, 1, 2)), (0, (1, 0)), "-.")
MARKERS = (None, "v", "s", "^", "o", "D")
# Other names take the next of each. There are 5 and 7, so that a pair comes back late.
OTHER_DASHES = ((0, (8, 3)), (0, (3, 2)), (0, (9, 2, 2, 2)), (0, (5, 1, 1, 1)), (0, (12, 4)))
OTHER_MARKERS = ("P", "X", "*", "<", ">", "p", "h")


@dataclass(frozen=True)
class MethodStyle:
    colour: int  # index into PAPER_COLOURS and DARK_COLOURS
    dash: str | tuple  # a matplotlib line style
    marker: str | None


def method_styles(names: Sequence[str]) -> dict[str, MethodStyle]:
    """A style for each name, no two alike. Known names keep theirs, others take what is left."""
    known = {
        name: MethodStyle(i, DASHES[i], MARKERS[i]) for i, name in enumerate(KNOWN) if name in names
    }
    others = [name for name in names if name not in known]
    free = list(range(len(KNOWN), len(PAPER_COLOURS)))
    free += [i for i, name in enumerate(KNOWN) if name not in names]
    more = {
        name: MethodStyle(*(of[i % len(of)] for of in (free, OTHER_DASHES, OTHER_MARKERS)))
        for i, name in enumerate(others)
    }
    return {name: (known | more)[name] for name in names}
