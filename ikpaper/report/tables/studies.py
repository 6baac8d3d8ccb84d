"""Tables and statistics of the page that repeats the paper's search."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pandas as pd

from ikpaper import paper
from ikpaper.arm import PlanarArm
from ikpaper.format import significant, with_interval
from ikpaper.models import count_parameters, model_type
from ikpaper.profiles import Profile
from ikpaper.report.tables.base import label, whole
from ikpaper.report.tables.search import PARAMETERS, as_good_at_random, core_hours, position
from ikpaper.search import INITIAL_POINTS, PRINTED, Study, StudyRecord, load_studies
from ikpaper.statistics import rank_correlation

__all__ = [
    "ENOUGH",
    "NEAR",
    "SCORES",
    "Pairs",
    "Place",
    "Studies",
    "as_trials",
    "at_bounds",
    "beside_seeds",
    "bounds",
    "collapse",
    "early",
    "found",
    "in_full",
    "lower",
    "overview",
    "protocol",
    "rank_counts",
    "rank_panels",
    "ranks",
    "surrogate",
    "title",
    "untrained",
    "winners",
]

#: A network and the DoF of an arm.
Place = tuple[str, int]

#: Scores that the search is held against, and how tables call them.
SCORES: Mapping[str, str] = {
    "e_posterior": "e_posterior",
    "mmd2": "MMD² to exact, unbiased",
    "e_resim_test": "E‖f(θ) − y‖²",
    "loss": "training loss",
}

#: What the paper prints for each network, by DoF.
_PRINTED: Mapping[str, paper.Table] = {"cvae": paper.CVAE_TABLE, "inn": paper.INN_TABLE}

#: A value so close to an end of its range, as a share of it, is at a bound.
NEAR = 0.02

#: Trials trained anew that it takes for a rank correlation.
ENOUGH = 8

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
        studies = cls(
            tuple(
                record
                for record in load_studies(root)
                if _is_the_papers(record, trial) and record.trials["objective"].notna().any()
            ),
            trial,
        )
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
                place = (record.study.model, record.study.arm.dof)
                places.setdefault(place, []).append(record)
        # Trials that may be stopped early and others do not share a panel.
        return {
            place: [r for r in some if r.study.early_stopping == some[0].study.early_stopping]
            for place, some in sorted(places.items())
        }

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


def _again(record: StudyRecord, number: int, profile: Profile) -> pd.DataFrame:
    """Scores of a trial, or of the printed setting, that was trained anew, by quantity."""
    rows = record.confirmed
    rows = rows[(rows["trial"] == number) & (rows["profile"] == profile.name)]
    return rows.set_index("quantity")[["value", "low", "high"]]


def protocol(studies: Studies) -> str:
    """Where studies differ from the paper's protocol, in words."""
    first = studies.first
    sentences = []
    short = {place: r for place, r in first.items() if len(r.trials) < paper.SEARCH_TRIALS}
    if short:
        counts = "; ".join(f"{title(place)} ({len(r.trials)})" for place, r in short.items())
        sentences.append(f"Cut short, with so many trials of {paper.SEARCH_TRIALS}: {counts}.")
    halved = {place: r for place, r in first.items() if r.study.early_stopping}
    if halved:
        full = pd.concat([r.trials[r.trials["outcome"] == "trained"] for r in halved.values()])
        hours = paper.SEARCH_TRIALS * core_hours(full) / len(full)
        sentences.append(
            f"All trials of such a study in full would take about {significant(hours, 2)} core "
            "hours here. So successive halving, which is not in the paper, stops trials whose "
            f"loss lags behind: {_listed(halved)}. They have no objective, and the surrogate "
            "takes them for worse than all others, in the order of the losses they had reached "
            "(a rule that was found in the course of these studies: their first trials were "
            "proposed by cruder ones). A study that was interrupted begins its halving anew."
        )
    reduced = {place: r for place, r in first.items() if r.study.precision != "float32"}
    for precision in sorted({r.study.precision for r in reduced.values()}):
        places = [place for place, r in reduced.items() if r.study.precision == precision]
        sentences.append(f"Products of the subnets are in {precision}: {_listed(places)}.")
    return " ".join(sentences)


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
                "proposals": "Bayesian" if study.method == "bayesian" else study.method,
                "seed": study.seed,
                "trials": len(trials),
                "stopped": int(lagging.sum()),
                "failed": int((trials["objective"].isna() & ~lagging).sum()),
                "best": significant(record.best["objective"]),
                "in trial": int(record.best["trial"]),
                "core hours": significant(core_hours(trials), 2),
                "median [s]": whole(trials["seconds"].median()),
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
            as_good = int((objectives <= best).sum())
            chance = as_good_at_random(tables, best, budget)
            worth = (
                f"{as_good} of all {len(objectives)} random trials are as good, so that the best "
                f"of {budget} would be with a probability of {100 * chance:.0f} %"
                if as_good
                else f"none of all {len(objectives)} random trials is as good, so that the share "
                f"of such trials is below {300 / len(objectives):.1f} % (95 %)"
            )
            sentences.append(
                f"{place}: the best of the first {budget} trials of the Bayesian study is "
                f"{significant(best)}, that of {len(objectives)} random ones ({len(tables)} "
                f"seeds) {significant(objectives.min())}; {worth}."
            )
    return " ".join(sentences)


