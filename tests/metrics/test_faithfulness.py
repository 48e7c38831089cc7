"""The measures of invented structure, on made slices; test_faithful_slices.py: on real ones."""

import numpy as np
import pytest
from scipy import ndimage

from srgan.metrics import faithfulness
from srgan.resampling import area_mean, bicubic
from tests.conftest import small_chest
from tests.helpers.made_structure import SCALE, Pair, band_noise


@pytest.fixture(scope="module")
def chest():
    return Pair(small_chest(5, 1, 256)[0], np.random.default_rng(1))


@pytest.fixture(scope="module")
def smooth():
    """A slice full of soft tissue with nothing finer than a tenth of Nyquist, 320 x 320."""
    rng = np.random.default_rng(2)
    return Pair(40 + band_noise((320, 320), 0.01, 0.1, 60, rng), rng)


@pytest.fixture(scope="module")
def rich():
    """A slice full of soft tissue with structure up to 0.27 of Nyquist, 320 x 320."""
    rng = np.random.default_rng(2)
    return Pair(40 + band_noise((320, 320), 0.01, 0.27, 60, rng), rng)


def test_consistency_of_the_normal_dose_with_its_low_dose_is_1(chest):
    chi2, spots, z, wide_spots = chest.consistency(chest.reference)
    assert chi2 == pytest.approx(1, abs=0.05)
    assert spots <= 1
    assert wide_spots == 0
    assert z.shape == chest.low.shape
    assert not z[~(area_mean(chest.body.astype(float), SCALE) > 0.99)].any()


def test_consistency_chi2_rises_by_the_square_of_an_error(chest):
    offset = 2 * chest.sd_hu.repeat(SCALE, 0).repeat(SCALE, 1)
    before, after = (chest.consistency(chest.reference + x) for x in (0, offset))
    included = before.z != 0
    np.testing.assert_allclose((after.z - before.z)[included], 2)
    assert after.chi2 == pytest.approx(before.chi2 + 4 + 4 * before.z[included].mean())


def test_consistency_counts_each_inconsistent_area_in_the_body_as_a_spot(chest):
    low = chest.low.copy()
    for row, column in ((25, 32), (45, 32), (32, 32), (1, 1), (62, 62)):
        low[row : row + 2, column : column + 2] += 4.2 * chest.sd_hu[row : row + 2, column][0]
    low[38:40, 32:34] += 3.6 * chest.sd_hu[38:40, 32:34].min()  # not enough
    output = np.kron(chest.low, np.ones((SCALE, SCALE)))  # consistent to the last bit
    assert chest.consistency(output).spots == 0
    low[20, 32] += 4.5 * chest.sd_hu[20, 32]  # a spot, and not a wide one
    found = chest.consistency(np.kron(low, np.ones((SCALE, SCALE))))
    assert (found.spots, found.wide_spots) == (4, 3)


def test_consistency_with_clean_chi2_needs_wider_and_stronger_spots(chest):
    given = {"sd_hu": chest.sd_hu, "body": chest.body, "scale": SCALE, "clean_chi2": 2.0}
    output = np.kron(chest.low, np.ones((SCALE, SCALE)))
    found = []
    for rows, columns, sds in ((1, 4, 6.0), (2, 3, 6.0), (2, 3, 5.0)):
        low = chest.low.copy()
        low[32 : 32 + rows, 32 : 32 + columns] += sds * chest.sd_hu[32, 32]
        found.append(faithfulness.consistency(output=output, low_dose=low, **given).wide_spots)
    assert found == [0, 1, 0]  # too narrow; a spot; within 4 SDs of all the noise, 5.7 of its part


def test_consistency_leaves_out_two_low_dose_pixels_along_the_skin(chest):
    whole = area_mean(chest.body.astype(float), SCALE) == 1
    included = chest.consistency(chest.reference + 1e4).z != 0
    np.testing.assert_array_equal(included, ndimage.binary_erosion(whole, iterations=2))


def test_consistency_leaves_out_pixels_without_expected_noise(chest):
    sd_hu = chest.sd_hu.copy()
    sd_hu[:, :32] = 0
    given = {"low_dose": chest.low, "body": chest.body, "scale": SCALE}
    part = faithfulness.consistency(output=chest.reference + 500, sd_hu=sd_hu, **given)
    assert np.isfinite(part.z).all()
    assert not part.z[:, :32].any()
    none = faithfulness.consistency(output=chest.reference, sd_hu=0 * sd_hu, **given)
    assert (none.chi2, none.spots) == (None, 0)


