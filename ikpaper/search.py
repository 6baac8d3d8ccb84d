"""The hyperparameter search: Ray Tune runs trials that scikit-optimize proposes."""

from __future__ import annotations

import dataclasses
import io
import json
import logging
import math
import sys
import time
from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from ikpaper.arm import PlanarArm, arm_of
from ikpaper.cluster import RESTARTS, connected, room
from ikpaper.evaluation import Scorer, evaluate
from ikpaper.files import digest, locked, project_root, scratch, write_json, write_text
from ikpaper.models import NetworkSampler, model_type
from ikpaper.paper import SEARCH_HOPELESS_AFTER, SEARCH_HOPELESS_LOSS, SEARCH_TRIALS, Ranges
from ikpaper.posterior import Prior
from ikpaper.profiles import PROFILES, PUBLISHED, Profile, get_profile
from ikpaper.progress import Progress, duration
from ikpaper.sampler import Sampler, check_count
from ikpaper.training import TrainingLoop, TrainingRun, resolve_device, train

__all__ = [
    "METHODS",
    "OBJECTIVES",
    "PRINTED",
    "Study",
    "StudyRecord",
    "confirm",
    "held_out",
    "load_studies",
    "run_study",
    "space",
    "spread",
]

#: What a study can minimise.
OBJECTIVES = ("loss", "held-out")

#: How trials are proposed.
METHODS = ("bayesian", "random")

#: Random trials before the surrogate takes over, scikit-optimize's own default.
INITIAL_POINTS = 10

#: Trials after which a study is given up if none has ended well.
GIVE_UP = 20

#: Number, in place of a trial's, of the hyperparameters that the slides print for an arm.
PRINTED = 0

#: An MMD^2 below this share of the prior's counts as this: less is noise of the samples.
_RESOLVED = 1e-3


@dataclass(frozen=True)
class Study:
    """One search: everything that decides what its trials mean.

    Attributes:
        model: Model name.
        arm: The arm.
        objective: `loss`, the training loss of the last epoch (the paper's), or `held-out`, see
            `held_out`.
        method: `bayesian` or `random`.
        profile: Data of a trial, and targets of the held-out objective.
        epochs: Epochs of a trial.
        seed: Seed of the proposals, and of every trial's training.
        early_stopping: Whether successive halving (ASHA) stops trials whose loss lags behind;
            they have no objective. The paper has none.
        precision: Of the products between hidden layers; see `training.TrainingRun`. Not `auto`,
            which may differ from machine to machine.
        ranges: Bounds by hyperparameter; the model's own by default.
    """

    model: str
    arm: PlanarArm
    objective: str = "loss"
    method: str = "bayesian"
    profile: Profile = PROFILES["search"]
    epochs: int = 60
    seed: int = 42
    early_stopping: bool = False
    precision: str = "float32"
    ranges: Ranges | None = None

    def __post_init__(self) -> None:
        kind = model_type(self.model)
        check_count("epochs", self.epochs)
        if not 0 <= self.seed < 2**32:
            raise ValueError(f"seed: expected a number from 0 to 2^32 - 1, got {self.seed}")
        _check_name("objective", self.objective, OBJECTIVES)
        _check_name("method", self.method, METHODS)
        _check_name("precision", self.precision, kind.precisions)
        if self.ranges is None:
            object.__setattr__(self, "ranges", kind.search_ranges)
        if not self.bounds:
            raise ValueError(f"model {self.model!r} has no ranges to search")
        space(self.bounds)

    @property
    def bounds(self) -> Ranges:
        """The ranges that are searched."""
        assert self.ranges is not None
        return self.ranges

    @property
    def name(self) -> str:
        """Name of the study's folder: what differs from the paper's search of this arm."""
        parts = [self.model, f"{self.arm.dof:02d}dof"]
        if self.arm != PlanarArm.like_paper(self.arm.dof):
            parts.append(digest(self.arm.lengths)[:8])
        parts += [self.objective] if self.objective != "loss" else []
        parts += [self.method] if self.method != "bayesian" else []
        parts += ["stopping"] if self.early_stopping else []
        parts += [self.profile.name] if self.profile.name != "search" else []
        return "-".join([*parts, f"seed{self.seed}"])

    def settings(self) -> dict[str, Any]:
        """What two runs of the same study agree on, as JSON."""
        profile, sigma = self.profile, self.profile.sigma_for(self.arm)
        return {
            "model": self.model,
            "lengths": list(self.arm.lengths),
            "objective": self.objective,
            "method": self.method,
            "profile": profile.name,
            "training_samples": profile.training_samples,
            "batch": profile.batch,
            "sigma": list(sigma) if isinstance(sigma, tuple) else sigma,
            "epochs": self.epochs,
            "seed": self.seed,
            "early_stopping": self.early_stopping,
            "precision": self.precision,
            "ranges": {name: list(bounds) for name, bounds in self.bounds.items()},
        }

    def run(self, configuration: Mapping[str, Any]) -> TrainingRun:
        """The training run of a trial."""
        profile = dataclasses.replace(self.profile, epochs={self.model: self.epochs})
        settings = {"seed": self.seed, "precision": self.precision, **configuration}
        return TrainingRun.of(self.model, arm=self.arm, profile=profile, **settings)

    @property
    def columns(self) -> list[str]:
        """Columns of the table of trials."""
        scores = ["mmd2_exact", "e_resim"] if self.objective == "held-out" else []
        return [
            "trial",
            *self.bounds,
            "objective",
            "loss",
            *scores,
            "outcome",
            "epochs",
            "seconds",
            "cpus",
            "gpus",
            "seed",
            "profile",
        ]


