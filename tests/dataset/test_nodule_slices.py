"""The store of the slices through nodules of test patients."""

import json

import numpy as np
import pytest
import SimpleITK as sitk

from srgan.dataset import annotations, nodule_slices
from srgan.dataset import build_store as stores
from srgan.dataset.scan_source import DatasetPaths, Source
from srgan.formats import readers
from srgan.system.errors import Skip

HEAD = "seriesuid,coordX,coordY,coordZ,diameter_mm\n"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"series,x\n1,2\n", "there is no column seriesuid, coordX"),
        (b"", "there is no column"),
        (b"\xff\xfe\x00s\x00e", "there is no column"),
    ],
)
def test_an_unusable_annotations_csv_is_reported_and_not_used(
    small_scans, tmp_path, content, reason, said
):
    paths, store, folder = opened(small_scans, tmp_path)
    (folder / "annotations.csv").write_bytes(content)
    said.clear()
    assert nodule_slices.open_or_build(paths, store, ["P0001"]) is None
    assert len(said) == 1
    assert reason in said[0]
    assert not (store.folder / "nodules").exists()


def opened(small_scans, tmp_path):
    """Paths, store and folder of the six small scans, with room for a table beside them."""
    folder = tmp_path / "data"
    folder.mkdir()
    for each in small_scans.iterdir():
        (folder / each.name).symlink_to(each)
    paths = DatasetPaths(folder, tmp_path / "store")
    return paths, stores.open_or_build(paths), folder


def uid_of(store, pseudonym):
    return store.patients[pseudonym]  # a MetaImage has its series' UID for a patient


@pytest.fixture
def kept(small_scans, tmp_path, said):
    """Annotations of two tested patients, one that is not, and rows that lead nowhere."""
    paths, store, folder = opened(small_scans, tmp_path)
    one, two, other = (uid_of(store, name) for name in ("P0002", "P0005", "P0001"))
    rows = [
        f"{one},20.3,30.1,2.6,6", f"{one},40,30,2.4,5", f"{one},35,21,5,4", f"{two},7,14,0.5,9",
        f"{one},400,30,2.5,6", f"{one},30,30,-40,6", f"{other},20,30,2.5,6", "9.9,20,30,2.5,6",
        f"{one},x,30,2.5,6",
    ]  # fmt: skip
    (folder / "below").mkdir()
    (folder / "below" / "annotations.csv").write_text(HEAD + "\n".join(rows))
    said.clear()  # of the store

    def build():
        return nodule_slices.open_or_build(paths, store, ["P0002", "P0005"])

    return build, store, folder, said


def test_nodule_slices_of_tested_patients_are_in_a_store_of_their_own(kept, small_scans):
    build, store, _, lines = kept
    before = {p.name: p.stat().st_mtime_ns for p in store.folder.iterdir()}
    made = build()
    assert [(r.pseudonym, r.role) for r in made.store.records] == [
        ("P0002", "test"), ("P0002", "test"), ("P0005", "test")
    ]  # fmt: skip
    assert [(n.slice, n.number, n.diameter_mm) for n in made.nodules] == [
        (0, 1, 5.0), (0, 2, 6.0), (1, 3, 4.0), (2, 1, 9.0)
    ]  # fmt: skip
    second = made.nodules[1]
    assert (second.row_px, second.column_px) == pytest.approx((30.1 / 0.7, 20.3 / 0.7))
    path = next(small_scans.rglob(f"{uid_of(store, 'P0002')}.mhd"))
    volume = np.maximum(sitk.GetArrayFromImage(sitk.ReadImage(str(path))), -1024)
    assert np.array_equal(made.store.hu(0), volume[1])
    assert np.array_equal(made.store.hu(1), volume[2])
    assert lines == [
        "nodules: 4 of 9 rows of annotations.csv are used; left out: 1 without numbers, 1 of "
        "patients that are not tested, 1 of scans that are not here, 2 outside their scan's slices"
    ]
    after = {p.name: p.stat().st_mtime_ns for p in store.folder.iterdir()}
    assert {name: after.pop(name) for name in before} == before
    assert sorted(after) == [".lock-nodules", "nodules"]


def test_nodule_slices_are_read_once_and_again_if_damaged_or_for_another_table(kept, monkeypatch):
    build, store, folder, lines = kept
    first = build()
    with monkeypatch.context() as patched:
        patched.setattr(readers, "reader", lambda scan: pytest.fail("it read the scans"))
        assert build().nodules == first.nodules
    path = store.folder / "nodules" / "nodules.json"
    path.write_text(path.read_text().replace('"row_px": 4', '"row_px": 5'))
    (path.parent / "notes.txt").write_text("mine")
    assert build().nodules == first.nodules
    assert (path.parent / "notes.txt").read_text() == "mine"
    assert "is corrupt" in lines[2]
    (array,) = (store.folder / "nodules").glob("*.npy")
    array.write_bytes(array.read_bytes()[:-2])
    assert build().nodules == first.nodules
    (folder / "below" / "annotations.csv").write_text(HEAD + f"{uid_of(store, 'P0002')},9,9,0,6")
    assert len(build().nodules) == 1
    assert json.loads(path.read_text())["rows"] == 1


def test_nodules_of_an_unreadable_scan_are_counted(kept, small_scans, monkeypatch):
    build, store, _, lines = kept
    damaged = uid_of(store, "P0002")

    def reader(scan):
        if scan.series_uid == damaged:
            raise Skip("truncated")
        return original(scan)

    original = readers.reader
    monkeypatch.setattr(readers, "reader", reader)
    assert [n.slice for n in build().nodules] == [0]
    assert "5 in slices that cannot be read" in lines[0]


def test_without_annotations_csv_nothing_is_logged_or_written(small_scans, tmp_path, said):
    paths, store, folder = opened(small_scans, tmp_path)
    said.clear()
    assert annotations.find(Source(folder)) is None
    assert annotations.find(Source(folder / "absent")) is None
    (folder / "kept").mkdir()
    (folder / "kept" / "annotations.csv").write_text(HEAD)
    assert annotations.find(Source(folder, (folder / "kept",))) is None
    assert annotations.find(Source(folder)) == folder / "kept" / "annotations.csv"
    (folder / "kept" / "annotations.csv").unlink()
    assert nodule_slices.open_or_build(paths, store, ["P0001"]) is None
    assert not said
    assert not (store.folder / "nodules").exists()
