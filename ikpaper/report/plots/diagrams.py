"""Diagrams of the networks, drawn by code."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

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
    style,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes


Point = tuple[float, float]


#: Diagrams for narrow screens are turned, so that they run down the page: their width and height
#: before.
_TURNED: WeakKeyDictionary[Axes, Point] = WeakKeyDictionary()


def _canvas(
    width: float, height: float, xlim: float, ylim: float, *, turns: bool = True
) -> tuple[Figure, Axes]:
    turned = turns and is_narrow()
    figure = new_figure(width, 0.5 * xlim if turned else height)
    figure.set_layout_engine("none")
    ax = figure.add_axes((0.0, 0.0, 1.0, 1.0))
    if turned:
        _TURNED[ax] = (xlim, ylim)
        xlim, ylim = ylim, xlim
    ax.set(xlim=(0, xlim), ylim=(0, ylim))
    ax.set_axis_off()
    return figure, ax


def _at(ax: Axes, point: Point) -> Point:
    """Where a point lies on a canvas: what is on the right is below if it is turned."""
    if ax not in _TURNED:
        return point
    xlim, ylim = _TURNED[ax]
    return ylim - point[1], xlim - point[0]


def _box(
    ax: Axes, centre: Point, size: Point, text: str, color: str = INK, *, filled: bool = True
) -> None:
    middle = _at(ax, centre)
    size = size[::-1] if ax in _TURNED else size
    corner = middle[0] - size[0] / 2, middle[1] - size[1] / 2
    face, ink = (color, "white") if filled else ("white", color)
    shape = FancyBboxPatch(corner, *size, boxstyle="round,pad=0,rounding_size=0.12")
    shape.set(facecolor=face, edgecolor=color, linewidth=1.3)
    ax.add_patch(shape)
    _label(ax, centre, text, color=ink)


def _label(
    ax: Axes, where: Point, text: str, turned: dict[str, Any] | None = None, **options: Any
) -> None:
    """Text at a point; `turned` has what differs if the canvas is turned."""
    settings = {"ha": "center", "va": "center", "fontsize": 10.5, "color": INK, **options}
    if ax in _TURNED:
        # What began at the point now lies below it.
        below = {"left": "top", "right": "bottom", "center": "center"}[settings["ha"]]
        settings |= {"ha": "center", "va": below, **(turned or {})}
    ax.text(*_at(ax, where), text, **settings)


def _arrow(ax: Axes, *points: Point, color: str = INK) -> None:
    """A line along points, with its head at the last."""
    points = tuple(_at(ax, point) for point in points)
    if len(points) > 2:
        x, y = zip(*points[:-1], strict=True)
        ax.plot(x, y, color=color, linewidth=1.3, solid_joinstyle="round")
    head = FancyArrowPatch(*points[-2:], arrowstyle="-|>", mutation_scale=11, shrinkA=0, shrinkB=0)
    head.set(color=color, linewidth=1.3)
    ax.add_patch(head)


@style
def cvae() -> Figure:
    """The conditional variational autoencoder: training above, sampling below."""
    figure, ax = _canvas(WIDTH, 3.9, 12.0, 6.5)
    encoder, decoder = NEUTRAL[0], NEUTRAL[2]
    for y, title, side in ((3.3, "training", "right"), (2.5, "sampling", "left")):
        _label(ax, (0.2, y), title, {"ha": side}, ha="left", color=MUTED, style="italic")
    # training
    _label(ax, (0.7, 5.2), r"$\theta$", fontsize=13)
    _label(ax, (0.7, 3.9), r"$y$", fontsize=13)
    _arrow(ax, (1.0, 5.2), (1.9, 5.2))
    _arrow(ax, (1.0, 3.9), (1.45, 3.9), (1.45, 4.75), (1.9, 4.75))
    _box(ax, (2.9, 5.0), (2.0, 1.2), "encoder", encoder)
    _arrow(ax, (3.9, 5.3), (4.6, 5.3))
    _arrow(ax, (3.9, 4.7), (4.6, 4.7))
    _label(ax, (4.7, 5.32), r"$\mu$", fontsize=12, ha="left")
    _label(ax, (4.7, 4.7), r"$\log\sigma^2$", fontsize=12, ha="left")
    _arrow(ax, (5.62, 5.0), (6.2, 5.0))
    # Turned, the formula needs the width.
    _box(
        ax,
        (7.05, 5.0),
        (1.7, 1.9 if is_narrow() else 0.8),
        r"$z = \mu + \sigma\epsilon$",
        INK,
        filled=False,
    )
    _arrow(ax, (7.9, 5.0), (8.6, 5.0))
    _box(ax, (9.6, 5.0), (2.0, 1.2), "decoder", decoder)
    _arrow(ax, (10.6, 5.0), (11.2, 5.0))
    _label(ax, (11.5, 5.0), r"$\hat\theta$", fontsize=13)
    _arrow(ax, (1.45, 3.9), (9.6, 3.9), (9.6, 4.4))
    upright = {"rotation": -90}
    own: dict[str, Any] = {"color": NEUTRAL[1], "fontsize": 9.5}
    # Below what it is taken of.
    where = (5.4, 5.0) if is_narrow() else (5.0, 4.27)
    _label(ax, where, r"KL to $\mathcal{N}(0, 1)$", **own)
    _arrow(ax, (0.7, 5.5), (0.7, 6.3), (11.5, 6.3), (11.5, 5.35), color=NEUTRAL[1])
    _label(ax, (9.6, 5.98), "reconstruction", upright, **own)
    divide = np.array([_at(ax, (0.0, 2.9)), _at(ax, (12.0, 2.9))]).T
    ax.plot(*divide, color=MUTED, linewidth=0.8, linestyle=(0, (4, 4)))
    # sampling
    _label(ax, (6.85 if is_narrow() else 6.35, 1.5), r"$z \sim \mathcal{N}(0, 1)$", fontsize=11)
    _label(ax, (6.75, 0.55), r"$y$", fontsize=13)
    _arrow(ax, (7.2, 1.5), (8.6, 1.5))
    _arrow(ax, (7.05, 0.55), (9.6, 0.55), (9.6, 0.9))
    _box(ax, (9.6, 1.5), (2.0, 1.2), "decoder", decoder)
    _arrow(ax, (10.6, 1.5), (11.2, 1.5))
    _label(ax, (11.5, 1.5), r"$\theta$", fontsize=13)
    return figure


@style
def inn() -> Figure:
    """The invertible network with its passes in both directions and the four loss terms."""
    figure, ax = _canvas(WIDTH, 3.9, 12.0, 6.5)
    turned = is_narrow()
    if turned:
        # For two losses above.
        ax.set_ylim(0, 13)
    _box(ax, (1.0, 3.2), (0.8, 2.6), r"$\theta$", INK, filled=False)
    for x in (3.2, 5.6, 8.0):
        _box(ax, (x, 3.2), (1.35, 2.6), "coupling\nblock", NEUTRAL[0])
        if x < 8:
            _box(ax, (x + 1.2, 3.2), (0.5, 2.6), r"$\Pi$", MUTED)
    _box(ax, (10.6, 3.85), (0.8, 1.3), r"$z$", INK, filled=False)
    _box(ax, (10.6, 2.5), (0.8, 1.2), r"$\hat y$", INK, filled=False)
    for left, right in ((1.4, 2.52), (8.68, 10.2)):
        _arrow(ax, (left, 3.75), (right, 3.75))
        _arrow(ax, (right, 2.65), (left, 2.65), color=NEUTRAL[2])
    _label(ax, (1.95, 3.9 if turned else 4.1), "forward", {"ha": "right"}, fontsize=9)
    own = {"fontsize": 9, "color": NEUTRAL[2]}
    _label(ax, (1.95, 2.5 if turned else 2.3), "inverse", {"ha": "left"}, **own)
    sampled = r"$L_{p(x)}$: MMD of $f^{-1}(z \sim \mathcal{N}, y)$ to $\theta$"
    noisy = r"$L_x$: error of $f^{-1}(\hat z + \mathrm{noise}, y)$"
    to_normal, to_target = r"$L_z$: MMD to $\mathcal{N}(0, 1)$", r"$L_y$: error of $\hat y$"
    if turned:
        to_normal = to_normal.replace(" to", "\nto")
        to_target = to_target.replace(" of", "\nof")
    for where, text, align, *arrow in (
        ((10.6, 5.6), to_normal, "center", (10.6, 4.95 if turned else 5.35), (10.6, 4.55)),
        ((10.6, 0.9), to_target, "center", (10.6, 1.5 if turned else 1.15), (10.6, 1.85)),
        ((0.25, 6.4 if turned else 5.9), sampled, "left", (1.0, 5.6), (1.0, 4.55)),
        (
            (-0.35 if turned else 0.25, 0.1 if turned else 0.6),
            noisy,
            "left",
            (1.0, 0.9),
            (1.0, 1.85),
        ),
    ):
        side = {} if align == "center" else {"ha": "left" if text == sampled else "right"}
        level = {"va": "center"} | side
        _label(ax, where, text, level, color=NEUTRAL[1], fontsize=10, ha=align)
        if turned and side:
            # From the text down, then to the box.
            arrow.insert(0, (0.5 if text == sampled else -0.1, arrow[0][1]))
        _arrow(ax, *arrow, color=NEUTRAL[1])
    upright = {"rotation": -90}
    _label(ax, (5.6, 1.45), r"$\Pi$: fixed permutation", upright, color=MUTED, fontsize=9.5)
    return figure


@style
def coupling_block() -> Figure:
    """The affine coupling block: forwards above, its inverse below."""
    figure, ax = _canvas(WIDTH, 6.6, 12.0, 11.0, turns=False)
    _coupling(ax, 8.35, inverse=False)
    _coupling(ax, 2.65, inverse=True)
    ax.axhline(5.5, color=MUTED, linewidth=0.8, linestyle=(0, (4, 4)))
    return figure


def _coupling(ax: Axes, middle: float, *, inverse: bool) -> None:
    """One pass through the block; both have u on the left, so that only arrows change."""
    upper, lower = middle + 1.6, middle - 1.6
    net = NEUTRAL[2] if inverse else NEUTRAL[0]
    title = "inverse, read from right to left" if inverse else "forward, read from left to right"
    _label(ax, (0.55, upper + 0.78), title, ha="left", color=MUTED, style="italic")
    for x, name in ((0.9, "u"), (11.1, "v")):
        _box(ax, (x, middle), (0.7, 4.1), f"${name}$", INK, filled=False)
    # Lines of the two halves: ends at the boxes, and the operators on the way.
    circle: dict[str, Any] = {"markersize": 18, "markeredgewidth": 1.3, "zorder": 3}
    for y, where in ((upper, (3.3, 4.6)), (lower, (7.4, 8.7))):
        # An operator is a circle on the page, of whatever width.
        reach = 0.41 if is_narrow() else 0.21
        stops = [1.25, *(x + side for x in where for side in (-reach, reach)), 10.75]
        for left, right in zip(stops[::2], stops[1::2], strict=True):
            ends = (left, y), (right, y)
            _arrow(ax, *(reversed(ends) if inverse else ends))
        for x, symbol in zip(where, (r"$\odot$", "$-$" if inverse else "$+$"), strict=True):
            ax.plot(x, y, "o", color="white", markeredgecolor=INK, **circle)
            _label(ax, (x, y), symbol, fontsize=11, zorder=4)
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
        _label(
            ax,
            (xs[0] - 0.15, middle + 0.95 * towards),
            power,
            fontsize=8 if is_narrow() else 9.5,
            ha="right",
        )
    for x, name in ((1.75, "u"), (10.2, "v")):
        _label(ax, (x, upper + 0.32), f"${name}_1$", fontsize=12)
        _label(ax, (x, lower - 0.34), f"${name}_2$", fontsize=12)


#: Where the flow is drawn: height of a unit arm with two joints, whose solutions are a curve.
_HEIGHT = 1.1


def _solutions(points: int = 2000) -> tuple[np.ndarray, np.ndarray]:
    """Joint angles (m, 2) of that height, and the posterior mass (m,) of each for sigma = 1."""
    total = np.linspace(-0.6 * np.pi, 1.2 * np.pi, points)  # heading of the second link
    sine = _HEIGHT - np.sin(total)
    total, sine = total[np.abs(sine) < 0.999], sine[np.abs(sine) < 0.999]
    first = np.arcsin(sine)
    curve = np.stack([first, total - first], axis=1)
    gradient = np.stack([np.cos(first) + np.cos(total), np.cos(total)], axis=1)
    length = np.linalg.norm(np.gradient(curve, total, axis=0), axis=1)
    density = np.exp(-0.5 * (curve**2).sum(axis=1)) / np.linalg.norm(gradient, axis=1)
    return curve, density * length / (density * length).sum()


def _carried(start: np.ndarray, steps: int) -> np.ndarray:
    """Paths (steps + 1, n, 2) of points (n, 2) along the exact velocity of flow matching."""
    curve, mass = _solutions()
    path = [start]
    for t in np.linspace(0, 1, steps, endpoint=False):
        x = path[-1]
        squared = ((x[:, None] - t * curve) ** 2).sum(axis=2) / (1 - t) ** 2
        weights = mass * np.exp(-0.5 * (squared - squared.min(axis=1, keepdims=True)))
        end = weights @ curve / weights.sum(axis=1, keepdims=True)
        path.append(x + (end - x) / (1 - t) / steps)
    return np.stack(path)


@style
def flow() -> Figure:
    """What the flow does: paths from the prior to the posterior, and one velocity in its parts.

    Both are computed for an arm with two joints of which only the height of the TCP is asked for,
    so that joint space is a plane and the solutions are a curve.
    """
    figure, ((left, right),) = new_grid(2, height=3.5)
    curve, mass = _solutions()
    # The stretch that the prior reaches.
    near = curve[(curve**2).sum(axis=1) < 2.6**2]
    for ax in (left, right):
        ax.plot(*near.T, color=COLORS["exact"], linewidth=2.2)
        ax.set(aspect="equal", xlabel=r"$\theta_1$ / $\sigma$")
    left.set(
        ylabel=r"$\theta_2$ / $\sigma$", title="samples of the prior, carried to the posterior"
    )
    start = np.random.default_rng(5).normal(size=(40, 2))
    paths = _carried(start, 200)
    left.plot(*paths.transpose(2, 0, 1), color=COLORS["flow"], linewidth=0.7, alpha=0.55)
    left.plot(*paths[0].T, "o", color=COLORS["prior"], markersize=3.5)
    left.plot(*paths[-1].T, "o", color=COLORS["exact"], markersize=3.5)

    x, t = np.array([-0.15, -0.65]), 0.6
    mean = t * x / (t**2 + (1 - t) ** 2)
    height = np.sin(mean[0]) + np.sin(mean.sum()) - _HEIGHT
    gradient = np.array([np.cos(mean[0]) + np.cos(mean.sum()), np.cos(mean.sum())])
    met = mean - gradient * height / (gradient @ gradient)
    squared = ((x - t * curve) ** 2).sum(axis=1) / (1 - t) ** 2
    weights = mass * np.exp(-0.5 * (squared - squared.min()))
    end = weights @ curve / weights.sum()
    along = np.array([-gradient[1], gradient[0]]) / np.linalg.norm(gradient)
    tangent = met + np.linspace(-0.7, 0.7, 2)[:, None] * along
    right.plot(*tangent.T, color=MUTED, linewidth=1, linestyle=DASHED)
    right.plot(*np.stack([x, mean]).T, color=MUTED, linewidth=1.2, linestyle=":")
    for from_, to, color in (
        (mean, met, COLORS["flow-guess"]),
        (met, end, COLORS["accent"]),
        (x, end, COLORS["flow"]),
    ):
        _arrow(right, tuple(from_), tuple(to), color=color)
    for where, text, offset, side in (
        (x, r"$x_t$", (-4, 8), "left"),
        (mean, r"$m$", (-4, -15), "left"),
        (met, r"$m - \delta$", (8, -5), "left"),
        (end, r"$\mathrm{E}[x_1 \mid x_t, y]$", (-16, 8), "right"),
    ):
        right.plot(*where, "o", color=INK, markersize=4)
        note(right, text, where, offset, ha=side)
    right.set(title="the velocity at one point, in its parts", xlim=(-0.4, 1.4))
    right.set(ylim=(-1.2, 0.6))
    return figure
