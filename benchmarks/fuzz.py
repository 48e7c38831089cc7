"""Do files that were made to harm end in anything but one clear reason?

python benchmarks/fuzz.py [--share 1] [--seed 0]    5,000 .mhd, 5,000 DICOM, 1,000 manifests
python benchmarks/fuzz.py --only dicom:123          one of them again, with its traceback
python benchmarks/fuzz.py --share 0.1 --watch       under strace: which files are opened?

Good files (fuzzing/seeds.py) are mutated (fuzzing/mutations.py) and read as a training reads them,
in one process, decoders in theirs. Exits with 1 where a file leads to an exception that is no Skip
or UserError, to a warning or anything printed, to more than 2 s (in each of three attempts: other
work may take the processor) or to more than 1 GB.
"""

import argparse
import contextlib
import faulthandler
import json
import os
import resource
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

sys.path.insert(0, str(Path(__file__).parent.parent))

import numpy as np

from benchmarks.fuzzing import mutations, seeds, watched
from srgan.commands import resume
from srgan.dataset import catalogue, single_scan
from srgan.formats import readers
from srgan.formats.dicom import decoder_process
from srgan.settings import make
from srgan.system import checksums
from srgan.system.errors import Skip, UserError
from srgan.training import checkpoint_models, checkpoint_states

COUNTS = {"metaimage": 5000, "dicom": 5000, "manifest": 1000}
MOST_S, MOST_BYTES, HANG_S = 2.0, 10**9, 120


# ---- read as a training does ----


