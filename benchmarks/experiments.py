"""Experiments that chose the default recipe: each row trains on equal time, on one core.

python benchmarks/experiments.py FOLDER ROW... --split CSV [--core-seconds S] [--seed N]
    [--torch PYTHON] [--output DIR] [--record [FILE]]
python benchmarks/experiments.py --list

A row is a set of changes to the defaults in experiments_rows.py. `base` is the yardstick of
pre-training; `torch` is ../shared/peers/quality_torch.py, run with a Python that has PyTorch. A GAN
row begins with what a row of pre-training came to, which is trained first where DIR has it not.
Validation patients judge; test patients are never read into a network.

The budget is CPU time of this process (time.process_time), so other jobs on the machine change
little. It begins after the first step, and ends before the slices are judged. The script pins
itself to the first core that it may use; `taskset -c 1 python benchmarks/...` gives another.

--record keeps the figures in benchmarks/experiments.json, or another file, in place of earlier ones
of the same row, budget and seed, and writes EXPERIMENTS.md beside it; without a row it only
writes the page.
"""

import json
import os
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

import numpy as np

from benchmarks import common, experiments_tables, machine
from benchmarks.experiments_rows import ROWS, Gan, Recipe
from benchmarks.experiments_tables import SRRESNET, figures
from srgan.evaluation.study import NORMAL_DOSE
from srgan.system import log
from srgan.system.errors import UserError
from srgan.system.files import write_json, write_whole

RECORD = Path(__file__).with_name("experiments.json")
SRGAN = "SRGAN"


def main() -> None:
    parser = common.parser(__doc__)
    parser.add_argument("folder", type=Path, nargs="?", help="of scans, one folder a patient")
    parser.add_argument("rows", nargs="*", metavar="ROW", help="see --list")
    parser.add_argument("--split", type=Path, help="CSV with patient_id and role")
    parser.add_argument("--core-seconds", type=float, help="else that of the row, see --list")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--torch", help="a Python that has PyTorch, for the row torch")
    parser.add_argument("--output", type=Path, default=Path("experiments"))
    parser.add_argument("--record", type=Path, nargs="?", const=RECORD)
    parser.add_argument("--list", action="store_true", help="the rows, and what each changes")
    given = parser.parse_intermixed_args()
    log.set_up()
    try:
        if given.list:
            print("\n".join(_listed()))
        elif given.rows:
            _run(given)
        elif not given.record:
            parser.error("name a folder and a row, or --list")
        if given.record:
            write_page(given.record)
    except UserError as error:
        sys.exit(str(error))


def _listed() -> list[str]:
    return [
        f"{name:42} {row.kind:12} {row.core_s:4g} s  {row.described()}"
        for name, row in ROWS.items()
    ]


def _run(given) -> None:
    if unknown := [name for name in given.rows if name not in ROWS]:
        raise UserError(f"there is no row {', '.join(unknown)}: see --list")
    if not given.split or not given.split.is_file():
        raise UserError("--split must name a CSV with the columns patient_id and role")
    if hasattr(os, "sched_setaffinity"):  # not on macOS and Windows
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    (given.output / "weights").mkdir(parents=True, exist_ok=True)
    for name in given.rows:
        entry = run(name, given.core_seconds or ROWS[name].core_s, given)
        print(json.dumps(entry), flush=True)
        if given.record:
            add(given.record, entry)


def run(name: str, core_s: float, given) -> dict:
    """Train and judge a row; returns its entry of the record. given: as `main` parses it."""
    row, began = ROWS[name], time.perf_counter()
    if row.kind == "torch":
        found = _torch(core_s, given)
    elif row.kind == "gan":
        found = _gan(row.settings(), core_s, given)
    else:
        found = _pretrained(name, core_s, given)
    versions = machine.versions(given.torch if row.kind == "torch" else None)
    about = {
        "row": name, "core_s": core_s, "seed": given.seed, "changes": row.changes,
        "wall_s": round(time.perf_counter() - began),
        "made": f"{datetime.now(UTC):%Y-%m-%d}",
        "machine": ", ".join([f"one core of {machine.processor()}", *_named(versions)]),
    }  # fmt: skip
    return about | found


def _named(versions: dict[str, str]) -> list[str]:
    return [f"{name} {version}" for name, version in versions.items()]


