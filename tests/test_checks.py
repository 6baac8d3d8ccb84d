import numpy as np
import pytest
import torch

from ikpaper.checks import (
    check_amount,
    check_count,
    check_finite,
    check_generator,
    check_known,
    check_positive,
    check_seed,
    check_sigma,
)


@pytest.mark.parametrize("value", [3, 3.0, np.int64(3), np.float32(3), torch.tensor(3), True + 2])
def test_whole_numbers_come_back_as_int(value):
    assert check_count("n", value) == 3
    assert type(check_count("n", value)) is int


def test_large_whole_numbers_stay_exact():
    assert check_count("seed", 2**62 + 1) == 2**62 + 1
    assert check_count("n", 1e3) == 1000


@pytest.mark.parametrize(
    "value", [0, -1, 1.5, True, np.True_, "6", b"6", None, float("nan"), float("inf"), [1, 2], 1j]
)
def test_what_is_no_count_is_refused_by_name(value):
    with pytest.raises(ValueError, match="n: expected a whole number of at least 1, got"):
        check_count("n", value)


def test_numbers_that_are_not_finite_are_counted():
    values = torch.tensor([1.0, float("nan"), float("inf")])
    assert check_finite("theta", values[:1]).tolist() == [1.0]
    with pytest.raises(ValueError, match="theta: expected finite numbers, got 2 of 3 that are not"):
        check_finite("theta", values)


def test_unknown_names_are_listed_with_the_known():
    check_known("page", ["one"], ["one", "two"])
    with pytest.raises(ValueError, match="unknown page 'four', 'three'; known: one, two"):
        check_known("page", ["three", "one", "four"], ["one", "two"])


@pytest.mark.parametrize("value", [0, -0.1, float("nan"), float("inf"), "0.1", None, [0.1, 0.2]])
def test_what_is_not_finite_and_positive_is_refused_by_name(value):
    with pytest.raises(ValueError, match="eps: expected a finite number above 0, got"):
        check_positive("eps", value)


@pytest.mark.parametrize(
    "sigma",
    [
        0.2,
        [0.2] * 4,
        (0.2,) * 4,
        np.full(4, 0.2),
        np.full((4, 1), 0.2),
        np.float64(0.2),
        np.full(4, 0.2).astype(">f8"),
        torch.full((4,), 0.2, dtype=torch.float64),
        torch.full((4,), 0.2),
        torch.tensor(0.2, dtype=torch.float16),
        np.float32(0.2),
        np.full(4, 0.2, np.float32).astype(">f4"),
        torch.tensor(0.2, dtype=torch.float64, requires_grad=True),
    ],
)
def test_the_same_prior_in_any_form_is_the_same_prior(sigma):
    assert check_sigma(sigma, 4) == (0.2,) * 4


@pytest.mark.parametrize(
    "sigma", [0, -1, [0.2] * 3, [0.2, 0.2, 0.2, 0], "wide", "0.2", True, None, [], {}]
)
def test_what_is_no_prior_is_refused_by_name(sigma):
    with pytest.raises(ValueError, match="sigma: expected"):
        check_sigma(sigma, 4)


@pytest.mark.parametrize("value", [0, 7.0, "12", 2**62 - 1])
def test_a_seed_is_a_whole_number_that_generators_take(value):
    if isinstance(value, str):
        with pytest.raises(ValueError, match="seed: expected a whole number"):
            check_seed(value)
        return
    assert check_seed(value) == int(value)
    torch.Generator().manual_seed(3 * check_seed(value) + 2)
    for bits in (32, 62):
        with pytest.raises(ValueError, match=rf"seed: .* from 0 to 2\^{bits} - 1, got"):
            check_seed(2**bits, bits)


@pytest.mark.parametrize("value", [-0.1, float("nan"), float("inf"), "0.1", None])
def test_what_is_negative_or_not_finite_is_refused_by_name(value):
    assert check_amount("noise", 0) == 0.0
    with pytest.raises(ValueError, match="noise: expected a finite number of at least 0, got"):
        check_amount("noise", value)


@pytest.mark.parametrize("generator", [0, np.random.default_rng(0), "x", torch.Generator])
def test_what_is_no_generator_is_refused_by_name(generator):
    with pytest.raises(ValueError, match=r"generator: expected a torch.Generator or None"):
        check_generator(generator)


def test_generators_pass():
    generator = torch.Generator()
    assert check_generator(generator) is generator
    assert check_generator(None) is None
