"""The slices of the page: the median, the worst and the best, each in a viewer with its maps."""

import numpy as np

from srgan.evaluation.baselines import CLASSICAL, INPUT, Method
from srgan.evaluation.level import Level
from srgan.evaluation.study import NORMAL_DOSE
from srgan.evaluation.study_slice import StudySlice, reference_of
from srgan.hounsfield import WINDOWS
from srgan.metrics import faithfulness
from srgan.metrics.slice_output import Reference
from srgan.report.html.viewer import SHOWN, Map, Viewer
from srgan.report.shown_slices import best_network, median_worst_best, region

LOW_DOSE = "low dose"
NETWORKS = ("srgan", "srresnet")  # the first of these is shown at the start
INVENTED_ENDS = (0.3, 1.0)  # of the correlation map: clear below the bound of the share
Z_END = 6.0  # of the consistency map


def viewers(
    level: Level, methods: dict[str, Method], slices: list[StudySlice], seed: int
) -> tuple[Viewer, ...]:
    """The median slice first. The outputs are made again, with the noise of the study."""
    items = {(item.pseudonym, item.number): item for item in slices}
    best = best_network(level.study)
    return tuple(
        _viewer(_title(items[place], words, best), items[place], level, methods, seed)
        for place, words in median_worst_best(level.study).items()
    )


def _title(item: StudySlice, words: list[str], best: str) -> str:
    what = f"{' and '.join(words)} slice by RMSE of {best}" if len(words) < 3 else "the slice"
    return f"{what[0].upper()}{what[1:]}: {item.pseudonym}, slice {item.number}"


def _viewer(
    title: str, item: StudySlice, level: Level, methods: dict[str, Method], seed: int
) -> Viewer:
    reference = reference_of(item, level.degradation, seed)
    pictures = {NORMAL_DOSE: reference.image, LOW_DOSE: reference.low_dose}
    outputs = {name: method(reference.low_dose) for name, method in methods.items()}
    networks = [name for name in outputs if name not in CLASSICAL]
    pictures |= outputs
    for name in ("nearest", INPUT):  # the low dose itself is shown that way
        pictures.pop(name, None)
    more_windows = {n: w for n, w in level.study.windows.items() if n not in WINDOWS}
    return Viewer(
        title=title,
        words=level.noise_remark,
        pictures=pictures,
        maps=tuple(each for name in networks for each in _maps(name, outputs[name], reference)),
        shown=(NORMAL_DOSE, next((n for n in NETWORKS if n in pictures), list(pictures)[-1])),
        detail=region(reference.image, "lung"),
        spacing_mm=item.spacing_mm,
        windows=SHOWN | more_windows,
    )


def _maps(name: str, output: np.ndarray, reference: Reference) -> tuple[Map, ...]:
    """Where a network's output contradicts its input, and where it may have invented detail."""
    both = {"output": output, "reference": reference.image, "body": reference.body}
    z, rho = reference.consistency(output).z, faithfulness.invention(**both).rho
    flagged = faithfulness.sfrc(**both).flagged.astype(float)
    rho = np.where(rho == 0, np.nan, rho)
    of_z = "consistency" if reference.scale > 1 else "removed"  # at scale 1 z is input - output
    return (
        Map(of_z, name, z, "expected SDs", (-Z_END, Z_END), diverging=True),
        Map("invention", name, rho, "rho", INVENTED_ENDS),
        Map("sFRC", name, flagged, "1 is flagged", (0.0, 2.0)),
    )
