"""Every setting once: name, default, kind of value, help, group in --help, and verbs that take it.

The command line (cli.py), its --help and the record of a run in its checkpoint all read this table.
It loads nothing heavy, no NumPy either, so that --help is instant.
"""

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from srgan import flag_values as values
from srgan.flag_values import Kind
from srgan.lowdose.levels import Levels
from srgan.lowdose.scanner import Scanner
from srgan.system.errors import UserError

if TYPE_CHECKING:
    from srgan.dataset.scan_source import DatasetPaths
    from srgan.lowdose.degradation import Degradation

VERBS = ("train", "test", "simulate", "enhance", "export")
TRAIN, TEST, SIMULATE, ENHANCE, EXPORT = ((verb,) for verb in VERBS)
NOISE_VERBS = (*TRAIN, *TEST, *SIMULATE)
SCAN_VERBS = (*SIMULATE, *ENHANCE)
MODEL_VERBS = (*TRAIN, *TEST, *ENHANCE)
TRAIN_AND_TEST = ("train", "test")

DATA, LOW_DOSE, NETWORK, BUDGET = "data", "low dose", "network", "budget"
IMAGE_NOISE, PROJECTION_NOISE = "low dose: image noise", "low dose: projection noise"
REPEATABILITY, OUTPUT = "repeatability", "output"
GROUPS = (
    DATA, LOW_DOSE, IMAGE_NOISE, PROJECTION_NOISE, NETWORK, BUDGET, REPEATABILITY, OUTPUT
)  # fmt: skip


SHIPPED = (
    "'shipped' is the weights that ship with the program, which are used without this flag while "
    "the folder checkpoint is empty."
)


@dataclass(frozen=True)
class Setting:
    """What the program knows of one setting.

    kind, help: one, or one for each verb where it means different things. recorded: a checkpoint
    keeps it; a resumed run then has the same value, unless `may_change`.
    """

    name: str
    default: Any
    kind: Kind | dict[str, Kind]
    verbs: tuple[str, ...]
    group: str
    help: str | dict[str, str]
    unit: str = ""
    recorded: bool = True
    may_change: bool = False

    @property
    def flag(self) -> str:
        return flag(self.name)

    def kind_for(self, verb: str) -> Kind:
        return self.kind if isinstance(self.kind, Kind) else self.kind[verb]

    def help_for(self, verb: str) -> str:
        return self.help if isinstance(self.help, str) else self.help[verb]


def flag(name: str) -> str:
    """The flag of a setting: train_minutes is --train-minutes."""
    return "--" + name.replace("_", "-")


# What --recipe day sets where no flag says otherwise: settings of train that a checkpoint records.
DAY = {"train_minutes": 1440.0, "batch_size": 32, "crop": 128}


def flags_of(values: dict[str, Any]) -> str:
    """Settings as on the command line: "--batch-size 32 --crop 128"."""
    shown = {n: f"{v:g}" if isinstance(v, float) else str(v) for n, v in values.items()}
    return " ".join(f"{flag(name)} {value}" for name, value in shown.items())


def _setting(default, kind, verbs, group, help, unit="", *, recorded=True, may_change=False):
    """A field of Settings that carries the rest of its row."""
    row = {"kind": kind, "verbs": verbs, "group": group, "help": help, "unit": unit}
    row |= {"recorded": recorded, "may_change": may_change}
    return dataclasses.field(default=default, metadata=row)


