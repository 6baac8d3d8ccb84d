"""The benchmark: any sampler against the exact posterior at many random targets, in one row."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import torch
from torch import Generator, Tensor

from ikpaper.arm import PlanarArm, as_tensor
from ikpaper.evaluation import MANY_PROPOSALS, bootstrap_interval, sampling_rate
from ikpaper.files import digest, sources
from ikpaper.metrics import c2st, resimulation_error, two_sample_test
from ikpaper.models import CATALOGUE
from ikpaper.outputs import significant, with_interval
from ikpaper.paper import TARGETS
from ikpaper.posterior import ExactPosterior, Prior, RejectionPosterior
from ikpaper.profiles import PUBLISHED, get_profile
from ikpaper.progress import Progress
from ikpaper.projection import TOLERANCE, project
from ikpaper.sampler import Sampler, Sigma, check_count, check_sigma
from ikpaper.solver import NumericalSolver
from ikpaper.tables import ResultTable, results_path
from ikpaper.weights import load_with_record

if TYPE_CHECKING:
    from ikpaper.arm import TensorLike

__all__ = ["COLUMNS", "Refined", "benchmark", "benchmark_published", "judge"]

#: Columns of the table of published samplers.
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
    "mmd2_hardest",
    "rejected",
    "c2st",
    "c2st_targets",
    "e_resim",
    "e_resim_hardest",
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

#: Columns of formatted rows that a person who judges a sampler wants to see.
PRINTED = (
    "sampler",
    "targets",
    "MMD² to exact",
    "hardest 1 %",
    "rejected",
    "C2ST",
    "E‖f(θ) − y‖²",
    "worst target",
    "on target",
    "samples/s",
)

#: Level of the permutation test.
LEVEL = 0.05

#: Share of the targets that count as the hardest, and how many targets it takes to tell.
HARDEST = 0.01
ENOUGH = 100

#: Random targets of the published table.
PUBLISHED_TARGETS = 1000

#: How often the slides' target is judged: once would leave the MMD^2 to chance.
_REPEATS = 100

#: Of how many random targets a classifier is trained where the aim is to fool it, and else; for
#: ten joints it takes as long as all other scores of some hundred targets.
_C2ST, _C2ST_ELSE = 5, 2

#: Where a sampler is judged: at TCPs of prior samples, or at the slides' target.
_RANDOM, _SLIDES = "random", "slides"

#: Modules whose code decides the scores, besides the sampler's own.
_SOURCES = (
    "arm",
    "evaluation",
    "judging",
    "metrics",
    "posterior",
    "products",
    "projection",
    "sampler",
)

#: Targets that are drawn at a time.
_CHUNK = 25

#: Samplers that are no networks, in the order of the table.
_GROUND_TRUTH = ("exact", "rejection", "numerical", "prior")

#: Samplers that mean to be exact.
_FLOWS = ("flow", "flow-fast")

#: Samplers for which fewer targets must do: they take hours for a thousand.
_FEWER = {"rejection": 100, "numerical": 10}

#: Targets over which the rate of sampling is measured.
_TIMED = 20


@dataclass(frozen=True)
class Refined:
    """Any sampler with Gauss-Newton steps onto the target after it; itself a sampler.

    Attributes:
        sampler: The sampler.
        arm: Its arm.
        steps: Number of steps; see `projection.project`.
    """

    sampler: Sampler
    arm: PlanarArm
    steps: int

    def sample(self, tcp: TensorLike, n: int, *, generator: Generator | None = None) -> Tensor:
        """As the sampler's own, in float64; samples that do not converge are among them."""
        theta = as_tensor(self.sampler.sample(tcp, n, generator=generator))
        targets = as_tensor(tcp).to(theta.device, torch.float64)
        return project(self.arm, theta, targets[..., None, :], self.steps).theta


