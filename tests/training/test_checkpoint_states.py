"""States: which are kept, which is the newest, and what is said where it is gone."""

import shutil
from dataclasses import replace

import numpy as np
import pytest

from srgan.models import generator
from srgan.system.errors import UserError
from srgan.training import checkpoint_models, checkpoint_states
from srgan.training.plan import Plan
from tests.helpers.made_manifest import manifest
from tests.training.test_checkpoint_models import state

MADE = manifest(plan=Plan(30, 0))  # an event every third step


SMALL = state(1)


def kept(folder):
    return sorted(int(p.name[-7:]) for p in folder.glob("step-*"))


def test_save_keeps_three_states_and_newest_skips_a_corrupt_one(tmp_path, said):
    for step in (1, 2, 3, 4):
        checkpoint_states.save(tmp_path, state(step), manifest(step=step))
    assert kept(tmp_path) == [2, 3, 4]
    (tmp_path / "step-0000004" / "state.index").write_bytes(b"x")
    found = checkpoint_states.newest(tmp_path)
    assert found.manifest.step == 3
    assert "step-0000004" in said[0]
    assert kept(tmp_path) == [2, 3]
    assert (tmp_path / "aside-001" / "step-0000004" / "manifest.json").exists()
    restored = state(9)
    checkpoint_states.restore(found.path, restored)
    wanted = state(3)["generator"].get_weights()
    for a, b in zip(wanted, restored["generator"].get_weights(), strict=True):
        assert np.array_equal(a, b)


def test_newest_raises_where_no_state_is_usable_and_not_where_there_is_none(tmp_path):
    assert checkpoint_states.newest(tmp_path) is None
    checkpoint_states.save(tmp_path, state(1), manifest(step=1))
    (tmp_path / "step-0000001" / "manifest.json").unlink()
    with pytest.raises(UserError, match="--fresh"):
        checkpoint_states.newest(tmp_path)


def test_restore_refuses_the_state_of_another_network(tmp_path):
    checkpoint_states.save(tmp_path, state(1), manifest(step=1))
    other = {**state(1), "generator": generator.build("paper", 1)}
    with pytest.raises(UserError, match="does not fit"):
        checkpoint_states.restore(tmp_path / "step-0000001", other)


def save(folder, *steps):
    for step in steps:
        checkpoint_states.save(folder, SMALL, replace(MADE, step=step))


def test_save_removes_states_between_events_and_does_not_count_them(tmp_path):
    """Four signals in a row must not cost the states that a run can go back to."""
    save(tmp_path, 0, 3, 6, 7, 8)
    assert kept(tmp_path) == [0, 3, 6, 8]
    save(tmp_path, 9)
    assert kept(tmp_path) == [3, 6, 9]


def test_newest_gives_the_newest_state_of_an_event_when_asked(tmp_path, said):
    save(tmp_path, 0, 3, 4)
    path = checkpoint_states.newest(tmp_path, Plan(30, 0).is_event).path
    assert (path.name, said) == ("step-0000003", [])
    assert kept(tmp_path) == [0, 3, 4]


def test_newest_names_a_missing_state_once_and_uses_the_one_before(tmp_path, said):
    save(tmp_path, 0, 3, 6)
    shutil.rmtree(tmp_path / "step-0000006")
    for _ in range(2):
        path = checkpoint_states.newest(tmp_path).path
        assert path.name == "step-0000003"
    assert said == [f"{tmp_path / 'step-0000006'} is missing: the one before it is used"]


def test_newest_raises_where_every_state_is_missing(tmp_path):
    save(tmp_path, 3)
    shutil.rmtree(tmp_path / "step-0000003")
    with pytest.raises(UserError, match=r"step-0000003 is missing, .*--fresh"):
        checkpoint_states.newest(tmp_path)


def test_newest_raises_where_models_have_no_state(tmp_path, said):
    """A model that somebody copied here, or all that an earlier version's run has left."""
    checkpoint_models.save_model(tmp_path, "srresnet", SMALL["generator"], MADE)
    with pytest.raises(UserError, match=r"no state to resume from; --fresh"):
        checkpoint_states.newest(tmp_path)
    assert checkpoint_models.load(tmp_path).manifest.step == 3
    assert not said


def test_newest_finds_a_state_that_newest_json_does_not_name_yet(tmp_path, monkeypatch, said):
    save(tmp_path, 0, 3)
    with monkeypatch.context() as killed:
        killed.setattr(checkpoint_states, "write_json", lambda *_: None)
        save(tmp_path, 6)
    path = checkpoint_states.newest(tmp_path).path
    assert path.name == "step-0000006"
    assert not said


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "3", '{"state": 3}', '{"state": "../x"}', "[" * 999]
)
def test_newest_reports_a_damaged_newest_json_and_goes_on(tmp_path, text, said):
    save(tmp_path, 0, 3)
    (tmp_path / checkpoint_states.NEWEST).write_text(text)
    path = checkpoint_states.newest(tmp_path).path
    assert path.name == "step-0000003"
    assert len(said) == 1
    assert "newest.json is damaged" in said[0]


def test_set_later_aside_moves_states_and_models_after_the_step(tmp_path):
    """Or a better model of the way that was left would count, and push out those that come."""
    save(tmp_path, 0, 3, 4)
    for name, step in (("srresnet", 2), ("srresnet", 6), ("srgan", 9)):
        checkpoint_models.save_model(tmp_path, name, SMALL["generator"], replace(MADE, step=step))
    (tmp_path / "srgan-0000012").mkdir()
    (tmp_path / "srgan-0000012" / "notes.txt").write_text("mine")
    checkpoint_states.set_later_aside(tmp_path, 3)
    aside = sorted(p.name for p in (tmp_path / "aside-001").iterdir())
    assert aside == ["srgan-0000009", "srresnet-0000006", "step-0000004"]
    assert (tmp_path / "srgan-0000012" / "notes.txt").exists()
    assert checkpoint_states.newest(tmp_path).path.name == "step-0000003"
    checkpoint_states.set_later_aside(tmp_path, 3)
    assert not (tmp_path / "aside-002").exists()
