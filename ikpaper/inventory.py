"""What is published, whether it is current, and what bringing it up to date would cost."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from typing import TYPE_CHECKING, NamedTuple

from ikpaper import training
from ikpaper.arm import RailArm
from ikpaper.files import project_root
from ikpaper.models import CATALOGUE
from ikpaper.profiles import PUBLISHED, get_profile
from ikpaper.training import TrainingRun
from ikpaper.weights import DamagedWeights

if TYPE_CHECKING:
    from ikpaper.experiments import Job, ResultTable

    _Tables = Iterable[tuple[Iterable[Job], ResultTable]]

__all__ = ["KINDS", "Item", "accept", "all_runs", "inventory", "published_runs"]


class Item(NamedTuple):
    """One published thing.

    Attributes:
        kind: One of `KINDS`, or `studies`.
        name: What it is called among its kind.
        current: Whether it is what today's settings, inputs and versions would give.
        reason: Why it is not; empty if it is.
        made: Revision and version of torch that it was made with, as far as that is on record.
        cost: Seconds to bring it up to date, roughly; 0 if it is current.
    """

    kind: str
    name: str
    current: bool
    reason: str
    made: str
    cost: float


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


def inventory(kinds: Collection[str] = ()) -> list[Item]:
    """What is published; nothing is loaded or run.

    Args:
        kinds: Some of `KINDS`, and `studies`; all by default.

    Raises:
        RuntimeError: Outside of a checkout.
    """
    project_root()
    return [item for kind in kinds or (*KINDS, "studies") for item in _items(kind)]


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
    if kind not in KINDS:
        raise ValueError(f"kind: expected one of {', '.join(KINDS)}, got {kind!r}")
    standing = {item.name: item.current for item in _items(kind)}
    if unknown := sorted(set(names) - set(standing)):
        raise ValueError(f"unknown {', '.join(unknown)} among {kind}; known: {', '.join(standing)}")
    chosen = [name for name, current in standing.items() if name in names or not (names or current)]
    if kind == "weights":
        for run in published_runs():
            if run.path().stem in chosen:
                training.accept(run, reason=reason)
    elif kind == "pages":
        from ikpaper.report import pages

        pages.accept(chosen, reason=reason)
    else:
        from ikpaper.experiments import accept_rows

        return [
            name
            for jobs, table in _TABLES[kind]()
            for name in accept_rows([job for job in jobs if job.label in chosen], table, reason)
        ]
    return chosen


def _items(kind: str) -> Iterator[Item]:
    listed = {"weights": _weights, "studies": _studies, "pages": _pages}
    return listed[kind]() if kind in listed else _rows(kind)


def _weights() -> Iterator[Item]:
    from ikpaper.experiments import made

    for run in published_runs():
        try:
            record, differences = run.compare()
        except DamagedWeights as error:
            record, differences = None, [str(error)]
        cost, reason = run.cost() if differences else 0.0, "; ".join(differences)
        yield Item("weights", run.path().stem, not reason, reason, made(record or {}), cost)


def _benchmark() -> _Tables:
    from ikpaper.experiments.published import published_jobs, published_table

    return [(published_jobs(), published_table())]


def _ablations() -> _Tables:
    from ikpaper.experiments.ablations import ablation_jobs, ablation_table

    return [(ablation_jobs(), ablation_table())]


def _scaling() -> _Tables:
    from ikpaper.experiments.scaling import scaling_jobs, scaling_table

    return [(scaling_jobs(), scaling_table())]


def _baselines() -> _Tables:
    from ikpaper.experiments.baselines import baseline_jobs, baseline_table

    return [(baseline_jobs(), baseline_table())]


def _confirmed() -> _Tables:
    from ikpaper.search import confirmed_jobs, confirmed_table, load_studies

    return [(confirmed_jobs(record), confirmed_table(record)) for record in load_studies()]


#: Tables of results with the jobs of their rows.
_TABLES: dict[str, Callable[[], _Tables]] = {
    "benchmark": _benchmark,
    "ablations": _ablations,
    "scaling": _scaling,
    "baselines": _baselines,
    "confirmed": _confirmed,
}

#: Kinds of what can be accepted. Studies are not among them: their trials are what they are.
KINDS = ("weights", *_TABLES, "pages")


def _rows(kind: str) -> Iterator[Item]:
    from ikpaper.experiments import states

    for jobs, table in _TABLES[kind]():
        for state in states(jobs, table):
            yield Item(kind, state.label, state.current, state.reason, state.made, state.cost)


def _studies() -> Iterator[Item]:
    from ikpaper.search import load_studies

    for record in load_studies():
        reason = "; ".join(record.study.differences(record.folder))
        cost = float(record.trials["seconds"].sum()) if reason else 0.0
        yield Item("studies", record.folder.name, not reason, reason, "", cost)


def _pages() -> Iterator[Item]:
    from ikpaper.report import pages

    for page in pages.status():
        cost = 0.0 if page.current else page.cost
        yield Item("pages", page.name, page.current, page.reason, page.made_by, cost)
