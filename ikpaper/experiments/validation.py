"""The exact sampler held against three methods that have nothing in common with it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import torch
from torch import Generator, Tensor

from ikpaper.arm import PlanarArm, wrap
from ikpaper.metrics import mmd2
from ikpaper.projection import project
from ikpaper.sampler import noise
from ikpaper.samplers import ExactPosterior, Prior
from ikpaper.statistics import bootstrap_interval

#: Steps of Newton's method onto the manifold, and the distance to the target that ends them.
_NEWTON, _ON_TARGET = 20, 1e-10
#: How closely a step back must return for the step to be reversible, in radians.
_RETURNS = 1e-6


def three_link_posterior(
    arm: PlanarArm, tcp: Sequence[float], sigma: np.ndarray, points: int
) -> tuple[np.ndarray, np.ndarray]:
    """The posterior of an arm with three joints, a density along a curve, by a numerical integral.

    The heading of the last link runs along the curve; the other two joints follow from it.

    Args:
        arm: The arm.
        tcp: The target.
        sigma: Standard deviations of the prior, shape (3,), in radians.
        points: Number of headings.

    Returns:
        Joint angles (m, 3) along the solutions, and their masses (m,), which are not normalised.
    """
    l1, l2, l3 = (float(length) for length in arm.lengths)
    tail = np.linspace(-np.pi, np.pi, points)  # heading of the last link
    wrist = np.asarray(tcp)[:, None] - l3 * np.stack([np.cos(tail), np.sin(tail)])
    r2 = (wrist**2).sum(axis=0)
    cosine = (r2 - l1**2 - l2**2) / (2 * l1 * l2)
    reachable = np.abs(cosine) < 1
    angles, masses = [], []
    for elbow in (1, -1):
        theta2 = elbow * np.arccos(np.where(reachable, cosine, 0))
        theta1 = np.arctan2(wrist[1], wrist[0]) - np.arctan2(
            l2 * np.sin(theta2), l1 + l2 * np.cos(theta2)
        )
        theta = np.stack([theta1, theta2, tail - theta1 - theta2], axis=1)
        theta = np.pi - np.mod(np.pi - theta, 2 * np.pi)
        jacobian = arm.jacobian(torch.from_numpy(theta)).numpy()
        gram = jacobian @ jacobian.transpose(0, 2, 1)
        density = np.exp(-0.5 * ((theta / sigma) ** 2).sum(axis=1)) / np.sqrt(np.linalg.det(gram))
        # Arc length in joint space per step of the heading; jumps are wraps, not motion.
        step = np.gradient(np.unwrap(theta, axis=0), tail, axis=0)
        mass = np.where(reachable, density * np.linalg.norm(step, axis=1), 0)
        edge = reachable & ~(np.roll(reachable, 1) & np.roll(reachable, -1))
        mass[edge] = 0
        angles.append(theta[reachable])
        masses.append(mass[reachable])
    return np.concatenate(angles), np.concatenate(masses)


def integral_distances(
    arm: PlanarArm,
    tcp: Sequence[float],
    sigmas: Mapping[str, float],
    sigma: float,
    *,
    n: int,
    generator: Generator | None = None,
) -> pd.DataFrame:
    """Kolmogorov-Smirnov distances of exact samples from the integral over the solution curve.

    Args:
        arm: An arm with three joints.
        tcp: The target.
        sigmas: Standard deviations of the prior that samplers are given, by name.
        sigma: That of the integral.
        n: Samples.
        generator: Source of randomness.

    Returns:
        One row a sampler: `sampler`, `distance`, the largest over the joints, and `limit`, which
        independent samples of the right posterior exceed in one joint in a hundred.
    """
    theta, mass = three_link_posterior(arm, tcp, np.full(3, sigma), 200_000)
    rows = []
    for name, own in sigmas.items():
        drawn = ExactPosterior(arm, own).sample(tcp, n, generator=generator).numpy()
        distances = []
        for joint in range(3):
            order = np.argsort(theta[:, joint])
            cdf = np.cumsum(mass[order]) / mass.sum()
            found = np.searchsorted(np.sort(drawn[:, joint]), theta[order, joint], side="right") / n
            distances.append(np.abs(found - cdf).max())
        rows.append({"sampler": name, "distance": max(distances), "limit": 1.63 / math.sqrt(n)})
    return pd.DataFrame(rows)


def constrained_hmc(
    arm: PlanarArm,
    sigma: float,
    tcp: Tensor,
    theta: Tensor,
    *,
    iterations: int,
    step: float = 0.1,
    leaps: int = 5,
    generator: Generator | None = None,
) -> tuple[Tensor, float]:
    """Chains of Hamiltonian Monte Carlo on the manifold {theta : f(theta) = tcp}.

    Momenta are tangent to the manifold, positions return to it along its normals (RATTLE), and a
    step that does not lead back where it came from is refused, as is one by Metropolis' rule
    (Lelievre, Rousset and Stoltz, 2019). Its stationary density is that of the posterior with
    respect to the surface measure, p(theta) / sqrt(det(J J^T)), and nothing else of it is used.

    Args:
        arm: The arm.
        sigma: Standard deviation of the prior, in radians.
        tcp: Target, shape (2,).
        theta: Where the chains start, on the target, shape (chains, dof).
        iterations: Number of iterations.
        step: Length of a leap, in radians.
        leaps: Leaps of an iteration.
        generator: Source of randomness.

    Returns:
        Where the chains end, shape (chains, dof), and the share of iterations accepted.
    """
    q, accepted = theta.clone(), 0.0
    for _ in range(iterations):
        drawn = noise(torch.randn, tuple(q.shape), generator, q.device, q.dtype)
        p = _tangent(arm.jacobian(q), drawn)
        at, energy = q, _energy(arm, sigma, q) + 0.5 * p.square().sum(1)
        fine = torch.ones(len(q), dtype=torch.bool)
        momentum = p
        for _ in range(leaps):
            at, momentum, kept = _leap(arm, sigma, tcp, at, momentum, step)
            fine &= kept
        change = _energy(arm, sigma, at) + 0.5 * momentum.square().sum(1) - energy
        draw = noise(torch.rand, (len(q),), generator, q.device, q.dtype)
        taken = fine & (draw < (-change).exp())
        q = torch.where(taken[:, None], at, q)
        accepted += float(taken.double().mean()) / iterations
    return q, accepted


def _energy(arm: PlanarArm, sigma: float, q: Tensor) -> Tensor:
    """Minus the logarithm of the posterior's density on the manifold, up to a constant."""
    jacobian = arm.jacobian(q)
    return 0.5 * (q / sigma).square().sum(1) + 0.5 * (jacobian @ jacobian.mT).logdet()


