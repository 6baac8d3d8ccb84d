"""A run of a notebook, for tests of what it leaves behind."""

import re

import papermill

from tests.report.committed import BOOK

ROOT = BOOK.parent


def run_page(name, where, **parameters):
    """Run a notebook; everything that its text and its figures ask for must come out of it.

    Returns:
        What it hands to the text, by key.
    """
    executed = papermill.execute_notebook(
        str(ROOT / "notebooks" / f"{name}.ipynb"),
        str(where / "out.ipynb"),
        parameters={"book": str(where / "book"), **parameters},
        kernel_name="python3",
        cwd=str(ROOT),
        progress_bar=False,
    )
    outputs = [
        (cell, out) for cell in executed.cells if cell.cell_type == "code" for out in cell.outputs
    ]
    numbers = {
        out.metadata["scrapbook"]["name"]: next(iter(out.data.values())).strip("'")
        for _, out in outputs
        if "scrapbook" in out.get("metadata", {})
    }
    text = "\n".join(cell.source for cell in executed.cells if cell.cell_type == "markdown")
    assert set(re.findall(r"{glue:text}`(\w+)(?::\S*)?`", text)) <= set(numbers)
    for path in re.findall(r":file: (\S+)", text):
        numbered = re.sub(r"-dof\.csv$", f"-{int(float(parameters.get('dof', 0))):02d}.csv", path)
        assert (where / "book" / numbered).exists(), numbered
    drawn = [id(cell) for cell, out in outputs if "image/svg+xml" in out.get("data", {})]
    for cell in executed.cells:
        if "figure" in cell.metadata.get("mystnb", {}):
            assert id(cell) in drawn, cell.metadata["mystnb"]["figure"]["name"]
    return numbers