def early(studies: Studies) -> str:
    """Studies whose best trial is one of the random ones that open them, in words."""
    places = [
        f"{title(place)} ({len(record.trials) - INITIAL_POINTS} proposals)"
        for place, record in studies.first.items()
        if record.best["trial"] <= INITIAL_POINTS < len(record.trials)
    ]
    if not places:
        return ""
    return (
        "No proposal of the surrogate was better than the random trials that open the study of "
        f"{'; '.join(places)}."
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
                f"within {100 * _SAME:g} % of {significant(usual)}, with "
                f"{alike['hidden_layers'].min()} or more hidden layers. Of those, {len(kl)} "
                f"trained again ended with a KL term of {significant(kl.max())} or less: the "
                "decoder answers with a mean, whatever its latent (posterior collapse)."
            )
    return " ".join(sentences)


def found(studies: Studies, model: str) -> pd.DataFrame:
    """Ranges, and printed and found hyperparameters of a network for each arm."""
    ranges = model_type(model).search_ranges
    names = [name for name in PARAMETERS if name in ranges]
    spans = {PARAMETERS[name]: "{:g} to {:g}".format(*ranges[name]) for name in names}
    rows = [{"DoF": "all", "setting": "range", "objective": "–", "parameters": "–", **spans}]
    for (network, dof), record in studies.first.items():
        if network != model:
            continue
        printed = {name: _PRINTED[model][dof][name] for name in ranges}
        loss = _again(record, PRINTED, studies.trial).loc["loss", "value"]
        for setting, values, objective in (
            ("printed", printed, loss),
            ("found", record.configuration(record.best), record.best["objective"]),
        ):
            row = {"DoF": str(dof), "setting": setting, "objective": significant(objective)}
            row["parameters"] = whole(count_parameters(model, PlanarArm.paper(dof), **values))
            cells = {PARAMETERS[name]: _setting(values[name]) for name in names}
            rows.append({**row, **cells})
    return pd.DataFrame(rows)


def _setting(value: float) -> str:
    return str(value) if isinstance(value, int) else f"{value:.3g}"


def _near_bounds(ranges: paper.Ranges, values: Mapping[str, float]) -> list[str]:
    """Which hyperparameters are at a bound of their range, and which bound."""
    near = []
    for name, ends in ranges.items():
        at = float(position(values[name], ends))
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
        settings = record.configuration(record.best), _PRINTED[model][dof]
        found, printed = (", ".join(_near_bounds(record.study.bounds, each)) for each in settings)
        row = {"network": label(model), "DoF": dof, "trials": len(record.trials)}
        rows.append({**row, "found": found or "–", "printed": printed or "–"})
    return pd.DataFrame(rows)


