"""Ray, started on this machine or joined: what spreads work over processes and machines."""

from __future__ import annotations

import contextlib
import os
import secrets
import socket
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch

from ikpaper.files import scratch
from ikpaper.progress import Progress, duration
from ikpaper.training import TrainingRun, train, trained
from ikpaper.weights import load_record, store

__all__ = ["cluster_address", "connected", "room", "train_on_cluster"]

#: How often a trial or a training run starts again after its process or its node died.
RESTARTS = 3

#: Of all processes that Ray starts for us. A trial runs in a thread of its own, and glibc keeps
#: apart what each thread has freed: over a study, gigabytes.
_VARIABLES = {"MALLOC_ARENA_MAX": "1"}

#: Seconds to wait for an answer at an address.
_PATIENCE = 5.0


def cluster_address(address: str | None = None) -> str | None:
    """Address of the Ray cluster to join: `address`, or else the variable `RAY_ADDRESS`.

    None, and the word `local`, stand for processes of this machine.
    """
    address = address or os.environ.get("RAY_ADDRESS") or None
    return None if address == "local" else address


@contextlib.contextmanager
def connected(address: str | None = None) -> Iterator[bool]:
    """Ray for the time of a block: joined at an address, or started on this machine.

    A Ray that this process is connected to already is used and left as it is. One that is
    started here listens on the loopback interface alone, asks for a token, reports nothing to
    its makers, and leaves no file behind. Nodes of a cluster need what `requirements.lock` has;
    this package itself is sent to them.

    Args:
        address: See `cluster_address`.

    Yields:
        Whether it was started here, so that no other machine can take part and vanish.

    Raises:
        ValueError: If nobody answers at the address.
        RuntimeError: If Ray is not installed, or is imported already without being connected.
    """
    address = cluster_address(address)
    if "ray" in sys.modules and sys.modules["ray"].is_initialized():
        yield False
        return
    if address is not None:
        _check_address(address)
    with scratch() as folder, _environment(local=address is None):
        ray = _import_ray()
        try:
            if address:
                _join(ray, address)
            else:
                _check_loopback()
                ray.init(
                    address="local",
                    num_cpus=_processors(),
                    object_store_memory=256 << 20,
                    runtime_env={"env_vars": _VARIABLES},
                    include_dashboard=False,
                    log_to_driver=False,
                    logging_level="ERROR",
                    _temp_dir=str(folder),
                )
            yield address is None
        finally:
            ray.shutdown()


