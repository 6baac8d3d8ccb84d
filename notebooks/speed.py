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
# (sec-speed)=
# # Speed
#
# How fast does this library train and sample?
#
# Training is {glue:text}`training_gain` times as fast as a reference
# implementation, sampling {glue:text}`sampling_gain` times, over arms, batches
# and precisions. One exact sample of each of many targets at once comes
# {glue:text}`many_gain` times as fast as of one target after the other, 1,000 of
# each {glue:text}`many_gain_1000` times ({numref}`tab-speed-many`; on one thread,
# {glue:text}`many_gain_alone` and {glue:text}`many_gain_1000_alone` times). Classifiers of
# C2ST that train at once, for {glue:text}`c2st_epochs` epochs instead of to the end,
# take {glue:text}`c2st_gain` times less time (on one thread
# {glue:text}`c2st_gain_alone`; {numref}`tab-speed-c2st`, and {numref}`tab-stops` has what
# that costs). A permutation test is {glue:text}`test_gain` times as fast as by one
# kernel matrix that is reordered ({numref}`tab-speed-test`).
#
# The reference implementation does the same in the plain way: FrEIA's network
# and torch's modules called as they are, one pass after the other, a data loader
# over single items, `cdist` kernel matrices, float32. It is in
# `benchmarks/reference.py`, and the tests hold losses and gradients of the two
# against each other. `make bench` repeats the measurement, on both by turns.
#
# In all tables *ratio* is by how much ours is better than the reference, in rate,
# time or memory: above 1 it is in favour of ours. What counts are ratios within
# one run. Rates that compare samplers with each other are in
# {numref}`tab-beyond-06`, all of another single run.

# %% tags=["parameters"]
profile = "paper"  # smoke, quick or paper; the measurement does not depend on it
book = ""  # folder to save results in; "" saves nothing

# %%
from ikpaper.report import Outputs, parameters
from ikpaper.report.plots import results
from ikpaper.report.tables import speed

out = Outputs(parameters(profile=profile, book=book).book)
bench, steps = out.read("bench"), out.read("bench-breakdown")
out.numbers(speed.numbers(bench, steps))

# %% [markdown]
# What differs from that reference implementation:
#
# - **Stacked subnets.** The subnets $s$ and $t$ of half a coupling block see
#   the same input. They run as one batched product a layer, with a
#   written-out backward pass; both inverse passes of a step are one.
# - **Products in bfloat16** between hidden layers. First and last layer,
#   coupling, losses and optimiser stay in float32, so the network inverts as
#   exactly as before: rounding is the same in both directions. On a processor
#   without instructions for bfloat16, the rounded factors are multiplied in
#   float32, which is faster there than what torch does.
# - **Float32 products from oneDNN.** torch takes them from MKL, which uses
#   AVX2 on processors that are not Intel's; oneDNN uses AVX-512 on those too.
#   `ikpaper.use_fast_matmul()` turns it on, the commands do so themselves; it is
#   used where its products prove to be float32 ({ref}`sec-speed-breakdown` has
#   the rates).
# - **Subnormal numbers as zero.** Weight decay leaves weights below 10⁻³⁸ in
#   cVAEs and INNs, some of them by the hundred thousand, and on some processors
#   a product with such a number takes many times as long. Weights are loaded
#   with zeros in their place, which gives the same samples.
# - **MMD in one pass.** Value and gradients come from the same sweep over a
#   kernel matrix, which is never kept as a whole: that saves memory, and
#   time from batches of training's size on ({numref}`tab-speed-mmd`).
# - **No loader.** The data is on the device once and shuffled there; the
#   optimiser is fused; the loss is looked at every 50 steps. On a GPU each
#   step is one CUDA graph. {glue:text}`gpu`
#
# Measured on {glue:text}`device`, {glue:text}`threads` threads, batches of
# 1,000. {numref}`tab-training-speed` has both precisions, since whether
# bfloat16 is faster depends on the processor. The published INN was trained in
# bfloat16, the cVAE in float32: the precision is part of a model's recipe.

# %% mystnb={"figure": {"name": "fig-speed", "caption": "Throughput in multiples of the reference implementation's, training (left) and sampling (right), over the DoF. Beyond 10 DoF the network is that of 10 DoF."}, "image": {"alt": "Two panels with lines over the degrees of freedom for INN and cVAE in float32 and bfloat16; bfloat16 lies above float32."}}
out.figure(results.speedups(bench))

