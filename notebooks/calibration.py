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
# (sec-calibration)=
# # What calibration checks cannot see
#
# Most posteriors cannot be sampled exactly. Samplers of them are then checked
# for calibration, by simulations alone. Which of the samplers that differ from
# the exact posterior ({ref}`sec-beyond`) would such checks find?
#
# On the arms with {glue:text}`arms` joints, with {glue:text}`simulations`
# simulations each: the prior, which ignores the target, passes SBC on
# {glue:text}`passed_prior_sbc` arms, HPD coverage on
# {glue:text}`passed_prior_hpd` and TARP with references that ignore the target
# on {glue:text}`passed_prior_tarp`. Of the other samplers, as they are or moved
# onto the target, that a test with exact samples rejects at
# {glue:text}`wrong_from` of the targets or more, SBC finds
# {glue:text}`wrong_sbc`, what finds the most ({glue:text}`best`) finds
# {glue:text}`wrong_best`, and {glue:text}`unseen` pass every check.

# %% tags=["parameters"]
profile = "paper"  # without effect: the tables have a profile of their own
book = ""  # folder to save results in; "" saves nothing

# %%
from ikpaper import PlanarArm
from ikpaper.experiments.calibration import SIZES
from ikpaper.report import Outputs, parameters
from ikpaper.report.plots import calibration as plots
from ikpaper.report.tables import calibration

out = Outputs(parameters(profile=profile, book=book).book)
measured = out.read("benchmark")
rows = calibration.joined_rows(out.read("calibration"), measured[measured["at"] == "random"])

# %% tags=["remove-cell"]
out.numbers(calibration.numbers(rows))
out.table(calibration.checks(rows), "calibration-checks")
for dof in PlanarArm.PAPER_DOF:
    out.table(calibration.by_sampler(rows, dof), f"calibration-{dof:02d}")

# %% [markdown]
# ## The checks
#
# A simulation is a pair of joint angles from the prior, $\theta_i$, and their
# TCP, $y_i = f(\theta_i)$. At $y_i$ a sampler draws {glue:text}`samples`
# samples. For the exact posterior, $\theta_i$ is one more sample of the same
# kind. So is any quantity $q(\theta, y)$ of it, and its rank among those of the
# samples is uniform. A Kolmogorov-Smirnov test over all simulations tells
# whether it is. The checks differ in the quantity:
#
# **SBC** {cite}`talts2018`: each joint angle, with Bonferroni's correction for
# their number.
#
# **HPD coverage** {cite}`hermans2022`: the density of the posterior, which is
# known here but for a constant factor that depends on the target alone
# ({py:func}`ikpaper.calibration.log_density`). Few of these samplers have a
# density of their own.
#
# **TARP** {cite}`lemos2023`: the distance to a reference point. *Blind*: the
# reference is drawn from the prior. *Nearest*: of 10⁵ other prior samples, the
# one whose TCP is nearest to the target, about a draw from the posterior.
# *Mean*: the mean of the nearest ones, about the mean of the posterior. The
# last two depend on the target and need nothing but further simulations.
#
# **A classifier** of pairs $(\theta, y)$, trained on half of the simulations to
# tell $\theta_i$ from a sample; the quantity is its output in the other half
# {cite}`yao2023`. It is also the classifier of the global test of L-C2ST
# {cite}`linhart2023`. Since it never sees the simulations that it is asked
# about, ranks need no further classifiers of a null hypothesis. The local
# test of L-C2ST, at single targets, trains a hundred of those for every
# sampler, and all its decisions depend on one classifier; it is left out here.
#
# Beside them stands the permutation test with exact samples of
# {ref}`sec-beyond`: at each target, a thousand samples against a thousand exact
# ones. Look-up tables are asked for a thousand samples a target, too, of which
# {glue:text}`samples` are used: those of fewer would be nearer to the target.
# The numerical solver, by far the slowest ({numref}`tab-beyond-06`), is left out.
#
# ## What they see

# %% mystnb={"figure": {"name": "fig-calibration", "caption": "Share of random subsets of 300 simulations (of the classifier, which is trained for each, of three disjoint ones) that a check rejects at level 5 %, and, in the last column of a panel, the share of targets at which a permutation test rejects with exact samples. The first row, of exact samples, is the level that is kept; of the classifier it is uncertain, from three subsets an arm. Hatched: an arm without that sampler; refine=3: samples moved onto the target by three Gauss-Newton steps."}, "image": {"alt": "Four heat maps, one an arm, with a row a sampler and a column a check. The last column, of the test with exact samples, stands out for most samplers; most other cells are faint."}}
out.figure(plots.power(calibration.shown(rows), SIZES[-1], calibration.LABELS))

