import math

import numpy as np
import pytest
import torch
from scipy.optimize import least_squares

import ikpaper
from ikpaper.projection import TOLERANCE, damped_step, project


@pytest.fixture
def rough(arm, generator):
    """Exact samples of a few targets, thrown off by 0.01 rad a joint."""
    tcp = torch.tensor([[3.0, 0.8], [3.2, -0.4], [2.5, 1.5]], dtype=torch.float64)
    exact = ikpaper.ExactPosterior(arm, sigma=0.2).sample(tcp, 50, generator=generator)
    return exact + 0.01 * torch.randn(exact.shape, generator=generator, dtype=exact.dtype), tcp


def test_a_step_solves_the_damped_normal_equations(arm, rough):
    theta, tcp = rough[0][0, :5], rough[1][0]
    jacobian, residual = arm.jacobian(theta), arm.forward(theta) - tcp
    step = damped_step(jacobian, residual, 0.03)
    for matrix, rest, found in zip(jacobian.numpy(), residual.numpy(), step.numpy(), strict=True):
        # The same from the other side: (J^T J + damping I) step = J^T residual.
        expected = np.linalg.solve(matrix.T @ matrix + 0.03 * np.eye(6), matrix.T @ rest)
        np.testing.assert_allclose(found, expected)


def test_without_damping_a_step_is_the_shortest(arm, rough):
    theta, tcp = rough[0][0, :5], rough[1][0]
    jacobian, residual = arm.jacobian(theta), arm.forward(theta) - tcp
    expected = (torch.linalg.pinv(jacobian) @ residual[..., None])[..., 0]
    torch.testing.assert_close(damped_step(jacobian, residual, 0.0), expected)


def test_three_steps_reach_the_target(arm, rough):
    theta, tcp = rough
    projected = project(arm, theta, tcp[:, None])
    assert projected.converged.all()
    assert projected.theta.shape == theta.shape
    torch.testing.assert_close(
        projected.distance, (arm.forward(projected.theta) - tcp[:, None]).norm(dim=-1)
    )
    assert projected.distance.square().mean() < 1e-12


def test_it_ends_where_scipys_solver_ends_and_near_the_start(arm, rough):
    theta, tcp = rough[0][0, 0], rough[1][0]
    residual, jacobian = arm.residual(tcp.numpy())
    solved = least_squares(residual, theta.numpy(), jacobian, xtol=1e-15, ftol=1e-15, gtol=1e-15)
    moved = project(arm, theta, tcp, 10)
    assert moved.distance < 1e-12
    # Both are solutions; ours is no farther from the start.
    ours = (moved.theta - theta).norm()
    assert ours < 1.05 * np.linalg.norm(solved.x - theta.numpy())


def test_no_sample_moves_away_from_its_target(arm, generator):
    theta = 2.0 * torch.randn(500, 6, generator=generator, dtype=torch.float64)
    tcp = torch.tensor([3.0, 0.8], dtype=torch.float64)
    before = (arm.forward(theta) - tcp).norm(dim=-1)
    for steps in (1, 3):
        assert (project(arm, theta, tcp, steps).distance <= before).all()


@pytest.fixture
def late():
    """Samples of a long arm's prior, (B, n, dof), and targets that not all reach in three steps."""
    arm, generator = ikpaper.PlanarArm.paper(10), torch.Generator().manual_seed(0)
    prior = ikpaper.Prior(arm, 0.2)
    tcp = arm.forward(prior.draw(20, generator=generator))
    return arm, prior.sample(tcp, 200, generator=generator).double(), tcp.double()


def test_patience_brings_the_late_ones_and_leaves_the_others_as_they_are(late):
    arm, theta, tcp = late
    before, after = (project(arm, theta, tcp, 3, patience=patience) for patience in (0, 50))
    assert 0 < int(before.converged.sum()) < before.converged.numel()
    assert after.converged.all()
    assert torch.equal(after.theta[before.converged], before.theta[before.converged])
    assert torch.equal(after.distance[before.converged], before.distance[before.converged])
    exact = (arm.forward(after.theta) - tcp[:, None]).norm(dim=-1)
    torch.testing.assert_close(after.distance, exact, rtol=0, atol=1e-12)
    # Few steps more bring few samples more, and count as that many.
    some = project(arm, theta, tcp, 3, patience=2)
    assert before.converged.sum() < some.converged.sum() <= after.converged.sum()
    same = project(arm, theta, tcp, 5, patience=0)
    late_ones = ~before.converged
    torch.testing.assert_close(some.theta[late_ones], same.theta[late_ones])


