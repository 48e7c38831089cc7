"""Tables that a user names: one clear line for what cannot be used, in bounded memory and time."""

import csv
import io
import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from srgan.dataset.patients_table import read_patients_csv
from srgan.dataset.split_table import read_split_csv
from srgan.formats import csv_tables
from srgan.formats.scan import MAX_ID
from srgan.system.errors import UserError


@pytest.mark.parametrize("read", [read_split_csv, read_patients_csv])
@pytest.mark.parametrize(
    "content",
    [
        b"patient_id,role,series_uid\n" + b"x" * 200_000 + b",train,1\n",
        b"patient_id,role,series_uid\n" + b"x" * (MAX_ID + 1) + b",train,1\n",
        b"patient_id,role,series_uid\n\xff\xfe,train,1\n",
        b"\0" * 100,
        b'patient_id,role,series_uid\n"open,train,1\n',
        b"\n" * 1000,
    ],
    ids=range(6),
)
def test_a_damaged_table_is_one_clear_line(tmp_path, read, content):
    path = tmp_path / "table.csv"
    path.write_bytes(content)
    with pytest.raises(UserError) as error:
        read(path)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("read", [read_split_csv, read_patients_csv])
def test_a_table_is_a_regular_file_of_bounded_size(tmp_path, read):
    os.mkfifo(tmp_path / "pipe")
    with open(tmp_path / "large", "wb") as file:
        file.truncate((8 << 20) + 1)
    for name, said in (("pipe", "regular"), ("large", "MiB"), ("/dev/zero", "regular")):
        with pytest.raises(UserError, match=said):
            read(tmp_path / name)


@pytest.mark.parametrize("read", [read_split_csv, read_patients_csv])
def test_a_table_of_many_rows_or_many_columns_stops_at_a_bound(tmp_path, read):
    path = tmp_path / "table.csv"
    rows = [f"{i},test,{i}\n" for i in range(csv_tables.MAX_ROWS + 1)]
    path.write_text("".join(["patient_id,role,series_uid\n", *rows]))
    with pytest.raises(UserError, match="more than 200000 rows"):
        read(path)
    path.write_text("".join([f"patient_id,role,series_uid{',' * (1 << 21)}\n", *rows[:700]]))
    assert len(read(path)) == 700  # as dicts of two million columns each, an hour


# ---- tables as people have them ----

WANTED = (("series_uid", "series_instance_uid"), ("patient_id", "patient"))
TABLE = "Series UID;Note;Patient ID\r\n1.2;one, two;P1\r\n\r\n;;\r\n1.3;;P2\r\n"


def read(path: Path, content: bytes) -> list[tuple[int, list[str]]]:
    path.write_bytes(content)
    return list(csv_tables.named("--patients", path, WANTED))


@pytest.mark.parametrize("separator", ",;\t")
@pytest.mark.parametrize("first", ["", "sep={}\r\n", '"sep={}"\r\n', "\r\n"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_separator_and_encoding_are_told_from_the_table(tmp_path, separator, first, encoding):
    text = first.format(separator) + TABLE.replace(", ", " ").replace(";", separator)
    if encoding in ("utf-16-le", "utf-16-be"):
        text = "\ufeff" + text
    n = 1 if first else 0
    rows = read(tmp_path / "t.csv", text.encode(encoding))
    assert rows == [(n + 2, ["1.2", "P1"]), (n + 5, ["1.3", "P2"])]


def test_quoted_cells_may_hold_separators_quotes_and_blanks_before_them(tmp_path):
    text = '"patient_id"; "note, of mine;";"series_uid"\n"P;1"; "a ""b"""; "1.2"\n'
    assert read(tmp_path / "t.csv", text.encode()) == [(2, ["1.2", "P;1"])]


def test_our_own_name_of_a_column_comes_before_others(tmp_path):
    text = "SeriesInstanceUID,series_uid,PatientID,patient_id\n0,1.2,0,P1\n"
    assert read(tmp_path / "t.csv", text.encode()) == [(2, ["1.2", "P1"])]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("SeriesUID,Series Instance UID,patient\n1,2,3\n",
         "'SeriesUID' and 'Series Instance UID' could both be series_uid"),
        ("series_uid,patient_id,patient_id\n1,2,3\n", "'patient_id' and 'patient_id' could both"),
        ("series_uid|patient_id\n1|2\n", r"its columns: series_uid\|patient_id"),
        ("", "its columns: none"),
        ("PK\3\4", "Excel workbook"),
    ],
)  # fmt: skip
def test_other_columns_are_one_clear_line(tmp_path, text, said):
    with pytest.raises(UserError, match=said) as caught:
        read(tmp_path / "t.csv", text.encode())
    assert "\n" not in str(caught.value)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=60) | st.text(alphabet='series_uid, patnd;\t"\n=', max_size=60))
def test_any_bytes_are_a_table_or_one_clear_line(tmp_path, content):
    content = content if isinstance(content, bytes) else content.encode()
    try:
        assert all(len(cells) == 2 for _, cells in read(tmp_path / "t.csv", content))
    except UserError as error:
        assert "\n" not in str(error)  # noqa: PT017, most of these are no tables


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.lists(st.text("ab ,;\t\"'\n1", min_size=1), min_size=2, max_size=2), max_size=5),
    st.sampled_from(",;\t"),
)
def test_what_csv_writes_comes_back(tmp_path, rows, separator):
    text = io.StringIO(newline="")
    table = csv.writer(text, delimiter=separator, quoting=csv.QUOTE_ALL)
    table.writerows([["series_uid", "patient_id"], *rows])
    found = [cells for _, cells in read(tmp_path / "t.csv", text.getvalue().encode())]
    assert found == [row for row in rows if any(map(str.strip, row))]


# ---- our own cells ----


@settings(deadline=None)
@given(st.text(max_size=6))
def test_escaped_ids_are_restored_and_are_no_formulas(text):
    shown = csv_tables.escaped_id(text)
    assert shown[:1] not in ("=", "+", "-", "@")
    assert csv_tables.plain_id(shown) == text
