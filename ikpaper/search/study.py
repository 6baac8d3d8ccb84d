"""A study: what is searched, and what it left in its folder."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from ikpaper import dataset, training
from ikpaper.arm import PlanarArm, arm_of
from ikpaper.checks import check_count, check_known, check_seed
from ikpaper.evaluation import Task
from ikpaper.files import project_root
from ikpaper.identity import Identity, digest, made
from ikpaper.models import model_type
from ikpaper.paper import Ranges
from ikpaper.profiles import PROFILES, Profile, get_profile
from ikpaper.training import TrainingRun

#: Raise when numbers change: when the same study proposes or values other trials.
VERSION = 1

#: What a study can minimise.
OBJECTIVES = ("loss", "held-out")

#: How trials are proposed.
METHODS = ("bayesian", "random")

#: Entries of `study.json` that are no settings.
_STAMP = ("key", "versions")

#: File of where trials were made. It is apart from `study.json`, which decides pages.
SESSIONS = "sessions.json"

#: Random trials before the surrogate takes over, scikit-optimize's own default.
INITIAL_POINTS = 10

#: Trials after which a study is given up if none has ended well.
GIVE_UP = 20


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
        precision: Of the products between hidden layers; see `training.TrainingRun`.
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
        object.__setattr__(self, "epochs", check_count("epochs", self.epochs))
        object.__setattr__(self, "seed", check_seed(self.seed, bits=32))
        check_known("objective", [self.objective], OBJECTIVES)
        check_known("method", [self.method], METHODS)
        check_known("precision", [self.precision], kind.precisions)
        ranges = kind.search_ranges if self.ranges is None else self.ranges
        object.__setattr__(self, "ranges", dict(ranges))
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

    def stamp(self) -> dict[str, Any]:
        """What `study.json` holds: settings, and what the code that decides trials was."""
        record = self.identity().record()
        return {**self.settings(), **{name: record[name] for name in _STAMP}}

    def differences(self, folder: Path) -> list[str]:
        """What differs from the study that a folder holds, one phrase each."""
        stamp = read_stamp(folder)
        settings = {name: value for name, value in stamp.items() if name not in _STAMP}
        return self.identity().differs(
            {"settings": settings, **{name: stamp.get(name) for name in _STAMP}}
        )

    def identity(self) -> Identity:
        """What decides the trials."""
        versions = {
            "search": VERSION,
            "training": training.VERSION,
            "dataset": dataset.VERSION,
            self.model: model_type(self.model).version,
        }
        if self.objective == "held-out":
            versions |= self.task().versions()
        return Identity("study", settings=self.settings(), versions=versions)

    def task(self) -> Task:
        """Targets of the held-out objective, with reference samples, which a process draws once."""
        return _held_out_task(self.arm, self.profile)

    def run(self, configuration: Mapping[str, Any]) -> TrainingRun:
        """The training run of a trial."""
        return TrainingRun.of(
            self.model,
            arm=self.arm,
            profile=self.profile,
            seed=self.seed,
            epochs=self.epochs,
            precision=self.precision,
            **configuration,
        )

    @property
    def columns(self) -> list[str]:
        """Columns of the table of trials."""
        scores = ["mmd2", "e_resim"] if self.objective == "held-out" else []
        reported = ["objective", "loss", *scores, "outcome", "epochs", "seconds"]
        return ["trial", *self.bounds, *reported, "cpus", "gpus", "seed", "profile"]


@cache
def _held_out_task(arm: PlanarArm, profile: Profile) -> Task:
    return Task.test_set(arm, profile, seeds=(2, 0, 0))


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
        settings = read_stamp(self.folder)
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
        return read_trials(self.folder, self.study)

    @cached_property
    def best(self) -> pd.Series:
        """The trial with the smallest objective."""
        return self.trials.loc[self.trials["objective"].idxmin()]

    @property
    def made(self) -> str:
        """Where its trials were proposed and trained, session by session, as far as on record."""
        return "; ".join(dict.fromkeys(made(session) for session in read_sessions(self.folder)))

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


def read_stamp(folder: Path) -> dict[str, Any]:
    """What the `study.json` of a folder holds; see `Study.stamp`."""
    path = folder / "study.json"
    settings = _read_json(path)
    if not isinstance(settings, dict):
        raise _damaged(path, "it holds no settings")
    return settings


def read_sessions(folder: Path) -> list[dict[str, Any]]:
    """Where the trials of a folder come from: the `provenance` of each call of `run_study`.

    Its trials are those `after` so many. Studies from before this file have none.
    """
    path = folder / SESSIONS
    return _read_json(path) if path.exists() else []


def read_trials(folder: Path, study: Study) -> pd.DataFrame:
    """The table of trials that a folder holds."""
    path = folder / "trials.csv"
    try:
        table = pd.read_csv(path)
    except (pd.errors.EmptyDataError, pd.errors.ParserError) as error:
        raise _damaged(path, error) from error
    if missing := [name for name in study.columns if name not in table]:
        raise _damaged(path, f"it lacks {', '.join(missing)}")
    return table


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise _damaged(path, error) from error


def _damaged(path: Path, what: object) -> ValueError:
    return ValueError(f"{path} is damaged: {what}; restore it, or delete {path.parent}")
