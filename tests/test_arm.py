import math

import numpy as np
import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from ikpaper.arm import PlanarArm, RailArm, arm_of, resolve_arm, wrap

ON_RAIL = RailArm([0.7, 1.3, 0.2])


def naive_forward(lengths, theta):
    x = y = heading = 0.0
    for length, angle in zip(lengths, theta, strict=True):
        heading += angle
        x += length * math.cos(heading)
        y += length * math.sin(heading)
    return [x, y]


def test_forward_agrees_with_a_loop_over_links(generator):
    lengths = [0.7, 1.3, 0.2, 2.0]
    theta = torch.randn(20, 4, generator=generator, dtype=torch.float64)
    expected = torch.tensor([naive_forward(lengths, row) for row in theta.tolist()]).double()
    torch.testing.assert_close(PlanarArm(lengths).forward(theta), expected, atol=1e-6, rtol=0)


def test_joint_positions_start_at_the_base_and_end_at_the_tcp(arm, generator):
    theta = torch.randn(5, 6, generator=generator, dtype=torch.float64)
    positions = arm.joint_positions(theta)
    assert positions.shape == (5, 7, 2)
    assert not positions[:, 0].any()
    torch.testing.assert_close(positions[:, -1], arm.forward(theta))
    links = positions.diff(dim=1).norm(dim=-1)
    torch.testing.assert_close(links, torch.tensor(arm.lengths).double().expand(5, 6))


def test_jacobian_agrees_with_autograd(arm, generator):
    theta = torch.randn(6, generator=generator, dtype=torch.float64)
    expected = torch.autograd.functional.jacobian(arm.forward, theta)
    torch.testing.assert_close(arm.jacobian(theta), expected)


def test_both_in_one_pass_are_what_each_is(arm, generator):
    theta = torch.randn(3, 5, 6, generator=generator, dtype=torch.float64)
    point, jacobian = arm.linearised(theta)
    torch.testing.assert_close(point, arm.forward(theta))
    assert jacobian.shape == (3, 5, 2, 6)


def test_numpy_residual_and_jacobian_are_those_of_the_tensors(arm, generator):
    theta = torch.randn(6, generator=generator, dtype=torch.float64)
    value, jacobian = arm.residual([1.0, 2.0])
    expected = arm.forward(theta) - torch.tensor([1.0, 2.0])
    np.testing.assert_allclose(value(theta.numpy()), expected)
    np.testing.assert_allclose(jacobian(theta.numpy()), arm.jacobian(theta))


@pytest.mark.parametrize("theta", [[0.0] * 6, np.zeros(6), torch.zeros(6), np.zeros((2, 3, 6))])
def test_forward_takes_lists_arrays_tensors_and_batches(arm, theta):
    assert arm.forward(theta).shape == (*np.shape(theta)[:-1], 2)


@pytest.mark.parametrize(("dof", "reach"), [(4, 2.5), (6, 3.5), (8, 4.5), (10, 5.5)])
def test_paper_arms_have_their_reach(dof, reach):
    paper = PlanarArm.paper(dof)
    assert (paper.dof, paper.reach, paper.inner_radius) == (dof, reach, 0.0)


def naive_rail(lengths, theta):
    x, y = naive_forward(lengths, theta[1:])
    return [x, y + theta[0]]


def test_a_rail_moves_what_turns_after_it(generator):
    theta = torch.randn(20, 4, generator=generator, dtype=torch.float64)
    expected = torch.tensor([naive_rail([0.7, 1.3, 0.2], row) for row in theta.tolist()]).double()
    torch.testing.assert_close(ON_RAIL.forward(theta), expected, atol=1e-6, rtol=0)
    positions = ON_RAIL.joint_positions(theta)
    assert positions.shape == (20, 5, 2)
    assert not positions[:, 0].any()
    assert not positions[:, 1, 0].any()
    assert torch.equal(positions[:, 1, 1], theta[:, 0])
    torch.testing.assert_close(positions[:, -1], ON_RAIL.forward(theta))
    links = positions[:, 1:].diff(dim=1).norm(dim=-1)
    torch.testing.assert_close(links, torch.tensor([0.7, 1.3, 0.2]).double().expand(20, 3))


def test_jacobian_on_a_rail_agrees_with_autograd(generator):
    theta = torch.randn(5, 4, generator=generator, dtype=torch.float64)
    for row, jacobian in zip(theta, ON_RAIL.jacobian(theta), strict=True):
        expected = torch.autograd.functional.jacobian(ON_RAIL.forward, row)
        torch.testing.assert_close(jacobian, expected)
    value, slope = ON_RAIL.residual([1.0, 2.0])
    expected = ON_RAIL.forward(theta[0]) - torch.tensor([1.0, 2.0])
    np.testing.assert_allclose(value(theta[0].numpy()), expected)
    np.testing.assert_allclose(slope(theta[0].numpy()), ON_RAIL.jacobian(theta[0]))


