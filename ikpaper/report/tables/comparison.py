"""Tables and statistics of the page that compares the paper's networks over all arms."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import torch

from ikpaper import paper
from ikpaper.evaluation import CHECK_MMD, CHECK_REJECTED
from ikpaper.format import joined, over_runs, significant, with_interval
from ikpaper.models import model_type
from ikpaper.profiles import PROFILES, PUBLISHED, Profile, get_profile
from ikpaper.report.tables.base import (
    NETWORKS,
    by_sampler,
    formatted,
    interval,
    label,
    named,
    reported,
    sides,
)

__all__ = [
    "UNDECIDED",
    "beside_seeds",
    "better",
    "conclusions",
    "hardware",
    "networks",
    "networks_numbers",
    "notice",
    "profiles",
    "reported_and_ours",
    "seeds",
    "summary",
    "training_times",
    "verdicts",
]

#: Records of trained models by DoF and name; see `training.train`.
Records = Mapping[int, Mapping[str, Mapping[str, Any]]]

#: The word where intervals overlap.
UNDECIDED = "undecided"


def notice(profile: Profile, records: Records) -> str:
    """How the networks were trained, and what that makes of their scores."""
    cvae, inn = (model_type(name).epochs_for(profile) for name in NETWORKS)
    scale = (
        f"{profile.training_samples:,} training samples, {cvae} epochs for the cVAE and {inn} for "
        "the INN"
    )
    if profile.name != PUBLISHED:
        full = get_profile(PUBLISHED)
        return (
            f"The networks were trained on less than in the paper: {scale}, where the paper has "
            f"{full.training_samples:,} and {model_type('inn').epochs_for(full)}. Their scores "
            "show how data, models, ground truth and measures fit together. They are no verdict on "
            "the paper's networks."
        )
    counts = {dof: len(models["inn"]["divergences"]) for dof, models in records.items()}
    times = {dof: "once" if count == 1 else f"{count} times" for dof, count in counts.items()}
    repeats = ", ".join(f"{times[dof]} for {dof} DoF" for dof, count in counts.items() if count)
    return (
        f"The networks are the paper's, trained by its protocol: {scale}. The INN's training "
        "differs from the authors' in three choices: a warm-up of the learning rate, products in "
        "bfloat16, and epochs that diverged were repeated with other noise"
        f"{f' ({repeats})' if repeats else ''}."
    )


def reported_and_ours(scores: pd.DataFrame, singles: pd.DataFrame) -> pd.DataFrame:
    """Every number that the paper reports beside ours.

    Args:
        scores: Tidy scores of all arms; see `evaluation.PaperProtocol.score`.
        singles: Scores at one target of each arm; see `evaluation.single_target`.
    """
    plotted, files = reported("report_figure"), reported("authors_results")
    printed = reported("slides", "report")
    means, at_target = by_sampler(scores), singles.set_index(["dof", "sampler"])
    rows = []
    for quantity, measured, factor, header in (
        ("e_posterior", "e_posterior", 1.0, "e_posterior"),
        ("e_resim_halved", "e_resim_test", 0.5, "e_resim, halved"),
    ):
        for (dof, name), row in _networks(means).iterrows():
            theirs = (f"{values[quantity, dof, name]:g}" for values in (plotted, files))
            ours = (factor * row[f"{measured}{end}"] for end in ("", "_low", "_high"))
            size = f"N = {row[f'{measured}_targets']:.0f}, M = {row[f'{measured}_samples']:.0f}"
            rows.append((header, dof, label(name), *theirs, with_interval(*ours), size))
    for quantity, header in (
        ("e_posterior", "e_posterior, one target"),
        ("hull_perimeter", "hull perimeter, one target"),
    ):
        for (dof, name), row in _networks(at_target).iterrows():
            if dof in paper.TARGETS:
                cells = (f"{printed[quantity, dof, name]:g}", "–", significant(row[quantity]))
                rows.append((header, dof, label(name), *cells, f"M = {row['samples']:.0f}"))
    headers = ["quantity", "DoF", "model", "plot or slide", "result files", "ours", "our protocol"]
    return pd.DataFrame(rows, columns=headers)


def _networks(table: pd.DataFrame) -> pd.DataFrame:
    """The rows of the paper's networks, one network after the other, of a table by DoF, sampler."""
    return pd.concat([table.xs(name, level="sampler", drop_level=False) for name in NETWORKS])


