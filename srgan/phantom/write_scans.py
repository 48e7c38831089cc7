"""Synthetic chests written as a folder of scans, laid out and named like LUNA16."""

import json
import re
import uuid
from pathlib import Path

from srgan.formats.volumes.metaimage_fields import header_text
from srgan.phantom.chest import chest
from srgan.phantom.drawing import SIZE
from srgan.system.files import clear_parts, read_bounded, write_whole
from srgan.system.progress import progress

MANIFEST = ".synthetic.json"  # hidden: no scan
VERSION = 1  # of the phantom: a folder of another version counts as incomplete


def write(folder: Path, seed: int = 0, patients: int = 40, slices: int = 6) -> None:
    """Write `patients` scans as subset0..9/UID.mhd and .raw; last, the manifest says "complete".

    Files that an earlier manifest lists and this one does not are removed; others are left alone.
    Raises OSError.
    """
    names = [f"subset{i % 10}/{series_uid(seed, i)}" for i in range(patients)]
    sizes = {f"{name}.raw": 2 * SIZE * SIZE * slices for name in names}
    for old in set(_manifest(folder).get("files", {})) - set(sizes):
        if re.fullmatch(r"subset\d/2\.25\.\d+\.raw", old):  # ours, and inside the folder
            (folder / old).unlink(missing_ok=True)
            (folder / old).with_suffix(".mhd").unlink(missing_ok=True)
    record = {"format": 1, "version": VERSION, "seed": seed, "complete": False, "files": sizes}
    _put(folder / MANIFEST, json.dumps(record, indent=1).encode())
    for i, name in enumerate(progress(names, patients, "synthetic chests")):
        hu, spacing = chest(seed, i, slices)
        path = folder / name
        _put(path.with_name(path.name + ".raw"), hu.astype("<i2").tobytes())
        _put(path.with_name(path.name + ".mhd"), _header(path.name, hu.shape, spacing))
    _put(folder / MANIFEST, json.dumps(record | {"complete": True}, indent=1).encode())


def is_complete(folder: Path, seed: int) -> bool:
    """Does the folder hold all files of this seed and version, each of its full size?"""
    manifest = _manifest(folder)
    if not {"version": VERSION, "seed": seed, "complete": True}.items() <= manifest.items():
        return False
    try:
        return all(
            (folder / name).stat().st_size == size
            and (folder / name).with_suffix(".mhd").stat().st_size > 0
            for name, size in manifest["files"].items()
        )
    except OSError:
        return False


def series_uid(seed: int, patient: int) -> str:
    """A UID under 2.25 (a UUID as a number), the same for the same seed and patient."""
    return f"2.25.{uuid.uuid5(uuid.NAMESPACE_OID, f'synthetic chest {seed} {patient}').int}"


def _header(name: str, shape, spacing) -> bytes:
    """A MetaImage header as LUNA16 has it; the patient lies on the back, head first."""
    fields = {
        "TransformMatrix": "1 0 0 0 1 0 0 0 1",
        "Offset": f"{-255.5 * spacing[0]:.4f} {-255.5 * spacing[1]:.4f} 0",
        "CenterOfRotation": "0 0 0",
        "AnatomicalOrientation": "RAI",
        "ElementSpacing": " ".join(f"{s:g}" for s in spacing),
        "DimSize": f"{shape[2]} {shape[1]} {shape[0]}",
    }
    return header_text("i2", f"{name}.raw", fields)


def _put(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    clear_parts(path.parent)
    write_whole(path, lambda part: part.write_bytes(content))


def _manifest(folder: Path) -> dict:
    """The folder's manifest, or {} where there is none that can be read."""
    try:
        manifest = json.loads(read_bounded(folder / MANIFEST))
    except (OSError, ValueError, RecursionError):
        return {}
    known = isinstance(manifest, dict) and isinstance(manifest.get("files"), dict)
    return manifest if known and manifest.get("format") == 1 else {}
