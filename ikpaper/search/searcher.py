"""A searcher for Ray Tune over scikit-optimize, which Ray itself has not had since 2024."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable, Mapping
from typing import Any

from ray.tune.search import Searcher
from skopt import Optimizer
from skopt.space import Dimension


class SkoptSearcher(Searcher):
    """Proposes trials to Ray Tune by Bayesian optimisation with scikit-optimize.

    One trial at a time, its points are those of `skopt.Optimizer` with the same seed. With
    several at once, those still running are taken to end as well as the best so far, so that
    their surroundings lose their appeal (constant liar, Ginsbourger et al., 2010); a copy of the
    optimiser learns that, and is thrown away.

    A trial without a finite value, since it failed or was stopped, counts as a bad one: between
    the worst value and as far beyond it as that is from the best, in the order of what these
    trials had reached, so that the surrogate sees where they lag; those that had reached nothing
    come last. Its value is set anew as more trials end, and so does not depend on their order.
    While there is no finite value yet, failures wait; after `give_up` of them, no more trials
    are proposed.

    Args:
        space: Dimensions by the name of the hyperparameter.
        metric: Key of the objective, which is minimised, in a trial's last result.
        reached: Key of what a trial without an objective had reached, in the objective's unit.
        seed: Seed of the proposals.
        initial_points: Random points before the surrogate takes over; with more of them than
            there will be trials, this is random search.
        give_up: How many trials may end without a finite value before the first that has one.
        known: Trials done before, as pairs of a configuration and its last result.

    Attributes:
        optimizer: What proposes the points.

    Raises:
        ValueError: If a known configuration lacks a hyperparameter.
    """

    def __init__(
        self,
        space: Mapping[str, Dimension],
        *,
        metric: str,
        reached: str | None = None,
        seed: int,
        initial_points: int = 10,
        give_up: int = sys.maxsize,
        known: Iterable[tuple[Mapping[str, Any], Mapping[str, Any]]] = (),
    ) -> None:
        super().__init__(metric=metric, mode="min")
        self._names = list(space)
        self._initial_points, self._give_up = initial_points, give_up
        self._reached = reached
        self.optimizer = Optimizer(
            list(space.values()), n_initial_points=initial_points, random_state=seed
        )
        self._running: dict[str, list[Any]] = {}
        #: Trials that ended: point, value and what was reached, infinite where there is none. The
        #: optimiser knows the first of them.
        self._ended: list[tuple[list[Any], float, float]] = []
        for configuration, result in known:
            if missing := [name for name in self._names if name not in configuration]:
                raise ValueError(f"known: a configuration lacks {', '.join(missing)}")
            self._learn([configuration[name] for name in self._names], result)
        # In one go, so that the surrogate is fitted once.
        self._tell()

    def suggest(self, trial_id: str) -> Any:
        """Configuration of the next trial, or `Searcher.FINISHED`."""
        if not self._good and len(self._ended) >= self._give_up:
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
        if point is not None:
            self._learn(point, None if error else result)
            self._tell()

    @property
    def _good(self) -> list[float]:
        """Values of the trials that ended well."""
        return [value for _, value, _ in self._ended if math.isfinite(value)]

    def _ask(self) -> list[Any]:
        """The next point, away from those whose value is not known yet."""
        values = self.optimizer.yi
        unknown = [*self._running.values(), *(point for point, *_ in self._ended[len(values) :])]
        # The first points are random: any number of them can be asked for.
        if not unknown or len(values) < self._initial_points:
            return self.optimizer.ask()
        liar = self.optimizer.copy(random_state=self.optimizer.rng.randint(2**31 - 1))
        liar.tell(unknown, [min(values)] * len(unknown))
        return liar.ask()

    def _learn(self, point: list[Any], result: Mapping[str, Any] | None) -> None:
        """Note a trial that ended."""

        def number(key: str | None) -> float:
            known = (result or {}).get(key) if key else None
            return float(known) if known is not None and math.isfinite(known) else math.inf

        self._ended.append((point, number(self.metric), number(self._reached)))

    def _tell(self) -> None:
        """Tell the trials that are new, as soon as there is a value, and failures anew."""
        if not self._good:
            return
        values = self._surrogate_values()
        known = len(self.optimizer.yi)
        self.optimizer.yi[:] = values[:known]
        if new := [point for point, *_ in self._ended[known:]]:
            self.optimizer.tell(new, values[known:])

    def _surrogate_values(self) -> list[float]:
        """What the surrogate takes for the value of each trial that ended."""
        best, worst = min(self._good), max(self._good)
        # The surrogate's scale is that of the values: with one alone, any will do.
        span = worst - best or 1.0
        failed = [reached for _, value, reached in self._ended if not math.isfinite(value)]
        order = sorted({worst, *(max(reached, worst) for reached in failed)})
        rank = {reached: i / max(1, len(order) - 1) for i, reached in enumerate(order)}
        return [
            value if math.isfinite(value) else worst + span * rank[max(reached, worst)]
            for _, value, reached in self._ended
        ]
