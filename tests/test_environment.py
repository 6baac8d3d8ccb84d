import re
import tomllib
from importlib.metadata import distribution
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
ENVIRONMENT = yaml.safe_load((ROOT / "environment.yml").read_text())


BASE, BASELINES = "requirements.lock", "requirements-baselines.lock"


def lock(file=BASE):
    lines = (ROOT / file).read_text().splitlines()
    pins = [Requirement(line) for line in lines if line and not line.startswith("#")]
    return {canonicalize_name(pin.name): pin for pin in pins}


@pytest.mark.parametrize("file", [BASE, BASELINES])
def test_the_lock_pins_everything_exactly_and_names_no_host(file):
    for pin in lock(file).values():
        assert [spec.operator for spec in pin.specifier] == ["=="], pin
        assert pin.url is None
    text = (ROOT / file).read_text()
    assert not re.search(r"https?://|^-|file:|/", text, re.M)


def test_every_dependency_is_locked_at_a_version_that_satisfies_it():
    extras = dict(PROJECT["optional-dependencies"])
    baselines = extras.pop("baselines")
    wanted = [*PROJECT["dependencies"], *(r for extra in extras.values() for r in extra)]
    for requirements, pins in ((wanted, lock()), (baselines, lock(BASELINES))):
        for requirement in map(Requirement, requirements):
            assert satisfied(requirement, pins), requirement


def satisfied(requirement, pins):
    pin = pins[canonicalize_name(requirement.name)]
    (version,) = (spec.version for spec in pin.specifier)
    return requirement.specifier.contains(version)


def test_the_lock_of_the_baselines_adds_to_the_other_and_repeats_nothing():
    assert not lock().keys() & lock(BASELINES).keys()


def test_both_locks_together_have_all_that_the_baselines_need():
    pytest.importorskip("sbi")
    # pip takes setuptools for its own and freezes no version of it.
    pins = {**lock(), **lock(BASELINES), "setuptools": Requirement("setuptools==77")}
    for name in lock(BASELINES):
        for requirement in map(Requirement, distribution(name).requires or ()):
            if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
                assert satisfied(requirement, pins), (name, requirement)


def test_torch_is_the_version_asked_for():
    assert str(lock()["torch"].specifier) == "==2.13.0"
    (torch,) = (r for r in map(Requirement, PROJECT["dependencies"]) if r.name == "torch")
    assert torch.specifier.contains("2.6.0")


def test_conda_gives_python_and_pip_and_pip_the_lock():
    *conda, pip = ENVIRONMENT["dependencies"]
    (python,) = (entry for entry in conda if entry.startswith("python"))
    version = Version(python.split("=")[1])
    assert Requirement(f"x{PROJECT['requires-python']}").specifier.contains(version)
    assert version <= Version("3.13")
    assert "pip" in conda
    assert pip == {"pip": ["-r requirements.lock", "-e ."]}
    assert ENVIRONMENT["name"] == PROJECT["name"]
