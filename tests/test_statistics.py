import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from ikpaper.statistics import (
    bootstrap_interval,
    bootstrap_intervals,
    mcnemar,
    paired_difference,
    rank_correlation,
)


def test_bootstrap_interval_agrees_with_the_normal_one():
    values = np.random.default_rng(0).normal(3.0, 2.0, 400)
    low, high = bootstrap_interval(values)
    half = 1.96 * values.std() / math.sqrt(len(values))
    assert low == pytest.approx(values.mean() - half, abs=0.15 * half)
    assert high == pytest.approx(values.mean() + half, abs=0.15 * half)


def test_intervals_of_several_lists_are_those_of_each():
    rng = np.random.default_rng(1)
    lists = [rng.normal(size=n) for n in (50, 30, 50, 1)]
    assert bootstrap_intervals(lists) == [bootstrap_interval(values) for values in lists]
    assert bootstrap_intervals([]) == []
    with pytest.raises(ValueError, match="values: expected finite numbers"):
        bootstrap_intervals([[1.0], [np.nan]])


def test_bootstrap_of_one_value_is_that_value():
    assert bootstrap_interval([2.5]) == (2.5, 2.5)
    with pytest.raises(ValueError, match="number of values"):
        bootstrap_interval([])


def test_bootstrap_of_a_ratio_keeps_targets_in_pairs():
    rng = np.random.default_rng(1)
    scale = rng.lognormal(0.0, 1.0, 300)
    low, high = bootstrap_interval(0.5 * scale, over=scale)
    assert low == pytest.approx(0.5)
    assert high == pytest.approx(0.5)
    low, high = bootstrap_interval(0.5 * scale, over=rng.permutation(scale))
    assert low < 0.5 < high


def test_rank_correlation_has_an_interval_for_many_pairs_and_for_few():
    rng = np.random.default_rng(1)
    a = rng.normal(size=40)
    b = a + rng.normal(size=40)
    correlation, low, high = rank_correlation(a, b)
    assert correlation == pytest.approx(stats.spearmanr(a, b).statistic)
    reference = stats.bootstrap(
        (a, b),
        lambda x, y: stats.spearmanr(x, y).statistic,
        paired=True,
        vectorized=False,
        method="percentile",
        n_resamples=2000,
        rng=rng,
    ).confidence_interval
    assert (low, high) == pytest.approx(tuple(reference), abs=0.05)
    # Few pairs in perfect order prove little.
    correlation, low, high = rank_correlation([1, 2, 3, 4, 5, 6], [1, 2, 3, 4, 5, np.inf])
    assert (correlation, high) == pytest.approx((1.0, 1.0))
    assert 0.4 < low < 0.9
    assert rank_correlation([1, 2, 3, 4, 5, 6], [6, 5, 4, 3, 2, 1]) == pytest.approx(
        (-1.0, -1.0, -low)
    )
    with pytest.raises(ValueError, match="pairs: expected"):
        rank_correlation([1, 2], [1, 2])


def test_the_interval_of_a_rank_correlation_holds_what_it_says():
    rng = np.random.default_rng(5)
    truth = 6 / np.pi * np.arcsin(0.5 / 2)
    pairs = rng.multivariate_normal([0, 0], [[1, 0.5], [0.5, 1]], size=(400, 12))
    intervals = np.array([rank_correlation(*drawn.T)[1:] for drawn in pairs])
    covered = (intervals[:, 0] <= truth) & (truth <= intervals[:, 1])
    assert 0.92 <= covered.mean() <= 0.98


def test_bootstrap_interval_is_that_of_scipy():
    rng = np.random.default_rng(3)
    values = rng.lognormal(size=60)
    reference = stats.bootstrap(
        (values,), np.mean, method="percentile", n_resamples=20_000, rng=rng
    ).confidence_interval
    width = reference.high - reference.low
    assert bootstrap_interval(values) == pytest.approx(tuple(reference), abs=0.05 * width)
    # Neither the container nor the byte order makes a difference.
    for same in (values.tolist(), pd.Series(values), values.astype(">f8")):
        assert bootstrap_interval(same) == bootstrap_interval(values)


@pytest.mark.parametrize(
    ("values", "options", "message"),
    [
        ([1.0, math.nan], {}, "values: expected finite numbers, got 1 of 2"),
        ([1.0, math.inf], {}, "values: expected finite numbers, got 1 of 2"),
        ([[1.0], [2.0]], {}, r"values: .* got shape \(2, 1\)"),
        ([1.0, 2.0], {"over": [1.0]}, "values, over: .* got 2 and 1"),
        ([1.0, 2.0], {"over": [1.0, math.nan]}, "over: expected finite numbers, got 1 of 2"),
        ([1.0, 2.0], {"over": [0.0, 0.0]}, "over: .* mean is not 0"),
    ],
)
def test_bootstrap_refuses_what_has_no_interval(values, options, message):
    with pytest.raises(ValueError, match=message):
        bootstrap_interval(values, **options)


@pytest.mark.parametrize(
    ("a", "b", "message"),
    [
        ([1, 2, 3, 4, math.nan], [1, 2, 3, 4, 5], "a: expected numbers, got 1 of 5"),
        ([1, 2, 3, 4, 5], [1, 2, 3, 4], "a, b: .* got 5 and 4"),
        ([1, 2, 3, 4, 5], [7, 7, 7, 7, 7], "b: expected values that differ"),
    ],
)
def test_rank_correlation_refuses_what_has_no_order(a, b, message):
    with pytest.raises(ValueError, match=message):
        rank_correlation(a, b)


@pytest.mark.parametrize(("first", "second"), [(5, 5), (14, 2), (2, 14), (9, 1), (0, 6), (30, 18)])
def test_the_interval_of_a_difference_of_shares_agrees_with_mcnemars_test(first, second):
    value, low, high = paired_difference(first, second, 200)
    assert value == (first - second) / 200
    assert low <= value <= high
    assert (low <= 0 <= high) == (mcnemar(first, second) > 0.05)
    # Turned around, it is the same.
    assert paired_difference(second, first, 200) == pytest.approx((-value, -high, -low))


def test_shares_of_equal_cases_do_not_differ():
    assert paired_difference(0, 0, 10) == (0.0, 0.0, 0.0)
    with pytest.raises(ValueError, match="cases: expected at least the 11 that count, got 10"):
        paired_difference(10, 1, 10)
    with pytest.raises(ValueError, match=r"first: .* got -1"):
        paired_difference(-1, 1, 10)


def test_mcnemar_is_the_two_sided_binomial_test_of_the_discordant_pairs():
    for first, second in ((0, 0), (3, 3), (14, 2), (2, 14), (0, 6), (67, 53)):
        total, least = first + second, min(first, second)
        tail = sum(math.comb(total, k) for k in range(least + 1)) / 2**total
        assert mcnemar(first, second) == pytest.approx(min(1.0, 2 * tail))
    with pytest.raises(ValueError, match="second: expected a whole number"):
        mcnemar(1, -1)
