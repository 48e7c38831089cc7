"""Which checkpoint test, enhance and export use: the user's own, or the shipped weights."""

import json
import shutil
from pathlib import Path

import pytest

from srgan.commands import chosen_checkpoint, initial_model
from srgan.commands.compare import load as load_compared
from srgan.commands.enhance import enhance
from srgan.commands.evaluate import test as run_test
from srgan.commands.train import train
from srgan.dataset import build_store
from srgan.settings import dataset_paths, make
from srgan.system.errors import UserError
from srgan.training import shipped_weights
from tests.conftest import small_chest, write_scan
from tests.helpers import made_shipped


@pytest.fixture
def shipped(shipped, tmp_path, monkeypatch):
    """The shipped weights, and an empty current folder."""
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    return shipped


def scale_of(**given):
    trained, completed = chosen_checkpoint.load(given)
    return trained.settings["scale"], str(completed["checkpoint_dir"])


def test_without_a_training_they_are_used_and_one_line_says_so(shipped, said):
    assert scale_of() == (4, "shipped")
    (line,) = said
    assert line.startswith("no trained model in checkpoint: uses the shipped weights: SRResNet and")
    assert scale_of(scale=1) == (1, "shipped")


def test_a_folder_of_a_training_goes_first_unless_they_are_named(shipped, said):
    shutil.copytree(shipped / "scale1", "checkpoint")
    assert scale_of() == (1, "checkpoint")
    assert not said
    assert scale_of(checkpoint_dir="shipped") == (4, "shipped")
    assert scale_of(checkpoint_dir="shipped", scale=1) == (1, "shipped")
    with pytest.raises(UserError, match="have scale 1: leave it out, or add --checkpoint-dir ship"):
        chosen_checkpoint.load({"scale": 4})


def test_a_folder_that_was_named_and_has_none_is_an_error_that_names_them(shipped):
    with pytest.raises(UserError, match=r"no trained model in .*weights.*, such as shipped for"):
        scale_of(checkpoint_dir=shipped)


def test_a_run_that_kept_no_model_is_not_replaced_by_them(shipped, tmp_path):
    (tmp_path / "here/checkpoint/step-0000003").mkdir(parents=True)
    with pytest.raises(UserError, match="no trained model in checkpoint"):
        scale_of()


def test_they_can_be_compared_with_a_checkpoint(shipped):
    main, given = chosen_checkpoint.load(
        {"checkpoint_dir": Path(shutil.copytree(shipped / "scale1", "a"))}
    )
    every = load_compared(main, make({**given, "compare": (shipped_weights.NAME,)}, main.settings))
    assert every["B"].sha256 == shipped_weights.load(1).sha256


def test_init_takes_the_model_of_the_first_stage(shipped, said):
    for more, name in (({}, "srresnet"), ({"pretrain_steps": 0, "gan_steps": 9}, "srgan")):
        settings = make({"init": "shipped", "scale": 1, **more})
        initial = initial_model.load(settings)
        assert initial.name == name
        assert initial.origin.sha256 == shipped_weights.load(1).sha256[name]
    assert said[0].startswith(
        "starts from the SRResNet of the shipped weights: SRResNet and SRGAN of scale 1"
    )
    with pytest.raises(UserError, match="no weights of scale 2 ship with this program"):
        initial_model.load(make({"init": "shipped", "scale": 2}))


def test_no_training_writes_into_them(shipped):
    for folder in (shipped_weights.NAME, shipped / "scale4"):
        with pytest.raises(UserError, match="which no run changes"):
            train({"checkpoint_dir": folder})


def test_enhance_works_at_once_at_the_size_of_the_scan_or_enlarged(shipped, tmp_path):
    write_scan(tmp_path / "scan", "1.2.3", small_chest(0, size=64))
    for name, more, scale in (("a", {}, 1), ("b", {"input_kind": "native"}, 4)):
        given = {"input": tmp_path / "scan", "output": tmp_path / name, **more}
        assert enhance(given) == 0
        about = json.loads((tmp_path / name / "enhanced.json").read_text())
        assert about["scale"] == scale
        assert about["weights_sha256"] == shipped_weights.load(scale).sha256["srgan"]


@pytest.mark.slow
def test_a_test_leaves_out_the_patients_that_they_saw(small_scans, tmp_path, monkeypatch, capsys):
    given = {"data": small_scans, "store_dir": tmp_path / "store", "report_dir": tmp_path / "r"}
    store = build_store.open_or_build(dataset_paths(make(given)))
    known = [f"patient:{store.patients[name]}" for name in ("P0001", "P0004")]
    made_shipped.write(tmp_path / "weights", *known, scales=(4,))
    monkeypatch.setattr(shipped_weights, "FOLDER", tmp_path / "weights")
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    assert run_test(given) == 0
    assert (
        "2 of 6 patients were trained or validated on and are left out" in capsys.readouterr().err
    )
    summary = json.loads((tmp_path / "r/summary.json").read_text())
    assert list(summary["patients_by_pseudonym"]) == ["P0002", "P0003", "P0005", "P0006"]
    assert summary["checkpoint"]["models"] == shipped_weights.load(4).sha256
