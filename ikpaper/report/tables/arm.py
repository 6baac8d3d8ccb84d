"""Tables of the page of one arm."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from ikpaper.format import times
from ikpaper.profiles import Profile
from ikpaper.report.tables.base import by_sampler, formatted, interval, label

__all__ = ["scores", "single", "training_terms", "trainings"]


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
        if divergences := record["divergences"]:
            sentences.append(
                f"It diverged {times(len(divergences))}, after which the epoch was repeated with "
                f"other noise: {'; '.join(divergences)}."
            )
    return " ".join(sentences)


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


def single(results: pd.DataFrame, seconds: Mapping[str, float]) -> pd.DataFrame:
    """Scores at one target.

    Args:
        results: A row a sampler; see `evaluation.single_target`.
        seconds: What each sampler took for its samples, by its name.
    """
    milliseconds = [1000 * seconds[name] for name in results["sampler"]] / results["samples"]
    return formatted(
        results.assign(milliseconds=milliseconds),
        {
            "sampler": ("sampler", label),
            "MMD² to exact, unbiased": ("mmd2", 2),
            "e_posterior": ("e_posterior", 2),
            "E‖f(θ) − y‖²": ("e_resim", 2),
            "hull perimeter": ("hull_perimeter", 2),
            "ms a sample": ("milliseconds", 2),
            "hull area": ("hull_area", 2),
            "distinct solutions": "distinct",
        },
    )