def _join(ray: Any, address: str) -> None:
    try:
        ray.init(
            address=address,
            runtime_env={"py_modules": [str(Path(__file__).parent)], "env_vars": _VARIABLES},
            log_to_driver=False,
            logging_level="ERROR",
        )
    except (ConnectionError, ray.exceptions.RayError) as error:
        raise ValueError(
            f"no Ray cluster answers at {address!r} ({str(error).splitlines()[0]}); `ray start "
            "--head` starts one, and one with a token wants its RAY_AUTH_TOKEN"
        ) from error


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
        FloatingPointError: If a run diverges; the others are finished first.
        RuntimeError: If a run loses its process or its node too often; likewise.
    """
    records: list[dict[str, Any] | None] = [None] * len(runs)
    paths = [run.path(directory) for run in runs]
    progress = Progress(sum(run.cost() for run in runs))
    missing = []
    for i, run in enumerate(runs):
        record = None if fresh else run.current(directory)
        if record is not None:
            progress.skip(run.cost())
            records[i] = record
        else:
            missing.append(i)
    if not missing:
        progress.say(f"all {len(runs)} models are trained already")
        return [record for record in records if record is not None]
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
    # Teachers before those they teach; the longest first, so that none of them is started last.
    missing.sort(key=lambda i: -runs[i].cost())
    waves = [
        [i for i in missing if (runs[i].teacher is not None) == taught] for taught in (False, True)
    ]
    failures: list[Exception] = []
    with connected(address):
        import ray

        at_a_time = room(cpus, gpus)
        options: Any = {"num_cpus": cpus, "num_gpus": gpus, "max_retries": RESTARTS}
        remote = ray.remote(**options)(_train_here)
        progress.show(f"{len(missing)} runs, {at_a_time} at a time")
        for wave in waves:
            tasks = {}
            for i in wave:
                try:
                    teacher = _teacher(runs[i], directory)
                except FileNotFoundError as error:
                    failures.append(error)
                    progress.say(f"{runs[i].label}: {error}")
                    continue
                folder = str(paths[i].parents[1])
                task = remote.remote(runs[i], folder, cpus, gpus > 0, fresh, retries, teacher)
                tasks[task] = i
            while tasks:
                (task,), _ = ray.wait(list(tasks))
                i = tasks.pop(task)
                try:
                    data, record = ray.get(task)
                except FloatingPointError as error:
                    failures.append(FloatingPointError(str(getattr(error, "cause", error))))
                    progress.say(str(failures[-1]))
                    continue
                except ray.exceptions.RayError as error:
                    cause = getattr(error, "cause", None) or error
                    lines = str(cause).strip().splitlines() or [""]
                    what = f"{runs[i].label}: given up after {type(cause).__name__}: {lines[0]}"
                    failures.append(RuntimeError(what))
                    progress.say(what)
                    continue
                if load_record(paths[i]) != record:
                    store(paths[i], data, record)
                records[i] = record
                progress.say(f"{runs[i].label}: training took {duration(record['seconds'])}")
                progress.advance(runs[i].cost(), f"{len(tasks)} runs left")
    if failures:
        raise failures[0]
    return [record for record in records if record is not None]


def _teacher(
    run: TrainingRun, directory: str | os.PathLike[str] | None
) -> tuple[bytes, dict[str, Any]] | None:
    """Weights and record of the model that a run learns from."""
    if run.teacher is None:
        return None
    _, record = trained(run.teacher, train_here=False, directory=directory)
    return run.teacher.path(directory).read_bytes(), record


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
    # A node that does not see the folder keeps its checkpoints in one of its own; nor is a folder
    # of the same name the same one, if its teacher is another.
    foreign = not Path(directory).is_dir() or (
        run.teacher is not None
        and teacher is not None
        and load_record(run.teacher.path(directory)) != teacher[1]
    )
    left = []
    if foreign:
        directory = str(Path(tempfile.gettempdir()) / "ikpaper-weights")
        if run.teacher is not None and teacher is not None:
            left.append(run.teacher.path(directory))
            store(left[0], *teacher)
    device = "cuda" if on_gpu else "cpu"
    _, record = train(run, device=device, directory=directory, fresh=fresh, retries=retries)
    path = run.path(directory)
    data = path.read_bytes()
    if foreign:
        for file in (path, *left):
            file.unlink(missing_ok=True)
            file.with_suffix(".json").unlink(missing_ok=True)
    return data, record


def _import_ray() -> Any:
    try:
        import ray
    except ImportError as error:
        raise RuntimeError(
            "this needs Ray, which is not installed; install with: pip install -r requirements.lock"
        ) from error
    return ray


@contextlib.contextmanager
def _environment(*, local: bool) -> Iterator[None]:
    """Variables that Ray reads, its processes inherit, and this process does not keep."""
    settings = {
        "RAY_USAGE_STATS_ENABLED": "0",
        # Tune's own table, loggers, signal handler and saved state; a study has its own.
        "RAY_AIR_NEW_OUTPUT": "0",
        "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
        "TUNE_DISABLE_SIGINT_HANDLER": "1",
        "TUNE_GLOBAL_CHECKPOINT_S": "1000000",
        # The default will be this one.
        "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    }
    if local:
        # The switch to the loopback interface, on every system in spite of its name.
        settings["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"
        settings["RAY_AUTH_MODE"] = "token"
        # Or Ray writes one into the home folder.
        settings["RAY_AUTH_TOKEN"] = secrets.token_hex(32)
    before = {name: os.environ.get(name) for name in settings}
    os.environ.update(settings)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _check_loopback() -> None:
    """Refuse to listen on a network: Ray reads the switch when it is imported."""
    from ray.util import get_node_ip_address

    if get_node_ip_address() not in ("127.0.0.1", "::1"):
        raise RuntimeError(
            "Ray was imported before and would listen on the network; call ray.init() yourself "
            "if that is wanted"
        )


def _check_address(address: str) -> None:
    """Raise if nobody answers; Ray itself would try for a minute and print a trace."""
    if address.startswith("ray://"):
        raise ValueError(
            f"address: Ray's client ({address}) cannot run this; join from a machine of the "
            "cluster, with HOST:PORT of its head or auto"
        )
    host, _, port = address.rpartition(":")
    if not host:
        if address == "auto":
            return
        raise ValueError(f"address: expected HOST:PORT or auto, got {address!r}")
    try:
        with socket.create_connection((host, int(port)), timeout=_PATIENCE) as connection:
            _check_protocol(connection)
    except (OSError, ValueError) as error:
        raise ValueError(
            f"no Ray cluster answers at {address!r} ({error}); `ray start --head` starts one"
        ) from error


def _check_protocol(connection: socket.socket) -> None:
    """Raise if who answers does not speak HTTP/2, on which gRPC and thus Ray's head builds.

    Of the dashboard's port, or any other one, Ray itself would find out in minutes.
    """
    if os.environ.get("RAY_USE_TLS") == "1":
        return
    # The greeting of RFC 9113, section 3.4: a preface and settings; the answer are settings.
    settings = b"\x00\x00\x00\x04\x00\x00\x00\x00\x00"
    connection.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + settings)
    answer = connection.recv(len(settings))
    if answer[3:4] != settings[3:4]:
        raise ValueError("something else answers; is that the port of the head?")


def _processors() -> int:
    """CPUs that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def room(cpus: float, gpus: float) -> int:
    """How many tasks that take so many CPUs and GPUs the cluster has room for, at least 1.

    Raises:
        ValueError: If it never has room for one.
    """
    import ray

    total = ray.cluster_resources()
    counts = []
    for kind, asked in (("CPU", cpus), ("GPU", gpus)):
        if asked > 0:
            there = total.get(kind, 0.0)
            if asked > max(node["Resources"].get(kind, 0.0) for node in ray.nodes()):
                raise ValueError(f"no machine has {asked:g} {kind}; there are {there:g} in all")
            counts.append(int(there / asked))
    return max(1, min(counts, default=1))
