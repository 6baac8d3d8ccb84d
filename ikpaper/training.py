"""One training loop for every model: named loss terms, checkpoints, resume, content keys."""

from __future__ import annotations

import copy
import dataclasses
import math
import os
import pickle
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import torch
from torch import Generator, Tensor

from ikpaper.arm import PlanarArm
from ikpaper.dataset import profile_dataset
from ikpaper.files import atomic, digest, sources
from ikpaper.models import NetworkSampler, build, model_type
from ikpaper.products import fast_products
from ikpaper.profiles import Profile, get_profile
from ikpaper.progress import Progress, duration
from ikpaper.weights import (
    environment,
    load_record,
    load_with_record,
    restore,
    save,
    weights_path,
)

__all__ = [
    "PRECISIONS",
    "TrainingLoop",
    "TrainingRun",
    "resolve_device",
    "resolve_precision",
    "train",
    "train_all",
    "trained",
    "trained_models",
]

#: `ReduceLROnPlateau` on the training loss of an epoch, as the authors configure it.
PLATEAU_FACTOR = 0.05
PLATEAU_PATIENCE = 7

#: What the products between hidden layers may be computed in.
PRECISIONS = ("auto", "float32", "bfloat16")

#: bfloat16 is chosen where it is faster than float32 by at least this factor.
_WORTHWHILE = 1.3

#: Batches between two looks at the loss: a look at every one would make a GPU wait.
_LOOK = 50

#: An epoch whose loss is so many times that of the epoch before has diverged.
_RISE = 10.0

#: Modules whose source decides what a training run computes, besides the model's own.
_SOURCES = ("dataset", "training")

#: Modules that models import and that decide nothing of it.
_NO_SOURCES = ("sampler.py",)

#: Averaged weights follow the trained ones more closely at first: their decay is (1 + n) / (this
#: + n) after n steps, until it reaches the recipe's.
_AVERAGE_START = 10


@dataclass(frozen=True)
class TrainingRun:
    """One model to train: everything that decides its weights.

    Attributes:
        name: Model name.
        arm: The arm.
        profile: How much data and how many epochs.
        seed: Seed of initial weights, batches and noise.
        precision: Of the products between hidden layers: `float32`, `bfloat16`, or `auto`, which
            is bfloat16 where the device is faster at it and the model bears it. All else is
            float32.
        changes: Hyperparameters that differ from the model's defaults, as pairs.
    """

    name: str
    arm: PlanarArm
    profile: Profile
    seed: int
    precision: str = "auto"
    changes: tuple[tuple[str, Any], ...] = ()

    @classmethod
    def of(
        cls,
        name: str,
        dof: int | None = None,
        *,
        arm: PlanarArm | None = None,
        profile: str | Profile = "quick",
        seed: int | None = None,
        precision: str = "auto",
        **changes: Any,
    ) -> TrainingRun:
        """A run by names; the seed defaults to the profile's, `changes` are hyperparameters."""
        model_type(name)
        profile = get_profile(profile)
        profile.epochs_for(name)
        if (dof is None) == (arm is None):
            raise ValueError(f"expected either dof or arm, got dof={dof!r} and arm={arm!r}")
        if precision not in PRECISIONS:
            raise ValueError(
                f"precision: expected one of {', '.join(PRECISIONS)}, got {precision!r}"
            )
        if precision not in ("auto", *model_type(name).precisions):
            raise ValueError(
                f"precision: {name!r} computes in {' or '.join(model_type(name).precisions)}, got "
                f"{precision!r}"
            )
        arm = arm if arm is not None else PlanarArm.paper(dof)  # type: ignore[arg-type]
        seed = profile.seed if seed is None else seed
        return cls(name, arm, profile, seed, precision, tuple(sorted(changes.items())))

    @property
    def label(self) -> str:
        """How the run is called in progress lines."""
        return f"{self.name} {self.arm.dof} DoF, {self.profile.name}, seed {self.seed}"

    @property
    def epochs(self) -> int:
        """Number of epochs."""
        return self.profile.epochs_for(self.name)

    def build(self) -> NetworkSampler:
        """The untrained model; one that knows its prior gets the one it trains on."""
        changes = dict(self.changes)
        if "sigma" in model_type(self.name).config_type.__dataclass_fields__:
            changes = {"sigma": self.profile.sigma_for(self.arm), **changes}
        return build(self.name, arm=self.arm, seed=self.seed, **changes)

    @property
    def teacher(self) -> TrainingRun | None:
        """The run of the model that this one learns from, if it learns from one."""
        name = model_type(self.name).teacher
        return None if name is None else dataclasses.replace(self, name=name, changes=())

    def path(self, directory: str | os.PathLike[str] | None = None) -> Path:
        """Where its weights are kept."""
        return weights_path(self.name, self.arm, self.profile, self.seed, directory)

    def current(self, directory: str | os.PathLike[str] | None = None) -> dict[str, Any] | None:
        """The record of its weights, if they are there and neither code nor teacher changed."""
        record = load_record(self.path(directory))
        if record is None or record["key"] != self.key():
            return None
        taught = self.teacher and load_record(self.teacher.path(directory))
        return None if taught and taught["sha256"] != record["teacher"] else record

    def settings_key(self) -> str:
        """Content key of settings and data alone."""
        profile = self.profile
        sigma = profile.sigma_for(self.arm)
        numbers = (profile.samples, profile.batch, profile.train_fraction, sigma)
        config = dataclasses.asdict(self.build().config)
        seeds = (profile.seed, self.seed)
        return digest(
            self.name, self.arm.lengths, config, self.epochs, numbers, seeds, self.precision
        )

    def key(self) -> str:
        """Content key: changes with settings, data and the code that trains."""
        package = Path(__file__).parent
        files = [package / f"{name}.py" for name in _SOURCES]
        return digest(
            self.settings_key(), files=[*files, *sources(model_type(self.name), _NO_SOURCES)]
        )

    @property
    def batch(self) -> int:
        """Training samples of a step."""
        return self.profile.batch * model_type(self.name).recipe.batches

    def cost(self) -> float:
        """Expected effort relative to other runs, for the time left."""
        parameters = self.build().num_parameters / 1e6
        # Seconds for 1000 samples, roughly, on two cores: fixed overhead and work per parameter.
        fixed, work = _COST.get(self.name, (0.005, 0.06))
        samples = self.epochs * self.profile.training_samples
        return (fixed + work * parameters) * samples / 1000


