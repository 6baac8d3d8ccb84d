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
# (sec-beyond)=
# # Beyond the paper
#
# How close can a sampler come to the exact posterior, and what kept the paper's
# networks away?
#
# As close as {glue:text}`samples` samples can tell, by flow matching: a permutation
# test rejects the flow at {glue:text}`rejected_flow` of {glue:text}`targets` random
# targets, exact samples at {glue:text}`rejected_exact`, the cVAE at
# {glue:text}`rejected_cvae`, the INN at {glue:text}`rejected_inn`. By maximum
# likelihood a network of the INN's kind comes closer. All scores are the output of
# `ikpaper benchmark`.

# %% tags=["parameters"]
profile = "paper"  # smoke, quick or paper
train = False  # True: train what is not there
book = ""  # folder to save results in; "" saves nothing

# %%
import torch

import ikpaper
from ikpaper.evaluation import LEVEL
from ikpaper.experiments import costs
from ikpaper.format import percent
from ikpaper.metrics import C2ST_EPOCHS
from ikpaper.models import model_type
from ikpaper.profiles import PUBLISHED
from ikpaper.report import Outputs, parameters
from ikpaper.report.plots import results
from ikpaper.report.tables import NETWORKS, beyond
from ikpaper.report.tables.beyond import FLOWS
from ikpaper.training import trained_models

given = parameters(profile=profile, train=train, book=book)
profile, out = given.profile, Outputs(given.book)
ikpaper.use_fast_matmul()
measured = out.read("benchmark")
random, many = (measured[measured["at"] == at] for at in ("random", "many samples"))
shown = 6
arm = ikpaper.PlanarArm.paper(shown)
# Not every profile trains them all.
names = [name for name in (*FLOWS, *NETWORKS) if profile.name in model_type(name).epochs]
trained = trained_models(names, shown, profile, train_here=given.train)
models = {name: model for name, (model, _) in trained.items()}
flow, exact = models["flow"], ikpaper.ExactPosterior(arm, profile.sigma)

# %% tags=["remove-cell"]
out.number("level", percent(LEVEL, 0))
out.number("shown", str(shown))
for key, name in (("ml_epochs", "inn-ml"), ("inn_epochs", "inn")):
    out.number(key, str(model_type(name).epochs_for(PUBLISHED)))
out.numbers(
    beyond.benchmark_numbers(random),
    beyond.likelihood_numbers(random),
    beyond.paired_numbers(random),
    beyond.many_samples_numbers(many, random),
    beyond.tails_numbers(random),
    beyond.projection_numbers(random),
)

# %% [markdown]
# ## What is compared
#
# - **Flow** ({ref}`sec-flow`): flow matching {cite}`lipman2023` with the arm's
#   kinematics inside; also *without network*, an analytic guess of the velocity,
#   and *without kinematics* ({py:class}`~ikpaper.models.flow.PlainFlow`), all else
#   equal.
# - **Flow, one evaluation** ({py:class}`~ikpaper.models.flow_fast.FlowFast`):
#   trained on pairs that the flow draws.
# - **INN, maximum likelihood** {cite}`kruse2021`: the paper's network for
#   {glue:text}`ml_dof` joints ({py:class}`~ikpaper.models.inn_ml.INNML`), and a
#   small one for every arm.
# - **Conditional GAN** ({py:class}`~ikpaper.models.cgan.CGAN`): cited by the slides
#   {cite}`mirza2014`, not tried there.
# - **Look-up table** ({py:class}`~ikpaper.samplers.lookup.LookupTable`): of 10⁵ or
#   10⁶ prior samples, those that end nearest to the target.
# - **refine=3** ({py:func}`~ikpaper.projection.project`): samples moved onto the
#   target by three Gauss-Newton steps, where needed by up to
#   {glue:text}`patience` more.
#
# ## How close do they come?
#
# By {glue:text}`samples` samples a target, the flows are level with the exact sampler;
# look-up tables moved onto the target come next ({numref}`tab-beyond-10` and its tabs).
# Of each network there is one training run an arm, of each look-up table one draw:
# intervals are over targets alone. How far runs of the paper's networks differ is in
# {numref}`tab-seeds`.
#
# A sampler draws {glue:text}`samples` samples at each target. The MMD² is unbiased,
# with the paper's kernel; *rejected* is by a test of level {glue:text}`level` with
# that statistic {cite}`gretton2008`; C2ST is over the first {glue:text}`checks`
# targets, by classifiers that train for {glue:text}`c2st_epochs` epochs
# ({numref}`tab-stops`); E‖f(θ) − y‖² is in squared units of length ({ref}`sec-reading`). Rows of
# an arm share their exact samples, so that their scores move together.

