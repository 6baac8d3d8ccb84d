"""What a score looks like: pairs of sample sets with a known MMD^2."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from matplotlib.figure import Figure
from torch import Tensor

from ikpaper.format import concise
from ikpaper.report.plots.style import (
    COLORS,
    MUTED,
    is_narrow,
    new_grid,
    note,
    outer_labels,
    shared_legend,
    style,
)


@style
def pairs(
    reference: Tensor,
    samples: Mapping[tuple[str, float], Tensor],
    names: Mapping[str, str],
    shown: int = 600,
) -> Figure:
    """Two joint angles of exact samples and of others, a row a fault, a column a value.

    Args:
        reference: Exact samples, shape (n, dof).
        samples: Joint angles (n, dof) by fault and MMD^2, value by value.
        names: How the faults are called.
        shown: Samples drawn at most.
    """
    values = list(dict.fromkeys(value for _, value in samples))
    kinds = list(dict.fromkeys(kind for kind, _ in samples))
    count = len(values)
    shared: Any = {"stacked": (count, 1.5), "sharex": True, "sharey": True}
    figure, grid = new_grid(len(samples), count, height=1.95, margin=0.7, **shared)
    size = 8 if is_narrow() else 10
    for number, (row, kind) in enumerate(zip(grid, kinds, strict=True)):
        for ax, value in zip(row, values, strict=True):
            for theta, color in ((reference, MUTED), (samples[kind, value], COLORS["accent"])):
                points = theta[:shown, :2].numpy().T
                ax.scatter(*points, s=5, color=color, alpha=0.6, linewidth=0, rasterized=True)
        # A line of its own, wider than the panel below it: titles keep its place.
        first = number == 0
        for ax, value in zip(row, values, strict=True):
            ax.set_title(f"\nMMD$^2$ = {concise(value)}" if first else " ", fontsize=size)
        above = (0, 6 + 1.5 * size if first else 4)
        place: Any = {"xycoords": "axes fraction", "in_layout": False}
        note(row[0], names[kind], (0, 1), above, fontweight="bold", **place)
    grid[0, 0].set(xticks=(-0.5, 0.5), yticks=(-0.5, 0.0, 0.5))
    outer_labels(grid, r"$\theta_1$ [rad]", r"$\theta_2$ [rad]")
    for color, name in ((MUTED, "exact samples"), (COLORS["accent"], "samples with a fault")):
        grid[0, 0].plot([], [], "o", color=color, markersize=5, label=name)
    shared_legend(figure, grid[0, :1], 2)
    return figure
