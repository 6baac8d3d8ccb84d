"""Numbers as people read them."""

from __future__ import annotations

import math
from collections.abc import Iterable

__all__ = ["over_runs", "significant", "with_interval"]


def significant(value: float, digits: int = 3) -> str:
    """A number to so many significant digits, for a cell of a table or for the text."""
    if math.isnan(value):
        return "–"
    if math.isinf(value):
        return "∞" if value > 0 else "-∞"
    if value == 0:
        return "0"
    mantissa, exponent = f"{value:.{digits - 1}e}".split("e")
    if -4 <= int(exponent) < 6:
        return f"{value:,.{max(0, digits - 1 - int(exponent))}f}"
    return f"{mantissa}e{int(exponent)}"


def with_interval(value: float, low: float, high: float) -> str:
    """A value with its interval, as `0.0123 (0.0110 to 0.0136)`."""
    if math.isnan(value):
        return "–"
    return f"{significant(value)} ({significant(low, 2)} to {significant(high, 2)})"


def over_runs(values: Iterable[float]) -> str:
    """Mean of several training runs with the smallest and the largest; of one run, its value."""
    measured = [value for value in values if not math.isnan(value)]
    if not measured:
        return "–"
    if len(measured) == 1:
        return significant(measured[0])
    return with_interval(sum(measured) / len(measured), min(measured), max(measured))
