"""What a person sees of a training: validation figures, log.csv, grids and a full slice."""

import copy
import csv
import textwrap
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy import ndimage

from srgan import random_streams
from srgan.hounsfield import WINDOWS, Window, hu_to_network, network_to_hu
from srgan.lowdose.degradation import Degradation, degrade
from srgan.metrics.similarity import has_contrast, psnr_db
from srgan.resampling import bicubic
from srgan.system.files import write_whole
from srgan.training import batches

GRID = 8  # patches in a grid
PATCHES = 128  # of validation
GRID_WIDTH = 96  # characters of a title above a grid
COLUMNS = (
    "step", "stage", "learning_rate", "l1", "mse", "content", "adversarial", "discriminator",
    "real_logit", "fake_logit", "logit_sd", "skipped", "validation_psnr_db", "validation_texture",
    "validation_sd", "warnings",
)  # fmt: skip


@dataclass(frozen=True)
class Validation:
    """Fixed validation patches: low dose (n, c/s, c/s, 1) and normal dose (n, c, c, 1)."""

    low: np.ndarray
    normal: np.ndarray
    bicubic_psnr_db: float

    @classmethod
    def of(cls, side: batches.Side, crop: int, degradation: Degradation, seed: int):
        """Patches of the validation slices at the middle noise level: the same at every call."""
        middle = degradation.middle()
        low, normal = batches.batch(side, PATCHES, crop, middle, seed, 0, random_streams.VALIDATION)
        enlarged = bicubic(low[..., 0], degradation.scale)[..., None]
        return cls(low, normal, _psnr_db(enlarged, normal))

    def figures(self, output: np.ndarray) -> dict[str, float]:
        """PSNR (full window) over all patches as one image, and texture against normal dose.

        Texture is the SD of patch minus its Gaussian (2 px), and SD that of the patch itself, the
        mean over patches, as ratios to the normal dose's.
        """
        return {
            "validation_psnr_db": _psnr_db(output, self.normal),
            "validation_texture": _texture(output) / max(_texture(self.normal), 1e-9),
            "validation_sd": _spread(output) / max(_spread(self.normal), 1e-9),
        }


def _psnr_db(output: np.ndarray, normal: np.ndarray) -> float:
    a, b = (
        network_to_hu(x[..., 0].astype(np.float64)).reshape(len(x), -1) for x in (output, normal)
    )
    return float(psnr_db(output=a, reference=b, window=WINDOWS["full"]))


def _texture(patches: np.ndarray) -> float:
    images = patches[..., 0].astype(np.float64)
    return float((images - ndimage.gaussian_filter(images, (0, 2, 2))).std((1, 2)).mean())


def _spread(patches: np.ndarray) -> float:
    return float(patches.astype(np.float64).std((1, 2)).mean())


class Log:
    """train/log.csv: a row each tenth of the way between events, losses averaged since the last.

    No clock in it, so that equal runs give equal files. A checkpoint holds the rows and what was
    summed since: a run that goes on writes the file that it would have written.
    """

    def __init__(self, path: Path):
        self.path = path
        self.restore({"rows": [], "sums": {}, "applied": 0, "skipped": 0})

    def as_json(self) -> dict:
        names = "rows", "sums", "applied", "skipped"
        return {name: copy.deepcopy(getattr(self, name)) for name in names}

    def restore(self, kept: dict) -> None:
        self.rows: list[dict[str, str]] = list(kept["rows"])
        self.sums: dict[str, float] = dict(kept["sums"])  # of the steps that were applied
        self.applied, self.skipped = kept["applied"], kept["skipped"]

    def add(self, losses: dict) -> None:
        """Losses of a step, with `applied` and `fault` (see steps)."""
        for name, value in losses.items():
            if name not in ("applied", "fault"):
                self.sums[name] = self.sums.get(name, 0.0) + float(value)
        self.applied += int(losses["applied"])
        self.skipped += int(losses["fault"])

    def row(self, step: int, stage: str, rate: float, validation: dict) -> dict[str, float]:
        """Close a row; returns the mean losses since the row before (none were applied: empty)."""
        means = {k: v / self.applied for k, v in self.sums.items()} if self.applied else {}
        figures = {"learning_rate": rate, **means, **validation}
        row = {k: f"{v:.6g}" for k, v in figures.items()}
        self.rows.append({"step": str(step), "stage": stage, "skipped": str(self.skipped), **row})
        self.sums, self.applied, self.skipped = {}, 0, 0
        return means

    def warn(self, kinds: Iterable[str]) -> None:
        """What the last row is warned of."""
        self.rows[-1]["warnings"] = " ".join(kinds)

    def write(self) -> None:
        """The whole file. Raises OSError."""
        write_whole(self.path, self._write)

    def _write(self, path: Path) -> None:
        with open(path, "w", newline="", encoding="utf-8") as file:
            table = csv.DictWriter(file, COLUMNS)
            table.writeheader()
            table.writerows(self.rows)


