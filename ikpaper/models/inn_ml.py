"""The paper's INN trained by maximum likelihood, another loss for the same network; a small one."""

from __future__ import annotations

import math
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar

from torch import Generator, Tensor, nn

from ikpaper.arm import PlanarArm
from ikpaper.models.base import Recipe, amount, noise_like, positive
from ikpaper.models.inn import CouplingConfig, InvertibleNetwork


@dataclass(frozen=True, kw_only=True)
class INNMLConfig(CouplingConfig):
    """Hyperparameters of the network, and the constants of its likelihood.

    Attributes:
        noise: Scale of the noise added to theta in each step, in radians.
        width_start: Standard deviation of the predicted TCP around the true one at the start of
            training, in units of length.
        width_end: What it shrinks towards, geometrically over the epochs.
    """

    clamp: float = positive(default=2.0)
    activate_last: bool = False
    noise: float = amount(default=1e-3)
    width_start: float = positive(default=1.0)
    width_end: float = positive(default=0.01)


class INNML(InvertibleNetwork):
    """The paper's network, whose loss is the negative log likelihood of theta.

    The latent distribution is z ~ N(0, 1) and a predicted TCP that is normal around the true one,
    with a width that shrinks over the training (the loss of Kruse et al., 2021, who keep the
    width). One forward pass a step: no MMD, no inverse pass. The last layers of the subnets
    start at zero, and no activation follows them: the likelihood itself keeps the map in bounds.
    """

    name = "inn-ml"
    label = "INN, maximum likelihood"
    colour = "#e69f00"
    marker = "P"
    version = 1  # Raise when numbers change.
    epochs = MappingProxyType({"smoke": 1, "paper": 10})
    # It is as large as the INN: one for each arm would be 30 MB of weights.
    published_arms: ClassVar[tuple[int, ...]] = (8,)
    config_type = INNMLConfig
    precisions = ("float32", "bfloat16")
    recipe = Recipe(schedule="cosine", positive=False)
    config: INNMLConfig

    def __init__(self, config: INNMLConfig) -> None:
        super().__init__(config)
        for module in self.blocks.modules():
            if isinstance(module, nn.Sequential):
                last = [layer for layer in module if isinstance(layer, nn.Linear)][-1]
                nn.init.zeros_(last.weight)
                nn.init.zeros_(last.bias)

    @classmethod
    def default_config(cls, arm: PlanarArm, **changes: Any) -> INNMLConfig:
        """Table IV's row for the arm, without its weight decay, which shrinks the scales."""
        return super().default_config(arm, **{"weight_decay": 0.0, "warmup": 200, **changes})

    def loss(
        self, theta: Tensor, tcp: Tensor, progress: float, generator: Generator | None = None
    ) -> dict[str, Tensor]:
        """Negative log likelihood of a batch, a mean over it, term by term.

        Terms: `z`, that of the latent; `tcp`, that of the predicted TCP; `volume`, minus the log
        determinant of the map. Constants are left out.
        """
        config = self.config
        z, predicted, log_det = self.encode(theta + config.noise * noise_like(theta, generator))
        width = self.width(progress)
        miss = (predicted - tcp).square().sum(dim=1) / (2 * width**2)
        return {
            "z": 0.5 * z.square().sum(dim=1).mean(),
            "tcp": (miss + 2 * math.log(width)).mean(),
            "volume": -log_det.mean(),
        }

    def width(self, progress: float) -> float:
        """Standard deviation of the TCP's likelihood at `progress` from 0 to 1."""
        config = self.config
        return config.width_start * (config.width_end / config.width_start) ** progress


class INNMLSmall(INNML):
    """The same with a third to an eighth of the parameters, one size for every arm."""

    name = "inn-ml-small"
    label = "small INN, maximum likelihood"
    colour = "#b0660d"
    marker = "p"
    published_arms = PlanarArm.PAPER_DOF

    @classmethod
    def default_config(cls, arm: PlanarArm, **changes: Any) -> INNMLConfig:
        """Eight coupling blocks, whose subnets have three layers of 100 neurons."""
        size = {"coupling_layers": 8, "subnet_layers": 3, "neurons": 100, "learning_rate": 1e-3}
        return super().default_config(arm, **{**size, **changes})