def space(ranges: Ranges) -> dict[str, Any]:
    """Dimensions of scikit-optimize by name: integers, or reals on a logarithmic scale.

    Raises:
        ValueError: If a range is upside down, or a logarithmic one reaches down to zero.
    """
    from skopt.space import Integer, Real

    dimensions: dict[str, Any] = {}
    for name, (low, high) in ranges.items():
        whole = isinstance(low, int) and isinstance(high, int)
        if not low < high < math.inf or (low <= 0 and not whole):
            raise ValueError(
                f"range of {name}: expected two rising bounds, above 0 on a logarithmic scale, "
                f"got {low:g} to {high:g}"
            )
        dimensions[name] = (
            Integer(low, high, name=name)
            if whole
            else Real(low, high, prior="log-uniform", name=name)
        )
    return dimensions


def held_out(scorer: Scorer, sampler: Sampler) -> dict[str, float]:
    """Scores at test targets, and one number of both that is worth minimising.

    The number is the geometric mean of the unbiased MMD^2 to the exact posterior and of the
    re-simulation error, each as a share of the prior's: 1 for a sampler that ignores the target;
    it halves where both scores halve, or where one falls to a quarter.

    The targets are test targets of the study's profile. Profiles with the same seed share their
    first samples, so that a few of them are also among the training or test samples of a larger
    one.

    Returns:
        `objective`, `mmd2_exact`, `e_resim`.
    """
    own, prior = (
        evaluate(
            each,
            scorer.exact_targets,
            scorer.exact_samples,
            arm=scorer.arm,
            unbiased=True,
            generator=torch.Generator().manual_seed(scorer.seed),
        ).mean()
        for each in (sampler, Prior(scorer.arm, scorer.profile.sigma_for(scorer.arm)))
    )
    mismatch = max(own["mmd2"] / prior["mmd2"], _RESOLVED)
    miss = own["resimulation_error"] / prior["resimulation_error"]
    return {
        "objective": math.sqrt(mismatch * miss),
        "mmd2_exact": own["mmd2"],
        "e_resim": own["resimulation_error"],
    }


