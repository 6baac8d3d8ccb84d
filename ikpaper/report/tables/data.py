"""Tables of the pages on the data and on the ground truth."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import torch
from torch import Generator

from ikpaper import metrics, paper
from ikpaper.arm import PlanarArm
from ikpaper.dataset import Dataset
from ikpaper.format import significant
from ikpaper.samplers import ExactPosterior

__all__ = ["arms", "exact_sampler"]


def arms(sets: Sequence[Dataset]) -> pd.DataFrame:
    """Arms, whose last link is another, and the spread of the TCPs in their data sets."""
    return pd.DataFrame(
        {
            "arm": f"{data.arm.dof} DoF",
            "link lengths": f"{data.arm.dof - 1} × {data.arm.lengths[0]:g}, "
            f"{data.arm.lengths[-1]:g}",
            "reach": f"{data.arm.reach:g}",
            "mean radius of the TCP / reach": f"{data.tcp.norm(dim=1).mean() / data.arm.reach:.3f}",
            "std of x": f"{data.tcp[:, 0].std():.3f}",
            "std of y": f"{data.tcp[:, 1].std():.3f}",
        }
        for data in sets
    )


def exact_sampler(
    sigma: float, n: int = 1000, *, generator: Generator | None = None
) -> pd.DataFrame:
    """How the exact sampler does on the paper's arms, at the slides' targets where there are any.

    Args:
        sigma: Prior, in radians.
        n: Samples a draw.
        generator: Source of randomness.
    """
    rows = []
    for dof in PlanarArm.PAPER_DOF:
        arm = PlanarArm.paper(dof)
        exact = ExactPosterior(arm, sigma)
        tcp = paper.TARGETS.get(dof, (0.9 * arm.reach, 0.2 * arm.reach))
        drawn = exact.draw(tcp, n, generator=generator)
        residual = arm.forward(drawn.theta) - torch.tensor(tcp, dtype=torch.float64)
        again = exact.sample(tcp, n, generator=generator)
        distance = metrics.mmd2(drawn.theta, again, unbiased=True)
        rows.append(
            {
                "DoF": dof,
                "TCP": f"({tcp[0]:.2f}, {tcp[1]:.2f})",
                "proposals": f"{drawn.proposals:,.0f}",
                "effective sample size": f"{drawn.ess:,.0f}",
                "distinct samples": metrics.distinct_solutions(drawn.theta, 1e-9),
                "largest residual": significant(float(residual.norm(dim=1).max()), 2),
                "MMD² of two draws": significant(float(distance), 2),
            }
        )
    return pd.DataFrame(rows)