# %% tags=["remove-cell"]
for dof in ikpaper.PlanarArm.PAPER_DOF:
    out.table(beyond.samplers(random, dof), f"beyond-{dof:02d}")

# %% [markdown]
# :::::{tab-set}
# ::::{tab-item} 4 DoF
# :::{csv-table} All samplers, 4 joints; C2ST after {glue:text}`c2st_epochs` epochs.
# :file: tables/beyond-04.csv
# :header-rows: 1
# :name: tab-beyond-04
# :::
# ::::
# ::::{tab-item} 6 DoF
# :::{csv-table} All samplers, 6 joints; C2ST after {glue:text}`c2st_epochs` epochs.
# :file: tables/beyond-06.csv
# :header-rows: 1
# :name: tab-beyond-06
# :::
# ::::
# ::::{tab-item} 8 DoF
# :::{csv-table} All samplers, 8 joints; C2ST after {glue:text}`c2st_epochs` epochs.
# :file: tables/beyond-08.csv
# :header-rows: 1
# :name: tab-beyond-08
# :::
# ::::
# ::::{tab-item} 10 DoF
# :selected:
#
# :::{csv-table} All samplers, 10 joints; C2ST after {glue:text}`c2st_epochs` epochs.
# :file: tables/beyond-10.csv
# :header-rows: 1
# :name: tab-beyond-10
# :::
# ::::
# :::::
#
# ## What does quality cost?
#
# Microseconds. Only the prior, the look-up tables and the flow in one evaluation lie on
# the grey line of the MMD² ({numref}`fig-pareto`): no other sampler beats them in both.

# %% mystnb={"figure": {"name": "fig-pareto", "caption": "Quality over the cost of a sample on two threads; open markers, and the second cross of the prior: samples moved onto the target. The grey line joins the samplers that no other one beats in both. In the grey band are values within the interval of exact samples, or on the target to the tolerance of the benchmark."}, "image": {"alt": "Two rows of scatter plots on logarithmic axes, a column an arm, with a marker for each sampler: mismatch above, re-simulation error below, over the time per sample."}}
out.figure(results.pareto(random))

# %% [markdown]
# ## What do samplers without training reach?
#
# More than the paper's networks: a look-up table of 10⁶ samples, moved onto the
# target, has a smaller MMD² than the cVAE on {glue:text}`lookup_cvae` arms and than
# the INN on {glue:text}`lookup_inn`. To be on the target is not enough: the prior
# moved there, and a numerical solver, are spread otherwise than the posterior.

# %% tags=["remove-cell"]
out.table(beyond.over_arms(random, beyond.NO_LEARNING), "no-learning")

# %% [markdown]
# :::{csv-table} Samplers without learning, and the paper's networks: smallest and largest score over the arms. The solver is scored at fewer targets ({numref}`tab-beyond-10` and its tabs).
# :file: tables/no-learning.csv
# :header-rows: 1
# :name: tab-no-learning
# :::
#
# ## What are the kinematics worth?
#
# Precision: they divide E‖f(θ) − y‖² by {glue:text}`kinematics_resim`. The
# distribution is flow matching's: without kinematics the flow is rejected as rarely,
# without network at {glue:text}`rejected_flow-guess`.

# %% tags=["remove-cell"]
out.table(beyond.over_arms(random, beyond.KINEMATICS), "kinematics")

# %% [markdown]
# :::{csv-table} The flow in parts, and whole. Both flows with a network are trained on the same data for as many epochs ({numref}`tab-beyond-10` and its tabs have the time that took).
# :file: tables/kinematics.csv
# :header-rows: 1
# :name: tab-kinematics
# :::
#
# ## Do the samples of a flow differ from exact ones?
#
# Not with {glue:text}`samples` samples a target; with {glue:text}`more_samples`, by
# the mean of the MMD².
#
# With {glue:text}`samples`, {glue:text}`pairs_unequal` of {glue:text}`pairs`
# comparisons finds a difference ({numref}`tab-paired`), nor does a kernel for finer
# structure (`multi-bandwidth`: flow rejected at {glue:text}`check_flow`, exact
# samples at {glue:text}`check_exact`). A difference of up to
# {glue:text}`pairs_most` could hide, and an MMD² of {glue:text}`pairs_share` of the
# prior's.

