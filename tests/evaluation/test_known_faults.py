"""A model close to a trained SRResNet raises no verdict line; with a fault, those of the fault.

The faults and their lines: benchmarks/verdicts.py, which takes a trained network.
"""

from functools import partial

import pytest

from benchmarks import verdicts
from srgan.evaluation import study_slice
from srgan.phantom import chest
from srgan.resampling import bicubic
from tests.helpers.made_structure import IMAGE_NOISE, stand_in
from tests.helpers.real_slices import CT


def synthetic_slices() -> list[study_slice.StudySlice]:
    slices = []
    for patient in range(2):
        hu, (column_mm, row_mm, _) = chest.chest(0, patient)
        read = partial(hu.__getitem__, len(hu) // 2)
        slices.append(study_slice.StudySlice(f"P{patient}", 1, (row_mm, column_mm), patient, read))
    return slices


def validation_slices() -> list[study_slice.StudySlice]:
    if not CT.is_dir():
        pytest.skip("../shared/ct is not there")
    return verdicts.slices_of(CT / "LIDC-IDRI-0003", 6)


@pytest.mark.slow
@pytest.mark.parametrize("slices_of", [synthetic_slices, validation_slices])
def test_checks_find_known_faults_and_nothing_in_a_good_model(slices_of):
    slices = slices_of()
    references = [study_slice.reference_of(item, IMAGE_NOISE, 0) for item in slices]

    def good(low_dose):
        found = verdicts.reference_of(low_dose, references)
        return bicubic(low_dose, 4) if found is None else stand_in(found.image, found.low_dose)

    measured = verdicts.study_of_faults(good, slices, references)
    raised = verdicts.raised_lines(measured)
    assert raised["srresnet"] == ()
    assert {name: verdicts.unexpected(name, lines) for name, lines in raised.items()} == {
        name: ([], []) for name in verdicts.FAULTS
    }
    metrics = measured.overall()["srresnet"]
    assert metrics["psnr_db"]["lung"] == pytest.approx(36, abs=1)
    assert metrics["chi2"] == pytest.approx(0.5, abs=0.1)
