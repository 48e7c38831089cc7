"""nodules.csv: one line for each noise level, nodule and method."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from srgan.evaluation.nodule_study import NoduleStudy
from srgan.report.columns import written
from srgan.system.files import write_csv, writing

FILE = "nodules.csv"
NODULE = ("pseudonym", "nodule", "slice", "diameter_mm", "low_dose_px")


def write(folder: Path, studies: Sequence[NoduleStudy]) -> str:
    """The file's name; empty without a study, where the file of an earlier report is removed.

    Raises UserError.
    """
    with writing(folder):
        if not studies:
            (folder / FILE).unlink(missing_ok=True)
            return ""
        noise = tuple(next(iter(studies[0].noise.values())))
        metrics = tuple(studies[0].rows[0].metrics)
        columns = (*NODULE, *noise, "method", *metrics, "appeared_in_slice")
        write_csv(folder / FILE, columns, _lines(studies, noise, metrics))
    return FILE


def _lines(
    studies: Sequence[NoduleStudy], noise: tuple[str, ...], metrics: tuple[str, ...]
) -> Iterator[tuple]:
    for study in studies:
        for row in study.rows:
            place = (row.pseudonym, row.slice)
            sizes = (row.diameter_mm, row.low_dose_px)
            levels = (study.noise[place][name] for name in noise)
            values = (row.metrics[name] for name in metrics)
            sizes, levels, values = (
                [written(value, ".6g") for value in part] for part in (sizes, levels, values)
            )
            nodule = (row.pseudonym, row.number, row.slice, *sizes)
            yield (*nodule, *levels, row.method, *values, study.appeared[place][row.method])
