"""Of several files under one name the scan is used, never a mask or a copy of it."""

import weakref

import numpy as np
import pytest
import SimpleITK as sitk
from scipy import ndimage

from srgan.dataset import catalogue, copies
from srgan.formats import readers
from srgan.formats.scan import Catalogue
from tests.helpers import made_dicom
from tests.helpers.made_chest import SPACING_MM, body, chest, lungs, save, to_hu

CT = chest(1)
BODY, LUNGS = body(CT), lungs(CT)
SAME = "same scan as a MetaImage volume"


def zoomed(order: int, *factors: float) -> np.ndarray:
    return to_hu(ndimage.zoom(CT.astype(np.float32), factors, order=order, mode="nearest"))


def cubes(order: int, side_mm: float) -> np.ndarray:
    return zoomed(order, *(mm / side_mm for mm in SPACING_MM))


NOT_CT = {
    "a lung mask of 0 and 1": LUNGS.astype(np.int16),
    "a lung mask of 0 and 1 as floats": LUNGS.astype(np.float32),
    "a lung mask of 3 and 4": np.where(LUNGS, 4, 0).astype(np.int16),
    "lungs in 170": np.where(LUNGS, CT, 170).astype(np.int16),
    "lungs in 0": np.where(LUNGS, CT, 0).astype(np.int16),
    "a mask of -1024 and -1023": LUNGS - np.int16(1024),
    "grey values": np.clip((CT + 1000) / 5, 0, 255).astype(np.int16),
}
MASKED = {
    "a body in -1000": np.where(BODY, CT, -1000).astype(np.int16),
    "a body in -1024": np.where(BODY, CT, -1024).astype(np.int16),
    "half a body in -1000": np.where(np.arange(96) < 48, CT, -1000).astype(np.int16),
}
# Copies that are also resampled, by factors as people have them.
INTERPOLATED = {
    f"{n} slices for one by order {order}": zoomed(order, n, 1, 1)
    for n in (1.5, 2, 2.5)
    for order in (0, 1, 3)
}
CUT_OFF = {
    "HU from -1000 to 400": np.clip(CT, -1000, 400),
    "HU up to 450": np.clip(CT, None, 450),
    "the outer slices in -1000": np.concatenate([np.full_like(CT[:2], -1000), CT[2:]]),
}
FILTERED = {
    "smoothed a little": to_hu(ndimage.gaussian_filter(CT.astype(float), (0, 0.4, 0.4))),
    "smoothed in the plane": to_hu(ndimage.gaussian_filter(CT.astype(float), (0, 0.8, 0.8))),
    "smoothed in all directions": to_hu(ndimage.gaussian_filter(CT.astype(float), 0.6)),
    "through a median": ndimage.median_filter(CT, (1, 3, 3)),
}


def cases(values: dict):
    return pytest.mark.parametrize("copy", values.values(), ids=values)


def find(folder) -> Catalogue:
    result = catalogue.find(folder)
    files = [path for scan in result.scans for path in scan.files]
    files += [item.path for item in result.skipped]
    assert len(files) == len(set(files)) == result.found
    return result


def outcome(tmp_path, copy, spacing_mm=SPACING_MM, ending=".mhd") -> tuple[str, str]:
    """The reason and the detail of the copy, in each order of folder names; the CT is used."""
    found = set()
    for name in ("a", "z"):
        folder = tmp_path / name
        ct = save(folder / "m" / "1.2.3.mhd", CT)
        other = save(folder / name / f"1.2.3{ending}", copy, spacing_mm)
        result = find(folder)
        assert [scan.files[0] for scan in result.scans] == [ct]
        assert {item.path.parent for item in result.skipped} == {other.parent}
        found |= {(s.reason, s.detail.replace(str(folder), "")) for s in result.skipped}
    (one,) = found
    return one


@cases(NOT_CT)
def test_what_is_not_hu_does_not_displace_the_ct_of_its_name(tmp_path, copy):
    reason, detail = outcome(tmp_path, copy)
    assert reason == "not HU"
    assert "least" in detail


