# ---
# jupyter:
#   jupytext:
#     formats: py:percent,ipynb
#     text_representation:
#       extension: .py
#       format_name: percent
#       format_version: '1.3'
#       jupytext_version: 1.19.6
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# (sec-data)=
# # Data
#
# The networks learn from samples of the forward map alone: joint angles drawn
# from a prior, and the positions that they lead to. This page shows the data
# sets of the four arms, where their TCPs lie, and the degenerate set that
# the slides mention.

# %% tags=["parameters"]
profile = "paper"  # smoke, quick or paper
book = ""  # folder to save results in; "" saves nothing

# %%
import ikpaper
from ikpaper.dataset import profile_dataset
from ikpaper.profiles import PROFILES, PUBLISHED
from ikpaper.report import Outputs, parameters
from ikpaper.report.plots import kinematics
from ikpaper.report.tables import data as tables

given = parameters(profile=profile, book=book)
profile, out = given.profile, Outputs(given.book)
arms = [ikpaper.PlanarArm.paper(dof) for dof in ikpaper.PlanarArm.PAPER_DOF]
sets = [profile_dataset(arm, profile) for arm in arms]
out.number("profile", profile.name)
out.number("samples", f"{profile.samples:,}")
full = PROFILES[PUBLISHED].samples
out.number("as_paper", "as the paper does" if profile.samples == full else f"the paper {full:,}")
out.number("train", f"{100 * profile.train_fraction:.0f}")
out.number("test", f"{100 * (1 - profile.train_fraction):.0f}")
out.number("sigma", f"{profile.sigma:g}")

# %% [markdown]
# ## How it is drawn
#
# Every joint angle is normal,
#
# ```{math}
# :label: eq-prior
# \theta_i \sim \mathcal{N}(\mu = 0,\ \sigma = 0.2\ \text{rad}) ,
# ```
#
# independently of the others, and equation {eq}`eq-forward` gives the TCP. This page
# (profile *{glue:text}`profile`*) draws {glue:text}`samples` samples an arm,
# {glue:text}`as_paper`. Of these, {glue:text}`train` % are for training and
# {glue:text}`test` % for testing.
#
# The slides do not give the lengths of the links. The authors' public
# configuration does: 0.5 for every link but the last, which has 1.0. The
# targets that the slides use would be out of reach with 0.5 for every link.

# %% tags=["remove-cell"]
out.table(tables.arms(sets), "arms")

# %% [markdown]
# ```{csv-table} The four arms of the paper and the spread of their TCPs. Lengths are in one arbitrary unit.
# :file: tables/arms.csv
# :header-rows: 1
# :name: tab-arms
# ```

# %% mystnb={"figure": {"name": "fig-data", "caption": "The data sets: 300 arms each, translucent, one of them solid, and the TCPs of 3,000 samples."}, "image": {"alt": "Four panels for 4, 6, 8 and 10 DoF. In each, a bundle of translucent arms fans out to the right from the base into a crescent-shaped cloud of TCPs, wider for more joints."}}
out.figure(kinematics.data_sets(sets))

# %% [markdown]
# ## Where the TCPs lie
#
# The arms are nearly straight: with angles this small, most TCPs lie close
# to full reach ({numref}`fig-tcp`): a thin arc, thinner for fewer joints.
# That has consequences. Near full reach
# the set of solutions is small and shrinks to a single one at the edge, so
# a tolerance that is harmless inside the workspace is coarse there
# ({numref}`fig-eps`). And targets further inside are rare in the data: the
# networks see few of them, and the fewer the joints, the fewer.

# %% mystnb={"figure": {"name": "fig-tcp", "caption": "Above: density of the TCPs, lengths divided by the reach of each arm; the colours are logarithmic, cells without a sample are empty. Below: density of the TCP's radius as a share of the reach (left, logarithmic), and of its heading (right)."}, "image": {"alt": "Above, four maps with an arc-shaped band that is densest along its outer edge and grows wider with more joints. Below left, four densities that rise steeply towards full reach, the 4-DoF arm's the most. Below right, four bell curves around zero, wider with more joints."}}
out.figure(kinematics.tcp_distribution(sets))

# %% [markdown]
# ## The degenerate set
#
# With $\sigma = 1.0$ rad, as on a backup slide, the arms curl up
# ({numref}`fig-degenerate`). Links cross, joint angles beyond $\pm\pi$
# occur, which many real joints cannot reach and which name the same
# configuration twice, and the TCPs fill the workspace. The slides show this
# set and report no score on it; no network of this report is trained on it.

# %% mystnb={"figure": {"name": "fig-degenerate", "caption": "The degenerate data set of the 6-DoF arm with a standard deviation of 1.0 rad: 150 arms, one of them solid, and the TCPs of 3,000 samples."}, "image": {"alt": "A tangle of translucent arms curled around the base, with TCPs spread over the whole workspace disc."}}
curled = ikpaper.make_dataset(arms[1], 3000, sigma=1.0, seed=profile.seed)
out.figure(kinematics.data_sets([curled], arms=150, alpha=0.22))
