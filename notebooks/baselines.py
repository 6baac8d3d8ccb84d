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
# (sec-baselines)=
# # Another library
#
# What does sbi, the reference library of simulation-based inference, make of the
# same simulations?
#
# With {glue:text}`joints` joints, its flow matching (FMPE) comes to an unbiased
# MMD² of {glue:text}`mmd_fmpe`, its normalising flow (NPE) to
# {glue:text}`mmd_npe`; our flow, which has the arm's kinematics inside, comes to
# {glue:text}`mmd_flow`. With twice the epochs, from two seeds, FMPE comes to
# {glue:text}`longer_fmpe` and NPE to {glue:text}`longer_npe`; their samples are then
# rejected at {glue:text}`rejected_longer_fmpe` and
# {glue:text}`rejected_longer_npe` of the targets.

# %% tags=["parameters"]
profile = "paper"  # of the training; smoke, quick or paper
book = ""  # folder to save results in; "" saves nothing

# %%
from ikpaper.evaluation import LEVEL
from ikpaper.report import Outputs, parameters
from ikpaper.report.tables import baselines

out = Outputs(parameters(profile=profile, book=book).book)
rows, measured = out.read("baselines"), out.read("benchmark")
out.number("level", f"{100 * LEVEL:g}\xa0%")
out.numbers(baselines.numbers(rows))
random = measured[(measured["at"] == "random") & (measured["samples"] == 1000)]
out.number("kinematics", baselines.kinematics(random))

# %% [markdown]
# [sbi](https://sbi.readthedocs.io) {cite}`boelts2025` trains posteriors from
# simulations. Its NPE trains a normalising flow by
# maximum likelihood {cite}`greenberg2019`, its FMPE a velocity field by flow
# matching {cite}`wildberger2023`. All but the number of epochs is sbi's default.
#
# Both get the training samples of our flow and a fixed number of epochs, then
# twice as many from two seeds; a baseline is done earlier if its own validation says
# so. The times in {numref}`tab-baselines` of the baselines were taken while another
# program used the machine's other core, and are longer for it.
#
# The baselines know nothing of kinematics. They must learn from samples where an
# arm reaches, which our flow is given ({ref}`sec-flow`).

# %% tags=["remove-cell"]
out.table(baselines.baselines(rows), "baselines")

# %% [markdown]
# :::{csv-table} Posteriors that sbi trains for a set number of epochs and for twice as many, beside ours, scored at the same targets (`ikpaper baselines`). The unbiased MMD² scatters around zero and can be negative. *Rejected* is the share of targets at which a permutation test rejects that samples are exact. Rates of sampling are of one run, without the longer trainings.
# :file: tables/baselines.csv
# :header-rows: 1
# :shown: 7
# :name: tab-baselines
# :::
#
# CPU threads of every training: {glue:text}`threads`. The test has a level of
# {glue:text}`level`.

# %% [markdown]
# ## Is it the kinematics?
#
# {glue:text}`kinematics` {numref}`tab-kinematics` has both flows, of the same
# network, data and training.
#
# {numref}`tab-baselines` cannot say: E‖f(θ) − y‖² is {glue:text}`resim_fmpe` for
# FMPE and {glue:text}`resim_flow` for the flow, but networks, batches and
# learning rates differ as well. Length of training is part of what keeps FMPE from
# the posterior: with {glue:text}`epochs_longer_fmpe` epochs it is rejected at
# {glue:text}`rejected_longer_fmpe` of the targets, before at
# {glue:text}`rejected_fmpe`. What network and optimiser are worth is undecided.
