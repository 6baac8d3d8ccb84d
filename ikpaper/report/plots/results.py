"""Figures of results: training curves, hulls, posteriors, and the comparison of models."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from contextlib import suppress
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullFormatter, NullLocator
from scipy.spatial import ConvexHull, QhullError
from torch import Tensor

from ikpaper.arm import PlanarArm, as_tensor
from ikpaper.metrics import hull_points
from ikpaper.projection import TOLERANCE
from ikpaper.report.plots.kinematics import draw_arms, draw_target
from ikpaper.report.plots.style import (
    COLORS,
    DASHED,
    DASHED_CURVE,
    INK,
    LABELS,
    MARKERS,
    MUTED,
    NEUTRAL,
    WIDTH,
    is_narrow,
    look,
    new_figure,
    new_grid,
    note,
    number_ticks,
    outer_labels,
    shared_legend,
    style,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis


#: Distances to a target are equal up to this share of the reach.
_EQUAL = 1e-9

#: Loss terms in the order of their equations, and how they are called there.
_TERMS = {
    "reconstruction": "reconstruction",
    "kl": "KL (weighted)",
    "L_y": "$L_y$",
    "L_x": "$L_x$",
    "L_z": "$L_{p(z)}$",
    "L_p(x)": "$L_{p(x)}$",
}

#: Up to so many decades, a logarithmic axis has ticks at 2 and 5 as well.
_FEW_DECADES = 2.5

#: Most arms that a panel shows.
_FAN = 1000

_TO_EXACT = r"unbiased MMD$^2$ to the exact posterior"
#: Columns of a value and its interval.
_VALUE = ["value", "low", "high"]
_MMD2 = ["mmd2", "mmd2_low", "mmd2_high"]


def _log_ticks(axis: Axis) -> None:
    """Readable numbers on a logarithmic axis, at 1, 2 and 5 where it spans little."""
    low, high = axis.get_view_interval()
    few = high / low < 10**_FEW_DECADES
    axis.set_major_locator(LogLocator(subs=(1, 2, 5) if few else (1,)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: _plain(value)))
    axis.set_minor_formatter(NullFormatter())


def _plain(value: float) -> str:
    """A tick: 0.002, 60, 2 M, or with a power of ten where that is shorter."""
    if value >= 1e5:
        return f"{value / 1e6:g} M"
    if value >= 1e-4:
        return f"{value:,g}"
    exponent = math.floor(math.log10(value) + 1e-9)
    power, mantissa = f"10^{{{exponent}}}", f"{value / 10.0**exponent:.3g}"
    return f"${power}$" if mantissa == "1" else rf"${mantissa} \cdot {power}$"


def _power_ticks(axis: Axis, values: Sequence[float]) -> None:
    """Two or three powers of ten on a small logarithmic axis, around all values."""
    low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
    if low == high:
        low, high = low - 1, high + 1
    exponents = range(low, high + 1, -(-(high - low) // 2))
    axis.set_major_locator(FixedLocator([10.0**exponent for exponent in exponents]))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"$10^{{{math.log10(value):.0f}}}$"))
    axis.set_minor_locator(NullLocator())
    axis.set_view_interval(10 ** (low - 0.2), 10 ** (high + 0.2))


def _error_bars(ax: Axes, name: str, x: pd.Series, values: pd.DataFrame, **options: Any) -> None:
    """Scores of a sampler with their intervals: three columns, the value, its low and its high."""
    value, low, high = values.to_numpy().T
    settings = look(name, markersize=5, capsize=2, linestyle="none") | options
    ax.errorbar(x, value, np.maximum([value - low, high - value], 0), **settings)


def _band(
    ax: Axes, x: pd.Series, values: pd.DataFrame, color: str, line: str = "o-", label: str = ""
) -> None:
    """A curve through values, and their intervals as a band; columns as for `_error_bars`."""
    value, low, high = values.to_numpy().T
    ax.plot(x, value, line, color=color, markersize=4, label=label)
    ax.fill_between(x, low, high, color=color, alpha=0.2)


def _around_zero(ax: Axes, low: pd.Series) -> None:
    """A vertical axis for unbiased MMD² that is linear where the values are noise."""
    ax.axhline(0, color=MUTED, linewidth=0.8)
    ax.set_yscale("symlog", linthresh=2e-4)
    ax.set_ylim(bottom=min(-2e-4, 1.2 * float(low.min())))


@style
def training_curves(histories: Mapping[str, Sequence[Mapping[str, Any]]]) -> Figure:
    """Loss terms of a batch over epochs, and the learning rate below, a column a model.

    Args:
        histories: `history` of a training record by model name.
    """
    count = len(histories)
    layout: Any = {"height_ratios": (3, 1), "sharex": "col"}
    layout |= {"stacked": (1, 2.3), "by_column": True}
    figure, grid = new_grid(2 * count, count, height=1.9, **layout)
    for ax, below, (name, history) in zip(*grid, histories.items(), strict=True):
        epochs = [row["epoch"] for row in history]
        terms = pd.DataFrame([row["terms"] for row in history])
        terms = terms[sorted(terms, key=lambda term: [*_TERMS, term].index(term))]
        for (term, values), color in zip(terms.items(), NEUTRAL, strict=False):
            ax.plot(epochs, values, ".-", color=color, label=_TERMS.get(term, term), markersize=4)
        total = terms.sum(axis=1)
        ax.plot(epochs, total, color=INK, linewidth=1, linestyle=DASHED_CURVE, label="sum")
        ax.set(title=LABELS[name])
        rates = [row["learning_rate"] for row in history]
        below.plot(epochs, rates, color=INK, linewidth=1.2)
        below.set(xlabel="epoch", yscale="log")
        _power_ticks(below.yaxis, rates)
        # A log-likelihood may have either sign.
        if (terms > 0).all(axis=None):
            ax.set_yscale("log")
            # Room for the legend, above the curves.
            low, high = ax.get_ylim()
            ax.set_ylim(low, high * (high / low) ** 0.4)
            _log_ticks(ax.yaxis)
        ax.xaxis.get_major_locator().set_params(integer=True)
        ax.legend(ncols=2, loc="upper right")
    for column in grid.T if is_narrow() else grid.T[:1]:
        column[0].set_ylabel("mean loss of a batch")
        column[1].set_ylabel("learning rate")
    return figure


def median_sample(arm: PlanarArm, tcp: Sequence[float], theta: Tensor) -> int:
    """Index of the sample whose TCP has the median distance to the target: the one to highlight.

    Distances that differ by rounding alone, as those of exact samples do, are equal; then the
    order of the samples decides, which is the same on every processor.

    Args:
        arm: The arm.
        tcp: Target, shape (2,).
        theta: Joint angles (n, dof).
    """
    distance = (arm.forward(theta.double()) - as_tensor(tcp)).norm(dim=1)
    equal = (distance / (_EQUAL * arm.reach)).round()
    return int(equal.argsort(stable=True)[len(theta) // 2])


def _titled(ax: Axes, name: str, notes: Mapping[str, str] | None) -> None:
    """A panel's title: the sampler, and below it what is noted of it."""
    below = (notes or {}).get(name, "")
    ax.set_title(f"{LABELS[name]}\n{below}" if below else LABELS[name])


