"""A searcher for Ray Tune over scikit-optimize, which Ray itself has not had since 2024."""

from __future__ import annotations

import math
import pickle
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ray.tune.search import Searcher
from skopt import Optimizer
from skopt.space import Dimension

__all__ = ["SkoptSearcher"]


class SkoptSearcher(Searcher):
    """Proposes trials to Ray Tune by Bayesian optimisation with scikit-optimize.

    One trial at a time, its points are those of `skopt.Optimizer` with the same seed. With
    several at once, those still running are taken to end as well as the best so far, so that
    their surroundings lose their appeal (constant liar, Ginsbourger et al., 2010); the lies are
    told to a copy and forgotten.

    A trial that fails, or ends without a finite value, is told as the worst value so far: the
    surrogate learns to avoid the place. One that was stopped is told as what it had reached, if
    that is worse, so that the surrogate sees where trials lag by how much; at most as far beyond
    the worst value as that is from the best. While there is no finite value yet, failures wait;
    after `give_up` of them, no more trials are proposed.

    Args:
        space: Dimensions by the name of the hyperparameter.
        metric: Key of the objective in a trial's last result.
        reached: Key of what a trial without an objective had reached, in the objective's unit.
        mode: `min` or `max`.
        seed: Seed of the proposals.
        initial_points: Random points before the surrogate takes over; with more of them than
            there will be trials, this is random search.
        give_up: How many trials may end without a finite value before the first that has one.
        known: Trials done before, as pairs of a configuration and its last result.

    Raises:
        ValueError: If a known configuration lacks a hyperparameter.
    """

    _STATE = ("_optimizer", "_running", "_values", "_failed")

    def __init__(
        self,
        space: Mapping[str, Dimension],
        *,
        metric: str,
        reached: str | None = None,
        mode: str = "min",
        seed: int,
        initial_points: int = 10,
        give_up: int = sys.maxsize,
        known: Iterable[tuple[Mapping[str, Any], Mapping[str, Any]]] = (),
    ) -> None:
        super().__init__(metric=metric, mode=mode)
        self._names = list(space)
        self._sign = 1.0 if mode == "min" else -1.0
        self._initial_points, self._give_up = initial_points, give_up
        self._reached = reached
        self._optimizer = Optimizer(
            list(space.values()),
            n_initial_points=initial_points,
            random_state=seed,
        )
        self._running: dict[str, list[Any]] = {}
        #: Values of the trials that ended well, and those that did not and are not told yet.
        self._values: list[float] = []
        self._failed: list[tuple[list[Any], float]] = []
        points = []
        for configuration, result in known:
            if missing := [name for name in self._names if name not in configuration]:
                raise ValueError(f"known: a configuration lacks {', '.join(missing)}")
            points += self._learn([configuration[name] for name in self._names], result)
        # In one go, so that the surrogate is fitted once.
        self._tell(points)

    def suggest(self, trial_id: str) -> Any:
        """Configuration of the next trial, or `Searcher.FINISHED`."""
        if not self._values and len(self._failed) >= self._give_up:
            return Searcher.FINISHED
        point = self._running[trial_id] = self._ask()
        # Ray serialises configurations, and models check for plain integers.
        plain = (value.item() if hasattr(value, "item") else value for value in point)
        return dict(zip(self._names, plain, strict=True))

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """Learn from a trial that ended."""
        point = self._running.pop(trial_id, None)
        if point is None:
            return
        self._tell(self._learn(point, None if error else result))

    def save(self, checkpoint_path: str) -> None:
        """Write the state to a file."""
        state = {name: getattr(self, name) for name in self._STATE}
        # Tune hands in a name beside the final one and renames.
        Path(checkpoint_path).write_bytes(pickle.dumps(state))

    def restore(self, checkpoint_path: str) -> None:
        """Continue from a file that `save` wrote; like every pickle, from a source you trust."""
        state = pickle.loads(Path(checkpoint_path).read_bytes())
        for name in self._STATE:
            setattr(self, name, state[name])

    def _ask(self) -> list[Any]:
        """The next point, away from those whose value is not known yet."""
        unknown = [*self._running.values(), *(point for point, _ in self._failed)]
        values = self._optimizer.yi
        # The first points are random: any number of them can be asked for.
        if not unknown or len(values) < self._initial_points:
            return self._optimizer.ask()
        liar = self._optimizer.copy(random_state=self._optimizer.rng.randint(2**31 - 1))
        liar.tell(unknown, [min(values)] * len(unknown))
        return liar.ask()

    def _learn(
        self, point: list[Any], result: Mapping[str, Any] | None
    ) -> list[tuple[list[Any], float]]:
        """Sort in a trial that ended; returns its point with its value, if it has one."""

        def number(key: str) -> float:
            known = (result or {}).get(key)
            return math.nan if known is None else self._sign * float(known)

        value = number(self.metric)
        if math.isfinite(value):
            self._values.append(value)
            return [(point, value)]
        self._failed.append((point, number(self._reached) if self._reached else math.nan))
        return []

    def _tell(self, ended: list[tuple[list[Any], float]]) -> None:
        """Tell points with their values, and then failures, as soon as there is a value."""
        if not self._values:
            return
        best, worst = min(self._values), max(self._values)
        for point, reached in self._failed:
            lagging = min(reached, worst + (worst - best)) if reached > worst else worst
            ended = [*ended, (point, lagging)]
        self._failed = []
        if ended:
            points, values = zip(*ended, strict=True)
            self._optimizer.tell(list(points), list(values))
