"""Pixels that are HU pass, pixels that only look so are refused, whatever their header says."""

import numpy as np
import pytest

from srgan import hu_check
from srgan.system.errors import Skip

SIDE = 256


def noisy(hu: np.ndarray, sd_hu: float = 20.0) -> np.ndarray:
    """With noise, rounded, at least -1024: int16, as a reader gives slices."""
    noise = np.random.default_rng(0).normal(0, sd_hu, hu.shape)
    return np.clip(np.rint(hu + noise), -1024, 32767).astype(np.int16)


def discs(*parts: tuple[float, float, float], background: float = -1000.0) -> np.ndarray:
    """(SIDE, SIDE) HU; each part: radius as a share of half the side, centre to the right, HU."""
    rows, columns = (np.mgrid[:SIDE, :SIDE] - (SIDE - 1) / 2) / (SIDE / 2)
    hu = np.full((SIDE, SIDE), background)
    for radius, centre, value in parts:
        hu[rows**2 + (columns - centre) ** 2 < radius**2] = value
    return hu


def chest(sd_hu: float = 20.0) -> np.ndarray:
    body = [(0.85, 0, -100), (0.78, 0, 45), (0.3, -0.38, -850), (0.3, 0.38, -850), (0.08, 0, 600)]
    return noisy(discs(*body), sd_hu)


def circle_of(hu: np.ndarray, outside: int) -> np.ndarray:
    """The same slice with padding outside of the scanner's circular field."""
    return np.where(discs((1.0, 0, 1), background=0) > 0, hu, outside).astype(np.int16)


def grey(hu: np.ndarray, low: float = -1350, high: float = 150, white: int = 255) -> np.ndarray:
    """A picture of a window of HU."""
    return np.rint(np.clip((hu - low) / (high - low), 0, 1) * white).astype(np.int16)


HU = {
    "a chest": chest(),
    "a chest with much noise": chest(120),
    "a chest in padding": circle_of(chest(), -1024),
    "a large patient who fills the field": noisy(discs((0.98, 0, 45), (0.3, 0.4, -850))),
    "an abdomen with gas": noisy(discs((0.9, 0, -100), (0.8, 0, 50), (0.05, 0.3, -950))),
    "a cropped abdomen without air": noisy(discs((0.9, 0, 50), background=-100)),
    "a head": noisy(discs((0.7, 0, 10), (0.66, 0, 1100), (0.62, 0, 35))),
    "a head in padding": circle_of(noisy(discs((0.7, 0, 10), (0.66, 0, 900), (0.6, 0, 35))), -1024),
    "a limb": noisy(discs((0.3, 0, 50), (0.12, 0, 1200), (0.06, 0, -80))),
    "a water phantom": noisy(discs((0.6, 0, 0)), 8),
    "a phantom without noise": noisy(discs((0.6, 0, 0), (0.1, 0.3, 120), (0.1, -0.3, -850)), 0),
    "a hip of metal": noisy(discs((0.8, 0, 40), (0.1, 0.4, 8000))),
    "a chest clipped to a window": np.clip(chest(), -1000, 400),
}
SLICES = {
    "air alone": noisy(discs()),
    "padding alone": np.full((SIDE, SIDE), -1024, np.int16),
    "the top of a skull": noisy(discs((0.25, 0, 10), (0.22, 0, 900), (0.08, 0, 60))),
}
SIGNED = circle_of(chest(), -1024)
INSIDE = chest()[80:176, 40:136]
NOT_HU = {
    "a lost offset of 1024": chest() + 1024,
    "a lost offset of 1000": chest() + 1000,
    "a lost offset, unsigned": np.maximum(chest() + 1000, 0),
    "a lost offset with much noise": chest(120) + 1024,
    "a lost offset in padding": circle_of(chest() + 1024, -1024),
    "a lost offset of a small patient": noisy(discs((0.4, 0, 45), (0.1, 0.2, -850))) + 1024,
    "a lost offset of a cropped abdomen": HU["a cropped abdomen without air"] + 1024,
    "grey values": grey(chest()),
    "grey values of a soft-tissue window": grey(chest(), -160, 240),
    "grey values in padding": circle_of(grey(chest()), -1024),
    "grey values of 12 bits": grey(chest(), white=4095),
    "grey values of 12 bits less 1024": grey(chest(), white=4095) - 1024,
    "grey values of a soft-tissue window less 1024": grey(chest(), -160, 240, 4095) - 1024,
    "a signed picture of 8 bits": grey(chest()) - 128,
    "an inverted picture": 255 - grey(chest()),
    "a cropped picture of 8 bits": grey(INSIDE, INSIDE.min(), 1500) - 128,
    "HU clipped to soft tissue": np.clip(chest(), -160, 240),
    "air that lost its sign at 12 bits": np.where(chest() < 0, chest() + 4096, chest()) - 1,
    "air that lost its sign at 16 bits": np.where(chest() < 0, 32767, chest()),
    "padding that lost its sign": circle_of(chest(), 32767),
    "a mask": (chest() < -500).astype(np.int16),
    "a mask of 255": 255 * (chest() < -500).astype(np.int16),
    "a mask less 1000, and 1000 inside": np.where(chest() < -500, 0, -1000),
    "labels": np.digitize(chest(), [-500, 0, 300]),
    "a masked copy with 170 outside": np.where(chest() < -500, chest(), 170),
    "a masked copy with 0 outside": np.where(chest() < -500, chest(), 0),
    "values from 0 to 1": np.rint((chest() + 1024) / 4095),
    "values from -1 to 1": np.rint((chest() + 1024) / 4095 * 2 - 1),
}
NOT_A_SERIES = {
    "an offset subtracted twice": np.clip(chest() - 1024, -1024, None),
    "grey values less 1024": grey(chest()) - 1024,
    "a mask less 1024": (chest() < -500) - 1024,
    "air alone": noisy(discs()),
}


def named(cases: dict):
    return pytest.mark.parametrize("hu", cases.values(), ids=cases)


@named(HU)
def test_slices_and_series_of_hu_pass(hu):
    hu_check.check_slice(hu)
    hu_check.check_series([hu, hu])


@named(SLICES)
def test_slices_that_a_series_may_have_pass(hu):
    hu_check.check_slice(hu)
    hu_check.check_series([chest(), hu, chest()])


@named(NOT_HU)
def test_slices_and_series_of_other_values_are_refused(hu):
    for check, pixels in ((hu_check.check_slice, hu), (hu_check.check_series, [hu, hu])):
        with pytest.raises(Skip, match="not HU"):
            check(np.asarray(pixels, np.int16))


@named(NOT_A_SERIES)
def test_what_one_slice_may_be_and_no_series(hu):
    hu_check.check_slice(np.asarray(hu, np.int16))
    with pytest.raises(Skip, match="not HU"):
        hu_check.check_series(np.asarray([hu, hu], np.int16))


def test_the_reason_tells_what_was_seen():
    with pytest.raises(Skip) as caught:
        hu_check.check_slice(np.arange(5000, dtype=np.int16).reshape(50, 100) % 256)
    seen, _, fault = caught.value.detail.partition(": ")
    assert (seen, fault) == ("least 0, greatest 255, median 124.5", "nothing below 0")


def test_one_bad_slice_of_a_good_series_is_refused_by_itself():
    hu_check.check_series([chest()] * 7 + [grey(chest())])
    with pytest.raises(Skip):
        hu_check.check_slice(grey(chest()))
