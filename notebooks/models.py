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
# (sec-models)=
# # Models
#
# The paper compares two networks that draw joint angles for a target: a
# conditional variational autoencoder and an invertible neural network. Both
# turn noise $z$ and a target $y$ into joint angles $\theta$, and differ in how
# they learn it. This page gives their architectures and losses, and
# then the same for the flow of {ref}`sec-beyond`. What the slides leave open,
# the authors' public configuration settles: {numref}`tab-sources` has both
# side by side.

# %% tags=["parameters"]
profile = "paper"  # has no effect on this page
book = ""  # folder to save results in; "" saves nothing

# %%
import ikpaper
from ikpaper.report import Outputs, parameters
from ikpaper.report.plots import diagrams
from ikpaper.report.tables import models as tables
from ikpaper.training import PLATEAU_FACTOR, PLATEAU_PATIENCE

given = parameters(profile=profile, book=book)
out = Outputs(given.book)
cvae = ikpaper.models.build("cvae", dof=6).config
inn = ikpaper.models.build("inn", dof=6).config
inn10 = ikpaper.models.build("inn", dof=10).config
out.number("counts_agree", tables.counts_agree())
out.number("kl_weight", f"{cvae.kl_weight:g}")
out.number("clamp", f"{inn.clamp:g}")
out.number("slope", f"{inn.negative_slope:g}")
out.number("weight_y", f"{inn.weight_y:g}")
out.number("weight_x", f"{inn.weight_x:g}")
out.number("noise", f"{inn.noise:g}")
out.number("ramp", f"{inn.ramp:g}")
out.number("warmup", str(inn.warmup))
out.number("grad_clamp", f"{inn.grad_clamp:g}")
flow = ikpaper.models.build("flow", dof=6).config
out.number("flow_steps", str(flow.steps))
out.number("flow_neurons", str(flow.neurons))
out.number("flow_blocks", str(flow.blocks))
out.number("plateau_factor", f"{PLATEAU_FACTOR:g}")
out.number("plateau_patience", str(PLATEAU_PATIENCE))

# %% tags=["remove-cell"]
out.table(tables.sources(inn), "sources")

# %% [markdown]
# ```{csv-table} What the slides say about the models, and what the authors' public configuration adds.
# :file: tables/sources.csv
# :header-rows: 1
# :name: tab-sources
# ```
#
# That these readings are right is confirmed in part by the slides: with them,
# {glue:text}`counts_agree` of trainable parameters come out exactly as printed
# ({ref}`sec-hyperparameters`).

# %% [markdown]
# (sec-cvae)=
# ## Conditional variational autoencoder
#
# The cVAE {cite}`sohn2015` is a variational autoencoder
# {cite}`kingma2014vae` whose encoder and decoder both see the target
# ({numref}`fig-cvae`). The encoder maps joint angles and target to a normal
# distribution over the latent, $q(z \mid \theta, y) = \mathcal{N}(\mu,
# \sigma^2)$; the decoder maps a latent and the target back to joint angles.
# The latent has DoF − 2 entries, as many as the solutions of a target have
# dimensions. To sample, the encoder is left out: $z$ is drawn from
# $\mathcal{N}(0, 1)$ and decoded.

# %% mystnb={"figure": {"name": "fig-cvae", "caption": "The cVAE. In training, the encoder's latent is decoded and compared with the joint angles that went in. In sampling, the latent is noise."}, "image": {"alt": "Block diagram: theta and y enter an encoder that gives mean and log variance, a latent z is drawn, and a decoder with z and y gives theta hat; below, the decoder alone turns noise z and y into theta."}}
out.figure(diagrams.cvae())

