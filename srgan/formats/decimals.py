"""Numbers in the text of a header, with a decimal point or, where that is plain, a comma."""

import math
import re
from collections.abc import Iterable

MAX_DIGITS = 300  # of a whole number that float holds
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", re.ASCII | re.IGNORECASE)
WITH_COMMA = re.compile(r"[+-]?\d*,\d+(e[+-]?\d+)?", re.ASCII | re.IGNORECASE)
THOUSANDS = re.compile(r"[+-]?[1-9]\d{0,2}[.,]\d{3}", re.ASCII)  # or three decimals


def decimal_comma(words: Iterable[str]) -> bool:
    """Is the comma decimal in the header that these numbers are from?

    It is where one of them has a comma that can part no thousands, as in 0,7 or 2,5 or 1024,125.
    """
    return any(WITH_COMMA.fullmatch(w) and not THOUSANDS.fullmatch(w) for w in words)


def to_number(word: str, comma: bool = False) -> int | float:
    """A number, int where it is written as one; NaN for what is none or can be read in two ways.

    comma: what `decimal_comma` says of the whole header. Without it 1,024 is no number. With it
    1.024 is none: it may be a thousand. More digits than float takes are infinite.
    """
    if comma and THOUSANDS.fullmatch(word) and "." in word:
        return math.nan
    if comma and WITH_COMMA.fullmatch(word):
        word = word.replace(",", ".")
    match = NUMBER.fullmatch(word)
    if not match:
        return math.nan
    if len(word) > MAX_DIGITS:
        return float(word)
    try:
        return int(word)
    except ValueError:  # a fraction or an exponent
        return float(word)
