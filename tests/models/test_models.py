import copy
import dataclasses
import multiprocessing
import operator
import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

import ikpaper
from ikpaper import models
from ikpaper.paper import CVAE_TABLE, INN_TABLE
from ikpaper.sampler import GLOBAL_GENERATORS

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


def test_building_leaves_global_generators_alone():
    before, torch_before = np.random.get_state()[1].copy(), torch.get_rng_state()  # noqa: NPY002
    models.build("inn", dof=4, neurons=8)
    ikpaper.load("inn", dof=4)
    assert (np.random.get_state()[1] == before).all()  # noqa: NPY002
    assert torch.equal(torch.get_rng_state(), torch_before)


def test_a_seed_decides_the_initial_weights():
    weights = [
        torch.cat([p.flatten() for p in models.build("cvae", dof=4, seed=seed).parameters()])
        for seed in (1, 1, 2)
    ]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


def test_any_arm_gets_the_nearest_rows_hyperparameters():
    arm = ikpaper.PlanarArm([0.3] * 5)
    config = models.build("cvae", arm=arm).config
    assert config.lengths == arm.lengths
    assert config.neurons == CVAE_TABLE[6]["neurons"]


@pytest.mark.parametrize("name", models.CATALOGUE)
def test_parameters_are_counted_without_making_them(name):
    arm = ikpaper.PlanarArm([0.3] * 5)
    before = torch.get_rng_state()
    expected = models.build(name, arm=arm, neurons=12).num_parameters
    assert models.count_parameters(name, arm, neurons=12) == expected
    assert torch.equal(torch.get_rng_state(), before)


def test_a_count_allocates_nothing():
    """A network of 10^12 parameters would not fit."""
    assert models.count_parameters("cvae", ikpaper.PlanarArm.paper(6), neurons=10**6) > 1e12


@pytest.mark.parametrize("name", models.CATALOGUE)
@pytest.mark.parametrize("dof", ikpaper.PlanarArm.PAPER_DOF)
def test_inner_layers_have_nearly_all_parameters(name, dof):
    arm = ikpaper.PlanarArm.paper(dof)
    config = models.model_type(name).configure(arm)
    share = config.inner_layers * config.neurons**2 / models.count_parameters(name, arm)
    assert 0.85 < share < 1


def test_settings_are_what_their_checks_return():
    arm = ikpaper.PlanarArm.paper(4)
    configs = [
        models.build("flow", arm=arm, neurons=neurons, steps=steps, sigma=sigma).config
        for neurons, steps, sigma in (
            (8, 4, 0.3),
            (8.0, 4.0, [0.3] * 4),
            (np.int64(8), np.float64(4), np.full((4, 1), 0.3)),
        )
    ]
    assert configs[0] == configs[1] == configs[2]
    assert {type(config.neurons) for config in configs} == {int}
    assert len({hash(config) for config in configs}) == 1


def build(name):
    """A small model whose networks do not start at zero."""
    model = models.build(name, dof=4, neurons=12).double().eval()
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.add_(0.05 * torch.randn_like(parameter))
    return model


def latents(model, count=3):
    draw = torch.Generator().manual_seed(1)
    z = torch.randn(count, model.config.latent, generator=draw, dtype=torch.float64)
    tcp = torch.tensor([[2.0, 0.4]], dtype=torch.float64).expand(count, 2)
    return z, tcp


@pytest.mark.parametrize("name", models.CATALOGUE)
def test_models_pickle_and_copy(name):
    model = build(name)
    z, tcp = latents(model)
    for copied in (pickle.loads(pickle.dumps(model)), copy.deepcopy(model)):
        assert torch.equal(copied.decode(z, tcp), model.decode(z, tcp))
        assert copied.config == model.config


@pytest.mark.slow
def test_models_travel_to_processes_that_start_anew():
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        for name in ("inn", "inn-ml", "flow"):
            model = build(name).requires_grad_(False)
            z, tcp = latents(model)
            found = pool.apply(operator.methodcaller("decode", z, tcp), (model,))
            torch.testing.assert_close(found, model.decode(z, tcp))


def plain(model):
    """`decode` of modules alone, without what is written out by hand."""
    if isinstance(model, models.CVAE):
        return lambda z, tcp: model.decoder(torch.cat([z, tcp], dim=1))
    return lambda z, tcp: model.blocks(torch.cat([z, tcp], dim=1), rev=True)[0]


@pytest.mark.parametrize("name", ["cvae", "inn", "inn-ml"])
def test_second_derivatives_are_those_of_the_modules(name):
    model = build(name)
    z, tcp = latents(model)

    def energy(decode):
        return lambda z: decode(z, tcp).sin().sum()

    hessian = torch.autograd.functional.hessian
    ours, expected = (hessian(energy(d), z) for d in (model.decode, plain(model)))
    torch.testing.assert_close(ours, expected)
    by_func = torch.func.jacrev(torch.func.grad(energy(model.decode)))(z)
    torch.testing.assert_close(by_func, expected)
    assert expected.abs().max() > 1e-4

    def penalty(decode):
        """Gradients of a gradient's norm by the parameters."""
        inputs = z.clone().requires_grad_()
        gradient = torch.autograd.grad(decode(inputs, tcp).sum(), inputs, create_graph=True)[0]
        found = torch.autograd.grad(
            gradient.square().sum(),
            [p for p in model.parameters() if p.requires_grad],
            allow_unused=True,
        )
        return [torch.zeros(()) if value is None else value for value in found]

    for value, wanted in zip(penalty(model.decode), penalty(plain(model)), strict=True):
        torch.testing.assert_close(value, wanted.expand_as(value).to(value.dtype))