def at_bounds(studies: Studies) -> dict[str, str]:
    """How many values of winners are at a bound, how many would be by chance, and shared winners.

    Returns:
        By key: `bound_count`, `bound_expected`, `bound_shared`.
    """
    # Studies that open with the same random trials may share their best one.
    winners: dict[tuple[str | float, ...], list[Place]] = {}
    for place, record in studies.first.items():
        values = record.configuration(record.best).values()
        winners.setdefault((place[0], *values), []).append(place)
    count, expected = 0, 0.0
    for places in winners.values():
        record = studies.first[places[0]]
        count += len(_near_bounds(record.study.bounds, record.configuration(record.best)))
        expected += sum(map(_near_by_chance, record.study.bounds.values()))
    shared = [_listed(places) for places in winners.values() if len(places) > 1]
    sentence = f"The winners of {'; of '.join(shared)} are one random trial, which counts once."
    return {
        "bound_count": str(count),
        "bound_expected": significant(expected, 2),
        "bound_shared": sentence if shared else "",
    }


def _trained_anew(studies: Studies) -> list[tuple[Study, str, pd.DataFrame]]:
    """Studies and profiles with enough trials that were trained anew.

    Returns:
        Study, name of the profile, and a row a trial, with `objective` and `SCORES` as columns;
        infinite for a run that diverged.
    """
    tables = []
    for record in studies.records:
        rows = record.confirmed[record.confirmed["trial"] != PRINTED]
        for profile, part in rows.groupby("profile"):
            objective = part.groupby("trial")["objective"].first()
            if len(objective) >= ENOUGH:
                scores = part.pivot(index="trial", columns="quantity", values="value")
                scores = scores.reindex(objective.index, columns=list(SCORES)).fillna(math.inf)
                scores.insert(0, "objective", objective)
                tables.append((record.study, str(profile), scores))
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
                    for quantity, header in SCORES.items()
                },
                "profile": profile,
            }
        )
    return pd.DataFrame(rows)


def rank_counts(studies: Studies) -> dict[str, str]:
    """How many correlations with scores there are, of which sign, and networks without any.

    Returns:
        By key: `ranks_count`, `ranks_positive`, `ranks_clear` and `ranks_against` (those whose
        interval leaves out 0), `ranks_open`.
    """
    tables = _trained_anew(studies)
    correlations = [
        rank_correlation(table["objective"], table[quantity])
        for _, _, table in tables
        for quantity in SCORES
        if quantity != "loss"
    ]
    known = {study.model for study, _, _ in tables}
    unknown = [label(model) for model in _PRINTED if model not in known]
    sentence = (
        f"For the {' and the '.join(unknown)} the question is open: no study has {ENOUGH} trials "
        "that were trained anew."
    )
    return {
        "ranks_count": str(len(correlations)),
        "ranks_positive": str(sum(value > 0 for value, _, _ in correlations)),
        "ranks_clear": str(sum(low > 0 for _, low, _ in correlations)),
        "ranks_against": str(sum(high < 0 for _, _, high in correlations)),
        "ranks_open": sentence if unknown else "",
    }


#: By network and arm, scores of printed and of found hyperparameters that were trained alike.
Pairs = Mapping[Place, tuple[pd.DataFrame, pd.DataFrame]]


def as_trials(studies: Studies) -> Pairs:
    """Printed and found hyperparameters, trained as a trial is."""
    return {
        place: (
            _again(record, PRINTED, studies.trial),
            _again(record, int(record.best["trial"]), studies.trial),
        )
        for place, record in studies.first.items()
    }


