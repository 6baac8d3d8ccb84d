"""What the paper reports, as data: search ranges, hyperparameters, targets and results."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.resources import files
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd


Ranges = Mapping[str, tuple[float, float]]
Table = Mapping[int, Mapping[str, float]]


def _table(columns: str, rows: dict[int, tuple[float, ...]]) -> Table:
    names = columns.split()
    return MappingProxyType(
        {dof: MappingProxyType(dict(zip(names, row, strict=True))) for dof, row in rows.items()}
    )


#: Table I: ranges of the INN's hyperparameters in the search, (min, max).
INN_RANGES: Ranges = MappingProxyType(
    {
        "learning_rate": (1e-4, 5e-3),
        "subnet_layers": (3, 7),
        "coupling_layers": (6, 10),
        "neurons": (100, 300),
        "weight_decay": (1e-5, 1e-3),
    }
)

#: Table II: ranges of the cVAE's hyperparameters in the search, (min, max).
CVAE_RANGES: Ranges = MappingProxyType(
    {
        "learning_rate": (1e-4, 1e-2),
        "hidden_layers": (3, 15),
        "neurons": (200, 500),
        "weight_decay": (1e-5, 1e-3),
    }
)

#: Trials of the search for each model and arm, and training samples of a trial.
SEARCH_TRIALS = 100
SEARCH_SAMPLES = 10_000

#: A trial is stopped whose loss is above this bound, or not a number, after so many epochs.
SEARCH_HOPELESS_LOSS = 10_000.0
SEARCH_HOPELESS_AFTER = 10

#: Table III: hyperparameters of the cVAE by DoF, with the printed number of parameters.
CVAE_TABLE: Table = _table(
    "learning_rate hidden_layers neurons weight_decay trainable_parameters",
    {
        4: (0.009, 3, 230, 0.0002, 217_128),
        6: (0.0041, 3, 200, 0.00001, 166_814),
        8: (0.0001, 3, 500, 0.00001, 1_022_020),
        10: (0.00063, 5, 400, 0.00029, 1_303_226),
    },
)

#: Table IV: hyperparameters of the INN by DoF, with the printed number of parameters.
INN_TABLE: Table = _table(
    "learning_rate subnet_layers coupling_layers neurons weight_decay trainable_parameters",
    {
        4: (0.0009, 5, 9, 100, 0.00008, 1_108_872),
        6: (0.001, 5, 7, 180, 0.0003, 2_772_084),
        8: (0.0014, 4, 9, 115, 0.0004, 997_884),
        10: (0.002, 5, 7, 170, 0.0005, 2_494_380),
    },
)

#: Targets of the slides' figures by DoF, in units of length.
TARGETS: Mapping[int, tuple[float, float]] = MappingProxyType({6: (3.42, 0.68), 10: (5.00, 0.53)})


def reported() -> pd.DataFrame:
    """Results printed in the slides, plotted in the authors' report, or in their result files.

    Columns: source (`slides`, `report`, `report_figure`, `authors_results`), dof, model,
    quantity, value, and note: what the number really measures where that differs from its name.
    """
    import pandas as pd

    with files("ikpaper").joinpath("reported.csv").open(encoding="utf-8") as table:
        return pd.read_csv(table, keep_default_na=False)
