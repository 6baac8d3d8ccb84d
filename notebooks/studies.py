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
# The paper searches hyperparameters for each network and arm "in a fair
# setting" ({ref}`sec-hyperparameters`). Is what such a search finds better than
# what the slides print? That depends on how long one trains.
#
# - Trained as briefly as a trial: {glue:text}`as_trials`.
# - Trained in full: {glue:text}`in_full`.
#
# Three more questions follow: does Bayesian optimisation beat random trials, did
# the ranges bind, and does the objective rank what matters?

# %% tags=["parameters"]
profile = "paper"  # of the winners' full training; smoke, quick or paper
trials_profile = "search"  # of the trials
studies = ""  # folder of all studies; "" is that of the book
book = ""  # folder to save results in; "" saves nothing

# %%
from pathlib import Path

import ikpaper
from ikpaper import models, paper
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

# %% tags=["remove-cell"]
epochs = models.model_type("inn").epochs_for(trial)
shown = ("cvae", 6) if ("cvae", 6) in studies.first else next(iter(studies.first))
numbers = {
    "trials": str(paper.SEARCH_TRIALS),
    "samples": f"{trial.training_samples:,}",
    "epochs": str(epochs),
    "steps": str(epochs * -(-trial.training_samples // trial.batch)),
    "warmup": str(models.build("inn", dof=4).config.warmup),
    "opening": str(INITIAL_POINTS),
    "near": f"{100 * tables.NEAR:g} %",
    "shown": tables.title(shown),
    "other": tables.protocol(studies),
    "worth": tables.surrogate(studies),
    "early": tables.early(studies),
    "collapse": tables.collapse(studies),
    **tables.at_bounds(studies),
    **tables.rank_counts(studies),
    "as_trials": tables.lower(as_trials),
    "in_full": tables.lower(in_full),
    "in_part": tables.untrained(studies, profile),
    "found_beside_seeds": tables.beside_seeds(studies, seeds, profile),
}
for key, text in numbers.items():
    out.number(key, text)

# %% [markdown]
# ## The studies
#
# A study has {glue:text}`trials` trials, each trained on {glue:text}`samples`
# samples for {glue:text}`epochs` epochs and rated by its training loss after the
# last one, with Ray Tune {cite}`liaw2018tune` and scikit-optimize
# {cite}`head2021skopt`. Ranges and protocol are the paper's. A study begins with
# {glue:text}`opening` random trials. A trial whose loss is not a number, or
# hopeless by the authors' own rule, ends there and counts as a bad one. The INN
# starts with this report's warm-up, {glue:text}`warmup` of a trial's
# {glue:text}`steps` steps.
#
# {glue:text}`other`

# %% tags=["remove-cell"]
out.table(tables.overview(studies), "studies")

# %% [markdown]
# ```{csv-table} All studies, with their best objective and the trial it was found in, and what they cost: on machines that differ, beside other work, so that core hours and the median time of a trial compare by their order of magnitude alone. Trials were stopped if they lagged behind, and failed if their loss was not a number, or hopeless.
# :file: tables/studies.csv
# :header-rows: 1
# :name: tab-studies
# ```
#
# ## Does Bayesian optimisation beat random trials?
#
# {glue:text}`worth` A study is one run of a random procedure, so that this is an
# indication.
#
# {glue:text}`early`

# %% mystnb={"figure": {"name": "fig-studies-convergence", "caption": "Objective of each trial (dots) and the best so far (line) of the Bayesian studies, in the order in which trials ended; in grey, random search: the best so far of each study (thin), and median and central 90 % of the best of so many trials. A panel's axis ends at the 70 % quantile of its Bayesian trials, or at the median of the random ones if that is larger."}, "image": {"alt": "A panel for each study with dots and a falling staircase; where random search was run, a grey band falls beside it."}}
out.figure(figures.convergence(studies.trials("bayesian"), studies.trials("random")))

# %% [markdown]
# {glue:text}`collapse`
#
# ## Did the ranges bind?
#
# Of the winners' values, {glue:text}`bound_count` lie within
# {glue:text}`near` of a bound of their range, where values drawn at random would
# make {glue:text}`bound_expected` ({numref}`tab-bounds`).
# {glue:text}`bound_shared`
#
# {numref}`tab-found-cvae` and {numref}`tab-found-inn` have the winners beside the
# slides' Tables III and IV, which were refined by hand after the search.

# %% tags=["remove-cell"]
for model in ("cvae", "inn"):
    out.table(tables.found(studies, model), f"found-{model}")

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
out.table(tables.bounds(studies), "bounds")

# %% [markdown]
# ```{csv-table} Hyperparameters of the winners at a bound of their range, and which.
# :file: tables/bounds.csv
# :header-rows: 1
# :name: tab-bounds
# ```
#
# ## Where do good trials lie?
#
# One study, {glue:text}`shown`. `papermill notebooks/search.ipynb out.ipynb -p
# folder book/results/studies/NAME -p trials 1` draws the same for any.

# %% mystnb={"figure": {"name": "fig-studies-parallel", "caption": "Every trial that has an objective as a line across its hyperparameters, on the scales that are searched. The scale at the right gives the objective."}, "image": {"alt": "Lines across vertical axes, one for each hyperparameter, coloured by the objective; the best is drawn thick."}}
chosen = studies.first[shown]
out.figure(figures.parallel_coordinates(chosen.trials, chosen.study.bounds))

# %% mystnb={"figure": {"name": "fig-studies-dependence", "caption": "Partial dependence of the objective in the eyes of a surrogate that is fitted to the logarithms of all objectives. On the diagonal over one hyperparameter, with the best trial dashed; below it over two, with those trials as dots and the best as a star; colours that stand out from the page are good."}, "image": {"alt": "Triangular grid of panels, curves on the diagonal and maps below it."}}
out.figure(figures.partial_dependence(chosen.trials, space(chosen.study.bounds)))

# %% [markdown]
# ## Does the objective rank what matters?
#
# Of {glue:text}`ranks_count` rank correlations with posterior and re-simulation
# scores, {glue:text}`ranks_positive` are positive, {glue:text}`ranks_clear` of
# them with an interval that leaves out 0; {glue:text}`ranks_against` are negative
# with such an interval. All others are undecided. {glue:text}`ranks_open`
#
# For {numref}`tab-ranks`, trials of a study, from its best to its worst at even
# ranks, were trained anew with more data and scored like the published networks.
# Spearman's correlation is 1 if the search ranks them as the score does. Runs that
# diverge count as the worst. Each was trained once, and the noise of a training
# run lowers the correlation.

# %% tags=["remove-cell"]
out.table(tables.ranks(studies), "ranks")

# %% [markdown]
# ```{csv-table} Rank correlation between the objective of the search and scores after a training with more data, the profile's, with 95 % intervals (Bonett and Wright).
# :file: tables/ranks.csv
# :header-rows: 1
# :name: tab-ranks
# ```

# %% mystnb={"figure": {"name": "fig-studies-ranks", "caption": "Scores after a training with more data over the objective of the search, a dot a trial."}, "image": {"alt": "Scatter plots on logarithmic axes, a row for each study and a column for each score."}}
quantities = {
    "mmd2": r"unbiased MMD$^2$",
    "e_resim_test": r"$\mathrm{E}\|f(\theta)-y\|^2$",
}
out.figure(figures.ranks(tables.rank_panels(studies), quantities))

# %% [markdown]
# ## Are the winners better than what is printed?
#
# {numref}`tab-found-trials` has both trained as a trial is. The loss is what
# the winners were chosen by, as the best of many with this very seed; the scores
# took no part in the choice.

# %% tags=["remove-cell"]
out.table(tables.winners(as_trials, trial), "found-trials")

# %% [markdown]
# ```{csv-table} Printed and found hyperparameters, trained with the data and epochs of a trial: means over test targets with 95 % bootstrap intervals, and the loss of the last epoch. One training run each.
# :file: tables/found-trials.csv
# :header-rows: 1
# :name: tab-found-trials
# ```
#
# {numref}`tab-found-scores` has both trained in full; the published networks are
# those of the printed hyperparameters. {glue:text}`found_beside_seeds`
#
# {glue:text}`in_part`

# %% tags=["remove-cell"]
out.table(tables.winners(in_full, profile), "found-scores")

# %% [markdown]
# ```{csv-table} Printed and found hyperparameters after a full training: means over test targets with 95 % bootstrap intervals. One training run each.
# :file: tables/found-scores.csv
# :header-rows: 1
# :name: tab-found-scores
# ```
