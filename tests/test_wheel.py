"""The wheel, installed into an environment of its own and used offline from an empty folder."""

import os
import shutil
import subprocess
import sys
import sysconfig
import tomllib
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

#: What a wheel is made from.
SOURCES = ("ikpaper", "weights/paper", "book/results")
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
FILES = ("pyproject.toml", "setup.py", "MANIFEST.in", "README.md", "LICENSE")

OFFLINE = """
import socket
def refuse(*arguments):
    raise OSError("this is to work offline")
socket.socket.connect = socket.getaddrinfo = refuse
"""

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    source, target = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    ignored = shutil.ignore_patterns("__pycache__", "_build")
    for folder in SOURCES:
        shutil.copytree(ROOT / folder, source / folder, ignore=ignored)
    for file in FILES:
        shutil.copy(ROOT / file, source / file)
    # What an earlier build left is not to come along.
    (source / "build" / "lib" / "ikpaper").mkdir(parents=True)
    (source / "build" / "lib" / "ikpaper" / "gone.py").write_text("")
    options = ["--quiet", "--no-index", "--no-deps", "--no-build-isolation", "--wheel-dir"]
    pip = [sys.executable, "-m", "pip", "wheel", *options, str(target), str(source)]
    subprocess.run(pip, check=True, cwd=target)
    (made,) = target.glob("ikpaper-*.whl")
    return made


@pytest.fixture(scope="module")
def python(wheel, tmp_path_factory):
    """Python of an environment with the wheel, and with this one's packages but for ikpaper."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=False)
    scripts = folder / ("Scripts" if os.name == "nt" else "bin")
    options = ["--quiet", "--no-index", "--no-deps"]
    pip = [sys.executable, "-m", "pip", "--python", str(scripts / "python"), "install"]
    subprocess.run([*pip, *options, str(wheel)], check=True, cwd=folder)
    # A plain line: the file that points to the checkout, beside these packages, is not read.
    (site,) = folder.rglob("site-packages")
    (site / "packages.pth").write_text(sysconfig.get_paths()["purelib"] + "\n")
    return scripts / "python"


@pytest.fixture
def run(python, tmp_path):
    """Runs a command in an empty folder that has to stay empty; returns status, output, errors."""
    home, folder = tmp_path / "home", tmp_path / "empty"
    home.mkdir()
    folder.mkdir()
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PYTHON", "IKPAPER", "XDG_"))
    }
    environment = {**kept, "HOME": str(home), "LOCALAPPDATA": str(home)}

    def call(*arguments, script=None):
        command = [script] if script else [str(python)]
        done = subprocess.run(
            [*command, *arguments],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert list(folder.iterdir()) == []
        return done.returncode, done.stdout, done.stderr

    return call


def test_a_wheel_fits_the_package_index_and_has_only_what_is_there(wheel):
    assert wheel.stat().st_size < 100e6
    names = subprocess.run(
        [sys.executable, "-m", "zipfile", "-l", str(wheel)],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    assert "ikpaper/_published/results/benchmark.csv" in names
    assert "gone.py" not in names


def test_every_published_model_loads_and_samples(run):
    code = """
import json, pathlib, torch, ikpaper
from ikpaper.arm import arm_of
from ikpaper.files import find_project
assert find_project() is None
folder = pathlib.Path(ikpaper.__file__).parent / "_published" / "weights" / "paper"
for path in sorted(folder.glob("*.json")):
    record = json.loads(path.read_text(encoding="utf-8"))
    arm = arm_of(record["config"]["lengths"])
    theta = ikpaper.load(record["model"], arm=arm).sample([1.5, 0.2], 3)
    assert theta.shape == (3, arm.dof) and torch.isfinite(theta).all()
    print(path.stem)
"""
    status, output, errors = run("-c", OFFLINE + code)
    assert status == 0, errors
    published = sorted(path.stem for path in (ROOT / "weights" / "paper").glob("*.json"))
    assert output.split() == published


def test_the_benchmark_and_its_published_rows_are_there(run):
    code = """
import ikpaper
arm = ikpaper.PlanarArm.paper(6)
print(ikpaper.benchmark(ikpaper.load("flow", dof=6), dof=6, targets=1, samples=1000))
assert set(ikpaper.results()["dof"]) == {4, 6, 8, 10}
print(ikpaper.__version__)
"""
    status, output, errors = run("-c", OFFLINE + code)
    assert status == 0, errors
    assert "numerical" in output
    assert output.splitlines()[-1] == VERSION


def test_the_commands_work_and_say_what_needs_a_checkout(run, python):
    sample = ["sample", "--model", "inn", "--dof", "6", "--tcp", "3", "0.8", "-n", "2"]
    status, output, errors = run(*sample, script=str(python.with_name("ikpaper")))
    assert (status, errors) == (0, "")
    assert run("-m", "ikpaper", *sample) == (0, output, "")
    assert run("-m", "ikpaper", "--version") == (0, f"ikpaper {VERSION}\n", "")
    for verb in (["report"], ["status"], ["reproduce"], ["benchmark"], ["ablate"], ["scaling"]):
        status, _, errors = run("-m", "ikpaper", *verb)
        assert status == 1, verb
        assert "this needs a checkout" in errors
        assert errors.count("\n") == 1
    search = ["search", "--model", "cvae", "--dof", "4"]
    assert "this needs a checkout" in run("-m", "ikpaper", *search)[2]


def test_what_is_trained_is_kept_for_the_user(run, tmp_path):
    model = ["--model", "cvae", "--dof", "4", "--profile", "smoke"]
    status, _, errors = run("-m", "ikpaper", "train", *model)
    assert status == 0, errors
    assert len(list((tmp_path / "home").rglob("cvae-04dof-seed42.safetensors"))) == 1
    status, _, errors = run("-m", "ikpaper", "sample", *model, "--tcp", "2", "0")
    assert status == 0, errors
    published = ["--model", "cvae", "--dof", "4", "--profile", "paper"]
    status, _, errors = run("-m", "ikpaper", "train", *published)
    assert status == 0, errors
    assert "training loss" not in errors


def test_it_works_where_there_is_no_fcntl(run):
    code = """
import sys
sys.modules["fcntl"] = None
import pathlib, tempfile, ikpaper
from ikpaper.files import locked
with tempfile.TemporaryDirectory() as folder, locked(pathlib.Path(folder) / "study"):
    try:
        with locked(pathlib.Path(folder) / "study"):
            raise SystemExit("locked twice")
    except RuntimeError as error:
        print(error)
import ikpaper.cli
sys.exit(ikpaper.cli.main(["sample", "--model", "flow", "--dof", "6", "--tcp", "3", "0"]))
"""
    status, output, errors = run("-c", code)
    assert status == 0, errors
    assert "another process is at work" in output
    assert "theta_1" in output
