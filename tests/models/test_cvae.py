import pytest
import torch

from ikpaper import models


@pytest.fixture
def batch(arm, generator):
    theta = 0.2 * torch.randn(40, 6, generator=generator, dtype=torch.float64)
    return theta, arm.forward(theta)


@pytest.fixture
def cvae():
    return models.build("cvae", dof=6, neurons=20).double()


def noise_stream(seed):
    generator = torch.Generator().manual_seed(seed)
    return lambda *shape: torch.randn(shape, generator=generator, dtype=torch.float64)


def test_cvae_loss_is_the_bound_term_by_term(cvae, batch):
    theta, tcp = batch
    terms = cvae.loss(theta, tcp, 0.0, torch.Generator().manual_seed(3))
    mean, log_variance = cvae.encode(theta, tcp)
    q = torch.distributions.Normal(mean, torch.exp(0.5 * log_variance))
    z = mean + q.stddev * noise_stream(3)(*mean.shape)
    difference = cvae.decode(z, tcp) - theta
    wrapped = torch.atan2(difference.sin(), difference.cos())
    unit = torch.distributions.Normal(0.0, 1.0)
    assert list(terms) == ["reconstruction", "kl"]
    torch.testing.assert_close(terms["reconstruction"], wrapped.square().sum())
    kl = torch.distributions.kl_divergence(q, unit).sum()
    torch.testing.assert_close(terms["kl"], 0.0067 * kl)
