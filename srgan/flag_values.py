"""What a setting's text may say: numbers in their bounds, choices, and noise levels.

Each function takes the text of the command line and returns a value, or raises ValueError with a
reason.
"""

import re
from pathlib import Path

from srgan.lowdose.levels import Levels

MOST_FOLDERS = 5  # each adds up to two rows, lines and pictures: more are no longer told apart


def number(kind, low, high, what):
    def parse(text: str):
        try:
            value = kind(text)
        except ValueError:
            raise ValueError(f"{text!r} is not {what}") from None
        if not low <= value <= high:
            raise ValueError(f"{text!r} is not {what}")
        return value

    return parse


def choice(*allowed):
    def parse(text: str):
        for value in allowed:
            if text == str(value):
                return value
        raise ValueError(f"{text!r} is none of {', '.join(map(str, allowed))}")

    return parse


def folders(text: str) -> tuple[Path, ...]:
    """`DIR` or `DIR,DIR`. Raises ValueError with a reason."""
    parts = text.split(",")
    if not all(parts) or len(parts) > MOST_FOLDERS:
        raise ValueError(f"{text!r} is not one to {MOST_FOLDERS} folders DIR,DIR")
    return tuple(map(Path, parts))


def dose_levels(text: str) -> Levels:
    levels = Levels.parse(text)
    if not 0 < levels.low <= levels.high <= 1:
        raise ValueError(f"{text!r} must lie above 0 and at most at 1, the scan's own dose")
    return levels


def photons(text: str) -> float | str:
    return text if text == "auto" else count_of_photons(text)


def lambda_levels(text: str) -> Levels:
    levels = Levels.parse(text)
    if levels.low <= 0:
        raise ValueError(f"{text!r} must be above 0 photons")
    return levels


def sigma_levels(text: str) -> Levels:
    levels = Levels.parse(text)
    if levels.high >= 1 or (levels.is_range and levels.low <= 0):
        raise ValueError(f"{text!r} must lie below 1, and a range above 0")
    return levels


def windows(text: str) -> dict[str, tuple[float, float]]:
    """`bone:-450:1050,fat:-200:0`: name to lowest and highest HU."""
    found = {}
    for part in text.split(","):
        name, *ends = part.split(":")
        if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_-]{0,15}", name):
            raise ValueError(
                f"{name!r} is no name of a window: a letter, then letters, digits, _ or -"
            )
        try:
            low, high = map(float, ends)
        except ValueError:
            raise ValueError(f"{part!r} is not NAME:LOW:HIGH, LOW and HIGH in HU") from None
        if not -1e5 <= low < high <= 1e5:
            raise ValueError(f"{part!r}: LOW must be below HIGH, both finite HU")
        if name in found:
            raise ValueError(f"{name} stands twice")
        found[name] = low, high
    return found


minutes = number(float, 0.01, 1e5, "a positive number of minutes")
count = number(int, 0, 10**9, "a whole number, 0 or more")
size = number(int, 8, 4096, "a whole number of pixels from 8 to 4096")
batch = number(int, 1, 4096, "a whole number from 1 to 4096")
share = number(float, 0.0, 0.95, "a share from 0 to 0.95")
count_of_photons = number(float, 1.0, 1e12, "auto or a number of photons from 1 to 1e12")
counts = number(float, 0.0, 1e6, "a number of counts from 0 to 1e6")
per_mm = number(float, 0.005, 0.1, "an attenuation from 0.005 to 0.1 per mm")
views = number(int, 16, 4096, "a whole number from 16 to 4096")
bowtie = number(float, 0.0, 1.0, "a number from 0 to 1")
cutoff = number(float, 0.05, 5.0, "a frequency from 0.05 to 5 per mm")
noise_hu = number(float, 0.1, 1000.0, "a noise from 0.1 to 1000 HU")
realisations = number(int, 1, 100, "a whole number from 1 to 100")
seed = number(int, 0, 2**63 - 1, "a whole number, 0 or more")
