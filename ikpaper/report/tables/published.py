"""Tables and statistics of the page on what the published numbers measure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import partial
from typing import Any

import pandas as pd

from ikpaper import paper
from ikpaper.arm import PlanarArm
from ikpaper.dataset import profile_dataset
from ikpaper.evaluation import PLOTTED_SIGMA
from ikpaper.format import (
    concise,
    extent,
    fixed,
    joined,
    percent,
    percent_extent,
    significant,
    with_interval,
)
from ikpaper.models import INN, build
from ikpaper.profiles import Profile
from ikpaper.report.tables.base import NETWORKS, by_sampler, formatted, interval, label, reported

#: Closer than that, and scores over 1000 targets cannot separate two networks.
_TIE = 1.05

#: Differences of mismatches, to four places.
_FOUR = partial(fixed, digits=4)


def _values(scores: pd.DataFrame) -> pd.DataFrame:
    """Posterior mismatches, those of both networks in a cell, by DoF (rows) and source."""
    ours = by_sampler(scores)
    values = {
        "plotted": reported("report_figure")["e_posterior"],
        "files": reported("authors_results")["e_posterior"],
        "wide": ours["e_posterior_wide"],
        "narrow": ours["e_posterior"],
        "exact": ours["mmd2"],
    }
    networks = {source: found.unstack()[list(NETWORKS)] for source, found in values.items()}
    return pd.DataFrame({source: both.apply(tuple, axis=1) for source, both in networks.items()})


def _winner(values: tuple[float, float]) -> str:
    """Which network has the smaller value, or `tie`."""
    (low, high), (cvae, inn) = sorted(values), values
    return "tie" if high < _TIE * low else label("cvae" if cvae < inn else "inn")


def winners(scores: pd.DataFrame, sigma: float) -> pd.DataFrame:
    """Which network has the smaller posterior mismatch, by source and reference.

    Args:
        scores: Tidy scores of all arms; see `evaluation.PaperProtocol.score`.
        sigma: Prior of the data, in radians.
    """

    def cell(values: tuple[float, float]) -> str:
        return f"{_winner(values)} ({', '.join(map(significant, sorted(values)))})"

    headers = {
        "plotted": f"plotted, {PLOTTED_SIGMA:g} rad",
        "files": f"result files, {sigma:g} rad",
        "wide": f"ours, {PLOTTED_SIGMA:g} rad",
        "narrow": f"ours, {sigma:g} rad",
        "exact": "ours, exact",
    }
    table = _values(scores).map(cell, na_action="ignore").rename(columns=headers)
    return table.rename_axis("DoF").reset_index()


def printed(rows: pd.DataFrame, dof: int) -> pd.DataFrame:
    """The mismatches that the slides print for one target, beside ours by the reference's prior.

    Args:
        rows: See `experiments.ground_truth.mismatch_at_target`.
        dof: The arm.
    """
    slides = reported("slides")["e_posterior", dof]
    columns = ["reference_sigma", "value", "low", "high"]
    return pd.DataFrame(
        {
            "sampler": label(str(name)),
            "printed": concise(slides[name]) if name in slides else "–",
            **{f"ours, {s:g} rad": with_interval(*ends) for s, *ends in group[columns].to_numpy()},
        }
        for name, group in rows.groupby("sampler", sort=False)
    )


def printed_numbers(rows: pd.DataFrame, dof: int) -> dict[str, str]:
    """Numbers of `printed` for the text, by key.

    Values as printed (`printed_cvae`), and ours against ground truth of the widest prior
    (`printed_cvae_wide`) and of the narrowest (`printed_cvae_narrow`).

    Args:
        rows: As in `printed`.
        dof: The arm.
    """
    slides = reported("slides")["e_posterior", dof]
    numbers = {f"printed_{name}": concise(value) for name, value in slides.items()}
    values = rows.set_index(["reference_sigma", "sampler"])["value"]
    sigmas = {"wide": rows["reference_sigma"].max(), "narrow": rows["reference_sigma"].min()}
    for which, sigma in sigmas.items():
        for name, value in values[sigma].items():
            numbers[f"printed_{name}_{which}"] = significant(value, 2)
    return numbers


def wins(scores: pd.DataFrame) -> dict[str, str]:
    """On how many arms the INN is ahead, for the text, by source: `inn_plotted`, `inn_files`, ...

    Args:
        scores: As in `winners`.
    """
    numbers = {}
    for source, cells in _values(scores).map(_winner, na_action="ignore").items():
        found = list(cells.dropna())
        won, ties = found.count(label("inn")), found.count("tie")
        numbers[f"inn_{source}"] = f"{won} of {len(found)}" + f" (tied on {ties})" * bool(ties)
    return numbers


def wide_prior(scores: pd.DataFrame) -> dict[str, str]:
    """What samplers score against the ground truth of the published plot, over the arms.

    Args:
        scores: As in `winners`.

    Returns:
        The ranges of the exact posterior and the prior, `exact_wide` and `prior_wide`, and of the
        networks in the plot, `plotted`.
    """
    wide = by_sampler(scores)["e_posterior_wide"]
    numbers = {f"{name}_wide": extent(wide.xs(name, level=1)) for name in ("exact", "prior")}
    return {**numbers, "plotted": extent(reported("report_figure")["e_posterior"])}


def near_the_edge(edge: pd.DataFrame, singles: pd.DataFrame, profile: Profile) -> dict[str, str]:
    """How far the tolerance of rejection sampling matters near full reach, for the text.

    Args:
        edge: Bias of rejection sampling at targets near full reach, of which the slides' is the
            nearest: columns `gap`, `eps`, `mmd2`, `low`, `high`. See
            `experiments.ground_truth.rejection_bias`.
        singles: Scores at one target of each arm; see `evaluation.single_target`.
        profile: Tolerance and test targets.

    Returns:
        By key: `edge_shares` of the test targets by arm; of the slides' 6-DoF target its distance
        `edge`, the bias there with its interval, `edge_bias`, and mismatches as the slides print
        them (`edge_printed`) and of the exact sampler (`edge_exact`).
    """
    shares = []
    for dof in PlanarArm.PAPER_DOF:
        arm = PlanarArm.paper(dof)
        _, tcp = profile_dataset(arm, profile).test
        shares.append(float((arm.reach - tcp.norm(dim=1) < profile.eps).double().mean()))
    coarse = edge[edge["eps"] == edge["eps"].max()]
    nearest = coarse.loc[coarse["gap"].idxmin()]
    printed = reported("slides").loc["e_posterior", 6]
    exact = singles.set_index(["dof", "sampler"]).loc[(6, "exact"), "e_posterior"]
    return {
        "edge_shares": joined(fixed(100 * share, 0) for share in shares) + "\xa0%",
        "edge": percent(nearest["gap"], 2),
        "edge_bias": with_interval(*nearest[["mmd2", "low", "high"]]),
        "edge_printed": " and ".join(map(concise, sorted(printed))),
        "edge_exact": significant(exact, 2),
    }


def _above_exact(scores: pd.DataFrame) -> pd.DataFrame:
    """e_posterior by DoF of the ground truths and the authors' networks.

    The ends of the exact sampler's interval are in `exact_low` and `exact_high`; what of the
    networks' is above its mean is in `cvae_left` and `inn_left`.
    """
    means = by_sampler(scores)
    own = means["e_posterior"].unstack()[["rejection", "exact"]]
    for end in ("low", "high"):
        own[f"exact_{end}"] = means[f"e_posterior_{end}"].xs("exact", level="sampler")
    files = reported("authors_results")["e_posterior"].unstack()
    table = own.join(files[list(NETWORKS)])
    for name in NETWORKS:
        table[f"{name}_left"] = table[name] - table["exact"]
    return table


def floor(scores: pd.DataFrame) -> pd.DataFrame:
    """The authors' corrected values beside a perfect model's scores; as in `winners`."""
    return formatted(
        _above_exact(scores).reset_index(),
        {
            "DoF": "dof",
            "exact posterior": interval("exact"),
            **{f"{label(name)}, result files": (name, 3) for name in NETWORKS},
            **{f"{label(name)}, above exact": (f"{name}_left", _FOUR) for name in NETWORKS},
            "rejection sampling": ("rejection", 3),
        },
    )


def left(scores: pd.DataFrame) -> dict[str, str]:
    """Where the authors' values lie above the exact sampler's interval, and by how much.

    By key, `left_cvae` and `left_inn`: `0.0040 to 0.0051 with 6, 8 and 10 joints`.

    Args:
        scores: As in `winners`.
    """
    table = _above_exact(scores)
    numbers = {}
    for name in NETWORKS:
        above = table[table[name] > table["exact_high"]]
        numbers[f"left_{name}"] = (
            f"{extent(above[f'{name}_left'], _FOUR)} with {joined(above.index)} joints"
            if len(above)
            else "on no arm"
        )
    return numbers


def hulls(singles: pd.DataFrame) -> pd.DataFrame:
    """Printed areas of convex hulls beside perimeter and area of ours.

    Args:
        singles: As in `near_the_edge`.
    """
    ours = singles.set_index(["dof", "sampler"])
    printed = reported("report")["hull_perimeter"]
    return pd.DataFrame(
        {
            "DoF": dof,
            "model": label(name),
            "printed as area": concise(printed[dof, name]),
            "our perimeter": significant(ours.loc[(dof, name), "hull_perimeter"]),
            "our area": significant(ours.loc[(dof, name), "hull_area"]),
        }
        for dof in paper.TARGETS
        for name in NETWORKS
    )


def _resimulation(scores: pd.DataFrame) -> pd.DataFrame:
    """Re-simulation errors of the networks: the authors' (`files`) and ours (`formula`)."""
    ours = by_sampler(scores)["e_resim_test"].rename("formula")
    files = reported("authors_results")["e_resim_halved"].rename("files")
    files.index.names = ours.index.names
    return pd.concat([files, ours], axis=1, join="inner").sort_index().reset_index()


