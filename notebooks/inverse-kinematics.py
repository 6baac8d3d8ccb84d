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
# (sec-ik)=
# # Inverse kinematics
#
# Forward kinematics is easy: joint angles determine where the end of the arm
# is. Inverse kinematics asks the other way round, and the question may have
# one answer, several, infinitely many, or none. This page states the
# problem for planar arms, shows each case, and says what analytical and
# numerical methods do about it.

# %% tags=["parameters"]
profile = "paper"  # has no effect on this page
book = ""  # folder to save results in; "" saves nothing

# %%
import math

import torch

import ikpaper
from ikpaper import metrics
from ikpaper.report import Outputs, parameters
from ikpaper.report.plots import kinematics

given = parameters(profile=profile, book=book)
out = Outputs(given.book)
generator = torch.Generator().manual_seed(2)

# %% [markdown]
# ## The forward map
#
# A planar arm has $N$ links of lengths $l_1, \dots, l_N$ in a row, joined by
# revolute joints with angles $\theta_1, \dots, \theta_N$, each measured
# from the direction of the link before ({numref}`fig-arm`). The position of
# its end, the tool centre point or TCP, is
#
# ```{math}
# :label: eq-forward
# \begin{aligned}
# x_\text{TCP} &= \sum_{i=1}^{N} l_i \cos\Big(\sum_{j=1}^{i}\theta_j\Big) \\
# y_\text{TCP} &= \sum_{i=1}^{N} l_i \sin\Big(\sum_{j=1}^{i}\theta_j\Big)
# \end{aligned}
# ```
#
# We write $y = f(\theta)$ for both equations, and $J = \partial f /
# \partial \theta$ for the $2 \times N$ Jacobian. Only the position of the
# TCP is asked for, not its orientation.

# %% mystnb={"figure": {"name": "fig-arm", "caption": "A planar arm with three joints: each angle is measured from the direction of the link before."}, "image": {"alt": "Line drawing of an arm with three links from a square base at the origin to the TCP, with the lengths l1 to l3 along the links and the angles theta 1 to theta 3 at the joints."}}
three_links = ikpaper.PlanarArm([1.2, 1.0, 0.8])
out.figure(kinematics.arm_drawing(three_links, [0.45, 0.6, -0.75]))

# %% [markdown]
# ## An ill-posed question
#
# The TCP can be anywhere within the reach of the arm, $\sum_i l_i$, except in
# a hole around the base if one link is longer than all others together.
# How many joint angles lead there depends on the arm and the target
# ({numref}`fig-ill-posed`):
#
# - **One solution.** At full reach the arm must be straight.
# - **Several.** An arm with two joints reaches an inner point in two ways,
#   elbow up and elbow down.
# - **Infinitely many.** With more joints than coordinates of the target, the
#   arm is *redundant*: the solutions form a manifold of dimension $N - 2$.
#   Locally, its directions are the null space of $J$: motions of the joints
#   that leave the TCP where it is.
# - **None.** Outside the reach, and inside the hole.

# %% mystnb={"figure": {"name": "fig-ill-posed", "caption": "Targets (crosses) with one, two, infinitely many and no solutions. The workspace is shaded; of two solutions, one is dashed; of the infinitely many solutions of the redundant arm, 300 are drawn, one of them solid, from the posterior with a prior of 0.6 rad."}, "image": {"alt": "Four panels with shaded workspaces: a straight arm touching the edge of a disc; a two-link arm bent up and down to the same target; a fan of many arms to one target; and targets outside an annulus and in its hole with no arm."}}
two = ikpaper.PlanarArm([1.0, 1.0])
ring = ikpaper.PlanarArm([1.4, 0.5])
six = ikpaper.PlanarArm.paper(dof=6)
elbow = torch.tensor(math.acos((1.2**2 + 0.6**2 - 2) / 2))
heading = math.atan2(0.6, 1.2)
elbows = torch.tensor([[heading - elbow / 2, elbow], [heading + elbow / 2, -elbow]])
inner = (2.2, 1.2)
none = torch.zeros(0, 2)
straight = torch.tensor([[0.6, 0.0]])
edge = two.forward(straight)[0].tolist()
many = ikpaper.ExactPosterior(six, sigma=0.6).sample(inner, 300, generator=generator)
cases = {
    "one": (two, [(edge, straight)]),
    "two": (two, [((1.2, 0.6), elbows)]),
    "infinitely many": (six, [(inner, many)]),
    "none": (ring, [((2.0, 0.8), none), ((0.4, 0.3), none)]),
}
out.figure(kinematics.ill_posedness(cases))

