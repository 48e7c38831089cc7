"""Training steps and inference beside PyTorch, or beside the ceiling of a matrix product."""

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks import machine, turns
from benchmarks.turns import Row, Worker

HERE = Path(__file__).parent
NAMES = {"pretrain": "pre-training", "gan": "GAN step", "infer": "inference"}


@dataclass(frozen=True)
class Case:
    form: str
    stage: str
    precision: str
    scale: int = 4

    @property
    def values(self) -> dict:
        """What a worker builds."""
        side = 512 if self.scale == 1 else 128
        return {"form": self.form, "stage": self.stage, "scale": self.scale, "side": side}

    @property
    def name(self) -> str:
        sizes = f" {512 // self.scale} -> 512" if self.stage == "infer" else ""
        return f"{self.form} {self.precision} {NAMES[self.stage]}{sizes}"

    @property
    def images(self) -> int:
        """Of a step."""
        return 1 if self.stage == "infer" else 16

    @property
    def unit(self) -> str:
        return "slices/s" if self.stage == "infer" else "images/s"


def cases(stages: list[str], forms: list[str], precisions: list[str]) -> list[Case]:
    found = [Case(f, s, p) for p in precisions for f in forms for s in stages]
    if "infer" in stages:
        found += [Case(f, "infer", p, scale=1) for p in precisions for f in forms]
    return found


@dataclass(frozen=True)
class Effort:
    rounds: int = 5
    block_s: float = 0.8
    cpus: int = 2


def rows(case: Case, torch: str | None, compiled: bool, effort: Effort) -> Iterator[Row]:
    """The speed of a case, and with PyTorch its memory. Every case has new processes.

    torch: a Python with PyTorch, or None. compiled: try torch.compile too; the faster one counts.
    """
    if case.form == "paper" and not machine.PEER.exists():
        torch = None
    ours = Worker(sys.executable, HERE / "our_steps.py", case.precision, cpus=effort.cpus)
    with ours:
        if not torch:
            ours.ask("build", **case.values)
            yield _beside_ceiling(case, ours, effort)
            return
        file, peer = HERE / "torch_steps.py", str(machine.PEER)
        with Worker(torch, file, case.precision, peer, cpus=effort.cpus) as theirs:
            ours.send("build", **case.values)
            theirs.ask("build", compiled=False, **case.values)
            ours.receive()
            mb = [worker.ask("memory")["peak_mb"] for worker in (ours, theirs)]
            yield _beside_torch(case, ours, theirs, compiled, effort)
            name, load = f"memory: {case.name}", turns.load()
            ratio = mb[1] / mb[0]
            yield Row(name, "MB", *mb, "PyTorch eager", ratio, ratio, ratio, 1, load)


def _beside_torch(case: Case, ours: Worker, theirs: Worker, compiled: bool, effort: Effort) -> Row:
    modes = {False: _seconds_a_step(theirs, compiled=False)}
    if compiled and case.scale > 1:
        try:
            theirs.ask("build", compiled=True, **case.values)
            modes[True] = _seconds_a_step(theirs, compiled=True)
        except RuntimeError as error:
            print(f"torch.compile: {error}", file=sys.stderr)
    mode = min(modes, key=modes.get)
    yardstick = "PyTorch " + ("compiled" if mode else "eager")
    yardstick += f" (the other {modes[not mode] / modes[mode]:.2f})" if len(modes) > 1 else ""
    our_rate = _rate(ours, case.images, _seconds_a_step(ours), effort)
    their_rate = _rate(theirs, case.images, modes[mode], effort, compiled=mode)
    rounds = min(effort.rounds, 3) if modes[mode] > effort.block_s else effort.rounds
    return turns.in_turn(case.name, case.unit, our_rate, yardstick, their_rate, rounds)


def _beside_ceiling(case: Case, ours: Worker, effort: Effort) -> Row:
    """The share of the multiply-adds a second that a large matrix product reaches."""
    products = ours.ask("build_ceiling", **case.values)["products"]
    our_rate = _rate(ours, case.images, _seconds_a_step(ours), effort)
    product_s = _seconds_a_step(ours, what="product")
    ceiling = _rate(ours, case.images / products, product_s, effort, what="product")
    return turns.in_turn(
        case.name, case.unit, our_rate, "matrix product, 2048", ceiling, effort.rounds
    )


def _seconds_a_step(worker: Worker, **more) -> float:
    first = worker.ask("block", steps=1, **more)["seconds"]
    return min(first, worker.ask("block", steps=2, **more)["seconds"] / 2)


def _rate(worker: Worker, images: float, step_s: float, effort: Effort, **more):
    """A function that runs a block of steps and returns images a second."""
    steps = max(1, round(effort.block_s / step_s))
    return lambda: images * steps / worker.ask("block", steps=steps, **more)["seconds"]
