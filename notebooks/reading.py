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
# (sec-reading)=
# # How to read these numbers
#
# A sampler of this report is scored in two ways: whether its samples *reach*
# the target, and whether they are *spread* as the posterior is. The first is
# a distance. The second is a squared maximum mean discrepancy (MMD²), which
# has no unit that one could hold against a ruler. This page shows what its
# values look like, and explains every term of the tables.

# %% tags=["parameters"]
profile = "paper"  # smoke, quick or paper
book = ""  # folder to save results in; "" saves nothing

# %%
import torch

import ikpaper
from ikpaper.experiments.faults import FAULTS, score_faults
from ikpaper.report import Outputs, parameters
from ikpaper.report.plots import reading as plots
from ikpaper.report.tables import reading as tables

given = parameters(profile=profile, book=book)
profile, out = given.profile, Outputs(given.book)
smoke = profile.name == "smoke"
arm, tcp = ikpaper.PlanarArm.paper(6), (3.0, 0.8)
rows, samplers = score_faults(
    arm,
    tcp,
    (0.00001, 0.001, 0.01),
    sigma=profile.sigma,
    repeats=4 if smoke else 24,
    samples=300 if smoke else 1000,
)
rows = out.result(rows.assign(profile=profile.name), "faults")
measured = out.read("benchmark")
random, floor = measured[measured["at"] == "random"], out.read("statistic-floor")

# %% tags=["remove-cell"]
out.table(tables.faults(rows, arm.reach), "faults")
out.numbers(tables.numbers(rows, arm.reach, floor, random))

# %% [markdown]
# ## What an MMD² looks like
#
# {numref}`fig-reading` has pairs of sample sets, exact ones and others with a
# fault whose size was chosen so that their MMD² to the exact posterior is the
# number above the column. Three kinds of faults: noise is added to every
# joint angle; some samples are of the prior, which does not know the target;
# the samples with the largest first joint angle are missing.

# %% mystnb={"figure": {"name": "fig-reading", "caption": "Two of the six joint angles of exact samples (grey) and of samples with a fault (orange), for one target. A row is a kind of fault, a column a value of the MMD²."}, "image": {"alt": "Nine scatter plots of two joint angles. In the left column both clouds lie on each other, in the middle one the differences are small, in the right one the orange cloud is visibly wider, has scattered points around it, or lacks its right side."}}
generator = torch.Generator().manual_seed(7)
exact = ikpaper.ExactPosterior(arm, profile.sigma).sample(tcp, 600, generator=generator)
drawn = {
    (kind, value): samplers[kind, value].sample(tcp, 600, generator=generator)
    for kind in FAULTS
    for value in sorted(set(rows["value"]) - {0.0})
}
out.figure(plots.pairs(exact, drawn, tables.NAMES))

