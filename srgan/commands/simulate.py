"""--run simulate: a copy of a scan as if it had been made at a lower dose."""

import contextlib
import logging
import shutil
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

import srgan
from srgan import settings as all_settings
from srgan.commands import simulate_slice
from srgan.commands.output_folder import new_folder
from srgan.commands.simulate_slice import Copy, Job
from srgan.dataset import single_scan
from srgan.formats.dicom import write as dicom_write
from srgan.formats.metaimage import header as metaimage_header
from srgan.formats.metaimage import write as metaimage_write
from srgan.formats.scan import OWN_MODEL, Scan, Skipped
from srgan.lowdose import estimate_photons, photon_cache, projection_noise
from srgan.lowdose.estimate_photons import Estimate
from srgan.lowdose.photon_cache import Matched
from srgan.lowdose.projection_noise import ProjectionNoise
from srgan.settings import Settings, degradation_of
from srgan.system import processes, signals
from srgan.system.errors import TRY_AGAIN, Skip, UserError
from srgan.system.files import sync, write_json, writing
from srgan.system.progress import progress

log = logging.getLogger(__name__)

FORMAT = 1
HEADER_BYTES = 64 << 10  # of a DICOM file, generously
FLOORED = 0.01  # share of readings at the photon floor that is worth a warning
SMALLEST, LARGEST = 0.05, 5.0  # mm; pixels of people


def simulate(given: dict[str, Any]) -> int:
    """The whole of it; returns the exit code. Raises UserError."""
    settings = all_settings.make({**given, "noise": "projection"})
    noise = degradation_of(settings).noise
    if settings.input is None and settings.output is None:
        return _photons_of_water(noise)
    _check(settings, given)
    with signals.caught():
        scan, skipped = single_scan.find(settings.input)
        _check_pixels(scan)
        if skipped:
            log.info(single_scan.counted(skipped))
        with new_folder(settings.output) as part:
            job = _begin(scan, noise, settings, part)
            matched = _match(job, scan)
            print(photon_cache.told_of(photon_cache.summary(matched)), flush=True)
            made = _copy(job, scan, matched)
            _record(job, scan, matched, made)
    _tell(job, made)
    return 0


def _photons_of_water(noise: ProjectionNoise) -> int:
    """Without a scan: what a noise in water means in photons."""
    if noise.noise_hu is None:
        raise UserError(
            "--run simulate needs --input SCAN and --output DIR; with --noise-hu alone it prints "
            "photons"
        )
    count = estimate_photons.of_water(noise.noise_hu, noise.scanner)
    print(
        f"{count:.3g} photons a reading (360 views, 0.70 mm) give a noise of {noise.noise_hu:g} HU "
        f"in the centre of a 30 cm water cylinder at full dose, cutoff "
        f"{noise.scanner.filter_cutoff:g}/mm"
    )
    return 0


def _check(settings: Settings, given: dict[str, Any]) -> None:
    for name, other in (("input", "output"), ("output", "input")):
        if getattr(settings, name) is None:
            raise UserError(f"--{other} needs --{name}")
    if "dose" not in given:
        raise UserError("--run simulate needs --dose, a fraction of the scan's dose: --dose 0.25")
    if settings.dose.low != settings.dose.high:
        raise UserError(f"--dose {settings.dose}: --run simulate takes one value")
    source, output = settings.input.resolve(), settings.output.resolve()
    if output.is_relative_to(source):
        raise UserError(f"--output {settings.output} lies in --input: name a folder elsewhere")


def _check_pixels(scan: Scan) -> None:
    try:
        pixel_mm = projection_noise.pixel_mm_of(scan.spacing_mm)
    except ValueError as error:
        raise UserError(f"{error}: their noise cannot be projected") from None
    if not SMALLEST <= pixel_mm <= LARGEST:
        raise UserError(f"pixels of {pixel_mm:g} mm are not those of a CT of a person")


# ---- the slices ----


def _begin(scan: Scan, noise: ProjectionNoise, settings: Settings, part: Path) -> Job:
    """Check the space, and lay out what the slices are written to."""
    size = (scan.rows, scan.columns)
    job = Job(noise, scan.spacing_mm, size, settings.seed, part, settings.output)
    if scan.kind == "dicom":
        _check_space(job, len(scan.slices) * (2 * scan.rows * scan.columns + HEADER_BYTES))
        return replace(job, series=dicom_write.Series.new(f"LDCT sim {100 * job.dose:.4g} %"))
    try:
        header = metaimage_header.read_header(scan.files[0])
        _check_space(job, header.nbytes)
        with writing(settings.output):
            source, target = metaimage_write.begin(header, part)
    except Skip as skip:
        raise UserError(f"{scan.files[0]}: {single_scan.reason(skip)}") from None
    return replace(job, source=source, target=target)


