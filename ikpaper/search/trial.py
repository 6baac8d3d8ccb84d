"""A trial of a study: its training, epoch by epoch, and what it is worth."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import torch

from ikpaper.evaluation import Task
from ikpaper.paper import SEARCH_HOPELESS_AFTER, SEARCH_HOPELESS_LOSS
from ikpaper.sampler import Sampler
from ikpaper.samplers import Prior
from ikpaper.search.study import Study
from ikpaper.training import Diverged, TrainingLoop, resolve_device

#: An MMD^2 below this share of the prior's counts as this: less is noise of the samples.
_RESOLVED = 1e-3


class Trial:
    """One configuration, trained as a study trains.

    It ends early by the paper's rule: if its loss, after `paper.SEARCH_HOPELESS_AFTER` epochs, is
    above `paper.SEARCH_HOPELESS_LOSS`.

    Args:
        study: The study.
        configuration: Hyperparameters.
        device: `cpu`, `cuda` or `auto`.
    """

    def __init__(
        self, study: Study, configuration: Mapping[str, Any], *, device: str | torch.device = "cpu"
    ) -> None:
        self.study = study
        # The paper has its own rule.
        self.loop = TrainingLoop(study.run(configuration), resolve_device(device), rise=math.inf)

    def reports(self) -> Iterator[dict[str, Any]]:
        """What is known after each epoch: epochs, loss, objective, outcome.

        The outcome is `running` until the last one: `trained`, or how it ended before. Only a
        trial that ends well has an objective.
        """
        row: dict[str, Any] = {"epochs": 0, "loss": math.nan, "objective": math.nan}
        try:
            for report in self.loop.epochs():
                if report.terms is None:
                    continue
                loss = sum(report.terms.values())
                row |= {"epochs": report.epoch, "loss": loss}
                if report.epoch >= SEARCH_HOPELESS_AFTER and loss > SEARCH_HOPELESS_LOSS:
                    yield {**row, "outcome": f"stopped: loss {loss:.3g}"}
                    return
                if report.epoch < report.epochs:
                    yield {**row, "outcome": "running"}
        except Diverged as error:
            yield {**row, "outcome": f"diverged: {error.where}"}
            return
        row |= {"objective": row["loss"], "outcome": "trained"}
        if self.study.objective == "held-out":
            row |= held_out(self.study.task(), self.loop.result())
        yield row


def held_out(task: Task, sampler: Sampler) -> dict[str, float]:
    """Scores at test targets, and one number of both that is worth minimising.

    The number is the geometric mean of the unbiased MMD^2 to the exact posterior and of the
    re-simulation error, each as a share of the prior's: 1 for a sampler that ignores the target;
    it halves where both scores halve, or where one falls to a quarter.

    The targets are test targets of the study's profile. Profiles with the same seed share their
    first samples, so that a few of them are also among the training or test samples of a larger
    one.

    Returns:
        `objective`, `mmd2`, `e_resim`.
    """
    scores, prior = (task.score(each) for each in (sampler, Prior(task.arm, task.sigma)))
    mmd2, e_resim = scores.mean("mmd2"), scores.mean("e_resim")
    shares = max(mmd2 / prior.mean("mmd2"), _RESOLVED), e_resim / prior.mean("e_resim")
    return {"objective": math.sqrt(math.prod(shares)), "mmd2": mmd2, "e_resim": e_resim}
