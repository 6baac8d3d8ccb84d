"""Conditional flow matching (Lipman et al., 2023), with the arm's kinematics in the velocity."""

from __future__ import annotations

import math
from abc import abstractmethod
from dataclasses import dataclass
from types import MappingProxyType

import torch
from torch import Generator, Tensor, nn

from ikpaper.models.base import Recipe, amount, count, noise_like, positive
from ikpaper.models.scaled import ScaledConfig, ScaledNetwork, TargetFeatures, tcp_steps
from ikpaper.projection import damped_step
from ikpaper.sampler import noise

#: Training times end here: the guess of the velocity divides by 1 - t.
_LAST = 0.999

#: Frequencies of the time features, in half turns.
_FREQUENCIES = (1, 2)


@dataclass(frozen=True, kw_only=True)
class TransportConfig(ScaledConfig):
    """Hyperparameters of a model that moves prior samples to the posterior, for every arm alike.

    Attributes:
        blocks: Residual blocks of the network, two linear layers each.
    """

    blocks: int = count(default=3)
    learning_rate: float = positive(default=2e-3)
    weight_decay: float = amount(default=0.0)
    warmup: int = count(0, default=200)

    @property
    def latent(self) -> int:
        """Size of z, a prior sample in units of sigma: all joint angles move."""
        return self.dof

    @property
    def inner_layers(self) -> int:
        """See `base.ModelConfig.inner_layers`."""
        return 2 * self.blocks


@dataclass(frozen=True, kw_only=True)
class FlowConfig(TransportConfig):
    """Hyperparameters of the flow.

    Attributes:
        steps: Midpoint steps of sampling, two network evaluations each.
    """

    neurons: int = count(default=128)
    steps: int = count(default=16)


class Transport(ScaledNetwork):
    """Base of models that move prior samples to the posterior.

    They compute with targets on one side of the x axis alone: arm and prior are their own mirror
    images.

    Attributes:
        tcp_step: How far a standard deviation of a joint moves the TCP at most, to first order,
            in units of length.
        linearisation_error: What that order misses, up to a factor, in units of length; a rail
            is linear.
    """

    config: TransportConfig

    def __init__(self, config: TransportConfig) -> None:
        super().__init__(config)
        self.tcp_step = float(tcp_steps(self.arm, self.sigma).max())
        self.linearisation_error = max(self.sigma[self.arm.rails :]) ** 2 * self.arm.reach

    def mirrored(self, tcp: Tensor) -> tuple[Tensor, Tensor]:
        """Targets (batch, 2) mirrored to y >= 0, and the signs (batch, 1) that angles take there.

        f(-theta) is f(theta) with the other sign of y, and a rail does as the angles do.
        """
        x, y = tcp.split(1, dim=1)
        return torch.cat([x, y.abs()], dim=1), torch.where(y < 0, -1.0, 1.0).to(tcp.dtype)


class FlowMatching(Transport):
    """Base of velocity fields v(x, t | tcp) from prior samples (t = 0) to the posterior (t = 1).

    x are joint angles in units of the prior's standard deviation, x_t = (1 - t) x_0 + t x_1 on
    straight paths between independent ends. A subclass says what the velocity is.

    Attributes:
        steps: Midpoint steps of sampling; the config's at first, and free to change.
    """

    epochs = MappingProxyType({"smoke": 2, "quick": 60, "paper": 60})
    config_type = FlowConfig
    recipe = Recipe(schedule="cosine", batch_factor=2, average=0.999)
    config: FlowConfig

    def __init__(self, config: FlowConfig) -> None:
        super().__init__(config)
        self.steps = config.steps
        inputs = self.inputs(config.dof) + TargetFeatures.COUNT + 1 + 2 * len(_FREQUENCIES)
        self.network = ResidualNetwork(inputs, config.neurons, config.blocks, config.dof)

    @staticmethod
    @abstractmethod
    def inputs(dof: int) -> int:
        """Number of the network's inputs beside time and the features of the target."""

    @abstractmethod
    def velocity(self, x: Tensor, t: Tensor, tcp: Tensor, features: Tensor) -> Tensor:
        """Velocity (batch, dof) at x (batch, dof) and t (batch, 1).

        Args:
            x: Joint angles in units of the prior's standard deviation.
            t: Time, from 0 (prior) to just below 1 (posterior).
            tcp: Targets (batch, 2).
            features: What `self.features` makes of the targets.
        """

    def decode(self, z: Tensor, tcp: Tensor) -> Tensor:
        """Joint angles where the flow carries prior samples `z` (batch, dof)."""
        tcp, sign = self.mirrored(tcp)
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
        tcp, sign = self.mirrored(tcp)
        end = sign * theta / self.unit(theta)
        start = noise_like(end, generator)
        even = torch.arange(len(end), device=end.device, dtype=end.dtype)[:, None]
        shift = noise(torch.rand, (len(end), 1), generator, end.device, end.dtype)
        t = _LAST * (even + shift) / len(end)
        v = self.velocity((1 - t) * start + t * end, t, tcp, self.features(tcp))
        return {"velocity": (v - (end - start)).square().sum(dim=1).mean()}


