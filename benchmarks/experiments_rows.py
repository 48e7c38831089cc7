"""The rows of benchmarks/experiments.py: each a named set of changes to defaults.

Its defaults are those that the experiments began with: a row stays what it was when a default of
the program moves. DEFAULT names the rows that the program's defaults are now.
"""

from dataclasses import asdict, dataclass, field


@dataclass(frozen=True)
class Recipe:
    """One pre-training at scale 4."""

    # the network
    form: str = "fast"  # of srgan.models.generator.FORMS
    blocks: int = 8
    maps: int = 64
    block: str = "plain"  # or wide: from maps to four times as many, and back
    activation: str = "relu"
    tail: str = "stages"  # two of factor 2, or one: one convolution, then factor 4 at once
    fused: bool = False  # the outputs of all blocks go through a 1x1 convolution
    noise_map: bool = False  # second input channel, see trial_networks.NoiseMap
    gain: float = 0.02  # initial, of the last convolution of a block; He et al.: 2
    # the patches
    crop: int = 64
    batch: int = 16
    growing: bool = False  # batch 4, 8, 16, 32, each for a quarter of the time
    equally: str = "slices"  # drawn equally often, or patients
    quiet: bool = False  # leaves out slices with noise over 30 HU
    exact: bool = False  # trained at the tested noise alone, not at a range
    # the loss
    loss: str = "l1"  # mse, charbonnier
    window: float = 0.0  # weight of L1 within the mediastinal window, beside the loss
    # the updates
    rate: float = 1e-3
    falling: bool = True  # along a cosine to a hundredth, or constant
    warmup: int = 100  # steps
    average: float = 0.998  # decay of the averaged weights
    clip: float = 0.05  # largest gradient norm, with mse of 30 times the loss; 0: none
    # the paper's form alone
    gamma: float = 1.0  # initial, of the last normalisation of a block
    out: float = 2.0  # initial gain of the last convolution
    momentum: float = 0.9  # of the running statistics
    recalibrated: bool = False  # running statistics of the averaged weights, taken at the end


@dataclass(frozen=True)
class Gan:
    """One GAN stage, from what a row of pre-training comes to in start_s core seconds."""

    start: str = "base"
    start_s: float = 300.0
    # the loss of the generator
    content: str = "vgg22"  # of srgan.models.vgg.LAYERS (random weights), or none
    content_weight: float = 0.015
    adversarial: float = 1e-3
    pixel: float = 1.0  # weight of L1
    texture: float = 0.004  # weight of texture_loss
    artefacts: float = 0.0  # weight of trial_losses.artefact_loss
    # the discriminator and its game
    game: str = "logistic"  # relativistic, hinge, squares, wasserstein-penalty, wasserstein-clip
    judge: str = "dense"  # or patch, unet: logits by place
    width: float = 0.5  # share of the paper's maps
    norm: str = "batch"  # none, spectral
    detail: float = 20.0  # gain of the second input channel WithDetail; 0: none
    # the updates
    rate: float = 1e-4
    judge_rate: float = 2e-4
    clip: float = 0.05  # largest gradient norm of the generator; 0: none
    average: float = 0.998
    # the patches, as of Recipe
    crop: int = 64
    batch: int = 16
    equally: str = "slices"
    quiet: bool = False
    exact: bool = False


@dataclass(frozen=True)
class Row:
    kind: str  # pretraining, gan, or torch
    theme: str
    beside: str  # the yardstick: the row that it is compared with
    core_s: float  # budget; of a GAN stage without what it begins with
    changes: dict = field(default_factory=dict)

    def settings(self) -> Recipe | Gan | None:
        """Raises TypeError for a change of no field."""
        return {"pretraining": Recipe, "gan": Gan}[self.kind](**self.changes)

    def described(self) -> str:
        """What differs from the yardstick, "crop 96, batch 7"; of one itself, from the defaults."""
        yardstick = ROWS[self.beside]
        if self.kind != yardstick.kind:
            return "defaults"
        ours, theirs = asdict(self.settings()), asdict(yardstick.settings())
        if ours == theirs:
            theirs = asdict(type(self.settings())())
        changed = [f"{name} {value}" for name, value in ours.items() if theirs[name] != value]
        return ", ".join(changed) or "defaults"


