"""Baselines: posteriors that sbi trains on the same simulations, scored beside ours.

sbi (Boelts et al., 2025) is the reference library of simulation-based inference. It is optional:
nothing here imports it before it is needed.
"""

from __future__ import annotations

import contextlib
import io
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib.metadata import version
from typing import Any

import pandas as pd
import torch

from ikpaper import dataset
from ikpaper.arm import PlanarArm
from ikpaper.checks import check_count, check_known, check_seed
from ikpaper.dataset import profile_dataset
from ikpaper.evaluation import PERMUTATIONS, Task
from ikpaper.experiments import published
from ikpaper.experiments.runner import (
    Experiment,
    Job,
    ResultTable,
    identity_of_trained,
    results_path,
    weights_folder,
)
from ikpaper.identity import Identity
from ikpaper.profiles import PUBLISHED, Profile, get_profile
from ikpaper.progress import Progress, duration
from ikpaper.sampler import Sampler, seeded
from ikpaper.samplers import SbiSampler
from ikpaper.training import TrainingRun, train

#: Part of the identity of what sbi trains here. Raise it when its numbers change, with another
#: version of sbi for instance.
VERSION = 1

#: Trainers of `sbi.inference` by the name of their row, each with the network, the batch size and
#: the optimiser that sbi gives it by default, and the epochs it gets: neural posterior estimation,
#: which is a flow trained by maximum likelihood (Greenberg et al., 2019), and flow matching
#: (Wildberger et al., 2023). So many epochs take about as long as the training of our flow.
BASELINES: Mapping[str, tuple[str, int]] = {"npe": ("NPE", 17), "fmpe": ("FMPE", 18)}

#: Trainings of each baseline that the book shows: how many times these epochs, and the seed. The
#: longer ones show what more time gives, and by how much two of them differ.
TRAININGS = ((1, 42), (2, 42), (2, 43))

