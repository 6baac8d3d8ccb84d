"""What all figures share: style, colours by sampler, and labels."""

from __future__ import annotations

import functools
import io
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextvars import ContextVar
from typing import Any
from weakref import WeakKeyDictionary

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

import ikpaper.samplers  # noqa: F401 - which registers them
from ikpaper.models import CATALOGUE
from ikpaper.sampler import SAMPLERS

#: Width of a figure that fills the text column, in inches; and on a phone of 390 pixels.
WIDTH = 7.2
_NARROW = 3.7

INK = "#22303c"
MUTED = "#8a97a3"
#: Curves that stand for no sampler, in their order; told apart with colour blindness, too.
NEUTRAL = ("#4a4fa3", "#a3713a", "#3f8f9b", "#7d6b8a")
#: Dashes of helping lines, and closer ones of curves.
DASHED = (0, (4, 3))
DASHED_CURVE = (0, (4, 2))

#: Where tables and legends have an order, it is that of the models, then this one.
_REFERENCES = ("exact", "rejection", "numerical", "prior")


class _BySampler(Mapping[str, str]):
    """How samplers look, by name: what their classes say, also of those defined elsewhere.

    Args:
        attribute: The class attribute.
        others: Values for names that are no sampler's here.
        default: Value for all other names; empty for the name itself.
    """

    def __init__(self, attribute: str, others: Mapping[str, str], default: str) -> None:
        self._attribute, self._others, self._default = attribute, dict(others), default

    def __getitem__(self, name: str) -> str:
        known = getattr(SAMPLERS.get(name), self._attribute, "") or self._others.get(name)
        return known or self._default or name

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys([*CATALOGUE, *_REFERENCES, *SAMPLERS, *self._others]))

    def __len__(self) -> int:
        return sum(1 for _ in self)


#: One colour a sampler, the same in every figure; the library's are distinguishable with colour
#: blindness (palettes of Okabe and Ito, and of Tol).
COLORS: Mapping[str, str] = _BySampler(
    "colour", {"accent": "#e69f00", "flow-guess": "#c7a0b8"}, "#5f6b76"
)

#: How samplers are called in legends and tables.
LABELS: Mapping[str, str] = _BySampler(
    "label", {"npe": "sbi, NPE", "fmpe": "sbi, FMPE", "flow-guess": "flow without network"}, ""
)

#: Marker of each sampler.
MARKERS: Mapping[str, str] = _BySampler("marker", {"flow-guess": "d"}, "o")

_RC: Any = {
    # The page shows through: white in light mode, dark in dark mode (`report.sphinx`).
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "savefig.facecolor": "none",
    "figure.constrained_layout.use": True,
    "font.size": 9.5,
    "axes.titlesize": 10,
    "axes.labelsize": 9.5,
    "legend.fontsize": 8.5,
    "xtick.labelsize": 8.5,
    "ytick.labelsize": 8.5,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": MUTED,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.8,
    "legend.frameon": False,
    "lines.linewidth": 1.4,
    # Text as paths looks the same on machines without the font; the salt keeps equal figures equal.
    "svg.fonttype": "path",
    "svg.hashsalt": "ikpaper",
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans", "Arial", "sans-serif"],
}


#: Whether a figure is drawn for a narrow screen, and how each figure is drawn again.
_DRAWS_NARROW: ContextVar[bool] = ContextVar("narrow", default=False)
_DRAW_AGAIN: WeakKeyDictionary[Figure, Callable[[], Figure]] = WeakKeyDictionary()


def style(plot: Callable[..., Figure]) -> Callable[..., Figure]:
    """The plotting function with the matplotlib settings of the book.

    Its figures can be drawn again for a narrow screen, see `narrow`.
    """

    @functools.wraps(plot)
    def draw(*args: Any, **options: Any) -> Figure:
        with mpl.rc_context(_RC):
            figure = plot(*args, **options)
        _DRAW_AGAIN[figure] = functools.partial(draw, *args, **options)
        return figure

    return draw


