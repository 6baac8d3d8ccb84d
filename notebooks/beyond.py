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
# Neither of the paper's networks reaches the exact posterior
# ({ref}`sec-comparison`). With exact samples at hand one can ask what the
# slides could not: how close can a learned sampler come, at which cost, and
# what kept these two away? This page adds samplers and a projection, and
# scores them by one command (`ikpaper benchmark`).

# %% tags=["parameters"]
profile = "paper"  # smoke, quick or paper
train = False  # True: train what is not there
book = ""  # folder to save results in; "" saves nothing

# %%
import pandas as pd
import torch

import ikpaper
from ikpaper.evaluation import LEVEL, PERMUTATIONS, random_targets, sampling_rate
from ikpaper.metrics import C2ST_EPOCHS, c2st, c2st_batch
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
random = measured[measured["at"] == "random"]
shown = 6
arm = ikpaper.PlanarArm.paper(shown)
# Not every profile trains them all.
names = [name for name in (*FLOWS, *NETWORKS) if profile.name in model_type(name).epochs]
trained = trained_models(names, shown, profile, train_here=given.train)
models = {name: model for name, (model, _) in trained.items()}
flow, exact = models["flow"], ikpaper.ExactPosterior(arm, profile.sigma)

# %% tags=["remove-cell"]
out.number("level", f"{100 * LEVEL:g} %")
out.number("shown", str(shown))
for key, name in (("ml_epochs", "inn-ml"), ("inn_epochs", "inn")):
    out.number(key, str(model_type(name).epochs_for(PUBLISHED)))
numbers = {
    **beyond.benchmark_numbers(random),
    **beyond.likelihood_numbers(random),
    **beyond.paired_numbers(random),
    **beyond.home_numbers(random),
}
for key, text in numbers.items():
    out.number(key, text)

