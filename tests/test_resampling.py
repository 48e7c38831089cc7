import numpy as np
import pytest

from srgan import resampling


def test_area_mean_of_known_blocks():
    image = np.arange(16, dtype=np.float32).reshape(4, 4)
    assert resampling.area_mean(image, 2).tolist() == [[2.5, 4.5], [10.5, 12.5]]
    assert resampling.area_mean(image[None], 4).tolist() == [[[7.5]]]
    with pytest.raises(ValueError, match="multiple"):
        resampling.area_mean(image, 3)


@pytest.mark.parametrize("scale", [2, 4])
def test_bicubic_keeps_a_plane_where_it_lies(scale):
    """Area mean and bicubic together shift nothing: a linear ramp comes back in the middle."""
    ramp = np.add.outer(np.arange(64.0), 3 * np.arange(64.0)).astype(np.float32)
    back = resampling.bicubic(resampling.area_mean(ramp, scale), scale)
    inner = (slice(3 * scale, -3 * scale),) * 2
    assert np.abs(back - ramp)[inner].max() < 1e-3


def test_bicubic_gain_of_aligned_waves_as_published():
    """Area mean and Keys' cubic: gain 0.994, 0.972, 0.851 at 1/64, 1/32, 1/16 cycles/px."""
    x = np.arange(256)
    for cycles, gain in ((1 / 64, 0.994), (1 / 32, 0.972), (1 / 16, 0.851)):
        wave = np.cos(2 * np.pi * cycles * (x + 0.5))
        back = resampling.bicubic(resampling.area_mean(np.tile(wave, (4, 1)), 4), 4)[0][32:-32]
        basis = np.exp(-2j * np.pi * cycles * (x + 0.5))[32:-32]
        seen = (back * basis).sum() / (wave[32:-32] * basis).sum()
        assert abs(seen.real - gain) < 0.002
        assert abs(np.angle(seen)) < 1e-3


def test_bicubic_agrees_with_tensorflow_away_from_the_edges():
    import tensorflow as tf

    image = np.random.default_rng(1).normal(size=(20, 24)).astype(np.float32)
    ours = resampling.bicubic(image, 4)
    theirs = tf.image.resize(image[..., None], (80, 96), "bicubic").numpy()[..., 0]
    assert np.abs(ours - theirs)[8:-8, 8:-8].max() < 2e-6
