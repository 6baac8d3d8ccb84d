"""Baselines: posteriors that sbi trains on the same simulations, scored beside ours.

sbi (Boelts et al., 2025) is the reference library of simulation-based inference. It is optional:
nothing here imports it before it is needed.
"""

from __future__ import annotations

import contextlib
import io
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pandas as pd
import torch

from ikpaper import dataset
from ikpaper.arm import PlanarArm
from ikpaper.checks import check_count
from ikpaper.dataset import profile_dataset
from ikpaper.evaluation import PERMUTATIONS, Task
from ikpaper.experiments import published
from ikpaper.experiments.runner import Job, ResultTable, results_path, run_jobs
from ikpaper.files import project_root
from ikpaper.identity import Identity
from ikpaper.profiles import PUBLISHED, Profile, get_profile
from ikpaper.progress import Progress, duration
from ikpaper.sampler import Sampler
from ikpaper.samplers import ExactPosterior, SbiSampler
from ikpaper.training import TrainingRun, train

__all__ = [
    "BASELINES",
    "COLUMNS",
    "DOF",
    "TARGETS",
    "Trained",
    "baseline_jobs",
    "baseline_table",
    "run_baselines",
    "train_baseline",
]

#: Part of the identity of what sbi trains here. Raise it when its numbers change, with another
#: version of sbi for instance.
VERSION = 1

#: Trainers of `sbi.inference` by the name of their row, each with the network, the batch size and
#: the optimiser that sbi gives it by default, and the epochs it gets: neural posterior estimation,
#: which is a flow trained by maximum likelihood (Greenberg et al., 2019), and flow matching
#: (Wildberger et al., 2023). So many epochs take about as long as the training of our flow.
BASELINES: Mapping[str, tuple[str, int]] = MappingProxyType(
    {"npe": ("NPE", 17), "fmpe": ("FMPE", 18)}
)

#: Columns of the table, which are the scores, what the training took, and who did it. No C2ST: so
#: few targets are as these rows could afford say little.
COLUMNS = (
    *(name for name in published.COLUMNS if name not in published.CHECKED),
    *("epochs", "library"),
)

#: Arms and number of random targets of the table that the book shows.
DOF, TARGETS = (6,), 200

#: Our model beside the baselines.
_OURS = "flow"

#: Rows of an arm, in the order of the table.
_ROWS = ("exact", _OURS, *BASELINES)

#: Seconds that scoring a target takes, and an epoch of 700,000 samples, roughly.
_SCORING = {"exact": 0.7, _OURS: 1.5, "npe": 0.6, "fmpe": 1.5}
_EPOCH = 27.0

#: What sbi warns of and is meant: the targets crowd near full reach, and training ends early.
_MEANT = ("Data has extreme outliers", "Maximum number of epochs")


@dataclass(frozen=True)
class Trained:
    """A trained baseline.

    Attributes:
        sampler: Its posterior.
        seconds: What the training took.
        epochs: Passes over its training samples, which are 90 % of ours: sbi validates on the rest.
        parameters: Number of trainable parameters.
    """

    sampler: SbiSampler
    seconds: float
    epochs: int
    parameters: int


def train_baseline(
    name: str, arm: PlanarArm, *, epochs: int | None = None, profile: str | Profile = PUBLISHED
) -> Trained:
    """Train a baseline on the training samples of a profile, for so many epochs or to convergence.

    An interrupted training starts anew. The weights are those of the epoch that validates best,
    as sbi keeps them. Everything that is not said here is sbi's default.

    Args:
        name: Name in `BASELINES`.
        arm: The arm.
        epochs: Most epochs, at least 2; by default those of `BASELINES`.
        profile: Where simulations, prior and seed come from.

    Raises:
        ValueError: If there is no such baseline, or there are fewer epochs.
        RuntimeError: If sbi is not installed; the message says how to install it.
    """
    if name not in BASELINES:
        raise ValueError(f"unknown baseline {name!r}; known: {', '.join(BASELINES)}")
    kind, usual = BASELINES[name]
    epochs = usual if epochs is None else check_count("epochs", epochs, 2)
    trainer_type = getattr(_import_sbi().inference, kind)
    profile = get_profile(profile)
    theta, tcp = (part.float() for part in profile_dataset(arm, profile).train)
    spread = torch.tensor(arm.prior_sigma(profile.sigma_for(arm)))
    prior = torch.distributions.MultivariateNormal(torch.zeros(arm.dof), spread.square().diag())
    with torch.random.fork_rng(devices=[]), _quiet():
        torch.manual_seed(profile.seed)
        start = time.monotonic()
        trainer = trainer_type(prior, tracker=_NoTracker(), show_progress_bars=False)
        trainer.append_simulations(theta, tcp)
        # sbi trains for one epoch more than it is asked for.
        network = trainer.train(max_num_epochs=epochs - 1)
        seconds = time.monotonic() - start
        posterior = trainer.build_posterior()
    parameters = sum(p.numel() for p in network.parameters() if p.requires_grad)
    done = trainer.summary["epochs_trained"][-1]
    return Trained(SbiSampler(arm, posterior), seconds, done, parameters)


