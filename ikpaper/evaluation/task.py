"""A task: an arm, a prior, targets, and reference samples that any sampler is scored by."""

from __future__ import annotations

import dataclasses
import time
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Generator, Tensor

from ikpaper import dataset, metrics, projection
from ikpaper.arm import PlanarArm, TensorLike, as_tensor
from ikpaper.checks import Sigma, check_count, check_known, check_seed
from ikpaper.identity import digest
from ikpaper.metrics import (
    C2ST_EPOCHS,
    KERNELS,
    TwoSampleTest,
    c2st_batch,
    mean_kernel,
    resimulation_error,
    two_sample_tests,
)
from ikpaper.profiles import Profile
from ikpaper.sampler import PosteriorSampler, Sampler
from ikpaper.samplers import ExactPosterior, ManyTargets
from ikpaper.statistics import bootstrap_interval

#: Version of the scoring. Raise when numbers change.
VERSION = 1

#: Level of the permutation test.
LEVEL = 0.05

#: Kernel of the scores that check those by the task's own.
CHECK_KERNEL = "multi-bandwidth"

#: Share of the targets that count as the worst, and how many targets it takes to tell.
_WORST, _ENOUGH = 0.01, 100

#: Random targets that are drawn and scored at a time.
_CHUNK = 25


@dataclass(frozen=True, eq=False)
class Task:
    """Targets of an arm with reference samples of the posterior at each.

    Attributes:
        arm: The arm.
        tcp: Targets, shape (N, 2), float64.
        samples: Samples a target, of the reference and of whatever is scored.
        sigma: Standard deviation of the prior, one a joint.
        name: Where the targets come from: `random`, `slides`, `test`; or what else sets it apart.
        truth: What draws the reference samples; the exact posterior.
        seeds: Seeds of the reference samples, of the sampler, and of the permutation test.
        unbiased: Whether the MMD^2 is the U-statistic; else it is the paper's V-statistic.
        kernel: Kernel of the MMD, a name in `metrics.KERNELS`.
        chunk: Targets a sampler is asked for at a time; by default all.
        origin: What decides the targets, for the identity of a result.
    """

    arm: PlanarArm
    tcp: Tensor
    samples: int
    sigma: tuple[float, ...]
    name: str
    truth: PosteriorSampler
    seeds: tuple[int, int, int] = (0, 1, 2)
    unbiased: bool = True
    kernel: str = "paper"
    chunk: int | None = None
    origin: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_known("kernel", [self.kernel], KERNELS)
        if self.tcp.is_inference():
            # A task outlives the mode that it was made in.
            with torch.inference_mode(False):
                object.__setattr__(self, "tcp", self.tcp.clone())

    @classmethod
    def random(
        cls,
        arm: PlanarArm,
        targets: int = 1000,
        *,
        samples: int = 1000,
        sigma: Sigma | None = None,
        kernel: str = "paper",
        seed: int = 0,
    ) -> Task:
        """TCPs of prior samples, the targets of the benchmark.

        Args:
            arm: The arm, with at least 3 joints.
            targets: Number of targets; more of one seed begin with the same ones.
            samples: Samples a target.
            sigma: Standard deviation of the prior; by default the arm's own.
            kernel: Kernel of the MMD.
            seed: Seed of targets, reference samples, sampler and test.

        Raises:
            ValueError: If a number is out of range.
        """
        targets = check_count("targets", targets)
        seed = check_seed(seed)
        return cls(
            arm,
            random_targets(arm, targets, sigma, seed),
            check_count("samples", samples, 2),
            arm.prior_sigma(sigma),
            "random",
            ExactPosterior(arm, sigma),
            (3 * seed, 3 * seed + 1, 3 * seed + 2),
            kernel=kernel,
            chunk=_CHUNK,
            origin={"targets": targets, "seed": seed},
        )

    @classmethod
    def at(
        cls,
        arm: PlanarArm,
        tcp: TensorLike,
        *,
        repeats: int = 1,
        samples: int = 1000,
        sigma: Sigma | None = None,
    ) -> Task:
        """One target (2,), the slides' for instance, scored several times with other samples.

        Raises:
            ValueError: If the target is malformed or out of reach, or a number is out of range.
        """
        target = arm.check_targets(as_tensor(tcp, "tcp").detach().double().cpu())
        if target.ndim != 1:
            raise ValueError(f"tcp: expected shape (2,), got {tuple(target.shape)}")
        repeats = check_count("repeats", repeats)
        return cls(
            arm,
            target.repeat(repeats, 1),
            check_count("samples", samples, 2),
            arm.prior_sigma(sigma),
            "slides",
            ExactPosterior(arm, sigma),
            chunk=_CHUNK,
            origin={"tcp": target.tolist(), "repeats": repeats, "seed": 0},
        )

    @classmethod
    def test_set(
        cls,
        arm: PlanarArm,
        profile: Profile,
        *,
        targets: int | None = None,
        seeds: tuple[int, int, int] = (2, 4, 0),
        **changes: Any,
    ) -> Task:
        """The first targets of a profile's test set, against exact samples.

        Args:
            arm: The arm.
            profile: Data set, prior, and numbers of targets and samples.
            targets: Number of targets; by default `profile.exact_targets`.
            seeds: See `seeds` of the class.
            **changes: Other fields of the class that differ.
        """
        count = profile.exact_targets if targets is None else check_count("targets", targets)
        sigma = profile.sigma_for(arm)
        fields: dict[str, Any] = {
            "samples": profile.exact_samples,
            "sigma": arm.prior_sigma(sigma),
            "name": "test",
            "truth": ExactPosterior(arm, sigma),
            "seeds": seeds,
            "origin": {
                "targets": count,
                "data": [profile.samples, profile.train_fraction, profile.seed],
            },
        }
        tcp = dataset.profile_dataset(arm, profile).test[1][:count]
        return cls(arm=arm, tcp=tcp, **{**fields, **changes})

    def __len__(self) -> int:
        return len(self.tcp)

    def first(self, count: int, **changes: Any) -> Task:
        """The first targets as a task of their own, with the same reference samples."""
        count = check_count("count", count)
        part = dataclasses.replace(
            self, tcp=self.tcp[:count], origin={**self.origin, "first": count}
        )
        return part.given(self.reference[:count], **changes)

    def given(self, reference: Tensor, **changes: Any) -> Task:
        """The same task with reference samples (N, samples, dof) that are drawn already.

        Raises:
            ValueError: If their shape is another.
        """
        if reference.shape != (wanted := (len(self.tcp), self.samples, self.arm.dof)):
            raise ValueError(f"reference: expected shape {wanted}, got {tuple(reference.shape)}")
        task = dataclasses.replace(self, **changes)
        task.__dict__["reference"] = reference.double().cpu()
        return task

    @cached_property
    def reference(self) -> Tensor:
        """Reference samples, shape (N, samples, dof), drawn once."""
        generator = torch.Generator().manual_seed(self.seeds[0])
        # Kept: inference tensors could take no part in what is differentiated later.
        with torch.inference_mode(False):
            parts = [
                self.truth.sample(chunk, self.samples, generator=generator)
                for chunk in self._chunks()
            ]
            return torch.cat(parts)

    def settings(self) -> dict[str, Any]:
        """What decides a score, as JSON holds it, but for the sampler and versions."""
        return {
            "lengths": self.arm.lengths,
            "sigma": self.sigma,
            "name": self.name,
            **self.origin,
            "samples": self.samples,
            "truth": self.truth.name,
            **({"eps": self.truth.eps} if hasattr(self.truth, "eps") else {}),
            **self._other_prior(),
            **({"together": True} if getattr(self.truth, "together", False) else {}),
            "seeds": self.seeds,
            "unbiased": self.unbiased,
            "kernel": self.kernel,
        }

    def _other_prior(self) -> dict[str, Any]:
        """The prior of the reference samples, where it is not that of the task."""
        prior = getattr(self.truth, "prior", None)
        sigma = self.sigma if prior is None else tuple(prior.sigma.tolist())
        return {} if sigma == self.sigma else {"truth_sigma": sigma}

    def versions(self) -> dict[str, int]:
        """Versions of the code that decides a score, but for the sampler's."""
        return {
            "scoring": VERSION,
            "metrics": metrics.VERSION,
            "dataset": dataset.VERSION,
            self.truth.name: self.truth.version,
            **({"together": ManyTargets.version} if getattr(self.truth, "together", False) else {}),
        }

    def draw(self, sampler: Sampler) -> Tensor:
        """What a sampler answers at the targets, checked: (N, samples, dof), float64, wrapped.

        Raises:
            ValueError: If samples are not finite or of another shape.
        """
        generator = torch.Generator().manual_seed(self.seeds[1])
        parts = [
            draw(sampler, self.arm, chunk, self.samples, generator) for chunk in self._chunks()
        ]
        return torch.cat(parts)

    def check_settings(self, checks: int) -> dict[str, Any]:
        """What decides the scores of `checks` targets beside `settings`, as JSON holds it."""
        return {"checks": checks, "check_kernel": CHECK_KERNEL, "c2st_epochs": C2ST_EPOCHS}

    def score(self, sampler: Sampler, *, permutations: int = 0, checks: int = 0) -> Scores:
        """Scores of a sampler at each target.

        Args:
            sampler: Anything with a method `sample(tcp, n, *, generator=None)`.
            permutations: Relabellings of the two-sample test; 0: no test.
            checks: How many of the first targets are also scored by another kernel,
                `CHECK_KERNEL`, and by a classifier, which takes some tenths of a second each.

        Raises:
            ValueError: If the sampler's answer is not finite or has the wrong shape.
        """
        permutations = check_count("permutations", permutations, 0)
        checks = check_count("checks", checks, 0)
        # Before the reference samples, which take longer.
        return self.score_samples(self.draw(sampler), permutations=permutations, checks=checks)

    def score_samples(self, theta: Tensor, *, permutations: int = 0, checks: int = 0) -> Scores:
        """Scores of samples (N, samples, dof) that are drawn already; see `score`."""
        testing = torch.Generator().manual_seed(self.seeds[2])
        rows = []
        for i, (own, reference) in enumerate(zip(theta, self.reference, strict=True)):
            kernels = [self.kernel, CHECK_KERNEL] if i < checks else [self.kernel]
            if permutations:
                tests = two_sample_tests(
                    own, reference, kernels, permutations=permutations, generator=testing
                )
            else:
                tests = [TwoSampleTest(self._mmd2(own, i, kernel), np.nan) for kernel in kernels]
            rows.append([*tests[0], *(tests[1] if i < checks else (np.nan, np.nan))])
        table = pd.DataFrame(self.tcp.numpy(), columns=["tcp_x", "tcp_y"])
        table[["mmd2", "p_value", "mmd2_check", "p_value_check"]] = rows
        table["c2st"] = np.nan
        if checks:
            accuracies = c2st_batch(
                theta[:checks], self.reference[:checks], seed=self.seeds[0] // 3
            )
            table.loc[: len(accuracies) - 1, "c2st"] = accuracies.numpy()
        distance = (self.arm.forward(theta) - self.tcp[:, None]).norm(dim=-1)
        reached = distance <= projection.TOLERANCE * self.arm.reach
        squares = torch.where(reached, distance, 0.0).square().sum(dim=1)
        table["e_resim"] = resimulation_error(self.arm, theta, self.tcp).numpy()
        table["e_resim_on_target"] = (squares / reached.sum(dim=1)).numpy()
        table["missed"] = (~reached).sum(dim=1).numpy()
        return Scores(table, theta.shape[1])

    def _mmd2(self, own: Tensor, i: int, kernel: str) -> float:
        """MMD^2 of samples to those of reference at target number `i`, as `metrics.mmd2`."""
        of_kernel = self._within.setdefault(kernel, {})
        if i not in of_kernel:
            of_kernel[i] = mean_kernel(self.reference[i], unbiased=self.unbiased, kernel=kernel)
        within = mean_kernel(own, unbiased=self.unbiased, kernel=kernel) + of_kernel[i]
        return float(within - 2 * mean_kernel(own, self.reference[i], kernel=kernel))

    @cached_property
    def _within(self) -> dict[str, dict[int, Tensor]]:
        """Means of kernels over pairs of reference samples, the same for all samplers."""
        return {}

    def rate(self, sampler: Sampler, targets: int = 20) -> float:
        """Samples a second at the first targets; the one number here that a clock decides."""
        first = self.tcp[: check_count("targets", targets)]
        return sampling_rate(sampler, first, self.samples, arm=self.arm)

    def _chunks(self) -> tuple[Tensor, ...]:
        return self.tcp.split(self.chunk or len(self.tcp))


