import math

import pytest
import torch

from ikpaper import ExactPosterior, NumericalSolver, Prior, RailArm, RejectionPosterior


def test_it_has_its_moments_and_density(arm, generator):
    sigma = torch.tensor([0.1, 0.2, 0.3, 0.4, 0.5, 0.6], dtype=torch.float64)
    prior = Prior(arm, sigma.tolist())
    theta = prior.draw(20_000, generator)
    torch.testing.assert_close(theta.std(0), sigma, rtol=0.03, atol=0)
    expected = torch.distributions.Normal(0.0, sigma).log_prob(theta)
    torch.testing.assert_close(prior.log_density(theta), expected)


def test_samples_are_independent_of_the_target_and_of_each_other(arm, generator):
    theta = Prior(arm, 0.3).sample([[3.0, 0.5], [1.0, -1.0]], 20_000, generator=generator)
    # 5 / sqrt(n): far beyond what independent samples show.
    both = torch.cat([theta[0], theta[1]], dim=1).T
    assert (torch.corrcoef(both) - torch.eye(12)).abs().max() < 5 / math.sqrt(20_000)
    torch.testing.assert_close(
        theta.std(dim=1), torch.full((2, 6), 0.3).double(), rtol=0.03, atol=0
    )


def test_an_arm_brings_its_own_prior():
    assert Prior(RailArm.benchmark()).sigma.tolist() == [0.25, 0.5, 0.5, 0.5]


@pytest.mark.parametrize("sigma", [0.0, -1.0, math.nan, math.inf, [0.1, 0.2], [0.1] * 5 + [0.0]])
@pytest.mark.parametrize("kind", [Prior, ExactPosterior, RejectionPosterior, NumericalSolver])
def test_bad_sigma_is_refused(arm, kind, sigma):
    with pytest.raises(ValueError, match="sigma: expected"):
        kind(arm, sigma)


def test_a_sigma_with_a_graph_makes_samples_without(arm, generator):
    sigma = torch.full((6,), 0.2, requires_grad=True)
    assert not Prior(arm, sigma).draw(3, generator).requires_grad
    assert not Prior(arm, sigma).sample([3.0, 0.5], 3, generator=generator).requires_grad
