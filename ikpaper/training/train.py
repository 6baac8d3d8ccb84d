"""Train models, or load what is trained already; say what is current, and accept what is."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import Any

import torch

from ikpaper.arm import PlanarArm
from ikpaper.files import atomic, write_json
from ikpaper.identity import accepted, provenance
from ikpaper.matmul import fast_matmul
from ikpaper.models import NetworkSampler
from ikpaper.profiles import PUBLISHED, Profile
from ikpaper.progress import Progress, duration
from ikpaper.training.loop import Diverged, Report, TrainingLoop
from ikpaper.training.run import TrainingRun, resolve_device
from ikpaper.weights import load_with_record, restore, save


class Outdated(RuntimeError):
    """Published weights are there, and not those of the run; only `fresh` overwrites them.

    Attributes:
        record: Their record, if they have one.
    """

    def __init__(
        self, run: TrainingRun, differences: Sequence[str], record: dict[str, Any] | None = None
    ) -> None:
        super().__init__(run, differences, record)  # As pickle hands them on.
        self.run, self.differences, self.record = run, differences, record

    def __str__(self) -> str:
        return (
            f"{self.run.label}: published weights are there and kept, though they differ "
            f"({'; '.join(self.differences)}); --fresh trains them anew"
        )


def train_model(
    name: str,
    dof: int | None = None,
    *,
    arm: PlanarArm | None = None,
    profile: str | Profile = "quick",
    seed: int | None = None,
    epochs: int | None = None,
    precision: str | None = None,
    schedule: str | None = None,
    device: str | torch.device = "cpu",
    directory: str | os.PathLike[str] | None = None,
    fresh: bool = False,
    retries: int = 0,
    **changes: Any,
) -> NetworkSampler:
    """A model trained on data of an arm, ready to sample; loaded if it is trained already.

    The weights are kept where `ikpaper.load` finds them. Training that is interrupted continues
    at its last epoch.

    Args:
        name: Model name.
        dof: Number of joints of one of the paper's arms; or else
        arm: any arm with at least 3 joints.
        profile: How much data, and by default how many epochs.
        seed: Seed of initial weights, batches and noise; by default the profile's.
        epochs: Passes over the training samples.
        precision: `float32` or `bfloat16`; by default that of the model's recipe.
        schedule: Of the learning rate, `plateau`, `plateau-at-full-weight` or `cosine`; by default
            that of the model's recipe.
        device: `cpu`, `cuda` or `auto`.
        directory: Folder of all weights; see `weights.weights_path`.
        fresh: Train even if current weights exist, and from the start.
        retries: How often to repeat an epoch that diverges.
        **changes: Hyperparameters that differ, by their names in the model's config.

    Raises:
        ValueError: If a name is unknown, or a value out of range.
        FileNotFoundError: If the model learns from another one that is not there yet.
        Diverged: If the loss diverges.
        Outdated: If published weights would be overwritten.

    Example:
        >>> model = ikpaper.train("flow", dof=4, profile="smoke")  # doctest: +SKIP
        >>> model.sample([2.0, 0.5], 100).shape  # doctest: +SKIP
        torch.Size([100, 4])
    """
    run = TrainingRun.of(
        name,
        dof,
        arm=arm,
        profile=profile,
        seed=seed,
        epochs=epochs,
        precision=precision,
        schedule=schedule,
        **changes,
    )
    return train(run, device=device, directory=directory, fresh=fresh, retries=retries)[0]


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
    last epoch. The record holds the run's identity, where it was trained, the loss terms of every
    epoch and every divergence that was overcome.

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
        Diverged: If the loss diverges; the checkpoint of the epoch before stays.
        Outdated: If weights of the published profile are there that differ, and not `fresh`.
    """
    where = resolve_device(device)
    progress = progress or Progress(run.cost())
    record = None if fresh else check_kept(run, directory)
    if record is not None:
        progress.skip(run.cost())
        return restore(run.kind, run.find(directory), record).to(where), record
    path = run.path(directory)
    checkpoint = path.with_suffix(".checkpoint")
    if fresh:
        checkpoint.unlink(missing_ok=True)
    teacher, sha = None, None
    if run.teacher is not None:
        teacher, teacher_record = trained(run.teacher, train_here=False, directory=directory)
        teacher, sha = teacher.to(where), teacher_record["sha256"]
        progress.say(f"{run.label}: {run.profile.training_samples:,} samples of a {teacher.name}")
    identity = run.identity(sha)
    loop = TrainingLoop(run, where, teacher, key=identity.key)
    epoch_cost = run.cost() / run.epochs
    progress.skip(epoch_cost * loop.resume(checkpoint))
    attempt = 0
    while loop.epoch < run.epochs:
        done = float(loop.epoch)
        try:
            for report in loop.epochs():
                note = f"{run.label}: {_note(report, loop)}"
                progress.advance(epoch_cost * (report.epochs_done - done), note)
                done = report.epochs_done
                if report.complete:
                    attempt = 0
                    with atomic(checkpoint) as partial:
                        torch.save(loop.state(), partial)
        except Diverged as error:
            if attempt >= retries:
                if loop.epoch:
                    progress.say(f"{error}; the checkpoint of epoch {loop.epoch} is kept")
                raise
            attempt += 1
            progress.say(f"{error}; continuing there with other noise")
            progress.repeat(epoch_cost * (done - loop.epoch))
            divergences = [*loop.divergences, error.where]
            loop = TrainingLoop(run, where, key=loop.key, inputs=loop.inputs)
            loop.resume(checkpoint)
            loop.vary(attempt)
            loop.divergences = divergences
    model = loop.result()
    record = {
        **identity.record(),
        "profile": run.profile.name,
        "seed": run.seed,
        "training": {
            "samples": run.profile.training_samples,
            "epochs": run.epochs,
            "batch": run.batch,
            "sigma": run.profile.sigma_for(run.arm),
        },
        "device": str(where),
        "precision": run.precision,
        "seconds": round(loop.seconds, 2),
        "divergences": loop.divergences,
        "provenance": {**provenance(), "fast_matmul": fast_matmul()},
        "history": loop.history,
    }
    record = save(model, path, record)
    checkpoint.unlink(missing_ok=True)
    return model, record


