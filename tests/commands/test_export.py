"""--run export, on checkpoints of small networks."""

import json
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest

import srgan
from srgan import cli
from srgan.commands.export import export
from srgan.export import comparison, onnx_file
from srgan.system.errors import UserError
from srgan.training import checkpoint_models
from srgan.training.manifest import NoiseRange
from tests.conftest import ROOT
from tests.helpers import made_networks
from tests.helpers.forks import stderr_of

FORMATS = ("savedmodel", "onnx", "weights")
SLICES = ((1, 24, 40), (2, 31, 17))
ELSEWHERE = {  # runs with python -I, which finds no srgan, in the folder of the network
    "savedmodel": """
import tensorflow as tf
network = tf.saved_model.load("exported")
served = network.signatures["serving_default"]
def outputs(hu):
    return network(tf.constant(hu)).numpy(), served(low_dose_hu=tf.constant(hu))["normal_dose_hu"]
""",
    "onnx": """
import onnxruntime
network = onnxruntime.InferenceSession("exported/model.onnx")
def outputs(hu):
    return network.run(None, {"low_dose_hu": hu})
""",
}
COMPARE = """
import importlib.util
import numpy as np
pairs = np.load("pairs.npz")
for i in range(len(pairs.files) // 2):
    for hu in outputs(pairs[f"low{i}"]):
        print(np.abs(np.asarray(hu) - pairs[f"normal{i}"]).max())
assert importlib.util.find_spec("srgan") is None
"""


@pytest.fixture(autouse=True)
def small(monkeypatch):
    made_networks.make_small(monkeypatch)


@pytest.fixture
def checkpoint(tmp_path):
    made_networks.save(tmp_path / "checkpoint")
    return tmp_path / "checkpoint"


def run(checkpoint, format="weights", **more):
    if format == "onnx":
        pytest.importorskip("tf2onnx", reason="needs pip install .[onnx]")
    output = checkpoint.parent / "exported"
    given = {"checkpoint_dir": checkpoint, "output": output, "format": format}
    assert export({"report_dir": checkpoint.parent / "report"} | given | more) == 0
    return output


def card_of(output):
    return json.loads((output / "model_card.json").read_text())


def used_elsewhere(folder, format, pairs) -> list[float]:
    """Differences in HU where a process without this program runs the network on (low, normal)."""
    arrays = {
        f"{of}{i}": hu
        for i, pair in enumerate(pairs)
        for of, hu in zip(("low", "normal"), pair, strict=True)
    }
    np.savez(folder / "pairs.npz", **arrays)
    code = ELSEWHERE[format] + COMPARE
    done = subprocess.run(
        [sys.executable, "-I", "-c", code], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return [float(line) for line in done.stdout.split()]


def pairs_of(checkpoint, low):
    enhance = srgan.load(checkpoint)
    return [(batch, np.stack([enhance(hu) for hu in batch])) for batch in low]


@pytest.mark.parametrize("format", [pytest.param("savedmodel", marks=pytest.mark.slow), "onnx"])
def test_a_process_without_this_program_gets_what_load_gives(checkpoint, format, capsys):
    run(checkpoint, format)
    said = rf"\S*exported holds the network srgan as {format}; .* at most [\d.e-]+ HU\n"
    assert re.fullmatch(said, capsys.readouterr().out)
    rng = np.random.default_rng(0)
    low = [rng.normal(-400, 400, shape).astype(np.float32) for shape in SLICES]
    differences = used_elsewhere(checkpoint.parent, format, pairs_of(checkpoint, low))
    assert len(differences) in (2, 4)
    assert max(differences) < 0.05


def test_the_card_says_what_the_network_is(checkpoint):
    output = run(checkpoint)
    card, text = card_of(output), (output / "README.md").read_text()
    assert card["network"] == {
        "name": "srgan",
        "generator": "fast",
        "scale": 2,
        "parameters": made_networks.network().count_params(),
        "strength": 1.0,
        "step": 3,
        "weights_sha256": checkpoint_models.load(checkpoint).sha256,
        "weights_licence": None,
    }
    assert card["data"]["patients"] == 1
    assert card["dose_model"]["noise_lambda"] == "500:5000"
    assert card["test"] is None
    assert set(card["exported"]["files_sha256"]) == {"weights.npz"}
    for said in (
        "Not a medical device",
        "lambda 500:5000 photons",
        'build("fast", 2)',
        *card["limits"],
    ):
        assert said in text, said
    assert str(checkpoint.parent) not in text + json.dumps(card)
    assert sorted(path.name for path in output.iterdir()) == [
        "README.md", "model_card.json", "weights.npz",
    ]  # fmt: skip


def test_it_is_the_srgan_or_else_the_srresnet(tmp_path):
    noise = NoiseRange(12.0, 31.5, 16)
    made_networks.save(tmp_path / "checkpoint", "srresnet", step=2, noise_range=noise)
    output = run(tmp_path / "checkpoint")
    card = card_of(output)
    assert (card["network"]["name"], card["validation"]["psnr_db"]) == ("srresnet", 20.0)
    assert card["dose_model"]["input_noise_hu"] == [12.0, 31.5]
    assert any("noise of 12.0 to 31.5 HU" in line for line in card["limits"])
    assert card["validation"]["psnr_window_hu"] == [-1024, 3071]
    assert "| PSNR, window -1024 to 3071 HU | 20.00 dB |" in (output / "README.md").read_text()


def test_strength_mixes_both_networks(checkpoint):
    made_networks.save(checkpoint, "srresnet", step=2)
    card = card_of(run(checkpoint, "savedmodel", strength=0.5))["network"]
    assert (card["name"], card["strength"], card["step"]) == ("srgan 0.5", 0.5, 3)
    assert set(card["weights_sha256"]) == {"srresnet", "srgan"}
    text = (checkpoint.parent / "exported" / "README.md").read_text()
    assert text.startswith("# SRGAN of strength 0.5 for")
    assert "A GAN can invent detail" in text


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"format": None}, "needs --format savedmodel, onnx or weights, and --output DIR"),
        ({"output": None}, "needs --format"),
        ({"checkpoint_dir": "none"}, "no trained model in .*none"),
    ],
)
def test_what_is_missing_is_one_line(checkpoint, given, reason):
    given = {name: value and checkpoint.parent / value for name, value in given.items()}
    with pytest.raises(UserError, match=reason):
        run(checkpoint, **given)


