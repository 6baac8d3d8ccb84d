"""Experiments: what the book tabulates, each a set of jobs whose rows outlast the process."""
