"""Tables of the page of one arm."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

import pandas as pd

from ikpaper.arm import PlanarArm
from ikpaper.format import joined, percent_extent, rounded, significant, times
from ikpaper.profiles import Profile
from ikpaper.report.tables import verdicts
from ikpaper.report.tables.base import (
    NETWORKS,
    UNDECIDED,
    better,
    by_network,
    by_sampler,
    formatted,
    interval,
    label,
    over_seeds,
)


def links(arm: PlanarArm) -> str:
    """The lengths of an arm's links, `9 × 0.5 and 1`."""
    equal = [(length, len(list(run))) for length, run in groupby(arm.lengths)]
    return joined(
        f"{count} × {length:g}" if count > 1 else f"{length:g}" for length, count in equal
    )


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
                f"Its training diverged {times(count)}, {'each time ' * (count > 1)}in an epoch "
                "that was then repeated with other noise."
            )
    return " ".join(sentences)


def findings(results: pd.DataFrame, runs: pd.DataFrame, arm: PlanarArm) -> dict[str, str]:
    """What the scores say about the networks on this arm, a sentence each, by key.

    Args:
        results: Tidy scores; see `evaluation.PaperProtocol.score`.
        runs: Tidy scores with a column `seed`; see `experiments.seeds`.
        arm: The arm.

    Returns:
        `mmd2_finding`, `e_posterior_finding`, `resim_finding` and `mmd2_reference`.
    """
    means = by_sampler(results)
    own = means.droplevel("dof")
    mmd2, paper = own["mmd2"], own["e_posterior"]
    below = own["e_posterior_high"] < own.loc["exact", "e_posterior_low"]
    blurred = [label(name) for name in NETWORKS if below[name]]

    def ahead(quantity: str, better_at: str) -> str:
        decided = better(means, quantity).item() != UNDECIDED
        network = verdicts.ahead(results, runs, quantity).item()
        if network != UNDECIDED:
            return f"The {network} is {better_at}"
        overlap = (
            ", since the INN lies among the cVAE's training runs"
            if over_seeds(results, runs, "mmd2")["runs"].xs("inn", level="sampler").item() == 1
            else ", since the ranges over the networks' training runs overlap"
        )
        return f"Which network is {better_at} is undecided{overlap if decided else ''}"

    return {
        "mmd2_finding": (
            f"{ahead('mmd2', 'closer to the posterior')}: over "
            f"{own.loc['cvae', 'mmd2_targets']:,.0f} test targets, {_mismatch(mmd2)}."
        ),
        "resim_finding": (
            f"{ahead('e_resim_best', 'closer to the target')}: {_misses(own['e_resim_best'], arm)}."
        ),
        "e_posterior_finding": (
            f"{ahead('e_posterior', 'ahead')} by the paper's own score: {by_network(paper)}. "
            f"The exact posterior itself has {significant(paper['exact'], 2)} there"
            + (f", more than the {joined(blurred)}" if blurred else "")
            + "."
        ),
        "mmd2_reference": (
            "Rejection sampling, the paper's ground truth, has an unbiased MMD² of "
            f"{significant(mmd2['rejection'], 2)} to the exact posterior, "
            f"{percent_extent([mmd2['rejection'] / mmd2['prior']], 2)} of the prior's: it is "
            f"{_beside(mmd2)}."
        ),
    }


def other_targets(random: pd.DataFrame, arm: PlanarArm) -> str:
    """What the networks have over the benchmark's targets, and how much of it a few of them make.

    Args:
        random: The published benchmark at random targets of the arm; see `evaluation.results`.
        arm: The arm.
    """
    plain = random[random["refine"] == 0].set_index("sampler")
    networks = plain.loc[list(NETWORKS)]
    worst = (
        f"{percent_extent(0.01 * networks[f'{quantity}_worst1'] / networks[quantity])} of the "
        f"{name}"
        for quantity, name in (("mmd2", "MMD²"), ("e_resim", "squared miss"))
    )
    return (
        f"Over {networks['targets'].iloc[0]:,} other targets, {_mismatch(plain['mmd2'])}, and "
        f"{_misses(networks['e_resim'], arm)}; the worst percent of these targets makes up "
        f"{joined(worst)}."
    )


def _mismatch(mmd2: pd.Series) -> str:
    """The unbiased MMD² of the networks, by sampler, as such and beside the prior's."""
    shares = joined(percent_extent([mmd2[name] / mmd2["prior"]], 2) for name in NETWORKS)
    return f"the unbiased MMD² is {by_network(mmd2)}, which is {shares} of the prior's"


def _misses(error: pd.Series, arm: PlanarArm) -> str:
    """The root mean square distance of the networks' TCPs from the target, by squared distance."""
    miss = error**0.5
    shares = joined(percent_extent([miss[name] / arm.reach], 2) for name in NETWORKS)
    return (
        f"the TCP misses the target by a root mean square of {by_network(miss)}, which is "
        f"{shares} of the reach"
    )


def _beside(mmd2: pd.Series) -> str:
    """Which of the networks are closer to the posterior than rejection sampling, in words."""
    closer = [label(name) for name in NETWORKS if mmd2[name] < mmd2["rejection"]]
    if not closer:
        return "closer than both networks"
    return f"farther than {'both networks' if len(closer) > 1 else f'the {closer[0]}'}"


def at_target(results: pd.DataFrame, tcp: Sequence[float]) -> str:
    """What rejection sampling and the networks have at one target, in words.

    Args:
        results: As in `single`.
        tcp: The target, shape (2,).
    """
    mmd2 = results.set_index("sampler")["mmd2"]
    found = joined(
        f"{_difference(mmd2[name])} for {of}"
        for name, of in (
            ("rejection", "rejection sampling"),
            *((name, f"the {label(name)}") for name in NETWORKS),
        )
    )
    return (
        f"At ({tcp[0]:.2f}, {tcp[1]:.2f}), the target of the figures, the unbiased MMD² to the "
        f"exact posterior is {found}: the paper's ground truth is {_beside(mmd2)}."
    )


def _difference(mmd2: float) -> str:
    """An unbiased MMD², which below zero is no distance."""
    value = significant(mmd2, 2)
    return value if mmd2 > 0 else f"{value} (no difference found)"


def distinct(results: pd.DataFrame, sampler: str) -> str:
    """How many of a sampler's solutions at one target differ, `998 of 1,000 solutions differ`.

    Args:
        results: As in `single`.
        sampler: Its name.
    """
    row = results.set_index("sampler").loc[sampler]
    return f"{row['distinct']:,} of {row['samples']:,} solutions differ"


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
        "e_resim_test": "E‖f(θ) − y‖², all test targets",
    }
    wide = by_sampler(results).reset_index()
    columns = {header: interval(name) for name, header in headers.items() if name in wide}
    return formatted(wide, {"sampler": ("sampler", label), **columns})


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
            "distinct solutions": ("distinct", "{:,}"),
        },
    )
