"""A reference implementation of the paper's networks and their training: the yardstick for speed.

FrEIA's blocks and torch's modules called as they are, in float32: one pass after the other,
`cdist` kernel matrices, a `DataLoader` over single items, an optimiser with default settings.
The tests hold the library's losses and gradients against those of this module.
"""

from __future__ import annotations

import torch
from torch import Generator, Tensor
from torch.utils.data import DataLoader, TensorDataset

from ikpaper.models import CVAE, INN, NetworkSampler


def loss(
    model: NetworkSampler, theta: Tensor, tcp: Tensor, progress: float, generator: Generator
) -> dict[str, Tensor]:
    """Loss terms of a batch; the same noise as `model.loss` draws from the same generator."""
    if isinstance(model, INN):
        return _inn_loss(model, theta, tcp, progress, generator)
    assert isinstance(model, CVAE)
    return _cvae_loss(model, theta, tcp, generator)


def _inn_loss(
    model: INN, theta: Tensor, tcp: Tensor, progress: float, generator: Generator
) -> dict[str, Tensor]:
    config = model.config

    def noise(like: Tensor) -> Tensor:
        return _normal(like.shape, generator, like)

    theta = theta + config.noise * noise(theta)
    tcp = tcp + config.noise * noise(tcp)
    output, _ = model.blocks(theta)
    z, predicted = output[:, :-2], output[:, -2:]
    wanted = torch.cat([noise(z), tcp], dim=1)
    perturbed = torch.cat([z + config.noise * noise(z), tcp], dim=1)
    cycled, _ = model.blocks(perturbed, rev=True)
    fresh = torch.cat([noise(z), tcp], dim=1)
    generated, _ = model.blocks(fresh, rev=True)
    joint = torch.cat([z, predicted.detach()], dim=1)
    h = config.kernel_width
    return {
        "L_y": config.weight_y * (predicted - tcp).square().sum(),
        "L_z": config.weight_z * mmd2(joint, wanted, h),
        "L_x": config.weight_x * _wrap(cycled - theta).square().sum(),
        "L_p(x)": model.ramp(progress) * config.weight_p * mmd2(generated, theta, h),
    }


def _cvae_loss(model: CVAE, theta: Tensor, tcp: Tensor, generator: Generator) -> dict[str, Tensor]:
    hidden = model.encoder(torch.cat([theta, tcp], dim=1))
    mean, log_variance = model.mean(hidden), model.log_variance(hidden)
    noise = _normal(mean.shape, generator, mean)
    z = mean + noise * torch.exp(0.5 * log_variance)
    decoded = model.decoder(torch.cat([z, tcp], dim=1))
    kl = -0.5 * (1 + log_variance - mean.square() - log_variance.exp()).sum()
    return {
        "reconstruction": _wrap(decoded - theta).square().sum(),
        "kl": model.config.kl_weight * kl,
    }


def _normal(shape: torch.Size | tuple[int, ...], generator: Generator, like: Tensor) -> Tensor:
    """Standard normal numbers, of the type and on the device of `like`."""
    drawn = torch.randn(shape, generator=generator, dtype=like.dtype, device=generator.device)
    return drawn.to(like.device)


def _wrap(angle: Tensor) -> Tensor:
    return torch.atan2(torch.sin(angle), torch.cos(angle))


def mmd2(a: Tensor, b: Tensor, h: float) -> Tensor:
    """The paper's V-statistic by three kernel matrices that autograd keeps."""

    def mean_kernel(x: Tensor, y: Tensor) -> Tensor:
        return (h**2 / (h**2 + torch.cdist(x, y))).mean()

    return mean_kernel(a, a) + mean_kernel(b, b) - 2 * mean_kernel(a, b)


def two_sample_test(
    a: Tensor, b: Tensor, h: float, permutations: int, generator: Generator
) -> tuple[float, float]:
    """Unbiased MMD^2 and p-value of the permutation test, by one kernel matrix, reordered."""
    n, m, points = len(a), len(b), torch.cat([a, b]).double()
    kernel = h**2 / (h**2 + torch.cdist(points, points))

    def blocks(order: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        matrix = kernel[order][:, order]
        return matrix[:n, :n], matrix[n:, n:], matrix[:n, n:]

    def statistic(order: Tensor) -> Tensor:
        within_a, within_b, between = blocks(order)
        return within_a.mean() + within_b.mean() - 2 * between.mean()

    given = torch.arange(n + m)
    # Where each point goes; `blocks` asks which point is where.
    places = [torch.randperm(n + m, generator=generator) for _ in range(permutations)]
    orders = [place.argsort() for place in places]
    values = torch.stack([statistic(order) for order in (given, *orders)])
    within_a, within_b, between = blocks(given)
    unbiased = sum((k.sum() - k.trace()) / (len(k) * (len(k) - 1)) for k in (within_a, within_b))
    # Relabellings that swap the sets are equal but for rounding.
    p_value = (values >= values[0] - 1e-9).double().mean()
    return float(unbiased - 2 * between.mean()), float(p_value)


class Trainer:
    """The reference training loop of a model over a data set in memory."""

    def __init__(self, model: NetworkSampler, theta: Tensor, tcp: Tensor, batch: int) -> None:
        config = model.config
        self.model = model
        self.optimizer = torch.optim.Adam(
            model.parameters(),
            lr=config.learning_rate,
            weight_decay=config.weight_decay,
            eps=config.adam_eps,
        )
        self.device = next(model.parameters()).device
        self.generator = Generator(self.device).manual_seed(0)
        data = TensorDataset(theta.cpu(), tcp.cpu())
        order = Generator().manual_seed(0)
        self.loader = DataLoader(data, batch, shuffle=True, generator=order)

    def epoch(self) -> float:
        """One pass over the data; the mean loss."""
        total = 0.0
        for items in self.loader:
            theta, tcp = (item.to(self.device) for item in items)
            terms = loss(self.model, theta, tcp, 0.5, self.generator)
            value = sum(terms.values())
            self.optimizer.zero_grad()
            value.backward()
            if self.model.config.grad_clamp is not None:
                for parameter in self.model.parameters():
                    if parameter.grad is not None:
                        bound = self.model.config.grad_clamp
                        parameter.grad.data.clamp_(-bound, bound)
            self.optimizer.step()
            total += value.item()
        return total / len(self.loader)


@torch.no_grad()
def sample(model: NetworkSampler, tcp: Tensor, n: int, generator: Generator) -> Tensor:
    """`n` samples for each target, through the modules as they are."""
    targets = tcp.float().repeat_interleave(n, dim=0)
    z = _normal((len(targets), model.config.latent), generator, targets)
    inputs = torch.cat([z, targets], dim=1)
    if isinstance(model, INN):
        theta, _ = model.blocks(inputs, rev=True)
    else:
        assert isinstance(model, CVAE)
        theta = model.decoder(inputs)
    return theta.reshape(len(tcp), n, -1)
