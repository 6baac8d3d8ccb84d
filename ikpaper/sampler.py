"""The one contract: whatever answers "which joint angles reach this point?" is a sampler."""

from __future__ import annotations

import contextlib
import math
import threading
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, ClassVar, Protocol, runtime_checkable

import torch
from torch import Generator, Tensor

from ikpaper.arm import PlanarArm, TensorLike, as_tensor
from ikpaper.checks import check_count, check_generator
from ikpaper.identity import digest
from ikpaper.projection import PATIENCE, Projected, project

#: Held while a library draws from a global generator that we seed for it, torch's or numpy's.
GLOBAL_GENERATORS = threading.RLock()

#: torch fills noise on the CPU in blocks of this size, and draws the rest of it another way.
_BLOCK = 16

#: How often `Refined` draws samples anew that do not converge.
_REDRAWS = 10

_registered: dict[str, type[PosteriorSampler]] = {}

#: The classes of samplers by name, also those that are defined outside of this package.
SAMPLERS: Mapping[str, type[PosteriorSampler]] = MappingProxyType(_registered)


@runtime_checkable
class Sampler(Protocol):
    """What evaluation, plots and notebooks ask for, and all that a sampler of your own needs."""

    def sample(self, tcp: TensorLike, n: int, *, generator: Generator | None = None) -> Tensor:
        """`n` joint angle vectors for each target; see `PosteriorSampler.sample`."""
        ...


