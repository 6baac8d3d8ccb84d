"""Tables and statistics of the ablations: training runs that differ in one choice."""

from __future__ import annotations

import pandas as pd

from ikpaper.format import over_runs, significant
from ikpaper.models import model_type
from ikpaper.profiles import get_profile
from ikpaper.report.tables.base import ERRORS, label

__all__ = [
    "ablations",
    "budget",
    "divergences",
    "inverse_effects",
    "inverse_losses",
    "seed_factors",
    "variant_name",
]

#: Studies of INN runs with a warm-up that differ in nothing but precision.
_WARM = ("default", "precision")


def variant_name(variant: str) -> str:
    """How a variant is called in tables."""
    return variant.replace("as published", "as in this book")


def ablations(runs: pd.DataFrame) -> pd.DataFrame:
    """A row a variant: its scores over the runs that did not diverge.

    Args:
        runs: A row a training run; see `experiments.ablations`.
    """
    rows = []
    for (study, variant, model), same in runs.groupby(["study", "variant", "model"], sort=False):
        trained = same[same["outcome"] == "trained"]
        rows.append(
            {
                "variant": variant_name(variant),
                "model": f"{label(model)}, {same['dof'].iloc[0]} DoF",
                "MMD² to exact, unbiased": over_runs(trained["mmd2"]),
                "E‖f(θ) − y‖²": over_runs(trained["e_resim_test"]),
                "runs": len(same),
                "diverged": len(same) - len(trained),
                "study": study,
            }
        )
    return pd.DataFrame(rows)


def inverse_losses(runs: pd.DataFrame) -> pd.DataFrame:
    """The INN with and without the losses of its inverse passes; `runs` as in `ablations`."""
    chosen = runs[(runs["model"] == "inn") & runs["study"].isin(["default", "inverse losses"])]
    rows = ablations(chosen).drop(columns=["study", "model"])
    return rows.rename(columns={"variant": "INN, 8 DoF"}).assign(profile=chosen["profile"].iloc[0])


def inverse_effects(runs: pd.DataFrame) -> str:
    """How much larger the INN's scores are without losses of its inverse passes, in words.

    Args:
        runs: As in `ablations`.
    """
    inn = runs[(runs["model"] == "inn") & (runs["outcome"] == "trained")]
    default = inn.loc[inn["study"] == "default", list(ERRORS)].agg(["mean", "min", "max"]).T
    effects = []
    without = inn[inn["study"] == "inverse losses"]
    for variant, same in without.groupby("variant", sort=False)[list(ERRORS)]:
        ratios = same.mean() / default["mean"]
        apart = (same.min() > default["max"]) | (same.max() < default["min"])
        factors = (
            f"{significant(ratios[score], 2)} times the {name}"
            + (", beyond the spread of seeds" if apart[score] else "")
            for score, name in ERRORS.items()
        )
        effects.append(f"{variant}: {' and '.join(factors)}")
    return "; ".join(effects) + "."


def divergences(runs: pd.DataFrame) -> dict[str, str]:
    """How many runs diverged, as numbers for the text by their keys; `runs` as in `ablations`."""
    numbers = {}
    for key, chosen in (
        ("warm", (runs["model"] == "inn") & runs["study"].isin(_WARM)),
        ("cold", runs["study"] == "start"),
        ("linear", runs["study"] == "last activation"),
    ):
        numbers[f"{key}_runs"] = str(int(chosen.sum()))
        numbers[f"{key}_diverged"] = str(int((chosen & (runs["outcome"] == "diverged")).sum()))
    return numbers


def seed_factors(runs: pd.DataFrame) -> dict[str, str]:
    """How far re-simulation errors of the INN lie apart that differ in the seed alone, by key.

    The largest over the smallest: with a warm-up, `warm_factor`, and without, `cold_factor`.

    Args:
        runs: As in `ablations`.
    """
    inn = runs[(runs["model"] == "inn") & (runs["outcome"] == "trained")].groupby("study")
    ends = inn["e_resim_test"].agg(["min", "max"])
    factors = ends["max"] / ends["min"]
    return {
        "warm_factor": significant(factors["default"], 2),
        "cold_factor": significant(factors["start"], 2),
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
