"""Put the networks of a finished training into srgan/weights/, each with a model card.

    python benchmarks/ship_weights.py checkpoint --machine "two cores of ..., 180 minutes" \\
        --test ../shared/ct --report-dir report-scale4

replaces the weights of the training's scale, tests them on the test patients of ../shared/ct (its
split.csv) at every --dose, and writes what the test found into the cards and docs/weights.md.
Without --test that is what --report-dir holds of these very weights. --float16 rounds them.
"""

import csv
import io
import json
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent.parent))

from benchmarks import common
from srgan.export import card, card_text, report_metrics
from srgan.system.errors import UserError
from srgan.training import (
    checkpoint_folder,
    checkpoint_models,
    model_card,
    sealed,
    shipped_weights,
)
from srgan.training.manifest import MODELS

ROOT = Path(__file__).parent.parent
MOST_BYTES = 12_000_000  # of srgan/weights/ in all
COLLECTIONS = Path(__file__).parent / "collections.csv"
PAGE = ROOT / "docs" / "weights.md"
FIGURES = re.compile(r"(<!-- figures: .*? -->\n).*?(<!-- end of the figures -->)", re.DOTALL)
COLUMNS = (  # head, path in the metrics, format
    ("PSNR lung, dB", "psnr_db.lung", ".2f"),
    ("PSNR mediastinum, dB", "psnr_db.mediastinum", ".2f"),
    ("SSIM lung", "ssim.lung", ".4f"),
    ("RMSE, HU", "rmse_hu", ".1f"),
)
LICENCE = (
    "MIT, as the program. The networks were trained on scans of the collections below, under the "
    "Creative Commons licences named there: name the collections where you use the weights, and "
    "Clark K. et al. (2013). The Cancer Imaging Archive (TCIA). J Digit Imaging 26:1045-1057."
)


def rounded(content: bytes) -> bytes:
    """A weights file with arrays of float16. Raises UserError where one does not fit."""
    with np.load(io.BytesIO(content), allow_pickle=False) as arrays, np.errstate(over="ignore"):
        made = {name: arrays[name].astype(np.float16) for name in arrays.files}
    if not all(np.isfinite(array).all() for array in made.values()):
        raise UserError("a weight is too large for float16")
    return checkpoint_models.npz(made)


