"""What must not act on a run does not; what the program needs is there, or one line says so."""

import ast
import importlib.metadata
import os
import runpy
import subprocess
import sys

import pytest
from packaging.requirements import Requirement

from srgan.system import surroundings
from srgan.system.errors import UserError
from srgan.system.files import named_in_utf8
from tests.conftest import ROOT

MUST_NOT_ACT = (
    "KERAS_BACKEND",
    "KERAS_MAX_EPOCHS",
    "KERAS_NNX_ENABLED",
    "TF_ENABLE_ONEDNN_OPTS",
    "TF_DETERMINISTIC_OPS",
    "TF_USE_LEGACY_KERAS",
    "TF_XLA_FLAGS",
    "TF_SET_ONEDNN_FPMATH_MODE",
    "TF_CUDNN_USE_AUTOTUNE",
    "TF_UNKNOWN_TO_US",
    "XLA_FLAGS",
    "ONEDNN_DEFAULT_FPMATH_MODE",
    "NVIDIA_TF32_OVERRIDE",
    "NPY_DISABLE_CPU_FEATURES",
)
SYSTEM = ("os", "signal", "sys")  # what main.py imports before it checks Python's version
MAY_ACT = (
    "KERAS_HOME",
    "TF_CONFIG",
    "TF_CPP_MIN_LOG_LEVEL",
    "TF_FORCE_GPU_ALLOW_GROWTH",
    "TF_GPU_ALLOCATOR",
    "TF_NUM_INTRAOP_THREADS",
    "CUDA_VISIBLE_DEVICES",
    "OMP_NUM_THREADS",
)


@pytest.fixture
def environment(monkeypatch):
    """The environment, which a test may change in any way."""
    before = dict(os.environ)
    yield os.environ
    os.environ.clear()
    os.environ.update(before)


def test_variables_that_change_the_figures_are_removed_and_others_stay(environment):
    environment.update(dict.fromkeys((*MUST_NOT_ACT, *MAY_ACT), "2"))
    environment["MPLBACKEND"] = "module://matplotlib_inline.backend_inline"
    surroundings.set_up()
    assert not set(MUST_NOT_ACT) & set(environment)
    assert {environment[name] for name in MAY_ACT} == {"2"}
    assert environment["MPLBACKEND"] == "agg"


def test_log_level_of_tensorflow_is_quiet_unless_it_is_set(environment):
    environment.pop("TF_CPP_MIN_LOG_LEVEL", None)
    surroundings.set_up()
    assert environment["TF_CPP_MIN_LOG_LEVEL"] == "3"


def test_a_user_without_a_home_gets_one_that_is_nowhere(environment, monkeypatch):
    import pwd

    def unknown(number):
        raise KeyError(number)

    del environment["HOME"]
    monkeypatch.setattr(pwd, "getpwuid", unknown)
    assert surroundings.home() is None
    surroundings.set_up()
    assert not surroundings.home().exists()
    with pytest.raises(OSError, match="Not a directory"):
        surroundings.home().mkdir(parents=True)


