"""Networks of equal shape as one batched product a layer, with a choice of precision.

The same numbers as calling `nn.Linear` after `nn.Linear`, faster: the subnets s and t of a
coupling block share their input, so both are one product; activations are overwritten in place;
and the backward pass is written out, which spares what autograd would keep and launch.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd import Function
from torch.nn import functional

from ikpaper.matmul import multiplies_bfloat16


class StackedNetworks:
    """Networks of linear layers with LeakyReLUs (slope 0: ReLUs) that share their input.

    Only the products between hidden layers run in `precision`. The first and the last layer stay
    in the parameters' own dtype: rounding there would quantise what goes in and comes out, and
    they cost little.

    Args:
        networks: Weight (out, in) and bias (out,) of every layer of each network; layer by layer
            of the same shapes.
        slope: Slope of the LeakyReLU for negative values.
        activate_last: Whether a LeakyReLU follows the last layer too.
        precision: Dtype of the products between hidden layers; by default the parameters'.
    """

    def __init__(
        self,
        networks: Sequence[Sequence[tuple[Tensor, Tensor]]],
        *,
        slope: float = 0.0,
        activate_last: bool = False,
        precision: torch.dtype | None = None,
    ) -> None:
        self.slope, self.activate_last = slope, activate_last
        self.parameters: list[Tensor] = []
        layers = list(zip(*networks, strict=True))
        for i, layer in enumerate(layers):
            weight = _stack([weight for weight, _ in layer])
            bias = _stack([bias for _, bias in layer])[:, None]
            inner = 0 < i < len(layers) - 1
            dtype = precision if inner and precision is not None else weight.dtype
            self.parameters += [weight.to(dtype), bias.to(dtype)]
        self.precision = precision or self.parameters[0].dtype

    def __call__(self, x: Tensor) -> Tensor:
        """Outputs (networks, n, outputs) for shared inputs (n, inputs)."""
        options = (self.slope, self.activate_last, self.precision)
        return _Networks.apply(x, *options, *self.parameters)[-1]


def linear_layers(network: nn.Sequential) -> list[tuple[Tensor, Tensor]]:
    """Weights and biases of the linear layers of a network."""
    return [(layer.weight, layer.bias) for layer in network if isinstance(layer, nn.Linear)]


def _stack(tensors: Sequence[Tensor]) -> Tensor:
    return tensors[0][None] if len(tensors) == 1 else torch.stack(list(tensors))


def _product(a: Tensor, b: Tensor, bias: Tensor | None = None) -> Tensor:
    """Batched product, plus a bias, in the dtype of its factors.

    Where a processor has no instructions for bfloat16, torch takes up to five times as long over
    such a product as in float32. Float32 holds products of bfloat16 numbers exactly, and hardware
    sums them in float32 too, so there they are computed in float32 and rounded once.
    """
    dtype = a.dtype
    if dtype == torch.bfloat16 and a.device.type == "cpu" and not multiplies_bfloat16():
        a, b, bias = a.float(), b.float(), None if bias is None else bias.float()
    product = torch.bmm(a, b) if bias is None else torch.baddbmm(bias, a, b)
    return product.to(dtype)


class _Networks(Function):
    """Results of every layer; the last are the outputs, the others only serve the backward pass.

    Since those are outputs too and the backward pass is made of differentiable operations,
    autograd can differentiate it again, and `torch.func` can transform it.
    """

    generate_vmap_rule = True

    @staticmethod
    def forward(
        x: Tensor,
        slope: float,
        activate_last: bool,
        precision: torch.dtype,
        *parameters: Tensor,
    ) -> tuple[Tensor, ...]:
        weights, biases = parameters[::2], parameters[1::2]
        hidden = x.expand(len(weights[0]), *x.shape)
        results = []
        last = len(weights) - 1
        for i, (weight, bias) in enumerate(zip(weights, biases, strict=True)):
            hidden = _product(hidden.to(weight.dtype), weight.transpose(1, 2), bias)
            if i < last:
                hidden = functional.leaky_relu_(hidden.to(precision), slope)
            elif activate_last:
                hidden = functional.leaky_relu_(hidden, slope)
            results.append(hidden)
        return tuple(results)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
        x, ctx.slope, ctx.activate_last, ctx.precision, *parameters = inputs
        ctx.save_for_backward(x, *parameters[::2], *output)
        # Of the hidden layers' results nothing has a gradient unless this is differentiated again.
        ctx.set_materialize_grads(False)

    @staticmethod
    def backward(ctx: Any, *of_results: Tensor | None) -> tuple[Any, ...]:
        layers = len(of_results)
        x, weights = ctx.saved_tensors[0], ctx.saved_tensors[1 : layers + 1]
        results = ctx.saved_tensors[layers + 1 :]
        inputs = [x.expand(len(weights[0]), *x.shape), *results[:-1]]
        precision = ctx.precision
        gradient: Tensor | None = None
        gradients: list[Tensor | None] = []
        for i in reversed(range(layers)):
            if (of_result := of_results[i]) is not None:
                gradient = of_result if gradient is None else gradient + of_result
            if gradient is None:
                gradients += [None, None]
                continue
            if i < layers - 1 or ctx.activate_last:
                # The sign of the result is the sign of the argument: slopes are not negative.
                gradient = torch.ops.aten.leaky_relu_backward(gradient, results[i], ctx.slope, True)
            gradient = gradient.to(precision)
            weight, hidden = weights[i], inputs[i].to(precision)
            gradients += [
                gradient.sum(dim=1, keepdim=True).to(weight.dtype),
                _product(gradient.transpose(1, 2), hidden).to(weight.dtype),
            ]
            if i:
                gradient = _product(gradient, weight.to(precision))
        of_input = None
        if gradient is not None and ctx.needs_input_grad[0]:
            # Summed over the networks in float32: they share their input.
            of_input = _product(gradient, weights[0].to(precision)).to(x.dtype).sum(dim=0)
        return of_input, None, None, None, *reversed(gradients)