def summary(scores: pd.DataFrame) -> pd.DataFrame:
    """All samplers on all arms; `scores` as in `reported_and_ours`."""
    rows = by_sampler(scores, ("dof", "sampler", "profile")).reset_index()
    return formatted(
        rows,
        {
            "DoF": "dof",
            "sampler": ("sampler", label),
            "MMD² to exact, unbiased": interval("mmd2"),
            "share of the prior's": interval("mmd2_ratio"),
            "e_posterior": ("e_posterior", 3),
            "E‖f(θ) − y‖²": ("e_resim_best", 3),
            "profile": "profile",
        },
    )


def networks(random: pd.DataFrame) -> pd.DataFrame:
    """The paper's networks by all scores against exact samples.

    Args:
        random: The published benchmark at random targets; see `evaluation.results`.
    """
    rows = random[(random["refine"] == 0) & random["sampler"].isin(NETWORKS)]
    columns = ["DoF", "sampler", "MMD² to exact", "rejected", CHECK_MMD, CHECK_REJECTED, "C2ST"]
    return named(rows, columns)


def networks_numbers(random: pd.DataFrame) -> dict[str, str]:
    """On how many arms each network is better, by score, in words; `random` as in `networks`."""
    means = random[random["refine"] == 0].set_index(["dof", "sampler"])
    return {
        # An arm counts where both are measured.
        f"{key}_tally": _tally(
            better(means, quantity)[
                means[f"{quantity}_low"].unstack()[list(NETWORKS)].notna().all(axis=1)
            ]
        )
        for key, quantity in (("mmd", "mmd2"), ("check", "mmd2_check"), ("c2st", "c2st"))
    }


def _tally(verdicts: pd.Series) -> str:
    counts = verdicts.value_counts()
    return ", ".join(
        f"{verdict} {counts.get(verdict, 0)}" for verdict in (*map(label, NETWORKS), UNDECIDED)
    )


def better(means: pd.DataFrame, quantity: str) -> pd.Series:
    """The network whose interval lies below the other's, if one does, by DoF.

    Args:
        means: Scores by `dof` and `sampler`, with columns of `quantity` and its interval.
        quantity: Name of the score.
    """
    cvae, inn = (means.xs(name, level="sampler") for name in NETWORKS)
    low, high = f"{quantity}_low", f"{quantity}_high"
    below = [cvae[high] < inn[low], inn[high] < cvae[low]]
    return pd.Series(np.select(below, [label(name) for name in NETWORKS], UNDECIDED), cvae.index)


def verdicts(scores: pd.DataFrame) -> pd.DataFrame:
    """The better network of each arm, by three scores; `scores` as in `reported_and_ours`."""
    means = by_sampler(scores)
    return pd.DataFrame(
        {
            "DoF": means.index.unique("dof"),
            "smaller E‖f(θ) − y‖²": better(means, "e_resim_best").array,
            "smaller e_posterior": better(means, "e_posterior").array,
            "smaller MMD² to exact": better(means, "mmd2").array,
        }
    )


def conclusions(scores: pd.DataFrame) -> dict[str, str]:
    """Numbers for the text, by their keys: means over the arms, and how often a network is better.

    Args:
        scores: As in `reported_and_ours`.
    """
    means = by_sampler(scores)
    cvae, inn = (means.xs(name, level="sampler") for name in NETWORKS)
    numbers = {"complete": joined(cvae.index)}
    for key, mean, quantity in (("posterior", "mmd", "mmd2"), ("resim", "resim", "e_resim_best")):
        lower = int((cvae[quantity] < inn[quantity]).sum())
        numbers[f"better_{key}_count"] = f"{lower} of {len(cvae)}"
        numbers[f"{key}_tally"] = _tally(better(means, quantity))
        for name, value in means[quantity].groupby("sampler").mean().items():
            numbers[f"{mean}_{name}"] = significant(value, 2)
    return numbers


