"""Tables and numbers of the page on how to read scores."""

from __future__ import annotations

import pandas as pd

from ikpaper.evaluation import LEVEL
from ikpaper.format import concise, extent, percent, percent_extent, significant
from ikpaper.report.tables.base import formatted

#: How faults are called, and the unit of their size.
NAMES = {
    "none": "none: exact samples again",
    "blurred": "noise on every joint",
    "mixed": "samples of the prior among them",
    "cut": "a part is missing",
}


def _size(kind: str, size: float) -> str:
    if kind == "none":
        return "–"
    return f"{significant(size, 2)} rad" if kind == "blurred" else percent_extent([size], 2)


def faults(rows: pd.DataFrame, reach: float) -> pd.DataFrame:
    """Scores of sample sets with a known fault.

    Args:
        rows: See `experiments.faults.score_faults`.
        reach: Reach of the arm, in units of length.
    """
    return formatted(
        rows.assign(miss=rows["e_resim"] ** 0.5 / reach),
        {
            "MMD²": ("value", concise),
            "fault": ("fault", NAMES.get),
            "size": ("fault", "size", _size),
            "rejected": ("rejected", lambda share: percent(share, 0)),
            "typical miss, % of the reach": ("miss", lambda share: f"{100 * share:.2f}"),
        },
    )


def numbers(
    rows: pd.DataFrame, reach: float, floor: pd.DataFrame, random: pd.DataFrame
) -> dict[str, str]:
    """Numbers for the text, by key.

    Args:
        rows: As in `faults`.
        reach: As in `faults`.
        floor: Columns samples, v_statistic; see `experiments.ground_truth.statistic_floor`.
        random: The published benchmark at random targets; see `evaluation.results`.
    """
    none, values = rows[rows["fault"] == "none"].iloc[0], sorted(set(rows["value"]) - {0.0})
    numbers = {
        "level": percent(LEVEL, 0),
        "repeats": str(none["targets"]),
        "none_rejected": f"{round(none['rejected'] * none['targets'])} of {none['targets']}",
        "samples": f"{none['samples']:,}",
        "spread": significant(none["mmd2_spread"], 1),
        "v_floor": significant(floor.set_index("samples")["v_statistic"][100], 2),
    }
    for name, value in zip(("small", "middle", "large"), values, strict=True):
        some = rows[rows["value"] == value]
        numbers[f"rejected_{name}"] = percent_extent(some["rejected"])
        for kind, size, error in some[["fault", "size", "e_resim"]].itertuples(index=False):
            numbers[f"{kind}_{name}"] = _size(kind, size)
            numbers[f"{kind}_{name}_miss"] = percent(error**0.5 / reach)
    for name in ("exact", "flow", "cvae", "inn", "prior"):
        group = random[(random["sampler"] == name) & (random["refine"] == 0)]
        numbers[f"rejected_{name}"] = percent_extent(group["rejected"])
        numbers[f"c2st_{name}"] = extent(group["c2st"], "{:.2f}")
        numbers[f"mmd_{name}"] = extent(group["mmd2"])
    return numbers