@style
def hulls(
    arm: PlanarArm,
    tcp: Sequence[float],
    samples: Mapping[str, Tensor],
    notes: Mapping[str, str] | None = None,
) -> Figure:
    """Re-simulated TCPs around the target with the convex hull of the nearest (Figure 4).

    Args:
        arm: The arm.
        tcp: Target, shape (2,).
        samples: Joint angles (n, dof) by sampler name.
        notes: What stands below a panel's title, by sampler name.
    """
    figure, grid = new_grid(len(samples), height=3.1, stacked=(1, 2.7), sharex=True, sharey=True)
    extent = 0.0
    for ax, (name, theta) in zip(grid[0], samples.items(), strict=True):
        color = COLORS[name]
        points = arm.forward(theta).double().cpu().numpy()
        kept = hull_points(points, as_tensor(tcp))
        extent = max(extent, float(np.abs(kept - np.asarray(tcp)).max()))
        ax.scatter(*points.T, s=3, color=color, alpha=0.35, linewidth=0, rasterized=True)
        # Without an extent, the points lie on the target.
        with suppress(QhullError):
            outline = kept[ConvexHull(kept).vertices]
            ax.fill(*outline.T, color=color, alpha=0.18)
            ax.fill(*outline.T, fill=False, edgecolor=color, linewidth=1.2)
        ax.plot(*tcp, "+", color=INK, markersize=9, markeredgewidth=1.2)
        ax.set(aspect="equal")
        _titled(ax, name, notes)
    (x, y), half = tcp, 1.15 * extent
    grid[0, 0].set(xlim=(x - half, x + half), ylim=(y - half, y + half))
    outer_labels(grid)
    if is_narrow():
        for ax in grid.flat:
            ax.tick_params(labelbottom=True)
    return figure


