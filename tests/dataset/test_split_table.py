"""--split: roles of patients from a table, and what is said where its ids are not in the data."""

from pathlib import Path

import pytest

from srgan.dataset.split_table import read_split_csv, roles_in
from srgan.formats.scan import Scan, Slice
from srgan.system.errors import UserError


def scan(patient: str, *ids: str) -> Scan:
    """A scan of a patient; ids: the PatientIDs in its files."""
    path = Path(f"{patient}.dcm")
    return Scan(
        "dicom", patient, patient, (Slice(path),), 64, 64, (1.0, 1.0), (path,),
        patient_ids=tuple(sorted(ids)),
    )  # fmt: skip


# ---- the table ----


def test_read_split_csv(tmp_path):
    path = tmp_path / "split.csv"
    path.write_text("\ufeffrole, patient_id\ntrain, a \nTest,b\ntest,'=1+1\n", encoding="utf-8")
    assert read_split_csv(path) == {"a": "train", "b": "test", "=1+1": "test"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("person,role\na,train\n", "no column patient_id .*columns: person, role"),
        ("patient_id\na\n", "no column role"),
        ("", "no column patient_id"),
        ("patient_id,role\n", "empty"),
        ("patient_id,role\na,held out\n", "held out"),
        ("patient_id,split,set\na,test,1\n", "'split' and 'set' could both be role"),
        ("patient_id,role\na\n", "role '' is none of"),
        ("patient_id,role\n,train\n", "patient_id is empty"),
        ("patient_id,role\na,train\na,test\n", "overlap"),
        ('patient_id,role\n"a,train\n', "not a CSV table"),
        (b"patient_id,role\n\xff\xfe,train\n", "not a CSV table"),
    ],
)
def test_a_bad_split_is_one_clear_line(tmp_path, text, said):
    path = tmp_path / "split.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(UserError, match=said) as caught:
        read_split_csv(path)
    assert caught.value.exit_code == 2
    assert "\n" not in str(caught.value)


def test_a_missing_split_file(tmp_path):
    with pytest.raises(UserError, match="No such file"):
        read_split_csv(tmp_path / "none.csv")


@pytest.mark.parametrize("patient", ["patient_id", "PatientID", "Subject ID", "patient"])
@pytest.mark.parametrize("role", ["role", "Role", "split", "Set", "subset", "partition"])
def test_a_column_may_have_the_names_that_people_give_it(tmp_path, patient, role):
    path = tmp_path / "split.csv"
    path.write_text(f"{patient};{role}\na;training\nb;val\nc;Valid\nd;testing\n")
    expected = {"a": "train", "b": "validation", "c": "validation", "d": "test"}
    assert read_split_csv(path) == expected


# ---- its patients in the data ----


def test_roles_are_those_of_the_patients_in_the_data(said):
    split = {"a": "train", "b": "test", "c": "validation"}
    assert roles_in(split, [scan("a", "a"), scan("b"), scan("d")], Path("s.csv")) == {
        "a": "train",
        "b": "test",
    }
    assert said == ["--split: 1 of 3 patients are not in the data, such as c"]


@pytest.mark.parametrize(
    ("mine", "here"),
    [
        ("1", "0001"),  # a spreadsheet
        ("1.0", "0001"),  # pandas
        ("ann", "ANN"),
        ("A 12", "A12"),
        ("lung_dx-a0002", "Lung_Dx-A0002"),
        ("0001", "LIDC-IDRI-0001"),
        ("1", "LIDC-IDRI-0001"),
        ("LIDC-IDRI-0001", "0001"),
        ("LIDC-IDRI-1", "LIDC-IDRI-0001"),
    ],
)
def test_an_id_that_is_written_otherwise_is_shown_and_not_matched(mine, here, said):
    scans = [scan(here), scan("other")]
    assert roles_in({"other": "train", mine: "test"}, scans, Path("s.csv")) == {"other": "train"}
    text = f"--split: 1 of 2 patients are not in the data: it names {mine}, the data have {here}"
    assert said == [text]
    with pytest.raises(UserError) as caught:
        roles_in({"nobody": "train", mine: "test"}, scans, Path("s.csv"))
    assert f"the table has {mine}, the data have {here}" in str(caught.value)
    assert caught.value.exit_code == 2


def test_an_id_that_is_nearly_right_is_shown_before_one_that_ends_alike(said):
    scans = [scan("a"), scan("LIDC-0001"), scan("0001")]
    roles_in({"a": "train", "1": "test"}, scans, Path("s.csv"))
    assert "the data have 0001" in said[0]


def test_a_split_that_names_nobody_here_shows_one_id_of_each():
    with pytest.raises(UserError, match="the table has x, the data have a"):
        roles_in({"y": "train", "x": "test"}, [scan("b"), scan("a")], Path("s.csv"))


def test_any_id_of_a_joined_patient_names_it(said):
    scans = [scan("a", "a"), scan("a", "b"), scan("c")]
    roles = roles_in({"b": "test", "c": "train"}, scans, Path("s.csv"))
    assert roles == {"a": "test", "c": "train"}
    assert roles_in({"a": "test", "b": "test"}, scans, Path("s.csv")) == {"a": "test"}
    assert said == []


def test_two_ids_of_one_patient_have_one_role():
    scans = [scan("a", "a"), scan("a", "b", "c")]
    with pytest.raises(UserError) as caught:
        roles_in({"a": "train", "c": "test"}, scans, Path("s.csv"))
    assert caught.value.exit_code == 2
    for part in ("a is in train", "c in test", "share a study or a series"):
        assert part in str(caught.value)
