import numpy as np

from srgan import masks


def test_has_body_equals_scipys_opening():
    from scipy import ndimage

    rng = np.random.default_rng(0)
    for share in (0.02, 0.1, 0.3, 0.6):
        smooth = ndimage.gaussian_filter(rng.normal(size=(64, 96)), 2)
        hu = np.where(smooth > np.quantile(smooth, 1 - share), 40, -1000)
        opened = ndimage.binary_opening(hu[::2, ::2] > -500).mean()
        assert masks.has_body(hu, share=opened)
        assert not masks.has_body(hu, share=opened + 1e-6)


def test_body_and_lung_of_a_simple_thorax():
    rows, columns = np.mgrid[:256, :256]
    body = ((rows - 128) / 90) ** 2 + ((columns - 128) / 110) ** 2 < 1
    lung = ((rows - 128) / 50) ** 2 + ((columns - 80) / 35) ** 2 < 1
    hu = np.where(lung, -860, np.where(body, 40, -1000)).astype(np.int16)
    assert masks.has_body(hu)
    assert not masks.has_body(np.full((64, 64), -1000, np.int16))
    assert abs(masks.body_mask(hu).mean() - body.mean()) < 0.02  # the lung inside is filled
    found = masks.lung_mask(hu)
    assert found.sum() > 0.8 * lung.sum()
    assert not (found & ~lung).any()
    assert not masks.lung_mask(np.full((64, 64), -1000, np.int16)).any()
