"""Invented structure in a trained network's output, and in it changed in known ways.

python benchmarks/faithfulness.py CHECKPOINT_DIR FOLDER [FOLDER ...]

FOLDER: a patient's scan each. At lambda 1700, sigma 0.005, a table for each folder and for all:
means over slices. tests/test_faithful_slices.py holds the rows that need no network.
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

import numpy as np

from srgan.dataset import catalogue
from srgan.evaluation import baselines
from srgan.formats import readers
from srgan.masks import lung_mask
from srgan.models import tensorflow_setup
from srgan.resampling import bicubic
from srgan.training import checkpoint_models
from tests.helpers.made_structure import SCALE, Pair, faithful_figures

FORMS = {
    "chi2": ".2f", "spots": ".1f", "share": ".3f", "energy": ".0f", "lung": "+.1f",
    "shift": ".2f", "lung chi2": ".2f",
}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("folders", type=Path, nargs="+")
    given = parser.parse_args()
    tensorflow_setup.start("float32")
    networks = checkpoint_models.load(given.checkpoint).networks()
    of_all: dict[str, list[dict]] = {}
    for folder in given.folders:
        rng = np.random.default_rng(12345)
        rows: dict[str, list[dict]] = {}
        for hu in slices_of(folder):
            pair = Pair(hu, rng)
            for name, output in outputs(pair, networks).items():
                rows.setdefault(name, []).append(faithful_figures(pair, output))
        show(folder.name, rows)
        for name, found in rows.items():
            of_all.setdefault(name, []).extend(found)
    if len(given.folders) > 1:
        show("all", of_all)


def slices_of(folder: Path):
    for scan in catalogue.find(folder).scans:
        read = readers.reader(scan)
        yield from (read(i) for i in range(len(scan.slices)))


def outputs(pair: Pair, networks: dict) -> dict[str, np.ndarray]:
    found = {"normal dose": pair.reference, "bicubic": bicubic(pair.low, SCALE)}
    for name in ("srresnet", "srgan"):
        if name in networks:
            found[name] = baselines.network(networks[name])(pair.low.astype(np.float32))
    good = found["srresnet"]
    found["shifted by 1 px"] = moved = np.roll(good, 1, 0)
    found["shifted by 0.5 px"] = (good + moved) / 2
    found["lung +10 HU"] = good + 10 * lung_mask(pair.reference)
    return {name: output.astype(np.float64) for name, output in found.items()}


def show(title: str, rows: dict[str, list[dict]]) -> None:
    slices = len(next(iter(rows.values())))
    print(f"\n{f'{title}, {slices} slices':34}" + "".join(f"{name:>10}" for name in FORMS))
    for name, found in rows.items():
        means = {figure: np.nanmean([each[figure] for each in found]) for figure in FORMS}
        print(f"{name:34}" + "".join(f"{format(means[f], form):>10}" for f, form in FORMS.items()))


if __name__ == "__main__":
    main()
