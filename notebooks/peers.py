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
# # Another library, and longer arms
#
# Two questions that a table of our own models leaves open. What does a
# well-kept library make of the same simulations in the same time? And does
# what holds for ten joints hold for more?

# %% tags=["parameters"]
profile = "paper"  # of the models that train as long as ours; smoke, quick or paper
book = ""  # folder to save results in; "" saves nothing

# %%
import pandas as pd

from ikpaper.judging import LEVEL
from ikpaper.outputs import Outputs, significant
from ikpaper.peers import as_text
from ikpaper.plots import results
from ikpaper.plots.style import LABELS

out = Outputs(book)
peers = out.read("peers")
grown = out.read("growth").sort_values("dof")
out.number("level", f"{100 * LEVEL:g} %")

# %% [markdown]
# ## Another library
#
# [sbi](https://sbi.readthedocs.io) {cite}`boelts2025` is the reference
# library of simulation-based inference. Its NPE trains a normalising flow by
# maximum likelihood {cite}`greenberg2019`, its FMPE a velocity field by flow
# matching {cite}`wildberger2023`. Both get the training samples of our flow
# and, on the same machine with as many threads, the time that our flow's
# training took; a peer is done earlier if its own validation says so. All
# else is sbi's default. They know nothing of kinematics, which is what the
# comparison shows: a method that must learn from samples where an arm
# reaches, beside one that is told ({ref}`sec-beyond`).

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
# All train with {glue:text}`threads` CPU thread(s). The test has a level of
# {glue:text}`level`; C2ST is over {glue:text}`c2st_targets` of the targets.
#
# ## Longer arms
#
# The flow on arms of up to {glue:text}`longest` joints, links by the paper's
# rule, trained with the profile *{glue:text}`growth_profile`*, which is
# minutes of work for each, and the same network on every arm.

# %% tags=["remove-cell"]
out.number("longest", str(grown["dof"].max()))
out.number("growth_profile", str(grown["profile"].iloc[0]))
rows = []
for row in grown.to_dict("records"):
    rows.append(
        {
            "DoF": row["dof"],
            "parameters": f"{row['parameters']:,}",
            "training [min]": significant(row["training_seconds"] / 60, 2),
            "targets": row["targets"],
            "MMD² to exact": significant(row["mmd2"], 2),
            "of the prior's": f"{100 * row['mmd2'] / row['mmd2_prior']:.2f} %",
            "rejected": f"{100 * row['rejected']:.1f} %",
            "C2ST": f"{row['c2st']:.3f}",
            "E‖f(θ) − y‖²": significant(row["e_resim"], 2),
            "samples/s": f"{row['samples_per_second']:,.0f}",
            "exact sampler's": f"{row['exact_samples_per_second']:,.0f}",
            "profile": row["profile"],
        }
    )
out.table(pd.DataFrame(rows), "growth")

# %% mystnb={"figure": {"name": "fig-growth", "caption": "The flow over the number of joints, means over random targets with 95 % bootstrap intervals; the axis of the MMD² is linear below 0.0001. Rates of sampling are with a thousand samples a target."}, "image": {"alt": "Four panels over the degrees of freedom: mismatch of flow and prior, re-simulation error, training time, and samples per second of flow and exact sampler."}}
out.figure(results.growth(grown), "growth")

# %% [markdown]
# ```{csv-table} The flow on arms of more and more joints (ikpaper growth).
# :file: tables/growth.csv
# :header-rows: 1
# :name: tab-growth
# ```