# %% [markdown]
# The slides give two parts, whose sum is the evidence lower bound (ELBO). It is
# maximised:
#
# ```{math}
# :label: eq-cvae-loss
# \begin{aligned}
# L_y &= -\mathrm{KL}\big[q_{w_\text{enc}}(z \mid x, y)\,\|\,p(z)\big] \\
# L_x &= \mathrm{E}_{q_{w_\text{enc}}(z \mid x, y)}
#   \big[\log p_{w_\text{dec}}(x \mid z, y)\big]
# \end{aligned}
# ```
#
# where $x$ stands for $\theta$ and $p(z) = \mathcal{N}(0, 1)$. The slides call
# them losses. A loss is
# minimised, so it is the negative of this sum; with a normal likelihood, it is
# up to constants the sum over the batch of
#
# - `reconstruction`: the squared differences of the joint angles, each
#   wrapped to $(-\pi, \pi]$, and
# - `kl`: the KL divergence in closed form, $\tfrac12 \sum (\mu^2 +
#   \sigma^2 - 1 - \log \sigma^2)$, times {glue:text}`kl_weight`.
#
# The weight is the authors' setting. It is small: it corresponds to a
# likelihood with a variance of half of it.
#
# (sec-inn)=
# ## Invertible neural network
#
# The INN {cite}`ardizzone2018` is a bijection between joint angles and the
# pair of latent and target ({numref}`fig-inn`). Forwards it predicts the
# TCP, and keeps in $z$ what the TCP does not tell; backwards it turns noise
# and a target into joint angles. $\theta$ has DoF entries, $z$ has
# DoF − 2 and the TCP 2, so nothing is padded.

# %% mystnb={"figure": {"name": "fig-inn", "caption": "The INN: coupling blocks with fixed permutations between them, passed in both directions, and where the four terms of its loss attach."}, "image": {"alt": "Block diagram: theta on the left, three coupling blocks separated by permutations, z and y hat on the right, arrows in both directions; losses L_y and L_z point at the right end, L_x and L_p(x) at the left end."}}
out.figure(diagrams.inn())

# %% [markdown]
# ### Affine coupling blocks
#
# A coupling block {cite}`dinh2016` splits its input $u$ into halves and
# scales and shifts each by functions of the other
# ({numref}`fig-coupling`):
#
# ```{math}
# :label: eq-coupling
# \begin{aligned}
# v_1 &= u_1 \odot \exp\big(s_2(u_2)\big) + t_2(u_2) \\
# v_2 &= u_2 \odot \exp\big(s_1(v_1)\big) + t_1(v_1)
# \end{aligned}
# ```
#
# The inverse needs no inverse of $s$ or $t$:
#
# ```{math}
# :label: eq-coupling-inverse
# \begin{aligned}
# u_2 &= \big(v_2 - t_1(v_1)\big) \\
# &\qquad \odot \exp\big(-s_1(v_1)\big) \\
# u_1 &= \big(v_1 - t_2(u_2)\big) \\
# &\qquad \odot \exp\big(-s_2(u_2)\big)
# \end{aligned}
# ```
#
# so that $s_1, t_1, s_2, t_2$ can be any networks. The log-determinant of
# the Jacobian is the sum of all entries of $s_1$ and $s_2$.

# %% mystnb={"figure": {"name": "fig-coupling", "caption": "An affine coupling block. Above, forwards: each subnet sees one half and acts on the other. Below, the inverse: the same subnets, passed in the same direction, undo shift and scale in reverse order."}, "image": {"alt": "Two flow diagrams. Above, u is split into u1 and u2; subnets s2 and t2 of u2 scale and shift u1 into v1; subnets s1 and t1 of v1 scale and shift u2 into v2. Below, the arrows run from v to u: t1 of v1 is subtracted from v2 and the result multiplied by exp of minus s1, which gives u2; s2 and t2 of u2 do the same to v1, which gives u1."}}
out.figure(diagrams.coupling_block())