def judge(
    sampler: Sampler,
    arm: PlanarArm,
    tcp: Tensor,
    *,
    samples: int = 1000,
    sigma: Sigma = 0.2,
    c2st_targets: int = 3,
    permutations: int = 99,
    kernel: str = "paper",
    seed: int = 0,
) -> dict[str, Any]:
    """Scores of a sampler against fresh exact samples, over targets.

    Args:
        sampler: Any sampler.
        arm: The arm.
        tcp: Targets, shape (N, 2).
        samples: Samples a target, of either side.
        sigma: Standard deviation of the prior; see `posterior.Prior`.
        c2st_targets: Of how many targets a classifier is trained, which takes seconds each.
        permutations: Of the two-sample test.
        kernel: Of the MMD, and of the test; a name in `metrics.KERNELS`.
        seed: Of the reference samples, the sampler's and the test's.

    Returns:
        `mmd2`, the mean unbiased MMD^2, with its bootstrap interval (`mmd2_low`, `mmd2_high`) and
        the mean of the hardest percent of the targets (`mmd2_hardest`; NaN for fewer than
        `ENOUGH`); `rejected`, the share of
        targets at which a permutation test of level 5 % tells the two apart; `c2st`, the mean
        accuracy of a classifier over `c2st_targets` of them; `e_resim`, E||f(theta) - tcp||^2,
        with the hardest percent and the worst target; `missed`, the number of samples that do not
        reach the target to `projection.TOLERANCE`, and `e_resim_on_target`, the mean over those
        that do; `samples_per_second`.

    Raises:
        ValueError: If samples are not finite or of another shape than (targets, samples, dof), or
            fewer than 2 are asked for.
    """
    check_count("samples", samples, 2)
    spread = check_sigma(sigma, arm.dof)
    truths = _reference(arm, spread, samples, seed, tcp.double().numpy().tobytes())
    drawing, testing = (torch.Generator().manual_seed(3 * seed + stream) for stream in (1, 2))
    mismatch: list[float] = []
    p_values: list[float] = []
    misses: list[float] = []
    accuracies: list[float] = []
    reached: list[Tensor] = []
    for chunk, truth in zip(tcp.split(_CHUNK), truths, strict=True):
        theta = as_tensor(sampler.sample(chunk, samples, generator=drawing)).double().cpu()
        if theta.shape != (wanted := (len(chunk), samples, arm.dof)):
            raise ValueError(
                f"samples: expected shape {wanted} for {len(chunk)} targets, {samples} samples "
                f"each and {arm.dof} joints, got {tuple(theta.shape)}"
            )
        if lost := int((~torch.isfinite(theta)).any(dim=-1).sum()):
            raise ValueError(
                f"{lost} of {len(chunk) * samples} samples for targets near {chunk[0].tolist()} "
                "are not finite"
            )
        misses += resimulation_error(arm, theta, chunk).tolist()
        distance = (arm.forward(theta) - chunk[:, None]).norm(dim=-1)
        reached.append(distance[distance <= TOLERANCE * arm.reach])
        for drawn, true in zip(theta, truth, strict=True):
            test = two_sample_test(
                drawn, true, kernel=kernel, permutations=permutations, generator=testing
            )
            mismatch.append(test.mmd2)
            p_values.append(test.p_value)
            if len(accuracies) < c2st_targets:
                accuracies.append(c2st(drawn, true, seed=seed))
    low, high = bootstrap_interval(mismatch)
    on_target = torch.cat(reached)
    return {
        "targets": len(tcp),
        "samples": samples,
        "mmd2": float(np.mean(mismatch)),
        "mmd2_low": low,
        "mmd2_high": high,
        "mmd2_hardest": _hardest(mismatch),
        "rejected": float(np.mean(np.array(p_values) <= LEVEL)),
        "c2st": float(np.mean(accuracies)) if accuracies else float("nan"),
        "c2st_targets": len(accuracies),
        "e_resim": float(np.mean(misses)),
        "e_resim_hardest": _hardest(misses),
        "e_resim_worst": float(np.max(misses)),
        "e_resim_on_target": float(on_target.square().mean()),
        "missed": len(tcp) * samples - len(on_target),
        "samples_per_second": sampling_rate(sampler, tcp[:_TIMED], samples, generator=drawing),
        "seed": seed,
    }


