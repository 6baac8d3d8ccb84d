"""Figures of results: training curves, hulls, posteriors, and the comparison of models."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from matplotlib.figure import Figure
from matplotlib.patches import Polygon
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter
from scipy.spatial import ConvexHull, QhullError
from torch import Tensor

from ikpaper.arm import PlanarArm, as_tensor
from ikpaper.metrics import hull_points
from ikpaper.projection import TOLERANCE
from ikpaper.report.plots.kinematics import draw_arms
from ikpaper.report.plots.style import (
    COLORS,
    INK,
    LABELS,
    MARKERS,
    MUTED,
    WIDTH,
    legend_entries,
    new_figure,
    style,
)

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis

__all__ = [
    "bias_near_reach",
    "eps_bias",
    "home",
    "hulls",
    "joint_marginals",
    "kernel_shapes",
    "mismatch_by_prior",
    "pareto",
    "posterior_arms",
    "proposal_closure",
    "scaling",
    "scores_over",
    "speedups",
    "training_curves",
    "two_references",
    "v_statistic_floor",
]

_TERMS = {
    "reconstruction": "reconstruction",
    "kl": "KL (weighted)",
    "L_y": "$L_y$",
    "L_z": "$L_z$",
    "L_x": "$L_x$",
    "L_p(x)": "$L_{p(x)}$",
}
#: Up to so many decades, a logarithmic axis has ticks at 2 and 5 as well.
_FEW_DECADES = 2.5

_TERM_COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7")


def _log_ticks(axis: Axis) -> None:
    """Readable numbers on a logarithmic axis, at 1, 2 and 5 where it spans little."""
    low, high = axis.get_view_interval()
    few = high / low < 10**_FEW_DECADES
    axis.set_major_locator(LogLocator(subs=(1, 2, 5) if few else (1,)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: _plain(value)))
    axis.set_minor_formatter(NullFormatter())


def _plain(value: float) -> str:
    """A tick: 0.002, 60, 2 M, or a power of ten where that is shorter."""
    if value >= 1e5:
        return f"{value / 1e6:g} M"
    if value >= 1e-4:
        return f"{value:g}"
    return rf"$10^{{{round(math.log10(value))}}}$"


@style()
def training_curves(histories: Mapping[str, Sequence[Mapping[str, Any]]]) -> Figure:
    """Loss terms of a batch over epochs, one panel a model.

    Args:
        histories: `history` of a training record by model name.
    """
    figure = new_figure(WIDTH, 2.9)
    axes = figure.subplots(1, len(histories), squeeze=False)[0]
    for ax, (name, history) in zip(axes, histories.items(), strict=True):
        epochs = [row["epoch"] for row in history]
        for term, color in zip(history[0]["terms"], _TERM_COLORS, strict=False):
            values = [row["terms"][term] for row in history]
            ax.plot(epochs, values, ".-", color=color, label=_TERMS.get(term, term), markersize=4)
        total = [sum(row["terms"].values()) for row in history]
        ax.plot(epochs, total, color=INK, linewidth=1, linestyle=(0, (4, 2)), label="sum")
        ax.set(xlabel="epoch", title=LABELS.get(name, name))
        # A log-likelihood may have either sign.
        if all(value > 0 for row in history for value in row["terms"].values()):
            ax.set_yscale("log")
            _log_ticks(ax.yaxis)
        ax.xaxis.get_major_locator().set_params(integer=True)
        ax.legend(ncols=2)
    axes[0].set_ylabel("mean loss of a batch")
    return figure


@style()
def hulls(
    arm: PlanarArm, tcp: Sequence[float], samples: Mapping[str, Tensor], percentile: float = 97
) -> Figure:
    """Re-simulated TCPs around the target with the convex hull of the nearest (Figure 4).

    Args:
        arm: The arm.
        tcp: Target, shape (2,).
        samples: Joint angles (n, dof) by sampler name.
        percentile: Share of the points inside the hull, in percent.
    """
    figure = new_figure(WIDTH, 3.1)
    axes = figure.subplots(1, len(samples), sharex=True, sharey=True, squeeze=False)[0]
    extent = 0.0
    for ax, (name, theta) in zip(axes, samples.items(), strict=True):
        points = arm.forward(theta).double().cpu().numpy()
        kept = hull_points(points, as_tensor(tcp), percentile)
        extent = max(extent, float(np.abs(kept - np.asarray(tcp)).max()))
        ax.scatter(*points.T, s=3, color=COLORS[name], alpha=0.35, linewidth=0, rasterized=True)
        try:
            outline = kept[ConvexHull(kept).vertices]
            ax.add_patch(
                Polygon(outline, facecolor=COLORS[name], edgecolor=COLORS[name], alpha=0.18)
            )
            ax.add_patch(Polygon(outline, fill=False, edgecolor=COLORS[name], linewidth=1.2))
        except QhullError:
            pass  # no extent: the points lie on the target
        ax.plot(*tcp, "+", color=INK, markersize=11, markeredgewidth=1.4)
        ax.set(title=LABELS[name], xlabel="x [length]", aspect="equal")
    half = 1.15 * extent
    axes[0].set(
        xlim=(tcp[0] - half, tcp[0] + half),
        ylim=(tcp[1] - half, tcp[1] + half),
        ylabel="y [length]",
    )
    return figure


@style()
def posterior_arms(
    arm: PlanarArm, tcp: Sequence[float], samples: Mapping[str, Tensor], shown: int = 1000
) -> Figure:
    """Arms of each sampler's posterior, translucent, one highlighted (Figure 6).

    Args:
        arm: The arm.
        tcp: Target, shape (2,).
        samples: Joint angles (n, dof) by sampler name; ground truth sets the section shown.
        shown: Arms drawn at most.
    """
    rows = (len(samples) + 1) // 2
    truth = [samples[name] for name in ("rejection", "exact") if name in samples]
    drawn = [arm.joint_positions(theta[:shown]).reshape(-1, 2) for theta in truth]
    low = torch.stack([part.amin(0) for part in drawn]).amin(0)
    high = torch.stack([part.amax(0) for part in drawn]).amax(0)
    margin = 0.2 * (high - low)[1]
    low, high = low - margin, high + margin
    aspect = float((high - low)[1] / (high - low)[0])
    figure = new_figure(WIDTH, rows * (0.42 * WIDTH * min(1.1, aspect) + 0.75))
    axes = figure.subplots(rows, 2, sharex=True, sharey=True).ravel()
    for ax, (name, theta) in zip(axes, samples.items(), strict=False):
        draw_arms(
            ax,
            arm,
            theta[:shown],
            color=COLORS[name],
            alpha=max(0.02, min(1.0, 15 / len(theta[:shown]))),
            linewidth=0.8,
            highlight=0,
        )
        ax.plot(*tcp, "+", color=COLORS["accent"], markersize=12, markeredgewidth=2, zorder=10)
        ax.set(title=LABELS[name], aspect="equal")
        ax.set(xlim=(float(low[0]), float(high[0])), ylim=(float(low[1]), float(high[1])))
    for ax in axes[len(samples) :]:
        ax.set_visible(False)
    for ax in axes[-2:]:
        ax.set_xlabel("x [length]")
    for ax in axes[::2]:
        ax.set_ylabel("y [length]")
    return figure


@style()
def joint_marginals(samples: Mapping[str, Tensor]) -> Figure:
    """Density of every joint angle, one panel a joint, one line a sampler.

    Args:
        samples: Joint angles (n, dof) by sampler name; `exact` sets the range that is shown.
    """
    values = {name: theta.double().cpu().numpy() for name, theta in samples.items()}
    dof = next(iter(values.values())).shape[1]
    columns = next(count for count in (4, 5, 3) if dof % count == 0 or count == 3)
    rows = -(-dof // columns)
    figure = new_figure(WIDTH, 1.5 * rows + 0.5)
    axes = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    spread = 1.6 * np.abs(np.quantile(values["exact"], [0.003, 0.997])).max()
    bins = np.linspace(-spread, spread, 41)
    for joint, ax in enumerate(axes.ravel()):
        if joint >= dof:
            ax.set_visible(False)
            continue
        for name, theta in values.items():
            counts, _ = np.histogram(theta[:, joint], bins)
            density = counts / (len(theta) * np.diff(bins))
            filled = name == "exact"
            ax.stairs(
                density,
                bins,
                color=COLORS[name],
                fill=filled,
                alpha=0.35 if filled else 1.0,
                linewidth=1.1,
                label=LABELS[name],
            )
        ax.set_title(rf"$\theta_{{{joint + 1}}}$", y=0.82, x=0.06, ha="left")
        ax.set_yticks([])
    for ax in axes[-1]:
        ax.set_xlabel("rad")
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=len(labels))
    return figure


@style()
def scores_over(
    scores: pd.DataFrame, x: str, quantities: Mapping[str, str], xlabel: str, *, xlog: bool = False
) -> Figure:
    """Scores of models over a property of theirs, with intervals (the paper's result plots).

    Args:
        scores: Tidy scores with columns sampler, quantity, value, low, high, dof and `x`.
        x: Column of the horizontal axis.
        quantities: Axis labels by quantity, one panel each.
        xlabel: Label of the horizontal axis.
        xlog: Logarithmic horizontal axis.
    """
    figure = new_figure(WIDTH, 3.2)
    axes = figure.subplots(1, len(quantities), squeeze=False)[0]
    for ax, (quantity, label) in zip(axes, quantities.items(), strict=True):
        for name in dict.fromkeys(scores["sampler"]):
            rows = scores[(scores["sampler"] == name) & (scores["quantity"] == quantity)]
            rows = rows[rows["value"] > 1e-12].sort_values(x)
            if rows.empty or rows[x].isna().all():
                continue
            errors = [rows["value"] - rows["low"], rows["high"] - rows["value"]]
            ax.errorbar(
                rows[x],
                rows["value"],
                np.maximum(errors, 0),
                fmt=MARKERS[name],
                color=COLORS[name],
                label=LABELS[name],
                markersize=5,
                capsize=2,
                linestyle="none" if xlog else "-",
                linewidth=1,
            )
            if xlog:
                for _, row in rows.iterrows():
                    ax.annotate(
                        f"{row['dof']}",
                        (row[x], row["value"]),
                        xytext=(5, 4),
                        textcoords="offset points",
                        fontsize=8,
                        color=COLORS[name],
                    )
        ax.set(yscale="log", xlabel=xlabel, title=label)
        _log_ticks(ax.yaxis)
        if xlog:
            ax.set_xscale("log")
            _log_ticks(ax.xaxis)
        else:
            ax.set_xticks(sorted(scores[x].unique()))
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels))
    return figure


@style()
def eps_bias(curves: pd.DataFrame) -> Figure:
    """Distance of rejection sampling from the exact posterior over its tolerance.

    Args:
        curves: Columns target (label), eps, mmd2, low, high, acceptance.
    """
    figure = new_figure(WIDTH, 3.0)
    left, right = figure.subplots(1, 2)
    colors = (COLORS["inn"], COLORS["cvae"], COLORS["exact"])
    for color, (target, rows) in zip(colors, curves.groupby("target", sort=False), strict=False):
        left.plot(rows["eps"], rows["mmd2"], "o-", color=color, label=target, markersize=4)
        left.fill_between(rows["eps"], rows["low"], rows["high"], color=color, alpha=0.2)
        right.plot(rows["eps"], rows["acceptance"], "o-", color=color, label=target, markersize=4)
    left.axhline(0, color=MUTED, linewidth=0.8)
    left.set_yscale("symlog", linthresh=2e-4)
    left.set_ylim(bottom=min(-2e-4, 1.2 * float(curves["low"].min())))
    left.set(xscale="log", xlabel=r"tolerance $\varepsilon$ [length]")
    left.set_title(r"unbiased MMD$^2$ to the exact posterior")
    right.set(xscale="log", yscale="log", xlabel=r"tolerance $\varepsilon$ [length]")
    right.set_title("share of proposals accepted")
    for ax in (left, right):
        ax.axvline(0.05, color=MUTED, linewidth=0.8, linestyle=(0, (4, 3)))
    left.legend(loc="upper left")
    return figure


@style()
def v_statistic_floor(measured: pd.DataFrame, floor: pd.DataFrame) -> Figure:
    """V-statistic and U-statistic between two draws of one posterior over the sample size.

    Args:
        measured: Columns samples, v_statistic, v_low, v_high, u_statistic, u_low, u_high.
        floor: Columns samples, floor: the closed form.
    """
    figure = new_figure(0.72 * WIDTH, 3.1)
    ax = figure.subplots()
    m = measured["samples"]
    for kind, color, label in (
        ("v", COLORS["inn"], "V-statistic (the paper's)"),
        ("u", COLORS["exact"], "U-statistic (unbiased)"),
    ):
        ax.fill_between(
            m, measured[f"{kind}_low"], measured[f"{kind}_high"], color=color, alpha=0.2
        )
        ax.plot(m, measured[f"{kind}_statistic"], "o", color=color, label=label, markersize=4)
    ax.plot(
        floor["samples"],
        floor["floor"],
        color=INK,
        linestyle=(0, (4, 2)),
        label=r"$(1/M + 1/N)\,(1 - \mathrm{E}\,k)$",
    )
    ax.axhline(0, color=MUTED, linewidth=0.8)
    ax.axvline(100, color=MUTED, linewidth=0.8, linestyle=(0, (4, 3)))
    ax.set(xscale="log", xlabel="samples a set, M = N", ylabel=r"MMD$^2$")
    ax.legend()
    return figure


@style()
def kernel_shapes(kernels: Mapping[str, Any]) -> Figure:
    """Kernels over the distance of two configurations, scaled to 1 at zero.

    Args:
        kernels: Functions of the distance (tensors) by name.
    """
    figure = new_figure(0.62 * WIDTH, 2.7)
    ax = figure.subplots()
    distance = torch.linspace(0, 2.5, 200)
    colors = (COLORS["inn"], COLORS["cvae"], COLORS["exact"])
    for color, (name, kernel) in zip(colors, kernels.items(), strict=False):
        values = kernel(distance)
        ax.plot(distance, values / values[0], color=color, label=name)
    ax.set(xlabel=r"distance $\|\theta - \theta'\|$ [rad]", ylabel=r"$k / k(0)$", ylim=(0, 1.03))
    ax.legend()
    return figure


@style()
def proposal_closure(arm: PlanarArm, theta: Tensor, k: int, tcp: Sequence[float]) -> Figure:
    """How the exact sampler closes joints 1 and k + 1 onto a target: both elbows of one proposal.

    Args:
        arm: The arm.
        theta: The two configurations, shape (2, dof), equal but for the closed joints.
        k: Index of the second closed joint.
        tcp: Target, shape (2,).
    """
    figure = new_figure(0.78 * WIDTH, 3.1)
    ax: Axes = figure.subplots()
    positions = arm.joint_positions(theta).numpy()
    for points, color in zip(positions, (COLORS["exact"], COLORS["cvae"]), strict=True):
        ax.plot(*points.T, color=color, linewidth=2.2, solid_capstyle="round")
        ax.plot(*points[:-1].T, "o", color=color, markersize=5, markerfacecolor="white")
        elbow = points[k]
        ax.plot([0, elbow[0], tcp[0]], [0, elbow[1], tcp[1]], ":", color=color, linewidth=1.2)
        ax.plot(*elbow, "o", color=color, markersize=9)
    upper = positions[np.argmax(positions[:, k, 1]), k]
    middle = (upper[0] / 2, upper[1] / 2)
    ax.annotate("A", middle, xytext=(-4, 12), textcoords="offset points", fontsize=11)
    middle = ((upper[0] + tcp[0]) / 2, (upper[1] + tcp[1]) / 2)
    ax.annotate("B", middle, xytext=(4, 9), textcoords="offset points", fontsize=11)
    ax.plot([0, tcp[0]], [0, tcp[1]], color=MUTED, linewidth=1, linestyle=(0, (4, 3)))
    below = (tcp[0] / 2, tcp[1] / 2)
    ax.annotate("r", below, xytext=(4, -12), textcoords="offset points", color=MUTED, fontsize=11)
    ax.plot(0, 0, "s", color=INK, markersize=9)
    ax.plot(*tcp, "+", color=COLORS["accent"], markersize=14, markeredgewidth=2.5, zorder=10)
    ax.annotate("TCP", (tcp[0], tcp[1]), xytext=(9, -3), textcoords="offset points")
    ax.set(xlabel="x [length]", ylabel="y [length]", aspect="equal")
    ax.margins(0.09)
    return figure


@style()
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
    pairs: list[Any] = [names[i : i + 2] for i in range(0, len(names), 2)]
    # An odd one takes a row.
    pairs[-1] += pairs[-1][-1:] * (2 - len(pairs[-1]))
    figure = new_figure(WIDTH, 2.9 + 1.5 * len(pairs))
    grid = figure.subplot_mosaic(
        [*pairs, ["score", "score"]], height_ratios=(*(1 for _ in pairs), 1.75)
    )
    first = None
    for number, (name, theta) in enumerate(samples.items()):
        ax = grid[name]
        if first is not None:
            ax.sharex(first)
            ax.sharey(first)
        if number % 2:
            ax.tick_params(labelleft=False)
        else:
            ax.set_ylabel("y [length]")
        if number < len(samples) - 2:
            ax.tick_params(labelbottom=False)
        else:
            ax.set_xlabel("x [length]")
        first = first or ax
        draw_arms(ax, arm, theta[:300], color=COLORS[name], alpha=0.05, linewidth=0.8, highlight=0)
        ax.plot(*tcp, "+", color=COLORS["accent"], markersize=11, markeredgewidth=2, zorder=10)
        ax.set(title=LABELS[name], aspect="equal")
    ax = grid["score"]
    shift = {"cvae": -0.12, "inn": 0.12}
    for name in ("prior", "inn", "cvae", "flow"):
        mine = scores[scores["sampler"] == name].sort_values("dof")
        low, high = mine["mmd2"] - mine["mmd2_low"], mine["mmd2_high"] - mine["mmd2"]
        ax.errorbar(
            mine["dof"] + shift.get(name, 0),
            mine["mmd2"],
            np.maximum([low, high], 0),
            fmt="o",
            markersize=5,
            capsize=3,
            color=COLORS[name],
            label=LABELS[name],
        )
    exact = float(scores.loc[scores["sampler"] == "exact", "mmd2_high"].max())
    ax.axhspan(-exact, exact, color=COLORS["exact"], alpha=0.25, linewidth=0)
    ax.axhline(0, color=MUTED, linewidth=0.8)
    ax.set_yscale("symlog", linthresh=5e-5)
    highest = float(scores["mmd2_high"].max())
    lowest = min(-exact, float(scores["mmd2_low"].min()))
    ax.set(
        ylim=(1.5 * lowest, 2 * highest),
        yticks=[0, *(10.0**k for k in range(-4, 0) if 10.0**k < 2 * highest)],
    )
    ax.annotate(
        "exact against exact",
        (0.01, exact),
        xycoords=("axes fraction", "data"),
        xytext=(0, 3),
        textcoords="offset points",
        color=COLORS["exact"],
        fontsize=8.5,
    )
    ax.set_xticks(sorted(scores["dof"].unique()))
    ax.set(xlabel="DoF", ylabel=r"unbiased MMD$^2$ to the exact posterior")
    ax.yaxis.label.set_fontsize(8.5)
    ax.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
    return figure


@style()
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
    figure = new_figure(WIDTH, 3.3)
    axes = figure.subplots(1, len(references), sharey=True)
    offsets = {"cvae": -0.25, "inn": 0.25}
    for ax, (quantity, sigma) in zip(axes, references.items(), strict=True):
        for name in ("cvae", "inn", "exact", "rejection", "prior"):
            rows = scores[(scores["sampler"] == name) & (scores["quantity"] == quantity)]
            errors = [rows["value"] - rows["low"], rows["high"] - rows["value"]]
            shift = offsets.get(name, 0.0)
            ax.errorbar(
                rows["dof"] + shift,
                rows["value"],
                np.maximum(errors, 0),
                fmt=MARKERS[name],
                color=COLORS[name],
                label=LABELS[name],
                markersize=5,
                capsize=2,
            )
            theirs = reported[quantity]
            theirs = theirs[theirs["model"] == name]
            if not theirs.empty:
                ax.plot(
                    theirs["dof"] + 1.8 * shift,
                    theirs["value"],
                    MARKERS[name],
                    color=COLORS[name],
                    markerfacecolor="none",
                    markersize=6,
                    label=f"{LABELS[name]}, reported",
                )
        ax.set(xlabel="DoF", xticks=sorted(scores["dof"].unique()), ylim=(0, None))
        ax.set_title(f"ground truth with {sigma:g} rad")
    axes[0].set_ylabel(r"$e_\mathrm{posterior}$")
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4)
    return figure


@style()
def mismatch_by_prior(scores: pd.DataFrame) -> Figure:
    """Score of the exact sampler over the width of its prior, against references of two priors.

    Args:
        scores: Columns sigma (of the sampler), reference_sigma, value, low, high.
    """
    figure = new_figure(0.72 * WIDTH, 3.1)
    ax = figure.subplots()
    colors = (COLORS["exact"], COLORS["inn"])
    for color, (reference, rows) in zip(
        colors, scores.groupby("reference_sigma", sort=False), strict=False
    ):
        ax.plot(rows["sigma"], rows["value"], "o-", color=color, markersize=4)
        ax.fill_between(rows["sigma"], rows["low"], rows["high"], color=color, alpha=0.2)
        ax.axvline(reference, color=color, linewidth=0.8, linestyle=(0, (4, 3)))
        ax.plot([], [], "o-", color=color, markersize=4, label=f"reference with {reference:g} rad")
    ax.set(
        xlabel="standard deviation of the sampler's prior [rad]", ylabel=r"$e_\mathrm{posterior}$"
    )
    ax.set_ylim(bottom=0)
    ax.legend()
    return figure


@style()
def bias_near_reach(bias: pd.DataFrame, marked: float) -> Figure:
    """Distance of rejection sampling from the exact posterior over the distance from full reach.

    Args:
        bias: Columns gap (share of the reach that the target lies inside), eps, mmd2, low, high.
        marked: A gap to mark.
    """
    figure = new_figure(0.72 * WIDTH, 3.1)
    ax = figure.subplots()
    colors = (COLORS["inn"], COLORS["accent"], COLORS["exact"])
    for color, (eps, rows) in zip(colors, bias.groupby("eps", sort=False), strict=False):
        rows = rows.sort_values("gap")
        ax.plot(
            rows["gap"], rows["mmd2"], "o-", color=color, markersize=4,
            label=rf"$\varepsilon$ = {eps:g}",
        )  # fmt: skip
        ax.fill_between(rows["gap"], rows["low"], rows["high"], color=color, alpha=0.2)
    ax.axhline(0, color=MUTED, linewidth=0.8)
    ax.axvline(marked, color=MUTED, linewidth=0.9, linestyle=":")
    ax.set_yscale("symlog", linthresh=2e-4)
    ax.set_ylim(bottom=min(-2e-4, 1.2 * float(bias["low"].min())))
    ax.set(
        xscale="log",
        xlabel=r"distance from full reach, $1 - \|y\|$ / reach",
        ylabel=r"unbiased MMD$^2$",
    )
    gaps = sorted(bias["gap"].unique())
    ax.set_xticks(gaps, [f"{gap:g}" for gap in gaps])
    ax.xaxis.set_minor_formatter(NullFormatter())
    ax.legend()
    return figure


@style()
def speedups(bench: pd.DataFrame) -> Figure:
    """Ratio of our throughput to the reference implementation's over the DoF.

    Args:
        bench: Rows of `make bench`: what, model, dof, size, ratio.
    """
    figure = new_figure(WIDTH, 3.1)
    axes = figure.subplots(1, 2)
    for ax, what in zip(axes, ("training", "sampling"), strict=True):
        for name, marker in (("inn", "s"), ("cvae", "o")):
            for precision, line in (("float32", (0, (4, 2))), ("bfloat16", "-")):
                rows = bench[
                    (bench["what"] == f"{what}, {precision}")
                    & (bench["model"] == name)
                    & (bench["size"] == 1000)
                ].sort_values("dof")
                ax.plot(
                    rows["dof"],
                    rows["ratio"],
                    marker=marker,
                    linestyle=line,
                    color=COLORS[name],
                    label=f"{LABELS[name]}, {precision}",
                    markersize=4,
                )
        ax.axhline(1, color=MUTED, linewidth=0.8)
        ticks = sorted(bench.loc[bench["what"].str.startswith(f"{what}, "), "dof"].unique())
        ax.set(title=what, xlabel="DoF", xscale="log", xticks=ticks, ylim=(0, None))
        ax.set_xticklabels([str(tick) for tick in ticks])
        ax.xaxis.set_minor_formatter(NullFormatter())
    axes[0].set_ylabel("times as fast as the reference")
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4)
    return figure


@style()
def pareto(table: pd.DataFrame) -> Figure:
    """Quality over the cost of a sample: a row of panels a quantity, a column an arm.

    Values that cannot be told from those of exact samples, or are on the target to
    `projection.TOLERANCE`, are drawn at the least one that can.

    Args:
        table: Rows of the benchmark at random targets of the paper's arms. Samples moved onto the
            target have open markers.
    """
    arms = sorted(table["dof"].unique())
    chance = table.loc[table["sampler"] == "exact", "mmd2_high"].max()
    reach = max(PlanarArm.paper(dof).reach for dof in arms)
    quantities = {
        "mmd2": (r"unbiased MMD$^2$ to exact", float(chance)),
        "e_resim": (r"$\mathrm{E}\|f(\theta)-y\|^2$", (TOLERANCE * reach) ** 2),
    }
    figure = new_figure(WIDTH, 0.9 + 2.0 * len(quantities))
    axes = figure.subplots(len(quantities), len(arms), sharex=True, sharey="row", squeeze=False)
    names = [name for name in MARKERS if name in set(table["sampler"])]
    for row, (column, (label, least)) in zip(axes, quantities.items(), strict=True):
        for ax, dof in zip(row, arms, strict=True):
            mine = table[table["dof"] == dof]
            microseconds = 1e6 / mine["samples_per_second"]
            values = mine[column].clip(lower=least)
            for name in names:
                for refined in (False, True):
                    some = (mine["sampler"] == name) & ((mine["refine"] > 0) == refined)
                    ax.plot(
                        microseconds[some], values[some], MARKERS[name], color=COLORS[name],
                        markersize=6, markerfacecolor="none" if refined else COLORS[name],
                        label=None if refined else LABELS[name],
                    )  # fmt: skip
            front = _front(microseconds.to_numpy(), values.to_numpy())
            ax.step(*front, where="post", color=MUTED, linewidth=0.9, zorder=0)
            ax.axhspan(least / 2, least, color=MUTED, alpha=0.2, linewidth=0)
            ax.set(xscale="log", yscale="log")
            ax.xaxis.set_major_locator(LogLocator(numticks=9))
            ax.xaxis.set_minor_formatter(NullFormatter())
        row[0].set_ylabel(label)
    for ax, dof in zip(axes[0], arms, strict=True):
        ax.set_title(f"{dof} DoF")
    for ax in axes[-1]:
        ax.set_xlabel("µs per sample")
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3)
    return figure


@style()
def scaling(table: pd.DataFrame) -> Figure:
    """Quality, cost of training and rate of sampling over the number of joints.

    Args:
        table: Rows of `ikpaper scaling` of one model, by dof.
    """
    name, dof = str(table["model"].iloc[0]), table["dof"]
    own = {"color": COLORS[name], "marker": MARKERS[name], "markersize": 5}
    figure = new_figure(WIDTH, 5.2)
    quality, miss, training, sampling = figure.subplots(2, 2, sharex=True).flat

    errors = [table["mmd2"] - table["mmd2_low"], table["mmd2_high"] - table["mmd2"]]
    quality.errorbar(dof, table["mmd2"], errors, capsize=2, label=LABELS[name], **own)
    prior = {"color": COLORS["prior"], "marker": MARKERS["prior"], "markersize": 5}
    quality.plot(dof, table["mmd2_prior"], label=LABELS["prior"], **prior)
    # Where values are noise around zero, the axis is linear.
    quality.set_yscale("symlog", linthresh=1e-4)
    quality.axhline(0, color=MUTED, linewidth=0.8)
    quality.set(title="unbiased MMD$^2$ to exact")

    miss.plot(dof, table["e_resim"], label=LABELS[name], **own)
    miss.set(yscale="log", title=r"$\mathrm{E}\|f(\theta)-y\|^2$ [squared units of length]")

    training.plot(dof, table["training_seconds"] / 60, label=LABELS[name], **own)
    training.set(title="training [min]", ylim=(0, None), xlabel="DoF")

    exact = {"color": COLORS["exact"], "marker": MARKERS["exact"], "markersize": 5}
    sampling.plot(dof, table["samples_per_second"], label=LABELS[name], **own)
    sampling.plot(dof, table["exact_samples_per_second"], label=LABELS["exact"], **exact)
    sampling.set(title="samples per second", yscale="log", xlabel="DoF")
    _log_ticks(sampling.yaxis)

    sampling.set(xscale="log", xticks=list(dof))
    sampling.set_xticklabels([str(joints) for joints in dof])
    sampling.xaxis.set_minor_formatter(NullFormatter())
    found = legend_entries((quality, sampling))
    figure.legend(list(found.values()), list(found), loc="outside lower center", ncols=3)
    return figure


def _front(cost: np.ndarray, error: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Points that no other one beats in both, by rising cost."""
    order = np.lexsort((error, cost))
    best, kept = math.inf, []
    for i in order:
        if error[i] < best:
            best = error[i]
            kept.append(i)
    return cost[kept], error[kept]
