"""One worker that trains nothing: `python worker_process.py INDEX HOST:PORT,HOST:PORT... ROLE`.

It meets the others, does what its role says, and prints what came of it.
"""

import os
import signal
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))


def main(index: int, addresses: list[str], role: str) -> int:
    from srgan.system import log, signals
    from srgan.system.errors import UserError
    from srgan.training import worker_link
    from srgan.training.cluster import cluster
    from srgan.training.workers import joined
    from tests.helpers.worker_ports import tf_config

    log.set_up()
    worker_link.SILENCE_S = 2  # a test does not wait as long as a user
    os.environ["TF_CONFIG"] = tf_config(addresses, index)
    try:
        with signals.caught() as stop, joined(cluster()) as workers:
            return act(role, workers, stop)
    except UserError as error:
        print(f"{signals.program()}: {error}", file=sys.stderr)
        return error.exit_code


def act(role: str, workers, stop) -> int:
    print("met", flush=True)
    index = workers.cluster.index
    if role == "share":
        workers.agree({"seed": 1})
        print(len(workers.from_chief(b"plan" * 5_000_000 if index == 0 else b"mine")))
    elif role == "differ":
        workers.agree({"seed": 1 + (index == 1), "scans": f"s{index}", "steps": 5})
    elif role == "fail":
        if index == 1:
            raise OSError(28, "No space left on device")
        time.sleep(60)
    elif role == "step":
        stop.finishes_step = True
        for step in range(10_000):
            workers.from_chief()  # in step, as collectives hold them
            if workers.stops_here(stop.number):
                print("stopped at", step)
                return stop.exit_code if stop.number else 75
            time.sleep(0.002)
    elif role == "wait":
        signal.pthread_sigmask(signal.SIG_BLOCK, set(signal.Signals) - {signal.SIGTERM})
        time.sleep(60)
    return 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), sys.argv[2].split(","), sys.argv[3]))
