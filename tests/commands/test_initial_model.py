"""--init: a new run starts from any model, and tests on nothing that this model had seen.

The runs are those of main.py with small networks (tests/helpers/forked_runs.py).
"""

import json
import shutil

import numpy as np
import pytest

from srgan.commands.open_store import open_store
from srgan.dataset.store import known_by
from srgan.settings import make
from srgan.training import checkpoint_folder, checkpoint_models, sealed
from tests.conftest import small_chest, write_scan
from tests.helpers.forks import manifest_of, stderr_of

COMMAND = "--crop 32 --content-loss pixel --precision float32 --batch-size 2"
STEPS = "--pretrain-steps 1 --gan-steps 1"  # of which every state is left


@pytest.fixture(scope="module")
def run(forks, tmp_path_factory):
    """run(name, arguments) runs main.py in a folder of this name; returns (folder, exit code)."""
    place = tmp_path_factory.mktemp("init")

    def run(name, arguments, **faults):
        cwd = place / name
        cwd.mkdir(exist_ok=True)
        (cwd / "stderr.txt").unlink(missing_ok=True)
        return cwd, forks.run(cwd, arguments, **faults)

    return run


@pytest.fixture(scope="module")
def first(run, small_scans):
    cwd, code = run("first", f"--run train --data {small_scans} {COMMAND} {STEPS}")
    assert code == 0, stderr_of(cwd)
    return cwd


@pytest.fixture(scope="module")
def grown(small_scans, tmp_path_factory):
    """The six patients of the first run, and four more."""
    folder = tmp_path_factory.mktemp("grown") / "scans"
    shutil.copytree(small_scans, folder)
    for i in range(4):
        write_scan(folder, f"7.7.{i}", small_chest(70 + i))
    return folder


@pytest.fixture(scope="module")
def second(run, first, grown):
    flags = f"--init {first / 'checkpoint'} {COMMAND} {STEPS}"
    cwd, code = run("second", f"--run train --data {grown} {flags}")
    assert code == 0, stderr_of(cwd)
    return cwd


def patients_seen(cwd, data, tmp_path) -> set[str]:
    """Ids of the patients of `data` that the checkpoint in `cwd` may not be tested on."""
    trained = checkpoint_models.load(cwd / "checkpoint")
    store = open_store(make({"data": data, "store_dir": tmp_path / "store"}))
    return {
        store.patients[record.pseudonym]
        for record in store.records
        if trained.has_seen(known_by(record, store.patients))
    }


def test_a_new_run_starts_from_the_weights_of_the_model(first, second):
    trained = checkpoint_models.load(first / "checkpoint")
    weights = arrays_of(trained.models["srresnet"])
    import tensorflow as tf

    reader = tf.train.load_checkpoint(str(second / "checkpoint/step-0000000/state"))
    names = [n for n in reader.get_variable_to_shape_map() if n.startswith("average/")]
    held = [reader.get_tensor(name) for name in names]
    assert all(any(np.array_equal(one, other) for other in held) for one in weights)
    origin = manifest_of(second)["origin"]
    assert (origin["model"], origin["sha256"]) == ("srresnet", trained.sha256["srresnet"])
    assert "began with the SRResNet of step" in stderr_of(second)
    assert "its discriminator begins new" in stderr_of(second)


def arrays_of(model) -> list[np.ndarray]:
    with np.load(model / "generator.npz") as arrays:
        return [arrays[str(i)] for i in range(len(arrays.files))]


def test_the_gan_begins_with_the_srgan_and_the_run_ends_with_no_worse_models(
    run, first, grown, tmp_path
):
    folder = shutil.copytree(first / "checkpoint", tmp_path / "other")
    model = sorted(folder.glob("srgan-*"))[-1]
    far = [array + 0.1 for array in arrays_of(model)]  # a step moves a weight by 1e-4
    about = checkpoint_folder.read(model).manifest
    shutil.rmtree(model)
    content = checkpoint_models.npz({str(i): array for i, array in enumerate(far)})
    sealed.write(model, lambda part: (part / "generator.npz").write_bytes(content), about.as_dict())

    flags = f"--init {folder} {COMMAND} --pretrain-steps 1 --gan-steps 1"
    cwd, code = run("both", f"--run train --data {grown} {flags}")
    assert code == 0, stderr_of(cwd)
    assert "its GAN with the SRGAN of that run" in stderr_of(cwd)
    for name in ("srresnet", "srgan"):  # what it began with is kept until it has a better one
        kept, wanted = cwd / f"checkpoint/{name}-0000000", sorted(folder.glob(f"{name}-*"))[-1]
        assert all(map(np.array_equal, arrays_of(kept), arrays_of(wanted)))
    import tensorflow as tf

    reader = tf.train.load_checkpoint(str(cwd / "checkpoint/step-0000002/state"))
    names = [n for n in reader.get_variable_to_shape_map() if n.startswith("average/")]
    held = [reader.get_tensor(name) for name in names]
    for one in far:
        same = [other for other in held if other.shape == one.shape]
        assert min(np.abs(one - other).max() for other in same) < 0.01
    assert run("both", f"--run train --data {grown} {flags}")[1] == 0  # the same model again


