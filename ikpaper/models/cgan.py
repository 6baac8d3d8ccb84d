"""Conditional generative adversarial network (Mirza and Osindero, 2014)."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType

import torch
from torch import Generator, Tensor, nn
from torch.func import functional_call
from torch.nn.functional import softplus

from ikpaper.models.base import Recipe, amount, count, hidden_layers, positive
from ikpaper.models.scaled import ScaledConfig, ScaledNetwork, TargetFeatures
from ikpaper.sampler import noise


@dataclass(frozen=True, kw_only=True)
class CGANConfig(ScaledConfig):
    """Hyperparameters of the conditional GAN: Table III's sizes for 6 DoF; the rest is ours.

    Attributes:
        hidden_layers: Hidden layers of the generator, and as many of the discriminator.
        negative_slope: Slope of the LeakyReLUs.
    """

    hidden_layers: int = count(default=3)
    neurons: int = count(default=200)
    learning_rate: float = positive(default=1e-3)
    weight_decay: float = amount(default=0.0)
    negative_slope: float = amount(default=0.2)

    @property
    def inner_layers(self) -> int:
        """See `base.ModelConfig.inner_layers`."""
        return self.hidden_layers - 1


class CGAN(ScaledNetwork):
    """Generator (z, tcp) -> theta against a discriminator of (theta, tcp).

    The slides cite the method and do not try it. Both networks have the size of the smallest of
    the paper's cVAEs, on every arm. Both train at once, in one step of one optimiser: the
    generator's loss sees the discriminator with its weights held fixed, the discriminator's sees
    samples held fixed.
    """

    name = "cgan"
    label = "conditional GAN"
    colour = "#999933"
    marker = "X"
    version = 1  # Raise when numbers change.
    epochs = MappingProxyType({"smoke": 2, "paper": 20})
    config_type = CGANConfig
    recipe = Recipe(schedule="cosine", average=0.999)
    training_only = ("discriminator",)
    config: CGANConfig

    def __init__(self, config: CGANConfig) -> None:
        super().__init__(config)
        self.generator = self._network(config.latent + TargetFeatures.COUNT, config.dof)
        self.discriminator = self._network(config.dof + TargetFeatures.COUNT, 1)

    def _network(self, inputs: int, outputs: int) -> nn.Sequential:
        config = self.config
        hidden = hidden_layers(inputs, config.neurons, config.hidden_layers, config.negative_slope)
        return nn.Sequential(*hidden, nn.Linear(config.neurons, outputs))

    def decode(self, z: Tensor, tcp: Tensor) -> Tensor:
        """Joint angles for latents and targets."""
        return self.unit(z) * self.generator(torch.cat([z, self.features(tcp)], dim=1))

    def loss(
        self, theta: Tensor, tcp: Tensor, progress: float, generator: Generator | None = None
    ) -> dict[str, Tensor]:
        """Logistic losses of both players, means over the batch (Goodfellow et al., 2014).

        Terms: `discriminator`, that of telling samples from data; `generator`, that of samples
        being told (the form that does not saturate).
        """
        shape = (len(theta), self.config.latent)
        z = noise(torch.randn, shape, generator, theta.device, theta.dtype)
        made = self.decode(z, tcp)

        features = self.features(tcp)

        def shown(samples: Tensor) -> Tensor:
            return torch.cat([samples / self.unit(samples), features], dim=1)

        fixed = {name: value.detach() for name, value in self.discriminator.named_parameters()}
        seen = functional_call(self.discriminator, fixed, (shown(made),))
        of_data, of_samples = map(self.discriminator, map(shown, (theta, made.detach())))
        return {
            "discriminator": softplus(-of_data).mean() + softplus(of_samples).mean(),
            "generator": softplus(-seen).mean(),
        }