# %% [markdown]
# ## What was tried
#
# **The flow** ({py:class}`ikpaper.models.flow.Flow`). Conditional flow
# matching {cite}`lipman2023` learns a velocity field that carries samples of
# the prior, along nearly straight lines, to samples of the posterior, for
# any target. Where other networks have to learn from samples where the arm
# reaches, this one is told: given a point on the way, where the prior alone
# would take it is known in closed form, and from there the shortest step
# onto the target is one damped Gauss-Newton step with the arm's Jacobian.
# That guess is the velocity up to what the linearisation misses; the network
# learns the rest, and its share vanishes at the end of the way. So samples
# land on the target as precisely as the integration allows, and a small
# network is enough.
#
# **The flow in one evaluation**
# ({py:class}`ikpaper.models.flow_fast.FlowFast`). The flow is a
# deterministic map of prior samples to posterior samples; a second network
# learns that map directly from pairs that the flow draws (distillation), and
# Gauss-Newton steps, through which its loss looks, put its samples on the
# target. Fewer steps of the flow itself, with steps onto the target after
# them, were the alternative: two of its midpoint steps are enough, at four
# evaluations of the network a sample, and one is not
# ({numref}`tab-flow-steps`).
#
# **The INN by maximum likelihood**
# ({py:class}`ikpaper.models.inn_ml.INNML`). The paper's architecture with
# another loss: the likelihood of the joint angles, where the latent is
# normal and so is the predicted TCP around the true one, ever more narrowly
# {cite}`kruse2021`. It is meant to tell how far the architecture can go, and
# so whether it was the limit or the way it was trained. The training differs in more
# than the loss: subnets end in a linear layer that starts at zero, the bound
# on scales is 2 instead of 5, the learning rate follows a cosine, and
# {glue:text}`ml_epochs` epochs instead of {glue:text}`inn_epochs` have to do,
# which take about as long as the flow's training. The network of the paper is trained so for
# one arm alone, to keep the published weights small. A small
# one ({py:class}`ikpaper.models.inn_ml.INNMLSmall`) has eight coupling blocks
# of 100 neurons on every arm.
#
# **A conditional GAN** ({py:class}`ikpaper.models.cgan.CGAN`). The slides
# cite the method {cite}`mirza2014` and do not try it. A generator and a
# discriminator of three layers of 200 neurons, the size of the smallest of
# the paper's cVAEs, play against each other on every arm.
#
# **A projection of any sampler's samples**
# ({py:func}`ikpaper.projection.project`). A few damped Gauss-Newton steps
# move samples onto $f(\theta) = y$. `ikpaper.Refined(sampler, 3)` has it for
# every sampler. The few samples that three steps do not bring there take up to
# {glue:text}`patience` more; what has not converged then is drawn again.
#
# **Parts of the flow.** The flow without its network is its analytic guess of
# the velocity, untrained. The flow without kinematics
# ({py:class}`ikpaper.models.flow.PlainFlow`) is plain conditional flow
# matching: the same layers, data, epochs and optimiser. Its network sees joint
# angles and time, and of the target the same features as the flow's: bearing,
# distance from full reach, and the mirror image.
#
# **Look-up tables** ({py:class}`ikpaper.samplers.lookup.LookupTable`). Of
# 10⁵ or 10⁶ prior samples, those whose TCP is nearest to the target. Nothing
# is learned.
#
# Libraries such as torchcfm, flow_matching or torchdiffeq would replace the
# straight line between two samples and the midpoint rule, a few lines each;
# the velocity, which is what this flow is about, would stay. So none is used.
#
# ## How close they come
#
# Over {glue:text}`targets` random targets that no data set contains,
# {glue:text}`samples` samples each. *Rejected* is the share of targets at
# which a permutation test of level {glue:text}`level` with the MMD as its
# statistic {cite}`gretton2008` tells samples from exact ones; a sampler that
# is exact is rejected at about {glue:text}`level` of them. C2ST is the
# accuracy of a classifier between the two after {glue:text}`c2st_epochs`
# epochs, over the first {glue:text}`checks` targets ({numref}`tab-stops` has
# other stops): 0.5 if it cannot tell them, 1 if it never errs. Rejection
# sampling and the numerical solver are scored at fewer targets, since they
# take seconds for each. With `refine=3`, samples are moved onto
# the target by three Gauss-Newton steps, and by more where three are not
# enough; E‖f(θ) − y‖² is in squared units of length. Training times are of one or two threads of machines that differ in
# speed, and compare by their order of magnitude alone; that of the flow in one
# evaluation includes its teacher's. Those of {ref}`sec-longer-arms` were
# measured one after the other on one machine. Rates of sampling are of one run
# on two threads, in which nothing else ran. All rows of
# an arm are scored against the same exact samples, so that their scores move
# together; those of the exact sampler itself show by how much.

# %% tags=["remove-cell"]
out.table(beyond.home(random), "home")
for dof in ikpaper.PlanarArm.PAPER_DOF:
    out.table(beyond.samplers(random, dof), f"beyond-{dof:02d}")

# %% [markdown]
# :::::{tab-set}
# ::::{tab-item} 4 DoF
# ```{csv-table} All samplers on the arm with 4 joints.
# :file: tables/beyond-04.csv
# :header-rows: 1
# :name: tab-beyond-04
# ```
# ::::
# ::::{tab-item} 6 DoF
# ```{csv-table} All samplers on the arm with 6 joints.
# :file: tables/beyond-06.csv
# :header-rows: 1
# :name: tab-beyond-06
# ```
# ::::
# ::::{tab-item} 8 DoF
# ```{csv-table} All samplers on the arm with 8 joints.
# :file: tables/beyond-08.csv
# :header-rows: 1
# :name: tab-beyond-08
# ```
# ::::
# ::::{tab-item} 10 DoF
# :selected:
# ```{csv-table} All samplers on the arm with 10 joints.
# :file: tables/beyond-10.csv
# :header-rows: 1
# :name: tab-beyond-10
# ```
# ::::
# :::::
#
# ## Cost against quality

# %% mystnb={"figure": {"name": "fig-pareto", "caption": "Quality over the cost of a sample, all samplers on all arms; open markers are samples that Gauss-Newton steps have moved onto the target. The grey line joins the samplers that no other one beats in both. Values in the grey band, or below it, cannot be told from those of exact samples, or are on the target to the tolerance of the benchmark."}, "image": {"alt": "Two rows of scatter plots on logarithmic axes, a column an arm, with a marker for each sampler: mismatch above, re-simulation error below, over the time per sample."}}
out.figure(results.pareto(random))

