import math

import pytest

from srgan.evaluation import checks
from srgan.evaluation.checks import check

NORMAL = {"lung_texture_sd_hu": 48.9, "flat_sd_hu": 12.0}
BICUBIC = {"psnr_db": {"lung": 30.06}}
# An SRResNet at lambda 1700, sigma 0.005, as it was measured; biases and flat SD of a stand-in.
GOOD = {
    "psnr_db": {"full": 42.97, "lung": 35.41},
    "bias_by_tissue_hu": {"air": 1.5, "lung": -2.0, "fat": 0.4, "soft tissue": -0.1, "bone": -1.5},
    "lung_texture_sd_hu": 41.5,
    "flat_sd_hu": 8.0,
    "chi2": 0.46,
    "wide_spots": 0.0,
    "invented_share": 0.10,
    "invented_energy_hu2": 33.0,
    "shift_px": 0.03,
}
ALL_BIASED = [f"bias ({tissue})" for tissue in checks.TISSUES]


def psnr(lung):
    return {"psnr_db": {"lung": lung}}


def bias(**hu):
    return {"bias_by_tissue_hu": GOOD["bias_by_tissue_hu"] | hu}


def kinds(metrics, kind="pixel", **others):
    others = {"bicubic": BICUBIC, "normal_dose": NORMAL, "srresnet": GOOD} | others
    return [found.kind for found in check(metrics, kind, **others)]


# Plausible metrics: the network's, changed by as much as a stand-in's on the validation patient.
MADE = {
    "good": (GOOD, []),
    # 0.1 dB behind SRResNet, less than the bound: named as a bias alone.
    "lung +10 HU": (bias(lung=7.7) | psnr(35.30) | {"chi2": 0.80}, ["bias (lung)"]),
    # 2 px pass 0.73 of a period of 16 px where bicubic passes 0.85: so it is behind bicubic too,
    # contradicts its input at each edge, and takes from bone what it gives to what lies around it.
    "Gaussian blur of 2 px": (
        psnr(29.3)
        | bias(bone=-27.9, lung=3.8)
        | {"lung_texture_sd_hu": 18.2, "flat_sd_hu": 5.6, "chi2": 17.9, "wide_spots": 109.0}
        | {"invented_share": 0.0, "invented_energy_hu2": -80.0},
        ["below its input", "below SRResNet", "bias (bone)", "smoother", "inconsistent"],
    ),
    # 113 pixels of 262,144: nothing else sees it.
    "a blob on each slice": (psnr(35.40) | {"wide_spots": 1.0, "chi2": 0.5}, ["inconsistent"]),
    # Its energy adds to the squared error: behind SRResNet too.
    "full-strength false texture": (
        psnr(34.1)
        | {"invented_share": 0.82, "invented_energy_hu2": 253.0, "chi2": 0.76}
        | {"lung_texture_sd_hu": 47.0, "flat_sd_hu": 12.5},
        ["below SRResNet", "inventing"],
    ),
    # Below SRResNet for the same reason as below its input; without structure it has no shift.
    "constant 0 HU": (
        psnr(5.64)
        | bias(**{"air": 1000.0, "lung": 860.0, "fat": 100.0, "soft tissue": -45.0, "bone": -350.0})
        | {"lung_texture_sd_hu": 0.0, "flat_sd_hu": 0.0, "chi2": 3e4, "wide_spots": 30.0}
        | {"invented_share": 0.0, "invented_energy_hu2": 0.0, "shift_px": math.nan},
        [
            *["below its input", "below SRResNet", *ALL_BIASED, "smoother", "inconsistent"],
            "not checked",
        ],
    ),
    "shifted by 1 px": (
        psnr(30.7)
        | {"chi2": 12.0, "wide_spots": 80.0, "shift_px": 1.06}
        | {"invented_share": 0.33, "invented_energy_hu2": 182.0},
        ["below SRResNet", "inconsistent", "inventing", "shifted"],
    ),
}


@pytest.mark.parametrize("name", MADE)
def test_checks_find_the_faults_of_a_made_model_and_no_others(name):
    change, expected = MADE[name]
    metrics = GOOD | change
    assert kinds(metrics) == expected
    found = check(metrics, "pixel", bicubic=BICUBIC, normal_dose=NORMAL, srresnet=GOOD)
    stated = {"below SRResNet", "not checked"}
    assert [line.kind for line in found if line.fails] == [k for k in expected if k not in stated]