@pytest.mark.parametrize("air", [-1000, -1024])
def test_lungs_alone_do_not_displace_the_ct_of_their_name(tmp_path, air):
    """With little more than lung left they may be taken for no HU, or for the copy they are."""
    assert outcome(tmp_path, np.where(LUNGS, CT, air).astype(np.int16))[0] in ("not HU", SAME)


@cases(MASKED | CUT_OFF | INTERPOLATED | FILTERED)
def test_the_original_is_used_and_its_copy_skipped_with_the_originals_path(tmp_path, copy):
    reason, detail = outcome(tmp_path, copy, (SPACING_MM[0] * len(CT) / len(copy), 0.8, 0.8))
    assert reason == SAME
    assert detail == "the original is /m/1.2.3.mhd, 12 slices"


@pytest.mark.parametrize("order", [0, 1, 3])
@pytest.mark.parametrize("side_mm", [0.5, 1, 2.5])
def test_a_copy_in_cubes_is_skipped_also_with_more_pixels_or_as_many_slices(
    tmp_path, order, side_mm
):
    assert outcome(tmp_path, cubes(order, side_mm), [side_mm] * 3)[0] == SAME


@pytest.mark.parametrize("order", [0, 1, 3])
def test_a_copy_with_fewer_pixels_is_skipped(tmp_path, order):
    assert outcome(tmp_path, zoomed(order, 1, 0.5, 0.5), (2.5, 1.6, 1.6))[0] == SAME


def test_a_copy_with_slices_that_are_not_hu_is_skipped(tmp_path):
    copy = np.where(np.arange(len(CT))[:, None, None] < 5, np.where(LUNGS, CT, 170), CT)
    assert outcome(tmp_path, copy.astype(np.int16))[0] == SAME


