"""--compare, and that no patient whom any checkpoint has seen is measured."""

import csv
import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from srgan import settings as all_settings
from srgan.commands import compare, tested_methods
from srgan.commands import evaluate as run
from srgan.commands.resume import seen_data
from srgan.dataset import build_store as stores
from srgan.dataset.select_slices import pixels_sha256
from srgan.evaluation import baselines
from srgan.settings import dataset_paths, degradation_of
from srgan.system.errors import UserError
from srgan.training import checkpoint_models, sealed
from srgan.training.plan import Plan
from tests.conftest import small_chest, write_scan
from tests.helpers.made_manifest import manifest

# series UID, patient, pixels: who trains A, who trains B, and who comes to be tested
TRAINS_A = (("1.1", "Ann", 1), ("1.2", "Bob", 2), ("1.3", "Cid", 3))
TRAINS_B = (("1.4", "Eve", 4),)
TESTED = (
    ("1.3", "Cid", 3),  # A's own test patient
    ("9.1", "Dan", 11),  # new
    ("9.2", "Ann", 12),  # another series of a patient whom A was trained on
    ("1.2", "Zoe", 13),  # a series that A was validated on, under another name
    ("9.3", "Zoe", 14),
    ("9.4", "Yan", 1),  # pixels that A was trained on, under another name and UID
    ("9.5", "Yan", 15),
    ("9.6", "Xen", 4),  # pixels that B was trained on
    ("9.7", "Xen", 16),
)
SPLIT_A = {"Ann": "train", "Bob": "validation", "Cid": "test"}
EVERYONE = ("Ann", "Cid", "Dan", "Xen", "Yan", "Zoe")


def volume(seed: int):
    """HU that a store keeps as they are."""
    return small_chest(seed).clip(-1024)


def write_table(path: Path, head: tuple, rows) -> Path:
    with open(path, "w", newline="") as file:
        csv.writer(file).writerows([head, *rows])
    return path


def write_split(path: Path, roles: dict) -> Path:
    return write_table(path, ("patient_id", "role"), roles.items())


def write_scans(folder: Path, scans) -> dict[str, Path]:
    """LUNA16 files and the table of their patients, as settings."""
    for uid, _, seed in scans:
        write_scan(folder / "data", uid, volume(seed))
    rows = [(uid, patient) for uid, patient, _ in scans]
    patients = write_table(folder / "patients.csv", ("series_uid", "patient_id"), rows)
    return {"data": folder / "data", "patients": patients, "store_dir": folder / "store"}


def of_patients(*names) -> set[str]:
    """The hashes of all slices that these patients have in TESTED."""
    seeds = [seed for _, patient, seed in TESTED if patient in names]
    return {pixels_sha256(hu) for seed in seeds for hu in volume(seed)}


def checkpoint(folder: Path, given: dict, **other) -> Path:
    """What --run train leaves of its scans, around a weights file without weights."""
    settings = all_settings.make(given | other)
    store = stores.open_or_build(dataset_paths(settings))
    made = manifest(
        settings=all_settings.record(settings),
        degradation=degradation_of(settings).as_json(),
        vgg_weights="none",
        data=seen_data(store),
        step=7,
        plan=Plan(7, 0),
        best={},
    )
    model = SimpleNamespace(get_weights=lambda: [np.frombuffer(folder.name.encode(), np.uint8)])
    (folder / "checkpoint").mkdir(parents=True)
    checkpoint_models.save_model(folder / "checkpoint", "srresnet", model, made)
    return folder / "checkpoint"


@pytest.fixture(scope="module")
def scans(tmp_path_factory):
    """Settings of a test of A and B, which were trained elsewhere."""
    folder = tmp_path_factory.mktemp("unseen")
    of_a = write_scans(folder / "a", TRAINS_A)
    of_a["split"] = write_split(folder / "split-a.csv", SPLIT_A)
    of_b = write_scans(folder / "b", TRAINS_B)
    given = write_scans(folder / "tested", TESTED)
    given |= {"checkpoint_dir": checkpoint(folder / "a", of_a), "report_dir": folder / "report"}
    return SimpleNamespace(folder=folder, a=of_a, b=of_b, given=given,
                           b_dir=checkpoint(folder / "b", of_b))  # fmt: skip