# %% [markdown]
# ## What no learning gives
#
# {numref}`tab-no-learning` has the samplers that know the arm and the prior,
# and have seen no training, beside the paper's networks.

# %% tags=["remove-cell"]
out.table(beyond.by_arm(random, beyond.NO_LEARNING), "no-learning")

# %% [markdown]
# ```{csv-table} Samplers without any learning, and the paper's networks: MMD² on each arm, and the smallest and the largest of the other scores.
# :file: tables/no-learning.csv
# :header-rows: 1
# :name: tab-no-learning
# ```
#
# A look-up table of 10⁶ prior samples, moved onto the target, has a smaller
# MMD² than the cVAE on {glue:text}`lookup_cvae` arms, and than the INN on
# {glue:text}`lookup_inn`. Even as drawn, it is closer to the posterior than
# the INN on {glue:text}`lookup_plain_inn`. Its samples are prior samples that happen
# to end near the target, so that their spread is right but for the size of
# the neighbourhood, which the number of joints hardly matters for: the target
# has two coordinates. Prior samples moved onto the target from wherever they
# are, and solutions of a numerical solver, reach it as well and are spread
# otherwise than the posterior.
#
# ## What the kinematics are worth
#
# The flow is two things: an analytic velocity made of the arm's kinematics,
# and a network. {numref}`tab-kinematics` has each alone and both.

# %% tags=["remove-cell"]
out.table(beyond.by_arm(random, beyond.KINEMATICS), "kinematics")

# %% [markdown]
# ```{csv-table} The prior, the flow without its network, without its kinematics, and as published.
# :file: tables/kinematics.csv
# :header-rows: 1
# :name: tab-kinematics
# ```
#
# The distribution is the network's work. Without kinematics, the same network
# has an unbiased MMD² of {glue:text}`mmd_flow-plain` in the mean, with them
# {glue:text}`mmd_flow`; the kinematics alone have {glue:text}`mmd_flow-guess`.
# The precision is that of the kinematics: E‖f(θ) − y‖² is
# {glue:text}`resim_flow-plain` without and {glue:text}`resim_flow` with them.
# Neither the test nor a classifier sees that difference: the accuracy of the
# classifier is {glue:text}`c2st_flow-plain` without kinematics, and
# {glue:text}`c2st_flow` with them. (Cross-validation is biased to just below
# 0.5 for sets that cannot be told apart.)
#
# ## The flows against the exact sampler
#
# Two shares of rejected targets side by side say little about a small
# difference. {numref}`tab-paired` counts in pairs: at how many targets a flow
# is rejected and the exact sampler is not, and the other way round, with both
# tested against the same reference samples. If both were rejected equally
# often, the two would be equally likely; *p* is the probability of a difference
# at least as large then (McNemar's exact test {cite}`mcnemar1947`). Two columns of the file are over the
# first {glue:text}`checks` targets: the test with the kernel `multi-bandwidth`,
# which also looks for finer structure, and the classifier (C2ST).

# %% tags=["remove-cell"]
out.table(beyond.paired(random), "paired")

# %% [markdown]
# ```{csv-table} Flows beside the exact sampler at the same targets; the difference of the two shares with its 95 % interval.
# :file: tables/paired.csv
# :header-rows: 1
# :name: tab-paired
# ```
#
# Of {glue:text}`pairs` comparisons, {glue:text}`pairs_unequal` have p at
# {glue:text}`level` or below, and {glue:text}`pairs_unequal_corrected` after
# Bonferroni's correction for their number. By the second kernel, the exact
# sampler itself is rejected at {glue:text}`exact_check` of
# {glue:text}`checks` targets. What could still hide: shares of rejected
# targets that differ by up to {glue:text}`pairs_most`, an MMD² of up to
# {glue:text}`pairs_share` of the prior's, and whatever tests with these
# kernels, this classifier and {glue:text}`samples` samples a target cannot
# see.
#
# ## Were the aims met?
#
# What this project asks of its flows. C2ST is over {glue:text}`checks`
# targets, rates of sampling are from {ref}`sec-speed`, training times and
# scores of a newcomer's run, with less data, from {ref}`sec-longer-arms`; the
# rest is over all targets.

