"""Low dose beside normal dose of one patient is left out; low dose alone is used."""

from pathlib import Path

import pytest

from srgan.dataset import catalogue
from srgan.dataset.low_dose_series import REASON, leave_out
from srgan.formats.scan import Scan
from tests.conftest import small_chest
from tests.helpers import made_dicom
from tests.helpers.made_scans import scan

DATA = Path("data")


def one(series: str, description: str = "", place: str = "", **fields) -> Scan:
    """A series of ten slices of one patient."""
    place, n = f"{DATA}/{place}", fields.pop("n", 10)
    return scan(series, n, place, description=description, patient_ids=("A",), **fields)


def left_out(*scans: Scan) -> list[str]:
    """The series that are left out, the same in any order."""
    kept, skipped = leave_out(scans, DATA)
    assert {item.reason for item in skipped} <= {REASON}
    assert sum(len(each.files) for each in kept) + len(skipped) == sum(len(s.files) for s in scans)
    again, _ = leave_out(scans[::-1], DATA)
    assert set(again) == set(kept)
    return sorted({each.series_uid for each in scans} - {each.series_uid for each in kept})


# ---- what names say ----


@pytest.mark.parametrize(
    ("low", "normal"),
    [
        ("Low Dose Images", "Full Dose Images"),  # TCIA's LDCT-and-Projection-data
        ("LOW DOSE CHEST", "Routine dose chest"),
        ("Chest ultra-low-dose 1.0", "Chest standard-dose 1.0"),
        ("Thorax ULD", "Thorax full dose"),
        ("Thorax LDCT", "Thorax NDCT"),
        ("quarter_1mm", "full_1mm"),
        ("25% dose", "100% dose"),
        ("Dose: 1/4 dose", "normal dose"),
        ("half dose B30", "high dose B30"),
    ],
)
def test_the_description_tells_the_dose(low, normal):
    assert left_out(one("1", low), one("2", normal)) == ["1"]


@pytest.mark.parametrize(
    ("low", "normal"),
    [
        ("L067/quarter_1mm", "L067/full_1mm"),
        ("quarter_3mm_sharp/L067", "full_3mm_sharp/L067"),
        ("L067/LDCT/series", "L067/NDCT/series"),
        ("low-dose", "full-dose"),
        ("Low Dose", "Full Dose"),
    ],
)
def test_the_nearest_folder_that_tells_the_dose_tells_it(low, normal):
    assert left_out(one("1", place=low), one("2", place=normal)) == ["1"]
    assert left_out(one("1", "Thorax 1.0 B30f", low), one("2", "Thorax 1.0 B30f", normal)) == ["1"]
    inside = one("1", place=f"full dose and others/{low}")
    assert left_out(inside, one("2", place=normal)) == ["1"]


def test_the_names_of_mayos_files_tell_the_dose():
    def mayo(dose: str, series: str) -> Scan:
        names = f"L067_{dose}_1_1.CT.0002.{{}}.2015.12.22.IMA"
        return one(names.format(series), place="L067", kind="metaimage", n=3)

    low, normal = mayo("QD", "1"), mayo("FD", "2")
    assert left_out(low, normal) == [low.series_uid]


def test_the_description_comes_before_the_folder():
    scans = one("1", "Full Dose", place="low dose"), one("2", "Low Dose", place="full dose")
    assert left_out(*scans) == ["2"]


def test_the_name_of_the_data_folder_tells_nothing():
    low = scan("1", 10, "/low dose/a", patient_ids=("A",))
    normal = scan("2", 10, "/low dose/full dose", patient_ids=("A",))
    assert leave_out([low, normal], Path("/low dose"))[1] == []


@pytest.mark.parametrize(
    "text", ["Folder 25", "Slowdose", "follow dose", "LDL", "fourth quarterly"]
)
def test_other_words_tell_no_dose(text):
    assert left_out(one("1", text), one("2", "full dose")) == []


def test_each_patient_has_doses_of_their_own():
    other = scan("2", 10, description="Full Dose", patient_ids=("B",))
    assert left_out(one("1", "Low Dose"), other) == []
    assert left_out(one("1", "Low Dose"), other, one("3", "Full Dose")) == ["1"]


# ---- what the exposure says ----

STUDY = {"study_uids": ("S",)}
FULL = {"kvp": 120.0, "exposure_mas": 200.0} | STUDY


