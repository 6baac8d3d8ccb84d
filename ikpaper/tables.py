"""Tables of results that grow row by row and outlast the process that measures them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pandas as pd

from ikpaper.files import project_root, write_text

__all__ = ["ResultTable", "results_path"]


class ResultTable:
    """Rows of results in a CSV file, which is written anew after each.

    A row has a content key, in the column `key`: what has one already need not be measured again.

    Args:
        path: The file; it need not exist yet.
        columns: Its columns.
        place: Columns that name a row; a new row takes the place of one of the same name.
        order: For columns of `place` that are not sorted by value: their values in order.
            Unknown ones come last.
    """

    def __init__(
        self,
        path: Path,
        columns: Sequence[str],
        place: Sequence[str],
        order: Mapping[str, Sequence[Any]] = MappingProxyType({}),
    ) -> None:
        self.path, self.columns, self.place = path, list(columns), tuple(place)
        self._ranks = {
            name: {value: rank for rank, value in enumerate(dict.fromkeys(values))}
            for name, values in order.items()
        }
        known = pd.read_csv(path).to_dict("records") if path.exists() else []
        self._rows: dict[tuple[Any, ...], dict[str, Any]] = {
            self._place(row): {str(name): value for name, value in row.items()} for row in known
        }

    def _place(self, row: Mapping[Any, Any]) -> tuple[Any, ...]:
        return tuple(row[name] for name in self.place)

    def _rank(self, row: Mapping[str, Any]) -> tuple[Any, ...]:
        return tuple(
            ranks.get(row[name], len(ranks)) if (ranks := self._ranks.get(name)) else row[name]
            for name in self.place
        )

    def __contains__(self, key: str) -> bool:
        return any(row["key"] == key for row in self._rows.values())

    def add(self, row: Mapping[str, Any]) -> None:
        """Put a row in its place and write the file."""
        self._rows[self._place(row)] = {name: row.get(name) for name in self.columns}
        write_text(self.path, self._frame(self._rows.values()).to_csv(index=False))

    def rows(self, keys: Iterable[str]) -> pd.DataFrame:
        """The rows that have one of these content keys."""
        wanted = set(keys)
        return self._frame(row for row in self._rows.values() if row["key"] in wanted)

    def _frame(self, rows: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
        return pd.DataFrame(sorted(rows, key=self._rank), columns=self.columns)


def results_path(name: str, variant: str, *, published: bool) -> Path:
    """Where a table belongs: among the book's results, or out of readers' sight.

    Args:
        name: Of the table.
        variant: What tells it from the published one, a profile for instance.
        published: Whether it is that one.
    """
    if published:
        return project_root() / "book" / "results" / f"{name}.csv"
    return project_root() / ".cache" / f"{name}-{variant}.csv"