def run_study(
    study: Study,
    *,
    trials: int = SEARCH_TRIALS,
    folder: Path | None = None,
    parallel: int | None = None,
    cpus: float = 1,
    gpus: float = 0.0,
    address: str | None = None,
) -> pd.DataFrame:
    """Run a study up to a number of trials; what an earlier run finished is kept.

    It gives up where none of the first `GIVE_UP` trials ends well.

    The folder holds `study.json`, the settings, and `trials.csv`, a row for each trial that
    ended, in the order in which they did. A trial that fails or diverges has a row too. A trial
    whose node dies starts again on another one.

    Args:
        study: What to search.
        trials: Trials in all, earlier ones included.
        folder: Folder of the study; by default below `book/results/studies/`.
        parallel: Trials at a time; by default as many as the CPUs allow.
        cpus: CPUs of a trial, and its threads; or a share of one. Two trials with a thread each
            do more than one with two.
        gpus: GPUs of a trial, or a share of one; with more than 0 it trains there.
        address: Ray cluster to join; see `cluster.cluster_address`.

    Returns:
        The table of trials; see `Study.columns`.

    Raises:
        ValueError: If the folder holds another study, or nobody answers at the address.
        OSError: If the table of trials cannot be written.
        RuntimeError: If another process is at work on the study, or it was given up.
    """
    check_count("trials", trials)
    if parallel is not None:
        check_count("parallel", parallel)
    folder = folder or project_root() / "book" / "results" / "studies" / study.name
    _check_folder(folder, study)
    log = _Log(study, folder, trials, cpus, gpus)
    if log.missing > 0:
        with connected(address) as local:
            most = room(cpus, gpus)
            with locked(folder):
                # Another process may have begun a study or added trials until just now.
                _check_folder(folder, study)
                write_json(folder / "study.json", study.settings())
                log = _Log(study, folder, trials, cpus, gpus)
                try:
                    _tune(study, log, parallel or most, cpus, gpus, local)
                finally:
                    log.write()
    if log.missing > 0:
        if not log.rows:
            raise RuntimeError(
                f"Ray ended without a trial; the same command tries again, in {folder}"
            )
        raise RuntimeError(
            f"none of {len(log.rows)} trials ended well (the last: {log.rows[-1]['outcome']}); "
            f"mend the cause, delete {folder} and start again"
        )
    log.summary()
    return log.table()


@dataclass(frozen=True)
class StudyRecord:
    """What a study left in its folder.

    Attributes:
        folder: The folder.

    Raises:
        ValueError: If the folder holds no trials.
    """

    folder: Path

    def __post_init__(self) -> None:
        if not (self.folder / "trials.csv").exists():
            raise ValueError(f"{self.folder} holds no trials; make them with: ikpaper search")

    @cached_property
    def study(self) -> Study:
        """The study, from its settings."""
        settings = _settings(self.folder)
        names = ("model", "objective", "method", "epochs", "seed", "early_stopping", "precision")
        try:
            return Study(
                arm=arm_of(settings["lengths"]),
                profile=get_profile(settings["profile"]),
                ranges={name: tuple(bounds) for name, bounds in settings["ranges"].items()},
                **{name: settings[name] for name in names},
            )
        except KeyError as error:
            raise _damaged(self.folder / "study.json", f"it lacks {error}") from error

    @cached_property
    def trials(self) -> pd.DataFrame:
        """The table of trials; see `Study.columns`."""
        return _read_trials(self.folder, self.study)

    @cached_property
    def best(self) -> pd.Series:
        """The trial with the smallest objective."""
        return self.trials.loc[self.trials["objective"].idxmin()]

    @cached_property
    def confirmed(self) -> pd.DataFrame:
        """Scores of trials that were trained with more data; see `confirm`. May be empty."""
        path = self.folder / "confirmed.csv"
        columns = ["trial", "objective", "profile", "quantity", "value", "low", "high"]
        return pd.read_csv(path) if path.exists() else pd.DataFrame(columns=columns)

    def configuration(self, trial: Mapping[str, Any] | pd.Series) -> dict[str, Any]:
        """Hyperparameters of a trial, integers as such."""
        return {name: type(low)(trial[name]) for name, (low, _) in self.study.bounds.items()}


def load_studies(root: Path | None = None) -> list[StudyRecord]:
    """Every study below a folder, by default `book/results/studies/`, in order of their names."""
    root = root or project_root() / "book" / "results" / "studies"
    return [StudyRecord(path.parent) for path in sorted(root.glob("*/trials.csv"))]


