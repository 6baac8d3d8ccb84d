"""The classical baseline: a numerical solver started from random configurations."""

from __future__ import annotations

import numpy as np
import torch
from scipy.optimize import least_squares
from torch import Generator, Tensor

from ikpaper.arm import PlanarArm
from ikpaper.checks import Sigma, check_count, check_positive
from ikpaper.sampler import PosteriorSampler
from ikpaper.samplers.prior import Prior


class NumericalSolver(PosteriorSampler):
    """Levenberg-Marquardt (SciPy's trust-region least squares) from starts drawn from the prior.

    It returns configurations that reach the target, one a start, but not with the frequencies
    of the posterior: a start slides to a nearby solution, wherever that lies.

    Args:
        arm: The arm.
        sigma: Standard deviation of the starts; see `Prior`.
        tolerance: Largest distance to the target of an accepted solution, in units of length.
        attempts: Starts a solution may take before the solver gives up.
    """

    name = "numerical"
    label = "numerical solver"
    colour = "#cc79a7"
    marker = "h"
    version = 1

    def __init__(
        self,
        arm: PlanarArm,
        sigma: Sigma | None = None,
        *,
        tolerance: float = 1e-6,
        attempts: int = 100,
    ) -> None:
        self.arm = arm
        self.prior = Prior(arm, sigma)
        self.tolerance = check_positive("tolerance", tolerance)
        self.attempts = check_count("attempts", attempts)

    def _sample(self, tcp: Tensor, n: int, generator: Generator | None) -> Tensor:
        targets = tcp.to("cpu", torch.float64)
        rows = [self._solve(target, generator) for target in targets for _ in range(n)]
        return torch.stack(rows).reshape(len(targets), n, self.arm.dof)

    def _solve(self, tcp: Tensor, generator: Generator | None) -> Tensor:
        residual, jacobian = self.arm.residual(tcp.numpy())
        for _ in range(self.attempts):
            start = self.prior.draw(1, generator)[0].numpy()
            found = least_squares(residual, start, jacobian, xtol=1e-12, ftol=1e-15, gtol=1e-15)
            if np.linalg.norm(found.fun) <= self.tolerance:
                return self.arm.wrapped(torch.from_numpy(found.x))
        raise RuntimeError(
            f"NumericalSolver: no solution within {self.tolerance} of tcp {tcp.tolist()} from "
            f"{self.attempts} starts"
        )
