"""New DICOM slices on a finer grid, in other bits and of a volume; pydicom, SimpleITK, checkers."""

import itertools
import pickle
import re
import shutil
import socket
import subprocess
import time

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRBigEndian, ImplicitVRLittleEndian

from srgan.formats import readers, writers
from srgan.formats.derived import Derived
from srgan.formats.dicom.derived_header import Series
from srgan.formats.dicom.series import file_source
from srgan.formats.dicom.write import DicomTarget, slice_file
from srgan.whole_scans import single_scan
from tests.conftest import small_chest
from tests.helpers.made_dicom import ct_slice, stored_values, write

HOW = "srgan-ct 0: a test, weights SHA-256 " + 64 * "0"
TURN = np.radians(10)
DIRECTIONS = {
    "plain": np.eye(3),
    "prone": np.diag((-1, -1, 1)),
    "mirrored": np.diag((1, 1, -1)),
    "rotated": [[np.cos(TURN), -np.sin(TURN), 0], [np.sin(TURN), np.cos(TURN), 0], [0, 0, 1]],
}


def enlarge(hu: np.ndarray, n: int) -> np.ndarray:
    return np.repeat(np.repeat(hu, n, 0), n, 1).astype(np.float32)


def derive(path, n=1, change=0.0, **of_series):
    """The source and its copy with n times as many rows and columns, as pydicom reads them."""
    source = file_source(path)
    target = DicomTarget(path.parent, Series.new(Derived("made by a network", n, **of_series)))
    target.write(0, source, enlarge(source.hu, n) + change, HOW)
    return pydicom.dcmread(path), pydicom.dcmread(slice_file(path.parent, 0))


def copy_of(path, out, n=1):
    """A scan as a DICOM series in the folder `out`: the folder's image, as SimpleITK reads it."""
    scan, _ = single_scan.find(path)
    out.mkdir()
    derived = Derived("made by a network", n)
    read = readers.FORMATS[scan.kind].source_reader(scan, out)
    target = pickle.loads(pickle.dumps(writers.begin("dicom", scan, derived, out)))
    for index in reversed(range(len(scan.slices))):
        source = read(index)
        target.write(index, source, enlarge(source.hu, n), HOW)
    target.finish(HOW)
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(out)))
    return reader.Execute()


def corners(image: sitk.Image) -> np.ndarray:
    """(8, 3), where the image ends in the plane of its slices, sorted."""
    columns, rows, n = image.GetSize()
    ends = itertools.product((-0.5, columns - 0.5), (-0.5, rows - 0.5), (0.0, n - 1.0))
    points = np.array([image.TransformContinuousIndexToPhysicalPoint(end) for end in ends])
    return points[np.lexsort(points.round(3).T)]


def volume(path, direction=DIRECTIONS["plain"]):
    image = sitk.GetImageFromArray(small_chest(1))
    image.SetSpacing((0.7123456, 0.8, 2.5))
    image.SetOrigin((-123.456789, 1 / 3, -1001.25))
    image.SetDirection(np.ravel(direction).tolist())
    sitk.WriteImage(image, str(path))
    return sitk.ReadImage(str(path))


@pytest.mark.parametrize("n", [1, 2, 4])
def test_an_enlarged_slice_has_the_field_of_view_of_its_source(tmp_path, n):
    across, down = (0.99619469809, 0.0871557427476, 0), (-0.0871557427476, 0.99619469809, 0)
    path = write(
        tmp_path / "a.dcm",
        PixelSpacing=["0.7123456", "0.6543219"],
        ImagePositionPatient=["-172.123456", "-0.333333", "1001.1"],
        ImageOrientationPatient=[f"{v:.12f}" for v in (*across, *down)],
    )
    _, made = derive(path, n)
    assert (made.Rows, made.Columns) == (16 * n, 24 * n)
    text = [*made.PixelSpacing, *made.ImagePositionPatient]
    assert max(len(str(v.original_string)) for v in text) <= 16
    before, after = (sitk.ReadImage(str(p)) for p in (path, slice_file(tmp_path, 0)))
    np.testing.assert_allclose(corners(after), corners(before), atol=1e-6)
    fields = [np.array(i.GetSize()[:2]) * i.GetSpacing()[:2] for i in (before, after)]
    np.testing.assert_allclose(*fields, atol=1e-9)
    np.testing.assert_array_equal(
        sitk.GetArrayFromImage(after)[0], enlarge(sitk.GetArrayFromImage(before)[0], n)
    )


