"""benchmarks/ship_weights.py: a finished training becomes the shipped weights, with their cards."""

import dataclasses
import json
import shutil

import numpy as np
import pytest

from benchmarks import ship_weights
from srgan.export import card
from srgan.report import summary_json
from srgan.system.errors import UserError
from srgan.training import checkpoint_folder, shipped_weights
from tests.helpers import made_shipped
from tests.helpers.made_report import ABOUT, two_doses

SHIPPED = card.Shipped("MIT.", ship_weights.collections(ship_weights.COLLECTIONS), "a PC", "python")


@pytest.fixture
def checkpoint(tmp_path, monkeypatch):
    """A finished training of scale 1; there are shipped weights of an older one."""
    folder = tmp_path / "weights"
    made_shipped.write(tmp_path / "made", scales=(1,))
    monkeypatch.setattr(shipped_weights, "FOLDER", folder)
    old = folder / "scale1" / "srgan-0000001"
    old.mkdir(parents=True)
    return tmp_path / "made" / "scale1"


def test_the_newest_networks_replace_those_of_their_scale_byte_for_byte(checkpoint):
    assert ship_weights.ship(checkpoint, float16=False) == 1
    trained = shipped_weights.load(1)
    names = {"srresnet-0000003", "srgan-0000003"}
    assert {p.name for p in shipped_weights.folder(1).iterdir()} == names
    assert not list(shipped_weights.FOLDER.glob(".*"))
    for name, path in trained.models.items():
        wanted = (checkpoint / path.name / "generator.npz").read_bytes()
        assert trained.weights[name] == wanted
    assert trained.manifest.data == checkpoint_folder.read(checkpoint / path.name).manifest.data


def test_float16_halves_them_and_keeps_three_digits(checkpoint):
    ship_weights.ship(checkpoint, float16=True)
    a, b = (
        np.load(folder / "srgan-0000003/generator.npz")
        for folder in (checkpoint, shipped_weights.folder(1))
    )
    assert all(b[name].dtype == np.float16 for name in a.files)
    assert all(np.allclose(a[name], b[name], rtol=1e-3, atol=1e-7) for name in a.files)
    assert shipped_weights.load(1).network("srgan").get_weights()[0].dtype == np.float32


def test_a_training_without_both_networks_or_too_large_changes_nothing(checkpoint, monkeypatch):
    monkeypatch.setattr(ship_weights, "MOST_BYTES", 1000)
    with pytest.raises(UserError, match="MB: add --float16"):
        ship_weights.ship(checkpoint, float16=False)
    shutil.rmtree(checkpoint / "srgan-0000003")
    with pytest.raises(UserError, match="does not hold a SRResNet and a SRGAN"):
        ship_weights.ship(checkpoint, float16=False)
    assert [p.name for p in shipped_weights.FOLDER.rglob("*")] == ["scale1", "srgan-0000001"]


def test_each_network_has_a_card_with_scans_licences_machine_and_metrics(checkpoint, tmp_path):
    ship_weights.ship(checkpoint, float16=False)
    trained = shipped_weights.load(1)
    tested = {**ABOUT.checkpoint, "models": trained.sha256}
    summary_json.write(tmp_path, two_doses(), dataclasses.replace(ABOUT, checkpoint=tested))
    ship_weights.write_cards(1, SHIPPED, tmp_path)
    for name, path in shipped_weights.load(1).models.items():  # still whole
        found = json.loads((path / card.FILE).read_text())
        text = (path / "README.md").read_text()
        assert found["network"]["weights_sha256"] == {name: trained.sha256[name]}
        assert found["network"]["weights_licence"] == "MIT."
        assert len(found["data"]["collections"]) == text.count("| CC BY ") == 12
        assert found["training"]["settings"]["dose"] == "0.05:0.5"
        assert [each["noise"]["dose"] for each in found["test"]["levels"]] == ["0.5", "0.25"]
        assert f"| metric | bicubic | {name} |" in text
        assert trained.sha256[name] in text
        assert "a PC; float32" in text
        assert "srgan.load(scale=1, strength=" in text
        assert str(tmp_path) not in text + json.dumps(found)
        again, test = card.of_shipped(shipped_weights.load(1), name)  # as export takes it over
        assert (again, test) == (SHIPPED, found["test"])
    other = dataclasses.replace(trained, weights=dict.fromkeys(trained.weights, b"other"))
    assert card.of_shipped(other, name) is None


def test_the_figures_of_all_cards_stand_on_the_page(checkpoint, tmp_path):
    ship_weights.ship(checkpoint, float16=False)
    tested = {**ABOUT.checkpoint, "models": shipped_weights.load(1).sha256}
    summary_json.write(tmp_path, two_doses(), dataclasses.replace(ABOUT, checkpoint=tested))
    ship_weights.write_cards(1, SHIPPED, tmp_path)
    page = shutil.copy(ship_weights.PAGE, tmp_path / "page.md")
    for _ in range(2):  # again the same
        ship_weights.write_figures(page)
        text = page.read_text("utf-8")
        rows = [line.split(" | ")[:4] for line in text.splitlines() if line.startswith("| 1 | ")]
        assert [row[1:3] for row in rows] == [
            [dose, name] for dose in ("0.5", "0.25") for name in ("bicubic", "SRResNet", "SRGAN")
        ]
        assert [row[3] for row in rows[:3]] == ["12.25", "13.25", "14.25"]
    assert text.startswith("# The weights that ship")
    assert "## Limits" in text


def test_the_table_of_collections_counts_the_patients_that_a_training_uses():
    """Those of ../shared/ct: 49, 5 and 10 patients."""
    rows = SHIPPED.collections
    roles = ("train", "validation", "test")
    assert [sum(r[f"{role}_patients"] for r in rows) for role in roles] == [49, 5, 10]
    assert all(r["licence"].startswith("CC BY ") and len(r["citation"]) > 40 for r in rows)
