"""Tables of the page on posteriors of another library."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from ikpaper.format import extent, percent, percent_extent, rounded, significant, with_interval
from ikpaper.report.tables.base import BRIEF, named

_SCORES = ("DoF", *(column for column in BRIEF[:-2] if column != "C2ST"))
_REST = ("parameters", "worst target", "targets", "profile")


def baselines(rows: pd.DataFrame) -> pd.DataFrame:
    """Posteriors of sbi beside ours, with what a training took in which library.

    Args:
        rows: See `experiments.baselines`.
    """
    # Rates compare within one run. Those of the benchmark are of another, and so are those of
    # longer trainings, whose networks are the same.
    flow = rows[rows["sampler"] == "flow"].set_index("dof")["samples_per_second"]
    shortest = rows.groupby(["dof", "sampler"])["most_epochs"].transform("min")
    rate = rows["samples_per_second"] / rows["dof"].map(flow)
    rate = rate.where(rows["most_epochs"] == shortest)
    scores = named(rows, _SCORES).assign(
        **{"rate over the flow's": [significant(value, 2) for value in rate]},
        library=list(rows["library"]),
    )
    training = [_training(row) for row in rows.to_dict("records")]
    scores.insert(list(scores).index("sampler") + 1, "training", training)
    return scores.join(named(rows, _REST)).rename(columns={"MMD² to exact": "unbiased MMD²"})


def _training(row: Mapping[Any, Any]) -> str:
    if pd.isna(row["training_seconds"]):
        return "–"
    minutes = significant(row["training_seconds"] / 60, 2)
    return f"{minutes} min, {row['epochs']:.0f} epochs, seed {row['training_seed']:.0f}"


def numbers(rows: pd.DataFrame) -> dict[str, str]:
    """Numbers for the text, by key, of the arm with the fewest joints; `rows` as in `baselines`.

    Of a baseline, `mmd_...`, `resim_...` and `rejected_...` are of the shortest training,
    `longer_...`, `epochs_longer_...` and `rejected_longer_...` extents over the others.
    """
    rows = rows[rows["dof"] == rows["dof"].min()]
    threads = sorted({int(count) for count in rows["training_threads"].dropna()})
    found = {"joints": str(rows["dof"].iloc[0]), "threads": " or ".join(map(str, threads))}
    for name, trained in rows.groupby("sampler", sort=False):
        shortest = trained.loc[trained["most_epochs"].idxmin()]
        # Rounded as in the table.
        mmd = with_interval(shortest["mmd2"], shortest["mmd2_low"], shortest["mmd2_high"])
        found[f"mmd_{name}"] = mmd.partition(" (")[0]
        found[f"resim_{name}"] = significant(shortest["e_resim"], 2)
        found[f"rejected_{name}"] = percent(shortest["rejected"])
        longer = trained[trained["most_epochs"] > shortest["most_epochs"]]
        if len(longer):
            found[f"longer_{name}"] = extent(longer["mmd2"])
            found[f"epochs_longer_{name}"] = extent(longer["most_epochs"], "{:.0f}")
            found[f"rejected_longer_{name}"] = percent_extent(longer["rejected"], "{:.1f}")
    return found


def kinematics(measured: pd.DataFrame) -> str:
    """What the kinematics give a flow, in one sentence.

    Args:
        measured: Rows of the benchmark at random targets, with those of `flow` and `flow-plain`
            as they are, on the same arms.
    """
    rows = measured[measured["refine"] == 0].set_index(["sampler", "dof"])
    own, plain = rows.loc["flow"], rows.loc["flow-plain"]
    closer = (own["e_resim"] < plain["e_resim"]).sum()
    apart = (own["mmd2_high"] < plain["mmd2_low"]).sum()
    precision = "yes" if closer > len(own) / 2 else "no"
    mismatch = "yes" if apart > len(own) / 2 else "no"
    return (
        f"For the precision, {precision}; for the MMD², {mismatch}: with the kinematics a flow is "
        f"closer to the target on {closer} of {len(own)} arms, by the factor "
        f"{extent(plain['e_resim'] / own['e_resim'], rounded)}, and its MMD² is smaller, by "
        f"intervals that do not overlap, on {apart} of {len(own)}."
    )
