"""Whatever a patient is called: it reaches no terminal, no table and no file name as it is."""

import pytest

from srgan.dataset import build_store, split_table
from srgan.dataset.scan_source import DatasetPaths
from srgan.system.errors import visible
from tests.helpers import made_dicom
from tests.helpers.made_dicom import stored_values

# ---- ids and tables ----

IDS = ["=cmd|' /C calc'!A0", "../../evil", "\x1b[2J\x07", "two\nlines\tx", "+1", "患者"]


@pytest.mark.parametrize("patient", IDS)
def test_a_patient_id_is_harmless_and_comes_back(tmp_path, patient, capfd):
    for i in range(2):
        values = stored_values(64, 64)
        values[i] = i
        made_dicom.write(
            tmp_path / "data" / f"{i}.dcm", PatientID=patient, z=i, values=values,
            SpecificCharacterSet="ISO_IR 192",
        )  # fmt: skip
    paths = DatasetPaths(data=tmp_path / "data", store_dir=tmp_path / "store")
    made = build_store.open_or_build(paths)
    assert set(made.patients.values()) == {visible(patient)}
    for name in ("patients.csv", "split.csv", "skipped.csv"):
        text = (made.folder / name).read_text("utf-8")
        assert all(c.isprintable() or c in "\r\n" for c in text)
        cells = [cell for line in text.splitlines() for cell in line.split(",")]
        assert not any(cell.strip('"').startswith(("=", "+", "-", "@")) for cell in cells)
    assert {p.parent for p in tmp_path.rglob("*evil*")} == set()
    assert "\x1b" not in "".join(capfd.readouterr())
    split = split_table.read_split_csv(made.folder / "split.csv")
    assert split == {made.patients["P0001"]: "train"}
