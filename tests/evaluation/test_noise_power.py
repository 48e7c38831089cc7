import numpy as np
import pytest

from srgan.evaluation import noise_power

SHAPE = (256, 256)
EVERYWHERE = noise_power.soft_boxes(np.full(SHAPE, 40.0))


def white(sd_hu, seed=0):
    return np.random.default_rng(seed).normal(40, sd_hu, SHAPE)


@pytest.mark.parametrize("pixel_mm", [0.6, 0.98])
def test_power_stands_at_the_same_frequencies_for_all_pixel_sizes(pixel_mm):
    """White noise of 10 HU: 100 HU^2 times the pixel's area, up to Nyquist."""
    found = noise_power.power_of(white(10), EVERYWHERE, pixel_mm)
    known = {float(f): power for f, power in found.items() if power is not None}
    assert list(found) == list(noise_power.PER_MM)
    assert max(known) == pytest.approx(0.5 / pixel_mm, abs=0.025)
    inner = [power for f, power in known.items() if f > 2 / (32 * pixel_mm)]  # less their plane
    assert np.mean(inner) == pytest.approx(100 * pixel_mm**2, rel=0.02)
    assert inner == pytest.approx([100 * pixel_mm**2] * len(inner), rel=0.15)


def test_distance_is_0_to_itself_1_to_nothing_and_the_share_of_missing_power_between():
    normal = noise_power.power_of(white(10), EVERYWHERE, 0.7)

    def to(image):
        return noise_power.distance(noise_power.power_of(image, EVERYWHERE, 0.7), normal)

    assert to(white(10)) == 0
    assert to(np.full(SHAPE, 40.0)) == 1
    assert to(white(5)) == pytest.approx(0.75)  # half the SD, a quarter of the power
    assert to(white(20)) == pytest.approx(3)
    assert to(white(10, seed=1)) < 0.05  # a repeat


def test_boxes_lie_in_soft_tissue_alone():
    hu = np.full(SHAPE, -850.0)
    hu[40:120, 60:150] = 40
    hu[100:110, 60:70] = 700
    for _, rows, columns in noise_power.soft_boxes(
        hu + np.random.default_rng(0).normal(0, 20, SHAPE)
    ):
        assert (hu[rows, columns] == 40).all()
    assert noise_power.soft_boxes(hu)
    assert noise_power.soft_boxes(np.full(SHAPE, -850.0)) == []


def test_without_a_box_there_is_no_figure():
    none = noise_power.power_of(white(10), [], 0.7)
    assert set(none.values()) == {None}
    assert noise_power.distance(none, none) is None