def spread(table: pd.DataFrame, count: int) -> pd.DataFrame:
    """So many trials from the best to the worst, at even ranks; one is the best."""
    check_count("count", count)
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
    directory: Path | None = None,
) -> pd.DataFrame:
    """Train trials of a study with more data, and score them like published models.

    The table of scores, `confirmed.csv` beside the trials, is written after each; what it has is
    not done again, and a training run that is interrupted continues.

    Args:
        folder: Folder of the study.
        count: Number of trials, spread evenly from the best to the worst; 1 is the best alone.
        printed: Whether to train, in their place, the hyperparameters that the slides print for
            the arm; their trial number is `PRINTED`.
        profile: Data, epochs and targets. With the study's own, what is trained is a trial again,
            and its loss the objective of one.
        retries: How often an epoch that diverges is repeated, but in a trial; see
            `training.train`.
        directory: Folder of weights; by default `.cache/studies/` of the project.

    Returns:
        One row a trial and quantity: trial, objective, and the columns of `Scorer.score`. A
        trial that diverges has a row with the quantity `diverged`, any other one with the loss of
        the last epoch, `loss`, with its terms, and with the number of epochs that had to be
        repeated, `repeated_epochs`.

    Raises:
        ValueError: If the folder holds no study, or fewer trials, or if nothing is printed for
            the arm of the study.
        RuntimeError: If another process is at work in the folder.
    """
    record = StudyRecord(folder)
    arm = record.study.arm
    if printed and (arm.dof not in PlanarArm.PAPER_DOF or arm != PlanarArm.paper(arm.dof)):
        raise ValueError(f"the slides print hyperparameters for their own arms, not for {arm}")
    chosen = (
        [({"trial": PRINTED, "objective": math.nan}, {})]
        if printed
        else [
            (trial, record.configuration(trial))
            for trial in spread(record.trials, count).to_dict("records")
        ]
    )
    with locked(folder):
        return _confirm(record, chosen, get_profile(profile), retries, directory)


def _confirm(
    record: StudyRecord,
    chosen: list[tuple[dict[Hashable, Any], dict[str, Any]]],
    profile: Profile,
    retries: int,
    directory: Path | None,
) -> pd.DataFrame:
    folder = record.folder
    study, arm, found = record.study, record.study.arm, record.confirmed
    done = set(zip(found["trial"], found["profile"], strict=True))
    scorer = Scorer(arm, profile)
    directory = directory or project_root() / ".cache" / "studies" / folder.name
    runs = []
    for trial, changes in chosen:
        # A model of the paper's arms has the printed hyperparameters by default.
        run = (
            study.run(changes)
            if profile == study.profile
            else TrainingRun.of(study.model, arm=arm, profile=profile, seed=study.seed, **changes)
        )
        runs.append((trial, run))
    progress = Progress(sum(run.cost() for _, run in runs))
    for number, (trial, run) in enumerate(runs, 1):
        what = "as printed" if trial["trial"] == PRINTED else f"trial {trial['trial']}"
        label = f"[{number}/{len(runs)}] {what}"
        if (trial["trial"], profile.name) in done:
            progress.skip(run.cost())
            progress.say(f"{label}: scored already")
            continue
        try:
            if profile == study.profile:
                trained = _trained_again(run, study, progress)
            else:
                folder_of = directory / f"trial-{trial['trial']}"
                trained = train(run, directory=folder_of, progress=progress, retries=retries)
            rows = _confirmed(run, scorer, *trained)
        except FloatingPointError as error:
            progress.say(str(error))
            row = {"profile": profile.name, "dof": arm.dof, "sampler": run.name}
            rows = pd.DataFrame([{**row, "quantity": "diverged", "value": math.nan}])
        rows.insert(0, "trial", trial["trial"])
        rows.insert(1, "objective", trial["objective"])
        found = pd.concat([found, rows], ignore_index=True) if len(found) else rows
        write_text(folder / "confirmed.csv", found.to_csv(index=False))
        progress.say(f"{label}: {', '.join(_told(rows))}")
    return found


def _trained_again(
    run: TrainingRun, study: Study, progress: Progress
) -> tuple[NetworkSampler, dict[str, Any]]:
    """Train as a trial does; returns what `train` would."""
    loop = _loop(run)
    for report in _reports(loop, study):
        label = f"{run.label}: epoch {report['epochs']}/{study.epochs}"
        progress.advance(run.cost() / study.epochs, label)
        if report["outcome"] not in ("running", "trained"):
            raise FloatingPointError(f"{run.label}: {report['outcome']}")
    return _result(loop), {"history": loop.history, "divergences": loop.divergences}


