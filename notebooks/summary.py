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
# (sec-summary)=
# # The study in one figure
#
# For a poster or a talk: what the paper claims about the posterior, what its
# numbers measured, the floor that they stand on, and the way past it.

# %% tags=["parameters"]
profile = "paper"  # smoke, quick or paper
book = ""  # folder to save results in; "" saves nothing

# %%
from ikpaper import paper
from ikpaper.evaluation import LEVEL, PLOTTED_SIGMA
from ikpaper.format import percent
from ikpaper.profiles import get_profile
from ikpaper.report import Outputs, parameters
from ikpaper.report.plots.summary import summary
from ikpaper.report.tables import beyond, published, studies, verdicts

given = parameters(profile=profile, book=book)
profile, out = given.profile, Outputs(given.book)
scores, runs, variants = (
    out.read_arms("scores", profile.name),
    out.read("seeds"),
    out.read("ablations"),
)
measured = out.read("benchmark")
random, many = (measured[measured["at"] == at] for at in ("random", "many samples"))
searched = studies.in_full(studies.Studies.load(get_profile("search")), scores, profile)
conclusions = verdicts.conclusions(scores, runs, variants, searched, profile)

# %% tags=["remove-cell"]
out.number("level", percent(LEVEL, 0))
out.number("sigma", f"{profile.sigma:g}")
out.number("wide", f"{PLOTTED_SIGMA:g}")
out.numbers(
    verdicts.numbers(conclusions),
    verdicts.plotted(scores),
    published.wide_prior(scores),
    beyond.benchmark_numbers(random),
    beyond.home_numbers(random, verdicts.ahead(scores, runs, "mmd2")),
    beyond.pooled_numbers(random, many),
)
out.table(conclusions, "conclusions")
out.table(beyond.home(random), "home")

# %% mystnb={"figure": {"name": "fig-summary", "caption": "Mismatch between samplers and the posterior over the degrees of freedom; open markers are published values, filled ones ours with 95 % intervals. 1: as plotted in the paper. 2: exact samples and the prior by the same score, whose reference has a wider prior than the data. 3: with the prior of the data; shaded is what exact samples score, the floor. 4: unbiased and against exact samples; the band around zero reaches to the largest end of the 95 % intervals of exact samples' own MMD², and the axis is linear below 0.0001."}, "image": {"alt": "Four panels over 4, 6, 8 and 10 degrees of freedom. First, the published INN below the published cVAE. Second, the exact posterior and the prior at the height of both networks. Third, the networks close to a shaded floor. Fourth, on a logarithmic axis, prior, INN and cVAE above each other and the flow beside exact samples at zero."}}
reported = paper.reported().query("quantity == 'e_posterior'")
out.figure(summary(scores, reported, random[random["refine"] == 0]), "summary", png=True)

# %% [markdown]
# To download: {download}`SVG <figures/summary.svg>` and
# {download}`PNG <figures/summary.png>`.
#
# 1. **The claim.** In the plot of the paper the invertible network (INN) has
#    the smaller mismatch on {glue:text}`claim` arms.
# 2. **What it measured.** The reference samples of that plot have a prior of
#    {glue:text}`wide` rad, the data one of {glue:text}`sigma` rad. By the same
#    score, exact samples have {glue:text}`exact_wide`, and a sampler that
#    ignores the target {glue:text}`prior_wide`. On {glue:text}`exact_behind`
#    arms exact samples score worse than our INN ({ref}`sec-published`).
# 3. **The floor.** With the prior of the data, exact samples score
#    {glue:text}`floor_cvae` of what the authors' later evaluation has for the
#    variational autoencoder (cVAE), and {glue:text}`floor_inn` of what it has for
#    the INN: most of such a value is the statistic's floor and the reference's
#    tolerance ({ref}`sec-ground-truth`). Of our networks, {glue:text}`below_floor`
#    even below it: the tolerance blurs the reference, which favours blurred samples.
# 4. **The way past it.** An unbiased estimate against exact samples has no
#    floor. By it the cVAE is closer to the posterior than the INN on
#    {glue:text}`home_cvae` arms, and a test of level {glue:text}`level` rejects a
#    flow at {glue:text}`home_rejected_flow` of random targets and exact samples at
#    {glue:text}`home_rejected_exact` ({ref}`sec-beyond`).
#
# {ref}`sec-reading` explains the scores, {ref}`sec-conclusion` what becomes of
# each of the paper's conclusions.
