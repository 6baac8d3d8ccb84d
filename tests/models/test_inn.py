import pytest
import torch
from FrEIA.framework import SequenceINN
from FrEIA.modules import PermuteRandom, RNVPCouplingBlock
from torch import nn

from ikpaper import metrics, models


@pytest.fixture
def batch(arm, generator):
    theta = 0.2 * torch.randn(40, 6, generator=generator, dtype=torch.float64)
    return theta, arm.forward(theta)


@pytest.fixture
def inn():
    return models.build("inn", dof=6, neurons=20).double()


def noise_stream(seed):
    generator = torch.Generator().manual_seed(seed)
    return lambda *shape: torch.randn(shape, generator=generator, dtype=torch.float64)


def test_inn_inverts_and_its_determinants_cancel(inn, batch):
    z, tcp, forward = inn.encode(batch[0])
    theta, backward = inn.invert(z, tcp)
    torch.testing.assert_close(theta, batch[0])
    torch.testing.assert_close(backward, -forward)


def test_inn_determinant_agrees_with_autograd(inn, batch):
    def outputs(theta):
        z, tcp, _ = inn.encode(theta[None])
        return torch.cat([z, tcp], dim=1)[0]

    jacobian = torch.autograd.functional.jacobian(outputs, batch[0][0])
    expected = torch.linalg.slogdet(jacobian)[1]
    torch.testing.assert_close(inn.encode(batch[0][:1])[2][0], expected)


def test_inn_weights_load_into_plain_freia(inn, batch):
    config = inn.config

    def subnet(inputs, outputs):
        widths = [inputs, *[config.neurons] * (config.subnet_layers - 1), outputs]
        layers = [
            layer
            for i in range(config.subnet_layers)
            for layer in (nn.Linear(widths[i], widths[i + 1]), nn.LeakyReLU(0.01))
        ]
        return nn.Sequential(*layers)

    plain = SequenceINN(6)
    for i in range(config.coupling_layers):
        if i:
            plain.append(PermuteRandom)
        plain.append(RNVPCouplingBlock, subnet_constructor=subnet, clamp=5.0)
    plain.double().load_state_dict(inn.blocks.state_dict())
    z, tcp, _ = inn.encode(batch[0])
    torch.testing.assert_close(plain(batch[0])[0], torch.cat([z, tcp], dim=1))


@pytest.mark.parametrize("progress", [0.0, 0.9])
def test_inn_loss_is_the_slides_term_by_term(inn, batch, progress):
    terms = inn.loss(*batch, progress, torch.Generator().manual_seed(3))
    noise = noise_stream(3)
    theta = batch[0] + 1e-3 * noise(40, 6)
    tcp = batch[1] + 1e-3 * noise(40, 2)
    z, predicted, _ = inn.encode(theta)
    wanted = torch.cat([noise(40, 4), tcp], dim=1)
    cycled = inn.decode(z + 1e-3 * noise(40, 4), tcp)
    generated = inn.decode(noise(40, 4), tcp)
    difference = cycled - theta
    wrapped = torch.atan2(difference.sin(), difference.cos())
    ramp = min(1.0, 2 * 0.002 ** (1 - progress))
    expected = {
        "L_y": 0.01 * (predicted - tcp).square().sum(),
        "L_z": 1000 * metrics.mmd2(torch.cat([z, predicted], dim=1), wanted),
        "L_x": 0.1 * wrapped.square().sum(),
        "L_p(x)": ramp * 1000 * metrics.mmd2(generated, theta),
    }
    assert list(terms) == list(expected)
    for term, value in expected.items():
        torch.testing.assert_close(terms[term], value, rtol=1e-5, atol=1e-8)


def test_l_z_sends_no_gradient_through_the_predicted_tcp(inn, batch):
    z, predicted, _ = inn.encode(batch[0])
    predicted.retain_grad()
    original = inn.encode
    inn.encode = lambda theta: (z, predicted, None)
    inn.loss(*batch, 0.0, torch.Generator().manual_seed(0))["L_z"].backward()
    inn.encode = original
    assert predicted.grad is None


def test_ramp_ends_at_full_weight(inn):
    assert inn.ramp(0.0) == pytest.approx(0.004)
    assert inn.ramp(0.5) == pytest.approx(2 * 0.002**0.5)
    assert inn.ramp(1.0) == 1.0


def test_mmd_terms_weigh_less_for_10_dof():
    weights = {
        dof: (config.weight_z, config.weight_p)
        for dof in (8, 10)
        for config in [models.build("inn", dof=dof, neurons=8).config]
    }
    assert weights == {8: (1000, 1000), 10: (100, 100)}


def test_last_activation_makes_scales_expand(inn, batch):
    outputs = inn.blocks[0].subnet_s1(batch[0][:, :3])
    assert isinstance(list(inn.blocks[0].subnet_s1)[-1], nn.LeakyReLU)
    bare = models.build("inn", dof=6, neurons=20, activate_last=False)
    assert isinstance(list(bare.blocks[0].subnet_s1)[-1], nn.Linear)
    assert outputs.min() > -0.1
