import json

import nbformat
import pytest

from ikpaper.report.download import glued, readable

TEXT = """(sec-x)=
# Title

It is {glue:text}`share` of {numref}`tab-a`.

```{math}
:label: eq-a
a = b
```

:::{csv-table} Shares of {glue:text}`share`.
:file: tables/a.csv
:header-rows: 1
:name: tab-a
:::

```{note}
Beware.
```
"""


def cell(source, **metadata):
    return {"cell_type": "code", "execution_count": None, "id": "x", "source": [source]} | {
        "metadata": metadata,
        "outputs": [],
    }


@pytest.fixture
def notebook():
    number = {
        "output_type": "display_data",
        "data": {"application/papermill.record/text/plain": "'5 %'"},
        "metadata": {"scrapbook": {"name": "application/papermill.record/share"}},
    }
    shown = {"output_type": "display_data", "data": {"text/plain": "1"}, "metadata": {}}
    figure = cell(
        "draw()", mystnb={"figure": {"name": "fig-a", "caption": "See {glue:text}`share`."}}
    )
    return {
        "cells": [
            {"cell_type": "markdown", "id": "a", "metadata": {}, "source": [TEXT]},
            cell("number()", tags=["remove-cell"]) | {"outputs": [number]},
            figure | {"outputs": [shown]},
        ],
        "metadata": {"kernelspec": {"name": "python3", "display_name": "Python 3"}},
        "nbformat": 4,
        "nbformat_minor": 5,
    }


def test_a_notebook_reads_without_the_book(notebook, tmp_path):
    (tmp_path / "tables").mkdir()
    (tmp_path / "tables" / "a.csv").write_text("x,y\n1,a|b\n")
    names = {"tab-a": "Table 3", "fig-a": "Figure 2"}

    def resolve(role, content):
        return names[content] if role == "numref" else glued(notebook)[content]

    plain = readable(notebook, tmp_path, resolve)
    nbformat.validate(nbformat.from_dict(plain))
    text, hidden, drawn, caption = plain["cells"]
    assert text["source"] == (
        "# Title\n\nIt is 5 % of Table 3.\n\n$$\na = b\n$$\n\n**Table 3.** Shares of 5 %.\n\n"
        "| x | y |\n| --- | --- |\n| 1 | a\\|b |\n\n> Beware."
    )
    # Later cells may need what a hidden one computes.
    assert hidden["source"] == "number()"
    assert hidden["metadata"] == {"jupyter": {"source_hidden": True}}
    assert hidden["outputs"] == []
    assert len(drawn["outputs"]) == 1
    assert caption["source"] == "**Figure 2.** See 5 %."


def test_the_notebook_of_the_page_is_left_alone(notebook, tmp_path):
    before = json.dumps(notebook)
    (tmp_path / "tables").mkdir()
    (tmp_path / "tables" / "a.csv").write_text("x\n")
    readable(notebook, tmp_path, lambda role, content: content)
    assert json.dumps(notebook) == before
