"""--pairs: what may be given with it, its store, and a training and a test of real pairs."""

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread

from srgan import hu_check
from srgan import settings as all_settings
from srgan.commands import train as run
from srgan.commands.open_store import open_store
from srgan.dataset.low_dose_pairs import NO_SLICE
from srgan.dataset.pair_pixels import OTHER_ANATOMY
from srgan.formats.csv_tables import plain_id
from srgan.lowdose.levels import Levels
from srgan.settings import degradation_of, make, with_pairs
from srgan.system.errors import UserError
from srgan.training import batches
from tests.helpers import made_pairs
from tests.helpers.made_pairs import doses

NAMES = ("C002", "L067", "L096", "N005")
TINY = "--batch-size 2 --crop 64 --vgg-weights random --precision float32 --scale 2"


@pytest.fixture(scope="module")
def tree(tmp_path_factory) -> Path:
    """Four patients in both layouts, six slices each; one low dose lacks a slice."""
    folder = tmp_path_factory.mktemp("pairs")
    for i, name in enumerate(NAMES):
        make_tree = made_pairs.mayo if name.startswith("L") else made_pairs.tcia
        _, low = make_tree(folder, name, i)
        if name == "L096":
            low[3].unlink()
    return folder


def given(tree: Path, folder: Path, **more) -> dict:
    return with_pairs({"pairs": tree, "store_dir": folder / "store", **more})


# ---- what goes together ----


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"data": Path("x")}, "--data and --pairs exclude each other"),
        ({"noise": "projection"}, "--pairs has measured low doses, and --noise projection would"),
        ({"dose": Levels((0.25,))}, "--dose belongs to --noise projection"),
    ],
)
def test_pairs_have_no_other_scans_and_no_other_noise(more, reason):
    with pytest.raises(UserError, match=reason):
        make(with_pairs({"pairs": Path("p"), **more}))


def test_real_pairs_need_their_folder_and_a_record_of_them_can_be_read():
    settings = make(with_pairs({"pairs": Path("p")}))
    kept = all_settings.record(settings)
    assert (kept["noise"], "pairs" in kept) == ("pairs", False)
    again = make({}, all_settings.from_record(kept))
    assert degradation_of(again).as_json()["model"] == "pairs"
    with pytest.raises(UserError, match="name their folder with --pairs DIR"):
        all_settings.dataset_paths(again)


# ---- the store ----


def test_the_store_of_pairs_holds_both_doses_of_each_slice(tree, tmp_path):
    settings = make(given(tree, tmp_path))
    for _ in range(2):  # built, opened again
        store = open_store(settings)
        assert len(store.records) == 23
        for i, record in enumerate(store.records):
            name = store.patients[record.pseudonym]
            normal, low = doses(NAMES.index(name))
            k = next(k for k, hu in enumerate(normal) if np.array_equal(hu, store.hu(i)))
            assert np.array_equal(low[k], store.low_hu(i))
    assert {r.role for r in store.records} == {"train", "validation", "test"}


def test_the_store_lists_what_is_left_over_and_tells_the_pairs(tree, tmp_path):
    store = open_store(make(given(tree, tmp_path)))
    with open(store.folder / "skipped.csv", newline="") as file:
        (row,) = csv.DictReader(file)
    assert (Path(row["path"]).name[:8], row["reason"]) == ("L096_FD_", NO_SLICE)
    with open(store.folder / "pairs.csv", newline="") as file:
        rows = {plain_id(row["patient_id"]): row for row in csv.DictReader(file)}
    assert rows.keys() == set(NAMES)
    assert {name: int(row["slices"]) for name, row in rows.items()} == {
        name: 5 if name == "L096" else 6 for name in NAMES
    }
    assert Path(rows["L096"]["low_dose"]).name == "quarter_1mm"
    assert rows["C002"]["told_by"] == "names, noise"


def test_pairs_and_the_same_folder_as_data_are_two_stores(tree, tmp_path):
    of_pairs = open_store(make(given(tree, tmp_path)))
    of_data = open_store(make({"data": tree, "store_dir": tmp_path / "store"}))
    assert of_pairs.folder != of_data.folder
    assert (len(of_data.records), of_data.records[0].low_dose_sha256) == (24, None)


