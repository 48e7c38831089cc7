"""Who is who: what joins scans to one patient, and what the table of --patients says before it."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from srgan.dataset import catalogue
from srgan.dataset.patients import SHOWN, UNKNOWN, name_patients
from tests.helpers import made_dicom, made_metaimage
from tests.helpers.made_scans import scan


def one(series: str, ids="", studies="", kind="dicom"):
    """A scan with the ids and studies that are named, separated by blanks."""
    return scan(
        series, kind=kind, patient_ids=tuple(ids.split()), study_uids=tuple(studies.split())
    )


def named(scans, table=None) -> dict[str, str]:
    found, skipped, _ = name_patients(scans, table or {}, True)
    assert len(found) + len(skipped) == len(scans)  # each has one file
    return {each.series_uid: each.patient_id for each in found}


# ---- files alone ----


@pytest.mark.parametrize(
    ("ids", "volume", "patient"),
    [("A1", "A1", "A1"), ("A1", "A1_CT_5", "A1"), ("A1", "A1_2", "A1_2"), ("A", "A_CT", "A_CT")],
)
def test_a_volume_that_is_named_as_a_patient_is_that_patients(ids, volume, patient):
    scans = [one("1", ids), one(volume, kind="nifti")]
    assert named(scans) == {"1": ids, volume: patient}


@pytest.mark.parametrize(
    ("scans", "patients"),
    [
        ([one("1", "A"), one("2", "B")], {"1": "A", "2": "B"}),
        ([one("1", "A", "S"), one("2", "B", "S")], {"1": "A", "2": "A"}),
        ([one("1", "B A")], {"1": "A"}),
        ([one("1", "A"), one("1", "B")], {"1": "A"}),  # two parts of a series
        ([one("1", "A"), one("2", "A B"), one("3", "B")], {"1": "A", "2": "A", "3": "A"}),
        ([one("1", "A", "S"), one("2", "", "S")], {"1": "A", "2": "A"}),
        ([one("1", "", "S"), one("2", "B", "T"), one("3", "", "S T")], dict.fromkeys("123", "B")),
    ],
    ids=["apart", "study", "series", "parts", "id", "no id in a study", "study of two studies"],
)
def test_what_is_in_one_study_or_series_is_one_patients(scans, patients):
    assert named(scans) == patients
    assert named(scans[::-1]) == patients


def test_scans_are_joined_through_others():
    """A and B by a study, B and C by a series, C and D by an id."""
    scans = [
        one("1", "A", "S"),
        one("2", "B", "S"),
        one("3", "B C"),
        one("4", "C D"),
        one("5", "E"),
    ]
    assert named(scans) == dict.fromkeys("1234", "A") | {"5": "E"}


def test_an_id_and_a_study_of_the_same_text_join_nobody():
    assert named([one("1", "A", "7"), one("7", "B", "8"), one("9", "7", "A")]) == {
        "1": "A", "7": "B", "9": "7",
    }  # fmt: skip


def test_dicom_without_an_id_is_skipped_for_training_and_unknown_for_input():
    scans = [one("1", "A"), one("2")]
    found, (skipped,), _ = name_patients(scans, {}, True)
    assert [each.series_uid for each in found] == ["1"]
    assert (skipped.path, skipped.reason) == (scans[1].files[0], "no PatientID")
    assert "series 2" in skipped.detail
    assert "--patients" in skipped.detail
    found, skipped, _ = name_patients(scans, {}, False)
    assert [each.patient_id for each in found] == ["A", UNKNOWN]
    assert not skipped


# ---- the table ----


def test_the_table_overrules_one_id_for_all():
    scans = [one(str(i), "ANONYMOUS", f"S{i}") for i in range(4)]
    table = {str(i): f"P{i}" for i in range(4)}
    assert named(scans, table) == table
    everybody = dict.fromkeys(table, "P")
    assert named(scans, everybody) == everybody


def test_the_table_parts_a_study_and_an_id_of_several_patients():
    scans = [one("1", "A", "S"), one("2", "A", "S"), one("3", "B", "S")]
    assert named(scans, {"1": "P", "2": "Q", "3": "R"}) == {"1": "P", "2": "Q", "3": "R"}


def test_what_the_table_says_of_one_series_holds_for_its_study_and_id():
    scans = [one("1", "A", "S"), one("2", "B", "S"), one("3", "A", "T"), one("4", "C", "U")]
    assert named(scans, {"1": "P"}) == {"1": "P", "2": "P", "3": "P", "4": "C"}


def test_an_id_that_the_table_gives_two_patients_joins_nobody():
    """What the table does not name keeps that id, apart from both."""
    scans = [one("1", "X", "S"), one("2", "X", "T"), one("3", "X", "U"), one("4", "X", "S")]
    assert named(scans, {"1": "P", "2": "Q"}) == {"1": "P", "2": "Q", "3": "X", "4": "P"}


def test_series_that_the_table_tells_apart_are_never_joined_through_others():
    """The study of a series that it does not name comes before the ids."""
    scans = [one("1", "A", "S"), one("2", "B", "T"), one("3", "X", "S"), one("4", "X", "T")]
    assert named(scans, {"1": "P", "2": "Q"}) == {"1": "P", "2": "Q", "3": "P", "4": "Q"}


def test_a_name_of_the_table_is_one_patient_whatever_the_files_say():
    scans = [one("1", "A"), one("2", "B"), one("3", "B")]
    assert named(scans, {"1": "P", "2": "P"}) == dict.fromkeys("123", "P")


# ---- volumes ----


def test_a_volume_is_its_own_patient_else_its_tables_or_its_series():
    volumes = [one("1", kind="metaimage"), one("2", kind="nifti"), one("3", kind="nrrd")]
    assert named([*volumes, one("3", "C")], {"2": "P"}) == {"1": "1", "2": "P", "3": "C"}


def test_dicom_tags_in_a_metaimage_header_name_its_patient(tmp_path):
    def write(folder, name, **tags):
        folder.mkdir()
        tags = {f"{key[:4]}|{key[4:]}": value for key, value in tags.items()}
        path = made_metaimage.write(folder, data_file="scan.raw", **tags)
        path.rename(folder / f"{name}.mhd")

    write(tmp_path / "a", "one", **{"00100020": "A", "0020000d": "1.5"})
    write(tmp_path / "b", "two", **{"00100020": "B", "0020000d": "1.5"})
    write(tmp_path / "c", "three")
    made_dicom.write(tmp_path / "d.dcm", PatientID="B")
    found = catalogue.find(tmp_path)
    patients = {each.files[0].name: each.patient_id for each in found.scans}
    assert patients == {"one.mhd": "A", "two.mhd": "A", "three.mhd": "three", "d.dcm": "A"}
    assert found.remarks == ("1 patient has several PatientIDs within a study or series: A = B",)


# ---- what is said ----


def lines(scans, table=None) -> list[str]:
    return name_patients(scans, table or {}, True)[2]


def test_joined_ids_are_named_in_one_line_of_a_few():
    assert lines([one("1", "A"), one("2", "A", "S"), one("3", "B", "T")]) == []
    pairs = [one(str(i), f"A{i} B{i}") for i in range(SHOWN + 2)]
    (line,) = lines(pairs[:2])
    assert line.endswith("patients have several PatientIDs within a study or series: "
                         "A0 = B0, A1 = B1")  # fmt: skip
    (line,) = lines(pairs)
    assert line.startswith(f"{SHOWN + 2} patients have")
    assert line.endswith("A2 = B2, ...")
    assert "B3" not in line


def test_the_line_of_joined_ids_is_short_whatever_they_are():
    ids = " ".join(f"{i:04}{'x' * 60}" for i in range(50))
    (line,) = lines([one("1", ids)])
    assert len(line) < 400


def test_what_the_table_names_is_no_news():
    assert lines([one("1", "A B")], {"1": "P"}) == []


# ---- any data ----

FEW = st.sets(st.sampled_from("ABCDE"), max_size=2).map(sorted).map(tuple)
SCANS = st.lists(st.tuples(st.sampled_from("12345678"), FEW, FEW), min_size=1, max_size=8)
TABLES = st.dictionaries(st.sampled_from("12345678"), st.sampled_from("PQ"), max_size=4)


@settings(max_examples=100, deadline=None, database=None)
@given(SCANS, TABLES, st.randoms(use_true_random=False))
def test_what_is_shared_makes_one_patient_in_any_order(drawn, table, rng: random.Random):
    """A series always; a study and an id unless the table names several patients."""
    scans = [
        scan(series, place=str(i), patient_ids=ids, study_uids=studies)
        for i, (series, ids, studies) in enumerate(drawn)
    ]

    def by_file(order) -> dict:
        found, skipped, _ = name_patients(order, table, True)
        patients = {each.files[0]: each.patient_id for each in found}
        assert patients.keys().isdisjoint(item.path for item in skipped)
        assert len(patients) + len(skipped) == len(order)
        return patients

    patients = by_file(scans)
    assert by_file(rng.sample(scans, len(scans))) == patients
    said = {each.series_uid: table.get(each.series_uid) for each in scans}
    several = len(set(said.values()) - {None}) > 1
    for a in scans:
        patient = patients.get(a.files[0])
        assert patient == (said[a.series_uid] or patient)
        for b in scans:
            shared = {*a.study_uids} & {*b.study_uids} or {*a.patient_ids} & {*b.patient_ids}
            if a.series_uid == b.series_uid or (shared and not several):
                assert patient == patients.get(b.files[0])
