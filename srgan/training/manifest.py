"""manifest.json of a checkpoint: how the model was trained, and how far the training is."""

import dataclasses
import math
import types
import typing
from dataclasses import MISSING, dataclass, field
from typing import Any, Literal

from srgan import __version__
from srgan.training.health import Health
from srgan.training.log_csv import Log
from srgan.training.plan import Plan
from srgan.training.waiting import Waiting

ModelName = Literal["srresnet", "srgan"]
MODELS: tuple[str, ...] = typing.get_args(ModelName)
_MOST = 10**15  # no count in a manifest is larger


@dataclass(frozen=True)
class Seen:
    """Patients, series and pixels as salted SHA-256: see checkpoint_models.hashed."""

    salt: str
    seen: frozenset[str]


@dataclass(frozen=True)
class SeenData:
    """The patients, series and slices that the networks were trained or validated on."""

    salt: str
    seen: frozenset[str]  # salted SHA-256 of patients, series and pixels
    patients: int
    slices: dict[str, int]  # by role: train, validation, test
    synthetic: bool
    simulated_pairs: bool = False  # were low doses of pairs made by this program's simulate?
    # What the models had seen that this training began with, each under its own salt:
    earlier: list[Seen] = field(default_factory=list)

    def every(self) -> list[Seen]:
        """What this training has seen, and what was seen before it."""
        return [Seen(self.salt, self.seen), *self.earlier]


@dataclass(frozen=True)
class Origin:
    """The model of another training that this one began with (--init)."""

    model: ModelName
    step: int
    sha256: str  # of its weights file
    patients: int  # that its last training had seen
    srgan_sha256: str | None = None  # of the SRGAN that the GAN began with, where it had its own

    def text(self) -> str:
        title = "SRResNet" if self.model == "srresnet" else "SRGAN"
        text = f"began with the {title} of step {self.step} of another run ({self.sha256[:12]}...)"
        if self.srgan_sha256 is None:
            return text
        return f"{text}, its GAN with the SRGAN of that run ({self.srgan_sha256[:12]}...)"


@dataclass(frozen=True)
class Extension:
    """What changed when a run went on with another plan than it began with."""

    when: str  # UTC
    step: int  # of the state that it went on from
    steps: int  # of the plan before, both stages together
    pretrain_steps: int  # of the plan after
    gan_steps: int
    changed: dict[str, str]  # flag to "OLD to NEW"

    def text(self) -> str:
        changed = "".join(f"; {flag} {values}" for flag, values in self.changed.items())
        return (
            f"plan extended on {self.when} at step {self.step}: {self.steps} to "
            f"{self.pretrain_steps + self.gan_steps} steps ({self.pretrain_steps} of SRResNet, "
            f"{self.gan_steps} of SRGAN){changed}"
        )


@dataclass(frozen=True)
class NoiseRange:
    """How noisy the inputs of the training are (metrics.input_noise); see training.noise_range."""

    low_hu: float
    high_hu: float
    slices: int  # that it was measured in

    def text(self) -> str:
        return f"{self.low_hu:.1f} to {self.high_hu:.1f} HU in flat soft tissue"


@dataclass(frozen=True)
class BestModel:
    """The model that a stage kept: its step, what it was chosen by, and its validation metrics."""

    step: int
    score: float
    validation_psnr_db: float
    validation_texture: float
    validation_sd: float


