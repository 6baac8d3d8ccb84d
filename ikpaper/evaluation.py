"""Samplers against ground truth over many targets: tidy tables with intervals."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
import torch
from torch import Generator, Tensor

from ikpaper.arm import PlanarArm
from ikpaper.dataset import profile_dataset
from ikpaper.metrics import (
    distinct_solutions,
    hull_area,
    hull_perimeter,
    mmd2,
    mmd2_floor,
    resimulation_error,
)
from ikpaper.posterior import ExactPosterior, Prior, RejectionPosterior
from ikpaper.profiles import Profile
from ikpaper.sampler import Sampler, check_count

__all__ = [
    "Benchmark",
    "acceptance_rate",
    "bootstrap_interval",
    "evaluate",
    "rejection_bias",
    "sampling_rate",
    "single_target",
    "statistic_floor",
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


def single_target(
    arm: PlanarArm,
    tcp: Sequence[float],
    samples: Mapping[str, Tensor],
    *,
    rejection: Tensor,
    exact: Tensor,
) -> pd.DataFrame:
    """Scores of several samplers at one target (Figures 4 and 6).

    Args:
        arm: The arm.
        tcp: Target, shape (2,).
        samples: Joint angles (n, dof) by sampler name.
        rejection: Independent rejection samples, for e_posterior.
        exact: Independent exact samples, for the unbiased MMD^2.

    Returns:
        One row a sampler: `sampler`, `e_posterior`, `mmd2_exact`, `resimulation_error`,
        `hull_area`, `hull_perimeter`, `samples`, `distinct`.
    """
    target = torch.tensor(tcp, dtype=torch.float64)
    rows = []
    for name, drawn in samples.items():
        theta = drawn.double().cpu()
        points = arm.forward(theta)
        rows.append(
            {
                "sampler": name,
                "e_posterior": float(mmd2(theta, rejection)),
                "mmd2_exact": float(mmd2(theta, exact, unbiased=True)),
                "resimulation_error": float(resimulation_error(arm, theta, target)),
                "hull_area": hull_area(points, target),
                "hull_perimeter": hull_perimeter(points, target),
                "samples": len(theta),
                "distinct": distinct_solutions(theta),
            }
        )
    return pd.DataFrame(rows)


def acceptance_rate(
    arm: PlanarArm,
    tcp: Sequence[float],
    eps: float,
    *,
    sigma: float = 0.2,
    proposals: int = 1 << 20,
    generator: Generator | None = None,
) -> float:
    """Share of prior samples whose TCP is within `eps` of the target."""
    points = arm.forward(Prior(arm, sigma).draw(proposals, generator))
    target = torch.tensor(tcp, dtype=torch.float64)
    return float(((points - target).norm(dim=1) <= eps).double().mean())


def rejection_bias(
    arm: PlanarArm,
    targets: Mapping[str, Sequence[float]],
    tolerances: Sequence[float],
    *,
    sigma: float = 0.2,
    n: int = 1000,
    repeats: int = 10,
    generator: Generator | None = None,
) -> pd.DataFrame:
    """Unbiased MMD^2 between rejection sampling and the exact posterior, by tolerance.

    Returns:
        One row a target and tolerance: `target`, `eps`, `mmd2`, `low`, `high` (interval over
        `repeats` independent pairs of draws of `n`), `acceptance`.
    """
    exact = ExactPosterior(arm, sigma)
    rows = []
    for label, tcp in targets.items():
        for eps in tolerances:
            rejection = RejectionPosterior(arm, sigma, eps)
            values = np.array(
                [
                    float(
                        mmd2(
                            rejection.sample(tcp, n, generator=generator),
                            exact.sample(tcp, n, generator=generator),
                            unbiased=True,
                        )
                    )
                    for _ in range(repeats)
                ]
            )
            low, high = bootstrap_interval(values)
            rate = acceptance_rate(arm, tcp, eps, sigma=sigma, generator=generator)
            rows.append(
                {
                    "target": label,
                    "eps": eps,
                    "mmd2": values.mean(),
                    "low": low,
                    "high": high,
                    "acceptance": rate,
                }
            )
    return pd.DataFrame(rows)


def statistic_floor(
    arm: PlanarArm,
    tcp: Sequence[float],
    sizes: Sequence[int],
    *,
    sigma: float = 0.2,
    repeats: int = 30,
    generator: Generator | None = None,
) -> pd.DataFrame:
    """V- and U-statistic between two draws of one exact posterior, and the V-statistic's floor.

    Returns:
        One row a sample size: `samples`, mean and central 90 % over `repeats` of both statistics
        (`v_statistic`, `v_low`, `v_high`, `u_statistic`, `u_low`, `u_high`), `floor`.
    """
    exact = ExactPosterior(arm, sigma)
    pool = exact.sample(tcp, 2000, generator=generator)
    rows = []
    for size in sizes:
        pairs = [
            exact.sample(tcp, 2 * size, generator=generator).split(size) for _ in range(repeats)
        ]
        row: dict[str, float] = {"samples": size}
        for kind, unbiased in (("v", False), ("u", True)):
            values = np.array([float(mmd2(a, b, unbiased)) for a, b in pairs])
            row[f"{kind}_statistic"] = values.mean()
            row[f"{kind}_low"], row[f"{kind}_high"] = np.quantile(values, [0.05, 0.95])
        row["floor"] = float(mmd2_floor(pool, size, size))
        rows.append(row)
    return pd.DataFrame(rows)


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
