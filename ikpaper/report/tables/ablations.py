"""Tables and statistics of the ablations: training runs that differ in one choice."""

from __future__ import annotations

import math
from collections.abc import Mapping

import pandas as pd

from ikpaper.format import extent, joined, over_runs, significant
from ikpaper.models import model_type
from ikpaper.profiles import get_profile
from ikpaper.report.tables.base import ERRORS, label

#: Variants that the text tells about, by key.
_VARIANTS: Mapping[str, str] = {
    "without_x": "without L_x",
    "without_p": "without L_p(x)",
    "without_both": "without both",
    "float32": "INN, float32",
    "bfloat16": "cVAE, bfloat16",
    "ramp": "L_p(x) at full weight from the start",
    "noise": "no noise",
    "more_y": "L_y times 10",
}


#: The study whose runs have a budget of their own, and so a table; the first of its variants is how
#: the INN is trained elsewhere. Keys of the others for the text.
_SCHEDULE = "schedule"
_SCHEDULES: Mapping[str, str] = {
    "full_weight": "plateau of the sum without the ramp",
    "cosine": "cosine",
}


def variant_name(variant: str) -> str:
    """How a variant is called in tables."""
    return variant.replace("as published", "as in this book")


def ablations(runs: pd.DataFrame) -> pd.DataFrame:
    """A row a variant with the usual budget: its scores over the runs that did not diverge.

    Args:
        runs: A row a training run; see `experiments.ablations`.
    """
    return _scored(runs[runs["study"] != _SCHEDULE])


def _scored(runs: pd.DataFrame) -> pd.DataFrame:
    groups = runs.groupby(["study", "variant", "model", "dof"], sort=False)
    return pd.DataFrame(
        {
            "variant": variant_name(variant),
            "model": f"{label(model)}, {dof} DoF",
            # What diverged has no scores.
            "MMD² to exact, unbiased": over_runs(same["mmd2"]),
            "E‖f(θ) − y‖²": over_runs(same["e_resim_test"]),
            "runs": len(same),
            "diverged": (same["outcome"] == "diverged").sum(),
            "study": study,
        }
        for (study, variant, model, dof), same in groups
    )


def inverse_losses(runs: pd.DataFrame) -> pd.DataFrame:
    """The INN with and without the losses of its inverse passes; `runs` as in `ablations`."""
    chosen = runs[(runs["model"] == "inn") & runs["study"].isin(["default", "inverse losses"])]
    rows = ablations(chosen).drop(columns=["study", "model"])
    return rows.rename(columns={"variant": "INN, 8 DoF"}).assign(profile=chosen["profile"].iloc[0])


def schedules(runs: pd.DataFrame) -> pd.DataFrame:
    """The INN by one schedule of its learning rate or another; `runs` as in `ablations`."""
    # Arm by arm: the schedules of an arm are what is compared.
    rows = _scored(runs[runs["study"] == _SCHEDULE].sort_values("dof", kind="stable"))
    return rows.drop(columns="study").rename(columns={"variant": "learning rate"})


def schedule_effects(runs: pd.DataFrame) -> dict[str, str]:
    """What another schedule changes, in words as of `effects`, and the budget of these runs.

    Args:
        runs: As in `ablations`.

    Returns:
        By key: `schedule_full_weight`, `schedule_cosine`, `schedule_samples`, `schedule_runs`. An
        arm with a single run a schedule has no spread to compare with, and is not among them.
    """
    own = runs[runs["study"] == _SCHEDULE]
    phrases: dict[str, list[str]] = {key: [] for key in _SCHEDULES}
    counts = []
    for dof, of_arm in own.groupby("dof", sort=False):
        count = of_arm["seed"].nunique()
        counts.append(f"{count} with {dof} joints")
        # These runs may repeat epochs: one that diverges all the same is worse than any other.
        scores = of_arm.set_index("variant")[list(ERRORS)].fillna(math.inf)
        others = scores.index.isin(_SCHEDULES.values())
        for key, variant in _SCHEDULES.items():
            if count > 1:
                effect = _effect(scores.loc[[variant]], scores[~others])
                phrases[key].append(f"with {dof} joints {effect}")
    samples = get_profile(own["profile"].iloc[0]).training_samples
    return {
        **{f"schedule_{key}": "; ".join(texts) for key, texts in phrases.items()},
        "schedule_samples": f"{samples:,}",
        "schedule_runs": joined(counts),
    }


