"""A look-up table: prior samples whose TCP is nearest to the target."""

from __future__ import annotations

from typing import ClassVar

import torch
from scipy.spatial import cKDTree
from torch import Generator, Tensor

from ikpaper.arm import PlanarArm
from ikpaper.checks import Sigma, check_count, check_seed
from ikpaper.sampler import PosteriorSampler
from ikpaper.samplers.prior import Prior


class LookupTable(PosteriorSampler):
    """What no learning at all gives: of many prior samples, those that end nearest to the target.

    Rejection sampling whose tolerance is as small as the number of samples allows, at the price
    of one table for all targets. `Refined(LookupTable(arm))` takes them onto the target. Samples
    of one target are distinct; asked again, the table gives the same ones, in another order.
    So `Refined` may fill the place of one that does not converge with a copy of another.

    Args:
        arm: The arm.
        sigma: Standard deviation of the prior; see `Prior`.
        entries: Size of the table; by default 10^5, and 10^6 for `LargeLookupTable`.
        seed: Seed of the table.
    """

    name = "lookup"
    label = "look-up table, 10⁵"
    colour = "#b3a125"
    marker = "<"
    version = 1

    #: Size of the table, unless another one is asked for.
    ENTRIES: ClassVar[int] = 100_000

    def __init__(
        self,
        arm: PlanarArm,
        sigma: Sigma | None = None,
        *,
        entries: int | None = None,
        seed: int = 0,
    ) -> None:
        self.arm = arm
        entries = self.ENTRIES if entries is None else check_count("entries", entries)
        generator = torch.Generator().manual_seed(check_seed(seed))
        self.theta = arm.wrapped(Prior(arm, sigma).draw(entries, generator))
        self._tree = cKDTree(arm.forward(self.theta).numpy())

    def _sample(self, tcp: Tensor, n: int, generator: Generator | None) -> Tensor:
        if n > len(self.theta):
            raise ValueError(f"n: expected at most the table's {len(self.theta)} entries, got {n}")
        _, nearest = self._tree.query(tcp.double().cpu().numpy(), [*range(1, n + 1)])
        # From nearest to farthest, a part of the samples would be no sample of the same kind.
        orders = [torch.randperm(n, generator=generator) for _ in tcp]
        rows = torch.from_numpy(nearest).gather(1, torch.stack(orders))
        return self.theta[rows]


class LargeLookupTable(LookupTable):
    """A table of a million entries."""

    name = "lookup-large"
    label = "look-up table, 10⁶"
    colour = "#661100"
    marker = "8"

    ENTRIES: ClassVar[int] = 1_000_000
