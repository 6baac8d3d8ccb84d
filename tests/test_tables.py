import pandas as pd

from ikpaper import tables
from ikpaper.tables import ResultTable, results_path

COLUMNS = ("sampler", "dof", "score", "key")


def table(path):
    return ResultTable(path / "t.csv", COLUMNS, ("dof", "sampler"), {"sampler": ["b", "a"]})


def row(sampler, dof, key, **more):
    return {"sampler": sampler, "dof": dof, "key": key, **more}


def test_rows_outlast_the_process_in_their_order(tmp_path):
    results = table(tmp_path)
    for new in (row("a", 10, "1"), row("x", 4, "2"), row("a", 4, "3"), row("b", 4, "4")):
        results.add(new)
    saved = pd.read_csv(tmp_path / "t.csv", dtype={"key": str})
    assert list(saved["dof"]) == [4, 4, 4, 10]
    # By the order that is given, then what it does not know.
    assert list(saved["sampler"]) == ["b", "a", "x", "a"]
    again = table(tmp_path)
    again.add(row("b", 6, "5"))
    assert list(pd.read_csv(tmp_path / "t.csv")["dof"]) == [4, 4, 4, 6, 10]


def test_a_row_takes_the_place_of_one_of_the_same_name(tmp_path):
    results = table(tmp_path)
    results.add(row("a", 4, "old", score=1.0))
    results.add(row("a", 6, "other"))
    assert "old" in results
    table(tmp_path).add(row("a", 4, "new", score=2.0))
    results = table(tmp_path)
    assert "old" not in results
    assert "new" in results
    assert list(results.rows(["new"])["score"]) == [2.0]
    assert len(pd.read_csv(tmp_path / "t.csv")) == 2


def test_only_known_columns_are_kept_and_missing_ones_are_empty(tmp_path):
    results = table(tmp_path)
    results.add(row("a", 4, "k", seconds=3))
    found = results.rows(["k", "not there"])
    assert list(found.columns) == list(COLUMNS)
    assert found["score"].isna().all()


def test_readers_see_published_tables_only(monkeypatch, tmp_path):
    monkeypatch.setattr(tables, "project_root", lambda: tmp_path)
    assert results_path("t", "paper", published=True) == tmp_path / "book" / "results" / "t.csv"
    assert results_path("t", "smoke", published=False) == tmp_path / ".cache" / "t-smoke.csv"
