"""Dose metrics on a pair that is made photon by photon; ratios of speeds and of times."""

import re

import numpy as np
import pytest
from scipy import ndimage

from benchmarks import dose_metrics, turns
from srgan.lowdose.projection_noise import Scanner, attenuation
from srgan.lowdose.projector import filtered, projector
from tests.helpers import made_dicom

MM, SIZE, PHOTONS, DOSE = 0.742, 512, 4e5, 0.25


def thorax() -> np.ndarray:
    """340 x 230 mm of soft tissue with lungs and a spine, and blobs of 12 HU: (512, 512) HU."""
    y, x = (np.mgrid[:SIZE, :SIZE] - (SIZE - 1) / 2) * MM

    def ellipse(cx, cy, a, b):
        return ((x - cx) / a) ** 2 + ((y - cy) / b) ** 2 < 1

    hu = np.where(ellipse(0, 0, 170, 115), 45.0, -1000.0)
    for side in (-1, 1):
        hu[ellipse(95 * side, -10, 45, 75)] = -850
    hu[ellipse(0, 70, 18, 18)] = 600
    hu = ndimage.gaussian_filter(hu, 1.0)
    blobs = ndimage.gaussian_filter(np.random.default_rng(1).standard_normal(hu.shape), 12)
    return hu + np.where(np.abs(hu - 45) < 20, 12 * blobs / blobs.std(), 0)


def counted(hu: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """The slice at full dose, and at the dose from a share of the same photons."""
    scanner, geometry = Scanner(), projector(SIZE, 360)
    unattenuated, sigma = scanner.readings(PHOTONS, MM)
    depth = attenuation(hu, MM, scanner)
    full = rng.poisson(unattenuated * np.exp(-depth.astype(float)))
    errors = []
    for counts, share in ((full, 1), (rng.binomial(full, DOSE), DOSE)):
        read = np.maximum(counts + sigma * rng.standard_normal(counts.shape), 1)
        errors.append(np.log(share * unattenuated / read) - depth)
    noise = filtered(geometry, np.array(errors), scanner.filter_cutoff * MM)
    return tuple(hu + noise * scanner.hu_per_line(MM))


def test_dose_metrics_of_a_counted_pair_match_the_model_of_its_full_dose_slice(
    tmp_path, capsys, monkeypatch
):
    rng, hu = np.random.default_rng(0), thorax()
    for k in range(2):
        for name, image in zip(("full", "low"), counted(hu, rng), strict=True):
            values = np.rint(np.clip(image, -1024, 3071)).astype(np.int16)
            place = {"z": 3.0 * k, "PixelSpacing": [MM, MM], "PatientID": name}
            made_dicom.write(tmp_path / name / f"{k}.IMA", values=values, **place)
    folders = [str(tmp_path / name) for name in ("full", "low")]
    monkeypatch.setattr("sys.argv", ["dose_metrics.py", "--pair", *folders])
    dose_metrics.main()
    printed = capsys.readouterr().out

    soft, *_ = map(
        float, re.search(r"model:real +(.*)", printed)[1].replace(" - ", " nan ").split()
    )
    assert soft == pytest.approx(1, abs=0.12)  # the photons are good to 20 %


@pytest.mark.parametrize(("unit", "less_is_better"), [("images/s", False), ("s", True)])
def test_the_ratio_of_measurements_in_turn_is_above_one_where_ours_is_better(unit, less_is_better):
    better, worse = iter((6.0, 6.0, 12.0)), iter((4.0, 2.0, 3.0))
    if less_is_better:
        better, worse = worse, better
    row = turns.in_turn(
        "a", unit, lambda: next(better), "b", lambda: next(worse), 3, less_is_better
    )
    assert (row.ratio, row.least, row.most) == (2, 1.5, 4)
