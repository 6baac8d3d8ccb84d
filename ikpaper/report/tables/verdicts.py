"""What becomes of the paper's conclusions: each with a word, and a sentence of numbers."""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd

from ikpaper.format import joined, percent_extent, significant
from ikpaper.models import INN
from ikpaper.profiles import Profile
from ikpaper.report.tables.base import (
    ERRORS,
    NETWORKS,
    UNDECIDED,
    better,
    by_network,
    by_sampler,
    label,
    over_seeds,
    reported,
    sides,
)

HOLDS, REVERSED = "holds", "reversed"

#: The two comparisons of networks that the paper draws: score, who it has ahead, and in words.
_COMPARED = {
    "e_resim": ("e_resim_best", "cvae", "re-simulation error"),
    "posterior": ("mmd2", "inn", "MMD² to exact samples"),
}


#: The paper's conclusions in its order, by key.
_CONCLUSIONS = {
    "search": "Bayesian optimisation finds the best hyperparameters",
    "e_resim": "The cVAE is better by the re-simulation error",
    "posterior": "The INN is better at the posterior",
    "inverse": "The INN needs its backward training",
}


def overall(words: Iterable[str]) -> str:
    """One word for several arms: what most of them have, if no arm has the opposite.

    Args:
        words: `HOLDS`, `REVERSED` or `UNDECIDED`, one an arm.

    Example:
        >>> overall(["holds", "holds", "undecided"]), overall(["holds", "holds", "reversed"])
        ('holds', 'undecided')
    """
    listed = list(words)
    for word, opposite in ((HOLDS, REVERSED), (REVERSED, HOLDS)):
        if 2 * listed.count(word) > len(listed) and opposite not in listed:
            return word
    return UNDECIDED


def ahead(scores: pd.DataFrame, runs: pd.DataFrame, quantity: str) -> pd.Series:
    """The network that is better by a score, or `UNDECIDED`, by DoF.

    An arm is undecided if the 95 % intervals of the two networks overlap, or the ranges over
    their training runs.

    Args:
        scores: Tidy scores of some arms; see `evaluation.PaperProtocol.score`.
        runs: Tidy scores with a column `seed`; see `experiments.seeds`.
        quantity: The score: `mmd2`, `e_posterior` or `e_resim_best`.
    """
    networks = better(by_sampler(scores), quantity)
    spread = over_seeds(scores, runs, quantity)
    cvae, inn = (spread.xs(name, level="sampler") for name in NETWORKS)
    return networks.mask(sides(inn, cvae) == "among", UNDECIDED)


def arms(scores: pd.DataFrame, runs: pd.DataFrame, comparison: str) -> pd.Series:
    """Whether a comparison of the paper's networks holds, by DoF.

    Args:
        scores: As in `ahead`.
        runs: As in `ahead`.
        comparison: `e_resim`, where the paper has the cVAE ahead, or `posterior`, the INN.
    """
    quantity, claimed, _ = _COMPARED[comparison]
    words = {label(name): HOLDS if name == claimed else REVERSED for name in NETWORKS}
    return ahead(scores, runs, quantity).map({**words, UNDECIDED: UNDECIDED})


def _by_arm(words: pd.Series) -> str:
    """Which arms have which word, as `holds with 4 and 6 joints, is undecided with 8`."""
    parts: list[str] = []
    for word in (HOLDS, REVERSED, UNDECIDED):
        if found := list(words.index[words == word]):
            is_ = "" if word == HOLDS else "is "
            parts.append(f"{is_}{word} with {joined(found)}" + " joints" * (not parts))
    return joined(parts)


def _compared(scores: pd.DataFrame, runs: pd.DataFrame, comparison: str) -> tuple[str, str]:
    """The word for a comparison of the networks, and its sentence; as in `arms`."""
    words, (quantity, _, name) = arms(scores, runs, comparison), _COMPARED[comparison]
    means = by_sampler(scores)[quantity].groupby(level="sampler").mean()
    return overall(words), (
        f"In the mean over the arms, the {name} is {by_network(means)}. The claim {_by_arm(words)}."
    )


def _searched(pairs: pd.DataFrame, runs: pd.DataFrame, profile: Profile) -> tuple[str, str]:
    """Whether what the paper's search found is better than what another one finds."""
    mmd2 = pairs.xs("mmd2", level="quantity").unstack("setting").dropna()
    group = runs[(runs["profile"] == profile.name) & (runs["quantity"] == "mmd2")]
    spread = group.groupby(["sampler", "dof"])["value"].agg(["min", "max"]).reindex(mmd2.index)
    found, printed = (mmd2.xs(setting, axis=1, level=1) for setting in ("found", "printed"))
    words = pd.Series(UNDECIDED, mmd2.index)
    words[found["high"] < printed["low"]] = REVERSED
    words[printed["high"] < found["low"]] = HOLDS
    words[found["value"].between(spread["min"], spread["max"])] = UNDECIDED
    listed = list(words)
    models = joined(dict.fromkeys(label(model) for model, _ in words.index))
    return overall(listed), (
        f"After full training of the {models}, the found hyperparameters have the smaller MMD² on "
        f"{_some(listed.count(REVERSED))} of {len(listed)} arms, the printed ones on "
        f"{_some(listed.count(HOLDS))}; on {_some(listed.count(UNDECIDED))} the difference is "
        "undecided."
    )


