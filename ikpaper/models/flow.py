"""Conditional flow matching (Lipman et al., 2023), with the arm's kinematics in the velocity."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Generator, Tensor, nn

from ikpaper.arm import PlanarArm, constant
from ikpaper.models.base import ModelConfig, NetworkSampler, Recipe, rand, randn
from ikpaper.projection import damped_step
from ikpaper.sampler import Sigma, check_count, check_sigma

__all__ = [
    "BOUND",
    "Flow",
    "FlowConfig",
    "ResidualNetwork",
    "TargetFeatures",
    "Transport",
    "TransportConfig",
]

#: Training times end here: the guess of the velocity divides by 1 - t.
_LAST = 0.999

#: Frequencies of the time features, in half turns.
_FREQUENCIES = (1, 2)


@dataclass(frozen=True, kw_only=True)
class TransportConfig(ModelConfig):
    """Hyperparameters of a model that moves prior samples to the posterior.

    Attributes:
        blocks: Residual blocks of the network, two linear layers each.
        sigma: Standard deviation of the prior in radians (of a rail, in units of length): one
            value, or one a joint.
    """

    blocks: int
    sigma: Sigma = 0.2

    def __post_init__(self) -> None:
        super().__post_init__()
        check_count("blocks", self.blocks)
        check_sigma(self.sigma, self.dof)

    @property
    def latent(self) -> int:
        """Size of z, a prior sample in units of sigma: all joint angles move."""
        return self.dof


@dataclass(frozen=True, kw_only=True)
class FlowConfig(TransportConfig):
    """Hyperparameters of the flow.

    Attributes:
        steps: Midpoint steps of sampling, two network evaluations each.
    """

    steps: int = 16

    def __post_init__(self) -> None:
        super().__post_init__()
        check_count("steps", self.steps)


class Transport(NetworkSampler):
    """Base of models that move prior samples to the posterior.

    They compute with joint angles in units of the prior's standard deviation, and with targets on
    one side of the x axis alone: arm and prior are their own mirror images.

    Attributes:
        sigma: Standard deviation of each joint.
        swing: How far one of them moves the TCP at most, to first order, in units of length.
        bend: What that order misses, up to a factor, in units of length; a rail is linear.
        features: Targets as inputs of a network.
    """

    config: TransportConfig

    def __init__(self, config: TransportConfig) -> None:
        super().__init__(config)
        self.sigma = check_sigma(config.sigma, config.dof)
        self.swing = float(_swings(self.arm, self.sigma).max())
        self.bend = max(self.sigma[self.arm.rails :]) ** 2 * self.arm.reach
        self.features = TargetFeatures(self.arm, self.sigma)

    def unit(self, like: Tensor) -> Tensor:
        """`sigma` as a tensor (dof,) of the dtype and on the device of another."""
        return constant(self.sigma, like.dtype, like.device)

    def upper(self, tcp: Tensor) -> tuple[Tensor, Tensor]:
        """Targets (batch, 2) mirrored to y >= 0, and the signs (batch, 1) that angles take there.

        f(-theta) is f(theta) with the other sign of y, and a rail does as the angles do.
        """
        x, y = tcp.split(1, dim=1)
        return torch.cat([x, y.abs()], dim=1), torch.where(y < 0, -1.0, 1.0).to(tcp.dtype)


class Flow(Transport):
    """Velocity field v(x, t | tcp) that carries prior samples (t = 0) to the posterior (t = 1).

    x are joint angles in units of the prior's standard deviation, x_t = (1 - t) x_0 + t x_1 on
    straight paths between independent ends. The velocity that flow matching learns,
    (E[x_1 | x_t, tcp] - x_t) / (1 - t), is nearly known: without the target, x_1 given x_t is
    normal with mean m = t x_t / q and variance (1 - t)^2 / q, q = t^2 + (1 - t)^2; and the target
    is met, to first order, by the shortest step from m onto f(theta) = tcp. The network learns
    what this guess lacks, in units of that standard deviation. Its share vanishes as t -> 1, so
    that samples reach the target as closely as the integration allows, whatever the network does.

    Attributes:
        steps: Midpoint steps of sampling; the config's at first, and free to change.
    """

    name = "flow"
    config_type = FlowConfig
    recipe = Recipe(schedule="cosine", batches=2, average=0.999)
    config: FlowConfig

    def __init__(self, config: FlowConfig) -> None:
        super().__init__(config)
        self.steps = config.steps
        inputs = 2 * config.dof + 2 + TargetFeatures.COUNT + 1 + 2 * len(_FREQUENCIES)
        self.network = ResidualNetwork(inputs, config.neurons, config.blocks, config.dof)
        self.log_damping = nn.Parameter(torch.zeros(()))

    @classmethod
    def default_config(cls, arm: PlanarArm, **changes: Any) -> FlowConfig:
        """The same for every arm."""
        defaults: dict[str, Any] = {
            "neurons": 128,
            "blocks": 3,
            "learning_rate": 2e-3,
            "weight_decay": 0.0,
            "warmup": 200,
        }
        return FlowConfig(lengths=arm.lengths, **{**defaults, **changes})

    def velocity(self, x: Tensor, t: Tensor, tcp: Tensor, features: Tensor) -> Tensor:
        """Velocity (batch, dof) at x (batch, dof) and t (batch, 1).

        Args:
            x: Joint angles in units of the prior's standard deviation.
            t: Time, from 0 (prior) to just below 1 (posterior).
            tcp: Targets (batch, 2).
            features: What `self.features` makes of the targets.
        """
        sigma = self.unit(x)
        rest = 1 - t
        q = t.square() + rest.square()
        variance = rest.square() / q
        spread = variance.sqrt()
        point, jacobian = self.arm.linearised(sigma * t / q * x)
        residual = point - tcp
        # What the linearisation misses grows with the variance.
        missed = self.log_damping.exp() * (self.bend * variance[:, 0]).square()
        damping = missed + _LEAST_DAMPING * self.swing**2
        step = damped_step(sigma * jacobian, residual, damping)
        guess = (2 * t - 1) / q * x - step / rest
        scaled = torch.cat([step, residual / self.swing], dim=1) / (spread + _LEAST)
        inputs = [x, scaled.clamp(-BOUND, BOUND), features, _time_features(t)]
        return guess + spread * self.network(torch.cat(inputs, dim=1))

    def decode(self, z: Tensor, tcp: Tensor) -> Tensor:
        """Joint angles where the flow carries prior samples `z` (batch, dof)."""
        tcp, sign = self.upper(tcp)
        features = self.features(tcp)
        x, length = sign * z, 1 / self.steps
        for k in range(self.steps):
            t = z.new_full((len(z), 1), k * length)
            middle = x + 0.5 * length * self.velocity(x, t, tcp, features)
            x = x + length * self.velocity(middle, t + 0.5 * length, tcp, features)
        return sign * self.unit(x) * x

    def loss(
        self, theta: Tensor, tcp: Tensor, progress: float, generator: Generator | None = None
    ) -> dict[str, Tensor]:
        """Term `velocity`: squared error of the velocity, a mean over the batch.

        One time a sample, spread evenly over the batch, which lowers the variance.
        """
        tcp, sign = self.upper(tcp)
        end = sign * theta / self.unit(theta)
        start = randn(tuple(end.shape), generator, end.device, end.dtype)
        even = torch.arange(len(end), device=end.device, dtype=end.dtype)[:, None]
        t = _LAST * (even + rand((len(end), 1), generator, end.device, end.dtype)) / len(end)
        v = self.velocity((1 - t) * start + t * end, t, tcp, self.features(tcp))
        return {"velocity": (v - (end - start)).square().sum(dim=1).mean()}


#: Least damping of the guess's step, relative to `swing`^2: for arms that are all straight.
_LEAST_DAMPING = 1e-6

#: Added to the spread where it divides the network's inputs.
_LEAST = 1e-3

#: Inputs of the network stay within so many times their scale.
BOUND = 5.0


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
        lengths = torch.tensor(arm.lengths, dtype=torch.float64)
        variances = _vector(sigma, arm).square()
        variances[: arm.rails] = 0
        # E x = sum l_k exp(-v_k / 2), v_k the variance of the link's heading.
        self.slack = arm.reach - float(lengths @ torch.exp(-variances.cumsum(0) / 2))
        self.sway = float(_swings(arm, sigma).norm())

    def forward(self, tcp: Tensor) -> Tensor:
        """Features of targets."""
        radius = self.arm.span(tcp)
        x, y = tcp.unbind(1)
        return torch.stack(
            [
                torch.atan2(y, x) * (self.reach / self.sway),
                ((self.reach - radius).clamp(min=0) / self.slack).sqrt(),
                (x - self.reach) / self.slack + 1,
                y / self.sway,
            ],
            dim=1,
        )


class ResidualNetwork(nn.Module):
    """Linear layers of one width with SiLU, in residual blocks of two; starts at zero."""

    def __init__(self, inputs: int, width: int, blocks: int, outputs: int) -> None:
        super().__init__()
        self.first = nn.Linear(inputs, width)
        self.blocks = nn.ModuleList(
            nn.Sequential(nn.SiLU(), nn.Linear(width, width), nn.SiLU(), nn.Linear(width, width))
            for _ in range(blocks)
        )
        self.last = nn.Sequential(nn.SiLU(), nn.Linear(width, outputs))
        for layer in (*(block[-1] for block in self.blocks), self.last[-1]):  # type: ignore[index]
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Outputs for rows of inputs."""
        hidden = self.first(x)
        for block in self.blocks:
            hidden = hidden + block(hidden)
        return self.last(hidden)


def _swings(arm: PlanarArm, sigma: Sigma) -> Tensor:
    """How far a standard deviation of each joint moves the TCP of a straight arm, shape (dof,)."""
    straight = torch.zeros(arm.dof, dtype=torch.float64)
    return _vector(sigma, arm) * arm.jacobian(straight)[1]


def _vector(sigma: Sigma, arm: PlanarArm) -> Tensor:
    return torch.tensor(check_sigma(sigma, arm.dof), dtype=torch.float64)


def _time_features(t: Tensor) -> Tensor:
    turns = [f(math.pi * k * t) for k in _FREQUENCIES for f in (torch.cos, torch.sin)]
    return torch.cat([t, *turns], dim=1)
