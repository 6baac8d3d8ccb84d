"""What the tables of all pages share: results as rows of cells that people read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from ikpaper import paper
from ikpaper.evaluation import as_text
from ikpaper.format import cell, joined, significant, with_interval
from ikpaper.profiles import get_profile
from ikpaper.report.plots.style import LABELS

#: The paper's networks.
NETWORKS = ("cvae", "inn")

#: What is said where intervals overlap, or ranges over training runs.
UNDECIDED = "undecided"

#: What sentences compare training runs by.
ERRORS: Mapping[str, str] = {"mmd2": "MMD²", "e_resim_test": "re-simulation error"}

#: Columns of `evaluation.as_text` that tell most about a sampler.
BRIEF = ("sampler", "MMD² to exact", "rejected", "C2ST", "E‖f(θ) − y‖²", "samples/s", "targets")

#: What stands in a column: a column of the rows as it is, or one or several with the form in which
#: their values stand in the cell (see `format.cell`): `("mmd2", 2)`, `("what", "unit", "{} [{}]")`.
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
        >>> formatted(rows, {"sampler": ("sampler", label), "MMD²": ("mmd2", 2)}).values.tolist()
        [['cVAE', '0.0012']]
    """
    frame = pd.DataFrame(rows)
    cells = {}
    for header, column in columns.items():
        if isinstance(column, str):
            cells[header] = list(frame[column])
        else:
            *names, form = column
            values = zip(*(frame[name] for name in names), strict=True)
            cells[header] = [cell(form, *row) for row in values]
    return pd.DataFrame(cells)


def named(rows: pd.DataFrame, columns: Sequence[str]) -> pd.DataFrame:
    """Rows of the benchmark as `evaluation.as_text` has them, with samplers by their labels."""
    return as_text(rows, columns, LABELS)


def label(name: str, steps: int = 0) -> str:
    """How a sampler is called in tables; one without a label by its name.

    Args:
        name: Name of the sampler.
        steps: Steps by which its samples are moved onto the target.
    """
    return LABELS[name] + (f", refine={steps}" if steps else "")


def interval(name: str) -> tuple[Any, ...]:
    """A column of values with their intervals, from `name`, `name_low` and `name_high`."""
    return (name, f"{name}_low", f"{name}_high", with_interval)


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
    keys, fields = list(index), ["value", "low", "high", "targets", "samples"]
    wide = scores.pivot(index=keys, columns="quantity", values=fields)
    for field in fields:
        if "e_resim" in wide[field]:
            wide[field, "e_resim_best"] = wide[field, "e_resim_test"].fillna(wide[field, "e_resim"])
    wide.columns = [f"{quantity}_{field}".removesuffix("_value") for field, quantity in wide]
    return wide.loc[scores.set_index(keys).index.unique()]


def by_network(values: pd.Series) -> str:
    """A value of each of the paper's networks, as `0.0018 for the cVAE and 0.011 for the INN`."""
    return joined(f"{significant(values[name], 2)} for the {label(name)}" for name in NETWORKS)


def better(means: pd.DataFrame, quantity: str) -> pd.Series:
    """The network whose interval of a score lies below the other's, or `UNDECIDED`, by DoF.

    Args:
        means: Indexed by DoF and sampler, with columns `quantity_low` and `quantity_high`.
        quantity: The score; less is better.
    """
    cvae, inn = (means.xs(name, level="sampler") for name in NETWORKS)
    low, high = f"{quantity}_low", f"{quantity}_high"
    below = [cvae[high] < inn[low], inn[high] < cvae[low]]
    return pd.Series(np.select(below, [label(name) for name in NETWORKS], UNDECIDED), cvae.index)


def sides(ranges: pd.DataFrame, others: pd.DataFrame) -> pd.Series:
    """Where ranges lie beside others: `below`, `among` or `above`, categories in this order.

    Args:
        ranges: Columns `min` and `max`; equal where it is one value.
        others: As `ranges`, with the same index. A range that overlaps with it is `among`.
    """
    outside = [ranges["max"] < others["min"], ranges["min"] > others["max"]]
    found = np.select(outside, ["below", "above"], "among")
    return pd.Series(pd.Categorical(found, ["below", "among", "above"]), ranges.index)


def over_seeds(scores: pd.DataFrame, runs: pd.DataFrame, quantity: str) -> pd.DataFrame:
    """The range of a score over the training runs of each of the paper's networks.

    Args:
        scores: Tidy scores of the published runs; see `evaluation.PaperProtocol.score`.
        runs: Tidy scores with a column `seed`; see `experiments.seeds`. Those of another profile
            are left out.
        quantity: `mmd2`, `e_posterior`, or `e_resim_test`, which is `e_resim_best` of published
            runs; either name will do.

    Returns:
        Columns `min`, `max` and `runs`, indexed by DoF and sampler. A network that was trained
        once has its published value.
    """
    column, quantity = {
        "e_resim_test": ("e_resim_best", "e_resim_test"),
        "e_resim_best": ("e_resim_best", "e_resim_test"),
    }.get(quantity, (quantity, quantity))
    place, profile = ["dof", "sampler"], scores["profile"].iloc[0]
    published = by_sampler(scores)[column].rename("value").reset_index()
    published = published[published["sampler"].isin(NETWORKS)]
    repeated = runs[
        (runs["profile"] == profile)
        & (runs["quantity"] == quantity)
        # The published run is in the scores.
        & (runs["seed"] != get_profile(profile).seed)
        & runs["dof"].isin(published["dof"])
        & runs["sampler"].isin(NETWORKS)
    ]
    values = pd.concat([published, repeated[[*place, "value"]]]).groupby(place)["value"]
    return values.agg(["min", "max", "size"]).rename(columns={"size": "runs"})


def reported(*sources: str) -> pd.Series:
    """What the paper reports, by quantity, DoF and model.

    Args:
        *sources: `report_figure` for means over targets as they were plotted, `authors_results`
            for those of the authors' later evaluation, `slides` and `report` for one target.
    """
    rows = paper.reported()
    chosen = rows[rows["source"].isin(sources)]
    return chosen.set_index(["quantity", "dof", "model"])["value"]
