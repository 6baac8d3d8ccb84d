"""Intervals of means, of ratios and of rank correlations; a paired test of two shares."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from scipy.stats import binomtest, norm, spearmanr

from ikpaper.checks import check_count

if TYPE_CHECKING:
    import pandas as pd

    Values: TypeAlias = Sequence[float] | np.ndarray | pd.Series


#: What intervals hold, and how often targets are drawn for one by bootstrap.
_LEVEL, _RESAMPLES = 0.95, 2000


def _numbers(name: str, values: Values, *, infinite: bool = False) -> np.ndarray:
    """`values` as an array (n,) of numbers, none of them infinite unless that is allowed."""
    numbers = np.asarray(values, dtype=float)
    if numbers.ndim != 1:
        raise ValueError(f"{name}: expected a list of numbers, got shape {numbers.shape}")
    bad = np.isnan(numbers) if infinite else ~np.isfinite(numbers)
    if bad.any():
        raise ValueError(
            f"{name}: expected {'' if infinite else 'finite '}numbers, got {bad.sum()} of "
            f"{len(numbers)} that are not"
        )
    return numbers


def _paired(a: np.ndarray, b: np.ndarray, names: str) -> None:
    if len(a) != len(b):
        raise ValueError(f"{names}: expected as many values of each, got {len(a)} and {len(b)}")


def bootstrap_interval(values: Values, *, over: Values | None = None) -> tuple[float, float]:
    """Percentile bootstrap interval (95 %) of a mean over targets, or of the ratio of two.

    Args:
        values: One a target, finite.
        over: Values of the same targets, in the same order: the interval is that of the mean of
            `values` over the mean of these, with targets drawn in pairs.

    Returns:
        Lower and upper end.

    Raises:
        ValueError: If there is no value, one is not finite, or `over` has another length or a mean
            of 0.
    """
    if over is None:
        return bootstrap_intervals([values])[0]
    data, divisor = _numbers("values", values), _numbers("over", over)
    _paired(data, divisor, "values, over")
    means = _resampled_means([data, divisor])
    if not means[:, 1].all():
        raise ValueError("over: expected values whose mean is not 0, got a resample where it is")
    return _ends(means[:, 0] / means[:, 1])


def bootstrap_intervals(series: Iterable[Values]) -> list[tuple[float, float]]:
    """`bootstrap_interval` of each of several lists of values, faster for lists of one length.

    Raises:
        ValueError: As `bootstrap_interval`.
    """
    data = [_numbers("values", values) for values in series]
    same: dict[int, list[int]] = {}
    for i, values in enumerate(data):
        same.setdefault(len(values), []).append(i)
    ends: dict[int, tuple[float, float]] = {}
    for places in same.values():
        means = _resampled_means([data[i] for i in places])
        ends |= {i: _ends(column) for i, column in zip(places, means.T, strict=True)}
    return [ends[i] for i in range(len(data))]


def _resampled_means(series: Sequence[np.ndarray]) -> np.ndarray:
    """Means (resamples, len(series)) of lists of one length, over targets drawn for all of them."""
    n = check_count("number of values", len(series[0]))
    rng = np.random.default_rng(0)
    means = np.empty((_RESAMPLES, len(series)))
    # One draw at a time: all of them at once would need many times as many numbers.
    for row in means:
        drawn = rng.integers(n, size=n)
        row[:] = [values.take(drawn).mean() for values in series]
    return means


def _ends(means: np.ndarray) -> tuple[float, float]:
    """The interval that holds the middle of what was resampled."""
    tail = (1 - _LEVEL) / 2
    low, high = np.quantile(means, [tail, 1 - tail])
    return float(low), float(high)


def rank_correlation(a: Values, b: Values) -> tuple[float, float, float]:
    """Spearman's rank correlation of pairs, with its 95 % interval (Bonett and Wright, 2000).

    That is Fisher's transformation with a standard error for ranks. A bootstrap over a few pairs
    that happen to be in perfect order would be certain of it; here, perfect order counts as half
    the smallest change away from it.

    Args:
        a: Values; infinite ones come first or last.
        b: As many values.

    Returns:
        The correlation, and the lower and upper end of its interval.

    Raises:
        ValueError: If there are fewer than 5 pairs, their numbers differ, one is not a number, or
            all values of one side are equal, so that they have no order.
    """
    a, b = _numbers("a", a, infinite=True), _numbers("b", b, infinite=True)
    _paired(a, b, "a, b")
    n = check_count("number of pairs", len(a), 5)
    for name, side in (("a", a), ("b", b)):
        if (side == side[0]).all():
            raise ValueError(f"{name}: expected values that differ, got {n} times {side[0]}")
    correlation = float(spearmanr(a, b).statistic)
    # Two neighbours that swap change it by 12 / (n (n^2 - 1)).
    most = 1 - 6 / (n * (n**2 - 1))
    inner = min(max(correlation, -most), most)
    error = math.sqrt((1 + inner**2 / 2) / (n - 3))
    reach = float(norm.ppf(0.5 + _LEVEL / 2)) * error
    low, high = math.tanh(math.atanh(inner) - reach), math.tanh(math.atanh(inner) + reach)
    return correlation, min(low, correlation), max(high, correlation)


def mcnemar(first: int, second: int) -> float:
    """Exact test (McNemar, 1947) of whether two shares of the same cases are equal: its p-value.

    Args:
        first: Number of cases that count for the first share and not for the second.
        second: The other way round. Cases that count for both, or for none, decide nothing.

    Raises:
        ValueError: If a number is none, or negative.

    Example:
        >>> round(mcnemar(14, 2), 4)
        0.0042
    """
    first, second = check_count("first", first, 0), check_count("second", second, 0)
    total = first + second
    return float(binomtest(first, total).pvalue) if total else 1.0


def paired_difference(first: int, second: int, cases: int) -> tuple[float, float, float]:
    """Difference of two shares of the same cases, with the two ends of its interval (95 %).

    The interval is that of Clopper and Pearson for the share of `first` among the cases that count
    for one side alone, so that it holds 0 where `mcnemar` does not reject.

    Args:
        first: As in `mcnemar`.
        second: As in `mcnemar`.
        cases: Number of all cases.

    Raises:
        ValueError: If a number is none or negative, or more cases count than there are.
    """
    first, second = check_count("first", first, 0), check_count("second", second, 0)
    cases, alone = check_count("cases", cases), first + second
    if alone > cases:
        raise ValueError(f"cases: expected at least the {alone} that count, got {cases}")
    if not alone:
        return 0.0, 0.0, 0.0
    ends = binomtest(first, alone).proportion_ci(_LEVEL)
    low, high = ((2 * end - 1) * alone / cases for end in (ends.low, ends.high))
    return (first - second) / cases, low, high
