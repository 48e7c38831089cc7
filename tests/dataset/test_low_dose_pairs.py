"""Trees of pairs: which low dose belongs to which normal dose, and what is said of the rest."""

import random
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import generate_uid
from scipy import ndimage

from srgan.dataset import catalogue
from srgan.dataset.low_dose_pairs import NO_SERIES, NO_SLICE
from srgan.formats import readers
from srgan.formats.scan import OWN_MODEL
from tests.helpers import made_pairs
from tests.helpers.made_chest import save
from tests.helpers.made_pairs import STEP_MM, doses

LAYOUTS = pytest.mark.parametrize("tree", [made_pairs.tcia, made_pairs.mayo])


def found(folder: Path):
    """The catalogue of pairs: every file once, equal positions, and the noisier slice is low."""
    of = catalogue.find(folder, pairs=True)
    files = [path for scan in of.scans for path in scan.files] + [s.path for s in of.skipped]
    assert len(files) == len(set(files)) == of.found
    for scan in of.scans:
        low = scan.low_dose.scan
        assert [s.z_mm for s in scan.slices] == [s.z_mm for s in low.slices]
        for i in range(len(scan.slices)):
            normal, noisy = (readers.reader(each)(i).astype(float) for each in (scan, low))
            assert np.var(np.diff(noisy)) > np.var(np.diff(normal))
            assert abs(np.median(noisy - normal)) < 10
    return of


def pairs(of) -> dict[str, set[tuple[str, str]]]:
    """Patient to its pairs of files' paths, normal and low."""
    made: dict[str, set] = {}
    for scan in of.scans:
        for two in zip(scan.slices, scan.low_dose.scan.slices, strict=True):
            made.setdefault(scan.patient_id, set()).add(tuple(str(s.path) for s in two))
    return made


def reasons(of) -> Counter:
    return Counter(item.reason for item in of.skipped)


def as_text(files) -> set[tuple[str, str]]:
    return {tuple(map(str, two)) for two in zip(*files, strict=True)}


# ---- the two layouts ----


@LAYOUTS
def test_every_patient_of_a_layout_is_paired_slice_by_slice(tmp_path, tree):
    made = {name: tree(tmp_path, name, i) for i, name in enumerate(("C002", "L067", "N005"))}
    of = found(tmp_path)
    assert pairs(of) == {name: as_text(files) for name, files in made.items()}
    assert of.skipped == ()
    assert of.remarks[0].startswith("pairs: 18 slices in 3 pairs of series of 3 patients; low dose")


def test_thicknesses_and_kernels_of_a_patient_are_pairs_of_their_own(tmp_path):
    """1 mm slices lie where 3 mm slices lie; a sharp kernel shows edges, not noise."""
    made = [
        made_pairs.mayo(tmp_path / f"{mm}mm {kernel}", "L067", i, mm, SliceThickness=mm,
                        ConvolutionKernel=kernel)
        for i, (mm, kernel) in enumerate([(1, "B30f"), (1, "D45f"), (3, "B30f")])
    ]  # fmt: skip
    of = found(tmp_path)
    assert pairs(of) == {"L067": set().union(*map(as_text, made))}
    assert len(of.scans) == 3


def test_where_headers_lack_kernel_and_thickness_names_keep_reconstructions_apart(tmp_path):
    for i, name in enumerate(("1mm B30", "1mm D45")):
        made_pairs.mayo(
            tmp_path / name, "L067", 0, ConvolutionKernel=None, SliceThickness=None,
            StudyDate=f"2020010{i + 1}",
        )  # fmt: skip
    for scan in found(tmp_path).scans:
        low = scan.low_dose.scan
        assert scan.files[0].parents[2] == low.files[0].parents[2]


# ---- shifted, missing, renamed ----


@LAYOUTS
def test_missing_slices_of_either_dose_are_listed_and_the_others_are_pairs(tmp_path, tree):
    normal, low = tree(tmp_path, "L067", 0)
    for path in (normal[0], normal[4], low[2]):
        path.unlink()
    of = found(tmp_path)
    assert pairs(of) == {"L067": {(str(normal[i]), str(low[i])) for i in (1, 3, 5)}}
    assert {s.path for s in of.skipped} == {low[0], low[4], normal[2]}
    assert reasons(of) == {NO_SLICE: 3}
    details = {s.path: s.detail for s in of.skipped}
    assert str(normal[1].parent) in details[low[0]]
    assert details[low[0]].endswith("the nearest slice lies 2.00 mm away")


