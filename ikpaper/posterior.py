"""Ground truth: samples of p(theta | tcp), exact or by rejection; the prior as a baseline."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy.optimize import minimize
from scipy.spatial import cKDTree
from torch import Generator, Tensor

from ikpaper.arm import PlanarArm, wrap
from ikpaper.metrics import effective_sample_size
from ikpaper.sampler import (
    PosteriorSampler,
    Sigma,
    check_count,
    check_positive,
    check_sigma,
)

__all__ = ["ExactDraw", "ExactPosterior", "Prior", "RejectionPosterior"]


class Prior(PosteriorSampler):
    """Independent joint angles theta_j ~ N(0, sigma_j^2).

    As a sampler it ignores the target: the baseline that every model must beat.

    Args:
        arm: The arm.
        sigma: Standard deviation in radians (of a rail, in units of length): one value, or one a
            joint.

    Raises:
        ValueError: If a sigma is not finite and positive, or their number is not 1 or dof.
    """

    def __init__(self, arm: PlanarArm, sigma: Sigma = 0.2) -> None:
        self.arm = arm
        self.sigma = torch.tensor(check_sigma(sigma, arm.dof), dtype=torch.float64)

    def draw(self, n: int, generator: Generator | None = None) -> Tensor:
        """`n` joint angle vectors, shape (n, dof), float64, without reference to any target."""
        return torch.randn(n, self.arm.dof, generator=generator, dtype=torch.float64) * self.sigma

    def log_density(self, theta: Tensor) -> Tensor:
        """Log density of each joint angle, shape of `theta` (..., dof)."""
        scaled = theta / self.sigma
        return -0.5 * scaled.square() - self.sigma.log() - 0.5 * math.log(2 * math.pi)

    def _sample(self, tcp: Tensor, n: int, generator: Generator | None) -> Tensor:
        return self.draw(len(tcp) * n, generator).reshape(len(tcp), n, self.arm.dof)


@dataclass(frozen=True)
class ExactDraw:
    """Samples of one exact posterior, with what tells how good they are.

    Attributes:
        theta: Joint angles, shape (n, dof), all distinct, in random order.
        ess: Effective sample size of the weighted pool they were taken from.
        pool: Number of weighted points in that pool.
        proposals: Number of proposals drawn.
    """

    theta: Tensor
    ess: float
    pool: int
    proposals: int


@dataclass(frozen=True)
class _Component:
    """Proposal N(mean, (scale sigma)^2) for the joints that are not closed."""

    mean: Tensor
    scale: float = 1.0


class ExactPosterior(PosteriorSampler):
    """Samples of the posterior of the noise-free forward map, to rounding error.

    The posterior lives on the manifold {theta : f(theta) = tcp} and has there, by the co-area
    formula, the density p(theta) / sqrt(det(J J^T)). A proposal draws all joints but the first
    and joint k from q = N(mu, (s sigma)^2) and closes these two onto the target: the law of cosines
    gives theta_k up to the sign of the elbow, a rotation gives theta_0. (On a rail, theta_k takes
    the TCP to the target's distance from it, and theta_0 along it.) Mixed over k = 1 ... dof - 1
    and over q, a point has the importance weight (balance heuristic)::

        w(theta) = p(theta) / sum_q sum_k [ |m_0k(theta)| q(theta) / (q_0(theta_0) q_k(theta_k)) ],

    with m_0k the minor of columns 0 and k of the Jacobian. To begin with q is the prior alone;
    for targets in its tail, proposals around the local maxima of p on the manifold join it
    (s = 1), and near full reach, where the manifold shrinks, narrow ones (s < 1). From the
    weighted pool, `n` points are taken without replacement with inclusion probabilities exactly
    proportional to their weights (systematic sampling in random order): they are distinct.

    Joint angles are in (-pi, pi]; the prior is truncated there, which matters only for sigma
    near 1 and above.

    Args:
        arm: The arm, with at least 3 joints (with 2 the posterior is two points, not a density).
        sigma: Standard deviation of the prior; see `Prior`.
        oversampling: Effective sample size of the pool, in multiples of `n`.
        max_proposals: Proposals after which a target is given up.

    Raises:
        ValueError: If an argument is out of its range.
    """

    _CHUNK = 1 << 16
    # Effective samples a proposal below which the prior alone is too poor a proposal.
    _POOR = 0.05
    _SCALES = (1.0, 0.25, 0.06, 0.015)

    def __init__(
        self,
        arm: PlanarArm,
        sigma: Sigma = 0.2,
        *,
        oversampling: float = 10.0,
        max_proposals: int = 20_000_000,
    ) -> None:
        if arm.dof < 3:
            raise ValueError(
                f"ExactPosterior: expected an arm with at least 3 joints, got {arm.dof}"
            )
        self.arm = arm
        self.prior = Prior(arm, sigma)
        self.oversampling = check_positive("oversampling", oversampling)
        self.max_proposals = check_count("max_proposals", max_proposals)

    def draw(
        self, tcp: Tensor | Sequence[float], n: int, *, generator: Generator | None = None
    ) -> ExactDraw:
        """`n` samples for a single target, with the effective sample size behind them.

        Args:
            tcp: Target, shape (2,).
            n: Number of samples.
            generator: Source of randomness, on the CPU.

        Raises:
            ValueError: If the target is malformed, out of reach, or the base itself, onto which
                no joint can be closed by turning the first.
            RuntimeError: If `max_proposals` do not give the effective sample size asked for;
                the message names the one reached.
        """
        n = check_count("n", n)
        target = self.arm.check_targets(tcp)
        if target.ndim != 1:
            raise ValueError(f"tcp: expected shape (2,), got {tuple(target.shape)}")
        target = target.to("cpu", torch.float64)
        if not self.arm.rails and float(target.norm()) < 1e-9 * self.arm.reach:
            raise ValueError(f"tcp: expected a target away from the base, got {target.tolist()}")
        components = [_Component(torch.zeros(self.arm.dof, dtype=torch.float64))]
        thetas: list[Tensor] = []
        log_weights: list[Tensor] = []
        proposals, since, ess, wanted = 0, 0, 0.0, self.oversampling * n
        chunk = min(self._CHUNK, max(4096, 4 * int(wanted)))
        while proposals < self.max_proposals:
            theta, log_weight = self._propose(target, components, chunk, generator)
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
                return ExactDraw(torch.cat(thetas)[picked], ess, len(pooled), proposals)
            missing = (wanted / ess - 1) * since if ess else math.inf
            if len(components) == 1 and ess < self._POOR * since:
                # The prior hardly ever comes near this target: start again, with its modes.
                scales = self._SCALES if len(pooled) < 0.02 * since else self._SCALES[:1]
                modes = self._modes(target)
                components += [_Component(mode, scale) for mode in modes for scale in scales]
                thetas, log_weights, since = [], [], 0
                chunk = self._CHUNK // 4
            else:
                chunk = int(min(max(1.2 * missing, 4096), 4 * self._CHUNK))
        raise RuntimeError(
            f"ExactPosterior: effective sample size {ess:.1f} after {proposals} proposals for tcp "
            f"{target.tolist()}, expected {wanted:.0f} for n={n}; the target is far in the tail of "
            "the prior: raise max_proposals, or ask for fewer samples"
        )

    def closures(self, tcp: Tensor | Sequence[float], k: int, *, seed: int = 0) -> Tensor:
        """Both ways in which one random proposal closes on a target, shape (2, dof): a picture.

        Args:
            tcp: Target, shape (2,).
            k: The joint closed beside the first, from 1 to dof - 1 (the first is 0).
            seed: Seed of the proposal.
        """
        if not 1 <= k < self.arm.dof:
            raise ValueError(f"k: expected a joint from 1 to {self.arm.dof - 1}, got {k}")
        target = self.arm.check_targets(tcp).to("cpu", torch.float64)
        generator = torch.Generator().manual_seed(seed)
        for _ in range(1000):
            pair = self._close(target, self.prior.draw(1, generator), torch.tensor([[k]]))
            if len(pair):
                return pair
        raise RuntimeError(f"no proposal closed on tcp {target.tolist()} through joint {k}")

    def _sample(self, tcp: Tensor, n: int, generator: Generator | None) -> Tensor:
        return torch.stack([self.draw(t, n, generator=generator).theta for t in tcp])

    def _propose(
        self, tcp: Tensor, components: list[_Component], count: int, generator: Generator | None
    ) -> tuple[Tensor, Tensor]:
        """Points on the manifold (m, dof) and their log weights (m,); m is random."""
        theta = self.prior.draw(count, generator)
        if len(components) > 1:
            which = torch.randint(len(components), (count,), generator=generator)
            theta *= torch.tensor([c.scale for c in components], dtype=torch.float64)[which, None]
            theta += torch.stack([c.mean for c in components])[which]
        k = torch.randint(1, self.arm.dof, (count, 1), generator=generator)
        points = self._close(tcp, theta, k)
        points = points[(points[:, self.arm.rails :].abs() <= torch.pi).all(dim=1)]
        return points, self._log_weight(points, tcp, components)

    def _close(self, tcp: Tensor, theta: Tensor, k: Tensor) -> Tensor:
        """`theta` (count, dof) with joints 0 and k (count, 1) turned onto the target.

        Both elbows of the rows that can be closed, first all of one, then all of the other.
        """
        dof = self.arm.dof
        theta = theta.scatter(1, k, 0.0)
        theta[:, 0] = 0.0

        # Chain before (a) and from (b) joint k on, with theta_0 = theta_k = 0.
        phi = theta.cumsum(dim=1)
        lengths = torch.tensor(self.arm.lengths, dtype=torch.float64)
        before = (torch.arange(dof) < k).to(torch.float64) * lengths
        cos, sin = phi.cos(), phi.sin()
        a = torch.stack([(cos * before).sum(1), (sin * before).sum(1)])
        b = torch.stack([cos @ lengths, sin @ lengths]) - a
        turn, cos_gamma = self.arm.elbow(a, b, tcp)

        closes = cos_gamma.abs() <= 1
        theta, k, a, b = theta[closes], k[closes], a[:, closes], b[:, closes]
        turn, gamma = turn[closes], torch.acos(cos_gamma[closes])
        both = []
        for branch in (gamma, -gamma):
            theta_k = wrap(turn + branch)
            c, s = theta_k.cos(), theta_k.sin()
            x, y = a[0] + c * b[0] - s * b[1], a[1] + s * b[0] + c * b[1]
            closed = theta.scatter(1, k, theta_k[:, None])
            closed[:, 0] = self.arm.aim(torch.stack([x, y]), tcp)
            closed[:, :1] = self.arm.wrapped(closed[:, :1])
            both.append(closed)
        return torch.cat(both)

    def _log_weight(self, theta: Tensor, tcp: Tensor, components: list[_Component]) -> Tensor:
        log_minor = self.arm.minors(theta, tcp).abs().log()
        log_prior = self.prior.log_density(theta).sum(1)
        terms = []
        for component in components:
            scaled = (theta - component.mean) / component.scale
            log_q = self.prior.log_density(scaled) - math.log(component.scale)
            closing = log_minor - log_q[:, :1] - log_q[:, 1:]
            terms.append(log_q.sum(1) + torch.logsumexp(closing, dim=1))
        return log_prior - torch.logsumexp(torch.stack(terms), dim=0)

    def _modes(self, tcp: Tensor) -> Tensor:
        """Local maxima of the prior on the manifold, shape (modes, dof), best first.

        Searched from curled-up configurations and a few fixed random ones, which is enough for
        a proposal: a mode that is missed costs samples, never correctness.
        """
        sigma, arm = self.prior.sigma.numpy(), self.arm
        residual, jacobian = arm.residual(tcp.numpy())
        rng = np.random.default_rng(0)
        starts = [*rng.normal(0, 0.8, (6, arm.dof))]
        starts += [np.full(arm.dof, curl / arm.dof) for curl in (-4.0, -2.0, 2.0, 4.0)]
        found: list[tuple[float, np.ndarray]] = []
        for start in starts:
            start[0] += float(arm.aim(arm.forward(start), tcp))
            result = minimize(
                lambda theta: 0.5 * np.sum((theta / sigma) ** 2),
                start,
                jac=lambda theta: theta / sigma**2,
                constraints={
                    "type": "eq",
                    "fun": residual,
                    "jac": jacobian,
                },
                method="SLSQP",
                options={"maxiter": 200},
            )
            mode = result.x
            if np.linalg.norm(residual(mode)) > 1e-3 or np.abs(mode[arm.rails :]).max() > np.pi:
                continue
            if all(np.abs(mode - other).max() > 0.05 for _, other in found):
                found.append((float(result.fun), mode))
        found.sort(key=lambda pair: pair[0])
        # exp(-12): what is less likely than that does not show among any number of samples.
        kept = [mode for cost, mode in found if cost < found[0][0] + 12]
        return torch.tensor(np.array(kept).reshape(-1, arm.dof))


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


class RejectionPosterior(PosteriorSampler):
    """The paper's ground truth: prior samples whose TCP is within `eps` of the target.

    It samples the posterior of a *blurred* target, exact only as eps goes to zero.

    Args:
        arm: The arm.
        sigma: Standard deviation of the prior; see `Prior`.
        eps: Tolerance, in units of length.
        max_proposals: Prior samples after which the sampler gives up.

    Raises:
        ValueError: If sigma or eps is not finite and positive.
    """

    _CHUNK = 1 << 18

    def __init__(
        self,
        arm: PlanarArm,
        sigma: Sigma = 0.2,
        eps: float = 0.05,
        *,
        max_proposals: int = 200_000_000,
    ) -> None:
        self.arm = arm
        self.prior = Prior(arm, sigma)
        self.eps = check_positive("eps", eps)
        self.max_proposals = check_count("max_proposals", max_proposals)

    def _sample(self, tcp: Tensor, n: int, generator: Generator | None) -> Tensor:
        targets = tcp.detach().to("cpu", torch.float64).numpy()
        kept: list[list[Tensor]] = [[] for _ in targets]
        counts = np.zeros(len(targets), dtype=int)
        proposals = 0
        while counts.min() < n:
            if proposals >= self.max_proposals:
                worst = int(counts.argmin())
                raise RuntimeError(
                    f"RejectionPosterior: {counts[worst]} of {n} samples accepted after "
                    f"{proposals} proposals for tcp {targets[worst].tolist()} at eps={self.eps}; "
                    "raise eps or max_proposals, or use ExactPosterior"
                )
            theta = self.prior.draw(self._CHUNK, generator)
            proposals += self._CHUNK
            points = self.arm.forward(theta).numpy()
            open_targets = np.flatnonzero(counts < n)
            # Most proposals are near no open target: the box keeps the tree small.
            low = targets[open_targets].min(axis=0) - self.eps
            high = targets[open_targets].max(axis=0) + self.eps
            near = np.flatnonzero(((points >= low) & (points <= high)).all(axis=1))
            if not len(near):
                continue
            hits = cKDTree(points[near]).query_ball_point(
                targets[open_targets], self.eps, return_sorted=True
            )
            for target, hit in zip(open_targets, hits, strict=True):
                if hit:
                    kept[target].append(theta[near[hit]])
                    counts[target] += len(hit)
        return torch.stack([torch.cat(samples)[:n] for samples in kept])
