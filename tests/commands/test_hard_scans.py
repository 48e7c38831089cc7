"""A training on every real and every hard file of ../shared in one folder, where it is there."""

import csv
import os
import re
from pathlib import Path

import pytest

from srgan.dataset.list_files import SYSTEM_FILES
from tests.conftest import ROOT

SHARED = ROOT.parent / "shared"
TINY = "--batch-size 2 --crop 32 --vgg-weights none --precision float32"
# A slice that lies there many times, under other UIDs and patients, is used once.
COPIES = {"identical pixels", "duplicate", "duplicate position"}
SAME_NAME = {"same scan as a MetaImage volume"}  # all volumes are scan.mhd: their faults may wait
HU_OF_A_CT = {"pix-padding-2000", "pix-slope-fraction", "pix-12bit-signed", "real-ct-small"}
STUDY_TELLS = "geo-no-patient-id"  # in one folder with other cases, its study tells the patient
NOT_OF_THE_CASE = {
    "not DICOM, MetaImage, NIfTI or NRRD",
    "truncated",
}  # beside the good one of a mixed folder


def secrets(store: Path, data: Path) -> set[bytes]:
    """What no output may hold: ids (but short ones, which any file holds), UIDs, folders."""
    patients = list(csv.DictReader((store / "patients.csv").open(encoding="utf-8")))
    ids = {row["patient_id"].lstrip("'") for row in patients} | {str(data), str(SHARED)}
    ids |= {path.name for path in (SHARED / "ct").glob("*/")} | {"1.3.6.1.4.1"}
    return {text.encode() for text in ids if len(text) > 5}


@pytest.mark.slow
@pytest.mark.skipif(not (SHARED / "hard").is_dir(), reason="../shared is not there")
def test_a_training_on_all_of_it_has_a_reason_for_every_file_that_it_leaves_out(tmp_path, run_main):
    data = tmp_path / "data"
    data.mkdir()
    for name in ("ct", "hard"):
        (data / name).symlink_to(SHARED / name)
    command = f"--data {data} {TINY} --pretrain-steps 2 --gan-steps 1"
    done = run_main(tmp_path, f"--run train {command}", timeout=600)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert "slices have the pixels of another patient's slice" in done.stderr

    found, used, n_skipped = map(int, re.findall(r"(?:found|used|skipped) (\d+)", done.stdout))
    files = [Path(place) / n for place, _, names in os.walk(data, followlinks=True) for n in names]
    files = [p for p in files if not p.name.startswith(".") and p.name.lower() not in SYSTEM_FILES]
    assert found == used + n_skipped == len(files)
    (table,) = (tmp_path / "store").glob("*/skipped.csv")
    skipped = {row["path"]: row["reason"] for row in csv.DictReader(table.open(encoding="utf-8"))}
    assert len(skipped) == n_skipped
    assert all(skipped.values())

    for row in csv.DictReader((SHARED / "hard" / "MANIFEST.csv").open(encoding="utf-8")):
        here = [str(p) for p in files if p.parent == data / "hard" / row["case"]]
        reasons = {skipped[path] for path in here if path in skipped}
        if row["expect"] == "skipped":
            assert all(path in skipped for path in here), row["case"]
            if row["case"] != STUDY_TELLS:
                assert not reasons & COPIES, row["case"]  # its own fault is named
        if row["expect"] == "used":
            assert reasons <= COPIES | SAME_NAME | NOT_OF_THE_CASE, row["case"]
        if row["case"] in HU_OF_A_CT:  # pixels that no other file has
            assert not reasons, row["case"]

    hidden = secrets(table.parent, data)
    outputs = [p for n in ("train", "checkpoint") for p in (tmp_path / n).rglob("*")]
    assert len(outputs) > 10
    for path in outputs:
        content = str(path.relative_to(tmp_path)).encode()
        content += path.read_bytes() if path.is_file() else b""
        assert not [text for text in hidden if text in content], path