# %% tags=["remove-cell"]
out.table(beyond.paired(random), "paired")

# %% [markdown]
# :::{csv-table} Shares rejected, flows beside exact samples at the same targets, with McNemar's exact test {cite}`mcnemar1947` (*p*) and the 95 % interval that agrees with it.
# :file: tables/paired.csv
# :header-rows: 1
# :name: tab-paired
# :::
#
# With {glue:text}`more_samples`, the flow's MMD² is above zero on
# {glue:text}`more_above` arms, that of exact samples on
# {glue:text}`more_exact_above`; it is {glue:text}`more_share` of the prior's, at
# most {glue:text}`more_most`. The shares rejected differ on
# {glue:text}`more_unequal`, where a difference of up to
# {glue:text}`more_pairs_most` could hide; {ref}`sec-conclusion` counts over all arms
# together.

# %% tags=["remove-cell"]
out.table(beyond.many_samples(many), "many-samples")

# %% [markdown]
# :::{csv-table} The same with ten times as many samples, at the first {glue:text}`more_targets` targets; the MMD² in millionths.
# :file: tables/many-samples.csv
# :shown: 7
# :header-rows: 1
# :name: tab-many-samples
# :::

# %% tags=["remove-cell"]
# On the page Reproducing.
out.table(beyond.aims(random, out.read("bench"), out.read("scaling")), "aims")

# %% [markdown]
# ## Where do they fail?
#
# At few targets: over its worst percent of them, the cVAE has
# {glue:text}`tail_mmd_cvae` times its mean MMD² and {glue:text}`tail_resim_cvae`
# times its mean E‖f(θ) − y‖², the INN {glue:text}`tail_mmd_inn` and
# {glue:text}`tail_resim_inn` times ({numref}`tab-tails`). The flow's worst MMD² is that
# of exact samples.
#
# The conditional GAN is rejected on every arm ({glue:text}`rejected_cgan`), and with
# {glue:text}`gan_worst_dof` joints its MMD² is {glue:text}`gan_worst_share` times the
# prior's: its samples lack part of the posterior's spread (mode collapse).

# %% tags=["remove-cell"]
out.table(beyond.tails(random), "tails")

# %% [markdown]
# ```{csv-table} Means over all targets, and over the worst percent by that score: smallest and largest over the arms.
# :file: tables/tails.csv
# :header-rows: 1
# :name: tab-tails
# ```
#
# ## Does moving samples onto the target repair them?
#
# The distance, yes; the distribution of the paper's networks, hardly. The steps divide
# the cVAE's MMD² by {glue:text}`falls_cvae` and the INN's by {glue:text}`falls_inn`,
# that of the look-up table of 10⁶ by {glue:text}`falls_lookup-large`. Samples farther
# off than {glue:text}`tolerance` of the reach are drawn again; then
# {glue:text}`missed` samples miss.

# %% tags=["remove-cell"]
out.table(beyond.projection(random), "projection")

# %% [markdown]
# ```{csv-table} Before and after three steps onto the target: smallest and largest over the arms.
# :file: tables/projection.csv
# :header-rows: 1
# :name: tab-projection
# ```
#
# ## Was it the INN's architecture, or its training?
#
# Open, but not its size. With as many layers and neurons, but other last layers and
# bounds of the scales, a training by likelihood divides the MMD² by
# {glue:text}`ml_large_mmd` and E‖f(θ) − y‖² by {glue:text}`ml_large_resim`. Even the small network is closer than
# the INN to the posterior on {glue:text}`ml_small_mmd_better` arms and to the target
# on {glue:text}`ml_small_resim_better`, but is rejected at
# {glue:text}`rejected_inn-ml-small`.

# %% tags=["remove-cell"]
out.table(beyond.likelihood(random), "likelihood")

