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
# A table of our own models leaves a question open: what does a well-kept
# library make of the same simulations in the same time?

# %% tags=["parameters"]
profile = "paper"  # of the training; smoke, quick or paper
book = ""  # folder to save results in; "" saves nothing

# %%
from ikpaper.evaluation import LEVEL
from ikpaper.report import Outputs, parameters
from ikpaper.report.tables import baselines

out = Outputs(parameters(profile=profile, book=book).book)
rows = out.read("baselines")
out.number("level", f"{100 * LEVEL:g} %")
for key, text in baselines.numbers(rows).items():
    out.number(key, text)

# %% [markdown]
# [sbi](https://sbi.readthedocs.io) {cite}`boelts2025` is the reference
# library of simulation-based inference. Its NPE trains a normalising flow by
# maximum likelihood {cite}`greenberg2019`, its FMPE a velocity field by flow
# matching {cite}`wildberger2023`. Both get the training samples of our flow
# and a fixed number of epochs, chosen so that on an idle core training takes
# about as long as that of our flow; a baseline is done earlier if its own
# validation says so. {numref}`tab-baselines` has the times: those of the
# baselines were taken while another program used the machine's other core,
# and are longer for it. All else is sbi's default. The baselines know nothing
# of kinematics: they must learn from samples where an arm reaches, which our
# flow is given ({ref}`sec-beyond`).

# %% tags=["remove-cell"]
out.table(baselines.baselines(rows), "baselines")

# %% [markdown]
# ```{csv-table} Posteriors that sbi trains as long as ours, beside ours, scored in one run (ikpaper baselines). *Rejected* is the share of targets at which a permutation test tells samples from exact ones.
# :file: tables/baselines.csv
# :header-rows: 1
# :name: tab-baselines
# ```
#
# CPU threads of every training: {glue:text}`threads`. The test has a level of
# {glue:text}`level`.

# %% [markdown]
# FMPE learns a velocity field, as the flow does. With these epochs it comes to
# an unbiased MMD² of {glue:text}`mmd_fmpe`, the flow to {glue:text}`mmd_flow`;
# E‖f(θ) − y‖² is {glue:text}`resim_fmpe` and
# {glue:text}`resim_flow`. How much of that the kinematics are worth is not
# separated: networks, batches and learning rates differ too, and a longer
# training would help whoever learns more slowly. {numref}`tab-kinematics`
# separates it for one network.