def _check_space(job: Job, need: int) -> None:
    with writing(job.shown):
        free = shutil.disk_usage(job.part).free
    if need > free:
        raise UserError(
            f"--output {job.shown} needs {need / 1e9:.2f} GB, {free / 1e9:.2f} GB are free",
            TRY_AGAIN,
        )


def _match(job: Job, scan: Scan) -> list[Matched]:
    """The photons of each slice: those given, or a running median of the estimates."""
    n = len(scan.slices)
    if job.noise.photons is not None:
        return [Matched(job.noise.photons, None)] * n
    found = _in_order(partial(simulate_slice.estimate, job), scan.slices, "slices' noise")
    _check_usable([made for made in found if isinstance(made, Skipped)], n)
    estimates = [Estimate(None, None) if isinstance(made, Skipped) else made for made in found]
    default = estimate_photons.DEFAULT_PHOTONS
    if job.noise.noise_hu is not None:
        default = estimate_photons.of_water(job.noise.noise_hu, job.noise.scanner, job.pixel_mm)
    if all(made.photons is None for made in estimates):
        log.warning(f"no slice shows enough soft tissue: {default:.2g} photons are assumed")
    series = estimate_photons.along_series(estimates, default, [item.z_mm for item in scan.slices])
    return [Matched(count, e.sd_hu) for count, e in zip(series, estimates, strict=True)]


def _copy(job: Job, scan: Scan, matched: Sequence[Matched]) -> list[Copy]:
    """Write every slice. Raises UserError where most of them cannot be."""
    n = len(scan.slices)
    tasks = list(zip(range(n), scan.slices, matched, strict=True))
    made = _in_order(partial(simulate_slice.copy, job), tasks, "slices")
    _check_usable([each.skip for each in made if each.skip], n)
    return made


def _in_order(function, tasks: Sequence, text: str) -> list:
    with contextlib.closing(processes.in_order(function, tasks)) as made:
        return list(progress(made, len(tasks), text))


def _check_usable(skipped: Sequence[Skipped], n: int) -> None:
    """Raises UserError where more than half of the slices cannot be used."""
    if 2 * len(skipped) > n:
        told_of = single_scan.reason(skipped[0])
        raise UserError(f"{len(skipped)} of {n} slices cannot be used: {told_of}")


# ---- what is said of it ----


def _record(job: Job, scan: Scan, matched: Sequence[Matched], made: Sequence[Copy]) -> None:
    """simulated.json, and the header of a MetaImage."""
    found = photon_cache.summary(matched)
    slices = []
    for number, (each, copy) in enumerate(zip(matched, made, strict=True), 1):
        slices.append({"slice": number, "photons": each.photons, "sd_hu": each.sd_hu})
        slices[-1] |= {"skipped": copy.skip.reason} if copy.skip else {"floored": copy.floored}
    about = {
        "format": FORMAT,
        "program": OWN_MODEL,
        "version": srgan.__version__,
        "noise": job.noise.as_json(),
        "seed": job.seed,
        "photons": found,
        "slices": slices,
    }
    with writing(job.shown):
        write_json(job.part / "simulated.json", about)
        if job.target is not None:
            _write_header(job, scan, f"{found['median']:.3g}")


def _write_header(job: Job, scan: Scan, photons_told: str) -> None:
    try:
        header = metaimage_header.read_header(scan.files[0])
        metaimage_write.write_header(header, job.target, simulate_slice.how(job, photons_told))
    except Skip as skip:
        raise UserError(f"{scan.files[0]} changed: {single_scan.reason(skip)}") from None
    sync(job.target.path)


def _tell(job: Job, made: Sequence[Copy]) -> None:
    done = [each for each in made if each.skip is None]
    skipped = [each.skip for each in made if each.skip]
    floored = float(np.mean([each.floored for each in done]))
    print(f"readings at the photon floor: {floored:.2%}")
    if floored > FLOORED:
        log.warning(
            f"{floored:.1%} of the readings are at the photon floor and have less noise "
            f"than a scanner's there: too few photons for this dose"
        )
    if skipped and job.target is not None:
        counts = Counter(item.reason for item in skipped)
        reasons = ", ".join(f"{n} {reason}" for reason, n in counts.most_common())
        log.info(f"slices that stay as they are: {reasons}")
    elif skipped:
        log.info(single_scan.counted(skipped))
    print(f"{len(done)} slices at {100 * job.dose:.4g} % of the dose are in {job.shown}")
