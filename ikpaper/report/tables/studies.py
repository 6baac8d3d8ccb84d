"""Tables and statistics of the page that repeats the paper's search."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from ikpaper import paper
from ikpaper.arm import PlanarArm
from ikpaper.format import concise, extent, joined, percent, significant, with_interval
from ikpaper.models import count_parameters, model_type
from ikpaper.profiles import Profile
from ikpaper.report.tables.base import ERRORS, UNDECIDED, label, sides
from ikpaper.report.tables.search import PARAMETERS, core_hours, position
from ikpaper.search import AS_PRINTED, INITIAL_POINTS, Study, StudyRecord, load_studies
from ikpaper.statistics import rank_correlation

#: A network and the DoF of an arm.
Place = tuple[str, int]

#: Scores that the search is held against, and how tables call them.
_SCORES: Mapping[str, str] = {
    "e_posterior": "e_posterior",
    "mmd2": "unbiased MMD²",
    "e_resim_test": "E‖f(θ) − y‖²",
    "loss": "training loss",
}

#: What the paper prints for each network, by DoF.
_PRINTED: Mapping[str, paper.Table] = {"cvae": paper.CVAE_TABLE, "inn": paper.INN_TABLE}

#: A value so close to an end of its range, as a share of it, is at a bound.
NEAR = 0.02

#: Trials trained anew that it takes for a rank correlation.
_ENOUGH = 8

#: What sentences compare what was found and what is printed by.
_COMPARED: Mapping[str, str] = {
    "loss": "training loss",
    "mmd2": ERRORS["mmd2"],
    "e_resim_test": ERRORS["e_resim_test"],
}

#: Share of the trials of a study that counts as its good ones.
_GOOD = 0.25

#: Objectives that differ by less than this share are those of the same collapsed posterior.
_SAME = 0.01


@dataclass(frozen=True)
class Studies:
    """Studies that search what the slides' search does.

    Attributes:
        records: The studies.
        trial: Profile of the trials.
    """

    records: tuple[StudyRecord, ...]
    trial: Profile

    @classmethod
    def load(cls, trial: Profile, root: Path | None = None) -> Studies:
        """Those in a folder, by default the published ones; others there are left out.

        Raises:
            FileNotFoundError: If no Bayesian study is among them.
        """
        found = [record for record in load_studies(root) if _is_the_papers(record, trial)]
        studies = cls(tuple(found), trial)
        if not studies.first:
            raise FileNotFoundError(
                "no Bayesian study of a paper's arm; make one with: ikpaper search"
            )
        return studies

    def by_place(self, method: str) -> dict[Place, list[StudyRecord]]:
        """Studies whose trials were proposed so, of several seeds the longest first."""
        places: dict[Place, list[StudyRecord]] = {}
        for record in sorted(self.records, key=lambda record: -len(record.trials)):
            if record.study.method == method:
                some = places.setdefault((record.study.model, record.study.arm.dof), [])
                # Trials that may be stopped early and others do not share a panel.
                if not some or some[0].study.early_stopping == record.study.early_stopping:
                    some.append(record)
        return dict(sorted(places.items()))

    @cached_property
    def first(self) -> dict[Place, StudyRecord]:
        """The longest Bayesian study of each network and arm."""
        return {place: records[0] for place, records in self.by_place("bayesian").items()}

    def trials(self, method: str) -> dict[str, list[pd.DataFrame]]:
        """Trials of all studies by the title of their network and arm."""
        return {
            title(place): [record.trials for record in records]
            for place, records in self.by_place(method).items()
        }


def _is_the_papers(record: StudyRecord, trial: Profile) -> bool:
    study, kind = record.study, model_type(record.study.model)
    return (
        study.arm in map(PlanarArm.paper, PlanarArm.PAPER_DOF)
        and study.objective == "loss"
        and study.profile == trial
        and study.epochs == kind.epochs_for(trial)
        and dict(study.bounds) == dict(kind.search_ranges)
        and record.trials["objective"].notna().any()
    )


def title(place: Place) -> str:
    """A network and an arm, as `cVAE, 6 DoF`."""
    return f"{label(place[0])}, {place[1]} DoF"


def _listed(places: Iterable[Place]) -> str:
    """Networks and arms in a sentence, as `cVAE (4, 6 DoF) and INN (8 DoF)`."""
    arms: dict[str, list[str]] = {}
    for model, dof in places:
        arms.setdefault(model, []).append(str(dof))
    return " and ".join(f"{label(model)} ({', '.join(dofs)} DoF)" for model, dofs in arms.items())


def _listing(before: str, items: Iterable[str], after: str = ".", *, between: str = "; ") -> str:
    """A sentence around what it lists; none if that is nothing."""
    listed = between.join(items)
    return f"{before} {listed}{after}" if listed else ""


def _again(record: StudyRecord, number: int, profile: Profile) -> pd.DataFrame:
    """Scores of a trial, or of the printed setting, that was trained anew, by quantity.

    Returns:
        Columns `value`, `low` and `high`, missing if the run diverged; no row without a run.
    """
    rows = record.confirmed
    rows = rows[(rows["trial"] == number) & (rows["profile"] == profile.name)]
    scores = rows.set_index("quantity")[["value", "low", "high"]]
    return scores.reindex(list(_SCORES)) if "diverged" in scores.index else scores


def _found(studies: Studies, profile: Profile) -> dict[Place, pd.DataFrame]:
    """Scores of the best trial of each study, trained anew; see `_again`."""
    return {
        place: _again(record, int(record.best["trial"]), profile)
        for place, record in studies.first.items()
    }


def short_studies(studies: Studies) -> str:
    """How many trials the Bayesian studies of each network have, in words."""
    counts: dict[str, list[int]] = {}
    for (model, _), record in studies.first.items():
        counts.setdefault(model, []).append(len(record.trials))
    first, *others = (f"{label(model)}'s {{}}{extent(c, '{}')}" for model, c in counts.items())
    parts = [first.format("studies have ") + " trials", *(other.format("") for other in others)]
    return f"The {', the '.join(parts)}."


def protocol(studies: Studies) -> str:
    """Where studies differ from the paper's protocol, in words."""
    first = studies.first
    short = {place: r for place, r in first.items() if len(r.trials) < paper.SEARCH_TRIALS}
    halved = [record for record in first.values() if record.study.early_stopping]
    sentences = []
    if short:
        counts, ended = (
            extent((size(record.trials) for record in short.values()), "{}")
            for size in (len, lambda trials: trials["objective"].count())
        )
        sentences.append(
            f"The studies of the {_networks(short)} were cut short after {counts} trials, of which "
            f"{ended} ran to their end."
        )
    if halved:
        full = pd.concat([r.trials[r.trials["outcome"] == "trained"] for r in halved])
        hours = paper.SEARCH_TRIALS * core_hours(full) / len(full)
        sentences.append(
            f"All {paper.SEARCH_TRIALS} of them in full would take about {significant(hours, 2)} "
            "core hours here. So successive halving, which is not in the paper, stops trials whose "
            "loss lags behind; the surrogate takes them for worse than all others, in the order of "
            "the losses that they had reached (at first: for as bad as the worst)."
        )
    reduced = {place: r for place, r in first.items() if r.study.precision != "float32"}
    if reduced:
        kinds = joined(sorted({record.study.precision for record in reduced.values()}))
        sentences.append(f"Products of the subnets are in {kinds} for the {_networks(reduced)}.")
    return " ".join(sentences)