def ship(checkpoint: Path, float16: bool) -> int:
    """Replace the shipped weights of the checkpoint's scale; returns the scale.

    Raises UserError where it is unfinished, lacks a network, or all together get too large.
    """
    trained = checkpoint_models.load(checkpoint)
    if trained.is_unfinished or set(trained.models) != set(MODELS):
        raise UserError(f"{checkpoint} does not hold a SRResNet and a SRGAN")
    scale = trained.settings["scale"]
    target = shipped_weights.folder(scale)
    part = target.with_name(f".{target.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    for name, path in trained.models.items():
        content = trained.weights[name]
        _seal(part / path.name, name, rounded(content) if float16 else content, path)
    n_bytes = _size(shipped_weights.FOLDER) - _size(target)
    if n_bytes > MOST_BYTES:
        shutil.rmtree(part)
        raise UserError(f"srgan/weights would have {n_bytes / 1e6:.1f} MB: add --float16")
    shutil.rmtree(target, ignore_errors=True)
    part.rename(target)
    print(f"{target} holds {', '.join(p.name for p in trained.models.values())}; all scales "
          f"together {n_bytes / 1e6:.1f} MB")  # fmt: skip
    return scale


def _seal(folder: Path, name: str, content: bytes, source: Path) -> None:
    manifest = checkpoint_folder.read(source).manifest

    def fill(part: Path) -> None:
        (part / checkpoint_models.WEIGHTS).write_bytes(content)
        model_card.write(part, name, manifest)

    sealed.write(folder, fill, manifest.as_dict())


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def test_arguments(scale: int, data: str, doses: str) -> list[str]:
    """Of main.py: the test that gives the figures of the cards."""
    return [
        *f"main.py --run test --checkpoint-dir shipped --scale {scale}".split(),
        *["--data", data, "--split", f"{data}/split.csv", "--noise", "projection", "--dose", doses],
    ]


def write_cards(scale: int, about: card.Shipped, report: Path) -> None:
    """README.md and model_card.json of both networks. Raises OSError, ValueError."""
    for strength, name in enumerate(MODELS):
        path = shipped_weights.load(scale).models[name]
        trained = checkpoint_models.load_one(path, name)
        found = report_metrics.metrics_of(report, name, trained.sha256)
        if found is None:
            print(f"{report} holds no test of {path.name}: its card has no metrics")
        with np.load(path / checkpoint_models.WEIGHTS, allow_pickle=False) as arrays:
            parameters = sum(arrays[each].size for each in arrays.files)
        exported = card.Exported(
            "checkpoint", float(strength), trained, parameters, None, found, about
        )
        files = {checkpoint_models.WEIGHTS: trained.sha256[name]}
        card.write_json(path / card.FILE, card.content(exported, files))
        card_text.write(path, exported)


def figures() -> str:
    """A table of what the cards of all scales say of their tests, in Markdown."""
    lines = [f"| scale | dose | | {' | '.join(head for head, *_ in COLUMNS)} |"]
    lines.append("|---" * (3 + len(COLUMNS)) + "|")
    for scale in (4, 1):
        cards = [
            json.loads(path.read_text())
            for name in MODELS
            for path in shipped_weights.folder(scale).glob(f"{name}-*/{card.FILE}")
        ]
        cards = [each for each in cards if each["test"]]
        for k in range(min((len(each["test"]["levels"]) for each in cards), default=0)):
            levels = {each["network"]["name"]: each["test"]["levels"][k] for each in cards}
            first = next(iter(levels.values()))
            rows = {name: (metrics, {}) for name, metrics in first["input"].items()}
            rows |= {n: (each["network"], each["intervals"]) for n, each in levels.items()}
            for name, row in rows.items():
                name = model_card.TITLES.get(name, name)
                lines.append(f"| {scale} | {first['noise']['dose']} | {name} | {_cells(*row)} |")
    return "\n".join(lines)


def _cells(metrics: dict, intervals: dict) -> str:
    cells = []
    for _, path, digits in COLUMNS:
        text = card_text.value(card_text.at(metrics, path), digits)
        cells.append(text + card_text.interval(intervals.get(path), digits))
    return " | ".join(cells)


def write_figures(page: Path) -> None:
    """Put the table between its marks in the page."""
    table = figures()
    text = FIGURES.sub(lambda m: f"{m[1]}\n{table}\n\n{m[2]}", page.read_text("utf-8"))
    page.write_text(text, "utf-8")


def collections(path: Path) -> list[dict]:
    """The rows of the table; numbers as numbers."""
    with open(path, newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return [{k: int(v) if v.isdecimal() else v for k, v in row.items()} for row in rows]


def main() -> None:
    parser = common.parser(__doc__)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--machine", required=True, help="where they were trained, how long")
    parser.add_argument("--collections", type=Path, default=COLLECTIONS)
    parser.add_argument("--float16", action="store_true")
    parser.add_argument("--test", metavar="DIR", help="from the repository: the card quotes it")
    parser.add_argument("--dose", default="0.25,0.1", help="of the test (default: 0.25,0.1)")
    parser.add_argument("--report-dir", type=Path, default=Path("report"))
    given = parser.parse_args()
    if given.test and Path(given.test).is_absolute():
        parser.error("--test: the card quotes the folder, so give it relative to the repository")
    try:
        scale = ship(given.checkpoint, given.float16)
        command = test_arguments(scale, given.test or "../shared/ct", given.dose)
        report = given.report_dir.absolute()
        if given.test:
            arguments = [*command, "--report-dir", str(report)]
            subprocess.run([sys.executable, *arguments], cwd=ROOT, check=True)
        about = card.Shipped(
            LICENCE, collections(given.collections), given.machine, f"python {shlex.join(command)}"
        )
        write_cards(scale, about, report)
        write_figures(PAGE)
    except UserError as error:
        sys.exit(f"ship_weights.py: {error}")


if __name__ == "__main__":
    main()
