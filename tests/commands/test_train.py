"""The program as a user runs it, on six tiny patients."""

import csv
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import imageio.v3 as imageio
import numpy as np
import pytest

from srgan.commands import resume
from srgan.commands import train as run
from srgan.models import vgg_weights
from srgan.settings import make, record
from srgan.system import locks
from srgan.system.errors import UserError
from srgan.training.checkpoint_folder import Saved
from tests.conftest import ROOT, small_chest, write_scan
from tests.helpers.made_manifest import manifest

TINY = "--batch-size 2 --crop 64 --vgg-weights random --precision float32"


def train(run_main, cwd, data, more=""):
    return run_main(cwd, f"--run train --data {data} {TINY} {more}")


def rows_of(folder):
    with open(folder / "train" / "log.csv", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def trained(small_scans, tmp_path_factory):
    """One small run of both stages, made once."""
    cwd = tmp_path_factory.mktemp("run")
    steps = "--pretrain-steps 10 --gan-steps 2"
    command = f"{ROOT}/main.py --run train --data {small_scans} {TINY} {steps}".split()
    done = subprocess.run([sys.executable, *command], cwd=cwd, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return cwd, done


# ---- what the split is ----

PREPARED = {"pretrain_steps": 0, "gan_steps": 0}


@pytest.fixture
def look(tmp_path, said):
    """look(data, split text) prepares a store; returns the lines about the split."""

    def look(data: Path, split: str = "") -> list[str]:
        given = {"data": data, "store_dir": tmp_path / "store"}
        if split:
            given["split"] = tmp_path / "split.csv"
            given["split"].write_text("patient_id,role\n" + split)
        said.clear()
        assert run.train(given | PREPARED) == 0
        return [line for line in said if "split: " in line or "held out" in line]

    return look


def test_the_look_without_training_says_who_trains_validates_and_tests(small_scans, look):
    for _ in range(2):  # built, reused
        (line,) = look(small_scans)
        numbers = [int(n) for n in re.findall(r"\d+", line)]
        assert line == (
            "split: {} patients and {} slices train, {} and {} validate, {} and {} test"
        ).format(*numbers)
        assert sum(numbers[::2]) == 6
        assert numbers[1::2] == [3 * n for n in numbers[::2]]


def test_the_look_without_training_says_what_to_do_and_then_where_the_reasons_are(
    small_scans, look, tmp_path, said
):
    look(small_scans)
    assert said[-1].startswith("the scans are ready, nothing was trained: leave out --pretrain-ste")
    assert "skipped" not in said[-1]
    data = shutil.copytree(small_scans, tmp_path / "more")
    (data / "notes.txt").write_text("no scan")
    for _ in range(2):  # built, reused
        look(data)
        what, path = said[-1].split("; 1 skipped file and why: ")
        assert what.endswith("--gan-steps 0 to train")
        assert "notes.txt" in Path(path).read_text()


def test_the_look_without_training_says_that_nobody_is_held_out_and_why(tmp_path, look):
    write_scan(tmp_path / "data", "1.1", small_chest(1))
    lines = look(tmp_path / "data")
    assert lines[0] == "split: 1 patient and 3 slices train, 0 and 0 validate, 0 and 0 test"
    for part in ("that takes three patients, the data have 1;", "--patients", "--split"):
        assert part in lines[1]
    for i in (2, 3):
        write_scan(tmp_path / "data", f"1.{i}", small_chest(i))
    assert len(look(tmp_path / "data")) == 1
    lines = look(tmp_path / "data", "1.1,train\n1.2,train\n1.3,validation\n")
    assert lines[0].endswith("2 patients and 6 slices train, 1 and 3 validate, 0 and 0 test")
    assert lines[1].startswith("nobody is held out for testing: --split gives the role test to no")
    assert len(look(tmp_path / "data", "1.1,train\n1.2,test\n")) == 1


# ---- training ----


def test_train_writes_grids_log_states_and_models(trained):
    cwd, done = trained
    assert "found 12, used 12, skipped 0" in done.stdout
    grids = sorted((cwd / "train").glob("grid-*.png"))
    assert len(grids) == 13  # the start, ten of pre-training, two of the GAN
    picture = imageio.imread(grids[-1])
    assert picture.shape[2] == 3
    assert picture.std() > 20
    assert len(list((cwd / "train").glob("slice-*.png"))) == 1
    kept = sorted(p.name.split("-")[0] for p in (cwd / "checkpoint").glob("*-*"))
    assert kept.count("step") == 3
    assert set(kept) == {"srgan", "srresnet", "step"}
    assert not list((cwd / "train").glob("*.part*"))


def test_log_csv_has_every_loss_under_its_name_and_no_time(trained):
    rows = rows_of(trained[0])
    assert [int(r["step"]) for r in rows] == list(range(1, 13))
    assert {r["stage"] for r in rows} == {"pretrain", "gan"}
    for row in rows:
        names = ["l1", "learning_rate", "validation_psnr_db"]
        if row["stage"] == "gan":
            names += ["content", "adversarial", "discriminator", "real_logit", "fake_logit"]
        assert all(np.isfinite(float(row[name])) for name in names)
    assert not {"time", "seconds", "date"} & set(rows[0])


def test_manifests_say_how_the_networks_were_trained(trained):
    paths = list((trained[0] / "checkpoint").rglob("manifest.json"))
    assert len(paths) >= 5  # three states and a model of each stage, at least
    for content in map(json.loads, map(Path.read_text, paths)):
        assert content["degradation"]["noise_lambda"] == "500:5000"
        assert content["vgg_weights"] == "random"
    assert {*content["waiting"]} == {"waited_s", "loop_s"}
    assert re.search(r"trained 12 steps, waited for data \d+\.\d% of the time", trained[1].stdout)


def test_finished_run_says_so_and_refuses_changed_settings(trained, small_scans, run_main):
    cwd, _ = trained
    again = train(run_main, cwd, small_scans)
    assert again.returncode == 0
    assert "finished" in again.stdout
    other = train(run_main, cwd, small_scans, "--scale 2 --generator paper")
    assert other.returncode == 2
    last = other.stderr.splitlines()[-1]
    assert "--scale 4, not 2; --generator fast, not paper: leave these flags out" in last
    assert "--fresh" in last


@pytest.mark.parametrize("flag", ["--checkpoint-dir", "--train-dir"])
def test_second_training_is_refused_and_says_who_holds_the_folder(tmp_path, small_scans, flag):
    """In one process: the lock also keeps a second opening of the file out."""
    name = {"--checkpoint-dir": ".lock", "--train-dir": ".lock-train"}[flag]
    given = {"data": small_scans, "pretrain_steps": 1, "gan_steps": 0}
    given |= {"checkpoint_dir": tmp_path / "a", "train_dir": tmp_path / "b"}
    folder = given[flag[2:].replace("-", "_")]
    with (
        locks.sole(folder / name, flag),
        pytest.raises(UserError, match=rf"held by another run \(process {os.getpid()} on .*{flag}"),
    ):
        run.train(given)
    assert not list(tmp_path.rglob("*.npy"))


def test_resume_with_other_scans_is_refused_and_says_what_differs(trained, small_scans, tmp_path):
    """Six patients of three slices, of whom four train and one is validated on."""

    def refused(**given):
        folders = {"checkpoint_dir": trained[0] / "checkpoint", "train_dir": tmp_path / "train"}
        with pytest.raises(UserError, match="was trained on other scans") as refused:
            run.train({**folders, "store_dir": tmp_path / "store", **given})
        return str(refused.value)

    for i in range(3):
        write_scan(tmp_path / "other", f"9.9.{i}", small_chest(50 + i))
    said = refused(data=tmp_path / "other")
    assert "patients: 2 new, 5 missing; slices: 6 new, 15 missing" in said
    data = shutil.copytree(small_scans, tmp_path / "more")
    store = run.open_store(make({"data": data, "store_dir": tmp_path / "store"}))
    uid = next(store.patients[r.pseudonym] for r in store.records if r.role == "train")
    for path in data.rglob(f"{uid}.*"):
        path.unlink()
    split = tmp_path / "split.csv"
    rows = {store.patients[r.pseudonym]: r.role for r in store.records}
    rows = {u: role for u, role in rows.items() if u != uid}
    split.write_text("patient_id,role\n" + "".join(f"{u},{role}\n" for u, role in rows.items()))
    said = refused(data=data, split=split)
    assert "patients: 0 new, 1 missing; slices: 0 new, 3 missing" in said
    write_scan(data, "1.2.3.7", small_chest(7))
    with open(split, "a") as file:
        file.write("1.2.3.7,train\n")
    assert "patients: 1 new, 1 missing; slices: 3 new, 3 missing" in refused(data=data, split=split)
    rows |= {uid: "validation"}
    split.write_text("patient_id,role\n" + "".join(f"{u},{role}\n" for u, role in rows.items()))
    said = refused(data=small_scans, split=split)
    assert "(12 slices train, 3 slices validation, 3 slices test; now 9 slices train, 6 " in said


@pytest.mark.slow
def test_resume_in_another_precision_says_so(trained, small_scans, run_main, tmp_path):
    cwd = tmp_path / "run"
    shutil.copytree(trained[0], cwd)
    shutil.rmtree(cwd / "checkpoint" / "step-0000012")
    done = train(run_main, cwd, small_scans, "--precision bfloat16")
    assert done.returncode == 0, done.stderr
    assert "continuing at step 11 of 12, bfloat16 instead of float32" in done.stderr


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16", "float32"])
def test_precision_auto_is_that_of_the_saved_run(policy, tmp_path):
    """Whatever this machine is fast at."""
    name, saved = policy.removeprefix("mixed_"), Saved(tmp_path, manifest(precision=policy))
    assert resume.precision(make({}), saved) == name
    assert resume.precision(make({}), None) == "auto"
    assert resume.precision(make({"precision": name}), saved) == name


@pytest.mark.parametrize(("before", "now"), [("float16", "float32"), ("bfloat16", "float16")])
def test_precision_that_the_state_does_not_fit_is_refused(before, now, tmp_path):
    saved = Saved(tmp_path, manifest(precision=f"mixed_{before}"))
    with pytest.raises(UserError, match=f"--precision {before}, not {now}: .*--fresh"):
        resume.precision(make({"precision": now}), saved)


def test_precision_may_change_where_the_state_fits(tmp_path):
    saved = Saved(tmp_path, manifest(precision="mixed_bfloat16"))
    assert resume.precision(make({"precision": "float32"}), saved) == "float32"


class Reached(Exception):
    """The run was not refused before its store is opened."""


def start_again(manifest, monkeypatch, folder, **given) -> None:
    """Start `--run train` on a state with this manifest. Raises Reached, or UserError."""

    def reached(settings):
        raise Reached

    saved = Saved(folder / "step-0000001", manifest)
    monkeypatch.setattr(run.checkpoint_states, "newest", lambda *_: saved)
    monkeypatch.setattr(run, "open_store", reached)
    run.train({"checkpoint_dir": folder / "a", "train_dir": folder / "b", **given})


@pytest.fixture
def vgg_file_run(tmp_path):
    """A VGG19 file, and what a run with it records."""
    path = tmp_path / "mine.h5"
    path.write_bytes(b"weights")
    (tmp_path / "same.h5").write_bytes(b"weights")
    (tmp_path / "other.h5").write_bytes(b"other weights")
    weights = vgg_weights.find(str(path))
    settings = make({"vgg_weights": str(path), "pretrain_steps": 1, "gan_steps": 1})
    return manifest(settings=record(settings), vgg_weights=weights.mode, vgg_sha256=weights.sha256)


@pytest.mark.parametrize("weights", ["random", "none", "imagenet", "auto", "other.h5", None])
def test_resume_with_another_vgg_file_is_refused(vgg_file_run, tmp_path, monkeypatch, weights):
    monkeypatch.chdir(tmp_path)
    given = {} if weights is None else {"vgg_weights": weights}
    digest = vgg_file_run.vgg_sha256[:12]
    now = f"not {weights}" if weights else "not named now"
    with pytest.raises(UserError, match=f"--vgg-weights PATH .*{digest}.*{now}.*--fresh"):
        start_again(vgg_file_run, monkeypatch, tmp_path, **given)


def test_resume_takes_the_same_vgg_file_from_elsewhere(vgg_file_run, tmp_path, monkeypatch):
    with pytest.raises(Reached):
        start_again(vgg_file_run, monkeypatch, tmp_path, vgg_weights=str(tmp_path / "same.h5"))


@pytest.mark.slow
def test_run_that_lost_its_newest_states_ends_with_the_same_log(
    trained, small_scans, run_main, tmp_path, monkeypatch
):
    """And it says which states are missing."""
    cwd = tmp_path / "run"
    shutil.copytree(trained[0], cwd)
    for path in sorted((cwd / "checkpoint").glob("step-*"))[1:]:
        shutil.rmtree(path)
    done = train(run_main, cwd, small_scans)
    assert done.returncode == 0, done.stderr
    assert "step-0000012 is missing: the one before it is used" in done.stderr
    assert "continuing at step 10 of 12\n" in done.stderr
    assert rows_of(cwd) == rows_of(trained[0])


def test_fresh_sets_the_old_run_aside(trained, small_scans, run_main, tmp_path):
    cwd = tmp_path / "run"
    shutil.copytree(trained[0], cwd)
    done = train(run_main, cwd, small_scans, "--fresh --pretrain-steps 1 --gan-steps 0")
    assert done.returncode == 0, done.stderr
    assert len(list((cwd / "checkpoint" / "aside-001").glob("step-*"))) == 3
    assert (cwd / "train" / "aside-001" / "log.csv").exists()
    assert [r["step"] for r in rows_of(cwd)] == ["1"]


def test_train_with_no_steps_builds_the_store_without_tensorflow(small_scans, run_main, tmp_path):
    done = train(run_main, tmp_path, small_scans, "--pretrain-steps 0 --gan-steps 0")
    assert done.returncode == 0
    assert done.stdout.strip() == "found 12, used 12, skipped 0"
    assert "oneDNN" not in done.stderr
    assert not (tmp_path / "checkpoint").exists()


@pytest.mark.parametrize(
    "arguments",
    [
        "--data no-such-folder",
        "--data empty",
        "--data notes",
        "--split no-such.csv",
        "--vgg-weights no-such.h5",
        "--crop 12 --content-loss vgg54",
    ],
)
def test_wrong_input_is_one_line_and_exit_code_2(run_main, tmp_path, arguments):
    (tmp_path / "empty").mkdir()
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "notes.txt").write_text("no scan")
    done = run_main(tmp_path, f"--run train {arguments} --pretrain-steps 1 --gan-steps 1")
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    assert done.stderr.splitlines()[-1].startswith("main.py: ")


@pytest.mark.slow
@pytest.mark.parametrize(
    "more", ["--scale 2", "--scale 1", "--generator paper", "--content-loss pixel",
             "--vgg-weights none", "--gan-share 0 --train-minutes 0.05", "--content-loss vgg22",
             "--precision float16", "--precision bfloat16"]
)  # fmt: skip
def test_every_network_loss_and_precision_trains(small_scans, run_main, tmp_path, more):
    steps = "" if "minutes" in more else "--pretrain-steps 2 --gan-steps 1"
    done = train(run_main, tmp_path, small_scans, f"{steps} {more}")
    assert done.returncode == 0, done.stderr
    assert list((tmp_path / "checkpoint").glob("srresnet-*"))
    rows = rows_of(tmp_path)
    assert all(float(row["l1" if row["l1"] else "mse"]) > 0 for row in rows)
    assert ("overflow" in rows[0]) == more.endswith(" float16")


@pytest.mark.slow
def test_sigterm_saves_a_state_and_ends_the_program(small_scans, tmp_path):
    """The whole program with its own networks; test_survival has it in both stages."""
    command = f"{ROOT}/main.py --run train --data {small_scans} {TINY}".split()
    steps = ["--pretrain-steps", "1", "--gan-steps", "1000"]
    process = subprocess.Popen([sys.executable, *command, *steps], cwd=tmp_path)
    log = tmp_path / "train" / "log.csv"
    for _ in range(1200):
        if log.exists() and log.read_text().count(",gan,") >= 2:  # ten steps each
            break
        time.sleep(0.1)
    process.send_signal(signal.SIGTERM)
    assert process.wait(120) == 143
    (*_, newest) = sorted((tmp_path / "checkpoint").glob("step-*/manifest.json"))
    step = json.loads(newest.read_text())["step"]
    assert step > 10
    assert step >= int(rows_of(tmp_path)[-1]["step"])


def test_train_with_projection_noise_and_test_at_two_doses(small_scans, run_main, tmp_path):
    noise = "--noise projection --views 90"
    done = train(run_main, tmp_path, small_scans, f"{noise} --pretrain-steps 2 --gan-steps 0")
    assert done.returncode == 0, done.stderr
    assert "photons a reading: median" in done.stderr
    manifests = sorted((tmp_path / "checkpoint").glob("srresnet-*/manifest.json"))
    manifest = json.loads(manifests[-1].read_text())
    assert manifest["degradation"]["dose"] == "0.1:0.5"
    assert manifest["degradation"]["views"] == 90
    assert manifest["photons"]["median"] > 1e4
    done = run_main(tmp_path, f"--run test --data {small_scans} --dose 0.5,0.1 --seed 1")
    assert done.returncode == 0, done.stderr
    summary = json.loads((tmp_path / "report" / "summary.json").read_text())
    assert [level["noise"]["dose"] for level in summary["levels"]] == ["0.5", "0.1"]
    better, worse = (level["methods"]["bicubic"]["psnr_db"]["full"] for level in summary["levels"])
    assert better > worse


def test_no_file_that_training_writes_names_a_patient_or_a_path(trained, small_scans):
    cwd, done = trained
    uids = [path.stem for path in small_scans.rglob("*.mhd")]
    paths = [path for name in ("train", "checkpoint") for path in (cwd / name).rglob("*")]
    assert len(paths) > 20
    for path in paths:
        content = path.name.encode() + (path.read_bytes() if path.is_file() else b"")
        for secret in (*uids, str(small_scans), str(cwd), "subset0"):
            assert secret.encode() not in content, path
    assert not any(uid in done.stdout + done.stderr for uid in uids)