@dataclass(frozen=True)
class Scores:
    """Scores of one sampler.

    Attributes:
        targets: A row a target: `tcp_x`, `tcp_y`, `mmd2`, `p_value` of the permutation test,
            `mmd2_check` and `p_value_check` (the same by `CHECK_KERNEL`), `c2st` (after
            `metrics.C2ST_EPOCHS` epochs), `e_resim` (the mean of ||f(theta) - tcp||^2),
            `e_resim_on_target` (the same of the samples that reach the target to
            `projection.TOLERANCE`), and `missed`, the number of samples that do not. NaN where a
            score was not asked for.
        samples: Samples a target.
    """

    targets: pd.DataFrame
    samples: int

    def mean(self, quantity: str) -> float:
        """Mean over targets, of those where the quantity was measured."""
        return float(self.targets[quantity].mean())

    def interval(self, quantity: str) -> tuple[float, float]:
        """Bootstrap interval (95 %) of the mean over targets; NaN if nothing was measured."""
        values = self.targets[quantity].dropna()
        return bootstrap_interval(values) if len(values) else (float("nan"), float("nan"))

    def rejected(self, p_value: str = "p_value") -> pd.Series:
        """At which targets the permutation test of level 5 % rejects; only those tested."""
        return self.targets[p_value].dropna() <= LEVEL

    def rejected_alone(self, exact: Scores) -> dict[str, int]:
        """At how many targets only these scores are rejected, and only those of exact samples.

        For `statistics.mcnemar`, as `only_this` and `only_exact`. Both must be scores of one task,
        or of its first targets.
        """
        own, others = self.rejected(), exact.rejected()
        count = min(len(own), len(others))
        own, others = own[:count], others[:count]
        return {"only_this": int((own & ~others).sum()), "only_exact": int((others & ~own).sum())}

    def summary(self) -> dict[str, Any]:
        """Means over targets, with what tells how they spread.

        `mmd2` with its bootstrap interval (`mmd2_low`, `mmd2_high`) and the mean of the worst
        percent of the targets (`mmd2_worst1`; NaN for fewer than 100 targets); `rejected`, the
        share of targets at which the permutation test of level 5 % rejects; `mmd2_check`,
        `rejected_check` and `c2st`, with their intervals, over the `checks` targets that have
        them; `e_resim`, with the worst percent and the worst target; `missed`, the number of
        samples that do not reach the target, and `e_resim_on_target`, the mean over those that
        do.
        """
        table = self.targets
        reached = self.samples - table["missed"]
        on_target = float((table["e_resim_on_target"].fillna(0) * reached).sum())
        return {
            "targets": len(table),
            "samples": self.samples,
            **self._with_interval("mmd2"),
            "mmd2_worst1": _worst(table["mmd2"]),
            "rejected": float(self.rejected().mean()),
            "checks": int(table["c2st"].count()),
            **self._with_interval("mmd2_check"),
            "rejected_check": float(self.rejected("p_value_check").mean()),
            **self._with_interval("c2st"),
            "e_resim": self.mean("e_resim"),
            "e_resim_worst1": _worst(table["e_resim"]),
            "e_resim_worst": float(table["e_resim"].max()),
            "e_resim_on_target": on_target / reached.sum() if reached.sum() else float("nan"),
            "missed": int(table["missed"].sum()),
        }

    def _with_interval(self, quantity: str) -> dict[str, float]:
        low, high = self.interval(quantity)
        return {quantity: self.mean(quantity), f"{quantity}_low": low, f"{quantity}_high": high}


