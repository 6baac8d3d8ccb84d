import dataclasses

import pytest
import torch

import ikpaper
from ikpaper import metrics, models
from ikpaper.models.scaled import TargetFeatures
from ikpaper.training import TrainingRun, train


def shaken(arm, **changes):
    """A flow whose network is not zero, as it would be at the start of training."""
    model = models.build("flow", arm=arm, neurons=32, **changes).double()
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        for parameter in model.network.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return model.eval()


@pytest.fixture
def flow(arm):
    return shaken(arm)


@pytest.mark.parametrize(
    ("arm", "sigma", "error", "step"),
    [
        (ikpaper.PlanarArm.paper(6), 0.2, 0.2**2 * 3.5, 0.2 * 3.5),
        (ikpaper.RailArm.benchmark(), (0.25, 0.5, 0.5, 0.5), 0.5**2 * 2.0, 0.5 * 2.0),
        (ikpaper.RailArm.benchmark(), (1.5, 0.5, 0.5, 0.5), 0.5**2 * 2.0, 1.5),
    ],
)
def test_velocity_is_what_the_docstring_says(arm, sigma, error, step, generator):
    """The guess by an independent way: dense linear algebra, target by target."""
    flow = models.build("flow", arm=arm, sigma=sigma, neurons=32).double().eval()
    scale = torch.tensor(sigma, dtype=torch.float64).expand(arm.dof)
    x = torch.randn(4, arm.dof, generator=generator, dtype=torch.float64)
    t = torch.tensor([[0.0], [0.3], [0.7], [0.95]], dtype=torch.float64)
    tcp = arm.forward(scale * torch.randn(4, arm.dof, generator=generator, dtype=torch.float64))
    with torch.no_grad():
        found = flow.velocity(x, t, tcp, flow.features(tcp))
    for i in range(4):
        time = float(t[i])
        q = time**2 + (1 - time) ** 2
        mean, variance = time * x[i] / q, (1 - time) ** 2 / q
        jacobian = torch.autograd.functional.jacobian(lambda m: arm.forward(scale * m), mean)
        gram = jacobian @ jacobian.T + ((error * variance) ** 2 + 1e-6 * step**2) * torch.eye(2)
        end = mean - jacobian.T @ torch.linalg.solve(gram, arm.forward(scale * mean) - tcp[i])
        torch.testing.assert_close(found[i], (end - x[i]) / (1 - time))


@pytest.mark.parametrize(
    ("arm", "sigma", "tcp"),
    [
        (ikpaper.PlanarArm.paper(6), 0.2, [[3.0, 0.8], [2.8, -1.0]]),
        (ikpaper.RailArm.benchmark(), (0.25, 0.5, 0.5, 0.5), [[1.8, 0.8], [1.6, -1.0]]),
    ],
    ids=["fixed", "rail"],
)
def test_samples_approach_the_target_whatever_the_network_does(arm, sigma, tcp, generator):
    flow, tcp = shaken(arm, sigma=sigma), torch.tensor(tcp, dtype=torch.float64)
    errors = []
    for steps in (4, 16, 64):
        flow.steps = steps
        theta = flow.sample(tcp, 40, generator=generator)
        errors.append(float(metrics.resimulation_error(arm, theta, tcp).mean()))
    assert errors[0] > 10 * errors[1] > 100 * errors[2]


def test_loss_is_that_of_conditional_flow_matching(flow, arm):
    draw = torch.Generator().manual_seed(1)
    theta = 0.2 * torch.randn(40, 6, generator=draw, dtype=torch.float64)
    tcp = arm.forward(theta)
    terms = flow.loss(theta, tcp, 0.0, torch.Generator().manual_seed(3))
    noise = torch.Generator().manual_seed(3)
    start = torch.randn(40, 6, generator=noise, dtype=torch.float64)
    offsets = torch.rand(40, 1, generator=noise, dtype=torch.float64)
    expected = 0.0
    for i in range(40):
        t = 0.999 * (i + offsets[i]) / 40
        # Everything happens on the side y >= 0.
        sign = 1.0 if tcp[i, 1] >= 0 else -1.0
        target = arm.forward(sign * theta[i : i + 1])
        end = sign * theta[i] / 0.2
        x = (1 - t) * start[i] + t * end
        v = flow.velocity(x[None], t[None], target, flow.features(target))[0]
        expected += (v - (end - start[i])).square().sum() / 40
    assert list(terms) == ["velocity"]
    torch.testing.assert_close(terms["velocity"], expected)


