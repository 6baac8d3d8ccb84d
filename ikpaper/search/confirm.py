"""Train trials of a study with more data, and score them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from ikpaper.arm import PlanarArm
from ikpaper.checks import check_count
from ikpaper.evaluation import PaperProtocol
from ikpaper.experiments import Experiment, Job, ResultTable, identity_of_trained, weights_folder
from ikpaper.files import locked
from ikpaper.models import NetworkSampler
from ikpaper.profiles import PROFILES, PUBLISHED, Profile, get_profile
from ikpaper.progress import Progress
from ikpaper.samplers import Prior
from ikpaper.search.study import VERSION, StudyRecord
from ikpaper.search.trial import Trial
from ikpaper.training import Diverged, TrainingRun, train

#: Number, in place of a trial's, of the hyperparameters that the slides print for an arm.
AS_PRINTED = 0

_SCORES = ("sampler", "quantity", "protocol", "value", "low", "high", "targets", "samples")

COLUMNS = ("trial", "objective", "profile", "dof", *_SCORES, "key")


def spread(table: pd.DataFrame, count: int) -> pd.DataFrame:
    """So many trials from the best to the worst, at even ranks; one is the best."""
    count = check_count("count", count)
    good = table.dropna(subset="objective").sort_values("objective")
    if len(good) < count:
        raise ValueError(f"count: the study has {len(good)} trials that ended well, got {count}")
    ranks = [round(i * (len(good) - 1) / max(1, count - 1)) for i in range(count)]
    return good.iloc[ranks]


def confirm(
    folder: Path,
    *,
    count: int = 1,
    printed: bool = False,
    profile: str | Profile = PUBLISHED,
    retries: int = 3,
    fresh: bool = False,
    address: str | None = None,
    cpus: float = 1,
) -> pd.DataFrame:
    """Train trials of a study with more data, and score them like published models.

    The table of scores, `confirmed.csv` beside the trials, is written after each. What it has is
    kept, also if it is not current, and a training run that is interrupted continues.

    Args:
        folder: Folder of the study.
        count: Number of trials, spread evenly from the best to the worst; 1 is the best alone.
        printed: Whether to train, in their place, the hyperparameters that the slides print for
            the arm; their trial number is `AS_PRINTED`.
        profile: Data, epochs and targets. With the study's own, what is trained is a trial again,
            and its loss the objective of one.
        retries: How often an epoch that diverges is repeated, but in a trial; see
            `training.train`.
        fresh: Train and score also what the table has.
        address: Ray cluster for the trials; see `experiments.Experiment.run`.
        cpus: CPUs of a trial there.

    Returns:
        The trials' rows, one a quantity: trial, objective, the columns of `PaperProtocol.score`,
        and the key. A trial that diverges has a row with the quantity `diverged`, any other one
        with the loss of the last epoch, `loss`, with its terms, and with the number of epochs
        that had to be repeated, `repeated_epochs`.

    Raises:
        ValueError: If the folder holds no study, or fewer trials, or if nothing is printed for
            the arm of the study.
        RuntimeError: If another process is at work in the folder.
    """
    record, profile = StudyRecord(folder), get_profile(profile)
    arm = record.study.arm
    if printed and (arm.dof not in PlanarArm.PAPER_DOF or arm != PlanarArm.paper(arm.dof)):
        raise ValueError(f"the slides print hyperparameters for their own arms, not for {arm}")
    trials = [AS_PRINTED] if printed else spread(record.trials, count)["trial"]
    chosen = [(int(trial), profile) for trial in trials]
    with locked(folder):
        return confirmed(record, chosen, retries=retries).run(
            fresh=fresh, keep=True, address=address, cpus=cpus
        )


def confirmed(
    record: StudyRecord,
    trials: Sequence[tuple[int, Profile]] | None = None,
    *,
    retries: int = 3,
) -> Experiment:
    """Trials of a study that are trained anew, the best trials first; see `confirm`.

    Args:
        record: The study.
        trials: Their numbers, each with a profile; by default what the table has.
        retries: How often an epoch that diverges is repeated.
    """
    if trials is None:
        there = record.confirmed[["trial", "profile"]].drop_duplicates()
        trials = [(row.trial, get_profile(row.profile)) for row in there.itertuples()]
    # Reference samples are drawn once a profile.
    protocols = {profile.name: PaperProtocol(record.study.arm, profile) for _, profile in trials}
    jobs = [_job(record, trial, protocols[profile.name], retries) for trial, profile in trials]
    best_first = record.trials.sort_values("objective")["trial"]
    order = {"profile": list(PROFILES), "trial": [AS_PRINTED, *best_first]}
    path = record.folder / "confirmed.csv"
    return Experiment(jobs, ResultTable(path, COLUMNS, ("profile", "trial"), order))


def _job(record: StudyRecord, number: int, protocol: PaperProtocol, retries: int) -> Job:
    study, profile = record.study, protocol.profile
    name, objective = "as printed", math.nan
    # A model of the paper's arms has the printed hyperparameters by default.
    changes: dict[str, Any] = {}
    if number != AS_PRINTED:
        (row,) = record.trials[record.trials["trial"] == number].to_dict("records")
        name, objective, changes = f"trial {number}", row["objective"], record.configuration(row)
    as_trial = profile == study.profile
    run = (
        study.run(changes)
        if as_trial
        else TrainingRun.of(study.model, arm=study.arm, profile=profile, seed=study.seed, **changes)
    )
    prior = Prior(study.arm, profile.sigma_for(study.arm))
    directory = weights_folder("studies") / record.folder.name / f"trial-{number}"

    def measure(progress: Progress, fresh: bool) -> list[dict[str, Any]]:
        trained = (
            _train_as_trial(Trial(study, changes), progress)
            if as_trial
            else _train(run, directory, progress, retries, fresh)
        )
        common = {"objective": objective, "dof": study.arm.dof, "sampler": run.name}
        if trained is None:
            return [{**common, "quantity": "diverged", "value": math.nan}]
        model, terms, repeated = trained
        scores = protocol.score({run.name: model, "prior": prior})
        rows = scores[scores["sampler"] == run.name].to_dict("records")
        known = {
            "loss": sum(terms.values()),
            **{f"loss: {term}": value for term, value in terms.items()},
            "repeated_epochs": repeated,
        }
        of_training = {**rows[0], "protocol": "training", "low": math.nan, "high": math.nan}
        rows += [{**of_training, "quantity": what, "value": value} for what, value in known.items()]
        return [{**common, **row} for row in rows]

    return Job(
        {"trial": number, "profile": profile.name},
        identity_of_trained(
            "confirmed",
            run.identity(),
            protocol,
            settings={"trained": "as a trial" if as_trial else "as published"},
            versions={prior.name: prior.version, **({"search": VERSION} if as_trial else {})},
        ),
        f"{record.folder.name}: {name}, {profile.name}",
        run.cost(),
        measure,
        lambda row: f"{row['quantity']} {row['value']:.3g}",
    )


#: A model, its loss terms in the last epoch, and how many epochs were repeated.
_Trained = tuple[NetworkSampler, Mapping[str, float], int]


def _train(
    run: TrainingRun, directory: Path, progress: Progress, retries: int, fresh: bool
) -> _Trained | None:
    """Train as published models are trained; None if it diverges."""
    try:
        model, record = train(
            run, directory=directory, progress=progress, retries=retries, fresh=fresh
        )
    except Diverged as error:
        progress.say(str(error))
        return None
    return model, record["history"][-1]["terms"], len(record["divergences"])


def _train_as_trial(trial: Trial, progress: Progress) -> _Trained | None:
    """Train as a study does; None if the trial does not end well."""
    loop, cost = trial.loop, trial.loop.run.cost() / trial.loop.run.epochs
    for report in trial.reports():
        progress.advance(cost, f"{loop.run.label}: epoch {report['epochs']}/{loop.run.epochs}")
    if report["outcome"] != "trained":
        progress.say(f"{loop.run.label}: {report['outcome']}")
        return None
    return loop.result(), loop.history[-1]["terms"], len(loop.divergences)
