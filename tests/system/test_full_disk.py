"""Each kind of write where there is no room: one line, exit code 75, nothing left, old files whole.

Without room: a limit of file sizes (RLIMIT_FSIZE), and a small tmpfs where mounting is allowed.
"""

import dataclasses
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from srgan import cli
from srgan.commands import evaluate
from srgan.commands.simulate import simulate
from srgan.dataset import build_store, scan_source
from srgan.dataset.scan_source import DatasetPaths
from srgan.lowdose import noise_cache, photon_cache
from srgan.lowdose.levels import Levels
from srgan.lowdose.projection_noise import ProjectionNoise, Scanner
from srgan.phantom import write_scans
from srgan.report import metrics_csv, summary_json
from srgan.report.html import render
from srgan.settings import make
from srgan.system import processes
from srgan.system.errors import BAD_INPUT, TRY_AGAIN, UserError
from srgan.system.files import write_whole, writing
from srgan.system.png import figure_to_png
from tests.conftest import ROOT, small_chest, write_scan
from tests.helpers import full_disk
from tests.helpers.full_disk import MEGABYTE, check, content, limited, refused, resource, small_disk
from tests.helpers.made_report import ABOUT, made_level

without_room = full_disk.without_room


@pytest.fixture(autouse=True)
def one_process(monkeypatch):
    monkeypatch.setattr(processes, "cpus", lambda: 1)


def scans_store(data: Path, folder: Path) -> build_store.Store:
    return build_store.open_or_build(DatasetPaths(data, folder / "store"))


def test_a_store_on_a_full_disk(without_room, small_scans):
    folder, _ = without_room
    check(without_room, lambda: scans_store(small_scans, folder), (20_000,))


def test_noise_and_photons_on_a_full_disk(without_room, small_scans):
    folder, _ = without_room
    made = scans_store(small_scans, folder)
    noise = ProjectionNoise(Levels((0.1,)), 1e5, None, Scanner(views=90))
    check(
        without_room,
        lambda: noise_cache.open_or_build(made, range(2), noise, 0, 1),
        (50_000,),
    )
    estimated = dataclasses.replace(noise, photons=None)
    check(without_room, lambda: photon_cache.of_slices(made, range(2), estimated), (0,))


def test_synthetic_chests_on_a_full_disk(without_room, monkeypatch):
    folder, _ = without_room
    monkeypatch.chdir(folder)  # data/ lies here
    hu = np.zeros((1, 512, 512), np.int16)
    monkeypatch.setattr(write_scans, "chest", lambda seed, i, slices: (hu, (0.7, 0.7, 2.5)))
    monkeypatch.setattr(write_scans.write, "__defaults__", (0, 2, 1))

    def locate():
        scan_source.locate(make({}))

    assert refused(without_room, 100_000, locate)
    locate()
    assert write_scans.is_complete(Path("data") / "synthetic", 0)


def write_tables(folder):
    metrics_csv.write(folder, [made_level()])
    summary_json.write(folder, [made_level()], ABOUT)


def test_a_report_on_a_full_disk(without_room):
    folder, _ = without_room
    check(without_room, lambda: write_tables(folder), (0,))
    shown = render.Page("t", ("h",), (), (), {"k": "v" * 20_000})
    check(without_room, lambda: render.write(folder / "index.html", shown), (0, 4096))


def test_figure_to_png_and_write_whole_raise_what_the_system_said(without_room):
    """figure_to_png and write_whole raise OSError with what the system said."""
    from matplotlib.figure import Figure

    folder, _ = without_room

    def write(path, write):
        with writing(path):
            write()

    figure = Figure((4, 4))
    figure.subplots().imshow(np.random.default_rng(0).random((300, 300)), interpolation="nearest")
    path = folder / "grid.png"
    check(without_room, lambda: write(path, lambda: figure_to_png(figure, path)), (0, 4096))
    path = folder / "log.csv"
    rows = "1,pretrain\n" * 2000
    check(
        without_room,
        lambda: write(path, lambda: write_whole(path, lambda p: p.write_text(rows))),
        (0, 4096),
    )


