"""Figures of hyperparameter searches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter, NullLocator

from ikpaper.format import concise
from ikpaper.paper import Ranges
from ikpaper.report.plots.style import (
    COLORS,
    INK,
    MUTED,
    NEUTRAL,
    WIDTH,
    is_narrow,
    new_grid,
    outer_labels,
    shared_legend,
    style,
)
from ikpaper.report.tables.search import PARAMETERS, position, random_best

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis


#: Of fewer trials all are shown, however bad.
_MANY = 30


@style
def convergence(
    panels: Mapping[str, Sequence[pd.DataFrame]],
    random: Mapping[str, Sequence[pd.DataFrame]] | None = None,
) -> Figure:
    """Best objective so far over the trials of studies, beside random search; a panel a network.

    Args:
        panels: Trials of studies, in the order in which they ended, by the title of their panel.
        random: Trials of studies by random search, by panel; their band is that of all of them
            together, see `tables.search.random_best`.
    """
    height, margin = (2.1, 0.8) if len(panels) > 1 else (3.0, 0.3)
    figure, grid = new_grid(len(panels), min(4, len(panels)), height=height, margin=margin)
    for ax, (title, studies) in zip(grid.flat, panels.items(), strict=False):
        values = pd.concat([table["objective"] for table in studies])
        # Trials that went astray would flatten the rest.
        low, high = values.min(), values.quantile(0.7 if values.count() >= _MANY else 1.0)
        if others := (random or {}).get(title):
            drawn = pd.concat([table["objective"] for table in others])
            # More than there are would tell of their best alone.
            _random_search(ax, others, min(max(map(len, studies)), len(drawn)))
            low, high = min(low, drawn.min()), max(high, drawn.median())
        for table in studies:
            trials = np.arange(1, len(table) + 1)
            dots: Any = {"color": INK, "alpha": 0.25, "markersize": 3, "label": "Bayesian trial"}
            ax.plot(trials, table["objective"], ".", **dots)
            _best_so_far(ax, table, color=NEUTRAL[1], label="best so far")
        ax.set_ylim(low - 0.06 * (high - low), high + 0.03 * (high - low))
        ax.set_title(title if len(panels) > 1 else "")
    outer_labels(grid, "trials that ended", "objective")
    shared_legend(figure, grid.flat, 3)
    return figure


def _best_so_far(ax: Axes, table: pd.DataFrame, **options: Any) -> None:
    best = table["objective"].cummin().ffill()
    ax.step(np.arange(1, len(best) + 1), best, where="post", **options)


def _few_ticks(axis: Axis, values: pd.Series) -> None:
    """Three ticks on a logarithmic axis that may span less than a power of ten."""
    ticks = np.geomspace(values.min(), values.max(), 3).tolist()
    labels = [f"{tick:.2g}" if tick < 100 else f"{tick:.0f}" for tick in ticks]
    axis.set_ticks(ticks, labels=labels)
    axis.set_minor_locator(NullLocator())


def _random_search(ax: Axes, studies: Sequence[pd.DataFrame], trials: int) -> None:
    """The best so far of each study by random search, and the band of all their trials."""
    color = COLORS["prior"]
    for table in studies:
        _best_so_far(ax, table, color=color, linewidth=0.7)
    numbers = np.arange(1, trials + 1)
    low, median, high = (random_best(studies, numbers, level) for level in (0.05, 0.5, 0.95))
    known = np.isfinite(high)
    ax.fill_between(numbers[known], low[known], high[known], color=color, alpha=0.3, linewidth=0)
    ax.plot(numbers, median, color=color, label="best of random trials")


@style
def ranks(panels: Mapping[str, pd.DataFrame], quantities: Mapping[str, str]) -> Figure:
    """Scores with more data over the objective of the search, a row a study.

    Args:
        panels: Pairs by title: a column `objective`, and one for each quantity.
        quantities: Labels by quantity, one column of panels each.
    """
    count = len(panels) * len(quantities)
    figure, grid = new_grid(count, len(quantities), height=1.9, margin=0.3, stacked=(2, 1.9))
    for row, (title, pairs) in zip(grid, panels.items(), strict=True):
        for ax, (quantity, label) in zip(row, quantities.items(), strict=True):
            # What has no score diverged.
            known = pairs[np.isfinite(pairs[quantity])]
            ax.plot(known["objective"], known[quantity], "o", color=NEUTRAL[0], markersize=4)
            ax.set(xscale="log", yscale="log", ylabel=label)
            _few_ticks(ax.xaxis, known["objective"])
            _few_ticks(ax.yaxis, known[quantity])
        row[0].set_title(title, loc="left")
    for ax in grid[-1]:
        ax.set_xlabel("objective")
    return figure


@style
def parallel_coordinates(table: pd.DataFrame, ranges: Ranges) -> Figure:
    """Each trial as a line across its hyperparameters, coloured by the objective.

    Args:
        table: Trials of a study.
        ranges: Bounds by hyperparameter: each axis spans them.
    """
    good = table.dropna(subset="objective").sort_values("objective", ascending=False)
    figure, ((ax,),) = new_grid(height=3.2)
    columns = np.column_stack([position(good[name], bounds) for name, bounds in ranges.items()])
    best, poor = float(good["objective"].min()), float(good["objective"].quantile(0.9))
    norm = LogNorm(best, poor)
    colors = ScalarMappable(norm, "viridis")
    for row, value in zip(columns, good["objective"], strict=True):
        ax.plot(row, color=colors.to_rgba(value), alpha=0.6, linewidth=1)
    ax.plot(columns[-1], color=NEUTRAL[1], linewidth=2.2, label="best trial")
    for i, (name, (low, high)) in enumerate(ranges.items()):
        ax.vlines(i, 0, 1, color=MUTED, linewidth=0.8, zorder=0)
        ax.annotate(concise(high), (i, 1.03), ha="center", va="bottom", fontsize=8.5)
        ax.annotate(concise(low), (i, -0.03), ha="center", va="top", fontsize=8.5)
        # Side by side, names would touch where there is little room.
        below = -0.13 - 0.08 * (is_narrow() and i % 2)
        label = PARAMETERS.get(name, name)
        ax.annotate(label, (i, below), ha="center", va="top", annotation_clip=False)
    ax.set(xlim=(-0.3, len(ranges) - 0.7), ylim=(-0.22, 1.12))
    ax.axis("off")
    bar = figure.colorbar(colors, ax=ax, label="objective", fraction=0.04, pad=0.01)
    ticks = np.geomspace(best, poor, 5).tolist()
    bar.set_ticks(ticks, labels=[f"{tick:.3g}" for tick in ticks])
    bar.minorticks_off()
    ax.legend(loc="upper right", bbox_to_anchor=(1.0, 1.12))
    return figure


@style
def partial_dependence(table: pd.DataFrame, space: Mapping[str, Any], *, seed: int = 0) -> Figure:
    """What a surrogate of scikit-optimize thinks of each hyperparameter and each pair.

    It is fitted to the logarithms of all objectives; the search's own saw them as they are. On
    the diagonal, its geometric mean over one hyperparameter, the others averaged over the space;
    below it, over two.

    Args:
        table: Trials of a study.
        space: Dimensions of scikit-optimize by hyperparameter; see `search.space`.
        seed: Seed of the surrogate and of the points it is averaged over.
    """
    from skopt import Optimizer
    from skopt.plots import partial_dependence_1D, partial_dependence_2D

    good = table.dropna(subset="objective")
    # The surrogate has to see differences among good trials beside losses a thousand times theirs.
    values = np.log(good["objective"].to_numpy())
    optimizer = Optimizer(list(space.values()), n_initial_points=1, random_state=seed)
    names = list(space)
    labels = [PARAMETERS.get(name, name) for name in names]
    bounds = [(dimension.low, dimension.high) for dimension in space.values()]
    kinds = [type(low) for low, _ in bounds]
    scales = ["log" if kind is float else "linear" for kind in kinds]
    # The rows of a table with whole and other numbers are floats throughout.
    points = [
        [kind(value) for kind, value in zip(kinds, row, strict=True)]
        for row in good[names].itertuples(index=False)
    ]
    result: Any = optimizer.tell(points, values.tolist())
    model, fitted = result.models[-1], result.space
    samples = fitted.transform(fitted.rvs(n_samples=250, random_state=seed))
    best = points[int(np.argmin(values))]
    last = len(names) - 1
    pairs = [(i, j) for i in range(len(names)) for j in range(i + 1)]
    if is_narrow():
        figure, grid = new_grid(len(pairs), 2, stacked=(2, 1.7))
        panels = dict(zip(pairs, grid.flat, strict=False))
    else:
        figure, grid = new_grid(len(names) ** 2, len(names), height=WIDTH * 0.95 / len(names))
        panels = {pair: grid[pair] for pair in pairs}
        for ax in set(grid.flat) - set(panels.values()):
            ax.axis("off")
    for (i, j), ax in panels.items():
        if i == j:
            x, y = partial_dependence_1D(fitted, model, i, samples, n_points=30)
            ax.plot(x, np.exp(y), color=INK)
            # At a bound, half of it would be cut.
            ax.axvline(best[i], color=NEUTRAL[1], linestyle=(0, (3, 2)), clip_on=False)
            ax.yaxis.tick_right()
            ax.set_ylabel("objective")
            ax.yaxis.set_label_position("right")
            ax.yaxis.set_minor_locator(NullLocator())
            ax.ticklabel_format(axis="y", useOffset=False)
        else:
            x, y, z = partial_dependence_2D(fitted, model, i, j, samples, n_points=16)
            ax.contourf(x, y, z, 12, cmap="viridis")
            ax.plot(good[names[j]], good[names[i]], ".", color=INK, alpha=0.4, markersize=2)
            ax.plot(best[j], best[i], "*", color=NEUTRAL[1], markersize=8, clip_on=False, zorder=5)
            ax.set(yscale=scales[i], ylim=bounds[i])
            ax.set_ylabel(labels[i] if is_narrow() or not j else "")
        ax.set(xscale=scales[j], xlim=bounds[j])
        ax.set_xlabel(labels[j] if is_narrow() or i == last else "")
        if is_narrow():
            continue
        # Only axes at the edge have numbers.
        for axis, inside in ((ax.xaxis, i < last), (ax.yaxis, 0 < j < i)):
            if inside:
                axis.set_ticklabels([])
                axis.set_minor_formatter(NullFormatter())
    return figure
