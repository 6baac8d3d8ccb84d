"""The paper's MMD as a training loss: value and gradients in one pass over each kernel matrix."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function

__all__ = ["mmd2_loss"]

#: Rows of a kernel matrix that are worked on at a time on the CPU: they stay in its cache.
_ROWS = 128

#: Squared distances below count as this, so that the kernel's slope stays finite.
_CLOSEST = 1e-12


def mmd2_loss(a: Tensor, b: Tensor, h: float) -> Tensor:
    """V-statistic with the paper's kernel h^2 / (h^2 + d), as `metrics.mmd2`.

    Same value and gradients up to rounding: distances come from inner products, and autograd
    keeps no kernel matrix. Samples are rows: a (n, d) and b (m, d).
    """
    return _mean_kernel(a, a, h) + _mean_kernel(b, b, h) - 2 * _mean_kernel(a, b, h)


def _mean_kernel(a: Tensor, b: Tensor, h: float) -> Tensor:
    return _MeanKernel.apply(a, b, h)


class _MeanKernel(Function):
    """Mean of h^2 / (h^2 + ||a_i - b_j||) over all i and j."""

    @staticmethod
    def forward(ctx: Any, a: Tensor, b: Tensor, h: float) -> Tensor:
        same = a is b
        wants_a, wants_b = ctx.needs_input_grad[:2]
        h2, scale = h**2, 1.0 / (len(a) * len(b))
        rows = _ROWS if a.device.type == "cpu" else len(a)
        one_a, one_b = a.new_ones(len(a), 1), b.new_ones(len(b), 1)
        # ||a - b||^2 as one product: (-2 a, |a|^2, 1) (b, 1, |b|^2)^T.
        left = torch.cat([-2 * a, a.square().sum(1, keepdim=True), one_a], dim=1)
        right = torch.cat([b, one_b, b.square().sum(1, keepdim=True)], dim=1)
        a_one, b_one = torch.cat([a, one_a], dim=1), torch.cat([b, one_b], dim=1)
        total = a.new_zeros(())
        pulls: list[Tensor] = []
        pulls_b = torch.zeros_like(b_one)
        for start in range(0, len(a), rows):
            distance = (left[start : start + rows] @ right.T).clamp_(min=_CLOSEST)
            if same:
                distance.diagonal(start).fill_(_CLOSEST)
            inverse = distance.rsqrt()
            kernel = distance.mul_(inverse).add_(h2).reciprocal_()
            total += kernel.sum()
            if wants_a or wants_b:
                # d kernel / d distance over distance: the pull of a pair along its difference.
                pull = kernel.square_().mul_(inverse)
                if same:
                    pull.diagonal(start).zero_()
                if wants_a:
                    pulls.append(pull @ b_one)
                if wants_b and not same:
                    pulls_b += pull.T @ a_one[start : start + rows]
        # k' = -h^2 / (h^2 + d)^2, and the kernel above still lacks its h^2.
        weight = -h2 * scale
        if wants_a:
            pulled = torch.cat(pulls)
            # In a kernel matrix of a set with itself, every point stands on both sides.
            ctx.of_a = (2 if same else 1) * weight * (a * pulled[:, -1:] - pulled[:, :-1])
        if wants_b and not same:
            ctx.of_b = weight * (b * pulls_b[:, -1:] - pulls_b[:, :-1])
        ctx.same = same
        return total * (h2 * scale)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Any, ...]:
        wants_a, wants_b = ctx.needs_input_grad[:2]
        return (
            gradient * ctx.of_a if wants_a else None,
            gradient * ctx.of_b if wants_b and not ctx.same else None,
            None,
        )