def test_a_current_folder_that_is_gone_is_named_where_paths_are_relative(small_scans, tmp_path):
    folder = tmp_path / "gone"
    folder.mkdir()
    command = f"{ROOT / 'main.py'} train --data {small_scans} --pretrain-steps 0 --gan-steps 0"
    done = subprocess.run(
        [sys.executable, *command.split()],
        cwd=folder,
        preexec_fn=folder.rmdir,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 75
    assert done.stderr.startswith("main.py: the current folder is gone: ")
    assert done.stderr.count("\n") == 1


def test_a_folder_that_is_not_utf8_has_a_name_that_is(tmp_path, monkeypatch):
    def written(folder):
        with named_in_utf8(folder) as named:
            (named / "file").write_text("x")
            assert str(named).isascii()
        return named, (folder / "file").read_text()

    odd, plain = tmp_path / os.fsdecode(b"\xff"), tmp_path / "plain"
    for folder in (odd, plain):
        folder.mkdir()
    assert written(plain) == (plain, "x")
    assert written(odd)[1] == "x"
    # In a Latin-1 locale the name of b"\xc3\xa4" is two letters, and TensorFlow takes UTF-8.
    monkeypatch.setattr(os, "fsencode", lambda path: b"other bytes")
    assert written(plain) != (plain, "x")


# ---- Keras ----

FAKE_KERAS = """
import os
found = [os.environ[name] for name in ("KERAS_BACKEND", "KERAS_HOME")]
class backend:
    def backend(): return found[0]
"""


def run_python(code: str, tmp_path, **environment) -> subprocess.CompletedProcess:
    (tmp_path / "keras").mkdir()
    (tmp_path / "keras" / "__init__.py").write_text(FAKE_KERAS)
    code = f"import sys; sys.path[:0] = [{str(tmp_path)!r}, {str(ROOT)!r}]\n{code}"
    variables = {**os.environ, **environment}
    return subprocess.run(
        [sys.executable, "-c", code], env=variables, capture_output=True, text=True
    )


@pytest.mark.parametrize("with_keras_json", [False, True])
def test_keras_is_imported_with_tensorflow_and_keras_json_where_it_is_wanted(
    tmp_path, with_keras_json
):
    code = (
        "import os\n"
        "from srgan.system import surroundings\n"
        f"print(surroundings.import_keras({with_keras_json}).found)\n"
        "print([os.environ.get(n) for n in ('KERAS_BACKEND', 'KERAS_HOME')])"
    )
    done = run_python(code, tmp_path, KERAS_BACKEND="jax", KERAS_HOME="mine")
    imported, after = done.stdout.splitlines()
    assert imported == str(["tensorflow", "mine" if with_keras_json else surroundings.NOWHERE])
    assert after == str(["jax", "mine"])
    assert not os.path.exists(surroundings.NOWHERE)


def test_keras_that_runs_on_another_backend_already_is_refused(tmp_path):
    code = "import keras\nfrom srgan.system import surroundings\nsurroundings.import_keras()"
    done = run_python(code, tmp_path, KERAS_BACKEND="jax", KERAS_HOME="mine")
    assert "UserError: Keras runs on jax in this process" in done.stderr


# ---- versions ----


def test_supported_versions_are_those_of_requirements_txt():
    lines = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    found = {
        r.name: r.specifier for line in lines if (r := Requirement(line.split("#")[0].strip()))
    }
    for name, (first, too_new) in surroundings.VERSIONS.items():
        assert {(s.operator, s.version) for s in found[name]} == {(">=", first), ("<", too_new)}


@pytest.mark.parametrize("version", ["2.18.1", "2.22.0", "2.22.0rc0", "1.15", "3.0.0.dev1"])
def test_tensorflow_outside_the_supported_versions_is_one_line_before_any_work(
    version, monkeypatch, tmp_path, capsys
):
    from srgan import cli

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(importlib.metadata, "version", lambda name: version)
    assert cli.main(["train"]) == 2
    said = capsys.readouterr().err
    assert f"tensorflow {version} is installed; this program needs at least 2.19 and less" in said
    assert said.count("\n") == 1
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("version", ["2.19.0", "2.21.0", "2.21.1rc2", "2.20"])
def test_tensorflow_of_a_supported_version_is_taken(version, monkeypatch):
    versions = {"tensorflow": version, "keras": "3.11.3"}
    monkeypatch.setattr(importlib.metadata, "version", versions.get)
    surroundings.check_versions()


def test_tensorflow_that_is_missing_is_one_line(monkeypatch):
    def missing(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "version", missing)
    surroundings.check_versions()  # it is here, under the name of another package
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"tensorflow is not installed here: pip install"):
        surroundings.check_versions()


def test_another_package_that_is_missing_is_one_line(monkeypatch, capsys):
    from srgan import cli

    monkeypatch.setitem(sys.modules, "srgan.commands.train", None)
    with pytest.raises(ModuleNotFoundError, match="srgan"):
        cli.main(["train"])
    monkeypatch.delitem(sys.modules, "srgan.commands.train")
    monkeypatch.setattr(cli, "_command", lambda verb: __import__("no_such_package"))
    assert cli.main(["train"]) == 2
    assert capsys.readouterr().err.startswith("main.py: no_such_package is not installed here: ")


def test_python_that_is_too_old_is_one_line_before_any_import(monkeypatch, capsys):
    source = (ROOT / "main.py").read_text(encoding="utf-8")
    first = ast.parse(source, feature_version=(3, 7)).body[1:5]
    assert [ast.unparse(node) for node in first[:3]] == [f"import {m}" for m in SYSTEM]
    assert isinstance(first[3], ast.If)
    monkeypatch.setattr(sys, "version_info", (3, 10, 4))
    monkeypatch.setitem(sys.modules, "srgan.cli", None)  # its import would raise
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(ROOT / "main.py"), run_name="__main__")
    assert ended.value.code == 2
    assert capsys.readouterr().err == "main.py: Python 3.11 or newer is needed, this is 3.10\n"


# ---- streams ----


def run_closed(arguments: list[str], *closed: int) -> subprocess.CompletedProcess:
    def close():
        for number in closed:
            os.close(number)

    command = [sys.executable, *arguments]
    return subprocess.run(command, cwd=ROOT, preexec_fn=close, capture_output=True, text=True)


def test_main_finds_the_program_where_python_does_not_look_beside_it(tmp_path):
    command = [sys.executable, "-P", str(ROOT / "main.py"), "--help"]
    assert subprocess.run(command, cwd=tmp_path, capture_output=True).returncode == 0


def test_closed_streams_are_no_error(tmp_path):
    assert run_closed(["main.py", "--help"], 0, 1, 2).returncode == 0
    done = run_closed(["main.py", "train", "--data", f"{tmp_path}/none"], 0, 1)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert run_closed(["main.py", "fly"], 2).returncode == 2


def test_a_file_never_takes_the_number_of_a_closed_stream(tmp_path):
    code = (
        "import os\n"
        "from srgan.system import surroundings\n"
        "surroundings.open_streams()\n"
        f"file = open({str(tmp_path / 'file')!r}, 'w')\n"
        "print('out', flush=True)\n"
        "os.write(2, b'from a library')\n"
        "assert file.fileno() > 2"
    )
    assert run_closed(["-c", code], 0, 1, 2).returncode == 0
    assert (tmp_path / "file").read_text() == ""
