"""The texture loss sees how much grain there is, and not where."""

import numpy as np
import pytest
import tensorflow as tf

from srgan.training.texture_loss import WINDOW_PX, texture_loss

HU = 1 / 2047.5  # of the network's range


def grain(sd_hu, seed, crop=64):
    rng = np.random.default_rng(seed)
    return (sd_hu * HU * rng.standard_normal((64, crop, crop, 1))).astype(np.float32)


def loss(output, normal, step=0):
    return float(texture_loss(output, normal, tf.constant(step)))


def test_equal_images_have_no_loss():
    assert loss(grain(15, 0), grain(15, 0)) == 0


def test_other_grain_of_the_same_sd_costs_less_than_no_grain():
    """And no grain is what a pixel loss likes best."""
    normal, other, none = grain(15, 0), grain(15, 1), np.zeros((64, 64, 64, 1), np.float32)
    assert loss(other, normal) < 0.25 * loss(none, normal)
    assert np.abs(none - normal).mean() < np.abs(other - normal).mean()


def test_the_least_loss_is_at_the_sd_of_the_normal_dose():
    normal = grain(15, 0)
    losses = {sd: loss(grain(sd, 1), normal) for sd in (5, 10, 15, 20, 40)}
    assert min(losses, key=losses.get) == 15


def test_white_noise_of_another_sd_costs_the_logarithm_of_its_power():
    """Of a power P the floor leaves log((P + F) / (4 P + F)); rings of many waves vary little."""
    normal = grain(40, 0)
    both = loss(2 * normal, normal)
    assert both == pytest.approx(np.log((4 * 1600 + 4) / (1600 + 4)), rel=0.01)


def test_a_mean_that_is_shifted_costs_nothing():
    normal = grain(15, 0)
    assert loss(normal + np.float32(0.1), normal) == pytest.approx(0, abs=1e-3)


@pytest.mark.parametrize("crop", [WINDOW_PX, 20, 32, 48, 64, 100])
def test_windows_of_every_step_lie_within_the_patch(crop):
    normal, other = grain(15, 0, crop), grain(15, 1, crop)
    losses = [loss(other, normal, step) for step in (0, 1, 17, 1000, 12345)]
    assert np.isfinite(losses).all()
    assert max(losses) < 1.0
