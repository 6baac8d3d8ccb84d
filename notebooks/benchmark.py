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
# (sec-benchmark)=
# # Score your sampler
#
# Any sampler of joint angles can be compared with the exact posterior by one
# function: `ikpaper.benchmark(sampler, dof=6)`. It prints a
# row of scores above those of `ikpaper benchmark`, which scores the published
# samplers on the same targets. Reference samples come from the exact sampler;
# the result holds their scores, target by target. {ref}`sec-reading` explains
# them.

# %% tags=["parameters"]
profile = "paper"  # smoke, quick or paper: number of targets on this page
train = False  # True: train what is not there
book = ""  # folder to save results in; "" saves nothing

# %%
from time import perf_counter

import pandas as pd

from ikpaper import use_fast_matmul
from ikpaper.evaluation import LEVEL, PERMUTATIONS
from ikpaper.format import significant
from ikpaper.report import Outputs, parameters
from ikpaper.report.plots import results
from ikpaper.report.tables import benchmark
from ikpaper.training import TrainingRun, trained

given = parameters(profile=profile, train=train, book=book)
profile, out = given.profile, Outputs(given.book)
use_fast_matmul()
count = max(2, profile.exact_targets // 2)
out.number("targets", str(count))
out.number("level", f"{100 * LEVEL:g}\xa0%")

# %% [markdown]
# ## A sampler in ten lines
#
# A sampler needs one method: `sample(tcp, n, *, generator=None)`,
# for targets of shape (B, 2), returns joint angles of shape (B, n, dof).
# This one draws many configurations from the prior once, and answers a
# target with those whose TCP comes nearest.

# %% tags=["show-input"]
import torch

import ikpaper

arm = ikpaper.PlanarArm.paper(dof=6)
generator = torch.Generator().manual_seed(0)
table = ikpaper.Prior(arm, sigma=0.2).draw(200_000, generator)
points = arm.forward(table)


class Nearest:
    def sample(self, tcp, n, *, generator=None):
        tcp = torch.as_tensor(tcp, dtype=torch.float64).reshape(-1, 2)
        nearest = torch.cdist(tcp, points).topk(n, largest=False)
        return table[nearest.indices]


# %% tags=["remove-output"]
settings = {"dof": 6, "targets": count, "samples": profile.exact_samples, "name": "nearest"}
start = perf_counter()
found = ikpaper.benchmark(Nearest(), **settings).table
out.number("time", f"{significant(perf_counter() - start, 1)} seconds")
refined = ikpaper.benchmark(Nearest(), refine=3, **settings).table

# %% tags=["remove-cell"]
# Without what the published rows alone have.
own = pd.concat([refined.iloc[:1], found.iloc[:1]]).dropna(axis=1, how="all")
own = out.result(own.assign(seed=0, profile=profile.name), "handwritten")
out.table(benchmark.handwritten(own, found.iloc[1:]), "handwritten")

# %% [markdown]
# ```python
# ikpaper.benchmark(Nearest(), dof=6, targets=100, name="nearest")
# ikpaper.benchmark(Nearest(), dof=6, targets=100, refine=3, name="nearest")
# ```
#
# Each prints its row and those published, which {numref}`tab-handwritten` has.
# The first took {glue:text}`time` here for {glue:text}`targets` targets. The
# second scores the same samples after three Gauss-Newton steps onto the target
# ({py:func}`ikpaper.projection.project`). *Rejected* is the share of targets at
# which a permutation test of level {glue:text}`level` rejects that the samples
# are exact. The unbiased MMD² scatters around zero and can be negative.
#
# ```{csv-table} The sampler above, moved onto the target and plain, above the published rows for the same arm, as far as there are any. Rows differ in their number of targets.
# :file: tables/handwritten.csv
# :header-rows: 1
# :name: tab-handwritten
# ```
#
# ## A posterior of another library
#
# With [sbi](https://sbi.readthedocs.io) installed
# (`pip install -r requirements-baselines.lock`), a posterior that it has trained
# is scored in the same way:
#
# ```python
# import torch
# from sbi.inference import NPE
# import ikpaper
# from ikpaper.samplers import SbiSampler
#
# arm = ikpaper.PlanarArm.paper(dof=6)
# theta, tcp = ikpaper.make_dataset(arm, 100_000).train
# prior = torch.distributions.MultivariateNormal(
#     torch.zeros(6), 0.2**2 * torch.eye(6)
# )
# trainer = NPE(prior).append_simulations(theta.float(), tcp.float())
# trainer.train(max_num_epochs=20)
# sampler = SbiSampler(arm, trainer.build_posterior())
# print(ikpaper.benchmark(sampler, dof=6, name="NPE"))
# ```
#
# {ref}`sec-baselines` has the rows of posteriors that were trained on all
# simulations.
#
# ## Any other arm
#
# Links of any lengths make an arm: `PlanarArm([0.4, 0.4, 0.9])`. `ikpaper
# train` and `ikpaper evaluate` take `--lengths 0.4 0.4 0.9` in place of
# `--dof`, and `ikpaper.benchmark(sampler, arm=arm)` scores on it.
#
# ## The arm on a rail
#
# Invertible networks are usually compared on another arm
# {cite}`kruse2021`: its base slides along a vertical rail before three
# revolute joints, with links of {glue:text}`links` and standard deviations
# of {glue:text}`rail_sigma` for the rail and {glue:text}`angle_sigma` rad for
# the angles. It is `ikpaper.RailArm.benchmark()`, kinematics as in that study's code, and its
# posterior can be drawn exactly as well: the rail takes the part of the
# first joint, so that one revolute joint and the rail close a proposal onto
# the target.

# %%
rail = ikpaper.RailArm.benchmark()
out.number("links", " + ".join(f"{length:g}" for length in rail.lengths[1:]))
out.number("rail_sigma", f"{rail.sigma[0]:g}")
out.number("angle_sigma", f"{rail.sigma[1]:g}")
run = TrainingRun.of("flow", arm=rail, profile=profile)
flow, record = trained(run, train_here=given.train)
out.number("rail_flow", benchmark.rail_flow(record))
samplers = {
    "exact": ikpaper.ExactPosterior(rail, rail.sigma),
    "rejection": ikpaper.RejectionPosterior(rail, rail.sigma, eps=profile.eps),
    "flow": flow,
    "prior": ikpaper.Prior(rail, rail.sigma),
}
tcp = torch.tensor([1.8, 0.2], dtype=torch.float64)
generator = torch.Generator().manual_seed(0)
fans = {
    name: samplers[name].sample(tcp, min(300, profile.figure_samples), generator=generator)
    for name in ("exact", "flow", "prior")
}

# %% mystnb={"figure": {"name": "fig-rail", "caption": "The arm on a rail: arms that reach one target (cross), from the exact posterior and from the flow, and arms of the prior, which ignores it."}, "image": {"alt": "Panels of translucent arms with bases spread along the vertical axis; but for the prior all tips meet at the target."}}
out.figure(results.posterior_arms(rail, tcp.tolist(), fans))

# %% tags=["remove-cell"]
task = ikpaper.Task.random(rail, count, samples=profile.exact_samples, sigma=rail.sigma)
rows = []
for name, sampler in samplers.items():
    # At some of the other targets, rejection sampling accepts a few of 10⁸ proposals.
    part = task.first(10) if name == "rejection" else task
    theta, rate = part.draw(sampler), part.rate(sampler)
    for kernel in (task.kernel, benchmark.FIELD):
        same = part.given(part.reference, kernel=kernel)
        scores = same.score_samples(theta, permutations=PERMUTATIONS)
        row = {"profile": profile.name, "sampler": name, "kernel": kernel, **scores.summary()}
        rows.append({**row, "samples_per_second": rate, "seed": 0})
rows = out.result(pd.DataFrame(rows), "rail")
out.table(benchmark.rail(rows), "rail")

# %% [markdown]
# ```{csv-table} Samplers on the arm with a rail, by this report's kernel and by a sum of three inverse multiquadratics of bandwidths 0.05, 0.2 and 0.9. The unbiased MMD² scatters around zero and can be negative; rejection sampling has fewer targets, since at some of the others the prior hardly ever ends.
# :file: tables/rail.csv
# :header-rows: 1
# :name: tab-rail
# ```
#
# ```python
# rail = ikpaper.RailArm.benchmark()
# ikpaper.benchmark(ikpaper.Prior(rail), arm=rail)
# ```
#
# `ikpaper train --model flow --rail 0.5 0.5 1.0 --profile paper` trains a
# flow for it. {glue:text}`rail_flow` A number published elsewhere can stand
# beside these only if its kernel is the same, its estimator is unbiased too,
# and its reference samples are exact: those of rejection sampling carry its
# tolerance, which its row shows. `ikpaper.benchmark(sampler, arm=rail,
# kernel="multi-bandwidth")` scores any sampler by that kernel.
