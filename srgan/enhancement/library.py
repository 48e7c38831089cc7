"""The functions of `import srgan`: load a network, enhance HU, read a scan, write a scan."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from srgan.enhancement import slice_function
from srgan.evaluation import baselines
from srgan.formats import readers
from srgan.formats.derived import Derived
from srgan.formats.scan import Scan
from srgan.hounsfield import HU_MAX, HU_MIN
from srgan.system import surroundings
from srgan.system.errors import Skip, UserError
from srgan.system.files import writing
from srgan.training import checkpoint_models, shipped_weights
from srgan.training import strength as strengths
from srgan.whole_scans import copy_scan, single_scan


@dataclass(frozen=True)
class Network:
    """A trained network: call it with a slice."""

    scale: int
    method: Callable[[np.ndarray], np.ndarray]

    def __call__(self, low_dose_hu: np.ndarray) -> np.ndarray:
        """(h, w) HU to (scale*h, scale*w) float32 HU. Raises ValueError for another array."""
        hu = np.asarray(low_dose_hu)
        if hu.ndim != 2 or hu.dtype.kind not in "fiu" or not np.isfinite(hu).all():
            raise ValueError(
                f"a slice is a 2-D array of finite HU, not {hu.dtype} of shape {hu.shape}"
            )
        with surroundings.float32_keras():  # the first call traces the network
            return self.method(np.clip(hu.astype(np.float32), HU_MIN, HU_MAX))


def load(
    checkpoint: str | Path = shipped_weights.NAME,
    strength: float | None = None,
    scale: int | None = None,
    *,
    ensemble: bool = False,
) -> Network:
    """A trained network as a function: a low-dose slice in HU to a normal-dose slice in HU.

        import numpy as np
        import srgan

        low_dose_hu = np.full((128, 128), -850.0)  # one axial slice, (rows, columns)
        network = srgan.load()  # or srgan.load("checkpoint", strength=0.5)
        hu = network(low_dose_hu)  # float32, (4 * 128, 4 * 128) for a network of scale 4

    checkpoint: the folder that --run train wrote; the weights that ship with the program unless
    given. strength: from 0 (the SRResNet) to 1 (the SRGAN); None for the highest that the
    checkpoint has. scale: of the shipped weights, 4 (the default) or 1, which keeps the size of a
    slice. ensemble: take the mean of eight passes, over the flips and turns of the slice: eight
    times as long, and smoother (docs/enhance.md). The function takes (h, w) HU of any real dtype,
    with the pixel size and the noise that the network was trained for, and returns (scale*h,
    scale*w) float32 HU in [-1024, 3071]. It raises ValueError for another array. `load` raises
    ValueError for another strength, and srgan.system.errors.UserError where there is no such
    network.
    """
    if shipped_weights.is_meant(checkpoint):
        trained = shipped_weights.load(scale)
    else:
        trained = checkpoint_models.load(Path(checkpoint), "folder")
        if scale not in (None, trained.settings["scale"]):
            raise ValueError(f"the networks in {checkpoint} have scale {trained.settings['scale']}")
    if strength is not None and not 0 <= strength <= 1:
        raise ValueError(f"strength {strength} is not from 0 to 1")
    share = strengths.checked(trained, strength)
    with surroundings.float32_keras():
        method = baselines.network(strengths.network(trained, share), ensemble=ensemble)
    return Network(trained.settings["scale"], method)


def enhance(network: Network, hu: np.ndarray, input_kind: str | None = None) -> np.ndarray:
    """HU of a low-dose scan through a network: (slices, rows, columns) or (rows, columns).

    input_kind: for a network of scale 2 or 4, "low-resolution" (the slices are enlarged) or
    "native" (their area mean is enlarged to their own size). Returns float32 HU of the same number
    of dimensions; --run enhance does the same with a scan of any size. Raises ValueError for
    another array, and UserError where input_kind is needed.
    """
    hu = np.asarray(hu)
    if hu.ndim not in (2, 3) or hu.dtype.kind not in "fiu":
        raise ValueError(f"a scan is (slices, rows, columns) in HU, not {hu.dtype} of {hu.shape}")
    use = slice_function.use_of(network.scale, hu.shape[-2:], input_kind)
    slices = hu if hu.ndim == 3 else hu[None]
    made = [slice_function.enhanced(network, use, each).astype(np.float32) for each in slices]
    return np.stack(made) if hu.ndim == 3 else made[0]


@dataclass(frozen=True)
class ScanPixels:
    """A scan in memory."""

    hu: np.ndarray  # (slices, rows, columns) int16, from the feet to the head or as in the file
    spacing_mm: tuple[float, float]  # between rows, between columns
    z_mm: tuple[float | None, ...]  # of each slice, along the slice normal
    scan: Scan  # where it was read from


def read_scan(path: str | Path, series: str | None = None) -> ScanPixels:
    """Read one scan: a folder with a DICOM series, a DICOM file, or a volume (see docs/data.md).

    series: SeriesInstanceUID, where a folder holds several. Slices that are damaged are left out.
    Raises srgan.system.errors.UserError where there is no scan, or none of its slices can be read.
    """
    scan, _ = single_scan.find(Path(path), series, simulated_too=True)
    read, hu, kept = readers.reader(scan), [], []
    for index, item in enumerate(scan.slices):
        try:
            hu.append(read(index))
        except Skip as skip:
            if scan.is_volume or (not hu and index + 1 == len(scan.slices)):
                raise UserError(f"{item.path}: {single_scan.reason(skip)}") from None
            continue
        kept.append(item)
    scan = replace(scan, slices=tuple(kept))
    return ScanPixels(np.stack(hu), scan.spacing_mm, tuple(item.z_mm for item in kept), scan)


def write_scan(
    folder: str | Path,
    hu: np.ndarray,
    source: ScanPixels,
    description: str,
    format: str | None = None,
) -> None:
    """Write HU as a new scan that is derived from another one, which it lies in the place of.

    folder: a new one; complete or absent. hu: (slices, n*rows, n*columns) HU, n 1, 2 or 4, of the
    slices of `source`. description: what was done to it; it becomes DICOM's SeriesDescription (64
    ASCII characters) and DerivationDescription. format: "dicom", "mhd", "nifti" or "nrrd"; that of
    the source unless given. Raises ValueError for another array, UserError where nothing can be
    written.
    """
    hu, (n, rows, columns) = np.asarray(hu), source.hu.shape
    enlargement = hu.shape[-1] // columns if hu.ndim == 3 else 0
    if hu.shape != (n, enlargement * rows, enlargement * columns) or enlargement not in (1, 2, 4):
        raise ValueError(f"HU of shape {hu.shape} are no slices of a scan of {source.hu.shape}")
    if not np.isfinite(hu).all():
        raise ValueError("HU that are not finite")
    derived = Derived(description, enlargement)
    with copy_scan.begun(source.scan, derived, Path(folder), format) as copy:
        for index in range(n):
            copy_scan.write(copy, index, copy_scan.read(copy, index), hu[index], description)
        with writing(copy.output):
            copy.target.finish(description)
