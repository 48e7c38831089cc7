"""Check that the memory of a long training does not grow: a tiny network and thousands of steps.

python benchmarks/memory.py [--steps 5000] [--from-step 500]

Goal: resident memory grows by less than 2 % after the first 500 steps, in which the GAN stage has
begun and is compiled. Exits with 1 if it grows more. Grids, log, checkpoints and validations are as
in any run, fifty of them a stage. The picture of a whole slice at the end is not counted. Measured:
964 to 976 MB, +1.2 %.
"""

import dataclasses
import functools
import os
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from benchmarks import common
from srgan import cli
from srgan.commands.train import train
from srgan.models import discriminator, generator
from srgan.training import plan, trainer

MOST_GROWTH = 0.02


def resident_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def main() -> int:
    parser = common.parser(__doc__)
    parser.add_argument("--steps", type=int, default=5000)
    parser.add_argument("--from-step", type=int, default=500)
    given = parser.parse_args()
    usual = trainer.Trainer.set_rates
    small = functools.partial(generator.fast, blocks=1, maps=8)
    generator.FORMS["fast"] = dataclasses.replace(generator.FORMS["fast"], build=small)
    discriminator.CONVOLUTIONS = ((8, 1), (8, 2), (8, 2))
    plan.EVENTS = 50  # a stage
    memory_mb = {}

    def set_rates(self, plan, step, factor=1.0):
        if step % 100 == 1:
            memory_mb[step - 1] = resident_mb()
        return usual(self, plan, step, factor)

    trainer.Trainer.set_rates = set_rates
    first = given.from_step // 2
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        command = "--run train --batch-size 2 --crop 32 --content-loss pixel --precision float32"
        more = f"--pretrain-steps {first} --gan-steps {given.steps + 1 - first}"
        code = train(cli.parse([*command.split(), *more.split()])[1])
        os.chdir("/")
    for step, mb in memory_mb.items():
        if step % 500 == 0:
            print(f"step {step}: {mb:.0f} MB")
    most = max(mb for step, mb in memory_mb.items() if step >= given.from_step)
    growth = most / memory_mb[given.from_step] - 1
    print(f"after step {given.from_step}: {100 * growth:+.1f} % at most")
    return code or int(growth >= MOST_GROWTH)


if __name__ == "__main__":
    sys.exit(main())
