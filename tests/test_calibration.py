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


@pytest.mark.parametrize("size", [300, 20_000])
def test_the_test_of_uniformity_keeps_its_level(size):
    """Also where the steps between ranks are as large as what the test sees."""
    rng = np.random.default_rng(0)
    values = [calibration.uniformity(rng.integers(0, 32, (size, 3)), 31) for _ in range(300)]
    assert 0.01 < np.mean(np.array(values) <= 0.05) < 0.08


def test_the_test_of_uniformity_is_scipys_for_a_column_and_many_ranks():
    counts = np.random.default_rng(0).integers(0, 10**6, 300)
    expected = stats.kstest((counts + 0.5) / 10**6, "uniform").pvalue
    assert calibration.uniformity(counts, 10**6 - 1) == pytest.approx(expected, rel=1e-3)


def test_regions_hold_their_share_and_too_narrow_samples_less(conjugate):
    def covered(scale, level):
        theta, y, samples = conjugate(scale)
        centre = y / 2
        found = calibration.ranks(
            (theta - centre).norm(dim=1), (samples - centre[:, None]).norm(dim=2)
        )
        assert found.tolist() == calibration.tarp_ranks(theta, samples, centre).tolist()
        return calibration.coverage(found, COUNT, level)

    for level in (0.5, 0.9):
        assert covered(1.0, level) == pytest.approx(level, abs=0.08)
        # Of two dimensions, P(|theta - centre| < r) = 1 - exp(-r^2 / 2), and r^2 scales.
        for scale in (0.7, 1.4):
            expected = 1 - (1 - level) ** (scale**2)
            assert covered(scale, level) == pytest.approx(expected, abs=0.08)


def test_a_part_of_the_last_rank_counts():
    assert calibration.coverage([0, 1, 2, 3], 3, 0.5) == 0.5
    assert calibration.coverage([0, 1, 2, 3], 3, 0.6) == pytest.approx(0.6)
    assert calibration.coverage([3, 3], 3, 1.0) == 1.0


