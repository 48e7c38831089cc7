"""What --run enhance says about one scan: on the terminal, in enhanced.json and in preview.png."""

import logging
import math
from collections.abc import Mapping
from pathlib import Path

from srgan.enhancement import preview, scan_trust
from srgan.enhancement.scan_trust import NOISIER, QUIETER, ScanTrust
from srgan.enhancement.watch import Watch
from srgan.formats.scan import Scan
from srgan.lowdose.degradation import Degradation
from srgan.report import tested_noise
from srgan.training.noise_range import QUIET_WHERE_HIGH

log = logging.getLogger(__name__)

HIGHEST = {"dose": 1.0}  # of a noise level; others have no end


def tell(
    trust: ScanTrust,
    report: Path,
    name: str,
    sha256: Mapping[str, str],
    degradation: Degradation,
    *,
    ensemble: bool,
) -> dict:
    """Print what was measured, log the warnings, and return all of it as JSON values.

    report: the folder of a test's report. name, sha256, ensemble: of the network, as of
    summary_json.row_of. degradation: of the training.
    """
    tested, text = None, ""
    if trust.noise_is in (QUIETER, NOISIER):
        noise_hu = trust.noise["median_hu"]
        tested = tested_noise.tested_at(report, name, sha256, noise_hu, ensemble=ensemble)
        text = tested.text() if tested else _not_tested(trust, degradation, ensemble=ensemble)
    print(*scan_trust.lines(trust), sep="\n", flush=True)
    warnings = scan_trust.warnings(trust, text)
    for line in warnings:
        log.warning(line)
    return {
        **trust.as_json(),
        "tested_at_this_noise": tested and tested.as_json(),
        "warnings": warnings,
    }


def write_preview(folder: Path, watch: Watch, scan: Scan, model: str) -> None:
    """preview.png, unless no slice was measured. model: the name of its folder. Raises OSError."""
    panes, n = watch.panes(), len(scan.slices)
    title = f"{model}, scale {watch.use.scale}, {watch.use.kind} input{watch.use.passes_text}"
    preview.write(folder / "preview.png", panes, watch.use, scan.spacing_mm, n, title)


def _not_tested(trust: ScanTrust, degradation: Degradation, *, ensemble: bool) -> str:
    """Which command would tell what such noise does.

    The level is that at which noise of an SD that goes with 1 / sqrt(level) would be the scan's.
    """
    said = "no test of these weights at such noise is in --report-dir"
    name = next((name for name in degradation.levels if name in QUIET_WHERE_HIGH), None)
    if name is None or not trust.noise["median_hu"] > 0:
        return said
    levels, trained = degradation.levels[name], trust.trained
    is_noisier = trust.noise_is == NOISIER
    end, end_hu = (levels.low, trained.high_hu) if is_noisier else (levels.high, trained.low_hu)
    wanted = min(end * (end_hu / trust.noise["median_hu"]) ** 2, HIGHEST.get(name, math.inf))
    how = f"--{name.replace('_', '-')} {float(f'{wanted:.2g}'):g}" + " --ensemble" * ensemble
    return f"{said}: --run test {how} makes one"