def check_kept(
    run: TrainingRun, directory: str | os.PathLike[str] | None = None
) -> dict[str, Any] | None:
    """The record of weights that are current; None if the run is to be trained.

    Raises:
        Outdated: If weights of the published profile are there that differ, or have no record.
    """
    record, differences = run.compare(directory)
    if record is not None and not differences:
        return record
    path = run.path(directory)
    if run.profile.name != PUBLISHED or path.resolve() != run.path().resolve():
        return None
    if record is not None:
        raise Outdated(run, differences, record)
    # With a checkpoint, a training was killed between writing the weights and their record.
    if path.exists() and not path.with_suffix(".checkpoint").exists():
        raise Outdated(run, ["they have no record"])
    return None


def _note(report: Report, loop: TrainingLoop) -> str:
    """What a progress line says: where it is, and the loss terms of the last whole epoch."""
    note = f"epoch {report.epoch}/{report.epochs}, {report.samples_per_second:,.0f} samples/s"
    if not loop.history:
        return note
    terms = loop.history[-1]["terms"].items()
    return f"{note}; last " + ", ".join(f"{name} {value:.3g}" for name, value in terms)


def trained(
    run: TrainingRun,
    *,
    train_here: bool,
    directory: str | os.PathLike[str] | None = None,
) -> tuple[NetworkSampler, dict[str, Any]]:
    """The model of a run with its record: the weights that are there, or else trained here.

    Published weights that are there are taken as they are, whatever has changed since.

    Args:
        run: The run.
        train_here: Whether to train what is not there, or not current.
        directory: Folder of all weights; see `weights.weights_path`.

    Raises:
        FileNotFoundError: If nothing is to be trained and there are no weights.
    """
    if train_here:
        try:
            return train(run, directory=directory)
        except Outdated:
            pass
    return load_with_record(run.name, run.arm, run.profile, run.seed, directory)


