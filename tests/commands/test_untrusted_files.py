"""Files of others are read as arrays and text, never as code, and with a bound on their size."""

import ast
import os
from pathlib import Path

import pytest

from srgan import cli, settings
from srgan.system.errors import UserError, visible
from tests.test_rooms import ROOT, imported, modules

NEVER_CALLED = {"eval", "exec", "load_model", "model_from_json", "from_config", "fromstring"}
NEVER_IMPORTED = {"pickle", "cPickle", "dill", "joblib", "marshal", "shelve", "yaml", "torch"}


def calls(path: Path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call):
            yield getattr(node.func, "attr", getattr(node.func, "id", "")), node


@pytest.mark.parametrize("path", [*modules(), ROOT / "main.py"], ids=lambda p: p.name)
def test_no_module_reads_a_file_as_code(path):
    names = {n.split(".")[0] for n in imported(ast.walk(ast.parse(path.read_text("utf-8"))))}
    assert not names & NEVER_IMPORTED
    for name, call in calls(path):
        assert name not in NEVER_CALLED
        if ast.unparse(call.func) == "np.load":
            said = {k.arg: getattr(k.value, "value", None) for k in call.keywords}
            assert said.get("allow_pickle") is False
        assert not any(k.arg == "allow_pickle" and k.value.value for k in call.keywords)
        assert not any(k.arg == "shell" for k in call.keywords)


def test_keras_is_a_version_that_reads_weights_as_arrays():
    (line,) = [s for s in (ROOT / "requirements.txt").read_text().splitlines() if "keras" in s[:5]]
    floor = line.split(">=")[1].split(",")[0].split(".")
    assert [int(n) for n in floor] >= [3, 11, 3]


def test_a_file_of_arguments_is_a_bounded_regular_file_and_names_no_other(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with open(tmp_path / "large", "wb") as file:
        file.truncate((1 << 20) + 1)
    (tmp_path / "loop").write_text(f"--run\ntrain\n@{tmp_path}/loop\n")
    (tmp_path / "bytes").write_bytes(b"\xff\xfe")
    (tmp_path / "nul").write_bytes(b"--run\ntrain\n--data\na\0b\n")
    names = ["pipe", "large", "loop", "bytes", "nul", ".", "", "x\0y", "/dev/zero"]
    for name in names:
        with pytest.raises(UserError) as error:
            cli.parse([f"@{tmp_path / name}"])
        assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "kept",
    [
        {"vgg_weights": "/etc/passwd"},
        {"vgg_weights": ["file"]},
        {"scale": None},
        {"scale": [4]},
        {"crop": "9" * 5000},
        {"noise_lambda": {"a": 1}},
        {"seed": True},
        {"data": "elsewhere"},
    ],
    ids=str,
)
def test_settings_of_a_checkpoint_name_no_file_and_have_their_types(kept):
    with pytest.raises(UserError):
        settings.from_record(kept)


def test_visible_text_is_one_line_that_a_terminal_does_not_act_on():
    assert visible("a\x1b[2J\n\u202e\udcff é") == r"a\x1b[2J\n\u202e\udcff é"
