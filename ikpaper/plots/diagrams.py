"""Diagrams of the networks, drawn by code."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from matplotlib.figure import Figure
from matplotlib.patches import Circle, FancyArrowPatch, FancyBboxPatch

from ikpaper.plots.style import COLORS, INK, MUTED, WIDTH, new_figure, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["coupling_block", "cvae", "inn"]

Point = tuple[float, float]


def _canvas(width: float, height: float, xlim: float, ylim: float) -> tuple[Figure, Axes]:
    figure = new_figure(width, height)
    figure.set_layout_engine("none")
    ax = figure.add_axes((0.0, 0.0, 1.0, 1.0))
    ax.set(xlim=(0, xlim), ylim=(0, ylim))
    ax.set_axis_off()
    return figure, ax


def _box(
    ax: Axes, centre: Point, size: Point, text: str, color: str = INK, *, filled: bool = True
) -> None:
    x, y = centre[0] - size[0] / 2, centre[1] - size[1] / 2
    ax.add_patch(
        FancyBboxPatch(
            (x, y),
            *size,
            boxstyle="round,pad=0,rounding_size=0.12",
            facecolor=color if filled else "white",
            edgecolor=color,
            linewidth=1.3,
        )
    )
    _label(ax, centre, text, color="white" if filled else color)


def _label(ax: Axes, where: Point, text: str, **options: Any) -> None:
    settings = {"ha": "center", "va": "center", "fontsize": 10.5, "color": INK, **options}
    ax.text(*where, text, **settings)


def _arrow(ax: Axes, start: Point, end: Point, color: str = INK, **options: Any) -> None:
    ax.add_patch(
        FancyArrowPatch(
            start,
            end,
            arrowstyle="-|>",
            mutation_scale=11,
            color=color,
            shrinkA=0,
            shrinkB=0,
            linewidth=1.3,
            **options,
        )
    )


def _line(ax: Axes, *points: Point, color: str = INK) -> None:
    ax.plot(*zip(*points, strict=True), color=color, linewidth=1.3, solid_joinstyle="round")


def _operator(ax: Axes, centre: Point, symbol: str) -> None:
    ax.add_patch(Circle(centre, 0.21, facecolor="white", edgecolor=INK, linewidth=1.3, zorder=3))
    _label(ax, centre, symbol, fontsize=11, zorder=4)


@style()
def cvae() -> Figure:
    """The conditional variational autoencoder: training above, sampling below."""
    figure, ax = _canvas(WIDTH, 3.9, 12.0, 6.5)
    encoder, decoder = COLORS["cvae"], COLORS["exact"]
    for y, title in ((3.3, "training"), (2.5, "sampling")):
        _label(ax, (0.2, y), title, ha="left", color=MUTED, fontsize=10.5, style="italic")
    # training
    _label(ax, (0.7, 5.2), r"$\theta$", fontsize=13)
    _label(ax, (0.7, 3.9), r"$y$", fontsize=13)
    _arrow(ax, (1.0, 5.2), (1.9, 5.2))
    _line(ax, (1.0, 3.9), (1.45, 3.9), (1.45, 4.75))
    _arrow(ax, (1.45, 4.75), (1.9, 4.75))
    _box(ax, (2.9, 5.0), (2.0, 1.2), "encoder", encoder)
    _arrow(ax, (3.9, 5.3), (4.6, 5.3))
    _arrow(ax, (3.9, 4.7), (4.6, 4.7))
    _label(ax, (4.9, 5.3), r"$\mu$", fontsize=12)
    _label(ax, (5.15, 4.7), r"$\log\sigma^2$", fontsize=12)
    _arrow(ax, (5.7, 5.0), (6.2, 5.0))
    _box(ax, (7.05, 5.0), (1.7, 0.8), r"$z = \mu + \sigma\epsilon$", INK, filled=False)
    _arrow(ax, (7.9, 5.0), (8.6, 5.0))
    _box(ax, (9.6, 5.0), (2.0, 1.2), "decoder", decoder)
    _arrow(ax, (10.6, 5.0), (11.2, 5.0))
    _label(ax, (11.5, 5.0), r"$\hat\theta$", fontsize=13)
    _line(ax, (1.45, 3.9), (9.6, 3.9))
    _arrow(ax, (9.6, 3.9), (9.6, 4.4))
    _label(ax, (4.9, 5.95), r"KL to $\mathcal{N}(0, 1)$", color=COLORS["inn"], fontsize=9.5)
    _line(ax, (0.7, 5.5), (0.7, 6.3), (11.5, 6.3), color=COLORS["inn"])
    _arrow(ax, (11.5, 6.3), (11.5, 5.35), COLORS["inn"])
    _label(ax, (9.6, 5.98), "reconstruction", color=COLORS["inn"], fontsize=9.5)
    ax.axhline(2.9, color=MUTED, linewidth=0.8, linestyle=(0, (4, 4)))
    # sampling
    _label(ax, (6.0, 1.5), r"$z \sim \mathcal{N}(0, 1)$", fontsize=12)
    _label(ax, (6.75, 0.55), r"$y$", fontsize=13)
    _arrow(ax, (7.2, 1.5), (8.6, 1.5))
    _line(ax, (7.05, 0.55), (9.6, 0.55))
    _arrow(ax, (9.6, 0.55), (9.6, 0.9))
    _box(ax, (9.6, 1.5), (2.0, 1.2), "decoder", decoder)
    _arrow(ax, (10.6, 1.5), (11.2, 1.5))
    _label(ax, (11.5, 1.5), r"$\theta$", fontsize=13)
    return figure


@style()
def inn() -> Figure:
    """The invertible network with its passes in both directions and the four loss terms."""
    figure, ax = _canvas(WIDTH, 3.9, 12.0, 6.5)
    block, loss = COLORS["cvae"], COLORS["inn"]
    _box(ax, (1.0, 3.2), (0.8, 2.6), r"$\theta$", INK, filled=False)
    centres = (3.2, 5.6, 8.0)
    for i, x in enumerate(centres):
        _box(ax, (x, 3.2), (1.35, 2.6), "coupling\nblock", block)
        if i < 2:
            _box(ax, (x + 1.2, 3.2), (0.5, 2.6), r"$\Pi$", MUTED)
    _box(ax, (10.6, 3.85), (0.8, 1.3), r"$z$", INK, filled=False)
    _box(ax, (10.6, 2.5), (0.8, 1.2), r"$\hat y$", INK, filled=False)
    for left, right in ((1.4, 2.52), (8.68, 10.2)):
        _arrow(ax, (left, 3.75), (right, 3.75))
        _arrow(ax, (right, 2.65), (left, 2.65), COLORS["exact"])
    _label(ax, (1.95, 4.1), "forward", fontsize=9)
    _label(ax, (1.95, 2.3), "inverse", fontsize=9, color=COLORS["exact"])
    # losses
    _label(ax, (10.6, 5.6), r"$L_z$: MMD to $\mathcal{N}(0, 1)$", color=loss, fontsize=10)
    _arrow(ax, (10.6, 5.35), (10.6, 4.55), loss)
    _label(ax, (10.6, 0.9), r"$L_y$: error of $\hat y$", color=loss, fontsize=10)
    _arrow(ax, (10.6, 1.15), (10.6, 1.85), loss)
    _label(
        ax, (0.25, 5.9), r"$L_{p(x)}$: MMD of $f^{-1}(z \sim \mathcal{N}, y)$ to $\theta$",
        color=loss, fontsize=10, ha="left",
    )  # fmt: skip
    _arrow(ax, (1.0, 5.6), (1.0, 4.55), loss)
    _label(
        ax, (0.25, 0.6), r"$L_x$: error of $f^{-1}(\hat z + \mathrm{noise}, y)$",
        color=loss, fontsize=10, ha="left",
    )  # fmt: skip
    _arrow(ax, (1.0, 0.9), (1.0, 1.85), loss)
    _label(ax, (5.6, 1.45), r"$\Pi$: fixed permutation", color=MUTED, fontsize=9.5)
    return figure


@style()
def coupling_block() -> Figure:
    """The affine coupling block, forwards."""
    figure, ax = _canvas(WIDTH, 3.6, 12.0, 6.0)
    upper, lower = 4.9, 1.1
    net = COLORS["cvae"]
    _box(ax, (0.9, 3.0), (0.7, 4.6), r"$u$", INK, filled=False)
    _box(ax, (11.1, 3.0), (0.7, 4.6), r"$v$", INK, filled=False)
    _line(ax, (1.25, upper), (3.3, upper))
    _line(ax, (1.25, lower), (7.4, lower))
    _label(ax, (1.75, upper + 0.32), r"$u_1$", fontsize=12)
    _label(ax, (1.75, lower - 0.36), r"$u_2$", fontsize=12)
    # upper half: v1 = u1 exp(s2(u2)) + t2(u2)
    _box(ax, (3.3, 3.0), (0.95, 0.8), r"$s_2$", net)
    _box(ax, (4.6, 3.0), (0.95, 0.8), r"$t_2$", net)
    for x in (3.3, 4.6):
        _arrow(ax, (x, lower), (x, 2.6))
        ax.plot(x, lower, "o", color=INK, markersize=4)
    _arrow(ax, (3.3, 3.4), (3.3, upper - 0.21))
    _arrow(ax, (4.6, 3.4), (4.6, upper - 0.21))
    _label(ax, (3.0, 4.1), "exp", fontsize=9.5, ha="right")
    _operator(ax, (3.3, upper), r"$\odot$")
    _operator(ax, (4.6, upper), r"$+$")
    _line(ax, (3.51, upper), (4.39, upper))
    _arrow(ax, (4.81, upper), (10.75, upper))
    _label(ax, (10.2, upper + 0.32), r"$v_1$", fontsize=12)
    # lower half: v2 = u2 exp(s1(v1)) + t1(v1)
    _box(ax, (7.4, 3.0), (0.95, 0.8), r"$s_1$", net)
    _box(ax, (8.7, 3.0), (0.95, 0.8), r"$t_1$", net)
    for x in (7.4, 8.7):
        _arrow(ax, (x, upper), (x, 3.4))
        ax.plot(x, upper, "o", color=INK, markersize=4)
    _arrow(ax, (7.4, 2.6), (7.4, lower + 0.21))
    _arrow(ax, (8.7, 2.6), (8.7, lower + 0.21))
    _label(ax, (7.1, 1.9), "exp", fontsize=9.5, ha="right")
    _operator(ax, (7.4, lower), r"$\odot$")
    _operator(ax, (8.7, lower), r"$+$")
    _line(ax, (7.61, lower), (8.49, lower))
    _arrow(ax, (8.91, lower), (10.75, lower))
    _label(ax, (10.2, lower - 0.36), r"$v_2$", fontsize=12)
    return figure
