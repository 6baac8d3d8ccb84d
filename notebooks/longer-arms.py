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
# the paper's rule, trained with the profile *{glue:text}`growth_profile`*:
# the same network on every arm, and minutes of work for each, such as a
# newcomer spends.

# %% tags=["parameters"]
profile = "paper"  # without effect: the table has a profile of its own
book = ""  # folder to save results in; "" saves nothing

# %%
import pandas as pd

from ikpaper.outputs import Outputs, significant
from ikpaper.plots import results

out = Outputs(book)
grown = out.read("growth").sort_values("dof")

# %% tags=["remove-cell"]
out.number("shortest", str(grown["dof"].min()))
out.number("longest", str(grown["dof"].max()))
out.number("growth_profile", str(grown["profile"].iloc[0]))
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
            "exact sampler's": f"{row['exact_samples_per_second']:,.0f}",
            "profile": row["profile"],
        }
    )
out.table(pd.DataFrame(rows), "growth")

# %% mystnb={"figure": {"name": "fig-growth", "caption": "The flow over the number of joints, means over random targets with 95 % bootstrap intervals; the axis of the MMD² is linear below 0.0001. Rates of sampling are with a thousand samples a target."}, "image": {"alt": "Four panels over the degrees of freedom: mismatch of flow and prior, re-simulation error, training time, and samples per second of flow and exact sampler."}}
out.figure(results.growth(grown), "growth")

# %% [markdown]
# ```{csv-table} The flow on arms of more and more joints (ikpaper growth).
# :file: tables/growth.csv
# :header-rows: 1
# :name: tab-growth
# ```