def narrow(figure: Figure) -> Figure | None:
    """The same content for a narrow screen: panels stacked, text as large as before.

    None for a figure that cannot be drawn again.
    """
    if figure not in _DRAW_AGAIN:
        return None
    token = _DRAWS_NARROW.set(True)
    try:
        return _DRAW_AGAIN[figure]()
    finally:
        _DRAWS_NARROW.reset(token)


def is_narrow() -> bool:
    """Whether a plotting function is to draw for a narrow screen."""
    return _DRAWS_NARROW.get()


def new_figure(width: float = WIDTH, height: float = 3.0) -> Figure:
    """Figure outside pyplot's registry, so that nothing has to be closed. Size in inches.

    On a narrow screen it is no wider than that.
    """
    width = min(width, _NARROW) if is_narrow() else width
    with mpl.rc_context(_RC):
        return Figure(figsize=(width, height), layout="constrained")


def new_grid(
    count: int = 1,
    columns: int = 0,
    *,
    width: float = WIDTH,
    height: float = 3.0,
    margin: float = 0.0,
    stacked: tuple[int, float] | None = None,
    by_column: bool = False,
    **options: Any,
) -> tuple[Figure, np.ndarray]:
    """A new figure and its axes, shape (rows, columns), of which those without use are hidden.

    On a narrow screen the array has the same shape, but fewer axes stand side by side.

    Args:
        count: How many axes are used.
        columns: How many stand in a row; by default all.
        width: Width of the figure in inches.
        height: Height of a row.
        margin: Height of what the rows share.
        stacked: On a narrow screen, how many stand in a row, and the height of such a row; by
            default one as high as wide rows, but for panels that are narrow already.
        by_column: On a narrow screen, the axes of a column follow one another, not those of a row.
        **options: Those of `Figure.subplots`.
    """
    columns = columns or count
    rows = -(-count // columns)
    if is_narrow() and columns > 1:
        abreast, tall = stacked or (1 if columns < 4 else 2, min(height, 2.6))
        return _stacked(rows, columns, count, abreast, tall, margin, by_column, options)
    figure = new_figure(width, rows * height + margin)
    grid = figure.subplots(rows, columns, squeeze=False, **options)
    for ax in grid.flat[count:]:
        ax.set_visible(False)
    return figure, grid


def _stacked(
    rows: int,
    columns: int,
    count: int,
    abreast: int,
    height: float,
    margin: float,
    by_column: bool,
    options: Mapping[str, Any],
) -> tuple[Figure, np.ndarray]:
    """The axes of a grid, fewer of them side by side; they share what those of the grid share."""
    places = np.arange(rows * columns).reshape(rows, columns)
    order = (places.T if by_column else places).ravel()
    used = order[order < count]
    lines = -(-len(used) // abreast)
    # Rows of a grid that follow one another keep their heights.
    shares = options.get("height_ratios", [1.0] * rows)
    ratios = [shares[used[line * abreast] // columns] for line in range(lines)]
    figure = new_figure(_NARROW, height * sum(ratios) / max(ratios) + margin)
    cells = figure.add_gridspec(lines, abreast, height_ratios=ratios)
    grid: np.ndarray = np.empty((rows, columns), dtype=object)
    for place, index in enumerate(used):
        grid.flat[index] = figure.add_subplot(cells[place // abreast, place % abreast])
    for index in order[order >= count]:
        grid.flat[index] = figure.add_subplot(cells[0, 0])
        grid.flat[index].set_visible(False)
    for axis in ("x", "y"):
        shared = options.get(f"share{axis}", False)
        for (row, column), ax in np.ndenumerate(grid):
            first = {True: (0, 0), "row": (row, 0), "col": (0, column)}.get(shared)
            if first and first != (row, column) and ax.get_visible():
                getattr(ax, f"share{axis}")(grid[first])
    for index in used:
        ax = grid.flat[index]
        if options.get("sharex") is True and not _is_lowest(ax):
            ax.tick_params(labelbottom=False)
        if options.get("sharex") == "col" and index + columns < rows * columns:
            ax.tick_params(labelbottom=False)
        if options.get("sharey") and not ax.get_subplotspec().is_first_col():
            ax.tick_params(labelleft=False)
    return figure, grid


def _is_lowest(ax: Axes) -> bool:
    """Whether no other axes that are shown stand below these."""
    figure = ax.get_figure()
    place = ax.get_subplotspec()
    if figure is None or place is None:
        return True
    specs = [each.get_subplotspec() for each in figure.axes if each.get_visible()]
    return not any(
        spec.colspan.start == place.colspan.start and spec.rowspan.start > place.rowspan.start
        for spec in specs
        if spec is not None
    )


def outer_labels(grid: np.ndarray, x: str = "x [length]", y: str = "y [length]") -> None:
    """Label axes of the same quantities: x below the last ones, y beside the first column."""
    for ax in grid.flat:
        if ax.get_visible():
            ax.set_xlabel(x if _is_lowest(ax) else "")
            ax.set_ylabel(y if ax.get_subplotspec().is_first_col() else "")


def shared_legend(figure: Figure, axes: Iterable[Axes], columns: int, where: str = "lower") -> None:
    """One legend of what several axes show, above or below all of them.

    Args:
        figure: The figure.
        axes: Axes with labelled artists.
        columns: Entries in a row, on a narrow screen two at most.
        where: "lower" or "upper".
    """
    entries = legend_entries(axes)
    if is_narrow():
        count = len(entries["labels"])
        lines, columns = -(-count // columns), min(columns, 2)
        more = -(-count // columns) - lines
        figure.set_figheight(figure.get_figheight() + 0.19 * more)
    options: Any = {"loc": f"outside {where} center", "ncols": columns}
    if is_narrow():
        options |= {"columnspacing": 0.8, "handlelength": 1.3, "handletextpad": 0.4}
    figure.legend(**entries, **options)


def number_ticks(ax: Axes, values: Iterable[float]) -> None:
    """Ticks at these values alone on a horizontal axis, which may be logarithmic."""
    ticks = sorted(set(values))
    ax.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    ax.xaxis.set_minor_formatter(NullFormatter())


def note(
    ax: Axes, text: str, where: Iterable[float], offset: tuple[float, float], **options: Any
) -> None:
    """Text beside a point, offset by so many points of the page."""
    x, y = where
    ax.annotate(text, (x, y), xytext=offset, textcoords="offset points", **options)


def look(name: str, **options: Any) -> dict[str, Any]:
    """How a sampler is plotted: colour, marker and label, unless the options say otherwise."""
    return {"color": COLORS[name], "marker": MARKERS[name], "label": LABELS[name], **options}


def legend_entries(axes: Iterable[Axes]) -> dict[str, Any]:
    """What several axes show, each label once: arguments of one legend for all of them."""
    found: dict[str, Any] = {}
    for ax in axes:
        handles, labels = ax.get_legend_handles_labels()
        found |= dict(zip(labels, handles, strict=True))
    return {"handles": list(found.values()), "labels": list(found)}


def to_svg(figure: Figure) -> str:
    """The figure as an SVG document without date, equal for equal figures."""
    return _saved(figure, format="svg", dpi=160, metadata={"Date": None}).decode()


def to_png(figure: Figure) -> bytes:
    """The figure as a picture for slides, twice as wide as a column, equal for equal figures."""
    return _saved(figure, format="png", dpi=220, facecolor="white", metadata={"Software": None})


def _saved(figure: Figure, **options: Any) -> bytes:
    buffer = io.BytesIO()
    with mpl.rc_context(_RC):
        figure.savefig(buffer, **options)
    return buffer.getvalue()
