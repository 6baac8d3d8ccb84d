"""Samplers against ground truth over many targets: tidy tables with intervals."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from scipy.stats import norm, spearmanr
from torch import Generator, Tensor

from ikpaper.arm import PlanarArm
from ikpaper.dataset import profile_dataset
from ikpaper.files import write_text
from ikpaper.metrics import (
    c2st,
    distinct_solutions,
    hull_area,
    hull_perimeter,
    mmd2,
    mmd2_floor,
    resimulation_error,
)
from ikpaper.models import NetworkSampler
from ikpaper.posterior import ExactPosterior, Prior, RejectionPosterior
from ikpaper.profiles import Profile
from ikpaper.sampler import Sampler, check_count

__all__ = [
    "MANY_PROPOSALS",
    "PUBLISHED_SIGMA",
    "Scorer",
    "acceptance_rate",
    "bootstrap_interval",
    "evaluate",
    "judged_by_priors",
    "rank_correlation",
    "rejection_bias",
    "sampling_rate",
    "save_seed",
    "single_target",
    "statistic_floor",
]

#: Prior of the ground truth behind the published plot of e_posterior, in radians. The data has
#: `Profile.sigma`.
PUBLISHED_SIGMA = 0.5

#: Prior samples for rejection sampling at test targets: 1000 of the 10-DoF arm hold some that one
#: proposal in a million reaches.
MANY_PROPOSALS = 4_000_000_000

RESIMULATION = "E||f(theta) - tcp||^2"


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
    theta = sampler.sample(tcp, reference.shape[1], generator=generator)
    return _score_samples(theta, tcp, reference, arm=arm, unbiased=unbiased, kernel=kernel)


def _score_samples(
    theta: Tensor,
    tcp: Tensor,
    reference: Tensor,
    *,
    arm: PlanarArm,
    unbiased: bool = False,
    kernel: str = "paper",
) -> pd.DataFrame:
    """What `evaluate` returns, for samples (N, M, dof) that are drawn already."""
    theta = theta.double().cpu()
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
    values: Sequence[float] | np.ndarray | pd.Series,
    *,
    over: Sequence[float] | np.ndarray | pd.Series | None = None,
    level: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> tuple[float, float]:
    """Percentile bootstrap interval of the mean of `values` over targets.

    With `over`, values of the same targets, the interval of the ratio of the two means.
    """
    data = np.asarray(values, dtype=float)
    check_count("number of values", len(data))
    divisor = np.ones_like(data) if over is None else np.asarray(over, dtype=float)
    rng = np.random.default_rng(seed)
    found = np.empty(resamples)
    for i in range(resamples):
        chosen = rng.integers(len(data), size=len(data))
        found[i] = data[chosen].mean() / divisor[chosen].mean()
    tail = (1 - level) / 2
    low, high = np.quantile(found, [tail, 1 - tail])
    return float(low), float(high)


def rank_correlation(
    a: Sequence[float] | np.ndarray | pd.Series,
    b: Sequence[float] | np.ndarray | pd.Series,
    *,
    level: float = 0.95,
) -> tuple[float, float, float]:
    """Spearman's rank correlation of pairs, with its interval by Bonett and Wright (2000).

    That is Fisher's transformation with a standard error for ranks. A bootstrap over a few pairs
    that happen to be in perfect order would be certain of it; here, perfect order counts as half
    the smallest change away from it.

    Args:
        a: Values; infinite ones come last.
        b: As many values.
        level: Of the interval.

    Raises:
        ValueError: If there are fewer than 5 pairs or their numbers differ.
    """
    pairs = np.column_stack([np.asarray(a, dtype=float), np.asarray(b, dtype=float)])
    n = check_count("number of pairs", len(pairs), 5)
    found = float(spearmanr(pairs[:, 0], pairs[:, 1]).statistic)
    # Two neighbours that swap change it by 12 / (n (n^2 - 1)).
    most = 1 - 6 / (n * (n**2 - 1))
    inner = float(np.clip(found, -most, most))
    error = math.sqrt((1 + inner**2 / 2) / (n - 3))
    reach = float(norm.ppf(0.5 + level / 2)) * error
    low, high = np.tanh(np.arctanh(inner) + np.array([-reach, reach]))
    return found, float(min(low, found)), float(max(high, found))


def sampling_rate(
    sampler: Sampler, tcp: Tensor, n: int, *, generator: Generator | None = None
) -> float:
    """Samples a second for `n` samples of each target, the best of three draws."""
    best = float("inf")
    for _ in range(3):
        start = time.perf_counter()
        # On a GPU, a draw is over when it has arrived.
        sampler.sample(tcp, n, generator=generator).cpu()
        best = min(best, time.perf_counter() - start)
    return n * len(torch.atleast_2d(tcp)) / best


def save_seed(scores: pd.DataFrame, table: Path) -> None:
    """Put the scores of one training run, with a column `seed`, into a table of such runs.

    Rows of the same profile, DoF, sampler and seed are replaced; the table stays sorted.
    """
    names = ["profile", "dof", "sampler", "seed"]
    known = pd.read_csv(table) if table.exists() else pd.DataFrame(columns=list(scores.columns))
    runs = set(scores[names].itertuples(index=False, name=None))
    kept = known[[run not in runs for run in known[names].itertuples(index=False, name=None)]]
    merged = scores if kept.empty else pd.concat([kept, scores], ignore_index=True)
    merged = merged.sort_values(names, kind="stable")
    write_text(table, merged.to_csv(index=False))


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


def judged_by_priors(
    arm: PlanarArm,
    widths: Sequence[float],
    judges: Sequence[float],
    *,
    targets: int,
    eps: float,
    profile: Profile,
    generator: Generator | None = None,
) -> pd.DataFrame:
    """e_posterior of exact samplers of priors of several widths, by judges of several priors.

    Args:
        arm: The arm.
        widths: Standard deviations of the samplers' priors, in radians.
        judges: Standard deviations of the priors of the ground truth by rejection sampling.
        targets: Number of test targets.
        eps: Tolerance of the ground truth.
        profile: Where the test targets and the number of samples come from.
        generator: Source of randomness.

    Returns:
        One row a width and judge: `sigma`, `judge`, `value`, `low`, `high`.
    """
    tcp = Scorer(arm, profile).targets[:targets]
    n = profile.posterior_samples
    rows = []
    for judge in judges:
        truth = RejectionPosterior(arm, judge, eps).sample(tcp, n, generator=generator)
        for sigma in widths:
            table = evaluate(ExactPosterior(arm, sigma), tcp, truth, arm=arm, generator=generator)
            low, high = bootstrap_interval(table["mmd2"])
            value = table["mmd2"].mean()
            rows.append({"sigma": sigma, "judge": judge, "value": value, "low": low, "high": high})
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
class _Score:
    """One quantity of a sampler at each target."""

    quantity: str
    protocol: str
    values: np.ndarray | pd.Series
    samples: int


@dataclass(frozen=True)
class Scorer:
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
        return ExactPosterior(self.arm, self.profile.sigma_for(self.arm))

    def rejection(self) -> RejectionPosterior:
        """The paper's ground truth for this arm and prior; minutes for targets in its tail."""
        sigma = self.profile.sigma_for(self.arm)
        return RejectionPosterior(self.arm, sigma, self.profile.eps, max_proposals=MANY_PROPOSALS)

    @cached_property
    def rejection_samples(self) -> Tensor:
        """Ground truth of the paper's protocol, shape (N, M, dof)."""
        return self.rejection().sample(
            self.targets, self.profile.posterior_samples, generator=self._generator(1)
        )

    @cached_property
    def wide_samples(self) -> Tensor:
        """Ground truth of the published plot, of another prior, shape (N, M, dof)."""
        return RejectionPosterior(self.arm, PUBLISHED_SIGMA, self.profile.eps).sample(
            self.targets, self.profile.posterior_samples, generator=self._generator(7)
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
        The quantities:

        - `e_posterior`: the paper's, V-statistic against rejection sampling.
        - `e_posterior_wide`: the same against a ground truth of the prior that the published
          plot used, `PUBLISHED_SIGMA`.
        - `e_resim`: E||f(theta) - tcp||^2 of the samples of `e_posterior`.
        - `e_resim_test`: the same of one sample for every test target, as the paper has it; for
          samplers that are cheap enough, networks and the prior.
        - `mmd2_exact`: unbiased MMD^2 to the exact posterior.
        - `c2st`: accuracy of a classifier between the sampler and the exact posterior, over the
          first `Profile.c2st_targets` targets; not for the prior.
        """
        return self.score_all({name: sampler})

    def score_all(self, samplers: Mapping[str, Sampler]) -> pd.DataFrame:
        """Scores of several samplers in one table.

        With the prior among them, named `prior`, there is one quantity more: `mmd2_ratio`,
        `mmd2_exact` divided by the prior's, with a bootstrap interval over targets in pairs.
        """
        measured = {name: self._measure(sampler) for name, sampler in samplers.items()}
        rows = [
            self._row(name, score, float(score.values.mean()), bootstrap_interval(score.values))
            for name, scores in measured.items()
            for score in scores
        ]
        mismatch = {
            name: score
            for name, scores in measured.items()
            for score in scores
            if score.quantity == "mmd2_exact"
        }
        if prior := mismatch.get("prior"):
            rows += [
                self._row(
                    name,
                    replace(score, quantity="mmd2_ratio", protocol="divided by the prior's"),
                    float(score.values.mean() / prior.values.mean()),
                    bootstrap_interval(score.values, over=prior.values),
                )
                for name, score in mismatch.items()
            ]
        return pd.DataFrame(rows)

    def _measure(self, sampler: Sampler) -> list[_Score]:
        """Scores of a sampler, target by target."""
        profile = self.profile
        # Scored against both ground truths with the same samples: only the judge differs.
        drawn = sampler.sample(
            self.targets, profile.posterior_samples, generator=self._generator(3)
        )
        paper, wide = (
            _score_samples(drawn, self.targets, truth, arm=self.arm)
            for truth in (self.rejection_samples, self.wide_samples)
        )
        exact = evaluate(
            sampler,
            self.exact_targets,
            self.exact_samples,
            arm=self.arm,
            unbiased=True,
            generator=self._generator(4),
        )
        judge = f"V-statistic, rejection sampling, eps = {profile.eps:g}, sigma = "
        sigma = ", ".join(f"{value:g}" for value in np.atleast_1d(profile.sigma_for(self.arm)))
        count = profile.posterior_samples
        scores = [
            _Score("e_posterior", judge + sigma, paper["mmd2"], count),
            _Score("e_posterior_wide", f"{judge}{PUBLISHED_SIGMA:g}", wide["mmd2"], count),
            _Score("e_resim", RESIMULATION, paper["resimulation_error"], count),
            _Score("mmd2_exact", "unbiased, exact posterior", exact["mmd2"], profile.exact_samples),
        ]
        if isinstance(sampler, (NetworkSampler, Prior)):
            _, tcp = profile_dataset(self.arm, profile).test
            theta = sampler.sample(tcp, 1, generator=self._generator(5)).double().cpu()
            errors = resimulation_error(self.arm, theta, tcp).numpy()
            scores.append(_Score("e_resim_test", RESIMULATION, errors, 1))
        # Slow, and without interest for the prior.
        if profile.c2st_targets and not isinstance(sampler, Prior):
            scores.append(
                _Score(
                    "c2st",
                    "accuracy, exact posterior",
                    self._accuracies(sampler),
                    profile.exact_samples,
                )
            )
        return scores

    def _accuracies(self, sampler: Sampler) -> np.ndarray:
        targets = self.exact_targets[: self.profile.c2st_targets]
        theta = sampler.sample(targets, self.profile.exact_samples, generator=self._generator(6))
        return np.array([c2st(a, b) for a, b in zip(theta, self.exact_samples, strict=False)])

    def _row(
        self, name: str, score: _Score, value: float, interval: tuple[float, float]
    ) -> dict[str, Any]:
        return {
            "profile": self.profile.name,
            "dof": self.arm.dof,
            "sampler": name,
            "quantity": score.quantity,
            "protocol": score.protocol,
            "value": value,
            "low": interval[0],
            "high": interval[1],
            "targets": len(score.values),
            "samples": score.samples,
        }

    def _generator(self, stream: int) -> Generator:
        return torch.Generator().manual_seed(1000 * self.seed + stream)
