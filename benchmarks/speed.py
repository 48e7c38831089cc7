"""How fast and how large the program is, each figure beside a yardstick in turn in the same run.

python benchmarks/speed.py [--torch PYTHON] [--only pretrain gan infer pipeline store start]
    [--forms fast paper] [--precisions float32 bfloat16] [--json FILE] [--quick]

Blocks of ours and of the yardstick take turns. A row shows both medians, the ratio of the medians
(above 1: ours is better), the least and the most ratio of a round, and the load of the machine. A
figure without its ratio and its load means nothing: a neighbour on one core halves it.

Yardsticks: with --torch, a Python that has PyTorch, the faster of its eager and compiled steps
(paper: ../shared/peers/srgan_torch.py; fast: benchmarks/fast_form_torch.py, eager unless
--compile-all); without it what a matrix product of 2048 x 2048 reaches with as many multiply-adds;
a NumPy loop; a read of the same files; a bare start of Python or TensorFlow. Rows are added to
those in --json FILE as they come, so a run in parts makes one file. The whole takes ten minutes.
"""

import sys
from argparse import Namespace
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from benchmarks import common, data_turns, machine, network_turns, turns
from benchmarks.turns import Row

NETWORKS, DATA = ("pretrain", "gan", "infer"), ("pipeline", "store", "start")


def measurements(given: Namespace) -> Iterator[Row]:
    """The rows in order. The quick ones are to see that all works; they say little."""
    quick, stages = given.quick, [name for name in NETWORKS if name in given.only]
    effort = network_turns.Effort(
        rounds=1 if quick else 5, block_s=0.01 if quick else 0.8, cpus=given.threads
    )
    for case in network_turns.cases(stages, given.forms, given.precisions):
        compiled = not quick and (case.form == "paper" or given.compile_all)
        yield from network_turns.rows(case, given.torch, compiled, effort)
    rounds, scans = (1, 6) if quick else (3, 40)
    if "pipeline" in given.only:
        yield from data_turns.pipeline(rounds, 40 if quick else 200)
    if "store" in given.only:
        yield from data_turns.store_building(rounds, scans)
    if "start" in given.only:
        yield from data_turns.start(rounds, scans)


def main() -> None:
    parser = common.parser(__doc__)
    every = [*NETWORKS, *DATA]
    parser.add_argument("--torch", help="a Python that has PyTorch")
    parser.add_argument("--only", nargs="+", default=every, choices=every)
    parser.add_argument("--forms", nargs="+", default=["fast", "paper"], choices=["fast", "paper"])
    precisions = ["float32", "bfloat16"]
    parser.add_argument("--precisions", nargs="+", default=precisions)
    parser.add_argument("--threads", type=int, default=2, help="CPUs of each program")
    parser.add_argument("--compile-all", action="store_true", help="the fast form compiled too")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--quick", action="store_true", help="one short block each, to try it")
    given = parser.parse_args()
    made = f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC"
    head = {"made": made, "machine": machine.text(machine.versions(given.torch))}
    print(f"{made}, {head['machine']}, {given.threads} threads each\n{turns.HEAD}", flush=True)
    rows = []
    for row in measurements(given):
        rows.append(row)
        print(turns.text(row), flush=True)
        turns.keep(given.json, head, rows)


if __name__ == "__main__":
    main()