def trained_models(
    names: Sequence[str],
    dof: int,
    profile: str | Profile,
    *,
    train_here: bool,
) -> dict[str, tuple[NetworkSampler, dict[str, Any]]]:
    """Models of one of the paper's arms by name, each with its record; see `trained`."""
    return {
        name: trained(TrainingRun.of(name, dof, profile=profile), train_here=train_here)
        for name in names
    }


def train_all(
    runs: Sequence[TrainingRun],
    *,
    device: str | torch.device = "cpu",
    directory: str | os.PathLike[str] | None = None,
    fresh: bool = False,
    retries: int = 0,
) -> list[dict[str, Any]]:
    """Train several models one after the other under one progress; returns their records.

    Published weights that differ are kept, and named, unless `fresh`; see `train`.
    """
    progress = Progress(sum(run.cost() for run in runs))
    where = resolve_device(device)
    records: dict[int, dict[str, Any]] = {}
    options: Any = {"directory": directory, "fresh": fresh}
    for wave in waves(runs, records, progress, **options):
        for i in wave:
            _, records[i] = train(
                runs[i], device=where, progress=progress, retries=retries, **options
            )
            loss = sum(records[i]["history"][-1]["terms"].values())
            progress.say(
                f"[{len(records)}/{len(runs)}] {runs[i].label}: training loss {loss:.4g} a batch, "
                f"training took {duration(records[i]['seconds'])}"
            )
    return [records[i] for i in range(len(runs))]


def waves(
    runs: Sequence[TrainingRun],
    records: dict[int, dict[str, Any]],
    progress: Progress,
    *,
    directory: str | os.PathLike[str] | None,
    fresh: bool,
) -> Iterator[list[int]]:
    """Which of several runs are to be trained, in two waves; in the end says how many there were.

    Teachers come before those they teach, whose weights tell whether these are current.

    Args:
        runs: The runs.
        records: Gets the records of weights that stay, by the place of their run.
        progress: Where to say it.
        directory: Folder of all weights.
        fresh: Whether all are to be trained.

    Raises:
        Outdated: If published weights have no record.
    """
    current = outdated = 0
    for learns in (False, True):
        wave = []
        for i, run in enumerate(runs):
            if (run.teacher is not None) != learns:
                continue
            try:
                record = None if fresh else check_kept(run, directory)
                current += record is not None
            except Outdated as error:
                if error.record is None:
                    raise
                progress.say(str(error))
                record = error.record
                outdated += 1
            if record is None:
                wave.append(i)
            else:
                records[i] = record
                progress.skip(run.cost())
        yield wave
    if current == len(runs):
        progress.say(f"all {current} models are there and current; none was trained")
    elif current or outdated:
        progress.say(
            f"{len(runs)} models: {len(runs) - current - outdated} trained, {current} there and "
            f"current, {outdated} kept though they differ"
        )


def accept(
    run: TrainingRun, directory: str | os.PathLike[str] | None = None, *, reason: str
) -> dict[str, Any]:
    """Take the weights that are there for those of the run, whose identity their record gets.

    For somebody who has checked that the run would end in the same numbers. Weights, history and
    the note where they were trained stay.

    Args:
        run: The run.
        directory: Folder of all weights; see `weights.weights_path`.
        reason: What was checked; it is kept in the record.

    Returns:
        The new record.

    Raises:
        FileNotFoundError: If there are no weights.
        ValueError: If the record says that the weights were trained in another way: with another
            config, seed, precision, teacher, or with other numbers.
    """
    record, _ = run.compare(directory)
    if record is None:
        raise FileNotFoundError(f"{run.label}: no weights in {run.find(directory)}")
    teacher = None if run.teacher is None else run.teacher.compare(directory)[0]
    now = run.identity(None if teacher is None else teacher["sha256"]).record()
    wrong = [
        f"{name} {value!r}, not {now[part].get(name)!r}"
        for part in ("settings", "inputs")
        for name, value in record.get(part, {}).items()
        if value != now[part].get(name)
    ]
    if wrong:
        raise ValueError(f"{run.label}: was trained with {'; '.join(wrong)}; this needs training")
    record = {**record, **now, "accepted": accepted(record, reason)}
    write_json(run.find(directory).with_suffix(".json"), record)
    return record