@dataclass(frozen=True)
class Settings:
    """All settings of one call. A table, so laid out by hand."""

    # fmt: off
    data: Path = _setting(
        Path("data"), values.folder, TRAIN_AND_TEST, DATA,
        "Folder with scans: LUNA16, DICOM, NIfTI, NRRD, or several of these.", recorded=False)
    pairs: Path | None = _setting(
        None, values.folder, TRAIN_AND_TEST, DATA,
        "Folder with measured pairs, instead of --data: of each patient a normal-dose and a "
        "low-dose series of the same slices.", recorded=False)
    split: Path | None = _setting(
        None, values.csv_file, TRAIN_AND_TEST, DATA,
        "Your own split: a CSV file with the columns patient_id,role (train, validation or test).",
        recorded=False)
    patients: Path | None = _setting(
        None, values.csv_file, TRAIN_AND_TEST, DATA,
        "The patients of series, instead of those in their files: a CSV file with the columns "
        "series_uid,patient_id.", recorded=False)
    series_filter: str | None = _setting(
        None, values.series_filter, TRAIN_AND_TEST, DATA,
        "Only series with TEXT in their SeriesDescription or kernel, or with '!TEXT' only those "
        "without it. Of MetaImage and other volumes the file's name counts.", recorded=False)
    recipe: str | None = _setting(
        None, values.choice("short", "day"), TRAIN, BUDGET,
        "Named settings: 'short', which are the defaults, for 20 minutes on two cores, or 'day', "
        f"for a day on a GPU: {flags_of(DAY)}. A flag that you give wins.", recorded=False)
    train_minutes: float = _setting(
        20.0, values.minutes, TRAIN, BUDGET,
        "Training time of both stages together. More than before extends a run.", "minutes")
    pretrain_steps: int | None = _setting(
        None, values.steps, TRAIN, BUDGET,
        "Steps of SRResNet, instead of minutes. Needs --gan-steps. With 0 and 0 the scans are "
        "prepared and nothing is trained.", "steps")
    gan_steps: int | None = _setting(
        None, values.steps, TRAIN, BUDGET, "Steps of SRGAN, instead of minutes.", "steps")
    gan_share: float = _setting(
        0.4, values.share, TRAIN, BUDGET,
        "Share of the minutes for SRGAN. With 0 only SRResNet is trained.")
    rate: float = _setting(
        1.0, values.rate, TRAIN, BUDGET, "Factor of all learning rates.")
    init: Path | None = _setting(
        None, values.folder, TRAIN, BUDGET,
        "A model that a new run starts from: a checkpoint folder, a folder srgan-N or srresnet-N "
        "in one, or 'shipped' for the weights that ship with the program. What it was trained on "
        "is never tested on.", recorded=False)
    batch_size: int = _setting(
        16, values.batch, TRAIN, NETWORK, "Patches in one training step.", "patches")
    crop: int = _setting(
        64, values.pixels, TRAIN, NETWORK,
        "Side of a training patch at normal dose, a multiple of --scale.", "pixels")
    scale: int = _setting(
        4, values.choice(1, 2, 4), (*MODEL_VERBS, *EXPORT), NETWORK,
        {"train": "How many times a slice is enlarged.",
         "enhance": "Which of the shipped weights: 1 or 4. Without it those of scale 1, with "
         "--input-kind those of scale 4.",
         **dict.fromkeys((*TEST, *EXPORT), "Which of the shipped weights: 4 or 1. Without it "
         "those of scale 4.")})
    noise: str = _setting(
        "image", values.choice("image", "projection", "pairs"), TRAIN_AND_TEST, LOW_DOSE,
        "Dose model: 'image' adds Poisson and Gaussian noise to the slice, 'projection' adds "
        "noise to its projections, 'pairs' is the measured low dose of --pairs, which implies it.")
    noise_lambda: Levels = _setting(
        Levels((500.0, 5000.0), True), values.lambda_levels, TRAIN_AND_TEST, IMAGE_NOISE,
        "Photons at full scale, for the Poisson noise.", "photons")
    noise_sigma: Levels = _setting(
        Levels((0.002, 0.01), True), values.sigma_levels, TRAIN_AND_TEST, IMAGE_NOISE,
        "Standard deviation of the Gaussian noise.", "of 4095 HU")
    dose: Levels = _setting(
        Levels((0.1, 0.5), True), values.dose_levels, NOISE_VERBS, PROJECTION_NOISE,
        "Fraction of the dose that the scan was made with.")
    photons: float | str = _setting(
        "auto", values.photons, NOISE_VERBS, PROJECTION_NOISE,
        "Photons per detector reading at full dose (for 360 views and 0.70 mm pixels), or 'auto' "
        "to estimate them from the noise in each slice.")
    noise_hu: float | None = _setting(
        None, values.noise_hu, NOISE_VERBS, PROJECTION_NOISE,
        "Noise at full dose, instead of photons: standard deviation in soft tissue.", "HU")
    electronic_noise: float = _setting(
        Scanner.electronic_noise, values.counts, NOISE_VERBS, PROJECTION_NOISE,
        "Electronic noise: standard deviation of a detector reading (for 360 views and 0.70 mm "
        "pixels).", "counts")
    mu_water: float = _setting(
        Scanner.mu_water, values.per_mm, NOISE_VERBS, PROJECTION_NOISE,
        "Linear attenuation of water.", "1/mm")
    views: int = _setting(
        Scanner.views, values.views, NOISE_VERBS, PROJECTION_NOISE,
        "Views of the modelled scanner over 180 degrees.")
    bowtie: float = _setting(
        Scanner.bowtie, values.bowtie, NOISE_VERBS, PROJECTION_NOISE,
        "Strength of the bowtie filter: 0 is no filter, 1 makes the signal behind a water "
        "cylinder flat.")
    filter_cutoff: float = _setting(
        Scanner.filter_cutoff, values.cutoff, NOISE_VERBS, PROJECTION_NOISE,
        "Frequency at which the Hann window of the reconstruction reaches zero.", "1/mm")
    realisations: int = _setting(
        1, values.realisations, TRAIN, PROJECTION_NOISE,
        "Noise realisations that are kept for each training slice.")
    generator: str = _setting(
        "fast", values.choice("fast", "paper"), TRAIN, NETWORK,
        "Generator: 'fast', or 'paper' as in Ledig et al. 2017.")
    content_loss: str = _setting(
        "vgg22", values.choice("vgg54", "vgg32", "vgg22", "pixel"), TRAIN, NETWORK,
        "Content loss of SRGAN: VGG19 features of a deep layer (vgg54), of a middle one (vgg32, "
        "faster) or of a shallow one (vgg22), or the pixels.")
    vgg_weights: str = _setting(
        "auto", values.vgg_weights, TRAIN_AND_TEST, NETWORK,
        {"train": "VGG19 weights for the content loss. 'auto': ImageNet weights from ~/.keras or "
         "the network, or random ones where neither works. FILE: an .h5 file.",
         "test": "VGG19 weights for the VGG distance. 'auto': ImageNet weights that are on the "
         "disk. Random weights give no distance. FILE: an .h5 file."})
    store_dir: Path = _setting(
        Path("store"), values.folder, TRAIN_AND_TEST, OUTPUT,
        "Folder for the selected slices, in HU.", recorded=False)
    precision: str = _setting(
        "auto", values.choice("auto", "float32", "bfloat16", "float16"), MODEL_VERBS, NETWORK,
        "Floating-point precision of the networks.", may_change=True)
    devices: str = _setting(
        "1", values.devices, TRAIN, NETWORK,
        "Devices of this machine that train together, each on its part of a batch: GPUs, or with "
        "cpu:N the processor as N devices. Without a GPU, 1 is the processor.", recorded=False)
    tile: int | str = _setting(
        "auto", values.tile, (*TEST, *ENHANCE), NETWORK,
        "Side of the tiles in which a slice goes through the network, in its pixels. Tiles leave "
        "no seam. 'auto': whole slices if they fit into memory, else tiles that do.",
        "pixels", recorded=False)
    ensemble: bool = _setting(
        False, values.switch, (*TEST, *ENHANCE), NETWORK,
        "Self-ensemble: the mean of eight passes, over the flips and turns of a slice, each turned "
        "back. Takes eight times as long, and gives a smoother picture.", recorded=False)
    seed: int = _setting(
        0, values.seed, NOISE_VERBS, REPEATABILITY,
        {"train": "Random seed for weights, patches and noise.",
         "test": "Random seed for the noise.",
         "simulate": "Random seed for the noise."})
    deterministic: bool = _setting(
        False, values.switch, TRAIN, REPEATABILITY,
        "Ask TensorFlow for operations that give the same bits in every run. A CPU does so "
        "without it.")
    fresh: bool = _setting(
        False, values.switch, TRAIN, OUTPUT,
        "Start a new run. The files of the old one are moved to a folder aside-NNN.",
        recorded=False)
    train_dir: Path = _setting(
        Path("train"), values.folder, TRAIN, OUTPUT,
        "Folder for pictures and log.csv.", recorded=False)
    checkpoint_dir: Path = _setting(
        Path("checkpoint"), values.folder, (*MODEL_VERBS, *EXPORT), OUTPUT,
        {"train": "Folder for checkpoints.",
         "test": f"Folder with the checkpoint to test. {SHIPPED}",
         "enhance": f"Folder with the checkpoint to use. {SHIPPED}",
         "export": f"Folder with the checkpoint to export. {SHIPPED}"},
        recorded=False)
    compare: tuple[Path, ...] | None = _setting(
        None, values.folders, TEST, NETWORK,
        "More checkpoint folders to test beside the main one, at most "
        f"{values.MOST_FOLDERS}.", recorded=False)
    strength: tuple[float, ...] | float | None = _setting(
        None, {"test": values.strengths, "enhance": values.strength, "export": values.strength},
        (*TEST, *ENHANCE, *EXPORT), NETWORK,
        {"test": "Strengths to test, such as 0,0.5,1: 0 is the SRResNet, 1 the SRGAN, between "
         "them a network whose weights are a mixture of both. The report then has a table of "
         "what more strength gives and costs.",
         **dict.fromkeys((*ENHANCE, *EXPORT), "0 is the SRResNet, 1 the SRGAN, between them a "
         "network whose weights are a mixture of both. The most that the checkpoint has unless "
         "given.")}, recorded=False)
    report_dir: Path = _setting(
        Path("report"), values.folder, (*TEST, *ENHANCE, *EXPORT), OUTPUT,
        {"test": "Folder for the report: page, tables, pictures.",
         "enhance": "Folder with the report of a test. Where this network was tested there, a "
         "scan with unusual noise is told what such noise did to test patients.",
         "export": "Folder with the report of a test. Where this network was tested there, its "
         "metrics go into the model card."}, recorded=False)
    window: dict | None = _setting(
        None, values.windows, TEST, OUTPUT,
        "More windows for PSNR and SSIM, such as bone:-450:1050.", "HU", recorded=False)
    details: bool = _setting(
        False, values.switch, TEST, OUTPUT,
        "Print every table instead of one screen.", recorded=False)
    input: Path | None = _setting(
        None, values.scan, SCAN_VERBS, DATA,
        "The scan: a folder with a DICOM series, one DICOM file, or a volume (.mhd, .mha, .nii, "
        ".nii.gz, .nrrd).", recorded=False)
    series: str | None = _setting(
        None, values.series, SCAN_VERBS, DATA,
        "SeriesInstanceUID of the series to take from --input, where that holds several.",
        recorded=False)
    input_kind: str | None = _setting(
        None, values.choice("low-resolution", "native"), ENHANCE, DATA,
        "What a network of scale 2 or 4 is given: 'low-resolution' slices, which it enlarges, or "
        "'native' ones, whose area mean it enlarges to their own size.", recorded=False)
    output: Path | None = _setting(
        None, values.folder, (*SCAN_VERBS, *EXPORT), OUTPUT,
        {"simulate": "New folder for the copy at low dose.",
         "enhance": "New folder for the enhanced scan.",
         "export": "New folder for the network and its model card."}, recorded=False)
    format: str | None = _setting(
        None, dict.fromkeys(SCAN_VERBS, values.choice("dicom", "mhd", "nifti", "nrrd"))
        | {"export": values.choice("savedmodel", "onnx", "weights")},
        (*SCAN_VERBS, *EXPORT), OUTPUT,
        dict.fromkeys(SCAN_VERBS, "Format of the new scan, instead of that of the input.")
        | {"export": "A TensorFlow SavedModel, an ONNX file (needs pip install .[onnx]), or the "
           "weights as a NumPy file."}, recorded=False)
    # fmt: on

    @property
    def scans(self) -> str:
        """The flag and the folder of the scans, for messages."""
        return f"--data {self.data}" if self.pairs is None else f"--pairs {self.pairs}"


