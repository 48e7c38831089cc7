"""Checkpoints that something happened to: nothing wrong is loaded, nothing of a user's is lost."""

import contextlib
import json
import random
import shutil
from pathlib import Path

import keras
import numpy as np
import pytest

from srgan import __version__
from srgan.models import generator
from srgan.system import checksums
from srgan.system.errors import UserError
from srgan.training import (
    checkpoint_folder,
    checkpoint_models,
    checkpoint_states,
    model_card,
    sealed,
)
from tests.helpers.made_manifest import manifest
from tests.training.test_checkpoint_models import state

DAMAGES = 100


def small(seed: int) -> keras.Model:
    """A network of the generator's kind of layers, small enough to be written a hundred times."""
    keras.utils.set_random_seed(seed)
    inputs = keras.Input((None, None, 1))
    return keras.Model(inputs, keras.layers.Conv2D(8, 3)(keras.layers.Conv2D(4, 3)(inputs)))


def small_state(seed: int) -> dict:
    model = small(seed)
    optimizer = keras.optimizers.Adam()
    optimizer.build(model.trainable_variables)
    return {"generator": model, "generator_optimizer": optimizer}


@pytest.fixture(scope="module")
def models():
    """By seed, made once."""
    return {seed: small(seed) for seed in range(8)}


@pytest.fixture(scope="module")
def small_states():
    return {seed: small_state(seed) for seed in range(4)}


@pytest.fixture(scope="module")
def run(tmp_path_factory, models, small_states):
    """A checkpoint folder of one run: three states, two SRResNets, two SRGANs, by step."""
    folder = tmp_path_factory.mktemp("checkpoint")
    for step in (1, 2, 3):
        made = manifest(step=step)
        checkpoint_states.save(folder, small_states[step], made)
        for name in ("srresnet", "srgan"):
            checkpoint_models.save_model(folder, name, models[step], made)
    return folder


@pytest.fixture
def folder(run, tmp_path):
    return Path(shutil.copytree(run, tmp_path / "checkpoint"))


def is_equal(model, weights) -> bool:
    pairs = zip(model.get_weights(), weights, strict=True)
    return all(np.array_equal(a, b) for a, b in pairs)


def is_the_same(path: Path, before: bytes) -> bool:
    """Equal, or a manifest that says the same: its last line end may be missing."""
    content = path.read_bytes()
    with contextlib.suppress(ValueError):
        return content == before or json.loads(content) == json.loads(before)
    return False


def damage(path: Path, rng: random.Random) -> str:
    """One of the things that happen to a file. Returns which."""
    how = rng.choice(["bit", "bit", "bit", "cut", "cut", "empty", "gone", "more", "swap", "zeros"])
    data = bytearray(path.read_bytes())
    at = rng.randrange(len(data))
    if how == "bit":
        data[at] ^= 1 << rng.randrange(8)
    elif how == "cut":
        data = data[:at]
    elif how == "empty":
        data = b""
    elif how == "more":
        data += rng.randbytes(rng.choice([1, 100]))
    elif how == "zeros":
        data[at : at + 512] = bytes(len(data[at : at + 512]))
    if how == "gone":
        path.unlink()
    elif how == "swap":
        kind = path.parent.name.split("-")[0]
        (other, *_) = sorted(p for p in path.parents[1].glob(f"{kind}-*") if p != path.parent)
        shutil.copy(other / path.name, path)
    else:
        path.write_bytes(data)
    return how


def test_each_of_a_hundred_damages_to_checkpoints_is_detected_or_harmless(
    folder, models, small_states, said
):
    """A damaged newest folder is named and the one before is used; never are weights wrong."""
    rng = random.Random(13)
    restored, network, hows = small_state(9), small(9), set()
    files = {
        path: path.read_bytes()
        for name in ("step-0000003", "srresnet-0000003", "srgan-0000003")
        for path in sorted((folder / name).iterdir())
        if path.name != model_card.README
    }
    for _ in range(DAMAGES):
        path = rng.choice(sorted(files))
        hows.add(damage(path, rng))
        is_same = path.exists() and is_the_same(path, files[path])
        said.clear()
        newest = checkpoint_states.newest(folder)
        trained = checkpoint_models.load(folder)
        for kind, where in {"step": newest.path, **trained.models}.items():
            step = 2 if path.parent.name.startswith(kind) and not is_same else 3
            assert where.name == f"{kind}-{step:07}", path
            if kind == "step":
                checkpoint_states.restore(where, restored)
                assert newest.manifest.step == step
                assert is_equal(
                    restored["generator"], small_states[step]["generator"].get_weights()
                )
            else:
                checkpoint_models._set_weights(network, where, trained.weights[kind])
                assert is_equal(network, models[step].get_weights())
        assert is_same or str(path.parent) in said[0], path
        aside = folder / "aside-001" / "step-0000003"
        if aside.exists():
            aside.rename(folder / "step-0000003")
            aside.parent.rmdir()
        path.write_bytes(files[path])
    assert len(hows) == 7


