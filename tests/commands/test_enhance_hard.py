"""Each hostile file and folder of ../shared through enhance and simulate, alone and among slices.

The result is right, or one line says why there is none; nothing is left half written. The network
is untrained, so at scale 1 the output is the input.
"""

import csv
import shutil
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import ROOT, small_chest
from tests.helpers import whole_scan_runs
from tests.helpers.whole_scan_runs import header_of, run, save_network, values, write_series

SHARED = ROOT.parent / "shared"
HARD, FOLDERS = SHARED / "hard", SHARED / "folders"
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not HARD.is_dir(), reason="../shared is not there"),
]
# Without a patient's id a training cannot use a slice; to enhance it none is needed.
NO_PATIENT_NEEDED = "geo-no-patient-id"
AXIAL = [1, 0, 0, 0, 1, 0]
DATA_FILES = (".raw", ".zraw")


def rows(folder: Path) -> list[dict]:
    path = folder / "MANIFEST.csv"
    return list(csv.DictReader(path.open(encoding="utf-8"))) if path.is_file() else []


def files_of(case: Path) -> list[Path]:
    return sorted(p for p in case.rglob("*") if p.is_file())


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    with pytest.MonkeyPatch.context() as monkeypatch:
        whole_scan_runs.make_fast(monkeypatch)
        yield save_network(tmp_path_factory.mktemp("network") / "checkpoint", 1)


def check_alone(verb: str, source: Path, network: Path, out: Path, more: str = "") -> int:
    """Run it, compare the output of enhance with the input, and return the exit code."""
    done = run(verb, source, out, network, more)
    if done.code == 0:
        made = values(out)
        assert np.isfinite(made).all()
        readable = [p for p in (source,) if p.is_file() and header_of(p).get("Rows")]
        if verb == "enhance" and readable:
            np.testing.assert_allclose(made, values(source), atol=1)
        shutil.rmtree(out)
    return done.code


@pytest.mark.parametrize("row", rows(HARD), ids=lambda row: row["case"])
def test_a_hard_case_alone(row, network, tmp_path):
    case, wanted = HARD / row["case"], {"used": {0}, "either": {0, 2}}.get(row["expect"], {2})
    if case.name == NO_PATIENT_NEEDED:
        wanted = {0}
    for verb in ("enhance", "simulate"):
        assert check_alone(verb, case, network, tmp_path / "out") in wanted
    files = [p for p in files_of(case) if not p.name.endswith(DATA_FILES)]
    for path in files[:1]:
        assert check_alone("enhance", path, network, tmp_path / "out") in wanted


def good_series(folder: Path, beside: Path) -> np.ndarray:
    """Three good slices in the series, and on the grid, of a hostile file: (3, rows, columns) HU.

    Where the file tells none, in a series of their own.
    """
    told = header_of(beside)
    names = ("StudyInstanceUID", "PatientID", "GantryDetectorTilt")
    given = {name: told.get(name) for name in names}
    size = [told.get("Rows"), told.get("Columns")]
    n_rows, n_columns = size if all(64 <= (n or 0) <= 512 for n in size) else (96, 96)
    spacing = [float(mm) for mm in told.get("PixelSpacing") or [0.7, 0.7]]
    turn = [float(v) for v in told.get("ImageOrientationPatient") or AXIAL]
    along = np.cross(turn[:3], turn[3:])
    if abs(along[2]) < 0.9:
        turn, along = AXIAL, np.array([0.0, 0.0, 1.0])
    first = np.array([float(v) for v in told.get("ImagePositionPatient") or [0, 0, 0]])
    volume = small_chest(0, size=max(n_rows, n_columns))[:, :n_rows, :n_columns]
    write_series(
        folder,
        volume,
        told.get("SeriesInstanceUID") or "1.2.3.4",
        InstanceNumber=lambda k: 1000 + k,
        PixelSpacing=spacing if min(spacing) > 0 else [0.7, 0.7],
        ImageOrientationPatient=turn,
        ImagePositionPatient=lambda k: [f"{v:.4f}" for v in first + 100 + 2.5 * k * along],
        **{name: str(text) for name, text in given.items() if text},
    )
    return volume


@pytest.mark.parametrize("row", rows(HARD), ids=lambda row: row["case"])
def test_a_hard_case_among_good_slices(row, network, tmp_path):
    files, source = files_of(HARD / row["case"]), tmp_path / "in"
    volume = good_series(source, files[0])
    uid = header_of(sorted(source.iterdir())[0]).SeriesInstanceUID
    for path in files:
        shutil.copyfile(path, source / path.name)
    out = tmp_path / "out"
    if run("enhance", source, out, network).code:  # the hostile one is a series of its own
        done = run("enhance", source, out, network, f"--series {uid}")
        assert done.code == 0, done.line
    made = values(out)
    lost = [hu for hu in volume if not any(same(hu, each) for each in made)]
    assert not lost
    assert len(made) <= len(volume) + len(files)
    shutil.rmtree(out)
    run("simulate", source, out, network, f"--series {uid}")


def same(hu: np.ndarray, other: np.ndarray) -> bool:
    return hu.shape == other.shape and np.abs(hu - other).max() <= 1


@pytest.mark.parametrize("row", rows(FOLDERS), ids=lambda row: row["case"])
def test_a_folder_of_a_bug_report(row, network, tmp_path, said):
    """All its series, which are listed, one after the other."""
    folder, out = FOLDERS / row["case"], tmp_path / "out"
    if check_alone("enhance", folder, network, out):
        uids = [line.split()[0] for line in said if line.startswith("  ")]
        assert uids
    else:
        uids = []
    codes = [
        check_alone(verb, folder, network, out, f"--series {uid}")
        for uid in uids
        for verb in ("enhance", "simulate")
    ]
    assert set(codes) <= {0, 2}
    assert not uids or 0 in codes
