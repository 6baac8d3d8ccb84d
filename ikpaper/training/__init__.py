"""Training: runs, one loop for every model, here or on a cluster."""

from ikpaper.training.cluster import train_on_cluster
from ikpaper.training.loop import (
    PLATEAU_FACTOR,
    PLATEAU_PATIENCE,
    VERSION,
    Diverged,
    Report,
    TrainingLoop,
)
from ikpaper.training.run import PRECISIONS, TrainingRun, resolve_device
from ikpaper.training.train import (
    Outdated,
    accept,
    train,
    train_all,
    train_model,
    trained,
    trained_models,
)

__all__ = [
    "PLATEAU_FACTOR",
    "PLATEAU_PATIENCE",
    "PRECISIONS",
    "VERSION",
    "Diverged",
    "Outdated",
    "Report",
    "TrainingLoop",
    "TrainingRun",
    "accept",
    "resolve_device",
    "train",
    "train_all",
    "train_model",
    "train_on_cluster",
    "trained",
    "trained_models",
]
