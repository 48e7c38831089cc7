"""A model that is near a trained SRResNet raises no line, and spoilt ones raise theirs alone.

The spoilt models and their lines: benchmarks/verdicts.py, which takes a trained network.
"""

from functools import partial
from pathlib import Path

import pytest

from benchmarks import verdicts
from srgan.evaluation import study
from srgan.phantom import chest
from srgan.resampling import bicubic
from tests.helpers.made_structure import stand_in

CT = Path(__file__).resolve().parents[3] / "shared" / "ct"


def synthetic_slices() -> list[study.StudySlice]:
    made = []
    for patient in range(2):
        hu, (column_mm, row_mm, _) = chest.chest(0, patient)
        read = partial(hu.__getitem__, len(hu) // 2)
        made.append(study.StudySlice(f"P{patient}", 1, (row_mm, column_mm), patient, read))
    return made


def validation_slices() -> list[study.StudySlice]:
    if not CT.is_dir():
        pytest.skip("../shared/ct is not there")
    return verdicts.slices_of(CT / "LIDC-IDRI-0003", 6)


@pytest.mark.slow
@pytest.mark.parametrize("slices_of", [synthetic_slices, validation_slices])
def test_a_spoilt_model_raises_the_lines_of_its_fault_and_a_good_one_none(slices_of):
    slices = slices_of()
    references = [study.reference_of(item, verdicts.NOISE, 0) for item in slices]

    def good(low_dose):
        truth = verdicts.truth_behind(low_dose, references)
        return bicubic(low_dose, 4) if truth is None else stand_in(truth.reference, truth.low_dose)

    made = verdicts.judged(good, slices, references)
    raised = verdicts.raised(made)
    assert raised["srresnet"] == ()
    assert {name: verdicts.unexpected(name, lines) for name, lines in raised.items()} == {
        name: ([], []) for name in verdicts.SPOILT
    }
    figures = made.overall()["srresnet"]
    assert figures["psnr_db"]["lung"] == pytest.approx(36, abs=1)
    assert figures["chi2"] == pytest.approx(0.5, abs=0.1)
