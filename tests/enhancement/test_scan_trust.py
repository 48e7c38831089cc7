"""What is said of a scan: its noise beside the training's, and each warning at its bound."""

import json

import pytest

from srgan.enhancement import scan_trust
from srgan.enhancement.trust import SliceTrust
from srgan.training.manifest import NoiseRange

TRAINED = NoiseRange(10.0, 20.0, 16)


def of_noise(*noise_hu: float | None, trained: NoiseRange | None = TRAINED, **changes):
    return scan_trust.of([SliceTrust(each, **changes) for each in noise_hu], trained)


@pytest.mark.parametrize(
    ("noise_hu", "expected"),
    [((9.0,), "quieter"), ((10.0, 14.0, 99.0), "inside"), ((20.1, None), "noisier"),
     ((None, None), "not measurable"), ((), "not measurable")],
)  # fmt: skip
def test_the_median_over_slices_lies_in_the_trained_range_or_not(noise_hu, expected):
    trust = of_noise(*noise_hu)
    assert trust.noise_is == trust.as_json()["input_noise_is"] == expected
    warned = [line for line in scan_trust.warnings(trust, "so much") if "so much" in line]
    assert len(warned) == (expected in ("quieter", "noisier"))


def test_the_numbers_are_in_the_lines():
    line = scan_trust.lines(of_noise(9.0, 11.0, 13.0))[0]
    assert "11.0 HU in flat soft tissue (median of 3 slices, 9.0 to 13.0)" in line
    assert line.endswith("trained on 10.0 to 20.0 HU")
    assert "is not recorded" in scan_trust.lines(of_noise(9.0, trained=None))[0]
    assert "not measurable" in scan_trust.lines(of_noise(None))[0]


@pytest.mark.parametrize(
    ("good", "bad", "text"),
    [
        ({"chi2": 1.8, "wide_spots": 0}, {"chi2": 2.2, "wide_spots": 0}, "departs from its input"),
        ({"chi2": 0.4, "wide_spots": 0}, {"chi2": 0.4, "wide_spots": 1}, "departs from its input"),
        ({"removed_share": 0.1}, {"removed_share": 0.3}, "edges or vessels were removed"),
        ({"removed_spot": 5.0}, {"removed_spot": 12.0}, "edges or vessels were removed"),
        (
            {"before_hu": {"lung": -850.0}, "after_hu": {"lung": -846.0}},
            {"before_hu": {"lung": -850.0}, "after_hu": {"lung": -844.0}},
            "the mean of lung went from -850 to -844 HU",
        ),
    ],
)
def test_each_warning_comes_beyond_its_bound(good, bad, text):
    assert scan_trust.warnings(of_noise(15.0, **good)) == []
    (line,) = scan_trust.warnings(of_noise(15.0, **bad))
    assert text in line


def test_a_known_patient_is_named_as_such():
    trust = scan_trust.of([SliceTrust(15.0)], TRAINED, seen=["pixels", "patient"])
    (line,) = scan_trust.warnings(trust)
    assert "trained or validated on this patient (its patient ID, pixels of its slices)" in line
    assert trust.as_json()["seen_in_training"] == ["patient", "pixels"]


def test_a_tissue_has_the_mean_of_the_slices_that_show_it():
    slices = [
        SliceTrust(15.0, {"lung": -850.0, "fat": -100.0}, {"lung": -852.0, "fat": -101.0}),
        SliceTrust(15.0, {"lung": -860.0}, {"lung": -860.0}),
    ]
    found = scan_trust.of(slices, TRAINED).as_json()["tissues_hu"]
    assert found["lung"] == {"before": -855.0, "after": -856.0, "change": -1.0}
    assert found["fat"]["change"] == -1.0
    json.dumps(found, allow_nan=False)
