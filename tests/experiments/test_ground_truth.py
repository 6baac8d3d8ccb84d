import math

import pytest

import ikpaper
from ikpaper.experiments import ground_truth


def test_rejection_bias_grows_with_the_tolerance(arm, generator):
    table = ground_truth.rejection_bias(
        arm, {"t": (3.42, 0.68)}, (0.2, 0.02), n=300, repeats=2, generator=generator
    )
    assert table["mmd2"][0] > table["mmd2"][1]
    # By hand, to four standard errors of the count.
    points = arm.forward(ikpaper.Prior(arm).draw(100_000, generator)).tolist()
    count = sum(math.dist(point, (3.42, 0.68)) <= 0.2 for point in points)
    assert table["acceptance"][0] == pytest.approx(count / 1e5, abs=4e-5 * count**0.5)
    assert table["acceptance"][0] > table["acceptance"][1]


def test_statistic_floor_meets_its_closed_form(arm, generator):
    table = ground_truth.statistic_floor(arm, (3.42, 0.68), (50,), repeats=30, generator=generator)
    assert table["v_statistic"][0] == pytest.approx(table["floor"][0], rel=0.25)
    assert abs(table["u_statistic"][0]) < 0.3 * table["floor"][0]


def test_a_reference_of_a_wide_prior_prefers_a_wide_sampler(arm):
    samplers = {f"{sigma:g}": ikpaper.ExactPosterior(arm, sigma) for sigma in (0.2, 0.5)}
    table = ground_truth.mismatch_at_target(
        arm, (3.0, 0.8), samplers, (0.2, 0.5), eps=0.1, n=300, repeats=2
    )
    values = table.set_index(["sampler", "reference_sigma"])["value"]
    assert values["0.2", 0.2] < values["0.5", 0.2]
    assert values["0.5", 0.5] < values["0.2", 0.5]
    assert (table["low"] <= table["value"]).all()
    assert (table["value"] <= table["high"]).all()
