import numpy as np
import pandas as pd
import pytest

from ikpaper.plots.search import beats_random, random_best


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
    best = np.quantile(pool, 0.05)
    assert beats_random(studies, best, 10) == pytest.approx((drawn > best).mean(), abs=0.02)


def test_trials_that_failed_are_no_best(studies):
    failed = pd.DataFrame({"objective": [np.nan] * 300})
    assert np.isinf(random_best([*studies, failed], np.array([1]), 0.95)).all()
    assert beats_random([failed], 1.0, 5) == 1.0
    assert beats_random(studies, np.inf, 5) == 0.0