def _worst(values: pd.Series) -> float:
    """Mean of the largest percent."""
    if len(values) < _ENOUGH:
        return float("nan")
    return float(np.sort(values)[-round(_WORST * len(values)) :].mean())


def draw(
    sampler: Sampler, arm: PlanarArm, tcp: Tensor, n: int, generator: Generator | None = None
) -> Tensor:
    """What any sampler answers, whatever it returns: (B, n, dof), float64, on the CPU, wrapped.

    Args:
        sampler: Anything with a method `sample(tcp, n, *, generator=None)`; it may return arrays or
            nested lists. Angles are folded into (-pi, pi], where reference samples lie.
        arm: The arm.
        tcp: Targets, shape (B, 2).
        n: Samples a target.
        generator: Source of randomness.

    Raises:
        ValueError: If samples are not finite or of another shape than (B, n, dof).
    """
    theta = (
        as_tensor(sampler.sample(tcp, n, generator=generator), "samples").detach().double().cpu()
    )
    if theta.shape != (wanted := (len(tcp), n, arm.dof)):
        raise ValueError(
            f"samples: expected shape {wanted} for {len(tcp)} targets, {n} samples each and "
            f"{arm.dof} joints, got {tuple(theta.shape)}"
        )
    if lost := int((~torch.isfinite(theta)).any(dim=-1).sum()):
        raise ValueError(
            f"samples: expected finite numbers, got {lost} of {len(tcp) * n} that are not, for "
            f"targets near {tcp[0].tolist()}"
        )
    # Folding an angle that needs none would cost its last digits.
    return torch.where(theta.abs() <= torch.pi, theta, arm.wrapped(theta))


def random_targets(arm: PlanarArm, count: int, sigma: Sigma | None = None, seed: int = 0) -> Tensor:
    """TCPs (count, 2) of prior samples; more of one seed begin with the same ones.

    No seed gives those of a data set, on which models may have been trained.
    """
    own = np.random.default_rng([int(digest("targets")[:8], 16), seed])
    theta = own.normal(0.0, arm.prior_sigma(sigma), size=(count, arm.dof))
    return arm.forward(torch.from_numpy(theta))


def sampling_rate(sampler: Sampler, tcp: Tensor, n: int, *, arm: PlanarArm) -> float:
    """Samples a second for `n` samples of each target (B, 2), the best of three draws."""
    best = float("inf")
    generator = torch.Generator().manual_seed(0)
    for _ in range(3):
        start = time.perf_counter()
        draw(sampler, arm, tcp, n, generator)
        best = min(best, time.perf_counter() - start)
    return n * len(tcp) / best
