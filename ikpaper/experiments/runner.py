"""Runs jobs into a table that grows by their rows and outlasts the process that measures them."""

from __future__ import annotations

import io
import json
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pandas as pd

from ikpaper.cluster import as_tasks, connected, given_up, max_parallel
from ikpaper.evaluation import PaperProtocol, Task
from ikpaper.files import project_root, write_json, write_text
from ikpaper.identity import Identity, State, accepted, made, provenance
from ikpaper.matmul import fast_matmul
from ikpaper.progress import Progress, duration

Rows = dict[str, Any] | list[dict[str, Any]]
Measure = Callable[[Progress, bool], Rows]


@dataclass(frozen=True)
class Job:
    """One thing to measure: a row of a table, or a group of rows.

    Attributes:
        place: What names the row: values of the table's `place` columns.
        identity: What decides its numbers.
        label: For progress lines.
        cost: Expected seconds, roughly, for the time left.
        measure: Returns the row's other columns, or a list of such rows. It is told where to
            report progress, and whether to train anew what is trained already.
        describe: Sums the result up for the progress line.
    """

    place: Mapping[str, Any]
    identity: Identity
    label: str
    cost: float
    measure: Measure
    describe: Callable[[dict[str, Any]], str] = lambda row: "done"


@dataclass(frozen=True)
class Measured:
    """What a job gave.

    Attributes:
        rows: What `Job.measure` returned.
        provenance: Of the machine that measured.
        seconds: What it took there.
    """

    rows: Rows
    provenance: Mapping[str, Any]
    seconds: float


class ResultTable:
    """Rows of results in a CSV file, which is written anew after each.

    A row has a content key, in the column `key`; a JSON file beside the table holds, for each key,
    the identity behind it and where it was made.

    Args:
        path: The CSV file; it need not exist yet.
        columns: Its columns.
        place: Columns that name a row, or a group of rows of one job; new rows take the place of
            those of the same name.
        order: For columns of `place` that are not sorted by value: their values in order.
            Unknown ones come last.
    """

    def __init__(
        self,
        path: Path,
        columns: Sequence[str],
        place: Sequence[str],
        order: Mapping[str, Sequence[Any]] = MappingProxyType({}),
    ) -> None:
        self.path, self.columns, self.place = path, list(columns), tuple(place)
        self._ranks = {
            name: {value: rank for rank, value in enumerate(dict.fromkeys(values))}
            for name, values in order.items()
        }
        self._groups: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
        for row in pd.read_csv(self.path).to_dict("records") if self.path.exists() else ():
            self._groups.setdefault(self._name(row), []).append(row)
        records = self.path.with_suffix(".json")
        self.records: dict[str, Any] = (
            json.loads(records.read_text(encoding="utf-8")) if records.exists() else {}
        )

    def _name(self, row: Mapping[str, Any]) -> tuple[Any, ...]:
        return tuple(row[name] for name in self.place)

    def _rank(self, name: tuple[Any, ...]) -> tuple[Any, ...]:
        return tuple(
            ranks.get(value, len(ranks)) if (ranks := self._ranks.get(column)) else value
            for column, value in zip(self.place, name, strict=True)
        )

    def key(self, place: Mapping[str, Any]) -> str | None:
        """Content key of what stands in a place, if anything does."""
        group = self.group(place)
        return str(group[0].get("key")) if group else None

    def group(self, place: Mapping[str, Any]) -> list[dict[str, Any]]:
        """The rows that stand in a place."""
        return self._groups.get(self._name(place), [])

    def outdated(self, job: Job) -> str:
        """Why a job's result is not current; empty if it is."""
        key = self.key(job.place)
        if key is None:
            return "not measured"
        if key == job.identity.key:
            return ""
        return "; ".join(job.identity.differs(self.records.get(key, {})))

    def add(self, job: Job, measured: Measured) -> dict[str, Any]:
        """Put a job's rows in their place and write the files; returns the first row."""
        found = measured.rows if isinstance(measured.rows, list) else [measured.rows]
        group = [
            {name: {**job.place, **row, "key": job.identity.key}.get(name) for name in self.columns}
            for row in found
        ]
        self._groups[self._name(job.place)] = group
        self._note(job, {"provenance": measured.provenance})
        self.write()
        return group[0]

    def accept(self, job: Job, reason: str) -> None:
        """Stamp what stands in a job's place with today's identity, as somebody checked it."""
        before = self.records.get(str(self.key(job.place)), {})
        for row in self._groups[self._name(job.place)]:
            row["key"] = job.identity.key
        origin = before.get("provenance", {})
        self._note(job, {"provenance": origin, "accepted": accepted(before, reason)})

    def _note(self, job: Job, origin: Mapping[str, Any]) -> None:
        self.records[job.identity.key] = {**job.identity.record(), **origin}

    def write(self) -> None:
        """Write the table and the identities behind it."""
        frame = self._frame(self._groups)
        keys = set(frame["key"])
        write_json(
            self.path.with_suffix(".json"),
            {key: record for key, record in self.records.items() if key in keys},
        )
        write_text(self.path, frame.to_csv(index=False))

    def rows(self, jobs: Iterable[Job]) -> pd.DataFrame:
        """The rows of these jobs, in the table's order."""
        return self._frame({self._name(job.place) for job in jobs} & set(self._groups))

    def _frame(self, names: Iterable[tuple[Any, ...]]) -> pd.DataFrame:
        rows = [row for name in sorted(names, key=self._rank) for row in self._groups[name]]
        return pd.DataFrame(rows, columns=self.columns)