@style
def posterior_arms(
    arm: PlanarArm,
    tcp: Sequence[float],
    samples: Mapping[str, Tensor],
    notes: Mapping[str, str] | None = None,
) -> Figure:
    """Arms of each sampler's posterior, translucent, one highlighted (Figure 6).

    The highlighted one is `median_sample`.

    Args:
        arm: The arm.
        tcp: Target, shape (2,).
        samples: Joint angles (n, dof) by sampler name.
        notes: What stands below a panel's title, by sampler name.
    """
    drawn = [arm.joint_positions(theta[:_FAN]).flatten(0, 1) for theta in samples.values()]
    low, high = torch.cat(drawn).cpu().aminmax(dim=0)
    margin = 0.05 * (high - low)[1]
    low, high = low - margin, high + margin
    aspect = float((high - low)[1] / (high - low)[0])
    (left, right), (bottom, top) = torch.stack([low, high], dim=1).tolist()
    # Three would leave a quarter of two rows empty.
    columns = 3 if len(samples) == 3 else 2
    height = 0.84 * WIDTH / columns * min(1.1, aspect) + 0.75
    stacked = 1, min(2.7, 3.0 * aspect + 0.5)
    figure, grid = new_grid(
        len(samples), columns, height=height, stacked=stacked, sharex=True, sharey=True
    )
    for ax, (name, theta) in zip(grid.flat, samples.items(), strict=False):
        fan = theta[:_FAN]
        alpha = min(1.0, 30 / len(fan))
        median = median_sample(arm, tcp, fan)
        draw_arms(ax, arm, fan, color=COLORS[name], alpha=alpha, linewidth=0.8, highlight=median)
        draw_target(ax, tcp, 12, 2)
        ax.set(aspect="equal", xlim=(left, right), ylim=(bottom, top))
        _titled(ax, name, notes)
    outer_labels(grid)
    return figure


@style
def joint_marginals(samples: Mapping[str, Tensor]) -> Figure:
    """Density of every joint angle, one panel a joint, one line a sampler.

    Args:
        samples: Joint angles (n, dof) by sampler name; `exact` sets the range that is shown.
    """
    values = {name: theta.double().cpu().numpy() for name, theta in samples.items()}
    dof = values["exact"].shape[1]
    columns = next((count for count in (4, 5) if dof % count == 0), 3)
    figure, grid = new_grid(
        dof, columns, height=1.5, margin=0.5, stacked=(2, 1.4), sharex=True, sharey=True
    )
    spread = 1.6 * np.abs(np.quantile(values["exact"], [0.003, 0.997])).max()
    bins = np.linspace(-spread, spread, 41)
    for joint, ax in enumerate(grid.flat[:dof]):
        for name, theta in values.items():
            counts, _ = np.histogram(theta[:, joint], bins)
            density = counts / (len(theta) * np.diff(bins))
            own = {"color": COLORS[name], "label": LABELS[name], "linewidth": 1.1}
            shade = {"fill": True, "alpha": 0.35} if name == "exact" else {}
            ax.stairs(density, bins, **own, **shade)
        ax.set_title(rf"$\theta_{{{joint + 1}}}$", y=0.82, x=0.06, ha="left")
        ax.set_yticks([])
    outer_labels(grid, "rad", "")
    shared_legend(figure, grid[0], len(samples), "upper")
    return figure


