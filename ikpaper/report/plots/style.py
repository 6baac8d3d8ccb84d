"""What all figures share: style, colours by sampler, and labels."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

import ikpaper.samplers  # noqa: F401 - which registers them
from ikpaper.models import CATALOGUE
from ikpaper.sampler import SAMPLERS

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
COLORS: Mapping[str, str] = _BySampler("colour", {"accent": "#e69f00"}, "#5f6b76")

#: How samplers are called in legends and tables.
LABELS: Mapping[str, str] = _BySampler("label", {"npe": "sbi, NPE", "fmpe": "sbi, FMPE"}, "")

#: Marker of each sampler.
MARKERS: Mapping[str, str] = _BySampler("marker", {}, "o")

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
