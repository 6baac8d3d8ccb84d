import math

import numpy as np
import pytest
import torch

from ikpaper.arm import PlanarArm, wrap


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
    assert (paper.dof, paper.reach, paper.hole) == (dof, reach, 0.0)


def test_hole_is_what_the_longest_link_leaves():
    assert PlanarArm([2.0, 0.5]).hole == pytest.approx(1.5)


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


def test_target_in_the_hole_names_the_radii():
    with pytest.raises(ValueError, match=r"radii from 1\.5 to 2\.5"):
        PlanarArm([2.0, 0.5]).check_targets([0.3, 0.3])


def test_wrap_keeps_the_direction_and_the_half_open_interval(generator):
    angle = 20 * torch.randn(1000, generator=generator, dtype=torch.float64)
    wrapped = wrap(angle)
    assert ((wrapped > -math.pi) & (wrapped <= math.pi)).all()
    torch.testing.assert_close(wrapped.cos(), angle.cos())
    torch.testing.assert_close(wrapped.sin(), angle.sin())
    assert wrap(torch.tensor(-math.pi, dtype=torch.float64)) == math.pi
