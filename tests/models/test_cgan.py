import pytest
import torch
from torch.nn.functional import binary_cross_entropy_with_logits as cross_entropy

from ikpaper import models


@pytest.fixture
def model(arm):
    return models.build("cgan", arm=arm, neurons=20).double()


@pytest.fixture
def batch(arm, generator):
    theta = 0.2 * torch.randn(30, 6, generator=generator, dtype=torch.float64)
    return theta, arm.forward(theta)


def test_losses_are_cross_entropies_of_the_two_players(model, batch):
    theta, tcp = batch
    terms = model.loss(theta, tcp, 0.0, torch.Generator().manual_seed(3))
    z = torch.randn(30, 4, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    features = model.features(tcp)
    of_data = model.discriminator(torch.cat([theta / 0.2, features], dim=1))
    of_samples = model.discriminator(torch.cat([model.decode(z, tcp) / 0.2, features], dim=1))
    yes, no = torch.ones(30, 1).double(), torch.zeros(30, 1).double()
    assert list(terms) == ["discriminator", "generator"]
    torch.testing.assert_close(
        terms["discriminator"], cross_entropy(of_data, yes) + cross_entropy(of_samples, no)
    )
    torch.testing.assert_close(terms["generator"], cross_entropy(of_samples, yes))


@pytest.mark.parametrize(
    ("term", "trained", "fixed"),
    [
        ("discriminator", "discriminator", "generator"),
        ("generator", "generator", "discriminator"),
    ],
)
def test_each_loss_moves_its_own_player_alone(model, batch, term, trained, fixed):
    model.loss(*batch, 0.0, torch.Generator().manual_seed(0))[term].backward()
    assert all(parameter.grad.any() for parameter in getattr(model, trained).parameters())
    assert all(parameter.grad is None for parameter in getattr(model, fixed).parameters())


def test_players_have_the_size_of_the_parts_of_the_smallest_cvae():
    gan, cvae = models.build("cgan", dof=6), models.build("cvae", dof=6)

    def shapes(module):
        return [tuple(p.shape) for p in module.parameters() if p.ndim == 2][1:]

    assert shapes(gan.generator) == shapes(cvae.decoder)
    assert shapes(gan.discriminator)[:-1] == shapes(cvae.encoder)


def test_samples_are_scaled_by_the_prior_of_each_joint():
    wide, narrow = (
        models.build("cgan", dof=4, neurons=8, sigma=sigma) for sigma in (0.2, (0.2, 0.1, 0.2, 0.2))
    )
    narrow.load_state_dict(wide.state_dict())
    narrow.features = wide.features
    z, tcp = torch.randn(5, 2), torch.tensor([[2.0, 0.5]]).expand(5, 2)
    torch.testing.assert_close(
        narrow.decode(z, tcp), wide.decode(z, tcp) * torch.tensor([1.0, 0.5, 1.0, 1.0])
    )
