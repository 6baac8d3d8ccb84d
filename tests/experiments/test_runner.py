import contextlib
import dataclasses
import json

import pandas as pd
import pytest

from ikpaper.experiments import runner
from ikpaper.experiments.runner import Experiment, Job, ResultTable, results_path, weights_folder
from ikpaper.identity import Identity

COLUMNS = ("name", "size", "value", "key")
LABELS = ("small of 1", "big of 1", "new of 1")


def job(name, size=1, *, setting=0, measured=None, fails=False):
    """A job that notes in `measured` that it was done."""

    def measure(progress, fresh):
        if fails:
            raise KeyboardInterrupt
        if measured is not None:
            measured.append(name)
        return {"value": 10.0 * size + setting, "ignored": 1}

    identity = Identity("row", {"name": name, "setting": setting}, {}, {"test": 1})
    return Job({"name": name, "size": size}, identity, f"{name} of {size}", 2.0, measure)


@pytest.fixture
def table(tmp_path):
    """Opens the table anew, as another process would."""
    order = {"name": ("big", "small")}
    return lambda: ResultTable(tmp_path / "t.csv", COLUMNS, ("name", "size"), order)


@pytest.fixture
def experiment(table):
    """Jobs for that table."""
    return lambda *jobs: Experiment(jobs, table())


def test_a_table_grows_by_what_it_lacks(experiment, table):
    measured = []
    first = experiment(job("small", measured=measured)).run()
    both = experiment(job("small", measured=measured), job("big", measured=measured)).run()
    assert measured == ["small", "big"]
    assert first["value"].tolist() == [10.0]
    # In the order asked for, with the columns asked for.
    assert both["name"].tolist() == ["big", "small"]
    assert tuple(both.columns) == COLUMNS
    assert pd.read_csv(table().path).equals(both)


def test_other_settings_take_the_place_of_what_was_there(experiment, table):
    measured = []
    experiment(job("small"), job("big")).run()
    rows = experiment(job("small", setting=5, measured=measured)).run()
    assert measured == ["small"]
    assert rows["value"].tolist() == [15.0]
    # What this run is not about stays.
    assert sorted(pd.read_csv(table().path)["value"]) == [10.0, 15.0]


def test_fresh_measures_again(experiment, table):
    measured = []
    experiment(job("small", measured=measured)).run()
    experiment(job("small", measured=measured)).run(fresh=True)
    assert measured == ["small", "small"]
    assert len(pd.read_csv(table().path)) == 1


def test_what_differs_is_kept_if_asked_to(experiment, capsys):
    measured = []
    experiment(job("small")).run()
    jobs = [job("small", setting=5, measured=measured), job("big", measured=measured)]
    assert sorted(experiment(*jobs).run(keep=True)["value"]) == [10.0, 10.0]
    assert measured == ["big"]
    assert "small of 1: kept, though it differs (setting setting: 0" in capsys.readouterr().err
    experiment(*jobs).run(keep=True, fresh=True)
    assert measured == ["big", "small", "big"]


def test_what_is_measured_survives_an_interruption(experiment, table):
    with pytest.raises(KeyboardInterrupt):
        experiment(job("small"), job("big", fails=True), job("big", 2)).run()
    assert pd.read_csv(table().path)["name"].tolist() == ["small"]


def test_a_job_may_give_several_rows(experiment, table):
    group = dataclasses.replace(
        job("small"), measure=lambda progress, fresh: [{"value": 1.0}, {"value": 2.0}]
    )
    experiment(group, job("big")).run()
    rows = experiment(group).run()
    assert rows["value"].tolist() == [1.0, 2.0]
    assert table().outdated(group) == ""


def test_the_identity_of_every_row_is_on_record(experiment, table):
    experiment(job("small"), job("big")).run()
    records = json.loads(table().path.with_suffix(".json").read_text())
    keys = pd.read_csv(table().path)["key"]
    assert set(records) == set(keys)
    record = records[job("small").identity.key]
    assert record["settings"] == {"name": "small", "setting": 0}
    assert "torch" in record["provenance"]["packages"]
    # None stays of what was replaced.
    experiment(job("small", setting=5)).run()
    records = json.loads(table().path.with_suffix(".json").read_text())
    assert set(records) == set(pd.read_csv(table().path)["key"])


