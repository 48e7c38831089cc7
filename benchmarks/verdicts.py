"""Which verdict lines does a good SRResNet raise once it has been spoilt in a known way?

python benchmarks/verdicts.py CHECKPOINT_DIR FOLDER [--every 2]

FOLDER: one validation patient's scan, of which the slices that show lung are taken. At lambda 1700,
sigma 0.005 the checkpoint's SRResNet, and the same spoilt as in SPOILT, each against the lines that
it has to raise and those that may follow from them. Ends with 1 where a line is missing or another
is raised, by a spoilt model or by the good one. tests/evaluation/test_spoilt_models.py does it with
a stand-in.

Twelve patients by networks that were trained without them (see docs/metrics.md): as listed, but for
"inventing" of a shift, whose share was 0.06 and 0.10 on two with smooth lungs, and "inconsistent"
of one good network.
"""

import argparse
import sys
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

import numpy as np
from scipy import ndimage

from srgan.dataset import catalogue
from srgan.evaluation import baselines, conclusions, study, verdict
from srgan.formats import readers
from srgan.lowdose.degradation import Degradation
from srgan.lowdose.image_noise import ImageNoise
from srgan.lowdose.levels import Levels
from srgan.masks import lung_mask
from srgan.metrics.slice_output import LUNG_PIXELS, Reference
from srgan.models import tensorflow_setup
from srgan.training import checkpoint_models

NOISE = Degradation(ImageNoise(Levels((1700.0,)), Levels((0.005,))), 4)
BAND = (0.25, 0.6)  # of Nyquist: above what a fourfold smaller low dose can hold


def _brighter_lung(output, reference):
    return output + 10 * lung_mask(reference.image)


def _blob(output, reference):
    rows, columns = np.indices(output.shape)
    room = ndimage.distance_transform_edt(lung_mask(reference.image))
    y, x = np.unravel_index(room.argmax(), room.shape)
    return output + 60 * ((rows - y) ** 2 + (columns - x) ** 2 <= 6**2)


def _false_texture(output, reference):
    """Band noise that lacks nothing of the normal dose's power, place by place."""
    rng = np.random.default_rng(0)
    have, want = (_local_power(_band(x)) for x in (output, reference.image))
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


# ---- what each model does to a good output, the lines that it has to raise, those that it may ----

BEHIND = ("below its input", "below SRResNet")
BIASED = tuple(f"bias ({tissue})" for tissue in verdict.TISSUES)
SPOILT = {
    "srresnet": (lambda output, _: output, (), ()),
    # Costs about 0.1 dB, less than the bound of "below SRResNet": named as what it is.
    "lung +10 HU": (_brighter_lung, ("bias (lung)",), ()),
    # 2 px pass 0.73 of a period of 16 px where bicubic passes 0.85: behind bicubic too, and no
    # edge agrees with the low dose any more. What fine bone loses, and what narrow lung gains from
    # its walls, depends on the patient.
    "blurred by 2 px": (
        lambda output, _: ndimage.gaussian_filter(output, 2),
        (*BEHIND, "smoother", "inconsistent"),
        ("bias (bone)", "bias (lung)"),
    ),
    # 113 of 262,144 pixels: no mean figure moves.
    "blob in lung": (_blob, ("inconsistent",), ()),
    # Its energy adds to the squared error. Power is lacking at edges, and is filled in over 8 px:
    # the area mean lets some of it through, which the low dose contradicts, and flat tissue and
    # lung beside many edges become noisier than the normal dose.
    "false texture": (
        _false_texture,
        ("below SRResNet", "inconsistent", "inventing"),
        ("noisier (flat regions)", "noisier (lungs)"),
    ),
    # Every edge is wrong on both sides: in squared error, in block means, and as detail.
    "shifted by 1 px": (
        lambda output, _: np.roll(output, 1, 0),
        (*BEHIND, "inconsistent", "inventing", "shifted"),
        (),
    ),
    # Without structure there is no shift to measure, and that is said.
    "constant 0 HU": (
        lambda output, _: np.zeros_like(output),
        (*BEHIND, *BIASED, "smoother", "inconsistent", "not judged"),
        (),
    ),
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--every", type=int, default=2, help="slice of the scan")
    given = parser.parse_args()
    tensorflow_setup.start("float32")
    good = baselines.network(checkpoint_models.load(given.checkpoint).networks()["srresnet"])
    slices = slices_of(given.folder, given.every)
    made = judged(good, slices, [study.reference_of(item, NOISE, 0) for item in slices])
    overall, wrong = made.overall(), False
    for name, lines in raised(made).items():
        figures, (missing, surplus) = overall[name], unexpected(name, lines)
        print(
            f"{name}: {figures['psnr_db']['lung']:.2f} dB, chi2 {figures['chi2']:.2f}, "
            f"{figures['wide_spots']:.1f} wide spots, invented {figures['invented_share']:.3f}\n"
            f"  raises {', '.join(lines) or 'nothing'}"
        )
        for what, kinds in (("MISSING", missing), ("NOT EXPECTED", surplus)):
            wrong |= bool(kinds)
            if kinds:
                print(f"  {what}: {', '.join(kinds)}")
    return int(wrong)


def slices_of(folder: Path, every: int) -> list[study.StudySlice]:
    """Every n-th slice of the one scan in a folder, where it shows lung."""
    (scan,) = catalogue.find(folder).scans
    read = readers.reader(scan)
    return [
        study.StudySlice("P1", i + 1, scan.spacing_mm, i, partial(read, i))
        for i in range(0, len(scan.slices), every)
        if np.count_nonzero(lung_mask(read(i))) > LUNG_PIXELS
    ]


def judged(good: baselines.Method, slices: list, references: list[Reference]) -> study.Study:
    """Bicubic, the good model under the name of "srresnet", and it spoilt.

    references: what the slices' outputs are judged by, at NOISE and seed 0.
    """

    def spoilt(spoil):
        def method(low_dose: np.ndarray) -> np.ndarray:
            reference = reference_behind(low_dose, references)
            output = good(low_dose)
            return output if reference is None else spoil(output, reference).astype(np.float32)

        return method

    compared = {"bicubic": baselines.classical(NOISE.scale)["bicubic"]}
    compared |= {name: spoilt(spoil) for name, (spoil, *_) in SPOILT.items()}
    return study.run(compared, slices, NOISE, 0)


def reference_behind(low_dose: np.ndarray, references: list[Reference]) -> Reference | None:
    """Of the slice with this low dose; None for a patch of one."""
    return next((r for r in references if np.array_equal(r.low_dose, low_dose)), None)


def raised(made: study.Study) -> dict[str, tuple[str, ...]]:
    """The lines of each of SPOILT."""
    verdicts = conclusions.of(made).verdicts
    return {name: tuple(line.kind for line in verdicts[name]) for name in SPOILT}


def unexpected(name: str, lines: tuple[str, ...]) -> tuple[list[str], list[str]]:
    """Of one of SPOILT: lines that it has to raise and did not, and those that it may not."""
    _, must, may = SPOILT[name]
    return [k for k in must if k not in lines], [k for k in lines if k not in must + may]


if __name__ == "__main__":
    sys.exit(main())
