"""--run simulate: a copy of a scan as if it had been made at a lower dose."""

import contextlib
import shutil
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

import srgan
from srgan import settings as all_settings
from srgan import streams, workers
from srgan.dose import matching, photons, projection
from srgan.dose.degradation import Degradation, ProjectionNoise
from srgan.dose.matching import Estimate
from srgan.dose.photons import Matched
from srgan.errors import TRY_AGAIN, Skip, UserError
from srgan.files import sync, told, write_json
from srgan.progress import Progress, log
from srgan.runs.output import ended_by_sigterm, new_folder
from srgan.scans import derived, dicom, metaimage, one, stored, volume
from srgan.scans.choose import pixels_sha256
from srgan.scans.dicom import OWN_MODEL
from srgan.scans.scan import Scan, Skipped, Slice
from srgan.scans.volume import Voxels
from srgan.settings import Settings

FORMAT = 1
HEADER_BYTES = 64 << 10  # of a DICOM file, generously
FLOORED = 0.01  # share of readings at the photon floor that is worth a warning
SMALLEST, LARGEST = 0.05, 5.0  # mm; pixels of people


@dataclass(frozen=True)
class Job:
    """What the processes need to know of all slices."""

    noise: ProjectionNoise
    spacing_mm: tuple[float, float]
    size: tuple[int, int]  # rows, columns
    seed: int
    part: Path  # the folder that is written
    shown: Path  # its name once it is whole
    series: derived.Series | None = None  # of DICOM
    source: Voxels | None = None  # of MetaImage
    target: Voxels | None = None

    @property
    def dose(self) -> float:
        return self.noise.dose.low

    @property
    def pixel_mm(self) -> float:
        return projection.pixel_mm_of(self.spacing_mm)


@dataclass(frozen=True)
class Copy:
    """One slice that was written, or why not."""

    skip: Skipped | None = None
    floored: float = 0.0  # share of its readings at the photon floor


def simulate(given: dict[str, Any]) -> int:
    """The whole of it; returns the exit code. Raises UserError."""
    settings = all_settings.make({**given, "noise": "projection"})
    noise = Degradation.of(settings).noise
    if settings.input is None and settings.output is None:
        return _photons_of_water(noise)
    _check(settings, given)
    progress = Progress()
    with ended_by_sigterm():
        scan, skipped = one.find(settings.input, lambda i, n: progress(i, n, "headers"))
        _check_pixels(scan)
        if skipped:
            log(one.counted(skipped))
        with new_folder(settings.output) as part:
            job = _begin(scan, noise, settings, part)
            matched = _match(job, scan, progress)
            print(photons.told_of(photons.summary(matched)), flush=True)
            copies = _copy(job, scan, matched, progress)
            _record(job, scan, matched, copies)
    _tell(job, copies)
    return 0


def _photons_of_water(noise: ProjectionNoise) -> int:
    """Without a scan: what a noise in water means in photons."""
    if noise.noise_hu is None:
        raise UserError(
            "--run simulate needs --input SCAN and --output DIR; with --noise-hu alone it prints "
            "photons"
        )
    count = matching.of_water(noise.noise_hu, noise.scanner)
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
        pixel_mm = projection.pixel_mm_of(scan.spacing_mm)
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
        return replace(job, series=derived.Series.new(f"LDCT sim {100 * job.dose:.4g} %"))
    try:
        header = metaimage.read_header(scan.files[0])
        _check_space(job, header.nbytes)
        with told(settings.output):
            source, target = volume.begin(header, part)
    except Skip as skip:
        raise UserError(f"{scan.files[0]}: {one.reason(skip)}") from None
    return replace(job, source=source, target=target)


def _check_space(job: Job, need: int) -> None:
    with told(job.shown):
        free = shutil.disk_usage(job.part).free
    if need > free:
        raise UserError(
            f"--output {job.shown} needs {need / 1e9:.2f} GB, {free / 1e9:.2f} GB are free",
            TRY_AGAIN,
        )


def _match(job: Job, scan: Scan, progress: Progress) -> list[Matched]:
    """The photons of each slice: those given, or a running median of the estimates."""
    n = len(scan.slices)
    if job.noise.photons is not None:
        return [Matched(job.noise.photons, None)] * n
    estimates = []
    results = workers.in_order(partial(_estimate, job), scan.slices)
    with contextlib.closing(results):
        for made in results:
            estimates.append(made)
            progress(len(estimates), n, "slices' noise")
    default = matching.DEFAULT_PHOTONS
    if job.noise.noise_hu is not None:
        default = matching.of_water(job.noise.noise_hu, job.noise.scanner, job.pixel_mm)
    if all(made.photons is None for made in estimates):
        log(f"warning: no slice shows enough soft tissue: {default:.2g} photons are assumed")
    series = matching.along_series(estimates, default, [item.z_mm for item in scan.slices])
    return [Matched(count, e.sd_hu) for count, e in zip(series, estimates, strict=True)]


def _estimate(job: Job, item: Slice) -> Estimate:
    try:
        hu, _ = _read(job, item)
    except Skip:  # told when it is to be copied
        return Estimate(None, None)
    return matching.estimate(hu, job.spacing_mm, job.noise.scanner, job.noise.noise_hu)


