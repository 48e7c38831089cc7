"""What each process does to one slice of --run simulate: estimate its photons, write its copy."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

import srgan
from srgan import hu_check, random_streams
from srgan.dataset.select_slices import pixels_sha256
from srgan.formats.dicom import header as dicom_header
from srgan.formats.dicom import pixels as dicom_pixels
from srgan.formats.dicom import write as dicom_write
from srgan.formats.metaimage import pixels as metaimage_pixels
from srgan.formats.metaimage import write as metaimage_write
from srgan.formats.metaimage.pixels import Voxels
from srgan.formats.scan import OWN_MODEL, Skipped, Slice
from srgan.lowdose import estimate_photons, projection_noise
from srgan.lowdose.estimate_photons import Estimate
from srgan.lowdose.photon_cache import SlicePhotons
from srgan.lowdose.projection_noise import ProjectionNoise
from srgan.system.errors import Skip, UserError
from srgan.system.files import sync, writing


@dataclass(frozen=True)
class Job:
    """What is the same for all slices."""

    noise: ProjectionNoise
    spacing_mm: tuple[float, float]
    size: tuple[int, int]  # rows, columns
    seed: int
    part: Path  # the folder that is written
    output: Path  # the name that it takes at the end
    series: dicom_write.Series | None = None  # of DICOM
    source: Voxels | None = None  # of MetaImage
    target: Voxels | None = None

    @property
    def dose(self) -> float:
        return self.noise.dose.low


@dataclass(frozen=True)
class Copy:
    """What became of one slice; skip: why it could not be copied."""

    skip: Skipped | None = None
    at_floor: float = 0.0  # share of its readings at the photon floor


def estimate(job: Job, item: Slice) -> Estimate | Skipped:
    """The photons and the noise that a slice shows, or why it cannot be read."""
    try:
        hu, _ = _read(job, item)
    except Skip as skip:
        return Skipped(item.path, skip.reason, skip.detail)
    return estimate_photons.estimate(hu, job.spacing_mm, job.noise.scanner, job.noise.noise_hu)


def copy(job: Job, task: tuple[int, Slice, SlicePhotons]) -> Copy:
    """Write the low-dose copy of one slice. task: (index in the series, slice, photons).

    A MetaImage slice that is not HU (padding) is copied as it is. Raises UserError if nothing can
    be written.
    """
    index, item, photons = task
    try:
        hu, source = _read(job, item)
        key = random_streams.slice_number(pixels_sha256(hu))
        rng = random_streams.generator_of(job.seed, random_streams.SIMULATE, key)
        made = projection_noise.noise_fields(
            hu, job.spacing_mm, photons.photons, job.noise.scanner, job.dose, rng
        )
        change = projection_noise.insert(hu, made, job.dose) - hu
        with writing(job.output):
            if job.target is not None:
                job.target.write(item.index, metaimage_write.changed_voxels(source, change))
            else:
                path = job.part / file_name(index)
                dicom_write.write(path, source, change, job.series, how_slice(job, photons))
                sync(path)
    except Skip as skip:
        if job.target is not None:
            with writing(job.output):
                voxels = metaimage_write.read_source(job.source, item.index)
                job.target.write(item.index, voxels)
        return Copy(Skipped(item.path, skip.reason, skip.detail))
    return Copy(at_floor=made.at_floor)


def _read(job: Job, item: Slice):
    """(rows, columns) int16 HU, and the voxels or the DICOM file they are from. Raises Skip."""
    if job.source is not None:
        values = metaimage_write.read_source(job.source, item.index)
        if not np.isfinite(values).all():
            raise UserError(
                f"slice {item.index + 1} of {item.path} has voxels that are not numbers"
            )
        hu = metaimage_pixels.values_to_hu(values)
        hu_check.check_slice(hu)
        return hu, values
    whole = dicom_header.read_whole(item.path)
    header, _, values = whole
    if values.shape != job.size or header.uid != item.uid:
        raise Skip("changed", "the file is not the one that was catalogued")
    hu = dicom_pixels.values_to_hu(values, header.pixel_data)
    hu_check.check_slice(hu)
    return hu, whole


def file_name(index: int) -> str:
    return f"{index + 1:04}.dcm"


def how(job: Job, photons: str) -> str:
    """What was done, with every parameter. photons: as text."""
    scanner = job.noise.scanner
    return (
        f"{OWN_MODEL} {srgan.__version__}: DERIVED, low dose simulated by noise in projections; "
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