@pytest.mark.parametrize("arm", [ikpaper.PlanarArm.paper(6), ikpaper.RailArm.benchmark()])
@pytest.mark.parametrize("name", ["flow", "flow-fast"])
def test_mirrored_targets_have_mirrored_samples(name, arm, generator):
    model = models.build(name, arm=arm, neurons=32).double().eval()
    with torch.no_grad():
        for parameter in model.network.parameters():
            parameter.normal_(0.0, 0.1, generator=generator)
        z = torch.randn(20, arm.dof, generator=generator, dtype=torch.float64)
        tcp = arm.forward(0.3 * torch.randn(20, arm.dof, generator=generator, dtype=torch.float64))
        mirrored = tcp * torch.tensor([1.0, -1.0])
        torch.testing.assert_close(model.decode(-z, mirrored), -model.decode(z, tcp))


def test_more_steps_converge_to_one_map(flow, generator):
    """Midpoint steps are of second order."""
    z = torch.randn(50, 6, generator=generator, dtype=torch.float64)
    tcp = torch.tensor([3.0, 0.8], dtype=torch.float64).expand(50, 2)
    ends = {}
    for steps in (8, 16, 32, 128):
        flow.steps = steps
        with torch.no_grad():
            ends[steps] = flow.decode(z, tcp)
    far, near, nearer = ((ends[k] - ends[128]).norm() for k in (8, 16, 32))
    assert far > 3 * near
    assert near > 3 * nearer


@pytest.mark.parametrize(
    ("arm", "sigma"),
    [(ikpaper.PlanarArm.paper(6), 0.2), (ikpaper.RailArm.benchmark(), (0.25, 0.5, 0.5, 0.5))],
)
def test_features_of_common_targets_are_of_order_one(arm, sigma, generator):
    tcp = ikpaper.Prior(arm, sigma).draw(2000, generator)
    features = TargetFeatures(arm, sigma)(arm.forward(tcp))
    assert features.shape == (2000, 4)
    assert (features.std(dim=0) > 0.2).all()
    assert (features.std(dim=0) < 1.5).all()
    assert features.mean(dim=0).abs().max() < 1.5


@pytest.mark.slow
def test_some_seconds_of_training_beat_the_prior_by_far(tmp_path):
    arm = ikpaper.PlanarArm([0.5, 0.5, 0.5, 1.0])
    smoke = ikpaper.PROFILES["smoke"]
    profile = dataclasses.replace(smoke, samples=20_000, batch=250)
    run = TrainingRun.of("flow", arm=arm, profile=profile, epochs=30, neurons=64, warmup=20)
    model, record = train(run, directory=tmp_path)
    losses = [row["terms"]["velocity"] for row in record["history"]]
    assert losses[-1] < losses[0]
    tcp = torch.tensor([[2.0, 0.8], [2.2, -0.4], [2.3, 0.1]], dtype=torch.float64)
    draw = torch.Generator().manual_seed(0)
    exact = ikpaper.ExactPosterior(arm, 0.2).sample(tcp, 500, generator=draw)

    def distance(sampler):
        theta = sampler.sample(tcp, 500, generator=draw).double()
        return sum(
            float(metrics.mmd2(a, b, unbiased=True)) for a, b in zip(theta, exact, strict=True)
        )

    assert distance(model) < 0.1 * distance(ikpaper.Prior(arm, 0.2))


def test_bad_settings_are_refused():
    with pytest.raises(ValueError, match=r"blocks: .* got 0"):
        models.build("flow", dof=6, blocks=0)
    with pytest.raises(ValueError, match=r"sigma: .* got -1"):
        models.build("flow", dof=6, sigma=-1.0)


def test_plain_flow_is_the_flow_without_kinematics(arm, generator):
    """Same layers but for fewer inputs, and a velocity that its network alone decides."""
    plain, flow = models.build("flow-plain", arm=arm), models.build("flow", arm=arm)
    missing = (arm.dof + 2) * flow.config.neurons
    assert flow.num_parameters - plain.num_parameters == missing + flow.log_damping.numel()
    x = torch.randn(5, arm.dof, generator=generator)
    tcp = arm.forward(0.2 * torch.randn(5, arm.dof, generator=generator))
    with torch.no_grad():
        found = plain.velocity(x, torch.rand(5, 1, generator=generator), tcp, plain.features(tcp))
    # Untrained, its network is zero.
    assert not found.any()
    assert plain.config == dataclasses.replace(flow.config)
