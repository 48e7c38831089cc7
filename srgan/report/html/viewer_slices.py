"""The slices of the page: the best, the median and the worst, each in a viewer with its maps."""

import numpy as np

from srgan.evaluation.baselines import CLASSICAL, Method
from srgan.evaluation.level import Level
from srgan.evaluation.study import NORMAL_DOSE, Study, StudySlice, reference_of
from srgan.hounsfield import WINDOWS
from srgan.metrics import faithfulness
from srgan.report.example_pictures import best_of, region
from srgan.report.html.viewer import SHOWN, Map, Viewer

LOW_DOSE = "low dose"
MAIN = ("srgan", "srresnet")  # the first of these is shown at the start
INVENTED_ENDS = (0.3, 1.0)  # of the correlation map: clear below the bound of the share
Z_END = 6.0  # of the consistency map


def viewers(
    level: Level, methods: dict[str, Method], slices: list[StudySlice], seed: int
) -> tuple[Viewer, ...]:
    """The outputs are made again, with the noise of the study."""
    items = {(item.pseudonym, item.number): item for item in slices}
    return tuple(
        _viewer(words, items[place], level, methods, seed)
        for place, words in _chosen(level.study).items()
    )


def _chosen(study: Study) -> dict[tuple[str, int], str]:
    """(pseudonym, number) to "best" and so on, by RMSE of the best network (or method)."""
    best = best_of(study)
    found = sorted(
        (row.metrics["rmse_hu"], row.pseudonym, row.number)
        for row in study.rows
        if (row.part, row.method) == ("whole", best)
    )
    if len(found) == 1:
        return {found[0][1:]: "The slice"}
    places = {"best": 0, "median": (len(found) - 1) // 2, "worst": len(found) - 1}
    words: dict[tuple[str, int], list[str]] = {}
    for word, i in places.items():
        words.setdefault(found[i][1:], []).append(word)
    return {place: f"{' and '.join(of)} by RMSE of {best}" for place, of in words.items()}


def _viewer(
    words: str,
    item: StudySlice,
    level: Level,
    methods: dict[str, Method],
    seed: int,
) -> Viewer:
    reference = reference_of(item, level.degradation, seed)
    pictures = {NORMAL_DOSE: reference.image, LOW_DOSE: reference.low_dose}
    pictures |= {name: method(reference.low_dose) for name, method in methods.items()}
    pictures.pop("nearest", None)  # the low dose itself is shown that way
    maps = []
    for name in pictures:
        if name in CLASSICAL or name not in methods:
            continue
        both = {"output": pictures[name], "reference": reference.image, "body": reference.body}
        z, rho = reference.consistency(pictures[name]).z, faithfulness.invention(**both).rho
        flagged = faithfulness.sfrc(**both).flagged
        maps.append(Map("consistency", name, z, "expected SDs", (-Z_END, Z_END), diverging=True))
        maps.append(Map("invention", name, np.where(rho == 0, np.nan, rho), "rho", INVENTED_ENDS))
        maps.append(Map("sFRC", name, flagged.astype(float), "1 is flagged", (0.0, 2.0)))
    return Viewer(
        title=f"{words[0].upper()}{words[1:]}: {item.pseudonym}, slice {item.number}",
        words=level.noise_remark,
        pictures=pictures,
        maps=tuple(maps),
        shown=(NORMAL_DOSE, next((n for n in MAIN if n in pictures), list(pictures)[-1])),
        detail=region(reference.image, "lung"),
        main=tuple(n for n in (LOW_DOSE, *CLASSICAL, *MAIN) if n in pictures),
        spacing_mm=item.spacing_mm,
        windows=SHOWN | {n: w for n, w in level.study.windows.items() if n not in WINDOWS},
    )