class Measured(Exception):
    """Stands for all that follows when study.run has been given its slices."""


@pytest.fixture
def measured(scans, monkeypatch):
    """The hashes of the slices that study.run gets, and of those that non-local means sees."""
    tuned, given_to_run = set(), set()
    make_pair = tested_methods.study_slice.make_pair

    def seen_in_tuning(item, *rest):
        tuned.add(pixels_sha256(item.hu()))
        return make_pair(item, *rest)

    def record(methods, slices, *rest):
        given_to_run.update(pixels_sha256(item.hu()) for item in slices)
        raise Measured

    monkeypatch.setattr(tested_methods.study_slice, "make_pair", seen_in_tuning)
    monkeypatch.setattr(run.study, "run", record)
    monkeypatch.setattr(run, "networks", lambda *_: {"srresnet": baselines.classical(4)["bicubic"]})

    def measure(**more):
        given_to_run.clear()
        with pytest.raises(Measured):
            run.test(scans.given | more)
        return given_to_run, tuned

    return measure


def test_only_unseen_patients_are_measured(measured, capsys):
    slices, tuned = measured()
    assert slices == of_patients("Cid", "Dan", "Xen")
    assert not slices & tuned
    assert (
        "3 of 6 patients were trained or validated on and are left out" in capsys.readouterr().err
    )


def test_split_does_not_bring_back_a_seen_patient(scans, measured, tmp_path):
    roles = dict.fromkeys(EVERYONE, "test") | {"Cid": "train"}
    slices, _ = measured(split=write_split(tmp_path / "split.csv", roles))
    assert slices == of_patients("Dan", "Xen")
    roles |= {"Ann": "validation", "Dan": "validation"}
    slices, tuned = measured(split=write_split(tmp_path / "other.csv", roles))
    assert slices == of_patients("Xen")
    assert tuned == of_patients("Ann")  # seen; the other validation patient is not
    roles |= {"Xen": "train"}
    with pytest.raises(UserError, match=r"no patient in .* is left to test on"):
        run.test(scans.given | {"split": write_split(tmp_path / "none.csv", roles)})


def test_patient_seen_by_a_compared_checkpoint_is_left_out(scans, measured, capsys):
    slices, tuned = measured(compare=(scans.b_dir,))
    assert slices == of_patients("Cid", "Dan")
    assert not slices & tuned
    said = capsys.readouterr().err
    assert "4 of 6 patients were trained or validated on (3 by A, 1 by B) and are left out" in said
    assert f"B is {scans.b_dir}: step 7, fast generator, content vgg22, VGG19 weights none" in said


def test_compare_refuses_a_wrong_checkpoint_in_one_line(scans, tmp_path):
    other = checkpoint(tmp_path / "other", scans.b, scale=2)
    (tmp_path / "link").symlink_to(scans.b_dir)
    for folders, words in (
        ((other,), "enlarges 2 times and the main checkpoint 4 times"),
        ((tmp_path,), r"no trained model in .*--compare"),
        ((scans.given["checkpoint_dir"],), "is checkpoint A already"),
        ((scans.b_dir, tmp_path / "link"), "is checkpoint B already"),
    ):
        with pytest.raises(UserError, match=words):
            run.test(scans.given | {"compare": folders, "report_dir": tmp_path / "report"})
    assert not (tmp_path / "report").exists()
    next(other.glob("srresnet-*/*.npz")).write_bytes(b"damaged")
    with pytest.raises(UserError, match="is corrupt"):
        run.test(scans.given | {"compare": (other,)})


