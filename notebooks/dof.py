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
# (sec-dof-dof)=
# # One arm
#
# Both networks for one of the paper's arms: how they train, how close
# their posteriors come to the true one, and what their samples look like
# at one target. The methods are described in {ref}`sec-models` and the
# scores in {ref}`sec-ground-truth`.

# %% tags=["parameters"]
dof = 6  # 4, 6, 8 or 10
profile = "paper"  # smoke, quick or paper
train = False  # True: train what is not there
book = ""  # folder to save results in; "" saves nothing

# %%
import time

import pandas as pd
import torch

import ikpaper
from ikpaper import paper
from ikpaper.evaluation import Scorer, single_target
from ikpaper.outputs import Outputs, significant, with_interval
from ikpaper.plots import results
from ikpaper.plots.style import LABELS
from ikpaper.profiles import get_profile
from ikpaper.training import trained_models

out = Outputs(book)
numbers = get_profile(profile)
arm = ikpaper.PlanarArm.paper(dof)
networks = ("cvae", "inn")
found = trained_models(networks, dof, numbers, train_here=train)
models = {name: model for name, (model, _) in found.items()}
records = {name: record for name, (_, record) in found.items()}
pending = [name for name in networks if name not in found]

# %% tags=["remove-cell"]
out.number("profile", numbers.name)
out.number("dof", str(dof))
out.number("links", " + ".join(f"{length:g}" for length in arm.lengths))
out.number("reach", f"{arm.reach:g}")
out.number("train_samples", f"{numbers.training_samples:,}")
trainings = [
    f"The {LABELS[name]} has {record['num_parameters']:,} parameters and was trained for "
    f"{record['training']['epochs']} epochs."
    + (
        f" It diverged {len(record['divergences'])} times, after which the epoch was repeated with "
        f"other noise: {'; '.join(record['divergences'])}."
        if record["divergences"]
        else ""
    )
    for name, record in records.items()
]
trainings += [
    f"The {LABELS[name]} is missing on this page: its training run with this profile is pending."
    for name in pending
]
out.number("trainings", " ".join(trainings))

# %% [markdown]
# Joints: {glue:text}`dof`. Link lengths: {glue:text}`links`, a reach of
# {glue:text}`reach`. Profile: *{glue:text}`profile`*, with
# {glue:text}`train_samples` training samples.
# {glue:text}`trainings`
#
# ## Training

# %% mystnb={"figure": {"name": "fig-training-dof", "caption": "Loss terms of a batch of 1000, mean over each epoch, with the weights that they have in the sum. The INN's fourth term is ramped up over the epochs."}, "image": {"alt": "Two panels of falling training curves on a logarithmic axis: reconstruction and KL of the cVAE, and the four terms of the INN, each with their sum dashed."}}
histories = {name: record["history"] for name, record in records.items()}
rows = [
    {
        "profile": numbers.name,
        "dof": dof,
        "model": name,
        "epoch": row["epoch"],
        "term": term,
        "value": value,
        "learning_rate": row["learning_rate"],
    }
    for name, history in histories.items()
    for row in history
    for term, value in row["terms"].items()
]
out.result(pd.DataFrame(rows), f"training-{dof:02d}")
out.figure(results.training_curves(histories))

# %% [markdown]
# ## Scores over test targets
#
# Each sampler is scored at targets of the test set. $e_\text{posterior}$
# is the paper's: the V-statistic {eq}`eq-mmd` against rejection sampling.
# Beside it stands the unbiased MMD² against the exact posterior, and the
# re-simulation error {eq}`eq-resim`. Rejection sampling and the exact
# sampler are scored like models, with fresh samples, to show what each
# ground truth makes of the other. The prior ignores the target: a network
# that does not beat it has learnt nothing about this score.

# %%
scorer = Scorer(arm, numbers)
samplers = {
    **models,
    "rejection": scorer.rejection(),
    "exact": scorer.exact(),
    "prior": ikpaper.Prior(arm, numbers.sigma),
}
scores = scorer.score_all(samplers)
parameters = {name: model.num_parameters for name, model in models.items()}
scores["parameters"] = scores["sampler"].map(parameters).astype("Int64")
out.result(scores, f"scores-{dof:02d}")
out.number("targets", str(numbers.targets))
out.number("m", str(numbers.posterior_samples))
out.number("exact_targets", str(numbers.exact_targets))
out.number("exact_m", str(numbers.exact_samples))
c2st = (
    f"C2ST is the accuracy of a classifier that tells a sampler from the exact posterior, over "
    f"{numbers.c2st_targets} of these targets: 0.5 if it cannot, 1 if it never errs."
)
out.number("c2st", c2st if numbers.c2st_targets else "")

# %% tags=["remove-cell"]
COLUMNS = {
    "e_posterior": "e_posterior",
    "mmd2_exact": "MMD² to exact, unbiased",
    "mmd2_ratio": "share of the prior's",
    "e_resim": "E‖f(θ) − y‖²",
    "e_resim_test": "one sample a test target",
    "c2st": "C2ST to exact",
}
cells = [
    {
        "sampler": LABELS[name],
        **{
            COLUMNS[row["quantity"]]: with_interval(row["value"], row["low"], row["high"])
            for _, row in part.iterrows()
            if row["quantity"] in COLUMNS
        },
    }
    for name, part in scores.groupby("sampler", sort=False)
]
shown = [column for column in COLUMNS.values() if column in cells[0]]
table = pd.DataFrame(cells)[["sampler", *shown]]
out.table(table, f"scores-{dof:02d}")