def test_only_the_late_ones_are_stepped_and_no_more_than_patience(late, monkeypatch):
    arm, theta, tcp = late
    missed = int((~project(arm, theta, tcp, 3, patience=0).converged).sum())
    sizes, linearised = [], type(arm).linearised

    def counted(self, theta):
        sizes.append(theta.shape[:-1].numel())
        return linearised(self, theta)

    monkeypatch.setattr(type(arm), "linearised", counted)
    project(arm, theta, tcp, 3, patience=7, tolerance=1e-300)
    assert sizes[:4] == [4000] * 4
    assert len(sizes) == 4 + 7
    sizes.clear()
    project(arm, theta, tcp, 3)
    assert sizes[:9] == [4000] * 4 + [missed] * 5
    assert sizes == sorted(sizes, reverse=True)


def test_late_samples_of_any_shape_arrive(late):
    arm, theta, tcp = late
    before, together = (project(arm, theta, tcp, 3, patience=patience) for patience in (0, 50))
    i, j = (~before.converged).nonzero()[0].tolist()
    for found, expected in [
        (project(arm, theta[i], tcp[i]), together.theta[i]),
        (project(arm, theta[:, j], tcp), together.theta[:, j]),
        (project(arm, theta[i, j], tcp[i]), together.theta[i, j]),
        (project(arm, theta[i : i + 1], tcp[i : i + 1]), together.theta[i : i + 1]),
    ]:
        assert found.converged.all()
        assert found.distance.shape == found.converged.shape == expected.shape[:-1]
        torch.testing.assert_close(found.theta, expected)


def test_what_is_not_finite_has_not_converged(late):
    arm, theta, tcp = late
    theta[0, 0] = math.nan
    found = project(arm, theta, tcp)
    assert not bool(found.converged[0, 0])
    assert int(found.converged.sum()) == found.converged.numel() - 1


@pytest.mark.parametrize("patience", [-1, 1.5, True, "3", None])
def test_patience_is_a_whole_number(arm, patience):
    with pytest.raises(ValueError, match="patience: expected a whole number of at least 0, got"):
        project(arm, torch.zeros(6), [3.0, 0.8], patience=patience)


def test_near_full_reach_it_says_what_has_not_converged(arm, generator):
    theta = 0.1 * torch.randn(200, 6, generator=generator, dtype=torch.float64)
    tcp = torch.tensor([0.99 * arm.reach, 0.0], dtype=torch.float64)
    projected = project(arm, theta, tcp, 4, patience=0)
    distance = (arm.forward(projected.theta) - tcp).norm(dim=-1)
    assert torch.equal(projected.converged, distance <= TOLERANCE * arm.reach)
    assert 0 < int(projected.converged.sum()) < 200
    out_of_reach = project(arm, theta, [1.01 * arm.reach, 0.0], 20)
    assert not out_of_reach.converged.any()
    assert torch.isfinite(out_of_reach.theta).all()
    torch.testing.assert_close(
        out_of_reach.distance.min(), torch.tensor(0.01 * arm.reach).double(), rtol=0.05, atol=0
    )


@pytest.mark.parametrize("heading", [0.0, 0.4, 2.0, -1.1])
def test_a_straight_arm_stays_finite(arm, heading):
    # The Jacobian has rank one there, and at most headings not even that after rounding.
    theta = torch.tensor([heading, 0, 0, 0, 0, 0], dtype=torch.float64)
    tcp = 3.4 * torch.tensor([math.cos(heading), math.sin(heading)], dtype=torch.float64)
    projected = project(arm, theta, tcp, 5)
    assert torch.isfinite(projected.theta).all()
    assert not bool(projected.converged)
    jacobian, residual = arm.jacobian(theta), arm.forward(theta) - tcp
    step = damped_step(jacobian, residual, 1e-20)
    assert step.abs().max() < 1.0


def test_targets_go_with_samples_as_samplers_return_them(arm, rough):
    theta, tcp = rough[0][:, :3], rough[1]
    together = project(arm, theta, tcp)
    for i in range(3):
        one = project(arm, theta[i], tcp[i])
        torch.testing.assert_close(one.theta, together.theta[i])
        each = project(arm, theta[i], tcp[i].expand(3, 2))
        torch.testing.assert_close(each.theta, one.theta)


