"""Stored numbers of everything that has a version: they move only when somebody means it.

`python -m tests.test_canary` stores the numbers of what is new or has another version.
"""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import ikpaper
from ikpaper import calibration, dataset, metrics, projection
from ikpaper.evaluation import PaperProtocol, Task, task
from ikpaper.models import CATALOGUE, model_type
from ikpaper.models.base import SCHEDULES
from ikpaper.profiles import Profile
from ikpaper.samplers import LookupTable
from ikpaper.samplers.many import ManyTargets
from ikpaper.search import held_out, study
from ikpaper.training import TrainingLoop, TrainingRun, loop

STORE = Path(__file__).with_name("canary.json")
ROOT = Path(__file__).resolve().parents[1]

ARM = ikpaper.PlanarArm.paper(4)
RAIL = ikpaper.RailArm.benchmark()
TINY = Profile(
    "canary",
    samples=1200,
    targets=3,
    posterior_samples=20,
    exact_targets=2,
    exact_samples=40,
    batch=200,
)
TCP = [[2.0, 0.6], [1.9, -0.9]]

#: Relative to a number, or to the median of a case if that is larger: another processor, another
#: matrix library or another number of threads moves numbers by a hundredth of that or less, the
#: smallest change that a test below makes by ten times as much.
TOLERANCE = {"float32": 1e-4, "bfloat16": 1e-2}


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


@dataclass(frozen=True)
class Case:
    """What is computed, the versions that speak for it by where they stand, and how closely."""

    compute: Any
    versions: dict[str, int]
    tolerance: float = 1e-5


def trained(name, precision):
    """Loss terms of two seeded epochs of a small network, and some of its samples."""
    changes = {"neurons": 16}
    if "warmup" in model_type(name).config_type.__dataclass_fields__:
        changes["warmup"] = 2
    run = TrainingRun.of(name, arm=ARM, profile=TINY, epochs=2, precision=precision, **changes)
    teacher = None
    if run.teacher is not None:
        teacher = run.teacher.build().eval()
    training = TrainingLoop(run, torch.device("cpu"), teacher, key="canary")
    terms = [list(r.terms.values()) for r in training.epochs() if r.complete]
    samples = training.result().sample(TCP, 3, generator=seeded())
    return [*np.ravel(terms), *samples.double().flatten().tolist()]


def scheduled(schedule):
    """Learning rates of a network that hardly moves, and its losses by other noise than usual."""
    slow = {"neurons": 8, "warmup": 2, "learning_rate": 1e-6, "precision": "float32"}
    run = TrainingRun.of("inn", arm=ARM, profile=TINY, epochs=24, schedule=schedule, **slow)
    training = TrainingLoop(run, key="canary")
    training.vary(1)
    *_, end = training.epochs()
    rates = [
        row["learning_rate"] / run.hyperparameters["learning_rate"] for row in training.history
    ]
    return [*rates, *end.terms.values()]


def scored():
    """Every number of a row of scores, which no clock decides."""
    part = Task.random(ARM, 3, samples=60)
    scores = part.score(ikpaper.Prior(ARM, 0.3), permutations=50, checks=1)
    numbers = scores.summary().values()
    return [*scores.targets.to_numpy().flatten().tolist(), *numbers]


def protocol():
    """Every number of the paper's protocol."""
    samplers = {"prior": ikpaper.Prior(ARM, 0.2), "exact": ikpaper.ExactPosterior(ARM, 0.2)}
    table = PaperProtocol(ARM, TINY).score(samplers)
    return table[["value", "low", "high"]].to_numpy().flatten().tolist()