@lru_cache(maxsize=1)
def _reference(
    arm: PlanarArm, sigma: tuple[float, ...], samples: int, seed: int, targets: bytes
) -> list[Tensor]:
    """Exact samples, chunk by chunk, for targets given as bytes: a table's rows share them."""
    tcp = torch.from_numpy(np.frombuffer(targets).copy()).reshape(-1, 2)
    exact, generator = ExactPosterior(arm, sigma), torch.Generator().manual_seed(3 * seed)
    return [exact.sample(chunk, samples, generator=generator) for chunk in tcp.split(_CHUNK)]


def _hardest(values: Sequence[float]) -> float:
    """Mean of the largest percent."""
    if len(values) < ENOUGH:
        return float("nan")
    return float(np.sort(values)[-round(HARDEST * len(values)) :].mean())


def benchmark(
    sampler: Sampler,
    dof: int | None = None,
    *,
    arm: PlanarArm | None = None,
    name: str = "yours",
    targets: int = 100,
    samples: int = 1000,
    sigma: Sigma | None = None,
    refine: int = 0,
    kernel: str = "paper",
    seed: int = 0,
) -> pd.DataFrame:
    """Print how a sampler compares with the exact posterior, and with the published samplers.

    Targets are TCPs of prior samples; with the default seed and prior the first ones of the
    published benchmark, whose rows may be over more or fewer: the table says over how many.

    Args:
        sampler: Anything with a method `sample(tcp, n, generator=None)`; see `sampler.Sampler`.
        dof: Number of joints of one of the paper's arms; or else
        arm: any arm with at least 3 joints.
        name: What to call it in the table.
        targets: Number of random targets.
        samples: Samples a target.
        sigma: Standard deviation of the prior, see `posterior.Prior`; by default the arm's own, or
            that of the published benchmark.
        refine: Gauss-Newton steps onto the target after the sampler.
        kernel: Of the MMD, by name; see `metrics.KERNELS`. Published rows have the paper's, and
            stand beside no other.
        seed: Seed of all that is drawn.

    Returns:
        The table that is printed, numbers unformatted: first the sampler's row, then those of
        `book/results/benchmark.csv` for the arm, if that is at hand.

    Raises:
        ValueError: If not exactly one of `dof` and `arm` is given, or a number is out of range.
    """
    if (dof is None) == (arm is None):
        raise ValueError(f"benchmark: expected either dof or arm, got dof={dof!r}, arm={arm!r}")
    arm = arm if arm is not None else PlanarArm.paper(dof)  # type: ignore[arg-type]
    check_count("targets", targets)
    check_count("refine", refine, 0)
    usual = get_profile(PUBLISHED).sigma_for(arm)
    sigma = usual if sigma is None else sigma
    tcp = random_targets(arm, targets, sigma, seed)
    judged = Refined(sampler, arm, refine) if refine else sampler
    row = {
        "sampler": name,
        "dof": arm.dof,
        "refine": refine,
        "at": _RANDOM,
        **judge(judged, arm, tcp, samples=samples, sigma=sigma, kernel=kernel, seed=seed),
    }
    table = pd.DataFrame([row])
    published = _table()
    comparable = arm == PlanarArm.like_paper(arm.dof) and sigma == usual and kernel == "paper"
    if comparable and published.exists():
        known = pd.read_csv(published)
        same = known[
            (known["dof"] == arm.dof) & (known["at"] == _RANDOM) & (known["samples"] == samples)
        ]
        table = pd.concat([table, same], ignore_index=True)
    print(as_text(table).to_string(index=False))
    return table


