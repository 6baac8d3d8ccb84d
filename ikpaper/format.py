"""Numbers and lists as people read them."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable
from decimal import Decimal
from functools import partial
from typing import Any

#: Exponents as they are written, by the characters of an integer, and the reverse.
_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
_LOWERED = {raised: character for character, raised in _RAISED.items()}

#: A number with a power of ten, or the power alone.
_POWER = re.compile(r"(?:([\d.]+)\s·\s)?\b10([⁻⁰¹²³⁴⁵⁶⁷⁸⁹]+)")

#: Exponents of numbers that stand there without a power of ten.
_DECIMAL = range(-4, 6)

#: What is nearer to zero is rounding noise, of which no digit means anything.
_NOISE = 1e-20


def _written(number: Decimal, exponent: int, alone: bool = False) -> str:
    """A number with all of its digits, if need be in units of a power of ten.

    Args:
        number: The number.
        exponent: Of the power.
        alone: Whether 10⁻⁶ says that it is one millionth.
    """
    if not number:
        return "0"
    if exponent in _DECIMAL:
        text = f"{number:,f}"
    else:
        mantissa, power = number.scaleb(-exponent), f"10{str(exponent).translate(_RAISED)}"
        # A line does not break within a number.
        text = power if alone and mantissa == 1 else f"{mantissa:f}\xa0·\xa0{power}"
    return text.replace("-", "−")


def significant(value: float, digits: int = 3) -> str:
    """A number to so many significant digits, for a cell of a table or for the text.

    Rounding noise has none: it is `< 10⁻²⁰`.

    Example:
        >>> significant(0.012345), significant(123456.7)
        ('0.0123', '123,457')
    """
    if math.isnan(value):
        return "–"
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    if value == 0:
        return "0"
    if abs(value) < _NOISE:
        return f"< {concise(_NOISE)}"
    number = Decimal(f"{value:.{digits - 1}e}")
    exponent = number.adjusted()
    if exponent in _DECIMAL and exponent >= digits:
        number = Decimal(round(value))
    return _written(number, exponent)


def concise(value: float) -> str:
    """A number with the digits it has, at most six: for settings, and for what others print."""
    number = Decimal(f"{value:g}")
    return _written(number, number.adjusted() if number else 0, alone=True)


def fixed(value: float, digits: int, sign: str = "") -> str:
    """A number with so many decimal places.

    Args:
        value: The number.
        digits: Places.
        sign: `+` to have one in front of positive numbers, too.
    """
    # Plus zero, so that nothing reads -0.0.
    return f"{round(value, digits) + 0.0:{sign},.{digits}f}".replace("-", "−")


def rounded(value: float, digits: int = 2) -> str:
    """A number written out but rounded to so many significant digits: `6,700,000`; for rates."""
    number = Decimal(f"{value:.{digits - 1}e}") if math.isfinite(value) else Decimal(0)
    return _written(number, 0) if number else significant(value, digits)


def with_interval(value: float, low: float, high: float) -> str:
    """A value with its interval, as `0.0123 (0.0110 to 0.0136)`, with digits that that supports.

    One in the last place is at most a quarter of the interval, unless that takes more than three
    digits. If all of the interval is of one sign, at least two digits of the value are left, and
    one of either end. All three are in units of the value's power of ten, if it has one.
    """
    if math.isnan(value):
        return "–"
    if not low < high or math.isinf(high - low) or max(abs(low), abs(high)) < _NOISE:
        return significant(value)
    place = _exponent((high - low) / 4)
    if (low > 0) == (high > 0) and low and high:
        place = min(place, _exponent(value) - 1, _exponent(min(abs(low), abs(high))))
    place = max(place, _exponent(max(abs(low), abs(high), abs(value))) - 2)
    numbers = [Decimal(round(each / 10.0**place)).scaleb(place) for each in (value, low, high)]
    if (low > 0) == (high > 0) and low and high and not all(numbers):
        # The ends are so far apart that one of them would read as zero.
        interval = f"{significant(low, 2)} to {significant(high, 2)}"
        return f"{significant(value, 2)} ({interval})"
    exponent = (numbers[0] or max(numbers, key=abs)).adjusted()
    shown, *ends = (_written(number, exponent) for number in numbers)
    return f"{shown} ({' to '.join(ends)})"


def _exponent(value: float) -> int:
    return math.floor(math.log10(abs(value)))


def over_runs(values: Iterable[float]) -> str:
    """Mean of several training runs with the smallest and the largest; of one run, its value."""
    measured = [value for value in values if not math.isnan(value)]
    if not measured:
        return "–"
    return with_interval(sum(measured) / len(measured), min(measured), max(measured))


def cell(form: int | str | Callable[..., str], *values: Any) -> str:
    """Values as text; a dash if the first of them is missing.

    Args:
        form: Number of significant digits, a template such as `{:.3f}`, or a function.
        *values: What it takes.
    """
    if isinstance(values[0], float) and math.isnan(values[0]):
        return "–"
    if isinstance(form, int):
        form = partial(significant, digits=form)
    return form.format(*values) if isinstance(form, str) else form(*values)


def extent(values: Iterable[float], form: int | str | Callable[..., str] = 2) -> str:
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
    """A share as `12.3 %`, which no line breaks."""
    return f"{fixed(100 * share, digits)}\xa0%"


def percent_extent(shares: Iterable[float], form: int | str | Callable[..., str] = "{:.0f}") -> str:
    """The smallest and the largest of shares, `69 to 94 %`.

    Args:
        shares: Shares; what is missing does not count.
        form: As in `cell`, of the percentages.
    """
    return f"{extent((100 * share for share in shares), form)}\xa0%"


def times(count: int) -> str:
    """How often: `once`, `11 times`."""
    return "once" if count == 1 else f"{count} times"


def joined(words: Iterable[Any]) -> str:
    """Words as a text lists them: `4, 6 and 8`."""
    *most, last = [str(word) for word in words] or [""]
    return f"{', '.join(most)} and {last}" if most else last


def as_ascii(text: str) -> str:
    """A text whose numbers are written with what every terminal and `float` know: `1.2e-5`."""

    def power(found: re.Match[str]) -> str:
        return f"{found[1] or '1'}e{found[2].translate(_LOWERED)}"

    return _POWER.sub(power, text).replace("−", "-").replace("\xa0", " ")
