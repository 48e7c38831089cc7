import dataclasses
import math
import re
from pathlib import Path

import numpy as np
import pytest

from srgan import hounsfield, resampling
from srgan.evaluation import baselines, conclusions, study, study_slice
from srgan.lowdose.degradation import Degradation, degrade
from srgan.lowdose.image_noise import ImageNoise
from srgan.lowdose.levels import Levels
from srgan.lowdose.projection_noise import ProjectionNoise, Scanner
from srgan.metrics import similarity, slice_output
from srgan.random_streams import STUDY_NOISE, generator_of

TEXTURE = "lung_texture_sd_hu"


def degradation(scale=4, noise_lambda=1700.0):
    return Degradation(ImageNoise(Levels((noise_lambda,)), Levels((0.005,))), scale)


def chest(rows=96, columns=96):
    """An ellipse of soft tissue with two lungs, in air, int16 HU."""
    y, x = np.mgrid[-1 : 1 : rows * 1j, -1 : 1 : columns * 1j]
    hu = np.where((x / 0.95) ** 2 + (y / 0.8) ** 2 < 1, 40, -1024)
    for side in (-1, 1):
        hu[((x + side * 0.45) / 0.33) ** 2 + (y / 0.6) ** 2 < 1] = -850
    return hu.astype(np.int16)


def slices(counts, hu=None):
    image = chest() if hu is None else hu
    return [
        study_slice.StudySlice(pseudonym, number, (0.7, 0.7), 1000 * p + number, lambda: image)
        for p, (pseudonym, count) in enumerate(counts.items())
        for number in range(1, count + 1)
    ]


def row(pseudonym, number, value, part="whole", method="a"):
    return study.Row(pseudonym, number, part, (0, 0), method, {"psnr_db": {"full": value}})


def test_study_means_are_over_slices_of_a_patient_and_then_over_patients():
    rows = [row("P1", 1, 10.0), row("P1", 2, 20.0), row("P1", 3, 60.0), row("P2", 1, 50.0)]
    rows += [row("P1", 1, 1.0, "patch"), row("P1", 1, 3.0, "patch")]
    made = study.Study(("a",), tuple(rows), {})
    assert made.by_patient() == {
        "P1": {"a": {"psnr_db": {"full": 30.0}}},
        "P2": {"a": {"psnr_db": {"full": 50.0}}},
    }
    assert made.overall() == {"a": {"psnr_db": {"full": 40.0}}}  # not (10 + 20 + 60 + 50) / 4
    assert made.overall("patch") == {"a": {"psnr_db": {"full": 2.0}}}
    assert study.Study(("a",), (), {}).overall("patch") == {}


def test_mean_metrics_keep_infinity_and_leave_out_none():
    metrics = [{"x": math.inf, "y": None, "z": None}, {"x": 3.0, "y": 4.0, "z": None}]
    assert study.mean_metrics(metrics) == {"x": math.inf, "y": 4.0, "z": None}


def test_normal_dose_is_averaged_over_slices_and_then_over_patients():
    sds = {("P1", 1): 10.0, ("P1", 2): None, ("P2", 1): 20.0, ("P2", 2): 40.0}
    texture = {key: {TEXTURE: sd} for key, sd in sds.items()}
    rows = [row(*key, 1.0) for key in texture]
    made = study.Study(("a",), tuple(rows), texture)
    assert made.normal_dose_by_patient() == {
        "P1": {TEXTURE: 10.0},
        "P2": {TEXTURE: 30.0},
    }
    assert made.normal_dose_overall() == {TEXTURE: 20.0}


def test_psnr_of_an_identical_output_is_infinite():
    quiet = Degradation(ImageNoise(Levels((1e15,)), Levels((0.0,))), 1)
    made = study.run({"identity": lambda low: np.round(low)}, slices({"P1": 1}), quiet, 0)
    metrics = made.overall()["identity"]
    assert metrics["psnr_db"] == {"full": math.inf, "lung": math.inf, "mediastinum": math.inf}
    assert metrics["rmse_hu"] == 0