PAPER = {"form": "paper", "blocks": 16, "loss": "mse", "rate": 3e-4, "clip": 0.0}
PRETRAINING = {  # by theme and name
    "Yardsticks": {"base": {}},
    "Patches and batches": {
        "crop-48": {"crop": 48, "batch": 28},
        "crop-96": {"crop": 96, "batch": 7},
        "crop-128": {"crop": 128, "batch": 4},
        "batch-8": {"batch": 8},
        "batch-growing": {"growing": True},
    },
    "Training data": {
        "exact-noise": {"exact": True},
        "patients-equally": {"equally": "patients"},
        "noisy-slices-out": {"quiet": True},
    },
    "Loss": {
        "mse": {"loss": "mse"},
        "charbonnier": {"loss": "charbonnier"},
        "mediastinal-window": {"window": 0.5},
    },
    "Network": {
        "tail-one": {"tail": "one"},
        "blocks-16": {"blocks": 16},
        "maps-96": {"maps": 96, "blocks": 6},
        "maps-48": {"maps": 48, "blocks": 14},
        "wide": {"block": "wide", "maps": 32},
        "silu": {"activation": "silu"},
        "fused": {"fused": True},
        "noise-map": {"noise_map": True},
        "gain-he": {"gain": 2.0},
        "gain-0": {"gain": 0.0},
    },
    "Updates": {
        "rate-2e-3": {"rate": 2e-3},
        "rate-5e-4": {"rate": 5e-4},
        "rate-constant": {"falling": False},
        "warmup-0": {"warmup": 0},
        "warmup-1000": {"warmup": 1000},
        "average-0.9": {"average": 0.9},
        "average-0.9998": {"average": 0.9998},
        "clip-none": {"clip": 0.0},
    },
}
SILU = {  # beside the row silu
    "silu-wide": {"block": "wide", "maps": 32},
    "silu-wide-40": {"block": "wide", "maps": 40},
    "silu-fused": {"fused": True},
    "silu-noise-map": {"noise_map": True},
    "silu-exact-noise": {"exact": True},
    "silu-charbonnier": {"loss": "charbonnier"},
    "silu-window": {"window": 0.5},
    "silu-crop-48": {"crop": 48, "batch": 28},
    "silu-patients-equally": {"equally": "patients"},
    "silu-noisy-slices-out": {"quiet": True},
    "silu-rate-5e-4": {"rate": 5e-4},
}
PAPERS_FORM = {
    "paper": {},  # as it was
    "paper-small-start": {"gamma": 0.0, "out": 0.02, "rate": 1e-3},
    "paper-small-start-clip": {"gamma": 0.0, "out": 0.02, "rate": 1e-3, "clip": 3.0},
    "paper-gamma-0": {"gamma": 0.0},
    "paper-small-out": {"out": 0.02},
    "paper-rate-1e-3": {"rate": 1e-3},
    "paper-l1": {"loss": "l1"},
    "paper-momentum-0.99": {"momentum": 0.99},
    "paper-recalibrated": {"recalibrated": True},
}
BEFORE = {  # the GAN stage of former versions
    "content": "vgg54", "pixel": 0.05, "texture": 0.0, "width": 1.0, "detail": 0.0, "clip": 0.0
}  # fmt: skip
LIGHT = BEFORE | {"width": 0.5, "norm": "none", "content": "vgg22"}
ALONE = {  # what the texture loss does without a discriminator; this one is never listened to
    "content": "none", "adversarial": 0.0, "width": 0.125, "norm": "none", "detail": 0.0
}  # fmt: skip
SPECTRAL = {"norm": "spectral", "adversarial": 3e-4}
GANS = {
    "GAN: the recipe": {"gan": {}},
    "GAN: training data": {
        "gan-exact-noise": {"exact": True},
        "gan-patients-equally": {"equally": "patients"},
        "gan-noisy-slices-out": {"quiet": True},
    },
    "GAN: content loss": {
        "gan-content-none": {"content": "none"},
        "gan-content-none-texture-0": {"content": "none", "texture": 0.0},
        "gan-vgg32": {"content": "vgg32"},
        "gan-vgg54": {"content": "vgg54"},
        "gan-content-0.005": {"content_weight": 0.005},
        "gan-content-0.05": {"content_weight": 0.05},
        "gan-pixel-0.2": {"pixel": 0.2},
    },
    "GAN: texture and artefacts": {
        "gan-texture-0": {"texture": 0.0},
        "gan-texture-0.002": {"texture": 0.002},
        "gan-texture-0.006": {"texture": 0.006},
        "gan-texture-alone-0.002": ALONE | {"texture": 0.002},
        "gan-texture-alone-0.006": ALONE | {"texture": 0.006},
        "gan-artefacts": {"artefacts": 1.0},
    },
    "GAN: adversarial weight": {
        "gan-adversarial-3e-4": {"adversarial": 3e-4},
        "gan-adversarial-3e-3": {"adversarial": 3e-3},
        "gan-adversarial-3e-3-texture-0": {"adversarial": 3e-3, "texture": 0.0},
    },
    "GAN: discriminator": {
        "gan-detail-0": {"detail": 0.0},
        "gan-detail-40": {"detail": 40.0},
        "gan-width-full": {"width": 1.0},
        "gan-norm-none": {"norm": "none"},
        "gan-spectral": {"norm": "spectral"},
        "gan-spectral-texture-0": {"norm": "spectral", "texture": 0.0},
        "gan-spectral-weak": SPECTRAL,
        "gan-spectral-weak-texture-0": SPECTRAL | {"texture": 0.0},
        "gan-patch": {"judge": "patch"},
        "gan-unet": {"judge": "unet", "norm": "spectral"},
    },
    "GAN: the game": {
        "gan-relativistic": {"game": "relativistic"},
        "gan-relativistic-spectral-weak-texture-0": SPECTRAL
        | {"game": "relativistic", "texture": 0.0},
        "gan-hinge": {"game": "hinge"},
        "gan-squares": {"game": "squares"},
        "gan-wasserstein-penalty": {"game": "wasserstein-penalty", "norm": "none"},
        "gan-wasserstein-clip": {"game": "wasserstein-clip", "norm": "none"},
    },
    "GAN: rates": {
        "gan-rate-5e-5": {"rate": 5e-5},
        "gan-rate-2e-4": {"rate": 2e-4},
        "gan-judge-rate-1e-4": {"judge_rate": 1e-4},
        "gan-judge-rate-4e-4": {"judge_rate": 4e-4},
    },
}
SHARES = {  # of the budget; the row gan gives the GAN stage a quarter
    "gan-share-1/8": (50.0, {"start_s": 350.0}),
    "gan-share-1/2": (200.0, {"start_s": 200.0}),
}
LATE = {"start_s": 1000.0}
TEXTURED = LATE | {"adversarial": 3e-4, "texture": 0.008}
GANS_LATE = {
    "gan-late": LATE,
    "gan-late-texture-0.008": TEXTURED,
    "gan-late-texture-0.008-content-0.1": TEXTURED | {"content_weight": 0.1},
    "gan-late-texture-0.012": LATE | {"adversarial": 1e-4, "texture": 0.012},
    "gan-now": LATE | {"start": "silu", "adversarial": 3e-4, "texture": 0.01},
    "gan-late-silu": LATE | {"start": "silu"},
}
GANS_BEFORE = {
    "gan-before": BEFORE,
    "gan-before-light": LIGHT,
    "gan-before-light-detail-40": LIGHT | {"detail": 40.0},
}


