"""Planar arms of revolute joints, fixed or on a rail: kinematics and workspace."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, ClassVar, TypeAlias

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad

from ikpaper.checks import Sigma, check_count, check_sigma

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

#: What functions take for tensors.
TensorLike: TypeAlias = "Tensor | ArrayLike"

#: Standard deviation of the paper's prior, in radians ("Dataset" slide).
_PAPER_SIGMA = 0.2


def as_tensor(values: TensorLike, name: str = "values") -> Tensor:
    """Tensor from a tensor, an array or nested lists; what is not floating becomes float64.

    Args:
        values: Real numbers, in any byte order. The graph of a tensor is kept.
        name: What they are, for the message.

    Raises:
        ValueError: If they are no real numbers, or lists of different lengths.
    """
    if not isinstance(values, Tensor):
        try:
            array = np.array(values)
            values = torch.from_numpy(array.astype(array.dtype.newbyteorder("=")))
        except (TypeError, ValueError, RuntimeError) as error:
            raise ValueError(f"{name}: expected an array of numbers, got {values!r}") from error
    if values.is_complex():
        raise ValueError(f"{name}: expected real numbers, got {values.dtype}")
    return values if values.is_floating_point() else values.to(torch.float64)


#: Constants on each device, bounded by the number of arms that a process can care about.
_CONSTANTS: dict[tuple[tuple[float, ...], torch.dtype, torch.device], Tensor] = {}
_MOST_CONSTANTS = 256


def constant(values: tuple[float, ...], dtype: torch.dtype, device: torch.device) -> Tensor:
    """A tensor that is made once: on a GPU its copy would wait, and fit into no CUDA graph.

    It is kept only if it can be used everywhere: tensors that are made while torch traces a
    function, or transforms it, hold no values or belong to that call.
    """
    key = (values, dtype, device)
    known = _CONSTANTS.get(key)
    if known is not None:
        return known
    # Inference tensors cannot take part in what is differentiated later.
    with torch.inference_mode(False):
        made = torch.tensor(values, dtype=dtype, device=device)
    if _has_values(made):
        if len(_CONSTANTS) >= _MOST_CONSTANTS:
            _CONSTANTS.clear()
        _CONSTANTS[key] = made
    return made


def _has_values(tensor: Tensor) -> bool:
    """Whether a tensor is a plain one, with memory of its own."""
    try:
        return type(tensor) is Tensor and tensor.untyped_storage().data_ptr() != 0
    except (NotImplementedError, RuntimeError):  # Within a transform of torch.func.
        return False


def _without_autocast(device: torch.device) -> AbstractContextManager[object]:
    """Positions are computed in the precision of their angles: autocast would round them."""
    kind = device.type
    if kind in ("cpu", "cuda") and torch.is_autocast_enabled(kind):
        return torch.autocast(kind, enabled=False)
    return nullcontext()


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

    #: How many joints, from the first on, slide instead of turning.
    rails: ClassVar[int] = 0

    #: Standard deviations of the prior that belongs to the arm, one a joint, if one does; see
    #: `prior_sigma`.
    sigma: tuple[float, ...] | None = None

    #: What `radial_distance` measures, in messages: one and many.
    _MEASURE: ClassVar[tuple[str, str]] = ("radius", "radii")

    def __init__(self, lengths: Sequence[float] | Tensor | np.ndarray) -> None:
        values = as_tensor(lengths, "link lengths").detach().cpu().double().numpy()
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

    @staticmethod
    def like_paper(dof: int) -> PlanarArm:
        """Arm built by the paper's rule for any number of joints: links of 0.5, the last of 1.0."""
        dof = check_count("dof", dof)
        return PlanarArm([0.5] * (dof - 1) + [1.0])

    @property
    def dof(self) -> int:
        """Number of joints."""
        return len(self.lengths)

    @property
    def reach(self) -> float:
        """Outer radius of the workspace: the sum of the link lengths."""
        return float(sum(self.lengths))

    @property
    def inner_radius(self) -> float:
        """Inner radius of the workspace, positive if one link outreaches all others together."""
        return max(0.0, 2 * max(self.lengths) - self.reach)

    def prior_sigma(self, sigma: Sigma | None = None) -> tuple[float, ...]:
        """Standard deviations of a prior, one a joint, in radians (a rail's in units of length).

        Args:
            sigma: One value for all joints, or one a joint; by default the arm's own prior, and
                the paper's 0.2 for an arm that has none.

        Raises:
            ValueError: If a value is not finite and positive, or their number is not 1 or dof.
        """
        own = _PAPER_SIGMA if self.sigma is None else self.sigma
        return check_sigma(own if sigma is None else sigma, self.dof)

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
        with _without_autocast(phi.device):
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

    def wrapped(self, theta: Tensor) -> Tensor:
        """Joint angles (..., dof) folded into (-pi, pi]."""
        return wrap(theta)

    def radial_distance(self, tcp: Tensor) -> Tensor:
        """Distance (...) that the links have to bridge to reach targets (..., 2)."""
        return tcp.norm(dim=-1)

    def elbow(self, before: Tensor, after: Tensor, tcp: Tensor) -> tuple[Tensor, Tensor]:
        """How to turn one joint so that the first one can do the rest: the law of cosines.

        Args:
            before: Vectors (2, n) from the base to the joint, with the first joint at zero.
            after: Vectors (2, n) from there to the TCP, with this joint at zero as well.
            tcp: Target, shape (2,), or one each, (2, n).

        Returns:
            The angle (n,) in the middle between both solutions, and the cosine (n,) of what lies
            between it and either; there is none where that is beyond 1.
        """
        a2, b2 = before.square().sum(dim=0), after.square().sum(dim=0)
        cosine = (tcp.square().sum(dim=0) - a2 - b2) / (2 * (a2 * b2).sqrt())
        return _heading(before) - _heading(after), cosine

    def aim(self, point: Tensor, tcp: Tensor) -> Tensor:
        """What the first joint is to add, shape (...), to bring points (2, ...) onto a target."""
        return _heading(tcp) - _heading(point)

    def minors(self, theta: Tensor, tcp: Tensor) -> Tensor:
        """Minors of the Jacobian, of its first column with each other one, up to their sign.

        Args:
            theta: Joint angles (..., dof) that reach the target.
            tcp: Target, shape (2,).

        Returns:
            Shape (..., dof - 1).
        """
        joints = self.joint_positions(theta)[..., 1:-1, :]
        return joints[..., 0] * tcp[1] - joints[..., 1] * tcp[0]

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
        """Targets as a tensor (..., 2) without a graph, checked to be points the arm can reach.

        Raises:
            ValueError: If the shape is wrong, a coordinate is not finite, or a target lies
                outside the workspace; the message gives the reachable radii.
        """
        tcp = as_tensor(tcp, "tcp").detach()
        if tcp.ndim not in (1, 2) or tcp.shape[-1] != 2 or tcp.numel() == 0:
            raise ValueError(
                "tcp: expected one target, shape (2,), or a batch of at least one, (B, 2), got "
                f"shape {tuple(tcp.shape)}"
            )
        if not torch.isfinite(tcp).all():
            raise ValueError(f"tcp: expected finite coordinates, got {tcp.tolist()}")
        distance = self.radial_distance(tcp.to(torch.float64)).reshape(-1)
        # Float32 targets of a fully stretched arm may round to just outside.
        rounding = 4 * torch.finfo(tcp.dtype).eps * self.reach
        outside = (distance > self.reach + rounding) | (distance < self.inner_radius - rounding)
        if outside.any():
            first = int(outside.nonzero()[0])
            one, many = self._MEASURE
            raise ValueError(
                f"tcp {tcp.reshape(-1, 2)[first].tolist()} is at {one} {distance[first]:.6g}; this "
                f"arm reaches {many} from {self.inner_radius:.6g} to {self.reach:.6g}"
            )
        return tcp

    def inside(self, tcp: Tensor) -> Tensor:
        """Whether targets (..., 2) are off the boundary of the workspace, by more than rounding.

        A single configuration reaches a target there: links in one line.
        """
        distance, rounding = self.radial_distance(tcp.to(torch.float64)), 1e-12 * self.reach
        inner = -self.reach if self.rails else 2 * max(self.lengths) - self.reach
        return (distance < self.reach - rounding) & (distance > inner + rounding)

    def _link_angles(self, theta: TensorLike) -> tuple[Tensor, Tensor]:
        theta = as_tensor(theta, "theta")
        if theta.ndim == 0 or theta.shape[-1] != self.dof:
            raise ValueError(
                f"theta: expected shape (..., {self.dof}) for an arm with {self.dof} joints, "
                f"got {tuple(theta.shape)}"
            )
        return self._headings(theta), constant(self.lengths, theta.dtype, theta.device)

    def _headings(self, theta: Tensor) -> Tensor:
        """Direction of each joint's link, shape (..., dof)."""
        return theta.cumsum(dim=-1)


