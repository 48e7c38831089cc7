"""Nodules of known contrast and diameter, in lung of known HU."""

import csv
import json
from dataclasses import replace

import numpy as np
import pytest

from srgan.evaluation import baselines, nodule_study
from srgan.evaluation.study_slice import StudySlice
from srgan.masks import lung_mask
from srgan.metrics import nodule_metrics
from srgan.metrics.nodule_metrics import NoduleInSlice, NoduleRegion, measure
from srgan.report import nodule_tables, nodules_csv, terminal
from tests.helpers.made_nodules import NODULE, SPACING, chest, with_nodule
from tests.helpers.made_structure import IMAGE_NOISE


def compared(output, normal, spot=NODULE):
    where = NoduleRegion.around(spot, lung_mask(normal), SPACING)
    return nodule_study.compare(measure(output, where), measure(normal, where))


def test_nodule_of_an_equal_image_keeps_everything():
    normal = with_nodule(chest(), NODULE, 600.0)
    made = compared(normal, normal)
    assert made["contrast_ratio"] == 1
    assert (made["mean_error_hu"], made["diameter_error_mm"]) == (0, 0)
    assert made["diameter_abs_error_mm"] == 0
    assert made["vanished"] == 0


def test_nodule_with_half_its_contrast_has_not_vanished():
    made = compared(with_nodule(chest(), NODULE, 300.0), with_nodule(chest(), NODULE, 600.0))
    assert made["contrast_ratio"] == pytest.approx(0.5, abs=0.01)
    assert made["mean_error_hu"] == pytest.approx(-300, abs=2)
    assert made["diameter_error_mm"] == pytest.approx(0, abs=0.2)
    assert made["vanished"] == 0


def test_nodule_that_was_removed_has_vanished():
    normal = with_nodule(chest(), NODULE, 600.0)
    made = compared(chest(1), normal)
    assert made["vanished"] == 1
    assert abs(made["contrast_ratio"]) < 0.05


def test_nodule_hidden_by_noise_has_vanished_although_its_mean_is_kept():
    spot = replace(NODULE, diameter_mm=6.0)
    noisy = with_nodule(chest(noise_hu=150.0), spot, 120.0)
    assert compared(noisy, with_nodule(chest(), spot, 120.0), spot)["vanished"] == 1


def test_nodule_that_the_normal_dose_does_not_show_cannot_vanish():
    made = compared(chest(1), chest(2))
    assert made["vanished"] is None
    assert made["contrast_ratio"] is None
    assert made["diameter_error_mm"] is None


# ---- over slices and patients ----


def run_on_two_patients(**more):
    """Two patients: two nodules in one slice of P1, one in another; one in P2. Sizes are odd."""
    made = []
    for k, (name, number, spots) in enumerate(
        (
            ("P1", 1, (NODULE, NoduleInSlice(2, 80.0, 180.0, 12.0))),
            ("P1", 2, (replace(NODULE, number=3),)),
            ("P2", 1, (replace(NODULE, row_px=100.0),)),
        )
    ):
        hu = chest(k)
        for spot in spots:
            hu = with_nodule(hu, spot, 700.0)
        hu = hu[:-1, :-3]  # not a multiple of four
        item = StudySlice(name, number, SPACING, k, lambda hu=hu: hu)
        made.append((item, tuple(spots)))
    return nodule_study.run(more, made, IMAGE_NOISE, 0)


@pytest.fixture(scope="module")
def found():
    """bicubic; a method that gives the normal dose; one that draws lung instead of nodules."""
    normal, plain = [], []
    for k in (0, 1, 2):
        hu = chest(k)
        spots = {
            0: (NODULE, NoduleInSlice(2, 80.0, 180.0, 12.0)),
            1: (NODULE,),
            2: (replace(NODULE, row_px=100),),
        }
        clean = hu
        for spot in spots[k]:
            hu = with_nodule(hu, spot, 700.0)
        normal.append(hu[1:177, :236])
        extra = with_nodule(clean, NoduleInSlice(9, 60.0, 175.0, 6.0), 500.0)
        plain.append(extra[1:177, :236])
    turns = iter(normal), iter(plain)
    return run_on_two_patients(
        bicubic=baselines.classical(4)["bicubic"],
        perfect=lambda low: next(turns[0]),
        inventor=lambda low: next(turns[1]),
    )


def test_nodule_means_are_over_patients_and_counts_over_nodules(found):
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
    ratios = [row.metrics["contrast_ratio"] for row in found.of("bicubic")]
    wanted = (np.mean(ratios[:3]) + ratios[3]) / 2  # patients weigh alike
    assert of["methods"]["bicubic"]["contrast_ratio"] == pytest.approx(wanted)
    json.dumps(of, allow_nan=False)


def test_nodule_tables_and_nodules_csv_have_the_metrics(found, tmp_path):
    table = nodule_tables.table(found)
    cells = {row.name: [cell.shown for cell in row.cells] for row in table.rows}
    assert cells["perfect"][:2] == ["1.00", "-0"] or cells["perfect"][:2] == ["1.00", "+0"]
    assert cells["inventor"][4:] == ["4 of 4", "1 of 1", "1.00"]
    assert "4 annotated nodules of 2 patients in 3 slices" in table.notes[0]
    lines = terminal.nodules(found)
    text = "\n".join(lines)
    assert "inventor" in text
    assert max(map(len, text.splitlines())) <= 100
    assert nodules_csv.write(tmp_path, [found]) == "nodules.csv"
    with open(tmp_path / "nodules.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 12
    last = rows[-1]
    assert (last["pseudonym"], last["nodule"], last["slice"]) == ("P2", "1", "1")
    assert (last["method"], last["vanished"], last["appeared_in_slice"]) == ("inventor", "1", "1")
    assert float(last["noise_lambda"]) == 1700
    assert nodules_csv.write(tmp_path, []) == ""
    assert not (tmp_path / "nodules.csv").exists()


def test_nodule_study_is_none_without_a_nodule_in_a_slice():
    item = StudySlice("P1", 1, SPACING, 0, chest)
    assert nodule_study.run({}, [(item, (replace(NODULE, row_px=900.0),))], IMAGE_NOISE, 0) is None
    assert nodule_study.run({}, [], IMAGE_NOISE, 0) is None
    assert nodule_metrics.LOST_SHARE == 0.3
