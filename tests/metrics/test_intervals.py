import itertools
import math

import numpy as np
import pytest
from scipy import stats

from srgan.metrics import intervals
from srgan.metrics.intervals import compare, interval

STUDIES = 4000


def coverage(draw, truth, patients):
    """The share of simulated studies whose interval holds the true mean."""
    found = map(interval, draw(np.random.default_rng(patients), (STUDIES, patients)))
    return np.mean([i.low <= truth <= i.high for i in found])


@pytest.mark.parametrize("patients", [10, 20, 40])
def test_interval_covers_the_true_mean_of_normal_values(patients):
    # Binomial SD 0.34 %: the bar, 1.5 % either way, is 4.4 of them. Seen: 94.6, 94.9, 94.9 %.
    found = coverage(lambda rng, size: rng.normal(-2, 3, size), -2, patients)
    assert 0.935 <= found <= 0.965


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("patients", [10, 20, 40])
def test_interval_covers_the_true_mean_of_skewed_values(patients, sign):
    # Student's t has 92.0 % at ten; seen here: 93.7, 94.3, 94.5 %.
    found = coverage(
        lambda rng, size: sign * rng.lognormal(0, 0.5, size), sign * math.exp(0.125), patients
    )
    assert found >= 0.93  # the bar is 91 %; the binomial SD 0.38 %


def test_interval_of_symmetric_values_is_students():
    values = 30 + np.array([-5, -3, -2, -1, -0.5, 0, 0.5, 1, 2, 3, 5])
    found = interval(list(values))
    assert (found.mean, found.n, found.why) == (30, 11, "")
    assert found.sd == pytest.approx(values.std(ddof=1))
    expected = stats.t.interval(0.95, 10, 30, stats.sem(values))
    assert (found.low, found.high) == pytest.approx(expected, abs=1e-9)


def test_interval_ends_solve_halls_equation():
    values = np.random.default_rng(3).gamma(2, size=15)
    n, skewness = 15, stats.skew(values, bias=False)
    found = interval(list(values))
    t = (values.mean() - np.array([found.high, found.low])) / stats.sem(values)
    s = skewness / math.sqrt(n)
    expected = stats.t.ppf([0.025, 0.975], n - 1)
    assert t + s * t**2 / 3 + s**2 * t**3 / 27 + s / 6 == pytest.approx(expected, abs=1e-9)


def test_interval_with_one_outlier_is_finite():
    found = interval([0.0] * 19 + [1.0])
    assert found.low < found.mean < found.high < 1


@pytest.mark.parametrize("patients", [10, 12, 40])
@pytest.mark.parametrize("raised", [1, 2, 5])
def test_interval_of_counts_that_are_mostly_zero_is_finite(patients, raised):
    """Spots, say; and against a method that has none, p is that of the few that differ."""
    values = [0.0] * (patients - raised) + [0.5 * (i + 1) for i in range(raised)]
    found = interval(values)
    assert found.low < found.mean < found.high < max(values) + 1
    assert found.why == ""
    compared = compare(values, [0.0] * patients)
    assert compared.difference == found
    assert compared.p is None
    assert compared.why.startswith(f"patients that differ: {raised}")


@pytest.mark.parametrize("value", [0.0, 0.1, -3e-17, 1e9])
def test_interval_and_p_of_equal_values_are_missing_with_a_reason(value):
    found = interval([value] * 12)
    assert (found.mean, found.sd, found.low) == (pytest.approx(value), 0.0, None)
    assert found.why == "equal in all 12 patients"
    compared = compare([value] * 12, [value] * 12)
    assert compared.difference.why == "equal in all 12 patients"
    assert (compared.p, compared.why[:23]) == (None, "patients that differ: 0")


def test_interval_of_nearly_equal_values_does_not_fail():
    """What is equal but for the last bit has an interval of that size."""
    values = [0.1 + 0.2] * 6 + [0.3] * 6
    found = interval(values)
    assert found.high - found.low < 1e-15
    assert found.low <= found.mean <= found.high


@pytest.mark.parametrize(
    ("values", "mean", "sd", "n", "why"),
    [
        ([], None, None, 0, "measured in no patient"),
        ([None] * 12, None, None, 0, "measured in no patient"),
        ([4.0, None], 4.0, None, 1, "patients: 1; below 10"),
        ([1.0, 3.0] * 4 + [2.0, None, None], 2.0, 1.0, 9, "patients: 9; below 10"),
        ([1.0] * 11 + [math.inf, None], math.inf, None, 12, "infinite in 1 of 12 patients"),
        ([1.0] * 11 + [-math.inf], -math.inf, None, 12, "infinite in 1 of 12 patients"),
    ],
)
def test_interval_that_is_missing_says_why(values, mean, sd, n, why):
    found = interval(values)
    assert (found.mean, found.sd, found.n) == (mean, sd, n)
    assert found.low is found.high is None
    assert found.why.startswith(why)


def test_interval_refuses_nan():
    with pytest.raises(ValueError, match="NaN"):
        interval([1.0] * 10 + [math.nan])
    with pytest.raises(ValueError, match="NaN"):
        compare([1.0] * 10, [math.nan] * 10)


def exact_p(differences):
    """Over all signs: how often the signed ranks lean as far, either way."""
    ranks = stats.rankdata(np.abs(differences))
    signs = np.array(list(itertools.product([-1, 1], repeat=len(ranks))))
    return np.mean(np.abs(signs @ ranks) >= abs(np.sign(differences) @ ranks) - 1e-9)


@pytest.mark.parametrize(
    "differences",
    [[1, 2, 3, 4, 5, 6], [5, -1, 4, -2, 7, 8, 3], [1, -2, 3, 3, 4, -1, 2, 2], [2, 2, 2, 2, 2, -2]],
)
def test_compare_p_is_that_of_all_signs_with_ties_and_without_zeros(differences):
    others = [10.0] * (len(differences) + 3)
    values = [10.0 + d for d in [*differences, 0, 0, 0]]
    found = compare(values, others)
    assert found.p == pytest.approx(exact_p(np.array(differences)))
    assert found.difference == interval([a - b for a, b in zip(values, others, strict=True)])
    assert found.why == ""


def test_compare_of_five_patients_has_no_p():
    assert exact_p(np.arange(1, 6)) > 0.05 > exact_p(np.arange(1, intervals.LEAST_PAIRS + 1))
    found = compare([1.0, 2.0, 3.0, 4.0, 5.0, 9.0], [0.0, 0.0, 0.0, 0.0, 0.0, 9.0])
    assert found.p is None
    assert found.why == "patients that differ: 5; below 6 p cannot reach 0.05"
    assert found.difference.mean == 2.5


def test_compare_leaves_out_unmeasured_patients_and_ranks_infinite_ones_last():
    values = [math.inf, math.inf, None, 1.0, 2.0, 3.0, 4.0, -5.0]
    others = [math.inf, 0.0, 3.0, None, 1.0, 1.0, 1.0, 1.0]
    assert compare(values, others).difference.n == 6
    found = compare([*values, 9.0], [*others, 1.0])
    assert found.difference.n == 7
    assert found.difference.mean == math.inf
    assert found.p == pytest.approx(exact_p(np.array([100, 1, 2, 3, -6, 8])))


def test_compare_refuses_unequal_lengths():
    with pytest.raises(ValueError, match="shorter"):
        compare([1.0], [])
