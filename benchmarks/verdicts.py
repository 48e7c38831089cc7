"""Check which verdict lines a good SRResNet raises after known faults are added to its output.

python benchmarks/verdicts.py CHECKPOINT_DIR FOLDER [--every 2]

FOLDER is the scan of one validation patient; its slices that show lung are used. At lambda 1700 and
sigma 0.005, measures the SRResNet of the checkpoint, and the same with each of FAULTS, and compares
the lines with those that the fault must raise and those that it may raise. Ends with 1 if a line is
missing or another one is raised. tests/evaluation/test_known_faults.py does it with a stand-in.

Twelve patients by networks that were trained without them (docs/metrics.md) gave the lines of the
list, except "inventing" of a shift, whose share was 0.06 and 0.10 on two with smooth lungs, and
"inconsistent" of one good network.
"""

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).parent.parent))

import numpy as np
from scipy import ndimage

from benchmarks import common
from srgan.evaluation import baselines, checks, conclusions, study, study_slice
from srgan.masks import lung_mask
from srgan.metrics.slice_output import LUNG_PIXELS, Reference
from srgan.models import tensorflow_setup
from srgan.training import checkpoint_models
from tests.helpers.made_structure import IMAGE_NOISE, band

BAND = (0.25, 0.6)  # of Nyquist: above what a fourfold smaller low dose can hold


def _brighter_lung(output, reference):
    return output + 10 * lung_mask(reference.image)


def _blob(output, reference):
    rows, columns = np.indices(output.shape)
    room = ndimage.distance_transform_edt(lung_mask(reference.image))
    y, x = np.unravel_index(room.argmax(), room.shape)
    return output + 60 * ((rows - y) ** 2 + (columns - x) ** 2 <= 6**2)


def _false_texture(output, reference):
    """Add band noise, so that the output has the local power of the normal dose in the band."""
    rng = np.random.default_rng(0)
    have, want = (_local_power(band(x, *BAND)) for x in (output, reference.image))
    noise = band(rng.normal(0, 1, output.shape), *BAND)
    noise *= np.sqrt(np.maximum(want - have, 0) / _local_power(noise))
    return output + noise


def _local_power(image):
    return ndimage.gaussian_filter(image**2, 8)


class Fault(NamedTuple):
    """A change of a good output, and the verdict lines that follow from it."""

    change: Callable[[np.ndarray, Reference], np.ndarray]
    must_raise: tuple[str, ...] = ()
    may_raise: tuple[str, ...] = ()


BEHIND = ("below its input", "below SRResNet")
BIASED = tuple(f"bias ({tissue})" for tissue in checks.TISSUES)
FAULTS = {
    "srresnet": Fault(lambda output, _: output),
    # Costs about 0.1 dB, less than the bound of "below SRResNet".
    "lung +10 HU": Fault(_brighter_lung, ("bias (lung)",)),
    # 2 px pass 0.73 of a period of 16 px where bicubic passes 0.85: it is behind bicubic too, and
    # no edge agrees with the low dose. What fine bone loses, and what narrow lung gains from its
    # walls, depends on the patient.
    "blurred by 2 px": Fault(
        lambda output, _: ndimage.gaussian_filter(output, 2),
        (*BEHIND, "smoother", "inconsistent"),
        ("bias (bone)", "bias (lung)"),
    ),
    # 113 of 262,144 pixels: no mean over the slice moves.
    "blob in lung": Fault(_blob, ("inconsistent",)),
    # Its energy adds to the squared error. Power is missing at edges, and is filled in over 8 px:
    # the area mean passes some of it, which contradicts the low dose, and flat tissue and lung
    # beside many edges become noisier than the normal dose.
    "false texture": Fault(
        _false_texture,
        ("below SRResNet", "inconsistent", "inventing"),
        ("noisier (flat regions)", "noisier (lungs)"),
    ),
    # Every edge is wrong on both sides: in squared error, in block means, and as detail.
    "shifted by 1 px": Fault(
        lambda output, _: np.roll(output, 1, 0),
        (*BEHIND, "inconsistent", "inventing", "shifted"),
    ),
    # Without structure no shift can be measured, which is a line of its own.
    "constant 0 HU": Fault(
        lambda output, _: np.zeros_like(output),
        (*BEHIND, *BIASED, "smoother", "inconsistent", "not checked"),
    ),
}


def main() -> int:
    parser = common.parser(__doc__)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--every", type=int, default=2, help="slice of the scan")
    given = parser.parse_args()
    tensorflow_setup.start("float32")
    good = baselines.network(checkpoint_models.load(given.checkpoint).networks()["srresnet"])
    slices = slices_of(given.folder, given.every)
    references = [study_slice.reference_of(item, IMAGE_NOISE, 0) for item in slices]
    measured = study_of_faults(good, slices, references)
    overall, wrong = measured.overall(), False
    for name, lines in raised_lines(measured).items():
        metrics, (missing, surplus) = overall[name], unexpected(name, lines)
        print(
            f"{name}: {metrics['psnr_db']['lung']:.2f} dB, chi2 {metrics['chi2']:.2f}, "
            f"{metrics['wide_spots']:.1f} wide spots, invented {metrics['invented_share']:.3f}\n"
            f"  raises {', '.join(lines) or 'nothing'}"
        )
        for what, kinds in (("MISSING", missing), ("NOT EXPECTED", surplus)):
            wrong |= bool(kinds)
            if kinds:
                print(f"  {what}: {', '.join(kinds)}")
    return int(wrong)


def slices_of(folder: Path, every: int) -> list[study_slice.StudySlice]:
    """Every n-th slice of the only scan in a folder, where it shows lung."""
    return [
        study_slice.StudySlice("P1", i + 1, spacing_mm, i, partial(np.array, hu))
        for i, (hu, spacing_mm) in enumerate(common.slices_of(folder))
        if i % every == 0 and np.count_nonzero(lung_mask(hu)) > LUNG_PIXELS
    ]


def study_of_faults(
    good: baselines.Method, slices: list, references: list[Reference]
) -> study.Study:
    """Measure bicubic, the good model as "srresnet", and the good model with each fault.

    references: of the slices, at IMAGE_NOISE and seed 0.
    """

    def with_fault(change):
        def method(low_dose: np.ndarray) -> np.ndarray:
            reference = reference_of(low_dose, references)
            output = good(low_dose)
            return output if reference is None else change(output, reference).astype(np.float32)

        return method

    methods = {"bicubic": baselines.classical(IMAGE_NOISE.scale)["bicubic"]}
    methods |= {name: with_fault(fault.change) for name, fault in FAULTS.items()}
    return study.run(methods, slices, IMAGE_NOISE, 0)


def reference_of(low_dose: np.ndarray, references: list[Reference]) -> Reference | None:
    """The reference of the slice with this low dose; None for the low dose of a patch."""
    return next((r for r in references if np.array_equal(r.low_dose, low_dose)), None)


def raised_lines(measured: study.Study) -> dict[str, tuple[str, ...]]:
    """The verdict lines of each of FAULTS."""
    findings = conclusions.of(measured).findings
    return {name: tuple(finding.kind for finding in findings[name]) for name in FAULTS}


def unexpected(name: str, lines: tuple[str, ...]) -> tuple[list[str], list[str]]:
    """(lines that a fault must raise and did not, lines that it may not raise and did)."""
    _, must, may = FAULTS[name]
    return [k for k in must if k not in lines], [k for k in lines if k not in must + may]


if __name__ == "__main__":
    sys.exit(main())