def _networks(places: Iterable[Place]) -> str:
    return joined(dict.fromkeys(label(model) for model, _ in places))


def overview(studies: Studies) -> pd.DataFrame:
    """All studies, with their best objective and what they cost."""
    rows = []
    for record in studies.records:
        study, trials = record.study, record.trials
        lagging = trials["outcome"] == "stopped: lagging"
        rows.append(
            {
                "network": label(study.model),
                "DoF": study.arm.dof,
                "proposals": f"{study.method}, seed {study.seed}".replace("bayes", "Bayes"),
                "best": significant(record.best["objective"]),
                "trials": len(trials),
                "ended": int(trials["objective"].count()),
                "stopped": int(lagging.sum()),
                "core hours": significant(core_hours(trials), 2),
                "failed": int((trials["objective"].isna() & ~lagging).sum()),
                "in trial": int(record.best["trial"]),
                "median [s]": f"{trials['seconds'].median():,.0f}",
                "profile": study.profile.name,
            }
        )
    return pd.DataFrame(rows)


def surrogate(studies: Studies) -> str:
    """What Bayesian studies found beside as many random trials, in words."""
    sentences = []
    bayesian = studies.trials("bayesian")
    for place, tables in studies.trials("random").items():
        objectives = pd.concat(tables)["objective"]
        for table in bayesian.get(place, []):
            # The same budget for both.
            budget = min(len(table), len(objectives))
            best = table["objective"].iloc[:budget].min()
            sentences.append(
                f"{place}: the best of the first {budget} Bayesian trials has an objective of "
                f"{significant(best)}, that of {len(objectives)} random ones ({len(tables)} "
                f"seeds) {significant(objectives.min())}."
            )
    return " ".join(sentences)


