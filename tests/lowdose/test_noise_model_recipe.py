"""The recipe "a noise model" in CONTRIBUTING.md, followed with plain Gaussian noise."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest

from srgan.evaluation import study
from srgan.lowdose import level_names
from srgan.lowdose.degradation import Degradation, degrade
from srgan.lowdose.levels import Levels
from srgan.training import batches


@dataclass(frozen=True)
class GaussianNoise:
    """A noise model: Gaussian noise of one SD on every pixel."""

    noise_sd: Levels  # HU

    in_projections: ClassVar[bool] = False
    axis_labels: ClassVar[dict[str, str]] = {"noise_sd": "SD of the noise, HU"}

    def new_fields(self, hu, spacing_mm, photons, rng) -> None:
        return None

    def apply(self, hu, rng, fields=None):
        sd_hu = self.noise_sd.sample(len(hu), rng).astype(np.float32)
        return hu + sd_hu * rng.standard_normal(hu.shape, np.float32)

    def expected_sd_hu(self, *, low_dose, scale, **_):
        return np.full(low_dose.shape, self.noise_sd.only / scale)

    def clean_chi2(self):
        return 1.0

    def as_json(self):
        return {"model": "gaussian", "noise_sd": str(self.noise_sd), "unit": "HU"}

    def describe(self):
        return f"Gaussian noise: SD {self.noise_sd} HU"


def gaussian(*levels: float, is_range: bool = False) -> Degradation:
    return Degradation(GaussianNoise(Levels(levels, is_range)), 4)


def test_degrade_adds_the_noise_of_a_new_model():
    hu = np.full((3, 128, 128), 40, np.float32)
    low = degrade(hu, gaussian(20.0), np.random.default_rng(0))
    expected = gaussian(20.0).noise.expected_sd_hu(low_dose=low[0], scale=4)
    assert low.dtype == np.float32
    assert expected.shape == low[0].shape
    assert low.std() == pytest.approx(expected.mean(), rel=0.03)


def test_levels_of_a_new_model_are_listed_sampled_and_named():
    each = gaussian(10.0, 20.0).each()
    assert level_names.level_titles(each) == ["sd 10", "sd 20"]
    assert level_names.file_tag(each[1], ["noise_sd"]) == "sd20"
    assert gaussian(10.0, 40.0, is_range=True).middle() == gaussian(20.0)
    sampled = gaussian(10.0, 40.0, is_range=True).sample(np.random.default_rng(0))
    assert 10 < sampled.noise.noise_sd.only < 40


def test_training_batches_of_a_new_model_have_its_noise():
    slices = np.full((2, 96, 96), 40, np.int16)
    low, normal = batches.batch(batches.SliceSet(list(slices)), 16, 64, gaussian(20.0), seed=0, k=0)
    noise_hu = 4095 / 2 * (low - normal.reshape(16, 16, 4, 16, 4, 1).mean((2, 4)))
    assert noise_hu.std() == pytest.approx(20 / 4, rel=0.05)


def test_a_study_measures_outputs_in_the_noise_of_a_new_model():
    rows, columns = np.indices((128, 128)) - 64
    hu = np.where(np.hypot(rows, columns) < 60, 40.0, -1000.0)
    item = study.StudySlice("P1", 1, (0.7, 0.7), 0, lambda: hu)
    found = study.run(
        {"nearest": lambda low: np.kron(low, np.ones((4, 4)))}, [item], gaussian(20.0), 0
    )
    assert found.overall()["nearest"]["chi2"] == pytest.approx(0, abs=0.01)
    assert found.noise["P1", 1] == {"noise_sd": 20.0}