def effects(runs: pd.DataFrame) -> dict[str, str]:
    """How much larger each variant's scores are than those of its model's default, in words.

    A score counts as different where no run of the one lies among those of the other.

    Args:
        runs: As in `ablations`.

    Returns:
        By key (`effect_without_both`, ...), parts of sentences: `the MMD² is 1.6 times as large,
        the re-simulation error within the spread of seeds`.
    """
    trained = runs[runs["outcome"] == "trained"]
    numbers = {}
    for key, variant in _VARIANTS.items():
        same = trained[trained["variant"] == variant]
        default = trained[(trained["study"] == "default") & trained["model"].isin(same["model"])]
        numbers[f"effect_{key}"] = _effect(same[list(ERRORS)], default[list(ERRORS)])
    return numbers


def _effect(same: pd.DataFrame, default: pd.DataFrame) -> str:
    apart = (same.min() > default.max()) | (same.max() < default.min())
    factors = same.mean() / default.mean()
    ratios = [
        f"the {name} is {significant(factors[score], 2)} times"
        for score, name in ERRORS.items()
        if apart[score]
    ]
    among = [f"the {name}" for score, name in ERRORS.items() if not apart[score]]
    if not ratios:
        return f"{joined(among)} are within the spread of seeds"
    # The verb of the first one serves all.
    sentence = f"{joined([ratios[0], *(text.replace(' is', '') for text in ratios[1:])])} as large"
    return sentence + "".join(f", {name} within the spread of seeds" for name in among)


def divergences(runs: pd.DataFrame) -> dict[str, str]:
    """How many runs diverged, as numbers for the text by their keys; `runs` as in `ablations`."""
    numbers = {}
    for key, chosen in (
        ("warm", (runs["model"] == "inn") & (runs["study"] == "default")),
        ("cold", runs["study"] == "start"),
        ("linear", runs["study"] == "last activation"),
    ):
        numbers[f"{key}_runs"] = str(int(chosen.sum()))
        numbers[f"{key}_diverged"] = str(int((chosen & (runs["outcome"] == "diverged")).sum()))
    return numbers


def spreads(runs: pd.DataFrame) -> dict[str, str]:
    """How far runs of the INN lie apart that differ in the seed alone, by key.

    The largest re-simulation error over the smallest: with a warm-up, `warm_factor`, and without,
    `cold_factor`; the smallest and the largest of the default, `default_resim`, and in float32,
    `float32_resim`; the same of the MMD² with smaller weights of its terms, `less_mmd`.

    Args:
        runs: As in `ablations`.
    """
    inn = runs[(runs["model"] == "inn") & (runs["outcome"] == "trained")].groupby("study")
    errors = inn["e_resim_test"]
    ends = errors.agg(["min", "max"])
    factors = ends["max"] / ends["min"]
    small = runs[runs["variant"] == "L_z and L_p(x) times 0.1"]
    return {
        "warm_factor": significant(factors["default"], 2),
        "cold_factor": significant(factors["start"], 2),
        "default_resim": extent(errors.get_group("default")),
        "float32_resim": extent(errors.get_group("precision")),
        "less_mmd": extent(small["mmd2"]),
    }


def budget(runs: pd.DataFrame) -> pd.DataFrame:
    """What each run had; `runs` as in `ablations`."""
    profile = get_profile(runs["profile"].iloc[0])
    row = {
        "profile": profile.name,
        "training samples": f"{profile.training_samples:,}",
        "epochs INN": model_type("inn").epochs_for(profile),
        "epochs cVAE": model_type("cvae").epochs_for(profile),
        "targets": profile.exact_targets,
        "samples a target": f"{profile.exact_samples:,}",
    }
    return pd.DataFrame([row])
