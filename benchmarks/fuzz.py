"""Does every damaged or hostile file end in one clear reason?

python benchmarks/fuzz.py [--share 1]        5,000 .mhd, 5,000 DICOM, 2,000 NIfTI and NRRD and
                                             1,000 manifests
python benchmarks/fuzz.py --only dicom:123   one of them again, with its traceback

Good files (fuzzing/seeds.py) are mutated (fuzzing/mutations.py) and read as a training reads them,
in one process (decoders have their own). Exits with 1 where a file leads to an exception other than
Skip or UserError, to a file outside of the given folder that is opened or changed, to a warning or
anything printed, to more than 2 s (in each of three attempts: other work may take the processor) or
to more than 1 GB.
"""

import contextlib
import faulthandler
import json
import os
import re
import resource
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

sys.path.insert(0, str(Path(__file__).parent.parent))

import numpy as np

from benchmarks import common
from benchmarks.fuzzing import mutations, seeds
from benchmarks.fuzzing.watch import Watch
from srgan.commands import resume
from srgan.dataset import catalogue
from srgan.formats import readers
from srgan.formats.dicom import decoder_process
from srgan.settings import make
from srgan.system import checksums
from srgan.system.errors import Skip, UserError
from srgan.training import checkpoint_models, checkpoint_states
from srgan.whole_scans import single_scan

COUNTS = {"metaimage": 5000, "dicom": 5000, "nifti_and_nrrd": 2000, "manifest": 1000}
MOST_S, MOST_BYTES, HANG_S = 2.0, 10**9, 120


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


class Fuzz:
    """Good files in a folder of their own; number k of a kind depends on k alone."""

    def __init__(self, place: Path):
        self.place = place
        self.headers, self.heavy = seeds.headers(place), seeds.heavy(place)
        self.volumes = seeds.nifti_and_nrrd(place)
        self.slices, self.checkpoint = seeds.slices(place), seeds.checkpoint(place)
        self.manifests = {p: p.read_bytes() for p in self.checkpoint.glob("*/manifest.json")}
        (place / "dicom").mkdir()

    def read(self, kind: str, number: int) -> str:
        return getattr(self, kind)(Random(f"0 {kind} {number}"))

    def metaimage(self, rng: Random) -> str:
        path = rng.choice(self.headers) if rng.random() < 0.98 else self.heavy
        good = {path: path.read_bytes()}
        path.write_bytes(mutations.several(rng, good[path], mutations.METAIMAGE))
        data = path.with_suffix(".raw")
        if rng.random() < 0.2 and data.stat().st_size < 1e6:
            good[data] = data.read_bytes()
            data.write_bytes(mutations.several(rng, good[data], mutations.BYTES))
        try:
            return read_scans(path.parent)
        finally:
            for changed, content in good.items():
                changed.write_bytes(content)

    def dicom(self, rng: Random) -> str:
        path = self.place / "dicom" / "a.dcm"
        path.write_bytes(mutations.several(rng, rng.choice(self.slices), mutations.DICOM))
        return read_scans(path.parent)

    def nifti_and_nrrd(self, rng: Random) -> str:
        name, good = rng.choice(self.volumes)
        path = self.place / "nifti_and_nrrd" / name
        changes = mutations.NIFTI if ".nii" in name else mutations.NRRD
        path.write_bytes(mutations.several(rng, good, changes))
        try:
            return read_scans(path.parent)
        finally:
            path.unlink()

    def manifest(self, rng: Random) -> str:
        for path, text in self.manifests.items():
            good = json.loads(text)
            path.parent.mkdir(exist_ok=True)  # a corrupt one was set aside
            path.write_bytes(mutations.manifest(rng, good, checksums.sum_of))
            for name in good["files"]:
                (path.parent / name).write_bytes(b"1")
        return read_checkpoint(self.checkpoint)