@dataclass(frozen=True)
class Experiment:
    """What a table is to hold: jobs, and the table of their rows.

    Attributes:
        jobs: A job for each row, or group of rows.
        table: Where rows go; rows that no job is about stay.
    """

    jobs: Sequence[Job]
    table: ResultTable

    def run(
        self,
        *,
        fresh: bool = False,
        keep: bool = False,
        address: str | None = None,
        cpus: float = 1,
    ) -> pd.DataFrame:
        """Measure what the table lacks; it is written after each job, which outlasts a kill.

        Args:
            fresh: Measure also what is current, and train it anew.
            keep: Keep what is there though it is not current, and say so, unless `fresh`.
            address: Ray cluster to hand jobs to, see `cluster.connected`; by default they run
                here, one after the other. Its nodes must see the folders of weights under the same
                paths.
            cpus: CPUs of each job there, and its threads; or a share of one.

        Returns:
            The rows of the jobs.

        Raises:
            ValueError: If nobody answers at the address.
            RuntimeError: If a job fails on the cluster; the others are finished first.
        """
        progress = Progress(sum(job.cost for job in self.jobs))
        waiting = []
        for number, job in enumerate(self.jobs, 1):
            label = f"[{number}/{len(self.jobs)}] {job.label}"
            outdated = self.table.outdated(job)
            kept = keep and self.table.key(job.place) is not None
            if fresh or (outdated and not kept):
                waiting.append((label, job))
                continue
            progress.skip(job.cost)
            if outdated:
                progress.say(f"{label}: kept, though it differs ({outdated})")
        if address is None:
            measured = _one_by_one(waiting, progress, fresh)
        else:
            measured = _on_cluster(waiting, progress, fresh, address, cpus)
        for (label, job), found in measured:
            row = self.table.add(job, found)
            progress.say(f"{label}: {job.describe(row)}, {duration(found.seconds)}")
        return self.rows()

    def rows(self) -> pd.DataFrame:
        """The rows of the jobs that are there."""
        return self.table.rows(self.jobs)

    def states(self) -> list[State]:
        """Whether each job's result is current, and why not."""
        found = []
        for job in self.jobs:
            origin = made(self.table.records.get(self.table.key(job.place) or "", {}))
            reason = self.table.outdated(job)
            found.append(State(job.label, reason, origin, job.cost if reason else 0.0))
        return found

    def accept(self, labels: Collection[str], reason: str) -> list[str]:
        """Stamp rows that are there with today's identities, as somebody has checked them.

        Args:
            labels: Of the jobs that this is about.
            reason: What was checked.

        Returns:
            The labels of those that have changed.
        """
        changed = []
        for job in self.jobs:
            if job.label in labels and self.table.key(job.place) not in (None, job.identity.key):
                self.table.accept(job, reason)
                changed.append(job.label)
        if changed:
            self.table.write()
        return changed


#: A job and what progress lines call it.
_Waiting = tuple[str, Job]


def _one_by_one(
    waiting: Sequence[_Waiting], progress: Progress, fresh: bool
) -> Iterator[tuple[_Waiting, Measured]]:
    for label, job in waiting:
        before = progress.done
        progress.show(label)
        found = _measured(job.measure, progress, fresh)
        # What the measurement has reported itself is part of the cost.
        progress.advance(job.cost - (progress.done - before), label)
        yield (label, job), found


def _on_cluster(
    waiting: Sequence[_Waiting], progress: Progress, fresh: bool, address: str, cpus: float
) -> Iterator[tuple[_Waiting, Measured]]:
    if not waiting:
        return
    failures = []
    # The longest first, so that none of them is started last.
    order = sorted(range(len(waiting)), key=lambda i: -waiting[i][1].cost)
    with connected(address):
        progress.show(f"{len(waiting)} jobs, {max_parallel(cpus, 0)} at a time")
        calls = {i: (waiting[i][1].measure, fresh) for i in order}
        for i, found in as_tasks(_measure_there, calls, cpus=cpus):
            label, job = waiting[i]
            if isinstance(found, BaseException):
                failures.append(given_up(label, found))
                progress.say(failures[-1])
                continue
            progress.advance(job.cost, label)
            yield waiting[i], found
    if failures:
        raise RuntimeError(failures[0])


def _measure_there(measure: Measure, fresh: bool) -> Measured:
    """What a task does on its node."""
    return _measured(measure, Progress(1.0, stream=io.StringIO()), fresh)


def _measured(measure: Measure, progress: Progress, fresh: bool) -> Measured:
    start = time.monotonic()
    rows = measure(progress, fresh)
    origin = {**provenance(), "fast_matmul": fast_matmul()}
    return Measured(rows, origin, time.monotonic() - start)


def identity_of_trained(
    table: str,
    training: Identity,
    scores: Task | PaperProtocol,
    *,
    settings: Mapping[str, Any] = MappingProxyType({}),
    versions: Mapping[str, int] = MappingProxyType({}),
) -> Identity:
    """What decides a row of scores of something that is trained for it.

    Args:
        table: Name of the table.
        training: What decides the weights.
        scores: What scores them.
        settings: What else was chosen.
        versions: Of what else decides numbers.
    """
    return Identity(
        "row",
        {"table": table, "training": training.settings, **scores.settings(), **settings},
        training.inputs,
        {**training.versions, **scores.versions(), **versions},
    )


def results_path(name: str, variant: str, *, published: bool) -> Path:
    """Where a table belongs: among the book's results, or out of readers' sight.

    Args:
        name: Of the table.
        variant: What tells it from the published one, a profile for instance.
        published: Whether it is that one.
    """
    if published:
        return project_root() / "book" / "results" / f"{name}.csv"
    return project_root() / ".cache" / f"{name}-{variant}.csv"


def weights_folder(name: str) -> Path:
    """Folder of weights and checkpoints of an experiment, which are not kept for readers."""
    return project_root() / ".cache" / name
