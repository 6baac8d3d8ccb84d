# ---
# jupyter:
#   jupytext:
#     formats: py:percent,ipynb
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# (sec-studies)=
# # The search, repeated
#
# The paper gives both networks "a fair setting" by searching their
# hyperparameters for each arm: {glue:text}`trials` trials of Bayesian
# optimisation, each trained on {glue:text}`samples` samples for
# {glue:text}`epochs` epochs and judged by its training loss after the last
# one. {ref}`sec-hyperparameters` has the ranges and the printed outcome.
# Here the search is run again, with Ray Tune {cite}`liaw2018tune` and
# scikit-optimize {cite}`head2021skopt` as in the paper, and asked three
# questions that the slides leave open: does this objective rank configurations
# as the scores after a training with more data do, did the ranges bind, and is
# what a search finds better than what is printed?

# %% tags=["parameters"]
profile = "paper"  # of the winners' full training; smoke, quick or paper
trials_profile = "search"  # of the trials
studies = ""  # folder of all studies; "" is that of the book
book = ""  # folder to save results in; "" saves nothing

# %%
from pathlib import Path

import pandas as pd

import ikpaper
from ikpaper import paper
from ikpaper.evaluation import rank_correlation
from ikpaper.outputs import Outputs, significant, with_interval
from ikpaper.plots import search as figures
from ikpaper.plots.style import LABELS
from ikpaper.profiles import get_profile
from ikpaper.search import INITIAL_POINTS, PRINTED, load_studies, space

out = Outputs(book)
TABLES = {"cvae": paper.CVAE_TABLE, "inn": paper.INN_TABLE}
trial = get_profile(trials_profile)


def is_the_papers(study):
    """Whether a study searches what the slides' search does; others are not shown."""
    return (
        study.arm.dof in ikpaper.PlanarArm.PAPER_DOF
        and study.arm == ikpaper.PlanarArm.paper(study.arm.dof)
        and study.profile == trial
        and study.epochs == trial.epochs_for(study.model)
        and dict(study.bounds) == dict(ikpaper.models.model_type(study.model).search_ranges)
    )


records = [
    record
    for record in load_studies(Path(studies) if studies else None)
    if is_the_papers(record.study) and record.trials["objective"].notna().any()
]


def of(objective="loss", method="bayesian"):
    """Studies by network and arm, of several seeds the longest first."""
    found = {}
    for record in sorted(records, key=lambda record: -len(record.trials)):
        study = record.study
        if (study.objective, study.method) == (objective, method):
            found.setdefault((study.model, study.arm.dof), []).append(record)
    # Trials that may be stopped early and others do not share a panel.
    return {
        place: [r for r in some if r.study.early_stopping == some[0].study.early_stopping]
        for place, some in sorted(found.items())
    }


def title(place):
    return f"{LABELS[place[0]]}, {place[1]} DoF"


def listed(places):
    """Networks and arms in a sentence, as `cVAE (4, 6 DoF) and INN (8 DoF)`."""
    arms = {}
    for model, dof in places:
        arms.setdefault(model, []).append(str(dof))
    return " and ".join(f"{LABELS[model]} ({', '.join(dofs)} DoF)" for model, dofs in arms.items())


# %% tags=["remove-cell"]
bayesian, random = of(), of(method="random")
if not bayesian:
    raise FileNotFoundError("no Bayesian study of a paper's arm; make one with: ikpaper search")
first = {place: found[0] for place, found in bayesian.items()}


def again(record, number, profile):
    """Scores of a trial, or of the printed setting, that was trained anew, by quantity."""
    rows = record.confirmed
    rows = rows[(rows["trial"] == number) & (rows["profile"] == profile)]
    return rows.set_index("quantity")[["value", "low", "high"]]