#: Columns of the table, which are the scores, what the training took, and who did it. No C2ST: so
#: few targets are as these rows could afford say little.
COLUMNS = (
    *(name for name in published.COLUMNS if name not in published.CHECKED),
    *("epochs", "most_epochs", "training_seed", "library"),
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


#: A sampler that is trained, and columns that say what its training took.
Trained = tuple[Sampler, dict[str, Any]]


def train_baseline(
    name: str,
    arm: PlanarArm,
    *,
    epochs: int | None = None,
    seed: int | None = None,
    profile: str | Profile = PUBLISHED,
) -> Trained:
    """Train a baseline on the training samples of a profile, for so many epochs or to convergence.

    An interrupted training starts anew. The weights are those of the epoch that validates best,
    as sbi keeps them. Everything that is not said here is sbi's default.

    Args:
        name: Name in `BASELINES`.
        arm: The arm.
        epochs: Most epochs, at least 2; by default those of `BASELINES`.
        seed: Of the training; by default that of the profile.
        profile: Where simulations and prior come from.

    Returns:
        Its posterior, and columns of the table: `epochs`, passes over its training samples, which
        are 90 % of ours, since sbi validates on the rest; `parameters`, which are trainable;
        `training_seconds`, with where they were spent; and the `library`.

    Raises:
        ValueError: If there is no such baseline, or there are fewer epochs.
        RuntimeError: If sbi is not installed; the message says how to install it.
    """
    check_known("baseline", [name], BASELINES)
    kind, usual = BASELINES[name]
    epochs = usual if epochs is None else check_count("epochs", epochs, 2)
    trainer_type = getattr(import_sbi().inference, kind)
    profile = get_profile(profile)
    theta, tcp = (part.float() for part in profile_dataset(arm, profile).train)
    spread = torch.tensor(arm.prior_sigma(profile.sigma_for(arm)))
    prior = torch.distributions.MultivariateNormal(torch.zeros(arm.dof), spread.square().diag())
    with seeded(profile.seed if seed is None else check_seed(seed)), _quiet():
        start = time.monotonic()
        trainer = trainer_type(prior, tracker=_NoTracker(), show_progress_bars=False)
        trainer.append_simulations(theta, tcp)
        # sbi trains for one epoch more than it is asked for.
        network = trainer.train(max_num_epochs=epochs - 1)
        seconds = time.monotonic() - start
        posterior = trainer.build_posterior()
    return SbiSampler(arm, posterior), {
        "parameters": sum(p.numel() for p in network.parameters() if p.requires_grad),
        "training_seconds": round(seconds, 2),
        "epochs": trainer.summary["epochs_trained"][-1],
        "training_threads": torch.get_num_threads(),
        "training_device": "cpu",
        "library": f"sbi {version('sbi')}",
    }


def import_sbi() -> Any:
    """The library, which is optional.

    Raises:
        RuntimeError: If it is not installed; the message says how to install it.
    """
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

    def log_metric(self, *_: Any, **__: Any) -> None:
        """Nothing."""

    log_metrics = log_params = add_figure = flush = log_metric


def experiment(
    dofs: Sequence[int] = DOF,
    *,
    epochs: int | None = None,
    trainings: Sequence[tuple[int, int]] = TRAININGS,
    targets: int = TARGETS,
    profile: str | Profile = PUBLISHED,
) -> Experiment:
    """Each baseline, trained and scored.

    Beside the baselines stand the exact posterior and `flow`, scored in the same run at the same
    targets, which are the first of the published benchmark. `flow` is trained here as well, as
    published: seconds of another machine would say nothing.

    Args:
        dofs: Which of the paper's arms.
        epochs: Epochs of each baseline; by default those of `trainings`.
        trainings: How many times the epochs of `BASELINES`, and the seed, of each training.
        targets: Number of random targets.
        profile: Where simulations, prior, seed and samples a target come from. Another one than
            the published one, or other epochs, have a table of their own.

    Raises:
        ValueError: If a number is out of range.
    """
    epochs = epochs if epochs is None else check_count("epochs", epochs, 2)
    numbers = get_profile(profile)
    jobs = []
    for dof in dofs:
        arm = PlanarArm.paper(dof)
        sigma = numbers.sigma_for(arm)
        task = Task.random(arm, targets, samples=numbers.exact_samples, sigma=sigma)
        jobs += [
            _exact_job(task, numbers),
            _our_job(TrainingRun.of(_OURS, dof, profile=numbers), task),
            *(
                _baseline_job(name, most, seed, task, numbers)
                for name, (_, usual) in BASELINES.items()
                for most, seed in (
                    [(factor * usual, seed) for factor, seed in trainings]
                    if epochs is None
                    else [(epochs, numbers.seed)]
                )
            ),
        ]
    variant = numbers.name if epochs is None else f"{numbers.name}-{epochs}-epochs"
    path = results_path("baselines", variant, published=variant == PUBLISHED)
    place = ("dof", "sampler", "targets", "most_epochs", "training_seed")
    return Experiment(jobs, ResultTable(path, COLUMNS, place, {"sampler": _ROWS}))


def _exact_job(task: Task, profile: Profile) -> Job:
    def train_it(progress: Progress, fresh: bool) -> Trained:
        return task.truth, {"library": f"ikpaper {version('ikpaper')}"}

    return _job(task.truth.name, Identity("sampler"), 0.0, task, profile, train_it)


def _our_job(run: TrainingRun, task: Task) -> Job:
    folder = weights_folder("baselines")

    def train_it(progress: Progress, fresh: bool) -> Trained:
        model, record = train(run, directory=folder, progress=progress, fresh=fresh)
        return model, {
            "parameters": model.num_parameters,
            "training_seconds": record["seconds"],
            "epochs": run.epochs,
            "training_threads": record["provenance"]["cpu_threads"],
            "training_device": record["device"],
            "library": f"ikpaper {version('ikpaper')}",
        }

    return _job(
        run.name, run.identity(), run.cost(), task, run.profile, train_it, run.epochs, run.seed
    )


def _baseline_job(name: str, epochs: int, seed: int, task: Task, profile: Profile) -> Job:
    def train_it(progress: Progress, fresh: bool) -> Trained:
        return train_baseline(name, task.arm, epochs=epochs, seed=seed, profile=profile)

    identity = Identity(
        "weights",
        {
            "trainer": BASELINES[name][0],
            "epochs": epochs,
            "samples": profile.samples,
            "train_fraction": profile.train_fraction,
            "data_seed": profile.seed,
            # The usual one is that of the data.
            **({} if seed == profile.seed else {"seed": seed}),
        },
        versions={"baselines": VERSION, "dataset": dataset.VERSION, "sbi": SbiSampler.version},
    )
    seconds = _EPOCH * epochs * profile.training_samples / 700_000
    return _job(name, identity, seconds, task, profile, train_it, epochs, seed)


def _job(
    name: str,
    training: Identity,
    seconds: float,
    task: Task,
    profile: Profile,
    train_it: Callable[[Progress, bool], Trained],
    epochs: int = 0,
    seed: int = 0,
) -> Job:
    """The job of a row, whose training takes about so many seconds, epochs from this seed."""

    def measure(progress: Progress, fresh: bool) -> dict[str, Any]:
        sampler, origin = train_it(progress, fresh)
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

    settings = {"sampler": name, "permutations": PERMUTATIONS}
    return Job(
        {
            "dof": task.arm.dof,
            "sampler": name,
            "targets": len(task),
            "most_epochs": epochs,
            "training_seed": seed,
        },
        identity_of_trained("baselines", training, task, settings=settings),
        f"{name} {task.arm.dof} DoF" + (f", {epochs} epochs, seed {seed}" if epochs else ""),
        seconds + _SCORING[name] * len(task),
        measure,
        _described,
    )


def _described(row: Mapping[str, Any]) -> str:
    scores = f"MMD² to exact {row['mmd2']:.3g}, E‖f(θ) − y‖² {row['e_resim']:.3g}"
    if pd.isna(row["training_seconds"]):
        return scores
    return f"{scores}, training {duration(row['training_seconds'])} in {row['epochs']:.0f} epochs"
