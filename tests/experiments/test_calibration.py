import pandas as pd
import pytest

from ikpaper import projection
from ikpaper.experiments.calibration import CHECKS, COLUMNS, experiment
from ikpaper.experiments.runner import Experiment, ResultTable
from ikpaper.models import Flow

#: What needs no weights.
UNTRAINED = ["exact", "rejection", "prior", "lookup", "lookup-large", "flow-guess"]


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """Without weights, samplers that need none are checked."""
    jobs = experiment([4], simulations=300, samples=31).jobs
    chosen = [job for job in jobs if job.place["sampler"] in ("exact", "prior", "lookup")]
    path = tmp_path_factory.mktemp("calibration") / "t.csv"
    return Experiment(chosen, ResultTable(path, COLUMNS, ("dof", "sampler"))).run()


def test_samplers_have_a_row_a_check(table):
    assert tuple(table.columns) == COLUMNS
    assert list(zip(table["sampler"], table["refine"], table["check"], strict=True)) == [
        (name, steps, check)
        for name, steps in (("exact", 0), ("lookup", 0), ("lookup", 3), ("prior", 0), ("prior", 3))
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


def test_what_is_measured_is_kept(project):
    settings = {"dofs": [4], "simulations": 8}
    first = experiment(**settings).run()
    assert list(first["sampler"].unique()) == UNTRAINED
    path = project / ".cache" / "calibration-8.csv"
    kept = pd.read_csv(path)
    kept["p_value"] = 0.25
    kept.to_csv(path, index=False)
    assert (experiment(**settings).run()["p_value"] == 0.25).all()
    again = experiment(**settings).run(fresh=True)
    assert list(again["p_value"]) == pytest.approx(list(first["p_value"]))


def _keys(**changes):
    return {job.place["sampler"]: job.identity.key for job in experiment([4], **changes).jobs}


def test_what_a_row_is_made_of_decides_its_key_and_nothing_else(project, monkeypatch):
    before = _keys()
    assert before == _keys()
    assert list(before) == UNTRAINED
    assert not set(before.values()) & set(_keys(simulations=300).values())
    assert not set(before.values()) & set(_keys(samples=63).values())
    monkeypatch.setattr(Flow, "version", Flow.version + 1)
    assert {name for name, key in _keys().items() if key != before[name]} == {"flow-guess"}
    monkeypatch.setattr(Flow, "version", Flow.version - 1)
    monkeypatch.setattr(projection, "VERSION", projection.VERSION + 1)
    assert {name for name, key in _keys().items() if key == before[name]} == {"exact", "rejection"}
