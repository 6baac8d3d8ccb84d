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
# (sec-peers)=
# # Another library
#
# A table of our own models leaves a question open: what does a well-kept
# library make of the same simulations in the same time?

# %% tags=["parameters"]
profile = "paper"  # of the models that train as long as ours; smoke, quick or paper
book = ""  # folder to save results in; "" saves nothing

# %%

from ikpaper.judging import LEVEL
from ikpaper.outputs import Outputs, significant
from ikpaper.peers import as_text
from ikpaper.plots.style import LABELS

out = Outputs(book)
peers = out.read("peers")
out.number("level", f"{100 * LEVEL:g} %")

# %% [markdown]
# [sbi](https://sbi.readthedocs.io) {cite}`boelts2025` is the reference
# library of simulation-based inference. Its NPE trains a normalising flow by
# maximum likelihood {cite}`greenberg2019`, its FMPE a velocity field by flow
# matching {cite}`wildberger2023`. Both get the training samples of our flow
# and, on the same machine with as many threads, the time that our flow's
# training took; a peer is done earlier if its own validation says so. All
# else is sbi's default. They know nothing of kinematics: methods that must
# learn from samples where an arm reaches stand beside one that is told
# ({ref}`sec-beyond`).

# %% tags=["remove-cell"]
columns = ["DoF", "sampler", "targets", "MMD² to exact", "rejected", "C2ST", "E‖f(θ) − y‖²"]
columns += ["worst target", "samples/s", "parameters", "profile"]
out.table(as_text(peers, columns, LABELS), "peers")
threads = sorted({int(count) for count in peers["training_threads"].dropna()})
out.number("threads", " or ".join(map(str, threads)))
out.number("c2st_targets", str(peers["c2st_targets"].max()))

# %% [markdown]
# ```{csv-table} Posteriors that sbi trains as long as ours, beside ours, judged in one run (ikpaper peers). *Rejected* is the share of targets at which a permutation test tells samples from exact ones.
# :file: tables/peers.csv
# :header-rows: 1
# :name: tab-peers
# ```
#
# CPU threads of every training: {glue:text}`threads`. The test has a level of
# {glue:text}`level`; C2ST is over {glue:text}`c2st_targets` of the targets.

# %% tags=["remove-cell"]
for name, mine in peers.groupby("sampler"):
    out.number(f"mmd_{name}", significant(mine["mmd2"].mean(), 2))
    out.number(f"resim_{name}", significant(mine["e_resim"].mean(), 2))

# %% [markdown]
# FMPE learns a velocity field, as the flow does. In the same time it comes to
# an unbiased MMD² of {glue:text}`mmd_fmpe`, the flow to
# {glue:text}`mmd_flow`; E‖f(θ) − y‖² is {glue:text}`resim_fmpe` and
# {glue:text}`resim_flow`. How much of that the kinematics are worth is not
# separated: networks, batches and learning rates differ too, and a longer
# training would help whoever learns more slowly.
