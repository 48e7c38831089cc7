"""PyTorch's training steps and inference, one block at a time; a yardstick for benchmarks alone.

python benchmarks/torch_steps.py PRECISION PEER    (requests on stdin, see benchmarks/turns.py)

PEER: a program with build(stage, arguments, compiled), which gives the paper's form. The fast form
is benchmarks/fast_form_torch.py.
"""

import argparse
import contextlib
import ctypes
import importlib.util
import os
import sys
import time

import torch

from benchmarks import fast_form_torch, turns


def peer(path: str):
    """The program of that path as a module."""
    spec = importlib.util.spec_from_file_location("peer", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules["peer"] = module
    spec.loader.exec_module(module)
    return module


def keep_heap() -> None:
    """Tell glibc to keep large blocks between steps, with which PyTorch is faster."""
    with contextlib.suppress(OSError, AttributeError):
        libc = ctypes.CDLL("libc.so.6")
        libc.mallopt(-4, 0)  # M_MMAP_MAX
        libc.mallopt(-1, 2**31 - 1)  # M_TRIM_THRESHOLD


def paper_at_scale_1(program, given):
    """Inference without the two enlargements, of the peer's network; batch norm is folded."""
    network = program.Generator()
    network.up = torch.nn.Identity()
    network = network.fold().to(memory_format=torch.channels_last)
    x = torch.rand(1, 1, given.side, given.side) * 2 - 1

    def step():
        bfloat16 = given.precision == "bfloat16"
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
            return network(x).float().mean().item()

    return step


def main() -> None:
    precision, path = sys.argv[1:]
    keep_heap()
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    steps_by_mode = {}

    def build(
        form: str,
        stage: str,
        compiled: bool,
        scale: int = 4,
        batch: int = 16,
        side: int = 128,
        warm_up: int = 3,
    ) -> dict:
        given = argparse.Namespace(
            batch=batch, precision=precision, channels_last=True, scale=scale, side=side
        )
        if form == "fast":
            step, _ = fast_form_torch.build(stage, given, compiled)
        elif scale == 1:
            step = paper_at_scale_1(peer(path), given)
        else:
            step, _ = peer(path).build(stage, given, compiled)
        steps_by_mode[compiled] = step
        for _ in range(warm_up):
            step()
        return {}

    def block(steps: int, compiled: bool) -> dict:
        step = steps_by_mode[compiled]
        began = time.perf_counter()
        for _ in range(steps):
            step()
        return {"seconds": time.perf_counter() - began}

    def profile(steps: int) -> dict:
        """Milliseconds a step of each operation alone, and the shapes that take most of it."""
        step = steps_by_mode[False]
        activity = torch.profiler.ProfilerActivity.CPU
        began = time.perf_counter()
        with torch.profiler.profile(activities=[activity], record_shapes=True) as found:
            for _ in range(steps):
                step()
            seconds = time.perf_counter() - began
        most = {}
        for row in found.key_averages(group_by_input_shape=True):
            most.setdefault(row.key, []).append((row.self_cpu_time_total, row.input_shapes))
        rows = []
        for row in found.key_averages():
            us, shapes = max(most[row.key], key=lambda each: each[0])
            share = 100 * us / max(row.self_cpu_time_total, 1e-9)
            where = f"{next((s for s in shapes if s), '')} {share:.0f} %"
            rows.append(
                [row.key.removeprefix("aten::"), row.self_cpu_time_total / 1e3 / steps, where]
            )
        return {"rows": sorted(rows, key=lambda row: -row[1]), "ms": 1e3 * seconds / steps}

    answers = {"build": build, "block": block, "profile": profile}
    answers["memory"] = lambda: {"peak_mb": turns.peak_mb()}
    turns.serve(answers)


if __name__ == "__main__":
    main()