# %% [markdown]
# ```{csv-table} Scores of all samplers, means over test targets with 95 % bootstrap intervals over the targets. Re-simulation in squared units of length.
# :file: tables/scores-dof.csv
# :header-rows: 1
# :name: tab-scores-dof
# ```
#
# The column of $e_\text{posterior}$ has {glue:text}`targets` targets with
# {glue:text}`m` samples each, as has the re-simulation error; the
# comparison with the exact posterior has {glue:text}`exact_targets`
# targets with {glue:text}`exact_m` samples. The share of the prior's puts
# that comparison on a scale from 0, the exact posterior, to 1, a sampler
# that ignores the target. Re-simulation errors of networks have a heavy tail
# over targets: means over other targets differ by more than the intervals
# suggest. {glue:text}`c2st` Judged by rejection sampling,
# the exact posterior pays for the tolerance of its judge, so that it need
# not come out best in that column.
#
# ## One target
#
# For 6 and 10 DoF the target is the slides', for 4 and 8 DoF, for which
# they show none, it is the first of the test set. Here:
# $y$ = {glue:text}`tcp`, at {glue:text}`reach_share` % of the reach.

# %%
tcp = paper.TARGETS.get(dof) or tuple(scorer.targets[0].tolist())
n = numbers.figure_samples
seeds = torch.Generator().manual_seed(7)
everyone = {
    "rejection": scorer.rejection(),
    "exact": scorer.exact(),
    **models,
    "numerical": ikpaper.NumericalSolver(arm, numbers.sigma),
}
samples, seconds = {}, {}
for name, sampler in everyone.items():
    start = time.perf_counter()
    samples[name] = sampler.sample(tcp, n, generator=seeds)
    seconds[name] = time.perf_counter() - start
reference = {
    "rejection": scorer.rejection().sample(tcp, n, generator=seeds),
    "exact": scorer.exact().sample(tcp, n, generator=seeds),
}
single = single_target(arm, tcp, samples, **reference)
single.insert(0, "profile", numbers.name)
single.insert(1, "dof", dof)
out.result(single, f"figures-{dof:02d}")
timing = pd.DataFrame(
    {
        "profile": numbers.name,
        "dof": dof,
        "sampler": list(seconds),
        "samples": n,
        "seconds": list(seconds.values()),
    }
)
out.result(timing, f"timing-{dof:02d}")
out.number("tcp", f"({tcp[0]:.2f}, {tcp[1]:.2f})")
out.number("reach_share", f"{100 * torch.tensor(tcp).norm() / arm.reach:.1f}")
out.number("n", str(n))

# %% mystnb={"figure": {"name": "fig-arms-dof", "caption": "Arms that each sampler draws for the target (cross), translucent, one of them highlighted: the counterpart of the slides' Figure 6. The frame is that of the true posterior; arms of a network may leave it."}, "image": {"alt": "A panel for each sampler, of many translucent arms fanning out from the base towards the target: rejection sampling, exact posterior and the networks, each with one arm drawn solid."}}
fans = {name: samples[name] for name in ("rejection", "exact", *models)}
out.figure(results.posterior_arms(arm, tcp, fans))

# %% mystnb={"figure": {"name": "fig-hull-dof", "caption": "Re-simulated TCPs of rejection sampling and the networks, with the convex hull of the 97 % nearest to the target (cross): the counterpart of the slides' Figure 4. Points outside the frame are among the other 3 %."}, "image": {"alt": "A cloud of points around the target for each sampler, with a shaded convex hull: a disc for rejection sampling, irregular shapes for the networks."}}
clouds = {name: samples[name] for name in ("rejection", *models)}
out.figure(results.hulls(arm, tcp, clouds))

# %% mystnb={"figure": {"name": "fig-marginals-dof", "caption": "Density of each joint angle at the target: exact posterior filled, networks as lines. The range is the exact posterior's; what a network draws outside is missing from its line."}, "image": {"alt": "One panel for each joint with a filled histogram of the exact posterior and the outlines of cVAE and INN over it."}}
marginals = {name: samples[name] for name in ("exact", *models)}
out.figure(results.joint_marginals(marginals))

# %% tags=["remove-cell"]
table = pd.DataFrame(
    {
        "sampler": single["sampler"].map(LABELS),
        "e_posterior": single["e_posterior"].map(significant),
        "MMD² to exact, unbiased": single["mmd2_exact"].map(significant),
        "E‖f(θ) − y‖²": single["resimulation_error"].map(significant),
        "hull area": single["hull_area"].map(significant),
        "hull perimeter": single["hull_perimeter"].map(significant),
        "distinct solutions": single["distinct"],
        "ms a sample": [significant(1000 * seconds[name] / n, 2) for name in single["sampler"]],
    }
)
out.table(table, f"single-{dof:02d}")

# %% [markdown]
# ```{csv-table} Scores at this one target. e_posterior is the V-statistic against rejection samples; lengths are in the arm's unit; two solutions count as one within 0.001 rad; times are of one draw on this report's machine.
# :file: tables/single-dof.csv
# :header-rows: 1
# :name: tab-single-dof
# ```
#
# Every sampler drew {glue:text}`n` samples. The numerical solver started
# each of its solutions from a fresh draw of the prior. It reaches the
# target to its tolerance, at the cost of a solve a sample, and the table
# counts how many of its solutions differ. They do not follow the posterior,
# though: a solve slides from its start to a solution nearby, and how often
# it ends where is a property of the solver, not of the posterior.
