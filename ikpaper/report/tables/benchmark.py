"""Tables of the page on scoring a sampler of one's own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from ikpaper.evaluation import PRINTED_COLUMNS
from ikpaper.format import significant
from ikpaper.report.tables.base import BRIEF, named

#: Kernel by which invertible networks are usually compared; see `metrics.KERNELS`.
FIELD = "multi-bandwidth"

#: Columns that come first: rows have different numbers of targets.
_SHOWN = ("sampler", "MMD² to exact", "rejected", "E‖f(θ) − y‖²", "targets")


def handwritten(own: pd.DataFrame, published: pd.DataFrame) -> pd.DataFrame:
    """Rows of a sampler above the published ones; see `evaluation.benchmark`."""
    rows = pd.concat([own, published], ignore_index=True)
    rest = [column for column in (*BRIEF, *PRINTED_COLUMNS) if column not in _SHOWN]
    return _unbiased(named(rows, [*_SHOWN, *dict.fromkeys(rest), "profile"]))


def rail(rows: pd.DataFrame) -> pd.DataFrame:
    """Samplers on the arm with a rail, by two kernels.

    Args:
        rows: `evaluation.Scores.summary` by `sampler` and `kernel`, which is `paper` or `FIELD`.
    """
    ours, field = (rows[rows["kernel"] == kernel] for kernel in ("paper", FIELD))
    cells = _unbiased(named(ours, [*_SHOWN, "samples/s", "profile"]))
    cells.insert(2, f"unbiased MMD², {FIELD}", named(field, PRINTED_COLUMNS)["MMD² to exact"])
    return cells


def _unbiased(cells: pd.DataFrame) -> pd.DataFrame:
    return cells.rename(columns={"MMD² to exact": "unbiased MMD²"})


def rail_flow(record: Mapping[str, Any]) -> str:
    """What the flow of that arm took, in words, from its training record."""
    return (
        f"The flow has {record['num_parameters']:,} parameters and was trained in "
        f"{significant(record['seconds'] / 60, 2)} minutes."
    )
