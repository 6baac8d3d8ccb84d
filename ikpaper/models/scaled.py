"""Networks that see joint angles and targets in units of what the prior makes common."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ikpaper.arm import PlanarArm, constant
from ikpaper.checks import Sigma, check_sigma
from ikpaper.models.base import ModelConfig, NetworkSampler


@dataclass(frozen=True, kw_only=True)
class ScaledConfig(ModelConfig):
    """Hyperparameters of a model that knows its prior.

    Attributes:
        sigma: Standard deviation of the prior in radians (of a rail, in units of length): one
            value, or one a joint where they differ.
    """

    sigma: Sigma = 0.2

    def __post_init__(self) -> None:
        super().__post_init__()
        values = check_sigma(self.sigma, self.dof)
        self._set("sigma", values if len(set(values)) > 1 else values[0])


class ScaledNetwork(NetworkSampler):
    """Base of models that know their prior.

    They compute with joint angles in units of the prior's standard deviation, and with
    `TargetFeatures`: of raw targets, whose spread is a fraction of their size, a network learns
    next to nothing.

    Attributes:
        sigma: Standard deviation of each joint.
        features: Targets as inputs of a network.
    """

    config: ScaledConfig

    def __init__(self, config: ScaledConfig) -> None:
        super().__init__(config)
        self.sigma = check_sigma(config.sigma, config.dof)
        self.features = TargetFeatures(self.arm, self.sigma)

    def unit(self, like: Tensor) -> Tensor:
        """`sigma` as a tensor (dof,) of the dtype and on the device of another."""
        return constant(self.sigma, like.dtype, like.device)


class TargetFeatures(nn.Module):
    """Targets (batch, 2) as network inputs (batch, 4) of order one.

    Bearing and stretch, sqrt(reach - radius), which is how the width of the posterior shrinks
    towards full reach (on a rail, it is the distance from it that counts); and Cartesian, all
    relative to what the prior makes common.
    """

    #: How many there are.
    COUNT = 4

    def __init__(self, arm: PlanarArm, sigma: Sigma) -> None:
        super().__init__()
        self.arm, self.reach = arm, arm.reach
        lengths = torch.tensor(arm.lengths, dtype=torch.float64, device="cpu")
        variances = _vector(sigma, arm).square()
        variances[: arm.rails] = 0
        # E x = sum l_k exp(-v_k / 2), v_k the variance of the link's heading.
        self.stretch_scale = arm.reach - float(lengths @ torch.exp(-variances.cumsum(0) / 2))
        self.lateral_scale = float(tcp_steps(arm, sigma).norm())

    def forward(self, tcp: Tensor) -> Tensor:
        """Features of targets."""
        radius = self.arm.radial_distance(tcp)
        x, y = tcp.unbind(1)
        return torch.stack(
            [
                torch.atan2(y, x) * (self.reach / self.lateral_scale),
                ((self.reach - radius).clamp(min=0) / self.stretch_scale).sqrt(),
                (x - self.reach) / self.stretch_scale + 1,
                y / self.lateral_scale,
            ],
            dim=1,
        )


def tcp_steps(arm: PlanarArm, sigma: Sigma) -> Tensor:
    """How far a standard deviation of each joint moves the TCP of a straight arm, shape (dof,)."""
    straight = torch.zeros(arm.dof, dtype=torch.float64, device="cpu")
    return _vector(sigma, arm) * arm.jacobian(straight)[1]


def _vector(sigma: Sigma, arm: PlanarArm) -> Tensor:
    # On the CPU whatever the default device is: what comes of it are numbers, not parameters.
    return torch.tensor(check_sigma(sigma, arm.dof), dtype=torch.float64, device="cpu")