class RailArm(PlanarArm):
    """Planar arm whose base slides along a rail, the y axis, before its first link.

    `theta[0]` is how far the base is from the origin, in the unit of the lengths; the joints
    after it turn, as those of `PlanarArm` do. `lengths` has a number for each joint: 0 for the
    rail, which has no link.

    With the links and the prior of `benchmark`, this is the benchmark *inverse kinematics* of
    Ardizzone et al. (2018) and Kruse et al. (2021), in the convention of their code
    (github.com/vislearn/inn_toy_data) and of BayesFlow, which has y before x. With x1 for
    theta[0] and x2, x3, x4 for the angles, those compute::

        x = l1 cos(x2) + l2 cos(x2 + x3) + l3 cos(x2 + x3 + x4)
        y = l1 sin(x2) + l2 sin(x2 + x3) + l3 sin(x2 + x3 + x4) + x1

    A formula in print has x3 - x2 and x4 - x2 - x3 for the headings of the second and the third
    link. Under independent angles that is another distribution, which no change of signs leads
    to: the headings of the first two links correlate negatively there, and positively here.

    The prior that belongs to the arm, `sigma`, is the benchmark's, with that of the rail in
    proportion to the links.

    Args:
        lengths: Lengths of the links after the rail, all finite and positive, shape (dof - 1,).

    Raises:
        ValueError: As `PlanarArm`.

    Example:
        >>> arm = RailArm.benchmark()
        >>> arm.dof, arm.reach, arm.sigma
        (4, 2.0, (0.25, 0.5, 0.5, 0.5))
        >>> arm.forward([0.3, 0.0, 0.0, 0.0]).tolist()
        [2.0, 0.3]
    """

    rails = 1
    _MEASURE = ("distance from the rail", "distances")

    #: Standard deviations of the benchmark's prior: of the rail, in reaches, and of each angle.
    _PRIOR = (1 / 8, 0.5)

    def __init__(self, lengths: Sequence[float] | Tensor | np.ndarray) -> None:
        super().__init__(lengths)
        rail, angle = self._PRIOR
        self.sigma = (rail * self.reach, *(angle for _ in self.lengths))
        self.lengths = (0.0, *self.lengths)

    @staticmethod
    def benchmark() -> RailArm:
        """The arm of Ardizzone et al. (2018): links of 0.5, 0.5 and 1."""
        return RailArm([0.5, 0.5, 1.0])

    @property
    def inner_radius(self) -> float:
        """Zero: the base moves to where the links reach the target."""
        return 0.0

    def __repr__(self) -> str:
        return f"RailArm({list(self.lengths[1:])})"

    def forward(self, theta: TensorLike) -> Tensor:
        """TCP positions (..., 2) of rail and joint angles `theta` (..., dof).

        Raises:
            ValueError: If the last axis of `theta` is not dof long.
        """
        return super().forward(theta) + _along_rail(theta)

    def joint_positions(self, theta: TensorLike) -> Tensor:
        """Positions (..., dof + 1, 2) of origin, base, joints and TCP for `theta` (..., dof)."""
        origin, moved = super().joint_positions(theta).tensor_split([1], dim=-2)
        return torch.cat([origin, moved + _along_rail(theta)[..., None, :]], dim=-2)

    def linearised(self, theta: TensorLike) -> tuple[Tensor, Tensor]:
        """TCP (..., 2) and Jacobian (..., 2, dof) of rail and joint angles `theta` (..., dof)."""
        point, jacobian = super().linearised(theta)
        rail = constant((0.0, 1.0), jacobian.dtype, jacobian.device)
        rail = rail[:, None].expand_as(jacobian[..., :1])
        return point + _along_rail(theta), torch.cat([rail, jacobian[..., 1:]], dim=-1)

    def wrapped(self, theta: Tensor) -> Tensor:
        """Joint angles of `theta` (..., dof) folded into (-pi, pi]; the rail stays as it is."""
        return torch.cat([theta[..., :1], wrap(theta[..., 1:])], dim=-1)

    def radial_distance(self, tcp: Tensor) -> Tensor:
        """Distance (...) of targets (..., 2) from the rail."""
        return tcp[..., 0].abs()

    def elbow(self, before: Tensor, after: Tensor, tcp: Tensor) -> tuple[Tensor, Tensor]:
        """How to turn one joint so that the rail can do the rest; see `PlanarArm.elbow`.

        It is to put the TCP at the target's distance from the rail.
        """
        return -_heading(after), (tcp[0] - before[0]) / after.norm(dim=0)

    def aim(self, point: Tensor, tcp: Tensor) -> Tensor:
        """How far the rail is to move on, shape (...), to bring points (2, ...) onto a target."""
        return tcp[1] - point[1]

    def minors(self, theta: Tensor, tcp: Tensor) -> Tensor:
        """Minors (..., dof - 1) of the rail's column with each other; see `PlanarArm.minors`."""
        return self.joint_positions(theta)[..., 1:-1, 1] - tcp[1]

    def residual(
        self, tcp: Sequence[float] | np.ndarray
    ) -> tuple[Callable[[np.ndarray], np.ndarray], Callable[[np.ndarray], np.ndarray]]:
        """f(theta) - tcp and its Jacobian as plain numpy functions of one vector (dof,)."""
        links, of_links = super().residual(tcp)
        rail, turning = np.array([0.0, 1.0]), np.arange(self.dof) > 0

        def value(theta: np.ndarray) -> np.ndarray:
            return links(theta * turning) + theta[0] * rail

        def jacobian(theta: np.ndarray) -> np.ndarray:
            return np.where(turning, of_links(theta * turning), rail[:, None])

        return value, jacobian

    def _headings(self, theta: Tensor) -> Tensor:
        return pad(theta[..., 1:].cumsum(dim=-1), (1, 0))


