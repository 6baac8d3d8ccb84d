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
# (sec-search)=
# # One study of the search
#
# Bayesian optimisation of the hyperparameters of one network for one arm:
# Ray Tune runs the trials, scikit-optimize proposes them. Trials that an
# earlier run finished are kept; with as many as are asked for, nothing is
# trained. A folder that holds a study decides all of it but the number of
# trials. {ref}`sec-cluster` describes how to spread a study over machines.

# %% tags=["parameters"]
dof = 6  # 4, 6, 8 or 10
model = "cvae"  # cvae or inn
trials = 100  # in all, those of earlier runs included
epochs = 60  # of a trial
seed = 42  # of the proposals and of every trial
profile = "search"  # data of a trial: 10,000 training samples; smoke is for tests
folder = ""  # folder of the study; "" is that of the book
book = ""  # folder to save results in; "" saves nothing

# %%
from pathlib import Path

import ikpaper
from ikpaper.format import significant
from ikpaper.report import Outputs, parameters
from ikpaper.report.plots import search as figures
from ikpaper.report.tables import label
from ikpaper.report.tables.search import best_trials, core_hours
from ikpaper.search import Study, StudyRecord, run_study, space

given = parameters(
    dof=dof, model=model, trials=trials, epochs=epochs, seed=seed, profile=profile,
    folder=folder, book=book,
)  # fmt: skip
out = Outputs(given.book)
ikpaper.use_fast_matmul()
where = Path(given.folder) if given.folder else None
if where and (where / "trials.csv").exists():
    study = StudyRecord(where).study
else:
    arm = ikpaper.PlanarArm.paper(given.dof)
    study = Study(given.model, arm, profile=given.profile, epochs=given.epochs, seed=given.seed)
table = run_study(study, trials=given.trials, folder=where)

# %% tags=["remove-cell"]
out.number("profile", study.profile.name)
out.number("model", label(study.model))
out.number("dof", str(study.arm.dof))
out.number("trials", str(len(table)))
out.number("failed", str(int(table["objective"].isna().sum())))
out.number("samples", f"{study.profile.training_samples:,}")
out.number("epochs", str(study.epochs))
out.number("hours", significant(core_hours(table), 2))

# %% [markdown]
# This study: {glue:text}`model`, {glue:text}`dof` joints. Each trial trains
# on {glue:text}`samples` samples for {glue:text}`epochs` epochs (profile
# *{glue:text}`profile`*). Of {glue:text}`trials` trials
# {glue:text}`failed` have no objective, since they failed or were stopped;
# together they took {glue:text}`hours` core hours.
#
# ## Convergence

# %% mystnb={"figure": {"name": "fig-study-convergence", "caption": "Objective of each trial (dots) and the best so far (line), in the order in which trials ended."}, "image": {"alt": "Dots scattered over trials and a falling staircase below them."}}
out.figure(figures.convergence({study.name: [table]}))

# %% [markdown]
# ## The best trials

# %%
out.table(best_trials(table, study.bounds), "study-best")

# %% [markdown]
# ## Where good trials lie

# %% mystnb={"figure": {"name": "fig-study-parallel", "caption": "Every trial that has an objective as a line across its hyperparameters, on the scales that are searched. The scale at the right gives the objective."}, "image": {"alt": "Lines across vertical axes, one for each hyperparameter, coloured by the objective; the best is drawn thick."}}
out.figure(figures.parallel_coordinates(table, study.bounds))

# %% mystnb={"figure": {"name": "fig-study-dependence", "caption": "Partial dependence of the objective in the eyes of a surrogate that is fitted to the logarithms of all objectives. On the diagonal over one hyperparameter, with the best trial dashed; below it over two, with those trials as dots and the best as a star; colours that stand out from the page are good."}, "image": {"alt": "Triangular grid of panels, curves on the diagonal and maps below it."}}
out.figure(figures.partial_dependence(table, space(study.bounds)))
