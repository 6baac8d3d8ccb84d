"""Notebooks run anew make the tables that are committed."""

import pandas as pd
import pytest

from tests.report.committed import BOOK, arms, table
from tests.report.runs import run_page


@pytest.mark.parametrize(
    "name",
    [
        *("hyperparameters", "models", "comparison", "studies", "summary"),
        *("longer-arms", "baselines", "speed", "calibration"),
    ],
)
def test_pages_of_published_results_make_the_committed_tables(name, tmp_path):
    run_page(name, tmp_path)
    made = {path.stem for path in (tmp_path / "book" / "tables").glob("*.csv")}
    assert made
    # One table is of the machine that it was made on.
    for known in made - {"hardware"}:
        assert (tmp_path / f"book/tables/{known}.csv").read_text() == table(known), known


def test_the_page_on_published_numbers_reads_the_arms_results(tmp_path, monkeypatch):
    monkeypatch.setenv("IKPAPER_WEIGHTS", str(tmp_path / "weights"))
    results = tmp_path / "book" / "results"
    results.mkdir(parents=True)
    for kind in ("scores", "figures"):
        for dof, rows in arms(kind).assign(profile="smoke").groupby("dof"):
            rows.to_csv(results / f"{kind}-{dof:02d}.csv", index=False)
    numbers = run_page("published", tmp_path, profile="smoke", train=True)
    assert (numbers["inn_plotted"], numbers["inn_exact"]) == ("4 of 4", "0 of 4")
    for known in (
        "winners",
        "floor",
        "hulls",
        "halved",
        "ablations",
        "ablation-profile",
        "schedule",
    ):
        assert (tmp_path / f"book/tables/{known}.csv").read_text() == table(known), known


def test_papermill_runs_the_page_beyond_the_paper(tmp_path, monkeypatch):
    monkeypatch.setenv("IKPAPER_WEIGHTS", str(tmp_path / "weights"))
    run_page("beyond", tmp_path, profile="smoke", train=True)
    # The one of the book's front page.
    assert (tmp_path / "book" / "figures" / "home.svg").exists()
    made = {path.stem: path.read_text() for path in (tmp_path / "book/tables").glob("*.csv")}
    # The numbers of steps, with and without a projection, below the header.
    assert len(made.pop("flow-steps").splitlines()) == 11
    assert len(made.pop("amortised").splitlines()) == 5
    # Five stops for each of two samplers.
    assert len(made.pop("stops").splitlines()) == 11
    # The rest is of published results.
    for known in made:
        assert made[known] == table(known), known


def test_papermill_runs_the_page_on_reading_numbers(tmp_path):
    run_page("reading", tmp_path, profile="smoke")
    made = pd.read_csv(tmp_path / "book" / "tables" / "faults.csv", dtype=str)
    known = pd.read_csv(BOOK / "tables" / "faults.csv", dtype=str)
    # Scores are of fewer samples; which faults are scored does not depend on the profile.
    columns = ["MMD²", "fault", "size"]
    pd.testing.assert_frame_equal(made[columns], known[columns])
