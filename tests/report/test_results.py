import csv
import dataclasses
import json
import math

import numpy as np
import pytest

from srgan.evaluation import study
from srgan.evaluation.level import levels_of
from srgan.hounsfield import Window
from srgan.lowdose.degradation import Degradation
from srgan.lowdose.image_noise import ImageNoise
from srgan.lowdose.levels import Levels
from srgan.lowdose.projection_noise import ProjectionNoise, Scanner
from srgan.metrics.ttf import Discs, Ttf
from srgan.report import columns, results
from srgan.report.about import About
from srgan.system.errors import BAD_INPUT, TRY_AGAIN, UserError

WINDOWS = ("full", "lung", "mediastinum")


TEXTURE = "lung_texture_sd_hu"


def figures(value, part="whole"):
    """Figures of one value each, with infinite PSNR in the full window."""
    made = {
        "psnr_db": {"full": math.inf, "lung": value, "mediastinum": value},
        "ssim": dict.fromkeys(WINDOWS, value / 100),
        "rmse_hu": value,
        "mae_hu": value,
        "bias_hu": -value,
    }
    if part == "whole":
        made |= {"psnr_body_db": dict.fromkeys(WINDOWS), TEXTURE: None}
    return made


def row(pseudonym, number, part, method, value):
    corner = (4, 8) if part == "patch" else (0, 0)
    return study.Row(pseudonym, number, part, corner, method, figures(value, part))


@pytest.fixture
def made():
    rows = [
        row(name, number, part, method, 10.0 + number + bonus)
        for name, number in (("P0001", 1), ("P0001", 2), ("P0002", 1))
        for method, bonus in (("nearest", 0), ("bicubic", 1), ("srresnet", 2), ("srgan", 3))
        for part in ("whole", "patch")
    ]
    sds = {("P0001", 1): 30.0, ("P0001", 2): None, ("P0002", 1): 20.0}
    texture = {key: {TEXTURE: sd, "flat_sd_hu": sd} for key, sd in sds.items()}
    noise = {key: {"noise_lambda": 1700.0, "noise_sigma": 0.005} for key in texture}
    return study.Study(("nearest", "bicubic", "srresnet", "srgan"), tuple(rows), texture, noise)


@pytest.fixture
def about():
    degradation = Degradation(ImageNoise(Levels((1700.0,)), Levels((0.005,))), 4)
    checkpoint = {"step": 7, "score": math.nan, "synthetic": True}
    return About(degradation, "random", True, {"scale": 4}, checkpoint)


@pytest.fixture
def level(made, about):
    return one_level(made, about)


def one_level(made, about):
    return levels_of([(about.degradation, made)])[0]


def test_summary_has_the_promised_form(tmp_path, level, about):
    results.write(tmp_path, [level], about)
    text = (tmp_path / "summary.json").read_text()
    assert not {"NaN", "Infinity"} & set(text.replace(",", " ").split())
    found = json.loads(text)
    assert (found["format"], found["slices"], found["patients"]) == (1, 3, 2)
    assert list(found["methods"]) == ["nearest", "bicubic", "srresnet", "srgan"]
    assert list(found["patches"]) == list(found["methods"])
    assert list(found["patients_by_pseudonym"]) == ["P0001", "P0002"]
    srgan = found["methods"]["srgan"]
    assert srgan["psnr_db"] == {"full": None, "lung": 14.25, "mediastinum": 14.25}
    assert srgan["ssim"] == pytest.approx(dict.fromkeys(WINDOWS, 0.1425))
    assert (srgan["rmse_hu"], srgan["mae_hu"], srgan["bias_hu"]) == (14.25, 14.25, -14.25)
    assert found["patients_by_pseudonym"]["P0001"]["srgan"]["rmse_hu"] == 14.5
    sds = found["sd_by_pseudonym"]
    assert sds["P0001"]["srgan"]["rmse_hu"] == pytest.approx(2**-0.5)  # of 14 and 15
    assert sds["P0001"]["srgan"]["psnr_db"]["full"] is None  # infinite
    assert sds["P0002"]["srgan"]["rmse_hu"] is None  # one slice
    assert found["normal_dose"]["lung_texture_sd_hu"] == 25.0
    assert found["noise"]["noise_lambda"] == "1700"
    assert found["vgg_weights"] == "random"
    assert found["checkpoint"] == {"step": 7, "score": None, "synthetic": True}
    assert found["synthetic"] is True


def test_csv_has_a_line_a_method_and_part(tmp_path, level, about):
    results.write(tmp_path, [level], about)
    with open(tmp_path / "metrics.csv", newline="") as file:
        lines = list(csv.DictReader(file))
    assert len(lines) == len(level.study.rows) + 3
    noise = ("noise_lambda", "noise_sigma")
    place = ("part", "row", "column", "method")
    assert tuple(lines[0]) == (
        "pseudonym",
        "slice",
        *noise,
        *place,
        *results.csv_columns(level.study.windows),
    )
    assert {(line["noise_lambda"], line["noise_sigma"]) for line in lines[:-3]} == {
        ("1700", "0.005")
    }
    patch = next(line for line in lines if line["part"] == "patch")
    assert (patch["row"], patch["column"], patch["method"]) == ("4", "8", "nearest")
    assert (patch["psnr_db_full"], patch["psnr_db_lung"]) == ("inf", "11")
    normal = [line for line in lines if line["method"] == "normal_dose"]
    assert [line["lung_texture_sd_hu"] for line in normal] == ["30", "", "20"]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["metrics.csv", "summary.json"]


