"""Runs of enhance and simulate in this process, and what must hold after each, however it ended."""

import dataclasses
import functools
import hashlib
from pathlib import Path

import numpy as np
import pydicom
import SimpleITK as sitk

from srgan import cli
from srgan.commands.enhance import enhance
from srgan.commands.simulate import simulate
from srgan.enhancement import slice_function
from srgan.models import generator
from srgan.system.errors import BAD_INPUT, TRY_AGAIN, UserError
from srgan.training import checkpoint_models
from tests.helpers.made_dicom import ct_slice, write
from tests.helpers.made_manifest import manifest

VERBS = {"enhance": enhance, "simulate": simulate}
VOLUMES = (".mhd", ".nii", ".nii.gz", ".nrrd")


@dataclasses.dataclass(frozen=True)
class Run:
    """code 0, or the exit code and the one line of an error."""

    code: int
    line: str = ""


def save_network(folder: Path, scale: int) -> Path:
    """An untrained small generator as the SRGAN of a checkpoint: at scale 1 it changes nothing."""
    folder.mkdir(parents=True)
    model = generator.fast(scale, generator.initial_weights(5), blocks=1, maps=8)
    made = manifest(best={}, settings={"generator": "fast", "scale": scale})
    checkpoint_models.save_model(folder, "srgan", model, made)
    return folder


def make_fast(monkeypatch) -> None:
    """Build small networks, trace each once for all runs, and draw no previews."""
    small = functools.partial(generator.fast, blocks=1, maps=8)
    form = dataclasses.replace(generator.FORMS["fast"], build=small)
    monkeypatch.setitem(generator.FORMS, "fast", form)
    usual, traced = slice_function.of_network, {}

    def of_network(model, use, tile):
        if use not in traced:
            traced[use] = usual(model, use, tile)
        return traced[use]

    monkeypatch.setattr(slice_function, "of_network", of_network)
    monkeypatch.setattr("srgan.commands.scan_report.write_preview", lambda *_: None)
    monkeypatch.setattr("srgan.system.processes.cpus", lambda: 1)


def run(verb: str, source: Path, output: Path, checkpoint: Path, more: str = "") -> Run:
    """Run a verb. However it ends, the input is as it was, and the output is whole or absent."""
    given = ["--run", verb, f"--input={source}", f"--output={output}", *more.split()]
    if verb == "enhance":
        given += ["--checkpoint-dir", str(checkpoint), "--precision", "float32"]
    else:
        given += ["--dose", "0.5", "--photons", "1e5"]
    input_before, beside_before = content(source), set(output.parent.iterdir())
    try:
        done = Run(VERBS[verb](cli.parse(given)[1]))
    except UserError as error:
        done = Run(error.exit_code, str(error))
        assert done.code in (BAD_INPUT, TRY_AGAIN)
        assert done.line
        assert "\n" not in done.line
    assert content(source) == input_before
    made = set(output.parent.iterdir()) - beside_before
    assert made == ({output} if done.code == 0 else set())
    return done


def content(path: Path) -> dict[str, str]:
    """A hash of each file at or below a path."""
    files = sorted(path.rglob("*")) if path.is_dir() else [path]
    return {str(p): hashlib.sha256(p.read_bytes()).hexdigest() for p in files if p.is_file()}


def values(path: Path) -> np.ndarray:
    """(slices, rows, columns), as SimpleITK reads a file, or the scan in an output folder."""
    if path.is_dir():
        slices = sorted(path.glob("*.dcm"))
        volumes = [p for p in path.iterdir() if p.name.endswith(VOLUMES)]
        paths = slices or volumes
        assert len(volumes) == (0 if slices else 1)
    else:
        paths = [path]
    read = [sitk.GetArrayFromImage(sitk.ReadImage(str(p))) for p in paths]
    return np.concatenate(read).astype(np.float64)


def write_series(folder: Path, volume: np.ndarray, uid: str = "1.2.3.4", **changes) -> Path:
    """A series; a function among `changes` gives the value of each slice."""
    for k, hu in enumerate(volume):
        fields = {"z": 2.5 * k, "InstanceNumber": k + 1, "PixelSpacing": [0.7, 0.7]} | changes
        fields = {name: v(k) if callable(v) else v for name, v in fields.items()}
        write(folder / f"{uid}-{k:02}.dcm", ct_slice(values=hu, SeriesInstanceUID=uid, **fields))
    return folder


def header_of(path: Path) -> pydicom.Dataset:
    """What pydicom makes of a file without its pixels; empty where it makes nothing of it."""
    try:
        return pydicom.dcmread(path, force=True, stop_before_pixels=True)
    except Exception:  # of a hostile file, whatever
        return pydicom.Dataset()
