"""Decimal commas: read where a header makes them plain, never guessed."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from srgan.formats.decimals import decimal_comma, to_number


@pytest.mark.parametrize("word", ["0,7", "-0,703", "0,125", "12,5", "1,2500", ",5", "1024,125"])
def test_a_comma_that_parts_no_thousands_is_decimal(word):
    assert decimal_comma(["512", word, "1,024"])
    assert to_number(word, comma=True) == float(word.replace(",", "."))


@pytest.mark.parametrize(
    "words", [[], ["1.5"], ["1,024"], ["-100,000"], ["1,024,512"], ["1,"], ["0,7x"], ["1,024.5"]]
)
def test_other_commas_are_not_taken_for_decimal(words):
    assert not decimal_comma(words)


def test_a_comma_is_decimal_in_the_whole_header_or_nowhere():
    assert to_number("1,024", comma=True) == 1.024
    assert math.isnan(to_number("1,024"))
    assert math.isnan(to_number("0,7"))


def test_a_point_that_may_part_thousands_beside_a_decimal_comma_is_no_number():
    assert math.isnan(to_number("-1.024", comma=True))
    assert math.isnan(to_number("1.024,5", comma=True))
    assert to_number("-42.25", comma=True) == -42.25
    assert to_number("0.703", comma=True) == 0.703
    assert to_number("-1.024") == -1.024


@pytest.mark.parametrize("word", ["", "nan", "inf", "1_0", "²", "٣", "0x10", "--1", "1 2", "e5"])
@pytest.mark.parametrize("comma", [False, True])
def test_what_is_no_plain_number_is_nan(word, comma):
    assert math.isnan(to_number(word, comma))


def test_whole_numbers_stay_whole():
    assert isinstance(to_number("512"), int)
    assert isinstance(to_number("512.0"), float)
    assert to_number("9" * 5000) == math.inf


@given(st.floats(allow_nan=False, allow_infinity=False), st.sampled_from([",", "."]))
def test_a_number_reads_back(value, mark):
    word = repr(value).replace(".", mark)
    if not math.isnan(number := to_number(word, comma=decimal_comma([word]))):
        assert number == value
    else:
        assert len(word.lstrip("-").partition(",")[2]) == 3
