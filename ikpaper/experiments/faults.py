"""Samplers that are wrong in a known way and by a known amount, to show what a score looks like."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import pandas as pd
import torch
from torch import Generator, Tensor

from ikpaper.arm import PlanarArm, TensorLike
from ikpaper.checks import check_known
from ikpaper.evaluation import PERMUTATIONS, Task
from ikpaper.experiments.published import Remembering
from ikpaper.metrics import KERNELS, distance
from ikpaper.sampler import Sampler, normal
from ikpaper.samplers import ExactPosterior

#: Kinds of faults, and the largest size of each.
FAULTS = {"blurred": 0.5, "mixed": 1.0, "cut": 0.5}

#: Halvings of the range of sizes.
_HALVINGS = 16


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
        exact: What draws exact samples; by default an `ExactPosterior`.
    """

    arm: PlanarArm
    kind: str
    size: float
    sigma: float = 0.2
    exact: Sampler | None = None

    def __post_init__(self) -> None:
        check_known("fault", [self.kind], FAULTS)
        if not 0 <= self.size <= FAULTS[self.kind]:
            raise ValueError(f"size: expected 0 to {FAULTS[self.kind]:g}, got {self.size:g}")

    def sample(self, tcp: TensorLike, n: int, *, generator: Generator | None = None) -> Tensor:
        """`n` joint angle vectors for each target; see `sampler.PosteriorSampler.sample`."""
        exact = self.exact or ExactPosterior(self.arm, self.sigma)
        return self._faulty(exact.sample(tcp, 2 * n, generator=generator), generator)

    def _faulty(self, drawn: Tensor, generator: Generator | None) -> Tensor:
        """Exact samples (..., 2 n, dof) with the fault: the first half of them, if it is small."""
        n = drawn.shape[-2] // 2
        exact, spare = drawn[..., :n, :], drawn[..., n:, :]
        if self.kind == "blurred":
            noise = normal(tuple(exact.shape), generator, dtype=exact.dtype)
            return exact + self.size * noise
        if self.kind == "mixed":
            prior = torch.tensor(self.arm.prior_sigma(self.sigma), dtype=exact.dtype)
            others = prior * normal(tuple(exact.shape), generator, dtype=exact.dtype)
            chosen = torch.rand(exact.shape[:-1], generator=generator, dtype=exact.dtype)
            return torch.where((chosen < self.size)[..., None], others, exact)
        # In the place of what is cut off are others, of the part that is left.
        left = round((1 - self.size) * n)
        kept = spare[..., 0].argsort(dim=-1)[..., :left]
        shuffled = kept[..., torch.randperm(left, generator=generator)]
        rank = exact[..., 0].argsort(dim=-1).argsort(dim=-1)
        source = shuffled.gather(-1, (rank - left).clamp(min=0))
        others = spare.gather(-2, source[..., None].expand_as(exact))
        return torch.where((rank < left)[..., None], exact, others)


def with_mismatch(
    arm: PlanarArm, kind: str, tcp: Sequence[float], value: float, *, sigma: float, n: int = 1000
) -> Faulty:
    """The sampler with a fault of this kind whose unbiased MMD^2 to exact samples is a value.

    Its size is found by bisection. The MMD^2 is that of pairs of a sample and the same sample with
    the fault (the U-statistic of Gretton et al., 2012, lemma 6): where most pairs are equal, chance
    moves it little.

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
    drawn = ExactPosterior(arm, sigma).sample(tcp, 2 * n, generator=Generator().manual_seed(1))
    x = drawn[:n]

    def gram(a: Tensor, b: Tensor) -> Tensor:
        return KERNELS["paper"](distance(a, b))

    among = gram(x, x)

    def mismatch(size: float) -> float:
        y = Faulty(arm, kind, size, sigma)._faulty(drawn, Generator().manual_seed(2))
        across = gram(x, y)
        terms = among + gram(y, y) - across - across.T
        return float((terms.sum() - terms.trace()) / (n * (n - 1)))

    low, high = 0.0, FAULTS[kind]
    if (most := mismatch(high)) < value:
        raise ValueError(f"value: {kind} samples have an MMD^2 of at most {most:.2g}")
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (low, middle) if mismatch(middle) > value else (middle, high)
    return Faulty(arm, kind, (low + high) / 2, sigma)


def score_faults(
    arm: PlanarArm,
    tcp: Sequence[float],
    values: Sequence[float],
    *,
    sigma: float,
    repeats: int = 24,
    samples: int = 1000,
) -> tuple[pd.DataFrame, dict[tuple[str, float], Faulty]]:
    """Scores of faults whose MMD^2 is known, over repeated draws at one target.

    Args:
        arm: The arm.
        tcp: Target, shape (2,).
        values: Their MMD^2.
        sigma: Standard deviation of the prior in radians.
        repeats: Pairs of sample sets.
        samples: Samples a set.

    Returns:
        A row each, exact samples (`none`) first: columns `fault`, `value`, `size`, and those of
        `evaluation.Scores.summary`; and the samplers by fault and value.
    """
    task = Task.at(arm, tcp, repeats=repeats, samples=samples, sigma=sigma)
    # All faults are of the same exact samples: asked for at once, they are drawn before any fault.
    task, exact = replace(task, chunk=None), Remembering(task.truth)
    faults = {
        (kind, value): with_mismatch(arm, kind, tcp, value, sigma=sigma)
        for value in values
        for kind in FAULTS
    }
    rows = []
    scored: dict[tuple[str, float], Sampler] = {("none", 0.0): task.truth, **faults}
    for (kind, value), sampler in scored.items():
        size = 0.0
        if isinstance(sampler, Faulty):
            sampler, size = replace(sampler, exact=exact), sampler.size
        scores = task.score(sampler, permutations=PERMUTATIONS)
        spread = float(scores.targets["mmd2"].std())
        rows.append(
            {"fault": kind, "value": value, "size": size, **scores.summary(), "mmd2_spread": spread}
        )
    return pd.DataFrame(rows), faults