def test_a_resampled_slice_has_the_code_for_it_and_others_have_not(tmp_path):
    path = write(tmp_path / "a.dcm")
    assert "DerivationCodeSequence" not in derive(path)[1]
    for made in (derive(path, 2)[1], derive(path, resampled=True)[1]):
        (code,) = made.DerivationCodeSequence
        assert (code.CodeValue, code.CodingSchemeDesignator) == ("113085", "DCM")


def test_what_tells_the_old_size_of_a_pixel_goes_only_where_it_changes(tmp_path):
    stale = {"ImagerPixelSpacing": [1, 1], "SpatialResolution": "0.5", "PixelPaddingValue": -1000}
    kept = {"ReconstructionDiameter": "360", "WindowCenter": "40", "WindowWidth": "400"}
    kept |= {"BurnedInAnnotation": "NO", "PatientIdentityRemoved": "YES"}
    path = write(tmp_path / "a.dcm", **stale, **kept)
    same, enlarged = derive(path)[1], derive(path, 2)[1]
    assert not [name for name in stale if name not in same or name in enlarged]
    for name in kept:
        assert same[name].value == enlarged[name].value == ct_slice(**kept)[name].value, name


@pytest.mark.parametrize(
    ("changes", "layout"),
    [
        ({"BitsStored": 12, "HighBit": 11, "PixelPaddingValue": -2000}, (16, 1, 1, 0)),
        ({"PixelRepresentation": 0, "RescaleIntercept": "-1024"}, (16, 0, 1, -1024)),
        ({"RescaleSlope": "0.5"}, (16, 1, 0.5, 0)),
    ],
)
def test_the_bits_hold_the_range_of_hu_on_both_grids(tmp_path, changes, layout):
    unsigned = changes.get("PixelRepresentation") == 0
    values = stored_values() + (1024 if unsigned else 0)
    path = write(tmp_path / "a.dcm", values=values, **changes)
    for n in (1, 2):
        _, made = derive(path, n, change=2900.0)
        assert (
            made.BitsStored,
            made.PixelRepresentation,
            made.RescaleSlope,
            made.RescaleIntercept,
        ) == layout
        assert int(made.pixel_array.max()) * layout[2] + layout[3] == 3071
    assert derive(path)[1].get("PixelPaddingValue") == changes.get("PixelPaddingValue")


def test_a_slope_that_cannot_hold_the_result_is_replaced_on_a_finer_grid(tmp_path):
    values = stored_values() * 30
    path = write(tmp_path / "a.dcm", values=values, RescaleSlope="0.05", RescaleIntercept="100")
    _, made = derive(path, 2, change=2000.0)
    assert (made.RescaleSlope, made.RescaleIntercept, made.BitsStored) == (1, 0, 16)
    wanted = enlarge(np.rint(values * 0.05 + 100).clip(-1024), 2) + 2000
    np.testing.assert_array_equal(made.pixel_array, wanted.clip(-1024, 3071))


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRBigEndian])
def test_elements_of_every_encoding_are_copied(tmp_path, syntax):
    inner = Dataset()
    inner.ReferencedSOPClassUID, inner.ReferencedFrameNumber = "1.2", 7
    inner.add_new(0x00091001, "LO", "private")
    outer = Dataset()
    outer.PurposeOfReferenceCodeSequence = Sequence([inner])
    dataset = ct_slice(
        ReferencedImageSequence=Sequence([outer]),
        SourceImageSequence=Sequence([outer]),
        ReferencedPerformedProcedureStepSequence=Sequence([outer]),
        PatientName="Müller^Jürgen",
        SpecificCharacterSet="ISO_IR 192",
        DataCollectionCenterPatient=[1.5, -2.5, 3.25],
        PixelPaddingValue=-3,
        ReferencedSOPInstanceUID="1.2.3",  # at the top, as some archives leave it
    )
    dataset.file_meta.TransferSyntaxUID = syntax
    if syntax == ExplicitVRBigEndian:
        dataset.PixelData = stored_values().astype(">i2").tobytes()
    _, made = derive(write(tmp_path / "a.dcm", dataset))
    assert made.PatientName == "Müller^Jürgen"
    assert list(made.DataCollectionCenterPatient) == [1.5, -2.5, 3.25]
    assert made.PixelPaddingValue == -3
    copied = made.ReferencedImageSequence[0].PurposeOfReferenceCodeSequence[0]
    assert (len(copied), copied.ReferencedSOPClassUID) == (2, "1.2")
    assert made.SourceImageSequence[0].ReferencedSOPInstanceUID == dataset.SOPInstanceUID
    for name in ("ReferencedPerformedProcedureStepSequence", "ReferencedSOPInstanceUID"):
        assert name not in made
    np.testing.assert_array_equal(made.pixel_array, stored_values())


