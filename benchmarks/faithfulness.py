"""Measure invented structure in the output of a trained network, also after known changes.

python benchmarks/faithfulness.py CHECKPOINT_DIR FOLDER [FOLDER ...]

Each FOLDER is the scan of one patient. At lambda 1700 and sigma 0.005, prints a table for each
folder and one for all, with means over slices. tests/metrics/test_faithful_slices.py holds the rows
that need no network.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

import numpy as np

from benchmarks import common
from srgan.evaluation import baselines
from srgan.masks import lung_mask
from srgan.models import tensorflow_setup
from srgan.resampling import bicubic
from srgan.training import checkpoint_models
from tests.helpers.made_structure import SCALE, Pair, faithfulness_metrics

FORMS = {
    "chi2": ".2f", "spots": ".1f", "share": ".3f", "energy": ".0f", "lung": "+.1f",
    "shift": ".2f", "lung chi2": ".2f",
}  # fmt: skip


def main() -> None:
    parser = common.parser(__doc__)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("folders", type=Path, nargs="+")
    given = parser.parse_args()
    tensorflow_setup.start("float32")
    networks = checkpoint_models.load(given.checkpoint).networks()
    tables = {folder.name: rows_of(folder, networks) for folder in given.folders}
    if len(tables) > 1:
        parts = list(tables.values())
        tables["all"] = {name: [m for rows in parts for m in rows[name]] for name in parts[0]}
    for title, rows in tables.items():
        slices = len(next(iter(rows.values())))
        print(f"\n{f'{title}, {slices} slices':34}" + "".join(f"{name:>10}" for name in FORMS))
        for name, found in rows.items():
            means = {key: np.nanmean([metrics[key] for metrics in found]) for key in FORMS}
            print(common.line(f"{name:34}", means, FORMS, 10))


def rows_of(folder: Path, networks: dict) -> dict[str, list[dict]]:
    """The metrics of each output, slice by slice."""
    rng, rows = np.random.default_rng(12345), {}
    for hu, _ in common.slices_of(folder):
        pair = Pair(hu, rng)
        for name, output in outputs(pair, networks).items():
            rows.setdefault(name, []).append(faithfulness_metrics(pair, output))
    return rows


def outputs(pair: Pair, networks: dict) -> dict[str, np.ndarray]:
    found = {"normal dose": pair.reference, "bicubic": bicubic(pair.low, SCALE)}
    for name in ("srresnet", "srgan"):
        if name in networks:
            found[name] = baselines.network(networks[name])(pair.low.astype(np.float32))
    good = found["srresnet"]
    found["shifted by 1 px"] = shifted = np.roll(good, 1, 0)
    found["shifted by 0.5 px"] = (good + shifted) / 2
    found["lung +10 HU"] = good + 10 * lung_mask(pair.reference)
    return {name: output.astype(np.float64) for name, output in found.items()}


if __name__ == "__main__":
    main()
