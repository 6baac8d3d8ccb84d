"""One contract for everything that draws joint angles for a target."""

import math

import numpy as np
import pytest
import torch

import ikpaper
from ikpaper.sampler import Sampler

ARMS = [ikpaper.PlanarArm([0.6, 0.5, 0.5, 0.8]), ikpaper.RailArm([0.9, 0.5, 1.0])]
TCP = [[2.0, 0.6], [1.9, -0.7], [2.2, 0.1]]
SAMPLERS = {
    "prior": lambda arm: ikpaper.Prior(arm, 0.3),
    "exact": lambda arm: ikpaper.ExactPosterior(arm, 0.3),
    "rejection": lambda arm: ikpaper.RejectionPosterior(arm, 0.3, eps=0.2),
    "numerical": lambda arm: ikpaper.NumericalSolver(arm, 0.3),
    **{
        name: lambda arm, name=name: ikpaper.models.build(name, arm=arm, neurons=16).eval()
        for name in ikpaper.models.CATALOGUE
    },
}


@pytest.fixture(params=ARMS, ids=["fixed", "rail"])
def arm(request):
    return request.param


@pytest.fixture(params=list(SAMPLERS))
def sampler(request, arm):
    return SAMPLERS[request.param](arm)


def draw(sampler, tcp, n, seed=0):
    return sampler.sample(tcp, n, generator=torch.Generator().manual_seed(seed))


def test_is_a_sampler(sampler, arm):
    assert isinstance(sampler, Sampler)
    assert sampler.arm == arm


@pytest.mark.parametrize("convert", [list, np.array, torch.tensor])
def test_shapes_of_one_and_of_many_targets(sampler, convert):
    one, many = draw(sampler, convert(TCP[0]), 5), draw(sampler, convert(TCP), 5)
    assert one.shape == (5, 4)
    assert many.shape == (3, 5, 4)
    assert one.is_floating_point()
    assert torch.isfinite(many).all()
    assert not one.requires_grad


def test_a_seed_decides_the_samples(sampler):
    first = draw(sampler, TCP, 4, seed=1)
    torch.testing.assert_close(draw(sampler, TCP, 4, seed=1), first, rtol=0, atol=0)
    assert not torch.equal(draw(sampler, TCP, 4, seed=2), first)


def test_global_generators_are_left_alone(sampler):
    torch_state, numpy_state = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    draw(sampler, TCP, 4)
    assert torch.equal(torch.get_rng_state(), torch_state)
    assert (np.random.get_state()[1] == numpy_state).all()  # noqa: NPY002


@pytest.mark.parametrize("n", [0, -1, 1.5])
def test_fewer_than_one_sample_is_refused(sampler, n):
    with pytest.raises(ValueError, match=f"n: expected .* at least 1, got {n}"):
        sampler.sample(TCP, n)


@pytest.mark.parametrize(
    ("tcp", "message"),
    [
        ([3.0, 0.0], r"this arm reaches .* from 0 to 2\.4"),
        ([math.nan, 1.0], "finite coordinates"),
        ([1.0, math.inf], "finite coordinates"),
        ([1.0, 1.0, 1.0], r"\(2,\) or \(B, 2\), got \(3,\)"),
        ([[[1.0, 1.0]]], r"got \(1, 1, 2\)"),
    ],
)
def test_bad_targets_are_refused(sampler, tcp, message):
    with pytest.raises(ValueError, match=message):
        sampler.sample(tcp, 3)


@pytest.mark.parametrize("name", list(ikpaper.models.CATALOGUE))
def test_networks_have_finite_gradients_everywhere(name, arm, generator):
    model = SAMPLERS[name](arm).train()
    teacher = model.teacher and SAMPLERS[model.teacher](arm)
    theta = 0.3 * torch.randn(64, 4, generator=generator)
    tcp = arm.forward(theta)
    inputs = model.training_inputs(theta, tcp, teacher, generator)
    terms = model.loss(inputs, tcp, 0.5, generator)
    sum(terms.values()).backward()
    for key, parameter in model.named_parameters():
        if parameter.requires_grad:
            assert parameter.grad is not None, key
            assert torch.isfinite(parameter.grad).all(), key
