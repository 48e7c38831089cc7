"""Scans as the catalogue knows them, without files."""

from pathlib import Path

from srgan.formats.scan import Scan, Slice


def scan(series: str, n: int = 1, place: str = "", kind: str = "dicom", **fields) -> Scan:
    """A scan of n slices 2.5 mm apart, from z_mm on; `place` is its folder."""
    z_mm = fields.pop("z_mm", 0.0)
    names = [f"{series}.mha"] if kind != "dicom" else [f"{series}-{i}.dcm" for i in range(n)]
    files = tuple(Path(place) / name for name in names)
    slices = tuple(Slice(files[min(i, len(files) - 1)], i, z_mm + 2.5 * i) for i in range(n))
    ids = fields.get("patient_ids", ())
    grid = {"rows": 64, "columns": 64, "spacing_mm": (0.7, 0.7)}
    whose = {"patient_id": ids[0] if ids else ""}
    return Scan(kind, series, slices=slices, files=files, **(grid | whose | fields))
