"""How quality and cost scale with the number of joints: one model, trained on arms of any size."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from ikpaper.arm import PlanarArm
from ikpaper.evaluation import PERMUTATIONS, Task
from ikpaper.experiments.runner import Job, ResultTable, results_path, run_jobs
from ikpaper.files import find_project
from ikpaper.identity import Identity
from ikpaper.models import model_type
from ikpaper.profiles import Profile, get_profile
from ikpaper.progress import Progress
from ikpaper.samplers import ExactPosterior, Prior
from ikpaper.training import TrainingRun, train

__all__ = ["COLUMNS", "DOF", "run_scaling", "scaling_jobs", "scaling_table"]

#: The paper's arms, and larger ones by its rule for lengths.
DOF = (*PlanarArm.PAPER_DOF, 16, 24, 32)

#: Columns of the table of results.
COLUMNS = (
    *("model", "dof", "profile", "parameters", "training_seconds", "targets", "samples"),
    *("mmd2", "mmd2_low", "mmd2_high", "mmd2_prior", "rejected", "e_resim"),
    *("samples_per_second", "exact_samples_per_second", "key"),
)

#: Profile of the table that the book shows: seven trainings, of minutes each.
PROFILE = "quick"

#: Targets over which the exact sampler's rate is measured.
_TIMED = 5


def run_scaling(
    dofs: Sequence[int] = DOF,
    *,
    model: str = "flow",
    profile: str | Profile = PROFILE,
    targets: int = 200,
    fresh: bool = False,
    table: Path | None = None,
    root: Path | None = None,
    address: str | None = None,
    cpus: float = 1,
) -> pd.DataFrame:
    """Train a model for each arm and score it; the table is written after each row.

    Args:
        dofs: Numbers of joints; links are by the paper's rule, see `PlanarArm.like_paper`.
        model: Name of the model.
        profile: Data and epochs of the training, and samples a target.
        targets: Number of random targets to score at.
        fresh: Do again what the table has.
        table: File of results; by default `book/results/scaling.csv`, and for profiles other than
            `quick` one of their own in `.cache/`.
        root: Folder of weights and checkpoints, which are not kept for readers; by default
            `.cache/scaling/`.
        address: Ray cluster for the jobs; see `runner.run_jobs`.
        cpus: CPUs of a job there.

    Returns:
        One row an arm: scores and rate, the prior's MMD^2 beside it, and the rate of the exact
        sampler.
    """
    jobs = scaling_jobs(dofs, model=model, profile=profile, targets=targets, root=root)
    where = scaling_table(profile, table)
    return run_jobs(jobs, where, fresh=fresh, address=address, cpus=cpus)


def scaling_table(profile: str | Profile = PROFILE, path: Path | None = None) -> ResultTable:
    """The table of rows that are there."""
    name = get_profile(profile).name
    known = path or results_path("scaling", name, published=name == PROFILE)
    return ResultTable(known, COLUMNS, ("model", "profile", "dof"))


def scaling_jobs(
    dofs: Sequence[int] = DOF,
    *,
    model: str = "flow",
    profile: str | Profile = PROFILE,
    targets: int = 200,
    root: Path | None = None,
) -> list[Job]:
    """A job for every arm; see `run_scaling`."""
    numbers = get_profile(profile)
    return [
        _job(
            TrainingRun.of(model, arm=PlanarArm.like_paper(dof), profile=numbers),
            Task.random(
                PlanarArm.like_paper(dof),
                targets,
                samples=numbers.exact_samples,
                sigma=numbers.sigma,
            ),
            root,
        )
        for dof in dofs
    ]


def _job(run: TrainingRun, task: Task, root: Path | None) -> Job:
    training = run.identity()
    # Where there is no checkout there is no table either, and nothing is trained.
    folder = root or (find_project() or Path()) / ".cache" / "scaling"

    def measure(progress: Progress) -> dict[str, Any]:
        network, record = train(run, directory=folder, progress=progress)
        scores = task.score(network, permutations=PERMUTATIONS)
        prior = task.score(Prior(run.arm, task.sigma), permutations=PERMUTATIONS)
        return {
            **scores.summary(),
            "parameters": network.num_parameters,
            "training_seconds": record["seconds"],
            "mmd2_prior": prior.mean("mmd2"),
            "samples_per_second": task.rate(network),
            "exact_samples_per_second": task.rate(
                ExactPosterior(run.arm, task.sigma), targets=_TIMED
            ),
        }

    identity = Identity(
        "row",
        {
            "table": "scaling",
            "training": training.settings,
            **task.settings(),
            "permutations": PERMUTATIONS,
        },
        training.inputs,
        {
            **training.versions,
            **task.versions(),
            run.name: model_type(run.name).version,
            "prior": Prior.version,
        },
    )
    return Job(
        {"model": run.name, "profile": run.profile.name, "dof": run.arm.dof},
        identity,
        f"{run.name} {run.arm.dof} DoF",
        run.cost(),
        measure,
        lambda row: (
            f"MMD² to exact {row['mmd2']:.2g}, rejected at {row['rejected']:.0%} of the targets"
        ),
    )
