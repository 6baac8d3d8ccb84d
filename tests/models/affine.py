"""A model of one's own, as somebody would write it outside of the library."""

from dataclasses import dataclass

import torch
from torch import nn

from ikpaper.models import ModelConfig, NetworkSampler, Recipe
from ikpaper.sampler import normal


@dataclass(frozen=True, kw_only=True)
class AffineConfig(ModelConfig):
    spread: float = 0.2


class Affine(NetworkSampler):
    name = "affine"
    label = "affine map"
    epochs = {"smoke": 3}  # noqa: RUF012
    config_type = AffineConfig
    recipe = Recipe(schedule="cosine")

    def __init__(self, config):
        super().__init__(config)
        self.map = nn.Linear(config.latent + 2, config.dof)

    @classmethod
    def default_config(cls, arm, **changes):
        size = {"neurons": 1, "learning_rate": 0.01, "weight_decay": 0.0}
        return AffineConfig(**{"lengths": arm.lengths, **size, **changes})

    def decode(self, z, tcp):
        return self.map(torch.cat([self.config.spread * z, tcp], dim=1))

    def loss(self, theta, tcp, progress, generator=None):
        z = normal((len(theta), self.config.latent), generator, theta.device, theta.dtype)
        return {"square": (self.decode(z, tcp) - theta).square().sum(dim=1).mean()}
