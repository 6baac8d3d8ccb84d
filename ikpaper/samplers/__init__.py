"""Samplers without training: exact, rejection, prior, look-up table, solver; and those of sbi."""

from ikpaper.samplers.exact import ExactDraw, ExactPosterior
from ikpaper.samplers.lookup import LargeLookupTable, LookupTable
from ikpaper.samplers.many import ManyTargets
from ikpaper.samplers.prior import Prior
from ikpaper.samplers.rejection import RejectionPosterior
from ikpaper.samplers.sbi import SbiSampler
from ikpaper.samplers.solver import NumericalSolver

__all__ = [
    "ExactDraw",
    "ExactPosterior",
    "LargeLookupTable",
    "LookupTable",
    "ManyTargets",
    "NumericalSolver",
    "Prior",
    "RejectionPosterior",
    "SbiSampler",
]
