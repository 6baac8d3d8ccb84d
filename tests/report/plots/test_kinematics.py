import numpy as np
import pytest
import torch
from matplotlib.collections import LineCollection

import ikpaper
from ikpaper.arm import wrap
from ikpaper.report.plots import kinematics
from ikpaper.report.plots.style import new_figure, to_svg


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(0)


def test_arms_are_drawn_from_the_base_to_their_tcps(generator):
    arm = ikpaper.PlanarArm.paper(6)
    theta = ikpaper.Prior(arm, 0.5).draw(20, generator)
    ax = new_figure().subplots()
    kinematics.draw_arms(ax, arm, theta, color="black", highlight=3)
    (fan,) = ax.collections
    drawn = np.stack(fan.get_segments())
    assert drawn.shape == (20, 7, 2)
    np.testing.assert_allclose(drawn[:, 0], 0)
    np.testing.assert_allclose(drawn[:, -1], arm.forward(theta).numpy())
    np.testing.assert_allclose(ax.lines[0].get_xydata(), drawn[3])


def test_solutions_of_the_solver_lie_on_the_curve_of_all_solutions(generator):
    arm = ikpaper.PlanarArm([1.0, 1.0, 1.0])
    tcp = (1.7, 0.9)
    exact = ikpaper.ExactPosterior(arm, 0.8)
    samples = exact.sample(tcp, 50, generator=generator)
    solved = ikpaper.NumericalSolver(arm, 0.8).sample(tcp, 12, generator=generator)
    figure = kinematics.solution_curve(arm, tcp, exact.prior, samples, solved)
    space = figure.axes[1]
    (curve,) = (c for c in space.collections if isinstance(c, LineCollection))
    points = np.concatenate(curve.get_segments())
    for angles in wrap(torch.cat([samples, solved])).numpy()[:, :2]:
        assert np.linalg.norm(points - angles, axis=1).min() < 0.02
    # The darkest stretch is the likeliest: as much of the density as the maximum.
    assert curve.get_array().max() == pytest.approx(1.0, abs=1e-3)
    np.testing.assert_allclose(space.lines[-1].get_xydata(), solved.numpy()[:, :2])


def test_each_data_set_has_a_panel_and_a_density(generator):
    sets = [ikpaper.make_dataset(ikpaper.PlanarArm.paper(dof), 500, seed=1) for dof in (4, 6)]
    figure = kinematics.data_sets(sets, arms=30, points=100)
    assert [ax.get_title() for ax in figure.axes] == ["4 DoF", "6 DoF"]
    for ax, data in zip(figure.axes, sets, strict=True):
        cloud, fan = ax.collections
        np.testing.assert_allclose(cloud.get_offsets(), data.tcp[:100])
        assert len(fan.get_segments()) == 30
    spread = kinematics.tcp_distribution(sets)
    labels = [text.get_text() for text in spread.axes[-2].get_legend().get_texts()]
    assert labels == ["4 DoF", "6 DoF"]


def test_cases_of_the_inverse_have_a_panel_each():
    arm = ikpaper.PlanarArm([1.0, 1.0])
    theta = torch.tensor([[0.3, 0.5]])
    tcp = arm.forward(theta)[0].tolist()
    none, many = torch.zeros(0, 2), theta.expand(5, 2)
    two = torch.tensor([[0.3, 0.5], [0.8, -0.5]])
    figure = kinematics.ill_posedness(
        {
            title: (arm, [(tcp, drawn)])
            for title, drawn in zip("abcd", [theta, two, many, none], strict=True)
        }
    )
    assert [ax.get_title() for ax in figure.axes] == list("abcd")
    assert [len(ax.collections) for ax in figure.axes] == [0, 0, 1, 0]
    # Two arms are told apart by their lines and their joints.
    lines = [line for line in figure.axes[1].lines if len(line.get_xdata()) == 3]
    assert [line.get_linestyle() for line in lines] == ["-", "--"]
    np.testing.assert_allclose(lines[0].get_xydata()[-1], lines[1].get_xydata()[-1], atol=1e-6)


def test_an_arm_is_drawn_with_the_names_of_its_parts():
    arm = ikpaper.PlanarArm([1.2, 1.0, 0.8])
    figure = kinematics.arm_drawing(arm, [0.45, 0.6, -0.75])
    names = {text.get_text() for text in figure.axes[0].texts}
    assert names == {r"TCP $(x, y)$"} | {rf"${s}_{i}$" for s in (r"\theta", "l") for i in (1, 2, 3)}
    assert to_svg(figure).startswith("<?xml")
