"""What all figures share: style, colours by sampler, and labels."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

import ikpaper.samplers  # noqa: F401 - which registers them
from ikpaper.models import CATALOGUE
from ikpaper.sampler import SAMPLERS

__all__ = [
    "COLORS",
    "DASHED",
    "DASHED_CURVE",
    "INK",
    "LABELS",
    "MARKERS",
    "MUTED",
    "WIDTH",
    "legend_entries",
    "look",
    "new_figure",
    "new_grid",
    "note",
    "number_ticks",
    "outer_labels",
    "style",
    "to_png",
    "to_svg",
]

#: Width of a figure that fills the text column, in inches.
WIDTH = 7.2

INK = "#22303c"
MUTED = "#8a97a3"
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
    "label",
    {"npe": "sbi, NPE", "fmpe": "sbi, FMPE", "flow-guess": "flow without network"},
    "",
)

#: Marker of each sampler.
MARKERS: Mapping[str, str] = _BySampler("marker", {"flow-guess": "d"}, "o")

_RC: Any = {
    "figure.facecolor": "white",
    "axes.facecolor": "white",
    "savefig.facecolor": "white",
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


@contextlib.contextmanager
def style() -> Iterator[None]:
    """Matplotlib settings of the book: a `with` block, or `@style()` on a plotting function."""
    with mpl.rc_context(_RC):
        yield


def new_figure(width: float = WIDTH, height: float = 3.0) -> Figure:
    """Figure outside pyplot's registry, so that nothing has to be closed. Size in inches."""
    with style():
        return Figure(figsize=(width, height), layout="constrained")


def new_grid(
    count: int = 1,
    columns: int = 0,
    *,
    width: float = WIDTH,
    height: float = 3.0,
    margin: float = 0.0,
    **options: Any,
) -> tuple[Figure, np.ndarray]:
    """A new figure and its axes, shape (rows, columns), of which those without use are hidden.

    Args:
        count: How many axes are used.
        columns: How many stand in a row; by default all.
        width: Width of the figure in inches.
        height: Height of a row.
        margin: Height of what the rows share.
        **options: Those of `Figure.subplots`.
    """
    columns = columns or count
    rows = -(-count // columns)
    figure = new_figure(width, rows * height + margin)
    grid = figure.subplots(rows, columns, squeeze=False, **options)
    for ax in grid.flat[count:]:
        ax.set_visible(False)
    return figure, grid


def outer_labels(grid: np.ndarray, x: str = "x [length]", y: str = "y [length]") -> None:
    """Label axes of the same quantities: x below the last row, y beside the first column."""
    for ax in grid[-1]:
        ax.set_xlabel(x)
    for ax in grid[:, 0]:
        ax.set_ylabel(y)


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
    buffer = io.StringIO()
    with style():
        figure.savefig(buffer, format="svg", dpi=160, metadata={"Date": None})
    return buffer.getvalue()


def to_png(figure: Figure) -> bytes:
    """The figure as a picture for slides, twice as wide as a column, equal for equal figures."""
    buffer = io.BytesIO()
    with style():
        figure.savefig(
            buffer, format="png", dpi=220, facecolor="white", metadata={"Software": None}
        )
    return buffer.getvalue()
