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
# Is what the paper's search ({ref}`sec-hyperparameters`) finds better than what the
# slides print? That depends on how long one trains.
#
# - {glue:text}`brief_worth`
# - {glue:text}`full_worth`
#
# All other differences in these scores are undecided: intervals overlap.

# %% tags=["parameters"]
profile = "paper"  # of the winners' full training; smoke, quick or paper
trials_profile = "search"  # of the trials
studies = ""  # folder of all studies; "" is that of the book
book = ""  # folder to save results in; "" saves nothing

# %%
from pathlib import Path

import ikpaper
from ikpaper import models, paper
from ikpaper.format import concise, percent
from ikpaper.report import Outputs, parameters
from ikpaper.report.plots import search as figures
from ikpaper.report.tables import studies as tables
from ikpaper.search import INITIAL_POINTS, space

given = parameters(profile=profile, trials_profile=trials_profile, studies=studies, book=book)
profile, trial, out = given.profile, given.trials_profile, Outputs(given.book)
ikpaper.use_fast_matmul()
studies = tables.Studies.load(trial, Path(given.studies) if given.studies else None)
scores, seeds = out.read_arms("scores", profile.name), out.read("seeds")
as_trials, in_full = tables.as_trials(studies), tables.in_full(studies, scores, profile)
# The study whose trials are drawn one by one.
shown = ("cvae", 6) if ("cvae", 6) in studies.first else next(iter(studies.first))