# %% tags=["remove-cell"]
out.table(beyond.aims(random, out.read("bench"), out.read("scaling")), "aims")

# %% [markdown]
# ```{csv-table} Aims and what was reached, means over random targets.
# :file: tables/aims.csv
# :header-rows: 1
# :name: tab-aims
# ```
#
# The classifier has less power than the permutation test: for prior samples
# moved onto the target its accuracy is {glue:text}`c2st_prior_refined`, where
# the test rejects {glue:text}`rejected_prior_refined` of the targets.
#
# ## Tails
#
# A mean hides the few targets where a sampler fails. Here are the worst
# percent of the random targets by each score, the worst of them, and the
# targets of the slides' figures, of which the one with 10 joints lies far in
# the tail of the prior.

# %% tags=["remove-cell"]
out.table(beyond.tails(measured), "tails")

# %% [markdown]
# ```{csv-table} The same scores in the mean, over the worst percent of the targets by that score, and at the slides' targets. The worst percent of exact samples shows what is chance.
# :file: tables/tails.csv
# :header-rows: 1
# :name: tab-tails
# ```
#
# ## What the projection does
#
# Three damped Gauss-Newton steps put samples on the target to rounding, if
# they start near it and the arm is not nearly straight. The rest takes more of
# them, and a sample that does not get there is drawn again. A sample has
# converged when its distance to the target is at most
# {glue:text}`tolerance` times the reach. What the steps do to the posterior
# depends on how far a sample had to go.

# %% tags=["remove-cell"]
out.table(beyond.projection(random), "projection")

# %% [markdown]
# ```{csv-table} Samples before and after steps onto the target, and how many then are not on it.
# :file: tables/projection.csv
# :header-rows: 1
# :name: tab-projection
# ```
#
# ## The architecture, or its training?
#
# The paper's network and its loss are two things. {numref}`tab-likelihood`
# has the INN beside the same network trained by maximum likelihood, for
# {glue:text}`ml_dof` joints, and the small one for all.

# %% tags=["remove-cell"]
out.table(beyond.likelihood(random), "likelihood")

