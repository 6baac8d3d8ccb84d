"""Ray, started on this machine or joined: what spreads work over processes and machines."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import secrets
import socket
import sys
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Any

from ikpaper.files import scratch

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
                    num_cpus=cpus_here(),
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


def as_tasks(
    function: Callable[..., Any],
    calls: Mapping[int, tuple[Any, ...]],
    *,
    cpus: float = 1,
    gpus: float = 0.0,
) -> Iterator[tuple[int, Any]]:
    """Calls of a function as tasks of the connected cluster, in the order in which they end.

    Each has as many threads as CPUs, and fast matrix products. A task whose process or node dies
    starts again, up to `RESTARTS` times.

    Args:
        function: What each task calls.
        calls: Its arguments by number, those that take longest first.
        cpus: CPUs of a task, or a share of one.
        gpus: GPUs of a task, or a share of one.

    Yields:
        The number of a call and its result, or the exception that it ended with.
    """
    import ray

    options: Any = {"num_cpus": cpus, "num_gpus": gpus, "max_retries": RESTARTS}
    options["name"] = function.__name__
    remote = ray.remote(**options)(_on_node)
    tasks = {remote.remote(function, cpus, *call): number for number, call in calls.items()}
    while tasks:
        (task,), _ = ray.wait(list(tasks))
        try:
            result = ray.get(task)
        except ray.exceptions.RayError as error:
            # An error of ours is a mixture of it and Ray's own, which holds it.
            result = getattr(error, "cause", None) or error
        yield tasks.pop(task), result


def _on_node(function: Callable[..., Any], cpus: float, *arguments: Any) -> Any:
    """What a task does."""
    import torch

    from ikpaper.matmul import use_fast_matmul

    torch.set_num_threads(max(1, int(cpus)))
    use_fast_matmul()
    return function(*arguments)


def given_up(label: str, error: BaseException) -> str:
    """A line that says with what a task has ended."""
    lines = str(error).strip().splitlines() or [""]
    return f"{label}: given up after {type(error).__name__}: {lines[0]}"


def as_processes(
    function: Callable[..., Any], calls: Mapping[int, tuple[Any, ...]], *, parallel: int
) -> Iterator[tuple[int, Any]]:
    """Calls of a function in processes of this machine, in the order in which they end.

    Args:
        function: What each process calls; of a module's top level, as are its arguments' classes.
        calls: Its arguments by number, those that take longest first.
        parallel: Processes at a time. They share the CPUs: what a call starts has as many threads
            as its share.

    Yields:
        The number of a call and its result.
    """
    threads = max(1, cpus_here() // parallel)
    with ProcessPoolExecutor(
        parallel,
        # A fork would copy locks that threads of torch hold.
        mp_context=multiprocessing.get_context("spawn"),
        initializer=_share_cpus,
        initargs=(threads,),
    ) as processes:
        tasks = {processes.submit(function, *call): number for number, call in calls.items()}
        for task in as_completed(tasks):
            yield tasks[task], task.result()


def _share_cpus(threads: int) -> None:
    """Threads of this process, which may have torch already, and of what it starts."""
    import torch

    torch.set_num_threads(threads)
    os.environ["OMP_NUM_THREADS"] = str(threads)


def cpus_here() -> int:
    """How many CPUs this process may use."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def max_parallel(cpus: float, gpus: float) -> int:
    """How many tasks that take so many CPUs and GPUs fit into the cluster, at least 1.

    Raises:
        ValueError: If not even one ever fits.
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