def _rows() -> dict[str, Row]:
    found = {}
    for theme, rows in PRETRAINING.items():
        found |= {n: Row("pretraining", theme, "base", 300.0, c) for n, c in rows.items()}
    for name, changes in SILU.items():
        changes = changes | {"activation": "silu"}
        found[name] = Row("pretraining", "Together with SiLU", "silu", 300.0, changes)
    found["torch"] = Row("torch", "Yardsticks", "base", 300.0)
    for name, changes in PAPERS_FORM.items():
        found[name] = Row("pretraining", "The paper's form", "paper", 240.0, PAPER | changes)
    for theme, rows in GANS.items():
        found |= {name: Row("gan", theme, "gan", 100.0, c) for name, c in rows.items()}
    for name, (core_s, changes) in SHARES.items():
        found[name] = Row("gan", "GAN: share of the budget", "gan", core_s, changes)
    for name, changes in GANS_LATE.items():
        theme, yardstick = "GAN: after 1000 s of pre-training", "gan-late-texture-0.008"
        found[name] = Row("gan", theme, yardstick, 200.0, changes)
    for name, changes in GANS_BEFORE.items():
        found[name] = Row("gan", "GAN: the recipe before", "gan-before", 150.0, changes)
    return found


ROWS = _rows()
DEFAULT = {"pretraining": "silu", "gan": "gan-now"}  # by kind