#: Seconds for a training step of 1000 samples, and for a million parameters more.
_COST = {"inn": (0.12, 0.19)}


def resolve_device(device: str | torch.device) -> torch.device:
    """A torch device; `auto` is CUDA where there is one, else the CPU."""
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    resolved = torch.device(device)
    if resolved.type == "cuda" and not torch.cuda.is_available():
        raise ValueError(f"device: got {device!r}, but torch finds no CUDA device here")
    return resolved


def resolve_precision(precision: str, model: NetworkSampler) -> str:
    """`float32` or `bfloat16`; `auto` is the faster one on the model's device, if it bears both."""
    if precision != "auto":
        return precision
    if not model.reducible:
        return "float32"
    device = model.device
    seconds = {name: _product_seconds(name, device) for name in ("float32", "bfloat16")}
    fast = seconds["float32"] > _WORTHWHILE * seconds["bfloat16"]
    return "bfloat16" if fast else "float32"


@fast_products()
def _product_seconds(dtype: str, device: torch.device, repeats: int = 10) -> float:
    """Fastest time of a product as the subnets have them."""
    hidden = torch.ones(2, 1000, 128, dtype=getattr(torch, dtype), device=device)
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        product = torch.bmm(hidden, hidden[:, :128])
        product[0, 0, 0].item()
        times.append(time.perf_counter() - start)
    return min(times)