@pytest.mark.parametrize("kinematics", [PlanarArm([0.7, 1.3, 0.2]), ON_RAIL], ids=repr)
def test_minors_are_determinants_of_two_columns(kinematics, generator):
    theta = torch.randn(kinematics.dof, generator=generator, dtype=torch.float64)
    jacobian = torch.autograd.functional.jacobian(kinematics.forward, theta)
    expected = [torch.linalg.det(jacobian[:, [0, k]]).abs() for k in range(1, kinematics.dof)]
    found = kinematics.minors(theta, kinematics.forward(theta)).abs()
    torch.testing.assert_close(found, torch.stack(expected))


def test_the_benchmarks_arm_is_that_of_its_code(generator):
    benchmark = RailArm.benchmark()
    sigma = torch.tensor(benchmark.sigma, dtype=torch.float64)
    torch.testing.assert_close(sigma.square(), torch.tensor([1 / 16, 1 / 4, 1 / 4, 1 / 4]).double())
    x1, x2, x3, x4 = theta = sigma * torch.randn(4, generator=generator, dtype=torch.float64)
    x = 0.5 * x2.cos() + 0.5 * (x2 + x3).cos() + (x2 + x3 + x4).cos()
    y = 0.5 * x2.sin() + 0.5 * (x2 + x3).sin() + (x2 + x3 + x4).sin() + x1
    torch.testing.assert_close(benchmark.forward(theta), torch.stack([x, y]))


def test_lengths_tell_a_rail_from_none():
    assert arm_of(ON_RAIL.lengths) == ON_RAIL
    assert isinstance(arm_of([0.0, 0.7, 1.3]), RailArm)
    assert arm_of([0.7, 1.3]) == PlanarArm([0.7, 1.3])
    assert PlanarArm([0.7, 1.3, 0.2]) != ON_RAIL
    for lengths in ([0.0], [0.5, 0.0, 0.5], [0.0, 0.0, 0.5]):
        with pytest.raises(ValueError, match="link lengths: expected"):
            arm_of(lengths)


def test_a_rail_reaches_whatever_is_near_it():
    ON_RAIL.check_targets([[0.0, 50.0], [-2.2, -3.0]])
    with pytest.raises(ValueError, match=r"from the rail 2\.3; .* distances from 0 to 2\.2"):
        ON_RAIL.check_targets([-2.3, 0.0])
    with pytest.raises(ValueError, match=r"\.\.\., 4.*got \(2, 3\)"):
        ON_RAIL.forward(torch.zeros(2, 3))


def test_only_angles_are_wrapped():
    theta = torch.tensor([7.0, 7.0, -4.0, 1.0], dtype=torch.float64)
    expected = torch.tensor([7.0, 7.0 - 2 * math.pi, 2 * math.pi - 4.0, 1.0], dtype=torch.float64)
    torch.testing.assert_close(ON_RAIL.wrapped(theta), expected)


def test_inner_radius_is_what_the_longest_link_leaves():
    assert PlanarArm([2.0, 0.5]).inner_radius == pytest.approx(1.5)


@pytest.mark.parametrize(
    "lengths", [[], [[1.0]], [1.0, math.nan], [1.0, math.inf], [1.0, 0.0], [-1.0]]
)
def test_bad_lengths_are_refused(lengths):
    with pytest.raises(ValueError, match=r"link lengths: expected .* got"):
        PlanarArm(lengths)


def test_unknown_paper_arm_lists_the_known():
    with pytest.raises(ValueError, match="4, 6, 8, 10"):
        PlanarArm.paper(5)


def test_wrong_number_of_joints_names_both(arm):
    with pytest.raises(ValueError, match=r"\.\.\., 6.*got \(2, 5\)"):
        arm.forward(torch.zeros(2, 5))


@pytest.mark.parametrize(
    ("tcp", "message"),
    [
        ([4.0, 0.0], r"0 to 3\.5"),
        ([math.nan, 0.0], "finite"),
        ([math.inf, 0.0], "finite"),
        ([1.0, 2.0, 3.0], r"\(3,\)"),
        ([[[1.0, 1.0]]], r"\(1, 1, 2\)"),
        (np.zeros((0, 2)), r"\(0, 2\)"),
    ],
)
def test_bad_targets_are_refused(arm, tcp, message):
    with pytest.raises(ValueError, match=message):
        arm.check_targets(tcp)


def test_target_within_the_inner_radius_names_the_radii():
    with pytest.raises(ValueError, match=r"radii from 1\.5 to 2\.5"):
        PlanarArm([2.0, 0.5]).check_targets([0.3, 0.3])


