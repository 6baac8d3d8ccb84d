"""The prior over joint angles, a sampler that ignores the target."""

from __future__ import annotations

import math

import torch
from torch import Generator, Tensor

from ikpaper.arm import PlanarArm
from ikpaper.checks import Sigma
from ikpaper.sampler import PosteriorSampler, normal


class Prior(PosteriorSampler):
    """Independent joint angles theta_j ~ N(0, sigma_j^2).

    As a sampler it ignores the target: the baseline that every model must beat.

    Args:
        arm: The arm.
        sigma: Standard deviation in radians (of a rail, in units of length): one value, or one a
            joint; by default the arm's own prior, and 0.2 for an arm that has none.

    Raises:
        ValueError: If a sigma is not finite and positive, or their number is not 1 or dof.
    """

    name = "prior"
    colour = "#8a97a3"
    marker = "x"
    version = 1

    def __init__(self, arm: PlanarArm, sigma: Sigma | None = None) -> None:
        self.arm = arm
        self.sigma = torch.tensor(arm.prior_sigma(sigma), dtype=torch.float64)

    def draw(self, n: int, generator: Generator | None = None) -> Tensor:
        """`n` joint angle vectors, shape (n, dof), float64, without reference to any target."""
        return torch.randn(n, self.arm.dof, generator=generator, dtype=torch.float64) * self.sigma

    def log_density(self, theta: Tensor) -> Tensor:
        """Log density of each joint angle, shape of `theta` (..., dof)."""
        scaled = theta / self.sigma
        return -0.5 * scaled.square() - self.sigma.log() - 0.5 * math.log(2 * math.pi)

    def _sample(self, tcp: Tensor, n: int, generator: Generator | None) -> Tensor:
        return normal((len(tcp), n, self.arm.dof), generator, dtype=torch.float64) * self.sigma
