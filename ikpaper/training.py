"""One training loop for every model: named loss terms, checkpoints, resume, content keys."""

from __future__ import annotations

import dataclasses
import os
import pickle
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Generator, Tensor

from ikpaper.arm import PlanarArm
from ikpaper.dataset import profile_dataset
from ikpaper.files import atomic, digest
from ikpaper.models import NetworkSampler, build, model_type
from ikpaper.profiles import Profile, get_profile
from ikpaper.progress import Progress, duration
from ikpaper.weights import environment, load_record, restore, save, weights_path

__all__ = ["TrainingRun", "resolve_device", "train", "train_all"]

#: `ReduceLROnPlateau` on the training loss of an epoch, as the authors configure it.
PLATEAU_FACTOR = 0.05
PLATEAU_PATIENCE = 7

#: Modules whose source decides what a training run computes.
_SOURCES = ("arm.py", "dataset.py", "paper.py", "training.py", "models")


@dataclass(frozen=True)
class TrainingRun:
    """One model to train: everything that decides its weights.

    Attributes:
        name: Model name.
        arm: The arm.
        profile: How much data and how many epochs.
        seed: Seed of initial weights, batches and noise.
    """

    name: str
    arm: PlanarArm
    profile: Profile
    seed: int

    @classmethod
    def of(
        cls,
        name: str,
        dof: int | None = None,
        *,
        arm: PlanarArm | None = None,
        profile: str | Profile = "quick",
        seed: int | None = None,
    ) -> TrainingRun:
        """A run by names; the seed defaults to the profile's."""
        model_type(name)
        profile = get_profile(profile)
        profile.epochs_for(name)
        if (dof is None) == (arm is None):
            raise ValueError(f"expected either dof or arm, got dof={dof!r} and arm={arm!r}")
        arm = arm if arm is not None else PlanarArm.paper(dof)  # type: ignore[arg-type]
        return cls(name, arm, profile, profile.seed if seed is None else seed)

    @property
    def label(self) -> str:
        """How the run is called in progress lines."""
        return f"{self.name} {self.arm.dof} DoF, {self.profile.name}, seed {self.seed}"

    @property
    def epochs(self) -> int:
        """Number of epochs."""
        return self.profile.epochs_for(self.name)

    def build(self) -> NetworkSampler:
        """The untrained model."""
        return build(self.name, arm=self.arm, seed=self.seed)

    def key(self) -> str:
        """Content key: changes with settings, data and the code that trains."""
        package = Path(__file__).parent
        files = [
            file
            for source in _SOURCES
            for file in (
                (package / source).glob("*.py") if source == "models" else [package / source]
            )
        ]
        profile = self.profile
        numbers = (profile.samples, profile.batch, profile.train_fraction, profile.sigma)
        config = dataclasses.asdict(self.build().config)
        data = (self.name, self.arm.lengths, config, self.epochs, numbers, profile.seed, self.seed)
        return digest(data, files=files)

    def cost(self) -> float:
        """Expected effort relative to other runs, for the time left."""
        parameters = self.build().num_parameters / 1e6
        # Seconds a step, roughly, on two cores: fixed overhead and work per parameter.
        step = 0.12 + 0.19 * parameters if self.name == "inn" else 0.005 + 0.06 * parameters
        return step * self.epochs * self.profile.training_samples / self.profile.batch


def resolve_device(device: str | torch.device) -> torch.device:
    """A torch device; `auto` is CUDA where there is one, else the CPU."""
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    resolved = torch.device(device)
    if resolved.type == "cuda" and not torch.cuda.is_available():
        raise ValueError(f"device: got {device!r}, but torch finds no CUDA device here")
    return resolved


def train(
    run: TrainingRun,
    *,
    device: str | torch.device = "cpu",
    directory: str | os.PathLike[str] | None = None,
    progress: Progress | None = None,
    fresh: bool = False,
) -> tuple[NetworkSampler, dict[str, Any]]:
    """The trained model of a run with its record; trained only if it is not there yet.

    Weights whose content key is current are loaded. A run that was interrupted continues at its
    last epoch. The record holds settings, versions and the loss terms of every epoch.

    Args:
        run: What to train.
        device: `cpu`, `cuda` or `auto`.
        directory: Folder of all weights; see `weights.weights_path`.
        progress: Where to report; by default a progress of its own.
        fresh: Train even if current weights exist, and from the start.

    Raises:
        FloatingPointError: If a loss term is not finite; the message names epoch and term, and
            the checkpoint of the epoch before stays.
    """
    path = weights_path(run.name, run.arm, run.profile, run.seed, directory)
    checkpoint = path.with_suffix(".checkpoint")
    key, cost = run.key(), run.cost()
    progress = progress or Progress(cost)
    record = load_record(path)
    if not fresh and record is not None and record["key"] == key:
        progress.skip(cost)
        return restore(model_type(run.name), path, record).to(resolve_device(device)), record
    if fresh:
        checkpoint.unlink(missing_ok=True)
    loop = _Loop(run, key, resolve_device(device))
    progress.skip(cost * loop.resume(checkpoint) / run.epochs)
    while loop.epoch < run.epochs:
        loop.run_epoch(progress, cost / run.epochs)
        with atomic(checkpoint) as partial:
            torch.save(loop.state(), partial)
    record = {
        "key": key,
        "profile": run.profile.name,
        "seed": run.seed,
        "training": {
            "samples": run.profile.training_samples,
            "epochs": run.epochs,
            "batch": run.profile.batch,
            "sigma": run.profile.sigma,
        },
        "device": str(loop.device),
        "seconds": round(loop.seconds, 2),
        "environment": environment(),
        "history": loop.history,
    }
    model = loop.model.eval()
    record = save(model, path, record)
    checkpoint.unlink(missing_ok=True)
    return model, record


