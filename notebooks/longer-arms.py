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
# (sec-longer-arms)=
# # Longer arms
#
# Does what holds for ten joints hold for more?
#
# {glue:text}`full_answer`: trained in full, the flow is rejected
# {glue:text}`full_verdict` ({numref}`tab-scaling-full`). Of each setting there is one
# training run.
#
# After a short training, less and less. With {glue:text}`longest` joints the MMD²
# of the flow to the exact posterior is then {glue:text}`share_longest` of the
# prior's, and a permutation test of level {glue:text}`level` rejects its samples
# at {glue:text}`rejected_longest` of {glue:text}`targets` random targets. For
# ten joints it is {glue:text}`share_10` and {glue:text}`rejected_10`.
#
# All are flows with the architecture of {ref}`sec-flow`, links by the paper's rule.
# The short trainings ({numref}`tab-scaling`) are on arms of {glue:text}`shortest` to
# {glue:text}`longest` joints, with the profile *{glue:text}`scaling_profile`* for
# {glue:text}`fastest` to {glue:text}`slowest` seconds on a CPU.
# {ref}`sec-beyond` has what a longer training makes of the arms with up to ten
# joints. No other network was trained for more joints than the paper's.
#
# The exact sampler slows down faster than the flow, which overtakes it at
# {glue:text}`overtakes` joints.

# %% tags=["parameters"]
profile = "paper"  # without effect: the table has a profile of its own
book = ""  # folder to save results in; "" saves nothing

# %%
from ikpaper.evaluation import LEVEL
from ikpaper.report import Outputs, parameters
from ikpaper.report.plots import results
from ikpaper.report.tables import scaling

out = Outputs(parameters(profile=profile, book=book).book)
rows, full = out.read("scaling").sort_values("dof"), out.read("scaling-full")

# %% tags=["remove-cell"]
out.number("level", f"{100 * LEVEL:g}\xa0%")
out.numbers(scaling.numbers(rows))
out.numbers(scaling.in_full_numbers(full))
out.table(scaling.longer_arms(rows), "scaling")
out.table(scaling.in_full(full), "scaling-full")

# %% mystnb={"figure": {"name": "fig-scaling", "caption": "The flow over the number of joints, means over random targets, the MMD² with 95 % bootstrap intervals; its axis is linear below 0.0001. Rates of sampling are with a thousand samples a target, both measured in one run."}, "image": {"alt": "Four panels over the degrees of freedom: mismatch of flow and prior, re-simulation error, training time, and the flow's rate of sampling over the exact sampler's, which rises above one."}}
out.figure(results.scaling(rows))

# %% [markdown]
# :::{csv-table} The flow on arms of more and more joints (`ikpaper scaling`); E‖f(θ) − y‖² in squared units of length.
# :file: tables/scaling.csv
# :header-rows: 1
# :name: tab-scaling
# :::
#
# ## Trained in full
#
# {numref}`tab-scaling-full` has the arms with {glue:text}`full_joints` joints, trained
# on as much data as those of {ref}`sec-beyond`: for fewer and as many epochs, with
# narrower and wider networks, and sampled in fewer and more steps. The shares at
# which the flow is rejected before refinement are, over epochs of training (its
# time was measured beside other work, and does not compare),
# {glue:text}`full_time`; over neurons of a layer, after the epochs that have several
# widths, {glue:text}`full_widths`.
#
# :::{csv-table} The flow on long arms, over epochs of training, neurons of a layer and steps of sampling (`ikpaper scaling --full`); the first row of an arm is that of exact samples. The unbiased MMD² scatters around zero and can be negative.
# :file: tables/scaling-full.csv
# :header-rows: 1
# :shown: 9
# :name: tab-scaling-full
# :::