def measured():
    """Every metric, of sets of a few points."""
    a, b = (torch.randn(30, 4, generator=seeded(i), dtype=torch.float64) / 3 for i in (1, 2))
    points = ARM.forward(a)
    numbers = []
    for kernel in metrics.KERNELS:
        numbers += [metrics.mmd2(a, b, unbiased, kernel=kernel) for unbiased in (True, False)]
        numbers += metrics.two_sample_test(
            a, b, kernel=kernel, permutations=40, generator=seeded(3)
        )
        numbers += [metrics.mmd2_floor(a, 20, 30, kernel=kernel)]
    numbers += metrics.resimulation_error(ARM, a[None], torch.tensor([TCP[0]])).tolist()
    numbers += [metrics.hull_area(points, torch.tensor(TCP[0]))]
    numbers += [metrics.hull_perimeter(points, torch.tensor(TCP[0]))]
    numbers += [metrics.distinct_solutions(a, 0.3), metrics.c2st(a, b, seed=0)]
    return [float(number) for number in numbers]


def classified():
    """C2ST of two targets at once."""
    a, b = (torch.randn(2, 40, 3, generator=seeded(i)) for i in (1, 2))
    return metrics.c2st_batch(a, b + 0.7, epochs=4, folds=2).tolist()


def calibrated():
    """Ranks of every check of calibration, and their tests."""
    theta = 0.2 * torch.randn(12, 4, generator=seeded(1), dtype=torch.float64)
    samples = 0.3 * torch.randn(12, 5, 4, generator=seeded(2), dtype=torch.float64)
    tcp = ARM.forward(theta)
    ranks = [
        calibration.ranks(theta, samples),
        calibration.tarp_ranks(theta, samples, samples[:, 0].flip(0)),
        calibration.classifier_ranks(theta, tcp, samples, size=6),
    ]
    tests = [calibration.uniformity(ranks[0], 5), calibration.coverage(ranks[1], 5, 0.9)]
    numbers = torch.cat([each.flatten() for each in ranks]).tolist()
    return [*numbers, *tests, *calibration.log_density(ARM, theta, 0.2).tolist()]


def drawn(sampler, tcp=TCP, n=4):
    return lambda: sampler.sample(tcp, n, generator=seeded()).flatten().tolist()


def projected():
    theta = 0.3 * torch.randn(5, 4, generator=seeded(), dtype=torch.float64)
    return ikpaper.project(ARM, theta, TCP[0], 2).theta.flatten().tolist()


def simulated():
    theta, tcp = dataset.profile_dataset(ARM, TINY).train
    return torch.cat([theta[:4], tcp[:4]], dim=1).flatten().tolist()


def searched():
    """Random proposals of a small study, and what its held-out objective is of a prior."""
    from ikpaper.search.searcher import SkoptSearcher

    small = study.Study("cvae", ARM, profile=TINY)
    searcher = SkoptSearcher(study.space(small.bounds), metric="loss", seed=small.seed)
    proposals = [searcher.suggest(str(i)) for i in range(3)]
    objective = held_out(small.task(), ikpaper.Prior(ARM, 0.3))
    # Each on a scale of 1, as the tolerance is relative to the largest.
    proposed = [p[name] / small.bounds[name][1] for p in proposals for name in small.bounds]
    return [*proposed, *map(float, objective.values())]


def _versions(*kinds):
    return {f"{kind.__name__}.version": kind.version for kind in kinds}


