"""Tables and statistics of the trials of a study."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from ikpaper.paper import Ranges
from ikpaper.report.tables.base import formatted

#: How hyperparameters are called on axes and in tables.
PARAMETERS: Mapping[str, str] = {
    "learning_rate": "learning rate",
    "subnet_layers": "subnet layers",
    "coupling_layers": "coupling layers",
    "hidden_layers": "hidden layers",
    "neurons": "neurons per layer",
    "weight_decay": "weight decay",
}


def best_trials(trials: pd.DataFrame, ranges: Ranges, count: int = 5) -> pd.DataFrame:
    """The best trials of a study.

    Args:
        trials: See `search.StudyRecord`.
        ranges: Hyperparameters that were searched, with their bounds.
        count: How many.
    """
    return formatted(
        trials.dropna(subset="objective").nsmallest(count, "objective"),
        {
            "trial": "trial",
            **{PARAMETERS[name]: (name, 3) for name in ranges},
            "objective": ("objective", 3),
            "seconds": ("seconds", "{:,.0f}"),
            "profile": "profile",
        },
    )


def core_hours(trials: pd.DataFrame) -> float:
    """What trials cost, in hours of one core."""
    return float((trials["seconds"] * trials["cpus"]).sum() / 3600)


def position(values: Any, bounds: tuple[float, float]) -> np.ndarray:
    """Where values lie between bounds, from 0 to 1, on the scale that is searched."""
    low, high = bounds
    values = np.asarray(values, dtype=float)
    if isinstance(low, float):
        return np.log(values / low) / np.log(high / low)
    return (values - low) / (high - low)


def random_best(studies: Sequence[pd.DataFrame], trials: np.ndarray, level: float) -> np.ndarray:
    """Quantile of the best of so many random trials.

    Trials of random search are independent, so those of several studies are one sample of what a
    trial brings: the best of n is below a value with probability 1 - (1 - F)^n, F their share
    below it.

    Args:
        studies: Trials of studies by random search.
        trials: Numbers of trials, shape (n,).
        level: Of the quantile.

    Returns:
        Objectives, shape (n,); infinite where the best may well be a trial that failed.
    """
    values = np.sort(_objectives(studies))
    share = 1 - (1 - level) ** (1 / np.asarray(trials))
    rank = np.ceil(share * len(values)).astype(int)
    return values[np.clip(rank, 1, len(values)) - 1]


def _objectives(studies: Sequence[pd.DataFrame]) -> np.ndarray:
    """Objectives of all trials, infinite for those that failed."""
    return pd.concat([table["objective"] for table in studies]).fillna(np.inf).to_numpy()