# %% [markdown]
# ```{csv-table} The INN trained by the paper's losses and by maximum likelihood, without steps onto the target.
# :file: tables/likelihood.csv
# :header-rows: 1
# :name: tab-likelihood
# ```
#
# With the same layers, the MMD² of the INN is {glue:text}`ml_large_mmd` times
# that after a training by likelihood, and E‖f(θ) − y‖²
# {glue:text}`ml_large_resim` times. Against the small network, the INN's MMD²
# is {glue:text}`ml_small_mmd` times, E‖f(θ) − y‖² {glue:text}`ml_small_resim`
# times, and the small one is closer to the posterior on
# {glue:text}`ml_small_mmd_better` arms and to the target on
# {glue:text}`ml_small_resim_better`, with a fraction of the parameters and of
# the training. So the paper's training was a limit. It is not the only one:
# the test still tells the small network's samples from exact ones at
# {glue:text}`rejected_inn-ml-small` of the targets. Whether a longer training
# by likelihood would end that, or the architecture forbids it, has not been
# tried.
#
# ## What did not work
#
# Means over the arms; shares are those of the best arm and the worst.
#
# - **Rejection sampling as the truth.** Samples of the paper's ground truth
#   miss the target by up to a tolerance, and the test tells them from exact
#   ones at {glue:text}`rejected_rejection` of the targets.
# - **A solver as a sampler.** A numerical solver that starts at draws of the
#   prior ends on the target, but its solutions are spread otherwise than the
#   posterior: at few targets, they have an MMD² of
#   {glue:text}`mmd_numerical`, and the test tells them apart at
#   {glue:text}`rejected_numerical`.
# - **A projection as a cure.** Steps onto the target take the INN's
#   E‖f(θ) − y‖² from {glue:text}`resim_inn` to
#   {glue:text}`resim_inn_refined`, but its MMD² from {glue:text}`mmd_inn` to
#   no less than {glue:text}`mmd_inn_refined`; that of the cVAE goes from
#   {glue:text}`mmd_cvae` to {glue:text}`mmd_cvae_refined`. Then as before, the
#   test tells samples from exact ones, at
#   {glue:text}`rejected_inn_refined` and
#   {glue:text}`rejected_cvae_refined` of the targets.
# - **A conditional GAN, not everywhere.** With {glue:text}`parameters_cgan`
#   parameters, E‖f(θ) − y‖² is {glue:text}`resim_cgan`, where the INN has
#   {glue:text}`resim_inn`. The MMD² is {glue:text}`gan_best` with
#   {glue:text}`gan_best_dof` joints and {glue:text}`gan_worst` with
#   {glue:text}`gan_worst_dof`, {glue:text}`gan_worst_share` times that of the
#   prior: there, samples lie near the target and lack part of the posterior's
#   spread (mode collapse). Fed with raw joint angles and targets, whose spread
#   is a fraction of their size, the discriminator learnt nothing and samples
#   were worse than the prior's already with six joints. One training run an
#   arm.
# - **Too few steps.** Integrated in one midpoint step, the flow has
#   {glue:text}`one_step` times the re-simulation error of two. The test
#   tells its samples from exact ones at {glue:text}`one_step_rejected` of the
#   targets with one step, at {glue:text}`two_steps_rejected` with two and at
#   {glue:text}`most_steps_rejected` with {glue:text}`most_steps`
#   ({numref}`tab-flow-steps`).
#
# ## How many steps a flow takes

# %% tags=["remove-output"]
task = ikpaper.Task.random(
    arm,
    profile.exact_targets // 2,
    samples=profile.exact_samples,
    sigma=profile.sigma,
    seed=1,
)
rows = []
for flow.steps in (1, 2, 4, 8, 16):
    for refine in (0, 2):
        sampler = ikpaper.Refined(flow, refine) if refine else flow
        rows.append(
            {
                "profile": profile.name,
                "sampler": "flow",
                "steps": flow.steps,
                "refine": refine,
                **task.score(sampler, permutations=PERMUTATIONS).summary(),
                "samples_per_second": task.rate(sampler),
                "seed": 1,
            }
        )
flow.steps = flow.config.steps
steps = out.result(pd.DataFrame(rows), "flow-steps")

# %% tags=["remove-cell"]
out.table(beyond.flow_steps(steps), "flow-steps")
for key, text in beyond.flow_steps_numbers(steps).items():
    out.number(key, text)

# %% [markdown]
# The flow's velocity is integrated by midpoint steps, two evaluations of the
# network each. {numref}`tab-flow-steps` has fewer of them, for
# {glue:text}`shown` joints and {glue:text}`step_targets` targets.
#
# ```{csv-table} The flow with fewer steps, and with samples moved onto the target.
# :file: tables/flow-steps.csv
# :header-rows: 1
# :name: tab-flow-steps
# ```
#
# ## How long a classifier trains

# %% tags=["remove-output"]
task = ikpaper.Task.random(
    arm,
    min(24, profile.exact_targets),
    samples=profile.exact_samples,
    sigma=profile.sigma,
    seed=2,
)
drawn = {name: task.draw(exact if name == "exact" else models[name]) for name in ("exact", "cvae")}
stops = []
for name, theta in drawn.items():
    for epochs in (10, C2ST_EPOCHS, 50, 100, None):
        if epochs:
            accuracy = c2st_batch(theta, task.reference, epochs=epochs)
        else:
            # scikit-learn's classifier as in sbibm, until its loss stands still: seconds each.
            few = list(zip(theta, task.reference, strict=True))[:6]
            accuracy = torch.tensor([c2st(*pair) for pair in few])
        stops.append(beyond.classifier_stop(name, epochs, accuracy) | {"profile": profile.name})
