"""How many pairs a second does the tf.data pipeline give by itself? (goal: 2,000 at batch 16)

python benchmarks/pipeline.py [--batches 400]
"""

import argparse
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from srgan import pairs
from srgan.dose.degradation import Degradation
from srgan.networks import machine
from srgan.scans import synthetic
from srgan.settings import Settings


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--batches", type=int, default=400)
    batches = parser.parse_args().batches
    machine.start("float32")
    slices = [hu for patient in range(4) for hu in synthetic.chest(0, patient, 6)[0]]
    s = Settings()
    data = pairs.dataset(slices, s.batch_size, s.crop, Degradation.of(s), 0, 0, batches + 20)
    for k, _ in enumerate(data):
        if k == 20:
            began = time.perf_counter()
    seconds = time.perf_counter() - began
    print(f"{s.batch_size * (batches - 1) / seconds:.0f} pairs/s, batch {s.batch_size}")


if __name__ == "__main__":
    main()
