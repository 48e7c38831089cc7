"""--run simulate: a copy of a scan as if it had been made at a lower dose."""

import contextlib
import logging
import shutil
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
from srgan.formats.scan import OWN_MODEL, Scan, Skipped, counted_reasons
from srgan.lowdose import estimate_photons, noise_cache, photon_cache, projection_noise
from srgan.lowdose.estimate_photons import Estimate
from srgan.lowdose.photon_cache import SlicePhotons
from srgan.lowdose.projection_noise import ProjectionNoise
from srgan.settings import Settings, degradation_of
from srgan.system import processes, signals
from srgan.system.errors import TRY_AGAIN, Skip, UserError
from srgan.system.files import sync, write_json, writing
from srgan.system.progress import progress

log = logging.getLogger(__name__)

FORMAT = 1
HEADER_BYTES = 64 << 10  # of a DICOM file; few have as many
SMALLEST_MM, LARGEST_MM = 0.05, 5.0  # pixels of a CT of a person


def simulate(given: dict[str, Any]) -> int:
    """Run the command; returns the exit code. Raises UserError."""
    settings = all_settings.make({**given, "noise": "projection"})
    noise = degradation_of(settings).noise
    if settings.input is None and settings.output is None:
        return _photons_of_water(noise)
    _check(settings, given)
    with signals.caught():
        scan, skipped = single_scan.find(settings.input)
        _check_kind(scan)
        _check_pixels(scan)
        if skipped:
            log.info(single_scan.counted(skipped))
        with new_folder(settings.output) as part:
            job = _begin(scan, noise, settings, part)
            photons = _photons_of(job, scan)
            print(photon_cache.summary_text(photon_cache.summary(photons)), flush=True)
            copies = _copy(job, scan, photons)
            _record(job, scan, photons, copies)
    _report(job, copies)
    return 0


def _photons_of_water(noise: ProjectionNoise) -> int:
    """Without a scan: print the photons that give --noise-hu in water."""
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


def _check_kind(scan: Scan) -> None:
    if scan.kind not in ("dicom", "metaimage"):
        raise UserError(
            f"--input {scan.files[0]}: --run simulate copies DICOM and MetaImage; NIfTI and NRRD "
            "are read with --data only, for now: convert the scan to .mhd"
        )


def _check_pixels(scan: Scan) -> None:
    try:
        pixel_mm = projection_noise.pixel_mm_of(scan.spacing_mm)
    except ValueError as error:
        raise UserError(f"{error}: their noise cannot be projected") from None
    if not SMALLEST_MM <= pixel_mm <= LARGEST_MM:
        raise UserError(f"pixels of {pixel_mm:g} mm are not those of a CT of a person")


# ---- the slices ----


def _begin(scan: Scan, noise: ProjectionNoise, settings: Settings, part: Path) -> Job:
    """Check the free space, and begin the files that the slices are written to."""
    size = (scan.rows, scan.columns)
    job = Job(noise, scan.spacing_mm, size, settings.seed, part, settings.output)
    if scan.kind == "dicom":
        _check_space(job, len(scan.slices) * (2 * scan.rows * scan.columns + HEADER_BYTES))
        return replace(job, series=dicom_write.Series.new(f"LDCT sim {100 * job.dose:.4g} %"))
    try:
        header = metaimage_header.read_header(scan.files[0])
        _check_space(job, header.nbytes)
        with writing(settings.output):
            source, target = metaimage_write.begin_copy(header, part)
    except Skip as skip:
        raise UserError(f"{scan.files[0]}: {single_scan.reason(skip)}") from None
    return replace(job, source=source, target=target)


def _check_space(job: Job, need: int) -> None:
    with writing(job.output):
        free = shutil.disk_usage(job.part).free
    if need > free:
        raise UserError(
            f"--output {job.output} needs {need / 1e9:.2f} GB, {free / 1e9:.2f} GB are free",
            TRY_AGAIN,
        )


