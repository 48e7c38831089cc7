"""A scan through a network: its slices in order, complete or absent; one line for each fault."""

import json
import os
import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk

from srgan import cli
from srgan.commands.enhance import enhance
from srgan.models import generator
from srgan.resampling import area_mean, bicubic
from srgan.system.errors import UserError
from srgan.training import checkpoint_models
from srgan.training.manifest import NoiseRange
from tests.conftest import ROOT, small_chest, write_scan
from tests.helpers.made_dicom import cut_short, write_series
from tests.helpers.made_manifest import manifest, trained


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory) -> dict[int, Path]:
    """By scale, an untrained fast generator as SRGAN: it enlarges as bicubic does."""
    folders = {}
    for scale in (1, 2):
        folders[scale] = tmp_path_factory.mktemp(f"scale{scale}") / "checkpoint"
        folders[scale].mkdir()
        model = generator.build("fast", scale, seed=5)
        made = manifest(best={}, settings={"generator": "fast", "scale": scale})
        checkpoint_models.save_model(folders[scale], "srgan", model, made)
    return folders


def run(arguments: str) -> int:
    return enhance(cli.parse(["--run", "enhance", *arguments.split()])[1])


def hu_of(folder: Path) -> np.ndarray:
    made = [pydicom.dcmread(p) for p in sorted(folder.glob("*.dcm"))]
    return np.stack([d.pixel_array + int(d.RescaleIntercept) for d in made])


def test_a_series_keeps_its_order_and_each_slice_is_what_the_network_gives(
    checkpoints, tmp_path, capsys
):
    volume = small_chest(0).clip(-1000)
    series = write_series(tmp_path / "series", volume)
    given = f"--checkpoint-dir {checkpoints[2]} --input {series} --output {tmp_path}/out"
    assert run(f"{given} --input-kind native --precision float32") == 0
    said = capsys.readouterr()
    assert "slices of 96 x 96 pixels are reduced to 48 x 48 by their area mean" in said.out
    assert f"{tmp_path}/out holds 3 slices of 96 x 96 pixels" in said.out
    expected = [bicubic(area_mean(hu.astype(np.float32), 2), 2).clip(-1024) for hu in volume]
    np.testing.assert_allclose(hu_of(tmp_path / "out"), expected, atol=1.5)
    about = json.loads((tmp_path / "out" / "enhanced.json").read_text())
    assert (about["scale"], about["input_kind"], about["slices"]) == (2, "native", 3)
    assert str(tmp_path) not in json.dumps(about)


def test_scale_1_keeps_metal_and_padding(checkpoints, tmp_path):
    volume = small_chest(1)
    volume[:, 40:44, 40:44] = 9000
    volume[:, 0, 0] = -2000
    series = write_series(tmp_path / "series", volume, PixelPaddingValue=-2000)
    run(f"--checkpoint-dir {checkpoints[1]} --input {series} --output {tmp_path}/out")
    made = hu_of(tmp_path / "out")
    assert (made[:, 0, 0] == -2000).all()
    np.testing.assert_allclose(made[:, 40:44, 40:44], 9000, atol=1)


def test_a_volume_gives_a_volume_in_its_place(checkpoints, tmp_path):
    write_scan(tmp_path / "scan", "1.2.3", small_chest(0))
    run(
        f"--checkpoint-dir {checkpoints[1]} --input {tmp_path}/scan/1.2.3.mhd "
        f"--output {tmp_path}/out"
    )
    before = sitk.ReadImage(str(tmp_path / "scan" / "1.2.3.mhd"))
    after = sitk.ReadImage(str(tmp_path / "out" / "1.2.3.mhd"))
    assert before.GetSpacing() == after.GetSpacing()
    assert before.GetOrigin() == after.GetOrigin()
    np.testing.assert_allclose(*map(sitk.GetArrayFromImage, (before, after)), atol=1)
    assert sorted(os.listdir(tmp_path / "out"))[-2:] == ["enhanced.json", "preview.png"]


