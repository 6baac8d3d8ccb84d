"""Checks of calibration: what can be asked of a sampler without exact samples to hold it against.

All compare, over many simulations (theta_i from the prior, y_i = f(theta_i)), theta_i with samples
of the posterior at y_i: ranks among n samples are uniform on 0, ..., n for the true posterior.
They are necessary, not sufficient: a sampler can pass and be wrong.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from scipy.stats import kstest
from torch import Tensor

from ikpaper.arm import PlanarArm, as_tensor
from ikpaper.checks import Sigma, check_count, check_finite

if TYPE_CHECKING:
    from ikpaper.arm import TensorLike

__all__ = ["VERSION", "log_density", "ranks", "tarp_ranks", "uniformity"]

#: Raise when numbers change.
VERSION = 1


def ranks(truth: TensorLike, samples: TensorLike) -> Tensor:
    """How many samples of a quantity are below its true value.

    Of the joint angles themselves, these are the ranks (N, dof) of simulation-based calibration
    (Talts et al., 2018), a joint at a time; of the posterior density, those of the coverage of its
    highest-density regions.

    Args:
        truth: The quantity at theta_i, shape (N, ...).
        samples: The quantity at the samples, shape (N, n, ...).

    Returns:
        Integers from 0 to n, shape (N, ...).

    Raises:
        ValueError: If the shapes do not belong together, or a number is not finite.
    """
    true, drawn = as_tensor(truth, "truth"), as_tensor(samples, "samples")
    if drawn.ndim < 2 or drawn.shape[:1] + drawn.shape[2:] != true.shape or not drawn.numel():
        raise ValueError(
            "samples: expected shape (N, n, ...) for truth of shape (N, ...), got "
            f"{tuple(drawn.shape)} for {tuple(true.shape)}"
        )
    return (check_finite("samples", drawn) < check_finite("truth", true)[:, None]).sum(dim=1)


def tarp_ranks(theta: TensorLike, samples: TensorLike, references: TensorLike) -> Tensor:
    """Ranks (N,) of the distance to a reference: TARP (Lemos et al., 2023).

    How many samples are nearer to the reference than theta_i. References may depend on the target
    and not on theta_i otherwise. Where they do not depend on it, the prior passes, too.

    Args:
        theta: Joint angles drawn from the prior, shape (N, dof).
        samples: Samples at their TCPs, shape (N, n, dof).
        references: A point for each simulation, shape (N, dof).

    Raises:
        ValueError: As `ranks`.
    """
    true, drawn = as_tensor(theta, "theta"), as_tensor(samples, "samples")
    points = as_tensor(references, "references").to(true)
    if points.shape != true.shape:
        raise ValueError(
            f"references: expected shape {tuple(true.shape)}, got {tuple(points.shape)}"
        )
    return ranks((true - points).norm(dim=-1), (drawn - points[:, None]).norm(dim=-1))


def log_density(arm: PlanarArm, theta: TensorLike, sigma: Sigma | None = None) -> Tensor:
    """Logarithm of the posterior density on the solution manifold, but for a constant.

    log p(theta) - log det(J J^T) / 2, by the co-area formula: the constant depends on the target
    alone, so that ranks do not change with it. Of samples that miss their target it is the density
    at what they reach instead.

    Args:
        arm: The arm.
        theta: Joint angles, shape (..., dof).
        sigma: Standard deviation of the prior; by default the arm's own.

    Returns:
        Shape (...).
    """
    angles = as_tensor(theta, "theta").double()
    x, y = arm.jacobian(angles).unbind(-2)
    gram = x.square().sum(-1) * y.square().sum(-1) - (x * y).sum(-1).square()
    scaled = angles / torch.tensor(arm.prior_sigma(sigma), dtype=angles.dtype)
    return -0.5 * (scaled.square().sum(-1) + gram.log())


def uniformity(counts: TensorLike, n: int) -> float:
    """P-value of whether ranks are uniform on 0, ..., n (Kolmogorov and Smirnov).

    Of several columns, the least p-value times their number (Bonferroni).

    Args:
        counts: Ranks, shape (N,) or (N, columns).
        n: Samples that each is a rank among.

    Raises:
        ValueError: If the shape is another, or a rank is not from 0 to n.
    """
    n, found = check_count("n", n), as_tensor(counts, "counts")
    if found.ndim not in (1, 2) or not found.numel():
        raise ValueError(f"counts: expected shape (N,) or (N, columns), got {tuple(found.shape)}")
    if (found < 0).any() or (found > n).any():
        raise ValueError(f"counts: expected ranks from 0 to {n}, got {found.min()}, {found.max()}")
    # In the middle of what a rank stands for.
    shares = (found.reshape(len(found), -1).double() + 0.5) / (n + 1)
    least = min(kstest(column.numpy(), "uniform").pvalue for column in shares.T)
    return float(min(1.0, least * shares.shape[1]))