SETTINGS = {f.name: Setting(f.name, f.default, **f.metadata) for f in dataclasses.fields(Settings)}
RECIPES = {"short": {name: SETTINGS[name].default for name in DAY}, "day": DAY}
NOISE_GROUPS = {"image": IMAGE_NOISE, "projection": PROJECTION_NOISE}  # by --noise
LEAST_CROP = {"vgg54": 16, "vgg32": 4, "vgg22": 2}  # pixels: each pooling before it halves them
VGG_RECORDED = ("auto", "imagenet", "random", "none", "file")  # "file" stands for any path


def make(given: dict[str, Any], recorded: dict[str, Any] | None = None) -> Settings:
    """Defaults, then a checkpoint's record, then what was given. Raises UserError."""
    settings = Settings(**{**(recorded or {}), **given})
    if (settings.pretrain_steps is None) != (settings.gan_steps is None):
        raise UserError("--pretrain-steps and --gan-steps go together")
    for noise, group in NOISE_GROUPS.items():
        names = [name for name in SETTINGS if name in given and SETTINGS[name].group == group]
        if names and noise != settings.noise:
            raise UserError(
                f"{flag(names[0])} belongs to --noise {noise}; this is --noise {settings.noise}"
            )
    if settings.noise_hu is not None and settings.photons != "auto":
        raise UserError("--photons and --noise-hu exclude each other: one follows from the other")
    if settings.crop % settings.scale:
        raise UserError(f"--crop {settings.crop} is not a multiple of --scale {settings.scale}")
    loss = settings.content_loss
    uses_vgg = has_gan(settings) and settings.vgg_weights != "none"
    if uses_vgg and settings.crop < LEAST_CROP.get(loss, 0):
        others = [name for name, least in LEAST_CROP.items() if least <= settings.crop]
        raise UserError(
            f"--crop {settings.crop} is too small for --content-loss {loss}: give --crop "
            f"{LEAST_CROP[loss]} or more, or --content-loss {' or '.join([*others, 'pixel'])}"
        )
    return settings