def test_invention_of_detail_that_the_reference_lacks_has_its_power_as_energy(smooth):
    texture = band_noise(smooth.reference.shape, 0.3, 0.6, 20, np.random.default_rng(3))
    seen = ndimage.binary_erosion(smooth.body, iterations=6)
    power = (faithfulness._band(texture, 0.25, 0.6)[seen] ** 2).mean()
    invented = smooth.invention(smooth.reference + texture)
    assert invented.share > 0.95
    assert invented.energy_hu2 == pytest.approx(power, rel=0.1)
    assert invented.rho[seen].mean() > 0.8
    assert not invented.rho[~seen].any()


def test_invention_of_a_conditional_mean_is_nothing_whatever_the_noise(smooth):
    rng = np.random.default_rng(4)
    texture = band_noise(smooth.reference.shape, 0.1, 1, 20, rng)
    noisy = smooth.reference + texture + rng.normal(0, 20, texture.shape)
    found = faithfulness.invention(
        output=smooth.reference + texture, reference=noisy, body=smooth.body
    )
    power = (faithfulness._band(texture, 0.25, 0.6) ** 2).mean()
    assert found.share < 0.05
    assert abs(found.energy_hu2) < 0.05 * power


def test_invention_of_missing_detail_has_negative_energy(smooth):
    texture = band_noise(smooth.reference.shape, 0.3, 0.6, 20, np.random.default_rng(5))
    half = smooth.reference + texture / 2
    found = faithfulness.invention(
        output=half, reference=smooth.reference + texture, body=smooth.body
    )
    power = (faithfulness._band(texture, 0.25, 0.6) ** 2).mean()
    assert found.share == 0
    assert found.energy_hu2 == pytest.approx(-power / 4, rel=0.1)  # half of it, in error by half


@pytest.mark.parametrize(("rho", "share"), [(0.1, 0), (0.5, 1)])
def test_invention_counts_detail_that_correlates_with_its_error(rho, share):
    detail, other = np.random.default_rng(14).normal(0, 40, (2, 256, 256))
    error = rho * detail + (1 - rho**2) ** 0.5 * other
    body = np.ones(detail.shape, bool)
    found = faithfulness.invention(output=detail, reference=detail - error, body=body)
    assert found.share == pytest.approx(share, abs=0.03)
    assert found.rho[20:-20, 20:-20].mean() == pytest.approx(rho, abs=0.03)


def test_invention_does_not_count_detail_too_faint_to_be_seen():
    noise = np.random.default_rng(6).normal(0, 1, (128, 128))
    body = np.ones((128, 128), bool)
    for output, reference, share in (
        (50 * noise, 0 * noise, 1),
        (5 * noise, 0 * noise, 0),
        (50 * noise, 45 * noise, 0),  # much detail, of which a tenth has no support
        (5 * noise, -45 * noise, 0),  # little detail, however wrong
    ):
        found = faithfulness.invention(output=output, reference=reference, body=body)
        assert found.share == share
        assert found.rho[20:-20, 20:-20].min() > 0.9


@pytest.mark.parametrize("shift", [(0.25, 0), (0, -0.5), (1, 0), (-0.7, 0.3)])
def test_shift_px_is_measured_with_its_sign(chest, shift):
    spectrum = ndimage.fourier_shift(np.fft.fft2(chest.reference), shift)
    measured = chest.shift(np.fft.ifft2(spectrum).real)
    np.testing.assert_allclose(measured, shift, rtol=0.12, atol=0.02)


def test_shift_px_is_0_without_a_shift_and_never_small_for_a_large_one(chest):
    assert chest.shift(chest.reference) == (0, 0)
    cut = Pair(chest.reference[100:, 88:], np.random.default_rng(0))  # the view ends in the body
    assert cut.shift(cut.reference) == (0, 0)
    assert np.abs(chest.shift(bicubic(chest.low, SCALE))).max() < 0.05
    for pixels in (2, 3, 5, 8, 12, 16):
        rolled = np.roll(chest.reference, pixels, 1)
        assert np.abs(chest.shift(rolled)).max() > 1
    assert chest.shift(np.zeros_like(chest.reference)) is None


