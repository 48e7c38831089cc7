"""Imports flow one way: a room imports only from rooms above it, and no circle of modules exists.

A room is a folder or a single file right below srgan/. Imports inside functions count as well,
except where the question is what is loaded at the start.
"""

import ast
import functools
import graphlib
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ORDER = [
    "system", "random_streams", "hounsfield", "hu_check", "masks", "resampling", "formats",
    "phantom", "dataset", "whole_scans", "lowdose", "flag_values", "settings", "metrics", "models",
    "training", "evaluation", "enhancement", "report", "export",
    "commands", "cli",
]  # fmt: skip
COMMAND_LINE = {"flag_values", "settings", "commands", "cli"}
PHYSICS_AND_DATA = {"formats", "dataset", "phantom", "lowdose", "metrics", "system"}
MEASURING = {"metrics", "evaluation"}
SAME_NAMES = {"write.py"}  # of formats/dicom and formats/volumes
TENSORFLOW = {"models", "training", "export"}  # may import it at the top
STARTED_FIRST = {"cli", "commands", "enhancement"}  # whose errors must not wait for TensorFlow


def modules() -> list[Path]:
    return [p for p in sorted((ROOT / "srgan").rglob("*.py")) if p.name != "__init__.py"]


def room_of(path: Path) -> str:
    return path.relative_to(ROOT / "srgan").parts[0].removesuffix(".py")


def module_name(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


@functools.cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def imported(nodes):
    """The modules that statements import; of `from a import b` both a and a.b."""
    for node in nodes:
        if isinstance(node, ast.ImportFrom) and node.level == 0:
            yield node.module
            yield from (f"{node.module}.{a.name}" for a in node.names)
        elif isinstance(node, ast.Import):
            yield from (a.name for a in node.names)


@functools.cache
def graph(at_the_top: bool = False) -> dict[str, set[str]]:
    """Each module of srgan to the modules of srgan that it imports, in functions too or not."""
    paths = {module_name(p): p for p in sorted((ROOT / "srgan").rglob("*.py"))}
    found = {}
    for name, path in paths.items():
        names = set(imported(tree(path).body if at_the_top else ast.walk(tree(path))))
        found[name] = {n for n in names if n in paths and paths[n].name != "__init__.py"}
    return found


def rooms_imported_by(rooms: set[str]) -> dict[str, set[str]]:
    """Each module of these rooms to the rooms that it imports from."""
    return {
        name: {n.split(".")[1] for n in names if "." in n}
        for name, names in graph().items()
        if name.split(".")[1:2] and name.split(".")[1] in rooms
    }


def test_every_room_has_its_place_in_the_order():
    assert {room_of(p) for p in modules()} == set(ORDER)


def test_rooms_import_only_from_rooms_above():
    wrong = [
        f"{name} imports from {room}"
        for name, rooms in rooms_imported_by(set(ORDER)).items()
        for room in rooms
        if ORDER.index(room) > ORDER.index(name.split(".")[1])
    ]
    assert not wrong


def test_no_modules_import_each_other_in_a_circle():
    graphlib.TopologicalSorter(graph()).prepare()  # CycleError names the circle


@pytest.mark.parametrize(
    ("rooms", "others"), [(PHYSICS_AND_DATA, COMMAND_LINE), (MEASURING, {"report"})]
)
def test_rooms_that_know_nothing_of_others(rooms, others):
    found = rooms_imported_by(rooms)
    assert len(found) > len(rooms)
    assert not {name: used & others for name, used in found.items() if used & others}


def test_no_two_files_have_the_same_name():
    counts = Counter(path.name for path in modules())
    assert {name for name, n in counts.items() if n > 1} == SAME_NAMES
    for name in SAME_NAMES:
        folders = {p.parent.name for p in modules() if p.name == name}
        assert folders == {"dicom", "volumes"}


def imports_tensorflow(path: Path) -> bool:
    return bool({"tensorflow", "keras"} & {n.split(".")[0] for n in imported(tree(path).body)})


def test_tensorflow_is_imported_at_the_top_in_its_rooms_alone():
    assert {room_of(path) for path in modules() if imports_tensorflow(path)} == TENSORFLOW


def test_a_command_starts_without_tensorflow():
    """TensorFlow takes seconds to load, so wrong input is reported before."""
    top, loaded = graph(at_the_top=True), set()
    waiting = [module_name(p) for p in modules() if room_of(p) in STARTED_FIRST]
    while waiting:
        name = waiting.pop()
        loaded.add(name)
        waiting += top[name] - loaded
    assert "srgan.training.checkpoint_models" in loaded
    assert not [p for p in modules() if module_name(p) in loaded and imports_tensorflow(p)]