def as_text(
    table: pd.DataFrame,
    columns: Sequence[str] = PRINTED,
    labels: Mapping[str, str] = MappingProxyType({}),
) -> pd.DataFrame:
    """Rows of scores, formatted for people.

    Args:
        table: Rows as `benchmark_published` returns them; of what a row lacks, the cell is a dash.
        columns: Which of the formatted columns; see `PRINTED` and the code.
        labels: What to call samplers; those without a label keep their name.
    """
    cells = [_cells(row, labels) for row in table.to_dict("records")]
    return pd.DataFrame(cells, columns=list(columns))


def _cells(row: Mapping[str, Any], labels: Mapping[str, str]) -> dict[str, Any]:
    """All formatted columns of one row."""
    known = {name: value for name, value in row.items() if not pd.isna(value)}

    def number(name: str, form: Callable[[float], str]) -> str:
        return form(known[name]) if name in known else "–"

    refined = f", refine={row['refine']}" if row.get("refine") else ""
    return {
        "DoF": row.get("dof"),
        "sampler": labels.get(row["sampler"], row["sampler"]) + refined,
        "targets": f"{row['targets']:,}",
        "MMD² to exact": with_interval(row["mmd2"], row["mmd2_low"], row["mmd2_high"])
        if row["targets"] > 1
        else significant(row["mmd2"]),
        "hardest 1 %": number("mmd2_hardest", lambda value: significant(value, 2)),
        "rejected": f"{100 * row['rejected']:.1f} %",
        "C2ST": number("c2st", lambda value: f"{value:.3f}"),
        "E‖f(θ) − y‖²": significant(row["e_resim"], 2),
        "worst target": significant(row["e_resim_worst"], 2),
        "on target": _on_target(row["missed"], row["targets"] * row["samples"]),
        "samples/s": f"{float(significant(row['samples_per_second'], 2).replace(',', '')):,.0f}",
        "parameters": number("parameters", lambda value: f"{value:,.0f}"),
        "training [min]": number("training_seconds", lambda value: significant(value / 60, 2)),
        "profile": row.get("profile", "–"),
    }


def _on_target(missed: int, samples: int) -> str:
    """Share of samples that reach the target; 100 % is said of all alone."""
    share = f"{100 - 100 * missed / samples:.4g}"
    return f"all but {missed:,}" if missed and share == "100" else f"{share} %"


def random_targets(arm: PlanarArm, count: int, sigma: Sigma = 0.2, seed: int = 0) -> Tensor:
    """TCPs (count, 2) of prior samples; more of one seed begin with the same ones.

    No seed gives those of a data set, on which models may have been trained.
    """
    check_sigma(sigma, arm.dof)
    own = np.random.default_rng([int(digest("targets")[:8], 16), seed])
    draw = own.normal(0.0, sigma, size=(count, arm.dof))
    return arm.forward(torch.from_numpy(draw))


def benchmark_published(
    *,
    dofs: Sequence[int] = PlanarArm.PAPER_DOF,
    targets: int = PUBLISHED_TARGETS,
    fresh: bool = False,
    table: Path | None = None,
    directory: Path | None = None,
) -> pd.DataFrame:
    """Judge ground truth, baselines and all published models; the table is written after each row.

    Models also with three Gauss-Newton steps; everything also at the slides' targets, a hundred
    times each. Rows whose weights and code have not changed are kept, as are those of arms that
    this call is not about.

    Args:
        dofs: Which of the paper's arms.
        targets: Number of random targets.
        fresh: Measure also what the table has.
        table: File of results; by default `book/results/benchmark.csv`, and for another number of
            targets one of its own in `.cache/`.
        directory: Folder of all weights; see `weights.weights_path`.
    """
    check_count("targets", targets)
    table = table or _table(targets)
    place = ("dof", "at", "sampler", "refine")
    results = ResultTable(table, COLUMNS, place, {"sampler": (*_GROUND_TRUTH, *CATALOGUE)})
    entries = list(_entries(dofs, targets, directory))
    progress = Progress(len(entries))
    for entry in entries:
        if entry.key in results and not fresh:
            progress.skip(1)
            continue
        results.add(entry.row())
        progress.advance(1, f"{entry.name} {entry.arm.dof} DoF, {entry.at} targets")
    return results.rows(entry.key for entry in entries)


