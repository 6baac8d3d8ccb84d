"""Tables of the page on calibration: what each check sees of every sampler."""

from __future__ import annotations

import pandas as pd

from ikpaper.evaluation import LEVEL
from ikpaper.experiments.calibration import CHECKS, SIZES
from ikpaper.format import joined, percent, percent_extent, significant
from ikpaper.report.tables.base import NETWORKS, formatted, label

#: How checks are called in tables and figures.
LABELS = {
    "sbc": "SBC",
    "hpd": "HPD coverage",
    "tarp": "blind TARP",
    "tarp-nearest": "nearest TARP",
    "tarp-mean": "mean TARP",
    "classifier": "classifier",
}

#: Checks whose p-values stand in the tables of the arms.
_TABULATED = ("sbc", "hpd", "tarp-mean", "classifier")

#: A sampler counts as wrong that the permutation test rejects at this share of the targets.
WRONG = 0.5

#: Samplers whose samples steps onto the target change much.
_REFINED = ("prior", "lookup", "lookup-large", *NETWORKS)

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
            "sampler": ("sampler", "refine", label),
            **{f"p, {LABELS[check]}": (check, _p) for check in _TABULATED},
            "rejected": ("rejected", percent),
        },
    )


def _p(value: float) -> str:
    """A p-value; of tiny ones only that they are."""
    return "<\xa00.0001" if value < 1e-4 else significant(value, 2)


def _share(found: pd.Series) -> str:
    return f"{found.sum()} of {len(found)}"


def shown(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows of the figure: those with steps onto the target only where these change much."""
    return rows[(rows["refine"] == 0) | rows["sampler"].isin(_REFINED)]


def checks(rows: pd.DataFrame) -> pd.DataFrame:
    """A row a check: the level that it keeps, and which samplers it sees.

    Args:
        rows: See `joined_rows`.
    """
    cells = []
    for check in CHECKS:
        group = rows[rows["check"] == check]
        exact, wrong = _of(group, "exact"), group[_wrong(group)]
        cells.append(
            {
                "check": LABELS[check],
                f"exact samples, {SIZES[0]}": percent(exact[f"power_{SIZES[0]}"].mean()),
                "finds the prior": _share(_found(_of(group, "prior"))),
                "finds others": _share(_found(wrong)),
                **{f"power, {size}": percent(wrong[f"power_{size}"].mean(), 0) for size in SIZES},
            }
        )
    return pd.DataFrame(cells)


def numbers(rows: pd.DataFrame) -> dict[str, str]:
    """Numbers for the text, by key; `rows` as in `joined_rows`."""
    wrong, exact, one = rows[_wrong(rows)], _of(rows, "exact"), rows.iloc[0]
    parts = {name: _of(rows, name) for name in ("prior", *NETWORKS, "cgan")}
    seen = {
        f"{name}_{check}": _share(_found(own))
        for name, part in {**parts, "wrong": wrong}.items()
        for check, own in part.groupby("check")
    }
    counts = _found(wrong).groupby(wrong["check"]).sum()
    best = [check for check in CHECKS if counts[check] == counts.max()]
    least = wrong.groupby(_KEYS)["p_value"].min()
    density = rows[rows["check"] == "hpd"]
    plain = density[_wrong(density) & (density["refine"] == 0)]
    moved = density[density["refine"] > 0]
    pairs = plain.merge(moved, on=["dof", "sampler"], suffixes=("", "_moved"))
    return {
        "simulations": f"{one['simulations']:,}",
        "samples": str(one["samples"]),
        "arms": joined(sorted(rows["dof"].unique())),
        "level": f"{100 * LEVEL:g}\xa0%",
        "wrong_from": percent(WRONG, 0),
        "exact_count": str(len(exact)),
        "exact_found": str(_found(exact).sum()),
        "prior_ball": _covered(_of(rows, "prior"), "tarp-mean"),
        "unseen": _share(least > LEVEL),
        "hpd_plain": _share(_found(pairs)),
        "hpd_moved": _share(pairs["p_value_moved"] <= LEVEL),
        "best": joined(LABELS[check] for check in best),
        "wrong_best": seen[f"wrong_{best[0]}"],
        "cgan_rejected": percent_extent(parts["cgan"]["rejected"]),
        **seen,
        **{
            f"passed_prior_{check}": _share(~_found(own))
            for check, own in parts["prior"].groupby("check")
        },
        **{f"{name}_coverage": _covered(parts[name], "hpd") for name in (*NETWORKS, "cgan")},
    }


def _of(rows: pd.DataFrame, name: str) -> pd.DataFrame:
    """Rows of a sampler as it is, without steps onto the target."""
    return rows[(rows["sampler"] == name) & (rows["refine"] == 0)]


def _wrong(rows: pd.DataFrame) -> pd.Series:
    """Which rows are of samplers that exact samples tell, but for the prior."""
    prior = (rows["sampler"] == "prior") & (rows["refine"] == 0)
    return (rows["rejected"] >= WRONG) & ~prior


def _found(rows: pd.DataFrame) -> pd.Series:
    """Which rows a check rejects with all simulations."""
    return rows["p_value"] <= LEVEL


def _covered(rows: pd.DataFrame, check: str) -> str:
    return percent_extent(rows[rows["check"] == check]["coverage_50"])
