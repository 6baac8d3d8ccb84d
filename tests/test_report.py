import json

import pytest

from ikpaper import report
from ikpaper.report import Page, build_pages, publishable, write_readme_table

HEADER = """# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---
"""
GOOD = (
    HEADER
    + """
# %% [markdown]
# (sec-one-dof)=
# # One
#
# See {numref}`fig-x-dof`.

# %% tags=["parameters"]
dof = 1
profile = "quick"
book = ""

# %% mystnb={"figure": {"name": "fig-x-dof"}, "image": {"alt": "a b"}}
import sys
from pathlib import Path
print("seen")
print("un" + "seen", file=sys.stderr)
folder = Path(book) / "results"
folder.mkdir(exist_ok=True)
(folder / f"one-{dof}.csv").write_text(f"{profile}\\n")
"""
)
PAGES = (
    Page("first", source="one", parameters={"dof": 4}, title="The first"),
    Page("second", source="one", parameters={"dof": 6}, reads=("one-4",)),
)


@pytest.fixture
def project(tmp_path, monkeypatch):
    monkeypatch.setattr(report, "PAGES", PAGES)
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "notebooks" / "one.py").write_text(GOOD)
    return tmp_path


def ran(capsys):
    return [
        line.split()[1].rstrip(":")
        for line in capsys.readouterr().err.splitlines()
        if "done in" in line
    ]


def test_pages_are_made_once_and_again_when_something_changed(project, capsys):
    assert build_pages("smoke", root=project) == 0
    assert ran(capsys) == ["first", "second"]
    page = json.loads((project / "book" / "first.ipynb").read_text())
    text = json.dumps(page)
    assert "# The first" in "".join(page["cells"][0]["source"])
    assert "sec-one-04" in text
    assert "fig-x-04" in text
    assert "unseen" not in text
    assert str(project) not in text
    assert (project / "book" / "results" / "one-4.csv").read_text() == "smoke\n"

    before = (project / "book" / "first.ipynb").read_bytes()
    assert build_pages("smoke", root=project) == 0
    assert ran(capsys) == []

    (project / "book" / "first.ipynb").write_text("tampered")
    build_pages("smoke", root=project)
    assert ran(capsys) == ["first"]
    assert (project / "book" / "first.ipynb").read_bytes() == before

    (project / "book" / "results" / "one-4.csv").write_text("other\n")
    build_pages("smoke", root=project, only=["second"])
    assert ran(capsys) == ["second"]

    (project / "notebooks" / "one.py").write_text(GOOD + "\n# %%\n1 + 1\n")
    build_pages("smoke", root=project)
    assert ran(capsys) == ["first", "second"]


def test_a_failing_notebook_leaves_the_page_and_names_the_cell(project, capsys):
    build_pages("smoke", root=project, only=["first"])
    before = {p: p.read_bytes() for p in (project / "book").rglob("*") if p.is_file()}
    (project / "notebooks" / "one.py").write_text(
        GOOD.replace("smoke", "x") + "\n# %%\nraise KeyError('gone')\n"
    )
    capsys.readouterr()
    assert build_pages("smoke", root=project) == 1
    message = capsys.readouterr().err
    assert "notebooks/one.py failed in cell" in message
    assert "KeyError: 'gone'" in message
    assert {p: p.read_bytes() for p in (project / "book").rglob("*") if p.is_file()} == before


def test_unknown_pages_list_the_known(project):
    with pytest.raises(ValueError, match="unknown page third; known: first, second"):
        build_pages("smoke", only=["third"], root=project)


def cell(kind, source, **metadata):
    extra = {"outputs": [], "execution_count": 1} if kind == "code" else {}
    return {"cell_type": kind, "source": source, "metadata": metadata, "id": "random", **extra}


def test_publishable_strips_what_changes_at_every_run():
    notebook = {
        "cells": [
            cell("markdown", "# Title"),
            cell("code", "x = 1", tags=["parameters"]),
            cell("code", "x = 2", tags=["injected-parameters"], papermill={"duration": 1.5}),
            cell("code", "x", execution={"time": "now"}),
            cell("code", "x", tags=["remove-output"]),
            cell("code", "x", tags=["show-input"]),
        ],
        "metadata": {"papermill": {"start": "now"}, "language_info": {"version": "3.11.7"}},
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    page = publishable(notebook, Page("p"))
    tags = [c["metadata"].get("tags") for c in page["cells"]]
    assert tags == [
        None,
        ["parameters", "remove-cell"],
        ["injected-parameters", "remove-cell"],
        ["hide-input"],
        ["remove-output", "hide-input"],
        ["show-input"],
    ]
    assert "papermill" not in json.dumps(page)
    assert "3.11.7" not in json.dumps(page)
    assert [c["id"] for c in page["cells"]] == [f"cell-{i:03d}" for i in range(6)]
    assert notebook["cells"][0]["id"] == "random"


def test_the_readme_table_is_the_books(tmp_path):
    (tmp_path / "book" / "tables").mkdir(parents=True)
    (tmp_path / "book" / "tables" / "summary.csv").write_text('a,b\n1,"2, 3"\n')
    readme = tmp_path / "README.md"
    readme.write_text("top\n<!-- results:begin -->\nold\n<!-- results:end -->\nend\n")
    write_readme_table(tmp_path)
    assert readme.read_text() == (
        "top\n<!-- results:begin -->\n| a | b |\n| --- | --- |\n| 1 | 2, 3 |\n"
        "<!-- results:end -->\nend\n"
    )