# %% tags=["remove-cell"]
epochs = models.model_type("inn").epochs_for(trial)
out.numbers(
    {
        "trials": str(paper.SEARCH_TRIALS),
        "samples": f"{trial.training_samples:,}",
        "epochs": str(epochs),
        "steps": str(epochs * -(-trial.training_samples // trial.batch)),
        "warmup": str(models.build("inn", dof=4).config.warmup),
        "opening": str(INITIAL_POINTS),
        "near": percent(tables.NEAR, 0),
        "hopeless": concise(paper.SEARCH_HOPELESS_LOSS),
        "hopeless_after": str(paper.SEARCH_HOPELESS_AFTER),
        "shown": tables.title(shown),
        "other": tables.protocol(studies),
        "worth": tables.surrogate(studies),
        "early": tables.early(studies),
        "collapse": tables.collapse(studies),
        **tables.at_bounds(studies),
        **tables.rank_counts(studies),
        "short_studies": tables.short_studies(studies),
        "good": tables.good_trials(studies.first[shown]),
        "brief_worth": tables.worth(as_trials, "Trained as briefly as a trial"),
        "full_worth": tables.worth(in_full, "Trained in full"),
        "in_part": tables.untrained(studies, profile),
        "found_beside_seeds": tables.beside_seeds(studies, seeds, profile),
    }
)

# %% [markdown]
# ## The studies
#
# A study has {glue:text}`trials` trials, each trained on {glue:text}`samples`
# samples for {glue:text}`epochs` epochs and rated by its last training loss; ranges
# and protocol are the paper's. After {glue:text}`opening` random trials a surrogate,
# a Gaussian process fitted to the trials so far, proposes the next (Ray Tune
# {cite}`liaw2018tune`, scikit-optimize {cite}`head2021skopt`). A trial fails if its
# loss is not a number, or above {glue:text}`hopeless` after
# {glue:text}`hopeless_after` epochs. The INN has a warm-up, {glue:text}`warmup` of
# {glue:text}`steps` steps.
#
# {glue:text}`other`
# Losses by which trials were stopped are kept in newer studies only: one of these that
# goes on would compare its next trials among themselves.

# %% tags=["remove-cell"]
out.table(tables.overview(studies), "studies")

# %% [markdown]
# ```{csv-table} All studies. *Ended*: trials that have an objective; *stopped*: those that lagged behind. The cost is of machines that differ.
# :file: tables/studies.csv
# :shown: 8
# :header-rows: 1
# :name: tab-studies
# ```
#
# ## Does Bayesian optimisation beat random trials?
#
# Too few studies to tell: random search was run for one network on one arm.
# {glue:text}`worth` {glue:text}`early`

# %% mystnb={"figure": {"name": "fig-studies-convergence", "caption": "Objective of each trial (dots) and the best so far (line) of the Bayesian studies, in the order in which trials ended; in grey, random search: the best so far of each study (thin), and median and central 90 % of the best of so many trials. A panel of 30 trials or more ends at their 70 % quantile, or at the median of the random ones if that is larger."}, "image": {"alt": "A panel for each study with dots and a falling staircase; where random search was run, a grey band falls beside it."}}
out.figure(figures.convergence(studies.trials("bayesian"), studies.trials("random")))

# %% [markdown]
# ## Did the ranges bind?
#
# Yes: {glue:text}`bound_count` of {glue:text}`bound_values` values of the winners lie
# within {glue:text}`near` of a bound of their range ({numref}`tab-bounds`), where
# chance would have {glue:text}`bound_expected`. {glue:text}`bound_shared`

# %% tags=["remove-cell"]
for model in ("cvae", "inn"):
    out.table(tables.found(studies, model), f"found-{model}")

# %% [markdown]
# ```{csv-table} cVAE: the best trial of each study beside a trial with the slides' Table III.
# :file: tables/found-cvae.csv
# :header-rows: 1
# :name: tab-found-cvae
# ```
#
# ```{csv-table} INN: the same with the slides' Table IV.
# :file: tables/found-inn.csv
# :header-rows: 1
# :name: tab-found-inn
# ```

# %% tags=["remove-cell"]
out.table(tables.bounds(studies), "bounds")

# %% [markdown]
# ```{csv-table} Hyperparameters at a bound of their range.
# :file: tables/bounds.csv
# :header-rows: 1
# :name: tab-bounds
# ```
#
# ## Where do good trials lie?
#
# Where networks are shallow; weight decay hardly matters. The best quarter of the
# trials of {glue:text}`shown` has {glue:text}`good`. {glue:text}`collapse`
#
# The surrogate's curves ({numref}`fig-studies-dependence`) average over all other
# values, most of deep networks: two are lowest elsewhere than at the best trial.

# %% mystnb={"figure": {"name": "fig-studies-parallel", "caption": "Every trial that has an objective as a line across its hyperparameters, on the scales that are searched. The scale at the right gives the objective."}, "image": {"alt": "Lines across vertical axes, one for each hyperparameter, coloured by the objective; the best is drawn thick."}}
chosen = studies.first[shown]
out.figure(figures.parallel_coordinates(chosen.trials, chosen.study.bounds))

# %% mystnb={"figure": {"name": "fig-studies-dependence", "caption": "Partial dependence of the objective by a surrogate that is fitted to the logarithms of all objectives. Curves: over one hyperparameter, the best trial dashed. Maps: over two, trials as dots, the best as a star; colours that stand out from the page are low."}, "image": {"alt": "Triangular grid of panels, curves on the diagonal and maps below it."}}
out.figure(figures.partial_dependence(chosen.trials, space(chosen.study.bounds)))

# %% [markdown]
# ## Does the objective rank what matters?
#
# It tells the worst trials from the rest, and hardly more. Of {glue:text}`ranks_count`
# rank correlations with scores after a training with more data ({numref}`tab-ranks`),
# {glue:text}`ranks_negative` is negative and {glue:text}`ranks_clear` has an interval
# without 0; leave out the worst trial of each study ({numref}`fig-studies-ranks`), and
# {glue:text}`ranks_without` are negative.
# {glue:text}`ranks_open`

# %% tags=["remove-cell"]
out.table(tables.ranks(studies), "ranks")

# %% [markdown]
# :::{csv-table} Spearman's correlation between the objective and scores of trials at evenly spaced ranks, trained anew once with more data, with 95 % intervals {cite}`bonett2000`; runs that diverge count as the worst.
# :file: tables/ranks.csv
# :header-rows: 1
# :name: tab-ranks
# :::

# %% mystnb={"figure": {"name": "fig-studies-ranks", "caption": "Scores after a training with more data over the objective of the search, a dot a trial."}, "image": {"alt": "Scatter plots on logarithmic axes, a row for each study and a column for each score."}}
quantities = {
    "mmd2": r"unbiased MMD$^2$",
    "e_resim_test": r"$\mathrm{E}\|f(\theta)-y\|^2$",
}
out.figure(figures.ranks(tables.rank_panels(studies), quantities))

# %% [markdown]
# ## Are the winners better than what is printed?
#
# By the training loss, yes; by other scores rarely ({numref}`tab-found-trials`), and
# after a full training hardly ({numref}`tab-found-scores`).

# %% tags=["remove-cell"]
out.table(tables.winners(as_trials, trial), "found-trials")

# %% [markdown]
# ```{csv-table} Trained as a trial is: scores with the found hyperparameters over those with the printed ones. One training run each.
# :file: tables/found-trials.csv
# :header-rows: 1
# :name: tab-found-trials
# ```
#
# {glue:text}`found_beside_seeds` {glue:text}`in_part`

# %% tags=["remove-cell"]
out.table(tables.winners(in_full, profile), "found-scores")

# %% [markdown]
# ```{csv-table} The same after a full training, with 95 % intervals; the printed ones are this report's networks.
# :file: tables/found-scores.csv
# :header-rows: 1
# :name: tab-found-scores
# ```