def early(studies: Studies) -> str:
    """Studies whose best trial is one of the random ones that open them, in words."""
    places = [
        f"{title(place)} ({len(record.trials) - INITIAL_POINTS} proposals)"
        for place, record in studies.first.items()
        if record.best["trial"] <= INITIAL_POINTS < len(record.trials)
    ]
    return _listing(
        "No proposal of the surrogate was better than the random trials that open the study of",
        places,
    )


def collapse(studies: Studies) -> str:
    """Where many random trials end alike, with no KL term left, in words."""
    sentences = []
    for place, records in studies.by_place("random").items():
        trials = pd.concat([record.trials for record in records])
        usual = trials["objective"].quantile(0.75)
        alike = trials[(trials["objective"] / usual - 1).abs() < _SAME]
        again = pd.concat([record.confirmed for record in records])
        same = (again["objective"] / usual - 1).abs() < _SAME
        kl = again[same & (again["quantity"] == "loss: kl")]["value"]
        if len(alike) > len(trials) / 4 and len(kl):
            sentences.append(
                f"Of the random trials of {title(place)}, {len(alike)} of {len(trials)} end "
                f"within {percent(_SAME, 0)} of {significant(usual)}, with "
                f"{alike['hidden_layers'].min()} or more hidden layers. Of those, {len(kl)} "
                f"trained again ended with a KL term of {significant(kl.max(), 2)} or less: the "
                "decoder answers with a mean, whatever its latent (posterior collapse)."
            )
    return " ".join(sentences)


def good_trials(record: StudyRecord) -> str:
    """Where the best quarter of a study's trials lies in the ranges, in words."""
    trials, bounds = record.trials.dropna(subset="objective"), record.study.bounds
    good = trials.nsmallest(math.ceil(_GOOD * len(trials)), "objective")
    spans = {
        name: (extent(good[name], _setting), extent(bounds[name], _setting)) for name in bounds
    }
    return joined(
        f"{PARAMETERS[name]} {at} (searched: {'the same' if at == searched else searched})"
        for name, (at, searched) in spans.items()
    )


def _setting(value: float) -> str:
    """A hyperparameter to three digits."""
    return concise(float(f"{value:.3g}"))


def found(studies: Studies, model: str) -> pd.DataFrame:
    """Ranges, and printed and found hyperparameters of a network for each arm."""
    ranges = model_type(model).search_ranges
    names = [name for name in PARAMETERS if name in ranges]
    # Counts share a column, so that all of it fits.
    sizes = [name for name in names if isinstance(ranges[name][0], int)]
    rest = [name for name in names if name not in sizes]
    searched = [" to ".join(map(concise, ranges[name])) for name in rest]
    counts = " × ".join("{}–{}".format(*ranges[name]) for name in sizes)
    rows = [("all", "range", "–", counts, *searched, "–")]
    for (network, dof), record in studies.first.items():
        if network != model:
            continue
        loss = _again(record, AS_PRINTED, studies.trial).loc["loss", "value"]
        for setting, trial, objective in (
            ("printed", _PRINTED[model][dof], loss),
            ("found", record.best, record.best["objective"]),
        ):
            values = record.configuration(trial)
            parameters = f"{count_parameters(model, PlanarArm.paper(dof), **values):,}"
            size = " × ".join(str(values[name]) for name in sizes)
            cells = (_setting(values[name]) for name in rest)
            rows.append((str(dof), setting, significant(objective), size, *cells, parameters))
    headers = [
        *("DoF", "setting", "objective", " × ".join(PARAMETERS[name] for name in sizes)),
        *(PARAMETERS[name] for name in rest),
        "parameters",
    ]
    return pd.DataFrame(rows, columns=headers)