def test_a_slice_of_other_anatomy_or_that_is_not_hu_costs_its_pair(tree, tmp_path):
    """Seen when all slices are read, not in the few that the series are compared by."""
    data = tmp_path / "data"
    shutil.copytree(tree, data)
    normal, low = made_pairs.mayo(data, "L200", 7)
    upside_down, mask = doses(7)[1][2, ::-1], (doses(7)[0][4] > -500).astype(np.int16)
    for path, values in ((low[2], upside_down), (normal[4], mask)):
        dataset = dcmread(path)
        dataset.PixelData = np.ascontiguousarray(values).tobytes()
        dataset.save_as(path)
    store = open_store(make(given(data, tmp_path)))
    (pseudonym,) = (p for p, name in store.patients.items() if name == "L200")
    used = [i for i, r in enumerate(store.records) if r.pseudonym == pseudonym]
    assert len(used) == 4
    with open(store.folder / "skipped.csv", newline="") as file:
        rows = {Path(row["path"]): row for row in csv.DictReader(file)}
    for two, reason, detail in (
        ((normal[2], low[2]), OTHER_ANATOMY, "correlate by"),
        ((normal[4], low[4]), hu_check.REASON, str(normal[4])),
    ):
        for path in two:
            assert (rows[path]["reason"], detail in rows[path]["detail"]) == (reason, True)


def test_a_damaged_low_dose_in_the_store_is_made_again(tree, tmp_path, said):
    settings = make(given(tree, tmp_path))
    store = open_store(settings)
    path = store.folder / "low-slices-96x96.npy"
    before = path.read_bytes()
    path.write_bytes(before[:-1] + bytes([before[-1] ^ 1]))
    open_store(settings)
    assert path.read_bytes() == before


def test_a_folder_without_pairs_ends_in_one_line(tmp_path):
    made_pairs.write(tmp_path / "data" / "full", doses(0)[0], "L067")
    with pytest.raises(UserError, match=r"no pairs of .* among 6 files .*6 no series to pair with"):
        open_store(make(given(tmp_path / "data", tmp_path)))


# ---- training and test ----


def test_slices_for_training_have_their_measured_noise(tree, tmp_path):
    settings = make(given(tree, tmp_path, scale=1))
    training, validation = run.slice_sets(open_store(settings), settings)
    assert len(training.hu) + len(validation.hu) in (17, 18)
    low, normal = batches.batch(training, 16, 64, degradation_of(settings), 0, 0)
    assert 4095 / 2 * (low - normal).std() == pytest.approx(55, rel=0.15)


@pytest.mark.slow
def test_a_run_on_pairs_trains_resumes_and_is_tested(tree, tmp_path, run_main):
    steps = "--pretrain-steps {} --gan-steps 1"
    train = f"--run train --pairs {tree} {TINY} "
    done = run_main(tmp_path, train + steps.format(2))
    assert done.returncode == 0, done.stderr
    manifest = json.loads(next(tmp_path.glob("checkpoint/srgan-*/manifest.json")).read_text())
    assert manifest["degradation"] == {"model": "pairs", "unit": "measured low dose", "scale": 2}
    assert "real pairs" in next(tmp_path.glob("checkpoint/srgan-*/README.md")).read_text()

    done = run_main(tmp_path, f"--run train {TINY}")
    assert (done.returncode, "--pairs DIR" in done.stderr) == (2, True)
    done = run_main(tmp_path, train + steps.format(2) + " --noise image")
    assert done.returncode == 2

    done = run_main(tmp_path, f"--run test --pairs {tree}")
    assert done.returncode == 0, done.stderr
    summary = json.loads((tmp_path / "report" / "summary.json").read_text())
    assert summary["noise"]["model"] == "pairs"
    assert summary["sharpness"]
    assert "real pairs" in (tmp_path / "report" / "index.html").read_text()
    with open(tmp_path / "report" / "metrics.csv", newline="") as file:
        assert float(next(csv.DictReader(file))["noise_hu"]) == pytest.approx(60, rel=0.1)


@pytest.mark.slow
def test_a_network_of_simulated_noise_is_tested_on_real_pairs_and_the_report_says_so(
    tree, tmp_path, run_main
):
    steps = "--pretrain-steps 1 --gan-steps 0"
    done = run_main(tmp_path, f"--run train --data {tree} {TINY} {steps}")
    assert done.returncode == 0, done.stderr
    done = run_main(tmp_path, f"--run test --pairs {tree} --details")
    assert done.returncode == 0, done.stderr
    assert "trained in image noise, tested in real pairs" in done.stdout
