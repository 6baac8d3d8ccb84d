"""Samplers that are wrong in a known way and by a known amount, to show what a score looks like."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd
import torch
from torch import Generator, Tensor

from ikpaper.arm import PlanarArm, as_tensor
from ikpaper.checks import check_known
from ikpaper.evaluation import PERMUTATIONS, Task
from ikpaper.metrics import mmd2
from ikpaper.sampler import normal
from ikpaper.samplers import ExactPosterior, Prior

__all__ = ["FAULTS", "Faulty", "score_faults", "with_mismatch"]

#: Kinds of faults, and the largest size of each.
FAULTS = {"blurred": 0.5, "mixed": 1.0, "cut": 0.5}

#: Halvings of the range of sizes.
_HALVINGS = 12


@dataclass(frozen=True)
class Faulty:
    """Exact samples with a fault.

    Attributes:
        arm: The arm.
        kind: `blurred`: normal noise is added to every joint; `mixed`: some samples are the
            prior's; `cut`: the samples with the largest first joint angle are missing.
        size: Standard deviation of the noise in radians, share of prior samples, or share of the
            samples that is missing. Zero leaves the exact posterior.
        sigma: Standard deviation of the prior in radians.
    """

    arm: PlanarArm
    kind: str
    size: float
    sigma: float = 0.2

    def __post_init__(self) -> None:
        check_known("fault", [self.kind], FAULTS)
        if not 0 <= self.size <= FAULTS[self.kind]:
            raise ValueError(f"size: expected 0 to {FAULTS[self.kind]:g}, got {self.size:g}")

    def sample(self, tcp: Tensor, n: int, *, generator: Generator | None = None) -> Tensor:
        """`n` joint angle vectors for each target; see `sampler.PosteriorSampler.sample`.

        From one state of the generator, faults of any size begin with the same exact samples.
        """
        exact = ExactPosterior(self.arm, self.sigma).sample(tcp, 2 * n, generator=generator)
        kept, shape = exact[..., :n, :], (*exact.shape[:-2], n, self.arm.dof)
        if self.kind == "blurred":
            return kept + self.size * normal(shape, generator, dtype=exact.dtype)
        if self.kind == "mixed":
            prior = Prior(self.arm, self.sigma).sample(tcp, n, generator=generator)
            chosen = torch.rand(shape[:-1], generator=generator, dtype=exact.dtype) < self.size
            return torch.where(chosen[..., None], prior, kept)
        # Without the largest ones, in the order in which they were drawn.
        left = exact[..., 0].argsort(dim=-1)[..., : max(n, round((1 - self.size) * 2 * n))]
        order = left.sort(dim=-1).values[..., :n, None]
        return exact.gather(-2, order.expand(shape))


def with_mismatch(
    arm: PlanarArm, kind: str, tcp: Sequence[float], value: float, *, sigma: float, n: int = 1000
) -> Faulty:
    """The sampler with a fault of this kind whose unbiased MMD^2 to exact samples is a value.

    Its size is found by bisection. What two exact sets of the same draws have is taken off, so
    that chance moves small values less.

    Args:
        arm: The arm.
        kind: As in `Faulty`.
        tcp: Target, shape (2,).
        value: The MMD^2, positive.
        sigma: Standard deviation of the prior in radians.
        n: Samples a set.

    Raises:
        ValueError: If the largest fault of the kind has a smaller MMD^2.
    """
    target = as_tensor(tcp)
    reference = ExactPosterior(arm, sigma).sample(
        target, n, generator=Generator().manual_seed(1)
    )

    def mismatch(size: float) -> float:
        drawn = Faulty(arm, kind, size, sigma).sample(
            target, n, generator=Generator().manual_seed(2)
        )
        return float(mmd2(drawn, reference, unbiased=True))

    chance = mismatch(0.0)
    low, high = 0.0, FAULTS[kind]
    if (most := mismatch(high) - chance) < value:
        raise ValueError(f"value: {kind} samples have an MMD^2 of at most {most:.2g}")
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (low, middle) if mismatch(middle) - chance > value else (middle, high)
    return Faulty(arm, kind, (low + high) / 2, sigma)


def score_faults(
    arm: PlanarArm,
    tcp: Sequence[float],
    values: Sequence[float],
    *,
    sigma: float,
    repeats: int = 40,
    samples: int = 1000,
    checks: int = 10,
) -> tuple[pd.DataFrame, dict[tuple[str, float], Faulty]]:
    """Scores of faults whose MMD^2 is known, over repeated draws at one target.

    Args:
        arm: The arm.
        tcp: Target, shape (2,).
        values: Their MMD^2.
        sigma: Standard deviation of the prior in radians.
        repeats: Pairs of sample sets.
        samples: Samples a set.
        checks: Pairs that a classifier is trained on.

    Returns:
        A row each, exact samples (`none`) first: columns `fault`, `value`, `size`, and those of
        `evaluation.Scores.summary`; and the samplers by fault and value.
    """
    task = Task.at(arm, tcp, repeats=repeats, samples=samples, sigma=sigma)
    faults = {
        (kind, value): with_mismatch(arm, kind, tcp, value, sigma=sigma)
        for value in values
        for kind in FAULTS
    }
    rows = []
    for (kind, value), sampler in {("none", 0.0): task.truth, **faults}.items():
        scores = task.score(sampler, permutations=PERMUTATIONS, checks=checks)
        size = sampler.size if isinstance(sampler, Faulty) else 0.0
        spread = float(scores.targets["mmd2"].std())
        rows.append(
            {"fault": kind, "value": value, "size": size, **scores.summary(), "spread": spread}
        )
    return pd.DataFrame(rows), faults