def figure_of_patches(validation: Validation, output: np.ndarray, scale: int, title: str):
    """Eight fixed patches: normal dose | low dose | bicubic | output, in the lung window."""
    from matplotlib.figure import Figure

    low = network_to_hu(validation.low[:GRID, ..., 0])
    normal = network_to_hu(validation.normal[:GRID, ..., 0])
    images = {
        "normal dose": normal,
        "low dose": low,
        "bicubic": bicubic(low, scale),
        "output": network_to_hu(output[:GRID, ..., 0]),
    }
    window = WINDOWS["full"]
    figure = Figure((8.4, 2.08 * GRID + 0.8), dpi=72, layout="constrained")
    axes = figure.subplots(GRID, len(images), squeeze=False)
    for row, line in enumerate(axes):
        for axis, (name, patches) in zip(line, images.items(), strict=True):
            label = f"{name}, {patches.shape[1]}x{patches.shape[2]}" if row == 0 else ""
            if name in ("bicubic", "output"):
                below = _psnr_label(patches[row], normal[row], window)
                axis.set_xlabel(below, fontsize=9, labelpad=1)
            show(axis, patches[row], label)
    title += f"\nshown in the lung window -1350 to 150 HU; PSNR in {window.width:g} HU"
    lines = [part for line in title.splitlines() for part in textwrap.wrap(line, GRID_WIDTH)]
    figure.suptitle("\n".join(lines), fontsize=9)
    return figure


def _psnr_label(image: np.ndarray, normal: np.ndarray, window: Window) -> str:
    """Empty where the normal dose is constant in the window: a patch of air."""
    if not has_contrast(normal, window):
        return ""
    return f"{psnr_db(output=image, reference=normal, window=window):.2f} dB"


def show(axis, hu: np.ndarray, title: str = "", window: str = "lung") -> None:
    low, high = WINDOWS[window]
    axis.imshow(hu, cmap="gray", vmin=low, vmax=high, interpolation="nearest")
    axis.set_title(title, fontsize=10)
    axis.set_xticks([])
    axis.set_yticks([])
    for side in axis.spines.values():
        side.set_visible(False)


def figure_of_slice(side: batches.Side, degradation: Degradation, seed: int, enhance, title: str):
    """A side's middle slice: normal dose | low dose | bicubic | output; `enhance`: see loop."""
    from matplotlib.figure import Figure

    scale, middle = degradation.scale, len(side.slices) // 2
    hu = side.slices[middle]
    rows, columns = (n - n % scale for n in hu.shape)
    normal = hu[:rows, :columns].astype(np.float32)
    fields = None
    if side.noise is not None:
        fields = side.noise[middle].fields()[:, None, :rows, :columns]
    rng = random_streams.generator_of(seed, random_streams.VALIDATION, 1)
    low = degrade(normal[None], degradation.middle(), rng, fields)
    output = network_to_hu(enhance(hu_to_network(low)[..., None])[0, ..., 0])
    figure = Figure((16, 9.2), dpi=100, layout="constrained")
    axes = figure.subplots(2, 4)
    images = {
        "normal dose": normal,
        "low dose": low[0],
        "bicubic": bicubic(low[0], scale),
        "output": output,
    }
    for column, (name, image) in enumerate(images.items()):
        for row, window in enumerate(("lung", "mediastinum")):
            label = f"{name}, {image.shape[0]}x{image.shape[1]}"
            if image.shape == normal.shape and name != "normal dose":
                psnr = _psnr_label(image, normal, WINDOWS[window])
                label += f", {psnr}" if psnr else ""
            show(axes[row, column], image, label, window)
    for row, window in enumerate(("lung", "mediastinum")):
        low_hu, high_hu = WINDOWS[window]
        axes[row, 0].set_ylabel(f"{window} window, {low_hu:g} to {high_hu:g} HU")
    figure.suptitle(title, fontsize=11)
    return figure
