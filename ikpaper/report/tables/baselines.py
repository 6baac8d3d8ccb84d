"""Tables of the page on posteriors of another library."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from ikpaper.format import significant
from ikpaper.progress import duration
from ikpaper.report.tables.base import BRIEF, named

__all__ = ["baselines", "numbers"]

_SCORES = ("DoF", *(column for column in BRIEF[:-2] if column != "C2ST"))
_REST = ("parameters", "worst target", "targets", "profile")


def baselines(rows: pd.DataFrame) -> pd.DataFrame:
    """Posteriors of sbi beside ours, with what a training took in which library.

    Args:
        rows: See `experiments.baselines`.
    """
    training = [_training(row) for row in rows.to_dict("records")]
    # Rates of the benchmark are of another run: only those within this one compare.
    flow = rows[rows["sampler"] == "flow"].set_index("dof")["samples_per_second"]
    rate = rows["samples_per_second"] / rows["dof"].map(flow)
    scores = named(rows, _SCORES).assign(
        **{"rate over the flow's": [significant(value, 2) for value in rate]},
        training=training,
        library=list(rows["library"]),
    )
    return scores.join(named(rows, _REST))


def _training(row: Mapping[Any, Any]) -> str:
    if pd.isna(row["training_seconds"]):
        return "–"
    return f"{duration(row['training_seconds'])} in {row['epochs']:.0f} epochs"


def numbers(rows: pd.DataFrame) -> dict[str, str]:
    """Numbers for the text, by key; `rows` as in `baselines`."""
    threads = sorted({int(count) for count in rows["training_threads"].dropna()})
    means = rows.groupby("sampler")[["mmd2", "e_resim"]].mean()
    return {
        "threads": " or ".join(map(str, threads)),
        **{f"mmd_{name}": significant(value, 2) for name, value in means["mmd2"].items()},
        **{f"resim_{name}": significant(value, 2) for name, value in means["e_resim"].items()},
    }
