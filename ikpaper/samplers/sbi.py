"""Posteriors that sbi has trained, as samplers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Generator, Tensor

from ikpaper.arm import PlanarArm
from ikpaper.sampler import PosteriorSampler, seeded


@dataclass(frozen=True)
class SbiSampler(PosteriorSampler):
    """A posterior that sbi has trained, on the CPU, as a sampler.

    sbi draws from torch's global generator; here it draws from the generator that it is given,
    and leaves the global one as it was.

    Attributes:
        arm: The arm whose joint angles are sbi's parameters and whose TCPs are its observations.
        posterior: What sbi's `build_posterior()` returns.
    """

    version = 1
    arm: PlanarArm
    posterior: Any

    def _sample(self, tcp: Tensor, n: int, generator: Generator | None) -> Tensor:
        device = None if generator is None else generator.device
        # One seed a target: its samples are the same, whatever follows it in the batch.
        seeds = torch.randint(2**62, (len(tcp),), generator=generator, device=device).tolist()
        rows = []
        for target, seed in zip(tcp.float(), seeds, strict=True):
            with seeded(seed), torch.no_grad():
                theta = self.posterior.sample_batched(
                    (n,), x=target[None], show_progress_bars=False
                )
            rows.append(theta[:, 0])
        return torch.stack(rows)
