"""How quality and cost scale with the number of joints: one model, trained on arms of any size."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from ikpaper import projection
from ikpaper.arm import PlanarArm
from ikpaper.evaluation import PERMUTATIONS, Task, exact_scores
from ikpaper.experiments.runner import Job, ResultTable, results_path, run_jobs
from ikpaper.files import find_project
from ikpaper.identity import Identity
from ikpaper.models import Flow, model_type
from ikpaper.profiles import PUBLISHED, Profile, get_profile
from ikpaper.progress import Progress
from ikpaper.sampler import Refined
from ikpaper.samplers import ExactPosterior, Prior
from ikpaper.training import TrainingRun, train

__all__ = [
    "COLUMNS",
    "DOF",
    "FULL_COLUMNS",
    "FULL_DOF",
    "FULL_STEPS",
    "FULL_TRAININGS",
    "full_jobs",
    "full_table",
    "run_full",
    "run_scaling",
    "scaling_jobs",
    "scaling_table",
]

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

#: Arms on which the flow is trained in full, and for less time.
FULL_DOF = (16,)

#: Columns of the table of these; `steps` of the ordinary differential equation, and `refine` steps
#: onto the target after them. The row `exact` is that of exact samples.
FULL_COLUMNS = (
    *("sampler", "dof", "epochs", "neurons", "steps", "refine"),
    *("parameters", "training_seconds", "targets", "samples"),
    *("mmd2", "mmd2_low", "mmd2_high", "rejected", "only_this", "only_exact"),
    *("e_resim", "missed", "samples_per_second", "key"),
)

#: Epochs and neurons of these trainings; the last are those of the published models.
FULL_TRAININGS = ((6, 128), (20, 128), (60, 128))

#: Steps of sampling of the last of them; of others, those of the config.
FULL_STEPS = (8, 16, 32, 64)

#: Gauss-Newton steps after sampling.
_REFINE = (0, 3)

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


def _folder(root: Path | None) -> Path:
    # Where there is no checkout there is no table either, and nothing is trained.
    return root or (find_project() or Path()) / ".cache" / "scaling"


def _job(run: TrainingRun, task: Task, root: Path | None) -> Job:
    training, folder = run.identity(), _folder(root)

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
            **_scored(task),
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
        _described,
    )


def run_full(
    dofs: Sequence[int] = FULL_DOF,
    *,
    trainings: Sequence[tuple[int, int]] = FULL_TRAININGS,
    steps: Sequence[int] = FULL_STEPS,
    profile: str | Profile = PUBLISHED,
    targets: int = 200,
    fresh: bool = False,
    table: Path | None = None,
    root: Path | None = None,
    address: str | None = None,
    cpus: float = 1,
) -> pd.DataFrame:
    """Train the flow for long arms in full, and for less time; score it after more and fewer steps.

    Args:
        dofs: Numbers of joints.
        trainings: Epochs and neurons of each.
        steps: Steps of sampling of the last of them.
        profile: Data and samples a target.
        targets: Number of random targets to score at.
        fresh: Do again what the table has.
        table: File of results; by default `book/results/scaling-full.csv`, and for profiles other
            than the published one a file of their own in `.cache/`.
        root: As for `run_scaling`.
        address: Ray cluster for the jobs; see `runner.run_jobs`.
        cpus: CPUs of a job there.

    Returns:
        Rows with `FULL_COLUMNS`.
    """
    jobs = full_jobs(
        dofs, trainings=trainings, steps=steps, profile=profile, targets=targets, root=root
    )
    where = full_table(profile, table)
    return run_jobs(jobs, where, fresh=fresh, address=address, cpus=cpus)


def full_table(profile: str | Profile = PUBLISHED, path: Path | None = None) -> ResultTable:
    """The table of rows that are there."""
    name = get_profile(profile).name
    known = path or results_path("scaling-full", name, published=name == PUBLISHED)
    return ResultTable(known, FULL_COLUMNS, ("dof", "sampler", "neurons", "epochs"))


def full_jobs(
    dofs: Sequence[int] = FULL_DOF,
    *,
    trainings: Sequence[tuple[int, int]] = FULL_TRAININGS,
    steps: Sequence[int] = FULL_STEPS,
    profile: str | Profile = PUBLISHED,
    targets: int = 200,
    root: Path | None = None,
) -> list[Job]:
    """A job for every arm and training; see `run_full`."""
    numbers, jobs = get_profile(profile), []
    for dof in dofs:
        arm = PlanarArm.like_paper(dof)
        task = Task.random(arm, targets, samples=numbers.exact_samples, sigma=numbers.sigma)
        jobs.append(_exact_job(task))
        jobs += [
            _full_job(
                TrainingRun.of(Flow.name, arm=arm, profile=numbers, epochs=epochs, neurons=neurons),
                task,
                tuple(steps) if (epochs, neurons) == trainings[-1] else (),
                root,
            )
            for epochs, neurons in trainings
        ]
    return jobs


def _exact_job(task: Task) -> Job:
    def measure(progress: Progress) -> dict[str, Any]:
        rate = task.rate(task.truth, targets=_TIMED)
        return {**exact_scores(task).summary(), "refine": 0, "samples_per_second": rate}

    name = task.truth.name
    identity = Identity(
        "row", {"table": "scaling-full", "sampler": name, **_scored(task)}, {}, task.versions()
    )
    place = {"dof": task.arm.dof, "sampler": name, "neurons": 0, "epochs": 0}
    return Job(place, identity, f"{name} {task.arm.dof} DoF", 2.0 * len(task), measure)


def _full_job(run: TrainingRun, task: Task, steps: tuple[int, ...], root: Path | None) -> Job:
    training, folder = run.identity(), _folder(root)
    neurons = run.config.neurons

    def measure(progress: Progress) -> list[dict[str, Any]]:
        network, record = train(run, directory=folder, progress=progress)
        assert isinstance(network, Flow)
        exact, rows = exact_scores(task), []
        for count in steps or (network.steps,):
            network.steps = count
            for refine in _REFINE:
                sampler = Refined(network, refine, run.arm) if refine else network
                scores = task.score(sampler, permutations=PERMUTATIONS)
                only_this, only_exact = scores.rejected_alone(exact)
                rows.append(
                    {
                        **scores.summary(),
                        "steps": count,
                        "refine": refine,
                        "only_this": only_this,
                        "only_exact": only_exact,
                        "parameters": network.num_parameters,
                        "training_seconds": record["seconds"],
                        "samples_per_second": task.rate(sampler, targets=_TIMED),
                    }
                )
        return rows

    identity = Identity(
        "row",
        {
            "table": "scaling-full",
            "training": training.settings,
            "steps": steps,
            "refine": _REFINE,
            **_scored(task),
        },
        training.inputs,
        {
            **training.versions,
            **task.versions(),
            Flow.name: Flow.version,
            "projection": projection.VERSION,
        },
    )
    return Job(
        {"dof": run.arm.dof, "sampler": run.name, "neurons": neurons, "epochs": run.epochs},
        identity,
        f"{run.name} {run.arm.dof} DoF, {neurons} neurons, {run.epochs} epochs",
        run.cost() + 0.3 * len(task) * (1 + len(steps)),
        measure,
        _described,
    )


def _described(row: dict[str, Any]) -> str:
    """A row in a few words, for progress lines."""
    return f"MMD² to exact {row['mmd2']:.2g}, rejected at {row['rejected']:.0%} of the targets"


def _scored(task: Task) -> dict[str, Any]:
    """What decides the scores of a task."""
    return {**task.settings(), "permutations": PERMUTATIONS}