@pytest.mark.parametrize(
    ("kind", "share", "expected", "fails"),
    [
        ("pixel", 0.11, [], []),
        ("pixel", 0.12, ["inventing"], [True]),
        ("gan", 0.0, ["invented share"], [False]),
        ("gan", 0.49, ["invented share"], [False]),
        ("gan", 0.65, ["invented share"], [False]),
        ("gan", 0.66, ["inventing"], [True]),
        ("denoiser", 0.16, ["inventing"], [False]),
    ],
)
def test_bound_of_the_invented_share_depends_on_the_kind(kind, share, expected, fails):
    found = check(GOOD | {"invented_share": share}, kind, bicubic=BICUBIC, normal_dose=NORMAL)
    assert [line.kind for line in found] == expected
    assert [line.fails for line in found] == fails
    if found:
        assert f"{100 * share:.0f} % of the body" in found[0].text
        assert "+33 HU^2" in found[0].text


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (psnr(30.06), ["below SRResNet"]),
        (psnr(30.05), ["below its input", "below SRResNet"]),
        (psnr(35.22), []),
        (psnr(35.20), ["below SRResNet"]),
        (psnr(math.inf), []),
        (bias(fat=5.0), []),
        (bias(fat=-5.1, air=6.0), ["bias (air)", "bias (fat)"]),
        ({"lung_texture_sd_hu": 27.0}, []),
        ({"lung_texture_sd_hu": 26.8}, ["smoother"]),
        ({"lung_texture_sd_hu": 62.0}, ["noisier (lungs)"]),
        ({"flat_sd_hu": 15.0}, []),
        ({"flat_sd_hu": 15.1}, ["noisier (flat regions)"]),
        ({"flat_sd_hu": 0.1}, []),  # a denoiser's work
        ({"chi2": 1.2, "wide_spots": 0.5}, []),
        ({"chi2": 1.21}, ["inconsistent"]),
        ({"wide_spots": 0.51}, ["inconsistent"]),
        ({"spots": 9.0}, []),
        ({"chi2": 2.4, "clean_chi2": 2.0}, []),
        ({"chi2": 2.41, "clean_chi2": 2.0}, ["inconsistent"]),
        ({"shift_px": 0.15}, []),
        ({"shift_px": -0.16}, ["shifted"]),
    ],
)
def test_checks_have_the_stated_bounds(change, expected):
    assert kinds(GOOD | change) == expected


def test_findings_name_the_place_the_value_and_the_bound():
    changes = bias(fat=-7.25) | {"chi2": 12.0, "wide_spots": 155.2, "shift_px": -1.06}
    changes |= psnr(29.0) | {"lung_texture_sd_hu": 20.0}
    found = check(GOOD | changes, "pixel", bicubic=BICUBIC, normal_dose=NORMAL)
    assert [line.text for line in found] == [
        "PSNR in the lung window is 29.00 dB against 30.06 dB of bicubic",
        "fat is -7.2 HU off (bound 5)",
        "lungs have 0.41 of the normal dose's SD (20.0 of 48.9 HU; bound 0.55)",
        "inconsistent with its input, chi2 is 12.00, 1 for the normal dose (bound 1.2); "
        "155.2 wide spots a slice (bound 0.5)",
        "shifted by 1.06 px (bound 0.15)",
    ]


def test_a_missing_metric_is_not_checked_and_is_named():
    nothing = check({}, "pixel", bicubic={}, normal_dose={})
    assert [(line.kind, line.fails) for line in nothing] == [("not checked", False)]
    assert all(f"bias ({tissue})" in nothing[0].text for tissue in checks.TISSUES)
    partly = GOOD | {"bias_by_tissue_hu": None, "psnr_db": {"lung": None}, "chi2": math.nan}
    found = check(partly | {"wide_spots": 9.0}, "pixel", bicubic=BICUBIC, normal_dose=NORMAL)
    assert [line.kind for line in found] == ["inconsistent", "not checked"]
    assert "chi2, PSNR in the lung window, bias (air)" in found[1].text
    no_lung = check(GOOD | {"lung_texture_sd_hu": None}, "gan", bicubic=BICUBIC, normal_dose=NORMAL)
    assert no_lung[-1].text == "not checked, because it was not measured: SD (lungs)"


def test_texture_is_not_checked_against_a_normal_dose_without_noise():
    assert kinds(GOOD, normal_dose=NORMAL | {"flat_sd_hu": 0.0}) == ["not checked"]


def test_baselines_have_findings_and_do_not_fail():
    metrics = GOOD | psnr(26.98) | {"chi2": 3.1, "wide_spots": 80.0}
    for kind in ("enlargement", "denoiser"):
        found = check(metrics, kind, bicubic=BICUBIC, normal_dose=NORMAL, srresnet=GOOD)
        assert [line.kind for line in found] == [
            "below its input",
            "below SRResNet",
            "inconsistent",
        ]
        assert not any(line.fails for line in found)
    assert kinds(metrics, "enlargement", bicubic=metrics, srresnet=None) == ["inconsistent"]


def test_check_refuses_an_unknown_kind():
    with pytest.raises(ValueError, match="'tv' is none of enlargement, denoiser, pixel, gan"):
        check(GOOD, "tv", bicubic=BICUBIC, normal_dose=NORMAL)


# At scale 1: an SRResNet at a quarter of the dose on validation patients, and its input.
INPUT_1 = psnr(39.87) | {"invented_share": 0.62, "removed_share": 0.0, "removed_spot": 0.0}
GOOD_1 = {name: value for name, value in GOOD.items() if name != "wide_spots"}
GOOD_1 |= psnr(41.67) | {"removed_share": 0.03, "removed_spot": 4.9, "invented_share": 0.04}
AT_SCALE_1 = {"bicubic": INPUT_1, "srresnet": None, "input_name": "the input"}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, []),
        ({"removed_share": 0.44}, ["removing structure"]),
        ({"removed_spot": 11.0}, ["removing structure"]),
        ({"invented_share": 0.5}, []),  # noise of the input that was left
        ({"invented_share": 0.7}, ["inventing"]),
        ({"removed_share": None}, ["not checked"]),
    ],
)
def test_at_scale_1_removed_structure_is_checked_and_left_noise_is_not_invented(change, expected):
    assert kinds(GOOD_1 | change, **AT_SCALE_1) == expected
