"""summary.json: its form, its levels, and that it is strict JSON."""

import dataclasses
import json

import pytest

from srgan.hounsfield import Window
from srgan.report import summary_json
from srgan.system.errors import TRY_AGAIN, UserError
from tests.helpers.made_report import (
    ABOUT,
    WINDOWS,
    level_of,
    made_level,
    made_study,
    of_doses,
    two_doses,
    with_discs,
)


def written(folder, levels, about=ABOUT):
    summary_json.write(folder, levels, about)
    assert [path.name for path in folder.iterdir()] == ["summary.json"]
    return json.loads((folder / "summary.json").read_text(), parse_constant=pytest.fail)


def test_summary_has_the_promised_form(tmp_path):
    found = written(tmp_path, [made_level()])
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
    assert not {"sharpness", "photons", "nodules", "levels"} & set(found)


def test_a_test_of_eight_passes_is_another_test(tmp_path):
    ensembled = dataclasses.replace(ABOUT, ensemble=True)
    for about, other in ((ABOUT, ensembled), (ensembled, ABOUT)):
        assert written(tmp_path, [made_level()], about)["ensemble"] == about.ensemble
        assert summary_json.is_in(tmp_path, [made_level()], about)
        assert not summary_json.is_in(tmp_path, [made_level()], other)


def test_summary_has_the_ttf_of_the_disc_with_its_contrast_and_noise(tmp_path):
    found = written(tmp_path, [with_discs()])
    stated = found["sharpness"]
    assert [stated[n] for n in ("contrast_hu", "noise_sd_hu", "slices")] == [300, 13.7, 10]
    assert stated["ttf50_per_mm"]["srgan"] == pytest.approx(0.4)
    assert found["methods"]["srgan"]["ttf50_per_mm"] == pytest.approx(0.4)
    assert found["normal_dose"]["ttf50_per_mm"] == pytest.approx(0.5)
    assert "ttf50_per_mm" not in found["patches"]["srgan"]


def test_summary_has_each_of_several_levels(tmp_path):
    found = written(tmp_path, two_doses(), of_doses())
    for level in found["levels"]:  # a PSNR is infinite
        assert level["methods"]["srgan"]["psnr_db"]["full"] is None
        assert level["conclusions"]["intervals"]["srgan"]["psnr_db.full"]["mean"] is None
        assert level["conclusions"]["headline"].startswith("SRGAN: +2.0 dB")
        assert level["normal_dose"]["lung_texture_sd_hu"] == 25.0
    assert found["slices_by_pseudonym"] == {"P0001": 2, "P0002": 1}
    assert [level["noise"]["dose"] for level in found["levels"]] == ["0.5", "0.25"]
    assert found["levels"][0]["noise"] == found["noise"]
    assert list(found["levels"][1]["methods"]) == list(found["methods"])
    assert found["photons"]["source"] == "matched"
    assert (found["photons"]["median"], found["photons"]["sd_hu"]) == (5e5, 11.5)
    assert found["noise"]["filter_cutoff"] > 0


def test_summary_has_an_added_window_and_the_training_warnings(tmp_path):
    windows = {"lung": Window(-1350, 150), "fat": Window(-250.5, 50)}
    level = level_of(dataclasses.replace(made_study(), windows=windows))
    warnings = ["step 40: the GAN is below its own input"]
    about = dataclasses.replace(ABOUT, checkpoint={**ABOUT.checkpoint, "warnings": warnings})
    found = written(tmp_path, [level], about)
    assert found["windows_hu"]["fat"] == [-250.5, 50]
    assert found["checkpoint"]["warnings"] == warnings


def test_summary_on_a_full_disk_is_one_line(tmp_path, monkeypatch):
    def full(path, value):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(summary_json, "write_json", full)
    with pytest.raises(UserError, match=r"cannot write .*No space") as raised:
        summary_json.write(tmp_path, [made_level()], ABOUT)
    assert raised.value.exit_code == TRY_AGAIN
