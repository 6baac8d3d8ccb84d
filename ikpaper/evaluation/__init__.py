"""Evaluation: any sampler against the exact posterior, target by target."""

from ikpaper.evaluation.comparison import (
    CHECK_MMD,
    CHECK_REJECTED,
    CHECK_TARGETS,
    PERMUTATIONS,
    PRINTED_COLUMNS,
    BenchmarkResult,
    as_text,
    benchmark,
    exact_scores,
    results,
    terminal_text,
)
from ikpaper.evaluation.protocol import (
    MANY_PROPOSALS,
    PLOTTED_SIGMA,
    PaperProtocol,
    resimulation_of_test_set,
    single_target,
)
from ikpaper.evaluation.task import (
    CHECK_KERNEL,
    LEVEL,
    Scores,
    Task,
    draw,
    random_targets,
    sampling_rate,
)

__all__ = [
    "CHECK_KERNEL",
    "CHECK_MMD",
    "CHECK_REJECTED",
    "CHECK_TARGETS",
    "LEVEL",
    "MANY_PROPOSALS",
    "PERMUTATIONS",
    "PLOTTED_SIGMA",
    "PRINTED_COLUMNS",
    "BenchmarkResult",
    "PaperProtocol",
    "Scores",
    "Task",
    "as_text",
    "benchmark",
    "draw",
    "exact_scores",
    "random_targets",
    "resimulation_of_test_set",
    "results",
    "sampling_rate",
    "single_target",
    "terminal_text",
]
