"""A few exact samples for each of many targets: proposals for all of them at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from ikpaper.arm import PlanarArm
from ikpaper.samplers.prior import Prior

__all__ = ["ManyTargets"]

#: Proposals of the first round for each effective sample that is wanted. Each round draws twice as
#: many as the one before.
_OPENING = 1.5
#: Proposals after which no further round is drawn: the target is left to a sampler that looks for
#: its modes.
_PATIENCE = 1 << 13
#: Proposals that are computed at once, so that they stay in the cache.
_CHUNK = 1 << 15
#: Weights below this are too near the smallest numbers to be compared.
_TINY = 1e-280


class ManyTargets:
    """The stage `prior` of `ExactPosterior`, for many targets of an arm on a fixed base.

    Each pair of the first joint and another one closes as many proposals, which leaves the weights
    of the mixture as they are (deterministic mixture: Owen and Zhou, 2000). A proposal that does
    not close has weight 0: so all targets have arrays of one size.

    Args:
        arm: The arm, without a rail.
        prior: The prior, which is the proposal too.
        wanted: Effective sample size behind the samples of each target.
        most: Proposals after which a target is given up, at the end of a round.
    """

    def __init__(self, arm: PlanarArm, prior: Prior, wanted: float, most: int = _PATIENCE) -> None:
        self._arm, self._sigma, self._wanted = arm, prior.sigma, wanted
        self._pairs, self._most = arm.dof - 1, min(most, _PATIENCE)

    def sample(self, tcp: Tensor, n: int, streams: Sequence[Generator]) -> Tensor:
        """Samples (B, n, dof) for targets (B, 2); NaN for those that take too long this way.

        Args:
            tcp: Targets inside the workspace, float64.
            n: Samples a target.
            streams: Sources of randomness, one a target.
        """
        served = tcp.new_full((len(tcp), n, self._arm.dof), torch.nan)
        uniform = torch.stack([torch.rand(n + 1, generator=s, dtype=tcp.dtype) for s in streams])
        empty = tcp.new_empty(self._arm.dof, len(tcp), 0), tcp.new_empty(len(tcp), 0)
        pending = _Pool(torch.arange(len(tcp)), *empty)
        count, spent = -(-int(_OPENING * self._wanted) // self._pairs), 0
        while len(pending.target) and spent < self._most:
            left = []
            # Few at a time, so that their points stay in the cache.
            for pool in pending.split(max(1, _CHUNK // (count * self._pairs))):
                chosen = [streams[i] for i in pool.target.tolist()]
                pool = pool.extended(*self.propose(tcp[pool.target], count, chosen))
                done = pool.serves(n, self._wanted)
                theta = pool.only(done).pick(n, uniform[pool.target[done]])
                served[pool.target[done]] = theta
                left.append(pool.only(~done))
            pending, spent, count = _Pool.of(left), spent + count * self._pairs, 2 * count
        return served

    def propose(
        self, tcp: Tensor, count: int, streams: Sequence[Generator]
    ) -> tuple[Tensor, Tensor]:
        """Points (dof, B, m) and weights (B, m) of `count` proposals a pair and target."""
        dof = self._arm.dof
        shape = (self._pairs, dof - 2, count)
        noise = torch.stack([torch.randn(*shape, generator=s, dtype=tcp.dtype) for s in streams])
        goal = tcp.T[..., None]
        theta = tcp.new_empty(dof, len(tcp), self._pairs, 2, count)
        weight = tcp.new_empty(len(tcp), self._pairs, 2, count)
        for pair, free in enumerate(noise.permute(1, 2, 0, 3).contiguous()):
            self._close(pair + 1, free, goal, theta[:, :, pair], weight[:, pair])
        return theta.flatten(2), weight.flatten(1)

    def _close(self, k: int, noise: Tensor, goal: Tensor, theta: Tensor, weight: Tensor) -> None:
        """Close proposals by joints 0 and k, as `ExactPosterior` says.

        Sines and cosines are taken once: all other turns are products.

        Args:
            k: The joint that is closed beside the first.
            noise: Standard normal numbers for the other joints, shape (dof - 2, B, count).
            goal: Targets, shape (2, B, 1).
            theta: Where the points go, shape (dof, B, 2, count).
            weight: Where their weights go, shape (B, 2, count).
        """
        sigma = self._sigma[:, None, None]
        others = [j for j in range(1, self._arm.dof) if j != k]
        free = noise * sigma[others]
        inside = (free.abs() <= torch.pi).all(dim=0)

        # Where the links end with joints 0 and k at zero: link k points as the one before it.
        phi = free.cumsum(dim=0)
        none = torch.zeros_like(phi[:1])
        phi = torch.cat([none, phi[: k - 1], phi[k - 2 : k - 1] if k > 1 else none, phi[k - 1 :]])
        lengths = torch.tensor(self._arm.lengths, dtype=free.dtype)[:, None, None]
        x, y = (phi.cos() * lengths).cumsum(dim=0), (phi.sin() * lengths).cumsum(dim=0)

        # The law of cosines at joint k, between a before it and b behind it.
        ax, ay = x[k - 1], y[k - 1]
        bx, by = x[-1] - ax, y[-1] - ay
        a2, b2 = ax.square() + ay.square(), bx.square() + by.square()
        ab = (a2 * b2).sqrt()
        cosine = (goal.square().sum(dim=0) - a2 - b2) / (2 * ab)
        closes = inside & (cosine.abs() <= 1)
        sine = (1 - cosine.square()).clamp_min(0).sqrt()
        c, s = (ax * bx + ay * by) / ab, (ay * bx - ax * by) / ab

        inverse = (0.5 * (free / sigma[others]).square()).exp() * sigma[others]
        theta[others] = free[:, :, None]
        for i, side in enumerate((sine, -sine)):
            cos, sin = c * cosine - s * side, s * cosine + c * side
            tip_x, tip_y = ax + cos * bx - sin * by, ay + sin * bx + cos * by
            theta_k = torch.atan2(sin, cos)
            gx, gy = goal
            theta_0 = torch.atan2(gy * tip_x - gx * tip_y, gx * tip_x + gy * tip_y)
            # Minors of the columns of joints 0 and j, which a turn about the base leaves as they
            # are: the cross products of where joint j is and the tip.
            until = (x[:k] * tip_y - y[:k] * tip_x).abs()
            beyond = (
                (x[k:-1] - ax) * (cos * tip_y - sin * tip_x)
                - (y[k:-1] - ay) * (sin * tip_y + cos * tip_x)
                + (ax * tip_y - ay * tip_x)
            ).abs()
            own = (0.5 * (theta_k / sigma[k]).square()).exp() * sigma[k] * until[-1]
            rest = (until[:-1] * inverse[: k - 1]).sum(dim=0) + (beyond * inverse[k - 1 :]).sum(
                dim=0
            )
            theta[0, :, i], theta[k, :, i] = theta_0, theta_k
            # Without logs: what overflows has no weight.
            density = (-0.5 * (theta_0 / sigma[0]).square()).exp() / (own + rest)
            weight[:, i] = torch.where(closes, density, 0.0)


@dataclass(frozen=True)
class _Pool:
    """Weighted points of some targets.

    Attributes:
        target: Numbers of the targets, shape (t,).
        theta: Points, shape (dof, t, m).
        weight: Their weights, shape (t, m).
    """

    target: Tensor
    theta: Tensor
    weight: Tensor

    @classmethod
    def of(cls, pools: Sequence[_Pool]) -> _Pool:
        return cls(
            torch.cat([pool.target for pool in pools]),
            torch.cat([pool.theta for pool in pools], dim=1),
            torch.cat([pool.weight for pool in pools]),
        )

    def split(self, size: int) -> list[_Pool]:
        """Pools of at most `size` targets each."""
        parts = self.target.split(size), self.theta.split(size, dim=1), self.weight.split(size)
        return [_Pool(*part) for part in zip(*parts, strict=True)]

    def only(self, chosen: Tensor) -> _Pool:
        """Those of the targets that a mask (t,) chooses."""
        return _Pool(self.target[chosen], self.theta[:, chosen], self.weight[chosen])

    def extended(self, theta: Tensor, weight: Tensor) -> _Pool:
        """With more points of each target."""
        if not self.weight.shape[1]:
            return _Pool(self.target, theta, weight)
        more = torch.cat([self.theta, theta], dim=-1), torch.cat([self.weight, weight], dim=-1)
        return _Pool(self.target, *more)

    def serves(self, n: int, wanted: float) -> Tensor:
        """Which targets have the effective sample size that is wanted, as a mask (t,)."""
        largest = self.weight.amax(dim=1, keepdim=True)
        # In units of the largest, or squares would vanish far in the tail of the prior.
        share = self.weight / largest
        total = share.sum(dim=1)
        enough = total.square() >= wanted * share.square().sum(dim=1)
        # Where the largest is more than 1/n of all, it would have to be taken more than once.
        return enough & (total >= n) & (largest[:, 0] > _TINY)

    def pick(self, n: int, uniform: Tensor) -> Tensor:
        """Points by systematic sampling, each as probable as its weight, shape (t, n, dof).

        Args:
            n: Points to take of each target; none may have a share above 1/n.
            uniform: Uniform numbers, shape (t, 1 + n): where the sample starts, and its order.
        """
        cumulative = self.weight.cumsum(dim=1)
        ticks = (torch.arange(n) + uniform[:, :1]) * cumulative[:, -1:] / n
        picked = torch.searchsorted(cumulative, ticks)
        # Rounding is not to take the last tick past what has a weight.
        last = (self.weight > 0).long().cumsum(dim=1).argmax(dim=1, keepdim=True)
        picked = torch.minimum(picked, last).gather(1, uniform[:, 1:].argsort(dim=1))
        return self.theta.gather(2, picked.expand(len(self.theta), -1, -1)).permute(1, 2, 0)