@pytest.mark.parametrize("name", models.CATALOGUE)
def test_torch_func_transforms_models(name):
    model = build(name)
    z, tcp = latents(model)

    def row(z, tcp):
        return model.decode(z[None], tcp[None])[0]

    jacobians = torch.func.vmap(torch.func.jacrev(row))(z, tcp)
    for i, jacobian in enumerate(jacobians):
        expected = torch.autograd.functional.jacobian(lambda z, i=i: row(z, tcp[i]), z[i])
        torch.testing.assert_close(jacobian, expected)
    doubled = {key: 2 * p if p.requires_grad else p for key, p in model.named_parameters()}
    called = torch.func.functional_call(model, doubled, (z, tcp))
    changed = copy.deepcopy(model)
    changed.load_state_dict({**model.state_dict(), **doubled})
    torch.testing.assert_close(called, changed.decode(z, tcp))


def test_forward_mode_is_refused_by_what_has_none():
    model = build("inn")
    z, tcp = latents(model)
    with pytest.raises(NotImplementedError, match="forward mode"):
        torch.func.jacfwd(model.decode)(z, tcp)


@pytest.mark.parametrize("name", models.CATALOGUE)
def test_training_works_after_sampling_in_inference_mode(name):
    arm = ikpaper.PlanarArm([0.4, 0.3, 0.2, 0.6])  # Of no other test: nothing is cached yet.
    model = models.build(name, arm=arm, neurons=12)
    with torch.inference_mode():
        model.sample([1.0, 0.3], 3)
    theta = 0.2 * torch.randn(20, 4, generator=torch.Generator().manual_seed(0))
    tcp = arm.forward(theta)
    teacher = model.teacher and models.build(model.teacher, arm=arm, neurons=12)
    inputs = model.training_inputs(theta, tcp, teacher, None)
    sum(model.loss(inputs, tcp, 0.5).values()).backward()
    assert any(p.grad is not None and p.grad.any() for p in model.parameters())


@pytest.mark.slow
@pytest.mark.parametrize("name", models.CATALOGUE)
def test_exporting_a_model_leaves_it_as_it_was(name):
    arm = ikpaper.PlanarArm([0.4, 0.3, 0.25, 0.55])
    model = models.build(name, arm=arm, neurons=12).eval()
    z, tcp = torch.randn(3, model.config.latent), torch.tensor([[1.0, 0.3]]).expand(3, 2)
    exported = torch.export.export(model, (z, tcp))
    theta = model.sample([1.0, 0.3], 3)
    assert theta.numpy().shape == (3, 4)
    torch.testing.assert_close(exported.module()(z, tcp), model.decode(z, tcp))


@pytest.mark.parametrize("name", models.CATALOGUE)
def test_autocast_changes_the_accuracy_alone(name):
    model = build(name).float()
    theta = 0.2 * torch.randn(32, 4, generator=torch.Generator().manual_seed(0))
    tcp = model.arm.forward(theta)
    teacher = build(model.teacher).float() if model.teacher else None
    inputs = model.training_inputs(theta, tcp, teacher, torch.Generator().manual_seed(1))
    values = []
    for enabled in (False, True):
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            terms = model.loss(inputs, tcp, 0.5, torch.Generator().manual_seed(1))
        total = sum(terms.values()).float()
        total.backward()
        values.append(float(total.detach()))
    assert values[1] == pytest.approx(values[0], rel=0.1)


def test_one_thread_at_a_time_draws_initial_weights(monkeypatch):
    """FrEIA and torch draw them from generators that all threads share."""

    def waits():
        free = GLOBAL_GENERATORS.acquire(blocking=False)
        if free:
            GLOBAL_GENERATORS.release()
        return not free

    def init(self, config):
        with ThreadPoolExecutor(1) as other:
            found.append(other.submit(waits).result())
        plain(self, config)

    kind = models.CATALOGUE["inn"]
    found, plain = [], kind.__init__
    monkeypatch.setattr(kind, "__init__", init)
    models.build("inn", dof=4, neurons=8)
    ikpaper.load("inn", dof=4)
    assert found == [True, True]


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        (("gan", 6), {}, r"unknown model 'gan'; known: cvae, inn"),
        (("inn", 5), {}, "4, 6, 8, 10"),
        (("inn",), {}, "either dof or arm"),
        (("inn", 6), {"arm": ikpaper.PlanarArm.paper(6)}, "either dof or arm"),
        (("inn",), {"arm": ikpaper.PlanarArm([1.0, 1.0])}, "at least 3 .* got 2"),
        (("cvae", 6), {"layers": 3}, "unknown hyperparameter of 'cvae' 'layers'; .*hidden_layers"),
        (("cvae", 6), {"neurons": 0}, "neurons: .* got 0"),
        (("inn", 6), {"subnet_layers": 1}, "subnet_layers: .* at least 2, got 1"),
        (("inn", 6), {"learning_rate": 0.0}, r"learning_rate: .* got 0\.0"),
        (("inn", 6), {"weight_p": -1}, "weight_p: .* at least 0, got -1"),
        (("inn", 6), {"clamp": "soft"}, "clamp: .* got 'soft'"),
        (("cvae", 6), {"weight_decay": float("nan")}, "weight_decay: .* got nan"),
        (("inn", 6), {"grad_clamp": 0}, "grad_clamp: .* got 0"),
        (("inn", 6), {"clamp": None}, "clamp: .* got None"),
        (("inn", 6), {"neurons": None}, "neurons: .* got None"),
        (("inn", 6), {"seed": 2**64}, r"seed: .* from 0 to 2\^62 - 1"),
    ],
)
def test_bad_input_is_refused(arguments, options, message):
    with pytest.raises(ValueError, match=message):
        models.build(*arguments, **options)