def with_pairs(given: dict[str, Any]) -> dict[str, Any]:
    """What was given, with the dose model that --pairs implies. Raises UserError."""
    if "pairs" not in given:
        return given
    if "data" in given:
        raise UserError("--data and --pairs exclude each other: give the folder of pairs alone")
    if given.get("noise", "pairs") != "pairs":
        raise UserError(
            f"--pairs has measured low doses, and --noise {given['noise']} would make others: "
            f"leave out --noise, or give the folder as --data, whose low doses are not used"
        )
    return {**given, "noise": "pairs"}


def with_recipe(given: dict[str, Any]) -> dict[str, Any]:
    """What was given, with what its recipe sets where no flag does."""
    return {**RECIPES[given["recipe"]], **given} if "recipe" in given else given


def has_gan(settings: Settings) -> bool:
    """Do these settings ask for a GAN stage?"""
    return settings.gan_share > 0 if settings.gan_steps is None else settings.gan_steps > 0


def record(settings: Settings) -> dict[str, Any]:
    """What a checkpoint keeps of the settings, as JSON values: no path, no patient."""
    kept = {}
    for name, setting in SETTINGS.items():
        if setting.recorded:
            value = getattr(settings, name)
            kept[name] = str(value) if isinstance(value, Levels) else value
    if kept["vgg_weights"] not in VGG_RECORDED:
        kept["vgg_weights"] = "file"
    return kept


