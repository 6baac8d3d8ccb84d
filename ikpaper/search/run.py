"""The hyperparameter search: Ray Tune runs trials that scikit-optimize proposes."""

from __future__ import annotations

import logging
import math
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import torch

from ikpaper.checks import check_count
from ikpaper.cluster import RESTARTS, connected, max_parallel
from ikpaper.files import locked, project_root, scratch, write_json, write_text
from ikpaper.identity import digest, provenance
from ikpaper.matmul import use_fast_matmul
from ikpaper.paper import SEARCH_TRIALS
from ikpaper.progress import Progress, duration
from ikpaper.search.study import (
    GIVE_UP,
    INITIAL_POINTS,
    SESSIONS,
    Study,
    read_sessions,
    read_trials,
    space,
)
from ikpaper.search.trial import Trial

#: Successive halving compares trials after 1/9 of the epochs, then after three times as many, and
#: lets a third of them go on.
_HALVING = 3

#: File of the losses that successive halving compares trials by.
_RUNGS = "rungs.csv"


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
    whose node dies starts again on another one. With early stopping, `rungs.csv` holds the losses
    that trials are compared by, so that a study that continues compares with all of them.
    `sessions.json` holds where trials were made: the provenance of each call that ran some.

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
    trials = check_count("trials", trials)
    parallel = parallel if parallel is None else check_count("parallel", parallel)
    folder = folder or project_root() / "book" / "results" / "studies" / study.name
    _check_folder(folder, study)
    log = TrialLog(study, folder, trials, cpus, gpus)
    if log.missing > 0:
        with connected(address) as local:
            most = max_parallel(cpus, gpus)
            with locked(folder):
                # Another process may have begun a study or added trials until just now.
                _check_folder(folder, study)
                write_json(folder / "study.json", study.stamp())
                log = TrialLog(study, folder, trials, cpus, gpus)
                _note_session(folder, len(log.rows))
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


def _check_folder(folder: Path, study: Study) -> None:
    """Raise if the folder is not this study's."""
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"{folder} is a file; choose a folder with --folder")
    if (folder / "study.json").exists():
        if differences := study.differences(folder):
            raise ValueError(
                f"{folder} holds another study ({'; '.join(differences)}); choose another folder "
                "with --folder"
            )
    elif folder.exists() and any(folder.iterdir()):
        raise ValueError(f"{folder} holds files, but no study; choose another with --folder")


def _note_session(folder: Path, done: int) -> None:
    """Record where the trials after so many are made; a call that ran none leaves nothing."""
    earlier = [session for session in read_sessions(folder) if session["after"] < done]
    origin = provenance("ray", "scikit-optimize")
    write_json(folder / SESSIONS, [*earlier, {"after": done, "provenance": origin}])


class TrialLog:
    """The table of trials, on disk after each."""

    def __init__(self, study: Study, folder: Path, trials: int, cpus: float, gpus: float) -> None:
        self.study, self.path = study, folder / "trials.csv"
        self.resources = {"cpus": cpus, "gpus": gpus}
        known = read_trials(folder, study) if self.path.exists() else pd.DataFrame()
        self.rows: list[dict[str, Any]] = known.to_dict("records")
        #: Losses of the trials that ended, where successive halving compares them.
        self.rungs = _read_rungs(folder, known) if study.early_stopping else pd.DataFrame()
        self._running: dict[str, dict[int, float]] = {}
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
        """Write the tables. A kill between the two costs a comparison, never a trial."""
        if self.rows:
            write_text(self.path, self.table().to_csv(index=False))
        if len(self.rungs):
            write_text(self.path.with_name(_RUNGS), self.rungs.to_csv(index=False))

    def note(self, name: str, report: Mapping[str, Any]) -> None:
        """Keep the loss of a trial that goes on, if successive halving compares by it."""
        if self.study.early_stopping and report.get("epochs") in _milestones(self.study.epochs):
            self._running.setdefault(name, {})[report["epochs"]] = report["loss"]

    def add(self, name: str, row: dict[str, Any]) -> None:
        """Append a trial, by Ray's name of it."""
        own = {"seed": self.study.seed, "profile": self.study.profile.name}
        number = len(self.rows) + 1
        self.rows.append({**row, **self.resources, **own, "trial": number})
        losses = self._running.pop(name, {})
        reached = [{"trial": number, "epochs": k, "loss": loss} for k, loss in losses.items()]
        self.rungs = pd.concat([self.rungs, pd.DataFrame(reached)], ignore_index=True)
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
        best = self.table()["objective"].min()
        found = "none yet" if math.isnan(best) else f"{best:.4g}"
        self.progress.advance(1, f"{self.study.name}: best {found}")

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


