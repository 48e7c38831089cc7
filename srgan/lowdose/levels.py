"""Noise levels: one value, a range that is drawn from, or a list."""

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Levels:
    """Noise levels: one value, a range drawn from (log-uniform), or a list that is tabulated."""

    values: tuple[float, ...]
    is_range: bool = False

    @classmethod
    def parse(cls, text: str) -> "Levels":
        """`1700`, `500:5000` or `500,1700`. Raises ValueError with a reason."""
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

    def each(self) -> "list[Levels]":
        """One value at a time of a list; a range stays whole."""
        return [self] if self.is_range else [Levels((value,)) for value in self.values]

    def __str__(self) -> str:
        return (":" if self.is_range else ",").join(f"{v:g}" for v in self.values)