def test_a_folder_that_holds_something_stays_as_it_is(checkpoint):
    output = checkpoint.parent / "exported"
    output.mkdir()
    (output / "mine").write_text("text")
    with pytest.raises(UserError, match="not empty"):
        run(checkpoint)
    assert [path.name for path in output.iterdir()] == ["mine"]


@pytest.mark.parametrize("format", FORMATS)
def test_a_network_that_differs_leaves_nothing(checkpoint, format, monkeypatch):
    monkeypatch.setattr(comparison, "BOUND_HU", -1)
    with pytest.raises(UserError, match="differs"):
        run(checkpoint, format)
    assert [path.name for path in checkpoint.parent.iterdir()] == ["checkpoint"]


def test_onnx_without_its_packages_is_told_before_anything_is_read(checkpoint, monkeypatch):
    monkeypatch.setattr(onnx_file, "PACKAGES", ("no_such_package",))
    with pytest.raises(UserError, match="no_such_package"):
        export({"checkpoint_dir": "none", "format": "onnx", "output": checkpoint / "new"})


@pytest.mark.slow
def test_an_export_that_is_killed_at_ten_writes_leaves_the_whole_or_nothing(forks, tmp_path):
    made_networks.save(tmp_path / "checkpoint")
    whole, exported = tmp_path / "new" / "whole", tmp_path / "new" / "exported"
    command = "--run export --format savedmodel --output new"
    assert forks.run(tmp_path, f"{command}/whole") == 0, stderr_of(tmp_path)
    writes = json.loads(stderr_of(tmp_path).rsplit("counts: ", 1)[1])["writes"]
    kills = sorted({1 + k * (writes - 1) // 9 for k in range(10)})
    assert len(kills) >= 5
    for number in kills:
        assert forks.run(tmp_path, f"{command}/exported", last=number) == -9
        if exported.exists():
            assert files_of(exported) == files_of(whole)
            shutil.rmtree(exported)
    assert forks.run(tmp_path, f"{command}/exported") == 0
    assert files_of(exported) == files_of(whole)


def files_of(folder):
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())


@pytest.mark.slow
def test_the_commands_and_examples_of_the_documentation_run(tmp_path, monkeypatch):
    pytest.importorskip("tf2onnx", reason="needs pip install .[onnx]")
    made_networks.save(tmp_path / "checkpoint", scale=4)
    page = (ROOT / "docs" / "export.md").read_text("utf-8")
    (command,) = re.findall(r"python main.py (--run export .*)", page)
    savedmodel, onnx, weights = re.findall(r"```python\n(.*?)```", page, re.S)
    wanted = srgan.load(tmp_path / "checkpoint")(np.full((128, 128), -850))
    for format, examples in (
        ("savedmodel", [savedmodel]), ("onnx", [onnx]), ("weights", [weights])
    ):  # fmt: skip
        (tmp_path / format).mkdir()
        monkeypatch.chdir(tmp_path / format)
        asked = command.replace("--format savedmodel", f"--format {format}")
        _, given = cli.parse(f"{asked} --checkpoint-dir ../checkpoint".split())
        assert export(given) == 0
        for example in examples:
            names = {}
            exec(example, names)
            if format != "weights":
                assert np.abs(names["hu"][0] - wanted).max() < 0.05
    enhance = comparison.of_batch(names["network"])
    assert np.array_equal(enhance(np.full((1, 128, 128), -850)), wanted[None])
