"""Planar arms with revolute joints: kinematics and workspace."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    TensorLike = Tensor | ArrayLike

__all__ = ["PlanarArm", "as_tensor", "wrap"]


def as_tensor(values: TensorLike, **kwargs: Any) -> Tensor:
    """Tensor from a tensor, an array or nested lists; what is not floating becomes float64."""
    if not isinstance(values, Tensor):
        values = torch.from_numpy(np.array(values, dtype=None))
    if not values.is_floating_point():
        values = values.to(torch.float64)
    return values.to(**kwargs) if kwargs else values


@lru_cache(maxsize=256)
def _constant(values: tuple[float, ...], dtype: torch.dtype, device: torch.device) -> Tensor:
    """A tensor that is made once: on a GPU its copy would wait, and fit into no CUDA graph."""
    return torch.tensor(values, dtype=dtype, device=device)


def wrap(angle: Tensor) -> Tensor:
    """Angles folded into (-pi, pi]."""
    return torch.pi - torch.remainder(torch.pi - angle, 2 * torch.pi)


class PlanarArm:
    """Planar arm of revolute joints in a row, with its base at the origin.

    Joint angles `theta` are relative to the previous link, in radians; lengths and positions
    share one arbitrary unit. The TCP (tool centre point) is the tip of the last link; its
    orientation is not part of it. Forward kinematics as in the paper's "Dataset" slide.

    Args:
        lengths: Link lengths from base to tip, all finite and positive, shape (dof,).

    Raises:
        ValueError: If `lengths` is empty, not one-dimensional, or holds a length that is not
            finite and positive.

    Example:
        >>> arm = PlanarArm([0.5, 0.5, 1.0])
        >>> arm.dof, arm.reach
        (3, 2.0)
        >>> arm.forward([0.0, 0.0, 0.0]).tolist()
        [2.0, 0.0]
    """

    #: Degrees of freedom of the four arms in the paper.
    PAPER_DOF = (4, 6, 8, 10)

    def __init__(self, lengths: Sequence[float] | Tensor | np.ndarray) -> None:
        values = np.asarray(lengths, dtype=float)
        if values.ndim != 1 or values.size == 0:
            raise ValueError(
                "link lengths: expected a non-empty list of numbers, one a link, "
                f"got {lengths!r} of shape {values.shape}"
            )
        if not np.isfinite(values).all() or (values <= 0).any():
            raise ValueError(
                f"link lengths: expected finite positive numbers, got {values.tolist()}"
            )
        self.lengths: tuple[float, ...] = tuple(values.tolist())

    @classmethod
    def paper(cls, dof: int) -> PlanarArm:
        """One of the paper's four arms.

        Raises:
            ValueError: If the paper has no arm with `dof` joints.
        """
        if dof not in cls.PAPER_DOF:
            raise ValueError(
                f"the paper has no arm with dof={dof!r}; its arms have dof "
                f"{', '.join(map(str, cls.PAPER_DOF))} (any other: PlanarArm([...]) or "
                "PlanarArm.like_paper(dof))"
            )
        return cls.like_paper(dof)

    @classmethod
    def like_paper(cls, dof: int) -> PlanarArm:
        """Arm built by the paper's rule for any number of joints: links of 0.5, the last of 1.0."""
        if dof < 1:
            raise ValueError(f"dof: expected at least 1, got {dof}")
        return cls([0.5] * (dof - 1) + [1.0])

    @property
    def dof(self) -> int:
        """Number of joints."""
        return len(self.lengths)

    @property
    def reach(self) -> float:
        """Outer radius of the workspace: the sum of the link lengths."""
        return float(sum(self.lengths))

    @property
    def hole(self) -> float:
        """Inner radius of the workspace, positive if one link outreaches all others together."""
        return max(0.0, 2 * max(self.lengths) - self.reach)

    def __repr__(self) -> str:
        return f"PlanarArm({list(self.lengths)})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, PlanarArm) and self.lengths == other.lengths

    def __hash__(self) -> int:
        return hash(self.lengths)

    def forward(self, theta: TensorLike) -> Tensor:
        """TCP positions (..., 2) of joint angles `theta` (..., dof) in radians.

        Raises:
            ValueError: If the last axis of `theta` is not dof long.
        """
        phi, lengths = self._link_angles(theta)
        return torch.stack([phi.cos() @ lengths, phi.sin() @ lengths], dim=-1)

    def joint_positions(self, theta: TensorLike) -> Tensor:
        """Positions (..., dof + 1, 2) of base, joints and TCP for `theta` (..., dof)."""
        phi, lengths = self._link_angles(theta)
        links = torch.stack([phi.cos(), phi.sin()], dim=-1) * lengths[:, None]
        return torch.cat([torch.zeros_like(links[..., :1, :]), links.cumsum(dim=-2)], dim=-2)

    def jacobian(self, theta: TensorLike) -> Tensor:
        """Derivative d tcp / d theta, shape (..., 2, dof), of `theta` (..., dof)."""
        return self.linearised(theta)[1]

    def linearised(self, theta: TensorLike) -> tuple[Tensor, Tensor]:
        """TCP (..., 2) and Jacobian (..., 2, dof) of `theta` (..., dof), for little more than one.

        A joint turns all links from its own on, so its lever is the sum of those links.
        """
        phi, lengths = self._link_angles(theta)
        links = torch.stack([phi.cos(), phi.sin()], dim=-2) * lengths
        levers = links.flip(-1).cumsum(-1).flip(-1)
        x, y = levers.unbind(-2)
        return levers[..., 0], torch.stack([-y, x], dim=-2)

    def residual(
        self, tcp: Sequence[float] | np.ndarray
    ) -> tuple[Callable[[np.ndarray], np.ndarray], Callable[[np.ndarray], np.ndarray]]:
        """f(theta) - tcp and its Jacobian as plain numpy functions of one vector (dof,).

        SciPy's solvers call them a few dozen times a solve, where tensors would cost more than
        the arithmetic.
        """
        target, lengths = np.asarray(tcp, dtype=float), np.asarray(self.lengths)

        def value(theta: np.ndarray) -> np.ndarray:
            phi = np.cumsum(theta)
            return np.array([lengths @ np.cos(phi), lengths @ np.sin(phi)]) - target

        def jacobian(theta: np.ndarray) -> np.ndarray:
            phi = np.cumsum(theta)
            turned = lengths * np.stack([-np.sin(phi), np.cos(phi)])
            # Joint j moves all links from j on.
            return np.cumsum(turned[:, ::-1], axis=1)[:, ::-1]

        return value, jacobian

    def check_targets(self, tcp: TensorLike) -> Tensor:
        """Targets as a tensor (..., 2), checked to be points the arm can reach.

        Raises:
            ValueError: If the shape is wrong, a coordinate is not finite, or a target lies
                outside the workspace; the message gives the reachable radii.
        """
        tcp = as_tensor(tcp)
        if tcp.ndim not in (1, 2) or tcp.shape[-1] != 2 or tcp.numel() == 0:
            raise ValueError(f"tcp: expected shape (2,) or (B, 2), got {tuple(tcp.shape)}")
        if not torch.isfinite(tcp).all():
            raise ValueError(f"tcp: expected finite coordinates, got {tcp.tolist()}")
        radius = tcp.to(torch.float64).norm(dim=-1).reshape(-1)
        # Float32 targets of a fully stretched arm may round to just outside.
        slack = 4 * torch.finfo(tcp.dtype).eps * self.reach
        outside = (radius > self.reach + slack) | (radius < self.hole - slack)
        if outside.any():
            first = int(outside.nonzero()[0])
            raise ValueError(
                f"tcp {tcp.reshape(-1, 2)[first].tolist()} is at radius {radius[first]:.6g}; this "
                f"arm reaches radii from {self.hole:.6g} to {self.reach:.6g}"
            )
        return tcp

    def _link_angles(self, theta: TensorLike) -> tuple[Tensor, Tensor]:
        theta = as_tensor(theta)
        if theta.ndim == 0 or theta.shape[-1] != self.dof:
            raise ValueError(
                f"theta: expected shape (..., {self.dof}) for an arm with {self.dof} joints, "
                f"got {tuple(theta.shape)}"
            )
        return theta.cumsum(dim=-1), _constant(self.lengths, theta.dtype, theta.device)
