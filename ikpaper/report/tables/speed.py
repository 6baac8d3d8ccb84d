"""Tables of the page on speed, from what `make bench` measures."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from ikpaper.format import significant
from ikpaper.report.tables.base import formatted, label

__all__ = ["breakdown", "numbers", "others", "throughput"]

_KINDS = ("products", "activations", "copies", "other")


def throughput(bench: pd.DataFrame, what: str, sizes: Sequence[int]) -> pd.DataFrame:
    """Rates of training or sampling in each precision, beside the reference implementation's.

    Args:
        bench: Rows of `make bench`.
        what: `training` or `sampling`.
        sizes: Which batches.
    """
    chosen = bench[bench["what"].str.startswith(f"{what}, ") & bench["size"].isin(sizes)]
    rows = []
    for (model, dof, size), part in chosen.groupby(["model", "dof", "size"], sort=False):
        cells = {"model": label(str(model)), "DoF": dof, "batch": size}
        cells["plain [samples/s]"] = f"{part['plain'].iloc[0]:,.0f}"
        for row in part.to_dict("records"):
            precision = _precision(row["what"])
            cells[f"{precision} [samples/s]"] = f"{row['ours']:,.0f}"
            cells[f"ratio, {precision}"] = significant(row["ratio"], 2)
        rows.append(cells)
    return pd.DataFrame(rows)


def others(bench: pd.DataFrame) -> pd.DataFrame:
    """Whatever else was measured; `bench` as in `throughput`."""
    return formatted(
        bench[~bench["what"].str.startswith(("training, ", "sampling, "))],
        {
            "what": ("what", "unit", "{} [{}]"),
            "model": ("model", lambda name: label(name) if isinstance(name, str) else "–"),
            "DoF": "dof",
            "size": "size",
            "ours": ("ours", 3),
            "plain": ("plain", 3),
            "ratio": ("ratio", 2),
        },
    )


def _precision(what: str) -> str:
    return what.split(", ")[1]


def breakdown(steps: pd.DataFrame) -> pd.DataFrame:
    """Where the time of a training step goes.

    Args:
        steps: Rows of `make bench` on its parts.
    """
    return formatted(
        steps,
        {
            "model": ("model", label),
            "DoF": "dof",
            "precision": ("what", _precision),
            "step [ms]": ("step_ms", 3),
            "GFLOP/s": ("gflops", "{:,.0f}"),
            "large product [GFLOP/s]": ("peak_gflops", "{:,.0f}"),
            **{f"{kind} [%]": (kind, lambda share: f"{100 * share:.0f}") for kind in _KINDS},
        },
    )


def numbers(bench: pd.DataFrame, steps: pd.DataFrame) -> dict[str, str]:
    """Numbers for the text, by key: where it was measured, and rates of large products.

    Args:
        bench: As in `throughput`.
        steps: As in `breakdown`.
    """
    gain = steps["peak_gflops"] / steps["plain_peak_gflops"]
    bounds = gain.groupby(steps["what"].map(_precision)).median()
    on_gpu = "cuda" in set(bench["device"])
    return {
        "threads": str(bench["threads"].iloc[0]),
        "device": "CPU" if bench["device"].iloc[0] == "cpu" else "GPU",
        "gpu": "" if on_gpu else "No GPU was at hand: that path has not been run.",
        "plain_peak": f"{steps['plain_peak_gflops'].median():,.0f}",
        **{f"bound_{precision}": significant(value, 2) for precision, value in bounds.items()},
    }
