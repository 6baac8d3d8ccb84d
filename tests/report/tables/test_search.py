import math

import numpy as np
import pandas as pd
import pytest

from ikpaper.report.tables.search import best_trials, core_hours, position, random_best


@pytest.fixture
def studies():
    rng = np.random.default_rng(2)
    return [pd.DataFrame({"objective": rng.exponential(size=150)}) for _ in range(2)]


def test_the_best_of_random_trials_is_that_of_trials_drawn_anew(studies):
    pool = pd.concat(studies)["objective"].to_numpy()
    drawn = np.random.default_rng(3).choice(pool, size=(20_000, 10)).min(axis=1)
    for level in (0.05, 0.5, 0.95):
        (found,) = random_best(studies, np.array([10]), level)
        assert (drawn <= found).mean() == pytest.approx(level, abs=0.04)


def test_trials_that_failed_are_no_best(studies):
    failed = pd.DataFrame({"objective": [np.nan] * 300})
    assert np.isinf(random_best([*studies, failed], np.array([1]), 0.95)).all()


def test_values_lie_between_bounds_on_the_scale_that_is_searched():
    assert position([1e-4, 1e-3, 1e-2], (1e-4, 1e-2)) == pytest.approx([0, 0.5, 1])
    assert position([200, 275, 500], (200, 500)) == pytest.approx([0, 0.25, 1])


def test_the_best_trials_come_first_and_failed_ones_never():
    trials = pd.DataFrame(
        {
            "trial": [1, 2, 3],
            "neurons": [250, 300, 1200],
            "objective": [2.0, math.nan, 1.2345],
            "seconds": [10.4, 1.0, 1800.0],
            "cpus": [1.0, 1.0, 2.0],
            "profile": "search",
        }
    )
    rows = best_trials(trials, {"neurons": (200, 500)}, count=3).to_dict("records")
    assert [row["trial"] for row in rows] == [3, 1]
    assert rows[0] == {
        "trial": 3,
        "neurons per layer": "1,200",
        "objective": "1.23",
        "seconds": "1,800",
        "profile": "search",
    }
    assert core_hours(trials) == pytest.approx((10.4 + 1 + 3600) / 3600)