@pytest.mark.parametrize("order", [0, 1, 3])
@pytest.mark.parametrize("slices", [3, 4, 5])
def test_slices_between_few_that_lie_far_apart_are_never_used(tmp_path, slices, order):
    ct = CT[:: len(CT) // slices][:slices]
    copy = to_hu(ndimage.zoom(ct.astype(float), ((2 * slices - 1) / slices, 1, 1), order=order))
    save(tmp_path / "a" / "1.2.3.mha", copy)
    kept = save(tmp_path / "b" / "1.2.3.mha", ct)
    assert [scan.files for scan in find(tmp_path).scans] == [(kept,)]


@pytest.mark.parametrize("size", [53, 96, 112])
def test_the_means_of_blocks_do_not_depend_on_the_grid(size):
    ramp = np.add.outer(np.linspace(-1, 1, size) ** 2, np.linspace(-1, 1, size))
    finer = np.repeat(np.repeat(ramp, 3, 0), 3, 1)
    assert copies._block_means(finer) == pytest.approx(copies._block_means(ramp))
    assert copies._block_means(ramp).mean() == pytest.approx(ramp.mean())


@pytest.mark.parametrize("ending", [".mha", ".nii.gz", ".nrrd"])
def test_a_copy_in_another_format_is_skipped(tmp_path, ending):
    assert outcome(tmp_path, MASKED["a body in -1024"], ending=ending)[0] == SAME


def test_of_identical_volumes_one_is_used(tmp_path):
    for name in ("a", "b", "c"):
        save(tmp_path / name / "1.2.3.mha", CT)
    result = find(tmp_path)
    assert [scan.files for scan in result.scans] == [(tmp_path / "a" / "1.2.3.mha",)]
    detail = f"the original is {tmp_path / 'a' / '1.2.3.mha'}, 12 slices"
    assert [(s.reason, s.detail) for s in result.skipped] == [(SAME, detail)] * 2


@pytest.mark.parametrize("kept", [slice(2, -2), slice(0, -2), slice(4, None)], ids=str)
def test_a_copy_of_some_of_the_slices_is_skipped(tmp_path, kept):
    assert outcome(tmp_path, CT[kept])[0] == SAME


def test_of_a_mask_a_copy_and_a_cropped_copy_only_the_ct_is_left(tmp_path):
    save(tmp_path / "a" / "1.2.3.mha", LUNGS.astype(np.int16))
    save(tmp_path / "b" / "1.2.3.mha", MASKED["a body in -1024"])
    ct = save(tmp_path / "c" / "1.2.3.mha", CT)
    save(tmp_path / "d" / "1.2.3.mha", CT[2:-2])
    result = find(tmp_path)
    assert [scan.files for scan in result.scans] == [(ct,)]
    reasons = {item.path.parent.name: item.reason for item in result.skipped}
    assert reasons == {"a": "not HU", "b": SAME, "d": SAME}


@pytest.mark.parametrize("words", ["_resampled", "-lung", " 1mm cubes", "_iso_1"])
def test_a_copy_whose_name_adds_words_is_skipped(tmp_path, words):
    ct = save(tmp_path / "b" / "1.2.3.mha", CT)
    save(tmp_path / "a" / f"1.2.3{words}.nii.gz", zoomed(1, 2, 1, 1), (1.25, 0.8, 0.8))
    result = find(tmp_path)
    assert [scan.files for scan in result.scans] == [(ct,)]
    assert {item.reason for item in result.skipped} == {SAME}


def test_numbered_names_are_scans_of_their_own(tmp_path):
    for i, name in enumerate(("p1", "p1_2", "p1.b", "p11_b", "p2_follow up")):
        save(tmp_path / f"{name}.mha", chest(i))
    assert len({scan.patient_id for scan in find(tmp_path).scans}) == 5


def test_another_scan_whose_name_adds_words_is_the_same_patients(tmp_path):
    save(tmp_path / "p1.mha", CT)
    save(tmp_path / "p1_followup.mha", chest(2))
    result = find(tmp_path)
    assert [scan.patient_id for scan in result.scans] == ["p1", "p1"]
    assert len({scan.series_uid for scan in result.scans}) == 2


def test_a_copy_whose_tags_name_the_series_is_skipped(tmp_path):
    for z in range(3):
        made_dicom.write(tmp_path / "z" / f"{z}.dcm", z=2.5 * z, values=CT[z], InstanceNumber=z)
    image = sitk.GetImageFromArray(zoomed(1, 2, 1, 1))
    image.SetMetaData("0020|000e", made_dicom.SERIES)
    sitk.WriteImage(image, str(tmp_path / "cubes.mha"))
    result = find(tmp_path)
    assert [scan.kind for scan in result.scans] == ["dicom"]
    assert {item.reason for item in result.skipped} == {"same scan as a DICOM series"}


@pytest.mark.parametrize(("low", "normal"), [("a-quarter", "full"), ("a_lowdose", "ct")])
def test_of_two_doses_under_one_name_the_normal_one_is_used(tmp_path, low, normal):
    noise = np.random.default_rng(0).normal(0, 60, CT.shape)
    save(tmp_path / low / "1.2.3.mha", to_hu(CT + noise))
    kept = save(tmp_path / normal / "1.2.3.mha", CT)
    result = find(tmp_path)
    assert [scan.files for scan in result.scans] == [(kept,)]
    ((reason, detail),) = {(item.reason, item.detail) for item in result.skipped}
    assert reason == "low dose beside normal dose"
    assert str(kept.parent) in detail


@pytest.mark.parametrize("ending", [".mhd", ".nii.gz", ".nrrd"])
def test_a_dicom_series_wins_over_volumes_of_its_uid(tmp_path, ending):
    for z in range(3):
        made_dicom.write(tmp_path / "z" / f"{z}.dcm", z=2.5 * z, values=CT[z], InstanceNumber=z)
    save(tmp_path / "a" / f"{made_dicom.SERIES}{ending}", CT)
    result = find(tmp_path)
    assert [(scan.kind, len(scan.slices)) for scan in result.scans] == [("dicom", 3)]
    assert {(s.reason, s.detail) for s in result.skipped} == {
        ("same scan as a DICOM series", f"the original is {tmp_path / 'z' / '0.dcm'}, 3 slices")
    }


@pytest.mark.parametrize("pixels", [LUNGS.astype(np.int16), CT + 1024], ids=["mask", "offset"])
def test_a_dicom_series_that_is_not_hu_leaves_the_volume_of_its_uid(tmp_path, pixels):
    for z in range(3):
        made_dicom.write(tmp_path / "a" / f"{z}.dcm", z=z, values=pixels[z], InstanceNumber=z)
    save(tmp_path / "z" / f"{made_dicom.SERIES}.mha", CT)
    result = find(tmp_path)
    assert [scan.kind for scan in result.scans] == ["metaimage"]
    assert {item.reason for item in result.skipped} == {"not HU"}


# ---- different volumes of one name ----


def test_volumes_that_lie_alone_in_their_folders_are_the_folders_patients(tmp_path):
    for i in range(1, 5):
        save(tmp_path / f"s000{i}" / "ct.nii.gz", chest(i))
        save(tmp_path / f"s000{i}" / "mask.nii.gz", lungs(chest(i)).astype(np.int16))
    result = find(tmp_path)
    assert [(scan.patient_id, scan.files[0].name) for scan in result.scans] == [
        (f"s000{i}", "ct.nii.gz") for i in range(1, 5)
    ]
    assert len({scan.series_uid for scan in result.scans}) == 4
    assert {(s.path.name, s.reason) for s in result.skipped} == {("mask.nii.gz", "not HU")}


def test_what_lies_below_the_folder_of_a_patient_is_the_same_patients(tmp_path):
    for i in (1, 2):
        save(tmp_path / f"case_{i}" / "ct.nii.gz", chest(i))
        save(tmp_path / f"case_{i}" / "later" / "ct.nii.gz", chest(i + 10))
    patients = [scan.patient_id for scan in find(tmp_path).scans]
    assert sorted(patients) == ["case_1", "case_1", "case_2", "case_2"]


@pytest.mark.parametrize(
    ("folders", "names", "patients"),
    [
        (6, 2, {f"f{i}" for i in range(6)}),  # before and after contrast
        (2, 4, {"v0", "v1", "v2", "v3"}),  # a folder for each phase
        (2, 2, {"f0"}),  # either: nobody may be on both sides of the split
        (3, 2, {"f0"}),
    ],
)
def test_many_folders_are_patients_and_so_are_many_names(tmp_path, folders, names, patients):
    for i in range(folders):
        for k in range(names):
            save(tmp_path / f"f{i}" / f"v{k}.mha", chest(10 * i + k, slices=3, size=64))
    save(tmp_path / "f0" / "localiser.mha", chest(99, slices=3, size=64))
    result = find(tmp_path)
    assert not result.skipped
    by_folder = folders > names
    found = {
        (scan.files[0].parent if by_folder else scan.files[0]).name[:2]: scan.patient_id
        for scan in result.scans
        if by_folder or scan.files[0].stem != "localiser"
    }
    assert set(found.values()) == patients
    if len(patients) > 1:
        assert all(patient == key for key, patient in found.items())


@pytest.mark.parametrize("size", [4, 31, 33])
def test_a_volume_of_few_pixels_and_one_of_air_in_the_middle_are_no_copies(tmp_path, size):
    other = chest(2)
    other[6] = -1000
    for i, volume in enumerate((CT, chest(3)[:, 30 : 30 + size, 30 : 30 + size], other)):
        save(tmp_path / str(i) / "ct.mha", volume)
    with np.errstate(all="raise"):
        assert len(find(tmp_path).scans) == 3


def test_volumes_of_other_names_are_never_opened(tmp_path, monkeypatch):
    save(tmp_path / "a" / "1.2.3.mha", CT)
    save(tmp_path / "b" / "1.2.4.mha", CT)
    monkeypatch.setattr(readers, "reader", None)
    assert len(find(tmp_path).scans) == 2


def test_of_many_volumes_of_one_name_few_are_open_at_a_time(tmp_path, monkeypatch):
    """A reader may hold a volume of 640 MiB."""
    for i in range(10):
        save(tmp_path / str(i) / "ct.mha", chest(i, slices=3, size=64))
    opened, alive, most = readers.reader, weakref.WeakSet(), []

    def reader(scan):
        read = opened(scan)
        alive.add(read)
        most.append(len(alive))
        return read

    monkeypatch.setattr(readers, "reader", reader)
    assert len(find(tmp_path).scans) == len(most) == 10
    assert max(most) <= 3
