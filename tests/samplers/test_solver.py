import pytest
import torch

import ikpaper
from ikpaper.metrics import distinct_solutions


def test_solutions_reach_the_target_and_differ(arm, generator):
    theta = ikpaper.NumericalSolver(arm).sample([3.3, 0.8], 40, generator=generator)
    reached = arm.forward(theta)
    assert (reached - torch.tensor([3.3, 0.8])).norm(dim=1).max() < 2e-6
    assert distinct_solutions(theta) == 40


def test_two_joints_have_two_solutions(generator):
    arm = ikpaper.PlanarArm([1.0, 0.8])
    theta = ikpaper.NumericalSolver(arm, 1.0).sample([1.2, 0.4], 30, generator=generator)
    assert distinct_solutions(theta, 1e-3) == 2


def test_on_a_rail_too(generator):
    arm = ikpaper.RailArm.benchmark()
    theta = ikpaper.NumericalSolver(arm, arm.sigma).sample([1.7, 5.0], 20, generator=generator)
    assert (arm.forward(theta) - torch.tensor([1.7, 5.0])).norm(dim=1).max() < 2e-6
    assert theta[:, 0].max() > 3.2


def test_it_gives_up_naming_target_and_tolerance(arm, generator):
    solver = ikpaper.NumericalSolver(arm, tolerance=1e-30, attempts=2)
    with pytest.raises(RuntimeError, match=r"within 1e-30 of tcp \[3\.0, 0\.8\] from 2 starts"):
        solver.sample([3.0, 0.8], 1, generator=generator)


@pytest.mark.parametrize("option", ["sigma", "tolerance", "attempts"])
def test_bad_settings_are_refused(arm, option):
    with pytest.raises(ValueError, match=f"{option}: expected"):
        ikpaper.NumericalSolver(arm, **{option: 0})
