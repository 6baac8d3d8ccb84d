"""One training loop for every model: named loss terms, reports, states to continue from."""

from __future__ import annotations

import copy
import math
import pickle
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Generator, Tensor

from ikpaper.dataset import profile_dataset
from ikpaper.identity import digest
from ikpaper.training.cuda_graph import CapturedStep

if TYPE_CHECKING:
    from ikpaper.models import NetworkSampler
    from ikpaper.training.run import TrainingRun


#: Raise when numbers change: when the same run ends in other weights.
VERSION = 1

#: `ReduceLROnPlateau` on the training loss of an epoch, as the authors configure it.
PLATEAU_FACTOR = 0.05

PLATEAU_PATIENCE = 7

#: Batches between two reports: looking at the loss after every one would make a GPU wait.
_REPORT_EVERY = 50

#: Averaged weights follow the trained ones more closely at first: their decay is (1 + n) / (this
#: + n) after n steps, until it reaches the recipe's.
_AVERAGE_START = 10


@dataclass(frozen=True)
class Report:
    """How far a training is.

    Attributes:
        epoch: The epoch that it is in, from 1.
        epochs: How many there will be.
        batch: Batches done of this epoch.
        batches: Batches of an epoch.
        samples_per_second: In this epoch so far.
        terms: Mean of each loss term over the epoch; None before its end.
    """

    epoch: int
    epochs: int
    batch: int
    batches: int
    samples_per_second: float
    terms: dict[str, float] | None = None

    @property
    def complete(self) -> bool:
        """Whether the epoch is done, so that the loop's state can be kept."""
        return self.terms is not None

    @property
    def epochs_done(self) -> float:
        """Epochs done, the present one as a fraction."""
        return self.epoch - 1 + self.batch / self.batches


class Diverged(FloatingPointError):
    """A loss term is not finite, or the loss has risen manyfold.

    Attributes:
        label: What was trained.
        where: What diverged and where.
    """

    def __init__(self, label: str, where: str) -> None:
        super().__init__(label, where)  # As pickle hands them on.
        self.label, self.where = label, where

    def __str__(self) -> str:
        return f"{self.label}: {self.where}"


