"""The README's picture: a slice of a synthetic chest outside the training data, and a region.

`python benchmarks/result_picture.py checkpoint --output docs/result.png` shows normal dose, low
dose, bicubic, SRResNet and SRGAN. PSNR is that of the whole slice in the lung window.
"""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent.parent))

import srgan
from benchmarks import common
from srgan.hounsfield import HU_MAX, HU_MIN, WINDOWS
from srgan.lowdose.degradation import degrade
from srgan.metrics.similarity import psnr_db
from srgan.phantom import chest
from srgan.resampling import bicubic
from srgan.system.png import figure_to_png
from tests.helpers.made_structure import IMAGE_NOISE, SCALE

PATIENT = 1000  # the program's own data end with patient 39
REGION = (slice(150, 246), slice(96, 192))  # rows, columns


def images_of(checkpoint: Path) -> dict[str, np.ndarray]:
    """Name to HU: (512, 512), the low dose (128, 128)."""
    volume, _ = chest.chest(seed=0, patient=PATIENT, slices=6)
    normal = np.clip(volume[3], HU_MIN, HU_MAX).astype(np.float32)
    low = degrade(normal[None], IMAGE_NOISE, np.random.default_rng(0))[0]
    return {
        "normal dose": normal,
        "low dose": low,
        "bicubic": bicubic(low, SCALE),
        "SRResNet": srgan.load(checkpoint, strength=0)(low),
        "SRGAN": srgan.load(checkpoint, strength=1)(low),
    }


def main() -> None:
    parser = common.parser(__doc__)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--output", type=Path, default=Path("result.png"))
    given = parser.parse_args()
    from matplotlib.figure import Figure
    from matplotlib.patches import Rectangle

    images = images_of(given.checkpoint)
    window = WINDOWS["lung"]
    rows, columns = REGION
    figure = Figure((12.5, 5.5), dpi=100, layout="constrained")
    axes = figure.subplots(2, len(images))
    for (whole, part), (name, hu) in zip(axes.T, images.items(), strict=True):
        step = len(images["normal dose"]) // len(hu)
        title = f"{name}, {len(hu)}x{len(hu)}" if step > 1 else name
        if step == 1 and name != "normal dose":
            psnr = psnr_db(output=hu, reference=images["normal dose"], window=window)
            title += f", {psnr:.1f} dB"
        inside = hu[
            rows.start // step : rows.stop // step, columns.start // step : columns.stop // step
        ]
        for axis, shown in ((whole, hu), (part, inside)):
            axis.imshow(
                shown, cmap="gray", vmin=window.low, vmax=window.high, interpolation="nearest"
            )
            axis.set_axis_off()
        corner = (columns.start / step, rows.start / step)
        size = (columns.stop - columns.start) / step
        whole.add_patch(Rectangle(corner, size, size, fill=False, edgecolor="gold"))
        whole.set_title(title, fontsize=11)
    figure_to_png(figure, given.output)


if __name__ == "__main__":
    main()
