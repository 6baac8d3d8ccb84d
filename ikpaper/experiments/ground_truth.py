"""How far rejection sampling is from the exact posterior, and what the MMD shows of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
import torch
from torch import Generator

from ikpaper.arm import PlanarArm
from ikpaper.evaluation import MANY_PROPOSALS, Task
from ikpaper.metrics import mmd2, mmd2_floor
from ikpaper.profiles import Profile
from ikpaper.sampler import Sampler
from ikpaper.samplers import ExactPosterior, Prior, RejectionPosterior
from ikpaper.statistics import bootstrap_interval

#: Prior samples by which the share that rejection sampling accepts is estimated.
_PROPOSALS = 1 << 20


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
            pairs = (
                [each.sample(tcp, n, generator=generator) for each in (rejection, exact)]
                for _ in range(repeats)
            )
            values = np.array([float(mmd2(a, b, unbiased=True)) for a, b in pairs])
            points = arm.forward(Prior(arm, sigma).draw(_PROPOSALS, generator))
            distance = (points - torch.tensor(tcp, dtype=torch.float64)).norm(dim=1)
            rate = float((distance <= eps).double().mean())
            rows.append((label, eps, values.mean(), *bootstrap_interval(values), rate))
    return pd.DataFrame(rows, columns=["target", "eps", "mmd2", "low", "high", "acceptance"])


def mismatch_by_prior(
    arm: PlanarArm,
    widths: Sequence[float],
    references: Sequence[float],
    *,
    targets: int,
    eps: float,
    profile: Profile,
    generator: Generator | None = None,
) -> pd.DataFrame:
    """e_posterior of exact samplers with priors of several widths, against several references.

    Args:
        arm: The arm.
        widths: Standard deviations of the samplers' priors, in radians.
        references: Standard deviations of the priors of the ground truth by rejection sampling.
        targets: Number of test targets.
        eps: Tolerance of the ground truth.
        profile: Where the test targets and the number of samples come from.
        generator: Source of randomness.

    Returns:
        One row a width and reference: `sigma`, `reference_sigma`, `value`, `low`, `high`.
    """
    n = profile.posterior_samples
    rows = []
    for reference in references:
        truth = RejectionPosterior(arm, reference, eps)
        task = Task.test_set(arm, profile, targets=targets, samples=n, truth=truth, unbiased=False)
        task = task.given(truth.sample(task.tcp, n, generator=generator))
        for sigma in widths:
            theta = ExactPosterior(arm, sigma).sample(task.tcp, n, generator=generator)
            scores = task.score_samples(theta)
            rows.append((sigma, reference, scores.mean("mmd2"), *scores.interval("mmd2")))
    return pd.DataFrame(rows, columns=["sigma", "reference_sigma", "value", "low", "high"])


def mismatch_at_target(
    arm: PlanarArm,
    tcp: Sequence[float],
    samplers: Mapping[str, Sampler],
    references: Sequence[float],
    *,
    eps: float,
    n: int = 1000,
    repeats: int = 3,
) -> pd.DataFrame:
    """e_posterior of samplers at one target, against ground truth of several priors.

    Args:
        arm: The arm.
        tcp: The target.
        samplers: Samplers by name.
        references: Standard deviations of the priors of the ground truth by rejection sampling.
        eps: Tolerance of the ground truth.
        n: Samples of a set.
        repeats: How often both sets are drawn.

    Returns:
        One row a sampler and reference: `sampler`, `reference_sigma`, the mean `value`, and the
        smallest and largest, `low` and `high`.
    """
    rows = []
    for reference in references:
        truth = RejectionPosterior(arm, reference, eps, max_proposals=MANY_PROPOSALS)
        task = replace(Task.at(arm, tcp, repeats=repeats, samples=n), truth=truth, unbiased=False)
        for name, sampler in samplers.items():
            values = task.score(sampler).targets["mmd2"]
            rows.append((name, reference, values.mean(), values.min(), values.max()))
    return pd.DataFrame(rows, columns=["sampler", "reference_sigma", "value", "low", "high"])


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
