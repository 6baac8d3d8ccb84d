"""Figures of arms: the forward map, its ill-posed inverse, and the data sets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from matplotlib.collections import LineCollection
from matplotlib.colors import LinearSegmentedColormap, LogNorm
from matplotlib.figure import Figure
from matplotlib.patches import Arc, Circle

from ikpaper.arm import PlanarArm, TensorLike, as_tensor, wrap
from ikpaper.report.plots.style import (
    COLORS,
    DASHED,
    INK,
    MUTED,
    NEUTRAL,
    WIDTH,
    is_narrow,
    new_figure,
    new_grid,
    note,
    outer_labels,
    style,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from torch import Tensor

    from ikpaper.dataset import Dataset
    from ikpaper.samplers import Prior


def draw_arms(
    ax: Axes, arm: PlanarArm, theta: TensorLike, *, highlight: int | None = None, **options: Any
) -> None:
    """Draw configurations of an arm, all as one rasterised artist.

    Args:
        ax: Where to draw.
        arm: The arm.
        theta: Joint angles, shape (n, dof) or (dof,).
        highlight: Index of one configuration drawn solid, with its joints.
        **options: Those of the links as a `LineCollection`: colour, opacity, width in points.
    """
    angles = torch.atleast_2d(as_tensor(theta)).detach().cpu()
    positions = arm.joint_positions(angles).numpy()
    fan = LineCollection(list(positions), rasterized=True, **{"linewidth": 1.5, **options})
    ax.add_collection(fan, autolim=True)
    if highlight is not None:
        points = positions[highlight]
        ax.plot(*points.T, color=INK, linewidth=1.8, zorder=6)
        ax.plot(*points[:-1].T, "o", color=INK, markerfacecolor="white", markersize=4.5, zorder=7)
    ax.plot(0, 0, "s", color=INK, markersize=6, zorder=8)
    ax.autoscale_view()


def draw_target(ax: Axes, tcp: Sequence[float], size: float = 13, width: float = 2.4) -> None:
    """Mark a target with a cross; its size and the width of its lines in points."""
    color = COLORS["accent"]
    ax.plot(*tcp, "+", color=color, markersize=size, markeredgewidth=width, zorder=10)


@style
def arm_drawing(arm: PlanarArm, theta: TensorLike) -> Figure:
    """One configuration with its joint angles, link lengths and TCP named.

    Args:
        arm: The arm.
        theta: Joint angles, shape (dof,).
    """
    figure, ((ax,),) = new_grid(width=0.72 * WIDTH)
    angles = as_tensor(theta)
    points = arm.joint_positions(angles).numpy()
    headings = np.concatenate([[0.0], angles.cumsum(0).numpy()])
    centred = {"ha": "center", "va": "center", "fontsize": 12}
    ax.plot(*points.T, color=NEUTRAL[0], linewidth=4, solid_capstyle="round")
    for j, (start, end) in enumerate(pairwise(points)):
        before, after = headings[j], headings[j + 1]
        guide = start + 0.62 * np.array([np.cos(before), np.sin(before)])
        ax.plot(*np.stack([start, guide]).T, color=MUTED, linewidth=0.9, linestyle=DASHED)
        low, high = np.degrees(sorted((before, after)))
        ax.add_patch(Arc(start, 0.8, 0.8, theta1=low, theta2=high, color=INK, linewidth=1.1))
        middle = (before + after) / 2
        label = start + 0.58 * np.array([np.cos(middle), np.sin(middle)])
        ax.annotate(rf"$\theta_{j + 1}$", label, **centred)
        # On the side of the link that the arc of its angle leaves free.
        normal = np.sign(after - before) * np.array([-np.sin(after), np.cos(after)])
        label = (start + end) / 2 + 0.16 * normal
        ax.annotate(rf"$l_{j + 1}$", label, color=NEUTRAL[0], **centred)
        ax.plot(*start, "o", color=INK, markersize=8, markerfacecolor="white", zorder=5)
    ax.plot(*points[-1], "o", color=COLORS["accent"], markersize=8, zorder=6)
    note(ax, r"TCP $(x, y)$", points[-1], (9, -2), fontsize=10.5)
    ax.plot(0, 0, "s", color=INK, markersize=10, zorder=4)
    ax.set(xlabel="x [length]", ylabel="y [length]", aspect="equal")
    ax.margins(x=0.2, y=0.14)
    return figure


#: Up to so many configurations are told apart by their lines and joints.
_FEW = 2


def _each(ax: Axes, arm: PlanarArm, theta: Tensor) -> None:
    """Draw at most `_FEW` configurations (n, dof) with their joints, the second one dashed."""
    for line, points in zip(("-", (0, (2, 1.2))), arm.joint_positions(theta).numpy(), strict=False):
        ax.plot(*points.T, color=NEUTRAL[0], linewidth=2, linestyle=line)
        ax.plot(
            *points[1:-1].T, "o", color=NEUTRAL[0], markerfacecolor="white", markersize=6, zorder=7
        )


@style
def ill_posedness(
    cases: Mapping[str, tuple[PlanarArm, Sequence[tuple[Sequence[float], Tensor]]]],
) -> Figure:
    """Arms and targets with one, several, infinitely many and no solutions.

    Args:
        cases: By title: an arm, and targets with the configurations (n, dof) that reach them.
    """
    figure, grid = new_grid(4, 2, height=3.1, stacked=(2, 2.2))
    many: dict[str, Any] = {"alpha": 0.08, "linewidth": 1.0, "highlight": 0}
    for ax, (title, (arm, targets)) in zip(grid.flat, cases.items(), strict=True):
        for radius, color in ((arm.reach, "#e8eef3"), (arm.inner_radius, "white")):
            ax.add_patch(Circle((0, 0), radius, facecolor=color, edgecolor="none", zorder=0))
        for tcp, solutions in targets:
            if len(solutions) > _FEW:
                draw_arms(ax, arm, solutions, color=NEUTRAL[0], **many)
            else:
                _each(ax, arm, solutions)
            draw_target(ax, tcp)
        ax.plot(0, 0, "s", color=INK, markersize=7, zorder=8)
        edge = 1.3 * arm.reach
        ax.set(title=title, aspect="equal", xlim=(-edge, edge), ylim=(-edge, edge))
    outer_labels(grid)
    return figure


def _curve(arm: PlanarArm, tcp: Sequence[float], steps: int = 8000) -> list[Tensor]:
    """All solutions of a 3-link arm: connected stretches, each of shape (n, 3).

    The heading of the last link says where it starts; two joints reach that point elbow up or
    elbow down.
    """
    first, second, last = arm.lengths
    heading = torch.linspace(0, 2 * torch.pi, steps + 1, dtype=torch.float64)
    x, y = tcp[0] - last * heading.cos(), tcp[1] - last * heading.sin()
    cosine = (x.square() + y.square() - first**2 - second**2) / (2 * first * second)
    near = torch.nn.functional.pad((cosine.abs() <= 1).double(), (1, 1))
    # One step beyond the last solution, where both elbows meet, so that the curve closes.
    kept = torch.nn.functional.max_pool1d(near[None, None], 3, 1)[0, 0] > 0
    stretches = []
    for sign in (1, -1):
        elbow = sign * cosine.clamp(-1, 1).acos()
        base = torch.atan2(y, x) - torch.atan2(second * elbow.sin(), first + second * elbow.cos())
        theta = wrap(torch.stack([base, elbow, heading - base - elbow], dim=1))
        whole = kept[1:] & kept[:-1] & (theta.diff(dim=0).abs().amax(1) < 1)
        ends = [-1, *(~whole).nonzero()[:, 0].tolist(), steps]
        stretches += [theta[a + 1 : b + 1] for a, b in pairwise(ends) if b - a > 1]
    return stretches


@style
def solution_curve(
    arm: PlanarArm, tcp: Sequence[float], prior: Prior, samples: Tensor, solved: Tensor
) -> Figure:
    """All solutions of a 3-link arm in joint space, and what a solver finds of them.

    Args:
        arm: An arm with 3 joints.
        tcp: Target, shape (2,).
        prior: Prior over its joint angles.
        samples: Exact samples, shape (n, 3); at most 200 are drawn.
        solved: Solutions of the numerical solver, shape (m, 3).
    """
    figure, ((left, right),) = new_grid(2, height=3.2)
    draw_arms(left, arm, samples[:200], color=COLORS["exact"], alpha=0.07, linewidth=1)
    draw_arms(left, arm, solved, color=COLORS["numerical"], alpha=1.0, linewidth=1.2)
    draw_target(left, tcp)
    left.set(xlabel="x [length]", ylabel="y [length]", aspect="equal", title="workspace")
    curve = _curve(arm, tcp)
    log_density = []
    for theta in curve:
        jacobian = arm.jacobian(theta)
        spread = (jacobian @ jacobian.mT).det().clamp_min(1e-12).log()
        log_density.append(prior.log_density(theta).sum(1) - 0.5 * spread)
    top = torch.cat(log_density).max()
    shades = LinearSegmentedColormap.from_list("density", ["#d5dce2", COLORS["exact"], "#00382a"])
    steps = [step for theta in curve for step in torch.stack([theta[:-1], theta[1:]], 1)[..., :2]]
    lines = LineCollection(steps, cmap=shades, linewidths=4, capstyle="round", rasterized=True)
    lines.set_array(torch.cat([(part[:-1] - top).exp() for part in log_density]).numpy())
    right.add_collection(lines, autolim=True)
    right.autoscale_view()
    figure.colorbar(lines, ax=right, label="posterior density / its maximum", shrink=0.9)
    dots = {"color": COLORS["numerical"], "markeredgecolor": "white", "markeredgewidth": 0.8}
    right.plot(*solved.numpy()[:, :2].T, "o", markersize=6, label="numerical solutions", **dots)
    right.set(xlabel=r"$\theta_1$ [rad]", ylabel=r"$\theta_2$ [rad]", title="joint space")
    right.legend(loc="lower left", handletextpad=0.2)
    return figure


@style
def data_sets(
    sets: Sequence[Dataset], arms: int = 300, points: int = 3000, alpha: float = 0.07
) -> Figure:
    """Arms of data sets, translucent, with the cloud of their TCPs; one panel a set.

    Args:
        sets: Data sets.
        arms: Arms drawn a panel.
        points: TCPs drawn a panel.
        alpha: Opacity of each arm.
    """
    columns = min(2, len(sets))
    width = WIDTH if columns == 2 else 0.62 * WIDTH
    figure, grid = new_grid(
        len(sets), columns, width=width, height=3.1, margin=0.6, stacked=(2, 2.0)
    )
    fan: dict[str, Any] = {"color": NEUTRAL[0], "alpha": alpha, "linewidth": 0.8}
    for ax, data in zip(grid.flat, sets, strict=True):
        tcp = data.tcp[:points].numpy()
        ax.scatter(*tcp.T, s=2.5, color=NEUTRAL[1], alpha=0.3, linewidth=0, rasterized=True)
        draw_arms(ax, data.arm, data.theta[:arms], highlight=0, **fan)
        ax.set(title=f"{data.arm.dof} DoF", aspect="equal")
    outer_labels(grid)
    return figure


@style
def tcp_distribution(sets: Sequence[Dataset]) -> Figure:
    """Where the TCPs lie: their density in the plane, over the radius and over the heading.

    Args:
        sets: Data sets; lengths are divided by the reach of each arm, to share the axes.
    """
    maps_abreast, heights = (2, (4.0, 4.4)) if is_narrow() else (len(sets), (2.8, 2.5))
    rows = -(-len(sets) // maps_abreast)
    figure = new_figure(WIDTH, sum(heights))
    upper, lower = figure.subfigures(2, 1, squeeze=False, height_ratios=heights)[:, 0]
    grid = upper.subplots(rows, maps_abreast, sharex=True, sharey=True, squeeze=False)
    maps = grid.flat[: len(sets)]
    scaled = [(data.tcp / data.arm.reach).numpy() for data in sets]
    # Cells of the same size in all maps, over all TCPs.
    low, high = np.concatenate(scaled).min(axis=0), np.concatenate(scaled).max(axis=0)
    edges = [np.arange(a - 0.01, b + 0.02, 0.01) for a, b in zip(low, high, strict=True)]
    planes = [np.histogramdd(tcp, bins=edges, density=True)[0] for tcp in scaled]
    densities = np.concatenate([plane[plane > 0] for plane in planes])
    norm = LogNorm(densities.min(), densities.max())
    shades = LinearSegmentedColormap.from_list("tcp", ["#e3e4f3", NEUTRAL[0], "#14153d"])
    for ax, data, plane in zip(maps, sets, planes, strict=True):
        # Cells without a sample stay empty.
        masked = np.ma.masked_equal(plane.T, 0)
        mesh = ax.pcolormesh(*edges, masked, norm=norm, cmap=shades, rasterized=True)
        ax.set(title=f"{data.arm.dof} DoF", aspect="equal")
    outer_labels(grid, "x / reach", "y / reach")
    upper.colorbar(mesh, ax=list(maps), label="density", shrink=0.9)
    left, right = lower.subplots(*((2, 1) if is_narrow() else (1, 2)))
    for data, color in zip(sets, NEUTRAL, strict=False):
        radius = data.tcp.norm(dim=1).numpy() / data.arm.reach
        heading = torch.atan2(data.tcp[:, 1], data.tcp[:, 0]).numpy()
        for ax, values, low, high in ((left, radius, 0.6, 1.0), (right, heading, -1.6, 1.6)):
            density, bins = np.histogram(values, np.linspace(low, high, 81), density=True)
            ax.stairs(density, bins, color=color, linewidth=1.3, label=f"{data.arm.dof} DoF")
    left.set(xlabel="radius of the TCP / reach", ylabel="density", yscale="log")
    right.set(xlabel="heading of the TCP [rad]", ylabel="density [1/rad]")
    left.legend()
    return figure
