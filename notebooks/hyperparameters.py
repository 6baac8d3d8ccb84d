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
# (sec-hyperparameters)=
# # Hyperparameters
#
# To compare both networks in a fair setting, the paper searches the
# hyperparameters of each for each arm: Bayesian optimisation with Ray Tune
# {cite}`liaw2018tune` and scikit-optimize {cite}`head2021skopt`,
# {glue:text}`trials` trials per model and arm, each trained on
# {glue:text}`search_samples` samples and rated by its training loss after
# the last epoch. This page gives the ranges of that search, what came out
# of it, and the parameter counts of the models that this report builds.

# %% tags=["parameters"]
profile = "paper"  # has no effect on this page
book = ""  # folder to save results in; "" saves nothing

# %%
from ikpaper import paper
from ikpaper.report import Outputs, parameters
from ikpaper.report.tables.models import counts_agree, hyperparameters, ranges

given = parameters(profile=profile, book=book)
out = Outputs(given.book)
out.number("trials", str(paper.SEARCH_TRIALS))
out.number("search_samples", f"{paper.SEARCH_SAMPLES:,}")
out.number("counts_agree", counts_agree())

# %% [markdown]
# ## What is searched
#
# Learning rate and weight decay are drawn on a logarithmic scale, the rest are
# integers. The authors' program draws numbers of neurons in steps of 50.

# %% tags=["remove-cell"]
out.table(ranges(paper.INN_RANGES), "ranges-inn")

# %% [markdown]
# ```{csv-table} Ranges of the INN's hyperparameters (Table I of the slides).
# :file: tables/ranges-inn.csv
# :header-rows: 1
# :name: tab-ranges-inn
# ```

# %% tags=["remove-cell"]
out.table(ranges(paper.CVAE_RANGES), "ranges-cvae")

# %% [markdown]
# ```{csv-table} Ranges of the cVAE's hyperparameters (Table II of the slides).
# :file: tables/ranges-cvae.csv
# :header-rows: 1
# :name: tab-ranges-cvae
# ```
#
# ## What came out
#
# {numref}`tab-cvae` and {numref}`tab-inn` repeat the slides' results. Their
# last two rows hold the slides' count of trainable parameters against the
# model that `ikpaper.models.build` returns: {glue:text}`counts_agree` are the
# printed ones, which fixes the numbers of layers and their widths: the latent has DoF − 2 entries,
# "layers" of the cVAE counts the hidden layers of encoder and decoder each,
# "subnet layers" of the INN counts linear layers with the first and the
# last, each coupling block has four separate subnets, and nothing is
# padded.

# %% tags=["remove-cell"]
out.table(hyperparameters("cvae", paper.CVAE_TABLE), "hyperparameters-cvae")

# %% [markdown]
# ```{csv-table} Hyperparameters of the cVAE (Table III of the slides), with the parameter count of the model built here.
# :file: tables/hyperparameters-cvae.csv
# :header-rows: 1
# :name: tab-cvae
# ```

# %% tags=["remove-cell"]
out.table(hyperparameters("inn", paper.INN_TABLE), "hyperparameters-inn")
widths = [row["neurons"] for t in (paper.CVAE_TABLE, paper.INN_TABLE) for row in t.values()]
out.number("refined", ", ".join(str(width) for width in widths if width % 50))

# %% [markdown]
# ```{csv-table} Hyperparameters of the INN (Table IV of the slides), with the parameter count of the model built here.
# :file: tables/hyperparameters-inn.csv
# :header-rows: 1
# :name: tab-inn
# ```
#
# Some printed widths ({glue:text}`refined`) are no multiples of that step: they
# were refined after the search. This report takes both tables as they are printed; {ref}`sec-studies` runs the search
# again.
