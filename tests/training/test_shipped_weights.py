"""The weights that ship: found by name and scale, whole or refused, never written to."""

import json
import shutil

import numpy as np
import pytest

import srgan
from srgan.system.errors import UserError
from srgan.training import shipped_weights
from srgan.training.manifest import MODELS


def test_each_scale_has_its_own_and_4_is_the_default(shipped):
    for scale, found in ((4, None), (4, 4), (1, 1)):
        trained = shipped_weights.load(found)
        assert trained.settings["scale"] == scale
        assert {path.parent for path in trained.models.values()} == {shipped / f"scale{scale}"}
    said = shipped_weights.described(shipped_weights.load(1))
    assert said.startswith("the shipped weights: SRResNet and SRGAN of scale 1, trained on 7 slice")
    assert "projection noise" in said
    assert "3 patients" in said


def test_a_scale_that_does_not_ship_and_a_copy_without_weights_are_one_line(shipped, monkeypatch):
    with pytest.raises(UserError, match=r"no weights of scale 2 ship .*: it has .* 1 and 4$"):
        shipped_weights.load(2)
    monkeypatch.setattr(shipped_weights, "FOLDER", shipped / "none")
    with pytest.raises(UserError, match=r"this copy of it has none$"):
        shipped_weights.load()


@pytest.mark.parametrize("name", ["generator.npz", "manifest.json"])
def test_a_damaged_file_is_one_line_that_says_what_to_do(shipped, name):
    path = next((shipped / "scale1").glob(f"srgan-*/{name}"))
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    for load in (shipped_weights.load, lambda scale: srgan.load(scale=scale)):
        with pytest.raises(UserError, match=r"shipped weights cannot be used: .*install the"):
            load(1)
    assert shipped_weights.load(4)


def test_srgan_load_takes_them_and_the_scale_chooses(shipped):
    low = np.full((12, 16), -850.0)
    assert srgan.load()(low).shape == (48, 64)
    assert srgan.load(scale=1, strength=0)(low).shape == (12, 16)
    own = shutil.copytree(shipped / "scale1", shipped.parent / "own")
    assert srgan.load(own, scale=1).scale == 1
    with pytest.raises(ValueError, match="have scale 1"):
        srgan.load(own, scale=4)


def test_no_run_writes_to_them(shipped, tmp_path):
    for path in (shipped_weights.NAME, shipped, shipped / "scale4"):
        with pytest.raises(UserError, match="name another folder"):
            shipped_weights.refuse_to_write(path, "--checkpoint-dir")
    shipped_weights.refuse_to_write(tmp_path, "--checkpoint-dir")


@pytest.mark.parametrize("scale", [4, 1])
def test_those_of_this_copy_are_whole_fit_their_networks_and_have_cards_of_their_own(scale):
    if not shipped_weights.FOLDER.exists():
        pytest.skip("this copy has no shipped weights")
    trained = shipped_weights.load(scale)
    assert set(trained.models) == {"srresnet", "srgan"}
    for name, path in trained.models.items():
        hu = srgan.load(scale=scale, strength=MODELS.index(name))(np.full((16, 16), 40.0))
        assert np.abs(hu - 40).max() < 30
        about = json.loads((path / "model_card.json").read_text())
        assert about["network"]["weights_sha256"] == {name: trained.sha256[name]}
        assert about["test"]["levels"]
        assert about["data"]["collections"]
    files = [p for p in shipped_weights.FOLDER.rglob("*") if p.is_file()]
    assert sum(p.stat().st_size for p in files) <= 12_000_000
