"""Tables of the book: a Sphinx extension that makes them fit screens.

Files keep all columns; a page shows the first of them. What is left out is named below the table,
where the file is to download. Tables that are typed into a page show what they have.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.directives.patches import CSVTable

from ikpaper.format import joined

#: Columns that are shown; a table of up to `_SMALL` columns shows all.
SHOWN, _SMALL = 6, 4

#: Columns that name a row.
_MOST_KEYS = 4

#: Characters of a row that a phone and the column of text have place for, and how many a table's
#: column takes besides its own.
_PHONE, _PAGE, _GAP = 50, 100, 3

#: A value with its interval, or with those it was made from.
_INTERVAL = re.compile(r"(.*\S) \(([−+]?\d[^()]*(?: to |, )[^()]*)\)")


def visible(rows: Sequence[Sequence[str]], shown: int = SHOWN) -> tuple[list[int], list[int]]:
    """Which columns a table shows, and which are the same in all of its rows.

    Args:
        rows: Cells; the first row holds the headers.
        shown: How many columns at most.

    Returns:
        Indices of the first columns that are not constant, and of the constant ones. Two rows are
        too few to call a column constant, and small tables show all that they have.
    """
    header, *body = rows
    columns = range(len(header))
    constant: list[int] = []
    if len(body) > 2 and len(header) > _SMALL:
        constant = [at for at in columns if len({row[at] for row in body}) == 1]
    return [at for at in columns if at not in constant][:shown], constant


def keys(body: Sequence[Sequence[str]]) -> int:
    """How many of the first columns it takes to tell rows apart; 1 if that would be too many."""
    for count in range(1, _MOST_KEYS + 1):
        if len({tuple(row[:count]) for row in body}) == len(body):
            return count
    return 1


class ResultTable(CSVTable):
    """`csv-table` of a file with a row of headers.

    Shows the first `:shown:` columns (six) that are not the same in every row, moves intervals to
    a second line, and adds a link to the file. Cells hold the names of their columns, with which a
    narrow screen shows rows one below the other (`custom.css`).
    """

    option_spec: ClassVar[Any] = {**CSVTable.option_spec, "shown": directives.positive_int}

    def run(self) -> list[nodes.Node]:
        """The table and the line below it."""
        path = self.options.get("file", "")
        source = Path(str(self.state.document.settings.env.srcdir), path)
        if not source.is_file():
            # Typed into the page, or missing, which the directive reports.
            return list(super().run())
        with source.open(encoding="utf-8", newline="") as file:
            cells = list(csv.reader(file))
        self._columns, constant = visible(cells, self.options.get("shown", SHOWN))
        found = list(super().run())
        table = found[0]
        if isinstance(table, nodes.table):
            width = _adapt(table, [[row[at] for at in self._columns] for row in cells])
            table["adapted"] = True
            below = _below(path, cells, self._columns, constant)
            classes = ["full-width"] if width > _PAGE else []
            found[:1] = [nodes.container("", table, below, classes=classes)]
        return found

    def parse_csv_data_into_rows(self, *data: Any) -> tuple[list[list[Any]], int]:
        """Those of the columns that are shown."""
        rows, count = super().parse_csv_data_into_rows(*data)
        if "file" not in self.options:
            return rows, count
        return [[row[at] for at in self._columns] for row in rows], len(self._columns)


def _adapt(table: nodes.table, cells: Sequence[Sequence[str]]) -> int:
    """Add to a table's nodes what screens need, and return about how many characters wide it is.

    Args:
        table: The table.
        cells: As shown, with headers.
    """
    header, *body = cells
    stubs = keys(body)
    for number, column in enumerate(table.findall(nodes.colspec)):
        if number < stubs:
            column["stub"] = 1
    for rows in table.findall(nodes.tbody):
        for row in rows:
            for number, (name, cell) in enumerate(zip(header, row, strict=True)):
                # The name of a row says what it is; a number does not.
                if number >= stubs or re.fullmatch(r"[\d,]+", cell.astext()):
                    _label(cell, name)
                _break(cell)
    columns = zip(*cells, strict=True)
    width = sum(max(map(len, _parts(column))) + _GAP for column in columns)
    if width > _PHONE:
        table["classes"].append("cards")
    return width


def _adapt_typed(app: Sphinx, doctree: nodes.document) -> None:
    """Let tables that are typed into a page be cards on narrow screens, too, if they are wide."""
    for table in doctree.findall(nodes.table):
        head = next(iter(table.findall(nodes.thead)), None)
        if "adapted" in table or head is None:
            continue
        rows = [[cell.astext() for cell in row] for row in table.findall(nodes.row)]
        if len(rows[0]) > 2 and {len(row) for row in rows} == {len(rows[0])}:
            _adapt(table, rows)


def _parts(column: Sequence[str]) -> list[str]:
    """What of a column's text does not break across lines."""
    header, *body = column
    parts = header.split()
    for cell in body:
        found = _INTERVAL.fullmatch(cell)
        parts += found.groups() if found else re.split(r" (?=[a-z(])", cell)
    return parts or [""]


def _break(cell: nodes.Element) -> None:
    """Move an interval to a line of its own."""
    for text in list(cell.findall(nodes.Text)):
        if found := _INTERVAL.fullmatch(text):
            value, interval = found.groups()
            below = nodes.inline(interval, interval, classes=["interval"])
            # The space is for readers that know no styles.
            text.parent.replace(text, [nodes.Text(f"{value} "), below])


def _label(cell: nodes.Element, name: str) -> None:
    """Put the name of its column in front of a cell's text."""
    for paragraph in list(cell.findall(nodes.paragraph))[:1]:
        paragraph.insert(0, nodes.inline(name, f"{name}: ", classes=["column"]))


def _below(
    path: str, cells: Sequence[Sequence[str]], shown: Sequence[int], constant: Sequence[int]
) -> nodes.Node:
    """The line below a table: what all rows share, and the file with the columns left out."""
    header, *body = cells
    same = [f"{header[at]} {body[0][at]}" for at in constant if body[0][at] not in ("", "–")]
    more = [name for at, name in enumerate(header) if at not in (*shown, *constant)]
    line = nodes.paragraph(classes=["below-table"])
    if same:
        line += nodes.Text(f"In every row: {'; '.join(same)}. ")
    link = addnodes.download_reference("", "", reftarget=f"/{path}", classes=["download"])
    link += nodes.Text("Whole table (CSV)" if more else "CSV")
    line += link
    line += nodes.inline("", f"book/{path}", classes=["on-paper"])
    line += nodes.Text(
        f". Columns left out: {joined(f'“{name}”' for name in more)}." if more else ""
    )
    return line


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the directive in place of the one of Sphinx, and look at what is typed."""
    app.add_directive("csv-table", ResultTable, override=True)
    app.connect("doctree-read", _adapt_typed)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
