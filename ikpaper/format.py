"""Numbers and lists as people read them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

__all__ = [
    "cell",
    "extent",
    "joined",
    "over_runs",
    "percent",
    "significant",
    "times",
    "with_interval",
]


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


def cell(form: int | str | Callable[..., str], *values: Any) -> str:
    """Values as text.

    Args:
        form: Number of significant digits, a template such as `{:.3f}`, or a function.
        *values: What it takes.
    """
    if isinstance(form, int):
        form = partial(significant, digits=form)
    return form.format(*values) if isinstance(form, str) else form(*values)


def extent(values: Iterable[float], form: int | str = 2) -> str:
    """The smallest and the largest of values, `0.035 to 0.045`, or what both of them are.

    Args:
        values: Values; what is missing does not count.
        form: As in `cell`.
    """
    measured = [value for value in values if not math.isnan(value)]
    if not measured:
        return "–"
    return " to ".join(dict.fromkeys(cell(form, end) for end in (min(measured), max(measured))))


def percent(share: float, digits: int = 1) -> str:
    """A share as `12.3 %`."""
    return f"{100 * share:.{digits}f} %"


def joined(words: Iterable[Any]) -> str:
    """Words as a text lists them: `4, 6 and 8`."""
    *most, last = [str(word) for word in words] or [""]
    return f"{', '.join(most)} and {last}" if most else last


def times(count: int) -> str:
    """How often something happened: `once`, `11 times`."""
    return "once" if count == 1 else f"{count} times"