@dataclass(frozen=True)
class Manifest:
    """What every checkpoint says; all of it is JSON, without a patient's id or a path."""

    settings: dict[str, Any]  # see settings.record
    degradation: dict[str, Any]  # the dose model and the scale
    vgg_weights: Literal["imagenet", "random", "none", "file"]
    vgg_sha256: str | None  # of a file that --vgg-weights names
    precision: Literal["float32", "mixed_bfloat16", "mixed_float16"]  # Keras' policy
    data: SeenData
    plan: Plan
    photons: dict[str, Any] | None = None  # projection noise: of the training slices
    origin: Origin | None = None
    extended: list[Extension] = field(default_factory=list)
    noise_range: NoiseRange | None = None  # of the inputs; None: not recorded, not measurable
    sample_size: int | None = None  # patches that the scale of random VGG19 features is from
    step: int = 0
    best: dict[ModelName, BestModel] = field(default_factory=dict)
    health: Health = field(default_factory=Health)
    log: Log | None = None  # in a state alone
    waiting: Waiting | None = None  # for data; older folders lack it
    version: str = __version__
    files: dict[str, str] = field(default_factory=dict)  # file name to SHA-256: sealed.write's

    @classmethod
    def from_dict(cls, content: dict[str, Any]) -> "Manifest":
        """Read JSON values that anybody may have written; unknown fields are ignored.

        Raises ValueError: one line that begins with the wrong field.
        """
        names = {f.name for f in dataclasses.fields(cls)}
        found = _read_fields(cls, {k: v for k, v in content.items() if k in names}, "")
        for name in ("generator", "scale"):
            if name not in found.settings:
                raise ValueError(f"settings.{name} is missing")
        if found.plan.steps == 0 or not 0 < found.plan.gan_cost < _MOST:
            raise ValueError("plan has no steps or an impossible gan_cost")
        if found.plan.begins > found.plan.steps:
            raise ValueError("plan begins after its end")
        return found

    def as_dict(self) -> dict[str, Any]:
        """JSON values, without `files`."""
        content = dataclasses.asdict(self)
        for data in (content["data"], *content["data"]["earlier"]):
            data["seen"] = sorted(data["seen"])
        del content["files"]
        return content


def _read(kind, value, name: str):
    """A JSON value as `kind`, the type of a dataclass' field. Raises ValueError."""
    container, inner = typing.get_origin(kind), typing.get_args(kind)
    if kind is Any:
        return value
    if dataclasses.is_dataclass(kind):
        _require(isinstance(value, dict), f"{name} is not an object")
        return _read_fields(kind, value, f"{name}.")
    if container is types.UnionType:  # KIND | None
        return None if value is None else _read(inner[0], value, name)
    if container is Literal:
        _require(isinstance(value, str) and value in inner, f"{name} is none of {', '.join(inner)}")
        return value
    if container in (list, frozenset):
        _require(isinstance(value, list), f"{name} is not a list")
        return container(_read(inner[0], item, f"{name}[{i}]") for i, item in enumerate(value))
    if container is dict:
        _require(isinstance(value, dict), f"{name} is not an object")
        keys = [_read(inner[0], key, f"{name}: a key") for key in value]
        return {key: _read(inner[1], value[key], f"{name}.{key}") for key in keys}
    is_right, wanted = _SIMPLE[kind]
    _require(is_right(value), f"{name} is not {wanted}")
    return value


def _read_fields(kind, value: dict, prefix: str):
    """A dataclass from a JSON object that has its fields and no others."""
    kinds = typing.get_type_hints(kind)
    _require(value.keys() <= kinds.keys(), f"{prefix or 'it '}has an unknown field")
    for f in dataclasses.fields(kind):
        has_default = f.default is not MISSING or f.default_factory is not MISSING
        _require(f.name in value or has_default, f"{prefix}{f.name} is missing")
    return kind(**{name: _read(kinds[name], value[name], prefix + name) for name in value})


def _require(is_right: bool, fault: str) -> None:
    if not is_right:
        raise ValueError(fault)


# Text must be printable: JSON may hold half of a character.
_SIMPLE = {
    bool: (lambda value: type(value) is bool, "true or false"),
    int: (lambda value: type(value) is int and 0 <= value < _MOST, "a count"),
    float: (lambda value: type(value) is float and math.isfinite(value), "a finite number"),
    str: (lambda value: isinstance(value, str) and value.isprintable(), "text on one line"),
}