class Flow(FlowMatching):
    """Flow matching with the arm's kinematics in the velocity.

    The velocity that flow matching learns, (E[x_1 | x_t, tcp] - x_t) / (1 - t), is nearly known:
    without the target, x_1 given x_t is normal with mean m = t x_t / q and variance (1 - t)^2 / q,
    q = t^2 + (1 - t)^2; and the target is met, to first order, by the shortest step from m onto
    f(theta) = tcp. The network learns what this guess lacks, in units of that standard deviation.
    Its share vanishes as t -> 1, so that samples reach the target as closely as the integration
    allows, whatever the network does. Untrained, the network is zero: the guess alone.
    """

    name = "flow"
    label = "flow"
    colour = "#882255"
    marker = "^"
    version = 1  # Raise when numbers change.

    def __init__(self, config: FlowConfig) -> None:
        super().__init__(config)
        self.log_damping = nn.Parameter(torch.zeros(()))

    @staticmethod
    def inputs(dof: int) -> int:
        """Joint angles, the step onto the target, and the residual."""
        return 2 * dof + 2

    def velocity(self, x: Tensor, t: Tensor, tcp: Tensor, features: Tensor) -> Tensor:
        """The guess and what the network adds to it; see `FlowMatching.velocity`."""
        sigma = self.unit(x)
        rest = 1 - t
        q = t.square() + rest.square()
        variance = rest.square() / q
        spread = variance.sqrt()
        point, jacobian = self.arm.linearised(sigma * t / q * x)
        residual = point - tcp
        # What the linearisation misses grows with the variance.
        missed = self.log_damping.exp() * (self.linearisation_error * variance[:, 0]).square()
        damping = missed + _LEAST_DAMPING * self.tcp_step**2
        step = damped_step(sigma * jacobian, residual, damping)
        guess = (2 * t - 1) / q * x - step / rest
        scaled = torch.cat([step, residual / self.tcp_step], dim=1) / (spread + _LEAST)
        inputs = [x, scaled.clamp(-BOUND, BOUND), features, _time_features(t)]
        return guess + spread * self.network(torch.cat(inputs, dim=1))


class PlainFlow(FlowMatching):
    """Plain conditional flow matching: the network of `Flow` alone is the velocity.

    Nothing in it knows the kinematics but the features of the target and the mirror image. It has
    the same layers, training and data as `Flow`, and shows what the kinematics are worth there.
    """

    name = "flow-plain"
    label = "flow without kinematics"
    colour = "#b5838d"
    marker = "v"
    version = 1  # Raise when numbers change.

    @staticmethod
    def inputs(dof: int) -> int:
        """Joint angles alone."""
        return dof

    def velocity(self, x: Tensor, t: Tensor, tcp: Tensor, features: Tensor) -> Tensor:
        """What the network says; see `FlowMatching.velocity`."""
        return self.network(torch.cat([x, features, _time_features(t)], dim=1))


#: Least damping of the guess's step, relative to `tcp_step`^2: for arms that are all straight.
_LEAST_DAMPING = 1e-6

#: Added to the spread where it divides the network's inputs.
_LEAST = 1e-3

#: Inputs of the network stay within so many times their scale.
BOUND = 5.0


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


def _time_features(t: Tensor) -> Tensor:
    turns = [f(math.pi * k * t) for k in _FREQUENCIES for f in (torch.cos, torch.sin)]
    return torch.cat([t, *turns], dim=1)
