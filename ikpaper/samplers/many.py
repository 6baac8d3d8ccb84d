"""A few exact samples for each of many targets: proposals for all of them at once."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from ikpaper.arm import PlanarArm
from ikpaper.samplers.prior import Prior

#: Proposals of the first round, for each effective sample that is wanted. A further one draws as
#: many as all before it.
_OPENING = 1.2
#: Joint angles of the proposals that are computed at once, so that they stay near the cache.
_CHUNK = 1 << 18
#: Most proposals that a target may be expected to take: so many, which on the paper's arms take as
#: long as a search for modes, and so many for each effective sample that is wanted. Others are left
#: to a sampler that looks for modes.
_PATIENCE, _EACH = 1 << 16, 20.0
#: Weights below this are too near the smallest numbers to be compared.
_TINY = 1e-280


@dataclass(frozen=True)
class Closed:
    """Proposals of t targets, so many for each pair (0, k) of joints, and both ways to close them.

    Attributes:
        free: Angles of the joints, 0 for the two that are closed, shape (dof, pairs, t, count).
        first: Angles of joint 0, shape (2, pairs, t, count).
        second: Angles of joint k, of the same shape.
        weight: Importance weights, of the same shape; 0 where a proposal does not close.
    """

    free: Tensor
    first: Tensor
    second: Tensor
    weight: Tensor

    def only(self, targets: Tensor | slice) -> Closed:
        """Those of some of the targets."""
        return Closed(*(part[:, :, targets] for part in vars(self).values()))

    @property
    def proposals(self) -> int:
        """Number of proposals a target; each has two points."""
        return self.weight[0, :, 0].numel()

    def by_target(self) -> Tensor:
        """The weights of each target, shape (t, 2 proposals)."""
        return self.weight.permute(2, 0, 1, 3).flatten(1)

    def theta(self, target: Tensor, column: Tensor) -> Tensor:
        """Joint angles of points, shape (m, dof).

        Args:
            target: Which target each belongs to, shape (m,).
            column: Which of its points, in the order of `by_target`, shape (m,).
        """
        _, pairs, _, count = self.weight.shape
        side, pair, proposal = column // (pairs * count), column // count % pairs, column % count
        theta = self.free[:, pair, target, proposal]
        theta[0] = self.first[side, pair, target, proposal]
        theta[pair + 1, torch.arange(len(pair))] = self.second[side, pair, target, proposal]
        return theta.T


class ManyTargets:
    """The stage `prior` of `ExactPosterior`, for many targets of an arm on a fixed base.

    Each pair of the first joint and another one closes as many proposals, which leaves the weights
    of the mixture as they are (deterministic mixture: Owen and Zhou, 2000). A proposal that does
    not close has weight 0: so all targets have arrays of one size.

    Args:
        arm: The arm, without a rail.
        prior: The prior, which is the proposal too.
        wanted: Effective sample size behind the samples of each target.
        most: A target that is expected to take as many proposals is given up after a round.
    """

    #: Of the samples that it draws.
    version = 2

    def __init__(
        self, arm: PlanarArm, prior: Prior, wanted: float, most: float = torch.inf
    ) -> None:
        self._arm, self._sigma, self._wanted = arm, prior.sigma, wanted
        self._pairs, self._at_once = arm.dof - 1, _CHUNK // arm.dof
        self._most = min(most, _PATIENCE + _EACH * wanted)

    def sample(self, tcp: Tensor, n: int, streams: Sequence[Generator]) -> Tensor:
        """Samples (B, n, dof) for targets (B, 2); NaN for those that take too long this way.

        Args:
            tcp: Targets inside the workspace, float64.
            n: Samples a target.
            streams: Sources of randomness, one a target.
        """
        served = tcp.new_full((len(tcp), n, self._arm.dof), torch.nan)
        uniform = torch.stack([torch.rand(n + 1, generator=s, dtype=tcp.dtype) for s in streams])
        # Targets with their proposals of earlier rounds, and how many the next one draws for each
        # pair. The last are served first, so that few points are kept at a time.
        pending: list[tuple[Tensor, tuple[Closed, ...], int]] = []
        pending.append((torch.arange(len(tcp)), (), self._count(_OPENING * self._wanted)))
        while pending:
            targets, rounds, count = pending.pop()
            size = max(1, self._at_once // (count * self._pairs))
            if len(targets) > size:
                after = tuple(each.only(slice(size, None)) for each in rounds)
                pending.append((targets[size:], after, count))
                targets, rounds = targets[:size], tuple(each.only(slice(size)) for each in rounds)
            drawn = self.propose(tcp[targets], count, [streams[i] for i in targets.tolist()])
            rounds = (*rounds, drawn)
            weight = torch.cat([each.by_target() for each in rounds], dim=1)
            ess, usable = _effective(weight, n)
            enough = usable & (ess >= self._wanted)
            done = enough.nonzero()[:, 0]
            picked = _systematic(weight[done], n, uniform[targets[done]])
            served[targets[done]] = _points(rounds, done, picked)
            spent = sum(each.proposals for each in rounds)
            # What a target has to expect depends on its own points alone.
            expected = (spent * self._wanted / ess).clamp_min(spent)
            left = (~enough & (expected < self._most)).nonzero()[:, 0]
            if len(left):
                if len(left) < len(targets):
                    rounds = tuple(each.only(left) for each in rounds)
                pending.append((targets[left], rounds, self._count(spent)))
        return served

    def _count(self, proposals: float) -> int:
        """So many proposals for each pair, at most as many as are computed at once."""
        return math.ceil(min(proposals, self._at_once) / self._pairs)

    def propose(self, tcp: Tensor, count: int, streams: Sequence[Generator]) -> Closed:
        """`count` proposals a pair and target, closed by joints 0 and k as `ExactPosterior` says.

        Sines and cosines are taken once: all other turns are products.
        """
        pairs, sigma = self._pairs, self._sigma[:, None, None, None]
        shape = (pairs - 1, pairs, count)
        noise = torch.stack([torch.randn(*shape, generator=s, dtype=tcp.dtype) for s in streams], 2)

        # All joints, with joints 0 and k at zero.
        theta = tcp.new_zeros(self._arm.dof, *noise.shape[1:])
        for pair in range(pairs):
            theta[1 : pair + 1, pair] = noise[:pair, pair]
            theta[pair + 2 :, pair] = noise[pair:, pair]
        inverse = theta.square().mul_(0.5).exp_().mul_(sigma)
        theta *= sigma
        inside = (theta.abs() <= torch.pi).all(dim=0)

        phi = theta.cumsum(dim=0)
        lengths = torch.tensor(self._arm.lengths, dtype=tcp.dtype)[:, None, None, None]
        x, y = (phi.cos() * lengths).cumsum(dim=0), (phi.sin() * lengths).cumsum(dim=0)

        # The law of cosines at joint k, between a before it and b behind it.
        every = torch.arange(pairs)
        ax, ay = x[every, every], y[every, every]
        bx, by = x[-1] - ax, y[-1] - ay
        a2, b2 = ax.square() + ay.square(), bx.square() + by.square()
        ab = (a2 * b2).sqrt()
        goal = tcp.T[..., None]
        cosine = (goal.square().sum(dim=0) - a2 - b2) / (2 * ab)
        closes = inside & (cosine.abs() <= 1)
        sine = (1 - cosine.square()).clamp_min(0).sqrt()
        sine = torch.stack([sine, -sine])
        c, s = (ax * bx + ay * by) / ab, (ay * bx - ax * by) / ab
        cos, sin = c * cosine - s * sine, s * cosine + c * sine
        tip_x, tip_y = ax + cos * bx - sin * by, ay + sin * bx + cos * by
        second = torch.atan2(sin, cos)
        gx, gy = goal
        first = torch.atan2(gy * tip_x - gx * tip_y, gx * tip_x + gy * tip_y)

        # Minors of the columns of joints 0 and j, which a turn about the base leaves as they are:
        # the cross products of where joint j is and the tip.
        own = ax * tip_y - ay * tip_x
        along, across = cos * tip_y - sin * tip_x, sin * tip_y + cos * tip_x
        turned = own - ax * along + ay * across
        scale = self._sigma[1:, None, None]
        total = own.abs() * (0.5 * (second / scale).square()).exp_() * scale
        for p in range(pairs):
            before = x[:p, p, None] * tip_y[:, p] - y[:p, p, None] * tip_x[:, p]
            behind = x[p + 1 : -1, p, None] * along[:, p] - y[p + 1 : -1, p, None] * across[:, p]
            behind += turned[:, p]
            total[:, p] += (before.abs_() * inverse[1 : p + 1, p, None]).sum(dim=0)
            total[:, p] += (behind.abs_() * inverse[p + 2 :, p, None]).sum(dim=0)
        # Without logs: what overflows has no weight.
        density = (-0.5 * (first / self._sigma[0]).square()).exp_() / total
        return Closed(theta, first, second, torch.where(closes, density, 0.0))


def _effective(weight: Tensor, n: int) -> tuple[Tensor, Tensor]:
    """Effective sample size of the points of each target, and whether `n` can be taken of them.

    Args:
        weight: Weights of their points, shape (t, m).
        n: Points to take of each.
    """
    largest = weight.amax(dim=1, keepdim=True)
    # In units of the largest, or squares would vanish far in the tail of the prior.
    share = weight / largest
    total = share.sum(dim=1)
    # Where the largest is more than 1/n of all, it would have to be taken more than once.
    usable = (total >= n) & (largest[:, 0] > _TINY)
    return total.square() / share.square().sum(dim=1), usable


def _systematic(weight: Tensor, n: int, uniform: Tensor) -> Tensor:
    """Points by systematic sampling, each as probable as its weight, shape (t, n).

    Args:
        weight: Weights of the points, shape (t, m), none more than 1/n of all.
        n: Points to take of each target.
        uniform: Uniform numbers, shape (t, 1 + n): where the sample starts, and its order.
    """
    # In an order that has nothing to do with how the points were made, or the picks would be
    # spread evenly over pairs and elbows. The order is the same for all, whatever the batch.
    order = torch.randperm(weight.shape[1], generator=Generator().manual_seed(0))
    weight = weight[:, order]
    cumulative = weight.cumsum(dim=1)
    ticks = (torch.arange(n) + uniform[:, :1]) * cumulative[:, -1:] / n
    picked = torch.searchsorted(cumulative, ticks)
    # Rounding is not to take the last tick past what has a weight.
    last = (weight > 0).long().cumsum(dim=1).argmax(dim=1, keepdim=True)
    return order[torch.minimum(picked, last).gather(1, uniform[:, 1:].argsort(dim=1))]


def _points(rounds: Sequence[Closed], target: Tensor, column: Tensor) -> Tensor:
    """Joint angles (t, n, dof) of points.

    Args:
        rounds: Proposals, one round after the other.
        target: Which of their targets, shape (t,).
        column: Which points of each, over all rounds, shape (t, n).
    """
    theta = rounds[0].free.new_empty(*column.shape, len(rounds[0].free))
    for each in rounds:
        here = (column >= 0) & (column < 2 * each.proposals)
        theta[here] = each.theta(target[:, None].expand_as(column)[here], column[here])
        column = column - 2 * each.proposals
    return theta
