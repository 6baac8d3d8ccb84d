"""Experiments: what the book tabulates, each a set of jobs whose rows outlast the process."""

from ikpaper.experiments.runner import (
    Experiment,
    Job,
    ResultTable,
    identity_of_trained,
    weights_folder,
)

__all__ = ["Experiment", "Job", "ResultTable", "identity_of_trained", "weights_folder"]