# %% tags=["remove-cell"]
out.number("trials", str(paper.SEARCH_TRIALS))
out.number("samples", f"{trial.training_samples:,}")
epochs = trial.epochs_for("inn")
out.number("epochs", str(epochs))
out.number("steps", str(epochs * -(-trial.training_samples // trial.batch)))
out.number("warmup", str(ikpaper.models.build("inn", dof=4).config.warmup))
out.number("opening", str(INITIAL_POINTS))
missing = [
    place
    for place in ((model, dof) for model in TABLES for dof in ikpaper.PlanarArm.PAPER_DOF)
    if place not in first
]
out.number("pending", f"Still to be run: {listed(missing)}." if missing else "")
short = {place: r for place, r in first.items() if len(r.trials) < paper.SEARCH_TRIALS}
halved = {place: r for place, r in first.items() if r.study.early_stopping}
told = []
if short:
    counts = "; ".join(f"{title(place)} ({len(record.trials)})" for place, record in short.items())
    told.append(f"Cut short, with so many trials of {paper.SEARCH_TRIALS}: {counts}.")
if halved:
    full = pd.concat([r.trials[r.trials["outcome"] == "trained"] for r in halved.values()])
    hours = paper.SEARCH_TRIALS * (full["seconds"] * full["cpus"]).mean() / 3600
    told.append(
        f"All trials of such a study in full would take about {significant(hours, 2)} core hours "
        "here. So successive halving, which is not in the paper, stops trials whose loss lags "
        f"behind: {listed(halved)}. They have no objective, and the surrogate "
        "takes them for worse than all others, in the order of the losses they had reached (a "
        "rule that was found in the course of these studies: their first trials were proposed by "
        "cruder ones). A study that was interrupted begins its halving anew."
    )
other = {}
for place, record in first.items():
    if record.study.precision != "float32":
        other.setdefault(record.study.precision, []).append(place)
told += [f"Products of the subnets are in {p}: {listed(some)}." for p, some in other.items()]
out.number("other", " ".join(told))

# %% [markdown]
# ## The studies
#
# Ranges and protocol are the paper's; a trial whose loss is not a number, or
# hopeless by the authors' own rule, ends there and counts as a bad one. The
# INN starts with the same warm-up of its learning rate as in the rest of
# this report, {glue:text}`warmup` of a trial's {glue:text}`steps` steps. A
# study begins with {glue:text}`opening` random trials. {glue:text}`other`
# {glue:text}`pending`

# %% tags=["remove-cell"]
rows = []
for record in records:
    study, trials = record.study, record.trials
    lagging = trials["outcome"] == "stopped: lagging"
    rows.append(
        {
            "network": LABELS[study.model],
            "DoF": study.arm.dof,
            "proposals": "Bayesian" if study.method == "bayesian" else study.method,
            "objective": study.objective,
            "seed": study.seed,
            "trials": len(trials),
            "stopped": int(lagging.sum()),
            "failed": int((trials["objective"].isna() & ~lagging).sum()),
            "best": significant(trials["objective"].min()),
            "in trial": int(record.best["trial"]),
            "core hours": significant((trials["seconds"] * trials["cpus"]).sum() / 3600, 2),
            "median [s]": f"{trials['seconds'].median():.0f}",
            "profile": study.profile.name,
        }
    )


def without_objective(table):
    """Without the name of the objective, if all studies have the paper's."""
    return table.drop(columns="objective") if (table["objective"] == "loss").all() else table


out.table(without_objective(pd.DataFrame(rows)), "studies")

# %% [markdown]
# ```{csv-table} All studies, with their best objective and the trial it was found in, and what they cost: on machines that differ, beside other work, so that core hours and the median time of a trial compare by their order of magnitude alone. Trials were stopped if they lagged behind, and failed if their loss was not a number, or hopeless.
# :file: tables/studies.csv
# :header-rows: 1
# :name: tab-studies
# ```
#
# ## Convergence
#
# Is the surrogate worth its trouble? Random trials are independent of each
# other: those of all seeds of random search together tell what the best of any
# number of them is worth.

# %% mystnb={"figure": {"name": "fig-studies-convergence", "caption": "Objective of each trial (dots) and the best so far (line) of the Bayesian studies, in the order in which trials ended; in grey, random search: the best so far of each study (thin), and median and central 90 % of the best of so many trials. A panel's axis ends at the 70 % quantile of its Bayesian trials, or at the median of the random ones if that is larger."}, "image": {"alt": "A panel for each study with dots and a falling staircase; where random search was run, a grey band falls beside it."}}
panels = {title(place): [r.trials for r in found] for place, found in bayesian.items()}
others = {title(place): [r.trials for r in found] for place, found in random.items()}
out.figure(figures.convergence(panels, others))

# %% tags=["remove-cell"]
sentences = []
for place, tables in others.items():
    drawn = pd.concat(tables)["objective"]
    for table in panels.get(place, []):
        # The same budget for both.
        budget = min(len(table), len(drawn))
        best = table["objective"].iloc[:budget].min()
        as_good = int((drawn <= best).sum())
        chance = 1 - figures.beats_random(tables, best, budget)
        what = (
            f"{as_good} of all {len(drawn)} random trials are as good, so that the best of "
            f"{budget} would be with a probability of {100 * chance:.0f} %"
            if as_good
            else f"none of all {len(drawn)} random trials is as good, so that the share of such "
            f"trials is below {300 / len(drawn):.1f} % (95 %)"
        )
        sentences.append(
            f"{place}: the best of the first {budget} trials of the Bayesian study is "
            f"{significant(best)}, that of {len(drawn)} random ones ({len(tables)} seeds) "
            f"{significant(drawn.min())}; {what}."
        )
out.number("worth", " ".join(sentences) or "Random search has not been run yet.")
early = [
    f"{title(place)} ({len(record.trials) - INITIAL_POINTS} proposals)"
    for place, record in first.items()
    if record.best["trial"] <= INITIAL_POINTS < len(record.trials)
]
out.number(
    "early",
    "No proposal of the surrogate was better than the random trials that open the study of "
    f"{'; '.join(early)}."
    if early
    else "",
)

# %% tags=["remove-cell"]
SAME = 0.01
sentences = []
for (model, dof), found in random.items():
    drawn = pd.concat([r.trials for r in found])
    usual = drawn["objective"].quantile(0.75)
    near = drawn[(drawn["objective"] / usual - 1).abs() < SAME]
    again_too = pd.concat([r.confirmed for r in found])
    of_those = (again_too["quantity"] == "loss: kl") & (
        (again_too["objective"] / usual - 1).abs() < SAME
    )
    kl = again_too[of_those]["value"]
    if len(near) > len(drawn) / 4 and len(kl):
        sentences.append(
            f"Of the random trials of {title((model, dof))}, {len(near)} of {len(drawn)} end "
            f"within {100 * SAME:g} % of {significant(usual)}, with {near['hidden_layers'].min()} "
            f"or more hidden layers. Of those, {len(kl)} trained again ended with a KL term of "
            f"{significant(kl.max())} or less: the decoder answers with a mean, whatever its "
            "latent (posterior collapse)."
        )
out.number("collapse", " ".join(sentences))

# %% [markdown]
# {glue:text}`worth` A study is one run of a random procedure, and this an
# indication. {glue:text}`early` {glue:text}`collapse`

# %% [markdown]
# ## What was found
#
# Tables III and IV of the slides beside the best trial of each study, below
# the ranges of Tables I and II, in which all of them search. The slides'
# numbers were refined by hand after the search.

# %% tags=["remove-cell"]
NAMES = figures.PARAMETERS


def cells(model, dof, setting, values, objective):
    return {
        "DoF": dof,
        "setting": setting,
        "objective": objective,
        "parameters": f"{ikpaper.models.build(model, dof=dof, **values).num_parameters:,}",
        **{NAMES[name]: values[name] for name in NAMES if name in values},
    }


def beside(model):
    """Ranges, and printed and found hyperparameters for each arm."""
    studied = {dof: record for (name, dof), record in first.items() if name == model}
    if not studied:
        return [{"DoF": "–", "setting": "no study yet"}]
    bounds = next(iter(studied.values())).study.bounds
    spans = {NAMES[name]: "{:g} to {:g}".format(*bounds[name]) for name in NAMES if name in bounds}
    rows = [{"DoF": "all", "setting": "range", "objective": "–", "parameters": "–", **spans}]
    for dof, record in studied.items():
        printed = {name: TABLES[model][dof][name] for name in record.study.bounds}
        loss = again(record, PRINTED, trial.name)["value"].get("loss")
        told = "–" if loss is None else significant(loss)
        rows.append(cells(model, dof, "printed", printed, told))
        best = record.configuration(record.best)
        rows.append(cells(model, dof, "found", best, significant(record.best["objective"])))
    return rows


for model in TABLES:
    table = pd.DataFrame(beside(model))
    out.table(table.map(lambda x: f"{x:.3g}" if isinstance(x, float) else x), f"found-{model}")

# %% [markdown]
# ```{csv-table} cVAE: range of the search, hyperparameters as Table III of the slides has them, and those of the best trial of each study. The objective of what is printed is that of a trial with it.
# :file: tables/found-cvae.csv
# :header-rows: 1
# :name: tab-found-cvae
# ```
#
# ```{csv-table} INN: range of the search, hyperparameters as Table IV of the slides has them, and those of the best trial of each study. The objective of what is printed is that of a trial with it.
# :file: tables/found-inn.csv
# :header-rows: 1
# :name: tab-found-inn
# ```

# %% tags=["remove-cell"]
NEAR = 0.02


def by_chance(bounds):
    """Probability that a value drawn anywhere in the range is near a bound."""
    low, high = bounds
    if isinstance(low, float):
        return 2 * NEAR
    at = figures.share(range(low, high + 1), bounds)
    return float(((at <= NEAR) | (at >= 1 - NEAR)).mean())


rows, count, expected = [], 0, 0.0
winners = {}
for place, record in first.items():
    found, printed = [], []
    # Studies that open with the same random trials may share their best one.
    shared = winners.setdefault((place[0], *record.configuration(record.best).values()), [])
    shared.append(place)
    for name, bounds in record.study.bounds.items():
        expected += by_chance(bounds) * (len(shared) == 1)
        theirs = TABLES[place[0]][place[1]][name]
        for values, value in ((found, record.best[name]), (printed, theirs)):
            at = float(figures.share(value, bounds))
            if not NEAR < at < 1 - NEAR:
                values.append(f"{NAMES[name]} ({'lower' if at <= NEAR else 'upper'})")
    count += len(found) * (len(shared) == 1)
    rows.append(
        {
            "network": LABELS[place[0]],
            "DoF": place[1],
            "trials": len(record.trials),
            "found": ", ".join(found) or "–",
            "printed": ", ".join(printed) or "–",
        }
    )
out.table(pd.DataFrame(rows), "bounds")
out.number("near", f"{100 * NEAR:g} %")
out.number("bound_count", str(count))
out.number("bound_expected", significant(expected, 2))
several = [listed(some) for some in winners.values() if len(some) > 1]
out.number(
    "bound_shared",
    f"The winners of {'; of '.join(several)} are one random trial, which counts once."
    if several
    else "",
)

# %% [markdown]
# Did the space bind? {numref}`tab-bounds` has what lies within
# {glue:text}`near` of a bound of its range. Of the winners found here that
# is {glue:text}`bound_count` values, where values drawn at random would make
# {glue:text}`bound_expected`: some ranges have few whole numbers.
# {glue:text}`bound_shared`
#
# ```{csv-table} Hyperparameters of the winners at a bound of their range, and which.
# :file: tables/bounds.csv
# :header-rows: 1
# :name: tab-bounds
# ```
#
# ## Where good trials lie

# %% tags=["remove-cell"]
shown = ("cvae", 6) if ("cvae", 6) in first else next(iter(first))
chosen = first[shown]
out.number("shown", title(shown))

# %% [markdown]
# Shown for one study, {glue:text}`shown`; `papermill notebooks/search.ipynb
# out.ipynb -p folder book/results/studies/NAME -p trials 1` draws the same for
# any.

# %% mystnb={"figure": {"name": "fig-studies-parallel", "caption": "Every trial that has an objective as a line across its hyperparameters, on the scales that are searched. Dark lines are good trials."}, "image": {"alt": "Lines across vertical axes, one for each hyperparameter, coloured by the objective; the best is drawn thick."}}
out.figure(figures.parallel_coordinates(chosen.trials, chosen.study.bounds))

# %% mystnb={"figure": {"name": "fig-studies-dependence", "caption": "Partial dependence of the objective in the eyes of a surrogate that is fitted to the logarithms of all objectives. On the diagonal over one hyperparameter, with the best trial dashed; below it over two, with those trials as dots and the best as a star; dark is good."}, "image": {"alt": "Triangular grid of panels, curves on the diagonal and maps below it."}}
out.figure(figures.partial_dependence(chosen.trials, space(chosen.study.bounds)))

# %% [markdown]
# ## Does the objective rank what matters?
#
# A training loss on few samples is cheap, and no score of the posterior. So
# trials of a study, from its best to its worst at even ranks, were trained
# anew with more data and scored like the published networks.
# {numref}`tab-ranks` has Spearman's rank correlation between the objective
# of the search and each score: 1 if the search ranks configurations as the
# score does, 0 if it says nothing about it. Runs that diverge count as the
# worst. Each configuration is trained once, so that the noise of a training
# run lowers the correlation. Of {glue:text}`ranks_count` correlations with
# posterior and re-simulation scores, {glue:text}`ranks_positive` are positive,
# {glue:text}`ranks_clear` of them with an interval that leaves out 0, and
# {glue:text}`ranks_against` negative with such an interval; of the others, so
# few trials cannot tell. {glue:text}`ranks_open`

# %% tags=["remove-cell"]
SCORES = {
    "e_posterior": "e_posterior",
    "mmd2_exact": "MMD² to exact, unbiased",
    "e_resim_test": "E‖f(θ) − y‖²",
    "loss": "training loss",
}


ENOUGH = 8


def pairs(rows):
    """Objective and scores of the trials that were trained anew, a row each."""
    table = rows.pivot_table(
        index=["trial", "objective"], columns="quantity", values="value", dropna=False
    )
    table = table[table.index.isin(pd.MultiIndex.from_frame(rows[["trial", "objective"]]))]
    return table.reindex(columns=list(SCORES)).fillna(float("inf"))


rows, panels, tables = [], {}, []
for record in records:
    study = record.study
    trained = record.confirmed[record.confirmed["trial"] != PRINTED]
    for more, part in trained.groupby("profile"):
        table = pairs(part)
        if len(table) < ENOUGH:
            continue
        what = "" if study.method == "bayesian" else f", {study.method}"
        what += "" if study.objective == "loss" else f", {study.objective}"
        name = f"{title((study.model, study.arm.dof))}{what}, seed {study.seed}"
        panels[f"{name}, profile {more}"] = table.reset_index()
        tables.append(table)
        rows.append(
            {
                "network": LABELS[study.model],
                "DoF": study.arm.dof,
                "objective": study.objective,
                "trials": len(table),
                "diverged": int((part["quantity"] == "diverged").sum()),
                **{
                    label: with_interval(
                        *rank_correlation(table.index.get_level_values("objective"), table[q])
                    )
                    for q, label in SCORES.items()
                },
                "profile": more,
            }
        )
columns = ["network", "DoF", "objective", "trials", "diverged", *SCORES.values(), "profile"]
waiting = dict.fromkeys(columns, "–") | {"profile": "no study has enough trials yet"}
out.table(without_objective(pd.DataFrame(rows or [waiting])), "ranks")

# %% tags=["remove-cell"]
correlations = [
    rank_correlation(part.index.get_level_values("objective"), part[quantity])
    for part in tables
    for quantity in ("e_posterior", "mmd2_exact", "e_resim_test")
]
out.number("ranks_count", str(len(correlations)))
out.number("ranks_positive", str(sum(value > 0 for value, _, _ in correlations)))
out.number("ranks_clear", str(sum(low > 0 for _, low, _ in correlations)))
out.number("ranks_against", str(sum(high < 0 for _, _, high in correlations)))
known = {row["network"] for row in rows}
unknown = [LABELS[model] for model in TABLES if LABELS[model] not in known]
out.number(
    "ranks_open",
    f"For the {' and the '.join(unknown)} the question is open: no study has {ENOUGH} trials that "
    "were trained anew."
    if unknown
    else "",
)

# %% [markdown]
# ```{csv-table} Rank correlation between the objective of the search and scores after a training with more data, the profile's, with 95 % intervals (Bonett and Wright).
# :file: tables/ranks.csv
# :header-rows: 1
# :name: tab-ranks
# ```

# %% mystnb={"figure": {"name": "fig-studies-ranks", "caption": "Scores after a training with more data over the objective of the search, a dot a trial."}, "image": {"alt": "Scatter plots on logarithmic axes, a row for each study and a column for each score."}}
shown_scores = {
    "mmd2_exact": r"unbiased MMD$^2$",
    "e_resim_test": r"$\mathrm{E}\|f(\theta)-y\|^2$",
}
out.figure(figures.ranks(panels, shown_scores)) if panels else None

# %% [markdown]
# ## The winners
#
# Printed and found hyperparameters, trained alike. First as a trial is, on
# {glue:text}`samples` samples ({numref}`tab-found-trials`):
# {glue:text}`as_trials`. The loss is what it was chosen by, as the best of many
# with this very seed; the scores took no part in the choice.

# %% tags=["remove-cell"]
BOTH = ("printed", "found")


def score_text(value, low, high):
    """A score with its interval; the loss has none."""
    return significant(value) if low != low else with_interval(value, low, high)


def compared(place, parts, profile):
    """Rows of printed and found hyperparameters with their scores."""
    rows = []
    for setting, part in zip(BOTH, parts, strict=True):
        if part.empty:
            continue
        row = {"network": LABELS[place[0]], "DoF": place[1], "setting": setting}
        if "diverged" in part.index:
            row |= dict.fromkeys(SCORES.values(), "diverged")
        else:
            known = {q: label for q, label in SCORES.items() if q in part.index}
            row |= {label: score_text(*part.loc[q]) for q, label in known.items()}
        rows.append({**row, "profile": profile})
    return rows


def paired(parts):
    """Scores that both settings have, a column each."""
    values = (part["value"].reindex(list(SCORES)) for part in parts)
    return pd.DataFrame(dict(zip(BOTH, values, strict=True))).dropna()


def told_of(pairs):
    """In how many of the pairs what was found has the lower score."""
    pairs = [pair for pair in pairs if not pair.empty]
    if not pairs:
        return "none has been trained yet"
    less = sum((pair["found"] < pair["printed"]).reindex(list(SCORES)) for pair in pairs).dropna()
    counts = [f"{SCORES[quantity]} in {number}" for quantity, number in less.items()]
    return f"of {len(pairs)} winners, what was found has the lower {', '.join(counts)}"


rows, pairs = [], []
for place, record in first.items():
    parts = [again(record, number, trial.name) for number in (PRINTED, record.best["trial"])]
    rows += compared(place, parts, trial.name)
    pairs.append(paired(parts))
out.table(pd.DataFrame(rows or [{"network": "none has been trained yet"}]), "found-trials")
out.number("as_trials", told_of(pairs))

# %% [markdown]
# ```{csv-table} Printed and found hyperparameters, trained with the data and epochs of a trial: means over test targets with 95 % bootstrap intervals, and the loss of the last epoch. One training run each.
# :file: tables/found-trials.csv
# :header-rows: 1
# :name: tab-found-trials
# ```
#
# Then in full, like the published networks, which are those of the printed
# hyperparameters ({numref}`tab-found-scores`): {glue:text}`in_full`.
# {glue:text}`found_beside_seeds` {glue:text}`in_part`

# %% tags=["remove-cell"]
scores = out.read_arms("scores", profile)
full = get_profile(profile)
rows, untrained, pairs = [], [], []
for (model, dof), record in first.items():
    theirs = scores[(scores["dof"] == dof) & (scores["sampler"] == model)]
    theirs = theirs.set_index("quantity")[["value", "low", "high"]]
    mine = again(record, record.best["trial"], profile)
    if mine.empty:
        more = full.epochs_for(model) * full.training_samples
        more /= record.study.epochs * record.study.profile.training_samples
        hours = more * record.best["seconds"] * record.best["cpus"] / 3600
        untrained.append(f"{title((model, dof))} ({significant(hours, 2)})")
    rows += compared((model, dof), (theirs, mine.drop(index="loss", errors="ignore")), profile)
    pairs.append(paired((theirs, mine)))
out.table(pd.DataFrame(rows), "found-scores")
out.number("in_full", told_of(pairs))
out.number(
    "in_part",
    f"Not trained in full, with the core hours that would take here: {'; '.join(untrained)}."
    if untrained
    else "",
)

# %% tags=["remove-cell"]
seeds = out.read("seeds")
seeds = seeds[seeds["profile"] == profile].set_index(["sampler", "dof", "quantity"])["value"]
sentences = []
for quantity, what in (("mmd2_exact", "MMD²"), ("e_resim_test", "re-simulation error")):
    below, among, above = [], [], []
    for (model, dof), record in first.items():
        mine = again(record, record.best["trial"], profile)["value"].get(quantity)
        runs = seeds.loc[seeds.index == (model, dof, quantity)]
        if mine is None or len(runs) < 2:
            continue
        side = below if mine < runs.min() else above if mine > runs.max() else among
        side.append((model, dof))
    sides = (("below all of them", below), ("among them", among), ("above all of them", above))
    parts = [f"{side} for the {listed(places)}" for side, places in sides if places]
    if parts:
        sentences.append(f"the {what} of what was found is {', '.join(parts)}")
out.number(
    "found_beside_seeds",
    "Beside training runs with the printed hyperparameters that differ in the seed alone, "
    f"{'; '.join(sentences)}."
    if sentences
    else "",
)

# %% [markdown]
# ```{csv-table} Printed and found hyperparameters after a full training: means over test targets with 95 % bootstrap intervals. One training run each.
# :file: tables/found-scores.csv
# :header-rows: 1
# :name: tab-found-scores
# ```
