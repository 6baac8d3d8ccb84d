import numpy as np
import pandas as pd
import pytest
import torch

from ikpaper import ExactPosterior, PlanarArm
from ikpaper.projection import TOLERANCE
from ikpaper.report.plots import results
from ikpaper.report.plots.style import to_svg
from ikpaper.report.tables.base import by_sampler
from tests.report.committed import arms, result


@pytest.fixture(scope="module")
def random():
    measured = result("benchmark")
    return measured[measured["at"] == "random"]


def points(ax):
    """Coordinates of all markers of a panel."""
    drawn = [line.get_xydata() for line in ax.lines if line.get_marker() not in ("None", None)]
    return np.concatenate(drawn)


def test_the_pareto_front_joins_what_no_other_sampler_beats(random):
    figure = results.pareto(random)
    quality, *_ = figure.axes
    drawn = points(quality)
    rows = random[random["dof"] == 4]
    assert len(drawn) == len(rows)
    chance = random.loc[random["sampler"] == "exact", "mmd2_high"].max()
    expected = sorted(np.maximum(rows["mmd2"], chance))
    assert sorted(drawn[:, 1]) == pytest.approx(expected)
    (front,) = (line.get_xydata() for line in quality.lines if line.get_marker() == "None")
    best = [
        (x, y)
        for x, y in drawn
        if not any(a <= x and b <= y and (a, b) != (x, y) for a, b in drawn)
    ]
    assert front.tolist() == pytest.approx(np.array(sorted(best)))


def test_what_is_on_the_target_is_drawn_at_the_tolerance(random):
    figure = results.pareto(random)
    errors = figure.axes[len(random["dof"].unique())]
    reach = PlanarArm.paper(10).reach
    assert points(errors)[:, 1].min() == pytest.approx((TOLERANCE * reach) ** 2)


def test_scores_have_a_point_an_arm_with_its_interval():
    means = by_sampler(arms("scores"))
    figure = results.scores_over(means, {"mmd2": "MMD"})
    (ax,) = figure.axes
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    positive = means[means["mmd2"] > 0]
    assert len(labels) == positive.index.unique("sampler").size
    inn = ax.containers[labels.index("INN")]
    rows = positive.xs("inn", level="sampler").sort_index()
    assert inn.lines[0].get_xdata().tolist() == [4, 6, 8, 10]
    assert inn.lines[0].get_ydata() == pytest.approx(rows["mmd2"].to_numpy())
    bars = np.array([segment[:, 1] for segment in inn.lines[2][0].get_segments()])
    assert bars[:, 0] == pytest.approx(rows["mmd2_low"].to_numpy())
    assert bars[:, 1] == pytest.approx(rows["mmd2_high"].to_numpy())


def test_chains_are_drawn_beside_what_chance_has():
    curve = pd.DataFrame(
        {
            "iterations": [0, 5],
            "mmd2": [0.007, 0.0],
            "low": [0.006, -1e-4],
            "high": [0.008, 1e-4],
            "chance_low": -2e-4,
            "chance_high": 3e-4,
        }
    )
    (ax,) = results.chains_to_exact(curve).axes
    assert ax.lines[0].get_xydata().tolist() == [[0, 0.007], [5, 0.0]]
    (band,) = (patch for patch in ax.patches if "exact" in patch.get_label())
    assert (band.get_y(), band.get_y() + band.get_height()) == pytest.approx((-2e-4, 3e-4))


def test_reported_values_are_open_beside_ours_at_the_same_size():
    rows = pd.DataFrame(
        {
            "quantity": ["a"] * 4,
            "dof": [4, 6] * 2,
            "sampler": ["cvae"] * 2 + ["inn"] * 2,
            "reported": [1.0, 2.0, 3.0, 4.0],
            "ours": [1.1, 2.2, 2.9, 3.0],
            "low": [1.0, 2.0, 2.8, 2.5],
            "high": [1.2, 2.5, 3.0, 3.5],
        }
    )
    sizes = {(4, "cvae"): 10, (6, "cvae"): 20, (4, "inn"): 30, (6, "inn"): 40}
    (ax,) = results.result_plots(rows, sizes, {"a": "A"}).axes
    assert ax.get_title() == "A"
    found = {line.get_label(): line for line in ax.lines if "reported" in str(line.get_label())}
    assert found["cVAE, reported"].get_xydata().tolist() == [[10, 1.0], [20, 2.0]]
    assert found["INN, reported"].get_markerfacecolor() == "none"
    ours = ax.containers[1].lines[0].get_xydata()
    assert ours.tolist() == [[30, 2.9], [40, 3.0]]


