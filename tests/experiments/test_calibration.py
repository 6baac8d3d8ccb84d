from pathlib import Path

import pandas as pd
import pytest

from ikpaper import projection
from ikpaper.experiments.calibration import (
    CHECKS,
    COLUMNS,
    calibration_jobs,
    calibration_table,
    run_calibration,
)
from ikpaper.experiments.runner import run_jobs
from ikpaper.models import Flow

#: What needs no weights.
UNTRAINED = ["exact", "prior", "lookup", "lookup-large", "flow-guess"]


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """Without weights, samplers that need none are checked."""
    folder = tmp_path_factory.mktemp("calibration")
    jobs = calibration_jobs([4], simulations=300, samples=31, directory=folder)
    chosen = [job for job in jobs if job.place["sampler"] in ("exact", "prior", "lookup")]
    return run_jobs(chosen, calibration_table(path=folder / "t.csv"))


def test_samplers_have_a_row_a_check(table):
    assert tuple(table.columns) == COLUMNS
    assert list(zip(table["sampler"], table["refine"], table["check"], strict=True)) == [
        (name, steps, check)
        for name, steps in (("exact", 0), ("prior", 0), ("prior", 3), ("lookup", 0), ("lookup", 3))
        for check in CHECKS
    ]
    ordered = table["check"].isin(["hpd", "tarp", "tarp-nearest", "tarp-mean"])
    assert (table["coverage_50"].notna() == ordered).all()
    assert table["power_100"].notna().all()
    # Of all simulations there is one set: its p-value tells.
    assert table["power_300"].isna().all()


def test_exact_samples_pass_and_the_prior_where_it_must(table):
    found = {place: rows.set_index("check") for place, rows in table.groupby(["sampler", "refine"])}
    exact, prior = found["exact", 0], found["prior", 0]
    assert (exact["p_value"] > 0.005).all()
    blind, seeing = ["sbc", "hpd", "tarp"], ["tarp-nearest", "tarp-mean", "classifier"]
    assert (prior["p_value"][blind] > 0.005).all()
    assert (prior["p_value"][seeing] < 1e-6).all()
    assert (prior["power_100"][seeing] == 1).all()
    # Balls around the mean of the posterior hold too much of what is spread too widely.
    assert prior["coverage_50"]["tarp-mean"] > 0.6


def test_what_is_measured_is_kept(tmp_path):
    settings = {"dofs": [4], "simulations": 8, "directory": tmp_path, "table": tmp_path / "t.csv"}
    first = run_calibration(**settings)
    assert list(first["sampler"].unique()) == UNTRAINED
    kept = pd.read_csv(settings["table"])
    kept["p_value"] = 0.25
    kept.to_csv(settings["table"], index=False)
    assert (run_calibration(**settings)["p_value"] == 0.25).all()
    again = run_calibration(**settings, fresh=True)
    assert list(again["p_value"]) == pytest.approx(list(first["p_value"]))


def _keys(**changes):
    return {
        job.place["sampler"]: job.identity.key
        for job in calibration_jobs([4], directory=Path("none"), **changes)
    }


def test_what_a_row_is_made_of_decides_its_key_and_nothing_else(monkeypatch):
    before = _keys()
    assert before == _keys()
    assert list(before) == UNTRAINED
    assert not set(before.values()) & set(_keys(simulations=300).values())
    assert not set(before.values()) & set(_keys(samples=63).values())
    monkeypatch.setattr(Flow, "version", Flow.version + 1)
    assert {name for name, key in _keys().items() if key != before[name]} == {"flow-guess"}
    monkeypatch.undo()
    monkeypatch.setattr(projection, "VERSION", projection.VERSION + 1)
    assert {name for name, key in _keys().items() if key == before[name]} == {"exact"}