def _near_bounds(record: StudyRecord, trial: Mapping[str, Any] | pd.Series) -> list[str]:
    """Which hyperparameters are at a bound of their range, and which bound."""
    near = []
    for name, ends in record.study.bounds.items():
        at = float(position(trial[name], ends))
        if not NEAR < at < 1 - NEAR:
            near.append(f"{PARAMETERS[name]} ({'lower' if at <= NEAR else 'upper'})")
    return near


def _near_by_chance(ends: tuple[float, float]) -> float:
    """Probability that a value drawn anywhere in its range is at a bound."""
    low, high = ends
    if not isinstance(low, int) or not isinstance(high, int):
        return 2 * NEAR
    at = position(range(low, high + 1), ends)
    return float(((at <= NEAR) | (at >= 1 - NEAR)).mean())


def bounds(studies: Studies) -> pd.DataFrame:
    """Which hyperparameters of winners, and of what is printed, are at a bound."""
    rows = []
    for (model, dof), record in studies.first.items():
        settings = record.best, _PRINTED[model][dof]
        near = (", ".join(_near_bounds(record, each)) or "–" for each in settings)
        rows.append((label(model), dof, len(record.trials), *near))
    return pd.DataFrame(rows, columns=["network", "DoF", "trials", "found", "printed"])


def at_bounds(studies: Studies) -> dict[str, str]:
    """How many values of winners are at a bound, how many would be by chance, and shared winners.

    Returns:
        By key: `bound_count`, `bound_values` (of all values), `bound_expected`, `bound_shared`.
    """
    # Studies that open with the same random trials may share their best one.
    winners: dict[tuple[Any, ...], list[Place]] = {}
    for place, record in studies.first.items():
        values = record.configuration(record.best).values()
        winners.setdefault((place[0], *values), []).append(place)
    records = [studies.first[places[0]] for places in winners.values()]
    count = sum(len(_near_bounds(each, each.best)) for each in records)
    chances = [_near_by_chance(ends) for each in records for ends in each.study.bounds.values()]
    shared = [_listed(places) for places in winners.values() if len(places) > 1]
    after = " are one random trial, which counts once."
    return {
        "bound_count": str(count),
        "bound_values": str(len(chances)),
        "bound_expected": significant(sum(chances), 2),
        "bound_shared": _listing("The winners of", shared, after, between="; of "),
    }


def _trained_anew(studies: Studies) -> list[tuple[Study, str, pd.DataFrame]]:
    """Studies and profiles with enough trials that were trained anew.

    Returns:
        Study, name of the profile, and a row a trial, with `objective` and `_SCORES` as columns;
        infinite for a run that diverged.
    """
    tables = []
    for record in studies.records:
        rows = record.confirmed[record.confirmed["trial"] != AS_PRINTED]
        for profile, part in rows.groupby("profile"):
            scores = part.pivot(index=["trial", "objective"], columns="quantity", values="value")
            if len(scores) >= _ENOUGH:
                scores = scores.reindex(columns=list(_SCORES)).fillna(math.inf)
                tables.append((record.study, str(profile), scores.reset_index("objective")))
    return tables


def rank_panels(studies: Studies) -> dict[str, pd.DataFrame]:
    """Objective and scores of trials that were trained with more data, by title of the study."""
    panels = {}
    for study, profile, table in _trained_anew(studies):
        method = "" if study.method == "bayesian" else f", {study.method}"
        name = f"{title((study.model, study.arm.dof))}{method}, seed {study.seed}"
        panels[f"{name}, profile {profile}"] = table
    return panels


