"""Every metric once: key, name, unit, digits, which way is better, and where it is explained.

The terminal, metrics.csv, summary.json and the page all follow METRICS, in its order.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from srgan.hounsfield import HU_MAX, HU_MIN, Windows

EXPLAINED_IN = "docs/metrics.md"
TISSUES = ("air", "lung", "fat", "soft tissue", "bone")


@dataclass(frozen=True)
class Metric:
    """One metric. A metric with parts has a value for each window, or for each tissue."""

    key: str  # in summary.json and metrics.csv
    name: str  # heads its column
    unit: str  # or what a value is to be read against
    digits: str  # a format: ".2f"
    table: str = ""  # caption of the table that shows it; without one it is in summary.json alone
    group: str = ""  # heading over neighbouring columns
    better: str = ""  # "high", "low", or "normal dose" where the nearest to its value is best
    explained: str = ""  # heading in EXPLAINED_IN
    parts: str = ""  # "windows" or "tissues"
    csv: str = ""  # name of a part's column in metrics.csv, {} for the part
    of_disc: bool = False  # measured on the disc phantom, once a test: no patient has it

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


def measured(metrics: Iterable[Metric], values: Iterable[dict]) -> list[Metric]:
    """The metrics that any of these has: patches have no texture, for one."""
    values = list(values)
    return [metric for metric in metrics if any(metric.key in of for of in values)]


_ERRORS = "Errors against the normal dose"
_ERROR = f"error in {HU_MIN:g}..{HU_MAX:g} HU"
_TEXTURE = "Texture and noise"
_INVENTED = "What was invented"
_PSNR = {"digits": ".2f", "better": "high", "parts": "windows", "explained": "Nearness"}
_SSIM = {"digits": ".4f", "better": "high", "parts": "windows", "explained": "Nearness"}
_NEAR = {"table": _ERRORS, "explained": "Nearness"}
_NOISE = {"table": _TEXTURE, "group": "texture and noise", "explained": "Texture and noise"}
_SHARP = {"table": "Sharpness", "group": "sharpness", "explained": "Sharpness"}
_INPUT = {"table": _INVENTED, "group": "against its input", "explained": "What was invented"}
_MADE = {"table": _INVENTED, "group": "invented", "explained": "What was invented"}
_OTHER = {"table": _INVENTED, "explained": "What was invented"}

METRICS = (
    Metric("psnr_db", "PSNR", "dB", table="PSNR against the normal dose", **_PSNR),
    Metric("ssim", "SSIM", "", table="SSIM against the normal dose", **_SSIM),
    Metric("psnr_body_db", "PSNR in the body", "dB", table="PSNR against the normal dose", **_PSNR),
    Metric("ssim_body", "SSIM in the body", "", table="SSIM against the normal dose", **_SSIM),
    Metric("rmse_hu", "RMSE", "HU", ".1f", better="low", group=_ERROR, **_NEAR),
    Metric("mae_hu", "MAE", "HU", ".1f", better="low", group=_ERROR, **_NEAR),
    Metric("bias_hu", "mean", "HU", "+.2f", group=_ERROR, **_NEAR),
    Metric("lung_texture_sd_hu", "lung", "SD in HU", ".1f", better="normal dose", **_NOISE),
    Metric("flat_sd_hu", "flat", "SD in HU", ".1f", better="normal dose", **_NOISE),
    Metric("nps_distance", "NPS", "distance, 0: equal", ".2f", better="low", **_NOISE),
    Metric("edge_mm", "edge", "mm", ".2f", better="normal dose", **_SHARP),
    Metric("vessel_mm", "vessel", "mm", ".2f", better="normal dose", **_SHARP),
    Metric("ttf50_per_mm", "TTF50", "/mm", ".3f", of_disc=True, **_SHARP),
    Metric("vgg_distance", "VGG", "distance, 0: equal", ".3g", better="low", **_NEAR),
    Metric(
        "bias_by_tissue_hu", "mean error by tissue", "HU", "+.1f", table="Mean error by tissue",
        explained="Mean error by tissue", parts="tissues", csv="bias_{}_hu",
    ),
    Metric("chi2", "chi2", "1: truth", ".2f", **_INPUT),
    Metric("spots", "spots", "a slice", ".1f", **_INPUT),
    Metric("wide_spots", "wide", "spots, a slice", ".1f", **_INPUT),
    Metric("invented_share", "share", "of body", ".3f", **_MADE),
    Metric("invented_energy_hu2", "energy", "HU^2", "+.0f", **_MADE),
    Metric("shift_px", "shift", "px", ".2f", **_OTHER),
    Metric("sfrc_share", "sFRC", "share", ".2f", **_OTHER),
)  # fmt: skip
