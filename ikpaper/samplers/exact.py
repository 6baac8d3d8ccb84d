"""The exact posterior: samples of p(theta | tcp), to rounding error."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from scipy.optimize import minimize
from torch import Generator, Tensor

from ikpaper.arm import PlanarArm, TensorLike, wrap
from ikpaper.checks import Sigma, check_count, check_generator, check_positive, check_seed
from ikpaper.metrics import effective_sample_size
from ikpaper.sampler import PosteriorSampler
from ikpaper.samplers.many import ManyTargets
from ikpaper.samplers.prior import Prior

#: Proposals that are computed at once; up to four times as many where they cost little memory.
_CHUNK = 1 << 16
#: Most samples of one pool, and of one of several.
_MOST, _BLOCK = 500_000, 20_000
#: Effective samples up to which many targets are served at once, and fewest behind any sample.
_TOGETHER, _LEAST = 10_000.0, 100.0
#: Targets that are served at once, and streams of torch.
_AT_ONCE, _STREAMS = 1024, 1 << 32
#: Effective samples a proposal below which the prior alone is too poor a proposal.
_POOR = 0.05
#: Widths of proposals around a mode, in prior standard deviations.
_SCALES = (1.0, 0.25, 0.06, 0.015)
#: Distance from the base, in reaches, below which rounding spoils what the first joint closes.
_AT_BASE = 1e-6


@dataclass(frozen=True)
class ExactDraw:
    """Samples of one exact posterior, with what tells how good they are.

    Attributes:
        theta: Joint angles, shape (n, dof), all distinct, in random order.
        ess: Effective sample size of the weighted pool they were taken from.
        pool: Number of weighted points in that pool.
        proposals: Number of proposals drawn.
        stage: The stage of proposals that filled the pool; see `ExactPosterior`.
    """

    theta: Tensor
    ess: float
    pool: int
    proposals: int
    stage: str


class ExactPosterior(PosteriorSampler):
    """Samples of the posterior of the noise-free forward map, to rounding error.

    The posterior lives on the manifold {theta : f(theta) = tcp} and has there, by the co-area
    formula, the density p(theta) / sqrt(det(J J^T)). A proposal draws all joints but a pair (j, k)
    from q = N(mu, (s sigma)^2) and closes these two onto the target: seen from joint j, the law of
    cosines gives theta_k up to the sign of the elbow, a rotation gives theta_j. (Where j is a
    rail, theta_k takes the TCP to the target's distance from it, and theta_j along it.) Mixed over
    pairs and over q, a point has the importance weight (balance heuristic)::

        w(theta) = p(theta) / sum_q sum_jk [ |m_jk(theta)| q(theta) / (q_j(theta_j) q_k(theta_k)) ],

    with m_jk the minor of columns j and k of the Jacobian. From the weighted pool, `n` points are
    taken without replacement with inclusion probabilities exactly proportional to their weights
    (systematic sampling in random order): they are distinct.

    The mixture is the first of these stages that serves the target:

    - `prior`: q is the prior; the pairs are the first joint with each other one.
    - `modes`: for targets in the prior's tail, proposals around the local maxima of p on the
      manifold join it (s = 1), and near full reach, where the manifold shrinks, narrow ones
      (s < 1).
    - `pairs`: any two joints, with all these proposals, for what can be expected to take more than
      `max_proposals` otherwise: a first joint that the prior holds in place, for instance, or a
      target at the base, onto which turning the first joint closes nothing.

    A pool is for up to 500,000 samples. More are drawn in blocks of 20,000 and a last one of the
    rest, each from a pool of its own, and returned one after the other: memory grows by the samples
    alone. Between these two numbers, blocks are drawn where one pool would take more than
    `max_proposals`.

    Joint angles are in (-pi, pi]; the prior is truncated there, which matters only for sigma
    near 1 and above.

    Args:
        arm: The arm, with at least 3 joints (with 2 the posterior is two points, not a density).
        sigma: Standard deviation of the prior; see `Prior`.
        oversampling: Effective sample size of a pool, in multiples of its samples.
        max_proposals: Proposals after which a target is given up, for each pool.
        stages: Those to try, in this order; the last one is kept to the end. At the base it is
            always `pairs`.
        together: Whether `sample` serves many targets at once where up to 1000 samples of each are
            asked for (with the usual `oversampling`), in the stage `prior`: the fewer samples, the
            faster it is than one target after the other. They are other samples of the same
            posterior. Where it is not possible (on a rail, without that stage) or does not serve a
            target, it is served alone. Behind any sample, also of `draw`, is an effective sample
            size of 100 or more; as with any importance sampling from a finite pool, the bias of
            expectations is of the order of one over it.

    Raises:
        ValueError: If an argument is out of its range.
    """

    name = "exact"
    label = "exact posterior"
    colour = "#009e73"
    marker = "D"
    version = 1

    #: All stages, in their order.
    STAGES: ClassVar[tuple[str, ...]] = ("prior", "modes", "pairs")

    def __init__(
        self,
        arm: PlanarArm,
        sigma: Sigma | None = None,
        *,
        oversampling: float = 10.0,
        max_proposals: int = 20_000_000,
        stages: Sequence[str] = STAGES,
        together: bool = False,
    ) -> None:
        if arm.dof < 3:
            raise ValueError(
                f"ExactPosterior: expected an arm with at least 3 joints, got {arm.dof}"
            )
        self.arm = arm
        self.prior = Prior(arm, sigma)
        self.oversampling = check_positive("oversampling", oversampling)
        self.max_proposals = check_count("max_proposals", max_proposals)
        if not isinstance(together, bool):
            raise ValueError(f"together: expected True or False, got {together!r}")
        self.together = together
        self.stages = tuple(stage for stage in self.STAGES if stage in stages)
        if not stages or list(self.stages) != list(stages):
            raise ValueError(
                f"stages: expected some of {', '.join(self.STAGES)}, in this order, got {stages!r}"
            )

    def draw(self, tcp: TensorLike, n: int, *, generator: Generator | None = None) -> ExactDraw:
        """`n` samples for a single target, with the effective sample size behind them.

        Of blocks, the numbers are sums.

        Args:
            tcp: Target, shape (2,).
            n: Number of samples.
            generator: Source of randomness, on the CPU.

        Raises:
            ValueError: If the target is malformed, out of reach, or at the boundary of the
                workspace, where a single configuration reaches it.
            RuntimeError: If `max_proposals` do not give the effective sample size asked for;
                the message names the one reached.
        """
        n = check_count("n", n)
        generator = check_generator(generator)
        mixture = _Mixture(self.arm, self.prior, self._target(tcp), self.stages)
        whole = self._pool(mixture, n, generator) if n <= _MOST else None
        if whole is not None:
            return whole
        blocks = [
            self._pool(mixture, min(_BLOCK, n - done), generator) for done in range(0, n, _BLOCK)
        ]
        drawn = [block for block in blocks if block is not None]
        return ExactDraw(
            torch.cat([block.theta for block in drawn]),
            sum(block.ess for block in drawn),
            sum(block.pool for block in drawn),
            mixture.proposals,
            mixture.stage,
        )

    def closed_pair(self, tcp: TensorLike, k: int, *, seed: int = 0) -> Tensor:
        """Both ways in which one random proposal closes on a target, shape (2, dof): a picture.

        Args:
            tcp: Target, shape (2,).
            k: The joint closed beside the first, from 1 to dof - 1 (the first is 0).
            seed: Seed of the proposal.

        Raises:
            ValueError: If an argument is out of its range; see `draw` for the target.
            RuntimeError: If none of 1000 proposals closes.
        """
        if (k := check_count("k", k)) >= self.arm.dof:
            raise ValueError(f"k: expected a joint from 1 to {self.arm.dof - 1}, got {k}")
        target = self._target(tcp)
        generator = torch.Generator().manual_seed(check_seed(seed))
        for _ in range(1000):
            theta = self.prior.draw(1, generator)
            pair, _ = _close(self.arm, theta, torch.tensor([[k]]), target)
            if len(pair):
                return pair
        raise RuntimeError(f"no proposal closed on tcp {target.tolist()} through joint {k}")

    def _sample(self, tcp: Tensor, n: int, generator: Generator | None) -> Tensor:
        together = self.together and self.stages[0] == "prior" and not self.arm.rails
        if not together or self._wanted(n) > _TOGETHER:
            return torch.stack([self.draw(t, n, generator=generator).theta for t in tcp])
        tcp = tcp.to("cpu", torch.float64)
        for i in (~self.arm.inside(tcp)).nonzero()[:1, 0]:
            self._target(tcp[i])
        # A stream each, so that what a target gets does not depend on those after it. torch makes
        # a stream of 32 bits: numbers that follow each other are never the same.
        first = int(torch.randint(_STREAMS, (1,), generator=generator))
        many = ManyTargets(self.arm, self.prior, self._wanted(n), self.max_proposals)
        served = []
        for start, part in enumerate(tcp.split(_AT_ONCE)):
            seeds = range(first + start * _AT_ONCE, first + start * _AT_ONCE + len(part))
            streams = [torch.Generator().manual_seed(seed % _STREAMS) for seed in seeds]
            theta = many.sample(part, n, streams)
            alone = theta.isnan()[:, 0, 0] | (part.norm(dim=1) < _AT_BASE * self.arm.reach)
            for i in alone.nonzero()[:, 0].tolist():
                theta[i] = self.draw(part[i], n, generator=streams[i]).theta
            served.append(theta)
        return torch.cat(served)

    def _wanted(self, n: int) -> float:
        """The effective sample size of the pool that `n` samples are taken from."""
        return max(self.oversampling * n, _LEAST if self.together else 0.0)

    def _target(self, tcp: TensorLike) -> Tensor:
        """One checked target, shape (2,), float64, on the CPU."""
        target = self.arm.check_targets(tcp)
        if target.ndim != 1:
            raise ValueError(f"tcp: expected one target, shape (2,), got {tuple(target.shape)}")
        target = target.to("cpu", torch.float64)
        # What is beyond it by no more than the rounding of its type passes the check of targets.
        if not self.arm.inside(target):
            raise ValueError(
                f"tcp {target.tolist()} is at the boundary of the workspace, to the rounding of "
                "its type: a single configuration reaches it, and the posterior has no density"
            )
        return target

    def _pool(self, mixture: _Mixture, n: int, generator: Generator | None) -> ExactDraw | None:
        """`n` samples from one pool; None if blocks are better, never for those of a block."""
        thetas: list[Tensor] = []
        log_weights: list[Tensor] = []
        # `since`: how many proposals the pool is made of, those of the present stage.
        proposals, since, ess, wanted = 0, 0, 0.0, self._wanted(n)
        chunk = min(_CHUNK, max(4096, 4 * int(wanted)))
        while proposals < self.max_proposals:
            theta, log_weight = mixture.propose(chunk, generator)
            thetas.append(theta)
            log_weights.append(log_weight)
            proposals, since = proposals + chunk, since + chunk
            pooled = torch.cat(log_weights)
            ess = effective_sample_size(pooled) if len(pooled) else 0.0
            # Above 1, a point would have to be taken more than once.
            if ess >= wanted and float(_inclusion(pooled, n).max()) <= 1:
                order = torch.randperm(len(pooled), generator=generator)
                picked = order[_systematic(_inclusion(pooled[order], n), n, generator)]
                picked = picked[torch.randperm(n, generator=generator)]
                theta = _rows(thetas, picked)
                return ExactDraw(theta, ess, len(pooled), mixture.proposals, mixture.stage)
            missing = (wanted / ess - 1) * since if ess else math.inf
            poor = ess < _POOR * since
            # More than twice of what is left, once the estimate has settled: it will not do.
            hopeless = since >= 4 * _CHUNK and missing > 2 * (self.max_proposals - proposals)
            if hopeless and not poor and n > _BLOCK:
                return None
            if mixture.is_to_advance(poor, hopeless):
                mixture.advance(narrow=len(pooled) < 0.02 * since)
                thetas, log_weights, since = [], [], 0
                chunk = _CHUNK // 4
            elif hopeless and n > _BLOCK:
                return None
            else:
                chunk = int(min(max(1.2 * missing, 4096), mixture.largest_chunk))
        raise RuntimeError(
            f"ExactPosterior: effective sample size {ess:.1f} after {proposals} proposals for tcp "
            f"{mixture.tcp.tolist()}, expected {wanted:.0f} for n={n}"
            + ("; it is far in the tail of the prior, or next to the boundary" if poor else "")
            + ": raise max_proposals, or ask for fewer samples"
        )


@dataclass(frozen=True)
class _Component:
    """Proposal N(mean, (scale sigma)^2) for the joints that are not closed."""

    mean: Tensor
    scale: float = 1.0


class _Mixture:
    """The proposals for one target, of a stage that advances.

    Attributes:
        tcp: The target, shape (2,).
        proposals: How many have been drawn, in all stages.
    """

    def __init__(self, arm: PlanarArm, prior: Prior, tcp: Tensor, stages: tuple[str, ...]) -> None:
        self.tcp, self.proposals = tcp, 0
        self._arm, self._prior = arm, prior
        self._at_base = not arm.rails and float(tcp.norm()) < _AT_BASE * arm.reach
        self._stages = ("pairs",) if self._at_base else stages
        self._position = 0
        self._enter(narrow=True)

    @property
    def stage(self) -> str:
        """The present stage."""
        return self._stages[self._position]

    @property
    def largest_chunk(self) -> int:
        """Most proposals to be computed at once."""
        return _CHUNK if self.stage == "pairs" else 4 * _CHUNK

    def is_to_advance(self, poor: bool, hopeless: bool) -> bool:
        """Whether what the present stage gives calls for the next one."""
        following = self._stages[self._position + 1 : self._position + 2]
        if following == ("modes",):
            return poor or hopeless
        # Without a mode, the stage of modes is that of the prior.
        alone = self.stage == "modes" and len(self._components) == 1
        return bool(following) and (hopeless or (poor and alone))

    def advance(self, narrow: bool) -> None:
        """Go to the next stage, with narrow proposals too or without."""
        self._position += 1
        self._enter(narrow)

    def _enter(self, narrow: bool) -> None:
        arm, dof = self._arm, self._arm.dof
        every = self.stage == "pairs"
        pairs = [(j, k) for j in range(dof) for k in range(j + 1, dof) if every or j == 0]
        if self._at_base:
            pairs = [(j, k) for j, k in pairs if j]
        self._first, self._second = torch.tensor(pairs).T
        self._components = [_Component(torch.zeros(dof, dtype=torch.float64))]
        if self.stage == "prior":
            return
        modes = _modes(arm, self._prior.sigma.numpy(), self.tcp, scaled=every)
        scales: tuple[float, ...] = _SCALES if narrow or every else _SCALES[:1]
        if every:
            scales += self._narrower()
        self._components += [_Component(mode, scale) for mode in modes for scale in scales]

    def _narrower(self) -> tuple[float, ...]:
        """Scales of what is left of the manifold so near the boundary that the others are wide.

        What a straight arm lacks in reach goes with the squares of its angles.
        """
        arm = self._arm
        distance = float(arm.radial_distance(self.tcp))
        margin = min(arm.reach - distance, distance - 2 * max(arm.lengths) + arm.reach)
        width = math.sqrt((arm.reach - distance if arm.rails else margin) / arm.reach)
        scales = [factor * width / float(self._prior.sigma.max()) for factor in (4.0, 2.0, 1.0)]
        return tuple(scale for scale in scales if scale < _SCALES[-1])

    def propose(self, count: int, generator: Generator | None) -> tuple[Tensor, Tensor]:
        """Points on the manifold (m, dof) and their log weights (m,); m is random."""
        self.proposals += count
        theta = self._prior.draw(count, generator)
        components = self._components
        if len(components) > 1:
            which = torch.randint(len(components), (count,), generator=generator)
            theta *= torch.tensor([c.scale for c in components], dtype=torch.float64)[which, None]
            theta += torch.stack([c.mean for c in components])[which]
        pair = torch.randint(len(self._first), (count, 1), generator=generator)
        points = self._close(theta, self._first[pair[:, 0]], self._second[pair])
        points = points[(points[:, self._arm.rails :].abs() <= torch.pi).all(dim=1)]
        return points, self._log_weight(points)

    def _close(self, theta: Tensor, j: Tensor, k: Tensor) -> Tensor:
        """`theta` (count, dof) with joints j (count,) and k (count, 1) turned onto the target."""
        if self.stage != "pairs":
            return _close(self._arm, theta, k, self.tcp)[0]
        arm, points = self._arm, []
        if (rows := j == 0).any():
            points.append(_close(arm, theta[rows], k[rows], self.tcp)[0])
        for first in range(1, arm.dof - 1):
            # From joint `first` on it is an arm of its own, with its base at that joint.
            if not (rows := j == first).any():
                continue
            chain = theta[rows]
            base = arm.joint_positions(chain)[:, first]
            rest = PlanarArm(arm.lengths[first:])
            target = (self.tcp - base).T
            closed, origin = _close(rest, chain[:, first:], k[rows] - first, target)
            before = chain[origin, :first]
            closed[:, 0] = wrap(closed[:, 0] - before[:, arm.rails :].sum(dim=1))
            points.append(torch.cat([before, closed], dim=1))
        return torch.cat(points)

    def _log_weight(self, theta: Tensor) -> Tensor:
        first, second = self._first, self._second
        if self.stage == "pairs":
            x, y = self._arm.jacobian(theta).unbind(-2)
            minors = x[:, first] * y[:, second] - y[:, first] * x[:, second]
        else:
            minors = self._arm.minors(theta, self.tcp)
        log_minor = minors.abs().log()
        log_prior = self._prior.log_density(theta).sum(1)
        terms = []
        for component in self._components:
            scaled = (theta - component.mean) / component.scale
            log_q = self._prior.log_density(scaled) - math.log(component.scale)
            closing = log_minor - log_q[:, first] - log_q[:, second]
            terms.append(log_q.sum(1) + torch.logsumexp(closing, dim=1))
        return log_prior - torch.logsumexp(torch.stack(terms), dim=0)


def _close(arm: PlanarArm, theta: Tensor, k: Tensor, tcp: Tensor) -> tuple[Tensor, Tensor]:
    """`theta` (count, dof) with joints 0 and k (count, 1) turned onto targets (2,) or (2, count).

    Returns:
        Both elbows of the rows that can be closed, first all of one, then all of the other, shape
        (2 m, dof), and which rows those are, shape (2 m,).
    """
    dof = arm.dof
    theta = theta.scatter(1, k, 0.0)
    theta[:, 0] = 0.0

    # Chain before (a) and from (b) joint k on, with theta_0 = theta_k = 0.
    phi = theta.cumsum(dim=1)
    lengths = torch.tensor(arm.lengths, dtype=torch.float64)
    before = (torch.arange(dof) < k).to(torch.float64) * lengths
    cos, sin = phi.cos(), phi.sin()
    a = torch.stack([(cos * before).sum(1), (sin * before).sum(1)])
    b = torch.stack([cos @ lengths, sin @ lengths]) - a
    turn, cos_gamma = arm.elbow(a, b, tcp)

    closes = (cos_gamma.abs() <= 1).nonzero()[:, 0]
    theta, k, a, b = theta[closes], k[closes], a[:, closes], b[:, closes]
    turn, gamma = turn[closes], torch.acos(cos_gamma[closes])
    if tcp.ndim == 2:
        tcp = tcp[:, closes]
    both = []
    for branch in (gamma, -gamma):
        theta_k = wrap(turn + branch)
        c, s = theta_k.cos(), theta_k.sin()
        x, y = a[0] + c * b[0] - s * b[1], a[1] + s * b[0] + c * b[1]
        closed = theta.scatter(1, k, theta_k[:, None])
        closed[:, 0] = arm.aim(torch.stack([x, y]), tcp)
        closed[:, :1] = arm.wrapped(closed[:, :1])
        both.append(closed)
    return torch.cat(both), closes.repeat(2)


def _modes(arm: PlanarArm, sigma: np.ndarray, tcp: Tensor, scaled: bool) -> Tensor:
    """Local maxima of the prior on the manifold, shape (modes, dof), best first.

    Searched from curled-up configurations and a few fixed random ones, which is enough for
    a proposal: a mode that is missed costs samples, never correctness.

    Args:
        arm: The arm.
        sigma: Standard deviations of the prior, shape (dof,).
        tcp: The target, shape (2,).
        scaled: Whether to search in units of them, also from starts in proportion to them: that
            finds modes where they differ by orders of magnitude.
    """
    unit = sigma if scaled else np.ones(arm.dof)
    residual, jacobian = arm.residual(tcp.numpy())
    rng = np.random.default_rng(0)
    starts = [*rng.normal(0, 0.8, (6, arm.dof))]
    starts += [np.full(arm.dof, curl / arm.dof) for curl in (-4.0, -2.0, 2.0, 4.0)]
    if scaled:
        starts += [start * sigma / sigma.max() for start in starts]
    found: list[tuple[float, np.ndarray]] = []
    for start in starts:
        start[0] += float(arm.aim(arm.forward(start), tcp))
        result = minimize(
            lambda theta: 0.5 * np.sum((theta * unit / sigma) ** 2),
            start / unit,
            jac=lambda theta: theta * unit**2 / sigma**2,
            constraints={
                "type": "eq",
                "fun": lambda theta: residual(theta * unit),
                "jac": lambda theta: jacobian(theta * unit) * unit,
            },
            method="SLSQP",
            # Near the boundary of the workspace, modes are closer than the default tells apart.
            options={"maxiter": 200, "ftol": 1e-14 if scaled else 1e-6},
        )
        mode = result.x * unit
        if np.linalg.norm(residual(mode)) > 1e-3 or np.abs(mode[arm.rails :]).max() > np.pi:
            continue
        if all(np.abs(mode - other).max() > 0.05 for _, other in found):
            found.append((float(result.fun), mode))
    found.sort(key=lambda pair: pair[0])
    # exp(-12): what is less likely than that does not show among any number of samples.
    kept = [mode for cost, mode in found if cost < found[0][0] + 12]
    return torch.tensor(np.array(kept).reshape(-1, arm.dof))


def _rows(chunks: list[Tensor], picked: Tensor) -> Tensor:
    """Rows `picked` of chunks that follow each other, without a copy of them all."""
    rows = torch.empty(len(picked), chunks[0].shape[1], dtype=chunks[0].dtype)
    start = 0
    for chunk in chunks:
        here = (picked >= start) & (picked < start + len(chunk))
        rows[here] = chunk[picked[here] - start]
        start += len(chunk)
    return rows


def _inclusion(log_weights: Tensor, n: int) -> Tensor:
    """Inclusion probabilities of a draw of `n` points proportional to their weights."""
    return torch.exp(log_weights - torch.logsumexp(log_weights, 0)) * n


def _systematic(inclusion: Tensor, n: int, generator: Generator | None) -> Tensor:
    """Indices of `n` points with the given inclusion probabilities (sum n, none above 1)."""
    cumulative = inclusion.cumsum(0)
    cumulative *= n / cumulative[-1]
    start = torch.rand(1, generator=generator, dtype=torch.float64)
    ticks = torch.arange(n, dtype=torch.float64) + start
    return torch.searchsorted(cumulative, ticks).clamp_max(len(inclusion) - 1)
