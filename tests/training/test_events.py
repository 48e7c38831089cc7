from types import SimpleNamespace

import numpy as np
import pytest

from srgan.settings import Settings
from srgan.training import checkpoint_models, events
from srgan.training.plan import Plan
from srgan.training.run import Run
from tests.helpers.made_manifest import manifest


@pytest.fixture
def run(tmp_path, monkeypatch):
    """A run at bicubic 28 dB that writes no model: `saved` names those that it would write."""
    made = Run(
        settings=Settings(checkpoint_dir=tmp_path),
        trainer=SimpleNamespace(average=None),
        batches=None,
        validation=SimpleNamespace(bicubic_psnr_db=28.0),
        folder=None,
        first_manifest=manifest(plan=Plan(10, 10), step=0, best={}),
        stop=None,
    )
    made.saved = []

    def save(folder, name, model, manifest):
        made.saved.append((name, manifest.step))

    monkeypatch.setattr(checkpoint_models, "save_model", save)
    return made


def offer(run, step, psnr_db, texture):
    run.step = step
    metrics = {"validation_psnr_db": psnr_db, "validation_texture": texture, "validation_sd": 0.9}
    events.keep_best(run, run.plan.stage(step), metrics)


def test_keep_best_takes_the_srresnet_of_the_highest_psnr_and_never_nan(run):
    for step, psnr_db in enumerate((np.nan, 29.0, 30.0, 29.9, 30.0, np.nan, np.inf, 30.1), 1):
        offer(run, step, psnr_db, 0.7)
    assert run.saved == [("srresnet", 2), ("srresnet", 3), ("srresnet", 8)]
    assert run.best["srresnet"].score == 30.1


def test_keep_best_takes_the_srgan_whose_texture_is_nearest_above_a_floor(run):
    """The floor lies half way between bicubic, 28 dB, and the SRResNet, 32 dB."""
    offer(run, 10, 32.0, 0.6)
    offered = [(29.0, 1.0), (29.5, 0.5), (30.5, 0.7), (31.0, 0.6), (30.0, 1.2), (29.9, 1.0),
               (31.0, np.nan), (np.nan, 1.0)]  # fmt: skip
    for step, (psnr_db, texture) in enumerate(offered, 11):
        offer(run, step, psnr_db, texture)
    assert run.saved[1:] == [("srgan", 11), ("srgan", 12), ("srgan", 13), ("srgan", 15)]
