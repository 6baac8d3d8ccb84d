"""The published benchmark: ground truth, baselines and all published models, a row each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from ikpaper import projection
from ikpaper.arm import PlanarArm
from ikpaper.checks import check_count
from ikpaper.evaluation import MANY_PROPOSALS, PERMUTATIONS, Task
from ikpaper.experiments.runner import Job, ResultTable, results_path, run_jobs
from ikpaper.identity import Identity
from ikpaper.models import CATALOGUE
from ikpaper.paper import TARGETS
from ikpaper.profiles import PUBLISHED, get_profile
from ikpaper.progress import Progress
from ikpaper.sampler import PosteriorSampler, Refined
from ikpaper.samplers import ExactPosterior, NumericalSolver, Prior, RejectionPosterior
from ikpaper.weights import load_record, load_with_record, weights_path

__all__ = ["COLUMNS", "TARGET_COUNT", "published_jobs", "published_table", "run_published"]

#: Random targets of the published table.
TARGET_COUNT = 1000

#: Columns of the table.
COLUMNS = (
    "sampler",
    "dof",
    "refine",
    "at",
    "targets",
    "samples",
    "mmd2",
    "mmd2_low",
    "mmd2_high",
    "mmd2_worst1",
    "rejected",
    "c2st",
    "c2st_targets",
    "e_resim",
    "e_resim_worst1",
    "e_resim_worst",
    "e_resim_on_target",
    "missed",
    "samples_per_second",
    "parameters",
    "training_seconds",
    "training_threads",
    "training_device",
    "profile",
    "seed",
    "key",
)

#: How often the slides' target is scored: once would leave the MMD^2 to chance.
_REPEATS = 100

#: At how many random targets a classifier is trained where the aim is to fool it, and else; for
#: ten joints it takes as long as all other scores of some hundred targets.
_C2ST, _C2ST_ELSE = 5, 2

#: Samplers that mean to be exact.
_EXACT = ("exact", "flow", "flow-fast")

#: Samplers for which fewer targets must do: they take hours for a thousand.
_FEWER = {"rejection": 100, "numerical": 10}

#: Gauss-Newton steps of the rows of models: none, and enough to converge.
_STEPS = (0, 3)

#: Seconds to score a target, roughly, for the time left.
_SECONDS = {"exact": 0.3, "rejection": 3.0, "numerical": 8.0, "flow": 0.5}


def run_published(
    *,
    dofs: Sequence[int] = PlanarArm.PAPER_DOF,
    targets: int = TARGET_COUNT,
    fresh: bool = False,
    table: Path | None = None,
    directory: Path | None = None,
) -> pd.DataFrame:
    """Score ground truth, baselines and all published models; the table is written after each row.

    Models also with three Gauss-Newton steps; everything also at the slides' targets, a hundred
    times each. Rows that are current are kept, as are those of arms that this call is not about.

    Args:
        dofs: Which of the paper's arms.
        targets: Number of random targets.
        fresh: Measure also what the table has.
        table: File of results; by default `book/results/benchmark.csv`, and for another number of
            targets one of its own in `.cache/`.
        directory: Folder of all weights; see `weights.weights_path`.
    """
    jobs = list(published_jobs(dofs, targets=targets, directory=directory))
    return run_jobs(jobs, published_table(targets, table), fresh=fresh)


def published_table(targets: int = TARGET_COUNT, path: Path | None = None) -> ResultTable:
    """The table of rows that are there."""
    known = path or results_path("benchmark", str(targets), published=targets == TARGET_COUNT)
    order = {"sampler": ("exact", "rejection", "numerical", "prior", *CATALOGUE)}
    return ResultTable(known, COLUMNS, ("dof", "at", "sampler", "refine"), order)


def published_jobs(
    dofs: Sequence[int] = PlanarArm.PAPER_DOF,
    *,
    targets: int = TARGET_COUNT,
    samples: int = 1000,
    profile: str = PUBLISHED,
    directory: Path | None = None,
) -> Iterator[Job]:
    """A job for every row; no model is loaded before its row is measured.

    Args:
        dofs: Which of the paper's arms.
        targets: Number of random targets.
        samples: Samples a target.
        profile: Profile of the models.
        directory: Folder of all weights.
    """
    check_count("targets", targets)
    numbers = get_profile(profile)
    for dof in dofs:
        arm = PlanarArm.paper(dof)
        truths: tuple[PosteriorSampler, ...] = (
            ExactPosterior(arm, numbers.sigma),
            RejectionPosterior(arm, numbers.sigma, numbers.eps, max_proposals=MANY_PROPOSALS),
            NumericalSolver(arm, numbers.sigma),
            Prior(arm, numbers.sigma),
        )
        tasks = [Task.random(arm, targets, samples=samples, sigma=numbers.sigma)]
        if dof in TARGETS:
            repeats = min(_REPEATS, targets)
            tasks.append(
                Task.at(arm, TARGETS[dof], repeats=repeats, samples=samples, sigma=numbers.sigma)
            )
        for task in tasks:
            for truth in truths:
                eps = {"eps": truth.eps} if isinstance(truth, RejectionPosterior) else {}
                yield _job(task, truth.name, truth.version, eps, {}, 0, truth, profile, {})
            for name, kind in CATALOGUE.items():
                path = weights_path(name, arm, numbers, numbers.seed, directory)
                record = load_record(path)
                if record is None:
                    continue
                origin = {
                    "parameters": record["num_parameters"],
                    "training_seconds": record["seconds"],
                    "training_threads": _threads(record),
                    "training_device": record["device"],
                }
                if kind.teacher is not None:
                    teacher = load_record(
                        weights_path(kind.teacher, arm, numbers, numbers.seed, directory)
                    )
                    origin["training_seconds"] += teacher["seconds"] if teacher else 0.0
                for steps in _STEPS:
                    weights = {"weights": record["sha256"]}
                    source = (name, arm, numbers, directory)
                    yield _job(
                        task, name, kind.version, {}, weights, steps, source, profile, origin
                    )


def _threads(record: dict[str, Any]) -> int:
    return int(record["provenance"]["cpu_threads"])


def _job(
    task: Task,
    name: str,
    version: int,
    settings: dict[str, Any],
    inputs: dict[str, str],
    steps: int,
    source: Any,
    profile: str,
    origin: dict[str, Any],
) -> Job:
    count = min(_FEWER.get(name, len(task)), len(task))
    # None where all targets are the same.
    classified = 0 if task.name == "slides" else _C2ST if name in _EXACT else _C2ST_ELSE
    classified = min(classified, count)

    def measure(progress: Progress) -> dict[str, Any]:
        if isinstance(source, PosteriorSampler):
            sampler: Any = source
        else:
            model, arm, numbers, directory = source
            sampler = load_with_record(model, arm, numbers, numbers.seed, directory)[0]
        if steps:
            sampler = Refined(sampler, steps)
        part = task if count == len(task) else task.first(count)
        scores = part.score(sampler, permutations=PERMUTATIONS, c2st_targets=classified)
        return {
            **scores.summary(),
            **origin,
            "samples_per_second": part.rate(sampler),
            "profile": profile,
            "seed": 0,
        }

    identity = Identity(
        "row",
        {
            "table": "benchmark",
            "sampler": name,
            "refine": steps,
            **settings,
            **task.settings(),
            "count": count,
            "permutations": PERMUTATIONS,
            "c2st_targets": classified,
        },
        inputs,
        {
            **task.versions(),
            name: version,
            **({"projection": projection.VERSION} if steps else {}),
        },
    )
    refined = f", refine={steps}" if steps else ""
    return Job(
        {"dof": task.arm.dof, "at": task.name, "sampler": name, "refine": steps},
        identity,
        f"{name}{refined} {task.arm.dof} DoF, {task.name} targets",
        _SECONDS.get(name, 0.3) * count,
        measure,
        lambda row: f"MMD² to exact {row['mmd2']:.3g}",
    )
