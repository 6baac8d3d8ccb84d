"""What the tables of all pages share: results as rows of cells that people read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

import pandas as pd

from ikpaper import paper
from ikpaper.format import significant, with_interval
from ikpaper.report.plots.style import LABELS

__all__ = [
    "NAME",
    "NETWORKS",
    "by_sampler",
    "extent",
    "formatted",
    "interval",
    "joined",
    "label",
    "reported",
    "rounded",
    "whole",
]

#: The paper's networks.
NETWORKS = ("cvae", "inn")

#: What stands in a column: a column of the rows, or several with the function of their values
#: that makes the cell, such as `("mmd2", "mmd2_low", "mmd2_high", with_interval)`.
Column = str | tuple[Any, ...]


def formatted(
    rows: pd.DataFrame | Iterable[Mapping[str, Any]], columns: Mapping[str, Column]
) -> pd.DataFrame:
    """Rows of results as a table of cells.

    Args:
        rows: Results, a row each.
        columns: What stands in each column, by its header.

    Returns:
        A row for each of `rows`, with the headers as columns.

    Example:
        >>> rows = [{"sampler": "cvae", "mmd2": 0.00123}]
        >>> formatted(rows, {"sampler": NAME, "MMD²": ("mmd2", rounded(2))}).values.tolist()
        [['cVAE', '0.0012']]
    """
    frame = pd.DataFrame(rows)
    cells = {}
    for header, column in columns.items():
        if isinstance(column, str):
            cells[header] = list(frame[column])
        else:
            *names, text = column
            values = zip(*(frame[name] for name in names), strict=True)
            cells[header] = [text(*row) for row in values]
    return pd.DataFrame(cells)


def label(name: str) -> str:
    """How a sampler is called in tables; one without a label by its name."""
    return LABELS[name]


#: The column of samplers' names.
NAME: Column = ("sampler", label)


def interval(name: str) -> tuple[Any, ...]:
    """A column of values with their intervals, from `name`, `name_low` and `name_high`."""
    return (name, f"{name}_low", f"{name}_high", with_interval)


def rounded(digits: int = 3) -> Callable[[float], str]:
    """A function that gives numbers to so many significant digits."""
    return partial(significant, digits=digits)


def whole(value: float) -> str:
    """A number without decimals, its thousands separated."""
    return f"{value:,.0f}"


def joined(words: Iterable[Any]) -> str:
    """Words as a text lists them: `4, 6 and 8`."""
    *most, last = [str(word) for word in words] or [""]
    return f"{', '.join(most)} and {last}" if most else last


def extent(values: Iterable[float], digits: int = 2) -> str:
    """The smallest and the largest of values: `0.035 to 0.045`."""
    numbers = list(values)
    return f"{significant(min(numbers), digits)} to {significant(max(numbers), digits)}"


def by_sampler(scores: pd.DataFrame, index: Sequence[str] = ("dof", "sampler")) -> pd.DataFrame:
    """Tidy scores (a row a quantity) as a row a sampler and arm, in the order they stand there.

    Args:
        scores: Columns `quantity`, `value`, `low`, `high`, `targets`, `samples` and those of
            `index`; see `evaluation.PaperProtocol.score`.
        index: What tells the rows apart.

    Returns:
        Indexed by `index`; for each quantity a column of its name with the values, and others
        whose names end in `_low`, `_high`, `_targets` and `_samples`. What was not measured is
        missing. `e_resim_best` is `e_resim_test`, where that was affordable, and else `e_resim`.
    """
    keys, fields = list(index), ("", "_low", "_high", "_targets", "_samples")
    values = ["value", "low", "high", "targets", "samples"]
    wide = scores.pivot(index=keys, columns="quantity", values=values)
    suffix = dict(zip(values, fields, strict=True))
    wide.columns = [f"{quantity}{suffix[value]}" for value, quantity in wide.columns]
    for field in fields:
        if f"e_resim{field}" in wide:
            every = wide[f"e_resim{field}"]
            wide[f"e_resim_best{field}"] = wide[f"e_resim_test{field}"].fillna(every)
    return wide.loc[list(dict.fromkeys(scores[keys].itertuples(index=False, name=None)))]


def reported(*sources: str) -> pd.Series:
    """What the paper reports, by quantity, DoF and model.

    Args:
        *sources: `report_figure` for means over targets as they were plotted, `authors_results`
            for those of the authors' later evaluation, `slides` and `report` for one target.
    """
    rows = paper.reported()
    chosen = rows[rows["source"].isin(sources)]
    return chosen.set_index(["quantity", "dof", "model"])["value"]
