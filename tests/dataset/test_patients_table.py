"""--patients: which patient each series belongs to, in tables as people have them."""

import pytest

from srgan.dataset import catalogue
from srgan.dataset.patients_table import check_names_some, read_patients_csv
from srgan.system.errors import UserError
from tests.conftest import small_chest, write_scan
from tests.helpers import made_dicom


def test_patients_csv(tmp_path):
    path = tmp_path / "p.csv"
    path.write_text("\ufeffother,patient_id,series_uid\nx, P1 ,1.2\ny,P2,1.3\n", "utf-8")
    assert read_patients_csv(path) == {"1.2": "P1", "1.3": "P2"}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "series_uid,patient_id\n",
        "uid,patient\n1,2\n",
        "series_uid,patient_id\n1.2\n",
        "series_uid,patient_id\n,P1\n",
        "series_uid,patient_id\n1.2,P1\n1.2,P2\n",
        'series_uid,patient_id\n"1.2,P1\n',
        "\0",
    ],
)
def test_a_patients_csv_that_cannot_be_used(tmp_path, text):
    path = tmp_path / "p.csv"
    path.write_text(text)
    with pytest.raises(UserError, match="--patients"):
        read_patients_csv(path)


def test_a_patients_csv_that_cannot_be_read(tmp_path):
    for path in (tmp_path, tmp_path / "none.csv"):
        with pytest.raises(UserError, match="--patients"):
            read_patients_csv(path)
    (tmp_path / "p.csv").write_bytes(b"series_uid,patient_id\n\xff\xfe,\xff\n")
    with pytest.raises(UserError, match="UTF-8"):
        read_patients_csv(tmp_path / "p.csv")


@pytest.mark.parametrize("series", [
    "series_uid", "seriesuid", "Series UID", "SeriesInstanceUID", "series_instance_uid",
    "Series Instance UID", "series-uid", "Series.Instance.UID",
])  # fmt: skip
@pytest.mark.parametrize("patient", [
    "patient_id", "PatientID", "Patient ID", "patient", "Subject ID", "subject", "subject_id",
    "Patient.ID", "PATIENT-ID",
])  # fmt: skip
def test_a_column_may_have_the_names_that_people_give_it(tmp_path, series, patient):
    path = tmp_path / "p.csv"
    path.write_text(f"Collection,{series},{patient}\nLIDC,1.2,P1\n")
    assert read_patients_csv(path) == {"1.2": "P1"}


def test_other_columns_are_named_with_those_that_are_wanted(tmp_path):
    path = tmp_path / "p.csv"
    path.write_text("uid,who\n1.2,P1\n")
    with pytest.raises(UserError) as caught:
        read_patients_csv(path)
    for name in ("series_uid", "series_instance_uid", "patient_id", "subject", "uid, who"):
        assert name in str(caught.value)


def test_a_table_that_names_no_series_here_shows_one_of_each():
    with pytest.raises(UserError) as caught:
        check_names_some({"9.2": "P1", "9.1": "P2"}, ["1.2", "1.1"])
    assert caught.value.exit_code == 2
    assert "--patients names no series of the data: the table has 9.1, the data have 1.1" in str(
        caught.value
    )


def test_a_table_may_name_series_that_are_not_here():
    check_names_some({"1.2": "P1", "9.1": "P2"}, ["1.2", "1.3"])
    check_names_some({"9.1": "P2"}, [])  # no series at all: the catalogue's error
    check_names_some({}, ["1.2"])  # no table


@pytest.mark.parametrize("patient", ["P1", None])
@pytest.mark.parametrize("volumes", [False, True])
def test_a_folder_is_refused_with_a_table_of_other_series(tmp_path, patient, volumes):
    """Also where nothing else names the patients; a series that is left out is there as well."""
    if volumes:
        write_scan(tmp_path / "in", "1.2", small_chest(1))
    else:
        made_dicom.write(tmp_path / "in" / "a.dcm", SeriesInstanceUID="1.2", PatientID=patient)
    made_dicom.write(tmp_path / "in" / "b.dcm", SeriesInstanceUID="1.3", SeriesDescription="soft")
    with pytest.raises(UserError, match=r"table has 9, the data have 1\.2"):
        catalogue.find(tmp_path / "in", {"9": "A"})
    (scan,) = catalogue.find(tmp_path / "in", {"1.2": "A"}, series_filter="soft").scans
    # The files say that both series are one patient's, and the table how that one is called.
    assert scan.patient_id == ("A" if patient and not volumes else "P1")
