"""Data flows one way: a room imports only from rooms above it."""

import ast
from pathlib import Path

ROOT = Path(__file__).parent.parent
ORDER = [
    "system", "random_streams", "hounsfield", "masks", "resampling", "formats", "phantom",
    "dataset", "lowdose", "flag_values", "settings", "metrics", "models", "training", "evaluation",
    "report", "commands", "cli",
]  # fmt: skip
TENSORFLOW = {"models", "training"}  # may import it at the top
LATE = {
    "models/tensorflow_setup.py",
    "models/vgg_weights.py",
    "training/batches.py",
    "training/checkpoint_models.py",
    "training/checkpoint_states.py",
    "training/manifest.py",
    "training/plan.py",
    "training/sealed.py",
}  # yet these may not

STILL_WRONG = {("conclusions.py", "report")}  # texts of the terminal, on their way to report/


def room_of(path: Path) -> str:
    return path.relative_to(ROOT / "srgan").parts[0].removesuffix(".py")


def modules():
    return [p for p in sorted((ROOT / "srgan").rglob("*.py")) if p.name != "__init__.py"]


def imported(nodes):
    for node in nodes:
        if isinstance(node, ast.ImportFrom) and node.level == 0:
            yield node.module
            yield from (f"{node.module}.{a.name}" for a in node.names)
        elif isinstance(node, ast.Import):
            yield from (a.name for a in node.names)


def test_each_room_has_its_place():
    assert {room_of(p) for p in modules()} <= set(ORDER)


def test_rooms_import_only_from_rooms_above():
    wrong = []
    for path in modules():
        here = ORDER.index(room_of(path))
        for name in imported(ast.walk(ast.parse(path.read_text(encoding="utf-8")))):
            parts = name.split(".")
            ours = parts[0] == "srgan" and len(parts) > 1 and parts[1] in ORDER
            if ours and ORDER.index(parts[1]) > here and (path.name, parts[1]) not in STILL_WRONG:
                wrong.append(f"{path.name} imports {name}")
    assert not wrong


def test_tensorflow_is_imported_at_the_top_in_its_rooms_alone():
    for path in modules():
        names = {n.split(".")[0] for n in imported(ast.parse(path.read_text("utf-8")).body)}
        if names & {"tensorflow", "keras"}:
            assert room_of(path) in TENSORFLOW, path
            assert str(path.relative_to(ROOT / "srgan")) not in LATE, path