def read_scans(folder: Path) -> str:
    """The first reason why something is not used, or "used"."""
    found = catalogue.find(folder)
    assert found.found == len(found.skipped) + sum(len(scan.files) for scan in found.scans)
    reasons = [item.reason for item in found.skipped if "raw" not in item.path.suffix]
    for scan in found.scans:
        read, n = readers.reader(scan), len(scan.slices)
        for index in sorted({0, n // 2, n - 1}):
            try:
                hu = read(index)
            except Skip as skip:
                reasons.append(skip.reason)
                continue
            assert (hu.dtype, hu.shape) == (np.int16, (scan.rows, scan.columns))
            assert hu.min() >= -1024
    for line in (catalogue.nothing_usable_message(found), single_scan.counted(found.skipped)):
        assert line.isprintable()
    return reasons[0] if reasons else "used"


def read_checkpoint(folder: Path) -> str:
    """What a test and a resume read of it."""
    with contextlib.suppress(UserError):
        trained = checkpoint_models.load(folder)
        make({}, trained.settings)
        assert not trained.has_seen(["patient:nobody"])
    saved = checkpoint_states.newest(folder)
    settings = resume.resumed_settings({}, saved.manifest)
    assert resume.wanted_vgg_weights(settings, saved) in ("none", "random", "imagenet", "auto")
    plan, table = saved.manifest.plan, saved.manifest.log
    assert plan.is_event(plan.steps)
    if table is None:
        return "no log"
    table.add_row(1, "gan", saved.manifest.health.rate, {})
    table.write(folder / "log.csv")
    return "used"


# ---- one file at a time ----


class Fuzz:
    """Good files in a folder of their own; number k of a kind depends on the seed and k alone."""

    def __init__(self, place: Path, seed: int = 0):
        self.place, self.seed = place, seed
        self.headers = seeds.headers(place)
        self.heavy = seeds.heavy(place)
        self.slices = seeds.slices(place)
        self.checkpoint = seeds.checkpoint(place)
        self.manifests = {p: p.read_bytes() for p in self.checkpoint.glob("*/manifest.json")}
        (place / "dicom").mkdir()

    def read(self, kind: str, number: int) -> str:
        return getattr(self, kind)(Random(f"{self.seed} {kind} {number}"))

    def metaimage(self, rng: Random) -> str:
        path = rng.choice(self.headers) if rng.random() < 0.98 else self.heavy
        good, data = path.read_bytes(), path.with_suffix(".raw")
        path.write_bytes(mutations.metaimage(rng, good))
        voxels = data.read_bytes() if rng.random() < 0.2 and data.stat().st_size < 1e6 else None
        if voxels is not None:
            data.write_bytes(mutations.several(rng, voxels, mutations.BYTES))
        try:
            return read_scans(path.parent)
        finally:
            path.write_bytes(good)
            if voxels is not None:
                data.write_bytes(voxels)

    def dicom(self, rng: Random) -> str:
        path = self.place / "dicom" / "a.dcm"
        path.write_bytes(mutations.dicom(rng, rng.choice(self.slices)))
        return read_scans(path.parent)

    def manifest(self, rng: Random) -> str:
        for path, text in self.manifests.items():
            good = json.loads(text)
            path.parent.mkdir(exist_ok=True)  # a corrupt one was set aside
            path.write_bytes(mutations.manifest(rng, good, checksums.sum_of))
            for name in good["files"]:
                (path.parent / name).write_bytes(b"1")
        return read_checkpoint(self.checkpoint)


@dataclass
class Tally:
    most_s: float
    outcomes: Counter = field(default_factory=Counter)
    violations: list[str] = field(default_factory=list)
    slowest: tuple[float, str] = (0.0, "")

    def note(self, kind: str, name: str, read: Callable[[], str]) -> None:
        """Read a file, at most three times where it is slow."""
        best = float("inf")
        for _ in range(3):
            start = time.monotonic()
            try:
                outcome = read()
            except (Skip, UserError) as error:  # a run ends with it, in one line
                outcome = type(error).__name__
            except BaseException:
                outcome = "VIOLATION"
                self.violations.append(f"{name}: {traceback.format_exc()}")
            best = min(best, time.monotonic() - start)
            if best <= self.most_s or outcome == "VIOLATION":
                break
        self.outcomes[kind, outcome] += 1
        self.slowest = max(self.slowest, (best, name))
        if best > self.most_s:
            self.violations.append(f"{name}: {best:.1f} s")
        if (peak := peak_bytes()) > MOST_BYTES and not any("GB" in v for v in self.violations):
            self.violations.append(f"{name}: {peak / 1e9:.2f} GB")

    def tell(self) -> None:
        for (kind, outcome), n in sorted(self.outcomes.items(), key=lambda i: (i[0][0], -i[1])):
            print(f"{kind:10} {n:6} {outcome}")
        seconds, name = self.slowest
        print(f"slowest {seconds:.2f} s ({name}); peak {peak_bytes() / 1e6:.0f} MB")
        for violation in self.violations:
            print(f"VIOLATION {violation}")


def peak_bytes() -> int:
    """Of this process, and of the decoders' that have ended."""
    who = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    return 1024 * max(resource.getrusage(w).ru_maxrss for w in who)


# ---- all of them ----


def run(fuzz: Fuzz, share: float, most_s: float) -> int:
    tally, began = Tally(most_s), time.monotonic()
    read_scans(fuzz.place / "dicom")  # what is imported late is there when the watch begins
    with printed() as said, warnings.catch_warnings():
        watched.mark("begin", fuzz.place)
        warnings.simplefilter("error")
        for kind, count in COUNTS.items():
            for number in range(round(share * count)):
                faulthandler.dump_traceback_later(HANG_S, exit=True, file=said.terminal)
                name = f"{kind}:{number}"
                tally.note(kind, name, lambda kind=kind, number=number: fuzz.read(kind, number))
        faulthandler.cancel_dump_traceback_later()
        decoder_process.stop()
        watched.mark("end", fuzz.place)
    if said.text:
        tally.violations.append(f"printed: {said.text[:500]!r}")
    tally.tell()
    print(f"{sum(tally.outcomes.values())} files in {time.monotonic() - began:.0f} s")
    return 1 if tally.violations else 0


@dataclass
class Printed:
    terminal: object
    text: bytes = b""


@contextlib.contextmanager
def printed():
    """What is printed meanwhile, by C code too, is kept instead."""
    sys.stdout.flush()
    before = os.dup(1), os.dup(2)
    with tempfile.TemporaryFile() as file, os.fdopen(before[1], "w", closefd=False) as terminal:
        said = Printed(terminal)
        for handle in (1, 2):
            os.dup2(file.fileno(), handle)
        try:
            yield said
        finally:
            sys.stdout.flush()
            for handle in (1, 2):
                os.dup2(before[handle - 1], handle)
            file.seek(0)
            said.text = file.read()
    for handle in before:
        os.close(handle)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--share", type=float, default=1.0, help="of the 11,000 files")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", metavar="KIND:NUMBER", help="one file, with its traceback")
    parser.add_argument("--watch", action="store_true", help="under strace")
    parser.add_argument("--most-s", type=float, default=MOST_S, help="a file; strace is slower")
    options = parser.parse_args()
    if options.watch:
        given = {"--share": options.share, "--seed": options.seed, "--most-s": options.most_s}
        return watched.run([__file__, *(str(part) for pair in given.items() for part in pair)])
    with tempfile.TemporaryDirectory() as place:
        tempfile.tempdir = place  # what is made on the way lies in the given folder too
        fuzz = Fuzz(Path(place), options.seed)
        if options.only:
            kind, number = options.only.split(":")
            print(fuzz.read(kind, int(number)))
            return 0
        return run(fuzz, options.share, options.most_s)


if __name__ == "__main__":
    sys.exit(main())