def test_a_renamed_checkpoint_is_detected(folder):
    """Complete and whole, but of another step or of another network."""
    (folder / "step-0000003").rename(folder / "step-0000004")
    path = checkpoint_states.newest(folder).path
    assert path.name == "step-0000002"
    shutil.rmtree(folder / "srgan-0000003")
    shutil.copytree(folder / "srresnet-0000003", folder / "srgan-0000003")
    assert checkpoint_models.load(folder).models["srgan"].name == "srgan-0000002"


def test_if_all_checkpoints_are_corrupt_it_is_an_error_and_nothing_is_moved(folder):
    for path in folder.glob("*/manifest.json"):
        path.write_text("{}")
    before = sorted(folder.rglob("*"))
    with pytest.raises(UserError, match=r"step-0000003.*corrupt.*--fresh"):
        checkpoint_states.newest(folder)
    with pytest.raises(UserError, match=r"srresnet-0000003.*corrupt"):
        checkpoint_models.load(folder)
    assert sorted(folder.rglob("*")) == before


def rewrite(path: Path, change) -> None:
    """A manifest with another content under a sum that is right."""
    manifest = json.loads((path / "manifest.json").read_text())
    change(manifest)
    manifest["sha256"] = checksums.sum_of({k: v for k, v in manifest.items() if k != "sha256"})
    (path / "manifest.json").write_text(json.dumps(manifest))


@pytest.mark.parametrize(
    "change",
    [
        lambda m: m.pop("settings"),
        lambda m: m.update(settings=[]),
        lambda m: m.update(step="3"),
        lambda m: m.update(step=True),
        lambda m: m.update(step=10**30),
        lambda m: m.update(plan={"pretrain_steps": None}),
        lambda m: m.update(best={"srresnet": 3}),
        lambda m: m.update(best={"srresnet": {"step": 3, "score": float("nan")}}),
        lambda m: m.update(vgg_weights=None),
        lambda m: m.update(data=None),
        lambda m: m["data"].update(seen="abc"),
        lambda m: m["data"].update(seen=[1]),
        lambda m: m["data"].update(salt=1),
        lambda m: m.update(files=[]),
        lambda m: m.update(files={"../step-0000002/state.index": "0"}),
        lambda m: m.update(files={"..": "0", "": "0"}),
    ],
)
def test_a_manifest_of_wrong_types_is_corrupt(folder, change):
    for name in ("step", "srgan"):
        rewrite(folder / f"{name}-0000003", change)
    assert checkpoint_states.newest(folder).path.name == "step-0000002"
    assert checkpoint_models.load(folder).models["srgan"].name == "srgan-0000002"


@pytest.mark.parametrize("text", ["[" * 10**6, "3", "[]"])
def test_a_manifest_that_is_not_a_json_object_is_corrupt(folder, text):
    (folder / "step-0000003" / "manifest.json").write_text(text)
    assert checkpoint_states.newest(folder).path.name == "step-0000002"


def test_a_huge_manifest_is_not_read(folder):
    path = folder / "step-0000003" / "manifest.json"
    text = path.read_bytes()
    path.write_bytes(text + b" " * (8 << 20))  # JSON, and right
    assert checkpoint_states.newest(folder).path.name == "step-0000002"


@pytest.mark.parametrize("kind", ["step", "srgan"])
def test_a_huge_file_is_not_hashed(folder, monkeypatch, kind):
    monkeypatch.setattr(sealed, "MOST_OF_STATE", 1 << 30)
    (path,) = [
        p
        for p in (folder / f"{kind}-0000003").iterdir()
        if p.suffix not in (".json", ".index", ".md")
    ]
    with open(path, "r+b") as file:
        file.truncate(2 << 40)  # sparse
    usual, hashed = sealed.sha256_of_file, []
    monkeypatch.setattr(sealed, "sha256_of_file", lambda p: hashed.append(p) or usual(p))
    found = checkpoint_states.newest(folder)
    assert found.path.name == ("step-0000002" if kind == "step" else "step-0000003")
    step = checkpoint_folder.step_of(checkpoint_models.load(folder).models["srgan"])
    assert step == (2 if kind == "srgan" else 3)
    assert path not in hashed


