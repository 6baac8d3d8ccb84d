import math
import sys

import pytest
from skopt import Optimizer
from skopt.space import Integer, Real

from ikpaper.search.searcher import SkoptSearcher

SPACE = {
    "learning_rate": Real(1e-4, 1e-2, prior="log-uniform"),
    "neurons": Integer(200, 500),
}


def searcher(**options):
    return SkoptSearcher(SPACE, **{"metric": "loss", "seed": 3, "initial_points": 4, **options})


def loss(configuration):
    rate, neurons = configuration["learning_rate"], configuration["neurons"]
    return (math.log10(rate) + 3) ** 2 + ((neurons - 320) / 100) ** 2


def complete(search, trial, configuration):
    search.on_trial_complete(trial, {"loss": loss(configuration)})


def learnt(search):
    return list(zip(search.optimizer.Xi, search.optimizer.yi, strict=True))


@pytest.mark.parametrize("initial_points", [4, sys.maxsize])
def test_one_at_a_time_it_is_skopt(initial_points):
    search = searcher(initial_points=initial_points)
    direct = Optimizer(list(SPACE.values()), n_initial_points=initial_points, random_state=3)
    for i in range(9):
        configuration, point = search.suggest(str(i)), direct.ask()
        assert list(configuration.values()) == point
        complete(search, str(i), configuration)
        direct.tell(point, loss(configuration))


def test_configurations_are_plain_numbers():
    search = searcher()
    for i in range(6):
        configuration = search.suggest(str(i))
        assert list(configuration) == ["learning_rate", "neurons"]
        assert [type(value) for value in configuration.values()] == [float, int]
        complete(search, str(i), configuration)


def test_trials_at_the_same_time_keep_apart_and_lies_are_forgotten():
    search = searcher()
    for i in range(5):
        complete(search, str(i), search.suggest(str(i)))
    before = learnt(search)
    running = [search.suggest(f"parallel {i}") for i in range(4)]
    assert learnt(search) == before
    distances = [
        search.optimizer.space.distance(list(a.values()), list(b.values()))
        for i, a in enumerate(running)
        for b in running[:i]
    ]
    # As many asked without a lie are one point.
    assert min(distances) > 1e-6
    for i in (2, 0, 3, 1):
        complete(search, f"parallel {i}", running[i])
    assert sorted(y for _, y in learnt(search)[5:]) == sorted(loss(c) for c in running)


@pytest.mark.parametrize(
    ("result", "error"),
    [({"loss": math.nan}, False), ({"loss": math.inf}, False), ({}, False), (None, True)],
)
def test_failures_are_worse_than_all(result, error):
    search = searcher()
    first = search.suggest("0")
    search.on_trial_complete("0", result, error=error)
    # Nothing to compare with yet.
    assert learnt(search) == []
    second, third = search.suggest("1"), search.suggest("2")
    complete(search, "1", second)
    complete(search, "2", third)
    fourth = search.suggest("3")
    search.on_trial_complete("3", result, error=error)
    values = {name: loss(point) for name, point in (("second", second), ("third", third))}
    bad = max(values.values()) + abs(values["second"] - values["third"])
    assert learnt(search) == [
        (list(first.values()), pytest.approx(bad)),
        (list(second.values()), values["second"]),
        (list(third.values()), values["third"]),
        (list(fourth.values()), pytest.approx(bad)),
    ]
    # The surrogate stands it.
    for i in range(4, 9):
        search.suggest(str(i))
        search.on_trial_complete(str(i), result, error=error)
    assert len(learnt(search)) == 9


def test_stopped_trials_are_in_the_order_of_what_they_had_reached():
    reached = {"2": 6.5, "3": 1e12, "4": 3.0, "5": math.nan}
    results = {trial: {"loss": math.nan, "so far": value} for trial, value in reached.items()}
    results |= {"0": {"loss": 2.0, "so far": 2.0}, "1": {"loss": 5.0, "so far": 5.0}}
    # Between the worst value, 5, and as far beyond it as it is from the best.
    wanted = {"0": 2.0, "1": 5.0, "4": 5.0, "2": 6.0, "3": 7.0, "5": 8.0}
    # Whatever ends first, and whether it is new or known from before.
    for order in ("201345", "013542", "543210"):
        search = searcher(reached="so far")
        points = {str(i): search.suggest(str(i)) for i in range(6)}
        for trial in order:
            search.on_trial_complete(trial, results[trial])
        again = searcher(reached="so far", known=[(points[i], results[i]) for i in order])
        for one in (search, again):
            found = {tuple(point): value for point, value in learnt(one)}
            assert found == {tuple(points[i].values()): value for i, value in wanted.items()}


def test_all_may_fail():
    search = searcher()
    for i in range(7):
        assert search.suggest(str(i))
        search.on_trial_complete(str(i), None, error=True)


def test_what_is_known_counts():
    known = [
        ({"learning_rate": 10**-exponent, "neurons": 300}, {"loss": value})
        for exponent, value in ((2.5, 3.0), (3.0, 1.0), (3.5, None), (3.2, math.nan), (2.2, 4.0))
    ]
    search = searcher(known=known)
    assert sorted(y for _, y in learnt(search)) == [1.0, 3.0, 4.0, 7.0, 7.0]
    # The surrogate is at work from the start: not the first random point.
    assert search.suggest("0") != searcher().suggest("0")
    with pytest.raises(ValueError, match="lacks neurons"):
        searcher(known=[({"learning_rate": 1e-3}, {"loss": 1.0})])