def test_wrap_keeps_the_direction_and_the_half_open_interval(generator):
    angle = 20 * torch.randn(1000, generator=generator, dtype=torch.float64)
    wrapped = wrap(angle)
    assert ((wrapped > -math.pi) & (wrapped <= math.pi)).all()
    torch.testing.assert_close(wrapped.cos(), angle.cos())
    torch.testing.assert_close(wrapped.sin(), angle.sin())
    assert wrap(torch.tensor(-math.pi, dtype=torch.float64)) == math.pi


def test_positions_have_the_precision_of_the_angles_under_autocast(arm, generator):
    theta = torch.randn(50, arm.dof, generator=generator)
    expected = arm.forward(theta), arm.jacobian(theta), arm.joint_positions(theta)
    with torch.autocast("cpu", torch.bfloat16):
        found = arm.forward(theta), arm.jacobian(theta), arm.joint_positions(theta)
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=0)


def _in_inference_mode(arm):
    with torch.inference_mode():
        arm.forward(torch.zeros(arm.dof, dtype=torch.float16))


def _while_differentiated(arm):
    torch.func.grad(lambda theta: arm.forward(theta).sum())(
        torch.zeros(arm.dof, dtype=torch.float16)
    )


def _while_vectorised(arm):
    torch.func.vmap(arm.forward)(torch.zeros(3, arm.dof, dtype=torch.float16))


def _without_values(arm):
    with FakeTensorMode():
        arm.forward(torch.zeros(arm.dof, dtype=torch.float16))


def _while_exported(arm):
    class Forward(torch.nn.Module):
        def forward(self, theta):
            return arm.jacobian(theta)

    torch.export.export(Forward(), (torch.zeros(2, arm.dof, dtype=torch.float16),))


_MODES = (
    _in_inference_mode,
    _while_differentiated,
    _while_vectorised,
    _without_values,
    _while_exported,
)


@pytest.mark.parametrize("mode", range(len(_MODES)))
@pytest.mark.parametrize("kind", [PlanarArm, RailArm])
def test_nothing_made_under_a_mode_outlives_it(mode, kind):
    # Lengths of its own: nothing of this arm has been used before.
    arm = kind([0.5, 0.6, 0.7 + mode / 100])
    _MODES[mode](arm)
    theta = torch.zeros(arm.dof, dtype=torch.float16, requires_grad=True)
    arm.forward(theta).sum().backward()
    gradient = arm.jacobian(torch.zeros(arm.dof, dtype=torch.float64)).sum(dim=0)
    torch.testing.assert_close(theta.grad.double(), gradient, rtol=1e-2, atol=1e-2)


def test_arrays_of_any_byte_order_and_tensors_with_a_graph_are_numbers(arm):
    theta = np.linspace(-0.5, 0.5, arm.dof)
    expected = arm.forward(theta)
    torch.testing.assert_close(arm.forward(theta.astype(">f8")), expected, rtol=0, atol=0)
    lengths = torch.tensor(arm.lengths, dtype=torch.float64, requires_grad=True)
    assert PlanarArm(lengths) == arm


@pytest.mark.parametrize("theta", [["a", "b"], None, [[0.1], [0.1, 0.2]], [1j, 0.0]])
def test_what_is_no_array_of_numbers_is_refused(arm, theta):
    with pytest.raises(ValueError, match="theta: expected"):
        arm.forward(theta)


def test_a_prior_is_the_arms_own_or_the_papers():
    rail = RailArm([500.0, 500.0, 1000.0])
    assert PlanarArm.paper(4).prior_sigma() == (0.2,) * 4
    assert PlanarArm.paper(4).prior_sigma(np.full((4, 1), 0.3)) == (0.3,) * 4
    assert RailArm.benchmark().prior_sigma() == (0.25, 0.5, 0.5, 0.5)
    # In millimetres as in metres: the same share of the reach.
    assert rail.prior_sigma() == (250.0, 0.5, 0.5, 0.5)
    assert rail.prior_sigma(0.1) == (0.1,) * 4


def test_an_arm_is_asked_for_by_its_dof_or_itself():
    arm = PlanarArm([0.3, 0.4, 0.5])
    assert resolve_arm("f", None, arm) is arm
    assert resolve_arm("f", 6.0, None) == PlanarArm.paper(6)


@pytest.mark.parametrize(
    ("dof", "arm", "message"),
    [
        (None, None, "f: expected either dof or arm, got dof=None and arm=None"),
        (4, PlanarArm.paper(4), "f: expected either dof or arm, got dof=4"),
        (5, None, "the paper has no arm with dof=5"),
        ("six", None, "dof: expected a whole number of at least 1, got 'six'"),
        (None, [0.5, 0.5, 1.0], "f: arm: expected a PlanarArm"),
    ],
)
def test_neither_or_both_or_another_thing_is_refused(dof, arm, message):
    with pytest.raises(ValueError, match=message):
        resolve_arm("f", dof, arm)
