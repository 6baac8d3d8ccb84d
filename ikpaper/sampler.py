"""The one contract: whatever answers "which joint angles reach this point?" is a sampler."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import numpy as np
from torch import Generator, Tensor

from ikpaper.arm import PlanarArm
from ikpaper.projection import refined

if TYPE_CHECKING:
    from ikpaper.arm import TensorLike

__all__ = [
    "PosteriorSampler",
    "Sampler",
    "Sigma",
    "check_count",
    "check_positive",
    "check_sigma",
]

#: Standard deviation of a prior: one value for all joints, or one a joint.
Sigma = float | Sequence[float]


def check_count(name: str, value: int, least: int = 1) -> int:
    """`value` if it is a whole number of at least `least`; a ValueError naming it otherwise."""
    if isinstance(value, bool) or int(value) != value or value < least:
        raise ValueError(f"{name}: expected a whole number of at least {least}, got {value!r}")
    return int(value)


def check_positive(name: str, value: float) -> float:
    """`value` if it is finite and positive; a ValueError naming it otherwise."""
    if not 0 < value < float("inf"):
        raise ValueError(f"{name}: expected a finite number above 0, got {value!r}")
    return float(value)


def check_sigma(sigma: Sigma, dof: int) -> tuple[float, ...]:
    """`sigma` as one value a joint; a ValueError if one is not finite and positive, or missing."""
    values = np.asarray(sigma, dtype=float).reshape(-1)
    if values.size not in (1, dof):
        raise ValueError(f"sigma: expected one value or {dof} (one a joint), got {values.size}")
    checked = [check_positive("sigma", value) for value in values.tolist()]
    return tuple(np.broadcast_to(checked, (dof,)).tolist())


@runtime_checkable
class Sampler(Protocol):
    """What evaluation, plots and notebooks ask for, and all that a sampler of your own needs."""

    def sample(self, tcp: TensorLike, n: int, *, generator: Generator | None = None) -> Tensor:
        """`n` joint angle vectors for each target; see `PosteriorSampler.sample`."""
        ...


class PosteriorSampler(ABC):
    """Base of all samplers here: checks the input once, batches a single target, and delegates."""

    arm: PlanarArm

    def sample(
        self, tcp: TensorLike, n: int, *, generator: Generator | None = None, refine: int = 0
    ) -> Tensor:
        """Draw `n` joint angle vectors for each target.

        Args:
            tcp: Target positions, shape (2,) or (B, 2), in the unit of the link lengths.
            n: Samples per target, at least 1.
            generator: Source of randomness; torch's default generator if None.
            refine: Gauss-Newton steps that then move each sample onto f(theta) = tcp, in float64;
                see `projection.project`. A warning counts samples that have not converged.

        Returns:
            Joint angles in radians, shape (n, dof) for a single target, (B, n, dof) for a batch;
            a rail's position is in the unit of the lengths.

        Raises:
            ValueError: If `n` < 1 or a target is malformed, not finite or out of reach.
        """
        n = check_count("n", n)
        check_count("refine", refine, 0)
        targets = self.arm.check_targets(tcp)
        flat = targets.reshape(-1, 2)
        theta = self._sample(flat, n, generator)
        if refine:
            theta = refined(self.arm, theta, flat, refine)
        return theta if targets.ndim == 2 else theta[0]

    @abstractmethod
    def _sample(self, tcp: Tensor, n: int, generator: Generator | None) -> Tensor:
        """Samples (B, n, dof) for checked targets (B, 2)."""