def from_record(kept: dict[str, Any]) -> dict[str, Any]:
    """The inverse of `record`. Raises UserError for what this version does not know."""
    return {name: _value_of_record(name, value) for name, value in kept.items()}


def _value_of_record(name: str, value: Any) -> Any:
    if name not in SETTINGS or not SETTINGS[name].recorded:
        raise UserError(f"the checkpoint has a setting {name!r} that this version lacks")
    if name == "vgg_weights" and value not in VGG_RECORDED:
        # A path would be opened, and a checkpoint must not name files on this machine.
        raise UserError(f"the checkpoint's {name} is not one of {', '.join(VGG_RECORDED)}")
    default = SETTINGS[name].default
    if isinstance(default, bool) or value is None:
        if type(value) is not type(default):
            raise UserError(f"the checkpoint's {name} is {value!r}")
        return value
    try:
        return SETTINGS[name].kind.parse(str(value))
    except ValueError as error:
        raise UserError(f"the checkpoint's {name}: {error}") from error


def degradation_of(settings: Settings) -> "Degradation":
    """The dose model and the scale that these settings ask for."""
    from srgan.lowdose.degradation import Degradation  # NumPy, from here
    from srgan.lowdose.image_noise import ImageNoise
    from srgan.lowdose.projection_noise import ProjectionNoise
    from srgan.lowdose.real_pairs import RealPairs

    if settings.noise == "pairs":
        noise = RealPairs()
    elif settings.noise == "image":
        noise = ImageNoise(settings.noise_lambda, settings.noise_sigma)
    else:
        photons = None if settings.photons == "auto" else settings.photons
        names = [f.name for f in dataclasses.fields(Scanner)]
        scanner = Scanner(**{name: getattr(settings, name) for name in names})
        noise = ProjectionNoise(settings.dose, photons, settings.noise_hu, scanner)
    return Degradation(noise, settings.scale)


def dataset_paths(settings: Settings) -> "DatasetPaths":
    """The folders, tables and series that a dataset is built from. Raises UserError."""
    from srgan.dataset.scan_source import DatasetPaths  # NumPy and more, from here

    if settings.noise == "pairs" and settings.pairs is None:
        raise UserError(
            "the dose model is real pairs (--noise pairs): name their folder with --pairs DIR; a "
            "test in simulated noise takes --data DIR with --noise image or --noise projection"
        )
    names = [f.name for f in dataclasses.fields(DatasetPaths)]
    paths = {name: getattr(settings, name) for name in names} | {"pairs": False}
    if settings.pairs is not None:
        paths |= {"data": settings.pairs, "pairs": True}
    return DatasetPaths(**paths)
