"""Evaluation: any sampler against the exact posterior, target by target."""

from ikpaper.evaluation.comparison import (
    C2ST_TARGETS,
    PERMUTATIONS,
    PRINTED,
    BenchmarkResult,
    as_text,
    benchmark,
    results,
)
from ikpaper.evaluation.protocol import (
    MANY_PROPOSALS,
    PLOTTED_SIGMA,
    PaperProtocol,
    single_target,
)
from ikpaper.evaluation.task import (
    LEVEL,
    Scores,
    Task,
    draw,
    random_targets,
    sampling_rate,
)

__all__ = [
    "C2ST_TARGETS",
    "LEVEL",
    "MANY_PROPOSALS",
    "PERMUTATIONS",
    "PLOTTED_SIGMA",
    "PRINTED",
    "BenchmarkResult",
    "PaperProtocol",
    "Scores",
    "Task",
    "as_text",
    "benchmark",
    "draw",
    "random_targets",
    "results",
    "sampling_rate",
    "single_target",
]
