"""Manifests that somebody else wrote: their SHA-256 is right, what they say is not."""

import json

import numpy as np
import pytest

from srgan.system.errors import UserError
from srgan.training import checkpoint_models, sealed
from srgan.training.health import Health, Warned
from srgan.training.log_csv import Log
from srgan.training.manifest import Manifest
from tests.helpers.made_manifest import MANIFEST, manifest

STATE = manifest(
    health=Health(2, 1, 3, 4, [Warned(1, "dead", "x")]),
    log=Log([{"step": "1", "l1": "0.5"}], {"l1": 0.1}, 1, 0),
)
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
    (["plan", "gan_cost"], 0.0),
    (["plan", "/dev/zero"], 1),
    (["plan"], {"pretrain_steps": 0, "gan_steps": 0}),
    (["step"], True),
    (["step"], 10**30),
    (["best", "other"], MANIFEST.as_dict()["best"]["srresnet"]),
    (["best", "srresnet", "step"], 1.5),
    (["best", "srresnet", "score"], float("nan")),
    (["health", "in_row"], "1"),
    (["health", "more"], 1),
    (["health", "warnings", 0, "kind"], ["dead"]),
    (["health", "warnings", 0, "text"], ...),
    (["log", "rows", 0, "no column"], "1"),
    (["log", "rows", 0, "step"], "1\n2"),
    (["log", "sums", "no column"], 1.0),
    (["log", "sums", "l1"], float("inf")),
    (["log", "sums", "l1"], 10**400),
    (["log", "applied"], None),
]


@pytest.mark.parametrize(
    "good",
    [
        STATE,
        MANIFEST,
        manifest(vgg_weights="file", vgg_sha256="00ff", precision="mixed_float16"),
        manifest(log=Log(sums={"l1": 1e30})),  # of a run that diverges
        manifest(log=Log(overflow=2)),  # of float16
        manifest(photons={"median": 1e5}),
    ],
)
def test_manifest_comes_back_from_its_json(good):
    assert Manifest.from_dict(json.loads(json.dumps(good.as_dict()))) == good


@pytest.mark.parametrize(("place", "value"), WRONG, ids=str)
def test_manifest_with_a_wrong_field_is_refused_in_a_line_that_names_it(place, value):
    content = json.loads(json.dumps(STATE.as_dict()))
    part = content
    for key in place[:-1]:
        part = part[key]
    if value is ...:
        del part[place[-1]]
    else:
        part[place[-1]] = value
    with pytest.raises(ValueError, match=rf"^{place[0]}") as refused:
        Manifest.from_dict(content)
    assert str(refused.value).isprintable()


@pytest.mark.parametrize("value", [None, True, 3, 0.5, "x", [], {}, [[]], {"x": {}}], ids=str)
def test_manifest_with_any_field_of_another_type_is_refused_or_read(value):
    """Nothing but ValueError is raised, whatever a field holds."""
    for name in STATE.as_dict():
        fault = fault_in(STATE.as_dict() | {name: value})
        assert fault is None or fault.startswith(name)


def fault_in(content: dict) -> str | None:
    try:
        Manifest.from_dict(content)
    except ValueError as error:
        return str(error)
    return None


def test_manifest_without_a_required_field_is_refused():
    for name in ("settings", "degradation", "vgg_weights", "precision", "data", "plan"):
        content = {k: v for k, v in STATE.as_dict().items() if k != name}
        with pytest.raises(ValueError, match=f"^{name} is missing"):
            Manifest.from_dict(content)


def bomb(path) -> None:
    np.savez_compressed(path, **{"0": np.zeros(1 << 24)})


def pickled(path) -> None:
    np.savez(path, **{"0": np.array([{}], object)})


@pytest.mark.parametrize(("make", "said"), [(bomb, "larger than the file"), (pickled, "pickle")])
def test_weights_that_are_a_bomb_or_code_are_refused(tmp_path, make, said):
    def fill(folder):
        make(folder / checkpoint_models.WEIGHTS)

    sealed.write(tmp_path / "srresnet-0000003", fill, MANIFEST.as_dict())
    with pytest.raises(UserError, match=said):
        checkpoint_models.load(tmp_path).network("srresnet")
