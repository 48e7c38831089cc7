"""Every setting once: name, default, unit, help, and the runs it belongs to.

The command line, `--help` and the record in a checkpoint all come from this table.
"""

import argparse
import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from srgan import flag_values as values
from srgan.dataset.scan_source import DatasetPaths
from srgan.lowdose.degradation import Degradation, ProjectionNoise
from srgan.lowdose.image_noise import ImageNoise
from srgan.lowdose.levels import Levels
from srgan.lowdose.scanner import Scanner
from srgan.system.errors import UserError
from srgan.system.files import read_bounded

RUNS = ("train", "test", "simulate")
JUDGED = ("train", "test")  # the runs that have a store and a checkpoint


def _setting(default, parse, help, runs=RUNS, unit="", record=True, resume=False):
    """record: goes into a checkpoint. resume: may differ when a run is continued."""
    told = {"parse": parse, "help": help, "runs": runs, "unit": unit}
    return dataclasses.field(default=default, metadata={**told, "record": record, "resume": resume})


@dataclass(frozen=True)
class Settings:
    """All settings of one call; the field's name is the flag's, with - for _."""

    data: Path = _setting(
        Path("data"), Path, "folder with scans: LUNA16, DICOM, or both", JUDGED, record=False
    )
    split: Path | None = _setting(
        None, Path, "CSV patient_id,role (train, validation, test)", JUDGED, record=False
    )
    patients: Path | None = _setting(
        None, Path, "CSV series_uid,patient_id for scans without a patient", JUDGED, record=False
    )
    train_minutes: float = _setting(
        20.0, values.minutes, "budget of both stages", ("train",), "minutes", resume=False
    )
    pretrain_steps: int | None = _setting(
        None, values.count,
        "steps on pixels, instead of minutes; with --gan-steps; 0 and 0: store only",
        ("train",), "steps",
    )  # fmt: skip
    gan_steps: int | None = _setting(
        None, values.count, "steps of the GAN, instead of minutes", ("train",), "steps"
    )
    gan_share: float = _setting(
        0.4, values.share, "share of the minutes for the GAN; 0: SRResNet alone", ("train",)
    )
    batch_size: int = _setting(16, values.batch, "patches a step", ("train",), "patches")
    crop: int = _setting(64, values.size, "normal-dose patch, square", ("train",), "pixels")
    scale: int = _setting(4, values.choice(1, 2, 4), "enlargement: 1, 2 or 4", ("train",))
    noise: str = _setting(
        "image", values.choice("image", "projection"),
        "dose model: image (Poisson + Gaussian on the slice) or projection (docs/dose.md)", JUDGED,
    )  # fmt: skip
    noise_lambda: Levels = _setting(
        Levels((500.0, 5000.0), True), values.lambda_levels,
        "image noise: photons at full scale; A:B is drawn log-uniform; test: geometric middle of "
        "the training's, or a list A,B", JUDGED, unit="photons",
    )  # fmt: skip
    noise_sigma: Levels = _setting(
        Levels((0.002, 0.01), True), values.sigma_levels,
        "image noise: SD of the Gaussian part; A:B is drawn log-uniform; test: geometric middle, "
        "or a list A,B", JUDGED, unit="of 4095 HU",
    )  # fmt: skip
    dose: Levels = _setting(
        Levels((0.1, 0.5), True), values.dose_levels,
        "projection noise: fraction of the scan's own dose; A:B is drawn log-uniform; test: "
        "geometric middle, or a list A,B; simulate: one value", unit="of the scan's dose",
    )  # fmt: skip
    photons: float | str = _setting(
        "auto", values.photons,
        "projection noise: of a reading at 360 views and 0.70 mm at full dose; auto: matched to "
        "the noise of the slices",
    )  # fmt: skip
    noise_hu: float | None = _setting(
        None, values.noise_hu,
        "projection noise: instead of photons, SD in HU of soft tissue at full dose; simulate "
        "without --input: of a 30 cm water cylinder, prints the photons",
    )  # fmt: skip
    electronic_noise: float = _setting(
        Scanner.electronic_noise,
        values.counts,
        "projection noise: SD of a reading at 360 views and 0.70 mm",
        unit="counts",
    )
    mu_water: float = _setting(
        Scanner.mu_water, values.per_mm, "projection noise: attenuation of water", unit="1/mm"
    )
    views: int = _setting(
        Scanner.views, values.views, "projection noise: of the modelled scanner over 180 degrees"
    )
    bowtie: float = _setting(
        Scanner.bowtie,
        values.bowtie,
        "projection noise: filter before the patient, 0 none to 1 flat water",
    )
    filter_cutoff: float = _setting(
        Scanner.filter_cutoff,
        values.cutoff,
        "projection noise: zero of the reconstruction's Hann window",
        unit="1/mm",
    )
    realisations: int = _setting(
        1,
        values.realisations,
        "projection noise: realisations of each training slice in the store",
        ("train",),
    )
    generator: str = _setting(
        "fast",
        values.choice("fast", "paper"),
        "network: fast or paper (Ledig et al. 2017)",
        ("train",),
    )
    content_loss: str = _setting(
        "vgg54", values.choice("vgg54", "vgg22", "pixel"), "content loss: vgg54, vgg22 or pixel",
        ("train",),
    )  # fmt: skip
    vgg_weights: str = _setting(
        "auto", str, "auto, imagenet, random, none, or the path of a VGG19 .h5; test: for the VGG "
        "distance, which random ones have not", JUDGED,
    )  # fmt: skip
    store_dir: Path = _setting(
        Path("store"), Path, "where the chosen slices are kept", JUDGED, record=False, resume=True
    )
    precision: str = _setting(
        "auto", values.choice("auto", "float32", "bfloat16", "float16"),
        "of the networks: auto, float32, bfloat16 or float16", JUDGED, resume=True,
    )  # fmt: skip
    seed: int = _setting(0, values.seed, "of everything that is drawn: weights, patches, noise")
    deterministic: bool = _setting(
        False, bool, "equal runs give equal bits on one machine (on CPU they do anyway)",
        ("train",),
    )  # fmt: skip
    fresh: bool = _setting(
        False, bool, "set the old run aside and start anew", ("train",), record=False, resume=True
    )
    train_dir: Path = _setting(
        Path("train"), Path, "grids and log.csv", ("train",), record=False, resume=True
    )
    checkpoint_dir: Path = _setting(
        Path("checkpoint"), Path, "checkpoints", JUDGED, record=False, resume=True
    )
    compare: tuple[Path, ...] | None = _setting(
        None, values.folders, "more checkpoint folders to judge beside the main one, A,B: at most "
        f"{values.MOST_FOLDERS}", ("test",), record=False,
    )  # fmt: skip
    report_dir: Path = _setting(
        Path("report"), Path, "table, csv, json, pictures", ("test",), record=False, resume=True
    )
    window: dict | None = _setting(
        None, values.windows, "more windows for PSNR and SSIM: NAME:LOW:HIGH[,NAME:LOW:HIGH] in HU",
        ("test",), record=False, resume=True,
    )  # fmt: skip
    input: Path | None = _setting(
        None, Path, "the scan: a folder with one DICOM series, or a MetaImage header",
        ("simulate",), record=False,
    )  # fmt: skip
    output: Path | None = _setting(
        None, Path, "new folder for the low-dose copy of the scan", ("simulate",), record=False
    )