def test_sfrc_flags_nothing_of_equal_images_and_all_of_unrelated_ones(chest):
    rng = np.random.default_rng(7)
    same = chest.sfrc(chest.reference)
    assert (same.share, same.flagged.any()) == (0, False)
    assert same.patches > 10
    other = chest.sfrc(rng.normal(0, 300, chest.reference.shape))
    assert (other.share, other.patches) == (1, same.patches)
    assert chest.sfrc(0 * chest.reference).share == 1
    flat, body = np.full((64, 64), 40.0), np.ones((64, 64), bool)
    assert faithfulness.sfrc(output=flat, reference=flat, body=body).share == 0


def test_sfrc_flags_the_patches_over_a_fault(chest):
    output = chest.reference.copy()
    output[96:160, 96:160] += band_noise((64, 64), 0.02, 0.25, 3000, np.random.default_rng(8))
    found = chest.sfrc(output)
    assert found.flagged[96:160, 96:160].all()
    assert not found.flagged[:64].any()
    assert found.share * found.patches >= 1
    assert found.share < 1


def test_sfrc_is_that_of_its_definition(chest, monkeypatch):
    output = bicubic(chest.low, SCALE).astype(float)
    one, other = output[64:128, 96:160], chest.reference[64:128, 96:160]
    taper = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(64) / 63)
    spectra = [np.fft.fft2((x - x.mean()) * taper * taper[:, None]) for x in (one, other)]
    k = np.fft.fftfreq(64, 1 / 64)
    worst = 1
    for radius in range(1, 9):
        a, b = (s[np.abs(np.hypot(k, k[:, None]) - radius) <= 0.5] for s in spectra)
        worst = min(worst, np.vdot(b, a).real / np.linalg.norm(a) / np.linalg.norm(b))
    body = np.ones((64, 64), bool)
    for threshold, share in ((worst + 1e-9, 1), (worst - 1e-9, 0)):
        monkeypatch.setattr(faithfulness, "LEAST_CORRELATION", threshold)
        assert faithfulness.sfrc(output=one, reference=other, body=body).share == share


def test_sfrc_misses_false_texture_above_its_limit_and_invention_finds_it(rich):
    texture = band_noise(rich.reference.shape, 0.35, 0.8, 35, np.random.default_rng(9))
    assert rich.sfrc(rich.reference + texture).share == 0
    assert rich.invention(rich.reference + texture).share > 0.9


def test_faithfulness_metrics_without_a_body_are_none(chest):
    given = {"output": chest.reference, "body": np.zeros_like(chest.body)}
    consistent = faithfulness.consistency(
        low_dose=chest.low, sd_hu=chest.sd_hu, scale=SCALE, **given
    )
    assert (consistent.chi2, consistent.spots) == (None, 0)
    given["reference"] = chest.reference
    invented = faithfulness.invention(**given)
    assert (invented.share, invented.energy_hu2) == (None, None)
    assert faithfulness.shift_px(**given) is None
    assert faithfulness.sfrc(**given)[:2] == (None, 0)


def test_faithfulness_metrics_refuse_nan_and_shapes_that_do_not_fit(chest):
    bad = np.where(np.arange(256) == 9, np.nan, chest.reference)
    given = {"output": chest.reference, "reference": chest.reference, "body": chest.body}
    for name in ("invention", "shift_px", "sfrc"):
        measure = getattr(faithfulness, name)
        for wrong in ({"output": bad}, {"reference": bad}):
            with pytest.raises(ValueError, match="NaN"):
                measure(**given | wrong)
        for wrong in ({"output": bad[4:]}, {"reference": bad[:, 4:]}, {"body": chest.body[4:]}):
            with pytest.raises(ValueError, match="beside"):
                measure(**given | wrong)
    given = {"low_dose": chest.low, "sd_hu": chest.sd_hu, "body": chest.body, "scale": SCALE}
    with pytest.raises(ValueError, match="NaN"):
        faithfulness.consistency(output=bad, **given)
    for wrong in ({"scale": 2}, {"sd_hu": chest.sd_hu[1:]}, {"body": chest.body[4:]}):
        with pytest.raises(ValueError, match="beside"):
            faithfulness.consistency(output=chest.reference, **given | wrong)
