"""`pip install .`: what it declares, that it is complete, and that `import srgan` is light."""

import ast
import os
import shutil
import subprocess
import sys
import tomllib

import pytest
from packaging.requirements import Requirement

import srgan
from tests.conftest import ROOT, small_chest, write_scan

REQUIREMENTS = ("requirements.txt", "requirements-onnx.txt", "requirements-dev.txt")
PACKAGED = ("srgan", "pyproject.toml", *REQUIREMENTS[:2], "README.md", "LICENSE")
IMPORTED_AS = {"python-gdcm": "gdcm", "scikit-image": "skimage"}
NOT_IMPORTED = {"python-gdcm", "simpleitk"}  # pydicom loads gdcm; the tests use SimpleITK


def lines_of(name: str) -> list[str]:
    return (ROOT / name).read_text(encoding="utf-8").splitlines()


def requirements(name: str) -> dict[str, Requirement]:
    """Name in small letters to requirement. No name stands twice."""
    texts = [line.split("#")[0].strip() for line in lines_of(name) if not line.startswith("-r")]
    found = {r.name.lower(): r for r in map(Requirement, texts)}
    assert len(found) == len(texts)
    return found


def third_party_imports() -> set[str]:
    known = {"srgan", *sys.stdlib_module_names}
    found = set()
    for path in (ROOT / "srgan").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                found |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level:
                found.add(node.module.split(".")[0])
    return found - known


@pytest.mark.parametrize("name", REQUIREMENTS)
def test_every_requirement_has_bounds_and_a_reason(name):
    for line in lines_of(name):
        if not line.startswith("-r"):
            requirement, _, reason = line.partition("#")
            assert reason.strip(), line
            assert {s.operator for s in Requirement(requirement.strip()).specifier} == {">=", "<"}


def test_pyproject_takes_dependencies_and_version_from_their_one_place():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    dynamic = {"version", "dependencies", "optional-dependencies"}
    assert set(project["project"]["dynamic"]) == dynamic
    assert not dynamic & set(project["project"])
    assert project["tool"]["setuptools"]["dynamic"] == {
        "version": {"attr": "srgan.__version__"},
        "dependencies": {"file": "requirements.txt"},
        "optional-dependencies": {"onnx": {"file": "requirements-onnx.txt"}},
    }
    assert lines_of("requirements-dev.txt")[:2] == [f"-r {name}" for name in REQUIREMENTS[:2]]


def test_requirements_are_what_the_package_imports():
    needed = requirements("requirements.txt") | requirements("requirements-onnx.txt")
    names = {IMPORTED_AS.get(name, name): name for name in needed}
    modules = {name.lower() for name in third_party_imports()}
    assert modules <= set(names)
    assert {names[m] for m in set(names) - modules} == NOT_IMPORTED


def test_import_srgan_loads_no_tensorflow_and_nothing_else_heavy():
    script = """
import sys
import srgan
heavy = ("tensorflow", "keras", "scipy", "pydicom", "SimpleITK", "matplotlib", "skimage")
print([name for name in heavy if name in sys.modules])
"""
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


@pytest.mark.slow
def test_pip_install_gives_the_command_and_every_file_of_the_package(tmp_path):
    """Needs no network: setuptools and the dependencies are those of this environment."""
    source, target, empty = tmp_path / "source", tmp_path / "target", tmp_path / "empty"
    ignored = shutil.ignore_patterns("__pycache__")
    for name in PACKAGED:  # a copy: setuptools builds beside its source
        path = ROOT / name
        if path.is_dir():
            shutil.copytree(path, source / name, ignore=ignored)
        else:
            shutil.copy(path, source)
    empty.mkdir()
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    options = ["--no-deps", "--no-index", "--no-build-isolation", "--target", str(target)]
    subprocess.run([*pip, *options, str(source)], check=True, cwd=empty)

    def files(folder):
        return {
            path.relative_to(folder)
            for path in folder.rglob("*")
            if path.is_file() and path.suffix != ".pyc"
        }

    assert files(target / "srgan") == files(source / "srgan")
    (metadata,) = target.glob("srgan_ct-*.dist-info/METADATA")
    fields = [line.split(": ", 1) for line in metadata.read_text("utf-8").splitlines() if line]
    declared = {Requirement(f[1]) for f in fields if f[0] == "Requires-Dist"}
    extra = {
        Requirement(f'{each}; extra == "onnx"')
        for each in requirements("requirements-onnx.txt").values()
    }
    assert declared == set(requirements("requirements.txt").values()) | extra
    assert ["Version", srgan.__version__] in fields

    scan, copy = tmp_path / "scan", tmp_path / "copy"  # by spawned processes, given two CPUs
    write_scan(scan, "1.2.3", small_chest(0))
    simulate = ["simulate", "--dose", "0.5", "--photons", "1e5"]
    program = [sys.executable, str(target / "bin" / "srgan")]
    environment = {**os.environ, "PYTHONPATH": str(target)}
    for arguments, code, text in (
        (["--help"], 0, "\n  srgan train --train-minutes 20\n"),
        (["--run", "test", "--help"], 0, "usage: srgan test [options]"),
        (["train", "--scale", "3"], 2, "srgan: --scale: '3' is not one of 1, 2, 4"),
        (["simulate", "--noise-hu", "20"], 0, "photons a reading"),
        ([*simulate, "--input", str(scan), "--output", str(copy)], 0, "3 slices at 50 %"),
    ):
        done = subprocess.run(
            program + arguments, cwd=empty, env=environment, capture_output=True, text=True,
            check=False,
        )  # fmt: skip
        assert done.returncode == code, done.stderr
        assert text in done.stdout + done.stderr
    assert not list(empty.iterdir())
    assert list(copy.glob("*.mhd"))