def test_what_the_first_model_had_seen_is_never_tested(first, second, grown, small_scans, tmp_path):
    before = patients_seen(first, small_scans, tmp_path)
    assert len(before) == 5
    after = patients_seen(second, grown, tmp_path)
    assert before < after
    assert "its training had seen 5 of the 10 patients here" in stderr_of(second)
    (earlier,) = manifest_of(second)["data"]["earlier"]
    assert (
        earlier["salt"] == manifest_of(first)["data"]["salt"] != manifest_of(second)["data"]["salt"]
    )
    cards = [path.read_text() for path in second.glob("checkpoint/sr*/README.md")]
    assert all("began with the SRResNet of step" in card for card in cards)
    assert all("had seen 5 patients" in card for card in cards)


@pytest.mark.slow
def test_a_chain_of_runs_keeps_everything_that_was_seen(run, first, second, grown, tmp_path):
    """The third run has other scans only, and starts from a folder of one model."""
    for i in range(6):
        write_scan(tmp_path / "other", f"9.9.{i}", small_chest(90 + i))
    (*_, model) = sorted(second.glob("checkpoint/srresnet-*"))
    flags = f"--init {model} {COMMAND} --pretrain-steps 2 --gan-steps 0"
    cwd, code = run("third", f"--run train --data {tmp_path / 'other'} {flags}")
    assert code == 0, stderr_of(cwd)
    assert "had seen 0 of the 6 patients here" in stderr_of(cwd)
    assert patients_seen(cwd, grown, tmp_path) == patients_seen(second, grown, tmp_path)
    assert len(patients_seen(cwd, tmp_path / "other", tmp_path)) == 5
    _, code = run("third", f"--run test --data {grown}")
    assert code == 0, stderr_of(cwd)
    seen = len(patients_seen(second, grown, tmp_path))
    assert f"{seen} of 10 patients were trained or validated on" in stderr_of(cwd)
    summary = json.loads((cwd / "report/summary.json").read_text())
    assert summary["patients"] == 10 - seen
    assert "began with the SRResNet of step" in summary["checkpoint"]["origin"]
    assert "began with the SRResNet of step" in (cwd / "report/index.html").read_text()


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ("--generator paper", "is a fast generator of scale 4, and this run has --generator paper"),
        ("--scale 2", "give --generator fast --scale 4, or name another model"),
    ],
)
def test_another_generator_or_scale_is_refused_in_one_line(run, first, grown, flags, said):
    flags = f"--init {first / 'checkpoint'} {COMMAND} {STEPS} {flags}"
    cwd, code = run("refused", f"--run train --data {grown} {flags}")
    assert code == 2
    assert said in stderr_of(cwd)
    assert len(stderr_of(cwd).splitlines()) == 1


def test_what_is_no_model_is_refused_in_one_line(run, first, grown):
    for path, said in (
        (first / "train", "no trained model in"),
        (first / "nowhere", "name another --init"),
        (sorted(first.glob("checkpoint/step-*"))[-1], "a state to resume from, not a model"),
    ):
        cwd, code = run("refused", f"--run train --data {grown} --init {path} {STEPS}")
        assert code == 2
        assert said in stderr_of(cwd)
        assert len(stderr_of(cwd).splitlines()) == 1


def test_a_resumed_run_takes_the_same_model_or_none(run, first, second, grown):
    command = f"--run train --data {grown} {COMMAND} {STEPS}"
    for init, code, said in (
        (f"--init {first / 'checkpoint'}", 0, ""),
        ("", 0, ""),
        (f"--init {first / 'gone'}", 0, "the run goes on without it"),
        (f"--init {second / 'checkpoint'}", 2, "is another one: leave it out to continue"),
    ):
        _, got = run("second", f"{command} {init}")
        assert got == code, stderr_of(second)
        assert said in stderr_of(second)
    _, code = run("first", f"--run train --init {second / 'checkpoint'} {COMMAND} {STEPS}")
    assert code == 2
    assert "did not begin with --init" in stderr_of(first)