VGG_RECORDED = ("auto", "imagenet", "random", "none", "file")  # a path is "file"
NOISE_SETTINGS = {
    "image": ("noise_lambda", "noise_sigma"),
    "projection": (
        "dose", "photons", "noise_hu", "electronic_noise", "mu_water", "views", "bowtie",
        "filter_cutoff", "realisations",
    ),
}  # fmt: skip


def fields(run: str | None = None):
    """The settings of one run (or all), in order, as dataclass fields."""
    return [f for f in dataclasses.fields(Settings) if run is None or run in f.metadata["runs"]]


def flag(name: str) -> str:
    return "--" + name.replace("_", "-")


class _Parser(argparse.ArgumentParser):
    def error(self, message):
        raise UserError(f"{message}. See --help.")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="main.py",
        allow_abbrev=False,
        description="SRGAN for low-dose chest CT: train on normal-dose scans, judge on held-out "
        "patients. @FILE reads arguments from a file, one a line.",
        epilog="A noise level or dose A:B is a range that is drawn from. Exit codes: 0 done, 2 "
        "input, 3 diverged, 75 try again later, 130 and 143 stopped by a signal. Research use "
        "only, not a medical device.",
    )
    parser.add_argument("--run", required=True, metavar="|".join(RUNS), help="what to do")
    for f in fields():
        meta = f.metadata
        shown = "none" if f.default is None else f.default
        unit = f" {meta['unit']}" if meta["unit"] and f.default is not None else ""
        runs = "" if meta["runs"] == RUNS else f"; {', '.join(meta['runs'])} only"
        if f.type is bool or f.default is False:
            text = f"{meta['help']} (default: no{runs})"
            parser.add_argument(flag(f.name), action="store_const", const=True, help=text)
        else:
            text = f"{meta['help']} (default: {shown}{unit}{runs})".replace("%", "%%")
            name = f.name.upper().rsplit("_", 1)[-1]
            parser.add_argument(flag(f.name), metavar=name, help=text)
    return parser


