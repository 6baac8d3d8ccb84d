"""The figure of the page on calibration: the power of each check."""

from __future__ import annotations

from collections.abc import Mapping

import matplotlib as mpl
import pandas as pd
from matplotlib.figure import Figure

from ikpaper.report.plots.style import LABELS, MUTED, new_grid, style


@style
def power(rows: pd.DataFrame, size: int, checks: Mapping[str, str]) -> Figure:
    """Share of subsets that a check rejects, a panel an arm, beside the test with exact samples.

    Args:
        rows: Checks of calibration with `rejected`, see `report.tables.calibration`.
        size: Simulations of a subset.
        checks: Labels of the checks, in the order of the columns.
    """
    arms = sorted(rows["dof"].unique())
    samplers = list(rows[["sampler", "refine"]].drop_duplicates().itertuples(index=False))
    height = 0.19 * len(samplers)
    # Below one another, every panel has names of the checks of its own.
    stacked = 1, height + 1.3
    figure, grid = new_grid(len(arms), height=height, margin=1.5, stacked=stacked, sharey=True)
    shown = mpl.colormaps["BuPu"].with_extremes(bad="none")
    for ax, dof in zip(grid[0], arms, strict=True):
        group = rows[rows["dof"] == dof]
        index = pd.MultiIndex.from_tuples(samplers)
        wide = group.pivot(index=["sampler", "refine"], columns="check", values=f"power_{size}")
        shares = wide.reindex(index)[list(checks)]
        tested = group.drop_duplicates(["sampler", "refine"]).set_index(["sampler", "refine"])
        shares["rejected"] = tested["rejected"].reindex(index)
        # What an arm does not have is no zero.
        ax.patch.set(hatch="////", edgecolor=MUTED)
        image = ax.imshow(shares, cmap=shown, vmin=0, vmax=1, aspect="auto")
        ax.set_xticks([i + 0.5 for i in range(len(checks))], minor=True)
        ax.set_yticks([i + 0.5 for i in range(len(samplers) - 1)], minor=True)
        ax.grid(which="minor", color="white", linewidth=0.8)
        # What needs exact samples stands apart.
        ax.axvline(len(checks) - 0.5, color="white", linewidth=4)
        ax.set_title(f"{dof} DoF")
        ax.set_xticks(range(len(checks) + 1), [*checks.values(), "exact samples"], rotation=90)
        ax.tick_params(which="both", length=0)
        ax.spines[:].set_visible(False)
    names = [LABELS[name] + (f", refine={steps}" if steps else "") for name, steps in samplers]
    grid[0, 0].set_yticks(range(len(names)), names)
    bar = figure.colorbar(image, ax=grid, location="bottom", aspect=50, pad=0.02, shrink=0.6)
    bar.set_label("share rejected")
    bar.outline.set_visible(False)
    return figure
