"""Nodules of known contrast and diameter, in lung of known HU."""

import csv
import json
from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from srgan.evaluation import baselines, nodule_study
from srgan.evaluation.study import StudySlice
from srgan.lowdose.degradation import Degradation
from srgan.lowdose.image_noise import ImageNoise
from srgan.lowdose.levels import Levels
from srgan.masks import lung_mask
from srgan.metrics import nodule_metrics
from srgan.metrics.nodule_metrics import Spot, Where, appeared, measure, response
from srgan.report import nodule_tables

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
    far = np.hypot((rows - row) * spacing_mm[0], (columns - column) * spacing_mm[1])
    return np.clip(0.5 - (far - diameter_mm / 2) / min(spacing_mm), 0, 1)


def with_nodule(hu, spot, contrast_hu):
    return hu + contrast_hu * disc(hu.shape, spot.row_px, spot.column_px, spot.diameter_mm)


SPOT = Spot(1, 92.3, 64.6, 8.0)


@pytest.mark.parametrize("diameter_mm", [4.0, 8.0, 20.0])
@pytest.mark.parametrize("contrast_hu", [250.0, 890.0])
def test_contrast_and_diameter_of_a_disc_are_what_was_put_in(diameter_mm, contrast_hu):
    spot = replace(SPOT, diameter_mm=diameter_mm)
    hu = with_nodule(chest(), spot, contrast_hu)
    found = measure(hu, Where.of(spot, lung_mask(hu), SPACING))
    assert found.contrast_hu == pytest.approx(contrast_hu, abs=6)
    assert found.mean_hu == pytest.approx(LUNG_HU + contrast_hu, abs=6)
    assert found.diameter_mm == pytest.approx(diameter_mm, rel=0.04)
    assert found.ring_sd_hu == pytest.approx(10, rel=0.2)


def test_a_nodule_at_the_wall_is_measured_against_lung_and_has_no_diameter():
    rows, columns = np.nonzero(lung_mask(chest(noise_hu=0)))
    row = int(np.median(rows))
    spot = Spot(1, row, columns[rows == row].min() + 2, 8.0)
    hu = with_nodule(chest(), spot, 800.0)
    found = measure(hu, Where.of(spot, lung_mask(hu), SPACING))
    assert found.contrast_hu > 700
    assert found.diameter_mm is None


def test_what_lies_outside_the_slice_is_not_measured():
    lung = lung_mask(chest())
    assert Where.of(replace(SPOT, row_px=900.0), lung, SPACING) is None
    assert Where.of(replace(SPOT, column_px=-40.0), lung, SPACING) is None


def judged(output, normal, spot=SPOT):
    where = Where.of(spot, lung_mask(normal), SPACING)
    return nodule_study.figures(measure(output, where), measure(normal, where))


def test_an_equal_image_keeps_everything():
    normal = with_nodule(chest(), SPOT, 600.0)
    made = judged(normal, normal)
    assert made["contrast_ratio"] == 1
    assert (made["mean_error_hu"], made["diameter_error_mm"]) == (0, 0)
    assert made["diameter_abs_error_mm"] == 0
    assert made["vanished"] == 0


def test_half_the_contrast_is_half_and_not_vanished():
    made = judged(with_nodule(chest(), SPOT, 300.0), with_nodule(chest(), SPOT, 600.0))
    assert made["contrast_ratio"] == pytest.approx(0.5, abs=0.01)
    assert made["mean_error_hu"] == pytest.approx(-300, abs=2)
    assert made["diameter_error_mm"] == pytest.approx(0, abs=0.2)
    assert made["vanished"] == 0


def test_a_nodule_that_was_taken_out_has_vanished():
    normal = with_nodule(chest(), SPOT, 600.0)
    made = judged(chest(1), normal)
    assert made["vanished"] == 1
    assert abs(made["contrast_ratio"]) < 0.05


def test_a_nodule_in_noise_has_vanished_although_its_mean_is_there():
    spot = replace(SPOT, diameter_mm=6.0)
    noisy = with_nodule(chest(noise_hu=150.0), spot, 120.0)
    assert judged(noisy, with_nodule(chest(), spot, 120.0), spot)["vanished"] == 1


def test_what_the_normal_dose_does_not_show_cannot_vanish():
    made = judged(chest(1), chest(2))
    assert made["vanished"] is None
    assert made["contrast_ratio"] is None
    assert made["diameter_error_mm"] is None


def test_a_disc_of_its_own_diameter_gives_the_detector_the_known_response():
    image = 100.0 * disc((201, 201), 100, 100, 24.0, (0.4, 0.6))
    assert response(image, (0.4, 0.6), 24.0)[100, 100] == pytest.approx(200 / np.e, rel=0.02)


@pytest.mark.parametrize("diameter_mm", [4.0, 6.0, 9.0, 12.0])
def test_a_blob_that_was_put_in_has_appeared_where_it_was_put(diameter_mm):
    normal = with_nodule(chest(), SPOT, 600.0)
    other = Spot(2, 75.0, 180.0, diameter_mm)
    made = appeared(with_nodule(normal, other, 400.0), normal, lung_mask(normal), SPACING)
    assert len(made) == 1
    assert np.hypot(made[0][0] - 75, made[0][1] - 180) <= 3


