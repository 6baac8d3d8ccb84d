"""One training run: everything that decides its weights."""

from __future__ import annotations

import dataclasses
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from ikpaper import dataset
from ikpaper.arm import PlanarArm, resolve_arm
from ikpaper.checks import check_count, check_known, check_seed, check_sigma
from ikpaper.identity import Identity
from ikpaper.models import ModelConfig, NetworkSampler, build, model_type
from ikpaper.models.base import SCHEDULES
from ikpaper.profiles import Profile, get_profile
from ikpaper.training.loop import VERSION
from ikpaper.weights import find_weights, load_record, weights_path

#: What the products between hidden layers may be computed in.
PRECISIONS = ("float32", "bfloat16")

#: Seconds for 1000 training samples, and for a million parameters more, roughly, on two cores, as
#: the published trainings took.
_USUAL_COST = (0.005, 0.09)
_COST = {
    "inn": (0.15, 0.03),
    "inn-ml": (0.03, 0.08),
    "inn-ml-small": (0.03, 0.08),
    "cgan": (0.025, 0.09),
}


@dataclass(frozen=True)
class TrainingRun:
    """One model to train: everything that decides its weights.

    Attributes:
        name: Model name.
        arm: The arm.
        profile: How much data.
        seed: Seed of initial weights, batches and noise.
        epochs: Passes over the training samples.
        precision: Of the products between hidden layers, one of `PRECISIONS`; all else is float32.
        changes: Hyperparameters that differ from the model's defaults, as pairs.
        schedule: Of the learning rate, one of `SCHEDULES`.
    """

    name: str
    arm: PlanarArm
    profile: Profile
    seed: int
    epochs: int
    precision: str
    changes: tuple[tuple[str, Any], ...] = ()
    schedule: str = "plateau"

    @classmethod
    def of(
        cls,
        name: str,
        dof: int | None = None,
        *,
        arm: PlanarArm | None = None,
        profile: str | Profile = "quick",
        seed: int | None = None,
        epochs: int | None = None,
        precision: str | None = None,
        schedule: str | None = None,
        **changes: Any,
    ) -> TrainingRun:
        """A run by names.

        Args:
            name: Model name.
            dof: Number of joints of one of the paper's arms; or else
            arm: any arm.
            profile: Data, and the epochs that the model has for it.
            seed: By default the profile's.
            epochs: If others than the model has for the profile.
            precision: By default that of the model's recipe.
            schedule: By default that of the model's recipe.
            **changes: Hyperparameters that differ, by their names in the model's config.

        Raises:
            ValueError: If a name is unknown, or a value out of range.
        """
        kind, profile = model_type(name), get_profile(profile)
        epochs = kind.epochs_for(profile) if epochs is None else check_count("epochs", epochs)
        arm = resolve_arm("TrainingRun.of", dof, arm)
        precision = kind.recipe.precision if precision is None else precision
        check_known(f"precision of {name!r}", [precision], kind.precisions)
        seed = profile.seed if seed is None else check_seed(seed)
        schedule = kind.recipe.schedule if schedule is None else schedule
        check_known("schedule", [schedule], SCHEDULES)
        pairs = tuple(sorted(changes.items()))
        run = cls(name, arm, profile, seed, epochs, precision, pairs, schedule)
        # A wrong hyperparameter is named here, not where it is used.
        kind.configure(arm, **run.hyperparameters)
        return run

    @property
    def label(self) -> str:
        """How the run is called in progress lines."""
        return f"{self.name} {self.arm.dof} DoF, {self.profile.name}, seed {self.seed}"

    @property
    def kind(self) -> type[NetworkSampler]:
        """Class of the model."""
        return model_type(self.name)

    @property
    def hyperparameters(self) -> dict[str, Any]:
        """What differs from the model's defaults; one that knows its prior gets the data's."""
        changes = dict(self.changes)
        if "sigma" in self.kind.config_type.__dataclass_fields__:
            changes = {"sigma": self.profile.sigma_for(self.arm), **changes}
        return changes

    @property
    def config(self) -> ModelConfig:
        """Every hyperparameter of the model."""
        return self.kind.configure(self.arm, **self.hyperparameters)

    def build(self) -> NetworkSampler:
        """The untrained model."""
        return build(self.name, arm=self.arm, seed=self.seed, **self.hyperparameters)

    @property
    def teacher(self) -> TrainingRun | None:
        """The run of the model that this one learns from, if it learns from one."""
        name = self.kind.teacher
        if name is None:
            return None
        kind = model_type(name)
        epochs = kind.epochs.get(self.profile.name, self.epochs)
        recipe = {name: getattr(kind.recipe, name) for name in ("precision", "schedule")}
        return dataclasses.replace(self, name=name, epochs=epochs, changes=(), **recipe)

    def path(self, directory: str | os.PathLike[str] | None = None) -> Path:
        """Where its weights are kept once they are trained."""
        return weights_path(self.name, self.arm, self.profile, self.seed, directory)

    def find(self, directory: str | os.PathLike[str] | None = None) -> Path:
        """Where its weights are: there, or published ones elsewhere; see `find_weights`."""
        return find_weights(self.name, self.arm, self.profile, self.seed, directory)

    @property
    def batch(self) -> int:
        """Training samples of a step."""
        return self.profile.batch * self.kind.recipe.batch_factor

    def identity(self, teacher: str | None = None) -> Identity:
        """What decides the weights.

        Args:
            teacher: SHA-256 of the weights that the run learns from, if it learns from some.
        """
        profile, names = self.profile, (self.name, self.kind.teacher)
        # That of the recipe is the model's, whose version speaks for it.
        own = self.schedule == self.kind.recipe.schedule
        return Identity(
            "weights",
            settings={
                "model": self.name,
                "epochs": self.epochs,
                "batch": self.batch,
                "precision": self.precision,
                "seed": self.seed,
                "samples": profile.samples,
                "train_fraction": profile.train_fraction,
                "sigma": check_sigma(profile.sigma_for(self.arm), self.arm.dof),
                "data_seed": profile.seed,
                **({} if own else {"schedule": self.schedule}),
                **{f"config.{k}": v for k, v in dataclasses.asdict(self.config).items()},
            },
            inputs={} if teacher is None else {"teacher": teacher},
            versions={
                "training": VERSION,
                "dataset": dataset.VERSION,
                **{name: model_type(name).version for name in names if name is not None},
            },
        )

    def compare(
        self, directory: str | os.PathLike[str] | None = None
    ) -> tuple[dict[str, Any] | None, list[str]]:
        """The record of the weights that are there, if any, and what differs from this run.

        Weights without a difference are current. Those of a teacher that is not there are taken
        to be the ones on record.

        Raises:
            DamagedWeights: If the weights that are there cannot be used.
        """
        record = load_record(self.find(directory))
        if record is None:
            return None, ["no weights"]
        if "versions" not in record:
            return record, ["no identity on record"]
        sha = None
        if self.teacher is not None:
            there = load_record(self.teacher.find(directory))
            sha = record["inputs"].get("teacher") if there is None else there["sha256"]
        return record, self.identity(sha).differs(record)

    def cost(self) -> float:
        """Expected seconds of the training, roughly, on two cores."""
        parameters = self.config.inner_layers * self.config.neurons**2
        fixed, work = _COST.get(self.name, _USUAL_COST)
        samples = self.epochs * self.profile.training_samples
        return (fixed + work * parameters / 1e6) * samples / 1000


def resolve_device(device: str | torch.device) -> torch.device:
    """A torch device; `auto` is CUDA where there is one, else the CPU."""
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    resolved = torch.device(device)
    if resolved.type == "cuda" and not torch.cuda.is_available():
        raise ValueError(f"device: got {device!r}, but torch finds no CUDA device here")
    return resolved
