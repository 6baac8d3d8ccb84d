"""Posterior samplers for the inverse kinematics of planar arms, scored against exact samples.

What is public is imported when it is first used, so that `import ikpaper` costs next to nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ikpaper import evaluation, matmul, metrics, models, paper
    from ikpaper.arm import PlanarArm, RailArm
    from ikpaper.dataset import Dataset, make_dataset
    from ikpaper.evaluation import Task, benchmark, results
    from ikpaper.matmul import use_fast_matmul
    from ikpaper.profiles import PROFILES, Profile
    from ikpaper.projection import project
    from ikpaper.sampler import PosteriorSampler, Refined, Sampler
    from ikpaper.samplers import ExactPosterior, NumericalSolver, Prior, RejectionPosterior
    from ikpaper.training import train_model as train
    from ikpaper.weights import load

    __version__: str

__all__ = [
    "PROFILES",
    "Dataset",
    "ExactPosterior",
    "NumericalSolver",
    "PlanarArm",
    "PosteriorSampler",
    "Prior",
    "Profile",
    "RailArm",
    "Refined",
    "RejectionPosterior",
    "Sampler",
    "Task",
    "__version__",
    "benchmark",
    "evaluation",
    "load",
    "make_dataset",
    "matmul",
    "metrics",
    "models",
    "paper",
    "project",
    "results",
    "train",
    "use_fast_matmul",
]

#: Where the public names are, by module.
_HOMES = {
    "arm": ("PlanarArm", "RailArm"),
    "dataset": ("Dataset", "make_dataset"),
    "evaluation": ("Task", "benchmark", "results"),
    "matmul": ("use_fast_matmul",),
    "profiles": ("PROFILES", "Profile"),
    "projection": ("project",),
    "sampler": ("PosteriorSampler", "Refined", "Sampler"),
    "samplers": ("ExactPosterior", "NumericalSolver", "Prior", "RejectionPosterior"),
    "training": ("train",),
    "weights": ("load",),
}
_HOME = {name: module for module, names in _HOMES.items() for name in names}
#: Names that differ from those in their modules, where another function has them.
_THERE = {"train": "train_model"}


def __getattr__(name: str) -> Any:
    """Import what is public when it is asked for first (PEP 562)."""
    if name == "__version__":
        from importlib.metadata import version

        value: Any = version("ikpaper")
    elif name in _HOME:
        value = getattr(import_module(f"ikpaper.{_HOME[name]}"), _THERE.get(name, name))
    elif name in __all__:
        return import_module(f"ikpaper.{name}")
    else:
        raise AttributeError(f"module 'ikpaper' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