def test_nothing_appears_by_noise_blur_or_a_sharper_nodule():
    normal = with_nodule(chest(), SPOT, 600.0)
    rng = np.random.default_rng(3)
    noise = ndimage.gaussian_filter(rng.normal(0, 1, normal.shape), 0.7)
    for output in (
        normal + 30 * noise / noise.std(),
        ndimage.gaussian_filter(normal, 2.0),
        with_nodule(normal, SPOT, 300.0),
        np.roll(normal, 2, 0),
        chest(),
    ):
        assert appeared(output, normal, lung_mask(normal), SPACING) == []
    assert appeared(normal, normal, np.zeros(normal.shape, bool), SPACING) == []


# ---- over slices and patients ----


def run_on_two_patients(**more):
    """Two patients: two nodules in one slice of P1, one in another; one in P2. Sizes are odd."""
    made = []
    for k, (name, number, spots) in enumerate(
        (
            ("P1", 1, (SPOT, Spot(2, 80.0, 180.0, 12.0))),
            ("P1", 2, (replace(SPOT, number=3),)),
            ("P2", 1, (replace(SPOT, row_px=100.0),)),
        )
    ):
        hu = chest(k)
        for spot in spots:
            hu = with_nodule(hu, spot, 700.0)
        hu = hu[:-1, :-3]  # not a multiple of four
        item = StudySlice(name, number, SPACING, k, lambda hu=hu: hu)
        made.append((item, tuple(spots)))
    degradation = Degradation(ImageNoise(Levels((1700.0,)), Levels((0.005,))), 4)
    return nodule_study.run(more, made, degradation, 0)


@pytest.fixture(scope="module")
def found():
    """bicubic; a method that gives the normal dose; one that draws lung instead of nodules."""
    normal, plain = [], []
    for k in (0, 1, 2):
        hu = chest(k)
        spots = {0: (SPOT, Spot(2, 80.0, 180.0, 12.0)), 1: (SPOT,), 2: (replace(SPOT, row_px=100),)}
        clean = hu
        for spot in spots[k]:
            hu = with_nodule(hu, spot, 700.0)
        normal.append(hu[1:177, :236])
        extra = with_nodule(clean, Spot(9, 60.0, 175.0, 6.0), 500.0)
        plain.append(extra[1:177, :236])
    turns = iter(normal), iter(plain)
    return run_on_two_patients(
        bicubic=baselines.classical(4)["bicubic"],
        perfect=lambda low: next(turns[0]),
        inventor=lambda low: next(turns[1]),
    )


def test_means_are_over_patients_and_counts_over_nodules(found):
    of = found.summary()
    assert (of["nodules"], of["judged"], of["slices"], of["patients"]) == (4, 4, 3, 2)
    assert of["under_3_px_of_low_dose"] == 3  # 8 mm are 2.5 pixels of 3.2 mm
    assert of["judged_large"] == 1
    perfect, inventor = of["methods"]["perfect"], of["methods"]["inventor"]
    assert perfect["contrast_ratio"] == pytest.approx(1, abs=1e-3)
    assert perfect["mean_error_hu"] == pytest.approx(0, abs=0.01)
    assert (perfect["vanished"], perfect["appeared_a_slice"]) == (0, 0)
    assert (inventor["vanished"], inventor["vanished_large"]) == (4, 1)
    assert inventor["appeared_a_slice"] == 1
    assert 0.7 < of["methods"]["bicubic"]["contrast_ratio"] < 1.1
    assert of["methods"]["bicubic"]["vanished"] == 0
    ratios = [row.figures["contrast_ratio"] for row in found.of("bicubic")]
    wanted = (np.mean(ratios[:3]) + ratios[3]) / 2  # patients weigh alike
    assert of["methods"]["bicubic"]["contrast_ratio"] == pytest.approx(wanted)
    json.dumps(of, allow_nan=False)


def test_the_tables_and_the_file_have_the_figures(found, tmp_path):
    table = nodule_tables.table(found)
    cells = {row.name: [cell.shown for cell in row.cells] for row in table.rows}
    assert cells["perfect"][:2] == ["1.00", "-0"] or cells["perfect"][:2] == ["1.00", "+0"]
    assert cells["inventor"][4:] == ["4 of 4", "1 of 1", "1.00"]
    assert "4 annotated nodules of 2 patients in 3 slices" in table.notes[0]
    text = nodule_tables.text(found)
    assert "inventor" in text
    assert max(map(len, text.splitlines())) <= 100
    assert nodule_tables.write(tmp_path, [found]) == "nodules.csv"
    with open(tmp_path / "nodules.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 12
    last = rows[-1]
    assert (last["pseudonym"], last["nodule"], last["slice"]) == ("P2", "1", "1")
    assert (last["method"], last["vanished"], last["appeared_in_slice"]) == ("inventor", "1", "1")
    assert float(last["noise_lambda"]) == 1700
    assert nodule_tables.write(tmp_path, []) == ""
    assert not (tmp_path / "nodules.csv").exists()


def test_nothing_is_found_without_a_nodule_in_a_slice():
    degradation = Degradation(ImageNoise(Levels((1700.0,)), Levels((0.005,))), 4)
    item = StudySlice("P1", 1, SPACING, 0, chest)
    assert nodule_study.run({}, [(item, (replace(SPOT, row_px=900.0),))], degradation, 0) is None
    assert nodule_study.run({}, [], degradation, 0) is None
    assert nodule_metrics.LOST_SHARE == 0.3