def seeds(runs: pd.DataFrame) -> pd.DataFrame:
    """Training runs that differ in the seed alone.

    Args:
        runs: Tidy scores with a column `seed`; see `experiments.seeds`.
    """
    rows = []
    for (profile, dof, name), same in runs.groupby(["profile", "dof", "sampler"]):
        found = sorted(same["seed"].unique())
        if len(found) > 1:
            values = same.groupby("quantity")["value"]
            rows.append(
                {
                    "DoF": dof,
                    "model": label(name),
                    "seeds": ", ".join(map(str, found)),
                    "MMD² to exact, unbiased": over_runs(values.get_group("mmd2")),
                    "e_posterior": over_runs(values.get_group("e_posterior")),
                    "E‖f(θ) − y‖²": over_runs(values.get_group("e_resim_test")),
                    "profile": profile,
                }
            )
    return pd.DataFrame(rows)


def beside_seeds(runs: pd.DataFrame, scores: pd.DataFrame) -> str:
    """Where the INN's scores lie beside those of the cVAE's training runs, in words.

    Args:
        runs: As in `seeds`.
        scores: As in `reported_and_ours`.
    """
    profile = scores["profile"].iloc[0]
    inn = by_sampler(scores).xs("inn", level="sampler")
    cvae = runs[(runs["sampler"] == "cvae") & (runs["profile"] == profile)]
    sentences = []
    for quantity, name in (("mmd2", "MMD² to exact"), ("e_resim_test", "re-simulation error")):
        spread = cvae[cvae["quantity"] == quantity].groupby("dof")["value"].agg(["min", "max"])
        arms = sides(inn.loc[spread.index, quantity], spread).value_counts()
        sentences.append(
            f"the INN's {name} is above all of them on {arms['above']} arms, below all of them on "
            f"{arms['below']} and among them on {arms['among']}"
        )
    return "; ".join(sentences)


def profiles() -> pd.DataFrame:
    """How much each profile trains and evaluates."""
    return pd.DataFrame(
        {
            "profile": profile.name,
            "data set": f"{profile.samples:,}",
            "epochs cVAE": model_type("cvae").epochs_for(profile),
            "epochs INN": model_type("inn").epochs_for(profile),
            "batch": profile.batch,
            "targets N": f"{profile.targets:,}",
            "samples M": profile.posterior_samples,
            "targets, exact": profile.exact_targets,
            "samples, exact": f"{profile.exact_samples:,}",
        }
        for profile in PROFILES.values()
    )


def training_times(records: Records) -> pd.DataFrame:
    """What training took."""
    rows = []
    for dof, models in records.items():
        for name, record in models.items():
            machine = record.get("environment") or record["provenance"]
            epochs, seconds = record["training"]["epochs"], record["seconds"]
            rows.append(
                {
                    "model": label(name),
                    "DoF": dof,
                    "parameters": f"{record['num_parameters']:,}",
                    "epochs": epochs,
                    "samples a second": f"{record['training']['samples'] * epochs / seconds:,.0f}",
                    "training time [h]": significant(seconds / 3600, 2),
                    "threads": machine["cpu_threads"],
                    "epochs repeated after divergence": len(record["divergences"]),
                }
            )
    return pd.DataFrame(rows)


def hardware(records: Records) -> pd.DataFrame:
    """The machine of this run, and the device that the networks were trained on."""
    devices = {record["device"] for models in records.values() for record in models.values()}
    values = {
        "cores": os.cpu_count(),
        "threads used by torch": torch.get_num_threads(),
        "architecture": platform.machine(),
        "operating system": platform.system(),
        "device": ", ".join(sorted(devices)),
        "Python": platform.python_version(),
        "torch": torch.__version__.split("+")[0],
    }
    return pd.DataFrame({"": values.keys(), "this run": values.values()})