def test_report_names_letters_and_weights_and_no_folder(scans):
    settings = all_settings.make(scans.given | {"compare": (scans.b_dir,)})
    every = compare.load(checkpoint_models.load(settings.checkpoint_dir), settings)
    said = compare.record(every)
    weights = [next(p.glob("*/*.npz")) for p in (settings.checkpoint_dir, scans.b_dir)]
    assert list(said["models"]) == ["srresnet", "srresnet B"]
    assert list(said["models"].values()) == [sealed.sha256_of_file(path) for path in weights]
    assert said["compared"]["B"]["degradation"]["noise_lambda"] == "500:5000"
    assert str(scans.folder) not in json.dumps(said)
    assert "compared" not in compare.record({"A": every["A"]})


def test_strengths_name_the_networks_of_each_checkpoint():
    both = SimpleNamespace(models={"srresnet": None, "srgan": None})
    one = SimpleNamespace(models={"srresnet": None})
    asked = all_settings.make({"strength": (0.0, 0.5, 1.0)})
    assert tested_methods.strengths({"A": both, "B": both}, asked) == {
        "A": {"srresnet": 0, "srgan 0.5": 0.5, "srgan": 1},
        "B": {"srresnet B": 0, "srgan 0.5 B": 0.5, "srgan B": 1},
    }
    every = {"A": {"srresnet": 0, "srgan": 1}, "B": {"srresnet B": 0}}
    assert tested_methods.strengths({"A": both, "B": one}, all_settings.make({})) == every
    with pytest.raises(UserError, match=r"checkpoint B: --strength 0.5 needs the SRGAN"):
        tested_methods.strengths({"A": both, "B": one}, asked)


def test_a_strength_without_a_srgan_is_refused_before_the_long_work(scans, tmp_path):
    with pytest.raises(UserError, match=r"^--strength 1 needs the SRGAN.*--strength 0"):
        run.test(scans.given | {"strength": (0.0, 1.0), "report_dir": tmp_path / "report"})
    assert not (tmp_path / "report").exists()


@pytest.mark.slow
def test_compare_of_two_trained_checkpoints_through_main(scans, run_main, tmp_path):
    """Real networks through main.py; who was measured is read from the report's files."""
    tiny = "--batch-size 2 --vgg-weights none --pretrain-steps 1"
    for name, given, steps in (("a", scans.a, "--gan-steps 1"), ("b", scans.b, "--gan-steps 0")):
        flags = " ".join(f"{all_settings.flag(key)} {value}" for key, value in given.items())
        trained = run_main(tmp_path, f"--run train --checkpoint-dir {name} {flags} {tiny} {steps}")
        assert trained.returncode == 0, trained.stderr
    flags = f"--data {scans.given['data']} --patients {scans.given['patients']}"
    done = run_main(tmp_path, f"--run test --checkpoint-dir a --compare b {flags}")
    assert done.returncode == 0, done.stderr
    assert "(3 by A, 1 by B)" in done.stderr
    summary = json.loads((tmp_path / "report" / "summary.json").read_text())
    networks = [name for name in summary["methods"] if name.startswith("sr")]
    assert networks == ["srresnet", "srgan", "srresnet B"]
    assert list(summary["checkpoint"]["models"]) == networks
    assert summary["checkpoint"]["compared"]["B"]["step"] == 1
    page = (tmp_path / "report" / "index.html").read_text()
    assert all(digest in page for digest in summary["checkpoint"]["models"].values())
    assert "Checkpoints compared" in page
    assert '<option value="srgan" selected>' in page  # the main checkpoint's is shown first
    index = json.loads(next((tmp_path / "store").glob("*/index.json")).read_text())
    pixels = {}
    for record in index["slices"]:
        pixels.setdefault(record["pseudonym"], []).append(record["pixels_sha256"])
    with open(tmp_path / "report" / "metrics.csv", newline="") as file:
        rows = {(row["pseudonym"], int(row["slice"])) for row in csv.DictReader(file)}
    assert {pixels[patient][n - 1] for patient, n in rows} == of_patients("Cid", "Dan")
