"""The folders of ../shared/folders, from public bug reports: what its MANIFEST.csv wants of each.

A row may allow several outcomes, separated by `||` in all its columns. Slices are known by the
SHA-256 of their pixels as little-endian int16 HU.
"""

import csv
import hashlib
import re
import shlex
from pathlib import Path

import numpy as np
import pytest

from srgan import cli
from srgan.commands import train
from srgan.dataset.store import load
from srgan.system.errors import UserError

SHARED = Path(__file__).resolve().parents[3] / "shared" / "folders"
pytestmark = pytest.mark.skipif(not SHARED.is_dir(), reason="../shared/folders is not there")


def manifest() -> list[dict]:
    path = SHARED / "MANIFEST.csv"
    return list(csv.DictReader(path.open(encoding="utf-8"))) if path.is_file() else []


def outcomes(row: dict) -> list[dict]:
    """What is right, one dictionary each; a column without `||` holds for all outcomes."""
    n = max(cell.count("||") for cell in row.values()) + 1
    cells = {name: [part.strip() for part in cell.split("||")] for name, cell in row.items()}
    return [{k: v[i] if len(v) > 1 else v[0] for k, v in cells.items()} for i in range(n)]


def seen(row: dict, store_dir: Path, said: list[str], monkeypatch) -> dict:
    """What the program makes of a folder: its exit code, its lines, and the store's content."""
    monkeypatch.chdir(SHARED)
    arguments = f"--run train --data {row['case']} --store-dir {shlex.quote(str(store_dir))}"
    look = "--pretrain-steps 0 --gan-steps 0"
    given = cli.parse(shlex.split(f"{arguments} {look} {row['arguments']}"))[1]
    try:
        code = train.train(given)
    except UserError as error:
        code = error.exit_code
        said.append(str(error))
    text = "\n".join(said)
    for table in store_dir.rglob("skipped.csv"):
        text += "\n" + table.read_text(encoding="utf-8")
    store = None
    if code == 0:
        (folder,) = (path.parent for path in store_dir.rglob("index.json"))
        store = load(folder)
    return {"exit": code, "text": text, "store": store}


def faults(wanted: dict, made: dict) -> list[str]:
    """In what an outcome differs from what the manifest wants."""
    found = []

    def check(name: str, is_right: bool) -> None:
        if not is_right:
            found.append(name)

    check("exit", made["exit"] == int(wanted["expect_exit"]))
    check("require", bool(re.search(wanted["require"], made["text"], re.IGNORECASE)))
    if wanted["forbid"]:
        check("forbid", not re.search(wanted["forbid"], made["text"], re.IGNORECASE))
    store = made["store"]
    if store is None or int(wanted["expect_exit"]):
        return found
    digests = [hashlib.sha256(store.hu(i)).hexdigest() for i in range(len(store.records))]
    check("used", store.used == int(wanted["expect_used"]))
    check("skipped", store.skipped == int(wanted["expect_skipped"]))
    check("pixels", sorted(digests) == sorted(wanted["expect_sha256"].split(";")))
    if wanted["expect_patients"]:
        check("patients", len(store.patients) == int(wanted["expect_patients"]))
    short = {digest[:16]: r for digest, r in zip(digests, store.records, strict=True)}
    for group in filter(None, wanted["one_side"].split(";")):
        check("one side", len({short[digest].role for digest in group.split("+")}) == 1)
    for pair in filter(None, wanted["spacing_mm"].split(";")):
        digest, spacing_mm = pair.split("=")
        close = np.allclose(short[digest].spacing_mm, float(spacing_mm), rtol=0, atol=2e-6)
        check(f"spacing of {digest}", close)
    return found


@pytest.mark.parametrize("row", manifest(), ids=lambda row: row["case"])
def test_a_folder_becomes_what_the_manifest_wants(row, tmp_path, said, monkeypatch):
    made = seen(row, tmp_path / "store", said, monkeypatch)
    found = [faults(wanted, made) for wanted in outcomes(row)]
    assert [] in found, made["text"]