def test_table_names_windows_ranges_and_conditions(level, about):
    text = results.table(level, about)
    for words in (
        "3 slices of 2 patients", "lambda 1700 photons", "VGG19 weights: random",
        "SYNTHETIC scans", "trained on SYNTHETIC scans", "64 x 64 patches",
    ):  # fmt: skip
        assert words in text
    lines = text.splitlines()
    names, limits, ranges = (lines[lines.index("whole slices") + i] for i in (3, 4, 5))
    assert names.split() == ["full", "lung", "mediastinum"] * 2
    assert limits.split() == ["-1024..3071", "HU", "-1350..150", "HU", "-160..240", "HU"] * 2
    assert ranges.split() == ["range", "4095", "range", "1500", "range", "400"] * 2
    rows = [line.split() for line in lines if line.startswith("srgan ")]
    assert rows[0] == ["srgan", "inf", "14.25", "14.25"]
    assert rows[1] == ["srgan", *["0.1425"] * 3, *["14.2"] * 2, "-14.25"]
    assert max(map(len, lines)) <= 100


@pytest.fixture
def with_discs(made):
    """The same with a TTF of each method that falls to a half at 0.1 to 0.5 /mm."""
    f = np.linspace(0, 1, 11)
    ends = dict(
        zip(("nearest", "bicubic", "srresnet", "srgan", study.NORMAL_DOSE), f[1:], strict=False)
    )
    ttf = {name: Ttf(f, np.clip(1 - f / (2 * end), 0, 1)) for name, end in ends.items()}
    return dataclasses.replace(made, discs=Discs(ttf, 300.0, 13.7, 10, 0.7))


def test_sharpness_of_the_disc_is_told_with_its_contrast_and_noise(tmp_path, with_discs, about):
    level = one_level(with_discs, about)
    results.write(tmp_path, [level], about)
    found = json.loads((tmp_path / "summary.json").read_text())
    stated = found["sharpness"]
    assert [stated[n] for n in ("contrast_hu", "noise_sd_hu", "slices")] == [300, 13.7, 10]
    assert stated["ttf50_per_mm"]["srgan"] == pytest.approx(0.4)
    assert found["methods"]["srgan"]["ttf50_per_mm"] == pytest.approx(0.4)
    assert found["normal_dose"]["ttf50_per_mm"] == pytest.approx(0.5)
    assert "ttf50_per_mm" not in found["patches"]["srgan"]
    text = results.table(level, about)
    assert text.count("TTF50") == 1
    assert "a disc of 300 HU on soft tissue, mean of 10 slices with 13.7 HU of noise" in text
    assert max(map(len, text.splitlines())) <= 100


def test_without_a_disc_there_is_no_ttf(level, about):
    assert "sharpness" not in results.summary(level, about)
    assert "TTF" not in results.table(level, about)


def test_what_the_training_was_warned_of_is_told(level, about):
    warned = {**about.checkpoint, "warnings": ["step 40: the GAN is below its own input"]}
    about = dataclasses.replace(about, checkpoint=warned)
    line = "warned in the training, step 40: the GAN is below its own input"
    assert line in results.table(level, about)
    assert results.summary(level, about)["checkpoint"]["warnings"] == warned["warnings"]


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path, level, about, monkeypatch):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot write") as raised:
        results.prepare(tmp_path / "file" / "report")
    assert raised.value.exit_code == BAD_INPUT
    results.prepare(tmp_path / "new" / "report")
    assert list((tmp_path / "new" / "report").iterdir()) == []

    def full(path, write):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(results, "write_whole", full)
    with pytest.raises(UserError, match="No space") as raised:
        results.write(tmp_path, [level], about)
    assert raised.value.exit_code == TRY_AGAIN


@pytest.fixture
def levels(made):
    """The same figures at two doses, with noise in the projections."""
    studies = []
    for dose in (0.5, 0.25):
        noise = ProjectionNoise(Levels((dose,)), None, None, Scanner())
        of_slices = {
            key: {"dose": dose, "photons": 5e5, "full_dose_sd_hu": None} for key in made.normal_dose
        }
        studies.append((Degradation(noise, 4), dataclasses.replace(made, noise=of_slices)))
    return levels_of(studies)


@pytest.fixture
def with_photons(about):
    photons = {"source": "matched", "median": 5e5, "low": 4e5, "high": 6e5, "sd_hu": 11.5}
    return dataclasses.replace(about, photons=photons)