def ranks(studies: Studies) -> pd.DataFrame:
    """Rank correlation of the objective with scores after a training with more data."""
    rows = []
    for study, profile, table in _trained_anew(studies):
        rows.append(
            {
                "network": label(study.model),
                "DoF": study.arm.dof,
                "trials": len(table),
                "diverged": int((table["loss"] == math.inf).sum()),
                **{
                    header: with_interval(*rank_correlation(table["objective"], table[quantity]))
                    for quantity, header in _SCORES.items()
                },
                "profile": profile,
            }
        )
    return pd.DataFrame(rows)


def rank_counts(studies: Studies) -> dict[str, str]:
    """How many correlations with scores there are, of which sign, and networks without any.

    Returns:
        By key: `ranks_count`, `ranks_clear` (those whose interval leaves out 0), `ranks_negative`,
        `ranks_without` (those that are negative without the trial with the worst objective),
        `ranks_open`.
    """
    tables = _trained_anew(studies)
    wholes = [table for _, _, table in tables]
    trimmed = [table.drop(index=table["objective"].idxmax()) for table in wholes]
    correlations, others = (
        pd.DataFrame(
            [rank_correlation(t["objective"], t[q]) for t in kept for q in _SCORES if q != "loss"],
            columns=["value", "low", "high"],
        )
        for kept in (wholes, trimmed)
    )
    known = {study.model for study, _, _ in tables}
    unknown = [label(model) for model in _PRINTED if model not in known]
    after = f" the question is open: no study has {_ENOUGH} trials that were trained anew."
    clear = (correlations["low"] > 0) | (correlations["high"] < 0)
    return {
        "ranks_count": str(len(correlations)),
        "ranks_clear": str(clear.sum()),
        "ranks_negative": str((correlations["value"] < 0).sum() or "none"),
        "ranks_without": str((others["value"] < 0).sum()),
        "ranks_open": _listing("For the", unknown, after, between=" and the "),
    }


def _pairs(
    printed: Mapping[Place, pd.DataFrame], found: Mapping[Place, pd.DataFrame]
) -> pd.DataFrame:
    """Scores by `model`, `dof`, `setting` (printed or found) and `quantity`."""
    parts = {}
    for place in found:
        parts[(*place, "printed")] = printed[place]
        parts[(*place, "found")] = found[place]
    return pd.concat(parts, names=["model", "dof", "setting", "quantity"])


def as_trials(studies: Studies) -> pd.DataFrame:
    """Printed and found hyperparameters, trained as a trial is; see `_pairs`."""
    first, trial = studies.first, studies.trial
    printed = {place: _again(record, AS_PRINTED, trial) for place, record in first.items()}
    return _pairs(printed, _found(studies, trial))


def in_full(studies: Studies, scores: pd.DataFrame, profile: Profile) -> pd.DataFrame:
    """Printed and found hyperparameters, trained in full; see `_pairs`.

    Args:
        studies: The studies.
        scores: Tidy scores of the published networks; see `evaluation.PaperProtocol.score`.
        profile: Their profile.
    """
    published = scores.set_index(["sampler", "dof", "quantity"]).sort_index()
    published = published[["value", "low", "high"]]
    found = _found(studies, profile)
    pairs = _pairs({place: published.loc[place] for place in found}, found)
    return pairs.drop(index="loss", level="quantity", errors="ignore")


def _verdicts(pairs: pd.DataFrame) -> pd.DataFrame:
    """Whether what was found has the `lower` score or the `higher`, of pairs that are complete.

    Where intervals overlap it is undecided; the loss has none.

    Returns:
        A row a network and arm, a column a quantity.
    """
    values = pairs.unstack("setting").dropna(subset=[("value", "printed"), ("value", "found")])
    low, high = (values[end].fillna(values["value"]) for end in ("low", "high"))
    verdicts = pd.Series(UNDECIDED, values.index)
    verdicts[high["found"] < low["printed"]] = "lower"
    verdicts[low["found"] > high["printed"]] = "higher"
    return verdicts.unstack("quantity")