def test_study_measures_bicubic_against_the_normal_dose_without_a_shift():
    item = slices({"P1": 1})[0]
    reference, low = study_slice.make_pair(item, degradation(), seed=5)
    made = study.run(baselines.classical(4), [item], degradation(), seed=5)
    whole = next(r for r in made.rows if (r.method, r.part) == ("bicubic", "whole"))
    expected = similarity.all_metrics(
        output=resampling.bicubic(low, 4), reference=reference, windows=hounsfield.WINDOWS
    )
    assert {name: whole.metrics[name] for name in expected} == expected
    ramp = np.tile(np.arange(64.0), (64, 1)) * 10  # a shift of one pixel would be 10 HU
    for name, method in baselines.classical(4).items():
        enlarged = method(resampling.area_mean(ramp, 4))
        assert enlarged.dtype == np.float32
        assert np.mean((enlarged - ramp)[:, 8:-8]) == pytest.approx(0, abs=1e-3), name


def test_noise_of_a_slice_does_not_depend_on_the_other_slices():
    items = slices({"P1": 2, "P2": 1})
    few = study.run(baselines.classical(4), items[2:], degradation(), 3)
    many = study.run(baselines.classical(4), items, degradation(), 3)
    assert few.rows == tuple(r for r in many.rows if r.pseudonym == "P2")
    assert few.rows != study.run(baselines.classical(4), items[2:], degradation(), 4).rows
    assert many.rows[0].metrics != many.rows[10].metrics  # same pixels, another key


def test_study_records_the_level_that_was_sampled_for_a_slice():
    asked = Degradation(ImageNoise(Levels((500.0, 5000.0), True), Levels((0.005,))), 4)
    items = slices({"P1": 2})
    made = study.run(baselines.classical(4), items, asked, 3)
    levels = [made.noise["P1", n]["noise_lambda"] for n in (1, 2)]
    assert all(500 <= level <= 5000 for level in levels)
    assert levels[0] != levels[1]
    assert made.noise["P1", 1]["noise_sigma"] == 0.005
    fixed = study.run(baselines.classical(4), items[1:], degradation(4, levels[1]), 3)
    assert fixed.rows == tuple(r for r in made.rows if r.number == 2)
    assert fixed.noise == {("P1", 2): made.noise["P1", 2]}


def test_study_records_the_photons_of_a_slice_in_projection_noise():
    noise = ProjectionNoise(Levels((0.25,)), None, None, Scanner())
    item = dataclasses.replace(slices({"P1": 1})[0], photons=4e5, sd_hu=12.0)
    found = study_slice.noise_of(item, Degradation(noise, 4), 0)
    assert found == {"dose": 0.25, "photons": 4e5, "full_dose_sd_hu": 12.0}


