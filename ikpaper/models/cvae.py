"""Conditional variational autoencoder (Sohn et al., 2015), as the paper configures it."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType

import torch
from torch import Generator, Tensor, nn

from ikpaper.models.base import (
    ModelConfig,
    NetworkSampler,
    amount,
    count,
    hidden_layers,
    noise_like,
)
from ikpaper.models.fast.stacked import StackedNetworks, linear_layers
from ikpaper.paper import CVAE_RANGES, CVAE_TABLE


@dataclass(frozen=True, kw_only=True)
class CVAEConfig(ModelConfig):
    """Hyperparameters of the cVAE (Table III).

    Attributes:
        hidden_layers: Hidden layers of the encoder, and as many of the decoder.
        kl_weight: Weight of the KL term against the squared reconstruction error.
    """

    hidden_layers: int = count()
    kl_weight: float = amount(default=0.0067)

    @property
    def inner_layers(self) -> int:
        """See `base.ModelConfig.inner_layers`."""
        return 2 * (self.hidden_layers - 1)


class CVAE(NetworkSampler):
    """Encoder (theta, tcp) -> q(z | theta, tcp); decoder (z, tcp) -> theta.

    Both are ReLU networks with `hidden_layers` layers of `neurons`. To sample, z ~ N(0, 1) goes
    through the decoder alone.
    """

    name = "cvae"
    label = "cVAE"
    colour = "#0072b2"
    marker = "o"
    version = 1  # Raise when numbers change.
    epochs = MappingProxyType({"smoke": 2, "quick": 24, "ablation": 40, "search": 60, "paper": 60})
    config_type = CVAEConfig
    table = CVAE_TABLE
    search_ranges = CVAE_RANGES
    precisions = ("float32", "bfloat16")
    config: CVAEConfig

    def __init__(self, config: CVAEConfig) -> None:
        super().__init__(config)
        self.encoder = self._hidden(config.dof + 2)
        self.mean = nn.Linear(config.neurons, config.latent)
        self.log_variance = nn.Linear(config.neurons, config.latent)
        self.decoder = nn.Sequential(
            *self._hidden(config.latent + 2), nn.Linear(config.neurons, config.dof)
        )

    def _hidden(self, inputs: int) -> nn.Sequential:
        return hidden_layers(inputs, self.config.neurons, self.config.hidden_layers)

    def encode(self, theta: Tensor, tcp: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log variance of q(z | theta, tcp), each of shape (batch, dof - 2)."""
        heads = (
            torch.cat([self.mean.weight, self.log_variance.weight]),
            torch.cat([self.mean.bias, self.log_variance.bias]),
        )
        network = StackedNetworks([[*linear_layers(self.encoder), heads]], precision=self.precision)
        mean, log_variance = network(torch.cat([theta, tcp], dim=1))[0].chunk(2, dim=1)
        return mean, log_variance

    def decode(self, z: Tensor, tcp: Tensor) -> Tensor:
        """Joint angles for latents and targets."""
        network = StackedNetworks([linear_layers(self.decoder)], precision=self.precision)
        return network(torch.cat([z, tcp], dim=1))[0]

    def loss(
        self, theta: Tensor, tcp: Tensor, progress: float, generator: Generator | None = None
    ) -> dict[str, Tensor]:
        """Negative evidence lower bound, summed over the batch ("Loss for cVAE" slide).

        Terms: `reconstruction`, the squared error of the wrapped angle differences; `kl`,
        KL(q(z | theta, tcp) || N(0, 1)) times its weight.
        """
        mean, log_variance = self.encode(theta, tcp)
        noise = noise_like(mean, generator)
        decoded = self.decode(mean + noise * torch.exp(0.5 * log_variance), tcp)
        kl = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum()
        return {
            "reconstruction": self.arm.wrapped(decoded - theta).square().sum(),
            "kl": self.config.kl_weight * kl,
        }
