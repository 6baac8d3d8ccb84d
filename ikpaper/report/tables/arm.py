"""Tables of the page of one arm."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from ikpaper.arm import PlanarArm
from ikpaper.format import joined, rounded, significant, times
from ikpaper.profiles import Profile
from ikpaper.report.tables.base import (
    NETWORKS,
    UNDECIDED,
    better,
    by_sampler,
    formatted,
    interval,
    label,
)

__all__ = [
    "at_target",
    "findings",
    "panel_notes",
    "scores",
    "single",
    "training_terms",
    "trainings",
]


def trainings(records: Mapping[str, Mapping[str, Any]]) -> str:
    """How the models were trained, a sentence or two each.

    Args:
        records: Records of the models by name; see `training.train`.
    """
    sentences = []
    for name, record in records.items():
        sentences.append(
            f"The {label(name)} has {record['num_parameters']:,} parameters and was trained for "
            f"{record['training']['epochs']} epochs."
        )
        if count := len(record["divergences"]):
            sentences.append(
                f"Its training diverged {times(count)}, each time in an epoch that was then "
                "repeated with other noise."
                if count > 1
                else "Its training diverged once, in an epoch that was then repeated with other "
                "noise."
            )
    return " ".join(sentences)


def findings(results: pd.DataFrame, arm: PlanarArm) -> dict[str, str]:
    """What the scores say about the networks on this arm, a sentence each, by key.

    Args:
        results: Tidy scores; see `evaluation.PaperProtocol.score`.
        arm: The arm.

    Returns:
        `mmd2_finding`, `e_posterior_finding`, `resim_finding` and `mmd2_reference`.
    """
    means = by_sampler(results)
    rows = {name: means.xs(name, level="sampler").iloc[0] for name in means.index.unique("sampler")}
    cvae, inn = (rows[name] for name in NETWORKS)

    def ahead(quantity: str, better_at: str) -> str:
        (network,) = better(means, quantity)
        if network == UNDECIDED:
            return f"Which network is {better_at} is undecided"
        return f"The {network} is {better_at}"

    def against(quantity: str) -> str:
        return f"{significant(cvae[quantity], 2)} for the cVAE, {significant(inn[quantity], 2)}"

    share = {
        name: f"{significant(100 * row['mmd2'] / rows['prior']['mmd2'], 2)} %"
        for name, row in rows.items()
    }
    miss = {name: rows[name]["e_resim_best"] ** 0.5 for name in NETWORKS}
    of_reach = {
        name: f"{significant(100 * length / arm.reach, 2)} %" for name, length in miss.items()
    }
    closer = [label(name) for name in NETWORKS if rows[name]["mmd2"] < rows["rejection"]["mmd2"]]
    blurred = [
        label(name)
        for name in NETWORKS
        if rows[name]["e_posterior_high"] < rows["exact"]["e_posterior_low"]
    ]
    return {
        "mmd2_finding": (
            f"{ahead('mmd2', 'closer to the posterior')}: the unbiased MMD² is {against('mmd2')} "
            f"for the INN, which is {share['cvae']} and {share['inn']} of the prior's."
        ),
        "resim_finding": (
            f"{ahead('e_resim_best', 'closer to the target')}: the TCP misses it by "
            f"{significant(miss['cvae'], 2)} in the root mean square for the cVAE and by "
            f"{significant(miss['inn'], 2)} for the INN, {of_reach['cvae']} and "
            f"{of_reach['inn']} of the reach."
        ),
        "e_posterior_finding": (
            f"{ahead('e_posterior', 'ahead')} by the paper's own score, e_posterior: "
            f"{against('e_posterior')} for the INN. The exact posterior itself has "
            f"{significant(rows['exact']['e_posterior'], 2)} there"
            + (f", more than the {joined(blurred)}" if blurred else "")
            + "."
        ),
        "mmd2_reference": (
            "Rejection sampling, the paper's ground truth, has an unbiased MMD² of "
            f"{significant(rows['rejection']['mmd2'], 2)} to the exact posterior, "
            f"{share['rejection']} of the prior's: it is {_beside(closer)}."
        ),
    }


def _beside(closer: Sequence[str]) -> str:
    """Where rejection sampling lies, by which of the networks are closer to the posterior."""
    if not closer:
        return "closer than both networks"
    return f"farther than {'both networks' if len(closer) > 1 else f'the {closer[0]}'}"


def at_target(results: pd.DataFrame) -> str:
    """What rejection sampling and the networks have at one target, in words.

    Args:
        results: As in `single`.
    """
    mmd2 = results.set_index("sampler")["mmd2"]
    closer = [label(name) for name in NETWORKS if mmd2[name] < mmd2["rejection"]]
    return (
        f"At this target the unbiased MMD² to the exact posterior is "
        f"{significant(mmd2['rejection'], 2)} for rejection sampling, "
        f"{significant(mmd2['cvae'], 2)} for the cVAE and {significant(mmd2['inn'], 2)} for the "
        f"INN: the paper's ground truth is {_beside(closer)}."
    )


def panel_notes(results: pd.DataFrame) -> dict[str, dict[str, str]]:
    """What stands in the panels of the slides' figures, by kind (`arms`, `hulls`) and sampler.

    Args:
        results: As in `single`.
    """
    rows = results.set_index("sampler")
    return {
        "arms": {
            name: rf"$e_\mathrm{{posterior}}$ = {significant(value, 2)}"
            for name, value in rows["e_posterior"].items()
        },
        "hulls": {
            str(name): f"area {significant(row['hull_area'], 2)}\n"
            f"perimeter {significant(row['hull_perimeter'], 2)}"
            for name, row in rows.iterrows()
        },
    }


def training_terms(
    records: Mapping[str, Mapping[str, Any]], profile: Profile, dof: int
) -> pd.DataFrame:
    """Loss terms of models: `profile`, `dof`, `model`, `epoch`, `term`, `value`, `learning_rate`.

    Args:
        records: Records of the models by name.
        profile: What they were trained with.
        dof: Number of joints of their arm.
    """
    return pd.DataFrame(
        {
            "profile": profile.name,
            "dof": dof,
            "model": name,
            "epoch": row["epoch"],
            "term": term,
            "value": value,
            "learning_rate": row["learning_rate"],
        }
        for name, record in records.items()
        for row in record["history"]
        for term, value in row["terms"].items()
    )


def scores(results: pd.DataFrame) -> pd.DataFrame:
    """All scores of an arm's samplers; a quantity that no sampler has is left out.

    Args:
        results: Tidy scores; see `evaluation.PaperProtocol.score`.
    """
    headers = {
        "mmd2": "MMD² to exact, unbiased",
        "mmd2_ratio": "share of the prior's",
        "e_posterior": "e_posterior",
        "e_resim": "E‖f(θ) − y‖²",
        "e_resim_test": "one sample a test target",
    }
    wide = by_sampler(results).reset_index()
    columns = {header: interval(name) for name, header in headers.items() if name in wide}
    return formatted(wide, {"sampler": ("sampler", label), **columns}).replace("–", "")


def single(results: pd.DataFrame, random: pd.DataFrame) -> pd.DataFrame:
    """Scores at one target, and the rate at which each sampler draws.

    Args:
        results: A row a sampler; see `evaluation.single_target`.
        random: The published benchmark at random targets of the arm, all timed in one run.
    """
    rates = random[random["refine"] == 0].set_index("sampler")["samples_per_second"]
    return formatted(
        results.assign(rate=results["sampler"].map(rates)),
        {
            "sampler": ("sampler", label),
            "MMD² to exact, unbiased": ("mmd2", 2),
            "e_posterior": ("e_posterior", 2),
            "E‖f(θ) − y‖²": ("e_resim", 2),
            "hull perimeter": ("hull_perimeter", 2),
            "samples/s": ("rate", rounded),
            "hull area": ("hull_area", 2),
            "distinct solutions": "distinct",
        },
    )
