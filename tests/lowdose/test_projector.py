"""The projector: centres, line integrals, adjoint, filter, and the variance in closed form."""

import numpy as np
import pytest

from srgan.lowdose import projection_noise
from srgan.lowdose.projection_noise import Scanner
from srgan.lowdose.projector import filter_response, filtered, hann, projector, ramp, variance_map
from tests.helpers import dose_phantoms
from tests.helpers.dose_phantoms import ellipse

SIZES = pytest.mark.parametrize("size", [96, 128, 129, 201])


def test_projection_and_backprojection_of_water_return_it_within_half_a_hu():
    """30 cm, 0.70 mm, projected and reconstructed: the mean of the centre, and no shading."""
    water, scanner, pixel_mm = dose_phantoms.water(448), Scanner(bowtie=0.0), 0.7
    lines = projection_noise.attenuation(water, pixel_mm, scanner)
    image = filtered(projector(448, scanner.views), lines[None], scanner.filter_cutoff * pixel_mm)
    hu = image[0] * scanner.hu_per_line(pixel_mm) - 1000
    assert abs(hu[ellipse(448, pixel_mm, 20, 20) == 1].mean()) < 0.5
    assert np.abs(hu[ellipse(448, pixel_mm, 140, 140) == 1]).max() < 2


@SIZES
def test_back_projection_is_the_adjoint_of_forward_projection(size):
    """Of white noise, in which every frequency up to Nyquist counts."""
    rng, geometry = np.random.default_rng(size), projector(size, 60)
    image = rng.standard_normal((size, size), np.float32)
    sinogram = rng.standard_normal((1, 60, geometry.bins), np.float32)
    there = np.vdot(geometry.forward(image).astype(float), sinogram)
    image_of = geometry.back(sinogram, np.ones(geometry.bins // 2 + 1))[0]
    back = np.vdot(image, image_of.astype(float)) * 60 / np.pi
    assert abs(back / there - 1) < 1e-5


@SIZES
def test_forward_projects_a_disc_to_its_chords_at_its_place(size):
    """Column to the right is x, row downwards is y: the shadow is at x cos t - y sin t."""
    radius, x, y = size / 4, size / 10 + 0.3, -size / 8
    geometry = projector(size, 45)
    lines = geometry.forward(ellipse(size, 1, radius, radius, x, y))
    angle = np.pi * np.arange(45)[:, None] / 45
    centre = x * np.cos(angle) - y * np.sin(angle)
    bins = geometry.bin_mm(1.0)
    np.testing.assert_allclose((lines @ bins) / lines.sum(1), centre[:, 0], atol=0.015)
    chords = 2 * np.sqrt(np.maximum(radius**2 - (bins - centre) ** 2, 0))
    error = lines - chords
    assert np.sqrt((error**2).mean() / (chords**2).mean()) < 0.01
    inner = np.abs(bins - centre) < radius / 2
    assert np.sqrt((error[inner] ** 2).mean()) < 0.002 * 2 * radius


@SIZES
def test_filtered_reconstructs_a_disc_where_it_was(size):
    x, y = size / 10 + 0.3, -size / 8
    geometry = projector(size, 180)
    disc = ellipse(size, 1, size / 4, size / 4, x, y)
    image = filtered(geometry, geometry.forward(disc)[None], 0.5)[0]
    rows, columns = np.mgrid[:size, :size] - (size - 1) / 2
    near = ellipse(size, 1, size / 4 + 5, size / 4 + 5, x, y) > 0
    weight = np.where(near, image, 0)
    assert abs((weight * columns).sum() / weight.sum() - x) < 0.01
    assert abs((weight * rows).sum() / weight.sum() - y) < 0.01
    assert abs(weight.sum() / disc.sum() - 1) < 1e-4


def test_forward_of_the_thorax_is_that_of_linear_interpolation():
    """45 views leave out 45 degrees, where linear interpolation itself ripples by 2 %."""
    mu, geometry = dose_phantoms.thorax(256, 1.4) / 1000 + 1, projector(256, 45)
    slow = dose_phantoms.slow_forward(mu, 45, geometry.bins)
    difference = geometry.forward(mu) - slow
    assert np.sqrt((difference**2).mean() / (slow**2).mean()) < 0.005


def test_ramp_is_right_at_zero_frequency():
    """As defined in space: near the frequency itself, and a little above zero at zero."""
    geometry = projector(128, 45)
    np.testing.assert_allclose(ramp(geometry), geometry.frequency, atol=1e-3)
    assert 0 < ramp(geometry)[0] < 1 / geometry.bins


def test_hann_is_zero_at_its_cutoff_half_at_half_of_it_and_cut_at_nyquist():
    geometry = projector(128, 45)
    window = hann(geometry.frequency, 0.25)
    assert window[0] == 1
    assert window[geometry.bins // 8] == pytest.approx(0.5)
    assert not window[geometry.frequency >= 0.25].any()
    assert hann(geometry.frequency, 1.0)[-1] == pytest.approx(0.5)


def test_variance_map_is_the_variance_of_realisations():
    """Readings as unlike as those behind a thorax: 600 realisations, means over 9 x 9 blocks."""
    size, views = 99, 60
    rng, geometry = np.random.default_rng(0), projector(size, views)
    variance = np.exp(geometry.forward(dose_phantoms.thorax(size, 3.6) / 1000 + 1) * 3.6 * 0.0192)
    response = filter_response(geometry, 0.5)
    closed = variance_map(geometry, variance[None], response)[0]
    noise = rng.standard_normal((600, *variance.shape), np.float32) * np.sqrt(variance)
    seen = dose_phantoms.spread(geometry.back(noise, response))
    blocks = [v.reshape(11, 9, 11, 9).mean((1, 3)) for v in (closed, seen)]
    assert np.abs(np.sqrt(blocks[1] / blocks[0]) - 1).max() < 0.03


def test_variance_map_is_linear_in_the_readings_and_never_negative():
    geometry = projector(64, 30)
    response = filter_response(geometry, 0.5)
    lone = np.zeros((2, 30, geometry.bins), np.float32)
    lone[0, 7, geometry.bins // 2] = 1
    lone[1] = 5 * lone[0]
    one, five = variance_map(geometry, lone, response)
    assert min(one.min(), five.min()) >= 0
    np.testing.assert_allclose(five, 5 * one, atol=1e-6 * five.max())