@pytest.mark.parametrize("kind", ["dicom", "metaimage"])
def test_a_simulated_copy_on_a_full_disk(without_room, tmp_path, kind):
    from tests.commands.test_simulate import write_series

    folder, take = without_room
    if kind == "dicom":
        write_series(tmp_path / "in", small_chest(0))
    else:
        write_scan(tmp_path / "in", "1.2.3", small_chest(0))
    arguments = f"--input {tmp_path}/in --dose 0.25 --photons 1e5 --views 90 --output {folder}/out"

    def write():
        simulate(cli.parse(["--run", "simulate", *arguments.split()])[1])

    # 55,296 bytes of voxels fit into the last room, and nothing more
    for room in (10_000,) if take is limited else (10_000, 57_344):
        assert refused(without_room, room, write), room
        assert not list(folder.iterdir())
    write()
    assert (folder / "out" / "simulated.json").exists()


@pytest.mark.parametrize("format", ["savedmodel", "weights"])
def test_an_exported_network_on_a_full_disk(without_room, tmp_path, monkeypatch, format):
    """At every place of the write: the network, TensorFlow's variables, the model card."""
    from srgan.commands.export import export
    from tests.helpers import made_networks

    made_networks.make_small(monkeypatch)
    made_networks.save(tmp_path / "checkpoint", "srgan")
    folder, take = without_room
    given = {"checkpoint_dir": tmp_path / "checkpoint", "report_dir": tmp_path / "report"}

    def write():
        export(given | {"format": format, "output": folder / "new" / "exported"})

    for room in (0, 2000) if take is limited else (0, 8192):
        assert refused(without_room, room, write), room
        assert not list(folder.iterdir())
    write()
    assert (folder / "new" / "exported" / "model_card.json").exists()


def test_checkpoints_on_a_full_disk_leave_the_earlier_ones_complete(without_room):
    """At every place of the write: TensorFlow's two files, ours, the manifest."""
    from srgan.training import checkpoint_models, checkpoint_states
    from tests.helpers.made_manifest import manifest
    from tests.training.test_damage import is_equal, small, small_state

    folder, _ = without_room
    small_states, models = {s: small_state(s) for s in (1, 2)}, {s: small(s) for s in (1, 2)}

    def save(step):
        made = manifest(step=step, best={})
        checkpoint_models.save_model(folder, "srgan", models[step], made)
        checkpoint_states.save(folder, small_states[step], made)

    save(1)
    old = content(folder)
    failed = 0
    for room in (0, 1000, 2000, 4096, 16_384):
        failed += refused(without_room, room, lambda: save(2))
        newest = {folder / checkpoint_states.NEWEST: old[folder / checkpoint_states.NEWEST]}
        assert old.items() <= (content(folder) | newest).items()
        found = checkpoint_states.newest(folder)
        restored, network = small_state(3), small(3)
        checkpoint_states.restore(found.path, restored)
        wanted = small_states[found.manifest.step]["generator"].get_weights()
        assert is_equal(restored["generator"], wanted)
        trained = checkpoint_models.load(folder)
        checkpoint_models._set_weights(network, folder, trained.weights["srgan"])
        assert is_equal(network, models[trained.manifest.step].get_weights())
        for name in ("step-0000002", "srgan-0000002"):
            shutil.rmtree(folder / name, ignore_errors=True)
        (folder / checkpoint_states.NEWEST).write_bytes(old[folder / checkpoint_states.NEWEST])
    assert failed >= 3
    save(2)


@pytest.fixture
def read_only(tmp_path, small_scans):
    """A small disk with a store, a checkpoint and a report, mounted read-only."""
    from srgan.training import checkpoint_models, checkpoint_states
    from tests.helpers.made_manifest import manifest
    from tests.training.test_damage import small, small_state

    folder = tmp_path / "disk"
    with small_disk(folder, 24):
        scans_store(small_scans, folder)
        (folder / "checkpoint").mkdir()
        made = manifest(best={})
        checkpoint_models.save_model(folder / "checkpoint", "srgan", small(1), made)
        checkpoint_states.save(folder / "checkpoint", small_state(1), made)
        write_tables(folder)
        subprocess.run(["mount", "-o", "remount,ro", str(folder)], check=True)
        yield folder