def cases():
    """Every case by name."""
    shared = {"dataset.VERSION": dataset.VERSION, "training.loop.VERSION": loop.VERSION}
    found = {}
    for name, kind in CATALOGUE.items():
        versions = {f"{kind.__name__}.version": kind.version, **shared}
        if kind.teacher is not None:
            other = model_type(kind.teacher)
            versions[f"{other.__name__}.version"] = other.version
        for precision in kind.precisions:
            found[f"{name} in {precision}"] = Case(
                lambda name=name, precision=precision: trained(name, precision),
                versions,
                TOLERANCE[precision],
            )
    for schedule in SCHEDULES:
        found[f"learning rate by {schedule}"] = Case(
            lambda schedule=schedule: scheduled(schedule),
            {"training.loop.VERSION": loop.VERSION, "INN.version": CATALOGUE["inn"].version},
            TOLERANCE["float32"],
        )
    scoring = {
        "evaluation.task.VERSION": task.VERSION,
        "metrics.VERSION": metrics.VERSION,
        **_versions(ikpaper.ExactPosterior, ikpaper.Prior),
    }
    truths = {
        "exact": ikpaper.ExactPosterior(ARM, 0.2),
        "exact, far in the tail": ikpaper.ExactPosterior(ARM, 0.05),
        "exact, any pair": ikpaper.ExactPosterior(ARM, 0.2, stages=["pairs"]),
        "exact, many targets": ikpaper.ExactPosterior(ARM, 0.2, together=True),
        "exact, on a rail": ikpaper.ExactPosterior(RAIL),
        "rejection": ikpaper.RejectionPosterior(ARM, 0.3, 0.1),
        "numerical": ikpaper.NumericalSolver(ARM, 0.3),
        "prior": ikpaper.Prior(ARM, 0.3),
        "look-up table": LookupTable(ARM, 0.3, entries=200),
    }
    for name, truth in truths.items():
        tcp = [[1.8, 0.3]] if "rail" in name else TCP
        versions = _versions(type(truth))
        if name == "exact, many targets":
            versions["ManyTargets.version"] = ManyTargets.version
        found[name] = Case(drawn(truth, tcp), versions)
    return {
        **found,
        "dataset": Case(simulated, {"dataset.VERSION": dataset.VERSION}),
        "projection": Case(projected, {"projection.VERSION": projection.VERSION}),
        "metrics": Case(measured, {"metrics.VERSION": metrics.VERSION}),
        "C2ST of many targets": Case(classified, {"metrics.VERSION": metrics.VERSION}),
        "calibration": Case(
            calibrated,
            {"calibration.VERSION": calibration.VERSION, "metrics.VERSION": metrics.VERSION},
        ),
        "scores of a task": Case(scored, scoring),
        "scores of the paper's protocol": Case(
            protocol, {**scoring, **_versions(ikpaper.RejectionPosterior)}
        ),
        "search": Case(searched, {"search.study.VERSION": study.VERSION}),
    }


CASES = cases()


def stored():
    return json.loads(STORE.read_text()) if STORE.exists() else {}


def complaint(name, case, record):
    """What is wrong with the numbers of a case; empty if nothing is."""
    store = "python -m tests.test_canary"
    if record is None:
        return f"{name} is new: store its numbers with: {store}"
    if record["versions"] != case.versions:
        return f"a version of {name} was raised: store its numbers with: {store}"
    now, then = (np.asarray(values, dtype=float) for values in (case.compute(), record["numbers"]))
    bound = case.tolerance * np.fmax(np.abs(then), np.nanmedian(np.abs(then)))
    if now.shape == then.shape and np.allclose(now, then, rtol=0, atol=bound, equal_nan=True):
        return ""
    speaks = list(case.versions)
    raise_it = " or ".join([speaks[0], *(f"{other} (if that moved them)" for other in speaks[1:])])
    return f"numbers of {name} moved: raise {raise_it}, or mend it"


@pytest.mark.parametrize("name", CASES)
def test_numbers_are_those_on_record(name):
    wrong = complaint(name, CASES[name], stored().get(name))
    assert not wrong, wrong


def test_nothing_is_on_record_that_is_not_computed():
    assert sorted(stored()) == sorted(CASES)


def run_on_copy(package, code):
    """What `code` prints where `ikpaper` is the copy in `package`."""
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(package), str(ROOT)]),
        "IKPAPER_WEIGHTS": str(ROOT / "weights"),
        "OMP_NUM_THREADS": "1",
    }
    # From the copy, whose folder comes first: nothing may come from the checkout's own package.
    code = f"import ikpaper; assert ikpaper.__path__[0].startswith({str(package)!r})\n{code}"
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, cwd=package, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def package(tmp_path):
    shutil.copytree(
        ROOT / "ikpaper", tmp_path / "ikpaper", ignore=shutil.ignore_patterns("__pycache__")
    )
    # So that it counts as a checkout, which has tables.
    (tmp_path / "pyproject.toml").touch()
    return tmp_path


def replace(package, file, old, new):
    path = package / "ikpaper" / file
    text = path.read_text()
    assert old in text, f"{old!r} is no longer in {file}: the test needs another example"
    path.write_text(text.replace(old, new))