def attempt(read: Callable[[], str], most_s: float) -> tuple[str, float, str]:
    """Read a file, at most three times where it is slow: (outcome, seconds, what was wrong)."""
    fastest = float("inf")
    for _ in range(3):
        start = time.monotonic()
        try:
            outcome = read()
        except (Skip, UserError) as error:  # a run ends with it, in one line
            outcome = type(error).__name__
        except BaseException:
            return "VIOLATION", time.monotonic() - start, traceback.format_exc()
        fastest = min(fastest, time.monotonic() - start)
        if fastest <= most_s:
            return outcome, fastest, ""
    return outcome, fastest, f"{fastest:.1f} s"


def run(fuzz: Fuzz, share: float, most_s: float) -> int:
    outcomes, violations, slowest, began = Counter(), [], (0.0, ""), time.monotonic()
    read_scans(fuzz.place / "dicom")  # what is imported late is there when the watch begins
    watch = Watch(fuzz.place)
    with captured() as (printed, terminal), warnings.catch_warnings():
        watch.on = True
        warnings.simplefilter("error")
        for kind, number in ((k, n) for k, count in COUNTS.items() for n in range(count)):
            if number >= round(share * COUNTS[kind]):
                continue
            faulthandler.dump_traceback_later(HANG_S, exit=True, file=terminal)
            outcome, seconds, wrong = attempt(lambda k=kind, n=number: fuzz.read(k, n), most_s)
            outcomes[kind, outcome] += 1
            slowest = max(slowest, (seconds, f"{kind}:{number}"))
            if wrong:
                violations.append(f"{kind}:{number}: {wrong}")
            elif peak_bytes() > MOST_BYTES and not any("GB" in v for v in violations):
                violations.append(f"{kind}:{number}: {peak_bytes() / 1e9:.2f} GB")
        faulthandler.cancel_dump_traceback_later()
        watch.on = False
        decoder_process.stop()
        printed.seek(0)
        if text := printed.read():
            violations.append(f"printed: {text[:500]!r}")
    violations += [f"outside of the given folder: {event}" for event in watch.outside[:20]]
    for (kind, outcome), n in sorted(outcomes.items(), key=lambda item: (item[0][0], -item[1])):
        print(f"{kind:12} {n:6} {outcome}")
    print(f"{watch.n_events} files opened or changed, {len(watch.outside)} outside of the folder")
    print(f"slowest {slowest[0]:.2f} s ({slowest[1]}); peak {peak_bytes() / 1e6:.0f} MB")
    for violation in violations:
        print(f"VIOLATION {violation}")
    print(f"{outcomes.total()} files in {time.monotonic() - began:.0f} s")
    return 1 if violations else 0


def peak_bytes() -> int:
    """The most memory that this process or a decoder held.

    Not from ru_maxrss of this process: that begins with what its parent held.
    """
    (own_kb,) = re.findall(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())
    return 1024 * max(int(own_kb), resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)


@contextlib.contextmanager
def captured() -> Iterator[tuple]:
    """What is printed meanwhile, by C code too, goes to a file: that, and the terminal's handle."""
    sys.stdout.flush()
    before = os.dup(1), os.dup(2)
    with tempfile.TemporaryFile() as file:
        for handle in (1, 2):
            os.dup2(file.fileno(), handle)
        try:
            yield file, before[1]
        finally:
            sys.stdout.flush()
            for handle, old in zip((1, 2), before, strict=True):
                os.dup2(old, handle)
                os.close(old)


def main() -> int:
    parser = common.parser(__doc__)
    parser.add_argument("--share", type=float, default=1.0, help="of the 13,000 files")
    parser.add_argument("--only", metavar="KIND:NUMBER", help="one file, with its traceback")
    parser.add_argument("--most-s", type=float, default=MOST_S, help="for each file")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        tempfile.tempdir = place  # what is made on the way lies in the given folder too
        fuzz = Fuzz(Path(place))
        if options.only:
            kind, number = options.only.split(":")
            print(fuzz.read(kind, int(number)))
            return 0
        return run(fuzz, options.share, options.most_s)


if __name__ == "__main__":
    sys.exit(main())