@style
def scores_over(means: pd.DataFrame, quantities: Mapping[str, str]) -> Figure:
    """Scores of samplers over the DoF, with intervals where there are any.

    Args:
        means: Scores indexed by DoF and sampler; of each quantity the columns `q`, `q_low`,
            `q_high`. See `report.tables.base.by_sampler`.
        quantities: Panel titles by quantity.
    """
    figure, grid = new_grid(len(quantities), height=3.2)
    names = means.index.unique("sampler")
    for ax, (quantity, label) in zip(grid[0], quantities.items(), strict=True):
        columns = [f"{quantity}{end}" for end in ("", "_low", "_high")]
        for name in names:
            values = means.xs(name, level="sampler")[columns].sort_index()
            # On a logarithmic axis, what is zero but for rounding or noise has no place.
            values = values[values[quantity] > 1e-12]
            if not values.empty:
                dof = values.index.to_series()
                _error_bars(ax, name, dof, values, linestyle="-", linewidth=1)
        ax.set(yscale="log", xlabel="DoF", title=label, xticks=sorted(means.index.unique("dof")))
        _log_ticks(ax.yaxis)
    shared_legend(figure, grid[0, :1], len(names))
    return figure


@style
def result_plots(
    rows: pd.DataFrame, parameters: Mapping[tuple[int, str], int], titles: Mapping[str, str]
) -> Figure:
    """The slides' two result plots over the number of parameters, theirs open and ours filled.

    Args:
        rows: Columns quantity, dof, sampler, reported, ours, low, high.
        parameters: Trainable parameters by DoF and sampler.
        titles: Panel titles by quantity.
    """
    figure, grid = new_grid(len(titles), height=3.4)
    for ax, (quantity, title) in zip(grid[0], titles.items(), strict=True):
        part = rows[rows["quantity"] == quantity]
        for name, group in part.groupby("sampler", sort=False):
            x = pd.Series([parameters[dof, str(name)] for dof in group["dof"]], group.index)
            # What belongs together is joined: both have the same number of parameters.
            ax.vlines(x, *group[["reported", "ours"]].to_numpy().T, color=MUTED, linewidth=0.8)
            unfilled = look(str(name), label=f"{LABELS[str(name)]}, reported", linestyle="none")
            ax.plot(x, group["reported"], **unfilled, markerfacecolor="none", markersize=7)
            own = {"label": f"{LABELS[str(name)]}, ours", "linestyle": "none"}
            _error_bars(ax, str(name), x, group[["ours", "low", "high"]], **own)
            for *point, dof in zip(x, group["ours"], group["dof"], strict=True):
                note(ax, f"{dof}", point, (6, 3), fontsize=8, color=COLORS[str(name)])
        ax.set(xscale="log", xlabel="trainable parameters", title=title)
        low, high = part[["reported", "ours"]].min().min(), part[["reported", "ours"]].max().max()
        if high < 3 * low:
            ax.set_ylim(0, 1.15 * high)
        else:
            ax.set_yscale("log")
            _log_ticks(ax.yaxis)
        _log_ticks(ax.xaxis)
    shared_legend(figure, grid[0, :1], 4)
    return figure


@style
def eps_bias(curves: pd.DataFrame) -> Figure:
    """Distance of rejection sampling from the exact posterior over its tolerance.

    Args:
        curves: Columns target (label), eps, mmd2, low, high, acceptance.
    """
    figure, ((left, right),) = new_grid(2)
    for color, (target, rows) in zip(NEUTRAL, curves.groupby("target", sort=False), strict=False):
        _band(left, rows["eps"], rows[["mmd2", "low", "high"]], color, label=target)
        right.plot(rows["eps"], rows["acceptance"], "o-", color=color, markersize=4)
    _around_zero(left, curves["low"])
    left.set_title(_TO_EXACT)
    right.set(yscale="log", title="share of proposals accepted")
    for ax in (left, right):
        ax.set(xscale="log", xlabel=r"tolerance $\varepsilon$ [length]")
        ax.axvline(0.05, color=MUTED, linewidth=0.8, linestyle=DASHED, zorder=0)
    shared_legend(figure, [left], 2)
    return figure


@style
def chains_to_exact(curve: pd.DataFrame) -> Figure:
    """How chains of constrained HMC approach exact samples.

    Args:
        curve: Columns iterations, mmd2, low, high, chance_low, chance_high.
    """
    figure, ((ax,),) = new_grid(width=0.72 * WIDTH, height=2.9)
    _band(ax, curve["iterations"], curve[["mmd2", "low", "high"]], INK, label="chains of HMC")
    chance = curve[["chance_low", "chance_high"]].iloc[0]
    band = {"color": COLORS["exact"], "alpha": 0.25, "linewidth": 0}
    ax.axhspan(*chance, label="two draws of exact samples", **band)
    ax.axhline(0, color=MUTED, linewidth=0.8)
    ax.set(xlabel="iterations", ylabel=r"unbiased MMD$^2$")
    number_ticks(ax, curve["iterations"])
    ax.legend()
    return figure


