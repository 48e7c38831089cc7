"""Time --run enhance against its network alone, and its memory on a long scan.

python benchmarks/enhance.py [--slices 100] [--long 1000] [--forms fast paper]

Goals: from the first slice to the end, with all that is read, measured, drawn and written, enhance
takes at most 1.3 times what the network alone takes on the slices; a scan of 1,000 slices takes
under 3 GB. The networks are untrained, the slices made, start and tracing do not count. Network and
command run in turn, three times each; the medians are compared. Exits with 1 if a goal is missed.
"""

import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

import numpy as np

from benchmarks import common
from srgan import cli
from srgan.commands import enhance
from srgan.formats.derived import Derived, SourceSlice
from srgan.formats.dicom.derived_header import Series
from srgan.formats.dicom.write import DicomTarget
from srgan.formats.scan import OWN_MODEL, SIMULATED
from srgan.formats.volume_geometry import Geometry
from srgan.formats.volumes import write as volume_write
from srgan.models import generator
from srgan.training import checkpoint_models
from tests.helpers.made_manifest import manifest

MOST_RATIO, MOST_GB, TURNS = 1.3, 3.0, 3
CASES = (  # scale, --input-kind, side of the slices, format
    (4, "low-resolution", 128, "dicom"),
    (4, "native", 512, "dicom"),
    (4, "native", 512, "nifti"),
    (1, None, 512, "dicom"),
    (1, None, 512, "nifti"),
)


def made_slice(side: int, index: int) -> np.ndarray:
    """(side, side) int16 HU: a body of soft tissue with two lungs, and noise."""
    rows, columns = np.mgrid[:side, :side] / side - 0.5
    hu = np.full((side, side), -1000.0)
    hu[(rows / 0.38) ** 2 + (columns / 0.45) ** 2 < 1] = 40
    for middle in (-0.2, 0.2):
        hu[(rows / 0.25) ** 2 + ((columns - middle) / 0.14) ** 2 < 1] = -860
    hu += np.random.default_rng(index).normal(0, 20, hu.shape)
    return hu.clip(-1024).astype(np.int16)


def write_scan(folder: Path, side: int, n: int, format: str) -> Path:
    """A made scan; it says that it is a simulated low dose, which enhance takes."""
    folder.mkdir()
    pixel_mm, axes = 360.0 / side, ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))
    geometry = Geometry((side, side, n), (pixel_mm, pixel_mm, 1.0), axes, (0.0, 0.0, 0.0))
    how = f"{OWN_MODEL}: {SIMULATED}"
    if format == "dicom":
        target = DicomTarget(folder, Series.new(Derived("made")), geometry)
    else:
        target = volume_write.begin(format, folder, "made", geometry, "i2", compressed=True)
    for index in range(n):
        hu = made_slice(side, index % 20)
        target.write(index, SourceSlice(hu, hu), hu, how)
    target.finish(how)
    return folder


def save_network(folder: Path, form: str, scale: int) -> Path:
    folder.mkdir()
    made = manifest(best={}, settings={"generator": form, "scale": scale})
    checkpoint_models.save_model(folder, "srgan", generator.build(form, scale), made)
    return folder


def ratio_of(arguments: str, out: Path) -> tuple[float, float, float]:
    """Seconds of the network alone, and from the first slice to the end (medians); their ratio."""
    alone_s, whole_s, usual = [], [], enhance._copy

    def timed(copy, function, watch, how):
        slices = [copy.read_source(k).hu for k in range(len(copy.scan.slices))]
        function(slices[0])  # traces
        started = time.perf_counter()
        for hu in slices:
            function(hu)
        alone_s.append(time.perf_counter() - started)
        whole_s.append(-time.perf_counter())
        return usual(copy, function, watch, how)

    enhance._copy = timed
    try:
        for turn in range(TURNS):
            enhance.enhance(cli.parse([*arguments.split(), "--output", f"{out}-{turn}"])[1])
            whole_s[-1] += time.perf_counter()
    finally:
        enhance._copy = usual
    alone, whole = statistics.median(alone_s), statistics.median(whole_s)
    return alone, whole, whole / alone


def peak_gb(arguments: str) -> float:
    """Most memory that any command took so far, this one among them: GB."""
    main = Path(__file__).parent.parent / "main.py"
    subprocess.run([sys.executable, main, *arguments.split()], check=True)
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1e6


def main() -> int:
    parser = common.parser(__doc__)
    parser.add_argument("--slices", type=int, default=100)
    parser.add_argument("--long", type=int, default=1000, help="slices of the long scan; 0: none")
    parser.add_argument("--forms", nargs="+", default=["fast"], choices=["fast", "paper"])
    given = parser.parse_args()
    missed = False
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for form in given.forms:
            for number, (scale, kind, side, format) in enumerate(CASES):
                place = folder / f"{form}{number}"
                place.mkdir()
                scan = write_scan(place / "scan", side, given.slices, format)
                network = save_network(place / "checkpoint", form, scale)
                more = f" --input-kind {kind}" if kind else ""
                arguments = f"--run enhance --input {scan} --checkpoint-dir {network}{more}"
                alone, whole, ratio = ratio_of(arguments, place / "out")
                missed |= ratio > MOST_RATIO
                print(
                    f"{form}, scale {scale}, {kind or 'full'}, {format}: network {alone:.2f} s, "
                    f"whole {whole:.2f} s, ratio {ratio:.2f}, load {os.getloadavg()[0]:.1f}",
                    flush=True,
                )
        for format in ("nifti", "dicom") if given.long else ():
            scan = write_scan(folder / f"long-{format}", 512, given.long, format)
            network = save_network(folder / f"long-{format}-checkpoint", "fast", 4)
            arguments = f"--run enhance --input {scan} --checkpoint-dir {network}"
            gb = peak_gb(f"{arguments} --input-kind native --output {folder}/out-{format}")
            missed |= gb > MOST_GB
            print(f"{given.long} slices, {format}: at most {gb:.2f} GB", flush=True)
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
