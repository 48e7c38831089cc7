"""What a discriminator of half the width costs in texture, and what it gains in speed.

python benchmarks/discriminator_width.py FOLDER --split CSV [--pretrain-steps 400] [--gan-steps 120]

The same short training with all maps and with half of them, by turns, at equal steps. Validation
patients alone are looked at: PSNR, and texture as a ratio to the normal dose's. Speed: GAN images a
second between the first and the last tenth of the stage.
"""

import csv
import statistics
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from benchmarks import common
from srgan import cli
from srgan.commands.train import train
from srgan.models import discriminator
from srgan.training import trainer

FULL = discriminator.CONVOLUTIONS
WIDTHS = {"full": FULL, "half": tuple((maps // 2, stride) for maps, stride in FULL)}


def trained(folder: Path, arguments: str, gan_steps: int) -> tuple[float, float, float]:
    """One training: validation PSNR in dB, texture, and GAN images a second."""
    began, usual = [], trainer.Trainer.set_rates

    def set_rates(self, plan, step, factor=1.0):
        if step > plan.pretrain_steps:
            began.append(time.perf_counter())
        return usual(self, plan, step, factor)

    trainer.Trainer.set_rates = set_rates
    try:
        more = f"--train-dir {folder}/train --checkpoint-dir {folder}/checkpoint"
        if code := train(cli.parse([*arguments.split(), *more.split()])[1]):
            sys.exit(code)
    finally:
        trainer.Trainer.set_rates = usual
    middle = began[gan_steps // 10 : -(gan_steps // 10)]
    step_s = statistics.median(b - a for a, b in pairwise(middle))
    with open(folder / "train" / "log.csv", newline="") as file:
        row = list(csv.DictReader(file))[-1]
    psnr_db, texture = (float(row[f"validation_{name}"]) for name in ("psnr_db", "texture"))
    return psnr_db, texture, 16 / step_s


def main() -> None:
    parser = common.parser(__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--split", type=Path, required=True)
    parser.add_argument("--pretrain-steps", type=int, default=400)
    parser.add_argument("--gan-steps", type=int, default=120)
    parser.add_argument("--seeds", type=int, default=1)
    given = parser.parse_args()
    steps = f"--pretrain-steps {given.pretrain_steps} --gan-steps {given.gan_steps}"
    with tempfile.TemporaryDirectory() as name:
        for seed in range(given.seeds):
            for width, convolutions in WIDTHS.items():
                discriminator.CONVOLUTIONS = convolutions
                call = (
                    f"--run train --data {given.folder} --split {given.split} --store-dir "
                    f"{name}/store --vgg-weights random --seed {seed} {steps}"
                )
                found = trained(Path(name) / f"{width}-{seed}", call, given.gan_steps)
                psnr_db, texture, speed = found
                line = f"{psnr_db:.2f} dB, texture {texture:.2f}, {speed:.1f} images/s"
                print(f"seed {seed}, {width} width: {line}", flush=True)


if __name__ == "__main__":
    main()
