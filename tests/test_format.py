import math

import pytest

from ikpaper.format import (
    as_ascii,
    cell,
    concise,
    extent,
    fixed,
    joined,
    over_runs,
    percent,
    percent_extent,
    rounded,
    significant,
    times,
    with_interval,
)


@pytest.mark.parametrize(
    ("value", "digits", "text"),
    [
        (0.012345, 3, "0.0123"),
        (123456.7, 3, "123,457"),
        (1.0, 2, "1.0"),
        # Rounding up leaves as many digits.
        (9.999, 3, "10.0"),
        (0.009999, 2, "0.010"),
        (9.999e-7, 3, "1.00\xa0·\xa010⁻⁶"),
        (1.234e-7, 3, "1.23\xa0·\xa010⁻⁷"),
        (-4.4e-5, 2, "−4.4\xa0·\xa010⁻⁵"),
        (2.5e9, 2, "2.5\xa0·\xa010⁹"),
        (0.0, 3, "0"),
        # Rounding noise has no digits.
        (3.27e-31, 3, "< 10⁻²⁰"),
        (-3.27e-31, 3, "< 10⁻²⁰"),
        (math.nan, 3, "–"),
        (math.inf, 3, "∞"),
        (-math.inf, 3, "−∞"),
    ],
)
def test_significant(value, digits, text):
    assert significant(value, digits) == text


@pytest.mark.parametrize(
    ("value", "low", "high", "text"),
    [
        (0.0123, 0.0110, 0.0136, "0.0123 (0.0110 to 0.0136)"),
        (0.00179, 0.0015, 0.0021, "0.0018 (0.0015 to 0.0021)"),
        (0.0909, -0.57, 0.68, "0.1 (−0.6 to 0.7)"),
        (12345.0, 11000.0, 13000.0, "12,300 (11,000 to 13,000)"),
        # No more than three digits, however narrow the interval is.
        (0.123456, 0.123455, 0.123457, "0.123 (0.123 to 0.123)"),
        # A wide one leaves two digits of the value, and one of its lower end.
        (0.134, 0.021, 0.45, "0.13 (0.02 to 0.45)"),
        # All three are in units of one power of ten, the value's; what rounds to nothing is zero.
        (6.87e-6, -1.3e-5, 2.7e-5, "1\xa0·\xa010⁻⁵ (−1\xa0·\xa010⁻⁵ to 3\xa0·\xa010⁻⁵)"),
        (1.7e-8, -8.7e-6, 8.2e-6, "0 (−9\xa0·\xa010⁻⁶ to 8\xa0·\xa010⁻⁶)"),
        (-3.3e-6, -2.1e-5, 1.6e-5, "−3\xa0·\xa010⁻⁶ (−21\xa0·\xa010⁻⁶ to 16\xa0·\xa010⁻⁶)"),
        (-2e-5, -1.2e-4, 8e-5, "−2\xa0·\xa010⁻⁵ (−12\xa0·\xa010⁻⁵ to 8\xa0·\xa010⁻⁵)"),
        (9e-6, -1.7e-4, 1.9e-4, "1\xa0·\xa010⁻⁵ (−17\xa0·\xa010⁻⁵ to 19\xa0·\xa010⁻⁵)"),
        (1e-6, -1.7e-4, 1.9e-4, "0 (−0.00017 to 0.00019)"),
        (3.27e-31, 3.24e-31, 3.3e-31, "< 10⁻²⁰"),
        # Without an extent, an interval says nothing.
        (1.0, 1.0, 1.0, "1.00"),
        (math.nan, 0.0, 1.0, "–"),
    ],
)
def test_an_interval_decides_how_many_digits_there_are(value, low, high, text):
    assert with_interval(value, low, high) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1e-6, "10⁻⁶"),
        (8e-5, "8\xa0·\xa010⁻⁵"),
        (0.0001, "0.0001"),
        (217128, "217,128"),
        (1e6, "10⁶"),
        (0.0, "0"),
    ],
)
def test_settings_have_the_digits_they_have(value, text):
    assert concise(value) == text


def test_rates_are_written_out():
    assert [rounded(value) for value in (6712345.0, 12345.0, 2.71, 0.0)] == [
        "6,700,000",
        "12,000",
        "2.7",
        "0",
    ]
    assert rounded(math.nan) == "–"


def test_a_fixed_number_is_never_minus_zero():
    assert [fixed(-0.04, 1), fixed(-0.06, 1), fixed(1.44, 1, "+")] == ["0.0", "−0.1", "+1.4"]


@pytest.mark.parametrize("value", [1.2e-5, -4.4e-19, 2.5e9, 1e-6, 0.012, -3.0])
def test_ascii_numbers_are_the_same_numbers(value):
    for text in (significant(value, 2), concise(value)):
        shown = as_ascii(f"MMD² {text}").removeprefix("MMD² ")
        assert shown.isascii()
        assert float(shown) == value


def test_times():
    assert (times(1), times(11)) == ("once", "11 times")


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ([], "–"),
        ([math.nan], "–"),
        ([0.5, math.nan], "0.500"),
        ([0.5, 0.1, 0.3], "0.30 (0.10 to 0.50)"),
    ],
)
def test_over_runs_shows_the_mean_and_the_extremes(values, text):
    assert over_runs(values) == text


def test_a_form_is_a_number_of_digits_a_template_or_a_function():
    assert cell(2, 0.01234) == "0.012"
    assert cell("{:,} of {}", 1000, "many") == "1,000 of many"
    assert cell(with_interval, 1.0, 0.5, 2.0) == "1.0 (0.5 to 2.0)"


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


def test_what_is_missing_is_a_dash_in_every_form():
    for form in (2, "{:.0f}", percent, with_interval):
        assert cell(form, float("nan"), *([0.1, 0.2] if form is with_interval else [])) == "–"


def test_percent():
    assert (percent(0.1234), percent(0.5, 0)) == ("12.3\xa0%", "50\xa0%")
    assert percent_extent([0.69, math.nan, 0.94]) == "69 to 94\xa0%"
    assert percent_extent([0.01234], 2) == "1.2\xa0%"
    assert as_ascii(percent(0.5)) == "50.0 %"


@pytest.mark.parametrize(
    ("words", "text"), [([], ""), ([4], "4"), ([4, 6], "4 and 6"), ((4, 6, 8), "4, 6 and 8")]
)
def test_words_are_listed(words, text):
    assert joined(words) == text


def test_no_end_of_an_interval_reads_as_zero_unless_the_interval_holds_it():
    assert with_interval(6.9, 0.0166, 20.6) == "6.9 (0.017 to 21)"
    assert with_interval(-6.9, -20.6, -0.0166) == "−6.9 (−21 to −0.017)"
    assert with_interval(6.9, -0.0166, 20.6) == "7 (0 to 21)"
