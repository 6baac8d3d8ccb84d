"""Tables of the page on longer arms."""

from __future__ import annotations

import pandas as pd

from ikpaper.evaluation import LEVEL
from ikpaper.format import joined, percent, significant
from ikpaper.report.tables.base import formatted, interval
from ikpaper.statistics import mcnemar, paired_difference


def longer_arms(rows: pd.DataFrame) -> pd.DataFrame:
    """One model on arms of more and more joints.

    Args:
        rows: See `experiments.scaling`.
    """
    return formatted(
        rows,
        {
            "DoF": "dof",
            "unbiased MMD²": ("mmd2", 2),
            "of the prior's": ("mmd2", "mmd2_prior", lambda own, prior: percent(own / prior, 2)),
            "rejected": ("rejected", percent),
            # Those of the benchmark are of another run: only rates within this one compare.
            "rate over the exact sampler's": (
                *("samples_per_second", "exact_samples_per_second"),
                lambda own, exact: significant(own / exact, 2),
            ),
            "E‖f(θ) − y‖²": ("e_resim", 2),
            "training [s]": ("training_seconds", "{:.0f}"),
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
        **{f"share_{k}": percent(r["mmd2"] / r["mmd2_prior"], 2) for k, r in ends.items()},
        **{f"rejected_{k}": percent(r["rejected"]) for k, r in ends.items()},
    }


def in_full(rows: pd.DataFrame) -> pd.DataFrame:
    """The flow on long arms, trained for less and more time, and sampled in fewer and more steps.

    Args:
        rows: See `experiments.scaling.full_experiment`.
    """
    place = ["dof", "sampler", "epochs", "neurons", "steps"]
    refined = rows.loc[rows["refine"] > 0, [*place, "rejected", "e_resim"]]
    plain = rows[rows["refine"] == 0].merge(refined, "left", place, suffixes=("", "_refined"))
    plain = plain.sort_values(place[:1] + place[2:])
    return formatted(
        plain,
        {
            "DoF": "dof",
            "epochs": ("epochs", lambda epochs: f"{epochs:.0f}" if epochs else "exact"),
            "neurons": ("neurons", lambda neurons: f"{neurons:.0f}" if neurons else "–"),
            "steps": ("steps", "{:.0f}"),
            "rejected": ("rejected", percent),
            "unbiased MMD²": interval("mmd2"),
            "E‖f(θ) − y‖²": ("e_resim", 2),
            "rejected, refine=3": ("rejected_refined", percent),
            "E‖f(θ) − y‖², refine=3": ("e_resim_refined", 2),
            "targets": "targets",
        },
    )


def in_full_numbers(rows: pd.DataFrame) -> dict[str, str]:
    """What trainings in full reach, over epochs and neurons, by key; `rows` as in `in_full`.

    `full_answer` is whether the flow of the most epochs and steps, after refinement, was on any arm
    rejected more often than exact samples. `full_time` and `full_widths` are shares of rejections
    before refinement over epochs, and over neurons at the epochs that most trainings have.
    """
    phrases, shares, behind, times, widths = [], [], [], [], []
    for dof, own in rows.groupby("dof"):
        exact = own[own["sampler"] == "exact"].iloc[0]
        best = own[own["refine"] > 0].sort_values(["epochs", "steps"]).iloc[-1]
        alone = int(best["only_this"]), int(best["only_exact"])
        p, (_, _, most) = mcnemar(*alone), paired_difference(*alone, int(best["targets"]))
        more = best["only_this"] > best["only_exact"]
        shares.append(percent(best["rejected"]))
        verdict = "undecided" if p > LEVEL else "more often" if more else "less often"
        if verdict == "more often":
            behind.append(dof)
        phrases.append(
            f"with {dof} joints at {percent(best['rejected'])} of the targets after "
            f"{best['epochs']:.0f} epochs, in {best['steps']:.0f} steps and refined, where exact "
            f"samples are at {percent(exact['rejected'])} ({verdict}, p = {significant(p, 2)}; the "
            f"difference may be up to {percent(most)})"
        )
        # The steps that every training was sampled in.
        plain = own[own["refine"] == 0]
        plain = plain[plain["steps"] == plain["steps"].mode()[0]]
        over_epochs = plain[plain["neurons"] == best["neurons"]]
        over_neurons = plain[plain["epochs"] == plain["epochs"].mode()[0]]
        times.append(f"{_shares(over_epochs, 'epochs')} ({dof} joints)")
        widths.append(f"{_shares(over_neurons, 'neurons')} ({dof} joints)")
    joints, targets = joined(sorted(rows["dof"].unique())), rows["targets"].max()
    return {
        "full_answer": (
            f"Not with {joined(behind)} joints"
            if behind
            else f"With {joints} joints, as far as {targets} targets can tell, yes"
        ),
        "full_joints": joints,
        "full_rejected": joined(shares),
        "full_verdict": joined(phrases),
        "full_time": "; ".join(times),
        "full_widths": "; ".join(widths),
    }


def _shares(rows: pd.DataFrame, over: str) -> str:
    """Shares of rejections by the values of a column, rising: `40.0 % with 6 and 5.0 % with 60`."""
    by_value = rows.set_index(over)["rejected"].sort_index()
    return joined(f"{percent(share)} with {value:.0f}" for value, share in by_value.items())