@style
def v_statistic_floor(measured: pd.DataFrame, floor: pd.DataFrame) -> Figure:
    """V-statistic and U-statistic between two draws of one posterior over the sample size.

    Args:
        measured: Columns samples, v_statistic, v_low, v_high, u_statistic, u_low, u_high.
        floor: Columns samples, floor: the closed form.
    """
    figure, ((ax,),) = new_grid(width=0.72 * WIDTH, height=3.1)
    for kind, color, label in (
        ("v", NEUTRAL[1], "V-statistic (the paper's)"),
        ("u", NEUTRAL[0], "U-statistic (unbiased)"),
    ):
        values = measured[[f"{kind}_{column}" for column in ("statistic", "low", "high")]]
        _band(ax, measured["samples"], values, color, "o", label=label)
    formula = r"$(1/M + 1/N)\,(1 - \mathrm{E}\,k)$"
    ax.plot(floor["samples"], floor["floor"], color=INK, linestyle=DASHED_CURVE, label=formula)
    ax.axhline(0, color=MUTED, linewidth=0.8)
    ax.axvline(100, color=MUTED, linewidth=0.8, linestyle=DASHED, zorder=0)
    ax.set(xscale="log", xlabel="samples per set, M = N", ylabel=r"MMD$^2$")
    shared_legend(figure, [ax], 2)
    return figure


@style
def kernel_shapes(kernels: Mapping[str, Any]) -> Figure:
    """Kernels over the distance of two configurations, scaled to 1 at zero.

    Args:
        kernels: Functions of the distance (tensors) by name.
    """
    figure, ((ax,),) = new_grid(width=0.62 * WIDTH, height=2.7)
    distance = torch.linspace(0, 2.5, 200)
    for color, (name, kernel) in zip(NEUTRAL, kernels.items(), strict=False):
        values = kernel(distance)
        ax.plot(distance, values / values[0], color=color, label=name)
    ax.set(xlabel=r"distance $\|\theta - \theta'\|$ [rad]", ylabel=r"$k / k(0)$", ylim=(0, 1.03))
    ax.legend()
    return figure


@style
def proposal_closure(arm: PlanarArm, theta: Tensor, k: int, tcp: Sequence[float]) -> Figure:
    """How the exact sampler closes joints 1 and k + 1 onto a target: both elbows of one proposal.

    Args:
        arm: The arm.
        theta: The two configurations, shape (2, dof), equal but for the closed joints.
        k: Index of the second closed joint.
        tcp: Target, shape (2,).
    """
    figure, ((ax,),) = new_grid(width=0.78 * WIDTH, height=3.1)
    positions = arm.joint_positions(theta).numpy()
    target = np.asarray(tcp)
    for points, color in zip(positions, NEUTRAL[:2], strict=True):
        ax.plot(*points.T, color=color, linewidth=2.2, solid_capstyle="round")
        ax.plot(*points[:-1].T, "o", color=color, markersize=5, markerfacecolor="white")
        elbow = points[k]
        ax.plot([0, elbow[0], tcp[0]], [0, elbow[1], tcp[1]], ":", color=color, linewidth=1.2)
        ax.plot(*elbow, "o", color=color, markersize=9)
    upper = max(positions[:, k], key=lambda elbow: elbow[1])
    for side, middle, offset, color in (
        ("A", upper / 2, (-4, 12), INK),
        ("B", (upper + target) / 2, (4, 9), INK),
        ("r", target / 2, (4, -12), MUTED),
    ):
        note(ax, side, middle, offset, color=color, fontsize=11)
    ax.plot([0, tcp[0]], [0, tcp[1]], color=MUTED, linewidth=1, linestyle=DASHED)
    ax.plot(0, 0, "s", color=INK, markersize=9)
    draw_target(ax, tcp, 14, 2.5)
    note(ax, "TCP", tcp, (9, -3))
    ax.set(xlabel="x [length]", ylabel="y [length]", aspect="equal")
    ax.margins(0.09)
    return figure


