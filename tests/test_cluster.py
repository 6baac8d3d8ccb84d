"""Two nodes of Ray on this machine, as two machines would be; one of them is killed."""

import contextlib
import os
import re
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import pandas as pd
import psutil
import pytest

from ikpaper.cli import all_runs
from ikpaper.cluster import cluster_address, connected
from ikpaper.weights import load

ROOT = Path(__file__).resolve().parents[1]
RAY = Path(sys.executable).with_name("ray")


def kill(process):
    family = [process]
    with contextlib.suppress(psutil.Error):
        family += psutil.Process(process.pid).children(recursive=True)
    for member in family:
        with contextlib.suppress(psutil.Error):
            member.kill()
    process.wait()


#: What Ray calls the processes that run trials, and those that train models.
TRIAL, TRAINING = "ImplicitFunc", "train_on_node"


def at_work(node, what):
    """Processes of this node that do something."""
    found = set()
    for member in psutil.Process(node.pid).children(recursive=True):
        with contextlib.suppress(psutil.Error):
            if what in " ".join(member.cmdline()):
                found.add(member.pid)
    return found


class Cluster:
    """A head and one more node, with a CPU each."""

    def __init__(self, folder):
        self.folder = folder
        self.environment = {
            **os.environ,
            "RAY_USAGE_STATS_ENABLED": "0",
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN": secrets.token_hex(32),
        }
        with socket.create_server(("", 0)) as free:
            port = free.getsockname()[1]
        self.head = self.start(
            *("--head", f"--port={port}", "--include-dashboard=false", f"--temp-dir={folder}")
        )
        code = "from ray.util import get_node_ip_address as address; print(address())"
        host = subprocess.check_output([sys.executable, "-c", code], text=True).strip()
        self.address = f"{host}:{port}"
        self.wait(lambda: not socket.create_connection((host, port)).close())
        self.join()

    def join(self):
        """Start the other node."""
        self.node = self.start(f"--address={self.address}")
        self.wait(lambda: self.nodes() == 2)

    def start(self, *arguments):
        return subprocess.Popen(
            [
                RAY,
                "start",
                "--block",
                "--num-cpus=1",
                "--object-store-memory=100000000",
                *arguments,
            ],
            env=self.environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def nodes(self):
        code = (
            "import ray, sys; ray.init(address=sys.argv[1], logging_level='ERROR')\n"
            "print(sum(node['Alive'] for node in ray.nodes()))"
        )
        return int(self.run(sys.executable, "-c", code, self.address).stdout or 0)

    def wait(self, ready):
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError):
                if ready():
                    return
            time.sleep(0.5)
        pytest.fail("the cluster does not start")

    def run(self, *command):
        return subprocess.run(
            command, env=self.environment, capture_output=True, text=True, check=False
        )

    def ikpaper(self, *arguments, **environment):
        return subprocess.Popen(
            [sys.executable, "-m", "ikpaper.cli", *map(str, arguments)],
            cwd=ROOT,
            env={**self.environment, "RAY_ADDRESS": self.address, **environment},
            stderr=subprocess.PIPE,
            text=True,
        )

    def stop(self):
        kill(self.node)
        kill(self.head)


@pytest.fixture(scope="module")
def cluster():
    # Not pytest's folder: Ray's sockets want short paths.
    folder = tempfile.mkdtemp(prefix="ray-", dir="/tmp")
    cluster = Cluster(folder)
    yield cluster
    cluster.stop()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.slow
def test_all_models_train_on_the_cluster(cluster, tmp_path):
    weights = tmp_path / "weights"
    process = cluster.ikpaper(
        *("train", "--all", "--profile", "smoke"), IKPAPER_WEIGHTS=str(weights)
    )
    _, log = process.communicate(timeout=300)
    assert process.returncode == 0, log
    runs = all_runs("smoke")
    assert {run.name for run in runs} >= {"cvae", "flow", "flow-fast", "inn"}
    # Teachers first.
    pupils = [run for run in runs if run.teacher is not None]
    assert f"{len(runs) - len(pupils)} runs, 2 at a time" in log
    assert f"{len(pupils)} runs, 2 at a time" in log
    for run in runs:
        assert run.compare(weights)[1] == []
        model = load(run.name, run.arm.dof, profile="smoke", directory=weights)
        assert model.num_parameters > 0
    process = cluster.ikpaper(
        *("train", "--all", "--profile", "smoke"), IKPAPER_WEIGHTS=str(weights)
    )
    _, log = process.communicate(timeout=120)
    assert log == f"all {len(runs)} models are there and current; none was trained\n"


DIVERGING = """
import sys
from ikpaper.training import Diverged, TrainingRun, train_on_cluster

rates = (1e9, 1e-3)
runs = [TrainingRun.of("cvae", 4, profile="smoke", seed=i, learning_rate=r)
        for i, r in enumerate(rates)]
try:
    train_on_cluster(runs, address=sys.argv[1], directory=sys.argv[2])
except Diverged as error:
    print(error)
"""


@pytest.mark.slow
def test_divergence_is_told_after_the_others_are_done(cluster, tmp_path):
    done = cluster.run(sys.executable, "-c", DIVERGING, cluster.address, str(tmp_path))
    assert done.stdout.startswith("cvae 4 DoF, smoke, seed 0: ")
    assert " in epoch 1" in done.stdout
    assert done.stdout.count("\n") == 1
    assert "cvae 4 DoF, smoke, seed 1: training took" in done.stderr
    assert [path.stem for path in tmp_path.rglob("*.safetensors")] == ["cvae-04dof-seed1"]


