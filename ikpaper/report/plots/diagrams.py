"""Diagrams of the networks, drawn by code."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from matplotlib.figure import Figure
from matplotlib.patches import Circle, FancyArrowPatch, FancyBboxPatch

from ikpaper.report.plots.style import COLORS, INK, MUTED, WIDTH, new_figure, style

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
    _label(ax, (4.7, 5.32), r"$\mu$", fontsize=12, ha="left")
    _label(ax, (4.7, 4.7), r"$\log\sigma^2$", fontsize=12, ha="left")
    _arrow(ax, (5.62, 5.0), (6.2, 5.0))
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
    """The affine coupling block: forwards above, its inverse below."""
    figure, ax = _canvas(WIDTH, 6.6, 12.0, 11.0)
    _coupling(ax, 8.35, inverse=False)
    _coupling(ax, 2.65, inverse=True)
    ax.axhline(5.5, color=MUTED, linewidth=0.8, linestyle=(0, (4, 4)))
    return figure


def _coupling(ax: Axes, middle: float, *, inverse: bool) -> None:
    """One pass through the block; both have u on the left, so that only arrows change."""
    upper, lower = middle + 1.6, middle - 1.6
    net = COLORS["exact"] if inverse else COLORS["cvae"]
    title = "inverse, read from right to left" if inverse else "forward, read from left to right"
    _label(ax, (0.55, upper + 0.78), title, ha="left", color=MUTED, style="italic")
    for x, name in ((0.9, "u"), (11.1, "v")):
        _box(ax, (x, middle), (0.7, 4.1), f"${name}$", INK, filled=False)
    # Lines of the two halves: ends at the boxes, and the operators on the way.
    for y, where in ((upper, (3.3, 4.6)), (lower, (7.4, 8.7))):
        stops = [1.25, *(x + side for x in where for side in (-0.21, 0.21)), 10.75]
        for left, right in zip(stops[::2], stops[1::2], strict=True):
            if inverse:
                _arrow(ax, (right, y), (left, y))
            else:
                _arrow(ax, (left, y), (right, y))
        _operator(ax, (where[0], y), r"$\odot$")
        _operator(ax, (where[1], y), "$-$" if inverse else "$+$")
    sign = "-" if inverse else ""
    # s2 and t2 read the lower half and act on the upper; s1 and t1 the other way round.
    for half, xs, read, act in ((2, (3.3, 4.6), lower, upper), (1, (7.4, 8.7), upper, lower)):
        towards = 1 if act > read else -1
        for x, name in zip(xs, ("s", "t"), strict=True):
            _box(ax, (x, middle), (0.95, 0.8), f"${name}_{half}$", net)
            ax.plot(x, read, "o", color=INK, markersize=4)
            _arrow(ax, (x, read), (x, middle - 0.4 * towards))
            _arrow(ax, (x, middle + 0.4 * towards), (x, act - 0.21 * towards))
        power = rf"$\exp({sign}s_{half})$"
        _label(ax, (xs[0] - 0.15, middle + 0.95 * towards), power, fontsize=9.5, ha="right")
    for x, name in ((1.75, "u"), (10.2, "v")):
        _label(ax, (x, upper + 0.32), f"${name}_1$", fontsize=12)
        _label(ax, (x, lower - 0.34), f"${name}_2$", fontsize=12)
