"""Tables of the page on calibration: what each check sees of every sampler."""

from __future__ import annotations

from typing import Any

import pandas as pd

from ikpaper.evaluation import LEVEL
from ikpaper.experiments.calibration import CHECKS, SIZES
from ikpaper.format import extent, joined, percent, significant
from ikpaper.report.tables.base import NETWORKS, formatted, label

__all__ = ["LABELS", "WRONG", "by_sampler", "checks", "joined_rows", "numbers"]

#: How checks are called in tables and figures.
LABELS = {
    "sbc": "SBC",
    "hpd": "HPD coverage",
    "tarp": "TARP, blind",
    "tarp-nearest": "TARP, nearest",
    "tarp-mean": "TARP, mean",
    "classifier": "classifier",
}

#: Whose target does not matter to what a check ranks.
_BLIND = ("sbc", "hpd", "tarp")

#: A sampler counts as wrong that the permutation test rejects at this share of the targets.
WRONG = 0.5

_KEYS = ["dof", "sampler", "refine"]


def joined_rows(rows: pd.DataFrame, random: pd.DataFrame) -> pd.DataFrame:
    """Checks of calibration with the share of targets `rejected` by the permutation test beside.

    Args:
        rows: See `experiments.calibration`.
        random: The published benchmark at random targets; see `evaluation.results`.
    """
    return rows.merge(random[[*_KEYS, "rejected"]], on=_KEYS, how="left")


def _p_values(rows: pd.DataFrame) -> pd.DataFrame:
    """P-values, a row a sampler and a column a check, with the order of the rows kept."""
    wide = rows.pivot(index=[*_KEYS, "rejected"], columns="check", values="p_value")
    order = pd.MultiIndex.from_frame(rows[[*_KEYS, "rejected"]].drop_duplicates())
    return wide.loc[order].reset_index()


def by_sampler(rows: pd.DataFrame, dof: int) -> pd.DataFrame:
    """P-values on one arm, beside the share of targets at which exact samples tell the sampler.

    Args:
        rows: See `joined_rows`.
        dof: Which of the arms.
    """
    return formatted(
        _p_values(rows[rows["dof"] == dof]),
        {
            "sampler": ("sampler", "refine", _refined),
            **{f"p, {LABELS[check]}": (check, _p) for check in (*_BLIND, "tarp-mean")},
            "rejected": ("rejected", percent),
        },
    )


def _refined(name: str, steps: int) -> str:
    return label(name) + (f", refine={steps}" if steps else "")


def _p(value: float) -> str:
    """A p-value; of tiny ones only that they are."""
    return "< 0.0001" if value < 1e-4 else significant(value, 2)


def _share(found: pd.Series) -> str:
    return f"{found.sum()} of {len(found)}"


def checks(rows: pd.DataFrame) -> pd.DataFrame:
    """A row a check: the level that it keeps, and which samplers it sees.

    Args:
        rows: See `joined_rows`.
    """
    cells = []
    for check in CHECKS:
        mine = rows[rows["check"] == check]
        seen = mine["p_value"] <= LEVEL
        exact, prior = (
            mine["sampler"] == "exact",
            (mine["sampler"] == "prior") & (mine["refine"] == 0),
        )
        wrong = (mine["rejected"] >= WRONG) & ~prior
        small, medium = (f"power_{size}" for size in SIZES)
        cells.append(
            {
                "check": LABELS[check],
                f"exact, {SIZES[0]}": percent(mine[exact][small].mean()),
                "prior": _share(seen[prior]),
                "wrong samplers": _share(seen[wrong]),
                f"their power, {SIZES[0]}": percent(mine[wrong][small].mean(), 0),
                f"their power, {SIZES[1]}": percent(mine[wrong][medium].mean(), 0),
            }
        )
    return pd.DataFrame(cells)


def numbers(rows: pd.DataFrame) -> dict[str, str]:
    """Numbers for the text, by key; `rows` as in `joined_rows`."""
    found: dict[str, Any] = {}
    plain = rows[rows["refine"] == 0]
    exact = rows[rows["sampler"] == "exact"]
    wrong = rows[
        (rows["rejected"] >= WRONG) & ((rows["sampler"] != "prior") | (rows["refine"] > 0))
    ]
    for check in CHECKS:
        for name, part in (("prior", plain[plain["sampler"] == "prior"]), ("wrong", wrong)):
            found[f"{name}_{check}"] = _share(part[part["check"] == check]["p_value"] <= LEVEL)
        for name in (*NETWORKS, "cgan"):
            part = plain[(plain["sampler"] == name) & (plain["check"] == check)]
            found[f"{name}_{check}"] = _share(part["p_value"] <= LEVEL)
    for name in (*NETWORKS, "cgan"):
        part = plain[plain["sampler"] == name]
        found[f"{name}_rejected"] = f"{extent(100 * part['rejected'], '{:.0f}')} %"
        hpd = part[part["check"] == "hpd"]
        found[f"{name}_coverage"] = f"{extent(100 * hpd['coverage_50'], '{:.0f}')} %"
    one = rows.iloc[0]
    return {
        "simulations": f"{one['simulations']:,}",
        "samples": str(one["samples"]),
        "arms": joined(sorted(rows["dof"].unique())),
        "level": f"{100 * LEVEL:g} %",
        "wrong_from": percent(WRONG, 0),
        "sizes": joined(SIZES),
        **{f"exact_{size}": percent(exact[f"power_{size}"].mean()) for size in SIZES},
        "exact_seen": _share(exact["p_value"] <= LEVEL),
        **found,
    }