# %% [markdown]
# ```{csv-table} The INN by the paper's losses and by maximum likelihood, trained on machines that differ.
# :file: tables/likelihood.csv
# :header-rows: 1
# :name: tab-likelihood
# ```
#
# More than the loss differs: epochs ({glue:text}`ml_epochs` in place of
# {glue:text}`inn_epochs`), start and activation of the last layers, bounds of the scales, learning rates. Which of
# these it is has not been measured.
#
# ## How many steps does the flow take?
#
# Two nearly do, if its samples are then moved onto the target: rejected at
# {glue:text}`two_steps_refined_rejected` of {glue:text}`step_targets` targets
# ({glue:text}`shown` joints), with a larger MMD² than after more
# ({numref}`tab-flow-steps`). Without the move it is rejected at
# {glue:text}`two_steps_rejected`, after {glue:text}`most_steps` steps at
# {glue:text}`most_steps_rejected`.

# %% tags=["remove-output"]
steps = out.result(costs.flow_steps(flow, profile, (1, 2, 4, 8, 16)), "flow-steps")

# %% tags=["remove-cell"]
out.table(beyond.flow_steps(steps), "flow-steps")
out.numbers(beyond.flow_steps_numbers(steps))

# %% [markdown]
# ```{csv-table} The flow by midpoint steps, of two evaluations each.
# :file: tables/flow-steps.csv
# :header-rows: 1
# :name: tab-flow-steps
# ```
#
# ## How long should a classifier train?
#
# Briefly: a longer training separates the samples of one target better, but fewer
# targets can be had at that cost. {glue:text}`stop_best` epochs would tell most,
# {glue:text}`stop_best_errors` standard errors for the cVAE; the
# {glue:text}`c2st_epochs` of this report have {glue:text}`stop_used_errors`, and
# values nearer to those of sbibm's protocol. This is of one network on one arm.

# %% tags=["remove-output"]
epochs = (10, C2ST_EPOCHS, 50, 100, None)
stops = out.result(costs.classifier_stops(models["cvae"], profile, epochs), "classifier-stops")

# %% tags=["remove-cell"]
out.table(beyond.classifier_stops(stops), "stops")
out.numbers(beyond.classifier_stops_numbers(stops))

# %% [markdown]
# :::{csv-table} Accuracy of classifiers ({glue:text}`shown` joints, 95 % intervals) by when their training stops; *to the end* is sbibm's way {cite}`lueckmann2021`. It compares stops, not samplers: a few targets do, to the end fewer still.
# :file: tables/stops.csv
# :header-rows: 1
# :name: tab-stops
# :::
#
# ## When to use which?
#
# The exact sampler for many samples of a target, a network for few samples of many:
# for one sample of each of {glue:text}`few` targets the flow is about
# {glue:text}`one_flow` times as fast as the exact sampler, and
# {glue:text}`one_flow-fast_refined` times in one evaluation with refine=3; for a
# thousand of each of a few targets, {glue:text}`many_flow` and
# {glue:text}`many_flow-fast_refined` times ({numref}`tab-amortised`). A
# numerical solver takes {glue:text}`solver_ms` ms for a solution, the exact sampler
# {glue:text}`exact_ms` ms for a sample. {ref}`sec-conclusion` draws the
# consequences.

# %% tags=["remove-output"]
few = min(2000, 10 * profile.targets)
together = ikpaper.ExactPosterior(arm, profile.sigma, together=True)
samplers = {("exact", 0): together, ("flow", 0): flow}
if "flow-fast" in models:
    samplers |= {("flow-fast", steps): models["flow-fast"] for steps in (0, 3)}
times = costs.times_of_a_sample(samplers, arm, profile, few)
amortised = out.result(times, "amortised")

# %% tags=["remove-cell"]
out.table(beyond.amortised(amortised), "amortised")
out.number("few", f"{few:,}")
out.numbers(beyond.amortised_numbers(amortised, random, shown))

# %% [markdown]
# :::{csv-table} Time for a sample on this report's machine, {glue:text}`shown` joints, of the exact sampler with `together=True`; a run of its own, whose times compare within this table, not with the rates above.
# :file: tables/amortised.csv
# :header-rows: 1
# :name: tab-amortised
# :::

# %% tags=["remove-cell"]
point = (0.9 * arm.reach, 0.22 * arm.reach)
draws = torch.Generator().manual_seed(3)
fans = {"exact": exact, "flow": flow, **{name: models[name] for name in NETWORKS}}
drawn = {
    name: sampler.sample(point, min(300, profile.figure_samples), generator=draws)
    for name, sampler in fans.items()
}
out.figure(results.home(arm, point, drawn, random[random["refine"] == 0]), "home")
