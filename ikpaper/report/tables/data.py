"""Tables of the pages on the data and on the ground truth."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import torch
from torch import Generator

from ikpaper import metrics, paper
from ikpaper.arm import PlanarArm
from ikpaper.dataset import Dataset
from ikpaper.format import significant, with_interval
from ikpaper.report.tables.arm import links
from ikpaper.samplers import ExactPosterior

#: Samples of a draw of the exact sampler.
_DRAWN = 1000


def arms(sets: Sequence[Dataset]) -> pd.DataFrame:
    """Arms and the spread of the TCPs in their data sets."""
    return pd.DataFrame(
        {
            "arm": f"{data.arm.dof} DoF",
            "link lengths": links(data.arm),
            "reach": f"{data.arm.reach:g}",
            "mean radius of the TCP / reach": f"{data.tcp.norm(dim=1).mean() / data.arm.reach:.3f}",
            "std of x": f"{data.tcp[:, 0].std():.3f}",
            "std of y": f"{data.tcp[:, 1].std():.3f}",
        }
        for data in sets
    )


def exact_sampler(sigma: float, *, generator: Generator | None = None) -> pd.DataFrame:
    """How the exact sampler does on the paper's arms, at the slides' targets where there are any.

    Args:
        sigma: Prior, in radians.
        generator: Source of randomness.
    """
    rows = []
    for dof in PlanarArm.PAPER_DOF:
        arm = PlanarArm.paper(dof)
        exact = ExactPosterior(arm, sigma)
        tcp = paper.TARGETS.get(dof, (0.9 * arm.reach, 0.2 * arm.reach))
        drawn = exact.draw(tcp, _DRAWN, generator=generator)
        residual = arm.forward(drawn.theta) - torch.tensor(tcp, dtype=torch.float64)
        again = exact.sample(tcp, _DRAWN, generator=generator)
        distance = metrics.mmd2(drawn.theta, again, unbiased=True)
        rows.append(
            {
                "DoF": dof,
                "TCP": f"({tcp[0]:.2f}, {tcp[1]:.2f})",
                "proposals": f"{drawn.proposals:,.0f}",
                "effective sample size": f"{drawn.ess:,.0f}",
                "distinct samples": f"{metrics.distinct_solutions(drawn.theta, 1e-9):,}",
                "largest residual": significant(float(residual.norm(dim=1).max()), 2),
                "MMD² of two draws": significant(float(distance), 2),
            }
        )
    return pd.DataFrame(rows)


def validation(distances: pd.DataFrame, bias: pd.DataFrame, hmc: pd.DataFrame) -> pd.DataFrame:
    """The exact sampler beside three other methods, and what each score is where it is wrong.

    Args:
        distances: See `experiments.validation.integral_distances`; the first row is that of the
            exact sampler, the second that of a wrong one.
        bias: See `experiments.ground_truth.rejection_bias`, for one target.
        hmc: See `experiments.validation.hmc_curve`.
    """
    exact, wrong = distances["distance"]
    coarse, fine = bias.loc[bias["eps"].idxmax()], bias.loc[bias["eps"].idxmin()]
    start, end = hmc.iloc[0], hmc.iloc[-1]
    rows = [
        (
            "integral over the solution curve, 3 joints",
            f"Kolmogorov-Smirnov distance, below {significant(distances['limit'][0], 2)} by chance",
            f"{significant(wrong, 2)} (prior 10\xa0% wider)",
            significant(exact, 2),
        ),
        (
            f"rejection sampling, ε = {fine['eps']:g}, 6 joints",
            "unbiased MMD²",
            f"{significant(coarse['mmd2'], 2)} (ε = {coarse['eps']:g})",
            with_interval(*fine[["mmd2", "low", "high"]]),
        ),
        (
            f"constrained HMC, {end['iterations']:.0f} iterations, 6 joints",
            "unbiased MMD²",
            f"{significant(start['mmd2'], 2)} (where the chains start)",
            with_interval(*end[["mmd2", "low", "high"]]),
        ),
    ]
    columns = ["method", "score", "where samples are wrong", "exact sampler"]
    return pd.DataFrame(rows, columns=columns)