def _torch(core_s: float, given) -> dict:
    from benchmarks import trial_torch

    if not given.torch:
        raise UserError("the row torch needs --torch PYTHON, a Python that has PyTorch")
    place = given.folder, given.split, given.output
    found = trial_torch.train(given.torch, *place, core_s, given.seed)
    return {
        "steps": found["steps"],
        "parameters": found["parameters"],
        "figures": trial_torch.figures(found, "network"),
        "beside": {"bicubic": trial_torch.figures(found, "bicubic")},
    }


def _opened(settings: Recipe | Gan, given) -> tuple:
    """Store, program settings, training slices and their noise."""
    from benchmarks import trial_slices

    store, all_settings = trial_slices.store_of(given.folder, given.split, given.output / "store")
    slices = trial_slices.training(store, all_settings, settings)
    return store, all_settings, slices, trial_slices.noise(all_settings, settings)


def _started() -> None:
    from srgan.models import tensorflow_setup

    tensorflow_setup.start("auto")


def _pretrained(name: str, core_s: float, given) -> dict:
    _started()
    from benchmarks import trial_networks, trial_slices
    from srgan.evaluation import baselines

    store, settings, slices, noise = _opened(ROWS[name].settings(), given)
    network, steps = _train(name, core_s, given, slices, noise)
    methods = {"bicubic": baselines.classical(trial_networks.SCALE)["bicubic"]}
    methods |= {SRRESNET: baselines.network(network)}
    study = trial_slices.judged("pretraining", methods, store, settings)
    found = {method: figures(of) for method, of in study.overall().items()}
    parameters = network.count_params()
    return {
        "steps": steps, "parameters": parameters, "figures": found.pop(SRRESNET), "beside": found
    }  # fmt: skip


def _train(name: str, core_s: float, given, slices, noise) -> tuple:
    """The network of a pre-training row, whose weights are kept, and its number of steps."""
    from benchmarks import trial_pretraining

    trained = trial_pretraining.train(ROWS[name].settings(), given.seed, core_s, slices, noise)
    path = _weights(name, core_s, given)
    write_whole(path, lambda part: _save(part, trained[0].get_weights()))
    return trained


def _weights(name: str, core_s: float, given) -> Path:
    return given.output / "weights" / f"{name}-{core_s:g}-{given.seed}.npz"


def _save(part: Path, arrays: list[np.ndarray]) -> None:
    with part.open("wb") as file:
        np.savez(file, *arrays)


def _gan(gan: Gan, core_s: float, given) -> dict:
    _started()
    from benchmarks import trial_gan, trial_networks, trial_slices
    from srgan.evaluation import baselines

    store, settings, slices, noise = _opened(gan, given)
    path = _weights(gan.start, gan.start_s, given)
    if not path.exists():
        _train(gan.start, gan.start_s, given, slices, noise)
    with np.load(path) as kept:
        weights = [kept[name] for name in kept.files]
    before = trial_networks.network(ROWS[gan.start].settings(), given.seed)
    before.set_weights(weights)
    after, steps = trial_gan.train(gan, weights, given.seed, core_s, slices, noise)
    methods = {SRRESNET: baselines.network(before), SRGAN: baselines.network(after)}
    study = trial_slices.judged("gan", methods, store, settings)
    measured = study.overall() | {NORMAL_DOSE: study.normal_dose_overall()}
    found = {method: figures(of) for method, of in measured.items()}
    return {"steps": steps, "figures": found.pop(SRGAN), "beside": found}


def add(record: Path, entry: dict) -> None:
    """Put an entry into a record, in place of one of the same row, budget and seed."""
    same = ("row", "core_s", "seed")
    kept = [e for e in _read(record) if any(e[key] != entry[key] for key in same)]
    write_json(record, {"format": 1, "entries": [*kept, entry]})


def _read(record: Path) -> list[dict]:
    return json.loads(record.read_text())["entries"] if record.exists() else []


def write_page(record: Path) -> None:
    text = experiments_tables.page(_read(record))
    write_whole(
        record.with_name("EXPERIMENTS.md"), lambda part: part.write_text(text, encoding="utf-8")
    )


if __name__ == "__main__":
    main()