@LAYOUTS
def test_files_are_paired_by_position_whatever_their_names_and_numbers(tmp_path, tree):
    """Names of the low dose are dealt anew: as if another tool had numbered the slices."""
    normal, low = tree(tmp_path, "L067", 0)
    names = random.Random(0).sample(low, len(low))
    for path in low:
        path.rename(path.with_suffix(".part"))
    for path, name in zip(low, names, strict=True):
        path.with_suffix(".part").rename(name)
    of = found(tmp_path)
    assert pairs(of) == {"L067": as_text((normal, names))}


@LAYOUTS
@pytest.mark.parametrize("shift_mm", [0.5, STEP_MM / 2])
def test_a_low_dose_between_the_normal_slices_is_no_pair(tmp_path, tree, shift_mm):
    _moved(tree(tmp_path, "L067", 0)[1], (0, 0, shift_mm))
    of = found(tmp_path)
    assert (of.scans, reasons(of)) == ((), {NO_SERIES: 12})
    assert f"the nearest slice lies {shift_mm:.2f} mm away" in of.skipped[0].detail


def test_a_low_dose_whose_pixels_moved_is_refused_by_them(tmp_path):
    """The positions lie."""
    _, low = made_pairs.tcia(tmp_path, "L067", 0)
    hu = [np.roll(dcmread(path).pixel_array, 9, 1) for path in low]
    for path, values in zip(low, hu, strict=True):
        _with_values(path, values)
    of = found(tmp_path)
    assert (of.scans, reasons(of)) == ((), {NO_SERIES: 12})
    assert "the anatomy is" in of.skipped[0].detail


def test_some_slices_that_moved_in_the_plane_are_listed(tmp_path):
    normal, low = made_pairs.mayo(tmp_path, "L067", 0)
    _moved(low[:2], (0.4, 0, 0))
    of = found(tmp_path)
    assert pairs(of) == {"L067": as_text((normal[2:], low[2:]))}
    assert {s.path for s in of.skipped} == {*normal[:2], *low[:2]}
    assert "lies 0.40 mm away" in of.skipped[0].detail


def _moved(files, by_mm) -> None:
    for path in files:
        dataset = dcmread(path)
        position = np.array(dataset.ImagePositionPatient, float) + by_mm
        dataset.ImagePositionPatient = [float(v) for v in position]
        dataset.save_as(path)


def _with_values(path, values) -> None:
    dataset = dcmread(path)
    dataset.PixelData = np.ascontiguousarray(values, "<i2").tobytes()
    dataset.save_as(path)


# ---- which is the low dose ----


def test_swapped_names_are_told_and_the_noisier_series_is_the_low_dose(tmp_path, said):
    normal, low = doses(0)
    noisy = made_pairs.write(tmp_path / "L067" / "full_1mm", low, "L067")
    clean = made_pairs.write(tmp_path / "L067" / "quarter_1mm", normal, "L067")
    of = found(tmp_path)
    assert pairs(of) == {"L067": as_text((clean, noisy))}
    assert of.scans[0].low_dose.told_by == "noise (names swapped)"
    (line,) = [line for line in said if "names are swapped" in line]
    assert str(noisy[0].parent) in line.split("has more noise than")[0]


def test_swapped_folders_do_not_matter_where_descriptions_tell(tmp_path, said):
    normal, low = doses(0)
    noisy = made_pairs.write(tmp_path / "Full Dose Images", low, "L067", "Low Dose Images")
    clean = made_pairs.write(tmp_path / "Low Dose Images", normal, "L067", "Full Dose Images")
    assert pairs(found(tmp_path)) == {"L067": as_text((clean, noisy))}
    assert not [line for line in said if "swapped" in line]


def test_a_copied_description_leaves_the_word_to_the_folders(tmp_path):
    normal, low = doses(0)
    for dose, hu in (("full", normal), ("quarter", low)):
        made_pairs.write(tmp_path / f"{dose}_1mm", hu, "L067", "Full dose abdomen")
    assert found(tmp_path).scans[0].low_dose.told_by == "names, noise"


def test_one_series_uid_for_both_doses_is_told_apart_by_names(tmp_path):
    made = made_pairs.mayo(tmp_path, "L067", 0, SeriesInstanceUID="1.2.3")
    assert pairs(found(tmp_path)) == {"L067": as_text(made)}


