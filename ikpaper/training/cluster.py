"""Training runs as tasks of a Ray cluster."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from ikpaper.cluster import RESTARTS, connected, max_parallel
from ikpaper.matmul import use_fast_matmul
from ikpaper.progress import Progress, duration
from ikpaper.training.loop import Diverged
from ikpaper.training.run import TrainingRun
from ikpaper.training.train import Tally, train, trained
from ikpaper.weights import load_record, store

__all__ = ["train_on_cluster"]


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
    tally = Tally(progress, len(runs), fresh)
    records: dict[int, dict[str, Any]] = {}
    failures: list[Exception] = []

    def finished(i: int, data: bytes, record: dict[str, Any]) -> None:
        path = runs[i].path(directory)
        if load_record(path) != record:
            store(path, data, record)
        records[i] = record
        progress.say(f"{runs[i].label}: training took {duration(record['seconds'])}")
        progress.advance(runs[i].cost(), f"{len(records)} of {len(runs)} runs done")

    def failed(error: Exception) -> None:
        failures.append(error)
        progress.say(str(error))

    with contextlib.ExitStack() as stack:
        # Teachers before those they teach, whose weights tell whether these are current.
        for pupils in (False, True):
            wave = []
            for i, run in enumerate(runs):
                if (run.teacher is not None) == pupils:
                    record = tally.kept(run, directory)
                    if record is None:
                        wave.append(i)
                    else:
                        records[i] = record
            if not wave:
                continue
            stack.enter_context(connected(address))
            progress.show(f"{len(wave)} runs, {max_parallel(cpus, gpus)} at a time")
            # The longest first, so that none of them is started last.
            wave.sort(key=lambda i: -runs[i].cost())
            tasks = {}
            for i in wave:
                try:
                    teacher = _teacher(runs[i], directory)
                except FileNotFoundError as error:
                    failed(error)
                    continue
                folder = runs[i].path(directory).parents[1]
                folder.mkdir(parents=True, exist_ok=True)
                settings = (str(folder), cpus, gpus > 0, fresh, retries)
                tasks[_remote(cpus, gpus).remote(runs[i], *settings, teacher)] = i
            _collect(tasks, runs, finished, failed)
    tally.say()
    if failures:
        raise failures[0]
    return [records[i] for i in range(len(runs))]


def _remote(cpus: float, gpus: float) -> Any:
    """`_train_here` as a task of Ray."""
    import ray

    options: Any = {"num_cpus": cpus, "num_gpus": gpus, "max_retries": RESTARTS}
    return ray.remote(**options)(_train_here)


def _collect(
    tasks: dict[Any, int],
    runs: Sequence[TrainingRun],
    finished: Callable[[int, bytes, dict[str, Any]], None],
    failed: Callable[[Exception], None],
) -> None:
    """Wait for tasks, as they end."""
    import ray

    while tasks:
        (task,), _ = ray.wait(list(tasks))
        i = tasks.pop(task)
        try:
            finished(i, *ray.get(task))
        except ray.exceptions.RayError as error:
            # An error of ours is a mixture of it and Ray's own, which holds it.
            cause = getattr(error, "cause", None) or error
            if not isinstance(cause, Diverged):
                lines = str(cause).strip().splitlines() or [""]
                cause = RuntimeError(
                    f"{runs[i].label}: given up after {type(cause).__name__}: {lines[0]}"
                )
            failed(cause)


def _teacher(
    run: TrainingRun, directory: str | os.PathLike[str] | None
) -> tuple[bytes, dict[str, Any]] | None:
    """Weights and record of the model that a run learns from."""
    if run.teacher is None:
        return None
    _, record = trained(run.teacher, train_here=False, directory=directory)
    return run.teacher.find(directory).read_bytes(), record


def _train_here(
    run: TrainingRun,
    directory: str,
    cpus: float,
    on_gpu: bool,
    fresh: bool,
    retries: int,
    teacher: tuple[bytes, dict[str, Any]] | None,
) -> tuple[bytes, dict[str, Any]]:
    """What a task does on its node: train, and return the weights as safetensors."""
    torch.set_num_threads(max(1, int(cpus)))
    use_fast_matmul()
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
