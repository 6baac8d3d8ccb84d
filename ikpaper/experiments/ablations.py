"""Ablations: the choices that the slides leave out, each varied on its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ikpaper.evaluation import Task, resimulation_of_test_set
from ikpaper.experiments.runner import (
    Experiment,
    Job,
    ResultTable,
    identity_of_trained,
    results_path,
    weights_folder,
)
from ikpaper.identity import digest
from ikpaper.profiles import Profile, get_profile
from ikpaper.progress import Progress
from ikpaper.training import Diverged, TrainingRun, train

#: Profile of the table that the book shows.
PROFILE = "ablation"

#: Columns of the table of results.
COLUMNS = (
    *("study", "variant", "model", "dof", "profile", "seed", "precision"),
    *("outcome", "where", "loss", "mmd2", "e_resim_test", "key"),
)


@dataclass(frozen=True)
class Variant:
    """One way of training a model, beside the default one.

    Attributes:
        study: What is varied.
        label: This variant of it.
        model: Model name.
        dof: Number of joints of the paper's arm.
        changes: What differs from the defaults: hyperparameters, and what else
            `training.TrainingRun.of` takes.
        seeds: Seeds of the training runs.
        profile: Of the published table, where it is another one than the other variants'.
        retries: How often an epoch that diverges is repeated; else the run ends.
    """

    study: str
    label: str
    model: str = "inn"
    dof: int = 8
    changes: Mapping[str, Any] = field(default_factory=dict)
    seeds: tuple[int, ...] = (42, 43, 44)
    profile: str = PROFILE
    retries: int = 0

    def run(self, profile: str | Profile, seed: int) -> TrainingRun:
        """The training run of a seed."""
        return TrainingRun.of(self.model, self.dof, profile=profile, seed=seed, **self.changes)


#: The default training comes first: every other variant differs from it in one choice. The INN is
#: that of 8 DoF, the smallest of Table IV, the cVAE that of 6 DoF. Schedules are compared among
#: themselves, also with 4 DoF.
VARIANTS = (
    Variant("default", "INN as published", seeds=(42, 43, 44, 45, 46)),
    Variant("default", "cVAE as published", "cvae", 6),
    Variant("precision", "INN, float32", changes={"precision": "float32"}),
    Variant("precision", "cVAE, bfloat16", "cvae", 6, {"precision": "bfloat16"}),
    Variant("start", "no warm-up", changes={"warmup": 0}, seeds=(42, 43, 44, 45, 46)),
    Variant("last activation", "linear last layer", changes={"activate_last": False}),
    Variant("inverse losses", "without L_x", changes={"weight_x": 0.0}),
    Variant("inverse losses", "without L_p(x)", changes={"weight_p": 0.0}),
    Variant("inverse losses", "without both", changes={"weight_x": 0.0, "weight_p": 0.0}),
    Variant("ramp", "L_p(x) at full weight from the start", changes={"ramp": 1.0}),
    Variant("noise", "no noise", changes={"noise": 0.0}),
    Variant(
        "loss weights", "L_z and L_p(x) times 0.1", changes={"weight_z": 100.0, "weight_p": 100.0}
    ),
    Variant("loss weights", "L_y times 10", changes={"weight_y": 0.1}),
    *(
        # As many epochs as in the paper, over which the ramp rises and the rate falls, and less
        # data, so that they are affordable. Over so many, most runs diverge at some time.
        Variant(
            "schedule",
            label,
            dof=dof,
            changes={"schedule": schedule, "epochs": 60},
            profile="quick",
            retries=10,
        )
        for dof in (8, 4)
        for label, schedule in (
            ("plateau of the sum, as the authors have it", "plateau"),
            ("plateau of the sum without the ramp", "plateau-at-full-weight"),
            ("cosine", "cosine"),
        )
    ),
)


def experiment(
    variants: Sequence[Variant] = VARIANTS, profile: str | Profile = PROFILE
) -> Experiment:
    """Every variant, trained with each of its seeds and scored.

    A run that diverges is a result too: `where` says what diverged, its scores are missing.

    Args:
        variants: What to train.
        profile: How much data and how many epochs, and how many targets to score; variants that
            have a profile of their own keep it unless this is another one than `ablation`. Then
            the table is a file of its own.
    """
    asked = get_profile(profile)
    own = asked.name == PROFILE
    runs = [
        (variant, variant.run(get_profile(variant.profile) if own else asked, seed))
        for variant in variants
        for seed in variant.seeds
    ]
    # Reference samples are drawn once for an arm and a profile.
    tasks = {(run.arm, run.profile): Task.test_set(run.arm, run.profile) for _, run in runs}
    order = {
        "study": [variant.study for variant in VARIANTS],
        "variant": [variant.label for variant in VARIANTS],
    }
    path = results_path("ablations", asked.name, published=own)
    return Experiment(
        [_job(variant, run, tasks[run.arm, run.profile]) for variant, run in runs],
        ResultTable(path, COLUMNS, ("study", "variant", "dof", "seed"), order),
    )


def _job(variant: Variant, run: TrainingRun, task: Task) -> Job:
    settings = {"retries": variant.retries} if variant.retries else {}
    folder = weights_folder("ablations") / digest(variant.study, variant.label)[:12]

    def measure(progress: Progress, fresh: bool) -> dict[str, Any]:
        row = {"model": run.name, "profile": run.profile.name, "precision": run.precision}
        try:
            model, record = train(
                run, directory=folder, progress=progress, fresh=fresh, retries=variant.retries
            )
        except Diverged as error:
            return {**row, "outcome": "diverged", "where": error.where}
        return {
            **row,
            "outcome": "trained",
            "loss": sum(record["history"][-1]["terms"].values()),
            "mmd2": task.score(model).mean("mmd2"),
            "e_resim_test": resimulation_of_test_set(model, run.arm, run.profile).mean(),
        }

    return Job(
        {"study": variant.study, "variant": variant.label, "dof": run.arm.dof, "seed": run.seed},
        identity_of_trained("ablations", run.identity(), task, settings=settings),
        f"{variant.study}: {variant.label}, {run.arm.dof} DoF, seed {run.seed}",
        run.cost(),
        measure,
        lambda row: str(row["where"] or row["outcome"]),
    )
