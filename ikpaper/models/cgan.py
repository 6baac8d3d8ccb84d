"""Conditional generative adversarial network (Mirza and Osindero, 2014)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Generator, Tensor, nn
from torch.func import functional_call
from torch.nn.functional import softplus

from ikpaper.arm import PlanarArm, constant
from ikpaper.models.base import ModelConfig, NetworkSampler, Recipe, hidden_layers, randn
from ikpaper.models.flow import TargetFeatures
from ikpaper.sampler import Sigma, check_count, check_sigma

__all__ = ["CGAN", "CGANConfig"]


@dataclass(frozen=True, kw_only=True)
class CGANConfig(ModelConfig):
    """Hyperparameters of the conditional GAN.

    Attributes:
        hidden_layers: Hidden layers of the generator, and as many of the discriminator.
        negative_slope: Slope of the LeakyReLUs.
        sigma: Standard deviation of the prior, as in `flow.TransportConfig`.
    """

    hidden_layers: int
    negative_slope: float = 0.2
    sigma: Sigma = 0.2

    def __post_init__(self) -> None:
        super().__post_init__()
        check_count("hidden_layers", self.hidden_layers)
        check_sigma(self.sigma, self.dof)


class CGAN(NetworkSampler):
    """Generator (z, tcp) -> theta against a discriminator of (theta, tcp).

    The slides cite the method and do not try it. Both networks have the size of the smallest of
    the paper's cVAEs, on every arm, and see joint angles in units of the prior's standard
    deviation and the same features of a target as the flow's: of raw ones, whose spread is a
    fraction of their size, a discriminator learns next to nothing. Both train at once, in one
    step of one optimiser: the generator's loss sees the discriminator with its weights held
    fixed, the discriminator's sees samples held fixed.
    """

    name = "cgan"
    config_type = CGANConfig
    recipe = Recipe(schedule="cosine", average=0.999)
    training_only = ("discriminator",)
    config: CGANConfig

    def __init__(self, config: CGANConfig) -> None:
        super().__init__(config)
        self.sigma = check_sigma(config.sigma, config.dof)
        self.features = TargetFeatures(self.arm, self.sigma)
        self.generator = self._network(config.latent + TargetFeatures.COUNT, config.dof)
        self.discriminator = self._network(config.dof + TargetFeatures.COUNT, 1)

    def _network(self, inputs: int, outputs: int) -> nn.Sequential:
        config = self.config
        hidden = hidden_layers(inputs, config.neurons, config.hidden_layers, config.negative_slope)
        return nn.Sequential(*hidden, nn.Linear(config.neurons, outputs))

    @classmethod
    def default_config(cls, arm: PlanarArm, **changes: Any) -> CGANConfig:
        """Three hidden layers of 200 neurons, Table III's row for 6 DoF; the rest is ours."""
        size = {"hidden_layers": 3, "neurons": 200, "learning_rate": 1e-3, "weight_decay": 0.0}
        return CGANConfig(**{"lengths": arm.lengths, **size, **changes})

    def decode(self, z: Tensor, tcp: Tensor) -> Tensor:
        """Joint angles for latents and targets."""
        return self._unit(z) * self.generator(torch.cat([z, self.features(tcp)], dim=1))

    def _unit(self, like: Tensor) -> Tensor:
        """Standard deviations of the prior (dof,), of the dtype and on the device of another."""
        return constant(self.sigma, like.dtype, like.device)

    def loss(
        self, theta: Tensor, tcp: Tensor, progress: float, generator: Generator | None = None
    ) -> dict[str, Tensor]:
        """Logistic losses of both players, means over the batch (Goodfellow et al., 2014).

        Terms: `discriminator`, that of telling samples from data; `generator`, that of samples
        being told (the form that does not saturate).
        """
        shape = (len(theta), self.config.latent)
        z = randn(shape, generator, theta.device, theta.dtype)
        made = self.decode(z, tcp)

        features = self.features(tcp)

        def shown(samples: Tensor) -> Tensor:
            return torch.cat([samples / self._unit(samples), features], dim=1)

        fixed = {name: value.detach() for name, value in self.discriminator.named_parameters()}
        seen = functional_call(self.discriminator, fixed, (shown(made),))
        of_data, of_samples = map(self.discriminator, map(shown, (theta, made.detach())))
        return {
            "discriminator": softplus(-of_data).mean() + softplus(of_samples).mean(),
            "generator": softplus(-seen).mean(),
        }
