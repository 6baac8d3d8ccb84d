"""Posterior samplers for the inverse kinematics of planar arms, judged against exact samples."""

from ikpaper import evaluation, metrics, models, paper
from ikpaper.arm import PlanarArm, RailArm
from ikpaper.dataset import Dataset, make_dataset
from ikpaper.judging import benchmark
from ikpaper.posterior import ExactPosterior, Prior, RejectionPosterior
from ikpaper.profiles import PROFILES, Profile
from ikpaper.projection import project
from ikpaper.sampler import PosteriorSampler, Sampler
from ikpaper.solver import NumericalSolver
from ikpaper.weights import load

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
    "RejectionPosterior",
    "Sampler",
    "benchmark",
    "evaluation",
    "load",
    "make_dataset",
    "metrics",
    "models",
    "paper",
    "project",
]
