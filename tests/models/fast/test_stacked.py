from itertools import pairwise

import pytest
import torch
from torch import nn

from ikpaper.models.fast.stacked import StackedNetworks, linear_layers


def networks(count, generator, *, activate_last=False, slope=0.01, dtype=torch.float64):
    sizes = [3, 40, 40, 2]
    built = []
    for _ in range(count):
        layers = []
        for size, next_size in pairwise(sizes):
            linear = nn.Linear(size, next_size, dtype=dtype)
            for parameter in linear.parameters():
                noise = torch.randn(parameter.shape, generator=generator, dtype=dtype)
                parameter.data = noise / size**0.5
            layers += [linear, nn.LeakyReLU(slope)]
        built.append(nn.Sequential(*(layers if activate_last else layers[:-1])))
    return built


def stacked(built, **options):
    return StackedNetworks([linear_layers(network) for network in built], **options)


def gradients(built, x, run):
    x = x.clone().requires_grad_()
    leaves = [x, *(p for network in built for p in network.parameters())]
    return torch.autograd.grad(run(x).square().sum(), leaves)


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("activate_last", [False, True])
@pytest.mark.parametrize("slope", [0.0, 0.01])
def test_outputs_and_gradients_are_those_of_the_modules(count, activate_last, slope, generator):
    built = networks(count, generator, activate_last=activate_last, slope=slope)
    x = torch.randn(30, 3, generator=generator, dtype=torch.float64)

    def plain(x):
        return torch.stack([network(x) for network in built])

    def fast(x):
        return stacked(built, slope=slope, activate_last=activate_last)(x)

    torch.testing.assert_close(fast(x), plain(x))
    for ours, theirs in zip(gradients(built, x, fast), gradients(built, x, plain), strict=True):
        torch.testing.assert_close(ours, theirs)


def test_bfloat16_stays_between_the_hidden_layers(generator):
    built = networks(2, generator, dtype=torch.float32)
    x = torch.randn(200, 3, generator=generator)
    exact = stacked(built, slope=0.01)(x)
    rounded = stacked(built, slope=0.01, precision=torch.bfloat16)(x)
    assert rounded.dtype == torch.float32
    error = (rounded - exact).norm() / exact.norm()
    assert 0 < error < 0.01
    # A last layer in bfloat16 would leave 8 bits of every output.
    assert not torch.equal(rounded, rounded.bfloat16().float())
    # The first layer sees the input unrounded: nearby inputs stay apart.
    shifted = stacked(built, slope=0.01, precision=torch.bfloat16)(x * (1 + 1e-3))
    assert not torch.equal(shifted, rounded)


@pytest.mark.parametrize("hardware", [False, True])
def test_products_in_bfloat16_do_not_depend_on_the_processor(hardware, generator, monkeypatch):
    monkeypatch.setattr("ikpaper.models.fast.stacked.multiplies_bfloat16", lambda: hardware)
    (network,) = built = networks(1, generator, dtype=torch.float32)
    x = torch.randn(500, 3, generator=generator)
    used, torchs = [], torch.baddbmm

    def spy(bias, *factors):
        used.extend(factor.dtype for factor in factors)
        return torchs(bias, *factors)

    monkeypatch.setattr(torch, "baddbmm", spy)
    # By hand: what goes into the hidden layer rounded, sums in float64, what comes out rounded.
    first, relu, inner, _, last = network
    weight, bias = (parameter.bfloat16().double() for parameter in inner.parameters())
    hidden = relu(first(x).bfloat16())
    hidden = relu((hidden.double() @ weight.T + bias).bfloat16())
    by_hand = last(hidden.float())
    rounded = stacked(built, slope=0.01, precision=torch.bfloat16)(x)[0]
    assert (torch.bfloat16 in used) is hardware
    assert (rounded - by_hand).norm() < 0.1 * (network(x) - by_hand).norm()


@pytest.mark.parametrize("hardware", [False, True])
def test_gradients_in_bfloat16_point_the_same_way(hardware, generator, monkeypatch):
    monkeypatch.setattr("ikpaper.models.fast.stacked.multiplies_bfloat16", lambda: hardware)
    built = networks(2, generator, activate_last=True, dtype=torch.float32)
    x = torch.randn(500, 3, generator=generator)
    exact, rounded = (
        gradients(built, x, stacked(built, slope=0.01, activate_last=True, precision=precision))
        for precision in (None, torch.bfloat16)
    )
    for ours, theirs in zip(rounded, exact, strict=True):
        assert ours.dtype == torch.float32
        assert (ours - theirs).norm() < 0.03 * theirs.norm()


@pytest.mark.parametrize("activate_last", [False, True])
@pytest.mark.parametrize("count", [1, 2])
def test_it_can_be_differentiated_twice(count, activate_last, generator):
    shapes = [(5, 3), (5,), (4, 5), (4,), (2, 4), (2,)]
    parameters = [
        torch.randn(shape, generator=generator, dtype=torch.float64, requires_grad=True)
        for shape in shapes * count
    ]
    x = torch.randn(6, 3, generator=generator, dtype=torch.float64, requires_grad=True)

    def run(x, *parameters):
        split = [parameters[i : i + len(shapes)] for i in range(0, len(parameters), len(shapes))]
        networks = [list(zip(own[::2], own[1::2], strict=True)) for own in split]
        return StackedNetworks(networks, slope=0.1, activate_last=activate_last)(x)

    assert torch.autograd.gradcheck(run, (x, *parameters))
    assert torch.autograd.gradgradcheck(run, (x, *parameters))


def test_gradients_of_parameters_alone(generator):
    """An input without a gradient, as data are, and parameters that are held fixed."""
    built = networks(2, generator)
    for parameter in built[1].parameters():
        parameter.requires_grad_(False)
    x = torch.randn(30, 3, generator=generator, dtype=torch.float64)
    trained = list(built[0].parameters())
    ours, expected = (
        torch.autograd.grad(run(x).square().sum(), trained)
        for run in (stacked(built, slope=0.01), lambda x: torch.stack([n(x) for n in built]))
    )
    torch.testing.assert_close(ours, expected)
