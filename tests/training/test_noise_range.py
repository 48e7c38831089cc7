"""The noise of a training's inputs: the ends of its levels, measured as a scan is measured."""

import numpy as np
import pytest

from srgan.hounsfield import hu_to_fraction
from srgan.lowdose.degradation import Degradation
from srgan.lowdose.image_noise import ImageNoise, block_noise_sd_hu
from srgan.lowdose.levels import Levels
from srgan.lowdose.noise_cache import SliceNoise, packed
from srgan.lowdose.projection_noise import ProjectionNoise, Scanner
from srgan.metrics import input_noise
from srgan.phantom import chest
from srgan.resampling import area_mean
from srgan.training import noise_range
from srgan.training.batches import SliceSet
from srgan.training.manifest import Manifest
from tests.helpers.made_manifest import manifest


@pytest.fixture(scope="module")
def chests() -> list[np.ndarray]:
    images, _ = chest.chest(seed=0, patient=1, slices=3)
    return [hu.astype(np.int16) for hu in images]


def image_noise(low: float, high: float, sigma: float = 0.005, scale: int = 4) -> Degradation:
    levels = Levels((low, high), True) if low < high else Levels((low,))
    return Degradation(ImageNoise(levels, Levels((sigma,))), scale)


def test_the_ends_are_the_noise_at_the_ends_of_the_levels(chests):
    found = noise_range.measured(SliceSet(chests), image_noise(500, 5000), 0)
    anatomy = np.median([input_noise.sd_hu(area_mean(hu.astype(float), 4), 4) for hu in chests])
    quiet, loud = (
        np.hypot(anatomy, block_noise_sd_hu(np.array(40.0), photons, 0.005, 4))
        for photons in (5000, 500)
    )
    assert 0 < hu_to_fraction(40.0) < 1
    assert found.low_hu == pytest.approx(quiet, rel=0.15)
    assert found.high_hu == pytest.approx(loud, rel=0.15)
    assert found.slices == 3


def test_noise_of_the_projections_is_that_of_its_doses(chests):
    noise = ProjectionNoise(Levels((0.1, 0.5), True), 3e5, None, Scanner())
    fields = noise.new_fields(chests[0], (0.7, 0.7), 3e5, np.random.default_rng(0))
    stored, hu_per_unit = packed(fields)
    of_slice = SliceNoise(stored[None], hu_per_unit[None], 3e5, None, 0.0)
    found = noise_range.measured(SliceSet(chests[:1], [of_slice]), Degradation(noise, 1), 0)
    assert 2.2 < found.high_hu / found.low_hu < 4  # sqrt(9 / 1) for the inserted noise alone


def test_it_is_the_same_at_every_call_and_none_without_soft_tissue(chests):
    slices, degradation = SliceSet(chests), image_noise(1700, 1700, scale=2)
    first, again = (noise_range.measured(slices, degradation, 7) for _ in range(2))
    assert first == again
    assert first.high_hu < 1.2 * first.low_hu
    air = SliceSet([np.full((64, 64), -1000, np.int16)])
    assert noise_range.measured(air, degradation, 7) is None


def test_a_manifest_keeps_the_range_and_an_older_one_has_none(chests):
    found = noise_range.measured(SliceSet(chests), image_noise(1700, 1700), 0)
    content = manifest(noise_range=found).as_dict()
    assert Manifest.from_dict(content).noise_range == found
    del content["noise_range"]
    assert Manifest.from_dict(content).noise_range is None
    content["noise_range"] = {"low_hu": float("nan"), "high_hu": 2.0, "slices": 3}
    with pytest.raises(ValueError, match="low_hu is not a finite number"):
        Manifest.from_dict(content)
