from types import SimpleNamespace

import numpy as np
import pytest

from srgan.settings import Settings
from srgan.system.errors import UserError
from srgan.training import checkpoint_models, checkpoint_states, loop
from srgan.training.plan import Plan

VALIDATION = SimpleNamespace(bicubic_psnr_db=28.0)


@pytest.fixture
def run(tmp_path, monkeypatch):
    """A run whose models are not written: `kept` names those that would be."""
    made = loop.Run(
        settings=Settings(checkpoint_dir=tmp_path),
        plan=Plan(10, 10),
        degradation=None,
        trainer=SimpleNamespace(average=None),
        training=None,
        validation=None,
        manifest={},
        label="",
        log=None,
        stop=None,
    )
    made.kept = []
    monkeypatch.setattr(
        checkpoint_models,
        "save_model",
        lambda folder, name, step, *_: made.kept.append((name, step)),
    )
    return made


def offer(run, step, psnr_db, texture):
    run.step = step
    figures = {"validation_psnr_db": psnr_db, "validation_texture": texture, "validation_sd": 0.9}
    loop._keep_best(run, run.plan.stage(step), figures, VALIDATION)


def test_the_best_srresnet_has_the_highest_psnr_and_nan_never_replaces_it(run):
    for step, psnr_db in enumerate((np.nan, 29.0, 30.0, 29.9, 30.0, np.nan, np.inf, 30.1), 1):
        offer(run, step, psnr_db, 0.7)
    assert run.kept == [("srresnet", 2), ("srresnet", 3), ("srresnet", 8)]
    assert run.best["srresnet"]["score"] == 30.1


def test_the_best_srgan_has_the_texture_nearest_the_normal_doses_above_a_floor(run):
    """The floor lies half way between bicubic, 28 dB, and the SRResNet, 32 dB."""
    offer(run, 10, 32.0, 0.6)
    offered = [(29.0, 1.0), (29.5, 0.5), (30.5, 0.7), (31.0, 0.6), (30.0, 1.2), (29.9, 1.0),
               (31.0, np.nan), (np.nan, 1.0)]  # fmt: skip
    for step, (psnr_db, texture) in enumerate(offered, 11):
        offer(run, step, psnr_db, texture)
    assert run.kept[1:] == [("srgan", 11), ("srgan", 12), ("srgan", 13), ("srgan", 15)]


def test_a_state_without_the_guards_counts_is_told_in_one_line(run, tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoint_states, "restore", lambda *_: None)
    run.trainer.state = dict
    old = {"plan": run.plan.as_json(), "step": 3, "best": {}}
    with pytest.raises(UserError, match=r"another version.*--fresh"):
        loop.restore(run, (tmp_path, old))
