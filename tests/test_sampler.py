"""One contract for everything that draws joint angles for a target."""

import copy
import math
import pickle

import numpy as np
import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

import ikpaper
from ikpaper.projection import project
from ikpaper.sampler import SAMPLERS as REGISTERED
from ikpaper.sampler import PosteriorSampler, Refined, Sampler
from ikpaper.samplers import LookupTable

ARMS = [ikpaper.PlanarArm([0.6, 0.5, 0.5, 0.8]), ikpaper.RailArm([0.9, 0.5, 1.0])]
TCP = [[2.0, 0.6], [1.9, -0.7], [2.2, 0.1]]
SAMPLERS = {
    "prior": lambda arm: ikpaper.Prior(arm, 0.3),
    "exact": lambda arm: ikpaper.ExactPosterior(arm, 0.3),
    "rejection": lambda arm: ikpaper.RejectionPosterior(arm, 0.3, eps=0.2),
    "lookup": lambda arm: LookupTable(arm, 0.3, entries=2000),
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


@pytest.mark.parametrize("n", [1, 4, 16])
def test_targets_get_the_same_samples_whatever_follows_them(sampler, n):
    # Equal to rounding: a product of matrices may sum in another order for another shape.
    everything = draw(sampler, TCP, n)
    torch.testing.assert_close(draw(sampler, TCP[0], n), everything[0])
    torch.testing.assert_close(draw(sampler, TCP[:2], n), everything[:2])


def test_a_target_with_a_graph_gets_samples_without(sampler):
    for tcp in (TCP[0], TCP):
        with_graph = torch.tensor(tcp, requires_grad=True)
        theta = draw(sampler, with_graph, 2)
        assert not theta.requires_grad
        torch.testing.assert_close(theta, draw(sampler, with_graph.detach(), 2), rtol=0, atol=0)


@pytest.mark.parametrize("n", [0, -1, 1.5, "two", None, True, math.nan])
def test_what_is_no_number_of_samples_is_refused(sampler, n):
    with pytest.raises(ValueError, match=f"n: expected .* at least 1, got {n!r}"):
        sampler.sample(TCP, n)


@pytest.mark.parametrize("n", [4.0, np.int64(4), np.float32(4), torch.tensor(4)])
def test_whole_numbers_of_any_type_are_numbers_of_samples(sampler, n):
    torch.testing.assert_close(draw(sampler, TCP, n), draw(sampler, TCP, 4), rtol=0, atol=0)


@pytest.mark.parametrize("generator", [0, np.random.default_rng(0), "seed"])
def test_what_is_no_generator_of_torch_is_refused(sampler, generator):
    with pytest.raises(ValueError, match=r"generator: expected a torch\.Generator or None, got"):
        sampler.sample(TCP, 2, generator=generator)


@pytest.mark.parametrize(
    ("tcp", "message"),
    [
        ([3.0, 0.0], r"this arm reaches .* from 0 to 2\.4"),
        ([math.nan, 1.0], "finite coordinates"),
        ([1.0, math.inf], "finite coordinates"),
        ([1.0, 1.0, 1.0], r"\(2,\), or a batch .* \(B, 2\), got shape \(3,\)"),
        ([[[1.0, 1.0]]], r"got shape \(1, 1, 2\)"),
        (np.zeros((0, 2)), r"a batch of at least one.* got shape \(0, 2\)"),
        (1.0, r"got shape \(\)"),
        (["near", "far"], "tcp: expected an array of numbers"),
        ([[1.0, 1.0], [1.0]], "tcp: expected an array of numbers"),
        ([1j, 0.0], "tcp: expected real numbers"),
    ],
)
def test_bad_targets_are_refused(sampler, tcp, message):
    with pytest.raises(ValueError, match=message):
        sampler.sample(tcp, 3)


@pytest.mark.parametrize("dtype", [">f8", "<f4", ">f4"])
def test_arrays_of_any_byte_order_are_targets(sampler, dtype):
    tcp = np.array(TCP, dtype)
    expected = draw(sampler, torch.from_numpy(tcp.astype(tcp.dtype.newbyteorder("="))), 3)
    torch.testing.assert_close(draw(sampler, tcp, 3), expected, rtol=0, atol=0)


def test_targets_of_whole_numbers_are_targets(sampler):
    expected = draw(sampler, [2.0, 0.0], 3)
    torch.testing.assert_close(draw(sampler, [2, 0], 3), expected, rtol=0, atol=0)


@pytest.mark.parametrize(
    "clone", [copy.deepcopy, lambda s: pickle.loads(pickle.dumps(s))], ids=["deepcopy", "pickle"]
)
def test_a_copy_gives_the_same_samples(sampler, clone):
    before = clone(sampler)
    expected = draw(sampler, TCP, 3)
    for other in (before, clone(sampler)):
        assert other.arm == sampler.arm
        torch.testing.assert_close(draw(other, TCP, 3), expected, rtol=0, atol=0)


@pytest.mark.parametrize("name", SAMPLERS)
@pytest.mark.parametrize("kind", [ikpaper.PlanarArm, ikpaper.RailArm])
def test_samples_in_inference_mode_leave_gradients_to_others(name, kind):
    # Lengths that no other test has: nothing of this arm has been used before.
    length = 0.5 + list(SAMPLERS).index(name) / 100
    arm = kind([0.6, 0.55, length, 0.9][kind is ikpaper.RailArm :])
    sampler = SAMPLERS[name](arm)
    with torch.inference_mode():
        inside = draw(sampler, [1.9, 0.4], 3)
    theta = draw(sampler, [1.9, 0.4], 3)
    torch.testing.assert_close(theta, inside.clone(), rtol=0, atol=0)
    theta.requires_grad_()
    arm.forward(theta).square().sum().backward()
    assert torch.isfinite(theta.grad).all()
    assert theta.grad.any()


@pytest.mark.parametrize("name", ["prior", "exact", "rejection", "numerical"])
def test_autocast_leaves_what_is_no_network_as_it_is(name, arm):
    sampler = SAMPLERS[name](arm)
    expected = draw(sampler, TCP, 3)
    with torch.autocast("cpu", torch.bfloat16):
        found = draw(sampler, TCP, 3)
    torch.testing.assert_close(found, expected, rtol=0, atol=0)


def test_samples_are_refined_in_full_precision_under_autocast(arm):
    refined = Refined(SAMPLERS["prior"](arm), steps=20)
    with torch.autocast("cpu", torch.bfloat16):
        theta = draw(refined, TCP, 3)
    residual = arm.forward(theta) - torch.tensor(TCP, dtype=torch.float64)[:, None]
    assert residual.norm(dim=-1).max() < 1e-9


class Singular:
    """The prior, but half of what the first call draws is a straight arm along the axis.

    No step turns it where the target lies on the axis as well.
    """

    def __init__(self, arm, straight=True):
        self.arm, self.straight, self.calls = arm, straight, []

    def sample(self, tcp, n, *, generator=None):
        theta = ikpaper.Prior(self.arm, 0.3).sample(tcp, n, generator=generator).double()
        if self.straight and not self.calls:
            theta[..., : n // 2, :] = 0.0
        self.calls.append(tuple(theta.shape))
        return theta.numpy()


#: On the axis, and off it.
ON_AXIS = [[1.8, 0.0], [2.1, 0.0], [1.9, -0.7]]


def off_target(theta, tcp):
    residual = ARMS[0].forward(theta) - torch.tensor(tcp, dtype=torch.float64)[..., None, :]
    return residual.norm(dim=-1)


def test_what_no_step_brings_to_the_target_is_drawn_again():
    sampler = Singular(ARMS[0])
    theta = draw(Refined(sampler), ON_AXIS, 8)
    assert off_target(theta, ON_AXIS).max() < 1e-5
    # Only what is missing, and only where something is.
    assert sampler.calls[:3] == [(3, 8, 4), (1, 4, 4), (1, 4, 4)]
    # What had converged is what it is without redraws.
    first = Singular(ARMS[0])
    once = project(
        ARMS[0],
        first.sample(ON_AXIS, 8, generator=torch.Generator().manual_seed(0)),
        ON_AXIS,
    )
    assert not once.converged[:2, :4].any()
    assert once.converged[:2, 4:].all()
    assert torch.equal(theta[once.converged], once.theta[once.converged])


def test_a_seed_decides_what_is_drawn_again():
    tcp = [ON_AXIS[0]] * 2
    first, again, other = (draw(Refined(Singular(ARMS[0])), tcp, 8, seed) for seed in (1, 1, 2))
    assert torch.equal(first, again)
    # Neither another seed nor the same target once more gets the same.
    for one, two in [(first, other), (first[:1], first[1:])]:
        assert not torch.isclose(one[:, :4], two[:, :4]).all(dim=-1).any()


def test_what_is_drawn_again_depends_on_no_other_target():
    theta = draw(Refined(Singular(ARMS[0])), ON_AXIS, 16)
    alone = draw(Refined(Singular(ARMS[0])), ON_AXIS[0], 16)
    assert alone.shape == (16, 4)
    torch.testing.assert_close(alone, theta[0])
    among_others = draw(Refined(Singular(ARMS[0])), [[2.0, 0.3], ON_AXIS[1], TCP[2]], 16)
    torch.testing.assert_close(among_others[1], theta[1])


def test_redraws_leave_the_callers_generator_where_the_sampler_left_it():
    states = []
    for sampler in (Refined(Singular(ARMS[0])), Singular(ARMS[0])):
        generator = torch.Generator().manual_seed(0)
        sampler.sample(ON_AXIS, 8, generator=generator)
        states.append(generator.get_state())
    assert torch.equal(*states)
    torch.manual_seed(3)
    first = Refined(Singular(ARMS[0])).sample(ON_AXIS, 8)
    torch.manual_seed(3)
    assert torch.equal(Refined(Singular(ARMS[0])).sample(ON_AXIS, 8), first)


def test_a_warning_counts_what_never_converges():
    class Stuck:
        arm, calls = ARMS[0], 0

        def sample(self, tcp, n, *, generator=None):
            self.calls += 1
            return np.zeros((len(tcp), n, 4))

    sampler = Stuck()
    message = "10 of 15 samples have not converged after 3 steps, 50 more and 10 redraws; the worst"
    with pytest.warns(UserWarning, match=message) as caught:
        theta = draw(Refined(sampler), ON_AXIS, 5)
    assert caught[0].filename == __file__
    assert sampler.calls == 1 + 2 * 10
    assert theta[:2].abs().max() == 0.0


def test_what_is_not_finite_stays_to_be_seen():
    class Broken(Singular):
        def sample(self, tcp, n, *, generator=None):
            theta = super().sample(tcp, n, generator=generator)
            theta[0, 0] = math.nan
            return theta

    sampler = Broken(ARMS[0], straight=False)
    with pytest.warns(UserWarning, match="1 of 24 samples have not converged"):
        theta = draw(Refined(sampler), TCP, 8)
    assert theta[0, 0].isnan().all()
    assert len(sampler.calls) == 1


@pytest.mark.parametrize("name", ["exact", "flow"])
def test_samples_after_a_look_without_values_have_values(name):
    arm = ikpaper.PlanarArm([0.6, 0.5, 0.45, 0.85])  # Of no other test.
    sampler = SAMPLERS[name](arm)
    with FakeTensorMode(allow_non_fake_inputs=True):
        arm.linearised(torch.zeros(2, 4))
        arm.linearised(torch.zeros(2, 4, dtype=torch.float64))
        if name == "flow":
            sampler.decode(torch.zeros(2, sampler.config.latent), torch.zeros(2, 2))
    theta = draw(sampler, TCP, 3)
    assert type(theta) is torch.Tensor
    assert np.isfinite(theta.numpy()).all()
    assert np.isfinite(arm.forward(theta).numpy()).all()


def test_samplers_are_known_by_their_definition():
    known = {"exact": ikpaper.ExactPosterior, "prior": ikpaper.Prior}
    known |= {"rejection": ikpaper.RejectionPosterior, "numerical": ikpaper.NumericalSolver}
    assert known.items() <= REGISTERED.items()
    assert ikpaper.models.CATALOGUE.items() <= REGISTERED.items()
    for name, kind in REGISTERED.items():
        assert kind.name == name
        assert kind.label
    # Without a label of its own, the name.
    assert ikpaper.Prior.label == "prior"
    with pytest.raises(TypeError):
        REGISTERED["mine"] = ikpaper.Prior


def test_a_second_class_with_a_name_is_refused():
    before = dict(REGISTERED)
    with pytest.raises(ValueError, match=r"name: a sampler 'exact' is registered .*ExactPosterior"):

        class Other(PosteriorSampler):
            name = "exact"

    class Nameless(ikpaper.Prior):
        """One that inherits its name is no second of that name."""

    assert dict(REGISTERED) == before
    assert Nameless.name == "prior"


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
