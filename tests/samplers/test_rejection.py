import math

import numpy as np
import pytest
import torch
from scipy.stats import ks_2samp

from ikpaper import ExactPosterior, PlanarArm, RailArm, RejectionPosterior
from ikpaper.metrics import mmd2, two_sample_test


def seeded(seed):
    return torch.Generator().manual_seed(seed)


def test_samples_are_within_eps_and_from_the_prior(arm, generator):
    tcp = torch.tensor([[3.3, 0.5], [3.4, -0.3], [3.42, 0.68]], dtype=torch.float64)
    theta = RejectionPosterior(arm, eps=0.1).sample(tcp, 50, generator=generator)
    distance = (arm.forward(theta) - tcp[:, None]).norm(dim=-1)
    assert distance.max() <= 0.1
    # Uniform over the disc, to first order: the mean square is half of eps squared.
    assert float(distance.square().mean()) == pytest.approx(0.005, rel=0.2)


@pytest.mark.parametrize("sigma", [pytest.param(0.2, marks=pytest.mark.slow), (0.1, 0.4, 0.2, 0.3)])
def test_it_converges_to_the_exact_posterior(sigma):
    arm, tcp, n = PlanarArm.paper(4), (2.3, 0.6), 1500
    exact = ExactPosterior(arm, sigma).sample(tcp, n, generator=seeded(1))
    gaps = []
    for eps in (0.2, 0.05, 0.01):
        kept = RejectionPosterior(arm, sigma, eps).sample(tcp, n, generator=seeded(2))
        gaps.append(float(mmd2(kept, exact, unbiased=True)))
    assert gaps[0] > 2e-3
    assert gaps[0] > gaps[1] > gaps[2]
    assert abs(gaps[2]) < 6e-4


def test_it_keeps_what_a_plain_loop_in_float64_keeps(arm):
    tcp, eps, n = torch.tensor([3.2, 0.9], dtype=torch.float64), 0.1, 2000
    generator = np.random.default_rng(0)
    plain: list[np.ndarray] = []
    while len(plain) < n:
        angle = generator.normal(0.0, 0.3, size=arm.dof)
        heading = np.cumsum(angle)
        x, y = (float(np.dot(arm.lengths, f(heading))) for f in (np.cos, np.sin))
        if math.hypot(x - float(tcp[0]), y - float(tcp[1])) <= eps:
            plain.append(angle)
    kept = RejectionPosterior(arm, 0.3, eps).sample(tcp, n, generator=seeded(1)).numpy()
    for joint, wanted in zip(kept.T, np.stack(plain).T, strict=True):
        assert ks_2samp(joint, wanted).pvalue > 0.01


def test_equal_targets_get_samples_of_their_own(arm):
    tcp, n = [[3.2, 0.9], [3.0, -0.5], [3.2, 0.9], [3.2, 0.9]], 400
    sampler = RejectionPosterior(arm, 0.3, 0.1)
    theta = sampler.sample(tcp, n, generator=seeded(1))
    assert len(theta.reshape(-1, arm.dof).unique(dim=0)) == 4 * n
    distance = (arm.forward(theta) - torch.tensor(tcp, dtype=torch.float64)[:, None]).norm(dim=-1)
    assert distance.max() <= 0.1
    # Independent sets of one posterior.
    for other in (2, 3):
        assert two_sample_test(theta[0], theta[other], generator=seeded(2)).p_value > 0.05
    # Where no target is repeated, nothing depends on that.
    alone = sampler.sample(tcp[:2], n, generator=seeded(1))
    assert torch.equal(alone, theta[:2])


def test_a_tolerance_below_the_spacing_of_float32_is_kept():
    # Of a reach of 4096, float32 knows half a thousandth.
    arm = PlanarArm((2048.0, 2048.0))
    theta = RejectionPosterior(arm, 2e-5, 1e-4).sample([4095.9999, 0.0], 20, generator=seeded(1))
    distance = (arm.forward(theta) - torch.tensor([4095.9999, 0.0], dtype=torch.float64)).norm(
        dim=-1
    )
    assert distance.max() <= 1e-4


def test_on_a_rail_it_cannot_be_told_from_the_exact_posterior():
    arm, n = RailArm.benchmark(), 1000
    tcp = torch.tensor([[1.8, 0.2], [1.7, -0.8], [1.9, 0.1]], dtype=torch.float64)
    exact = ExactPosterior(arm).sample(tcp, n, generator=seeded(1))
    kept = RejectionPosterior(arm, eps=0.02).sample(tcp, n, generator=seeded(2))
    for a, b in zip(exact, kept, strict=True):
        assert two_sample_test(a, b, generator=seeded(3)).p_value > 0.05
        assert (a.mean(0) - b.mean(0)).abs().max() < 0.05
        assert (a.std(0) - b.std(0)).abs().max() < 0.05


def test_it_gives_up_naming_what_it_got(arm):
    with pytest.raises(RuntimeError, match=r"of 1000 samples accepted .* eps=1e-06"):
        RejectionPosterior(arm, eps=1e-6, max_proposals=1000).sample([3.0, 0.5], 1000)


@pytest.mark.parametrize("eps", [0.0, -0.1, math.nan, "wide", None])
def test_bad_eps_is_refused(arm, eps):
    with pytest.raises(ValueError, match="eps: expected"):
        RejectionPosterior(arm, eps=eps)


@pytest.mark.parametrize("proposals", [0, 1.5, "many"])
def test_a_bad_number_of_proposals_is_refused(arm, proposals):
    with pytest.raises(ValueError, match="max_proposals: expected"):
        RejectionPosterior(arm, max_proposals=proposals)