def test_the_arm_of_median_distance_is_highlighted_and_noted():
    arm, tcp = PlanarArm.paper(4), (2.4, 0.3)
    theta = torch.randn(101, 4, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    distances = (arm.forward(theta) - torch.tensor(tcp, dtype=torch.float64)).norm(dim=1)
    chosen = results.median_sample(arm, tcp, theta)
    assert distances[chosen] == distances.median()
    figure = results.posterior_arms(arm, tcp, {"exact": theta}, notes={"exact": "noted"})
    ax = figure.axes[0]
    assert ax.get_title() == "exact posterior\nnoted"
    solid = next(line.get_xydata() for line in ax.lines if line.get_linewidth() == 1.8)
    assert solid == pytest.approx(arm.joint_positions(theta[chosen]).numpy())
    hulls = results.hulls(arm, tcp, {"exact": theta}, notes={"exact": "area"})
    assert hulls.axes[0].get_title() == "exact posterior\narea"


def test_of_exact_samples_rounding_does_not_choose_the_highlighted_arm(arm, generator):
    tcp = (3.0, 0.8)
    theta = ExactPosterior(arm, 0.2).sample(tcp, 41, generator=generator)
    noise = torch.randn(theta.shape, generator=generator, dtype=theta.dtype)
    for size in (0.0, 1e-15, 1e-13):
        assert results.median_sample(arm, tcp, theta + size * noise) == 20


def test_training_curves_add_up_to_their_sum():
    history = [
        {
            "epoch": epoch,
            "terms": {"reconstruction": 2.0 / epoch, "kl": 1.0},
            "learning_rate": 1e-3 / epoch,
        }
        for epoch in (1, 2)
    ]
    ax, below = results.training_curves({"cvae": history}).axes
    assert list(below.lines[0].get_ydata()) == [1e-3, 5e-4]
    lines = {line.get_label(): line.get_ydata() for line in ax.lines}
    assert list(lines["sum"]) == [3.0, 2.0]
    assert ax.get_yscale() == "log"
    # A log-likelihood may be negative.
    negative = [{"epoch": 1, "terms": {"kl": -1.0}, "learning_rate": 1e-3}]
    ax, _ = results.training_curves({"inn-ml": negative}).axes
    assert ax.get_yscale() == "linear"


def test_terms_stand_in_the_order_of_the_loss():
    terms = {"L_p(x)": 1.0, "L_x": 2.0, "L_y": 3.0, "L_z": 4.0}
    history = [{"epoch": 1, "terms": terms, "learning_rate": 1e-3}]
    ax, _ = results.training_curves({"inn": history}).axes
    assert [text.get_text() for text in ax.get_legend().get_texts()] == [
        "$L_y$",
        "$L_x$",
        "$L_{p(z)}$",
        "$L_{p(x)}$",
        "sum",
    ]


@pytest.mark.parametrize(
    ("rates", "ticks"),
    [
        # A rate that does not change, at a power of ten and elsewhere.
        ([1e-4, 1e-4], [-5, -4, -3]),
        ([6.3e-4, 6.3e-4], [-4, -3]),
        ([9e-3, 4.5e-4], [-4, -3, -2]),
        ([1.4e-3, 8.75e-9], [-9, -5]),
    ],
)
def test_the_axis_of_the_learning_rate_has_true_powers_of_ten(rates, ticks):
    history = [
        {"epoch": epoch, "terms": {"kl": 1.0}, "learning_rate": rate}
        for epoch, rate in enumerate(rates, 1)
    ]
    _, below = results.training_curves({"cvae": history}).axes
    low, high = below.get_ylim()
    shown = [tick for tick in below.get_yticks() if low <= tick <= high]
    assert shown == pytest.approx([10.0**exponent for exponent in ticks])
    labels = [below.yaxis.get_major_formatter()(tick) for tick in shown]
    assert labels == [f"$10^{{{exponent}}}$" for exponent in ticks]
    assert low < min(rates)
    assert high > max(rates)


def test_a_small_tick_says_what_it_is():
    index = pd.MultiIndex.from_product([[4, 6], ["cvae"]], names=["dof", "sampler"])
    means = pd.DataFrame({"mmd2": [2e-5, 2e-4], "mmd2_low": 1e-5, "mmd2_high": 5e-4}, index)
    (ax,) = results.scores_over(means, {"mmd2": "MMD"}).axes
    texts = [ax.yaxis.get_major_formatter()(tick) for tick in (1e-5, 5e-5, 2e-4, 1000)]
    assert texts == ["$10^{-5}$", r"$5 \cdot 10^{-5}$", "0.0002", "1,000"]


def test_three_fans_stand_in_one_row():
    arm, tcp = PlanarArm.paper(4), (2.4, 0.3)
    theta = torch.randn(5, 4, generator=torch.Generator().manual_seed(1))
    figure = results.posterior_arms(arm, tcp, dict.fromkeys(("exact", "flow", "prior"), theta))
    rows = {ax.get_subplotspec().rowspan.start for ax in figure.axes}
    assert (len(figure.axes), rows) == (3, {0})


def test_figures_of_results_can_be_drawn(random):
    exact = pd.DataFrame(
        {"sigma": [0.1, 0.2], "reference_sigma": 0.2, "value": 1.0, "low": 0.5, "high": 2.0}
    )
    for figure in (
        results.speedups(result("bench")),
        results.scaling(result("scaling")),
        results.mismatch_by_prior(exact),
        results.bias_near_reach(result("rejection-edge")),
    ):
        svg = to_svg(figure)
        assert "nan" not in svg
        assert svg.count("<path") > 20