class TrainingLoop:
    """The state of one training run, and the steps from there.

    Example:
        >>> from ikpaper.training import TrainingRun
        >>> loop = TrainingLoop(TrainingRun.of("cvae", 4, profile="smoke"))
        >>> [report.epoch for report in loop.epochs() if report.complete]
        [1, 2]

    Args:
        run: What to train.
        device: Where to.
        teacher: The trained model that this one learns from, if it learns from one.
        key: Content key that a state carries and is known by.
        inputs: What the model's `training_inputs` returned in an earlier loop of the same run.
        rise: An epoch whose loss is so many times that of the epoch before has diverged.

    Attributes:
        model: The model, on its device.
        epoch: Epochs done.
        seconds: What they took.
        history: A row for each epoch: terms, learning rate, samples a second.
        divergences: What `Diverged.where` said of epochs that were repeated.
    """

    def __init__(
        self,
        run: TrainingRun,
        device: torch.device | str = "cpu",
        teacher: NetworkSampler | None = None,
        *,
        key: str = "",
        inputs: Tensor | None = None,
        rise: float = 10.0,
    ) -> None:
        self.run, self.key, self.rise = run, key, rise
        device = self.device = torch.device(device)
        self.model = run.build().to(device).train()
        self.model.precision = getattr(torch, run.precision)
        config, recipe = self.model.config, self.model.recipe
        self.optimizer = torch.optim.Adam(
            self.model.parameters(),
            # A CUDA graph reads the current learning rate from this tensor.
            lr=torch.tensor(config.learning_rate, device=device)
            if device.type == "cuda"
            else config.learning_rate,
            weight_decay=config.weight_decay,
            eps=config.adam_eps,
            fused=True,
            capturable=device.type == "cuda",
        )
        self.average = copy.deepcopy(self.model) if recipe.average else None
        self.scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(
            self.optimizer, factor=PLATEAU_FACTOR, patience=PLATEAU_PATIENCE
        )
        self.order = Generator().manual_seed(run.seed)
        self.noise = Generator(device).manual_seed(run.seed)
        theta, tcp = profile_dataset(run.arm, run.profile).train
        self.tcp = tcp.to(device, torch.float32)
        start = time.monotonic()
        if inputs is None:
            draw = Generator(device).manual_seed(_seed(run.seed, "inputs"))
            theta = theta.to(device, torch.float32)
            inputs = self.model.training_inputs(theta, self.tcp, teacher, draw)
        self.inputs = inputs
        self.epoch = 0
        self.seconds = time.monotonic() - start
        self.history: list[dict[str, Any]] = []
        self.divergences: list[str] = []

    def result(self) -> NetworkSampler:
        """A copy of what the training has led to so far, ready to sample.

        It has the averaged weights, if the recipe has them, and samples in the precision of its
        parameters, whatever the training computes in.
        """
        model = copy.deepcopy(self.average or self.model).eval()
        model.precision = None
        return model

    def vary(self, attempt: int) -> None:
        """Draw other noise and another order of batches from here on.

        What is drawn depends on nothing but the run, the epoch and the attempt, so that a run
        that is interrupted and continued meets the same divergences and ends the same.
        """
        seed = _seed(self.run.seed, self.epoch, attempt)
        self.order.manual_seed(seed)
        self.noise.manual_seed(seed)

    def resume(self, checkpoint: Path) -> int:
        """Continue from a checkpoint of this very run, if there is one; the epochs done.

        Raises:
            ValueError: If the checkpoint was made on a device of another kind, whose random
                numbers are others.
        """
        try:
            state = torch.load(checkpoint, map_location=self.device, weights_only=True)
        except (FileNotFoundError, RuntimeError, EOFError, pickle.UnpicklingError):
            return 0
        if state["key"] != self.key:
            return 0
        if state["device"] != self.device.type:
            raise ValueError(
                f"device: {checkpoint} was made on {state['device']}, got {self.device.type}; "
                "continue there, or start anew with --fresh"
            )
        for name, part in self._parts().items():
            part.load_state_dict(state[name])
        self.order.set_state(state["order"].cpu())
        self.noise.set_state(state["noise"].cpu())
        self.epoch, self.seconds = state["epoch"], state["seconds"]
        self.history, self.divergences = state["history"], state["divergences"]
        return self.epoch

    def state(self) -> dict[str, Any]:
        """Everything that the next epoch depends on."""
        return {
            "key": self.key,
            "device": self.device.type,
            **{name: part.state_dict() for name, part in self._parts().items()},
            "order": self.order.get_state(),
            "noise": self.noise.get_state(),
            "epoch": self.epoch,
            "seconds": self.seconds,
            "history": self.history,
            "divergences": self.divergences,
        }

    def _parts(self) -> dict[str, Any]:
        """What has a state of its own, by its name there."""
        parts = {"model": self.model, "optimizer": self.optimizer, "scheduler": self.scheduler}
        return parts if self.average is None else {**parts, "average": self.average}

    def epochs(self) -> Iterator[Report]:
        """Train the epochs that are left; a report now and then, and at the end of each.

        Raises:
            Diverged: If a term is not finite, or the loss many times the last epoch's. The loop
                is of no use after that: continue in a new one.
        """
        while self.epoch < self.run.epochs:
            yield from self._epoch()

    def _epoch(self) -> Iterator[Report]:
        """One pass over the training samples."""
        start = time.monotonic()
        order, size = torch.randperm(len(self.inputs), generator=self.order), self.run.batch
        parts = (part[order.to(self.device)].split(size) for part in (self.inputs, self.tcp))
        batches = list(zip(*parts, strict=True))
        # The weight of a loss term changes from epoch to epoch: captured anew in each.
        step = CapturedStep(self._step, self.noise) if self.device.type == "cuda" else self._step
        rows: list[Tensor] = []
        for i, batch in enumerate(batches, 1):
            count = self.epoch * len(batches) + i - 1
            self._set_rate(count, self.run.epochs * len(batches))
            rows.append(step(*batch))
            self._update_average(count)
            if i % _REPORT_EVERY == 0 and i < len(batches):
                self._check_finite(torch.stack(rows[-_REPORT_EVERY:]), i - _REPORT_EVERY)
                rate = i * size / (time.monotonic() - start)
                yield Report(self.epoch + 1, self.run.epochs, i, len(batches), rate)
        table = torch.stack(rows).double().cpu()
        self._check_finite(table)
        means = dict(zip(self.names, table.mean(dim=0).tolist(), strict=True))
        self._check_rise(means)
        if self.run.schedule == "plateau":
            self.scheduler.step(sum(means.values()))
        elif self.run.schedule == "plateau-at-full-weight":
            progress = self.epoch / self.run.epochs
            self.scheduler.step(sum(self.model.at_full_weight(means, progress).values()))
        took = time.monotonic() - start
        rate = len(self.inputs) / took
        self.epoch += 1
        self.seconds += took
        self.history.append(
            {
                "epoch": self.epoch,
                "terms": means,
                "learning_rate": float(self.optimizer.param_groups[0]["lr"]),
                "samples_per_second": round(rate, 1),
            }
        )
        yield Report(self.epoch, self.run.epochs, len(batches), len(batches), rate, means)

    def _set_rate(self, step: int, steps: int) -> None:
        """Raise the learning rate linearly over the first steps; lower it by a cosine."""
        config, cosine = self.model.config, self.run.schedule == "cosine"
        if step >= config.warmup and not cosine:
            return
        rate = config.learning_rate * min(1.0, (step + 1) / max(config.warmup, 1))
        if cosine:
            rate *= 0.5 * (1 + math.cos(math.pi * step / steps))
        for group in self.optimizer.param_groups:
            if isinstance(group["lr"], Tensor):
                group["lr"].fill_(rate)
            else:
                group["lr"] = rate

    @torch.no_grad()
    def _update_average(self, step: int) -> None:
        """Move the averaged weights towards those of this step."""
        if self.average is None:
            return
        decay = min(self.model.recipe.average, (1 + step) / (_AVERAGE_START + step))
        pairs = zip(self.average.parameters(), self.model.parameters(), strict=True)
        # FrEIA keeps permutations, which are whole numbers, among the parameters.
        moving, current = zip(*(pair for pair in pairs if pair[1].requires_grad), strict=True)
        torch._foreach_lerp_(list(moving), list(current), 1 - decay)

    def _check_finite(self, table: Tensor, first: int = 0) -> None:
        """Raise if a term (column) of a batch (row) is not finite, naming the first."""
        if torch.isfinite(table).all():
            return
        row, column = (~torch.isfinite(table)).nonzero()[0].tolist()
        raise Diverged(
            self.run.label,
            f"{self.names[column]} is {float(table[row, column])} in epoch {self.epoch + 1}, "
            f"batch {first + row + 1}",
        )

    def _check_rise(self, means: dict[str, float]) -> None:
        """Raise if the loss is many times that of the epoch before."""
        if not self.history or not self.model.recipe.positive:
            return
        before, now = sum(self.history[-1]["terms"].values()), sum(means.values())
        if now > self.rise * before:
            raise Diverged(
                self.run.label,
                f"the loss rose from {before:.3g} to {now:.3g} in epoch {self.epoch + 1}, "
                f"most of it {max(means, key=lambda name: means[name])}",
            )

    def _step(self, theta: Tensor, tcp: Tensor) -> Tensor:
        """One step of the optimiser; the values of the loss terms."""
        terms = self.model.loss(theta, tcp, self.epoch / self.run.epochs, self.noise)
        self.names = list(terms)
        values = torch.stack(list(terms.values()))
        self.optimizer.zero_grad(set_to_none=True)
        values.sum().backward()
        clamp = self.model.config.grad_clamp
        if clamp is not None:
            torch.nn.utils.clip_grad_value_(self.model.parameters(), clamp)
        self.optimizer.step()
        return values.detach()


def _seed(*parts: int | str) -> int:
    return int(digest(*parts)[:15], 16)
