"""What quality costs: steps of the flow, epochs of classifiers, time for a sample."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from ikpaper.arm import PlanarArm
from ikpaper.evaluation import PERMUTATIONS, Task, random_targets, sampling_rate
from ikpaper.metrics import c2st_batch
from ikpaper.models import Flow, NetworkSampler
from ikpaper.profiles import Profile
from ikpaper.sampler import Sampler, refined
from ikpaper.samplers import ExactPosterior
from ikpaper.statistics import bootstrap_interval

#: Targets at which stops are compared, and how many must do where classifiers train to the end,
#: which takes seconds a target.
_STOP_TARGETS, _TO_THE_END = 24, 6


def flow_steps(flow: Flow, profile: Profile, steps: Sequence[int]) -> pd.DataFrame:
    """Scores of the flow by its midpoint steps, as drawn and moved onto the target.

    Args:
        flow: The flow.
        profile: Prior, and numbers of targets and samples.
        steps: Numbers of steps.

    Returns:
        A row each: `profile`, `sampler`, `steps`, `refine`, those of `Scores.summary`, `seed`.
    """
    task = _task(flow.arm, profile, profile.exact_targets // 2, seed=1)
    usual, rows = flow.steps, []
    try:
        for flow.steps in steps:
            for refine in (0, 2):
                sampler = refined(flow, refine, flow.arm)
                row = {"profile": profile.name, "sampler": flow.name, "steps": flow.steps}
                scores = task.score(sampler, permutations=PERMUTATIONS).summary()
                rows.append({**row, "refine": refine, **scores, "seed": 1})
    finally:
        flow.steps = usual
    return pd.DataFrame(rows)


def classifier_stops(
    model: NetworkSampler, profile: Profile, epochs: Sequence[int | None]
) -> pd.DataFrame:
    """Accuracies of C2ST, of exact samples and a model's, by when its classifiers stop.

    Args:
        model: The model.
        profile: Prior, and numbers of targets and samples.
        epochs: Passes over the samples; None: until the loss stands still.

    Returns:
        A row each: `sampler`, `epochs` (0 for None), `targets`, the mean `c2st` over them with its
        interval, their `spread`, `profile` and `seed`.
    """
    exact = ExactPosterior(model.arm, profile.sigma_for(model.arm))
    task = _task(model.arm, profile, min(_STOP_TARGETS, profile.exact_targets), seed=2)
    rows = []
    for sampler in (exact, model):
        theta = task.draw(sampler)
        for stop in epochs:
            count = len(theta) if stop else _TO_THE_END
            accuracy = c2st_batch(theta[:count], task.reference[:count], epochs=stop)
            low, high = bootstrap_interval(accuracy.tolist())
            rows.append(
                {
                    "sampler": sampler.name,
                    "epochs": stop or 0,
                    "targets": len(accuracy),
                    "c2st": float(accuracy.mean()),
                    "c2st_low": low,
                    "c2st_high": high,
                    "spread": float(accuracy.std()),
                    "profile": profile.name,
                    "seed": 2,
                }
            )
    return pd.DataFrame(rows)


def times_of_a_sample(
    samplers: Mapping[tuple[str, int], Sampler], arm: PlanarArm, profile: Profile, targets: int
) -> pd.DataFrame:
    """Seconds for a sample, as its share of a call.

    Args:
        samplers: By name and Gauss-Newton steps onto the target.
        arm: The arm.
        profile: The prior.
        targets: Targets of the calls for one sample of each.

    Returns:
        A row a sampler: `profile`, `sampler`, `refine`, and the seconds where it is asked for one
        sample of one target (`call`), for one of each of many (`one`), and for a thousand of each
        of a few (`many`).
    """
    tcp = random_targets(arm, targets, profile.sigma, seed=2)
    calls = {"call": (tcp[:1], 1), "one": (tcp, 1), "many": (tcp[:20], 1000)}
    rows = []
    for (name, steps), sampler in samplers.items():
        moved = refined(sampler, steps, arm)
        seconds = {call: 1 / sampling_rate(moved, *what, arm=arm) for call, what in calls.items()}
        rows.append({"profile": profile.name, "sampler": name, "refine": steps, **seconds})
    return pd.DataFrame(rows)


def _task(arm: PlanarArm, profile: Profile, targets: int, seed: int) -> Task:
    return Task.random(
        arm,
        targets,
        samples=profile.exact_samples,
        sigma=profile.sigma_for(arm),
        seed=seed,
    )