def worth(pairs: pd.DataFrame, trained: str) -> str:
    """For how many networks what was found has the lower scores, or the higher ones, in words.

    Empty if no pair is complete.

    Args:
        pairs: As `as_trials` and `in_full` return them.
        trained: How both were trained, as the sentence begins.
    """
    verdicts = _verdicts(pairs)
    if verdicts.empty:
        return ""
    parts: list[str] = []
    for quantity, name in _COMPARED.items():
        if quantity in verdicts:
            counts = (verdicts[quantity] == word for word in ("lower", "higher"))
            lower, higher = (int(count.sum()) for count in counts)
            count = "all" if lower == len(verdicts) else str(lower or "none")
            if not parts:
                count += f" {lower} networks" if count == "all" else f" of {len(verdicts)} networks"
            but = f" (the higher for {higher})" if higher else ""
            parts.append(f"the lower {name} for {count}{but}")
    done = verdicts.index.unique("model")
    if len(done) < len(pairs.index.unique("model")):
        trained += f" ({joined(map(label, done))} only)"
    return f"{trained}, the found settings have {joined(parts)}."


def winners(pairs: pd.DataFrame, profile: Profile) -> pd.DataFrame:
    """A row for each network and arm whose winner was trained: scores of found over printed.

    Then the scores of both.

    Args:
        pairs: As `as_trials` and `in_full` return them.
        profile: Of the training.
    """
    verdicts = _verdicts(pairs)
    rows = []
    for place, scores in pairs.sort_index().groupby(level=["model", "dof"]):
        if "found" not in scores.index.unique("setting"):
            continue
        of = {setting: scores.xs((*place, setting)) for setting in ("printed", "found")}
        names = {q: _SCORES[q] for q in (*_COMPARED, "e_posterior") if q in of["printed"].index}
        ratios = of["found"]["value"] / of["printed"]["value"]
        rows.append(
            {
                "network": label(place[0]),
                "DoF": place[1],
                **{
                    f"{name}, ratio": "diverged"
                    if math.isnan(ratios[quantity])
                    else f"{significant(ratios[quantity], 2)}, {verdicts[quantity][place]}"
                    for quantity, name in names.items()
                },
                **{
                    f"{name}, {setting}": _score(*part.loc[quantity])
                    for quantity, name in names.items()
                    for setting, part in of.items()
                },
                "profile": profile.name,
            }
        )
    return pd.DataFrame(rows)


def _score(value: float, low: float, high: float) -> str:
    """A score with its interval; the loss has none."""
    return "diverged" if math.isnan(value) else with_interval(value, low, high)


def untrained(studies: Studies, profile: Profile) -> str:
    """Which winners were not trained in full, and what that would take, in words."""
    left = []
    for place, scores in _found(studies, profile).items():
        if scores.empty:
            record = studies.first[place]
            passes = model_type(place[0]).epochs_for(profile) * profile.training_samples
            share = passes / (record.study.epochs * studies.trial.training_samples)
            hours = share * core_hours(record.best.to_frame().T)
            left.append(f"{title(place)} ({significant(hours, 2)})")
    return _listing("Not trained in full, with the core hours that would take here:", left)


def beside_seeds(studies: Studies, runs: pd.DataFrame, profile: Profile) -> str:
    """Where winners lie beside training runs of what is printed, in words.

    Args:
        studies: The studies.
        runs: Tidy scores with a column `seed`; see `experiments.seeds`.
        profile: Profile of those runs that are meant.
    """
    place = ["sampler", "dof", "quantity"]
    spread = runs[runs["profile"] == profile.name].groupby(place)["value"]
    spread = spread.agg(["min", "max", "size"]).query("size > 1")
    found = pd.concat(_found(studies, profile), names=place)["value"].dropna()
    both = spread.join(found, how="inner").reset_index()
    found = pd.DataFrame({"min": both["value"], "max": both["value"]})
    both["side"] = sides(found, both)
    sentences = []
    for quantity, name in ERRORS.items():
        beside = both[both["quantity"] == quantity].groupby("side", observed=True)
        places = {
            side: _listed(zip(part["sampler"], part["dof"], strict=True)) for side, part in beside
        }
        parts = [
            f"{side} {'them' if side == 'among' else 'all of them'} for the {listed}"
            for side, listed in places.items()
        ]
        sentences.append(f"the {name} of what was found is {', '.join(parts)}")
    return (
        "Beside training runs with the printed hyperparameters that differ in the seed alone, "
        f"{'; '.join(sentences)}."
    )