def halved(scores: pd.DataFrame) -> pd.DataFrame:
    """Re-simulation errors: the authors' values, ours by the formula, and half of ours."""
    rows = _resimulation(scores)
    return formatted(
        rows.assign(half=0.5 * rows["formula"]),
        {
            "DoF": "dof",
            "model": ("sampler", label),
            "result files": ("files", concise),
            "ours, formula": ("formula", 3),
            "ours, halved": ("half", 3),
        },
    )


def halves(scores: pd.DataFrame) -> dict[str, str]:
    """For how many of the `halves` networks the half is nearer to the authors' value."""
    rows = _resimulation(scores)
    # Nearer on a logarithmic scale: below the geometric mean of the two, ours / sqrt(2).
    nearer = rows["files"] < rows["formula"] / math.sqrt(2)
    return {"halves": str(len(rows)), "halves_nearer": str(int(nearer.sum()))}


def _schedule(records: Mapping[int, Mapping[str, Any]]) -> pd.DataFrame:
    """Learning rates of the INN's training beside the ramp of L_p(x), a row an arm."""
    rows = []
    for dof, record in records.items():
        rates = pd.Series({row["epoch"]: row["learning_rate"] for row in record["history"]})
        model, epochs = build(INN.name, dof), record["training"]["epochs"]
        assert isinstance(model, INN)
        # A weight is that of an epoch's first step.
        weights = pd.Series({epoch: model.ramp((epoch - 1) / epochs) for epoch in rates.index})
        first, full = rates.index[rates < rates.max()].min(), weights.index[weights >= 1].min()
        rows.append(
            {
                "dof": dof,
                "start": rates.max(),
                "first": first,
                "weight": weights[first],
                "full": full,
                # What it is at the end of an epoch, the next one trains with.
                "rate": rates[full - 1],
                "last": rates.iloc[-1],
            }
        )
    return pd.DataFrame(rows)


def schedule(records: Mapping[int, Mapping[str, Any]]) -> pd.DataFrame:
    """When the plateau schedule lowered the INN's learning rate, beside the ramp of L_p(x).

    Args:
        records: Training records of the INN by DoF; see `training.train`.
    """
    return formatted(
        _schedule(records),
        {
            "DoF": "dof",
            "rate at the start": ("start", 2),
            "first lowered after epoch": "first",
            "weight of L_p(x) at that epoch": ("weight", lambda share: percent(share, 0)),
            "full weight from epoch": "full",
            "rate at full weight": ("rate", 2),
            "rate at the end": ("last", 2),
        },
    )


def schedule_numbers(records: Mapping[int, Mapping[str, Any]]) -> dict[str, str]:
    """Extents over the arms, by key; `records` as in `schedule`."""
    rows = _schedule(records)
    return {
        "lowered": extent(rows["first"], "{:.0f}"),
        "lowered_weight": percent_extent(rows["weight"]),
        "full_weight": extent(rows["full"], "{:.0f}"),
        "slower": extent(rows["start"] / rows["rate"], "{:,.0f}"),
    }