def _photons_of(job: Job, scan: Scan) -> list[SlicePhotons]:
    """The photons of each slice: the given number, or a running median of the estimates."""
    n = len(scan.slices)
    if job.noise.photons is not None:
        return [SlicePhotons(job.noise.photons, None)] * n
    found = _in_order(partial(simulate_slice.estimate, job), scan.slices, "slices' noise")
    _check_usable([made for made in found if isinstance(made, Skipped)], n)
    estimates = [Estimate(None, None) if isinstance(made, Skipped) else made for made in found]
    default = photon_cache.default_photons(job.noise, job.spacing_mm)
    if all(made.photons is None for made in estimates):
        log.warning(f"no slice shows enough soft tissue: {default:.2g} photons are assumed")
    series = estimate_photons.along_series(estimates, default, [item.z_mm for item in scan.slices])
    return [SlicePhotons(count, e.sd_hu) for count, e in zip(series, estimates, strict=True)]


def _copy(job: Job, scan: Scan, photons: Sequence[SlicePhotons]) -> list[Copy]:
    """Write every slice. Raises UserError if most of them cannot be."""
    n = len(scan.slices)
    tasks = list(zip(range(n), scan.slices, photons, strict=True))
    copies = _in_order(partial(simulate_slice.copy, job), tasks, "slices")
    _check_usable([copy.skip for copy in copies if copy.skip], n)
    return copies


def _in_order(function, tasks: Sequence, text: str) -> list:
    with contextlib.closing(processes.in_order(function, tasks)) as made:
        return list(progress(made, len(tasks), text))


def _check_usable(skipped: Sequence[Skipped], n: int) -> None:
    """Raises UserError if more than half of the slices cannot be used."""
    if 2 * len(skipped) > n:
        first = single_scan.reason(skipped[0])
        raise UserError(f"{len(skipped)} of {n} slices cannot be used: {first}")


# ---- records and messages ----


def _record(job: Job, scan: Scan, photons: Sequence[SlicePhotons], copies: Sequence[Copy]) -> None:
    """Write simulated.json, and the header of a MetaImage."""
    summary = photon_cache.summary(photons)
    slices = []
    for number, (each, copy) in enumerate(zip(photons, copies, strict=True), 1):
        slices.append({"slice": number, "photons": each.photons, "sd_hu": each.sd_hu})
        slices[-1] |= {"skipped": copy.skip.reason} if copy.skip else {"floored": copy.at_floor}
    about = {
        "format": FORMAT,
        "program": OWN_MODEL,
        "version": srgan.__version__,
        "noise": job.noise.as_json(),
        "seed": job.seed,
        "photons": summary,
        "slices": slices,
    }
    with writing(job.output):
        write_json(job.part / "simulated.json", about)
        if job.target is not None:
            _write_header(job, scan, f"{summary['median']:.3g}")


def _write_header(job: Job, scan: Scan, photons: str) -> None:
    try:
        header = metaimage_header.read_header(scan.files[0])
        metaimage_write.write_header(header, job.target, simulate_slice.how(job, photons))
    except Skip as skip:
        raise UserError(f"{scan.files[0]} changed: {single_scan.reason(skip)}") from None
    sync(job.target.path)


def _report(job: Job, copies: Sequence[Copy]) -> None:
    done = [copy for copy in copies if copy.skip is None]
    skipped = [copy.skip for copy in copies if copy.skip]
    at_floor = float(np.mean([copy.at_floor for copy in done]))
    print(f"readings at the photon floor: {at_floor:.2%}")
    noise_cache.warn_of_floor(at_floor)
    if skipped and job.target is not None:
        log.info(f"slices that stay as they are: {counted_reasons(skipped)}")
    elif skipped:
        log.info(single_scan.counted(skipped))
    print(f"{len(done)} slices at {100 * job.dose:.4g} % of the dose are in {job.output}")