def _confirmed(
    run: TrainingRun, scorer: Scorer, model: NetworkSampler, record: Mapping[str, Any]
) -> pd.DataFrame:
    """Scores of one trial that was trained anew."""
    prior = Prior(run.arm, run.profile.sigma_for(run.arm))
    scores = scorer.score_all({run.name: model, "prior": prior})
    scores = scores[scores["sampler"] == run.name]
    terms = record["history"][-1]["terms"]
    more = {
        "loss": sum(terms.values()),
        **{f"loss: {name}": value for name, value in terms.items()},
        "repeated_epochs": len(record["divergences"]),
    }
    rows = [
        scores.iloc[:1].assign(
            quantity=quantity, protocol="training", value=value, low=math.nan, high=math.nan
        )
        for quantity, value in more.items()
    ]
    return pd.concat([scores, *rows], ignore_index=True)


def _told(rows: pd.DataFrame) -> list[str]:
    """Scores for the progress line."""
    return [
        f"{row['quantity']} {row['value']:.3g}"
        for _, row in rows.iterrows()
        if row["quantity"] in ("mmd2_exact", "e_resim", "diverged")
    ]


def _check_name(what: str, name: str, known: tuple[str, ...]) -> None:
    if name not in known:
        raise ValueError(f"{what}: expected one of {', '.join(known)}, got {name!r}")


def _settings(folder: Path) -> dict[str, Any]:
    """Settings of the study that a folder holds."""
    path = folder / "study.json"
    try:
        settings = json.loads(path.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise _damaged(path, error) from error
    if not isinstance(settings, dict):
        raise _damaged(path, "it holds no settings")
    return settings


def _read_trials(folder: Path, study: Study) -> pd.DataFrame:
    """The table of trials that a folder holds."""
    path = folder / "trials.csv"
    try:
        table = pd.read_csv(path)
    except (pd.errors.EmptyDataError, pd.errors.ParserError) as error:
        raise _damaged(path, error) from error
    if missing := [name for name in study.columns if name not in table]:
        raise _damaged(path, f"it lacks {', '.join(missing)}")
    return table


def _damaged(path: Path, what: object) -> ValueError:
    return ValueError(f"{path} is damaged: {what}; restore it, or delete {path.parent}")


def _check_folder(folder: Path, study: Study) -> None:
    """Raise if the folder is not this study's."""
    settings = study.settings()
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"{folder} is a file; choose a folder with --folder")
    if (folder / "study.json").exists():
        found = _settings(folder)
        names = sorted(set(found) | set(settings))
        if other := [name for name in names if found.get(name) != settings.get(name)]:
            name = other[0]
            raise ValueError(
                f"{folder} holds a study with {name} {found.get(name)}, not "
                f"{settings.get(name)}; choose another folder with --folder"
            )
    elif folder.exists() and any(folder.iterdir()):
        raise ValueError(f"{folder} holds files, but no study; choose another with --folder")


