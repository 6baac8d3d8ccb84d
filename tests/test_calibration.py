import math

import numpy as np
import pytest
import torch
from scipy import stats

import ikpaper
from ikpaper import calibration

N, COUNT = 400, 63


@pytest.fixture
def conjugate(generator):
    """A case with a known answer: theta normal, y = theta + noise, the posterior normal too."""

    def draw(scale=1.0, shift=0.0):
        theta = torch.randn(N, 2, generator=generator, dtype=torch.float64)
        y = theta + torch.randn(N, 2, generator=generator, dtype=torch.float64)
        noise = torch.randn(N, COUNT, 2, generator=generator, dtype=torch.float64)
        return theta, y, y[:, None] / 2 + shift + scale * math.sqrt(0.5) * noise

    return draw


def test_ranks_are_counted():
    truth, samples = [[0.5], [2.0]], [[[0.1], [0.7], [0.2]], [[0.0], [1.0], [1.5]]]
    assert calibration.ranks(truth, samples).tolist() == [[2], [3]]
    nearer = calibration.tarp_ranks(truth, samples, [[0.0], [2.5]])
    assert nearer.tolist() == [2, 0]


def test_the_true_posterior_passes_every_check(conjugate):
    theta, y, samples = conjugate()
    checks = [
        calibration.ranks(theta, samples),
        calibration.tarp_ranks(theta, samples, y.flip(0)),
        calibration.tarp_ranks(theta, samples, y.sin()),
        calibration.ranks(-(theta - y / 2).norm(dim=1), -(samples - y[:, None] / 2).norm(dim=2)),
    ]
    assert min(calibration.uniformity(found, COUNT) for found in checks) > 0.01


@pytest.mark.parametrize("changes", [{"scale": 0.7}, {"scale": 1.4}, {"shift": 0.3}])
def test_a_wrong_spread_or_place_fails(conjugate, changes):
    theta, y, samples = conjugate(**changes)
    assert calibration.uniformity(calibration.ranks(theta, samples), COUNT) < 1e-3
    found = calibration.tarp_ranks(theta, samples, y / 2)
    assert (calibration.uniformity(found, COUNT) < 1e-3) == ("scale" in changes)


def test_what_ignores_the_target_passes_sbc_and_tarp_that_ignore_it_too(conjugate, generator):
    """The prior: known to pass SBC, and TARP unless references depend on the target."""
    theta, y, _ = conjugate()
    prior = torch.randn(N, COUNT, 2, generator=generator, dtype=torch.float64)
    blind = torch.randn(N, 2, generator=generator, dtype=torch.float64)
    assert calibration.uniformity(calibration.ranks(theta, prior), COUNT) > 0.01
    assert calibration.uniformity(calibration.tarp_ranks(theta, prior, blind), COUNT) > 0.01
    assert calibration.uniformity(calibration.tarp_ranks(theta, prior, y), COUNT) < 1e-6


def test_the_test_of_uniformity_keeps_its_level():
    rng = np.random.default_rng(0)
    values = [calibration.uniformity(rng.integers(0, 128, (300, 3)), 127) for _ in range(300)]
    assert np.mean(np.array(values) <= 0.05) < 0.09
    # The same as SciPy's for one column.
    counts = rng.integers(0, 128, 300)
    assert calibration.uniformity(counts, 127) == stats.kstest((counts + 0.5) / 128, "uniform")[1]


def test_the_density_is_the_posteriors(generator):
    """Ratios of it within a target, against the weights of exact samples by brute force."""
    arm = ikpaper.PlanarArm([0.5, 0.5, 1.0])
    theta = 0.5 * torch.randn(6, 3, generator=generator, dtype=torch.float64)
    found = calibration.log_density(arm, theta, 0.3)
    for row, value in zip(theta, found, strict=True):
        jacobian = torch.autograd.functional.jacobian(arm.forward, row)
        prior = stats.norm(0, 0.3).logpdf(row.numpy()).sum()
        constant = 3 * math.log(0.3 * math.sqrt(2 * math.pi))
        expected = prior + constant - 0.5 * float(torch.logdet(jacobian @ jacobian.T))
        assert float(value) == pytest.approx(expected)


def test_exact_samples_are_calibrated_and_those_of_a_narrower_prior_are_not(generator):
    arm = ikpaper.PlanarArm.paper(4)
    theta = ikpaper.Prior(arm).draw(N, generator)
    tcp = arm.forward(theta)

    def checks(sigma):
        samples = ikpaper.ExactPosterior(arm, sigma, together=True).sample(
            tcp, COUNT, generator=generator
        )
        density = calibration.log_density(arm, theta), calibration.log_density(arm, samples)
        return [
            calibration.uniformity(calibration.ranks(theta, samples), COUNT),
            calibration.uniformity(calibration.ranks(*density), COUNT),
        ]

    assert min(checks(0.2)) > 0.01
    assert max(checks(0.14)) < 0.01


@pytest.mark.parametrize(
    ("message", "call"),
    [
        (r"samples: expected shape \(N, n", lambda: calibration.ranks([1.0], [1.0])),
        (r"samples: expected shape \(N, n", lambda: calibration.ranks([[1.0]], [[[1.0, 2.0]]])),
        ("truth: expected finite", lambda: calibration.ranks([math.nan], [[1.0]])),
        ("samples: expected finite", lambda: calibration.ranks([1.0], [[math.inf]])),
        ("references: expected", lambda: calibration.tarp_ranks([[1.0]], [[[1.0]]], [[1.0, 2.0]])),
        ("ranks from 0 to 3", lambda: calibration.uniformity([4], 3)),
        ("counts: expected shape", lambda: calibration.uniformity(np.zeros((2, 2, 2)), 3)),
        ("n: expected a whole number", lambda: calibration.uniformity([0], 0)),
    ],
)
def test_bad_input_is_refused(message, call):
    with pytest.raises(ValueError, match=message):
        call()
