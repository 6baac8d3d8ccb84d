"""Tables and statistics of the page that compares the paper's networks over all arms."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from typing import Any

import pandas as pd
import torch

from ikpaper.evaluation import CHECK_MMD, CHECK_REJECTED
from ikpaper.format import concise, joined, over_runs, rounded, significant, times, with_interval
from ikpaper.models import model_type
from ikpaper.profiles import PROFILES, PUBLISHED, Profile, get_profile
from ikpaper.report.tables.ablations import variant_name
from ikpaper.report.tables.base import (
    ERRORS,
    NETWORKS,
    UNDECIDED,
    better,
    by_sampler,
    formatted,
    interval,
    label,
    named,
    over_seeds,
    reported,
    sides,
)
from ikpaper.report.tables.verdicts import HOLDS, REVERSED, ahead, arms

#: Records of trained models by DoF and name; see `training.train`.
Records = Mapping[int, Mapping[str, Mapping[str, Any]]]

#: Ratios of a value of ours and a reported one up to which they agree, and beyond which the gap
#: is explained.
NEAR, FAR = 1.25, 2.0

_VERDICTS = ("agrees", "close", "differs")

#: Where the paper reports a number, by how tables call it; see `paper.reported`.
_SOURCES: Mapping[str, str] = {
    "plot": "report_figure",
    "result files": "authors_results",
    "slides": "slides",
    "report": "report",
}

#: What sentences call the quantities of tables.
_WORDS: Mapping[str, str] = {
    "e_posterior": "the posterior mismatch",
    "e_resim": "the re-simulation error",
    "hull perimeter": "the hull's perimeter",
}

#: Scores against exact samples, by how sentences call them.
_SCORES: Mapping[str, str] = {
    "mmd2": "the paper's kernel",
    "mmd2_check": "several bandwidths",
    "c2st": "the classifier",
}


def notice(profile: Profile, records: Records) -> str:
    """How the networks were trained, and what that makes of their scores."""
    cvae, inn = (model_type(name).epochs_for(profile) for name in NETWORKS)
    epochs = (
        f"{cvae} epochs each"
        if cvae == inn
        else f"{cvae} epochs for the cVAE and {inn} for the INN"
    )
    scale = f"{profile.training_samples:,} training samples, {epochs}"
    if profile.name != PUBLISHED:
        full = get_profile(PUBLISHED)
        return (
            f"The networks were trained on less than in the paper: {scale}, where the paper has "
            f"{full.training_samples:,} and {model_type('inn').epochs_for(full)}. Their scores "
            "show how data, models, ground truth and measures fit together. They are no verdict on "
            "the paper's networks."
        )
    counts = {dof: len(models["inn"]["divergences"]) for dof, models in records.items()}
    repeats = ", ".join(f"{times(n)} for {dof} DoF" for dof, n in counts.items() if n)
    return (
        f"The networks are the paper's, trained by its protocol: {scale}. The INN's training "
        "differs from the authors' in three choices: a warm-up of the learning rate, products in "
        "bfloat16, and epochs that diverged were repeated with other noise"
        f"{f' ({repeats})' if repeats else ''}."
    )


def side_by_side(
    scores: pd.DataFrame, singles: pd.DataFrame, printed: pd.DataFrame
) -> pd.DataFrame:
    """Every number that the paper reports beside the same quantity of ours.

    Args:
        scores: Tidy scores of all arms; see `evaluation.PaperProtocol.score`.
        singles: Scores at one target of each arm; see `evaluation.single_target`.
        printed: Mismatches at the slides' 10-DoF target by the prior of the ground truth; see
            `experiments.ground_truth.mismatch_at_target`.

    Returns:
        Columns `quantity`, `source`, `dof`, `sampler`, `reported`, `ours`, `low`, `high` (missing
        where it is one value) and `ratio` (ours over theirs).
    """
    means, one = by_sampler(scores), singles.set_index(["dof", "sampler"])
    wide = printed[printed["reference_sigma"] == printed["reference_sigma"].max()]
    wide = wide.assign(dof=10).set_index(["dof", "sampler"])[["value", "low", "high"]]
    parts: list[pd.DataFrame] = []

    def add(quantity: str, source: str, column: str, ours: pd.DataFrame) -> None:
        known = reported(_SOURCES[source])[column].rename("reported").rename_axis(one.index.names)
        ours = ours.set_axis(["ours", "low", "high"][: ours.shape[1]], axis=1)
        both = ours.join(known, how="inner").sort_index(level=["sampler", "dof"])
        parts.append(both.reset_index().assign(quantity=quantity, source=source))

    def mean(column: str) -> pd.DataFrame:
        return means[[column, f"{column}_low", f"{column}_high"]]

    # Of the two targets, the prior of the ground truth is known to differ for one.
    right = one.drop(10, level="dof")
    add("e_posterior, 0.5 rad", "plot", "e_posterior", mean("e_posterior_wide"))
    add("e_posterior, 0.2 rad", "result files", "e_posterior", mean("e_posterior"))
    for source in ("plot", "result files"):
        add("e_resim, halved", source, "e_resim_halved", 0.5 * mean("e_resim_test"))
    add("e_posterior, one target, 0.5 rad", "slides", "e_posterior", wide)
    add("e_posterior, one target, 0.2 rad", "slides", "e_posterior", right[["e_posterior"]])
    add("hull perimeter, one target", "report", "hull_perimeter", one[["hull_perimeter"]])
    columns = ["quantity", "source", "dof", "sampler", "reported", "ours", "low", "high"]
    table = pd.concat(parts, ignore_index=True)[columns]
    return table.assign(ratio=table["ours"] / table["reported"])


def reported_and_ours(rows: pd.DataFrame) -> pd.DataFrame:
    """`side_by_side` as a table, with the verdict in a word."""
    return formatted(
        rows,
        {
            "quantity, source": ("quantity", "source", "{} ({})"),
            "network": ("sampler", "dof", _network),
            "reported": ("reported", concise),
            "ours": ("ours", "low", "high", with_interval),
            "ours / reported": ("ratio", 2),
            "verdict": ("ratio", _verdict),
        },
    )


def agreement(rows: pd.DataFrame) -> dict[str, str]:
    """How many reported numbers ours agree with, for the text; `rows` as in `side_by_side`.

    Returns:
        By key: `reported_count`, `agree_count` (within `near`), `far_count` (beyond a factor of
        `far`), and `far_list`, which names those.
    """
    verdicts = rows["ratio"].map(_verdict)
    far = rows[verdicts == _VERDICTS[2]]
    return {
        "reported_count": str(len(rows)),
        "near": concise(NEAR),
        "far": f"{FAR:g}",
        "agree_count": str((verdicts == _VERDICTS[0]).sum()),
        "far_count": str(len(far)),
        "far_list": "; ".join(
            f"{_in_words(row['quantity'], row['source'], _network(row['sampler'], row['dof']))}, "
            f"{significant(row['ratio'], 2)} times the reported value"
            for row in far.to_dict("records")
        )
        or "none",
    }


def _in_words(quantity: str, source: str, network: str) -> str:
    name, *conditions = quantity.split(", ")
    return f"{_WORDS[name]} of the {network} ({', '.join([*conditions, source])})"


def _network(name: str, dof: int) -> str:
    return f"{label(name)}, {dof} DoF"


def _verdict(ratio: float) -> str:
    far = max(ratio, 1 / ratio)
    return _VERDICTS[0] if far <= NEAR else _VERDICTS[1] if far <= FAR else _VERDICTS[2]


def divergences(records: Records, runs: pd.DataFrame) -> pd.DataFrame:
    """Every divergence of the published trainings and of the ablations, a row each.

    Args:
        records: Training records.
        runs: A row a training run; see `experiments.ablations`.
    """
    logs = [
        (f"{_network(name, dof)}, published", record["seed"], log)
        for dof, models in records.items()
        for name, record in models.items()
        for log in record["divergences"]
    ]
    logs += [
        (
            f"{_network(row['model'], row['dof'])}, ablation, {variant_name(row['variant'])}",
            row["seed"],
            row["where"],
        )
        for row in runs[runs["outcome"] == "diverged"].to_dict("records")
    ]
    return pd.DataFrame(logs, columns=["training", "seed", "what diverged"])


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
            "e_posterior": ("e_posterior", 2),
            "E‖f(θ) − y‖²": ("e_resim_best", 2),
            "profile": "profile",
        },
    )


def networks(random: pd.DataFrame) -> pd.DataFrame:
    """The paper's networks by all scores against exact samples.

    Args:
        random: The published benchmark at random targets; see `evaluation.results`.
    """
    rows = random[(random["refine"] == 0) & random["sampler"].isin(NETWORKS)]
    columns = ["DoF", "sampler", "MMD² to exact", CHECK_MMD, "C2ST", "rejected", CHECK_REJECTED]
    return named(rows, columns)


def networks_numbers(random: pd.DataFrame) -> dict[str, str]:
    """On how many arms each network is better by each score, in words; `random` as in `networks`.

    Returns:
        By key: `by_scores`.
    """
    tallies = [_tally(_better_at_random(random, score)) for score in _SCORES]
    if len(set(tallies)) == 1:
        return {"by_scores": f"by all three scores {tallies[0]}"}
    by_score = zip(_SCORES.values(), tallies, strict=True)
    return {"by_scores": "; ".join(f"by {score} {tally}" for score, tally in by_score)}


def _better_at_random(random: pd.DataFrame, score: str) -> pd.Series:
    """The better network at random targets, by DoF, of the arms where both are measured."""
    means = random[random["refine"] == 0].set_index(["dof", "sampler"])
    measured = means[f"{score}_low"].unstack()[list(NETWORKS)].notna().all(axis=1)
    return better(means, score)[measured]


def _tally(verdicts: pd.Series) -> str:
    """Who is better on how many arms: `the cVAE on 3 of 4 arms, the INN on 1`."""
    names = {label(name): f"the {label(name)}" for name in NETWORKS} | {UNDECIDED: UNDECIDED}
    return _counted(verdicts, names)


def _counted(words: pd.Series, names: Mapping[str, str]) -> str:
    """How often each word occurs over the arms, by the names that they have in a sentence."""
    counts = {word: int((words == word).sum()) for word in names}
    found = [word for word in names if counts[word]]
    if len(found) == 1:
        return f"{names[found[0]]} on all {len(words)} arms"
    first, *rest = (f"{names[word]} on {counts[word]}" for word in found)
    return ", ".join([f"{first} of {len(words)} arms", *rest])


def held(scores: pd.DataFrame, runs: pd.DataFrame, random: pd.DataFrame) -> dict[str, str]:
    """Whether the slides' two comparisons of the networks hold, for the text.

    Args:
        scores: As in `reported_and_ours`.
        runs: As in `seeds`.
        random: As in `networks`.

    Returns:
        By key: `held_resim` and `held_posterior`, by intervals over targets and, but for the
        scores of `random`, ranges over training runs.
    """
    names = {HOLDS: "holds", REVERSED: "reversed", UNDECIDED: UNDECIDED}
    outcomes = {label("inn"): HOLDS, label("cvae"): REVERSED, UNDECIDED: UNDECIDED}
    others = (_better_at_random(random, score).map(outcomes) for score in list(_SCORES)[1:])
    phrases = [_counted(words, names) for words in (arms(scores, runs, "posterior"), *others)]
    if len(set(phrases)) == 1:
        phrases = [f"{phrases[0]}, by all three scores against exact samples"]
    else:
        phrases = [
            f"by {score} {part}" for score, part in zip(_SCORES.values(), phrases, strict=True)
        ]
    sentences = _counted(arms(scores, runs, "e_resim"), names), "; ".join(phrases)
    resim, posterior = (text[0].upper() + text[1:] for text in sentences)
    return {"held_resim": resim, "held_posterior": posterior}


def verdicts(scores: pd.DataFrame, runs: pd.DataFrame) -> pd.DataFrame:
    """The better network of each arm, by three scores; arguments as in `conclusions`."""
    quantities = {
        "smaller E‖f(θ) − y‖²": "e_resim_best",
        "smaller e_posterior": "e_posterior",
        "smaller MMD² to exact": "mmd2",
    }
    found = {title: ahead(scores, runs, name) for title, name in quantities.items()}
    return pd.DataFrame(found).rename_axis("DoF").reset_index()


def conclusions(scores: pd.DataFrame, runs: pd.DataFrame) -> dict[str, str]:
    """On how many arms the cVAE is better, by `verdicts.ahead`, for the text, by key.

    Args:
        scores: As in `reported_and_ours`.
        runs: As in `seeds`.
    """
    numbers = {}
    for key, quantity in (("posterior", "mmd2"), ("resim", "e_resim_best")):
        better_one = ahead(scores, runs, quantity)
        count = (better_one == label("cvae")).sum()
        numbers[f"better_{key}_count"] = f"{count or 'none'} of {len(better_one)}"
    return {"complete": joined(better_one.index), **numbers}


def seeds(runs: pd.DataFrame) -> pd.DataFrame:
    """Training runs that differ in the seed alone.

    Args:
        runs: Tidy scores with a column `seed`; see `experiments.seeds`.
    """
    return pd.DataFrame(
        {
            "DoF": dof,
            "model": label(name),
            "seeds": ", ".join(map(str, sorted(same["seed"].unique()))),
            "MMD² to exact, unbiased": over_runs(same.loc[same["quantity"] == "mmd2", "value"]),
            "e_posterior": over_runs(same.loc[same["quantity"] == "e_posterior", "value"]),
            "E‖f(θ) − y‖²": over_runs(same.loc[same["quantity"] == "e_resim_test", "value"]),
            "profile": profile,
        }
        for (profile, dof, name), same in runs.groupby(["profile", "dof", "sampler"])
        if same["seed"].nunique() > 1
    )


def beside_seeds(scores: pd.DataFrame, runs: pd.DataFrame) -> str:
    """Whether all training runs of the INN lie beside all of the cVAE's, in words.

    Args:
        scores: As in `reported_and_ours`.
        runs: As in `seeds`.
    """
    names = {
        "above": "larger than the cVAE's in all runs",
        "below": "smaller than the cVAE's in all runs",
        "among": UNDECIDED,
    }
    parts = []
    for quantity, name in ERRORS.items():
        spread = over_seeds(scores, runs, quantity)
        cvae, inn = (spread.xs(network, level="sampler") for network in NETWORKS)
        parts.append(f"{name} is {_counted(sides(inn, cvae), names)}")
    return f"The INN's {'; its '.join(parts)}."


def repeated(scores: pd.DataFrame, runs: pd.DataFrame) -> str:
    """How often each network was trained, in words; arguments as in `beside_seeds`."""
    counts = over_seeds(scores, runs, "mmd2")["runs"]
    parts = []
    for network in NETWORKS:
        own = counts.xs(network, level="sampler")
        phrases = [
            f"{times(int(count))} with {joined(same.index)} joints"
            for count, same in sorted(own.groupby(own), reverse=True)
        ]
        parts.append(f"The {label(network)} was trained {joined(phrases)}.")
    return " ".join(parts)


def profiles() -> pd.DataFrame:
    """How much each profile trains and evaluates: a column a profile."""
    values = {
        profile.name: {
            "data set": profile.samples,
            "epochs cVAE": model_type("cvae").epochs_for(profile),
            "epochs INN": model_type("inn").epochs_for(profile),
            "batch": profile.batch,
            "targets N": profile.targets,
            "samples M": profile.posterior_samples,
            "targets, exact": profile.exact_targets,
            "samples, exact": profile.exact_samples,
        }
        for profile in PROFILES.values()
    }
    return pd.DataFrame(values).map("{:,}".format).rename_axis("profile").reset_index()


def training_times(records: Records) -> pd.DataFrame:
    """What training took."""
    rows = []
    for dof, models in records.items():
        for name, record in models.items():
            epochs, seconds = record["training"]["epochs"], record["seconds"]
            rows.append(
                {
                    "model": label(name),
                    "DoF": dof,
                    "training time [h]": significant(seconds / 3600, 2),
                    "samples a second": rounded(record["training"]["samples"] * epochs / seconds),
                    "epochs repeated after divergence": len(record["divergences"]),
                    "parameters": f"{record['num_parameters']:,}",
                    "epochs": epochs,
                    "threads": record["provenance"]["cpu_threads"],
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
