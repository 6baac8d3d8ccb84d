"""Tables of the page on longer arms."""

from __future__ import annotations

import pandas as pd

from ikpaper.format import percent, significant
from ikpaper.report.tables.base import formatted

__all__ = ["longer_arms", "numbers"]


def longer_arms(rows: pd.DataFrame) -> pd.DataFrame:
    """One model on arms of more and more joints.

    Args:
        rows: See `experiments.scaling`.
    """
    return formatted(
        rows,
        {
            "DoF": "dof",
            "MMD² to exact": ("mmd2", 2),
            "of the prior's": ("mmd2", "mmd2_prior", lambda own, prior: percent(own / prior, 2)),
            "rejected": ("rejected", percent),
            # Those of the benchmark are of another run: only rates within this one compare.
            "rate over the exact sampler's": (
                *("samples_per_second", "exact_samples_per_second"),
                lambda own, exact: significant(own / exact, 2),
            ),
            "E‖f(θ) − y‖²": ("e_resim", 2),
            "training [min]": ("training_seconds", lambda seconds: significant(seconds / 60, 2)),
            "parameters": ("parameters", "{:,.0f}"),
            "targets": "targets",
            "profile": "profile",
        },
    )


def numbers(rows: pd.DataFrame) -> dict[str, str]:
    """Numbers for the text, by key; `rows` as in `longer_arms`, by rising DoF."""
    faster = rows[rows["samples_per_second"] > rows["exact_samples_per_second"]]["dof"]
    ends = {"longest": rows.iloc[-1], "10": rows[rows["dof"] <= 10].iloc[-1]}
    return {
        "shortest": str(rows["dof"].min()),
        "longest": str(rows["dof"].max()),
        "scaling_profile": str(rows["profile"].iloc[0]),
        "targets": str(rows["targets"].max()),
        "overtakes": str(faster.min()) if len(faster) else "no number of",
        "fastest": f"{rows['training_seconds'].min():,.0f}",
        "slowest": f"{rows['training_seconds'].max():,.0f}",
        **{
            f"share_{k}": f"{significant(100 * r['mmd2'] / r['mmd2_prior'], 2)} %"
            for k, r in ends.items()
        },
        **{f"rejected_{k}": percent(r["rejected"], 0) for k, r in ends.items()},
    }
