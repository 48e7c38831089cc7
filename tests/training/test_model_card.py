import dataclasses
import re
from types import SimpleNamespace

import numpy as np
import pytest

from srgan import settings
from srgan.settings import degradation_of, make
from srgan.training import checkpoint_models, model_card
from srgan.training.health import Health, Warned
from tests.helpers.made_manifest import manifest

MODEL = SimpleNamespace(get_weights=lambda: [np.zeros(3)])


def real_manifest(**given):
    made = make(given)
    return manifest(
        settings=settings.record(made), degradation=degradation_of(made).as_json(), step=5
    )


def test_readme_says_what_the_model_is_how_it_was_trained_and_how_it_is_loaded(tmp_path):
    checkpoint_models.save_model(tmp_path, "srresnet", MODEL, real_manifest())
    text = (tmp_path / "srresnet-0000005" / "README.md").read_text()
    for part in (
        "SRResNet", "step 5", "(4h, 4w) HU out", "Not a medical device", "real scans; 1 patients",
        "1 slices for training", "lambda 500:5000 photons", "window -1024 to 3071 HU | 20.00 dB",
        'srgan.load("checkpoint", strength=0)', "--run test",
    ):  # fmt: skip
        assert part in text, part


def test_readme_names_doses_photons_and_warnings(tmp_path):
    made = real_manifest(noise="projection")
    photons = {"median": 4e5, "low": 3e5, "high": 5e5, "sd_hu": 12.0}
    health = Health(warnings=[Warned(4, "below-input", "the GAN is below its own input")])
    made = manifest(settings=made.settings, photons=photons, health=health)
    text = model_card.text("srgan", made)
    assert "dose 0.1:0.5" in text
    assert "median 4e+05" in text
    assert "Warning at step 4: the GAN is below" in text
    assert "A GAN can invent detail" in text
    assert "Not recorded" in text


def test_readme_names_real_pairs_and_whether_they_were_simulated():
    made = real_manifest(noise="pairs")
    assert "Low dose: real pairs: low dose as measured" in (text := model_card.text("srgan", made))
    assert "not measured" not in text
    data = dataclasses.replace(made.data, simulated_pairs=True)
    made = dataclasses.replace(made, data=data)
    assert "(some made by --run simulate, not measured)" in model_card.text("srgan", made)


def test_readme_may_be_edited_or_deleted_and_an_edited_one_is_kept(tmp_path):
    for step in (3, 4):
        checkpoint_models.save_model(tmp_path, "srgan", MODEL, manifest(step=step))
    (tmp_path / "srgan-0000004" / "README.md").unlink()
    edited = tmp_path / "srgan-0000003" / "README.md"
    edited.write_text("mine")
    assert checkpoint_models.load(tmp_path).models["srgan"].name == "srgan-0000004"
    for step in (5, 6):
        checkpoint_models.save_model(tmp_path, "srgan", MODEL, manifest(step=step))
    assert edited.read_text() == "mine"
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "srgan-0000003", "srgan-0000005", "srgan-0000006",
    ]  # fmt: skip


@pytest.mark.parametrize("name", ["srresnet", "srgan"])
def test_readme_is_markdown_without_a_long_line(name):
    text = model_card.text(name, real_manifest(noise="projection"))
    prose = re.sub(r"```.*?```|^\|.*$|^- .*$", "", text, flags=re.S | re.M)
    assert max(map(len, prose.splitlines())) <= 110
    assert "{" not in text
