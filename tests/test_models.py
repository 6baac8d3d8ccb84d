import dataclasses

import numpy as np
import pytest
import torch
from FrEIA.framework import SequenceINN
from FrEIA.modules import PermuteRandom, RNVPCouplingBlock
from torch import nn

import ikpaper
from ikpaper import metrics, models
from ikpaper.paper import CVAE_TABLE, INN_TABLE

COUNTS = {
    ("cvae", 4): 217_128,
    ("cvae", 6): 166_814,
    ("cvae", 8): 1_022_020,
    ("cvae", 10): 1_303_226,
    ("inn", 4): 1_108_872,
    ("inn", 6): 2_772_084,
    ("inn", 8): 997_884,
    ("inn", 10): 2_494_380,
}


@pytest.mark.parametrize(("model", "count"), COUNTS.items())
def test_parameter_counts_are_those_of_tables_3_and_4(model, count):
    assert models.build(*model).num_parameters == count


@pytest.mark.parametrize(("name", "table"), [("cvae", CVAE_TABLE), ("inn", INN_TABLE)])
def test_defaults_are_the_rows_of_the_tables(name, table):
    for dof, row in table.items():
        config = dataclasses.asdict(models.build(name, dof=dof).config)
        assert {key: config[key] for key in row if key != "trainable_parameters"} == {
            key: value for key, value in row.items() if key != "trainable_parameters"
        }


@pytest.fixture
def batch(arm, generator):
    theta = 0.2 * torch.randn(40, 6, generator=generator, dtype=torch.float64)
    return theta, arm.forward(theta)


@pytest.fixture
def inn():
    return models.build("inn", dof=6, neurons=20).double()


@pytest.fixture
def cvae():
    return models.build("cvae", dof=6, neurons=20).double()


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


def test_building_leaves_global_generators_alone():
    before, torch_before = np.random.get_state()[1].copy(), torch.get_rng_state()  # noqa: NPY002
    models.build("inn", dof=4, neurons=8)
    assert (np.random.get_state()[1] == before).all()  # noqa: NPY002
    assert torch.equal(torch.get_rng_state(), torch_before)


def test_a_seed_decides_the_initial_weights():
    weights = [
        torch.cat([p.flatten() for p in models.build("cvae", dof=4, seed=seed).parameters()])
        for seed in (1, 1, 2)
    ]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


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


def test_any_arm_gets_the_nearest_rows_hyperparameters():
    arm = ikpaper.PlanarArm([0.3] * 5)
    config = models.build("cvae", arm=arm).config
    assert config.lengths == arm.lengths
    assert config.neurons == CVAE_TABLE[6]["neurons"]


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        (("gan", 6), {}, r"unknown model 'gan'; known: cvae, inn"),
        (("inn", 5), {}, "4, 6, 8, 10"),
        (("inn",), {}, "either dof or arm"),
        (("inn", 6), {"arm": ikpaper.PlanarArm.paper(6)}, "either dof or arm"),
        (("inn",), {"arm": ikpaper.PlanarArm([1.0, 1.0])}, "at least 3 .* got 2"),
        (("cvae", 6), {"layers": 3}, "unknown hyperparameter layers .* hidden_layers"),
        (("cvae", 6), {"neurons": 0}, "neurons: .* got 0"),
        (("inn", 6), {"subnet_layers": 1}, "subnet_layers: .* at least 2, got 1"),
        (("inn", 6), {"learning_rate": 0.0}, r"learning_rate: .* got 0\.0"),
    ],
)
def test_bad_input_is_refused(arguments, options, message):
    with pytest.raises(ValueError, match=message):
        models.build(*arguments, **options)
