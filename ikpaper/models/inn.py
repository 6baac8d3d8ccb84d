"""Invertible neural network (Ardizzone et al., 2018), as the paper configures it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from torch import Generator, Tensor, nn

from ikpaper.arm import PlanarArm
from ikpaper.models.base import (
    ModelConfig,
    NetworkSampler,
    Recipe,
    amount,
    count,
    noise_like,
    positive,
)
from ikpaper.models.fast.coupling import CouplingChain
from ikpaper.models.fast.mmd import mmd2_loss
from ikpaper.paper import INN_RANGES, INN_TABLE
from ikpaper.sampler import GLOBAL_GENERATORS


@dataclass(frozen=True, kw_only=True)
class CouplingConfig(ModelConfig):
    """Hyperparameters of a network of coupling blocks (Table IV).

    Attributes:
        subnet_layers: Linear layers of a subnet, first and last included.
        coupling_layers: Number of coupling blocks.
        clamp: Soft clamp of the log scales (arctangent).
        negative_slope: Slope of the LeakyReLUs in the subnets.
        activate_last: Whether a LeakyReLU follows also the last layer of a subnet. The slides do
            not mention it; with their losses, training diverges without it.
        permutation_seed: Seed of the fixed permutations between blocks.
    """

    subnet_layers: int = count(2)
    coupling_layers: int = count()
    clamp: float = positive(default=5.0)
    negative_slope: float = amount(default=0.01)
    activate_last: bool = True
    permutation_seed: int = count(0, default=0)

    @property
    def inner_layers(self) -> int:
        """See `base.ModelConfig.inner_layers`."""
        return 4 * self.coupling_layers * (self.subnet_layers - 2)


@dataclass(frozen=True, kw_only=True)
class INNConfig(CouplingConfig):
    """Hyperparameters of the INN and the constants of its loss.

    Attributes:
        weight_y: Weight of L_y.
        weight_x: Weight of L_x.
        weight_z: Weight of L_z.
        weight_p: Weight of L_p(x).
        noise: Scale of the noise added to theta, tcp and z in each step.
        kernel_width: h of the MMD kernel.
        ramp: Base of the ramp of L_p(x).
    """

    weight_y: float = amount(default=0.01)
    weight_x: float = amount(default=0.1)
    weight_z: float = amount(default=1000.0)
    weight_p: float = amount(default=1000.0)
    noise: float = amount(default=1e-3)
    kernel_width: float = positive(default=1.2)
    ramp: float = amount(default=0.002)
    adam_eps: float = positive(default=1e-6)
    grad_clamp: float | None = positive(optional=True, default=15.0)
    # Not in the slides: at full rate, the first steps throw the log scales of every block in one
    # direction. What is known of its benefit: `notebooks/published.py`.
    warmup: int = count(0, default=100)


class InvertibleNetwork(NetworkSampler):
    """Bijection theta <-> (z, tcp) of affine coupling blocks with fixed permutations between.

    The blocks are FrEIA's `RNVPCouplingBlock` in a `SequenceINN`, four subnets each. Forwards,
    the network predicts the TCP and the latent that is lost; backwards, z ~ N(0, 1) and a target
    give joint angles. There is no padding: z has dof - 2 entries.
    """

    table = INN_TABLE
    config: CouplingConfig

    def __init__(self, config: CouplingConfig) -> None:
        # Other models need not wait for FrEIA, which imports the whole of scipy's statistics.
        from FrEIA.framework import SequenceINN
        from FrEIA.modules import PermuteRandom, RNVPCouplingBlock

        super().__init__(config)
        self.blocks = SequenceINN(config.dof)
        # FrEIA's permutation reseeds numpy's global generator; leave it as it was.
        with GLOBAL_GENERATORS:
            state = np.random.get_state()  # noqa: NPY002
            try:
                for i in range(config.coupling_layers):
                    if i:
                        self.blocks.append(PermuteRandom, seed=config.permutation_seed + i - 1)
                    self.blocks.append(
                        RNVPCouplingBlock,
                        subnet_constructor=self._subnet,
                        clamp=config.clamp,
                        clamp_activation=_arctangent,
                    )
            finally:
                np.random.set_state(state)  # noqa: NPY002

    def _subnet(self, inputs: int, outputs: int) -> nn.Sequential:
        config = self.config
        sizes = [inputs] + [config.neurons] * (config.subnet_layers - 1) + [outputs]
        layers: list[nn.Module] = []
        for size, next_size in pairwise(sizes):
            layers += [nn.Linear(size, next_size), nn.LeakyReLU(config.negative_slope)]
        return nn.Sequential(*(layers if config.activate_last else layers[:-1]))

    def encode(self, theta: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Forward pass: z (batch, dof - 2), tcp (batch, 2) and `log |det d(z, tcp)/d theta|`."""
        return self._encode(self._chain(), theta)

    def _encode(self, chain: CouplingChain, theta: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        output, log_det = chain.forward(theta)
        return output[:, :-2], output[:, -2:], log_det

    def decode(self, z: Tensor, tcp: Tensor) -> Tensor:
        """Inverse pass: joint angles for latents and targets."""
        return self.invert(z, tcp)[0]

    def invert(self, z: Tensor, tcp: Tensor) -> tuple[Tensor, Tensor]:
        """Inverse pass: theta (batch, dof) and `log |det d theta/d(z, tcp)|`."""
        return self._chain().inverse(torch.cat([z, tcp], dim=1))

    def _chain(self) -> CouplingChain:
        return CouplingChain(self.blocks, self.precision)


def _arctangent(x: Tensor) -> Tensor:
    """FrEIA's soft clamp to about (-1, 1), which is a lambda there and so cannot be pickled."""
    return 0.636 * torch.atan(x)


class INN(InvertibleNetwork):
    """The paper's INN: supervised forwards, and two losses of distributions."""

    name = "inn"
    label = "INN"
    colour = "#d55e00"
    marker = "s"
    version = 1  # Raise when numbers change.
    epochs = MappingProxyType({"smoke": 1, "quick": 8, "ablation": 6, "search": 60, "paper": 60})
    config_type = INNConfig
    search_ranges = INN_RANGES
    precisions = ("float32", "bfloat16")
    recipe = Recipe(precision="bfloat16")
    config: INNConfig

    @classmethod
    def default_config(cls, arm: PlanarArm, **changes: Any) -> INNConfig:
        """Table IV's row; from 10 DoF on the MMD terms weigh 100, as the authors set it for 10."""
        own = {"weight_z": 100.0, "weight_p": 100.0} if arm.dof >= 10 else {}
        return super().default_config(arm, **{**own, **changes})

    def loss(
        self, theta: Tensor, tcp: Tensor, progress: float, generator: Generator | None = None
    ) -> dict[str, Tensor]:
        """Forward and inverse losses of one batch ("Loss for INN" slide), each with its weight.

        Terms: `L_y`, squared error of the predicted TCP; `L_z`, MMD between (z, tcp) predicted
        and (N(0, 1), tcp); `L_x`, squared error of the wrapped angles of the inverse pass on the
        predicted z plus noise and the true tcp; `L_p(x)`, MMD between the inverse pass on
        z ~ N(0, 1) and theta, ramped up over the epochs.
        """
        config = self.config
        theta = theta + config.noise * noise_like(theta, generator)
        tcp = tcp + config.noise * noise_like(tcp, generator)
        chain = self._chain()
        z, predicted, _ = self._encode(chain, theta)

        # L_z shapes z alone: the TCP has its own supervised term.
        joint = torch.cat([z, predicted.detach()], dim=1)
        wanted = torch.cat([noise_like(z, generator), tcp], dim=1)
        terms = {
            "L_y": config.weight_y * (predicted - tcp).square().sum(),
            "L_z": config.weight_z * mmd2_loss(joint, wanted, config.kernel_width),
        }
        if config.weight_x == config.weight_p == 0:
            return terms

        # Both inverse passes as one batch.
        near = z + config.noise * noise_like(z, generator)
        latents = torch.cat([near, noise_like(z, generator)])
        inverted, _ = chain.inverse(torch.cat([latents, torch.cat([tcp, tcp])], dim=1))
        cycled, generated = inverted.chunk(2)
        ramped = self.ramp(progress) * config.weight_p
        terms["L_x"] = config.weight_x * self.arm.wrapped(cycled - theta).square().sum()
        terms["L_p(x)"] = ramped * mmd2_loss(generated, theta, config.kernel_width)
        return terms

    def at_full_weight(self, terms: Mapping[str, float], progress: float) -> dict[str, float]:
        """The terms without the ramp of L_p(x); see `NetworkSampler.at_full_weight`."""
        ramped = {"L_p(x)": self.ramp(progress)}
        return {name: value / ramped.get(name, 1.0) for name, value in terms.items()}

    def ramp(self, progress: float) -> float:
        """Weight of L_p(x) between 0 and 1: min(1, 2 ramp^(1 - progress))."""
        return min(1.0, 2.0 * self.config.ramp ** (1.0 - progress))
