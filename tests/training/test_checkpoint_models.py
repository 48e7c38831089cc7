import errno
import hashlib
import json
from dataclasses import replace

import numpy as np
import pytest

from srgan.models import generator
from srgan.system import locks
from srgan.system.errors import UserError
from srgan.training import checkpoint_folder, checkpoint_models, checkpoint_states
from srgan.training.health import Health, Warned
from srgan.training.manifest import BestModel
from tests.helpers.made_manifest import MANIFEST, manifest


@pytest.fixture
def saved(tmp_path):
    model = generator.build("fast", 2, seed=5)
    checkpoint_models.save_model(tmp_path, "srresnet", model, MANIFEST)
    return tmp_path, model


def test_saved_model_is_loaded_bit_for_bit(saved):
    folder, model = saved
    trained = checkpoint_models.load(folder)
    back = trained.network("srresnet")
    for a, b in zip(model.get_weights(), back.get_weights(), strict=True):
        assert np.array_equal(a, b)
    assert trained.manifest.step == 3
    weights = (folder / "srresnet-0000003" / checkpoint_models.WEIGHTS).read_bytes()
    assert trained.sha256 == {"srresnet": hashlib.sha256(weights).hexdigest()}


def test_load_takes_warnings_from_the_last_state_if_there_is_one(saved):
    folder, model = saved
    assert checkpoint_models.load(folder).warnings == ()
    first, second = Warned(5, "a", "first"), Warned(6, "b", "second")
    early, late = Health(warnings=[first]), Health(warnings=[first, second])
    checkpoint_models.save_model(folder, "srgan", model, manifest(step=5, health=early))
    assert checkpoint_models.load(folder).warnings == ("step 5: first",)
    checkpoint_states.save(folder, state(1), manifest(step=6, health=late))
    assert checkpoint_models.load(folder).warnings == ("step 5: first", "step 6: second")


def test_load_names_a_best_model_that_is_missing(saved, said):
    folder, _ = saved
    best = {"srresnet": BestModel(4, 1.0, 1.0, 1.0, 1.0), "srgan": BestModel(6, 1.0, 1.0, 1.0, 1.0)}
    checkpoint_states.save(folder, state(1), manifest(step=6, best=best))
    assert checkpoint_models.load(folder).models["srresnet"].name == "srresnet-0000003"
    assert said == [
        f"{folder / 'srresnet-0000004'} is missing: the one before it is used",
        f"{folder / 'srgan-0000006'} is missing: there is none before it",
    ]


def test_load_refuses_models_of_two_trainings(saved):
    folder, model = saved
    other = manifest(step=5, data=replace(MANIFEST.data, salt="other"))
    checkpoint_models.save_model(folder, "srgan", model, other)
    with pytest.raises(UserError, match="models of two trainings"):
        checkpoint_models.load(folder)


def test_save_model_keeps_the_best_model_and_the_one_before(saved):
    folder, model = saved
    for step in (9, 12):
        checkpoint_models.save_model(folder, "srresnet", model, manifest(step=step))
    assert sorted(p.name for p in folder.iterdir()) == ["srresnet-0000009", "srresnet-0000012"]


@pytest.mark.parametrize("name", [checkpoint_models.WEIGHTS, "manifest.json"])
@pytest.mark.parametrize("how", ["flip", "cut", "gone"])
def test_load_finds_every_damage(saved, name, how):
    path = saved[0] / "srresnet-0000003" / name
    data = bytearray(path.read_bytes())
    if how == "flip":
        data[len(data) // 2] ^= 4
        path.write_bytes(data)
    elif how == "cut":
        path.write_bytes(data[: len(data) // 2])
    else:
        path.unlink()
    with pytest.raises(UserError, match="srresnet-0000003 is corrupt"):
        checkpoint_models.load(saved[0])


def test_load_finds_an_altered_value_in_the_manifest(saved):
    path = saved[0] / "srresnet-0000003" / "manifest.json"
    manifest = json.loads(path.read_text())
    manifest["step"] = 4
    path.write_text(json.dumps(manifest))
    with pytest.raises(UserError, match="altered"):
        checkpoint_models.load(saved[0])


def test_load_without_a_model_is_one_clear_line(tmp_path):
    for folder in (tmp_path, tmp_path / "none"):
        with pytest.raises(UserError, match="--run train"):
            checkpoint_models.load(folder)


def state(seed):
    import keras

    model = generator.build("fast", 1, seed)
    optimizer = keras.optimizers.Adam()
    optimizer.build(model.trainable_variables)
    return {"generator": model, "generator_optimizer": optimizer}


def test_set_aside_moves_an_old_run_and_nothing_else(tmp_path):
    for name in ("grid-1.png", "log.csv", "mine.txt"):
        (tmp_path / name).write_text(name)
    aside = checkpoint_folder.set_aside(tmp_path, ("grid-*.png", "log.csv"))
    assert sorted(p.name for p in aside.iterdir()) == ["grid-1.png", "log.csv"]
    assert (tmp_path / "mine.txt").exists()
    assert checkpoint_folder.set_aside(tmp_path, ("grid-*.png",)) is None


def test_only_writer_warns_where_files_cannot_be_locked(tmp_path, monkeypatch, capfd):
    """As Google Drive and other file systems in user space are."""

    def refuse(*_, **__):
        raise OSError(errno.ENOSYS, "Function not implemented")

    monkeypatch.setattr(locks.filelock, "lock_descriptor", refuse)
    with checkpoint_folder.only_writer(tmp_path):
        pass
    printed = capfd.readouterr().err
    assert printed.startswith(f"warning: files cannot be locked in {tmp_path}")
    assert printed.count("\n") == 1


def test_only_writer_removes_what_a_killed_run_left_and_nothing_else(tmp_path):
    part = ".step-0000007.0123abcd.part"
    for name in (part, ".trial-abcd1234", ".step-notes.part", ".trial-of-mine"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "state.index").touch()
    with checkpoint_folder.only_writer(tmp_path):
        left = sorted(p.name for p in tmp_path.iterdir())
        with pytest.raises(UserError, match="held by another"):
            checkpoint_folder.only_writer(tmp_path).__enter__()
    assert left == [".lock", ".step-notes.part", ".trial-of-mine"]


def test_hashes_are_salted():
    assert checkpoint_models.hashed("a", "patient:1") != checkpoint_models.hashed("b", "patient:1")
