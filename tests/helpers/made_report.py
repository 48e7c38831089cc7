"""A test's results that are made up: three slices of two patients, four methods."""

import dataclasses
import math

import numpy as np

from srgan.evaluation import study
from srgan.evaluation.level import Level, levels_of
from srgan.lowdose.degradation import Degradation
from srgan.lowdose.image_noise import ImageNoise
from srgan.lowdose.levels import Levels
from srgan.lowdose.projection_noise import ProjectionNoise, Scanner
from srgan.metrics.ttf import Discs, Ttf
from srgan.report.about import About

WINDOWS = ("full", "lung", "mediastinum")
METHODS = ("nearest", "bicubic", "srresnet", "srgan")
NOISE = Degradation(ImageNoise(Levels((1700.0,)), Levels((0.005,))), 4)
CHECKPOINT = {"step": 7, "score": math.nan, "synthetic": True}
ABOUT = About(NOISE, "random", True, {"scale": 4}, CHECKPOINT)
PHOTONS = {"source": "matched", "median": 5e5, "low": 4e5, "high": 6e5, "sd_hu": 11.5}


def metrics(value, part="whole"):
    """Metrics of one value each, with infinite PSNR in the full window."""
    made = {
        "psnr_db": {"full": math.inf, "lung": value, "mediastinum": value},
        "ssim": dict.fromkeys(WINDOWS, value / 100),
        "rmse_hu": value,
        "mae_hu": value,
        "bias_hu": -value,
    }
    if part == "whole":
        made |= {"psnr_body_db": dict.fromkeys(WINDOWS), "lung_texture_sd_hu": None}
    return made


def made_study() -> study.Study:
    def row(pseudonym, number, part, method, value):
        corner = (4, 8) if part == "patch" else (0, 0)
        return study.Row(pseudonym, number, part, corner, method, metrics(value, part))

    rows = [
        row(name, number, part, method, 10.0 + number + bonus)
        for name, number in (("P0001", 1), ("P0001", 2), ("P0002", 1))
        for bonus, method in enumerate(METHODS)
        for part in ("whole", "patch")
    ]
    sds = {("P0001", 1): 30.0, ("P0001", 2): None, ("P0002", 1): 20.0}
    texture = {key: {"lung_texture_sd_hu": sd, "flat_sd_hu": sd} for key, sd in sds.items()}
    noise = {key: {"noise_lambda": 1700.0, "noise_sigma": 0.005} for key in texture}
    return study.Study(METHODS, tuple(rows), texture, noise)


def level_of(made: study.Study) -> Level:
    return levels_of([(NOISE, made)])[0]


def made_level() -> Level:
    return level_of(made_study())


def with_discs() -> Level:
    """The same with a TTF of each method that falls to a half at 0.1 to 0.5 /mm."""
    f = np.linspace(0, 1, 11)
    ends = dict(zip((*METHODS, study.NORMAL_DOSE), f[1:], strict=False))
    ttf = {name: Ttf(f, np.clip(1 - f / (2 * end), 0, 1)) for name, end in ends.items()}
    return level_of(dataclasses.replace(made_study(), discs=Discs(ttf, 300.0, 13.7, 10, 0.7)))


def two_doses() -> list[Level]:
    """The same metrics at two doses, with noise in the projections."""
    studies = []
    for dose in (0.5, 0.25):
        noise = ProjectionNoise(Levels((dose,)), None, None, Scanner())
        made = made_study()
        of_slices = {
            key: {"dose": dose, "photons": 5e5, "full_dose_sd_hu": None} for key in made.normal_dose
        }
        studies.append((Degradation(noise, 4), dataclasses.replace(made, noise=of_slices)))
    return levels_of(studies)


def of_doses() -> About:
    noise = ProjectionNoise(Levels((0.5, 0.25)), None, None, Scanner())
    return dataclasses.replace(ABOUT, degradation=Degradation(noise, 4), photons=PHOTONS)
