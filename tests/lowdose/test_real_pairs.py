"""Real pairs as a dose model: what comes out is the measured low dose, wherever it goes."""

import numpy as np
import pytest

from srgan.evaluation import disc_phantom, study
from srgan.evaluation.study_slice import StudySlice, make_pair, reference_of
from srgan.hounsfield import network_to_hu
from srgan.lowdose.degradation import Degradation, degrade
from srgan.lowdose.real_pairs import PairNoise, RealPairs, difference
from srgan.resampling import area_mean
from srgan.training import batches
from srgan.training.validation import Validation
from tests.helpers.made_pairs import doses

NORMAL, LOW = doses(0, slices=3)
NORMAL[:, 40:44, 40:44] = 3071  # metal, and beside it what a file may hold above it
NORMAL[:, 44:46, 40:44] = 9000
LOW[:, 40:46, 40:44] = 3071
SET = batches.SliceSet(list(NORMAL), [PairNoise(*two) for two in zip(NORMAL, LOW, strict=True)])


@pytest.mark.parametrize("scale", [1, 2, 4])
def test_the_degraded_normal_dose_is_the_measured_low_dose(scale):
    fields = difference(NORMAL[0], LOW[0])[None, None]
    normal = np.clip(NORMAL[:1], -1024, 3071).astype(np.float32)
    low = degrade(normal, Degradation(RealPairs(), scale), np.random.default_rng(0), fields)
    assert np.array_equal(low[0], area_mean(LOW[0].astype(np.float32), scale))


def test_training_patches_are_cut_from_both_doses_at_the_same_place():
    low, normal = (
        network_to_hu(x[..., 0])
        for x in batches.batch(SET, 8, 88, Degradation(RealPairs(), 1), seed=0, k=0)
    )
    turned = [(np.rot90(a, k)[:, ::f], np.rot90(b, k)[:, ::f])
              for a, b in zip(np.clip(NORMAL, -1024, 3071), LOW, strict=True)
              for k in range(4) for f in (1, -1)]  # fmt: skip
    for patch, noisy in zip(normal, low, strict=True):
        places = [
            np.abs(window - patch).max((-1, -2)) < 0.01
            for window in (np.lib.stride_tricks.sliding_window_view(a, (88, 88)) for a, _ in turned)
        ]
        (found,) = np.argwhere(places)
        image, row, column = found
        cut = turned[image][1][row : row + 88, column : column + 88]
        assert np.abs(cut - noisy).max() < 0.01


def test_batches_of_pairs_follow_from_the_seed_and_their_number():
    made = [batches.batch(SET, 4, 64, Degradation(RealPairs(), 4), 5, k) for k in (3, 3, 4)]
    assert all(np.array_equal(x, y) for x, y in zip(made[0], made[1], strict=True))
    assert not np.array_equal(made[0][0], made[2][0])


def test_validation_has_the_measured_low_dose_of_the_middle_slice():
    made = Validation.of(SET, 64, Degradation(RealPairs(), 4), 0)
    assert np.array_equal(made.slice_low_hu, area_mean(LOW[1].astype(np.float32), 4))


def slice_of(i: int) -> StudySlice:
    return StudySlice(
        "P0001", i + 1, (0.8, 0.8), i, lambda: NORMAL[i], low_hu=lambda: LOW[i], dose=0.25,
        noise_hu=60.0,
    )  # fmt: skip


@pytest.mark.parametrize("scale", [1, 4])
def test_a_study_has_the_measured_low_dose_and_the_normal_dose_agrees_with_it(scale):
    _, low = make_pair(slice_of(0), Degradation(RealPairs(), scale), 0)
    assert np.array_equal(low, area_mean(LOW[0].astype(np.float32), scale))
    reference = reference_of(slice_of(0), Degradation(RealPairs(), scale), 0)
    z = (area_mean(reference.image, scale) - low) / reference.noise_sd_hu
    assert np.mean(z**2) == pytest.approx(1, abs=0.15)


def test_a_study_of_pairs_has_one_level_and_says_what_the_headers_say():
    methods = {"nearest": lambda low: np.kron(low, np.ones((4, 4)))}
    degradation = Degradation(RealPairs(), 4)
    assert [each.levels for each in degradation.each()] == [{}]
    found = study.run(methods, [slice_of(0)], degradation, 0)
    assert found.noise["P0001", 1] == {"dose_by_exposure": 0.25, "noise_hu": 60.0}
    assert "real pairs" in degradation.noise.describe()


def test_the_disc_phantom_has_the_measured_noise():
    noise = [lambda i=i: difference(NORMAL[i], LOW[i]) for i in range(3)]
    found = disc_phantom.discs_of(
        {}, Degradation(RealPairs(), 1), pixel_mm=0.8, photons=None, seed=0, differences=noise
    )
    assert found.noise_sd_hu == pytest.approx(60, rel=0.15)