def _import_sbi() -> Any:
    try:
        import sbi.inference
    except ImportError as error:
        raise RuntimeError(
            "this needs sbi, which is not installed; install with: "
            "pip install -r requirements-baselines.lock"
        ) from error
    return sbi


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without sbi's lines on standard output and the warnings that say what is meant."""
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        for message in _MEANT:
            warnings.filterwarnings("ignore", message)
        yield


class _NoTracker:
    """A tracker of sbi that keeps nothing; by default, sbi leaves a folder `sbi-logs` behind."""

    log_dir = None

    def log_metric(self, name: str, value: float, step: int | None = None) -> None:
        pass

    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        pass

    def log_params(self, params: dict[str, Any]) -> None:
        pass

    def add_figure(self, name: str, figure: Any, step: int | None = None) -> None:
        pass

    def flush(self) -> None:
        pass


def run_baselines(
    *,
    dofs: Sequence[int] = DOF,
    epochs: int | None = None,
    targets: int = TARGETS,
    profile: str | Profile = PUBLISHED,
    fresh: bool = False,
    table: Path | None = None,
    directory: Path | None = None,
    address: str | None = None,
    cpus: float = 1,
) -> pd.DataFrame:
    """Train each baseline and score it; the table is written after each row.

    Beside the baselines stand the exact posterior and `flow`, scored in the same run at the same
    targets, which are the first of the published benchmark. `flow` is trained here as well, as
    published: seconds of another machine would say nothing.

    Args:
        dofs: Which of the paper's arms.
        epochs: Epochs of each baseline; by default those of `BASELINES`.
        targets: Number of random targets.
        profile: Where simulations, prior, seed and samples a target come from.
        fresh: Train and score also what the table has.
        table: File of results; by default `book/results/baselines.csv`, and for another profile
            than the published one, or other epochs, a file of its own in `.cache/`.
        directory: Folder of the weights of `flow`; by default `.cache/baselines/`.
        address: Ray cluster for the rows; see `runner.run_jobs`. Its nodes need sbi.
        cpus: CPUs of a row there.

    Returns:
        The rows that this call is about, with `COLUMNS`.

    Raises:
        ValueError: If a number is out of range.
        RuntimeError: If sbi is not installed.
    """
    _import_sbi()
    jobs = baseline_jobs(
        dofs, epochs=epochs, targets=targets, profile=profile, directory=directory, fresh=fresh
    )
    known = baseline_table(epochs, profile, table)
    return run_jobs(jobs, known, fresh=fresh, address=address, cpus=cpus)


def baseline_table(
    epochs: int | None = None, profile: str | Profile = PUBLISHED, path: Path | None = None
) -> ResultTable:
    """The table of rows that are there."""
    name = get_profile(profile).name
    variant = name if epochs is None else f"{name}-{epochs}-epochs"
    known = path or results_path("baselines", variant, published=variant == PUBLISHED)
    return ResultTable(known, COLUMNS, ("dof", "sampler", "targets"), {"sampler": _ROWS})


def baseline_jobs(
    dofs: Sequence[int] = DOF,
    *,
    epochs: int | None = None,
    targets: int = TARGETS,
    profile: str | Profile = PUBLISHED,
    directory: Path | None = None,
    fresh: bool = False,
) -> list[Job]:
    """A job for every row; see `run_baselines`."""
    if epochs is not None:
        check_count("epochs", epochs, 2)
    numbers = get_profile(profile)
    jobs = []
    for dof in dofs:
        arm = PlanarArm.paper(dof)
        task = Task.random(
            arm, targets, samples=numbers.exact_samples, sigma=numbers.sigma_for(arm)
        )
        exact = _Exact(arm, numbers)
        ours = _Ours(TrainingRun.of(_OURS, dof, profile=numbers), directory, fresh)
        others = [_Other(name, arm, numbers, epochs or BASELINES[name][1]) for name in BASELINES]
        rows: tuple[_Exact | _Ours | _Other, ...] = (exact, ours, *others)
        jobs += [_job(task, numbers, row) for row in rows]
    return jobs


