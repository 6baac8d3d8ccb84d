"""Samplers against ground truth over many targets: tidy tables with intervals."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
import torch
from torch import Generator, Tensor

from ikpaper.arm import PlanarArm
from ikpaper.dataset import profile_dataset
from ikpaper.metrics import mmd2, resimulation_error
from ikpaper.posterior import ExactPosterior, RejectionPosterior
from ikpaper.profiles import Profile
from ikpaper.sampler import Sampler, check_count

__all__ = [
    "Benchmark",
    "bootstrap_interval",
    "evaluate",
    "sampling_rate",
]


def evaluate(
    sampler: Sampler,
    tcp: Tensor,
    reference: Tensor,
    *,
    arm: PlanarArm,
    unbiased: bool = False,
    kernel: str = "paper",
    generator: Generator | None = None,
) -> pd.DataFrame:
    """Score a sampler against reference samples, target by target.

    Args:
        sampler: Any sampler.
        tcp: Targets, shape (N, 2).
        reference: Ground truth samples, shape (N, M, dof); the sampler draws M a target too.
        arm: The arm.
        unbiased: U-statistic instead of the paper's V-statistic.
        kernel: Name of a kernel in `metrics.KERNELS`.
        generator: Source of randomness of the sampler.

    Returns:
        One row a target: `tcp_x`, `tcp_y`, `mmd2`, `resimulation_error`.
    """
    if reference.ndim != 3 or len(reference) != len(tcp):
        raise ValueError(
            f"reference: expected shape (N, M, dof) for {len(tcp)} targets, "
            f"got {tuple(reference.shape)}"
        )
    theta = sampler.sample(tcp, reference.shape[1], generator=generator).double().cpu()
    scores = [
        float(mmd2(drawn, truth, unbiased, kernel=kernel))
        for drawn, truth in zip(theta, reference, strict=True)
    ]
    return pd.DataFrame(
        {
            "tcp_x": tcp[:, 0].numpy(),
            "tcp_y": tcp[:, 1].numpy(),
            "mmd2": scores,
            "resimulation_error": resimulation_error(arm, theta, tcp).numpy(),
        }
    )


def bootstrap_interval(
    values: np.ndarray | pd.Series, *, level: float = 0.95, resamples: int = 2000, seed: int = 0
) -> tuple[float, float]:
    """Percentile bootstrap interval of the mean of `values` over targets."""
    data = np.asarray(values, dtype=float)
    check_count("number of values", len(data))
    rng = np.random.default_rng(seed)
    means = data[rng.integers(len(data), size=(resamples, len(data)))].mean(axis=1)
    tail = (1 - level) / 2
    low, high = np.quantile(means, [tail, 1 - tail])
    return float(low), float(high)


def sampling_rate(
    sampler: Sampler, tcp: Tensor, n: int, *, generator: Generator | None = None
) -> float:
    """Samples a second for `n` samples of each target, the best of three draws."""
    best = float("inf")
    for _ in range(3):
        start = time.perf_counter()
        sampler.sample(tcp, n, generator=generator)
        best = min(best, time.perf_counter() - start)
    return n * len(torch.atleast_2d(tcp)) / best


@dataclass(frozen=True)
class Benchmark:
    """Targets of an arm with ground truth by both means: the yardstick for any sampler.

    The targets are the first of the test set. The reference samples are drawn once and serve
    every sampler; ground truth that is scored itself draws anew.

    Attributes:
        arm: The arm.
        profile: Numbers of targets and samples, prior, tolerance.
        seed: Seed of the reference samples.
    """

    arm: PlanarArm
    profile: Profile
    seed: int = 0

    @cached_property
    def targets(self) -> Tensor:
        """Targets of the paper's protocol, shape (N, 2), float64."""
        _, tcp = profile_dataset(self.arm, self.profile).test
        return tcp[: self.profile.targets]

    @property
    def exact_targets(self) -> Tensor:
        """The first of them, for the comparison with the exact posterior."""
        return self.targets[: self.profile.exact_targets]

    def exact(self) -> ExactPosterior:
        """The exact sampler of this arm and prior."""
        return ExactPosterior(self.arm, self.profile.sigma)

    def rejection(self) -> RejectionPosterior:
        """The paper's ground truth for this arm and prior."""
        return RejectionPosterior(self.arm, self.profile.sigma, self.profile.eps)

    @cached_property
    def rejection_samples(self) -> Tensor:
        """Ground truth of the paper's protocol, shape (N, M, dof)."""
        return self.rejection().sample(
            self.targets, self.profile.posterior_samples, generator=self._generator(1)
        )

    @cached_property
    def exact_samples(self) -> Tensor:
        """Exact ground truth, shape (exact targets, exact samples, dof)."""
        return self.exact().sample(
            self.exact_targets, self.profile.exact_samples, generator=self._generator(2)
        )

    def score(self, name: str, sampler: Sampler) -> pd.DataFrame:
        """All scores of a sampler: one tidy row a quantity, with its interval over targets.

        Columns: profile, dof, sampler, quantity, protocol, value, low, high, targets, samples.
        """
        profile = self.profile
        paper = evaluate(
            sampler,
            self.targets,
            self.rejection_samples,
            arm=self.arm,
            generator=self._generator(3),
        )
        exact = evaluate(
            sampler,
            self.exact_targets,
            self.exact_samples,
            arm=self.arm,
            unbiased=True,
            generator=self._generator(4),
        )
        by_rejection = f"V-statistic, rejection sampling, eps = {profile.eps:g}"
        columns = [
            ("e_posterior", by_rejection, paper["mmd2"], profile.posterior_samples),
            (
                "e_resim",
                "E||f(theta) - tcp||^2",
                paper["resimulation_error"],
                profile.posterior_samples,
            ),
            ("mmd2_exact", "unbiased, exact posterior", exact["mmd2"], profile.exact_samples),
        ]
        rows = []
        for quantity, protocol, values, samples in columns:
            low, high = bootstrap_interval(values)
            rows.append(
                {
                    "profile": profile.name,
                    "dof": self.arm.dof,
                    "sampler": name,
                    "quantity": quantity,
                    "protocol": protocol,
                    "value": float(values.mean()),
                    "low": low,
                    "high": high,
                    "targets": len(values),
                    "samples": samples,
                }
            )
        return pd.DataFrame(rows)

    def score_all(self, samplers: Mapping[str, Sampler]) -> pd.DataFrame:
        """Scores of several samplers in one table."""
        return pd.concat(
            [self.score(name, sampler) for name, sampler in samplers.items()], ignore_index=True
        )

    def _generator(self, stream: int) -> Generator:
        return torch.Generator().manual_seed(1000 * self.seed + stream)
