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
# # Judge a sampler of your own
#
# Whatever draws joint angles for a target can be held against the exact
# posterior, by one function: `ikpaper.benchmark(sampler, dof=6)`. It prints a
# row of scores above those of `ikpaper benchmark`, which judges the published
# samplers on the same targets. Reference samples come from the exact sampler;
# the table that it returns records their seed.

# %% tags=["parameters"]
profile = "paper"  # smoke, quick or paper: number of targets on this page
train = False  # True: train what is not there
book = ""  # folder to save results in; "" saves nothing

# %%
import pandas as pd
import torch

import ikpaper
from ikpaper.judging import LEVEL, PRINTED, as_text, judge, random_targets
from ikpaper.outputs import Outputs, significant
from ikpaper.plots import results
from ikpaper.plots.style import LABELS
from ikpaper.profiles import get_profile
from ikpaper.projection import TOLERANCE
from ikpaper.training import TrainingRun, trained

out = Outputs(book)
numbers = get_profile(profile)
count = max(2, numbers.exact_targets // 2)
out.number("targets", str(count))
out.number("level", f"{100 * LEVEL:g} %")
out.number("tolerance", f"{TOLERANCE:g}")

# %% [markdown]
# ## A sampler written by hand
#
# One method is all that is asked for: `sample(tcp, n, *, generator=None)`,
# for targets of shape (B, 2), returns joint angles of shape (B, n, dof).
# This one draws many configurations from the prior once, and answers a
# target with those whose TCP comes nearest.

# %% tags=["show-input"]
arm = ikpaper.PlanarArm.paper(dof=6)
table = ikpaper.Prior(arm, sigma=0.2).draw(200_000, torch.Generator().manual_seed(0))
points = arm.forward(table)


class Nearest:
    def sample(self, tcp, n, *, generator=None):
        targets = torch.as_tensor(tcp, dtype=torch.float64).reshape(-1, 2)
        nearest = torch.cdist(targets, points).topk(n, largest=False).indices
        return table[nearest]


# %% tags=["remove-output"]
settings = {"dof": 6, "targets": count, "samples": numbers.exact_samples}
found = ikpaper.benchmark(Nearest(), name="nearest", **settings)
refined = ikpaper.benchmark(Nearest(), name="nearest", refine=3, **settings)

# %% tags=["remove-cell"]
own = pd.concat([refined.iloc[:1], found.iloc[:1]]).assign(profile=numbers.name)
# Without what the published rows alone have.
out.result(own.dropna(axis=1, how="all"), "handwritten")
both = pd.concat([own, found.iloc[1:]], ignore_index=True)
out.table(as_text(both, [*PRINTED, "profile"], LABELS), "handwritten")

# %% [markdown]
# ```python
# ikpaper.benchmark(Nearest(), dof=6, name="nearest")
# ikpaper.benchmark(Nearest(), dof=6, name="nearest", refine=3)
# ```
#
# The second line judges the same samples after three Gauss-Newton steps onto
# the target ({py:func}`ikpaper.projection.project`). Over
# {glue:text}`targets` targets. *Hardest 1 %* is the mean MMD² of the hardest
# percent of the targets, where there are enough of them; *rejected* the share
# of targets at which a permutation test of level {glue:text}`level` tells the
# sampler from the exact posterior; *on target* the share of samples that
# reach it to a distance of {glue:text}`tolerance` times the reach.
#
# ```{csv-table} The sampler written by hand, moved onto the target and plain, above the published rows for the same arm, as far as there are any.
# :file: tables/handwritten.csv
# :header-rows: 1
# :name: tab-handwritten
# ```
#
# ## A posterior of another library
#
# With [sbi](https://sbi.readthedocs.io) installed
# (`pip install -r requirements-peers.lock`), a posterior that it has trained
# is judged in the same way:
#
# ```python
# import torch
# from sbi.inference import NPE
# import ikpaper
# from ikpaper.peers import SbiSampler
#
# arm = ikpaper.PlanarArm.paper(dof=6)
# theta, tcp = ikpaper.make_dataset(arm, 100_000).train
# prior = torch.distributions.MultivariateNormal(torch.zeros(6), 0.2**2 * torch.eye(6))
# trainer = NPE(prior).append_simulations(theta.float(), tcp.float())
# trainer.train(max_num_epochs=20)
# ikpaper.benchmark(SbiSampler(arm, trainer.build_posterior()), dof=6, name="NPE")
# ```
#
# {ref}`sec-peers` has the rows of posteriors that were trained on all
# simulations.
#
# ## An arm of your own
#
# Links of any lengths make an arm: `PlanarArm([0.4, 0.4, 0.9])`. `ikpaper
# train` and `ikpaper evaluate` take `--lengths 0.4 0.4 0.9` in place of
# `--dof`, and `ikpaper.benchmark(sampler, arm=arm)` judges on it.
#
# ## The field's own arm
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
exact = ikpaper.ExactPosterior(rail, rail.sigma)
tcp = torch.tensor([1.8, 0.2], dtype=torch.float64)
generator = torch.Generator().manual_seed(0)
count_shown = min(300, numbers.figure_samples)
everyone = {
    "exact": exact,
    "rejection": ikpaper.RejectionPosterior(rail, rail.sigma, eps=numbers.eps),
}
try:
    run = TrainingRun.of("flow", arm=rail, profile=numbers)
    everyone["flow"], record = trained(run, train_here=train)
except FileNotFoundError:
    record = None
everyone["prior"] = ikpaper.Prior(rail, rail.sigma)
fans = {
    name: sampler.sample(tcp, count_shown, generator=generator)
    for name, sampler in everyone.items()
    if name != "rejection"
}

# %% mystnb={"figure": {"name": "fig-rail", "caption": "The arm on a rail: arms that reach one target (cross), from the exact posterior and, where it is trained, from the flow, and arms of the prior, which ignores it."}, "image": {"alt": "Panels of translucent arms with bases spread along the vertical axis; but for the prior all tips meet at the target."}}
out.figure(results.posterior_arms(rail, tcp.tolist(), fans))

# %% tags=["remove-cell"]
FIELD = "multi-bandwidth"
targets = random_targets(rail, count, rail.sigma)
rail_settings = {"sigma": rail.sigma, "samples": numbers.exact_samples}
rows = []
for name, sampler in everyone.items():
    few = targets[:10] if name == "rejection" else targets
    c2st_targets = numbers.c2st_targets if name in ("exact", "flow") else 0
    for kernel in ("paper", FIELD):
        scores = judge(
            sampler, rail, few, **rail_settings, c2st_targets=c2st_targets, kernel=kernel
        )
        c2st_targets = 0
        rows.append({"profile": numbers.name, "sampler": name, "kernel": kernel, **scores})
rows = pd.DataFrame(rows)
out.result(rows, "rail")
by_ours, by_theirs = (
    rows[rows["kernel"] == kernel].reset_index(drop=True) for kernel in ("paper", FIELD)
)
columns = ("sampler", "targets", "MMD² to exact", "rejected", "C2ST", "E‖f(θ) − y‖²", "samples/s")
cells = as_text(by_ours, [*columns, "profile"], LABELS)
cells.insert(3, f"MMD², {FIELD}", as_text(by_theirs)["MMD² to exact"])
out.table(cells, "rail")
out.number(
    "rail_flow",
    f"The flow has {record['num_parameters']:,} parameters and was trained in "
    f"{significant(record['seconds'] / 60, 2)} minutes."
    if record
    else "It has not been trained with this profile yet.",
)

# %% [markdown]
# ```{csv-table} Samplers on the arm with a rail, by this report's kernel and by a sum of three inverse multiquadratics of bandwidths 0.05, 0.2 and 0.9.
# :file: tables/rail.csv
# :header-rows: 1
# :name: tab-rail
# ```
#
# ```python
# rail = ikpaper.RailArm.benchmark()
# ikpaper.benchmark(ikpaper.Prior(rail, rail.sigma), arm=rail, name="prior")
# ```
#
# `ikpaper train --model flow --rail 0.5 0.5 1.0 --profile paper` trains a
# flow for it. {glue:text}`rail_flow` A number published elsewhere can stand
# beside these only if its kernel is the same, its estimator is unbiased too,
# and its reference samples are exact: those of rejection sampling carry its
# tolerance, which its row shows. `ikpaper.benchmark(sampler, arm=rail,
# kernel="multi-bandwidth")` judges a sampler of your own by that kernel.
