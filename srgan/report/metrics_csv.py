"""metrics.csv: one line for each noise level, slice or patch, and method."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from srgan.evaluation.level import Level
from srgan.evaluation.study import Study
from srgan.hounsfield import Windows
from srgan.metrics import registry
from srgan.metrics.registry import value_at
from srgan.report.columns import written
from srgan.report.summary_json import NORMAL
from srgan.system.files import write_csv, writing

PLACE = ("part", "row", "column", "method")  # row, column: a patch's first pixel


def write(folder: Path, levels: Sequence[Level]) -> None:
    """An infinite PSNR is "inf", and a value that was not measured an empty cell.

    The noise columns are those of `study_slice.noise_of`; of a range, they have the level of the
    slice. The normal dose comes last, once. The file is complete or absent. Raises UserError.
    """
    studies = [level.study for level in levels]
    noise = tuple(next(iter(studies[0].noise.values()), {}))
    metrics = metric_columns(studies[0].windows)
    columns = ("pseudonym", "slice", *noise, *PLACE, *metrics)
    with writing(folder):
        write_csv(folder / "metrics.csv", columns, _lines(studies, noise, metrics))


def metric_columns(windows: Windows) -> dict[str, str]:
    """Column to the path of its values."""
    columns = [metric.csv_columns(windows) for metric in registry.METRICS]
    return {name: path for of_metric in columns for name, path in of_metric.items()}


def _lines(
    studies: Sequence[Study], noise: tuple[str, ...], metrics: dict[str, str]
) -> Iterator[tuple]:
    for study in studies:
        for row in study.rows:
            levels = (written(study.noise[row.pseudonym, row.number][n], ".6g") for n in noise)
            values = (written(value_at(row.metrics, path), ".6g") for path in metrics.values())
            yield (row.pseudonym, row.number, *levels, row.part, *row.corner, row.method, *values)
    for (pseudonym, number), measured in studies[0].normal_dose.items():
        values = (written(value_at(measured, path), ".6g") for path in metrics.values())
        yield (pseudonym, number, *("" for _ in noise), "whole", 0, 0, NORMAL, *values)
