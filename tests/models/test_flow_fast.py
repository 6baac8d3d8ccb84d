import dataclasses

import pytest
import torch

import ikpaper
from ikpaper import metrics, models
from ikpaper.training import TrainingRun, train

ARM = ikpaper.PlanarArm([0.5, 0.5, 0.5, 1.0])


@pytest.fixture
def data(generator):
    theta = 0.2 * torch.randn(300, 4, generator=generator, dtype=torch.float64)
    return theta, ARM.forward(theta)


def build(name, **changes):
    return models.build(name, arm=ARM, neurons=32, **changes).double().eval()


def test_it_learns_from_pairs_of_the_flow(data):
    flow, fast = build("flow"), build("flow-fast")
    inputs = fast.training_inputs(*data, flow, torch.Generator().manual_seed(1))
    assert inputs.shape == (300, 8)
    wanted, z = inputs.chunk(2, dim=1)
    noise = torch.Generator().manual_seed(1)
    assert torch.equal(z, torch.randn(300, 4, generator=noise, dtype=torch.float64))
    with torch.no_grad():
        torch.testing.assert_close(wanted, flow.decode(z, data[1]))
    terms = fast.loss(inputs, data[1], 0.0)
    expected = ((fast.decode(z, data[1]) - wanted) / 0.2).square().sum(dim=1).mean()
    torch.testing.assert_close(terms, {"distance": expected})


def test_without_a_teacher_it_says_what_it_needs(data):
    with pytest.raises(ValueError, match="'flow-fast' learns from a trained 'flow'"):
        build("flow-fast").training_inputs(*data, None, None)


def test_projections_take_samples_to_the_target(generator):
    tcp = torch.tensor([[2.0, 0.8], [2.2, -0.4]], dtype=torch.float64)
    errors = []
    for projections in (0, 2, 5):
        fast = build("flow-fast", projections=projections)
        theta = fast.sample(tcp, 200, generator=generator)
        errors.append(float(metrics.resimulation_error(ARM, theta, tcp).mean()))
    assert errors[0] > 10 * errors[1] > 100 * errors[2]


def test_projections_know_the_spread_of_each_joint(generator):
    rail, tcp = ikpaper.RailArm.benchmark(), torch.tensor([1.8, 0.8], dtype=torch.float64)
    for sigma in (rail.sigma, (2.0, 0.3, 0.3, 0.3)):
        fast = models.build("flow-fast", arm=rail, sigma=sigma, neurons=32, projections=8)
        theta = fast.double().eval().sample(tcp, 200, generator=generator)
        assert (rail.forward(theta) - tcp).norm(dim=1).median() < 1e-6


@pytest.mark.slow
def test_training_brings_it_near_its_teacher(tmp_path):
    profile = dataclasses.replace(ikpaper.PROFILES["smoke"], samples=10_000, batch=250)
    run = TrainingRun.of("flow-fast", arm=ARM, profile=profile, epochs=10, neurons=64, warmup=20)
    train(run.teacher, directory=tmp_path)
    _, record = train(run, directory=tmp_path)
    losses = [row["terms"]["distance"] for row in record["history"]]
    assert losses[-1] < 0.5 * losses[0]