@style
def home(
    arm: PlanarArm, tcp: Sequence[float], samples: Mapping[str, Tensor], scores: pd.DataFrame
) -> Figure:
    """The report in one figure: arms of some samplers for one target, and the mismatch by DoF.

    Args:
        arm: The arm.
        tcp: Target, shape (2,).
        samples: Joint angles (n, dof) by sampler name.
        scores: Rows of the benchmark: dof, sampler, mmd2, mmd2_low, mmd2_high.
    """
    names = list(samples)
    # An odd one takes a row.
    layout: Any = [*zip(names[::2], [*names[1::2], names[-1]], strict=False), ("score", "score")]
    rows = len(layout) - 1
    figure = new_figure(WIDTH, 2.9 + 1.5 * rows)
    grid: Any = figure.subplot_mosaic(layout, height_ratios=[1.0] * rows + [1.75])
    for number, (name, theta) in enumerate(samples.items()):
        ax = grid[name]
        first_column, last_row = number % 2 == 0, number >= len(samples) - 2
        if number:
            ax.sharex(grid[names[0]])
            ax.sharey(grid[names[0]])
        ax.tick_params(labelleft=first_column, labelbottom=last_row)
        ax.set(xlabel="x [length]" if last_row else "", ylabel="y [length]" if first_column else "")
        fan = theta[:300]
        median = median_sample(arm, tcp, fan)
        draw_arms(ax, arm, fan, color=COLORS[name], alpha=0.1, linewidth=0.8, highlight=median)
        draw_target(ax, tcp, 11, 2)
        ax.set(title=LABELS[name], aspect="equal")
    ax = grid["score"]
    for name, shift in {"prior": 0.0, "inn": 0.12, "cvae": -0.12, "flow": 0.0}.items():
        rows = scores[scores["sampler"] == name].sort_values("dof")
        _error_bars(ax, name, rows["dof"] + shift, rows[_MMD2], marker="o", capsize=3)
    exact = float(scores.loc[scores["sampler"] == "exact", "mmd2_high"].max())
    ax.axhspan(-exact, exact, color=COLORS["exact"], alpha=0.25, linewidth=0)
    ax.axhline(0, color=MUTED, linewidth=0.8)
    ax.set_yscale("symlog", linthresh=5e-5)
    lowest = min(-exact, float(scores["mmd2_low"].min()))
    highest = 2 * float(scores["mmd2_high"].max())
    powers = [10.0**k for k in range(-4, 0) if 10.0**k < highest]
    ax.set(ylim=(1.5 * lowest, highest), yticks=[0, *powers])
    place = {"xycoords": ("axes fraction", "data"), "color": COLORS["exact"], "fontsize": 8.5}
    note(ax, "exact against exact", (0.01, exact), (0, 3), **place)
    ax.set(xlabel="DoF", xticks=sorted(scores["dof"].unique()))
    ax.set_ylabel(r"MMD$^2$ to the exact posterior", fontsize=8.5)
    if is_narrow():
        ax.legend(ncols=2, loc="upper center", bbox_to_anchor=(0.5, -0.3))
    else:
        ax.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
    return figure


@style
def two_references(
    scores: pd.DataFrame, reported: Mapping[str, pd.DataFrame], references: Mapping[str, float]
) -> Figure:
    """Posterior mismatch over the DoF against ground truth of two priors, ours and reported.

    Args:
        scores: Tidy scores with columns dof, sampler, quantity, value, low, high.
        reported: Reported values by quantity, with columns dof, model, value.
        references: Standard deviation of the reference's prior in radians by quantity, one panel
            each.
    """
    figure, grid = new_grid(len(references), height=3.3, sharey=True)
    shifts = {"cvae": -0.25, "inn": 0.25, "exact": 0.0, "rejection": 0.0, "prior": 0.0}
    for ax, (quantity, sigma) in zip(grid[0], references.items(), strict=True):
        measured, published = scores[scores["quantity"] == quantity], reported[quantity]
        for name, shift in shifts.items():
            rows = measured[measured["sampler"] == name]
            _error_bars(ax, name, rows["dof"] + shift, rows[_VALUE])
            points = published[published["model"] == name]
            if not points.empty:
                own = look(name, label=f"{LABELS[name]}, reported", linestyle="none")
                x = points["dof"] + 1.8 * shift
                ax.plot(x, points["value"], **own, markerfacecolor="none", markersize=6)
        ax.set(xlabel="DoF", xticks=sorted(scores["dof"].unique()), ylim=(0, None))
        ax.set_title(f"ground truth with {sigma:g} rad")
    grid[0, 0].set_ylabel(r"$e_\mathrm{posterior}$")
    shared_legend(figure, grid[0, :1], 4)
    return figure


