"""The paper's protocol: e_posterior and e_resim over test targets, with the exact scores beside."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Generator, Tensor

from ikpaper.arm import PlanarArm
from ikpaper.dataset import profile_dataset
from ikpaper.evaluation.task import Task, draw
from ikpaper.metrics import distinct_solutions, hull_area, hull_perimeter, resimulation_error
from ikpaper.models import NetworkSampler
from ikpaper.profiles import Profile
from ikpaper.sampler import Sampler
from ikpaper.samplers import ExactPosterior, Prior, RejectionPosterior
from ikpaper.statistics import bootstrap_interval, bootstrap_intervals

#: Prior of the ground truth behind the published plot of e_posterior, in radians. The data has
#: `Profile.sigma`.
PLOTTED_SIGMA = 0.5

#: Prior samples for rejection sampling at test targets: 1000 of the 10-DoF arm hold some that one
#: proposal in a million reaches.
MANY_PROPOSALS = 4_000_000_000

_RESIMULATION = "E||f(theta) - tcp||^2"

#: Columns of the scores, after those that name arm and profile.
_COLUMNS = ("sampler", "quantity", "protocol", "value", "low", "high", "targets", "samples")


@dataclass(frozen=True)
class PaperProtocol:
    """An arm's test targets with ground truth by both means; one instance serves all samplers.

    Reference samples are drawn once. Ground truth that is scored itself draws anew.

    Attributes:
        arm: The arm.
        profile: Numbers of targets and samples, prior, tolerance.
    """

    arm: PlanarArm
    profile: Profile

    def exact(self) -> ExactPosterior:
        """The exact sampler of this arm and prior."""
        return ExactPosterior(self.arm, self.profile.sigma_for(self.arm))

    def rejection(self) -> RejectionPosterior:
        """The paper's ground truth for this arm and prior; minutes for targets in its tail."""
        sigma, eps = self.profile.sigma_for(self.arm), self.profile.eps
        return RejectionPosterior(self.arm, sigma, eps, max_proposals=MANY_PROPOSALS)

    @cached_property
    def paper_task(self) -> Task:
        """Targets of e_posterior: V-statistic against rejection sampling."""
        return self._against(self.rejection(), 1)

    @cached_property
    def wide_task(self) -> Task:
        """The same targets, against rejection sampling with the prior of the published plot."""
        return self._against(RejectionPosterior(self.arm, PLOTTED_SIGMA, self.profile.eps), 7)

    def _against(self, truth: RejectionPosterior, seed: int) -> Task:
        return Task.test_set(
            self.arm,
            self.profile,
            targets=self.profile.targets,
            samples=self.profile.posterior_samples,
            truth=truth,
            seeds=(seed, 3, 0),
            unbiased=False,
        )

    @cached_property
    def exact_task(self) -> Task:
        """The first of these targets: unbiased MMD^2 to the exact posterior."""
        return Task.test_set(self.arm, self.profile)

    def settings(self) -> dict[str, Any]:
        """What decides the scores, as JSON holds it, but for the sampler and versions."""
        return {name: task.settings() for name, task in self._tasks().items()}

    def versions(self) -> dict[str, int]:
        """Versions of the code that decides the scores, but for the sampler's."""
        return {
            name: version
            for task in self._tasks().values()
            for name, version in task.versions().items()
        }

    def _tasks(self) -> dict[str, Task]:
        return {"paper": self.paper_task, "wide": self.wide_task, "exact": self.exact_task}

    def score(self, samplers: Mapping[str, Sampler]) -> pd.DataFrame:
        """All scores of samplers: one tidy row a quantity, with its interval over targets.

        Columns: profile, dof, sampler, quantity, protocol, value, low, high, targets, samples.
        The quantities:

        - `e_posterior`: the paper's, V-statistic against rejection sampling.
        - `e_posterior_wide`: the same against a ground truth of the prior that the published
          plot used, `PLOTTED_SIGMA`.
        - `e_resim`: E||f(theta) - tcp||^2 of the samples of `e_posterior`.
        - `e_resim_test`: the same of one sample for every test target, as the paper has it; for
          networks and the prior, which are cheap enough.
        - `mmd2`: unbiased MMD^2 to the exact posterior.
        - `mmd2_ratio`: `mmd2` divided by that of the sampler named `prior`, if it is among them,
          with a bootstrap interval over targets in pairs.
        """
        found = [(name, *scores) for name, one in samplers.items() for scores in self._scores(one)]
        # Together: some are over hundreds of thousands of targets.
        intervals = bootstrap_intervals([values for *_, values, _ in found])
        rows = [
            (name, quantity, protocol, values.mean(), *interval, len(values), samples)
            for (name, quantity, protocol, values, samples), interval in zip(
                found, intervals, strict=True
            )
        ]
        mismatch = {name: values for name, quantity, _, values, _ in found if quantity == "mmd2"}
        if (prior := mismatch.get("prior")) is not None:
            samples = self.profile.exact_samples
            for name, values in mismatch.items():
                score = (values.mean() / prior.mean(), *bootstrap_interval(values, over=prior))
                of_prior = ("mmd2_ratio", "divided by the prior's")
                rows.append((name, *of_prior, *score, len(values), samples))
        named = {"profile": self.profile.name, "dof": self.arm.dof}
        return pd.DataFrame([(*named.values(), *row) for row in rows], columns=[*named, *_COLUMNS])

    def _scores(self, sampler: Sampler) -> list[tuple[str, str, pd.Series | np.ndarray, int]]:
        """Quantity, protocol, values target by target, and samples a target."""
        profile, exact = self.profile, self.exact_task
        # The same samples against both ground truths: only the reference differs.
        theta = self.paper_task.draw(sampler)
        paper, wide = (
            task.score_samples(theta).targets for task in (self.paper_task, self.wide_task)
        )
        reference = f"V-statistic, rejection sampling, eps = {profile.eps:g}, sigma = "
        sigma = ", ".join(f"{value:g}" for value in np.atleast_1d(profile.sigma_for(self.arm)))
        count = profile.posterior_samples
        scores: list[tuple[str, str, pd.Series | np.ndarray, int]] = [
            ("e_posterior", reference + sigma, paper["mmd2"], count),
            ("e_posterior_wide", f"{reference}{PLOTTED_SIGMA:g}", wide["mmd2"], count),
            ("e_resim", _RESIMULATION, paper["e_resim"], count),
            (
                "mmd2",
                "unbiased, exact posterior",
                exact.score(sampler).targets["mmd2"],
                exact.samples,
            ),
        ]
        if isinstance(sampler, (NetworkSampler, Prior)):
            errors = resimulation_of_test_set(sampler, self.arm, profile)
            scores.append(("e_resim_test", _RESIMULATION, errors, 1))
        return scores


