"""Checks of arguments: each returns the value to use, or raises a ValueError that names it."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike
    from torch import Generator, Tensor


#: Standard deviation of a prior: one value for all joints, or one a joint.
Sigma: TypeAlias = "float | Sequence[float] | Tensor | ArrayLike"

#: Bytes of a number in double precision.
_DOUBLE = 8


def check_count(name: str, value: Any, least: int = 1) -> int:
    """`value` as an int if it is a whole number of at least `least`, 1e3 and 3.0 for instance."""
    number = _number(value)
    if number is None or not number.is_integer() or number < least:
        raise ValueError(f"{name}: expected a whole number of at least {least}, got {value!r}")
    # From the value itself: a float holds no integer beyond 2^53.
    return int(value)


def check_finite(name: str, values: Tensor) -> Tensor:
    """`values` if all of them are finite."""
    if bad := int((~values.isfinite()).sum()):
        raise ValueError(
            f"{name}: expected finite numbers, got {bad} of {values.numel()} that are not"
        )
    return values


def check_known(what: str, names: Iterable[object], known: Collection[str]) -> None:
    """Raise if some of the names of things are not among those that are known."""
    # Compared one by one: a name that came in error, a list say, may have no hash.
    every = list(known)
    if unknown := sorted({repr(name) for name in names if name not in every}):
        raise ValueError(f"unknown {what} {', '.join(unknown)}; known: {', '.join(every)}")


def check_amount(name: str, value: Any) -> float:
    """`value` as a float if it is finite and not negative."""
    number = _number(value)
    if number is None or not 0 <= number < math.inf:
        raise ValueError(f"{name}: expected a finite number of at least 0, got {value!r}")
    return number


def check_positive(name: str, value: Any) -> float:
    """`value` as a float if it is finite and positive."""
    number = _number(value)
    if number is None or not 0 < number < math.inf:
        raise ValueError(f"{name}: expected a finite number above 0, got {value!r}")
    return number


def check_seed(value: Any, bits: int = 62) -> int:
    """`value` as an int if it is a whole number that generators of so many bits take."""
    seed = check_count("seed", value, 0)
    if seed >= 2**bits:
        raise ValueError(f"seed: expected a whole number from 0 to 2^{bits} - 1, got {value!r}")
    return seed


def check_sigma(sigma: Sigma, dof: int) -> tuple[float, ...]:
    """Standard deviations, one a joint, of one value or `dof`: a list, an array, a tensor.

    Equal priors give equal tuples, in whatever form they come.
    """
    try:
        if hasattr(sigma, "detach"):
            sigma = sigma.detach().cpu()
        given = np.asarray(sigma)
        if given.dtype.kind not in "fiu":
            raise TypeError(f"{given.dtype} are no numbers")
        values = given.reshape(-1)
        if values.dtype.kind == "f" and values.dtype.itemsize < _DOUBLE:
            # The decimals that were meant: widened, a float32 of 0.2 is .20000000298.
            values = np.array([float(str(value)) for value in values])
        values = values.astype(float)
    except (TypeError, ValueError, RuntimeError) as error:
        raise ValueError(f"sigma: expected a number or {dof}, got {sigma!r}") from error
    if values.size not in (1, dof):
        raise ValueError(f"sigma: expected one value or {dof} (one a joint), got {values.size}")
    checked = [check_positive("sigma", value) for value in values.tolist()]
    return tuple(checked * (dof // len(checked)))


def check_generator(generator: Any) -> Generator | None:
    """`generator` if it is torch's, or None for torch's default one."""
    # Here, so that checking numbers needs no torch.
    from torch import Generator

    if generator is None or isinstance(generator, Generator):
        return generator
    raise ValueError(
        "generator: expected a torch.Generator or None, got "
        f"{generator!r} (of a seed: torch.Generator().manual_seed(seed))"
    )


def _number(value: Any) -> float | None:
    """`value` as a float; None if it is no single number."""
    if isinstance(value, (bool, np.bool_, str, bytes)):
        return None
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError, RuntimeError):
        return None
