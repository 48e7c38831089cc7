from types import SimpleNamespace

import pytest

from srgan.settings import Settings
from srgan.system.errors import UserError
from srgan.training import checkpoint_states
from srgan.training.checkpoint_folder import Saved
from srgan.training.health import Health
from srgan.training.log_csv import Log
from srgan.training.manifest import Manifest
from srgan.training.plan import Plan
from srgan.training.run import Run
from srgan.training.waiting import Waiting
from tests.helpers.made_manifest import MANIFEST, manifest


@pytest.fixture
def run(tmp_path, monkeypatch):
    """A run without networks, whose states hold a manifest alone."""
    monkeypatch.setattr(checkpoint_states, "restore", lambda *_: None)
    settings = Settings(checkpoint_dir=tmp_path)
    trainer = SimpleNamespace(state=dict, variables=list)
    return Run(settings, trainer, None, None, None, manifest(plan=Plan(10, 10)), None)


def test_restore_takes_over_how_far_the_run_was(run, tmp_path):
    saved = manifest(step=7, health=Health(in_row=2), log=Log(applied=3))
    run.restore(Saved(tmp_path / "step-0000007", saved))
    assert (run.step, run.saved_step, run.best) == (7, 7, MANIFEST.best)
    assert (run.health, run.log) == (Health(in_row=2), Log(applied=3))
    assert run.manifest().health == Health(in_row=2)
    assert run.waiting == Waiting()  # of a state without it


def test_restore_goes_on_counting_the_seconds_of_the_runs_before(run, tmp_path):
    saved = manifest(step=7, log=Log(), waiting=Waiting(waited_s=1.0, loop_s=50.0))
    run.restore(Saved(tmp_path / "step-0000007", Manifest.from_dict(saved.as_dict())))
    assert run.manifest().waiting == Waiting(waited_s=1.0, loop_s=50.0)


def test_restore_of_a_state_without_a_log_is_refused_in_one_line(run, tmp_path):
    with pytest.raises(UserError, match=r"step-0000007 holds no log.*--fresh"):
        run.restore(Saved(tmp_path / "step-0000007", manifest(step=7)))
    assert run.step == 0
