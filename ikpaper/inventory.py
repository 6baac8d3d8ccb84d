"""What is published, whether it is current, and what bringing it up to date would cost."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import TYPE_CHECKING

from ikpaper import training
from ikpaper.arm import RailArm
from ikpaper.checks import check_known
from ikpaper.files import project_root
from ikpaper.identity import State, made
from ikpaper.models import CATALOGUE
from ikpaper.profiles import PUBLISHED, get_profile
from ikpaper.training import TrainingRun
from ikpaper.weights import DamagedWeights

if TYPE_CHECKING:
    from ikpaper.experiments import Experiment


#: Kinds of what can be accepted. Studies are not among them: their trials are what they are.
KINDS = (
    *("weights", "benchmark", "calibration", "ablations", "scaling", "baselines"),
    *("confirmed", "pages"),
)


def all_runs(profile: str = PUBLISHED, **settings: str | int | None) -> list[TrainingRun]:
    """Every model that is trained in a profile, for the arms of the paper; teachers come first.

    Args:
        profile: Name of the profile.
        **settings: As `TrainingRun.of` takes them.
    """
    name = get_profile(profile).name
    return [
        TrainingRun.of(model, dof, profile=profile, **settings)  # type: ignore[arg-type]
        for model, kind in CATALOGUE.items()
        if name in kind.epochs
        for dof in kind.published_arms
    ]


def published_runs() -> list[TrainingRun]:
    """Every run whose weights are published: those of the paper's arms, and the flow on a rail."""
    return [*all_runs(), TrainingRun.of("flow", arm=RailArm.benchmark(), profile=PUBLISHED)]


def inventory(kinds: Collection[str] = ()) -> dict[str, list[State]]:
    """What is published, by kind; nothing is loaded or run.

    Args:
        kinds: Some of `KINDS`, and `studies`; all by default.

    Raises:
        ValueError: If a kind is unknown.
        RuntimeError: Outside of a checkout.
    """
    known = (*KINDS, "studies")
    check_known("kind", kinds, known)
    project_root()
    return {kind: _states(kind) for kind in kinds or known}


def accept(kind: str, names: Collection[str] = (), *, reason: str) -> list[str]:
    """Stamp what somebody has checked with today's identity.

    Args:
        kind: One of `KINDS`.
        names: As `inventory` has them; by default all of the kind that are not current.
        reason: What was checked; it stays on record.

    Returns:
        Names of what was stamped.

    Raises:
        ValueError: If the kind or a name is unknown.
        RuntimeError: Outside of a checkout.
    """
    check_known("kind", [kind], KINDS)
    standing = {state.name: state.current for state in _states(kind)}
    check_known(f"name among {kind}", names, standing)
    chosen = [name for name, current in standing.items() if name in names or not (names or current)]
    if not chosen:
        # To those who stamp pages, no name means all.
        return []
    if kind == "weights":
        for run in published_runs():
            if run.path().stem in chosen:
                training.accept(run, reason=reason)
    elif kind == "pages":
        from ikpaper.report import pages

        pages.accept(chosen, reason=reason)
    else:
        return [
            label
            for experiment in _experiments(kind)
            for label in experiment.accept(chosen, reason)
        ]
    return chosen


def _states(kind: str) -> list[State]:
    from ikpaper.report import pages
    from ikpaper.search import load_studies

    if kind == "pages":
        return pages.status()
    found = []
    if kind == "weights":
        for run in published_runs():
            try:
                record, differences = run.compare()
            except DamagedWeights as error:
                record, differences = None, [str(error)]
            cost = run.cost() if differences else 0.0
            found.append(State(run.path().stem, "; ".join(differences), made(record or {}), cost))
    elif kind == "studies":
        for study in load_studies():
            reason = "; ".join(study.study.differences(study.folder))
            cost = float(study.trials["seconds"].sum()) if reason else 0.0
            found.append(State(study.folder.name, reason, study.made, cost))
    else:
        for experiment in _experiments(kind):
            found += experiment.states()
    return found


def _experiments(kind: str) -> list[Experiment]:
    """What is tabulated of a kind."""
    from ikpaper.experiments import ablations, baselines, calibration, published, scaling
    from ikpaper.search import confirmed, load_studies

    if kind == "confirmed":
        return [confirmed(record) for record in load_studies()]
    tabulated: dict[str, tuple[Callable[[], Experiment], ...]] = {
        "benchmark": (published.experiment,),
        "calibration": (calibration.experiment,),
        "ablations": (ablations.experiment,),
        "scaling": (scaling.experiment, scaling.full_experiment),
        "baselines": (baselines.experiment,),
    }
    return [experiment() for experiment in tabulated[kind]]
