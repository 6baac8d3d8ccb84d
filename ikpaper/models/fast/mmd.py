"""The paper's MMD as a training loss: value and gradients in one pass over each kernel matrix."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function

#: Rows of a kernel matrix that are worked on at a time on the CPU: they stay in its cache.
_ROWS = 128

#: Squared distances below count as this, so that the kernel's slope stays finite.
_CLOSEST = 1e-12


def mmd2_loss(a: Tensor, b: Tensor, h: float) -> Tensor:
    """V-statistic with the paper's kernel h^2 / (h^2 + d), as `metrics.mmd2`.

    Same value and gradients up to rounding: distances come from inner products, and autograd
    keeps no kernel matrix. Samples are rows: a (n, d) and b (m, d).
    """
    return _mean_kernel(a, None, h) + _mean_kernel(b, None, h) - 2 * _mean_kernel(a, b, h)


def _mean_kernel(a: Tensor, b: Tensor | None, h: float) -> Tensor:
    wanted = [s is not None and s.requires_grad and torch.is_grad_enabled() for s in (a, b)]
    return _MeanKernel.apply(a, b, h, *wanted)[0]


class _MeanKernel(Function):
    """Mean of h^2 / (h^2 + ||a_i - b_j||) over all i and j, and its gradients; b is a if None.

    The gradients serve the backward pass alone. Where that is to be differentiated again, it makes
    them anew of operations that autograd knows.
    """

    generate_vmap_rule = True

    @staticmethod
    def forward(
        a: Tensor, b: Tensor | None, h: float, wants_a: bool, wants_b: bool
    ) -> tuple[Tensor, Tensor | None, Tensor | None]:
        other = a if b is None else b
        h2, scale = h**2, 1.0 / (len(a) * len(other))
        rows = _ROWS if a.device.type == "cpu" else len(a)
        one_a, one_b = a.new_ones(len(a), 1), other.new_ones(len(other), 1)
        # ||a - b||^2 as one product: (-2 a, |a|^2, 1) (b, 1, |b|^2)^T.
        left = torch.cat([-2 * a, a.square().sum(1, keepdim=True), one_a], dim=1)
        right = torch.cat([other, one_b, other.square().sum(1, keepdim=True)], dim=1)
        a_one, b_one = torch.cat([a, one_a], dim=1), torch.cat([other, one_b], dim=1)
        total = a.new_zeros(())
        pulls: list[Tensor] = []
        pulls_b = torch.zeros_like(b_one)
        for start in range(0, len(a), rows):
            distance = (left[start : start + rows] @ right.T).clamp_(min=_CLOSEST)
            if b is None:
                distance.diagonal(start).fill_(_CLOSEST)
            inverse = distance.rsqrt()
            kernel = distance.mul_(inverse).add_(h2).reciprocal_()
            total = total + kernel.sum()
            if wants_a or wants_b:
                # d kernel / d distance over distance: the pull of a pair along its difference.
                pull = kernel.square_().mul_(inverse)
                if b is None:
                    pull.diagonal(start).zero_()
                if wants_a:
                    pulls.append(pull @ b_one)
                if wants_b:
                    pulls_b = pulls_b + pull.T @ a_one[start : start + rows]
        # k' = -h^2 / (h^2 + d)^2, and the kernel above still lacks its h^2.
        weight = -h2 * scale
        of_a = of_b = None
        if wants_a:
            pulled = torch.cat(pulls)
            # In a kernel matrix of a set with itself, every point stands on both sides.
            of_a = (2 if b is None else 1) * weight * (a * pulled[:, -1:] - pulled[:, :-1])
        if wants_b:
            of_b = weight * (other * pulls_b[:, -1:] - pulls_b[:, :-1])
        return total * (h2 * scale), of_a, of_b

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor | None, ...]) -> None:
        a, b, ctx.h = inputs[:3]
        gradients = output[1:]
        ctx.mark_non_differentiable(*(each for each in gradients if each is not None))
        ctx.save_for_backward(a, b, *gradients)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor, *_: Any) -> tuple[Any, ...]:
        a, b, *gradients = ctx.saved_tensors
        wanted = ctx.needs_input_grad[:2]
        missing = any(want and of is None for want, of in zip(wanted, gradients, strict=True))
        if missing or torch.is_grad_enabled():
            gradients = _gradients(a, b, ctx.h)
        of_a, of_b = (
            gradient * of if want else None for want, of in zip(wanted, gradients, strict=True)
        )
        return of_a, of_b, None, None, None


def _gradients(a: Tensor, b: Tensor | None, h: float) -> list[Tensor | None]:
    """Gradients of the mean kernel by its two sets, which autograd can differentiate."""
    other = a if b is None else b
    squared = (a[:, None] - other).square().sum(dim=2).clamp(min=_CLOSEST)
    distance = squared.sqrt()
    pull = -(h**2) / ((h**2 + distance).square() * distance * squared.numel())
    if b is None:
        pull = 2 * pull * (1 - torch.eye(len(a), dtype=a.dtype, device=a.device))
    of_a = a * pull.sum(dim=1, keepdim=True) - pull @ other
    return [of_a, None if b is None else b * pull.sum(dim=0)[:, None] - pull.T @ a]
