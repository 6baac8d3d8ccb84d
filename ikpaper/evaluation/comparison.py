"""Results of the benchmark: of anyone's sampler, and the published ones."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import Any

import pandas as pd

from ikpaper.arm import PlanarArm, resolve_arm
from ikpaper.checks import Sigma, check_count
from ikpaper.evaluation.task import CHECK_KERNEL, Scores, Task
from ikpaper.files import published
from ikpaper.format import as_ascii, percent, rounded, significant, with_interval
from ikpaper.sampler import Sampler, refined

#: Columns of formatted rows that a person who compares samplers wants to see.
PRINTED_COLUMNS = (
    "sampler",
    "targets",
    "MMD² to exact",
    "worst 1 %",
    "rejected",
    "C2ST",
    "E‖f(θ) − y‖²",
    "worst target",
    "on target",
    "samples/s",
)

#: Columns of the scores by the second kernel.
CHECK_MMD, CHECK_REJECTED = f"MMD², {CHECK_KERNEL}", f"rejected, {CHECK_KERNEL}"

#: Relabellings of the permutation test, and targets that are checked by another kernel and a
#: classifier; see `Task.score`.
PERMUTATIONS, CHECK_TARGETS = 99, 100


@dataclass(frozen=True, eq=False)
class BenchmarkResult:
    """How a sampler compares; shows itself as a table, in a terminal and in a notebook.

    Attributes:
        table: Numbers: first the sampler's row, then the published ones that are comparable.
        scores: The sampler's scores, target by target.
    """

    table: pd.DataFrame
    scores: Scores

    def __str__(self) -> str:
        return terminal_text(as_text(self.table))

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return as_text(self.table).to_html(index=False, border=0)


@lru_cache(maxsize=1)
def exact_scores(task: Task, checks: int = 0) -> Scores:
    """Scores of exact samples, beside which those of all other samplers of a task stand.

    Args:
        task: The task; asked again about the same one, the answer is kept.
        checks: As in `Task.score`.
    """
    return task.score(task.truth, permutations=PERMUTATIONS, checks=checks)


def benchmark(
    sampler: Sampler,
    dof: int | None = None,
    *,
    arm: PlanarArm | None = None,
    name: str | None = None,
    targets: int = 100,
    samples: int = 1000,
    sigma: Sigma | None = None,
    refine: int = 0,
    kernel: str = "paper",
    seed: int = 0,
) -> BenchmarkResult:
    """Compare a sampler with the exact posterior, and with the published samplers.

    Targets are TCPs of prior samples; with the default seed and prior the first ones of the
    published benchmark, whose rows may be over more or fewer: the table says over how many.

    Args:
        sampler: Anything with a method `sample(tcp, n, *, generator=None)`; see `sampler.Sampler`.
            It may return arrays or lists.
        dof: Number of joints of one of the paper's arms; or else
        arm: any arm with at least 3 joints.
        name: What to call it in the table; by default its own `name`, or that of its class.
        targets: Number of random targets.
        samples: Samples a target.
        sigma: Standard deviation of the prior, see `samplers.Prior`; by default the arm's own, or
            that of the published benchmark.
        refine: Gauss-Newton steps onto the target after the sampler; see `sampler.Refined`.
        kernel: Of the MMD, by name; see `metrics.KERNELS`. Published rows have the paper's, and
            stand beside no other.
        seed: Seed of all that is drawn.

    Returns:
        The result, which prints as a table; its attribute `table` holds the numbers.

    Raises:
        ValueError: If not exactly one of `dof` and `arm` is given, a number is out of range, or
            what the sampler returns is not finite or of another shape.

    Example:
        >>> import ikpaper
        >>> arm = ikpaper.PlanarArm([0.5, 0.5, 1.0])
        >>> found = benchmark(ikpaper.Prior(arm), arm=arm, targets=5, samples=50)
        >>> list(found.table["sampler"])
        ['prior']
    """
    if not isinstance(sampler, Sampler):
        raise ValueError(
            "sampler: expected an object with a method sample(tcp, n, *, generator=None), got "
            f"{sampler!r}"
        )
    arm = resolve_arm("benchmark", dof, arm)
    task = Task.random(arm, targets, samples=samples, sigma=sigma, kernel=kernel, seed=seed)
    steps = check_count("refine", refine, 0)
    scored = refined(sampler, steps, arm)
    scores = task.score(scored, permutations=PERMUTATIONS, checks=CHECK_TARGETS)
    row = {
        "sampler": str(name or getattr(sampler, "name", "") or type(sampler).__name__),
        "dof": arm.dof,
        "refine": steps,
        "at": task.name,
        **scores.summary(),
        "samples_per_second": task.rate(scored),
    }
    table = pd.DataFrame([row])
    usual = Task.random(arm, 1, samples=samples)
    if arm == PlanarArm.like_paper(arm.dof) and task.sigma == usual.sigma and kernel == "paper":
        known = results(dof=arm.dof)
        same = known[(known["at"] == task.name) & (known["samples"] == samples)]
        if len(same):
            table = pd.concat([table, same], ignore_index=True)
    return BenchmarkResult(table, scores)


def results(name: str = "benchmark", dof: int | None = None) -> pd.DataFrame:
    """A published table of results: by default the benchmark, a row a sampler.

    Args:
        name: `benchmark`, or another table in `book/results/` of a checkout.
        dof: Only rows of the arm with so many joints.

    Raises:
        FileNotFoundError: If there is no such table.
    """
    table = pd.read_csv(published(f"results/{name}.csv"))
    return table if dof is None else table[table["dof"] == dof].reset_index(drop=True)


def as_text(
    table: pd.DataFrame,
    columns: Sequence[str] = PRINTED_COLUMNS,
    labels: Mapping[str, str] = MappingProxyType({}),
) -> pd.DataFrame:
    """Rows of scores, formatted for people.

    Args:
        table: Rows of `Scores.summary` with what names them; of what a row lacks, the cell is a
            dash.
        columns: Which of the formatted columns; see `PRINTED_COLUMNS` and the code.
        labels: What to call samplers; those without a label keep their name.
    """
    cells = [_cells(row, labels) for row in table.to_dict("records")]
    return pd.DataFrame(cells, columns=list(columns))


def terminal_text(cells: pd.DataFrame) -> str:
    """A table of formatted cells for the terminal, in characters that it knows.

    Args:
        cells: Such as `as_text` returns.
    """
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    text = str(cells.to_string(index=False))
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        plain = cells.map(lambda cell: as_ascii(cell) if isinstance(cell, str) else cell)
        text = str(plain.to_string(index=False))
    # A terminal that knows few characters must not cost the result.
    return text.encode(encoding, "replace").decode(encoding)


def _cells(row: Mapping[Any, Any], labels: Mapping[str, str]) -> dict[str, Any]:
    """All formatted columns of one row."""
    known = {name: value for name, value in row.items() if not pd.isna(value)}

    def number(name: str, form: Callable[[float], str]) -> str:
        return form(known[name]) if name in known else "–"

    refined = f", refine={row['refine']}" if row.get("refine") else ""
    return {
        "DoF": row.get("dof"),
        "sampler": labels.get(row["sampler"], row["sampler"]) + refined,
        "targets": f"{row['targets']:,}",
        "MMD² to exact": _spread(known if row["targets"] > 1 else {"mmd2": row["mmd2"]}, "mmd2"),
        "worst 1 %": number("mmd2_worst1", lambda value: significant(value, 2)),
        "rejected": number("rejected", percent),
        CHECK_MMD: _spread(known, "mmd2_check"),
        CHECK_REJECTED: number("rejected_check", percent),
        "C2ST": _spread(known, "c2st"),
        "E‖f(θ) − y‖²": significant(row["e_resim"], 2),
        "worst target": significant(row["e_resim_worst"], 2),
        "on target": _on_target(row["missed"], row["targets"] * row["samples"]),
        "samples/s": number("samples_per_second", rounded),
        "parameters": number("parameters", lambda value: f"{value:,.0f}"),
        "training [min]": number("training_seconds", lambda value: significant(value / 60, 2)),
        "profile": row.get("profile", "–"),
    }


def _spread(known: Mapping[Any, Any], name: str) -> str:
    """A value with its interval, where it has one."""
    return with_interval(*(known.get(f"{name}{end}", math.nan) for end in ("", "_low", "_high")))


def _on_target(missed: int, samples: int) -> str:
    """Share of samples that reach the target; 100 % is said of all alone."""
    share = f"{100 - 100 * missed / samples:.4g}"
    return f"all but {missed:,}" if missed and share == "100" else f"{share}\xa0%"
