"""Noise levels: one value, a range to sample from, or a list of values to compare."""

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Levels:
    """The levels of one kind of noise, such as the dose or the photons at full scale."""

    values: tuple[float, ...]
    is_range: bool = False  # values are then its two ends

    @classmethod
    def parse(cls, text: str) -> "Levels":
        """Read `1700`, `500:5000` or `500,1700`. Raises ValueError with a reason."""
        separator = ":" if ":" in text else ","
        try:
            values = tuple(float(part) for part in text.split(separator))
        except ValueError:
            raise ValueError(f"{text!r} is not a number, a range LOW:HIGH or a list A,B") from None
        if not all(math.isfinite(v) and v >= 0 for v in values):
            raise ValueError(f"{text!r} must be finite and not negative")
        if separator == ":" and (len(values) != 2 or values[0] > values[1]):
            raise ValueError(f"the range {text!r} is upside down; write LOW:HIGH")
        return cls(values, separator == ":" and values[0] < values[-1])

    @property
    def low(self) -> float:
        return min(self.values)

    @property
    def high(self) -> float:
        return max(self.values)

    @property
    def middle(self) -> float:
        """The geometric middle of a range, or its only value."""
        return math.sqrt(self.low * self.high)

    @property
    def only(self) -> float:
        """The value of a single level. Raises ValueError for a range or a list."""
        if len(self.values) != 1:
            raise ValueError(f"the noise level {self} is not one level")
        return self.values[0]

    def each(self) -> "list[Levels]":
        """One single level for each value of a list; a range stays whole."""
        return [self] if self.is_range else [Levels((value,)) for value in self.values]

    def sample(self, n: int, rng):
        """n values, (n, 1, 1) float64: log-uniform from a range, uniform from a list.

        rng: a numpy.random.Generator; a single value takes no random number from it.
        """
        import numpy as np  # here, because --help reads this file and is quick without NumPy

        if self.is_range:
            return np.exp(rng.uniform(np.log(self.low), np.log(self.high), (n, 1, 1)))
        return rng.choice(np.array(self.values), (n, 1, 1))

    def __str__(self) -> str:
        return (":" if self.is_range else ",").join(f"{v:g}" for v in self.values)