def resimulation_of_test_set(sampler: Sampler, arm: PlanarArm, profile: Profile) -> np.ndarray:
    """||f(theta) - tcp||^2 of one sample for every target of the test set; the mean is the paper's.

    Args:
        sampler: The sampler.
        arm: The arm.
        profile: Whose test set.
    """
    _, tcp = profile_dataset(arm, profile).test
    theta = draw(sampler, arm, tcp, 1, Generator().manual_seed(5))
    return resimulation_error(arm, theta, tcp).numpy()


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
        rejection: Independent rejection samples (n, dof), for e_posterior.
        exact: Independent exact samples (n, dof), for the unbiased MMD^2.

    Returns:
        One row a sampler: `sampler`, `e_posterior`, `mmd2`, `e_resim`, `hull_area`,
        `hull_perimeter`, `samples`, `distinct`.
    """
    task = Task.at(arm, tcp, samples=len(exact))
    against_exact = task.given(exact[None])
    against_rejection = task.given(rejection[None], unbiased=False)
    target = torch.tensor(tcp, dtype=torch.float64)
    rows = []
    for name, drawn in samples.items():
        theta = arm.wrapped(drawn.double().cpu())
        points = arm.forward(theta)
        scores = against_exact.score_samples(theta[None]).targets.iloc[0]
        paper = against_rejection.score_samples(theta[None]).targets.iloc[0]
        rows.append(
            {
                "sampler": name,
                "e_posterior": paper["mmd2"],
                "mmd2": scores["mmd2"],
                "e_resim": scores["e_resim"],
                "hull_area": hull_area(points, target),
                "hull_perimeter": hull_perimeter(points, target),
                "samples": len(theta),
                "distinct": distinct_solutions(theta, arm=arm),
            }
        )
    return pd.DataFrame(rows)
