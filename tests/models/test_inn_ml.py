import dataclasses
from itertools import pairwise

import pytest
import torch

import ikpaper
from ikpaper import models
from ikpaper.training import TrainingRun, train


@pytest.fixture
def model(arm):
    """A network that is not as near to the identity as it starts."""
    found = models.build("inn-ml", arm=arm, neurons=20, noise=0.0).double()
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        for parameter in found.parameters():
            if parameter.requires_grad:
                parameter.add_(0.05 * torch.randn_like(parameter))
    return found


@pytest.fixture
def batch(arm, generator):
    theta = 0.2 * torch.randn(30, 6, generator=generator, dtype=torch.float64)
    return theta, arm.forward(theta)


def test_it_has_the_papers_parameters():
    for dof in ikpaper.PlanarArm.PAPER_DOF:
        parameters = models.build("inn-ml", dof=dof).num_parameters
        assert parameters == models.build("inn", dof=dof).num_parameters


def test_the_small_one_is_small_on_every_arm():
    for dof in ikpaper.PlanarArm.PAPER_DOF:
        small, full = (models.build(name, dof=dof) for name in ("inn-ml-small", "inn-ml"))
        assert 3e5 < small.num_parameters < 4e5 < full.num_parameters
        assert small.config.width_end == full.config.width_end


@pytest.mark.parametrize("progress", [0.0, 0.5, 1.0])
def test_loss_is_minus_the_log_density_of_a_change_of_variables(model, batch, progress):
    theta, tcp = (part[:5] for part in batch)
    width = 0.1 ** (2 * progress)
    expected = torch.zeros(()).double()
    for angles, target in zip(theta, tcp, strict=True):

        def outputs(angles):
            z, predicted, _ = model.encode(angles[None])
            return torch.cat([z, predicted], dim=1)[0]

        jacobian = torch.autograd.functional.jacobian(outputs, angles)
        z, predicted = outputs(angles).split([4, 2])
        normal = torch.distributions.Normal
        density = (
            normal(0.0, 1.0).log_prob(z).sum() + normal(target, width).log_prob(predicted).sum()
        )
        expected -= (density + torch.linalg.slogdet(jacobian)[1]) / len(theta)
    constants = 3 * torch.log(torch.tensor(2 * torch.pi)).double()
    terms = model.loss(theta, tcp, progress, torch.Generator().manual_seed(0))
    assert list(terms) == ["z", "tcp", "volume"]
    torch.testing.assert_close(sum(terms.values()) + constants, expected)


def test_it_starts_as_a_permutation(batch):
    fresh = models.build("inn-ml", dof=6, neurons=20).double()
    z, tcp, log_det = fresh.encode(batch[0])
    torch.testing.assert_close(torch.cat([z, tcp], dim=1).sort(dim=1)[0], batch[0].sort(dim=1)[0])
    torch.testing.assert_close(log_det, torch.zeros(30).double())


def test_its_loss_may_rise_from_below_zero(tmp_path):
    """A loss that is no sum of squares says nothing by its ratio to the epoch before."""
    smoke = ikpaper.PROFILES["smoke"]
    profile = dataclasses.replace(smoke, samples=1000)
    run = TrainingRun.of("inn-ml", 4, profile=profile, epochs=6, neurons=16, width_end=1e-4)
    _, record = train(run, directory=tmp_path)
    losses = [sum(row["terms"].values()) for row in record["history"]]
    assert len(losses) == 6
    # A tenfold rise, which for a positive loss would count as divergence.
    assert any(now > 10 * before for before, now in pairwise(losses))


def test_widths_are_positive():
    with pytest.raises(ValueError, match=r"width_end: .* got 0\.0"):
        models.build("inn-ml", dof=6, width_end=0.0)
