"""Samplers without training: exact, by rejection, the prior, a numerical solver, and sbi's."""

from ikpaper.samplers.exact import ExactDraw, ExactPosterior
from ikpaper.samplers.prior import Prior
from ikpaper.samplers.rejection import RejectionPosterior
from ikpaper.samplers.sbi import SbiSampler
from ikpaper.samplers.solver import NumericalSolver

__all__ = [
    "ExactDraw",
    "ExactPosterior",
    "NumericalSolver",
    "Prior",
    "RejectionPosterior",
    "SbiSampler",
]