def test_what_differs_is_told_with_what_it_would_cost(experiment, table):
    experiment(job("small"), job("big")).run()
    jobs = job("small"), job("big", setting=5), job("new")
    current, changed, missing = experiment(*jobs).states()
    assert (current.current, current.reason, current.cost) == (True, "", 0.0)
    assert current.made.endswith(f"torch {__import__('torch').__version__}")
    assert (changed.current, changed.reason, changed.cost) == (False, "setting setting: 0 -> 5", 2)
    assert (missing.reason, missing.made) == ("not measured", "")


def test_rows_that_somebody_has_checked_are_stamped(experiment, table):
    experiment(job("small"), job("big")).run()
    jobs = [job("small", setting=5), job("big"), job("new")]
    records = table().path.with_suffix(".json")
    before = json.loads(records.read_text())[job("small").identity.key]
    before["provenance"]["revision"] = "before"
    records.write_text(json.dumps({job("small").identity.key: before}))
    assert experiment(*jobs).accept(LABELS, "compared by hand") == ["small of 1"]
    # The numbers stay.
    assert sorted(pd.read_csv(table().path)["value"]) == [10.0, 10.0]
    assert [state.current for state in experiment(*jobs).states()] == [True, True, False]
    record = json.loads(records.read_text())[jobs[0].identity.key]
    assert [each["reason"] for each in record["accepted"]] == ["compared by hand"]
    # What measured them stays on record.
    assert record["provenance"] == before["provenance"]
    measured = []
    experiment(job("small", setting=5, measured=measured)).run()
    assert measured == []


@pytest.mark.parametrize("key", [{}, {"key": "old"}])
def test_rows_without_an_identity_on_record_are_not_current(experiment, key, table):
    row = {"name": "small", "size": 1, "value": 3.0}
    pd.DataFrame([{**row, **key}]).to_csv(table().path, index=False)
    (state,) = experiment(job("small")).states()
    assert (state.current, state.made) == (False, "")
    assert state.reason == "no identity on record"
    experiment(job("big")).run()
    assert experiment(job("small")).accept(LABELS, "compared by hand") == ["small of 1"]
    assert sorted(pd.read_csv(table().path)["value"]) == [3.0, 10.0]
    assert all(state.current for state in experiment(job("small"), job("big")).states())


def test_other_variants_are_out_of_readers_sight(tmp_path, monkeypatch):
    monkeypatch.setattr("ikpaper.experiments.runner.project_root", lambda: tmp_path)
    assert results_path("t", "smoke", published=False) == tmp_path / ".cache" / "t-smoke.csv"
    assert results_path("t", "paper", published=True) == tmp_path / "book" / "results" / "t.csv"
    assert weights_folder("t") == tmp_path / ".cache" / "t"


@pytest.fixture
def no_cluster(monkeypatch):
    """In place of Ray: calls here, the last one first; notes how many CPUs each asks for."""
    asked = []

    def as_tasks(function, calls, *, cpus):
        for number, arguments in reversed(calls.items()):
            asked.append(cpus)
            try:
                yield number, function(*arguments)
            except ZeroDivisionError as error:
                yield number, error

    monkeypatch.setattr(runner, "connected", lambda address: contextlib.nullcontext())
    monkeypatch.setattr(runner, "max_parallel", lambda cpus, gpus: 2)
    monkeypatch.setattr(runner, "as_tasks", as_tasks)
    return asked


def test_a_cluster_gives_the_same_table(experiment, table, tmp_path, no_cluster):
    jobs = [job(name, size) for size in (1, 2) for name in ("small", "big")]
    here = experiment(*jobs).run()
    path = tmp_path / "other.csv"
    order = {"name": ("big", "small")}
    other = ResultTable(path, COLUMNS, ("name", "size"), order)
    assert Experiment(jobs, other).run(address="host:1", cpus=0.5).equals(here)
    assert path.read_bytes() == table().path.read_bytes()
    assert no_cluster == [0.5] * 4
    # What is there is not asked for again.
    Experiment(jobs, other).run(address="host:1")
    assert len(no_cluster) == 4


def test_a_job_that_fails_on_a_cluster_is_told_after_the_others(
    experiment, table, no_cluster, capsys
):
    def fail(progress, fresh):
        raise ZeroDivisionError("no such number")

    failing = dataclasses.replace(job("big"), measure=fail)
    with pytest.raises(RuntimeError, match=r"big of 1: given up after ZeroDivisionError: no such"):
        experiment(job("small"), failing, job("big", 2)).run(address="host:1")
    assert pd.read_csv(table().path)["value"].tolist() == [20.0, 10.0]
    assert "no such number" in capsys.readouterr().err