class _Log:
    """The table of trials, on disk after each."""

    def __init__(self, study: Study, folder: Path, trials: int, cpus: float, gpus: float) -> None:
        self.study, self.path = study, folder / "trials.csv"
        self.resources = {"cpus": cpus, "gpus": gpus}
        found = _read_trials(folder, study) if self.path.exists() else pd.DataFrame()
        self.rows: list[dict[str, Any]] = [
            {str(name): value for name, value in row.items()} for row in found.to_dict("records")
        ]
        self.trials = trials
        self.progress = Progress(trials)
        self.progress.skip(min(len(self.rows), trials))

    @property
    def missing(self) -> int:
        """Trials still to run."""
        return self.trials - len(self.rows)

    def table(self) -> pd.DataFrame:
        """The trials so far."""
        return pd.DataFrame(self.rows, columns=self.study.columns)

    def write(self) -> None:
        """Write the table."""
        if self.rows:
            write_text(self.path, self.table().to_csv(index=False))

    def known(self) -> list[tuple[dict[str, Any], dict[str, Any]]]:
        """Configurations with their results, as the searcher takes them."""
        return [({name: row[name] for name in self.study.bounds}, row) for row in self.rows]

    def add(self, row: dict[str, Any]) -> None:
        """Append a trial."""
        added = {
            **row,
            **self.resources,
            "trial": len(self.rows) + 1,
            "seed": self.study.seed,
            "profile": self.study.profile.name,
        }
        self.rows.append(added)
        try:
            self.write()
        except OSError as error:
            # Ray would take it for the trial's, and start that again.
            self.progress.say(f"{self.path} cannot be written yet: {error}")
        settings = ", ".join(f"{name} {row[name]:.3g}" for name in self.study.bounds)
        self.progress.say(
            f"[{len(self.rows)}/{self.trials}] {self.study.objective} {row['objective']:.4g} "
            f"({row['outcome']}, {duration(row['seconds'])}): {settings}"
        )
        self.progress.advance(1, f"{self.study.name}: best {self._best()}")

    def _best(self) -> str:
        values = self.table()["objective"]
        return f"{values.min():.4g}" if values.notna().any() else "none yet"

    def summary(self) -> None:
        """Say what the study found."""
        table = self.table()
        if table["objective"].isna().all():
            self.progress.say(f"{self.study.name}: none of {len(table)} trials ended well")
            return
        best = table.loc[table["objective"].idxmin()]
        settings = ", ".join(f"{name} {best[name]:.4g}" for name in self.study.bounds)
        self.progress.say(
            f"{self.study.name}: best of {len(table)} trials is number {best['trial']:.0f}, "
            f"{self.study.objective} {best['objective']:.4g}: {settings}"
        )