@style
def mismatch_by_prior(scores: pd.DataFrame) -> Figure:
    """Score of the exact sampler over the width of its prior, against references of two priors.

    Args:
        scores: Columns sigma (of the sampler), reference_sigma, value, low, high.
    """
    figure, ((ax,),) = new_grid(width=0.72 * WIDTH, height=3.1)
    references = scores.groupby("reference_sigma", sort=False)
    for color, (reference, rows) in zip(NEUTRAL, references, strict=False):
        _band(ax, rows["sigma"], rows[_VALUE], color)
        ax.axvline(reference, color=color, linewidth=0.8, linestyle=DASHED, zorder=0)
        ax.plot([], [], "o-", color=color, markersize=4, label=f"reference with {reference:g} rad")
    ax.set_xlabel("standard deviation of the prior [rad]")
    ax.set_ylabel(r"$e_\mathrm{posterior}$")
    ax.set_ylim(bottom=0)
    shared_legend(figure, [ax], 2)
    return figure


@style
def bias_near_reach(bias: pd.DataFrame) -> Figure:
    """Distance of rejection sampling from the exact posterior over the distance from full reach.

    Args:
        bias: Columns gap (share of the reach that the target lies inside), eps, mmd2, low, high.
    """
    figure, ((ax,),) = new_grid(width=0.72 * WIDTH, height=3.1)
    for color, (eps, rows) in zip(NEUTRAL, bias.groupby("eps", sort=False), strict=False):
        rows = rows.sort_values("gap")
        label = rf"$\varepsilon$ = {eps:g}"
        _band(ax, rows["gap"], rows[["mmd2", "low", "high"]], color, label=label)
    _around_zero(ax, bias["low"])
    ax.set(xscale="log", ylabel=r"unbiased MMD$^2$")
    ax.set_xlabel(r"distance from full reach, $1 - \|y\|$ / reach")
    number_ticks(ax, bias["gap"])
    shared_legend(figure, [ax], 3)
    return figure


@style
def speedups(bench: pd.DataFrame) -> Figure:
    """Ratio of our throughput to the reference implementation's over the DoF.

    Args:
        bench: Rows of `make bench`: what, model, dof, size, ratio.
    """
    figure, grid = new_grid(2, height=3.1)
    lines: dict[str, Any] = {
        "float32": {"linestyle": DASHED_CURVE, "markerfacecolor": "white"},
        "bfloat16": {},
    }
    for ax, what in zip(grid[0], ("training", "sampling"), strict=True):
        for name, (precision, line) in product(("inn", "cvae"), lines.items()):
            rows = bench[(bench["what"] == f"{what}, {precision}") & (bench["size"] == 1000)]
            rows = rows[rows["model"] == name].sort_values("dof")
            own = look(name, label=f"{LABELS[name]}, {precision}", markersize=5)
            ax.plot(rows["dof"], rows["ratio"], **own, **line)
        ax.axhline(1, color=MUTED, linewidth=0.8)
        ax.set(title=what, xlabel="DoF", xscale="log", ylim=(0, None))
        number_ticks(ax, bench.loc[bench["what"].str.startswith(f"{what}, "), "dof"])
    grid[0, 0].set_ylabel("times as fast as the reference")
    shared_legend(figure, grid[0], 4)
    return figure


