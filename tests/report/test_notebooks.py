"""Notebooks: their form, and runs by papermill with what each leaves behind."""

import re
import shutil

import jupytext
import nbformat
import pandas as pd
import pytest

from ikpaper.experiments import scaling
from ikpaper.report.pages import PAGES
from tests.report.committed import BOOK, result
from tests.report.runs import run_page

ROOT = BOOK.parent
SOURCES = sorted((ROOT / "notebooks").glob("*.py"))

every_notebook = pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.stem)


@every_notebook
def test_the_pair_is_in_step_and_without_outputs(source):
    script = jupytext.read(source)
    notebook = nbformat.read(source.with_suffix(".ipynb"), as_version=4)

    def content(nb):
        return [(c.cell_type, c.source, dict(c.metadata)) for c in nb.cells]

    assert content(notebook) == content(script), "run: make notebooks"
    assert not any(c.get("outputs") for c in notebook.cells)


@every_notebook
def test_notebooks_parameterise_call_and_show(source):
    cells = [cell for cell in jupytext.read(source).cells if cell.cell_type == "code"]
    tagged = [cell.source for cell in cells if "parameters" in cell.metadata.get("tags", [])]
    assert len(tagged) == 1
    assert {"profile", "book"} <= {line.split(" = ")[0] for line in tagged[0].split("\n")}
    code = "\n".join(cell.source for cell in cells)
    assert "parameters(" in code, "what papermill passes is checked"
    hidden = [c.source for c in cells if "show-input" not in c.metadata.get("tags", [])]
    assert not re.search(r"^(def|class) ", "\n".join(hidden), re.M), (
        "what has a name is the library's"
    )
    assert max(len(cell.source.splitlines()) for cell in cells) <= 40


def test_every_notebook_makes_a_page():
    # A study takes hours: its notebook runs on its own.
    assert {page.notebook for page in PAGES} == {source.stem for source in SOURCES} - {"search"}


@pytest.mark.slow
@pytest.mark.parametrize("name", ["ground-truth", "inverse-kinematics", "data"])
def test_pages_without_models_run_at_any_profile(name, tmp_path):
    run_page(name, tmp_path, profile="smoke")


@pytest.mark.slow
def test_the_page_of_an_arm_trains_what_is_not_there(tmp_path, monkeypatch):
    monkeypatch.setenv("IKPAPER_WEIGHTS", str(tmp_path / "weights"))
    # As papermill passes what is typed on a command line.
    numbers = run_page("dof", tmp_path, dof=10.0, train="yes", profile="smoke")
    assert numbers["trainings"].startswith(
        "The cVAE has 1,303,226 parameters and was trained for 2"
    )
    for kind in ("scores", "figures", "training"):
        made = pd.read_csv(tmp_path / f"book/results/{kind}-10.csv")
        assert list(made.columns) == list(result(f"{kind}-10").columns)
        assert set(made["profile"]) == {"smoke"}


@pytest.mark.slow
def test_papermill_runs_a_study(tmp_path):
    study = tmp_path / "study"
    settings = {"dof": 4, "model": "cvae", "trials": 3, "epochs": 2, "profile": "smoke"}
    run_page("search", tmp_path, **settings, folder=str(study))
    assert len(pd.read_csv(study / "trials.csv")) == 3


@pytest.mark.slow
def test_a_study_in_a_folder_is_drawn_as_it_is(tmp_path):
    folder = tmp_path / "study"
    shutil.copytree(BOOK / "results" / "studies" / "cvae-04dof-seed42", folder)
    before = (folder / "trials.csv").read_bytes()
    numbers = run_page("search", tmp_path, folder=str(folder), trials=1, model="inn", dof=10)
    assert (folder / "trials.csv").read_bytes() == before
    assert (numbers["model"], numbers["dof"], numbers["trials"]) == ("cVAE", "4", "100")


@pytest.mark.slow
def test_papermill_runs_the_page_on_ones_own_sampler(tmp_path, monkeypatch):
    monkeypatch.setenv("IKPAPER_WEIGHTS", str(tmp_path / "weights"))
    run_page("benchmark", tmp_path, profile="smoke", train=True)
    rail = pd.read_csv(tmp_path / "book" / "tables" / "rail.csv")
    assert list(rail["sampler"]) == ["exact posterior", "rejection sampling", "flow", "prior"]
    assert (rail["unbiased MMD²"] != rail["unbiased MMD², multi-bandwidth"]).all()


@pytest.mark.slow
def test_papermill_runs_the_page_on_longer_arms(tmp_path, monkeypatch):
    monkeypatch.setattr("ikpaper.experiments.runner.project_root", lambda: tmp_path)
    results, tables = (tmp_path / "book" / name for name in ("results", "tables"))
    results.mkdir(parents=True)
    settings = {"profile": "smoke", "targets": 3}
    short = scaling.full_experiment([5], trainings=((1, 8),), steps=(2,), **settings)
    for name, made in (
        ("scaling", scaling.experiment([3, 4], **settings)),
        ("scaling-full", short),
    ):
        made.run().to_csv(results / f"{name}.csv", index=False)
    run_page("longer-arms", tmp_path)
    assert list(pd.read_csv(tables / "scaling.csv")["DoF"]) == [3, 4]
    assert list(pd.read_csv(tables / "scaling-full.csv")["epochs"]) == ["exact", "1"]