# %% [markdown]
# :::{csv-table} Sample sets with a known fault, scored as samplers are: {glue:text}`repeats` pairs of {glue:text}`samples` samples at one target. All rows share the exact samples, so that *rejected* is the same by chance in several: without a fault, {glue:text}`none_rejected` pairs, where {glue:text}`level` are expected.
# :file: tables/faults.csv
# :header-rows: 1
# :name: tab-faults
# :::
#
# - **10⁻⁵** is less than one target can show: noise of
#   {glue:text}`blurred_small`, or {glue:text}`mixed_small` of the samples from
#   the prior. For two exact sets of {glue:text}`samples` samples, the score
#   scatters around zero with a standard deviation of {glue:text}`spread`. Only
#   means over many targets are so precise.
# - **0.001** is small for this score, and need not be for another: noise of
#   {glue:text}`blurred_middle`, by which a typical miss is
#   {glue:text}`blurred_middle_miss` of the reach; or
#   {glue:text}`mixed_middle` of the samples from the prior; or
#   {glue:text}`cut_middle` of the posterior missing. A test finds it at
#   {glue:text}`rejected_middle` of the repetitions.
# - **0.01** can be seen: noise of {glue:text}`blurred_large`, or
#   {glue:text}`mixed_large` of the samples from the prior, or
#   {glue:text}`cut_large` of the posterior missing.
# - Over random targets, the paper's cVAE has {glue:text}`mmd_cvae`, its INN
#   {glue:text}`mmd_inn`, and the prior itself, which ignores the target,
#   {glue:text}`mmd_prior`, depending on the arm. Tables that compare arms give the
#   share of the prior's.
#
# Faults of one MMD² need not be alike by other scores. A sampler that lacks a
# part of the posterior misses no target, and one with noise on its joints
# misses all of them. So this report never gives one score alone.
#
# ## The floor of the statistic
#
# The paper's score $e_\text{posterior}$ is the same discrepancy by another estimate
# (the V-statistic), which also compares every sample with itself. It is
# positive even for two sets of one distribution: {glue:text}`v_floor` for a
# hundred samples each, at the slides' target with six joints. That is its *floor*. A value
# near the floor says that no difference was found, not that it is that large.
# The unbiased MMD² has no floor: it is zero in the mean for equal distributions,
# and falls below zero about half of the time, or more. A small negative value
# means: no difference found. {numref}`fig-floor` shows both, {ref}`sec-published` what it
# does to the published numbers.
#
# ## Rejected
#
# Each target is a question: could both sets be samples of one distribution? A
# permutation test answers it: the labels of all samples are shuffled, and the
# MMD² of the true labels is compared with those of the shuffled ones. At the
# level of {glue:text}`level`, the test rejects exact samples at about
# {glue:text}`level` of the targets by chance. *Rejected* is the share of
# targets at which it rejects a sampler: {glue:text}`rejected_exact` for exact
# samples, {glue:text}`rejected_flow` for the flow, {glue:text}`rejected_cvae`
# for the cVAE and {glue:text}`rejected_inn` for the INN. It says whether a
# difference can be seen with so many samples, not how large it is: with more
# samples, ever smaller differences are found.
#
# ## C2ST
#
# A small network is trained to say which set a sample is from. C2ST is the
# share of its right answers on samples that it was not trained on: 0.5 if it can
# only guess, 1 if it never errs. It is {glue:text}`c2st_exact` for exact
# samples, {glue:text}`c2st_flow` for the flow, {glue:text}`c2st_cvae` for the
# cVAE, {glue:text}`c2st_inn` for the INN and {glue:text}`c2st_prior` for the
# prior. A value just below 0.5 is chance. The classifiers of this report train for
# {glue:text}`beyond.ipynb::c2st_epochs:s` epochs, so that many targets can be scored: trained
# to the end, they are right more often ({numref}`tab-stops`).
#
# ## Re-simulation error
#
# The arm is put at the joint angles that a sampler returns, and the squared
# distance between its tip and the target is averaged: E‖f(θ) − y‖², in squared
# units of length, where an inner link is 0.5 long. Its root is a *typical miss*,
# a length, which tables also give in per cent of the reach. The authors' program
# reports half of that mean (*halved*). A small error alone says nothing about
# how samples are spread.
#
# ## Words
#
# ```{glossary}
# Arm
#   A planar chain of links with revolute joints, fixed at its base.
#
# C2ST
#   Classifier two-sample test: accuracy of a classifier between two sets of samples; 0.5 for equal distributions.
#
# cVAE
#   Conditional variational autoencoder, one of the paper's two networks.
#
# DoF
#   Degrees of freedom: here, the number of joints.
#
# Exact posterior
#   The distribution of the joint angles given that the tip is at the target, and samples of it drawn without approximation.
#
# Flow
#   A network that moves samples of the prior to samples of the posterior along a learned velocity field; here with the arm's kinematics in it.
#
# Floor
#   What a biased score shows on average for two sets of samples of one distribution.
#
# INN
#   Invertible neural network, one of the paper's two networks.
#
# Interval
#   Bounds between which a mean over targets lies with a confidence of 95 %, by the bootstrap.
#
# Mismatch
#   How far a sampler's distribution is from the exact posterior, by the MMD²; $e_\text{posterior}$ is the paper's estimate of it.
#
# MMD²
#   Squared maximum mean discrepancy between two sets of samples; zero for equal distributions.
#
# Posterior
#   The distribution of the joint angles given the target: all configurations that reach it, weighted by the prior.
#
# Prior
#   The distribution of the joint angles before a target is known; as a sampler, one that ignores the target.
#
# Profile
#   A named set of sizes: how much data, how many epochs, how many targets. *paper* is the paper's protocol.
#
# Reach
#   The largest distance from base to tip, the sum of the link lengths.
#
# Reference samples
#   Samples that a sampler is scored against: exact ones, or, in the paper's score, those of rejection sampling.
#
# Refinement
#   Gauss-Newton steps that move samples onto the target after they are drawn; `refine=3` is three of them.
#
# Rejected
#   Share of the targets at which a permutation test rejects that a sampler's samples and exact ones are of one distribution.
#
# Rejection sampling
#   The paper's reference: of many prior samples, those whose tip is within a tolerance of the target.
#
# Re-simulation error
#   Mean squared distance between target and tip, over a sampler's samples.
#
# Target
#   The point that the tip is to reach; `y` in formulas.
#
# TCP
#   Tool centre point, the tip of the arm.
# ```
