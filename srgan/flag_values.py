"""The kinds of value that a flag takes: how --help shows one, and how its text is read."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from srgan.lowdose.levels import Levels

MOST_FOLDERS = 5  # more checkpoints would be hard to tell apart in tables and pictures
MOST_DEVICES = 1024  # of one machine
MOST_STRENGTHS = 11  # 0,0.1 and so on to 1
WINDOW_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,15}")


@dataclass(frozen=True)
class Kind:
    """metavar: stands for the value in --help. parse: text to value, or ValueError with a reason"""

    metavar: str
    parse: Callable[[str], Any]


def number(convert: type, low: float, high: float, what: str, metavar: str = "N") -> Kind:
    """An int or float from low to high. what: completes "X is not ..."."""

    def parse(text: str) -> float:
        try:
            value = convert(text)
        except ValueError:
            raise ValueError(f"{text!r} is not {what}") from None
        if not low <= value <= high:
            raise ValueError(f"{text!r} is not {what}")
        return value

    return Kind(metavar, parse)


def choice(*allowed: str | int) -> Kind:
    """One of a few values."""

    def parse(text: str) -> str | int:
        for value in allowed:
            if text == str(value):
                return value
        raise ValueError(f"{text!r} is not one of {', '.join(map(str, allowed))}")

    return Kind("{" + ",".join(map(str, allowed)) + "}", parse)


def _folders(text: str) -> tuple[Path, ...]:
    parts = text.split(",")
    if not all(parts) or len(parts) > MOST_FOLDERS:
        raise ValueError(f"{text!r} is not one to {MOST_FOLDERS} folders DIR,DIR")
    return tuple(map(Path, parts))


def _devices(text: str) -> str:
    """`all`, a number, or `cpu:` and a number, as it stands."""
    number = re.fullmatch(r"(?:cpu:)?(\d+)", text)
    if text != "all" and not (number and 1 <= int(number[1]) <= MOST_DEVICES):
        raise ValueError(
            f"{text!r} is not all, a number of devices from 1 to {MOST_DEVICES}, or cpu:N"
        )
    return text


def _photons(text: str) -> float | str:
    return text if text == "auto" else _number_of_photons.parse(text)


def _tile(text: str) -> int | str:
    return text if text == "auto" else _pixels_of_tile.parse(text)


def _lambda_levels(text: str) -> Levels:
    levels = Levels.parse(text)
    if levels.low <= 0:
        raise ValueError(f"{text!r} must be above 0 photons")
    return levels


def _sigma_levels(text: str) -> Levels:
    levels = Levels.parse(text)
    if levels.high >= 1 or (levels.is_range and levels.low <= 0):
        raise ValueError(f"{text!r} must be below 1, and a range must start above 0")
    return levels


def _dose_levels(text: str) -> Levels:
    levels = Levels.parse(text)
    if not 0 < levels.low <= levels.high <= 1:
        raise ValueError(f"{text!r} must be greater than 0 and at most 1, the dose of the scan")
    return levels


def _series_filter(text: str) -> str:
    """TEXT or !TEXT without blanks around TEXT."""
    sign = "!" if text.strip().startswith("!") else ""
    text = text.strip().removeprefix("!").strip()
    if not text:
        raise ValueError("it is empty; give a part of a SeriesDescription or kernel")
    return sign + text


def _windows(text: str) -> dict[str, tuple[float, float]]:
    """`bone:-450:1050,fat:-200:0`: name to lowest and highest HU."""
    found = {}
    for part in text.split(","):
        name, *ends = part.split(":")
        if not WINDOW_NAME.fullmatch(name):
            raise ValueError(
                f"{name!r} cannot name a window: use a letter, then letters, digits, _ or -"
            )
        try:
            low, high = map(float, ends)
        except ValueError:
            raise ValueError(f"{part!r} is not NAME:LOW:HIGH, LOW and HIGH in HU") from None
        if not -1e5 <= low < high <= 1e5:
            raise ValueError(f"{part!r}: LOW must be below HIGH, both finite HU")
        if name in found:
            raise ValueError(f"the window {name} is given twice")
        found[name] = low, high
    return found


def _strengths(text: str) -> tuple[float, ...]:
    """`0,0.5,1`, as an ascending tuple."""
    found = sorted(strength.parse(part) for part in text.split(","))
    if len(set(found)) < len(found):
        raise ValueError(f"{text!r} names a strength twice")
    if len(found) > MOST_STRENGTHS:
        raise ValueError(f"{text!r} has more than {MOST_STRENGTHS} strengths")
    return tuple(found)


def _strength(text: str) -> float:
    value = _number_of_strength.parse(text)
    if round(value, 3) != value:  # it names a row of tables
        raise ValueError(f"{text!r} has more than three decimals")
    return value


switch = Kind("", bool)  # a flag without a value
folder = Kind("DIR", Path)
folders = Kind("DIR,DIR", _folders)
csv_file = Kind("CSV", Path)
series_filter = Kind("TEXT", _series_filter)
scan = Kind("SCAN", Path)
series = Kind("UID", str.strip)
vgg_weights = Kind("{auto,imagenet,random,none,FILE}", str)
windows = Kind("NAME:LOW:HIGH,...", _windows)

minutes = number(float, 0.01, 1e5, "a positive number of minutes", "MINUTES")
steps = number(int, 0, 10**9, "a whole number, 0 or more")
share = number(float, 0.0, 0.95, "a share from 0 to 0.95", "SHARE")
rate = number(float, 1e-3, 1e3, "a factor from 0.001 to 1000", "FACTOR")
batch = number(int, 1, 4096, "a whole number from 1 to 4096")
pixels = number(int, 8, 4096, "a whole number of pixels from 8 to 4096")
_pixels_of_tile = number(int, 8, 65536, "auto or a whole number of pixels from 8 to 65536")
tile = Kind("N|auto", _tile)
_number_of_strength = number(float, 0.0, 1.0, "a strength from 0 to 1")
strength = Kind("STRENGTH", _strength)
strengths = Kind("STRENGTH,...", _strengths)
devices = Kind("{N,all,cpu:N}", _devices)
seed = number(int, 0, 2**63 - 1, "a whole number, 0 or more")

lambda_levels = Kind("LEVELS", _lambda_levels)
sigma_levels = Kind("LEVELS", _sigma_levels)
dose_levels = Kind("DOSE", _dose_levels)
_number_of_photons = number(float, 1.0, 1e12, "auto or a number of photons from 1 to 1e12")
photons = Kind("N|auto", _photons)
noise_hu = number(float, 0.1, 1000.0, "a noise from 0.1 to 1000 HU", "HU")
counts = number(float, 0.0, 1e6, "a number of counts from 0 to 1e6")
per_mm = number(float, 0.005, 0.1, "an attenuation from 0.005 to 0.1 per mm", "MU")
views = number(int, 16, 4096, "a whole number from 16 to 4096")
bowtie = number(float, 0.0, 1.0, "a number from 0 to 1", "SHARE")
cutoff = number(float, 0.05, 5.0, "a frequency from 0.05 to 5 per mm", "FREQUENCY")
realisations = number(int, 1, 100, "a whole number from 1 to 100")
