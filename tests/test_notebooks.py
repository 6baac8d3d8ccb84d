from pathlib import Path

import jupytext
import nbformat
import pandas as pd
import papermill
import pytest

from ikpaper.report import PAGES

ROOT = Path(__file__).resolve().parents[1]
SOURCES = sorted((ROOT / "notebooks").glob("*.py"))


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.stem)
def test_the_pair_is_in_step_and_without_outputs(source):
    script = jupytext.read(source)
    notebook = nbformat.read(source.with_suffix(".ipynb"), as_version=4)

    def content(nb):
        return [(c.cell_type, c.source, dict(c.metadata)) for c in nb.cells]

    assert content(notebook) == content(script), "run: make notebooks"
    assert not any(c.get("outputs") for c in notebook.cells)


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.stem)
def test_cells_are_short_and_parameters_are_there(source):
    cells = jupytext.read(source).cells
    parameters = [c for c in cells if "parameters" in c.metadata.get("tags", [])]
    assert len(parameters) == 1
    assert {"profile", "book"} <= {
        line.split(" = ")[0] for line in parameters[0].source.split("\n")
    }
    assert max(len(c.source.splitlines()) for c in cells if c.cell_type == "code") <= 60


def test_every_notebook_makes_a_page():
    # A study takes hours: its notebook runs on its own.
    assert {page.notebook for page in PAGES} == {source.stem for source in SOURCES} - {"search"}


def test_papermill_runs_a_study(tmp_path):
    papermill.execute_notebook(
        str(ROOT / "notebooks" / "search.ipynb"),
        str(tmp_path / "out.ipynb"),
        parameters={
            "dof": 4,
            "model": "cvae",
            "trials": 3,
            "epochs": 2,
            "profile": "smoke",
            "folder": str(tmp_path / "study"),
        },
        kernel_name="python3",
        cwd=str(ROOT),
        progress_bar=False,
    )
    assert len(pd.read_csv(tmp_path / "study" / "trials.csv")) == 3
    assert len(svg_figures(tmp_path / "out.ipynb")) == 3


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("dof", {"dof": 10, "train": True}),
        ("ground-truth", {}),
        ("inverse-kinematics", {}),
        ("models", {}),
    ],
)
def test_papermill_runs_it(name, parameters, tmp_path, monkeypatch):
    monkeypatch.setenv("IKPAPER_WEIGHTS", str(tmp_path / "weights"))
    papermill.execute_notebook(
        str(ROOT / "notebooks" / f"{name}.ipynb"),
        str(tmp_path / "out.ipynb"),
        parameters={**parameters, "profile": "smoke"},
        kernel_name="python3",
        cwd=str(ROOT),
        progress_bar=False,
    )
    assert len(svg_figures(tmp_path / "out.ipynb")) >= 3


def svg_figures(path):
    executed = nbformat.read(path, as_version=4)
    return [
        out for c in executed.cells if c.cell_type == "code" for out in c.outputs
        if "image/svg+xml" in out.get("data", {})
    ]  # fmt: skip