def arm_of(lengths: Sequence[float]) -> PlanarArm:
    """The arm that has these `lengths`, one a joint; a 0 in front is a rail.

    Raises:
        ValueError: As `PlanarArm`.
    """
    on_rail = len(lengths) > 1 and lengths[0] == 0
    return RailArm(lengths[1:]) if on_rail else PlanarArm(lengths)


def resolve_arm(caller: str, dof: int | None, arm: PlanarArm | None) -> PlanarArm:
    """The arm that a function is asked about, by the DoF of one of the paper's or itself.

    Args:
        caller: Name of the function, for the message.
        dof: Number of joints of one of the paper's arms, if no arm is given.
        arm: Any arm, if no dof is given.

    Raises:
        ValueError: If neither or both are given, or one is of the wrong type or unknown.
    """
    if (dof is None) == (arm is None):
        raise ValueError(f"{caller}: expected either dof or arm, got dof={dof!r} and arm={arm!r}")
    if arm is None:
        return PlanarArm.paper(check_count("dof", dof))
    if not isinstance(arm, PlanarArm):
        raise ValueError(f"{caller}: arm: expected a PlanarArm, got {arm!r}")
    return arm


def _along_rail(theta: TensorLike) -> Tensor:
    """Vectors (..., 2) from the origin to the base."""
    return pad(as_tensor(theta)[..., :1], (1, 0))


def _heading(vector: Tensor) -> Tensor:
    return torch.atan2(vector[1], vector[0])