def in_full(studies: Studies, scores: pd.DataFrame, profile: Profile) -> Pairs:
    """Printed and found hyperparameters, trained in full.

    Args:
        studies: The studies.
        scores: Tidy scores of the published networks; see `evaluation.PaperProtocol.score`.
        profile: Their profile.
    """
    published = scores.set_index(["sampler", "dof", "quantity"]).sort_index()
    published = published[["value", "low", "high"]]
    return {
        place: (
            published.loc[place],
            _again(record, int(record.best["trial"]), profile).drop(index="loss", errors="ignore"),
        )
        for place, record in studies.first.items()
    }


def winners(pairs: Pairs, profile: Profile) -> pd.DataFrame:
    """A row for each setting that was trained, with its scores."""
    rows = []
    for (model, dof), pair in pairs.items():
        for setting, scores in zip(("printed", "found"), pair, strict=True):
            if scores.empty:
                continue
            cells = dict.fromkeys(SCORES.values(), "diverged")
            if "diverged" not in scores.index:
                cells = {
                    header: _score(*scores.loc[quantity])
                    for quantity, header in SCORES.items()
                    if quantity in scores.index
                }
            row = {"network": label(model), "DoF": dof, "setting": setting}
            rows.append({**row, **cells, "profile": profile.name})
    return pd.DataFrame(rows)


def _score(value: float, low: float, high: float) -> str:
    """A score with its interval; the loss has none."""
    return significant(value) if math.isnan(low) else with_interval(value, low, high)


def lower(pairs: Pairs) -> str:
    """In how many pairs what was found has the lower score, in words."""
    less = []
    for printed, found in pairs.values():
        values = pd.DataFrame({"printed": printed["value"], "found": found["value"]})
        values = values.reindex(list(SCORES)).dropna()
        less += [values["found"] < values["printed"]] if len(values) else []
    counts = pd.DataFrame(less).dropna(axis=1).sum()
    scores = [f"{SCORES[quantity]} in {count}" for quantity, count in counts.items()]
    return f"of {len(less)} winners, what was found has the lower {', '.join(scores)}"


def untrained(studies: Studies, profile: Profile) -> str:
    """Which winners were not trained in full, and what that would take, in words."""
    left = []
    for place, record in studies.first.items():
        best, kind = record.best, model_type(place[0])
        if _again(record, int(best["trial"]), profile).empty:
            passes = kind.epochs_for(profile) * profile.training_samples
            share = passes / (record.study.epochs * studies.trial.training_samples)
            hours = share * core_hours(best.to_frame().T)
            left.append(f"{title(place)} ({significant(hours, 2)})")
    if not left:
        return ""
    return f"Not trained in full, with the core hours that would take here: {'; '.join(left)}."


def beside_seeds(studies: Studies, runs: pd.DataFrame, profile: Profile) -> str:
    """Where winners lie beside training runs of what is printed, in words.

    Args:
        studies: The studies.
        runs: Tidy scores with a column `seed`; see `experiments.seeds`.
        profile: Profile of those runs that are meant.
    """
    values = runs[runs["profile"] == profile.name].groupby(["sampler", "dof", "quantity"])["value"]
    spread = values.agg(["min", "max", "size"])
    sentences = []
    for quantity, name in (("mmd2", "MMD²"), ("e_resim_test", "re-simulation error")):
        sides: dict[str, list[Place]] = {"below": [], "among": [], "above": []}
        for place, record in studies.first.items():
            value = _again(record, int(record.best["trial"]), profile)["value"].get(quantity)
            low, high, count = spread["min"], spread["max"], spread["size"]
            key = (*place, quantity)
            if value is not None and count.get(key, 0) > 1:
                side = "below" if value < low[key] else "above" if value > high[key] else "among"
                sides[side].append(place)
        parts = [
            f"{side} {'them' if side == 'among' else 'all of them'} for the {_listed(places)}"
            for side, places in sides.items()
            if places
        ]
        sentences.append(f"the {name} of what was found is {', '.join(parts)}")
    return (
        "Beside training runs with the printed hyperparameters that differ in the seed alone, "
        f"{'; '.join(sentences)}."
    )
