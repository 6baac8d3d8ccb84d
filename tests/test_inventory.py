import shutil
from pathlib import Path

import pytest

from ikpaper.cli import main
from ikpaper.files import find_project
from ikpaper.identity import State
from ikpaper.inventory import accept, inventory, published_runs

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def outdated(tmp_path, monkeypatch):
    """Published weights in a folder of one's own, which say another version of their model."""
    for suffix in (".json", ".safetensors"):
        name = f"paper/cvae-04dof-seed42{suffix}"
        (tmp_path / "paper").mkdir(exist_ok=True)
        shutil.copy(ROOT / "weights" / name, tmp_path / name)
    monkeypatch.setenv("IKPAPER_WEIGHTS", str(tmp_path))
    monkeypatch.setattr("ikpaper.models.CVAE.version", 99)
    return "cvae-04dof-seed42"


def test_everything_that_is_published_is_listed():
    weights = {path.stem for path in (ROOT / "weights" / "paper").glob("*.safetensors")}
    assert {item.name for item in inventory(["weights"])["weights"]} == weights
    assert len(published_runs()) == len(weights)
    studies = {path.name for path in (ROOT / "book" / "results" / "studies").iterdir()}
    assert {item.name for item in inventory(["studies"])["studies"]} == studies
    assert "dof-06" in {item.name for item in inventory(["pages"])["pages"]}


def test_what_is_outdated_says_why_and_what_it_costs_until_it_is_accepted(outdated, capsys):
    (item,) = (item for item in inventory(["weights"])["weights"] if item.name == outdated)
    assert not item.current
    assert item.reason
    assert item.cost > 60
    assert accept("weights", [outdated], reason="the same samples") == [outdated]
    (item,) = (item for item in inventory(["weights"])["weights"] if item.name == outdated)
    assert (item.current, item.reason, item.cost) == (True, "", 0.0)
    assert main(["status", "weights"]) == 0
    assert f"  {outdated}: current" in capsys.readouterr().out


def test_what_is_current_is_not_stamped_again(monkeypatch):
    monkeypatch.setattr("ikpaper.report.pages.status", lambda: [State("one", "", "abc", 1.0)])
    monkeypatch.setattr("ikpaper.report.pages.accept", lambda *_, **__: pytest.fail("stamped"))
    assert accept("pages", reason="read") == []


def test_names_are_checked():
    with pytest.raises(ValueError, match="unknown kind 'studies'; known: weights, benchmark"):
        accept("studies", reason="read")
    with pytest.raises(ValueError, match="unknown name among weights 'cvae-05dof'; known: cvae-04"):
        accept("weights", ["cvae-05dof"], reason="read")


def test_outside_of_a_checkout_there_is_none(monkeypatch):
    assert find_project() == ROOT
    monkeypatch.setattr("ikpaper.files.find_project", lambda: None)
    with pytest.raises(RuntimeError, match="this needs a checkout"):
        inventory()