@style
def pareto(table: pd.DataFrame) -> Figure:
    """Quality over the cost of a sample: a row of panels a quantity, a column an arm.

    Values within the interval of exact samples, or on the target to
    `projection.TOLERANCE`, are drawn at the least one that can.

    Args:
        table: Rows of the benchmark at random targets of the paper's arms. Samples moved onto the
            target have open markers.
    """
    arms = sorted(table["dof"].unique())
    chance = table.loc[table["sampler"] == "exact", "mmd2_high"].max()
    reach = max(PlanarArm.paper(dof).reach for dof in arms)
    quantities = (
        ("mmd2", r"unbiased MMD$^2$ to exact", float(chance)),
        ("e_resim", r"$\mathrm{E}\|f(\theta)-y\|^2$", (TOLERANCE * reach) ** 2),
    )
    shape = len(quantities) * len(arms), len(arms)
    figure, grid = new_grid(*shape, height=2.0, margin=0.9, sharex=True, sharey="row")
    names = [name for name in MARKERS if name in set(table["sampler"])]
    for row, (column, label, least) in zip(grid, quantities, strict=True):
        for ax in row[::2] if is_narrow() else row[:1]:
            ax.set_ylabel(label)
        for ax, dof in zip(row, arms, strict=True):
            group = table[table["dof"] == dof]
            microseconds = 1e6 / group["samples_per_second"]
            values = group[column].clip(lower=least)
            for name, refined in product(names, (False, True)):
                some = (group["sampler"] == name) & ((group["refine"] > 0) == refined)
                open_marker = {"markerfacecolor": "none", "label": None} if refined else {}
                own = look(name, linestyle="none", markersize=6, **open_marker)
                ax.plot(microseconds[some], values[some], **own)
            front = _front(microseconds.to_numpy(), values.to_numpy())
            ax.step(*front, where="post", color=MUTED, linewidth=0.9, zorder=0)
            ax.axhspan(least / 2, least, color=MUTED, alpha=0.2, linewidth=0)
            ax.set(xscale="log", yscale="log")
            ax.xaxis.set_major_locator(LogLocator(numticks=4 if is_narrow() else 9))
            ax.xaxis.set_minor_formatter(NullFormatter())
    for column, dof in zip(grid.T, arms, strict=True):
        for ax in column if is_narrow() else column[:1]:
            ax.set_title(f"{dof} DoF")
    for ax in grid[-1, -2:] if is_narrow() else grid[-1]:
        ax.set_xlabel("µs per sample")
    shared_legend(figure, grid[0], 3)
    return figure


def _front(cost: np.ndarray, error: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Points that no other one beats in both, by rising cost."""
    order = np.lexsort((error, cost))
    cost, error = cost[order], error[order]
    cheaper = np.append(np.inf, np.fmin.accumulate(error)[:-1])
    return cost[error < cheaper], error[error < cheaper]


@style
def scaling(table: pd.DataFrame) -> Figure:
    """Quality, cost of training and rate of sampling over the number of joints.

    Args:
        table: Rows of `ikpaper scaling` of one model, by dof.
    """
    name, dof = str(table["model"].iloc[0]), table["dof"]
    # Whole markers, also where a value is next to the frame.
    own, prior = (look(sampler, markersize=5, clip_on=False) for sampler in (name, "prior"))
    figure, grid = new_grid(4, 2, height=2.6, stacked=(1, 2.0), sharex=True)
    (quality, miss), (training, sampling) = grid

    _error_bars(quality, name, dof, table[_MMD2], linestyle="-", clip_on=False)
    quality.plot(dof, table["mmd2_prior"], **prior)
    # Where values are noise around zero, the axis is linear.
    quality.set_yscale("symlog", linthresh=1e-4)
    quality.axhline(0, color=MUTED, linewidth=0.8)
    quality.set(title="unbiased MMD$^2$ to exact")

    miss.plot(dof, table["e_resim"], **own)
    miss.set(yscale="log", title=r"$\mathrm{E}\|f(\theta)-y\|^2$ [squared units of length]")

    training.plot(dof, table["training_seconds"], **own)
    training.set(title="training [s]", ylim=(0, None))
    training.set_xlabel("" if is_narrow() else "DoF")

    rate = table["samples_per_second"] / table["exact_samples_per_second"]
    sampling.plot(dof, rate, **own)
    sampling.axhline(1, color=MUTED, linewidth=0.8)
    sampling.set(
        title="rate of sampling over the exact sampler's", yscale="log", xscale="log", xlabel="DoF"
    )
    _log_ticks(sampling.yaxis)
    number_ticks(sampling, dof)
    shared_legend(figure, (quality, sampling), 3)
    return figure
