import numpy as np
import pandas as pd
import pytest

from ikpaper.report.plots import search as figures
from ikpaper.search import space
from tests.report.committed import BOOK

RANGES = {"learning_rate": (1e-4, 1e-2), "neurons": (200, 500)}


@pytest.fixture(scope="module")
def trials():
    return pd.read_csv(BOOK / "results" / "studies" / "cvae-06dof-seed42" / "trials.csv")


def test_convergence_falls_to_the_best_trial(trials):
    figure = figures.convergence({"one": [trials], "two": [trials]}, {"one": [trials[:30]]})
    first, second, *empty = figure.axes
    assert not any(ax.get_visible() for ax in empty)
    for ax in (first, second):
        (best,) = (line for line in ax.lines if line.get_label() == "best so far")
        assert (np.diff(best.get_ydata()) <= 0).all()
        assert best.get_ydata()[-1] == trials["objective"].min()
    # Random search is where it was run.
    assert (len(first.collections), len(second.collections)) == (1, 0)


def test_of_few_trials_the_worst_is_shown_too(trials):
    few = trials.iloc[:10]
    (ax,) = figures.convergence({"few": [few]}).axes
    assert ax.get_ylim()[1] > few["objective"].max()
    (ax,) = figures.convergence({"many": [trials]}).axes
    assert ax.get_ylim()[1] < trials["objective"].max()


def test_each_trial_is_a_line_across_its_hyperparameters(trials):
    ax = figures.parallel_coordinates(trials, RANGES).axes[0]
    lines = [line.get_ydata() for line in ax.lines if list(line.get_xdata()) == [0, 1]]
    best = trials.loc[trials["objective"].idxmin()]
    at = [
        np.log(best["learning_rate"] / 1e-4) / np.log(100),
        (best["neurons"] - 200) / 300,
    ]
    assert lines[-1] == pytest.approx(at)
    assert np.concatenate(lines).min() >= 0
    assert np.concatenate(lines).max() <= 1


def test_runs_that_diverged_are_not_drawn():
    pairs = pd.DataFrame({"objective": [1.0, 2.0, 3.0], "mmd2": [0.1, np.inf, 0.3]})
    (ax,) = figures.ranks({"a study": pairs}, {"mmd2": "MMD"}).axes
    assert ax.lines[0].get_xydata().tolist() == [[1.0, 0.1], [3.0, 0.3]]


def test_partial_dependence_follows_the_objective():
    rng = np.random.default_rng(0)
    rates = 1e-4 * 100 ** rng.random(40)
    trials = pd.DataFrame(
        {
            "learning_rate": rates,
            "neurons": rng.integers(200, 501, 40),
            "objective": np.exp(np.abs(np.log(rates / 1e-3))),
        }
    )
    figure = figures.partial_dependence(trials, space(RANGES))
    curve = figure.axes[0].lines[0].get_xydata()
    # The best rate, and how much more it matters than the neurons, which do not.
    assert curve[curve[:, 1].argmin(), 0] == pytest.approx(1e-3, rel=0.6)
    flat = figure.axes[3].lines[0].get_xydata()[:, 1]
    assert np.ptp(np.log(flat)) < 0.2 * np.ptp(np.log(curve[:, 1]))