@pytest.mark.parametrize(
    ("low", "expected"),
    [
        ({"kvp": 120.0, "exposure_mas": 50.0}, ["1"]),
        ({"kvp": 120.0, "exposure_mas": 110.0}, ["1"]),
        ({"kvp": 120.0, "exposure_mas": 130.0}, []),
        ({"kvp": 80.0, "exposure_mas": 150.0}, ["1"]),
        ({"kvp": 140.0, "exposure_mas": 135.0}, []),  # the second tube of dual energy
        ({"kvp": 80.0, "exposure_mas": 560.0}, []),  # the first one
        ({"kvp": 120.0}, []),
        ({"exposure_mas": 50.0}, []),
        ({"kvp": 120.0, "tube_current_ma": 50.0}, ["1"]),
    ],
    ids=str,
)
def test_much_less_exposure_in_the_same_study_and_place_is_low_dose(low, expected):
    assert left_out(one("1", **low, **STUDY), one("2", **FULL)) == expected


def test_less_exposure_elsewhere_in_the_body_is_no_low_dose():
    low = {"kvp": 120.0, "exposure_mas": 50.0}
    assert left_out(one("1", z_mm=1000.0, **low, **STUDY), one("2", **FULL)) == []
    assert left_out(one("1", z_mm=10.0, **low, **STUDY), one("2", **FULL)) == ["1"]


def test_less_exposure_in_another_study_is_no_low_dose_unless_the_slices_are_the_same():
    """A follow-up by screening is a scan of its own; the same slices are the same scan."""
    low = {"kvp": 120.0, "exposure_mas": 50.0, "study_uids": ("T",)}
    assert left_out(one("1", z_mm=1.3, **low), one("2", **FULL)) == []
    assert left_out(one("1", **low), one("2", **FULL)) == ["1"]
    assert left_out(one("1", spacing_mm=(0.8, 0.8), **low), one("2", **FULL)) == []


def test_a_series_said_to_be_low_without_exposure_is_left_out_beside_the_same_slices():
    assert left_out(one("1", "Low Dose"), one("2", "Thorax")) == ["1"]
    assert left_out(one("1", "Low Dose", z_mm=1.3), one("2", "Thorax")) == []


def test_what_is_said_to_be_normal_dose_is_kept_whatever_its_exposure():
    low = {"kvp": 120.0, "exposure_mas": 50.0} | STUDY
    assert left_out(one("1", "Full Dose", **low), one("2", "Full Dose", **FULL)) == []


@pytest.mark.parametrize("n", [1, 3])
def test_data_that_are_low_dose_throughout_are_kept(n):
    low = {"kvp": 120.0, "exposure_mas": 30.0} | STUDY
    assert left_out(*(one(str(i), "Low Dose Screening", **low) for i in range(n))) == []
    assert left_out(*(one(str(i), "Thorax", place="LDCT", **low) for i in range(n))) == []


# ---- what is said, and what comes before ----


def test_the_detail_names_the_folder_of_the_normal_dose():
    low, normal = one("1", "Low Dose", "A/low"), one("2", "Full Dose", "A/full")
    _, skipped = leave_out([low, normal], DATA)
    assert [item.path for item in skipped] == list(low.files)
    assert {item.detail for item in skipped} == {
        f"Low Dose; the normal dose lies in {DATA / 'A' / 'full'}; --pairs trains on such pairs"
    }


@pytest.fixture
def two_doses(tmp_path) -> Path:
    """A patient's full and low dose of the same three slices."""
    for i, dose in enumerate(("Full", "Low")):
        for k, hu in enumerate(small_chest(i)):
            made_dicom.write(
                tmp_path / dose / f"{k}.dcm", z=2.0 * k, values=hu, SeriesInstanceUID=f"1.2.{i}",
                SeriesDescription=f"{dose} Dose Images",
            )  # fmt: skip
    return tmp_path


def test_a_folder_of_both_gives_the_normal_dose_for_training_alone(two_doses):
    found = catalogue.find(two_doses)
    assert [each.description for each in found.scans] == ["Full Dose Images"]
    assert {(s.path.parent.name, s.reason) for s in found.skipped} == {("Low", REASON)}
    assert len(catalogue.find(two_doses, for_training=False).scans) == 2


def test_the_series_filter_comes_before_doses_are_compared(two_doses):
    found = catalogue.find(two_doses, series_filter="low dose")
    assert [each.description for each in found.scans] == ["Low Dose Images"]
    assert {s.reason for s in found.skipped} == {"left out by --series-filter"}
