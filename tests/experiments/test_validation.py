import numpy as np
import pytest
import torch

from ikpaper import PlanarArm, Prior
from ikpaper.experiments import validation
from ikpaper.projection import project

ARM, TCP, SIGMA = PlanarArm([1.0, 0.8, 0.6]), (1.6, 0.7), 0.5


def test_a_wider_prior_is_farther_from_the_integral_than_chance(generator):
    sigmas = {"exact": SIGMA, "wider": 1.1 * SIGMA}
    rows = validation.integral_distances(ARM, TCP, sigmas, SIGMA, n=5000, generator=generator)
    distance, limit = rows.set_index("sampler")["distance"], rows["limit"][0]
    assert distance["exact"] < limit < distance["wider"]


def test_chains_stay_on_the_target_and_come_to_the_integral(generator):
    # Near full reach, where the curve of solutions is one short loop.
    tcp, sigma, chains = (2.2, 0.5), 0.3, 400
    target = torch.tensor(tcp, dtype=torch.float64)
    angles, mass = validation.three_link_posterior(ARM, tcp, np.full(3, sigma), 100_000)

    def distance(theta):
        found = []
        for joint in range(3):
            order = np.argsort(angles[:, joint])
            cdf = np.cumsum(mass[order]) / mass.sum()
            drawn = np.sort(theta[:, joint].numpy())
            found.append(np.searchsorted(drawn, angles[order, joint]) / chains - cdf)
        return np.abs(found).max()

    prior = Prior(ARM, sigma).draw(2 * chains, generator)
    moved = project(ARM, prior, target, steps=10)
    start = moved.theta[moved.converged][:chains]
    theta, share = validation.constrained_hmc(
        ARM, sigma, target, start, iterations=50, step=0.2, generator=generator
    )
    assert share > 0.9
    assert (ARM.forward(theta) - target).norm(dim=1).max() < 1e-9
    assert distance(start) > 0.2
    assert distance(theta) < 1.63 / chains**0.5


def test_a_step_that_does_not_lead_back_is_refused(generator):
    arm, tcp = PlanarArm.paper(4), torch.tensor([2.45, 0.2], dtype=torch.float64)
    prior = 0.2 * torch.randn(50, 4, generator=generator, dtype=torch.float64)
    start = project(arm, prior, tcp, steps=10).theta
    # Next to full reach, leaps of this length end off the manifold.
    theta, share = validation.constrained_hmc(
        arm, 0.2, tcp, start, iterations=3, step=3.0, generator=generator
    )
    assert share < 0.1
    assert (arm.forward(theta) - tcp).norm(dim=1).max() < 1e-9


def test_the_curve_starts_far_from_the_posterior_and_ends_near_it(generator):
    arm = PlanarArm.paper(6)
    rows = validation.hmc_curve(
        arm, (3.3, 0.8), 0.2, (0, 8), chains=200, repeats=2, generator=generator
    )
    assert list(rows["iterations"]) == [0, 8]
    start, end = rows["mmd2"]
    assert start > 0.004 > abs(end)
    assert (rows["chance_low"] <= rows["chance_high"]).all()
    assert rows["accepted"][1] == pytest.approx(0.97, abs=0.03)
