"""Pages as notebooks to read and run elsewhere, without the markup that only the book renders."""

from __future__ import annotations

import ast
import csv
import io
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

#: A directive: its fence, name, argument and lines.
_DIRECTIVE = re.compile(
    r"^(?P<fence>`{3,}|:{3,})\{(?P<name>[\w:-]+)\} *(?P<title>.*)\n"
    r"(?P<body>(?:.*\n)*?)(?P=fence) *$",
    re.MULTILINE,
)
_OPTION = re.compile(r"^:([\w-]+): *(.*)$")
_ROLE = re.compile(r"\{([\w:]+)\}`([^`]+)`")
_LABEL = re.compile(r"^\([\w-]+\)=\n", re.MULTILINE)


def readable(
    notebook: Mapping[str, Any], book: Path, resolve: Callable[[str, str], str]
) -> dict[str, Any]:
    """A page's notebook with the text as plain Markdown, captions below figures, tables in it.

    Cells that the page leaves out are kept, folded, since later ones need them.

    Args:
        notebook: The executed notebook of a page.
        book: Folder of the book, where the tables lie.
        resolve: Text for a role, given its name and its content.
    """
    cells: list[dict[str, Any]] = []
    for cell in notebook["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            cells.append(_markdown(_plain(source, book, resolve)))
            continue
        hidden = "remove-cell" in cell["metadata"].get("tags", ())
        outputs = [each for each in cell["outputs"] if "scrapbook" not in each.get("metadata", {})]
        kept = {"jupyter": {"source_hidden": True}} if hidden else {}
        shown = [] if hidden else outputs
        cells.append({**cell, "source": source, "metadata": kept, "outputs": shown})
        if figure := cell["metadata"].get("mystnb", {}).get("figure"):
            caption = _plain(figure["caption"], book, resolve)
            cells.append(_markdown(f"**{resolve('numref', figure['name'])}.** {caption}"))
    for number, cell in enumerate(cells):
        cell["id"] = f"cell-{number:03d}"
    return {
        "cells": cells,
        "metadata": dict(notebook["metadata"]),
        "nbformat": 4,
        "nbformat_minor": 5,
    }


def glued(notebook: Mapping[str, Any]) -> dict[str, str]:
    """Numbers and texts that a notebook gives to the book, by key."""
    found = {}
    for cell in notebook["cells"]:
        for output in cell.get("outputs", ()):
            if name := output.get("metadata", {}).get("scrapbook", {}).get("name", ""):
                value = "".join(next(iter(output["data"].values())))
                found[name.split("/")[-1]] = str(ast.literal_eval(value))
    return found


def _markdown(source: str) -> dict[str, Any]:
    return {"cell_type": "markdown", "metadata": {}, "source": source}


def _plain(text: str, book: Path, resolve: Callable[[str, str], str]) -> str:
    text = _LABEL.sub("", text)
    text = _DIRECTIVE.sub(lambda found: _directive(found, book, resolve), text + "\n")
    return _ROLE.sub(lambda found: resolve(*found.groups()), text).strip()


def _directive(found: re.Match[str], book: Path, resolve: Callable[[str, str], str]) -> str:
    """A directive as plain Markdown: equations, tables, code; all else as a quotation."""
    options, lines = {}, found["body"].splitlines()
    while lines and (option := _OPTION.match(lines[0])):
        options[option[1]] = option[2]
        lines.pop(0)
    body = "\n".join(lines).strip()
    if found["name"] == "math":
        return f"$$\n{body}\n$$"
    if found["name"] in ("code-block", "code"):
        return f"```{found['title']}\n{body}\n```"
    if (path := book / options.get("file", "")).suffix == ".csv":
        number = resolve("numref", options["name"]) if "name" in options else "Table"
        table = markdown_table(path.read_text(encoding="utf-8"))
        return f"**{number}.** {found['title']}\n\n{table}"
    quoted = "\n\n".join(part for part in (f"**{found['title']}**", body) if part != "****")
    return re.sub("^", "> ", quoted, flags=re.MULTILINE)


def markdown_table(text: str) -> str:
    """A table in CSV as one in Markdown."""
    rows = [[cell.replace("|", r"\|") for cell in row] for row in csv.reader(io.StringIO(text))]
    rows.insert(1, ["---"] * len(rows[0]))
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)
