"""What a test found at the noise of a certain scan: the nearest of the levels in summary.json."""

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from srgan.evaluation import baselines
from srgan.report import summary_json
from srgan.system.errors import plural
from srgan.system.files import read_bounded
from srgan.system.folders import DAMAGES

NEAR = 1.25  # a level is of this noise if its own differs by less than this factor


@dataclass(frozen=True)
class TestedNoise:
    """A network on test patients, at one level of a test."""

    __test__ = False  # no test, though its name begins so

    noise_hu: float  # median over the tested slices, as metrics.input_noise measures it
    patients: int
    psnr_lung_db: float | None
    input_psnr_lung_db: float | None
    failed: tuple[str, ...]  # kinds of the checks that it failed

    def as_json(self) -> dict:
        return {**asdict(self), "failed": list(self.failed)}

    def text(self) -> str:
        psnr = ""
        if None not in (self.psnr_lung_db, self.input_psnr_lung_db):
            gain = self.psnr_lung_db - self.input_psnr_lung_db
            psnr = f" {gain:+.1f} dB over the input (PSNR, lung window) and"
        checks = f"failed: {', '.join(self.failed)}" if self.failed else "no failed check"
        return (
            f"on {plural(self.patients, 'test patient')} with {self.noise_hu:.1f} HU it had{psnr} "
            f"{checks}"
        )


def tested_at(
    report: Path,
    name: str,
    sha256: Mapping[str, str],
    noise_hu: float,
    *,
    ensemble: bool = False,  # noqa: PT028, no test, though its name begins so
) -> TestedNoise | None:
    """What the test in a folder says of these weights at this noise.

    name, sha256, ensemble: as of summary_json.row_of. None where it says nothing of them, or only
    of other noise, or is not what a test wrote.
    """
    if not noise_hu > 0:
        return None
    try:
        found = json.loads(read_bounded(report / summary_json.NAME))
        row = summary_json.row_of(found, name, sha256, ensemble=ensemble)
        every = [level for level in found.get("levels", [found]) if level.get("input_noise")]
        near = [(abs(math.log(_noise_of(level) / noise_hu)), k) for k, level in enumerate(every)]
        distance, k = min(near)
        if row is None or distance >= math.log(NEAR):
            return None
        return _of(every[k], row, int(found["patients"]))
    except DAMAGES:
        return None


def _noise_of(level: dict) -> float:
    return float(level["input_noise"]["median_hu"])


def _of(level: dict, row: str, patients: int) -> TestedNoise:
    methods, verdicts = level["methods"], level["conclusions"]["verdicts"]
    found = [methods[name]["psnr_db"]["lung"] for name in (row, baselines.input_of(methods))]
    psnr = [None if value is None else float(value) for value in found]
    failed = tuple(str(finding["kind"]) for finding in verdicts[row] if finding["fails"])
    return TestedNoise(_noise_of(level), patients, *psnr, failed)
