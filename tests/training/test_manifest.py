"""Manifests of other hands: their sums are right, what they say is not."""

import copy

import numpy as np
import pytest

from srgan.system.errors import UserError
from srgan.training import checkpoint_models, manifest, sealed
from tests.training.test_checkpoint_models import MANIFEST

STATE = {
    **MANIFEST,
    "version": "1",
    "guard": {"in_row": 0, "warnings": [{"step": 1, "kind": "dead", "text": "x"}]},
    "log": {"rows": [{"step": "1", "l1": "0.5"}], "sums": {"l1": 0.1}, "applied": 1, "skipped": 0},
}
WRONG = [
    (["version"], None),
    (["settings", "scale"], ...),
    (["degradation"], "image"),
    (["vgg_weights"], "/etc/passwd"),
    (["vgg_sha256"], ["0"]),
    (["precision"], "mixed_evil"),
    (["data", "seen", 0], 1),
    (["data", "salt"], "\ud800"),
    (["data", "synthetic"], 0),
    (["data", "patients"], "3"),
    (["data", "slices"], {"train": "3"}),
    (["plan", "gan_steps"], -1),
    (["plan", "pretrain_steps"], 1.5),
    (["plan", "gan_cost"], 0),
    (["plan", "/dev/zero"], 1),
    (["step"], True),
    (["step"], 10**30),
    (["best", "other"], {"step": 1, "score": 1.0}),
    (["best", "srresnet", "step"], 1.5),
    (["best", "srresnet", "score"], float("nan")),
    (["guard", "in_row"], "1"),
    (["guard", "more"], 1),
    (["guard", "warnings", 0, "kind"], ["dead"]),
    (["guard", "warnings", 0, "text"], ...),
    (["log", "rows", 0, "no column"], "1"),
    (["log", "rows", 0, "step"], "1\n2"),
    (["log", "sums", "no column"], 1.0),
    (["log", "sums", "l1"], float("inf")),
    (["log", "sums", "l1"], 10**400),
    (["log", "applied"], None),
]


def test_a_good_manifest_has_no_wrong_part():
    assert manifest.wrong_part(STATE) is None
    assert manifest.wrong_part(STATE | {"vgg_sha256": None, "precision": "float32"}) is None
    diverging = STATE["log"] | {"sums": {"l1": 1e30}}
    assert manifest.wrong_part(STATE | {"log": diverging}) is None
    assert manifest.wrong_part({**MANIFEST, "version": "1"}) is None


@pytest.mark.parametrize(("place", "value"), WRONG, ids=str)
def test_a_wrong_part_is_named(place, value):
    made = copy.deepcopy(STATE)
    part = made
    for key in place[:-1]:
        part = part[key]
    if value is ...:
        del part[place[-1]]
    else:
        part[place[-1]] = value
    assert manifest.wrong_part(made) == place[0]


def bomb(path) -> None:
    np.savez_compressed(path, **{"0": np.zeros(1 << 24)})


def pickled(path) -> None:
    np.savez(path, **{"0": np.array([{}], object)})


@pytest.mark.parametrize(("make", "said"), [(bomb, "larger than the file"), (pickled, "pickle")])
def test_weights_that_are_a_bomb_or_code_are_refused(tmp_path, make, said):
    def fill(folder):
        make(folder / checkpoint_models.WEIGHTS)

    sealed.write(tmp_path / "srresnet-0000003", fill, MANIFEST)
    with pytest.raises(UserError, match=said):
        checkpoint_models.load(tmp_path).networks()