def test_a_source_without_a_study_or_attributes_of_type_2_gets_them(tmp_path):
    _, made = derive(write(tmp_path / "a.dcm"))
    assert made.StudyInstanceUID != made.FrameOfReferenceUID
    assert made.StudyDate == made.AccessionNumber == ""
    assert made.PatientID == "P1"


@pytest.mark.parametrize(("given", "written"), [((3, 2, 1), [3, 2, 1]), ((5, 5, 6), [1, 2, 3])])
def test_instance_numbers_are_kept_where_they_are_unique_and_in_order(tmp_path, given, written):
    for z, number in enumerate(given):
        path = tmp_path / "in" / f"{z}.dcm"
        write(path, values=small_chest(1)[z], z=3 * z, InstanceNumber=number)
    copy_of(tmp_path / "in", tmp_path / "out")
    made = [pydicom.dcmread(p) for p in sorted((tmp_path / "out").glob("*.dcm"))]
    assert [int(d.InstanceNumber) for d in made] == written
    assert len({d.SOPInstanceUID for d in made}) == 3
    assert len({d.SeriesInstanceUID for d in made}) == len({d.StudyInstanceUID for d in made}) == 1


@pytest.mark.parametrize("n", [1, 4])
@pytest.mark.parametrize("direction", DIRECTIONS)
def test_a_volume_becomes_a_series_in_its_place_with_a_made_up_patient(tmp_path, direction, n):
    before = volume(tmp_path / "a.nrrd", DIRECTIONS[direction])
    after = copy_of(tmp_path / "a.nrrd", tmp_path / "out", n)
    np.testing.assert_allclose(corners(after), corners(before), atol=1e-6)
    made = [pydicom.dcmread(p) for p in sorted((tmp_path / "out").glob("*.dcm"))]
    assert all(d.PatientID.startswith("MADE-UP-") and "made up" in d.PatientComments for d in made)
    assert made[0].DerivationDescription.endswith(HOW)
    for name in ("PatientID", "StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID"):
        assert len({d[name].value for d in made}) == 1
    assert len({d.SOPInstanceUID for d in made}) == 3
    hu = sitk.GetArrayFromImage(before)[0].clip(*((-1024, 3071) if n > 1 else (None, None)))
    np.testing.assert_array_equal(made[0].pixel_array, enlarge(hu, n))


# ---- other people's checkers ----


def errors(path) -> set[str]:
    """The errors that dciodvfy names, without the values."""
    done = subprocess.run(["dciodvfy", str(path)], capture_output=True, timeout=60)
    lines = (done.stdout + done.stderr).decode("latin-1").splitlines()
    return {re.sub(r" = <.*", "", line) for line in lines if line.startswith("Error")}


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("dciodvfy"), reason="no dciodvfy (Debian: dicom3tools)")
@pytest.mark.parametrize("n", [1, 4])
def test_dciodvfy_reports_no_error_that_the_source_has_not(tmp_path, n):
    path = write(tmp_path / "a.dcm", SliceThickness="2.5", WindowCenter="40", WindowWidth="400")
    derive(path, n)
    assert errors(slice_file(tmp_path, 0)) <= errors(path)
    volume(tmp_path / "a.mhd")
    copy_of(tmp_path / "a.mhd", tmp_path / "out", n)
    for made in (tmp_path / "out").glob("*.dcm"):
        assert errors(made) == set()


@pytest.mark.slow
@pytest.mark.skipif(
    not (shutil.which("storescp") and shutil.which("storescu")), reason="no DCMTK (Debian: dcmtk)"
)
def test_a_store_accepts_the_whole_series(tmp_path):
    volume(tmp_path / "a.mhd")
    copy_of(tmp_path / "a.mhd", tmp_path / "out", 4)
    (tmp_path / "store").mkdir()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    store = subprocess.Popen(["storescp", "-od", tmp_path / "store", port])
    try:
        send = ["storescu", "+sd", "localhost", port, tmp_path / "out"]
        for _ in range(50):  # until it listens
            if (code := subprocess.run(send, capture_output=True, timeout=60).returncode) == 0:
                break
            time.sleep(0.1)
        assert code == 0
    finally:
        store.terminate()
        store.wait()
    sent = {pydicom.dcmread(p).SOPInstanceUID for p in (tmp_path / "out").glob("*.dcm")}
    assert {pydicom.dcmread(p).SOPInstanceUID for p in (tmp_path / "store").iterdir()} == sent
