"""Noise levels of a test: the one that a slice has, and what a level is called."""

from collections.abc import Sequence
from dataclasses import fields, replace

import numpy as np

from srgan.lowdose.degradation import Degradation
from srgan.lowdose.image_noise import draw
from srgan.lowdose.levels import Levels

AXES = {  # of plots against a level
    "dose": "dose, fraction of the full dose",
    "noise_lambda": "lambda, photons at full scale",
    "noise_sigma": "sigma, fraction of 4095 HU",
}


def levels_of(degradation: Degradation) -> dict[str, Levels]:
    """The noise's levels by field name: "dose", or "noise_lambda" and "noise_sigma"."""
    noise = degradation.noise
    named = {field.name: getattr(noise, field.name) for field in fields(noise)}
    return {name: value for name, value in named.items() if isinstance(value, Levels)}


def drawn(degradation: Degradation, rng: np.random.Generator) -> Degradation:
    """The same with one level of each kind; one that is fixed already takes no random number."""
    chosen = {
        name: Levels((draw(levels, 1, rng).item(),))
        for name, levels in levels_of(degradation).items()
        if len(levels.values) > 1
    }
    return replace(degradation, noise=replace(degradation.noise, **chosen))


def differing(degradations: Sequence[Degradation]) -> list[str]:
    """Names of the kinds of level in which these differ; all kinds where none does."""
    first, *others = [levels_of(degradation) for degradation in degradations]
    return [n for n in first if any(each[n] != first[n] for each in others)] or list(first)


def short(name: str) -> str:
    """What a field is called beside its value: dose, lambda, sigma."""
    return name.removeprefix("noise_")


def tag(degradation: Degradation, names: list[str]) -> str:
    """A level for a file's name: dose0.25, or lambda1700-sigma0.005."""
    levels = levels_of(degradation)
    return "-".join(f"{short(name)}{levels[name]}" for name in names)


def called(degradations: Sequence[Degradation]) -> list[str]:
    """What tells each of several levels from the others: "dose 0.25"; of one alone nothing."""
    if len(degradations) < 2:
        return ["" for _ in degradations]
    names = differing(degradations)
    return [
        ", ".join(f"{short(name)} {levels_of(each)[name]}" for name in names)
        for each in degradations
    ]


def column(degradation: Degradation, names: list[str]) -> str:
    """A level for a table's head: 0.25, or 1700/0.005."""
    levels = levels_of(degradation)
    return "/".join(str(levels[name]) for name in names)
