import numpy as np
import pytest

from srgan import hounsfield as h


def test_scale_maps_both_ends_exactly_and_inverts():
    ends = np.array([-1024.0, 3071.0])
    assert h.hu_to_fraction(ends).tolist() == [0.0, 1.0]
    assert h.hu_to_network(ends).tolist() == [-1.0, 1.0]
    hu = np.arange(-1024, 3072, dtype=np.float64)
    assert np.abs(h.network_to_hu(h.hu_to_network(hu)) - hu).max() < 1e-9
    assert np.abs(h.fraction_to_hu(h.hu_to_fraction(hu)) - hu).max() < 1e-9


def test_mean_hu_survives_the_scale_in_float32():
    hu = np.random.default_rng(0).uniform(-1024, 3071, (64, 64)).astype(np.float32)
    back = h.network_to_hu(h.hu_to_network(hu))
    assert abs(float(back.mean() - hu.mean())) < 0.01
    whole = np.arange(-1024, 3072, dtype=np.float32)
    assert np.array_equal(np.rint(h.network_to_hu(h.hu_to_network(whole))), whole)


def test_windows_have_the_widths_that_figures_are_quoted_with():
    assert {name: w.width for name, w in h.WINDOWS.items()} == {
        "full": 4095,
        "lung": 1500,
        "mediastinum": 400,
    }


def test_area_mean_of_known_blocks():
    image = np.arange(16, dtype=np.float32).reshape(4, 4)
    assert h.area_mean(image, 2).tolist() == [[2.5, 4.5], [10.5, 12.5]]
    assert h.area_mean(image[None], 4).tolist() == [[[7.5]]]
    with pytest.raises(ValueError, match="multiple"):
        h.area_mean(image, 3)


@pytest.mark.parametrize("scale", [2, 4])
def test_bicubic_keeps_a_plane_where_it_lies(scale):
    """Area mean and bicubic together shift nothing: a linear ramp comes back in the middle."""
    ramp = np.add.outer(np.arange(64.0), 3 * np.arange(64.0)).astype(np.float32)
    back = h.bicubic(h.area_mean(ramp, scale), scale)
    inner = (slice(3 * scale, -3 * scale),) * 2
    assert np.abs(back - ramp)[inner].max() < 1e-3


def test_bicubic_gain_of_aligned_waves_as_published():
    """Area mean and Keys' cubic: gain 0.994, 0.972, 0.851 at 1/64, 1/32, 1/16 cycles/px."""
    x = np.arange(256)
    for cycles, gain in ((1 / 64, 0.994), (1 / 32, 0.972), (1 / 16, 0.851)):
        wave = np.cos(2 * np.pi * cycles * (x + 0.5))
        back = h.bicubic(h.area_mean(np.tile(wave, (4, 1)), 4), 4)[0][32:-32]
        basis = np.exp(-2j * np.pi * cycles * (x + 0.5))[32:-32]
        seen = (back * basis).sum() / (wave[32:-32] * basis).sum()
        assert abs(seen.real - gain) < 0.002
        assert abs(np.angle(seen)) < 1e-3


def test_bicubic_agrees_with_tensorflow_away_from_the_edges():
    import tensorflow as tf

    image = np.random.default_rng(1).normal(size=(20, 24)).astype(np.float32)
    ours = h.bicubic(image, 4)
    theirs = tf.image.resize(image[..., None], (80, 96), "bicubic").numpy()[..., 0]
    assert np.abs(ours - theirs)[8:-8, 8:-8].max() < 2e-6


def test_share_with_body_equals_scipys_opening():
    from scipy import ndimage

    rng = np.random.default_rng(0)
    for share in (0.02, 0.1, 0.3, 0.6):
        smooth = ndimage.gaussian_filter(rng.normal(size=(64, 96)), 2)
        hu = np.where(smooth > np.quantile(smooth, 1 - share), 40, -1000)
        opened = ndimage.binary_opening(hu[::2, ::2] > -500).mean()
        assert h.has_body(hu, share=opened)
        assert not h.has_body(hu, share=opened + 1e-6)


def test_body_and_lung_of_a_simple_thorax():
    rows, columns = np.mgrid[:256, :256]
    body = ((rows - 128) / 90) ** 2 + ((columns - 128) / 110) ** 2 < 1
    lung = ((rows - 128) / 50) ** 2 + ((columns - 80) / 35) ** 2 < 1
    hu = np.where(lung, -860, np.where(body, 40, -1000)).astype(np.int16)
    assert h.has_body(hu)
    assert not h.has_body(np.full((64, 64), -1000, np.int16))
    assert abs(h.body_mask(hu).mean() - body.mean()) < 0.02  # the lung inside is filled
    found = h.lung_mask(hu)
    assert found.sum() > 0.8 * lung.sum()
    assert not (found & ~lung).any()
    assert not h.lung_mask(np.full((64, 64), -1000, np.int16)).any()
