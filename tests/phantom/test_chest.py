"""`phantom.chest`: slices that look like chest CT in numbers."""

import numpy as np
import pytest

from srgan.masks import body_mask, has_body, lung_mask
from srgan.phantom import chest


@pytest.fixture(scope="module")
def volume():
    return chest.chest(seed=0, patient=0)[0]


def test_a_chest_depends_on_its_arguments_alone(volume):
    again, spacing = chest.chest(seed=0, patient=0)
    np.testing.assert_array_equal(again, volume)
    assert again.shape == (6, 512, 512)
    assert again.dtype == np.int16
    assert 0.6 <= spacing[0] == spacing[1] <= 0.9
    assert 20 < spacing[2] < 60


def test_chests_of_other_patients_and_seeds_differ(volume):
    for seed, patient in ((0, 1), (1, 0)):
        other = chest.chest(seed, patient, slices=1)[0][0]
        assert (other != volume[0]).mean() > 0.5


def test_every_slice_has_body_and_lungs(volume):
    for hu in volume:
        assert has_body(hu)
        assert lung_mask(hu).mean() > 0.01


def test_tissues_have_their_usual_hu_and_share(volume):
    middle = volume[3].astype(float)
    body, lung = body_mask(middle), lung_mask(middle)
    assert 0.3 < body.mean() < 0.8
    assert 0.1 < lung.mean() < 0.5
    assert -900 < np.median(middle[lung]) < -780
    air = middle[~body & (middle > -1020)]
    assert -1010 < np.median(air) < -940
    soft = body & ~lung
    assert ((middle > 0) & (middle < 110) & soft).sum() > 0.15 * soft.sum()  # muscle, blood
    assert ((middle > -150) & (middle < -60) & soft).sum() > 0.1 * soft.sum()  # fat
    assert 0.005 < ((middle > 300) & soft).sum() / soft.sum() < 0.15  # bone
    assert 400 < middle[soft].max() < 2000


def test_lungs_grow_from_the_apex_downwards(volume):
    area = [lung_mask(hu).mean() for hu in volume]
    assert area[-1] < area[-2] < area[-3]  # feet first: the last slice is the apex


def test_a_scan_of_one_slice_has_a_thickness():
    assert chest.chest(0, 0, slices=1)[1][2] > 0
