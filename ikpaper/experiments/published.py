"""The published benchmark: ground truth, baselines and all published models, a row each."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from typing import Any

import pandas as pd
from torch import Generator, Tensor

from ikpaper import projection
from ikpaper.arm import PlanarArm, TensorLike, as_tensor
from ikpaper.checks import check_count
from ikpaper.evaluation import CHECK_TARGETS, MANY_PROPOSALS, PERMUTATIONS, Task, exact_scores
from ikpaper.experiments.runner import Experiment, Job, ResultTable, results_path
from ikpaper.identity import Identity, digest
from ikpaper.models import CATALOGUE, Flow, build
from ikpaper.paper import TARGETS
from ikpaper.profiles import PUBLISHED, Profile, get_profile
from ikpaper.progress import Progress
from ikpaper.sampler import Sampler, refined
from ikpaper.samplers import (
    ExactPosterior,
    LargeLookupTable,
    LookupTable,
    NumericalSolver,
    Prior,
    RejectionPosterior,
)
from ikpaper.weights import load, load_record, weights_path

#: Random targets of the published table.
TARGET_COUNT = 1000

#: The flow's velocity without its network: what the kinematics alone give.
GUESS = "flow-guess"

#: Columns of what only this table has: pairs with the exact sampler, another kernel, a classifier.
CHECKED = (
    *("only_this", "only_exact"),
    *("checks", "mmd2_check", "mmd2_check_low", "mmd2_check_high", "rejected_check"),
    *("c2st", "c2st_low", "c2st_high"),
)

#: Columns of the table.
COLUMNS = (
    *("sampler", "dof", "refine", "at", "targets", "samples"),
    *("mmd2", "mmd2_low", "mmd2_high", "mmd2_worst1", "rejected"),
    *CHECKED,
    *("e_resim", "e_resim_worst1", "e_resim_worst", "e_resim_on_target", "missed"),
    *("samples_per_second", "parameters"),
    *("training_seconds", "training_threads", "training_device"),
    *("profile", "seed", "key"),
)

#: How often the slides' target is scored: once would leave the MMD^2 to chance.
_REPEATS = 100

#: Targets at which those in `_MANY` are scored by ten times as many samples, too: differences
#: that are a third as large show there.
_MANY_TARGETS = 100
_MANY = ("exact", "flow")
_MANY_CHUNK = 5

#: Samplers for which fewer targets must do: a thousand take hours.
_FEWER = {"numerical": 10}

#: Order of the samplers in tables, before the models.
CLASSICAL = ("exact", "rejection", "numerical", "prior", "lookup", "lookup-large", GUESS)

#: Targets over which the rate of slow samplers is measured, and of others.
_TIMED = {"rejection": 5, "numerical": 1}
_TIMED_ELSE = 10

#: Gauss-Newton steps of the rows of prior, look-up tables, and models with their parts.
_STEPS = (0, 3)

#: Samplers that are checked after steps, too: without them, nobody would use these.
_CHECKED_REFINED = ("prior", "lookup", "lookup-large", "flow-fast")

#: Seconds to draw and score the samples of a target, roughly, for the time left.
_SECONDS = {"numerical": 20.0, "flow": 0.3, "flow-plain": 0.3, GUESS: 0.3}
_SECONDS_ELSE = 0.1


def experiment(
    dofs: Sequence[int] = PlanarArm.PAPER_DOF,
    *,
    targets: int = TARGET_COUNT,
    samples: int = 1000,
    profile: str = PUBLISHED,
) -> Experiment:
    """Scores of ground truth, baselines and all models that are trained.

    Prior, look-up tables and models also with three Gauss-Newton steps; everything also at the
    slides' targets, a hundred times each; the exact sampler and the flow also with ten times as
    many samples, at the first hundred targets. No model is loaded before its job runs.

    Args:
        dofs: Which of the paper's arms.
        targets: Number of random targets; another one than published has a table of its own.
        samples: Samples a target.
        profile: Profile of the models.
    """
    targets = check_count("targets", targets)
    numbers = get_profile(profile)
    jobs: list[Job] = []
    for dof in dofs:
        arm = PlanarArm.paper(dof)
        options: dict[str, Any] = {"samples": samples, "sigma": numbers.sigma}
        tasks = [Task.random(arm, targets, **options)]
        if dof in TARGETS:
            tasks.append(Task.at(arm, TARGETS[dof], repeats=min(_REPEATS, targets), **options))
        entries = list(published_entries(arm, numbers))
        jobs += [_job(task, entry, profile) for task in tasks for entry in entries]
        options["samples"] *= 10
        many = replace(
            Task.random(arm, min(_MANY_TARGETS, targets), **options),
            name="many samples",
            # Twice as many samples at a time as of the other tasks; more would not fit everywhere.
            chunk=_MANY_CHUNK,
        )
        chosen = [replace(entry, steps=(0,)) for entry in entries if entry.name in _MANY]
        jobs += [_job(many, entry, profile) for entry in chosen]
    path = results_path("benchmark", str(targets), published=targets == TARGET_COUNT)
    place, order = ("dof", "at", "sampler"), {"sampler": (*CLASSICAL, *CATALOGUE)}
    return Experiment(jobs, ResultTable(path, COLUMNS, place, order))


def time_published(dofs: Sequence[int] = PlanarArm.PAPER_DOF) -> pd.DataFrame:
    """Measure the rates of all rows at random targets anew, in one run, so that they compare.

    Rows are measured beside other work, perhaps on several machines. Nothing but the column
    `samples_per_second` changes, and no key: a rate is nothing that decides a result.

    Args:
        dofs: Which of the paper's arms.
    """
    numbers, known = get_profile(PUBLISHED), experiment(dofs)
    tasks = {
        dof: Task.random(PlanarArm.paper(dof), _TIMED_ELSE, sigma=numbers.sigma) for dof in dofs
    }
    entries = [
        (task, entry) for task in tasks.values() for entry in published_entries(task.arm, numbers)
    ]
    progress = Progress(len(entries))
    for task, entry in entries:
        sampler = entry.load()
        for row in known.table.group({"dof": task.arm.dof, "at": task.name, "sampler": entry.name}):
            row["samples_per_second"] = _rate(task, entry.name, sampler, int(row["refine"]))
        progress.advance(1, f"{entry.name} {task.arm.dof} DoF")
    known.table.write()
    return known.rows()


@dataclass(frozen=True)
class Entry:
    """A sampler of the table.

    Attributes:
        name: What it is called there.
        versions: Of the code behind it.
        load: Makes or loads it.
        steps: Gauss-Newton steps of its rows.
        settings: What else decides its numbers.
        inputs: Content hashes of what it is made from.
        origin: Columns that say what its training took.
    """

    name: str
    versions: Mapping[str, int]
    load: Callable[[], Sampler]
    steps: tuple[int, ...] = (0,)
    settings: Mapping[str, Any] = field(default_factory=dict)
    inputs: Mapping[str, str] = field(default_factory=dict)
    origin: Mapping[str, Any] = field(default_factory=dict)

    def identity(
        self, table: str, settings: Mapping[str, Any], versions: Mapping[str, int]
    ) -> Identity:
        """What decides its rows in a table, of the settings and versions of what scores it."""
        steps = {"projection": projection.VERSION} if any(self.steps) else {}
        return Identity(
            "row",
            {
                "table": table,
                "sampler": self.name,
                "refine": self.steps,
                **self.settings,
                **settings,
            },
            self.inputs,
            {**versions, **self.versions, **steps},
        )


def published_entries(arm: PlanarArm, numbers: Profile) -> Iterator[Entry]:
    """Everything that has rows for an arm and a profile of the models; nothing is loaded yet."""
    sigma = numbers.sigma
    for truth in (ExactPosterior, NumericalSolver):
        yield Entry(truth.name, {truth.name: truth.version}, partial(truth, arm, sigma))
    yield Entry(
        RejectionPosterior.name,
        {RejectionPosterior.name: RejectionPosterior.version},
        partial(RejectionPosterior, arm, sigma, numbers.eps, max_proposals=MANY_PROPOSALS),
        settings={"eps": numbers.eps},
    )
    for kind in (Prior, LookupTable, LargeLookupTable):
        # A table is made of prior samples.
        versions = {kind.name: kind.version, Prior.name: Prior.version}
        yield Entry(kind.name, versions, partial(kind, arm, sigma), _STEPS)
    # Untrained, the flow's network is zero.
    yield Entry(
        GUESS,
        {Flow.name: Flow.version},
        partial(build, Flow.name, arm=arm, sigma=sigma),
        _STEPS,
        settings={"hyperparameters": asdict(Flow.configure(arm, sigma=sigma))},
    )
    for name, model in CATALOGUE.items():
        path = weights_path(name, arm, numbers, numbers.seed)
        record = load_record(path)
        if record is None:
            continue
        seconds = record["seconds"]
        if model.teacher is not None:
            teacher = load_record(weights_path(model.teacher, arm, numbers, numbers.seed))
            seconds += teacher["seconds"] if teacher else 0.0
        yield Entry(
            name,
            {name: model.version},
            # Where they are now: a node of a cluster need not have the same default.
            partial(
                load, name, arm=arm, profile=numbers, seed=numbers.seed, directory=path.parents[1]
            ),
            _STEPS,
            inputs={"weights": record["sha256"]},
            origin={
                "parameters": record["num_parameters"],
                "training_seconds": seconds,
                "training_threads": int(record["provenance"]["cpu_threads"]),
                "training_device": record["device"],
            },
        )


def _job(task: Task, entry: Entry, profile: str) -> Job:
    name = entry.name
    count = min(_FEWER.get(name, len(task)), len(task))
    # Over fewer targets, a classifier says little.
    checks = _checks(task) if count >= _checks(task) else 0
    checks_refined = checks if name in _CHECKED_REFINED else 0

    def measure(progress: Progress, fresh: bool) -> list[dict[str, Any]]:
        plain = entry.load()
        part = task if count == len(task) else task.first(count)
        exact = exact_scores(task, _checks(task))
        drawn = Remembering(plain)
        rows = []
        for steps in entry.steps:
            if name == ExactPosterior.name:
                scores = exact
            else:
                scores = part.score(
                    refined(drawn, steps, task.arm),
                    permutations=PERMUTATIONS,
                    checks=checks_refined if steps else checks,
                )
            rows.append(
                {
                    "refine": steps,
                    **scores.summary(),
                    **scores.rejected_alone(exact),
                    **entry.origin,
                    "samples_per_second": _rate(part, name, plain, steps),
                    "profile": profile,
                    "seed": 0,
                }
            )
        return rows

    settings = {
        **task.settings(),
        "count": count,
        "permutations": PERMUTATIONS,
        **task.check_settings(checks),
        **({"checks_refined": checks_refined} if any(entry.steps) else {}),
    }
    return Job(
        {"dof": task.arm.dof, "at": task.name, "sampler": name},
        entry.identity("benchmark", settings, task.versions()),
        f"{name} {task.arm.dof} DoF, {task.name} targets",
        (_SECONDS.get(name, _SECONDS_ELSE) + 0.05 * len(entry.steps)) * count * task.samples / 1000,
        measure,
        lambda row: f"MMD² to exact {row['mmd2']:.3g}",
    )


def _rate(task: Task, name: str, sampler: Sampler, steps: int) -> float:
    """Samples a second, over as many targets as the sampler of that name can afford."""
    return task.rate(refined(sampler, steps, task.arm), _TIMED.get(name, _TIMED_ELSE))


def _checks(task: Task) -> int:
    """At how many targets a task's samplers are checked: random ones, by the usual samples."""
    return min(CHECK_TARGETS, len(task)) if task.name == "random" else 0


class Remembering:
    """A sampler that does not draw twice what it is asked twice: rows of one job share samples."""

    def __init__(self, sampler: Sampler) -> None:
        self._sampler = sampler
        self._answers: dict[str, tuple[Tensor, Tensor]] = {}

    def sample(self, tcp: TensorLike, n: int, *, generator: Generator | None = None) -> Tensor:
        """As the sampler itself, which leaves the generator in the same state."""
        if generator is None:
            return self._sampler.sample(tcp, n)
        question = digest(as_tensor(tcp).tolist(), n, generator.get_state().tolist())
        if question not in self._answers:
            theta = self._sampler.sample(tcp, n, generator=generator)
            self._answers[question] = theta, generator.get_state()
        theta, after = self._answers[question]
        generator.set_state(after)
        return theta
