"""Training runs as tasks of a Ray cluster."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ikpaper.cluster import as_tasks, connected, given_up, max_parallel
from ikpaper.progress import Progress, duration
from ikpaper.training.loop import Diverged
from ikpaper.training.run import TrainingRun
from ikpaper.training.train import train, trained, waves
from ikpaper.weights import load_record, store


def train_on_cluster(
    runs: Sequence[TrainingRun],
    *,
    address: str | None = None,
    directory: str | os.PathLike[str] | None = None,
    cpus: float = 1,
    gpus: float = 0.0,
    fresh: bool = False,
    retries: int = 0,
) -> list[dict[str, Any]]:
    """Train several models as tasks of a Ray cluster; weights and records come back to here.

    Models that learn from others start when those are done, and take their weights along. A run
    whose node dies starts again on another one, from its last checkpoint where both see
    the folder of weights, else from the start.

    Args:
        runs: What to train.
        address: See `cluster_address`.
        directory: Folder of all weights; see `weights.weights_path`.
        cpus: CPUs of each run, and its threads; or a share of one.
        gpus: GPUs of each run, or a share of one; with more than 0 it trains there.
        fresh: As in `train`.
        retries: As in `train`.

    Returns:
        The records, in the order of `runs`.

    Raises:
        FileNotFoundError: If a model learns from another one that is not there; likewise.
        Diverged: If a run diverges; the others are finished first.
        RuntimeError: If a run loses its process or its node too often; likewise.
    """
    progress = Progress(sum(run.cost() for run in runs))
    records: dict[int, dict[str, Any]] = {}
    failures: list[Exception] = []
    with contextlib.ExitStack() as stack:
        for wave in waves(runs, records, progress, directory=directory, fresh=fresh):
            if not wave:
                continue
            stack.enter_context(connected(address))
            progress.show(f"{len(wave)} runs, {max_parallel(cpus, gpus)} at a time")
            calls = {}
            # The longest first, so that none of them is started last.
            for i in sorted(wave, key=lambda i: -runs[i].cost()):
                folder = runs[i].path(directory).parents[1]
                try:
                    teacher = _teacher(runs[i], directory)
                except FileNotFoundError as error:
                    failures.append(error)
                    progress.say(str(error))
                    continue
                folder.mkdir(parents=True, exist_ok=True)
                settings = (str(folder), gpus > 0, fresh, retries)
                calls[i] = (runs[i], *settings, teacher)
            for i, result in as_tasks(train_on_node, calls, cpus=cpus, gpus=gpus):
                if isinstance(result, BaseException):
                    failures.append(_failure(result, runs[i]))
                    progress.say(str(failures[-1]))
                    continue
                data, record = result
                path = runs[i].path(directory)
                if load_record(path) != record:
                    store(path, data, record)
                records[i] = record
                took = duration(record["seconds"])
                progress.say(f"{runs[i].label}: training took {took}")
                progress.advance(runs[i].cost(), f"{len(records)} of {len(runs)} runs done")
    if failures:
        raise failures[0]
    return [records[i] for i in range(len(runs))]


def _failure(cause: BaseException, run: TrainingRun) -> Exception:
    """Why a run failed."""
    return cause if isinstance(cause, Diverged) else RuntimeError(given_up(run.label, cause))


def _teacher(
    run: TrainingRun, directory: str | os.PathLike[str] | None
) -> tuple[bytes, dict[str, Any]] | None:
    """Weights and record of the model that a run learns from."""
    if run.teacher is None:
        return None
    _, record = trained(run.teacher, train_here=False, directory=directory)
    return run.teacher.find(directory).read_bytes(), record


def train_on_node(
    run: TrainingRun,
    directory: str,
    on_gpu: bool,
    fresh: bool,
    retries: int,
    teacher: tuple[bytes, dict[str, Any]] | None,
) -> tuple[bytes, dict[str, Any]]:
    """What a task does on its node: train, and return the weights as safetensors."""
    # A node that does not see the folder keeps its checkpoints in one of its own; nor is a folder
    # of the same name the same one, if its teacher is another.
    foreign = not Path(directory).is_dir() or (
        run.teacher is not None
        and teacher is not None
        and load_record(run.teacher.path(directory)) != teacher[1]
    )
    borrowed = []
    if foreign:
        directory = str(Path(tempfile.gettempdir()) / "ikpaper-weights")
        if run.teacher is not None and teacher is not None:
            borrowed.append(run.teacher.path(directory))
            store(borrowed[0], *teacher)
    device = "cuda" if on_gpu else "cpu"
    _, record = train(run, device=device, directory=directory, fresh=fresh, retries=retries)
    path = run.path(directory)
    data = path.read_bytes()
    if foreign:
        for file in (path, *borrowed):
            file.unlink(missing_ok=True)
            file.with_suffix(".json").unlink(missing_ok=True)
    return data, record