def test_patches_are_cut_from_the_same_low_dose():
    item = slices({"P1": 1})[0]
    made = study.run(baselines.classical(4), [item], degradation(), 0)
    patches = [r for r in made.rows if r.part == "patch"]
    assert len(patches) == study_slice.PATCHES_A_SLICE * 2
    reference, low = study_slice.make_pair(item, degradation(), 0)
    for found in patches:
        y, x = found.corner
        assert y % 4 == x % 4 == 0
        part = low[y // 4 : y // 4 + 16, x // 4 : x // 4 + 16]
        output = baselines.classical(4)[found.method](part)
        target = reference[y : y + 64, x : x + 64]
        assert found.metrics == similarity.all_metrics(
            output=output, reference=target, windows=hounsfield.WINDOWS
        )


def test_patches_lie_mostly_in_the_body():
    reference = np.full((256, 256), -1024, np.float32)
    reference[150:250, 150:250] = 40
    corners = study_slice.patch_corners(reference, 4, np.random.default_rng(0))
    assert (corners >= 148 - 32).all()
    assert (corners + 64 <= 256).all()


def test_small_slice_of_an_odd_size_is_cropped_and_has_no_patches():
    made = study.run(baselines.classical(4), slices({"P1": 1}, chest(50, 47)), degradation(), 0)
    assert {r.part for r in made.rows} == {"whole"}
    image = np.arange(50 * 47).reshape(50, 47)
    np.testing.assert_array_equal(study_slice.crop(image, 4), image[1:49, 1:45])
    np.testing.assert_array_equal(study_slice.crop(image, 1), image)


def test_texture_is_measured_where_there_is_lung(monkeypatch):
    noisy = np.random.default_rng(0).normal(-850, 20, (128, 128))
    monkeypatch.setattr(slice_output, "lung_mask", lambda hu: np.ones(hu.shape, bool))
    made = study.run(baselines.classical(4), slices({"P1": 1}, noisy), degradation(), 0)
    normal = made.normal_dose_overall()[TEXTURE]
    assert normal == pytest.approx(19.4, rel=0.03)
    texture = {r.method: r.metrics[TEXTURE] for r in made.rows if r.part == "whole"}
    assert 0 < texture["bicubic"] < texture["nearest"] < normal
    monkeypatch.undo()
    none = study.run(baselines.classical(4), slices({"P1": 1}, noisy), degradation(), 0)
    assert none.overall()["bicubic"][TEXTURE] is None
    assert none.normal_dose_overall()[TEXTURE] is None


def test_normal_dose_is_clipped_to_the_hu_range():
    items = slices({"P1": 2}, chest() - np.int16(5000))
    made = study.run(baselines.classical(4), items, degradation(), 0)
    assert made.overall()["bicubic"]["rmse_hu"] < 60
    reference, low = study_slice.make_pair(items[0], degradation(), 0)
    assert reference.dtype == low.dtype == np.float32
    assert reference.min() == hounsfield.HU_MIN
    rng = generator_of(0, STUDY_NOISE, items[0].noise_key)
    np.testing.assert_array_equal(low, degrade(reference[None], degradation(), rng)[0])


# ---- another method in the same study ----


def of_one_size(low_dose):
    if low_dose.shape != (24, 24):
        raise AssertionError("whole slices of 96 x 96 alone")
    return resampling.bicubic(low_dose, 4)


def test_method_of_one_size_is_measured_on_whole_slices():
    items = slices({"P1": 1})
    compared = baselines.classical(4) | {"mine": of_one_size}
    made = study.run(compared, items, degradation(), 0, patches=False)
    assert {r.part for r in made.rows} == {"whole"}
    assert made.overall()["mine"] == made.overall()["bicubic"]
    with_patches = study.run(baselines.classical(4), items, degradation(), 0)
    whole = tuple(r for r in with_patches.rows if r.part == "whole")
    assert tuple(r for r in made.rows if r.method != "mine") == whole
    with pytest.raises(AssertionError, match="alone"):
        study.run(compared, items, degradation(), 0)
    with pytest.raises(ValueError, match=r"'mine' gave \(96, 96\) for a patch .*patches=False"):
        study.run({"mine": lambda low: np.zeros((96, 96))}, items, degradation(), 0)


def test_method_may_change_its_input_and_reuse_its_output():
    kept = np.empty((96, 96), np.float32)

    def in_place(low_dose):
        low_dose += 500
        kept[:] = resampling.bicubic(low_dose, 4) - 500
        return kept

    def spoiling(low_dose):
        kept[:] = 0
        return resampling.bicubic(low_dose, 4)

    compared = {"mine": in_place, "bicubic": spoiling}
    made = study.run(compared, slices({"P1": 1}), degradation(), 0, patches=False).overall()
    plain = study.run(baselines.classical(4), slices({"P1": 1}), degradation(), 0).overall()
    assert made["bicubic"] == plain["bicubic"]
    assert made["mine"]["chi2"] == pytest.approx(plain["bicubic"]["chi2"], rel=1e-3)
    assert made["mine"]["rmse_hu"] == pytest.approx(plain["bicubic"]["rmse_hu"], rel=1e-3)


@pytest.mark.parametrize(
    ("output", "words"),
    [
        (lambda low: np.full((96, 96), np.inf), "NaN or infinity"),
        (lambda low: np.full((96, 96), np.nan, np.float32), "NaN or infinity"),
        (lambda low: np.zeros((96, 90)), r"\(96, 90\)"),
        (lambda low: np.zeros((1, 96, 96, 1)), r"\(1, 96, 96, 1\)"),
        (lambda low: [[0.0] * 96] * 96, "list"),
        (lambda low: None, "NoneType"),
        (lambda low: np.zeros((96, 96), complex), "complex128"),
        (lambda low: np.zeros((96, 96), bool), "bool"),
        (lambda low: np.full((96, 96), "0"), "<U1"),
    ],
)
def test_output_that_is_no_image_is_refused_with_the_method_and_the_slice(output, words):
    second = baselines.classical(4)["bicubic"]
    calls = iter([second, output])
    compared = {"mine": lambda low: next(calls)(low)}
    with pytest.raises(ValueError, match=f"'mine' gave {words}.* slice 2 of P1"):
        study.run(compared, slices({"P1": 2}), degradation(), 0, patches=False)


def test_output_may_be_of_any_real_number_type():
    made = study.run(
        {t: lambda low, t=t: np.round(baselines.classical(4)["nearest"](low)).astype(t)
         for t in ("int16", "float16", "float32", "float64")},
        slices({"P1": 1}), degradation(), 0,
    )  # fmt: skip
    found = made.overall()
    assert found["int16"] == found["float32"]
    assert found["float64"]["rmse_hu"] == found["float32"]["rmse_hu"]
    assert found["float16"]["rmse_hu"] == pytest.approx(found["float32"]["rmse_hu"], rel=1e-3)


def test_study_adds_windows_to_the_built_in_ones():
    fat = {"fat": hounsfield.Window(-250.0, 50.0)}
    made = study.run(baselines.classical(4), slices({"P1": 1}), degradation(), 0, windows=fat)
    assert list(made.overall()["bicubic"]["psnr_db"]) == ["full", "lung", "mediastinum", "fat"]
    assert "psnr_db.fat" in conclusions.of(made).intervals["bicubic"]
    other = {"lung": hounsfield.Window(-1000.0, 0.0)}
    with pytest.raises(ValueError, match="the windows full, lung, mediastinum have their limits"):
        study.run(baselines.classical(4), [], degradation(), 0, windows=other)


def test_method_is_checked_as_the_kind_that_is_given():
    compared = baselines.classical(4) | {"esrgan": baselines.classical(4)["bicubic"]}
    made = study.run(compared, slices({"P1": 1}), degradation(), 0, patches=False)

    def kinds(**given):
        found = conclusions.of(made, **given)
        return found.kinds["esrgan"], {line.kind for line in found.findings["esrgan"]}

    kind, lines = kinds()
    assert kind == "pixel"
    assert "invented share" not in lines
    kind, lines = kinds(kinds={"esrgan": "gan"})
    assert kind == "gan"
    assert lines & {"invented share", "inventing"}
    for wrong in ({"esrgan": "GAN"}, {"other": "gan"}):
        with pytest.raises(ValueError, match=r"no kind '(GAN' of 'esrgan|gan' of 'other)'"):
            conclusions.of(made, wrong)


def test_example_of_the_documentation_runs(capsys):
    text = (Path(__file__).parents[2] / "docs" / "metrics.md").read_text()
    (code,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    exec(compile(code, "docs/metrics.md", "exec"), {})
    first, *lines = capsys.readouterr().out.splitlines()
    assert 15 < float(first) < 40
    assert any(line.startswith("mine: FAILS") for line in lines)


def test_study_sd_is_over_the_slices_of_a_patient():
    values = {("P1", 1): 10.0, ("P1", 2): 20.0, ("P1", 3): 60.0, ("P2", 1): 50.0}
    rows = [row(*key, value) for key, value in values.items()]
    rows += [row("P3", 1, math.inf), row("P3", 2, 1.0), row("P4", 1, None), row("P4", 2, 1.0)]
    found = study.Study(("a",), tuple(rows), {}).sd_by_patient()
    sds = {name: of["a"]["psnr_db"]["full"] for name, of in found.items()}
    assert sds == {"P1": pytest.approx(26.457513), "P2": None, "P3": None, "P4": None}