@pytest.mark.parametrize(
    ("theta", "tcp", "steps", "message"),
    [
        (torch.zeros(6), [3.0, 0.8], 0, "steps: expected a whole number of at least 1, got 0"),
        (torch.zeros(6), [3.0, 0.8, 0.1], 1, r"tcp: expected .*, got \(3,\)"),
        (torch.zeros(5), [3.0, 0.8], 1, "theta: expected shape"),
    ],
)
def test_bad_input_is_refused(arm, theta, tcp, steps, message):
    with pytest.raises(ValueError, match=message):
        project(arm, theta, tcp, steps)


def test_steps_on_a_rail_reach_the_target_and_leave_its_position_unwrapped(generator):
    arm = ikpaper.RailArm.benchmark()
    tcp = torch.tensor([1.7, 6.0], dtype=torch.float64)
    exact = ikpaper.ExactPosterior(arm, (4.0, 0.5, 0.5, 0.5)).sample(tcp, 50, generator=generator)
    thrown = exact + 0.01 * torch.randn(exact.shape, generator=generator, dtype=exact.dtype)
    projected = project(arm, thrown, tcp, 4)
    assert (arm.forward(projected.theta) - tcp).norm(dim=-1).max() < 1e-12
    assert (projected.theta - exact).abs().max() < 0.2
    assert projected.theta[:, 0].max() > math.pi


def test_angles_come_back_wrapped(arm, rough):
    turned = rough[0][0] + 2 * math.pi
    projected = project(arm, turned, rough[1][0])
    assert projected.theta.abs().max() <= math.pi


def test_refined_samples_reach_the_target(arm, generator):
    refined = ikpaper.Refined(ikpaper.Prior(arm, 0.2), 8)
    tcp = torch.tensor([[3.0, 0.8], [3.2, -0.4]], dtype=torch.float64)
    theta = refined.sample(tcp, 100, generator=generator)
    assert theta.dtype == torch.float64
    assert (arm.forward(theta) - tcp[:, None]).norm(dim=-1).max() < TOLERANCE * arm.reach
    assert refined.sample(tcp[0], 100, generator=generator).shape == (100, arm.dof)


@pytest.mark.filterwarnings("ignore:.* have not converged")
@pytest.mark.parametrize("name", ikpaper.models.CATALOGUE)
def test_networks_can_be_refined(name, arm):
    model = ikpaper.models.build(name, arm=arm, neurons=16).eval()
    tcp = torch.tensor([[3.0, 0.8], [3.2, -0.4]], dtype=torch.float64)

    def miss(steps):
        sampler = ikpaper.Refined(model, steps) if steps else model
        theta = sampler.sample(tcp, 50, generator=torch.Generator().manual_seed(0))
        return (arm.forward(theta.double()) - tcp[:, None]).norm(dim=-1)

    # Untrained, some start so far away that they do not arrive; none ends farther away.
    start = miss(0).clamp(min=TOLERANCE * arm.reach)
    for steps in (1, 12):
        end = miss(steps)
        assert (end < TOLERANCE * arm.reach).double().mean() > 0.9
        assert (end <= start).all()


class _Listed:
    """A sampler that knows no arm, and answers in nested lists."""

    def sample(self, tcp, n, *, generator=None):
        return [[[0.1, 0.2, 0.3, 0.2, 0.1, 0.2]] * n for _ in tcp]


def test_any_sampler_can_be_refined_that_comes_with_an_arm(arm):
    tcp = [[3.0, 0.8], [3.2, -0.4]]
    theta = ikpaper.Refined(_Listed(), 8, arm).sample(tcp, 2)
    assert (arm.forward(theta) - torch.tensor(tcp)[:, None]).norm(dim=-1).max() < 1e-6
    with pytest.raises(ValueError, match="arm: expected the arm of _Listed, got None"):
        ikpaper.Refined(_Listed())


@pytest.mark.parametrize("steps", [0, -1, 1.5, True, "3"])
def test_steps_are_counted(arm, steps):
    with pytest.raises(ValueError, match="steps: expected a whole number of at least 1"):
        ikpaper.Refined(ikpaper.Prior(arm), steps)
