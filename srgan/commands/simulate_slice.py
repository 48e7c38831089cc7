"""What each process does to one slice of --run simulate: estimate its photons, write its copy."""

from dataclasses import dataclass

import numpy as np

import srgan
from srgan import hu_check, random_streams
from srgan.dataset.select_slices import pixels_sha256
from srgan.formats.scan import OWN_MODEL, SIMULATED, Skipped
from srgan.lowdose import estimate_photons, projection_noise
from srgan.lowdose.estimate_photons import Estimate
from srgan.lowdose.photon_cache import SlicePhotons
from srgan.lowdose.projection_noise import ProjectionNoise
from srgan.system.errors import Skip
from srgan.whole_scans import copy_scan
from srgan.whole_scans.copy_scan import Copy


@dataclass(frozen=True)
class Job:
    """What is the same for all slices."""

    copy: Copy
    noise: ProjectionNoise
    seed: int

    @property
    def dose(self) -> float:
        return self.noise.dose.low

    @property
    def spacing_mm(self) -> tuple[float, float]:
        return self.copy.scan.spacing_mm


@dataclass(frozen=True)
class Made:
    """What became of one slice; skip: why it could not be made."""

    skip: Skipped | None = None
    at_floor: float = 0.0  # share of its readings at the photon floor


def estimate(job: Job, index: int) -> Estimate | Skipped:
    """The photons and the noise that a slice shows, or why it cannot be read."""
    try:
        hu = copy_scan.read(job.copy, index).hu
        hu_check.check_slice(hu)
    except Skip as skip:
        return Skipped(job.copy.scan.slices[index].path, skip.reason, skip.detail)
    return estimate_photons.estimate(hu, job.spacing_mm, job.noise.scanner, job.noise.noise_hu)


def write(job: Job, task: tuple[int, SlicePhotons]) -> Made:
    """Write the low-dose copy of one slice. task: (index in the scan, its photons).

    Raises UserError if nothing can be written.
    """
    index, photons = task
    at_floor = 0.0

    def low_dose(hu: np.ndarray) -> np.ndarray:
        nonlocal at_floor
        key = random_streams.slice_number(pixels_sha256(hu))
        rng = random_streams.generator_of(job.seed, random_streams.SIMULATE, key)
        fields = projection_noise.noise_fields(
            hu, job.spacing_mm, photons.photons, job.noise.scanner, job.dose, rng
        )
        at_floor = fields.at_floor
        return projection_noise.insert(hu, fields, job.dose)

    skip = copy_scan.made(job.copy, index, low_dose, how_slice(job, photons))
    return Made(skip, at_floor)


def how(job: Job, photons: str) -> str:
    """What was done, with every parameter. photons: as text."""
    scanner = job.noise.scanner
    return (
        f"{OWN_MODEL} {srgan.__version__}: DERIVED, {SIMULATED} by noise in projections; "
        f"dose {job.dose:g} of the source's; photons {photons}; electronic noise "
        f"{scanner.electronic_noise:g}; cutoff {scanner.filter_cutoff:g}/mm; seed {job.seed}"
    )


def how_slice(job: Job, photons: SlicePhotons) -> str:
    """`how` for one DICOM slice, in more detail."""
    scanner = job.noise.scanner
    own = "" if photons.sd_hu is None else f"; noise of the source {photons.sd_hu:.1f} HU"
    return (
        f"{how(job, f'{photons.photons:.4g}')}; photons and electronic noise (counts) of a reading "
        f"at 360 views and 0.70 mm{own}; mu of water {scanner.mu_water:g}/mm, {scanner.views} "
        f"views, bowtie {scanner.bowtie:g}; tube current, exposure and CTDIvol are the source's"
    )
