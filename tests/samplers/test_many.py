import pytest
import torch

from ikpaper import PlanarArm, Prior
from ikpaper.evaluation.task import random_targets
from ikpaper.samplers.many import ManyTargets


@pytest.mark.parametrize("dof", [3, 5])
def test_weights_are_those_of_the_balance_heuristic(dof):
    arm = PlanarArm([0.5, 0.8, 0.3, 0.4, 1.0][:dof])
    sigma, pairs = (0.2, 0.3, 0.25, 0.6, 0.15)[:dof], dof - 1
    prior = Prior(arm, sigma)
    tcp = random_targets(arm, 6, sigma, 1)
    streams = [torch.Generator().manual_seed(i) for i in range(6)]
    closed = ManyTargets(arm, prior, 100.0).propose(tcp, 50, streams)
    weight, points = closed.by_target(), torch.arange(2 * closed.proposals)
    assert weight.shape == (6, 2 * pairs * 50)
    theta = torch.stack([closed.theta(torch.full_like(points, t), points) for t in range(6)])
    kept = weight > 0
    assert kept.double().mean() > 0.5
    reached = (arm.forward(theta) - tcp[:, None]).norm(dim=-1)
    assert reached[kept].max() < 1e-13
    jacobian, density = arm.jacobian(theta), prior.log_density(theta).exp()
    mixture = torch.zeros_like(weight)
    for k in range(1, arm.dof):
        minor = torch.linalg.det(jacobian[..., [0, k]]).abs()
        mixture += minor * density.prod(dim=-1) / (density[..., 0] * density[..., k])
    expected = density.prod(dim=-1) / mixture
    ratio = (weight / expected)[kept]
    assert (ratio / ratio[0] - 1).abs().max() < 1e-9
    # Each pair closes as many proposals.
    assert (kept.view(6, 2, pairs, 50).any(dim=-1)).all()
