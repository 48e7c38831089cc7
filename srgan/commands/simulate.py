"""--run simulate: a copy of a scan as if it had been made at a lower dose."""

import contextlib
import logging
from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

import srgan
from srgan import settings as all_settings
from srgan.commands import simulate_slice
from srgan.commands.simulate_slice import Job, Made
from srgan.formats.derived import Derived
from srgan.formats.scan import OWN_MODEL, Scan, Skipped
from srgan.lowdose import estimate_photons, noise_cache, photon_cache, projection_noise
from srgan.lowdose.estimate_photons import Estimate
from srgan.lowdose.photon_cache import SlicePhotons
from srgan.lowdose.projection_noise import ProjectionNoise
from srgan.settings import Settings, degradation_of
from srgan.system import processes, signals
from srgan.system.errors import UserError
from srgan.system.files import write_json, writing
from srgan.system.progress import progress
from srgan.whole_scans import copy_scan, single_scan

log = logging.getLogger(__name__)

FORMAT = 1
SMALLEST_MM, LARGEST_MM = 0.05, 5.0  # pixels of a CT of a person


def simulate(given: dict[str, Any]) -> int:
    """Run the command; returns the exit code. Raises UserError."""
    settings = all_settings.make({**given, "noise": "projection"})
    noise = degradation_of(settings).noise
    if settings.input is None and settings.output is None:
        return _photons_of_water(noise)
    _check(settings, given)
    with signals.caught():
        scan, skipped = single_scan.find(settings.input, settings.series)
        _check_pixels(scan)
        if skipped:
            log.info(single_scan.counted(skipped))
        derived = Derived(f"LDCT sim {100 * noise.dose.low:.4g} %")
        with copy_scan.begun(scan, derived, settings.output, settings.format) as copy:
            job = Job(copy, noise, settings.seed)
            photons = _photons_of(job)
            print(photon_cache.summary_text(photon_cache.summary(photons)), flush=True)
            made = _copy(job, photons)
            _record(job, photons, made)
    _report(job, made)
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
    copy_scan.check_paths(settings.input, settings.output, "simulate")
    if "dose" not in given:
        raise UserError("--run simulate needs --dose, a fraction of the scan's dose: --dose 0.25")
    if settings.dose.low != settings.dose.high:
        raise UserError(f"--dose {settings.dose}: --run simulate takes one value")


def _check_pixels(scan: Scan) -> None:
    try:
        pixel_mm = projection_noise.pixel_mm_of(scan.spacing_mm)
    except ValueError as error:
        raise UserError(f"{error}: their noise cannot be projected") from None
    if not SMALLEST_MM <= pixel_mm <= LARGEST_MM:
        raise UserError(f"pixels of {pixel_mm:g} mm are not those of a CT of a person")


# ---- the slices ----


def _photons_of(job: Job) -> list[SlicePhotons]:
    """The photons of each slice: the given number, or a running median of the estimates."""
    scan, n = job.copy.scan, len(job.copy.scan.slices)
    if job.noise.photons is not None:
        return [SlicePhotons(job.noise.photons, None)] * n
    found = _in_order(partial(simulate_slice.estimate, job), range(n), "slices' noise")
    copy_scan.check_usable([each for each in found if isinstance(each, Skipped)], n)
    estimates = [Estimate(None, None) if isinstance(each, Skipped) else each for each in found]
    default = photon_cache.default_photons(job.noise, scan.spacing_mm)
    if all(each.photons is None for each in estimates):
        log.warning(f"no slice shows enough soft tissue: {default:.2g} photons are assumed")
    series = estimate_photons.along_series(estimates, default, [item.z_mm for item in scan.slices])
    return [SlicePhotons(count, e.sd_hu) for count, e in zip(series, estimates, strict=True)]


def _copy(job: Job, photons: Sequence[SlicePhotons]) -> list[Made]:
    """Write every slice. Raises UserError if most of them cannot be."""
    tasks = list(enumerate(photons))
    made = _in_order(partial(simulate_slice.write, job), tasks, "slices")
    copy_scan.check_usable([each.skip for each in made if each.skip], len(tasks))
    return made


def _in_order(function, tasks: Sequence, text: str) -> list:
    with contextlib.closing(processes.in_order(function, tasks)) as made:
        return list(progress(made, len(tasks), text))


# ---- records and messages ----


def _record(job: Job, photons: Sequence[SlicePhotons], made: Sequence[Made]) -> None:
    """Finish the scan and write simulated.json."""
    summary = photon_cache.summary(photons)
    slices = []
    for number, (each, one) in enumerate(zip(photons, made, strict=True), 1):
        slices.append({"slice": number, "photons": each.photons, "sd_hu": each.sd_hu})
        slices[-1] |= {"skipped": one.skip.reason} if one.skip else {"floored": one.at_floor}
    about = {
        "format": FORMAT,
        "program": OWN_MODEL,
        "version": srgan.__version__,
        "noise": job.noise.as_json(),
        "seed": job.seed,
        "photons": summary,
        "slices": slices,
    }
    with writing(job.copy.output):
        job.copy.target.finish(simulate_slice.how(job, f"{summary['median']:.3g}"))
        write_json(job.copy.part / "simulated.json", about)


def _report(job: Job, made: Sequence[Made]) -> None:
    done = [each for each in made if each.skip is None]
    skipped = [each.skip for each in made if each.skip]
    at_floor = float(np.mean([each.at_floor for each in done]))
    print(f"readings at the photon floor: {at_floor:.2%}")
    noise_cache.warn_of_floor(at_floor)
    if skipped:
        log.info(copy_scan.skipped_line(job.copy, skipped))
    print(f"{len(done)} slices at {100 * job.dose:.4g} % of the dose are in {job.copy.output}")
