import pytest
import torch


@pytest.fixture(autouse=True)
def quick_classifier(monkeypatch):
    """A classifier takes seconds a target, and says nothing of what runs it."""
    monkeypatch.setattr(
        "ikpaper.evaluation.task.c2st_batch",
        lambda a, b, seed: torch.full((len(a),), 0.5, dtype=torch.float64),
    )


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A folder in place of the checkout, for tables and for weights."""
    monkeypatch.setattr("ikpaper.experiments.runner.project_root", lambda: tmp_path)
    monkeypatch.setenv("IKPAPER_WEIGHTS", str(tmp_path / "weights"))
    return tmp_path
