"""The data set: joint angles from the prior, their TCPs, and the split."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ikpaper.arm import PlanarArm
from ikpaper.checks import Sigma, check_count, check_positive, check_seed
from ikpaper.profiles import Profile

#: Part of the identity of whatever is trained or scored on a data set. Raise it when its numbers
#: change.
VERSION = 1


@dataclass(frozen=True)
class Dataset:
    """Joint angles with their TCPs, split into training and test parts.

    Attributes:
        arm: The arm.
        theta: Joint angles in radians, shape (samples, dof), float64.
        tcp: TCP positions, shape (samples, 2), float64.
        train_index: Rows of the training part.
        test_index: Rows of the test part.
    """

    arm: PlanarArm
    theta: Tensor
    tcp: Tensor
    train_index: Tensor
    test_index: Tensor

    def __len__(self) -> int:
        return len(self.theta)

    @property
    def train(self) -> tuple[Tensor, Tensor]:
        """Training part as (theta, tcp)."""
        return self.theta[self.train_index], self.tcp[self.train_index]

    @property
    def test(self) -> tuple[Tensor, Tensor]:
        """Test part as (theta, tcp)."""
        return self.theta[self.test_index], self.tcp[self.test_index]


def make_dataset(
    arm: PlanarArm,
    samples: int = 1_000_000,
    *,
    sigma: Sigma | None = None,
    seed: int = 42,
    train_fraction: float = 0.7,
) -> Dataset:
    """Draw joint angles N(0, sigma^2) and compute their TCPs ("Dataset" slide).

    Angles come from numpy's PCG64 generator and the split from a torch permutation, both
    seeded with `seed`, as the authors drew theirs.

    Args:
        arm: The arm.
        samples: Number of samples, at least 1.
        sigma: Standard deviation of the prior; see `samplers.Prior`.
        seed: Seed of the draw and of the split.
        train_fraction: Share of the samples in the training part, between 0 and 1.

    Raises:
        ValueError: If an argument is out of its range.
    """
    samples, seed = check_count("samples", samples), check_seed(seed)
    spread = arm.prior_sigma(sigma)
    train_fraction = check_positive("train_fraction", train_fraction)
    if train_fraction >= 1:
        raise ValueError(f"train_fraction: expected a number below 1, got {train_fraction}")
    draw = np.random.default_rng(seed).normal(0.0, spread, size=(samples, arm.dof))
    theta = torch.from_numpy(draw)
    order = torch.randperm(samples, generator=torch.Generator().manual_seed(seed))
    split = round(samples * train_fraction)
    return Dataset(arm, theta, arm.forward(theta), order[:split], order[split:])


def profile_dataset(arm: PlanarArm, profile: Profile) -> Dataset:
    """The data set that a profile trains and tests on."""
    return make_dataset(
        arm,
        profile.samples,
        sigma=profile.sigma_for(arm),
        seed=profile.seed,
        train_fraction=profile.train_fraction,
    )