def _from_file(argument: str) -> list[str]:
    """The lines of @FILE that are not empty; any other argument as it is."""
    if not argument.startswith("@"):
        return [argument]
    try:
        lines = read_bounded(Path(argument[1:]), 1 << 20).decode("utf-8-sig").splitlines()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it is no text in UTF-8"
        raise UserError(f"cannot read {argument[1:]}: {reason}") from None
    if any(line.startswith("@") for line in lines):
        raise UserError(f"{argument[1:]}: a file of arguments cannot name another one")
    return [line for line in lines if line.strip()]


def parse(arguments: list[str]) -> tuple[str, dict[str, Any]]:
    """Arguments to (run, the settings given on the command line). Raises UserError."""
    arguments = [a for given in arguments for a in _from_file(given)]
    if any("\0" in argument for argument in arguments):
        raise UserError("an argument holds a NUL character")
    given = vars(_parser().parse_args(arguments))
    run = given.pop("run")
    if run not in RUNS:
        raise UserError(f"--run {run}: there is {', '.join(RUNS)}")
    found = {}
    for f in fields():
        text = given[f.name]
        if text is None:
            continue
        if run not in f.metadata["runs"]:
            raise UserError(f"{flag(f.name)} does not belong to --run {run}")
        try:
            found[f.name] = text if text is True else f.metadata["parse"](text)
        except ValueError as error:
            raise UserError(f"{flag(f.name)}: {error}") from error
    dose = found.get("dose")
    if run == "train" and dose is not None and not dose.is_range and len(dose.values) > 1:
        raise UserError("--dose: a list is for --run test; give one value or a range LOW:HIGH")
    return run, found


def make(given: dict[str, Any], recorded: dict[str, Any] | None = None) -> Settings:
    """Defaults, then a checkpoint's record, then what was given. Raises UserError."""
    settings = Settings(**{**(recorded or {}), **given})
    if (settings.pretrain_steps is None) != (settings.gan_steps is None):
        raise UserError("--pretrain-steps and --gan-steps go together")
    for model, names in NOISE_SETTINGS.items():
        wrong = [name for name in names if name in given and model != settings.noise]
        if wrong:
            raise UserError(
                f"{flag(wrong[0])} belongs to --noise {model}; this is --noise {settings.noise}"
            )
    if settings.noise_hu is not None and settings.photons != "auto":
        raise UserError("--photons and --noise-hu exclude each other: one follows from the other")
    if settings.crop % settings.scale:
        raise UserError(f"--crop {settings.crop} is not a multiple of --scale {settings.scale}")
    return settings


def record(settings: Settings) -> dict[str, Any]:
    """What a checkpoint keeps of the settings, as JSON values: no path, no patient."""
    kept = {}
    for f in fields():
        value = getattr(settings, f.name)
        if f.metadata["record"]:
            kept[f.name] = str(value) if isinstance(value, Levels) else value
    if kept["vgg_weights"] not in VGG_RECORDED:
        kept["vgg_weights"] = "file"
    return kept


def from_record(kept: dict[str, Any]) -> dict[str, Any]:
    """The inverse of `record`. Raises UserError for what this version does not know."""
    by_name = {f.name: f for f in fields()}
    found = {}
    for name, value in kept.items():
        if name not in by_name or not by_name[name].metadata["record"]:
            raise UserError(f"the checkpoint has a setting {name!r} that this version lacks")
        default = by_name[name].default
        if name == "vgg_weights" and value not in VGG_RECORDED:
            # A path in it would be opened: a checkpoint must not name files on this machine.
            raise UserError(f"the checkpoint's {name} is none of {', '.join(VGG_RECORDED)}")
        if isinstance(default, bool) or value is None:
            if type(value) is not type(default):
                raise UserError(f"the checkpoint's {name} is {value!r}")
        else:
            try:
                value = by_name[name].metadata["parse"](str(value))
            except ValueError as error:
                raise UserError(f"the checkpoint's {name}: {error}") from error
        found[name] = value
    return found


def degradation_of(settings: Settings) -> Degradation:
    """The dose model and the scale that these settings ask for."""
    if settings.noise == "image":
        noise = ImageNoise(settings.noise_lambda, settings.noise_sigma)
    else:
        photons = None if settings.photons == "auto" else settings.photons
        names = [f.name for f in dataclasses.fields(Scanner)]
        scanner = Scanner(**{name: getattr(settings, name) for name in names})
        noise = ProjectionNoise(settings.dose, photons, settings.noise_hu, scanner)
    return Degradation(noise, settings.scale)


def dataset_paths(settings: Settings) -> DatasetPaths:
    """The folders and tables that a dataset is built from."""
    return DatasetPaths(settings.data, settings.store_dir, settings.split, settings.patients)
