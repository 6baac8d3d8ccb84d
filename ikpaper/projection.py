"""Onto the solution manifold: damped Gauss-Newton steps on f(theta) = tcp, many at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from ikpaper.arm import PlanarArm, TensorLike, as_tensor
from ikpaper.checks import check_count, check_positive

#: Part of the identity of whatever is refined. Raise it when its numbers change.
VERSION = 2

#: Distance to the target up to which a sample counts as converged, as a share of the arm's reach.
TOLERANCE = 1e-6

#: Steps that a sample may take beyond those of all, by default.
PATIENCE = 50

#: Further steps are taken in rounds of so many, each only by those that have not converged yet.
_ROUND = 5

#: What a refused step multiplies the damping by, at least.
_MORE_DAMPING = 10.0


@dataclass(frozen=True)
class Projected:
    """Joint angles after the projection, and how far each got.

    Attributes:
        theta: Joint angles (..., dof) in radians, float64.
        distance: Distance (...) between their TCP and the target, in units of length.
        converged: Whether (...) that is within the tolerance. Where it is not, `theta` is the
            best that the steps found: no solution.
    """

    theta: Tensor
    distance: Tensor
    converged: Tensor


class _State(NamedTuple):
    """Where the steps have led so far, each with samples (...) in front."""

    found: Tensor  # Joint angles (..., dof).
    error: Tensor  # Squared distance (...) to the target.
    damping: Tensor  # Of the next step, (...).
    residual: Tensor  # f(found) - tcp, (..., 2).
    jacobian: Tensor  # At found, (..., 2, dof).


def damped_step(jacobian: Tensor, residual: Tensor, damping: Tensor | float) -> Tensor:
    """The step J^T (J J^T + damping I)^-1 residual of Levenberg and Marquardt.

    Subtracted from theta, it is the shortest step that takes the linearised residual to zero, and
    shorter where that would be long. The 2 x 2 system is solved in closed form.

    Args:
        jacobian: J, shape (..., 2, dof).
        residual: f(theta) - tcp, shape (..., 2).
        damping: Of shape (...) or one number, not negative, in squared units of length.

    Returns:
        Shape (..., dof).
    """
    first, second = jacobian.unbind(-2)
    a, b, c = first.square().sum(-1), (first * second).sum(-1), second.square().sum(-1)
    trace = a + c
    # Less than rounding leaves of a singular matrix would be no damping; nor can the determinant
    # be less than for a Jacobian of rank one.
    damping = (torch.finfo(trace.dtype).eps * trace).clamp(min=damping)
    determinant = torch.maximum(
        (a + damping) * (c + damping) - b.square(), damping * (trace + damping)
    )
    a, c = a + damping, c + damping
    x, y = residual.unbind(-1)
    u, v = (c * x - b * y) / determinant, (a * y - b * x) / determinant
    return u[..., None] * first + v[..., None] * second


def project(
    arm: PlanarArm,
    theta: TensorLike,
    tcp: TensorLike,
    steps: int = 3,
    *,
    tolerance: float | None = None,
    patience: int = PATIENCE,
) -> Projected:
    """Move joint angles onto {theta : f(theta) = tcp} by damped Gauss-Newton steps.

    Levenberg-Marquardt with the squared residual as damping, which keeps convergence quadratic
    and steps short near full reach, where the Jacobian loses rank (Yamashita and Fukushima,
    2001). A step that would lead away from the target is refused and damped more. All in float64.

    Most samples converge in a few steps. The few that have not, where the arm is nearly straight
    or the start is far away, go on alone, and leave the others as they are.

    Args:
        arm: The arm.
        theta: Joint angles in radians, near a solution: one vector (dof,), (n, dof), or
            (B, n, dof) as samplers return them.
        tcp: Targets in the unit of the link lengths: (2,), (n, 2) for as many vectors, or (B, 2).
        steps: Number of steps that all samples take, at least 1.
        tolerance: Distance to the target of a converged sample; by default `TOLERANCE` times the
            arm's reach.
        patience: Most further steps of those that have not converged; 0 for none.

    Raises:
        ValueError: If a shape or a number of steps makes no sense.

    Example:
        >>> arm = PlanarArm([0.5, 0.5, 1.0])
        >>> bool(project(arm, [0.1, 0.2, 0.3], [1.75, 0.8]).converged)
        True
    """
    found = as_tensor(theta, "theta").double()
    target = as_tensor(tcp, "tcp").to(found)
    steps, patience = check_count("steps", steps), check_count("patience", patience, 0)
    if target.ndim == 0 or target.shape[-1] != 2:
        raise ValueError(f"tcp: expected shape (2,) or (B, 2), got {tuple(target.shape)}")
    if found.ndim == 3 and target.ndim == 2:
        target = target[:, None]
    tolerance = (
        TOLERANCE * arm.reach if tolerance is None else check_positive("tolerance", tolerance)
    )
    point, jacobian = arm.linearised(found)
    residual = point - target
    error = residual.square().sum(-1)
    # Below rounding, so that an exact sample meets no division by zero.
    least = (torch.finfo(found.dtype).eps * arm.reach) ** 2
    state = _stepped(
        arm, _State(found, error, error + least, residual, jacobian), target, least, steps
    )
    # Samples in one row, whatever their shape; a round works on those that are late.
    shape, target = state.error.shape, target.expand(state.residual.shape).reshape(-1, 2)
    state = _State(*(values.reshape(-1, *values.shape[len(shape) :]) for values in state))
    found, error = state.found, state.error
    late = torch.arange(len(error), device=error.device)
    while patience:
        # NaN is not late: it would never arrive.
        left = (state.error.sqrt() > tolerance).nonzero().flatten()
        late, target = late[left], target[left]
        if not len(late):
            break
        state = _State(*(values[left] for values in state))
        state = _stepped(arm, state, target, least, min(_ROUND, patience))
        patience -= min(_ROUND, patience)
        # In place: whatever they were made of has been copied by the first step.
        found[late], error[late] = state.found, state.error
    found, distance = found.reshape(*shape, found.shape[-1]), error.reshape(shape).sqrt()
    return Projected(arm.wrapped(found), distance, distance <= tolerance)


def _stepped(arm: PlanarArm, state: _State, target: Tensor, least: float, steps: int) -> _State:
    """The state after as many steps, none of which leads away from the target."""
    found, error, damping, residual, jacobian = state
    for _ in range(steps):
        candidate = found - damped_step(jacobian, residual, damping)
        point, slope = arm.linearised(candidate)
        rest = point - target
        new = rest.square().sum(-1)
        better = new < error
        damping = torch.where(better, new, _MORE_DAMPING * damping) + least
        error = torch.where(better, new, error)
        residual = torch.where(better[..., None], rest, residual)
        found = torch.where(better[..., None], candidate, found)
        jacobian = torch.where(better[..., None, None], slope, jacobian)
    return _State(found, error, damping, residual, jacobian)
