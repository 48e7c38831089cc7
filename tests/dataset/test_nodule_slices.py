"""LUNA16's annotations: where they lie in a scan, and the slices that are kept of them."""

import json

import numpy as np
import pytest
import SimpleITK as sitk

from srgan.dataset import annotations, catalogue, nodule_slices
from srgan.dataset import build_store as stores
from srgan.dataset.coordinates import locate
from srgan.dataset.scan_source import DatasetPaths, Source
from srgan.formats import readers
from srgan.system.errors import Skip
from tests.helpers import made_dicom

HEAD = "seriesuid,coordX,coordY,coordZ,diameter_mm\n"


def volume_at(folder, direction, spacing=(0.6, 0.8, 2.5), origin=(-30.0, 12.0, -200.0)):
    """A MetaImage volume of 5 x 24 x 16 with this geometry: its scan, and SimpleITK's image."""
    rng = np.random.default_rng(0)
    image = sitk.GetImageFromArray(rng.integers(-1000, 500, (5, 24, 16)).astype(np.int16))
    image.SetSpacing(spacing)
    image.SetOrigin(origin)
    image.SetDirection(direction)
    sitk.WriteImage(image, str(folder / "1.2.3.mhd"))
    return catalogue.find(folder).scans[0], image


FLIPPED = (-1, 0, 0, 0, -1, 0, 0, 0, 1)
TILTED = tuple(sitk.VersorTransform((1, 0, 0), 0.2).GetMatrix())


@pytest.mark.parametrize(
    "direction", [(1, 0, 0, 0, 1, 0, 0, 0, 1), FLIPPED, (0, -1, 0, 1, 0, 0, 0, 0, 1), TILTED]
)
def test_a_point_in_a_volume_lies_where_simpleitk_says(tmp_path, direction):
    scan, image = volume_at(tmp_path, direction)
    for index in ((0, 0, 0), (3.2, 20.4, 1.3), (15.4, 23.4, 4.4), (7, 11, 2.6)):
        point = image.TransformContinuousIndexToPhysicalPoint(index)
        place = locate(scan, point)
        column, row, position = image.TransformPhysicalPointToIndex(point)
        assert (place.position, round(place.row_px), round(place.column_px)) == (
            position, row, column,
        )  # fmt: skip
        assert (place.column_px, place.row_px) == pytest.approx(index[:2], abs=1e-3)
        assert place.off_mm == pytest.approx(2.5 * (index[2] - position), abs=1e-3)
        hu = sitk.GetArrayFromImage(image)[position]
        assert np.array_equal(readers.reader(scan)(place.position), np.maximum(hu, -1024))


@pytest.mark.parametrize("index", [(-1, 5, 2), (16.1, 5, 2), (5, 24.2, 2), (5, 5, 5.1), (5, 5, -1)])
def test_a_point_outside_a_volume_has_no_place(tmp_path, index):
    scan, image = volume_at(tmp_path, FLIPPED)
    assert locate(scan, image.TransformContinuousIndexToPhysicalPoint(index)) is None
    assert locate(scan, (float("nan"), 0.0, 0.0)) is None


@pytest.mark.parametrize("across", [(1, 0, 0), (-1, 0, 0)])
def test_a_point_in_a_dicom_series_lies_where_simpleitk_says(tmp_path, across):
    down = (0, float(np.cos(0.2)), float(np.sin(0.2)))
    normal = np.cross(across, down)
    paths = [
        made_dicom.write(
            tmp_path / f"{i}.dcm",
            ImageOrientationPatient=[*across, *down],
            ImagePositionPatient=[round(float(v), 6) for v in (-8, 4, -50) + 2.5 * i * normal],
            InstanceNumber=i,
        )
        for i in range(4)
    ]
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames([str(path) for path in paths])
    image = reader.Execute()
    (scan,) = catalogue.find(tmp_path).scans
    for index in ((0, 0, 0), (20.3, 10.2, 2.4), (23.4, 15.4, 1.7)):
        place = locate(scan, image.TransformContinuousIndexToPhysicalPoint(index))
        *_, position = image.TransformPhysicalPointToIndex(
            image.TransformContinuousIndexToPhysicalPoint(index)
        )
        assert scan.slices[place.position].path == paths[position]
        assert (place.column_px, place.row_px) == pytest.approx(index[:2], abs=1e-3)
        assert abs(place.off_mm) == pytest.approx(2.5 * abs(index[2] - position), abs=1e-3)
    assert locate(scan, image.TransformContinuousIndexToPhysicalPoint((5, 5, 4.2))) is None


def test_a_point_in_a_gap_between_slices_has_no_place(tmp_path):
    for i in (0, 1, 2, 6, 7):
        made_dicom.write(tmp_path / f"{i}.dcm", z=2.5 * i)
    (scan,) = catalogue.find(tmp_path).scans
    assert locate(scan, (5.0, 5.0, 5.9)).position == 2
    assert locate(scan, (5.0, 5.0, 10.0)) is None


# ---- annotations.csv ----


def test_rows_that_cannot_be_used_are_counted():
    rows = ["a,1,2,3,4.5", "a,1,2,3,4.5", "a,x,2,3,5", "a,1,2", "b,1,nan,3,5", "b,1,2,3,2.9", ""]
    text = HEAD + "\r\n".join(rows) + "\nb,1,2,3,1e9\n"
    found, left_out = annotations.read(b"\xef\xbb\xbf" + text.encode())
    assert found == [annotations.Annotation("a", (1.0, 2.0, 3.0), 4.5)]
    assert left_out == {"listed twice": 1, "without numbers": 4, "under 3 mm": 1}


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
