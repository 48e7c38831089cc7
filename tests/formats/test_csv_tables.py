"""Tables that a user names: one clear line for what cannot be used, in bounded memory and time."""

import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from srgan.dataset import catalogue, split
from srgan.formats import csv_tables
from srgan.formats.scan import MAX_ID
from srgan.system.errors import UserError


@pytest.mark.parametrize("read", [split.read_split_csv, catalogue.read_patients_csv])
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


@pytest.mark.parametrize("read", [split.read_split_csv, catalogue.read_patients_csv])
def test_a_table_is_a_regular_file_of_bounded_size(tmp_path, read):
    os.mkfifo(tmp_path / "pipe")
    with open(tmp_path / "large", "wb") as file:
        file.truncate((8 << 20) + 1)
    for name, said in (("pipe", "regular"), ("large", "MiB"), ("/dev/zero", "regular")):
        with pytest.raises(UserError, match=said):
            read(tmp_path / name)


@pytest.mark.parametrize("read", [split.read_split_csv, catalogue.read_patients_csv])
def test_a_table_of_many_rows_or_many_columns_stops_at_a_bound(tmp_path, read):
    path = tmp_path / "table.csv"
    rows = [f"{i},test,{i}\n" for i in range(csv_tables.MAX_ROWS + 1)]
    path.write_text("".join(["patient_id,role,series_uid\n", *rows]))
    with pytest.raises(UserError, match="more than 200000 rows"):
        read(path)
    path.write_text("".join([f"patient_id,role,series_uid{',' * (1 << 21)}\n", *rows[:700]]))
    assert len(read(path)) == 700  # as dicts of two million columns each, an hour


@settings(deadline=None)
@given(st.text(max_size=6))
def test_escaped_ids_are_restored_and_are_no_formulas(text):
    shown = csv_tables.escaped_id(text)
    assert shown[:1] not in ("=", "+", "-", "@")
    assert csv_tables.plain_id(shown) == text