def test_what_the_slices_are_must_be_said_for_a_network_that_enlarges(checkpoints, tmp_path):
    series = write_series(tmp_path / "series", small_chest(0))
    for scale, more, reason in (
        (2, "", "low-resolution to enlarge 96 x 96 pixels to 192 x 192, or --input-kind native"),
        (1, "--input-kind native", "is for networks of scale 2 and 4"),
    ):
        with pytest.raises(UserError, match=reason) as error:
            run(
                f"--checkpoint-dir {checkpoints[scale]} --input {series} {more} "
                f"--output {tmp_path}/out"
            )
        assert "..." not in str(error.value)
    assert os.listdir(tmp_path) == ["series"]


def test_a_damaged_file_is_left_out_and_said(checkpoints, tmp_path, capsys):
    series = write_series(tmp_path / "series", small_chest(0, slices=4))
    cut_short(series / "8.dcm")
    run(f"--checkpoint-dir {checkpoints[1]} --input {series} --output {tmp_path}/out")
    assert len(list((tmp_path / "out").glob("*.dcm"))) == 3
    said = capsys.readouterr()
    assert "1 file is left out: 1 " in said.err
    assert "3 slices of 96 x 96" in said.out


@pytest.mark.parametrize("page", ["README.md", "docs/enhance.md"])
def test_the_commands_of_the_pages_run(checkpoints, tmp_path, page, monkeypatch):
    write_series(tmp_path / "patient7", small_chest(0), PixelSpacing=[0.7, 0.7])
    monkeypatch.chdir(tmp_path)
    found = re.findall(
        r"^(?:\.venv/bin/)?python main.py (--run (?:enhance|simulate) [^#\n]*)",
        (ROOT / page).read_text("utf-8"),
        re.MULTILINE,
    )
    assert found
    for command in found:
        scale = 2 if "--input-kind" in command else 1
        shutil.copytree(checkpoints[scale], "checkpoint")
        assert cli.main(command.split()) == 0
        shutil.rmtree("checkpoint")
        shutil.rmtree(command.split("--output ")[1].split()[0])


def test_a_simulated_low_dose_is_enhanced_and_an_enhanced_scan_is_refused(checkpoints, tmp_path):
    write_scan(tmp_path / "volume", "1.2.3", small_chest(0))
    write_series(tmp_path / "series", small_chest(0), PixelSpacing=[0.7, 0.7])
    given = f"--checkpoint-dir {checkpoints[1]}"
    for kind in ("volume", "series"):
        low, out = tmp_path / f"low-{kind}", tmp_path / f"out-{kind}"
        text = f"--run simulate --input {tmp_path / kind} --dose 0.5 --photons 1e5 --output {low}"
        assert cli.main(text.split()) == 0
        (first, *_) = sorted(p for p in low.iterdir() if p.suffix in (".mhd", ".dcm"))
        run(f"{given} --input {low} --output {out}")
        run(f"{given} --input {first} --output {out}-first")
        with pytest.raises(UserError, match="output of this program"):
            run(f"{given} --input {out} --output {tmp_path}/again")


def test_what_a_network_does_not_know_and_what_it_knows_too_well_is_said(tmp_path, capsys):
    """Noise beyond the training's, with the test that would tell; and a patient of the training."""
    rows, columns = np.mgrid[:160, :160] / 160 - 0.5
    body = np.where((rows / 0.4) ** 2 + (columns / 0.45) ** 2 < 1, 40, -1000)
    volume = body + np.random.default_rng(0).normal(0, 30, (2, 160, 160))
    series = write_series(tmp_path / "series", np.rint(volume).astype(np.int16), PatientID="P7")
    made = trained("patient:P7").manifest
    made = replace(
        made,
        best={},
        settings={"generator": "fast", "scale": 1},
        noise_range=NoiseRange(5.0, 15.0, 3),
    )
    (tmp_path / "checkpoint").mkdir()
    network = generator.build("fast", 1, seed=5)
    checkpoint_models.save_model(tmp_path / "checkpoint", "srgan", network, made)
    run(
        f"--checkpoint-dir {tmp_path}/checkpoint --input {series} --output {tmp_path}/out "
        f"--report-dir {tmp_path}/report"
    )
    said, about = capsys.readouterr(), json.loads((tmp_path / "out/enhanced.json").read_text())
    trust, noise_hu = about["trust"], about["trust"]["input_noise"]["median_hu"]
    assert noise_hu == pytest.approx(30, rel=0.1)
    assert "flat soft tissue (median of 2 slices" in said.out
    assert trust["input_noise_is"] == "noisier"
    assert trust["seen_in_training"] == ["patient"]
    assert "P7" not in json.dumps(about)
    assert str(tmp_path) not in json.dumps(about)
    wanted = 500 * (15 / noise_hu) ** 2  # lambda of the training is 500 to 5000
    assert f"--run test --noise-lambda {round(wanted, -1):.0f} makes one" in said.err
    assert "trained or validated on this patient (its patient ID)" in said.err
    assert [line in said.err for line in trust["warnings"]] == [True, True]


