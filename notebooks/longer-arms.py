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
# Does what holds for ten joints hold for more? The flow of {ref}`sec-beyond`
# on arms of {glue:text}`shortest` to {glue:text}`longest` joints, links by
# the paper's rule: the same architecture on every arm, trained with the
# profile *{glue:text}`growth_profile`* for {glue:text}`fastest` to
# {glue:text}`slowest` seconds each on a CPU, as a newcomer may do.
#
# With {glue:text}`longest` joints its MMD² to the exact posterior is
# {glue:text}`share_longest` of the prior's, and a permutation test of level
# {glue:text}`level` tells its samples from exact ones at
# {glue:text}`rejected_longest` of {glue:text}`targets` random targets. For
# ten joints it is {glue:text}`share_10` and {glue:text}`rejected_10`. By and
# large both grow with the arm, as E‖f(θ) − y‖² does; the exact sampler slows down
# faster than the flow, which overtakes it at {glue:text}`overtakes` joints. So
# little training is visible to the test on every arm; {ref}`sec-beyond` has
# what a longer one makes of the arms with up to ten joints. No other network
# was trained for more joints than the paper's.

# %% tags=["parameters"]
profile = "paper"  # without effect: the table has a profile of its own
book = ""  # folder to save results in; "" saves nothing

# %%
import pandas as pd

from ikpaper.judging import LEVEL
from ikpaper.outputs import Outputs, significant
from ikpaper.plots import results

out = Outputs(book)
grown = out.read("growth").sort_values("dof")

# %% tags=["remove-cell"]
out.number("shortest", str(grown["dof"].min()))
out.number("longest", str(grown["dof"].max()))
out.number("growth_profile", str(grown["profile"].iloc[0]))
out.number("level", f"{100 * LEVEL:g} %")
out.number("targets", str(grown["targets"].max()))
faster = grown[grown["samples_per_second"] > grown["exact_samples_per_second"]]["dof"]
out.number("overtakes", str(faster.min()) if len(faster) else "no number of")
out.number("fastest", f"{grown['training_seconds'].min():.0f}")
out.number("slowest", f"{grown['training_seconds'].max():.0f}")
for name, row in (("longest", grown.iloc[-1]), ("10", grown[grown["dof"] <= 10].iloc[-1])):
    out.number(f"share_{name}", f"{100 * row['mmd2'] / row['mmd2_prior']:.2g} %")
    out.number(f"rejected_{name}", f"{100 * row['rejected']:.0f} %")
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
            "exact sampler's samples/s": f"{row['exact_samples_per_second']:,.0f}",
            "profile": row["profile"],
        }
    )
out.table(pd.DataFrame(rows), "growth")

# %% mystnb={"figure": {"name": "fig-growth", "caption": "The flow over the number of joints, means over random targets, the MMD² with 95 % bootstrap intervals; its axis is linear below 0.0001. Rates of sampling are with a thousand samples a target."}, "image": {"alt": "Four panels over the degrees of freedom: mismatch of flow and prior, re-simulation error, training time, and samples per second of flow and exact sampler."}}
out.figure(results.growth(grown))

# %% [markdown]
# ```{csv-table} The flow on arms of more and more joints (ikpaper growth); C2ST over a few of the targets, E‖f(θ) − y‖² in squared units of length.
# :file: tables/growth.csv
# :header-rows: 1
# :name: tab-growth
# ```
