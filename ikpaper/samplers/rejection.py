"""The paper's ground truth: rejection sampling around the target."""

from __future__ import annotations

import numpy as np
import torch
from scipy.spatial import cKDTree
from torch import Generator, Tensor

from ikpaper.arm import PlanarArm
from ikpaper.checks import Sigma, check_count, check_positive
from ikpaper.sampler import PosteriorSampler
from ikpaper.samplers.prior import Prior


class RejectionPosterior(PosteriorSampler):
    """The paper's ground truth: prior samples whose TCP is within `eps` of the target.

    It samples the posterior of a *blurred* target, exact only as eps goes to zero. Proposals are
    drawn in float32, which takes a fourth of the time; whether one is within `eps` is decided in
    float64.

    Equal targets of a batch get samples of their own. Targets nearer to each other than 2 eps may
    share some.

    Args:
        arm: The arm.
        sigma: Standard deviation of the prior; see `Prior`.
        eps: Tolerance, in units of length.
        max_proposals: Prior samples after which the sampler gives up.

    Raises:
        ValueError: If sigma or eps is not finite and positive.
    """

    name = "rejection"
    label = "rejection sampling"
    colour = "#56b4e9"
    marker = "v"
    version = 2

    _CHUNK = 1 << 18

    def __init__(
        self,
        arm: PlanarArm,
        sigma: Sigma | None = None,
        eps: float = 0.05,
        *,
        max_proposals: int = 200_000_000,
    ) -> None:
        self.arm = arm
        self.prior = Prior(arm, sigma)
        self.eps = check_positive("eps", eps)
        self.max_proposals = check_count("max_proposals", max_proposals)

    def _sample(self, tcp: Tensor, n: int, generator: Generator | None) -> Tensor:
        targets, place, copies = np.unique(
            tcp.to("cpu", torch.float64).numpy(), axis=0, return_inverse=True, return_counts=True
        )
        kept: list[list[Tensor]] = [[] for _ in targets]
        counts, wanted = np.zeros(len(targets), dtype=int), n * copies
        proposals = 0
        sigma = self.prior.sigma.float()
        # What float32 may misplace a point by, and more.
        margin = self.eps + 1e-5 * self.arm.reach
        while (counts < wanted).any():
            if proposals >= self.max_proposals:
                worst = int((counts - wanted).argmin())
                raise RuntimeError(
                    f"RejectionPosterior: {counts[worst]} of {wanted[worst]} samples accepted "
                    f"after {proposals} proposals for tcp {targets[worst].tolist()} at "
                    f"eps={self.eps}; raise eps or max_proposals, or use ExactPosterior"
                )
            drawn = sigma * torch.randn(
                self._CHUNK, self.arm.dof, generator=generator, dtype=torch.float32
            )
            proposals += self._CHUNK
            x, y = self.arm.forward(drawn).unbind(dim=1)
            open_targets = np.flatnonzero(counts < wanted)
            # Most proposals are near no open target: the box keeps the tree small.
            left, low = targets[open_targets].min(axis=0) - margin
            right, high = targets[open_targets].max(axis=0) + margin
            near = (x >= left) & (x <= right) & (y >= low) & (y <= high)
            theta = drawn[near].double()
            if not len(theta):
                continue
            hits = cKDTree(self.arm.forward(theta).numpy()).query_ball_point(
                targets[open_targets], self.eps, return_sorted=True
            )
            for target, hit in zip(open_targets, hits, strict=True):
                if hit:
                    kept[target].append(theta[hit])
                    counts[target] += len(hit)
        parts = [iter(torch.cat(samples).split(n)) for samples in kept]
        return torch.stack([next(parts[target]) for target in place.reshape(-1)])