class PosteriorSampler(ABC):
    """Base of all samplers here: checks the input once, batches a single target, and delegates.

    A subclass that has a `name` is registered in `SAMPLERS` by being defined.

    Attributes:
        name: What the sampler is called in tables, weights and on the command line.
        label: What it is called in figures and in the book; by default the name.
        colour: Its colour in figures, as matplotlib takes it.
        marker: Its marker in figures, as matplotlib takes it.
        version: Part of the identity of whatever it makes. Raise it when its numbers change.
        arm: The arm it samples for.
    """

    name: ClassVar[str] = ""
    label: ClassVar[str] = ""
    colour: ClassVar[str] = "#5f6b76"
    marker: ClassVar[str] = "o"
    version: ClassVar[int] = 1
    arm: PlanarArm

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Register a class that has a name of its own.

        Raises:
            ValueError: If another class has that name.
        """
        super().__init_subclass__(**kwargs)
        if not (name := cls.__dict__.get("name")):
            return
        there = _registered.get(name)
        # A cell of a notebook that is run again defines the same class once more.
        if there and (there.__module__, there.__qualname__) != (cls.__module__, cls.__qualname__):
            raise ValueError(
                f"name: a sampler {name!r} is registered already, {there.__module__}."
                f"{there.__qualname__}; give {cls.__qualname__} another name"
            )
        if "label" not in cls.__dict__:
            cls.label = name
        _registered[name] = cls

    def sample(self, tcp: TensorLike, n: int, *, generator: Generator | None = None) -> Tensor:
        """Draw `n` joint angle vectors for each target.

        What a target gets is decided by the state of a generator on the CPU, by `n`, and by the
        targets before it in the batch, never by those after it: the first gets what it gets alone.
        Another `n` gives other samples. They are without a graph, whatever the target is part of.

        Args:
            tcp: Target positions, shape (2,) or (B, 2), in the unit of the link lengths.
            n: Samples per target, at least 1.
            generator: Source of randomness; torch's default generator if None.

        Returns:
            Joint angles in radians, shape (n, dof) for a single target, (B, n, dof) for a batch;
            a rail's position is in the unit of the lengths.

        Raises:
            ValueError: If `n` < 1, `generator` is none of torch's, or a target is malformed, not
                finite or out of reach.
        """
        n = check_count("n", n)
        generator = check_generator(generator)
        targets = self.arm.check_targets(tcp)
        theta = self._sample(targets.reshape(-1, 2), n, generator).detach()
        return theta if targets.ndim == 2 else theta[0]

    @abstractmethod
    def _sample(self, tcp: Tensor, n: int, generator: Generator | None) -> Tensor:
        """Samples (B, n, dof) for checked targets (B, 2)."""


class Refined:
    """A sampler whose samples are moved onto f(theta) = tcp afterwards, in float64.

    Samples that do not converge, see `projection.project`, are drawn again for their target and
    moved, up to ten times; a warning counts those that even then have not converged.

    Args:
        sampler: Anything with a method `sample(tcp, n, *, generator=None)`.
        steps: Gauss-Newton steps of all samples, at least 1.
        arm: The arm; by default the sampler's.

    Raises:
        ValueError: If there are no steps, or no arm is given and the sampler has none.
    """

    def __init__(self, sampler: Sampler, steps: int = 3, arm: PlanarArm | None = None) -> None:
        arm = getattr(sampler, "arm", None) if arm is None else arm
        if not isinstance(arm, PlanarArm):
            raise ValueError(f"arm: expected the arm of {type(sampler).__name__}, got {arm!r}")
        self.sampler, self.steps, self.arm = sampler, check_count("steps", steps), arm

    def sample(self, tcp: TensorLike, n: int, *, generator: Generator | None = None) -> Tensor:
        """Joint angles (n, dof) or (B, n, dof), float64; see `PosteriorSampler.sample`."""
        generator = check_generator(generator)
        state = (torch.default_generator if generator is None else generator).get_state()
        theta = as_tensor(self.sampler.sample(tcp, n, generator=generator), "samples").detach()
        targets = as_tensor(tcp, "tcp").detach()
        projected = project(self.arm, theta, targets, self.steps)
        if not projected.converged.all():
            device = theta.device if generator is None else generator.device
            projected = self._redrawn(projected, targets.reshape(-1, 2), state, device)
        if missed := int((~projected.converged).sum()):
            warnings.warn(
                f"{missed} of {projected.converged.numel()} samples have not converged after "
                f"{self.steps} steps, {PATIENCE} more and {_REDRAWS} redraws; the worst is "
                f"{float(projected.distance.max()):.2g} away from its target. `ikpaper.project` "
                "tells which",
                stacklevel=2,
            )
        return projected.theta

    def _redrawn(
        self, projected: Projected, tcp: Tensor, state: Tensor, device: torch.device
    ) -> Projected:
        """With samples drawn anew for targets (B, 2), where possible, that had not converged.

        Each target has a generator of its own, seeded from itself and the caller's `state`: so
        its samples do not depend on the other targets, nor the caller's next numbers on redraws.
        """
        shape = projected.distance.shape
        theta = projected.theta.reshape(len(tcp), -1, self.arm.dof).clone()
        distance = projected.distance.reshape(len(tcp), -1).clone()
        converged = projected.converged.reshape(len(tcp), -1).clone()
        # What is not finite is a fault of the sampler, and no start too far away: it stays seen.
        lost = ~converged & distance.isfinite()
        for i in lost.any(dim=1).nonzero().flatten().tolist():
            target = tcp[i : i + 1]
            # A target that comes again gets other samples.
            before = int((tcp[:i] == target).all(dim=1).sum())
            seed = int(digest(state.tolist(), target.tolist(), before)[:15], 16)
            own = Generator(device).manual_seed(seed)
            for _ in range(_REDRAWS):
                left = lost[i].nonzero().flatten()
                if not len(left):
                    break
                drawn = as_tensor(self.sampler.sample(target, len(left), generator=own), "samples")
                again = project(self.arm, drawn.detach(), target, self.steps)
                good = again.converged[0].nonzero().flatten()[: len(left)]
                places = left[: len(good)]
                theta[i, places] = again.theta[0, good]
                distance[i, places] = again.distance[0, good]
                lost[i, places], converged[i, places] = False, True
        return Projected(
            theta.reshape(projected.theta.shape), distance.reshape(shape), converged.reshape(shape)
        )


def refined(sampler: Sampler, steps: int, arm: PlanarArm) -> Sampler:
    """A sampler with so many Gauss-Newton steps after it; for 0 steps the sampler itself."""
    return Refined(sampler, steps, arm) if steps else sampler


@contextlib.contextmanager
def seeded(seed: int) -> Iterator[None]:
    """For what draws from torch's global generator on the CPU alone: seeded, then left as it was.

    Layers take their initial weights from it, and sbi draws from nothing else. One thread at a
    time: others that come here wait.
    """
    with GLOBAL_GENERATORS, torch.random.fork_rng(devices=[]):
        # Not those of GPUs, which torch.manual_seed seeds, too.
        torch.default_generator.manual_seed(seed)
        yield


def normal(
    shape: tuple[int, ...],
    generator: Generator | None,
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
) -> Tensor:
    """Normal noise whose first rows do not depend on how many follow them.

    On the CPU, `torch.randn` draws the last numbers another way than all before: so whole blocks
    are drawn, and the rest of the last is dropped.

    Args:
        shape: Its shape.
        generator: Source of randomness; the noise is drawn where it lives.
        device: Where the noise is to be.
        dtype: Its type.
    """
    count = math.prod(shape)
    whole = -(-count // _BLOCK) * _BLOCK
    return noise(torch.randn, (whole,), generator, device, dtype)[:count].reshape(shape)


def noise(
    draw: Callable[..., Tensor],
    shape: tuple[int, ...],
    generator: Generator | None,
    device: torch.device | str,
    dtype: torch.dtype = torch.float32,
) -> Tensor:
    """What `torch.randn` or `torch.rand` draw where the generator lives, on `device`."""
    source = generator.device if generator is not None else device
    return draw(shape, generator=generator, device=source, dtype=dtype).to(device)
