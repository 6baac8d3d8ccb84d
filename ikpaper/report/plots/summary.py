"""The report in one figure, for a poster or a talk."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from ikpaper.report.plots.style import (
    COLORS,
    INK,
    MUTED,
    legend_entries,
    look,
    new_grid,
    outer_labels,
    shared_legend,
    style,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes


#: Where markers of the samplers stand beside the number of joints.
_SHIFTS = {"prior": 0.44, "inn": 0.22, "cvae": -0.22, "exact": 0.0, "flow": 0.22}


def _ours(ax: Axes, name: str, rows: pd.DataFrame) -> None:
    """Values with their intervals; rows have columns dof, value, low and high."""
    value, low, high = rows[["value", "low", "high"]].to_numpy().T
    errors = np.maximum([value - low, high - value], 0)
    own = look(name, markersize=6, capsize=2, linestyle="none")
    ax.errorbar(rows["dof"] + _SHIFTS[name], value, errors, **own)


def _theirs(ax: Axes, published: pd.DataFrame) -> None:
    """Published values, as open markers; columns dof, model, value."""
    for name, rows in published.groupby("model"):
        own = look(str(name), linestyle="none", markersize=7, label="")
        ax.plot(rows["dof"] + _SHIFTS[str(name)], rows["value"], **own, markerfacecolor="none")


@style
def summary(scores: pd.DataFrame, reported: pd.DataFrame, random: pd.DataFrame) -> Figure:
    """The paper's claim, what its numbers measured, the floor, and the way past it.

    Args:
        scores: Tidy scores with columns dof, sampler, quantity, value, low, high.
        reported: Reported values of e_posterior, with columns source, dof, model, value.
        random: Rows of the benchmark: dof, sampler, mmd2, mmd2_low, mmd2_high.
    """
    figure, grid = new_grid(4, 2, height=2.75, margin=0.45, sharex=True)
    (claim, measured), (floor, past) = grid

    def ours(ax: Axes, quantity: str, names: tuple[str, ...]) -> None:
        rows = scores[scores["quantity"] == quantity].sort_values("dof")
        for name in names:
            _ours(ax, name, rows[rows["sampler"] == name])

    plotted = reported[reported["source"] == "report_figure"]
    _theirs(claim, plotted)
    claim.set_title("1  The claim: as published", loc="left")

    _theirs(measured, plotted)
    ours(measured, "e_posterior_wide", ("prior", "exact", "cvae", "inn"))
    measured.set_title("2  The same score of exact samples", loc="left")

    _theirs(floor, reported[reported["source"] == "authors_results"])
    ours(floor, "e_posterior", ("exact", "cvae", "inn"))
    exact = scores[(scores["quantity"] == "e_posterior") & (scores["sampler"] == "exact")]
    exact = exact.sort_values("dof")
    floor.fill_between(exact["dof"], 0, exact["value"], color=COLORS["exact"], alpha=0.15)
    floor.set_title("3  The floor: prior of the data", loc="left")

    renamed = random.rename(columns={"mmd2": "value", "mmd2_low": "low", "mmd2_high": "high"})
    for name in ("prior", "inn", "cvae", "flow", "exact"):
        _ours(past, name, renamed[renamed["sampler"] == name].sort_values("dof"))
    past.axhline(0, color=MUTED, linewidth=0.8)
    past.set_yscale("symlog", linthresh=1e-4)
    chance = renamed.loc[renamed["sampler"] == "exact", ["low", "high"]].abs().to_numpy().max()
    past.axhspan(-chance, chance, color=COLORS["exact"], alpha=0.15, linewidth=0)
    past.set_title("4  The way past it: exact reference", loc="left")

    top = 1.1 * measured.get_ylim()[1]
    for ax in (claim, measured):
        ax.set_ylim(0, top)
    floor.set_ylim(bottom=0)
    outer_labels(grid, "DoF", r"$e_\mathrm{posterior}$")
    past.set_ylabel(r"MMD$^2$")
    for ax in grid.flat:
        ax.set_xticks(sorted(scores["dof"].unique()))
    opened = {"markerfacecolor": "none", "markersize": 7, "label": "open: as published"}
    # Of the last axes, so that it comes last.
    claim.plot([], [], "o", color=INK, **opened)
    entries = (measured, past, claim)
    shared_legend(figure, entries, len(legend_entries(entries)["labels"]))
    return figure