ROWS = """
import sys
from pathlib import Path
from ikpaper.experiments import Experiment, ResultTable
from ikpaper.experiments.published import COLUMNS, experiment
from ikpaper.matmul import use_fast_matmul

# As on the nodes.
use_fast_matmul()
jobs = [job for job in experiment([4], targets=3, samples=300).jobs
        if job.place["sampler"] in ("exact", "prior", "cvae", "flow-fast")
        and job.place["at"] == "random"]
table = ResultTable(Path(sys.argv[1]), COLUMNS, ("dof", "at", "sampler"))
Experiment(jobs, table).run(address=(sys.argv[2:] or [None])[0])
"""


@pytest.mark.slow
def test_rows_measured_on_the_cluster_are_those_measured_here(cluster, tmp_path):
    here, there = tmp_path / "here.csv", tmp_path / "there.csv"
    for path, *address in ((here,), (there, cluster.address)):
        command = [sys.executable, "-W", "ignore", "-c", ROWS, str(path), *address]
        done = cluster.run(*command)
        assert done.returncode == 0, done.stderr
    assert "4 jobs, 2 at a time" in done.stderr
    one, other = (pd.read_csv(path) for path in (here, there))
    times = "samples_per_second"
    assert one.drop(columns=times).equals(other.drop(columns=times))
    assert len(one) == 7


@pytest.mark.slow
def test_pages_are_reproduced_on_the_cluster(cluster):
    command = [sys.executable, "-m", "ikpaper", "reproduce", "--only", "hyperparameters", "models"]
    done = cluster.run(*command, "--fresh", "--address", cluster.address)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("Reproduced: ")
    # Their numbers are listed in the order of the book.
    found = re.findall(r"^\[\d/2\] (\S+): [\d,]+ numbers", done.stderr, re.M)
    assert found == ["models", "hyperparameters"]


LONG = """
import sys
from ikpaper.training import TrainingRun, train_on_cluster

runs = [TrainingRun.of("cvae", 4, profile="smoke", epochs=200, seed=i) for i in range(2)]
records = train_on_cluster(runs, address=sys.argv[1], directory=sys.argv[2])
print([len(record["history"]) for record in records])
"""


@pytest.mark.slow
def test_training_survives_the_death_of_a_node(cluster, tmp_path):
    command = [sys.executable, "-c", LONG, cluster.address, str(tmp_path)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    process = subprocess.Popen(command, env=cluster.environment, cwd=ROOT, **pipes)
    deadline = time.monotonic() + 120
    while not at_work(cluster.node, TRAINING):
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < deadline
        time.sleep(0.1)
    kill(cluster.node)
    out, log = process.communicate(timeout=300)
    cluster.join()
    assert process.returncode == 0, log
    # Ray has a word of its own before.
    assert out.splitlines()[-1] == "[200, 200]"
    assert len(list(tmp_path.rglob("*.safetensors"))) == 2


@pytest.mark.slow
def test_a_study_survives_the_death_of_a_node(cluster, tmp_path):
    folder = tmp_path / "study"
    process = cluster.ikpaper(
        *("search", "--model", "cvae", "--dof", 4, "--profile", "smoke", "--trials", 6),
        *("--epochs", 60, "--folder", folder),
    )
    table = folder / "trials.csv"
    deadline = time.monotonic() + 240
    ended = set()
    # Some trial has ended, and the node is in the middle of another one.
    while not (table.exists() and at_work(cluster.node, TRIAL) - ended):
        ended |= set() if table.exists() else at_work(cluster.node, TRIAL)
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < deadline
        time.sleep(0.1)
    kill(cluster.node)
    _, log = process.communicate(timeout=300)
    assert process.returncode == 0, log
    rows = pd.read_csv(table)
    assert rows["trial"].tolist() == [1, 2, 3, 4, 5, 6]
    assert set(rows["outcome"]) == {"trained"}
    assert set(rows["epochs"]) == {60}
    assert "2 at a time" in log
    assert "it starts again" in log


@pytest.mark.parametrize("answer", [b"HTTP/1.1 400 Bad Request\r\n", b""])
def test_a_port_of_something_else_is_no_cluster(answer):
    with socket.create_server(("127.0.0.1", 0)) as server:

        def reply():
            connection, _ = server.accept()
            with connection:
                connection.recv(100)
                connection.sendall(answer)

        thread = threading.Thread(target=reply)
        thread.start()
        address = f"127.0.0.1:{server.getsockname()[1]}"
        with (
            pytest.raises(ValueError, match="something else answers; is that the port"),
            connected(address),
        ):
            pytest.fail("it was joined")
        thread.join()


def test_where_the_address_comes_from(monkeypatch):
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    assert cluster_address() is None
    assert cluster_address("local") is None
    monkeypatch.setenv("RAY_ADDRESS", "10.0.0.1:6379")
    assert cluster_address() == "10.0.0.1:6379"
    assert cluster_address("10.0.0.2:6379") == "10.0.0.2:6379"
    assert cluster_address("local") is None