@dataclass(frozen=True)
class _Exact:
    """The row of the exact posterior."""

    arm: PlanarArm
    profile: Profile
    name = "exact"
    seconds = 0.0

    def identity(self) -> Identity:
        return Identity("sampler")

    def train(self, progress: Progress) -> tuple[Sampler, dict[str, Any]]:
        sampler = ExactPosterior(self.arm, self.profile.sigma_for(self.arm))
        return sampler, {"library": f"ikpaper {version('ikpaper')}"}


@dataclass(frozen=True)
class _Ours:
    """The row of our flow."""

    run: TrainingRun
    directory: Path | None
    fresh: bool
    name = _OURS

    @property
    def seconds(self) -> float:
        return self.run.cost()

    def identity(self) -> Identity:
        return self.run.identity()

    def train(self, progress: Progress) -> tuple[Sampler, dict[str, Any]]:
        folder = self.directory or project_root() / ".cache" / "baselines"
        model, record = train(self.run, directory=folder, progress=progress, fresh=self.fresh)
        return model, {
            "parameters": model.num_parameters,
            "training_seconds": record["seconds"],
            "epochs": self.run.epochs,
            "training_threads": record["provenance"]["cpu_threads"],
            "training_device": record["device"],
            "library": f"ikpaper {version('ikpaper')}",
        }


@dataclass(frozen=True)
class _Other:
    """The row of a posterior that sbi trains."""

    name: str
    arm: PlanarArm
    profile: Profile
    epochs: int

    @property
    def seconds(self) -> float:
        return _EPOCH * self.epochs * self.profile.training_samples / 700_000

    def identity(self) -> Identity:
        profile = self.profile
        return Identity(
            "weights",
            {
                "trainer": BASELINES[self.name][0],
                "epochs": self.epochs,
                "samples": profile.samples,
                "train_fraction": profile.train_fraction,
                "data_seed": profile.seed,
            },
            versions={
                "baselines": VERSION,
                "dataset": dataset.VERSION,
                "sbi": SbiSampler.version,
            },
        )

    def train(self, progress: Progress) -> tuple[Sampler, dict[str, Any]]:
        trained = train_baseline(self.name, self.arm, epochs=self.epochs, profile=self.profile)
        return trained.sampler, {
            "parameters": trained.parameters,
            "training_seconds": round(trained.seconds, 2),
            "epochs": trained.epochs,
            "training_threads": torch.get_num_threads(),
            "training_device": "cpu",
            "library": f"sbi {version('sbi')}",
        }


def _job(task: Task, profile: Profile, row: _Exact | _Ours | _Other) -> Job:
    training = row.identity()

    def measure(progress: Progress) -> dict[str, Any]:
        sampler, origin = row.train(progress)
        scores = task.score(sampler, permutations=PERMUTATIONS)
        return {
            "refine": 0,
            "at": task.name,
            **scores.summary(),
            "samples_per_second": task.rate(sampler),
            "profile": profile.name,
            "seed": 0,
            **origin,
        }

    return Job(
        {"dof": task.arm.dof, "sampler": row.name, "targets": len(task)},
        Identity(
            "row",
            {
                "table": "baselines",
                "sampler": row.name,
                "training": training.settings,
                **task.settings(),
                "permutations": PERMUTATIONS,
            },
            training.inputs,
            {**training.versions, **task.versions()},
        ),
        f"{row.name} {task.arm.dof} DoF",
        row.seconds + _SCORING[row.name] * len(task),
        measure,
        _described,
    )


def _described(row: Mapping[str, Any]) -> str:
    scores = f"MMD² to exact {row['mmd2']:.3g}, E‖f(θ) − y‖² {row['e_resim']:.3g}"
    if pd.isna(row["training_seconds"]):
        return scores
    return f"{scores}, training {duration(row['training_seconds'])} in {row['epochs']:.0f} epochs"