stops = out.result(pd.DataFrame(stops).assign(seed=2), "classifier-stops")

# %% tags=["remove-cell"]
out.table(beyond.classifier_stops(stops), "stops")
out.number("stop_targets", str(stops["targets"].max()))

# %% [markdown]
# sbibm trains the classifiers of C2ST until their loss stands still, hundreds
# of epochs for samples that are hard to tell apart. {numref}`tab-stops` stops
# earlier, for {glue:text}`shown` joints. A longer training separates the
# sample sets of one target better, and it spreads targets apart. At equal
# cost, more targets and a shorter training tell more: the last column is the
# distance of the mean from 0.5 in standard errors, if as many targets are
# taken as the cost of {glue:text}`c2st_epochs` epochs at each of
# {glue:text}`stop_targets` affords. This report stops at
# {glue:text}`c2st_epochs`. Even at the end of a training, the accuracy can be
# close to 0.5 for samples that the permutation test rejects.
#
# ```{csv-table} Accuracy of classifiers over targets, with 95 % intervals, by when their training stops; rows *to the end* are scikit-learn's, trained as sbibm does, over fewer targets.
# :file: tables/stops.csv
# :header-rows: 1
# :name: tab-stops
# ```
#
# ## When to use which

# %% tags=["remove-output"]
few = random_targets(arm, min(2000, 10 * profile.targets), profile.sigma, seed=2)
calls = {"call": (few[:1], 1), "one": (few, 1), "many": (few[:20], 1000)}
rows = []
for name, refine in (("exact", 0), ("flow", 0), ("flow-fast", 0), ("flow-fast", 3)):
    sampler = exact if name == "exact" else models.get(name)
    if sampler is None:
        continue
    sampler = ikpaper.Refined(sampler, refine) if refine else sampler
    # A sample's share of the call.
    seconds = {
        call: 1 / sampling_rate(sampler, tcp, n, arm=arm) for call, (tcp, n) in calls.items()
    }
    rows.append({"profile": profile.name, "sampler": name, "refine": refine, **seconds})
amortised = out.result(pd.DataFrame(rows), "amortised")

# %% tags=["remove-cell"]
out.table(beyond.amortised(amortised), "amortised")
out.number("few", f"{len(few):,}")
for key, text in beyond.amortised_numbers(amortised, random, shown).items():
    out.number(key, text)

# %% [markdown]
# The exact sampler wins in fidelity, by definition, and needs no training. It
# draws and weighs thousands of proposals for each new target, however few
# samples are asked for, and takes one target after another: so it is slow
# where few samples of many targets are wanted, which is what networks are
# still for. Speed in multiples of its own; below 1, it wins in speed as well:
#
# | | flow | flow in one evaluation | the same with refine=3 |
# |---|---|---|---|
# | one sample of one target | {glue:text}`call_flow` | {glue:text}`call_flow-fast` | {glue:text}`call_flow-fast_refined` |
# | one sample for each of {glue:text}`few` targets at once | {glue:text}`one_flow` | {glue:text}`one_flow-fast` | {glue:text}`one_flow-fast_refined` |
# | a thousand samples for each of a few targets | {glue:text}`many_flow` | {glue:text}`many_flow-fast` | {glue:text}`many_flow-fast_refined` |
#
# A numerical solver takes about {glue:text}`solver_ms` ms for a solution, the
# exact sampler {glue:text}`exact_ms` ms for one sample of one target.
#
# ```{csv-table} Time for a sample on this report's machine, for the arm of the table above.
# :file: tables/amortised.csv
# :header-rows: 1
# :name: tab-amortised
# ```
#
# {ref}`sec-conclusion` draws the consequences.

# %% tags=["remove-cell"]
point = (0.9 * arm.reach, 0.22 * arm.reach)
draws = torch.Generator().manual_seed(3)
fans = {"exact": exact, "flow": flow, **{name: models[name] for name in NETWORKS}}
drawn = {
    name: sampler.sample(point, min(300, profile.figure_samples), generator=draws)
    for name, sampler in fans.items()
}
out.figure(results.home(arm, point, drawn, random[random["refine"] == 0]), "home")