def _some(count: int) -> str:
    return str(count or "none")


def _trained_backwards(variants: pd.DataFrame, posterior: pd.Series) -> tuple[str, str]:
    """Whether the INN is worse without the losses of its inverse passes."""
    inn = variants[(variants["model"] == INN.name) & (variants["outcome"] == "trained")]
    default, without = (
        inn.loc[inn["variant"].isin(some), list(ERRORS)]
        for some in (["INN as published"], ["without both"])
    )
    larger, smaller = (without.min() > default.max()), (without.max() < default.min())
    word = HOLDS if larger.all() else REVERSED if smaller.all() else UNDECIDED
    ratios = without.mean() / default.mean()
    times = joined(
        f"{significant(ratios[key], 2)} times the {name}" for key, name in ERRORS.items()
    )
    behind = int((posterior == REVERSED).sum())
    return word, (
        f"Without both inverse losses the INN has {times} ({inn['dof'].iloc[0]} joints, a smaller "
        f"budget). That it matches the cVAE with them does not follow: its MMD² is the larger one "
        f"on {behind} of {len(posterior)} arms."
    )


def conclusions(
    scores: pd.DataFrame,
    runs: pd.DataFrame,
    variants: pd.DataFrame,
    pairs: pd.DataFrame,
    profile: Profile,
) -> pd.DataFrame:
    """The paper's conclusions in its order, each with a word and a sentence.

    Args:
        scores: As in `ahead`.
        runs: As in `ahead`.
        variants: Ablations, a row a training run; see `experiments.ablations`.
        pairs: Printed and found hyperparameters, trained in full; see `studies.in_full`.
        profile: Profile of the scores.

    Returns:
        Columns `conclusion`, `verdict` and `why`, indexed by a key a conclusion.
    """
    found = {
        "search": _searched(pairs, runs, profile),
        **{each: _compared(scores, runs, each) for each in _COMPARED},
        "inverse": _trained_backwards(variants, arms(scores, runs, "posterior")),
    }
    table = pd.DataFrame.from_dict(found, orient="index", columns=["verdict", "why"])
    table.insert(0, "conclusion", pd.Series(_CONCLUSIONS))
    return table.assign(verdict=table["verdict"].str.capitalize())


def plotted(scores: pd.DataFrame) -> dict[str, str]:
    """What the published mismatch is made of, for the text; `scores` as in `ahead`.

    Returns:
        By key: on how many arms the plot has the INN ahead (`claim`), and on how many its ground
        truth puts our INN before exact samples (`exact_behind`); what exact samples score, as a
        share of the authors' corrected values (`floor_cvae`, `floor_inn`); and which of our
        networks score less than that (`below_floor`).
    """
    plot = reported("report_figure")["e_posterior"].unstack()
    files = reported("authors_results")["e_posterior"].unstack()
    own = by_sampler(scores)
    wide = own["e_posterior_wide"].unstack()
    exact = own["e_posterior"].xs("exact", level="sampler")
    count = len(plot)
    found = {
        "claim": f"{int((plot['inn'] < plot['cvae']).sum())} of {count}",
        "exact_behind": f"{int((wide['exact'] > wide['inn']).sum())} of {count}",
    }
    below = [
        f"the {label(name)} with {joined(lower)} joints"
        for name in NETWORKS
        if (lower := list(exact.index[own["e_posterior"].xs(name, level="sampler") < exact]))
    ]
    found["below_floor"] = f"{joined(below) or 'none'} {'lie' if len(below) > 1 else 'lies'}"
    for name in NETWORKS:
        found[f"floor_{name}"] = percent_extent(exact / files[name])
    return found


#: The words of the page that goes through the slides.
_OUTCOMES = {HOLDS: "reproduced", REVERSED: "corrected", UNDECIDED: "extended"}

#: The conclusion that the slides state without a measurement: there is none to reproduce.
_ONLY_STATED = "inverse"


def numbers(table: pd.DataFrame) -> dict[str, str]:
    """The words of `conclusions`, by key: `verdict_e_resim`, `outcome_e_resim` and so on."""
    found = {}
    for key, word in table["verdict"].items():
        found[f"verdict_{key}"] = word
        found[f"outcome_{key}"] = "extended" if key == _ONLY_STATED else _OUTCOMES[word.lower()]
    return found
