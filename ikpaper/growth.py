"""How quality and cost grow with the number of joints: one model, trained on arms of any size."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from ikpaper.arm import PlanarArm
from ikpaper.evaluation import sampling_rate
from ikpaper.files import digest, project_root
from ikpaper.judging import judge, random_targets, scoring_sources
from ikpaper.posterior import ExactPosterior, Prior
from ikpaper.profiles import Profile, get_profile
from ikpaper.progress import Progress
from ikpaper.sampler import check_count
from ikpaper.tables import ResultTable, results_path
from ikpaper.training import TrainingRun, train

__all__ = ["COLUMNS", "DOF", "run_growth"]

#: The paper's arms, and larger ones by its rule for lengths.
DOF = (*PlanarArm.PAPER_DOF, 16, 24, 32)

#: Columns of the table of results.
COLUMNS = (
    "model",
    "dof",
    "profile",
    "parameters",
    "training_seconds",
    "targets",
    "samples",
    "mmd2",
    "mmd2_low",
    "mmd2_high",
    "mmd2_prior",
    "rejected",
    "c2st",
    "e_resim",
    "samples_per_second",
    "exact_samples_per_second",
    "key",
)

#: Profile of the table that the book shows: seven trainings, of minutes each.
_PROFILE = "quick"

#: Targets over which the exact sampler's rate is measured.
_TIMED = 5


def run_growth(
    dofs: Sequence[int] = DOF,
    *,
    model: str = "flow",
    profile: str | Profile = _PROFILE,
    targets: int = 200,
    fresh: bool = False,
    table: Path | None = None,
    root: Path | None = None,
) -> pd.DataFrame:
    """Train a model for each arm and judge it; the table is written after each row.

    Args:
        dofs: Numbers of joints; links are by the paper's rule, see `PlanarArm.like_paper`.
        model: Name of the model.
        profile: Data and epochs of the training, and samples a target.
        targets: Number of random targets to judge at.
        fresh: Do again what the table has.
        table: File of results; by default `book/results/growth.csv`, and for profiles other than
            `quick` one of their own in `.cache/`.
        root: Folder of weights and checkpoints, which are not kept for readers; by default
            `.cache/growth/`.

    Returns:
        One row an arm: scores and rate of `judging.judge`, the prior's MMD^2 beside it, and the
        rate of the exact sampler.
    """
    profile = get_profile(profile)
    table = table or results_path("growth", profile.name, published=profile.name == _PROFILE)
    root = root or project_root() / ".cache" / "growth"
    results = ResultTable(table, COLUMNS, ("model", "profile", "dof"))
    runs = [TrainingRun.of(model, arm=PlanarArm.like_paper(dof), profile=profile) for dof in dofs]
    check_count("targets", targets)
    judged = (targets, profile.exact_samples)
    keys = [digest("growth", run.key(), judged, files=scoring_sources()) for run in runs]
    progress = Progress(sum(run.cost() for run in runs))
    for key, run in zip(keys, runs, strict=True):
        if key in results and not fresh:
            progress.skip(run.cost())
            continue
        row = _measure(run, targets, root, progress)
        results.add({**row, "key": key})
        progress.say(
            f"{model} {run.arm.dof} DoF: MMD^2 to exact {row['mmd2']:.2g}, rejected at "
            f"{row['rejected']:.0%} of the targets"
        )
    return results.rows(keys)


def _measure(run: TrainingRun, targets: int, root: Path, progress: Progress) -> dict[str, Any]:
    """Train and judge one arm's model."""
    profile, arm = run.profile, run.arm
    network, record = train(run, directory=root, progress=progress)
    tcp = random_targets(arm, targets, profile.sigma)
    settings: dict[str, Any] = {"samples": profile.exact_samples, "sigma": profile.sigma}
    scores = judge(network, arm, tcp, **settings)
    prior = judge(Prior(arm, profile.sigma), arm, tcp, **settings, c2st_targets=0)
    exact = ExactPosterior(arm, profile.sigma)
    return {
        **{name: scores[name] for name in COLUMNS if name in scores},
        "model": run.name,
        "dof": arm.dof,
        "profile": profile.name,
        "parameters": network.num_parameters,
        "training_seconds": record["seconds"],
        "mmd2_prior": prior["mmd2"],
        "exact_samples_per_second": sampling_rate(exact, tcp[:_TIMED], profile.exact_samples),
    }