# %% [markdown]
# ```{csv-table} What each check sees: how often it rejects subsets of 100 simulations of exact samples (for the classifier ten disjoint subsets an arm, so that its rate is uncertain); on how many arms it finds the prior with all simulations; how many of the other samplers it finds that exact samples reject at half of the targets or more, on all arms; and its power for these with 100 and with 300 simulations.
# :file: tables/calibration-checks.csv
# :header-rows: 1
# :name: tab-calibration-checks
# ```
#
# **SBC, HPD coverage and blind TARP do not see that a sampler ignores the
# target.** Their quantities depend on the joint angles alone
# {cite}`modrak2023`. Over all simulations, $\theta_i$ and the samples of the
# prior are drawn from the same distribution, so that all such ranks are
# uniform. What these checks see is whether spread and place are right on
# average over targets.
#
# **TARP sees it as soon as the reference depends on the target.** Samples of
# the prior are farther from the mean of the posterior than $\theta_i$ is:
# balls around it that hold half of the samples hold $\theta_i$ in
# {glue:text}`prior_ball` of the simulations. Yet distances from one
# point are all that it measures: errors that leave their distribution as it is
# go unseen.
#
# **The classifier looks for the difference itself**, in joint angles and target
# together, and pays for it with half of the simulations. It finds the INN on
# {glue:text}`inn_classifier` arms, where SBC finds it on {glue:text}`inn_sbc`,
# and the cVAE on {glue:text}`cvae_classifier`, where HPD coverage finds it on
# {glue:text}`cvae_hpd`.
#
# **HPD coverage sees whether samples lie where the posterior is dense.** It
# takes the density of the exact posterior, at whatever point a sample reaches.
# Regions that hold the densest half of the samples hold $\theta_i$ in
# {glue:text}`cvae_coverage` of the simulations for the cVAE,
# {glue:text}`inn_coverage` for the INN and {glue:text}`cgan_coverage` for the
# conditional GAN. Less than half means that the sampler prefers dense places, more
# than half the opposite. That samples miss the target shows only where it changes
# that density: of the samplers that exact samples reject at half of the targets
# or more as they are, HPD coverage finds {glue:text}`hpd_plain`, and
# {glue:text}`hpd_moved` of the same after steps onto the target. The conditional GAN, which is rejected with
# exact samples at {glue:text}`cgan_rejected` of the targets, is found by HPD
# coverage on {glue:text}`cgan_hpd` arms, by SBC on {glue:text}`cgan_sbc` and by
# the classifier on {glue:text}`cgan_classifier`.
#
# **With exact samples one knows more about each target.** A check of calibration
# has one exact sample a target, $\theta_i$, and asks about all targets at once:
# an error of one sign here and of another there cancels. The permutation test
# has a thousand at each target, and sees errors that are particular to it.
#
# ## Every sampler

# %% [markdown]
# :::::{tab-set}
# ::::{tab-item} 4 DoF
# ```{csv-table} P-values of checks with all simulations on the arm with 4 joints, and the share of targets at which a permutation test with exact samples rejects. refine=3: samples moved onto the target by three Gauss-Newton steps.
# :file: tables/calibration-04.csv
# :header-rows: 1
# :name: tab-calibration-04
# ```
# ::::
# ::::{tab-item} 6 DoF
# ```{csv-table} P-values of checks with all simulations on the arm with 6 joints, and the share of targets at which a permutation test with exact samples rejects. refine=3: samples moved onto the target by three Gauss-Newton steps.
# :file: tables/calibration-06.csv
# :header-rows: 1
# :name: tab-calibration-06
# ```
# ::::
# ::::{tab-item} 8 DoF
# ```{csv-table} P-values of checks with all simulations on the arm with 8 joints, and the share of targets at which a permutation test with exact samples rejects. refine=3: samples moved onto the target by three Gauss-Newton steps.
# :file: tables/calibration-08.csv
# :header-rows: 1
# :name: tab-calibration-08
# ```
# ::::
# ::::{tab-item} 10 DoF
# :selected:
# ```{csv-table} P-values of checks with all simulations on the arm with 10 joints, and the share of targets at which a permutation test with exact samples rejects. refine=3: samples moved onto the target by three Gauss-Newton steps.
# :file: tables/calibration-10.csv
# :header-rows: 1
# :name: tab-calibration-10
# ```
# ::::
# :::::
#
# All samplers of an arm are checked with the same simulations, so that their
# p-values are not independent: where those of exact samples are small by
# chance, others tend to be. Of the {glue:text}`exact_count` checks of exact
# samples, p is at {glue:text}`level` or below in {glue:text}`exact_found`. A
# p-value above {glue:text}`level` does not say that a sampler is right, but
# that this many simulations do not show the difference by this check.