def _copy(job: Job, scan: Scan, matched: Sequence[Matched], progress: Progress) -> list[Copy]:
    """Write every slice. Raises UserError where most of them cannot be."""
    n = len(scan.slices)
    copies = []
    tasks = list(zip(range(n), scan.slices, matched, strict=True))
    results = workers.in_order(partial(_copy_slice, job), tasks)
    with contextlib.closing(results):
        for made in results:
            copies.append(made)
            progress(len(copies), n, "slices")
    skipped = [made.skip for made in copies if made.skip]
    if 2 * len(skipped) > n:
        told_of = one.reason(skipped[0])
        raise UserError(f"{len(skipped)} of {n} slices cannot be used: {told_of}")
    return copies


def _read(job: Job, item: Slice):
    """((rows, columns) int16 HU, what it is derived from). Raises Skip."""
    if job.source is not None:
        values = job.source.read(item.index)
        if not np.isfinite(values).all():
            raise UserError(f"slice {item.index + 1} of {item.path} has voxels that are no numbers")
        return metaimage.values_to_hu(values), values
    whole = dicom.read_whole(item.path)
    header, _, values = whole
    if values.shape != job.size or header.uid != item.uid:
        raise Skip("changed", "the file is not the one that was catalogued")
    return stored.values_to_hu(values, header.stored), whole


def _copy_slice(job: Job, task: tuple[int, Slice, Matched]) -> Copy:
    """One slice from file to file. A MetaImage slice that is not HU (padding) stays as it is."""
    index, item, matched = task
    try:
        hu, source = _read(job, item)
        key = streams.slice_number(pixels_sha256(hu))
        rng = streams.generator_of(job.seed, streams.SIMULATE, key)
        made = projection.noise_fields(
            hu, job.spacing_mm, matched.photons, job.noise.scanner, job.dose, rng
        )
        change = projection.insert(hu, made, job.dose) - hu
        with told(job.shown):
            if job.target is not None:
                job.target.write(item.index, volume.changed_voxels(source, change))
            else:
                path = job.part / file_name(index)
                derived.write(path, source, change, job.series, how_slice(job, matched))
                sync(path)
    except Skip as skip:
        if job.target is not None:
            with told(job.shown):
                job.target.write(item.index, job.source.read(item.index))
        return Copy(Skipped(item.path, skip.reason, skip.detail))
    return Copy(floored=made.floored)


def file_name(index: int) -> str:
    return f"{index + 1:04}.dcm"


def how(job: Job, photons_told: str) -> str:
    """What was done, with every parameter."""
    scanner = job.noise.scanner
    return (
        f"{OWN_MODEL} {srgan.__version__}: DERIVED, low dose simulated by noise in projections; "
        f"dose {job.dose:g} of the source's; photons {photons_told}; electronic noise "
        f"{scanner.electronic_noise:g}; cutoff {scanner.filter_cutoff:g}/mm; seed {job.seed}"
    )


def how_slice(job: Job, matched: Matched) -> str:
    """`how` with what there is more room for in DICOM."""
    scanner = job.noise.scanner
    own = "" if matched.sd_hu is None else f"; noise of the source {matched.sd_hu:.1f} HU"
    return (
        f"{how(job, f'{matched.photons:.4g}')}; photons and electronic noise (counts) of a reading "
        f"at 360 views and 0.70 mm{own}; mu of water {scanner.mu_water:g}/mm, {scanner.views} "
        f"views, bowtie {scanner.bowtie:g}; tube current, exposure and CTDIvol are the source's"
    )


# ---- what is said of it ----


def _record(job: Job, scan: Scan, matched: Sequence[Matched], copies: Sequence[Copy]) -> None:
    """The header of a MetaImage, and simulated.json."""
    found = photons.summary(matched)
    slices = []
    for index, (each, made) in enumerate(zip(matched, copies, strict=True)):
        slices.append({"slice": index + 1, "photons": each.photons, "sd_hu": each.sd_hu})
        if made.skip:
            slices[-1]["skipped"] = made.skip.reason
        else:
            slices[-1]["floored"] = made.floored
    about = {
        "format": FORMAT,
        "program": OWN_MODEL,
        "version": srgan.__version__,
        "noise": job.noise.as_json(),
        "seed": job.seed,
        "photons": found,
        "slices": slices,
    }
    with told(job.shown):
        if job.target is not None:
            comment = how(job, f"{found['median']:.3g}")
            volume.write_header(metaimage.read_header(scan.files[0]), job.target, comment)
            sync(job.target.path)
        write_json(job.part / "simulated.json", about)


def _tell(job: Job, copies: Sequence[Copy]) -> None:
    done = [made for made in copies if made.skip is None]
    skipped = [made.skip for made in copies if made.skip]
    floored = float(np.mean([made.floored for made in done]))
    print(f"readings at the photon floor: {floored:.2%}")
    if floored > FLOORED:
        log(
            f"warning: {floored:.1%} of the readings are at the photon floor and have less noise "
            f"than a scanner's there: too few photons for this dose"
        )
    if skipped and job.target is not None:
        counts = Counter(item.reason for item in skipped)
        reasons = ", ".join(f"{n} {reason}" for reason, n in counts.most_common())
        log(f"slices that stay as they are: {reasons}")
    elif skipped:
        log(one.counted(skipped))
    print(f"{len(done)} slices at {100 * job.dose:.4g} % of the dose are in {job.shown}")