def train_all(
    runs: Sequence[TrainingRun],
    *,
    device: str | torch.device = "cpu",
    directory: str | os.PathLike[str] | None = None,
    fresh: bool = False,
) -> list[dict[str, Any]]:
    """Train several models one after the other under one progress; returns their records."""
    progress = Progress(sum(run.cost() for run in runs))
    records = []
    for number, run in enumerate(runs, 1):
        start = time.monotonic()
        _, record = train(run, device=device, directory=directory, progress=progress, fresh=fresh)
        took = time.monotonic() - start
        loss = sum(record["history"][-1]["terms"].values())
        progress.say(
            f"[{number}/{len(runs)}] {run.label}: training loss {loss:.4g} a batch, "
            f"{duration(took)} (training took {duration(record['seconds'])})"
        )
        records.append(record)
    return records


class _Loop:
    """The state of one training run, between epochs."""

    def __init__(self, run: TrainingRun, key: str, device: torch.device) -> None:
        self.run, self.key, self.device = run, key, device
        self.model = run.build().to(device).train()
        config = self.model.config
        self.optimizer = torch.optim.Adam(
            self.model.parameters(),
            lr=config.learning_rate,
            weight_decay=config.weight_decay,
            eps=config.adam_eps,
        )
        self.scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(
            self.optimizer, factor=PLATEAU_FACTOR, patience=PLATEAU_PATIENCE
        )
        self.order = Generator().manual_seed(run.seed)
        self.noise = Generator(device).manual_seed(run.seed)
        theta, tcp = profile_dataset(run.arm, run.profile).train
        self.theta = theta.to(device, torch.float32)
        self.tcp = tcp.to(device, torch.float32)
        self.epoch = 0
        self.seconds = 0.0
        self.history: list[dict[str, Any]] = []

    def resume(self, checkpoint: Path) -> int:
        """Continue from a checkpoint of this very run, if there is one; the epochs done."""
        try:
            state = torch.load(checkpoint, map_location=self.device, weights_only=True)
        except (FileNotFoundError, RuntimeError, EOFError, pickle.UnpicklingError):
            return 0
        if state["key"] != self.key:
            return 0
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.scheduler.load_state_dict(state["scheduler"])
        self.order.set_state(state["order"].cpu())
        self.noise.set_state(state["noise"].cpu())
        self.epoch, self.seconds = state["epoch"], state["seconds"]
        self.history = state["history"]
        return self.epoch

    def state(self) -> dict[str, Any]:
        """Everything that the next epoch depends on."""
        return {
            "key": self.key,
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scheduler": self.scheduler.state_dict(),
            "order": self.order.get_state(),
            "noise": self.noise.get_state(),
            "epoch": self.epoch,
            "seconds": self.seconds,
            "history": self.history,
        }

    def run_epoch(self, progress: Progress, cost: float) -> None:
        """One pass over the training samples."""
        run, start = self.run, time.monotonic()
        permutation = torch.randperm(len(self.theta), generator=self.order).to(self.device)
        batches = permutation.split(run.profile.batch)
        rows: list[Tensor] = []
        names: list[str] = []
        done = 0
        for batch in batches:
            terms = self._step(self.theta[batch], self.tcp[batch])
            names = list(terms)
            rows.append(torch.stack([value.detach() for value in terms.values()]))
            done += len(batch)
            rate = done / (time.monotonic() - start)
            progress.advance(
                cost / len(batches),
                f"{run.label}: epoch {self.epoch + 1}/{run.epochs}, {rate:,.0f} samples/s",
            )
        # Read once an epoch: a look at every step would make a GPU wait.
        table = torch.stack(rows).double().cpu()
        self._check_finite(names, table)
        means = dict(zip(names, table.mean(dim=0).tolist(), strict=True))
        self.scheduler.step(sum(means.values()))
        self.epoch += 1
        self.seconds += time.monotonic() - start
        rate = len(self.theta) / (time.monotonic() - start)
        self.history.append(
            {
                "epoch": self.epoch,
                "terms": means,
                "learning_rate": self.optimizer.param_groups[0]["lr"],
                "samples_per_second": round(rate, 1),
            }
        )

    def _check_finite(self, names: list[str], table: Tensor) -> None:
        """Raise if a term (column) of a batch (row) is not finite, naming the first."""
        if torch.isfinite(table).all():
            return
        batch, column = (~torch.isfinite(table)).nonzero()[0].tolist()
        raise FloatingPointError(
            f"{self.run.label}: {names[column]} is {float(table[batch, column])} in epoch "
            f"{self.epoch + 1}, batch {batch + 1}; the checkpoint of the epoch before is kept"
        )

    def _step(self, theta: Tensor, tcp: Tensor) -> dict[str, Tensor]:
        terms = self.model.loss(theta, tcp, self.epoch / self.run.epochs, self.noise)
        self.optimizer.zero_grad(set_to_none=True)
        torch.stack(list(terms.values())).sum().backward()
        clamp = self.model.config.grad_clamp
        if clamp is not None:
            torch.nn.utils.clip_grad_value_(self.model.parameters(), clamp)
        self.optimizer.step()
        return terms