def _tune(study: Study, log: _Log, parallel: int, cpus: float, gpus: float, local: bool) -> None:
    """Let Ray Tune run the trials that are missing."""
    from ray import tune
    from ray.tune import TuneError
    from ray.tune.schedulers import ASHAScheduler, FIFOScheduler

    from ikpaper.searcher import SkoptSearcher

    searcher = SkoptSearcher(
        space(study.bounds),
        metric="objective",
        reached="loss" if study.objective == "loss" else None,
        # A continued study does not draw its first points again.
        seed=study.seed if not log.rows else int(digest(study.seed, len(log.rows))[:7], 16),
        initial_points=INITIAL_POINTS if study.method == "bayesian" else sys.maxsize,
        give_up=GIVE_UP,
        known=log.known(),
    )
    scheduler = (
        ASHAScheduler(
            time_attr="epochs",
            metric="loss",
            mode="min",
            max_t=study.epochs,
            grace_period=max(1, study.epochs // 9),
            reduction_factor=3,
        )
        if study.early_stopping
        else FIFOScheduler()
    )

    class Record(tune.Callback):
        def __init__(self, log: _Log) -> None:
            self.log = log

        def __getstate__(self) -> dict[str, Any]:
            # Tune saves its callbacks; the stream of a notebook cannot be saved.
            return {}

        def on_trial_complete(self, iteration: int, trials: list, trial: Any, **_: Any) -> None:
            self.log.add(_row(self.log.study, trial))

        def on_trial_recover(self, iteration: int, trials: list, trial: Any, **_: Any) -> None:
            self.log.progress.say("a trial lost its process or its node; it starts again")

        def on_trial_error(self, iteration: int, trials: list, trial: Any, **_: Any) -> None:
            # `_trial` turns errors of its own into outcomes: what is left is Ray's, and not always
            # written down.
            error = trial.get_error()
            cause = type(error).__name__ if error else "its process was lost"
            row = _row(self.log.study, trial)
            self.log.add({**row, "objective": math.nan, "outcome": f"failed: {cause}"})

    # It prints the trace of every failure; here a failure is a row, and a restart a line.
    logging.getLogger("ray.tune").setLevel(logging.CRITICAL)
    log.progress.show(f"{study.name}: {log.missing} trials, {parallel} at a time")
    with scratch() as storage:
        tuner = tune.Tuner(
            tune.with_resources(
                tune.with_parameters(_trial, study=study, cpus=cpus, on_gpu=gpus > 0),
                {"cpu": cpus, "gpu": gpus},
            ),
            tune_config=tune.TuneConfig(
                search_alg=searcher,
                scheduler=scheduler,
                num_samples=log.missing,
                max_concurrent_trials=parallel,
                # Starting a process takes seconds, as long as a small trial. On a cluster that is
                # the price of safety: of a trial that loses its node while it takes over the
                # process of another, Tune says that it failed, and does not start it again.
                reuse_actors=local,
            ),
            run_config=tune.RunConfig(
                name="study",
                storage_path=str(storage),
                verbose=0,
                callbacks=[Record(log)],
                failure_config=tune.FailureConfig(max_failures=RESTARTS),
            ),
        )
        try:
            tuner.fit()
        except TuneError as error:
            last = str(error).strip().splitlines()[-1]
            raise RuntimeError(
                f"Ray Tune gave up ({last}); finished trials are in {log.path}, and the same "
                "command continues"
            ) from error


def _row(study: Study, trial: Any) -> dict[str, Any]:
    """Row of a trial from the last that Tune heard of it."""
    last = trial.last_result or {}
    outcome = last.get("outcome", "failed")
    return {
        **{name: trial.config[name] for name in study.bounds},
        **{name: last.get(name, math.nan) for name in study.columns if name in last},
        "objective": last.get("objective", math.nan),
        "loss": last.get("loss", math.nan),
        "outcome": "stopped: lagging" if outcome == "running" else outcome,
        "epochs": last.get("epochs", 0),
        "seconds": round(last.get("seconds", 0.0), 2),
    }


#: Scorers with their reference samples, for the trials that a process runs after another.
_SCORERS: dict[str, Scorer] = {}


def _scorer(study: Study) -> Scorer:
    key = digest(study.arm.lengths, study.profile.name)
    return _SCORERS.setdefault(key, Scorer(study.arm, study.profile))


def _trial(
    configuration: dict[str, Any], *, study: Study, cpus: float, on_gpu: bool
) -> None:  # pragma: no cover - runs in a process of Ray
    """Train one configuration, reporting each epoch; an error of ours is an outcome, too.

    To Ray it would look like a process that died, and the trial would start again.
    """
    from ray import tune

    torch.set_num_threads(max(1, int(cpus)))
    start = time.monotonic()
    reports: Iterator[dict[str, Any]] | None = None
    outcome = "running"
    while outcome == "running":
        try:
            reports = reports or _reports(_loop(study.run(configuration), on_gpu), study)
            report = next(reports)
        except Exception as error:
            what = " ".join(str(error).split())
            report = {"objective": math.nan, "outcome": f"failed: {type(error).__name__}: {what}"}
        outcome = report["outcome"]
        tune.report({**report, "seconds": time.monotonic() - start})


def _loop(run: TrainingRun, on_gpu: bool = False) -> TrainingLoop:
    """The training of a trial."""
    loop = TrainingLoop(run, "", resolve_device("cuda" if on_gpu else "cpu"))
    # The paper has its own rule.
    loop.rise = math.inf
    return loop


def _result(loop: TrainingLoop) -> NetworkSampler:
    """What a trial has led to, as published models are scored."""
    model = loop.result()
    model.precision = None
    return model


def _reports(loop: TrainingLoop, study: Study) -> Iterator[dict[str, Any]]:
    """What is known of a trial after each epoch; only a trial that ends well has an objective."""
    quiet = Progress(0, stream=io.StringIO())
    report: dict[str, Any] = {"epochs": 0, "loss": math.nan, "objective": math.nan}
    for epoch in range(1, study.epochs + 1):
        try:
            loop.run_epoch(quiet, 0)
        except FloatingPointError as error:
            where = str(error).partition(": ")[2].partition(";")[0]
            yield {**report, "outcome": f"diverged: {where}"}
            return
        loss = sum(loop.history[-1]["terms"].values())
        report |= {"epochs": epoch, "loss": loss, "outcome": "running"}
        if epoch >= SEARCH_HOPELESS_AFTER and loss > SEARCH_HOPELESS_LOSS:
            yield {**report, "outcome": f"stopped: loss {loss:.3g}"}
            return
        if epoch < study.epochs:
            yield dict(report)
    report |= {"objective": loss, "outcome": "trained"}
    if study.objective == "held-out":
        report |= held_out(_scorer(study), _result(loop))
    yield report