def _tune(
    study: Study, log: TrialLog, parallel: int, cpus: float, gpus: float, local: bool
) -> None:
    """Let Ray Tune run the trials that are missing."""
    from ray import tune
    from ray.tune import TuneError
    from ray.tune.schedulers import FIFOScheduler

    from ikpaper.search.searcher import SkoptSearcher

    searcher = SkoptSearcher(
        space(study.bounds),
        metric="objective",
        reached="loss" if study.objective == "loss" else None,
        # A continued study does not draw its first points again.
        seed=study.seed if not log.rows else int(digest(study.seed, len(log.rows))[:7], 16),
        initial_points=INITIAL_POINTS if study.method == "bayesian" else sys.maxsize,
        give_up=GIVE_UP,
        known=[(row, row) for row in log.rows],
    )
    scheduler = halving(study.epochs, log.rungs) if study.early_stopping else FIFOScheduler()

    class Record(tune.Callback):
        def __init__(self, log: TrialLog) -> None:
            self.log = log

        def __getstate__(self) -> dict[str, Any]:
            # Tune saves its callbacks; the stream of a notebook cannot be saved.
            return {}

        def on_trial_result(
            self, iteration: int, trials: list, trial: Any, result: dict[str, Any], **_: Any
        ) -> None:
            self.log.note(trial.trial_id, result)

        def on_trial_complete(self, iteration: int, trials: list, trial: Any, **_: Any) -> None:
            self.log.add(trial.trial_id, _row(self.log.study, trial))

        def on_trial_recover(self, iteration: int, trials: list, trial: Any, **_: Any) -> None:
            self.log.progress.say("a trial lost its process or its node; it starts again")

        def on_trial_error(self, iteration: int, trials: list, trial: Any, **_: Any) -> None:
            # `_trial` turns errors of its own into outcomes: what is left is Ray's, and not always
            # written down.
            error = trial.get_error()
            cause = type(error).__name__ if error else "its process was lost"
            row = _row(self.log.study, trial)
            row |= {"objective": math.nan, "outcome": f"failed: {cause}"}
            self.log.add(trial.trial_id, row)

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
        # It prints the trace of every failure; here a failure is a row, and a restart a line.
        logger = logging.getLogger("ray.tune")
        level = logger.level
        logger.setLevel(logging.CRITICAL)
        try:
            tuner.fit()
        except TuneError as error:
            last = str(error).strip().splitlines()[-1]
            raise RuntimeError(
                f"Ray Tune gave up ({last}); finished trials are in {log.path}, and the same "
                "command continues"
            ) from error
        finally:
            logger.setLevel(level)


def halving(epochs: int, rungs: pd.DataFrame) -> Any:
    """Ray's successive halving, told what trials of an earlier run had reached.

    Args:
        epochs: Epochs of a trial.
        rungs: Losses of those trials, columns `trial`, `epochs`, `loss`; may be empty.

    Returns:
        An `ASHAScheduler` that stops a trial whose loss is not among the best third.
    """
    from ray.tune.schedulers import ASHAScheduler

    scheduler: Any = ASHAScheduler(
        time_attr="epochs",
        metric="loss",
        mode="min",
        max_t=epochs,
        grace_period=_milestones(epochs)[0],
        reduction_factor=_HALVING,
    )
    for number, losses in rungs.groupby("trial") if len(rungs) else ():
        earlier = SimpleNamespace(trial_id=f"earlier-{number}")
        scheduler.on_trial_add(None, earlier)
        for row in losses.itertuples():
            scheduler.on_trial_result(None, earlier, {"epochs": row.epochs, "loss": row.loss})
        scheduler.on_trial_remove(None, earlier)
    return scheduler


def _milestones(epochs: int) -> list[int]:
    """After how many epochs successive halving compares trials."""
    first = max(1, epochs // _HALVING**2)
    return [m for k in range(3) if (m := first * _HALVING**k) <= epochs]


def _read_rungs(folder: Path, trials: pd.DataFrame) -> pd.DataFrame:
    """Losses by which the trials of a folder were compared; none of a study from before."""
    path, columns = folder / _RUNGS, ["trial", "epochs", "loss"]
    if not path.exists():
        return pd.DataFrame(columns=columns)
    try:
        table = pd.read_csv(path)[columns]
    except (pd.errors.EmptyDataError, pd.errors.ParserError, KeyError) as error:
        raise ValueError(f"{path} is damaged: {error}; restore or delete it") from error
    return table[table["trial"].isin(trials["trial"])] if len(trials) else table[:0]


def _row(study: Study, trial: Any) -> dict[str, Any]:
    """Row of a trial from the last that Tune heard of it."""
    nothing = {"objective": math.nan, "loss": math.nan, "epochs": 0, "seconds": 0.0}
    last = {**nothing, "outcome": "failed", **(trial.last_result or {})}
    if last["outcome"] == "running":
        last["outcome"] = "stopped: lagging"
    last["seconds"] = round(last["seconds"], 2)
    settings = {name: trial.config[name] for name in study.bounds}
    return {**settings, **{name: last[name] for name in study.columns if name in last}}


def _trial(
    configuration: dict[str, Any], *, study: Study, cpus: float, on_gpu: bool
) -> None:  # pragma: no cover - runs in a process of Ray
    """Train one configuration, reporting each epoch; an error of ours is an outcome, too.

    To Ray it would look like a process that died, and the trial would start again.
    """
    from ray import tune

    torch.set_num_threads(max(1, int(cpus)))
    use_fast_matmul()
    start = time.monotonic()

    def reports() -> Iterator[dict[str, Any]]:
        try:
            yield from Trial(study, configuration, device="cuda" if on_gpu else "cpu").reports()
        except Exception as error:
            text = " ".join(str(error).split())
            outcome = f"failed: {type(error).__name__}: {text}"
            yield {"objective": math.nan, "outcome": outcome}

    for report in reports():
        tune.report({**report, "seconds": time.monotonic() - start})
