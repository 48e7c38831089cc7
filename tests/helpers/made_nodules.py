"""Discs of known contrast and diameter in lung of known HU."""

import numpy as np

from srgan.metrics.nodule_metrics import NoduleInSlice

SPACING = (0.8, 0.6)  # rows, columns
LUNG_HU = -860.0


def chest(seed=0, noise_hu=10.0):
    """(180, 240) HU: a body with two lungs."""
    y, x = np.mgrid[-1:1:180j, -1:1:240j]
    hu = np.where((x / 0.95) ** 2 + (y / 0.85) ** 2 < 1, 40.0, -1000.0)
    for side in (-0.45, 0.45):
        hu[((x - side) / 0.32) ** 2 + (y / 0.58) ** 2 < 1] = LUNG_HU
    return hu + np.random.default_rng(seed).normal(0, noise_hu, hu.shape)


def disc(shape, row, column, diameter_mm, spacing_mm=SPACING):
    """The share of each pixel in a disc, with an edge of one pixel."""
    rows, columns = np.ogrid[: shape[0], : shape[1]]
    distance = np.hypot((rows - row) * spacing_mm[0], (columns - column) * spacing_mm[1])
    return np.clip(0.5 - (distance - diameter_mm / 2) / min(spacing_mm), 0, 1)


def with_nodule(hu, nodule, contrast_hu):
    return hu + contrast_hu * disc(hu.shape, nodule.row_px, nodule.column_px, nodule.diameter_mm)


NODULE = NoduleInSlice(1, 92.3, 64.6, 8.0)