def train(
    run: TrainingRun,
    *,
    device: str | torch.device = "cpu",
    directory: str | os.PathLike[str] | None = None,
    progress: Progress | None = None,
    fresh: bool = False,
    retries: int = 0,
) -> tuple[NetworkSampler, dict[str, Any]]:
    """The trained model of a run with its record; trained only if it is not there yet.

    Weights whose content key is current are loaded. A run that was interrupted continues at its
    last epoch. The record holds settings, versions, the loss terms of every epoch and every
    divergence that was overcome.

    Args:
        run: What to train.
        device: `cpu`, `cuda` or `auto`.
        directory: Folder of all weights; see `weights.weights_path`.
        progress: Where to report; by default a progress of its own.
        fresh: Train even if current weights exist, and from the start.
        retries: How often to repeat an epoch that diverges, from the checkpoint before it, with
            other noise and another order of batches.

    Raises:
        FileNotFoundError: If the model learns from another one that is not there yet.
        FloatingPointError: If the loss diverges; the message names epoch and term, and the
            checkpoint of the epoch before stays.
    """
    path = run.path(directory)
    checkpoint = path.with_suffix(".checkpoint")
    key, cost = run.key(), run.cost()
    progress = progress or Progress(cost)
    record = None if fresh else run.current(directory)
    if record is not None:
        progress.skip(cost)
        return restore(model_type(run.name), path, record).to(resolve_device(device)), record
    if fresh:
        checkpoint.unlink(missing_ok=True)
    teacher, taught = None, None
    if run.teacher is not None:
        teacher, its = trained(run.teacher, train_here=False, directory=directory)
        teacher, taught = teacher.to(resolve_device(device)), its["sha256"]
        progress.say(f"{run.label}: {run.profile.training_samples:,} samples of a {teacher.name}")
    loop = TrainingLoop(run, digest(key, taught), resolve_device(device), teacher)
    progress.skip(cost * loop.resume(checkpoint) / run.epochs)
    attempt = 0
    while loop.epoch < run.epochs:
        before = progress.done
        try:
            loop.run_epoch(progress, cost / run.epochs)
        except FloatingPointError as error:
            if attempt >= retries:
                raise
            attempt += 1
            progress.say(f"{error}; continuing there with other noise")
            progress.repeat(progress.done - before)
            divergences = [*loop.divergences, str(error).partition(": ")[2].partition(";")[0]]
            loop = TrainingLoop(run, loop.key, loop.device, inputs=loop.theta)
            loop.resume(checkpoint)
            loop.vary(attempt)
            loop.divergences = divergences
            continue
        attempt = 0
        with atomic(checkpoint) as partial:
            torch.save(loop.state(), partial)
    record = {
        "key": key,
        "teacher": taught,
        "profile": run.profile.name,
        "seed": run.seed,
        "training": {
            "samples": run.profile.training_samples,
            "epochs": run.epochs,
            "batch": run.batch,
            "sigma": run.profile.sigma_for(run.arm),
        },
        "device": str(loop.device),
        "precision": loop.precision,
        "seconds": round(loop.seconds, 2),
        "divergences": loop.divergences,
        "environment": environment(),
        "history": loop.history,
    }
    model = loop.result()
    model.precision = None
    record = save(model, path, record)
    checkpoint.unlink(missing_ok=True)
    return model, record


def trained(
    run: TrainingRun,
    *,
    train_here: bool,
    directory: str | os.PathLike[str] | None = None,
) -> tuple[NetworkSampler, dict[str, Any]]:
    """The model of a run with its record: trained here, or the weights that are there already.

    Weights that are there are taken as they are, whatever code trained them; `train` would train
    again if the code has changed since.

    Raises:
        FileNotFoundError: If nothing is to be trained and there are no weights.
    """
    if train_here:
        return train(run, directory=directory)
    return load_with_record(run.name, run.arm, run.profile, run.seed, directory)


def trained_models(
    names: Sequence[str],
    dof: int,
    profile: str | Profile,
    *,
    train_here: bool,
    directory: str | os.PathLike[str] | None = None,
) -> dict[str, tuple[NetworkSampler, dict[str, Any]]]:
    """Models of one of the paper's arms by name, each with its record.

    Without training, those whose weights are there: some may still be pending.

    Raises:
        FileNotFoundError: If nothing is to be trained and there are no weights of any.
    """
    runs = {name: TrainingRun.of(name, dof, profile=profile) for name in names}
    found, missing = {}, None
    for name, run in runs.items():
        try:
            found[name] = trained(run, train_here=train_here, directory=directory)
        except FileNotFoundError as error:
            missing = missing or error
    if missing is not None and not found:
        raise missing
    return found


def train_all(
    runs: Sequence[TrainingRun],
    *,
    device: str | torch.device = "cpu",
    directory: str | os.PathLike[str] | None = None,
    fresh: bool = False,
    retries: int = 0,
) -> list[dict[str, Any]]:
    """Train several models one after the other under one progress; returns their records."""
    progress = Progress(sum(run.cost() for run in runs))
    records = []
    for number, run in enumerate(runs, 1):
        start = time.monotonic()
        _, record = train(
            run,
            device=device,
            directory=directory,
            progress=progress,
            fresh=fresh,
            retries=retries,
        )
        took = time.monotonic() - start
        loss = sum(record["history"][-1]["terms"].values())
        progress.say(
            f"[{number}/{len(runs)}] {run.label}: training loss {loss:.4g} a batch, "
            f"{duration(took)} (training took {duration(record['seconds'])})"
        )
        records.append(record)
    return records


