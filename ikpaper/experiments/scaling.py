"""How quality and cost scale with the number of joints: one model, trained on arms of any size."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ikpaper import projection
from ikpaper.arm import PlanarArm
from ikpaper.evaluation import PERMUTATIONS, Task, exact_scores
from ikpaper.experiments.runner import (
    Experiment,
    Job,
    ResultTable,
    identity_of_trained,
    results_path,
    weights_folder,
)
from ikpaper.identity import Identity
from ikpaper.models import Flow
from ikpaper.profiles import PUBLISHED, Profile, get_profile
from ikpaper.progress import Progress
from ikpaper.sampler import refined
from ikpaper.samplers import ExactPosterior, Prior
from ikpaper.training import TrainingRun, train

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
FULL_DOF = (16, 32)

#: Columns of the table of these; `steps` of the ordinary differential equation, and `refine` steps
#: onto the target after them. The row `exact` is that of exact samples.
FULL_COLUMNS = (
    *("sampler", "dof", "epochs", "neurons", "steps", "refine"),
    *("parameters", "training_seconds", "targets", "samples"),
    *("mmd2", "mmd2_low", "mmd2_high", "rejected", "only_this", "only_exact"),
    *("e_resim", "missed", "samples_per_second", "key"),
)

#: Epochs and neurons of these trainings; the last are those of the published models.
FULL_TRAININGS = ((6, 128), (20, 64), (20, 128), (20, 256), (60, 128))

#: Steps of sampling of the last of them; of others, those of the config.
FULL_STEPS = (8, 16, 32, 64)

#: Gauss-Newton steps after sampling.
_REFINE = (0, 3)

#: How scores are tested.
_TESTED = {"permutations": PERMUTATIONS}

#: Targets over which the exact sampler's rate is measured.
_TIMED = 5


def experiment(
    dofs: Sequence[int] = DOF,
    *,
    model: str = "flow",
    profile: str | Profile = PROFILE,
    targets: int = 200,
) -> Experiment:
    """A model trained for each arm and scored.

    A row has scores and rate, the prior's MMD^2 beside it, and the rate of the exact sampler.

    Args:
        dofs: Numbers of joints; links are by the paper's rule, see `PlanarArm.like_paper`.
        model: Name of the model.
        profile: Data and epochs of the training, and samples a target; one other than `quick` has
            a table of its own.
        targets: Number of random targets to score at.
    """
    numbers = get_profile(profile)
    jobs = []
    for dof in dofs:
        arm = PlanarArm.like_paper(dof)
        jobs.append(
            _job(TrainingRun.of(model, arm=arm, profile=numbers), _task(arm, targets, numbers))
        )
    path = results_path("scaling", numbers.name, published=numbers.name == PROFILE)
    return Experiment(jobs, ResultTable(path, COLUMNS, ("model", "profile", "dof")))


def _task(arm: PlanarArm, targets: int, profile: Profile) -> Task:
    return Task.random(arm, targets, samples=profile.exact_samples, sigma=profile.sigma)


def _job(run: TrainingRun, task: Task) -> Job:
    folder = weights_folder("scaling")

    def measure(progress: Progress, fresh: bool) -> dict[str, Any]:
        network, record = train(run, directory=folder, progress=progress, fresh=fresh)
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

    return Job(
        {"model": run.name, "profile": run.profile.name, "dof": run.arm.dof},
        identity_of_trained(
            "scaling", run.identity(), task, settings=_TESTED, versions={"prior": Prior.version}
        ),
        f"{run.name} {run.arm.dof} DoF",
        run.cost(),
        measure,
        _described,
    )


def full_experiment(
    dofs: Sequence[int] = FULL_DOF,
    *,
    trainings: Sequence[tuple[int, int]] = FULL_TRAININGS,
    steps: Sequence[int] = FULL_STEPS,
    profile: str | Profile = PUBLISHED,
    targets: int = 200,
) -> Experiment:
    """The flow for long arms, trained in full and for less time, with more and fewer steps.

    Args:
        dofs: Numbers of joints.
        trainings: Epochs and neurons of each.
        steps: Steps of sampling of the last of them.
        profile: Data and samples a target; one other than the published one has a table of its
            own.
        targets: Number of random targets to score at.
    """
    numbers, jobs = get_profile(profile), []
    for dof in dofs:
        arm = PlanarArm.like_paper(dof)
        task = _task(arm, targets, numbers)
        jobs.append(_exact_job(task))
        for epochs, neurons in trainings:
            run = TrainingRun.of(
                Flow.name, arm=arm, profile=numbers, epochs=epochs, neurons=neurons
            )
            own_steps = tuple(steps) if (epochs, neurons) == trainings[-1] else ()
            jobs.append(_full_job(run, task, own_steps))
    path = results_path("scaling-full", numbers.name, published=numbers.name == PUBLISHED)
    place = ("dof", "sampler", "neurons", "epochs")
    return Experiment(jobs, ResultTable(path, FULL_COLUMNS, place))


def _exact_job(task: Task) -> Job:
    def measure(progress: Progress, fresh: bool) -> dict[str, Any]:
        rate = task.rate(task.truth, targets=_TIMED)
        return {**exact_scores(task).summary(), "refine": 0, "samples_per_second": rate}

    name = task.truth.name
    settings = {"table": "scaling-full", "sampler": name, **task.settings(), **_TESTED}
    identity = Identity("row", settings, versions=task.versions())
    place = {"dof": task.arm.dof, "sampler": name, "neurons": 0, "epochs": 0}
    return Job(place, identity, f"{name} {task.arm.dof} DoF", 2.0 * len(task), measure)


def _full_job(run: TrainingRun, task: Task, steps: tuple[int, ...]) -> Job:
    folder, neurons = weights_folder("scaling"), run.config.neurons

    def measure(progress: Progress, fresh: bool) -> list[dict[str, Any]]:
        network, record = train(run, directory=folder, progress=progress, fresh=fresh)
        assert isinstance(network, Flow)
        exact, rows = exact_scores(task), []
        for count in steps or (network.steps,):
            network.steps = count
            for refine in _REFINE:
                sampler = refined(network, refine, run.arm)
                scores = task.score(sampler, permutations=PERMUTATIONS)
                rows.append(
                    {
                        **scores.summary(),
                        "steps": count,
                        "refine": refine,
                        **scores.rejected_alone(exact),
                        "parameters": network.num_parameters,
                        "training_seconds": record["seconds"],
                        "samples_per_second": task.rate(sampler, targets=_TIMED),
                    }
                )
        return rows

    identity = identity_of_trained(
        "scaling-full",
        run.identity(),
        task,
        settings={"steps": steps, "refine": _REFINE, **_TESTED},
        versions={"projection": projection.VERSION},
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
