"""Experiments: what the book tabulates, each a set of jobs whose rows outlast the process."""

from ikpaper.experiments.runner import Job, ResultTable, accept_rows, made, run_jobs, states

__all__ = ["Job", "ResultTable", "accept_rows", "made", "run_jobs", "states"]
