"""What a report says beside its metrics and pictures: data, checkpoints, weights."""

from dataclasses import dataclass, field, fields

from srgan.evaluation.study import Study
from srgan.lowdose.degradation import Degradation
from srgan.lowdose.level_names import short_name
from srgan.lowdose.levels import Levels
from srgan.metrics.ttf import Discs
from srgan.settings import Settings
from srgan.system.errors import plural

# The noise levels among the entries of a degradation as JSON.
LEVELS = tuple(f.name for f in fields(Settings) if isinstance(f.default, Levels))


@dataclass(frozen=True)
class About:
    """About a test at all its noise levels."""

    degradation: Degradation  # as asked for, with all levels
    vgg_weights: str  # of the training, as the checkpoint names them
    synthetic: bool  # are the tested scans synthetic?
    settings: dict  # JSON values
    checkpoint: dict  # JSON values, as compare.record
    photons: dict | None = None  # photon_cache.summary and their source, of projection noise
    vgg_distance_weights: str = "none"  # or imagenet, or file
    denoiser: str = ""  # how the cut-off of the denoiser was found
    simulated_pairs: bool = False  # were low doses of the tested pairs made by this program?
    # By letter of a checkpoint, method to strength; empty where --strength is not given:
    strengths: dict[str, dict[str, float]] = field(default_factory=dict)
    ensemble: bool = False  # are the networks' outputs self-ensembles?
    files: dict = field(default_factory=dict)  # how many were found, used and skipped

    def remarks(self) -> list[str]:
        """VGG19 weights of the training, which scans are synthetic, and the like."""
        others = self.compared()
        weights = [self.vgg_weights, *(f"{n}: {of['vgg_weights']}" for n, of in others.items())]
        remarks = [f"VGG19 weights: {', '.join(weights)}"]
        if self.synthetic:
            remarks.append("SYNTHETIC scans")
        if self.simulated_pairs:
            remarks.append("low doses SIMULATED, not measured")
        if self.checkpoint.get("synthetic"):
            remarks.append("trained on SYNTHETIC scans")
        remarks += [f"{n} trained on SYNTHETIC scans" for n in others if others[n]["synthetic"]]
        return remarks + self._other_low_doses() + self.of_outputs()

    def _other_low_doses(self) -> list[str]:
        """Which checkpoints learned from measured low doses and are tested on others, or so."""
        tested = self.degradation.as_json()["model"]
        every = {"": self.checkpoint} | {f"{n} ": of for n, of in self.compared().items()}
        trained = {n: of.get("degradation", {}).get("model") for n, of in every.items()}
        return [
            f"{n}trained in {noise_word(model)}, tested in {noise_word(tested)}"
            for n, model in trained.items()
            if model and model != tested and "pairs" in (model, tested)
        ]

    def of_outputs(self) -> list[str]:
        """Self-ensembling, and the checkpoints that are unfinished."""
        said = ["SELF-ENSEMBLE: the output of each network is the mean of eight passes"]
        return (said if self.ensemble else []) + self.unfinished()

    def unfinished(self) -> list[str]:
        """The checkpoints whose training was stopped before it kept a model."""
        every = {"": self.checkpoint} | {f" of {n}": of for n, of in self.compared().items()}
        return [
            f"UNFINISHED training{letter}: the state of step {said['step']}"
            for letter, said in every.items()
            if said.get("unfinished")
        ]

    def history(self) -> list[str]:
        """Of each checkpoint: what its training began with, and how its plan was extended."""
        lines = []
        for letter, said in {"": self.checkpoint, **self.compared()}.items():
            of = f"{letter} " if letter else ""
            lines += [f"{of}{said['origin']}"] if said.get("origin") else []
            lines += [f"{of}{text}" for text in said.get("extended", [])]
        return lines

    def warnings(self) -> list[str]:
        """The warnings of each checkpoint's training."""
        every = {"": self.checkpoint} | {f" of {n}": of for n, of in self.compared().items()}
        return [
            f"warned in the training{letter}, {text}"
            for letter, said in every.items()
            for text in said.get("warnings", [])
        ]

    def vgg_distance_remark(self) -> str:
        """What the VGG distance is, or why there is none."""
        if self.vgg_distance_weights == "none":
            return "no VGG distance: no trained weights of VGG19 were found (--vgg-weights PATH)"
        whose = (
            "ImageNet weights" if self.vgg_distance_weights == "imagenet" else "weights of a file"
        )
        return f"VGG distance: mean squared difference of VGG19's conv5_4 features, {whose}"

    def compared(self) -> dict[str, dict]:
        """The other compared checkpoints by letter, as JSON values."""
        return self.checkpoint.get("compared", {})


def checkpoint_remark(said: dict) -> str:
    """How a checkpoint was made, in a line; said: of one, as in About.checkpoint."""
    return (
        f"step {said['step']}{' (unfinished)' if said.get('unfinished') else ''}, "
        f"{said['generator']} generator, content {said['content_loss']}, "
        f"VGG19 weights {said['vgg_weights']}, trained in {_trained_in(said['degradation'])}"
    )


def _trained_in(degradation: dict) -> str:
    levels = levels_remark(degradation)
    return noise_word(degradation.get("model")) + (f" ({levels})" if levels else "")


def noise_word(model: str | None) -> str:
    """What a dose model is called: "image noise", or "real pairs"."""
    return "real pairs" if model == "pairs" else f"{model} noise"


def levels_remark(degradation: dict) -> str:
    """The levels of a degradation that is a dict of JSON values: "lambda 1700, sigma 0.005"."""
    return ", ".join(f"{short_name(n)} {degradation[n]}" for n in LEVELS if n in degradation)


def discs_remark(discs: Discs) -> str:
    """For what the TTF of the disc phantom holds."""
    return (
        f"TTF of a disc of {discs.contrast_hu:g} HU on soft tissue, mean of {discs.slices} slices "
        f"with {discs.noise_sd_hu:.1f} HU of noise in the low dose and pixels of "
        f"{discs.pixel_mm:.3g} mm. It holds for this contrast and this noise only."
    )


def counted(study: Study) -> str:
    """ "5 slices of 2 patients"."""
    of = study.n_slices()
    return f"{plural(sum(of.values()), 'slice')} of {plural(len(of), 'patient')}"