def test_several_noise_levels_stand_side_by_side(tmp_path, levels, about):
    results.write(tmp_path, levels, about)
    found = json.loads((tmp_path / "summary.json").read_text())
    assert json.loads((tmp_path / "summary.json").read_text(), parse_constant=pytest.fail) == found
    for level in found["levels"]:  # a PSNR is infinite
        assert level["methods"]["srgan"]["psnr_db"]["full"] is None
        assert level["conclusions"]["intervals"]["srgan"]["psnr_db.full"]["mean"] is None
        assert level["conclusions"]["headline"].startswith("srresnet ")
        assert level["normal_dose"]["lung_texture_sd_hu"] == 25.0
    assert found["slices_by_pseudonym"] == {"P0001": 2, "P0002": 1}
    assert [level["noise"]["dose"] for level in found["levels"]] == ["0.5", "0.25"]
    assert found["levels"][0]["noise"] == found["noise"]
    assert list(found["levels"][1]["methods"]) == list(found["methods"])


def test_csv_holds_every_level_with_the_noise_of_each_slice(tmp_path, made, levels, about):
    results.write(tmp_path, levels, about)
    with open(tmp_path / "metrics.csv", newline="") as file:
        lines = list(csv.DictReader(file))
    n = len(made.rows)
    assert [line["dose"] for line in lines] == ["0.5"] * n + ["0.25"] * n + [""] * 3
    assert {(line["photons"], line["full_dose_sd_hu"]) for line in lines[:-3]} == {("500000", "")}
    assert [line["method"] for line in lines[-3:]] == ["normal_dose"] * 3  # once, at no level


def test_photons_are_recorded_and_told(tmp_path, levels, level, about, with_photons):
    results.write(tmp_path, levels, with_photons)
    found = json.loads((tmp_path / "summary.json").read_text())
    assert found["photons"]["source"] == "matched"
    assert (found["photons"]["median"], found["photons"]["sd_hu"]) == (5e5, 11.5)
    assert found["noise"]["filter_cutoff"] > 0
    assert "noise at full dose 11.5 HU" in results.table(levels[0], with_photons)
    assert "photons" not in results.summary(level, about)  # noise on the slice has none of its own


def test_an_added_window_is_in_every_place_where_the_others_are(tmp_path, made, about):
    windows = {n: Window(*w) for n, w in (("lung", (-1350, 150)), ("fat", (-250.5, 50)))}
    rows = []
    for old in made.rows:
        found = old.metrics | {
            "psnr_db": {"lung": 1.0, "fat": 7.5},
            "ssim": {"lung": 0, "fat": 0.5},
        }
        if old.part == "whole":
            found["psnr_body_db"] = {"lung": 2.0, "fat": 8.5}
            found["ssim_body"] = {"lung": 0, "fat": 0.25}
        rows.append(dataclasses.replace(old, metrics=found))
    wider = dataclasses.replace(made, rows=tuple(rows), windows=windows)
    level = one_level(wider, about)
    text = results.table(level, about)
    assert text.count("-250.5..50 HU") == 6  # PSNR and SSIM, whole, in the body, and of patches
    assert text.count("range 300.5") == 6
    results.write(tmp_path, [level], about)
    assert json.loads((tmp_path / "summary.json").read_text())["windows_hu"]["fat"] == [-250.5, 50]
    with open(tmp_path / "metrics.csv", newline="") as file:
        line = next(csv.DictReader(file))
    figures = ("psnr_db", "psnr_body_db", "ssim", "ssim_body")
    assert [line[f"{n}_fat"] for n in figures] == ["7.5", "8.5", "0.5", "0.25"]


def test_many_windows_wrap_and_no_figure_is_lost():
    windows = {f"window-{i:08d}": Window(-1000.25 - i, 1000.25) for i in range(9)}
    asked = [c for subject in columns.subjects(windows) for c in subject.columns]
    figures = {name: {windowed: 10.0 + i for i, windowed in enumerate(windows)}
               for name in ("psnr_db", "ssim")}  # fmt: skip
    lines = columns.lines(columns.looked_for(asked, {"srgan": figures}), {"srgan": figures})
    assert max(map(len, lines)) <= 100
    cells = [cell for line in lines if line.startswith("srgan") for cell in line.split()[1:]]
    assert cells == [f"{10 + i:.2f}" for i in range(9)] + [f"{10 + i:.4f}" for i in range(9)]
    assert all(sum(name in line for line in lines) == 2 for name in windows)
    captions = [subject.caption for subject in columns.subjects(windows)]
    assert {"PSNR against the normal dose", "PSNR in the body"} < set(captions)  # one each


def test_conditions_stand_once_and_each_levels_noise_above_its_figures(levels, about):
    text = results.tables(levels, about)
    assert (text.count("VGG19 weights"), text.count("\nwhole slices\n")) == (1, 2)
    assert text.index("dose 0.5 of") < text.index("dose 0.25 of") < text.rindex("whole slices\n")
    assert max(map(len, text.splitlines())) <= 100
    assert results.table(levels[0], about) in results.tables(levels[:1], about)