# %% [markdown]
# ## Analytical solutions
#
# For two joints the law of cosines solves {eq}`eq-forward` in closed form.
# With $r^2 = x_\text{TCP}^2 + y_\text{TCP}^2$,
#
# ```{math}
# :label: eq-two-links
# \begin{aligned}
# \theta_2 &= \pm \arccos \frac{r^2 - l_1^2 - l_2^2}{2\, l_1 l_2} \\
# \theta_1 &= \operatorname{atan2}(y_\text{TCP}, x_\text{TCP}) \\
#   &\; - \operatorname{atan2}(l_2 \sin\theta_2,\ l_1 + l_2 \cos\theta_2)
# \end{aligned}
# ```
#
# The sign is the choice between elbow up and elbow down; the arc cosine has
# no value for a target outside the reach or in the hole, and the two signs
# agree where the arm is straight. For some spatial arms, such as those with
# a spherical wrist, geometry gives closed forms as well
# {cite}`siciliano2010`. For redundant arms there is no closed form of *the*
# solution because there is no one solution. The closed form is still of use
# as a part: fix all joints but two, and the two that are left close the arm
# onto the target. The exact sampler of this report is built on it
# ({ref}`sec-ground-truth`).
#
# ## Numerical solutions
#
# Numerical methods start from a configuration and improve it in steps,
# $\theta \leftarrow \theta + \Delta\theta$. With the error $e = y - f(\theta)$ and
# the pseudo-inverse of the Jacobian, a step of Newton's method is
#
# ```{math}
# :label: eq-newton
# \Delta\theta = J^\top \big(J J^\top + \lambda I\big)^{-1} e .
# ```
#
# With a damping $\lambda$ that keeps it stable where $J$ loses rank, this is the
# damped least-squares method {cite}`wampler1986`. Every run costs several
# evaluations of $f$ and $J$ and gives one solution, often one near its
# start. Which one, among infinitely many, is left to the start.
#
# ### Redundancy and the null space
#
# With more joints than coordinates of the target, $J$ has a null space of
# dimension $N - 2$ wherever its rank is full. A joint velocity that gives the
# TCP the velocity $\dot y$ is determined only up to a motion within it,
#
# ```{math}
# :label: eq-null-space
# \dot\theta = J^{+} \dot y + \big(I - J^{+} J\big)\, \dot\theta_0 ,
# ```
#
# with $J^{+}$ the pseudo-inverse and $\dot\theta_0$ free
# {cite}`siciliano2010`. The second term moves the arm and leaves the TCP
# where it is. Controllers use it for a second aim, such as keeping away from
# joint limits or obstacles: they choose $\dot\theta_0$ and follow one path
# through the solutions. Equation {eq}`eq-newton` without damping is the first
# term alone. Neither lists the solutions or says how common each is.
#
# {numref}`fig-solution-curve` shows this for an arm with three joints,
# whose solutions for a target form a curve in joint space: the null space is
# its tangent. The numerical solver (SciPy's least squares from random starts
# {cite}`virtanen2020`) finds points on the curve, wherever its starts lead;
# some lie on stretches that the posterior calls unlikely.

# %% mystnb={"figure": {"name": "fig-solution-curve", "caption": "An arm with three joints, a prior of 0.8 rad and one target. Left: exact posterior samples (green) and the configurations that the numerical solver found (pink). Right: all solutions, a closed curve in joint space projected onto two of three angles, coloured by the density of the posterior along the curve."}, "image": {"alt": "Left, a fan of translucent three-link arms meeting at a target, and some drawn in pink. Right, a closed curve in the plane of the first two joint angles, strong green on one side and faint elsewhere, with pink dots on it where the numerical solver ended."}}
small = ikpaper.PlanarArm([1.0, 1.0, 1.0])
tcp = (1.7, 0.9)
exact = ikpaper.ExactPosterior(small, sigma=0.8)
samples = exact.sample(tcp, 200, generator=generator)
solver = ikpaper.NumericalSolver(small, sigma=0.8)
solved = solver.sample(tcp, 12, generator=generator)
distinct, runs = metrics.distinct_solutions(solved), len(solved)
out.number("solved", f"All {runs}" if distinct == runs else f"{distinct} of {runs}")
out.figure(kinematics.solution_curve(small, tcp, exact.prior, samples, solved))

# %% [markdown]
# {glue:text}`solved` runs end in different configurations.
#
# ## The posterior as the answer
#
# With a prior $p(\theta)$ over joint angles, the complete answer to an
# ill-posed question is the distribution of all answers given the target,
#
# ```{math}
# :label: eq-posterior
# p(\theta \mid y) \;\propto\; p(\theta)\; \delta\big(f(\theta) - y\big) .
# ```
#
# It says which configurations reach the target and how likely each is. For
# a redundant arm it lives on the manifold of solutions and has a density
# there ({ref}`sec-ground-truth`).
#
# A single answer is not a substitute. A regression from targets to joint
# angles, trained on squared error, returns the mean of the solutions, and
# the mean of solutions is in general none: between elbow up and elbow down
# lies the straight arm, which overshoots the target. A numerical solver
# returns solutions, but with frequencies set by its starts and its steps.
# Samples of {eq}`eq-posterior` keep every solution, each as often as it
# occurs. A planner can draw from it, and choose among the draws by whatever else
# matters: obstacles, joint limits, energy. The question of the paper
# {cite}`schwaiger2021` is whether a neural network can learn
# {eq}`eq-posterior` for all targets at once from samples of the forward map
# alone. Networks that do so are generative models conditioned on the
# target: variational autoencoders {cite}`sohn2015`, invertible networks
# {cite}`ardizzone2018,kruse2021` and generative adversarial networks
# {cite}`mirza2014` among them. The paper compares the first two
# ({ref}`sec-models`).
