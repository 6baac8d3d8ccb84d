"""The flow's map in one network evaluation, by distillation, and a projection."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType

import torch
from torch import Generator, Tensor

from ikpaper.models.base import NetworkSampler, Recipe, count, noise_like
from ikpaper.models.flow import BOUND, ResidualNetwork, Transport, TransportConfig
from ikpaper.models.scaled import TargetFeatures
from ikpaper.projection import damped_step

#: Samples that the teacher is asked for at a time.
_ROWS = 1 << 12


@dataclass(frozen=True, kw_only=True)
class FlowFastConfig(TransportConfig):
    """Hyperparameters of the distilled flow.

    Attributes:
        projections: Gauss-Newton steps onto the target after the network.
    """

    neurons: int = count(default=192)
    projections: int = count(0, default=2)


class FlowFast(Transport):
    """From a prior sample straight to where the flow carries it.

    The flow is a deterministic map of prior samples to posterior samples. A residual network
    learns it from pairs that a trained flow draws, at the TCPs of the training set; damped
    Gauss-Newton steps, through which the loss looks, leave it only what lies along the solution
    manifold to learn.
    """

    name = "flow-fast"
    label = "flow, one evaluation"
    colour = "#aa4499"
    marker = ">"
    version = 1  # Raise when numbers change.
    epochs = MappingProxyType({"smoke": 2, "paper": 60})
    config_type = FlowFastConfig
    recipe = Recipe(schedule="cosine", batch_factor=2, average=0.999)
    teacher = "flow"
    config: FlowFastConfig

    def __init__(self, config: FlowFastConfig) -> None:
        super().__init__(config)
        inputs = 2 * config.dof + 2 + TargetFeatures.COUNT
        self.network = ResidualNetwork(inputs, config.neurons, config.blocks, config.dof)

    def decode(self, z: Tensor, tcp: Tensor) -> Tensor:
        """Joint angles for prior samples `z` (batch, dof) in units of its standard deviation."""
        tcp, sign = self.mirrored(tcp)
        z = sign * z
        # Relative to what the prior covers: beyond it, the linearisation tells the direction.
        step, residual = self._step(z, tcp, self.linearisation_error**2)
        scaled = torch.cat([step, residual / self.tcp_step], dim=1)
        inputs = [z, scaled.clamp(-BOUND, BOUND), self.features(tcp)]
        x = z + self.network(torch.cat(inputs, dim=1))
        for _ in range(self.config.projections):
            x = x - self._step(x, tcp)[0]
        return sign * self.unit(x) * x

    def _step(self, x: Tensor, tcp: Tensor, damping: float | None = None) -> tuple[Tensor, Tensor]:
        """A step towards the target, and f(theta) - tcp; damped by its square by default."""
        sigma = self.unit(x)
        point, jacobian = self.arm.linearised(sigma * x)
        residual = point - tcp
        # In units of x, the Jacobian is sigma times that in radians, and so is its damping.
        own = max(self.sigma) ** 2 * residual.square().sum(dim=1) if damping is None else damping
        return damped_step(sigma * jacobian, residual, own), residual

    @torch.no_grad()
    def training_inputs(
        self,
        theta: Tensor,
        tcp: Tensor,
        teacher: NetworkSampler | None,
        generator: Generator | None,
    ) -> Tensor:
        """Joint angles that the flow draws for each TCP, beside the prior samples they come from.

        Shape (batch, 2 dof).

        Raises:
            ValueError: If there is no teacher.
        """
        if teacher is None:
            raise ValueError(f"{self.name!r} learns from a trained {self.teacher!r}; got none")
        z = noise_like(theta, generator)
        drawn = [
            teacher.decode(*part) for part in zip(z.split(_ROWS), tcp.split(_ROWS), strict=True)
        ]
        return torch.cat([torch.cat(drawn), z], dim=1)

    def loss(
        self, theta: Tensor, tcp: Tensor, progress: float, generator: Generator | None = None
    ) -> dict[str, Tensor]:
        """Term `distance`: squared distance to the teacher's samples, a mean over the batch.

        In units of the prior's variance. `theta` is what `training_inputs` returns.
        """
        wanted, z = theta.chunk(2, dim=1)
        difference = (self.decode(z, tcp) - wanted) / self.unit(wanted)
        return {"distance": difference.square().sum(dim=1).mean()}