# %% tags=["remove-cell"]
out.table(speed.throughput(bench, "training", (250, 1000, 4000)), "training-speed")
sampling = speed.throughput(bench, "sampling", (1000,))
out.table(sampling.drop(columns="batch"), "sampling-speed")
for comparison in speed.OTHERS:
    out.table(speed.others(bench, comparison), f"speed-{comparison}")

# %% [markdown]
# ```{csv-table} Training throughput: samples that a training step takes in a second, over the size of the batch.
# :file: tables/training-speed.csv
# :header-rows: 1
# :name: tab-training-speed
# ```
#
# ```{csv-table} Sampling throughput, 1,000 samples for each of 50 targets. Published results sample in float32.
# :file: tables/sampling-speed.csv
# :header-rows: 1
# :name: tab-sampling-speed
# ```
#
# Further comparisons follow.
#
# ```{csv-table} Sampling from the flow in one evaluation, as drawn and moved onto the target, against the INN of the same arm through FrEIA (*reference*). Size: samples at each of 50 targets.
# :file: tables/speed-flow.csv
# :header-rows: 1
# :name: tab-speed-flow
# ```
#
# ```{csv-table} Exact sampling against rejection sampling (*reference*), at a tolerance at which the error of the latter is about what 1,000 samples can show. Size: samples at one target.
# :file: tables/speed-exact.csv
# :header-rows: 1
# :name: tab-speed-exact
# ```
#
# The tolerance of {numref}`tab-speed-exact` is {glue:text}`eps`.
#
# :::{csv-table} Exact sampling for many targets at once (`together=True`), against one target after the other (*reference*): targets served in a second with so many samples of each (size); on longer arms than the paper's, over few targets.
# :file: tables/speed-many.csv
# :header-rows: 1
# :name: tab-speed-many
# :::
#
# On the paper's arms it gains most where few samples of each target are asked for.
# Where the ratio is below 1, it is slower than one target after the other. With
# 1,000 samples of each, most of the time goes into proposals, of which both ways
# need as many.
#
# ```{csv-table} C2ST: classifiers of several targets trained together for so many epochs, against scikit-learn's by sbibm's protocol, which trains until the loss stands still (*reference*). Size: samples a side.
# :file: tables/speed-c2st.csv
# :header-rows: 1
# :name: tab-speed-c2st
# ```
#
# :::{csv-table} The permutation test of one target, MMD² and p-value, against one kernel matrix that is reordered for every relabelling (*reference*). Targets are tested one at a time: the kernel matrix of one already fills the cache. Memory stays with the process (see `make bench`); where it goes back to the system after each use, both take longer, ours by more. Size: samples a side.
# :file: tables/speed-test.csv
# :header-rows: 1
# :name: tab-speed-test
# :::
#
# ```{csv-table} The MMD loss of two sets of so many samples (size): value and gradient.
# :file: tables/speed-mmd.csv
# :header-rows: 1
# :name: tab-speed-mmd
# ```
#
# ```{csv-table} Memory that three training steps add to a fresh process. Size: of the batch.
# :file: tables/speed-memory.csv
# :header-rows: 1
# :name: tab-speed-memory
# ```
#
# ```{csv-table} Two training runs at a time with a thread each (*ours*), against one run with two threads (*reference*). Size: of the batch.
# :file: tables/speed-runs.csv
# :header-rows: 1
# :name: tab-speed-runs
# ```
#
# (sec-speed-breakdown)=
# ## Where the time goes

# %% tags=["remove-cell"]
out.table(speed.breakdown(steps), "speed-breakdown")

# %% [markdown]
# ```{csv-table} One training step of ours: the work of its products over its time, beside what a large product reaches on the same cores, and how the time divides.
# :file: tables/speed-breakdown.csv
# :header-rows: 1
# :name: tab-speed-breakdown
# ```
#
# A step cannot be faster than its products. {numref}`tab-speed-breakdown`
# sets their rate beside the rate of a product large enough to fill the
# cores. The rest is the price of small matrices: between two products the
# activations are written, read and copied. The rate of products also bounds
# what any implementation could gain here: a large one of the reference
# implementation reaches {glue:text}`plain_peak` GFLOP/s, {glue:text}`bound_float32` times
# less than in float32 through oneDNN, and {glue:text}`bound_bfloat16` times
# less than in bfloat16. The following holds for batches of 1,000.
# {glue:text}`against_bounds` A gain above its bound is time that the reference
# implementation loses outside of large products, too: in its loader, in small
# kernels called one by one, and for the INN in a third pass.