# %% [markdown]
# The blocks are `RNVPCouplingBlock` of FrEIA {cite}`freia2022`, with four
# separate subnets each. What the slides do not say: log scales are clamped
# softly to ±{glue:text}`clamp` by an arctangent, and in every subnet a
# LeakyReLU with slope {glue:text}`slope` follows each linear layer,
# **the last one included**. The last activation decides whether the network
# can be trained with this loss. Negative outputs shrink to a hundredth, so
# scales are hardly ever below 1 in the forward direction and the inverse
# hardly ever expands; {ref}`sec-left-out` has the runs without it.
#
# ### Losses
#
# The slides list four terms, with $x$ for $\theta$:
#
# ```{math}
# :label: eq-inn-loss
# \begin{aligned}
# L_y &= \mathrm{MSE}\big(y_i, f_y(x_i)\big) \\
# [y, z] &= [f_y(x), f_z(x)] \\
# L_x &= \mathrm{MSE}\big(x_i,\, [f_y^{-1}(y_i), \\
# &\qquad f_z^{-1}(f_z(x_i))]\big) \\
# L_{p(z)} &= \mathrm{MMD}\big(p(f_z(x_i)),\ p(z)\big) \\
# L_{p(x)} &= \mathrm{MMD}\big(p([f_y^{-1}(y_i), \\
# &\qquad f_z^{-1}(p(z))]),\ p(x)\big)
# \end{aligned}
# ```
#
# where $p(z) = \mathcal{N}(0, 1)$. $L_y$ is supervised. $L_{p(z)}$, called `L_z` in the library, and $L_{p(x)}$
# compare distributions by the maximum mean discrepancy {cite}`gretton2008`.
# $L_x$ passes $\theta$ forwards, puts the true TCP in the place of the
# predicted one, and passes the pair back.
#
# Weights and details are the authors' settings
# ({numref}`tab-inn-loss`). Every step makes one forward and two inverse
# passes, and one update from the sum of all four.

# %% tags=["remove-cell"]
out.table(tables.inn_loss(inn, inn10), "inn-loss")

# %% [markdown]
# ```{csv-table} The terms of the INN's loss. Squared errors are sums over the batch.
# :file: tables/inn-loss.csv
# :header-rows: 1
# :name: tab-inn-loss
# ```
#
# - The ramp of $L_{p(x)}$ is $\min(1,\, 2 \cdot \rho^{\,1 -
#   \text{epoch}/\text{epochs}})$ with $\rho$ = {glue:text}`ramp`: the
#   inverse is left alone until the forward pass has taken shape.
# - Noise of scale {glue:text}`noise` is added to $\theta$, the TCP and the
#   predicted $z$ in every step.
# - Both MMD terms are the V-statistic {eq}`eq-mmd` with the paper's kernel
#   {eq}`eq-kernel`.
#
# ## Training
#
# Both networks train with Adam, learning rate and weight decay from
# {numref}`tab-cvae` and {numref}`tab-inn`; the learning rate is multiplied
# by {glue:text}`plateau_factor` when the training loss has not come
# below its lowest value for more than {glue:text}`plateau_patience` epochs. For the INN each element of
# the gradient is clamped to ±{glue:text}`grad_clamp`, and the learning rate
# rises from zero over the first {glue:text}`warmup` steps. The authors'
# program has no such warm-up; {ref}`sec-left-out` has what was run
# without it.
#
# One loop trains every model of the library; a model is a file with its
# config, its loss as a dictionary of named terms, and its sampler.
#
# (sec-flow)=
# ## The flow
#
# The flow ({py:class}`ikpaper.models.flow.Flow`) is not in the paper. It is
# conditional flow matching {cite}`lipman2023` with the kinematics of the arm
# inside. It starts with a sample of the prior and moves its joints until the
# arm reaches the target, so that samples of the prior become samples of the
# posterior ({numref}`fig-flow`).