def test_strength_takes_a_model_or_a_mixture_and_names_what_it_took(checkpoints, tmp_path, capsys):
    folder = tmp_path / "checkpoint"
    shutil.copytree(checkpoints[1], folder)
    made = manifest(best={}, settings={"generator": "fast", "scale": 1})
    model = generator.build("fast", 1, seed=6)
    bias = model.get_layer("correction").bias
    bias.assign(np.full(bias.shape, 0.1))  # 20 HU: a tenth of a tenth of 2047.5
    checkpoint_models.save_model(folder, "srresnet", model, made)
    volume = small_chest(0).clip(-1000)
    series = write_series(tmp_path / "series", volume)
    given = f"--checkpoint-dir {folder} --input {series} --precision float32"
    names = {"0": "SRResNet x1", "0.5": "SRGAN 0.5 x1", "1": "SRGAN x1"}
    for text, title in names.items():
        out = tmp_path / f"out{text}"
        assert run(f"{given} --strength {text} --output {out}") == 0
        more = (1 - float(text)) * 20.475
        np.testing.assert_allclose(hu_of(out), volume + more, atol=0.6)
        about = json.loads((out / "enhanced.json").read_text())
        assert about["strength"] == float(text)
        first = pydicom.dcmread(next(out.glob("*.dcm")))
        assert title in first.SeriesDescription
        assert about["model"] in first.DerivationDescription
    assert about["model"] == "srgan-0000003"
    (half,) = (tmp_path / "out0.5").glob("enhanced.json")
    said = json.loads(half.read_text())
    assert said["model"] == "srresnet-0000003 and srgan-0000003 at strength 0.5"
    assert said["weights_sha256"].count(" and ") == 1
    given = f"--checkpoint-dir {checkpoints[1]} --input {series} --output {tmp_path}/n"
    with pytest.raises(UserError, match="needs the SRResNet"):
        run(f"{given} --strength 0.5")
    assert not (tmp_path / "n").exists()


def test_ensemble_is_used_and_is_said_in_all_that_is_written(tmp_path, capsys):
    """A network that makes a checkerboard of 20 HU, which no mean over flips has."""
    folder = tmp_path / "checkpoint"
    folder.mkdir()
    model = generator.build("fast", 1, seed=5)
    model.get_layer("correction").bias.assign([0.1, -0.1, -0.1, 0.1])
    made = manifest(best={}, settings={"generator": "fast", "scale": 1})
    checkpoint_models.save_model(folder, "srgan", model, made)
    volume = small_chest(0, slices=2).clip(-1000)
    series = write_series(tmp_path / "series", volume, SeriesDescription="chest " * 9)
    given = f"--checkpoint-dir {folder} --input {series} --precision float32"
    for more, board_hu in (("", 20.475), (" --ensemble", 0)):
        out = tmp_path / f"out{board_hu}"
        assert run(f"{given} --output {out}{more}") == 0
        np.testing.assert_allclose(np.abs(hu_of(out) - volume), board_hu, atol=1)
        about = json.loads((out / "enhanced.json").read_text())
        first = pydicom.dcmread(next(out.glob("*.dcm")))
        said = ["eight passes instead of one" in capsys.readouterr().out]
        said += ["ensemble" in t for t in (first.SeriesDescription, first.DerivationDescription)]
        assert [about["ensemble"], *said] == [board_hu == 0] * 4
        assert len(first.SeriesDescription) <= 64