def _force(arm: PlanarArm, sigma: float, q: Tensor) -> Tensor:
    with torch.enable_grad():
        at = q.detach().requires_grad_()
        (gradient,) = torch.autograd.grad(_energy(arm, sigma, at).sum(), at)
    return -gradient


def _tangent(jacobian: Tensor, vectors: Tensor) -> Tensor:
    """Vectors (chains, dof) without their part along the normals, the rows of the Jacobian."""
    along = torch.linalg.solve(jacobian @ jacobian.mT, jacobian @ vectors[..., None])
    return vectors - (jacobian.mT @ along)[..., 0]


def _onto(arm: PlanarArm, tcp: Tensor, q: Tensor, normals: Tensor) -> tuple[Tensor, Tensor]:
    """Moved onto the target along these normals, and which have reached it."""
    for _ in range(_NEWTON):
        missing = (arm.forward(q) - tcp)[..., None]
        matrix = arm.jacobian(q) @ normals.mT
        step, failed = torch.linalg.solve_ex(matrix, missing)
        q = q - torch.where((failed == 0)[:, None], (normals.mT @ step)[..., 0], 0.0)
    return q, (arm.forward(q) - tcp).norm(dim=1) < _ON_TARGET


def _leap(
    arm: PlanarArm, sigma: float, tcp: Tensor, q: Tensor, p: Tensor, step: float
) -> tuple[Tensor, Tensor, Tensor]:
    """One leap of RATTLE: position, momentum, and whether it is reversible."""
    normals = arm.jacobian(q)
    half = _tangent(normals, p + 0.5 * step * _force(arm, sigma, q))
    there, reached = _onto(arm, tcp, q + step * half, normals)
    after = arm.jacobian(there)
    carried = _tangent(after, (there - q) / step)
    back, returned = _onto(arm, tcp, there - step * carried, after)
    closed = (back - q).norm(dim=1) < _RETURNS
    end = _tangent(after, carried + 0.5 * step * _force(arm, sigma, there))
    fine = reached & returned & closed
    return torch.where(fine[:, None], there, q), torch.where(fine[:, None], end, p), fine


def hmc_curve(
    arm: PlanarArm,
    tcp: Sequence[float],
    sigma: float,
    iterations: Sequence[int],
    *,
    chains: int,
    repeats: int,
    generator: Generator | None = None,
) -> pd.DataFrame:
    """How chains of constrained HMC approach exact samples.

    They start at prior samples that Gauss-Newton steps have moved onto the target, which are
    spread otherwise than the posterior.

    Args:
        arm: The arm.
        tcp: The target.
        sigma: Standard deviation of the prior, in radians.
        iterations: After how many of them they are compared, rising.
        chains: Number of chains, and of exact samples.
        repeats: How often.
        generator: Source of randomness.

    Returns:
        One row a number of iterations: `iterations`, the mean unbiased `mmd2` over the repeats,
        its interval `low` and `high`, the share `accepted` of the iterations before it, and the
        least and the largest value between two draws of exact samples, `chance_low` and
        `chance_high`.
    """
    target = torch.tensor(tcp, dtype=torch.float64)
    exact, prior = ExactPosterior(arm, sigma), Prior(arm, sigma)
    values: dict[int, list[float]] = {count: [] for count in iterations}
    shares: dict[int, list[float]] = {count: [] for count in iterations}
    chance = []
    for _ in range(repeats):
        first, second = exact.sample(tcp, 2 * chains, generator=generator).split(chains)
        chance.append(float(mmd2(first, second, unbiased=True)))
        moved = project(arm, prior.draw(2 * chains, generator).double(), target, steps=10)
        theta, done = wrap(moved.theta[moved.converged][:chains]), 0
        for count in iterations:
            theta, share = constrained_hmc(
                arm, sigma, target, theta, iterations=count - done, generator=generator
            )
            done = count
            reference = exact.sample(tcp, len(theta), generator=generator)
            values[count].append(float(mmd2(theta, reference, unbiased=True)))
            shares[count].append(share)
    rows = [
        (count, np.mean(found), *bootstrap_interval(np.array(found)), np.mean(shares[count]))
        for count, found in values.items()
    ]
    table = pd.DataFrame(rows, columns=["iterations", "mmd2", "low", "high", "accepted"])
    return table.assign(chance_low=min(chance), chance_high=max(chance))
