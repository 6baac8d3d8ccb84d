import math

import pytest

from ikpaper.format import cell, extent, joined, over_runs, percent, significant, with_interval


@pytest.mark.parametrize(
    ("value", "digits", "text"),
    [
        (0.012345, 3, "0.0123"),
        (123456.7, 3, "123,457"),
        (1.0, 2, "1.0"),
        # Rounding up leaves as many digits.
        (9.999, 3, "10.0"),
        (0.009999, 2, "0.010"),
        (9.999e-7, 3, "1.00e-6"),
        (1.234e-7, 3, "1.23e-7"),
        (-4.4e-5, 2, "-4.4e-5"),
        (2.5e9, 2, "2.5e9"),
        (0.0, 3, "0"),
        (math.nan, 3, "–"),
        (math.inf, 3, "∞"),
        (-math.inf, 3, "-∞"),
    ],
)
def test_significant(value, digits, text):
    assert significant(value, digits) == text


def test_with_interval():
    assert with_interval(0.0123, 0.0110, 0.0136) == "0.0123 (0.011 to 0.014)"
    assert with_interval(math.nan, 0.0, 1.0) == "–"


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ([], "–"),
        ([math.nan], "–"),
        ([0.5, math.nan], "0.500"),
        ([0.5, 0.1, 0.3], "0.300 (0.10 to 0.50)"),
    ],
)
def test_over_runs_shows_the_mean_and_the_extremes(values, text):
    assert over_runs(values) == text


def test_a_form_is_a_number_of_digits_a_template_or_a_function():
    assert cell(2, 0.01234) == "0.012"
    assert cell("{:,} of {}", 1000, "many") == "1,000 of many"
    assert cell(with_interval, 1.0, 0.5, 2.0) == "1.00 (0.50 to 2.0)"


@pytest.mark.parametrize(
    ("values", "form", "text"),
    [
        ([0.5, 0.0123, 3], 2, "0.012 to 3.0"),
        ([0.5, math.nan, 0.25], "{:.1f}", "0.2 to 0.5"),
        # What both ends are stands once.
        ([0.5, 0.501], 2, "0.50"),
        ([], 2, "–"),
    ],
)
def test_extent(values, form, text):
    assert extent(values, form) == text


def test_percent():
    assert (percent(0.1234), percent(0.5, 0)) == ("12.3 %", "50 %")


@pytest.mark.parametrize(
    ("words", "text"), [([], ""), ([4], "4"), ([4, 6], "4 and 6"), ((4, 6, 8), "4, 6 and 8")]
)
def test_words_are_listed(words, text):
    assert joined(words) == text