class TrainingLoop:
    """The state of one training run, between epochs."""

    def __init__(
        self,
        run: TrainingRun,
        key: str,
        device: torch.device,
        teacher: NetworkSampler | None = None,
        *,
        inputs: Tensor | None = None,
    ) -> None:
        self.run, self.key, self.device = run, key, device
        self.model = run.build().to(device).train()
        self._set_precision(resolve_precision(run.precision, self.model))
        config = self.model.config
        on_gpu = device.type == "cuda"
        self.optimizer = torch.optim.Adam(
            self.model.parameters(),
            # A tensor on a GPU: a captured step reads the rate of the day from it.
            lr=torch.tensor(config.learning_rate, device=device)
            if on_gpu
            else config.learning_rate,
            weight_decay=config.weight_decay,
            eps=config.adam_eps,
            fused=True,
            capturable=on_gpu,
        )
        recipe = self.model.recipe
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
            draw = Generator(device).manual_seed(int(digest(run.seed, "inputs")[:15], 16))
            theta = theta.to(device, torch.float32)
            with fast_products():
                inputs = self.model.training_inputs(theta, self.tcp, teacher, draw)
        self.theta = inputs
        self.epoch = 0
        self.seconds = time.monotonic() - start
        self.history: list[dict[str, Any]] = []
        self.divergences: list[str] = []
        #: A loss so many times that of the epoch before has diverged.
        self.rise = _RISE

    def result(self) -> NetworkSampler:
        """What the training has led to so far: the averaged weights, if the recipe has them."""
        return (self.average or self.model).eval()

    def vary(self, attempt: int) -> None:
        """Draw other noise and another order of batches from here on.

        What is drawn depends on nothing but the run, the epoch and the attempt, so that a run
        that is interrupted and continued meets the same divergences and ends the same.
        """
        seed = int(digest(self.run.seed, self.epoch, attempt)[:15], 16)
        self.order.manual_seed(seed)
        self.noise.manual_seed(seed)

    def _set_precision(self, precision: str) -> None:
        self.precision = precision
        self.model.precision = getattr(torch, precision)

    def resume(self, checkpoint: Path) -> int:
        """Continue from a checkpoint of this very run, if there is one; the epochs done."""
        try:
            state = torch.load(checkpoint, map_location=self.device, weights_only=True)
        except (FileNotFoundError, RuntimeError, EOFError, pickle.UnpicklingError):
            return 0
        if state["key"] != self.key:
            return 0
        self._set_precision(state["precision"])
        self.model.load_state_dict(state["model"])
        if self.average is not None:
            self.average.load_state_dict(state["average"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.scheduler.load_state_dict(state["scheduler"])
        self.order.set_state(state["order"].cpu())
        self.noise.set_state(state["noise"].cpu())
        self.epoch, self.seconds = state["epoch"], state["seconds"]
        self.history, self.divergences = state["history"], state["divergences"]
        return self.epoch

    def state(self) -> dict[str, Any]:
        """Everything that the next epoch depends on."""
        return {
            "key": self.key,
            "precision": self.precision,
            "model": self.model.state_dict(),
            "average": self.average.state_dict() if self.average is not None else None,
            "optimizer": self.optimizer.state_dict(),
            "scheduler": self.scheduler.state_dict(),
            "order": self.order.get_state(),
            "noise": self.noise.get_state(),
            "epoch": self.epoch,
            "seconds": self.seconds,
            "history": self.history,
            "divergences": self.divergences,
        }

    @fast_products()
    def run_epoch(self, progress: Progress, cost: float) -> None:
        """One pass over the training samples.

        Raises:
            FloatingPointError: If a term is not finite, or the loss many times the last epoch's.
        """
        run, start = self.run, time.monotonic()
        order = torch.randperm(len(self.theta), generator=self.order).to(self.device)
        batches = list(
            zip(
                self.theta[order].split(run.batch),
                self.tcp[order].split(run.batch),
                strict=True,
            )
        )
        # The weight of a loss term changes from epoch to epoch: captured anew in each.
        step = _Captured(self._step, self.noise) if self.device.type == "cuda" else self._step
        rows: list[Tensor] = []
        done = 0
        for i, batch in enumerate(batches):
            count = self.epoch * len(batches) + i
            self._set_rate(count, run.epochs * len(batches))
            rows.append(step(*batch))
            self._update_average(count)
            if (i + 1) % _LOOK == 0:
                self._check_finite(torch.stack(rows[-_LOOK:]), i + 1 - _LOOK)
            done += len(batch[0])
            rate = done / (time.monotonic() - start)
            progress.advance(
                cost / len(batches),
                f"{run.label}: epoch {self.epoch + 1}/{run.epochs}, {rate:,.0f} samples/s"
                + self._losses(),
            )
        table = torch.stack(rows).double().cpu()
        self._check_finite(table)
        means = dict(zip(self.names, table.mean(dim=0).tolist(), strict=True))
        self._check_rise(means)
        if self.model.recipe.schedule == "plateau":
            self.scheduler.step(sum(means.values()))
        self.epoch += 1
        self.seconds += time.monotonic() - start
        rate = len(self.theta) / (time.monotonic() - start)
        self.history.append(
            {
                "epoch": self.epoch,
                "terms": means,
                "learning_rate": float(self.optimizer.param_groups[0]["lr"]),
                "samples_per_second": round(rate, 1),
            }
        )

    def _losses(self) -> str:
        """The terms of the epoch before, for the progress line."""
        if not self.history:
            return ""
        terms = self.history[-1]["terms"].items()
        return "; last " + ", ".join(f"{name} {value:.3g}" for name, value in terms)

    def _set_rate(self, step: int, steps: int) -> None:
        """Raise the learning rate linearly over the first steps; lower it if the recipe does."""
        config, cosine = self.model.config, self.model.recipe.schedule == "cosine"
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
        batch, column = (~torch.isfinite(table)).nonzero()[0].tolist()
        self._diverged(
            f"{self.names[column]} is {float(table[batch, column])} in epoch {self.epoch + 1}, "
            f"batch {first + batch + 1}"
        )

    def _check_rise(self, means: dict[str, float]) -> None:
        """Raise if the loss is many times that of the epoch before."""
        if not self.history or not self.model.recipe.positive:
            return
        before, now = sum(self.history[-1]["terms"].values()), sum(means.values())
        if now > self.rise * before:
            largest = max(means, key=lambda name: means[name])
            self._diverged(
                f"the loss rose from {before:.3g} to {now:.3g} in epoch {self.epoch + 1}, most of "
                f"it {largest}"
            )

    def _diverged(self, what: str) -> NoReturn:
        raise FloatingPointError(
            f"{self.run.label}: {what}; the checkpoint of the epoch before is kept"
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


class _Captured:
    """A step on a GPU as one CUDA graph: its small kernels no longer wait for Python.

    The first calls, and calls with another batch size, run the step as it is.
    """

    #: Calls that run as they are, for libraries to choose kernels and allocate, before capture.
    WARM_UP = 3

    def __init__(self, step: Callable[[Tensor, Tensor], Tensor], generator: Generator) -> None:
        self.step, self.generator = step, generator
        self.calls = 0
        self.graph: torch.cuda.CUDAGraph | None = None

    def __call__(self, theta: Tensor, tcp: Tensor) -> Tensor:
        if self.calls < self.WARM_UP:
            self.calls += 1
            return self._beside(theta, tcp)
        graph = self.graph = self.graph or self._capture(theta, tcp)
        if theta.shape != self.theta.shape:
            return self._beside(theta, tcp)
        self.theta.copy_(theta)
        self.tcp.copy_(tcp)
        graph.replay()
        return self.values.clone()

    def _beside(self, theta: Tensor, tcp: Tensor) -> Tensor:
        """Run on a side stream, as CUDA asks for before a capture."""
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            values = self.step(theta, tcp)
        torch.cuda.current_stream().wait_stream(stream)
        return values

    def _capture(self, theta: Tensor, tcp: Tensor) -> torch.cuda.CUDAGraph:
        self.theta, self.tcp = theta.clone(), tcp.clone()
        graph = torch.cuda.CUDAGraph()
        graph.register_generator_state(self.generator)
        with torch.cuda.graph(graph):
            self.values = self.step(self.theta, self.tcp)
        return graph