# %% mystnb={"figure": {"name": "fig-flow", "caption": "First: samples of the prior (grey) follow the exact velocity to the posterior (green), which lies on the curve of solutions. Second: the velocity at one point $x_t$ points to the mean end point (arrow from $x_t$). The prior alone would take $x_t$ to $m$ (dotted); one step of size $\\delta$ (arrow from $m$) leads from there to where the linearised kinematics (dashed) meet the target; what is missing to the mean end point (short arrow) is for the network to learn. Computed for an arm with two joints of which only the height of the TCP is prescribed."}, "image": {"alt": "Two panels over two joint angles. In the first, curved paths lead from grey dots scattered around the origin to green dots on a curve. In the second, an arrow from a point x_t to a point on the curve, beside it a pale arrow from m to a point on a dashed tangent near the curve, and a short orange arrow from there to the same point on the curve."}}
out.figure(diagrams.flow())

# %% [markdown]
# Let $x$ be joint angles in units of the prior's standard deviation $\sigma$.
# A path joins a prior sample $x_0$ and a posterior sample $x_1$ by the straight
# line $x_t = (1 - t)\,x_0 + t\,x_1$. The velocity that carries the one
# distribution to the other is the mean over all lines through a point,
#
# ```{math}
# :label: eq-velocity
# v(x, t \mid y) = \frac{\mathrm{E}[x_1 \mid x_t = x,\, y] - x}{1 - t} ,
# ```
#
# and a network that predicts $x_1 - x_0$ from $x_t$, $t$ and $y$ with squared
# error learns it: that is all of the training. Here most of {eq}`eq-velocity`
# is known beforehand. Without the target, $x_1$ given $x_t$ is normal, with
# mean $m$ and variance $s^2$,
#
# ```{math}
# :label: eq-flow-prior
# \begin{aligned}
# &m = \frac{t\, x}{q}, \qquad s^2 = \frac{(1 - t)^2}{q}, \\
# &q = t^2 + (1 - t)^2 ,
# \end{aligned}
# ```
#
# and the target adds that $f(\sigma x_1) = y$. To first order, the nearest
# point with that property is one damped Gauss-Newton step away from $m$,
#
# ```{math}
# :label: eq-flow-step
# \begin{aligned}
# \delta &= J^\top \big(J J^\top + \lambda I\big)^{-1} r , \\
# r &= f(\sigma m) - y ,
# \end{aligned}
# ```
#
# with $J$ the Jacobian at $m$ with respect to $x$, and $\lambda$ a damping that
# vanishes with $s$. The velocity of the flow is this guess and a correction by
# a network $g_w$,
#
# ```{math}
# :label: eq-flow
# \begin{aligned}
# &v_w(x, t \mid y) = \frac{m - \delta - x}{1 - t} \\
# &\qquad {} + s\; g_w\Big(x,\ \frac{\delta}{s},\ \frac{r}{s},\ t,\ y\Big) .
# \end{aligned}
# ```
#
# Near the end of the way $s$ vanishes, the network's share with it, and the
# Gauss-Newton step decides where the sample lands. So samples are on the
# target as precisely as the integration is, and the network has to learn only
# how they are spread along the solutions. It has {glue:text}`flow_blocks`
# residual blocks of {glue:text}`flow_neurons` neurons. Sampling takes
# {glue:text}`flow_steps` midpoint steps:
#
# ```text
# sample(y):
#     x <- draw from N(0, I)
#     h <- 1 / steps
#     for k = 0 .. steps - 1:
#         t <- (k + 1/2) h
#         mid <- x + h/2 v(x, k h | y)
#         x <- x + h v(mid, t | y)
#     return sigma x
#
# train, with theta and y = f(theta):
#     x1 <- theta / sigma
#     x0 <- draw from N(0, I)
#     t  <- draw from U(0, 1)
#     xt <- (1 - t) x0 + t x1
#     u  <- x1 - x0
#     loss <- |v(xt, t | y) - u|^2
#     step of the optimiser on w
# ```
#
# Targets below the x axis are mirrored to above it and samples mirrored back,
# since the arm and its prior are their own mirror images.
# {numref}`tab-kinematics` has what guess and network are worth alone.