@dataclass(frozen=True)
class _Entry:
    """One row to measure."""

    name: str
    arm: PlanarArm
    sampler: Sampler
    refine: int
    at: str
    tcp: Tensor
    weights: str
    origin: Mapping[str, Any]

    @property
    def c2st_targets(self) -> int:
        """Of how many targets a classifier is trained: none where all are the same."""
        if self.at == _SLIDES:
            return 0
        return _C2ST if self.name in ("exact", *_FLOWS) else _C2ST_ELSE

    @cached_property
    def key(self) -> str:
        """Changes with sampler, weights, targets and the code that draws and scores."""
        profile = get_profile(PUBLISHED)
        settings = (self.name, self.arm.lengths, self.refine, self.at, self.tcp.tolist())
        prior = (profile.sigma, profile.eps)
        files = {*scoring_sources(), *sources(type(self.sampler))}
        return digest(settings, prior, self.weights, files=files)

    def row(self) -> dict[str, Any]:
        judged = Refined(self.sampler, self.arm, self.refine) if self.refine else self.sampler
        return {
            "sampler": self.name,
            "dof": self.arm.dof,
            "refine": self.refine,
            "at": self.at,
            **judge(
                judged,
                self.arm,
                self.tcp,
                sigma=get_profile(PUBLISHED).sigma,
                c2st_targets=self.c2st_targets,
            ),
            **self.origin,
            "profile": PUBLISHED,
            "key": self.key,
        }


def scoring_sources() -> list[Path]:
    """Files whose code decides the scores, whatever the sampler."""
    return [Path(__file__).parent / f"{name}.py" for name in _SOURCES]


def _entries(dofs: Sequence[int], targets: int, directory: Path | None) -> Iterator[_Entry]:
    profile = get_profile(PUBLISHED)
    for dof in dofs:
        arm = PlanarArm.paper(dof)
        places = {_RANDOM: random_targets(arm, targets, profile.sigma)}
        if dof in TARGETS:
            slides = torch.tensor([TARGETS[dof]], dtype=torch.float64)
            places[_SLIDES] = slides.repeat(min(_REPEATS, targets), 1)
        rejection = RejectionPosterior(
            arm, profile.sigma, profile.eps, max_proposals=MANY_PROPOSALS
        )
        truths = (
            ExactPosterior(arm, profile.sigma),
            rejection,
            NumericalSolver(arm, profile.sigma),
            Prior(arm, profile.sigma),
        )
        samplers: list[tuple[str, Sampler, str, dict[str, Any]]] = [
            (name, sampler, "", {}) for name, sampler in zip(_GROUND_TRUTH, truths, strict=True)
        ]
        for name, kind in CATALOGUE.items():
            try:
                model, record = load_with_record(name, arm, profile, profile.seed, directory)
            except FileNotFoundError:
                continue
            seconds = record["seconds"]
            if kind.teacher is not None:
                lesson = load_with_record(kind.teacher, arm, profile, profile.seed, directory)
                seconds += lesson[1]["seconds"]
            origin = {
                "parameters": model.num_parameters,
                "training_seconds": seconds,
                "training_threads": record["environment"]["cpu_threads"],
                "training_device": record["device"],
            }
            samplers.append((name, model, record["sha256"], origin))
        for at, tcp in places.items():
            for name, sampler, weights, origin in samplers:
                for refine in (0, 3) if name in CATALOGUE else (0,):
                    some = tcp[: _FEWER.get(name, len(tcp))]
                    yield _Entry(name, arm, sampler, refine, at, some, weights, origin)


def _table(targets: int = PUBLISHED_TARGETS) -> Path:
    return results_path("benchmark", str(targets), published=targets == PUBLISHED_TARGETS)
