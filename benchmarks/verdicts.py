"""Which verdict lines does a good SRResNet raise once it has been spoilt in a known way?

python benchmarks/verdicts.py CHECKPOINT_DIR FOLDER [--every 2]

FOLDER: one validation patient's scan. At lambda 1700, sigma 0.005 the checkpoint's SRResNet, and
the same with lung +10 HU, blurred by 2 px, with a blob of 12 px and +60 HU in lung, with false
texture above the low dose's Nyquist frequency, shifted by 1 px, and a constant 0 HU.
"""

import argparse
import sys
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

import numpy as np
from scipy import ndimage

from srgan.dose.degradation import Degradation
from srgan.dose.image import ImageNoise
from srgan.evaluation import conclusions, methods, study, verdict
from srgan.hounsfield import lung_mask
from srgan.networks import machine
from srgan.scans import catalogue
from srgan.settings import Levels
from srgan.training import checkpoints

NOISE = Degradation(ImageNoise(Levels((1700.0,)), Levels((0.005,))), 4)
BAND = (0.25, 0.6)  # of Nyquist: above what a fourfold smaller low dose can hold


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--every", type=int, default=2, help="slice of the scan")
    given = parser.parse_args()
    machine.start("float32")
    (scan,) = catalogue.find(given.folder).scans
    read = catalogue.reader(scan)
    slices = [
        study.StudySlice("P1", i + 1, scan.spacing_mm, i, partial(read, i))
        for i in range(0, len(scan.slices), given.every)
    ]
    good = methods.network(checkpoints.load(given.checkpoint).networks()["srresnet"])
    truths = [study.truth_of(item, NOISE, 0) for item in slices]
    compared = methods.classical(4) | {"srresnet": good}
    compared |= {name: _spoilt(good, spoil, truths) for name, spoil in SPOILT.items()}
    made = study.run(compared, slices, NOISE, 0)
    overall, found = made.overall(), conclusions.of(made)
    for name, lines in found.verdicts.items():
        figures = overall[name]
        print(
            f"{name}: {figures['psnr_db']['lung']:.2f} dB, chi2 {figures['chi2']:.2f}, "
            f"{figures['spots']:.1f} spots, invented {figures['invented_share']:.3f}"
        )
        if conclusions.kind_of(name) in verdict.NETWORKS:
            print(
                "".join(f"  {line.kind}{'' if line.fails else ' (no failure)'}\n" for line in lines)
            )


def _spoilt(good, spoil, truths):
    """A method that spoils the good output of a slice that it knows by its low dose."""

    def method(low_dose: np.ndarray) -> np.ndarray:
        output = good(low_dose)
        for truth in truths:
            if truth.low_dose.shape == low_dose.shape and (truth.low_dose == low_dose).all():
                return spoil(output, truth).astype(np.float32)
        return output  # a patch

    return method


def _brighter_lung(output, truth):
    return output + 10 * lung_mask(truth.reference)


def _blob(output, truth):
    rows, columns = np.indices(output.shape)
    room = ndimage.distance_transform_edt(lung_mask(truth.reference))
    y, x = np.unravel_index(room.argmax(), room.shape)
    return output + 60 * ((rows - y) ** 2 + (columns - x) ** 2 <= 6**2)


def _false_texture(output, truth):
    """Band noise that lacks nothing of the normal dose's power, place by place."""
    rng = np.random.default_rng(0)
    have, want = (_local_power(_band(x)) for x in (output, truth.reference))
    noise = _band(rng.normal(0, 1, output.shape))
    noise *= np.sqrt(np.maximum(want - have, 0) / _local_power(noise))
    return output + noise


def _local_power(image):
    return ndimage.gaussian_filter(image**2, 8)


def _band(image):
    frequency = 2 * np.hypot(
        np.fft.fftfreq(image.shape[0])[:, None], np.fft.fftfreq(image.shape[1])
    )
    inside = (frequency > BAND[0]) & (frequency < BAND[1])
    return np.fft.ifft2(np.fft.fft2(image) * inside).real


SPOILT = {
    "lung +10 HU": _brighter_lung,
    "blurred by 2 px": lambda output, _: ndimage.gaussian_filter(output, 2),
    "blob in lung": _blob,
    "false texture": _false_texture,
    "shifted by 1 px": lambda output, _: np.roll(output, 1, 0),
    "constant 0 HU": lambda output, _: np.zeros_like(output),
}


if __name__ == "__main__":
    main()