CHANGES = {
    "learning rate": (
        "models/flow.py",
        "positive(default=2e-3)",
        "positive(default=2.2e-3)",
        "flow",
    ),
    "kernel of a loss": (
        "models/inn.py",
        "kernel_width: float = positive(default=1.2)",
        "kernel_width: float = positive(default=1.3)",
        "inn",
    ),
    "kernel of a score": ("metrics.py", "h: float = 1.2", "h: float = 1.25", "metrics"),
    "soft clamp": ("models/inn.py", "0.636", "0.6", "inn"),
    "plateau": (
        "training/loop.py",
        "PLATEAU_PATIENCE = 7",
        "PLATEAU_PATIENCE = 8",
        "learning rate by plateau",
    ),
    "hard clamp": ("models/flow.py", "scaled.clamp(-BOUND, BOUND)", "scaled.clamp(-2, 2)", "flow"),
}


@pytest.mark.slow
@pytest.mark.parametrize("change", CHANGES)
def test_it_catches_a_changed(change, package):
    file, old, new, what = CHANGES[change]
    name = what if what in CASES else f"{what} in float32"
    code = (
        "from tests.test_canary import CASES, complaint, stored\n"
        f"print(complaint({name!r}, CASES[{name!r}], stored()[{name!r}]))"
    )
    assert run_on_copy(package, code).strip() == ""
    replace(package, file, old, new)
    assert f"numbers of {name} moved" in run_on_copy(package, code)


KEYS = f"""
from pathlib import Path

from ikpaper.experiments import ablations, baselines, calibration, published, scaling
from ikpaper.identity import source_digest
from ikpaper.inventory import published_runs
from ikpaper import PlanarArm
from ikpaper.search import Study, confirmed, load_studies

for run in published_runs():
    print(run.label, run.identity().key)
for table in (published, calibration, ablations, scaling, baselines):
    for job in table.experiment().jobs:
        print(job.label, job.identity.key)
for study in load_studies(Path({str(ROOT)!r}) / "book" / "results" / "studies"):
    for job in confirmed(study).jobs:
        print(job.label, job.identity.key)
print(Study("cvae", PlanarArm.paper(4)).identity().key)
print("source", source_digest())
"""


@pytest.mark.slow
def test_a_comment_a_renamed_variable_and_a_moved_function_change_no_key(package):
    *before, source = run_on_copy(package, KEYS).splitlines()
    assert len(before) > 150
    replace(package, "training/loop.py", "import copy\n", "# A comment.\nimport copy\n")
    replace(package, "metrics.py", "_unsquared", "_kernel_of_distance")
    # A function of one module goes to another.
    path = package / "ikpaper/training/loop.py"
    text, marker = path.read_text(), "def _seed("
    assert text.count(marker) == 1
    head, moved = text.split(marker)
    home = package / "ikpaper/training/seeds.py"
    home.write_text(f"from ikpaper.identity import digest\n\n\n{marker}{moved}")
    path.write_text(head + "\nfrom ikpaper.training.seeds import _seed\n")
    *after, changed = run_on_copy(package, KEYS).splitlines()
    assert after == before
    assert changed != source


@pytest.mark.slow
def test_a_raised_version_changes_the_keys_that_it_speaks_for(package):
    *before, _ = run_on_copy(package, KEYS).splitlines()
    replace(package, "models/cgan.py", "version = 1", "version = 2")
    *after, _ = run_on_copy(package, KEYS).splitlines()
    changed = {line.split()[0].rstrip(",") for line in set(after) - set(before)}
    assert changed == {"cgan"}


def store():
    """Store the numbers of what is new or has another version; the others stay."""
    known = stored()
    kept = {}
    for name, case in CASES.items():
        record = known.get(name)
        if record is None or record["versions"] != case.versions:
            record = {"versions": case.versions, "numbers": case.compute()}
            print(f"stored {name}")
        kept[name] = record
    STORE.write_text(json.dumps(kept, indent=1) + "\n")


if __name__ == "__main__":
    store()