def test_a_manifest_that_would_not_be_read_is_not_written(folder, models, monkeypatch):
    monkeypatch.setattr(sealed, "MOST_OF_MANIFEST", 100)
    with pytest.raises(UserError, match=r"srgan-0000004 would have too large"):
        checkpoint_models.save_model(folder, "srgan", models[4], manifest(step=4))
    assert not (folder / "srgan-0000004").exists()


def test_checkpoints_of_another_version_or_format_say_so(folder, said):
    path = folder / "step-0000003"
    rewrite(path, lambda m: m.update(version="0.0.9"))
    checkpoint_states.newest(folder)
    assert said == [f"{path} was written by version 0.0.9; this is {__version__}"]
    rewrite(path, lambda m: m.update(format=7))
    with pytest.raises(UserError, match=r"version 0\.0\.9 in format 7; .* reads 3"):
        checkpoint_states.newest(folder)


def test_models_of_two_trainings_are_not_mixed(folder):
    for step in (2, 3):
        rewrite(folder / f"srgan-000000{step}", lambda m: m["data"].update(salt="other"))
    with pytest.raises(UserError, match="two trainings"):
        checkpoint_models.load(folder)


def test_restore_refuses_missing_and_surplus_variables(folder):
    fewer = small_state(1)
    del fewer["generator_optimizer"]
    more = {**small_state(1), "average": small(1)}
    for other in (fewer, more, state(1)):
        with pytest.raises(UserError, match="does not fit"):
            checkpoint_states.restore(folder / "step-0000001", other)
    with pytest.raises(UserError, match="does not hold"):
        checkpoint_models.restore_model(folder, "srgan", 3, generator.build("fast", 2))


def test_loaded_weights_stay_when_a_training_replaces_the_files(folder, models):
    trained = checkpoint_models.load(folder)
    for step in (4, 5):
        for name in ("srresnet", "srgan"):
            checkpoint_models.save_model(folder, name, models[step], manifest(step=step))
    assert not trained.models["srgan"].exists()
    network = small(9)
    checkpoint_models._set_weights(network, folder, trained.weights["srgan"])
    assert is_equal(network, models[3].get_weights())


# ---- what is not ours ----


def test_user_files_in_checkpoint_folders_are_never_deleted(folder, models, small_states):
    mine = [
        folder / "notes.txt",
        folder / "step-0000001" / "notes.txt",
        folder / "srgan-0000002" / "state of things.txt",
        folder / "step-0000000" / "only looks like one",
        folder / "step-1" / "state.index",
        folder / "srresnet-0000002" / "sub" / "state.index",
    ]
    for path in mine:
        path.parent.mkdir(exist_ok=True, parents=True)
        path.write_text(path.name)
    outside = folder.parent / "outside"
    outside.mkdir()
    (outside / "state.index").write_text("linked")
    (folder / "srgan-0000000").symlink_to(outside)
    for step in range(4, 8):
        made = manifest(step=step)
        checkpoint_states.save(folder, small_states[1], made)
        for name in ("srresnet", "srgan"):
            checkpoint_models.save_model(folder, name, models[1], made)
    assert [p.read_text() for p in mine] == [p.name for p in mine]
    assert (outside / "state.index").read_text() == "linked"
    assert sorted(p.name for p in (folder / "step-0000001").iterdir()) == ["notes.txt"]
    assert [s for s in range(10) if sealed.is_ours(folder / f"step-{s:07}")] == [5, 6, 7]


def test_a_checkpoint_that_is_written_again_keeps_the_users_files(folder, small_states):
    (folder / "step-0000003" / "notes.txt").write_text("mine")
    checkpoint_states.save(folder, small_states[1], manifest(step=3))
    assert (folder / "step-0000003" / "notes.txt").read_text() == "mine"
    path = checkpoint_states.newest(folder).path
    assert path.name == "step-0000003"
    assert not [p for p in folder.iterdir() if p.name.startswith(".")]