def test_exposure_tells_the_low_dose_and_its_share(tmp_path):
    normal, low = doses(0)
    made_pairs.write(tmp_path / "a", low, "L067", Exposure=20)
    made_pairs.write(tmp_path / "b", normal, "L067", Exposure=200)
    of = found(tmp_path)
    assert of.scans[0].low_dose.told_by == "exposure, noise"
    assert of.scans[0].low_dose.dose == pytest.approx(0.1)
    assert of.remarks[1].startswith("pairs: the low dose is 10% of the normal dose by exposure")


def test_noise_alone_tells_the_low_dose(tmp_path):
    normal, low = doses(0)
    made = [made_pairs.write(tmp_path / n, hu, "L067") for n, hu in (("a", low), ("b", normal))]
    of = found(tmp_path)
    assert pairs(of) == {"L067": as_text(made[::-1])}
    assert (of.scans[0].low_dose.told_by, of.scans[0].low_dose.dose) == ("noise", None)


def test_less_exposure_and_less_noise_is_another_reconstruction(tmp_path):
    normal, low = doses(0)
    made_pairs.write(tmp_path / "full_1mm", low, "L067", Exposure=200)
    made_pairs.write(tmp_path / "quarter_1mm", normal, "L067", Exposure=50)
    of = found(tmp_path)
    assert of.scans == ()
    assert "less exposure and less noise: another reconstruction" in of.skipped[0].detail


def test_the_same_pixels_twice_are_no_pair(tmp_path):
    for dose in ("full", "quarter"):
        made_pairs.write(tmp_path / f"{dose}_1mm", doses(0)[0], "L067")
    of = found(tmp_path)
    assert (of.scans, reasons(of)) == ((), {NO_SERIES: 12})
    assert "there is no noise between them" in of.skipped[0].detail


# ---- a third series, other patients ----


@LAYOUTS
def test_a_third_series_is_listed_with_the_reason(tmp_path, tree):
    made = tree(tmp_path, "L067", 0)
    normal, low = doses(0)
    sharp = made_pairs.to_hu(3.0 * normal - 2 * ndimage.gaussian_filter(normal, (0, 1, 1)))
    third = [
        made_pairs.write(tmp_path / "L067" / "lung", sharp, "L067", "Lung",
                         ConvolutionKernel="B70"),
        made_pairs.write(tmp_path / "L067" / "later", normal, "L067", "Later",
                         FrameOfReferenceUID="1.2.9"),
        made_pairs.write(tmp_path / "L067" / "low_dose_2", low, "L067", "Low dose again"),
        made_pairs.write(tmp_path / "L067" / "thick", normal[::2], "L067", "Full dose thick",
                         SliceThickness=4.0),
    ]  # fmt: skip
    of = found(tmp_path)
    assert pairs(of) == {"L067": as_text(made)}
    assert {s.path for s in of.skipped} == {path for files in third for path in files}
    assert reasons(of) == {NO_SERIES: 21}
    details = [next(s.detail for s in of.skipped if s.path == files[0]) for files in third]
    for detail, part in zip(
        details, ("another kernel", "another frame", "is paired with", "another slice thickness"),
        strict=True,
    ):  # fmt: skip
        assert part in detail


@LAYOUTS
def test_patients_are_never_mixed_and_a_single_dose_is_listed(tmp_path, tree):
    """All lie at the same positions; one has a low dose alone, one a normal dose alone."""
    made = {name: tree(tmp_path, name, i) for i, name in enumerate(("A1", "A2", "A3", "A4"))}
    for path in (*made["A2"][0], *made["A3"][1]):
        path.unlink()
    of = found(tmp_path)
    assert pairs(of) == {name: as_text(made[name]) for name in ("A1", "A4")}
    assert {s.path for s in of.skipped} == {*made["A2"][1], *made["A3"][0]}
    assert {s.detail for s in of.skipped} == {"this patient has no other series"}


@pytest.mark.parametrize("frame", ["kept", "missing"])
def test_low_doses_that_changed_patients_are_no_pairs(tmp_path, frame):
    """The headers of one patient's low dose name the other patient."""
    more = {"FrameOfReferenceUID": None} if frame == "missing" else {}
    trees = {name: made_pairs.tcia(tmp_path, name, i, **more) for i, name in enumerate("AB")}
    for name, other in ("AB", "BA"):
        for path in trees[name][1]:
            dataset = dcmread(path)
            dataset.PatientID = other
            dataset.StudyInstanceUID = f"1.2.{ord(other)}"
            dataset.save_as(path)
    made_pairs.mayo(tmp_path, "L067", 2)
    of = found(tmp_path)
    assert pairs(of).keys() == {"L067"}
    assert reasons(of) == {NO_SERIES: 24}
    reason = "the anatomy is" if frame == "missing" else "another frame of reference"
    assert all(reason in s.detail for s in of.skipped)


