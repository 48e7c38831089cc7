"""Every metric once: how it is measured, key, name, unit, digits, which way is better.

The terminal, metrics.csv, summary.json and the page all follow METRICS, in its order. A new metric
is an entry there with its function, and a paragraph in EXPLAINED_IN.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from srgan.hounsfield import HU_MAX, HU_MIN, Windows
from srgan.metrics import edges_and_vessels, faithfulness, noise_power
from srgan.metrics.slice_output import TISSUES_HU, Output, Reference, sfrc_floor

EXPLAINED_IN = "docs/metrics.md"
TISSUES = tuple(TISSUES_HU)
SCALES = (1, 2, 4)
ENLARGING = (2, 4)
NPS = "nps_hu2_mm2"  # a spectrum: it has plots instead of columns
TTF50 = "ttf50_per_mm"
VGG_DISTANCE = "vgg_distance"
Measure = Callable[[Output], float | dict | None]  # None: nothing to measure


@dataclass(frozen=True)
class Metric:
    """One metric. A metric with parts has a value for each window, or for each tissue."""

    key: str  # in summary.json and metrics.csv
    name: str  # heads its column
    unit: str = ""  # or what a value is to be read against
    digits: str = ""  # a format: ".2f"
    measure: Measure | None = None  # on each slice; None: it is measured elsewhere
    of_normal_dose: Measure | None = None  # the same of the normal dose, by itself
    on_patches: bool = False  # is it measured on patches too?
    of_disc: bool = False  # is it measured on the disc phantom, once a test?
    table: str = ""  # caption of the table that shows it; without one it is in summary.json alone
    group: str = ""  # heading over neighbouring columns
    better: str = ""  # "high", "low", or "normal dose" where the nearest to its value is best
    explained: str = ""  # heading in EXPLAINED_IN
    parts: str = ""  # "windows" or "tissues"
    csv: str = ""  # name of a part's column in metrics.csv, {} for the part
    scales: tuple[int, ...] = SCALES  # it is measured for networks of these alone

    def parts_in(self, windows: Windows) -> tuple[str, ...]:
        """Names of its parts; none for a metric of one value."""
        return {"windows": tuple(windows), "tissues": TISSUES, "": ()}[self.parts]

    def paths(self, windows: Windows) -> Iterator[str]:
        """Where its values stand: "rmse_hu", or "psnr_db.lung" and so on."""
        parts = self.parts_in(windows)
        yield from (f"{self.key}.{part}" for part in parts) if parts else (self.key,)

    def csv_columns(self, windows: Windows) -> dict[str, str]:
        """Column of metrics.csv to path; none where a patient has no value."""
        if self.of_disc or not self.table:
            return {}
        parts = self.parts_in(windows)
        name = self.csv or f"{self.key}_{{}}"
        columns = [name.format(part.replace(" ", "_")) for part in parts] or [self.key]
        return dict(zip(columns, self.paths(windows), strict=True))


def value_at(values: dict, path: str) -> float | None:
    """A value in nested ones: value_at(values, "psnr_db.lung"). None where it is missing."""
    for name in path.split("."):
        values = values.get(name) if values is not None else None
    return values


def measured(values: Iterable[dict]) -> list[Metric]:
    """The metrics that any of these has: patches have no texture, for one."""
    values = list(values)
    return [metric for metric in METRICS if any(metric.key in of for of in values)]


def measure_slice(output: Output, metrics: Iterable[Metric]) -> dict:
    """Key to value of every metric of a whole slice; None where there is nothing to measure.

    Metrics of other scales have no key.
    """
    return {m.key: m.measure(output) for m in metrics if m.measure and _is_for(m, output)}


def measure_patch(output: Output, metrics: Iterable[Metric]) -> dict:
    return measure_slice(output, [metric for metric in metrics if metric.on_patches])


def measure_normal_dose(reference: Reference, metrics: Iterable[Metric]) -> dict:
    """The metrics that the normal dose has by itself."""
    image = Output.of_normal_dose(reference)
    own = [m for m in metrics if m.of_normal_dose and _is_for(m, image)]
    return {metric.key: metric.of_normal_dose(image) for metric in own}


def _is_for(metric: Metric, output: Output) -> bool:
    return output.reference.scale in metric.scales


# ---- how each is measured ----


def _similarity(key: str) -> Measure:
    return lambda output: output.similarity[key]


def _texture(region: str) -> Measure:
    def measure(output: Output) -> float | None:
        mask = getattr(output.reference, region)
        return None if mask is None else noise_power.texture_sd_hu(output.image, mask=mask)

    return measure


def _edge(output: Output) -> float | None:
    edges = output.reference.edges
    return None if edges is None else edges_and_vessels.edge_rise_mm(output.image, edges)


def _vessel(output: Output) -> float | None:
    vessels = output.reference.vessels
    return None if vessels is None else edges_and_vessels.vessel_width_mm(output.image, vessels)


def _bias_by_tissue(output: Output) -> dict[str, float | None]:
    error = output.image.astype(np.float64) - output.reference.image
    masks = output.reference.tissues
    return {name: float(error[masks[name]].mean()) if name in masks else None for name in TISSUES}


def _spots(which: str) -> Measure:
    def measure(output: Output) -> float | None:
        consistency = output.consistency
        return None if consistency.chi2 is None else float(getattr(consistency, which))

    return measure


def _removed(which: str) -> Measure:
    return lambda output: getattr(output.removed, which)


def _shift(output: Output) -> float | None:
    """The larger of the shifts along both axes."""
    shift = faithfulness.shift_px(**output.beside_reference)
    return None if shift is None else float(np.abs(shift).max())


def _sfrc_floor(output: Output) -> float | None:
    return sfrc_floor(output.reference, _texture("flat")(output))


# ---- the metrics, in the order of metrics.csv ----

_PSNR = {
    "table": "PSNR against the normal dose", "unit": "dB", "digits": ".2f", "better": "high",
    "parts": "windows", "explained": "Nearness",
}  # fmt: skip
_SSIM = {
    "table": "SSIM against the normal dose", "digits": ".4f", "better": "high",
    "parts": "windows", "explained": "Nearness",
}  # fmt: skip
_NEAR = {"table": "Errors against the normal dose", "explained": "Nearness"}
_ERROR = {**_NEAR, "unit": "HU", "group": f"error in {HU_MIN:g}..{HU_MAX:g} HU"}
_NOISE = {
    "table": "Texture and noise", "group": "texture and noise", "explained": "Texture and noise",
}  # fmt: skip
_SHARP = {"table": "Sharpness", "group": "sharpness", "explained": "Sharpness"}
_INVENTED = {"table": "What was invented", "explained": "What was invented"}
_INPUT = {**_INVENTED, "group": "against its input"}
_MADE_UP = {**_INVENTED, "group": "invented"}

METRICS = (
    Metric("psnr_db", "PSNR", measure=_similarity("psnr_db"), on_patches=True, **_PSNR),
    Metric("ssim", "SSIM", measure=_similarity("ssim"), on_patches=True, **_SSIM),
    Metric("psnr_body_db", "PSNR in the body", measure=_similarity("psnr_body_db"), **_PSNR),
    Metric("ssim_body", "SSIM in the body", measure=_similarity("ssim_body"), **_SSIM),
    Metric(
        "rmse_hu", "RMSE", digits=".1f", better="low", measure=_similarity("rmse_hu"),
        on_patches=True, **_ERROR,
    ),
    Metric(
        "mae_hu", "MAE", digits=".1f", better="low", measure=_similarity("mae_hu"),
        on_patches=True, **_ERROR,
    ),
    Metric(
        "bias_hu", "mean", digits="+.2f", measure=_similarity("bias_hu"), on_patches=True, **_ERROR
    ),
    Metric(
        "lung_texture_sd_hu", "lung", "SD in HU", ".1f", better="normal dose",
        measure=_texture("lung"), of_normal_dose=_texture("lung"), **_NOISE,
    ),
    Metric(
        "flat_sd_hu", "flat", "SD in HU", ".1f", better="normal dose",
        measure=_texture("flat"), of_normal_dose=_texture("flat"), **_NOISE,
    ),
    Metric(
        NPS, "noise power", "HU^2 mm^2", measure=lambda output: output.noise_power,
        of_normal_dose=lambda output: output.noise_power,
    ),
    Metric(
        "nps_distance", "NPS", "distance, 0: equal", ".2f", better="low",
        measure=lambda output: noise_power.power_distance(
            output.noise_power, output.reference.noise_power
        ),
        **_NOISE,
    ),
    Metric(
        "edge_mm", "edge", "mm", ".2f", better="normal dose", measure=_edge, of_normal_dose=_edge,
        **_SHARP,
    ),
    Metric(
        "vessel_mm", "vessel", "mm", ".2f", better="normal dose", measure=_vessel,
        of_normal_dose=_vessel, **_SHARP,
    ),
    Metric(TTF50, "TTF50", "/mm", ".3f", of_disc=True, **_SHARP),  # see disc_phantom
    Metric(VGG_DISTANCE, "VGG", "distance, 0: equal", ".3g", better="low", **_NEAR),  # needs VGG19
    Metric(
        "bias_by_tissue_hu", "mean error by tissue", "HU", "+.1f", measure=_bias_by_tissue,
        table="Mean error by tissue", explained="Mean error by tissue", parts="tissues",
        csv="bias_{}_hu",
    ),
    Metric("chi2", "chi2", "1: truth", ".2f", lambda output: output.consistency.chi2, **_INPUT),
    Metric("clean_chi2", "chi2 without noise", measure=lambda output: output.reference.clean_chi2),
    Metric(
        "spots", "spots", "a slice", ".1f", _spots("spots"), scales=ENLARGING, **_INPUT
    ),
    Metric(
        "wide_spots", "wide", "spots, a slice", ".1f", _spots("wide_spots"), scales=ENLARGING,
        **_INPUT,
    ),
    Metric(
        "removed_share", "removed", "of edges", "z.3f", _removed("share"), _removed("share"),
        scales=(1,), **_INPUT,
    ),
    Metric(
        "removed_spot", "spot", "SDs of noise", ".1f", _removed("spot"), _removed("spot"),
        scales=(1,), **_INPUT,
    ),
    Metric(
        "invented_share", "share", "of body", ".3f", lambda output: output.invention.share,
        **_MADE_UP,
    ),
    Metric(
        "invented_energy_hu2", "energy", "HU^2", "+.0f",
        lambda output: output.invention.energy_hu2, **_MADE_UP,
    ),
    Metric("shift_px", "shift", "px", ".2f", _shift, **_INVENTED),
    Metric(
        "sfrc_share", "sFRC", "share", ".2f",
        lambda output: faithfulness.sfrc(**output.beside_reference).share, _sfrc_floor, **_INVENTED,
    ),
)  # fmt: skip


def with_measure(key: str, measure: Measure) -> tuple[Metric, ...]:
    """METRICS with a function for the one that needs more than the program holds."""
    return tuple(replace(m, measure=measure) if m.key == key else m for m in METRICS)