def test_a_read_only_disk_is_exit_code_2_and_can_be_read(read_only, tmp_path, small_scans):
    from srgan.training import checkpoint_folder, checkpoint_models, checkpoint_states
    from tests.helpers.made_manifest import manifest
    from tests.training.test_damage import small, small_state

    folder, old = read_only, content(read_only)
    made = scans_store(small_scans, folder)
    assert checkpoint_states.newest(folder / "checkpoint").manifest.step == 3
    assert checkpoint_models.load(folder / "checkpoint").manifest.step == 3
    noise = ProjectionNoise(Levels((0.1,)), 1e5, None, Scanner(views=90))
    write_scan(tmp_path / "in", "1.2.3", small_chest(0))
    arguments = f"--run simulate --input {tmp_path}/in --dose 0.25 --output {folder}/out".split()
    later = manifest(step=4)
    writes = [
        lambda: checkpoint_folder.only_writer(folder / "checkpoint").__enter__(),
        lambda: checkpoint_states.save(folder / "checkpoint", small_state(1), later),
        lambda: checkpoint_models.save_model(folder / "checkpoint", "srgan", small(1), later),
        lambda: scans_store(small_scans, folder / "another"),
        lambda: noise_cache.open_or_build(made, range(2), noise, 0, 1),
        lambda: evaluate.prepare(folder),
        lambda: write_tables(folder),
        lambda: render.write(folder / "index.html", render.Page("t", ("h",), (), ())),
        lambda: simulate(cli.parse(arguments)[1]),
    ]
    for write in writes:
        with pytest.raises(UserError, match=r"cannot write .*Read-only file system") as caught:
            write()
        assert caught.value.exit_code == BAD_INPUT
    assert content(folder) == old


def test_a_report_folder_that_vanished_is_reported(tmp_path):
    with pytest.raises(UserError, match="No such file") as caught:
        write_tables(tmp_path / "gone")
    assert caught.value.exit_code == TRY_AGAIN
    assert not (tmp_path / "gone").exists()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full on this system")
def test_messages_that_cannot_be_written_end_nothing_and_results_that_cannot_exit_with_75():
    """stdout on a full disk is a line and exit code 75; messages on stderr end nothing."""
    command = [sys.executable, f"{ROOT}/main.py", "--run", "simulate", "--noise-hu", "20"]
    with open("/dev/full", "w") as full_disk:
        done = subprocess.run(command, stdout=full_disk, stderr=subprocess.PIPE, text=True)
        assert (done.returncode, done.stderr.count("\n")) == (TRY_AGAIN, 1), done.stderr
        assert "No space left" in done.stderr
        code = (
            "import logging; from srgan.system import log, progress; log.set_up(); "
            "progress.LINE_EVERY_S = 0; logging.getLogger('srgan').warning('a'); "
            "print(*progress.progress(['on'], 1, 'text'))"
        )
        command = [sys.executable, "-c", code]
        done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=full_disk)
        assert done.stdout == b"on\n"


TINY = "--batch-size 1 --crop 32 --vgg-weights random --precision float32 --gan-steps 0"


@pytest.mark.slow
def test_a_training_on_a_disk_that_fills_up_ends_with_one_line_and_resumes(small_scans, tmp_path):
    folder = tmp_path / "disk"
    command = f"{ROOT}/main.py --run train --data {small_scans} {TINY} --pretrain-steps 3"
    command += f" --checkpoint-dir {folder}/checkpoint"
    with small_disk(folder, 28):
        run = {"cwd": tmp_path, "capture_output": True, "text": True}
        done = subprocess.run([sys.executable, *command.split()], **run)
        assert done.returncode == TRY_AGAIN, done.stderr
        assert "Traceback" not in done.stderr
        last = done.stderr.splitlines()[-1]
        assert last.startswith(f"main.py: cannot write {folder}/checkpoint/step-00000")
        assert "No space left" in last
        assert sorted(p.name[:4] for p in (folder / "checkpoint").iterdir())[0] == ".loc"
        assert not list((folder / "checkpoint").glob(".*.part"))
        more = ["mount", "-o", "remount,size=200m", str(folder)]
        subprocess.run(more, check=True)
        done = subprocess.run([sys.executable, *command.split()], **run)
        assert done.returncode == 0, done.stderr
        assert "continuing at step" in done.stderr


@pytest.mark.slow
def test_a_training_under_a_limit_of_file_sizes_ends_with_one_line(small_scans, tmp_path):
    command = f"{ROOT}/main.py --run train --data {small_scans} {TINY} --pretrain-steps 1"
    done = subprocess.run(
        [sys.executable, *command.split()],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (MEGABYTE, MEGABYTE)),
    )
    assert done.returncode == TRY_AGAIN, done.stderr
    assert "Traceback" not in done.stderr
    assert "File too large" in done.stderr.splitlines()[-1]
    assert [p.name for p in (tmp_path / "checkpoint").iterdir()] == [".lock"]
