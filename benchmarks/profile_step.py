"""The ten costliest operations of a pre-training step, a GAN step and an inference, and shares.

python benchmarks/profile_step.py [--torch PYTHON] [--write LABEL] [--precision float32 bfloat16]
    [--form paper] [--stages pretrain gan infer] [--steps 5]

Ours by TensorFlow's profiler; with --torch, a Python that has PyTorch, those of the yardstick in
../shared/peers (paper) or benchmarks/fast_form_torch.py (fast), eager. An operation's time is what
it takes on its thread, with the threads that help it. --write LABEL keeps the table under that name
in benchmarks/profiles.json, and writes all that are kept side by side into benchmarks/PROFILE.md.
"""

import json
import os
import sys
from datetime import UTC, datetime
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from benchmarks import common, machine, turns

HERE = Path(__file__).parent
KEPT, PAGE, ROWS = HERE / "profiles.json", HERE / "PROFILE.md", 10
NAMES = {
    "pretrain": "pre-training step of 16 patches",
    "gan": "GAN step of 16 patches",
    "infer": "inference of a slice, 128 to 512",
}


def profile(worker: turns.Worker, form: str, stages: list[str], steps: int, **more) -> dict:
    found = {}
    for stage in stages:
        worker.ask("build", form=form, stage=stage, **more)
        found[stage] = shortened(worker.ask("profile", steps=steps))
    return found


def measured(given, precision: str) -> dict[str, dict]:
    """{"ours": {stage: profile}, "PyTorch": {stage: profile}}."""
    cpus, arguments = len(os.sched_getaffinity(0)), (given.form, given.stages, given.steps)
    with turns.Worker(sys.executable, HERE / "our_steps.py", precision, cpus=cpus) as worker:
        found = {"ours": profile(worker, *arguments)}
    if given.torch:
        file, peer = HERE / "torch_steps.py", str(machine.PEER)
        with turns.Worker(given.torch, file, precision, peer, cpus=cpus) as worker:
            found["PyTorch"] = profile(worker, *arguments, compiled=False)
    return found


def shortened(found: dict) -> dict:
    """A profile with its costliest operations alone, and the sum of all."""
    rows = [[kind, round(ms, 3), where] for kind, ms, where in found["rows"][:ROWS]]
    total = sum(ms for _, ms, _ in found["rows"])
    return {
        "ms": round(found["ms"], 2),
        "total_ms": round(total, 2),
        "count": len(found["rows"]),
        "rows": rows,
    }


def cells(found: dict) -> list[str]:
    """The operations of a profile: "Conv2D 31.0 ms, 40 % (paper/out 30 %)", then their sum."""
    total = found["total_ms"]
    rows = [
        f"{kind} {ms:.2f} ms, {100 * ms / total:.0f} % ({where})"
        for kind, ms, where in found["rows"]
    ]
    return [*rows, f"all {found['count']}: {total:.1f} of {found['ms']:.1f} ms"]


def tables(kept: dict[str, dict]) -> str:
    """Markdown: for each precision, form and stage a table with a column a profile."""
    columns: dict[tuple, dict[str, list[str]]] = {}
    for label, entry in kept.items():
        for precision, found in entry["precisions"].items():
            for who in ("ours", "PyTorch"):
                for stage, rows in found.get(who, {}).items():
                    head = columns.setdefault((precision, entry["form"], stage), {})
                    head[f"{who}, {label}"] = cells(rows)
    text = []
    for (precision, form, stage), by_who in columns.items():
        names = sorted(by_who, key=lambda name: name.startswith("PyTorch"))
        text += [f"### {form}, {precision}: {NAMES[stage]}", "", "| | " + " | ".join(names) + " |"]
        text.append("|---" * (len(names) + 1) + "|")
        longest = max(len(by_who[name]) for name in names)
        for i in range(longest):
            row = [by_who[name][i] if i < len(by_who[name]) else "" for name in names]
            text.append(f"| {i + 1 if i < ROWS else ''} | " + " | ".join(row) + " |")
        text.append("")
    return "\n".join(text)


def page(kept: dict[str, dict]) -> str:
    lines = [
        "# Where the time of a step goes",
        "",
        "Made by `python benchmarks/profile_step.py --torch PYTHON --write LABEL`. Each cell: an",
        "operation, its time in a step, its share of all operations, and where most of it is: the",
        "layer for ours, the shape of its input for PyTorch. The last row: the sum of all",
        "operations, and the time of a step under the profiler. The machine was shared, and its",
        "speed changed between two columns: compare shares, and speeds in benchmarks/speed.py.",
        "",
        *(f"- {label}: {entry['made']}" for label, entry in kept.items()),
        "",
    ]
    return "\n".join(lines) + "\n" + tables(kept)


def main() -> None:
    parser = common.parser(__doc__)
    parser.add_argument("--torch", help="a Python that has PyTorch")
    parser.add_argument("--write", metavar="LABEL", help="keep the table under this name")
    parser.add_argument("--precision", nargs="+", default=["float32", "bfloat16"])
    parser.add_argument("--form", default="paper", choices=["paper", "fast"])
    parser.add_argument("--stages", nargs="+", default=list(NAMES), choices=list(NAMES))
    parser.add_argument("--steps", type=int, default=5)
    given = parser.parse_args()
    found = {precision: measured(given, precision) for precision in given.precision}
    versions = machine.versions(given.torch)
    made = f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {machine.text(versions)}"
    entry = {"made": made, "form": given.form, "precisions": found}
    if not given.write:
        print(page({"now": entry}))
        return
    kept = json.loads(KEPT.read_text()) if KEPT.exists() else {}
    kept[given.write] = entry
    KEPT.write_text(json.dumps(kept, indent=1) + "\n")
    PAGE.write_text(page(kept))
    print(f"{PAGE}: {', '.join(kept)}")


if __name__ == "__main__":
    main()