def test_a_classifier_sees_what_ignores_the_target_and_passes_the_posterior(conjugate, generator):
    theta, y, samples = conjugate()
    right = calibration.classifier_ranks(theta, y, samples)
    assert right.shape == (1, N // 2)
    assert calibration.uniformity(right[0], COUNT) > 0.01
    prior = torch.randn(N, COUNT, 2, generator=generator, dtype=torch.float64)
    wrong = calibration.classifier_ranks(theta, y, prior)
    assert calibration.uniformity(wrong[0], COUNT) < 1e-6
    # The truth looks more like the truth than samples do.
    assert wrong.double().mean() > 0.6 * COUNT


def test_classifiers_of_subsets_keep_the_level(generator):
    """Over many subsets: what a classifier has learned by heart is not asked for."""
    theta = torch.randn(2000, 2, generator=generator, dtype=torch.float64)
    y = theta + torch.randn(2000, 2, generator=generator, dtype=torch.float64)
    noise = torch.randn(2000, 31, 2, generator=generator, dtype=torch.float64)
    found = calibration.classifier_ranks(theta, y, y[:, None] / 2 + math.sqrt(0.5) * noise, size=20)
    assert found.shape == (100, 10)
    values = [calibration.uniformity(part, 31) for part in found]
    assert np.mean(np.array(values) <= 0.05) < 0.12


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_a_classifier_learns_whatever_mode_the_caller_is_in(conjugate, mode):
    theta, y, samples = conjugate()
    plain = calibration.classifier_ranks(theta, y, samples)
    with mode():
        theta, y, samples = (part.clone() for part in (theta, y, samples))
        assert torch.equal(calibration.classifier_ranks(theta, y, samples), plain)
    graph = [part.clone().requires_grad_() for part in (theta, y, samples)]
    assert torch.equal(calibration.classifier_ranks(*graph), plain)


def test_subsets_do_not_see_each_other(conjugate):
    theta, y, samples = conjugate()
    both = calibration.classifier_ranks(theta, y, samples, size=N // 2)
    changed = samples.clone()
    changed[N // 2 :] = 0
    alone = calibration.classifier_ranks(theta, y, changed, size=N // 2)
    # But for rounding.
    assert (both[0] != alone[0]).double().mean() < 0.05


@pytest.mark.parametrize(("scale", "passes"), [(1.0, True), (0.7, False)])
def test_ranks_and_decisions_are_those_of_sbi(conjugate, scale, passes):
    pytest.importorskip("sbi")
    from sbi.diagnostics import check_sbc, check_tarp, run_sbc, run_tarp

    theta, y, samples = conjugate(scale)

    class Posterior:
        """Samples that are there already, as sbi asks for them."""

        def sample_batched(self, shape, x, **options):
            assert torch.equal(x, y)
            return samples.transpose(0, 1)

    options = {"num_posterior_samples": COUNT, "show_progress_bar": False}
    ranks, marginal = run_sbc(theta, y, Posterior(), **options)
    own = calibration.ranks(theta, samples)
    assert ranks.tolist() == own.tolist()
    theirs = check_sbc(ranks, theta, marginal, num_posterior_samples=COUNT)["ks_pvals"]
    # sbi takes ranks for continuous and divides by n, so that its p-values are too small.
    assert (float(theirs.min()) > 1e-3) == passes
    assert (calibration.uniformity(own, COUNT) > 1e-2) == passes

    references = y / 2
    expected, levels = run_tarp(
        theta, y, Posterior(), references=references, z_score_theta=False, **options
    )
    found = calibration.tarp_ranks(theta, samples, references)
    for share, level in zip(expected.tolist(), levels.tolist(), strict=True):
        if 0.1 < level < 0.9:
            assert calibration.coverage(found, COUNT, level) == pytest.approx(share, abs=0.05)
    # The area is negative for narrow samples, whose regions hold less than they should.
    area = check_tarp(expected, levels)[0]
    assert (abs(area) < 0.02) if passes else (area < -0.03)


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


def _classified(tcp=4, samples=4, size=None):
    return calibration.classifier_ranks(
        torch.zeros(4, 3), torch.zeros(tcp, 2), torch.zeros(samples, 5, 3), size=size
    )


@pytest.mark.parametrize(
    ("message", "call"),
    [
        (r"samples: expected shape \(N, n", lambda: calibration.ranks([1.0], [1.0])),
        (r"samples: expected shape \(N, n", lambda: calibration.ranks([[1.0]], [[[1.0, 2.0]]])),
        ("truth: expected finite", lambda: calibration.ranks([math.nan], [[1.0]])),
        ("samples: expected finite", lambda: calibration.ranks([1.0], [[math.inf]])),
        ("references: expected", lambda: calibration.tarp_ranks([[1.0]], [[[1.0]]], [[1.0, 2.0]])),
        ("references: .*finite", lambda: calibration.tarp_ranks([[1.0]], [[[1.0]]], [[math.nan]])),
        (r"samples: expected shape", lambda: calibration.tarp_ranks([[1.0]], [[[1, 2]]], [[1.0]])),
        ("whole numbers from 0 to 3", lambda: calibration.uniformity([4], 3)),
        ("whole numbers from 0 to 3, got 1.5", lambda: calibration.coverage([1.5], 3, 0.5)),
        ("counts: expected finite", lambda: calibration.coverage([math.nan], 3, 0.5)),
        ("counts: expected finite", lambda: calibration.uniformity([math.inf], 3)),
        ("counts: expected an array", lambda: calibration.uniformity("text", 3)),
        ("counts: expected shape", lambda: calibration.uniformity(np.zeros((2, 2, 2)), 3)),
        ("n: expected a whole number", lambda: calibration.uniformity([0], 0)),
        ("level: expected a probability", lambda: calibration.coverage([0], 1, 1.1)),
        ("whole numbers from 0 to 3", lambda: calibration.coverage([4], 3, 0.5)),
        (r"tcp: expected shape \(4, 2\)", lambda: _classified(tcp=3)),
        ("size: expected at most 4 simulations", lambda: _classified(size=5)),
        ("size: expected a whole number", lambda: _classified(size=3)),
        (r"samples: expected shape \(N, n", lambda: _classified(samples=3)),
    ],
)
def test_bad_input_is_refused(message, call):
    with pytest.raises(ValueError, match=message):
        call()
