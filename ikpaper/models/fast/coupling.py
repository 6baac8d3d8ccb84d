"""The map of an invertible network of FrEIA's blocks, computed from FrEIA's parameters."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from ikpaper.models.fast.stacked import StackedNetworks, linear_layers

if TYPE_CHECKING:
    from FrEIA.framework import SequenceINN
    from FrEIA.modules import RNVPCouplingBlock


class CouplingChain:
    """What `SequenceINN` computes, faster; for permutations and affine coupling blocks.

    Holds stacked copies of the parameters: make one for each step, and use it for all passes of
    the step. Gradients reach the parameters of the blocks.

    Args:
        blocks: Blocks of the types `RNVPCouplingBlock`, whose subnets are linear layers with
            LeakyReLUs of one slope, and `PermuteRandom`.
        precision: Dtype of the subnets' hidden layers. The coupling itself keeps the dtype of
            its input, so the map inverts exactly for every precision of its subnets.
    """

    def __init__(self, blocks: SequenceINN, precision: torch.dtype | None = None) -> None:
        from FrEIA.modules import RNVPCouplingBlock

        self._stages = [
            _Coupling(block, precision) if isinstance(block, RNVPCouplingBlock) else block
            for block in blocks
        ]

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Outputs and `log |det d output/d x|`, of shapes (n, d) and (n,)."""
        log_det = x.new_zeros(len(x))
        for stage in self._stages:
            if isinstance(stage, _Coupling):
                x, scales = stage.forward(x)
                log_det = log_det + scales
            else:
                x = x[:, stage.perm]
        return x, log_det

    def inverse(self, y: Tensor) -> tuple[Tensor, Tensor]:
        """Inputs and `log |det d input/d y|`, of shapes (n, d) and (n,)."""
        log_det = y.new_zeros(len(y))
        for stage in reversed(self._stages):
            if isinstance(stage, _Coupling):
                y, scales = stage.inverse(y)
                log_det = log_det - scales
            else:
                y = y[:, stage.perm_inv]
        return y, log_det


class _Coupling:
    """One affine coupling block: v1 = u1 exp(s2(u2)) + t2(u2), v2 = u2 exp(s1(v1)) + t1(v1)."""

    def __init__(self, block: RNVPCouplingBlock, precision: torch.dtype | None) -> None:
        self.block = block
        self.sizes = [block.split_len1, block.split_len2]
        self.of_second = _pair(block.subnet_s2, block.subnet_t2, precision)
        self.of_first = _pair(block.subnet_s1, block.subnet_t1, precision)

    def _scale_and_shift(self, networks: StackedNetworks, x: Tensor) -> tuple[Tensor, Tensor]:
        s, t = networks(x)
        return self.block.clamp * self.block.f_clamp(s), t

    def forward(self, u: Tensor) -> tuple[Tensor, Tensor]:
        u1, u2 = u.split(self.sizes, dim=1)
        s2, t2 = self._scale_and_shift(self.of_second, u2)
        v1 = torch.addcmul(t2, u1, s2.exp())
        s1, t1 = self._scale_and_shift(self.of_first, v1)
        v2 = torch.addcmul(t1, u2, s1.exp())
        return torch.cat([v1, v2], dim=1), s1.sum(dim=1) + s2.sum(dim=1)

    def inverse(self, v: Tensor) -> tuple[Tensor, Tensor]:
        v1, v2 = v.split(self.sizes, dim=1)
        s1, t1 = self._scale_and_shift(self.of_first, v1)
        u2 = (v2 - t1) * (-s1).exp()
        s2, t2 = self._scale_and_shift(self.of_second, u2)
        u1 = (v1 - t2) * (-s2).exp()
        return torch.cat([u1, u2], dim=1), s1.sum(dim=1) + s2.sum(dim=1)


def _pair(s: nn.Sequential, t: nn.Sequential, precision: torch.dtype | None) -> StackedNetworks:
    slopes = {layer.negative_slope for layer in s if isinstance(layer, nn.LeakyReLU)}
    return StackedNetworks(
        [linear_layers(s), linear_layers(t)],
        slope=slopes.pop(),
        activate_last=isinstance(s[-1], nn.LeakyReLU),
        precision=precision,
    )
