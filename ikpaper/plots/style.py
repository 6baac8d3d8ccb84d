"""What all figures share: style, colours by sampler, and labels."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

__all__ = [
    "COLORS",
    "INK",
    "LABELS",
    "MARKERS",
    "MUTED",
    "WIDTH",
    "legend_entries",
    "new_figure",
    "style",
    "to_svg",
]

#: Width of a figure that fills the text column, in inches.
WIDTH = 7.2

INK = "#22303c"
MUTED = "#8a97a3"

#: One colour a sampler, the same in every figure; distinguishable with colour blindness
#: (palettes of Okabe and Ito, and of Tol).
COLORS: Mapping[str, str] = MappingProxyType(
    {
        "cvae": "#0072b2",
        "inn": "#d55e00",
        "flow": "#882255",
        "flow-fast": "#aa4499",
        "inn-ml": "#e69f00",
        "inn-ml-small": "#b0660d",
        "cgan": "#999933",
        "exact": "#009e73",
        "rejection": "#56b4e9",
        "prior": "#8a97a3",
        "numerical": "#cc79a7",
        "accent": "#e69f00",
    }
)

#: How samplers are called in legends and tables.
LABELS: Mapping[str, str] = MappingProxyType(
    {
        "cvae": "cVAE",
        "inn": "INN",
        "flow": "flow",
        "flow-fast": "flow, one evaluation",
        "inn-ml": "INN, maximum likelihood",
        "inn-ml-small": "small INN, maximum likelihood",
        "cgan": "conditional GAN",
        "npe": "sbi, NPE",
        "fmpe": "sbi, FMPE",
        "exact": "exact posterior",
        "rejection": "rejection sampling",
        "prior": "prior",
        "numerical": "numerical solver",
    }
)

#: Marker of each sampler.
MARKERS: Mapping[str, str] = MappingProxyType(
    {
        "cvae": "o",
        "inn": "s",
        "inn-ml": "P",
        "inn-ml-small": "p",
        "cgan": "X",
        "flow": "^",
        "flow-fast": ">",
        "exact": "D",
        "rejection": "v",
        "numerical": "h",
        "prior": "x",
    }
)

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


def legend_entries(axes: Iterable[Axes]) -> dict[str, Any]:
    """Handles of what several axes show, by label: one legend for all of them."""
    found: dict[str, Any] = {}
    for ax in axes:
        handles, labels = ax.get_legend_handles_labels()
        found |= dict(zip(labels, handles, strict=True))
    return found


def to_svg(figure: Figure) -> str:
    """The figure as an SVG document without date, equal for equal figures."""
    buffer = io.StringIO()
    with style():
        figure.savefig(buffer, format="svg", dpi=160, metadata={"Date": None})
    return buffer.getvalue()
