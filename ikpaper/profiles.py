"""Profiles: every number that decides how much is computed, in one place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ikpaper.checks import check_count, check_known, check_positive, check_seed

if TYPE_CHECKING:
    from ikpaper.arm import PlanarArm


#: The profile whose weights are part of the project.
PUBLISHED = "paper"


#: Fields of a profile that are whole numbers.
_COUNTS = (
    *("samples", "targets", "posterior_samples", "exact_targets", "exact_samples"),
    *("figure_samples", "batch"),
)


@dataclass(frozen=True)
class Profile:
    """How much to train and to evaluate; results of different profiles never share a table.

    How many epochs a model trains for in a profile, the model says: see `NetworkSampler.epochs`.

    Attributes:
        name: Name shown beside every result.
        samples: Size of the data set (joint angles with their TCP).
        targets: Number N of test targets for e_posterior and e_resim.
        posterior_samples: Samples M a target for e_posterior.
        exact_targets: Number of test targets for the comparison with the exact posterior.
        exact_samples: Samples a target for the comparison with the exact posterior.
        figure_samples: Samples in the figures of one target (hull, arms).
        batch: Batch size.
        train_fraction: Share of the data set used for training.
        sigma: Standard deviation of the prior over each joint angle, in radians, for arms that
            have no prior of their own; see `sigma_for`.
        eps: Tolerance of rejection sampling in the paper's protocol, in units of length.
        seed: Seed of the data set, of its split and of the first training run.
    """

    name: str
    samples: int
    targets: int
    posterior_samples: int = 100
    exact_targets: int = 60
    exact_samples: int = 1_000
    figure_samples: int = 1000
    batch: int = 1000
    train_fraction: float = 0.7
    sigma: float = 0.2
    eps: float = 0.05
    seed: int = 42

    def __post_init__(self) -> None:
        for name in _COUNTS:
            object.__setattr__(self, name, check_count(name, getattr(self, name)))
        for name in ("train_fraction", "eps"):
            object.__setattr__(self, name, check_positive(name, getattr(self, name)))
        if self.train_fraction >= 1:
            raise ValueError(f"train_fraction: expected a share below 1, got {self.train_fraction}")
        check_positive("sigma", self.sigma)
        object.__setattr__(self, "seed", check_seed(self.seed))

    @property
    def training_samples(self) -> int:
        """Size of the training split."""
        return round(self.samples * self.train_fraction)

    def sigma_for(self, arm: PlanarArm) -> float | tuple[float, ...]:
        """Standard deviation of the prior over an arm's joints: one value, or the arm's own."""
        return self.sigma if arm.sigma is None else arm.sigma


_ALL = (
    Profile(
        "smoke",
        samples=2_000,
        targets=4,
        posterior_samples=50,
        exact_targets=3,
        exact_samples=100,
        figure_samples=100,
        batch=200,
    ),
    Profile("quick", samples=60_000, targets=200),
    Profile("ablation", samples=250_000, targets=100),
    # A trial of the search: the paper's 10,000 training samples, and as many to test on.
    Profile("search", samples=20_000, train_fraction=0.5, targets=100, exact_samples=500),
    Profile("paper", samples=1_000_000, targets=1_000, exact_targets=200),
)
PROFILES: Mapping[str, Profile] = {profile.name: profile for profile in _ALL}


def get_profile(name: str | Profile) -> Profile:
    """Profile by name (a Profile passes through).

    Raises:
        ValueError: If no profile has that name.
    """
    if isinstance(name, Profile):
        return name
    check_known("profile", [name], PROFILES)
    return PROFILES[name]
