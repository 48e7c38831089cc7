"""What goes from a page that would be too large: step by step, what is missed least first.

A step takes the page's viewers and gives what is left of them, and in words what went (nothing
where there was nothing to take).
"""

import math
from collections.abc import Callable
from dataclasses import replace

from srgan.report.html.viewer import Viewer

Step = Callable[[list[Viewer]], tuple[list[Viewer], str]]


def _without_maps(viewers: list[Viewer]) -> tuple[list[Viewer], str]:
    gone = dict.fromkeys(m.of for v in viewers for m in v.maps if m.of not in v.kept)
    left = [replace(v, maps=tuple(m for m in v.maps if m.of in v.kept)) for v in viewers]
    return left, f"the maps of {', '.join(gone)}" if gone else ""


def _without_pictures(viewers: list[Viewer]) -> tuple[list[Viewer], str]:
    gone = dict.fromkeys(name for v in viewers for name in v.pictures if name not in v.kept)
    left = [
        replace(v, pictures={n: hu for n, hu in v.pictures.items() if n in v.kept}) for v in viewers
    ]
    return left, f"the pictures of {', '.join(gone)}" if gone else ""


def _cropped(viewers: list[Viewer]) -> tuple[list[Viewer], str]:
    """The first that is whole is cut down to its detail."""
    for i, viewer in enumerate(viewers):
        if viewer.detail:
            cut = _detail_of(viewer)
            return [*viewers[:i], cut, *viewers[i + 1 :]], f"all but a detail of {viewer.title}"
    return viewers, ""


def _detail_of(viewer: Viewer) -> Viewer:
    """The detail alone, widened to whole pixels of the smallest picture or map."""
    arrays = (*viewer.pictures.values(), *(each.values for each in viewer.maps))
    step = math.lcm(*(viewer.shape[0] // len(array) for array in arrays))
    part = [
        (each.start // step * step, min(-(-each.stop // step) * step, n))
        for each, n in zip(viewer.detail, viewer.shape, strict=True)
    ]

    def cut(array):
        factor = viewer.shape[0] // len(array)
        return array[tuple(slice(first // factor, last // factor) for first, last in part)]

    (top, bottom), (first, last) = part
    return replace(
        viewer,
        words=f"{viewer.words} Rows {top + 1} to {bottom}, columns {first + 1} to {last} alone.",
        pictures={name: cut(hu) for name, hu in viewer.pictures.items()},
        maps=tuple(replace(each, values=cut(each.values)) for each in viewer.maps),
        detail=None,
    )


def _nothing(viewers: list[Viewer]) -> tuple[list[Viewer], str]:
    return [], "the slices; example-*.png beside this page show one a patient"


STEPS: tuple[Step, ...] = (
    _without_maps, _without_pictures, _cropped, _cropped, _cropped, _nothing,
)  # fmt: skip