def test_another_tube_voltage_is_no_pair(tmp_path):
    normal, low = doses(0)
    made_pairs.write(tmp_path / "full", normal, "L067")
    made_pairs.write(tmp_path / "quarter", low, "L067", KVP=80)
    assert "another tube voltage (120, 80 kVp)" in found(tmp_path).skipped[0].detail


def test_a_frame_of_reference_for_each_series_leaves_it_to_positions_and_pixels(tmp_path):
    for i, name in enumerate(("L067", "L096")):
        for k, (dose, hu) in enumerate(zip(("full", "quarter"), doses(i), strict=True)):
            made_pairs.write(
                tmp_path / name / f"{dose}_1mm", hu, name,
                FrameOfReferenceUID=generate_uid(entropy_srcs=[name, str(k)]),
            )  # fmt: skip
    of = found(tmp_path)
    assert len(of.scans) == 2
    assert of.remarks[-1].startswith("pairs: no two series share a frame of reference")


def test_another_frame_of_reference_is_no_pair_where_other_patients_share_theirs(tmp_path):
    made_pairs.mayo(tmp_path, "L067", 0)
    _, low = made_pairs.mayo(tmp_path, "L096", 1)
    for path in low:
        dataset = dcmread(path)
        dataset.FrameOfReferenceUID = "1.2.9"
        dataset.save_as(path)
    of = found(tmp_path)
    assert pairs(of).keys() == {"L067"}
    assert "another frame of reference" in of.skipped[0].detail


# ---- volumes, and low doses that this program made ----


@pytest.mark.parametrize(
    "names",
    [
        ("L067_full.nii.gz", "L067_quarter.nii.gz"),
        ("full_1mm/L067.nrrd", "quarter_1mm/L067.nrrd"),
        ("L067/full_1mm.mha", "L067/quarter_1mm.mha"),
        ("L067 full dose.mhd", "L067 low dose.mhd"),
    ],
)
def test_volumes_are_pairs_by_their_names(tmp_path, names):
    """Beside another patient, whose volumes lie at the same positions."""
    for i, patient in enumerate(("L067", "L096")):
        for name, hu in zip(names, doses(i), strict=True):
            save(tmp_path / name.replace("L067", patient), hu)
    of = found(tmp_path)
    assert {scan.patient_id: len(scan.slices) for scan in of.scans} == {"L067": 6, "L096": 6}
    for scan in of.scans:
        for file in (scan.files[0], scan.low_dose.scan.files[0]):
            assert scan.patient_id in str(file.relative_to(tmp_path))


def test_volumes_of_other_positions_are_no_pair_and_shared_slices_are(tmp_path):
    (normal, low), (other, _) = doses(0), doses(1)
    save(tmp_path / "L067_full.mha", normal)
    save(tmp_path / "L067_quarter.mha", low[1:5], origin_mm=(0, 0, 2.5))
    save(tmp_path / "L096_full.mha", other)
    save(tmp_path / "L096_quarter.mha", other, origin_mm=(0, 0, 1.0))
    of = found(tmp_path)
    assert [(scan.patient_id, len(scan.slices)) for scan in of.scans] == [("L067", 4)]
    assert {s.path.name[:4] for s in of.skipped} == {"L096"}


def test_a_low_dose_by_simulate_is_paired_and_told(tmp_path):
    """Other scans that this program made are left out."""
    normal, low = doses(0)
    for description, hu in (("low dose simulated by noise", low), ("enhanced", normal)):
        item = Dataset()
        item.ManufacturerModelName = OWN_MODEL
        item.ContributionDescription = description
        folder = "quarter_1mm" if hu is low else "full_enhanced"
        made_pairs.write(
            tmp_path / folder, hu, "L067", ContributingEquipmentSequence=Sequence([item])
        )
    made_pairs.write(tmp_path / "full_1mm", normal, "L067")
    of = found(tmp_path)
    assert [len(scan.slices) for scan in of.scans] == [6]
    assert reasons(of) == {"output of this program": 6}
    assert "pairs: 1 of the low doses were made by --run simulate, not measured" in of.remarks
