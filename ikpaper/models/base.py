"""What all networks share."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from functools import partial
from types import MappingProxyType
from typing import Any, ClassVar, Literal

import torch
from torch import Generator, Tensor, nn

from ikpaper.arm import PlanarArm, arm_of
from ikpaper.checks import check_amount, check_count, check_known, check_positive
from ikpaper.paper import Ranges, Table
from ikpaper.profiles import Profile
from ikpaper.sampler import PosteriorSampler, noise, normal

#: The classes of models by name.
NETWORKS: dict[str, type[NetworkSampler]] = {}


#: How the learning rate may fall; see `Recipe`.
SCHEDULES = ("plateau", "plateau-at-full-weight", "cosine")


@dataclass(frozen=True)
class Recipe:
    """How a model is optimised, as far as it is no hyperparameter of the paper's.

    Attributes:
        schedule: Of the learning rate, one of `SCHEDULES`: `plateau` divides it where the training
            loss stalls, as the authors do; `plateau-at-full-weight` does so where the loss stalls
            with all terms at the weights that they end with; `cosine` lowers it to zero over the
            run.
        batch_factor: Size of this model's batches in batches of the profile.
        average: Decay of the moving average of the weights that is kept in the end; 0: none.
        positive: Whether the loss is never negative, so that a rise by a factor means divergence.
        precision: What the products between hidden layers are computed in while it trains, one
            of the model's `precisions`; all else is float32.
    """

    schedule: Literal["plateau", "plateau-at-full-weight", "cosine"] = "plateau"
    batch_factor: int = 1
    average: float = 0.0
    positive: bool = True
    precision: Literal["float32", "bfloat16"] = "float32"


def count(least: int = 1, **options: Any) -> Any:
    """A field of a config that is a whole number of at least `least`; options as of `field`."""
    return field(metadata={"check": partial(check_count, least=least)}, **options)


def positive(*, optional: bool = False, **options: Any) -> Any:
    """A field of a config that is a finite number above 0, or None if that is `optional`."""
    return field(metadata={"check": check_positive, "optional": optional}, **options)


def amount(**options: Any) -> Any:
    """A field of a config that is a finite number of at least 0; options as of `field`."""
    return field(metadata={"check": check_amount}, **options)


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """Hyperparameters that every model has; each model's own config adds to them.

    Attributes:
        lengths: Link lengths of the arm that the model answers for, one a joint; see
            `arm.arm_of`.
        neurons: Width of the hidden layers.
        learning_rate: Adam's learning rate at the start.
        weight_decay: Adam's L2 penalty.
        adam_eps: Adam's epsilon.
        grad_clamp: Bound on each element of the gradient, if any.
        warmup: Steps over which the learning rate rises from 0 to its value.
    """

    lengths: tuple[float, ...]
    neurons: int = count()
    learning_rate: float = positive()
    weight_decay: float = amount()
    adam_eps: float = positive(default=1e-8)
    grad_clamp: float | None = positive(optional=True, default=None)
    warmup: int = count(0, default=0)

    def __post_init__(self) -> None:
        self._set("lengths", tuple(map(float, self.lengths)))
        if self.dof < 3:
            raise ValueError(
                f"dof: expected at least 3 (or nothing is left to choose), got {self.dof}"
            )
        for each in fields(self):
            check, value = each.metadata.get("check"), getattr(self, each.name)
            if check and not (value is None and each.metadata.get("optional")):
                self._set(each.name, check(each.name, value))

    def _set(self, name: str, value: Any) -> None:
        object.__setattr__(self, name, value)  # The class is frozen.

    @property
    def dof(self) -> int:
        """Number of joints."""
        return len(self.lengths)

    @property
    def latent(self) -> int:
        """Size of the latent z: by default dof - 2, what remains once the TCP is known."""
        return self.dof - 2

    @property
    def inner_layers(self) -> int:
        """Layers from `neurons` to `neurons` among what `num_parameters` counts.

        They have nearly all of it, which an estimate of a training's cost goes by.
        """
        return 1


class NetworkSampler(nn.Module, PosteriorSampler):
    """Base of the learned samplers: a torch module with a config and a loss.

    Attributes:
        epochs: Passes over the training samples, by name of the profile.
        published_arms: Which of the paper's arms, by DoF, `ikpaper train --all` trains it for.
        config_type: The model's config dataclass.
        table: The paper's hyperparameters, by DoF, if it has any for the model.
        precisions: What the products between hidden layers can be computed in.
        search_ranges: Ranges of the hyperparameters that a search varies; integers in both
            bounds make it one of integers, others are searched on a logarithmic scale. Empty for
            a model that is not searched.
        recipe: How it is optimised.
        teacher: Name of the model that it learns from, if it learns from one.
        training_only: Submodules that sampling does without; their weights are not published.
        precision: Dtype of the products between hidden layers, `torch.bfloat16` for instance;
            None means the parameters' own. It is no property of the weights and is not saved.
    """

    epochs: ClassVar[Mapping[str, int]] = MappingProxyType({})
    published_arms: ClassVar[tuple[int, ...]] = PlanarArm.PAPER_DOF
    config_type: ClassVar[type[ModelConfig]]
    table: ClassVar[Table] = MappingProxyType({})
    precisions: ClassVar[tuple[str, ...]] = ("float32",)
    search_ranges: ClassVar[Ranges] = MappingProxyType({})
    recipe: ClassVar[Recipe] = Recipe()
    teacher: ClassVar[str | None] = None
    training_only: ClassVar[tuple[str, ...]] = ()

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Register a class that has a name of its own."""
        super().__init_subclass__(**kwargs)
        if cls.__dict__.get("name"):
            NETWORKS[cls.name] = cls

    def __init__(self, config: Any) -> None:
        super().__init__()
        self.config = config
        self.arm = arm_of(config.lengths)
        self.precision: torch.dtype | None = None

    @classmethod
    def default_config(cls, arm: PlanarArm, **changes: Any) -> Any:
        """Default hyperparameters for an arm, with `changes` applied.

        Those of the paper's table for the nearest DoF, the larger of two, or else the config's.
        """
        nearest = min(cls.table, key=lambda dof: (abs(dof - arm.dof), -dof), default=None)
        row = {} if nearest is None else dict(cls.table[nearest])
        row.pop("trainable_parameters", None)
        return cls.config_type(**{"lengths": arm.lengths, **row, **changes})

    def training_inputs(
        self,
        theta: Tensor,
        tcp: Tensor,
        teacher: NetworkSampler | None,
        generator: Generator | None,
    ) -> Tensor:
        """What `loss` is to get as `theta`, row by row: the data set's, or what a teacher makes.

        Args:
            theta: Joint angles of the training set, shape (samples, dof).
            tcp: Their TCPs, shape (samples, 2).
            teacher: A trained model, if `self.teacher` names one.
            generator: Source of randomness.
        """
        return theta

    @abstractmethod
    def loss(
        self, theta: Tensor, tcp: Tensor, progress: float, generator: Generator | None = None
    ) -> dict[str, Tensor]:
        """Named terms whose sum is the training loss of a batch.

        Args:
            theta: Joint angles, shape (batch, dof), or rows of `training_inputs`.
            tcp: Their TCPs, shape (batch, 2).
            progress: Epochs done as a share of all epochs, from 0 to 1.
            generator: Source of randomness, on the model's device.
        """

    def at_full_weight(self, terms: Mapping[str, float], progress: float) -> dict[str, float]:
        """Terms of the loss as they would be with the weights of the last epoch.

        Args:
            terms: As `loss` returns them, means over an epoch.
            progress: Of that epoch; see `loss`.
        """
        return dict(terms)

    @abstractmethod
    def decode(self, z: Tensor, tcp: Tensor) -> Tensor:
        """Joint angles (batch, dof) for latents (batch, config.latent) and targets (batch, 2)."""

    @classmethod
    def epochs_for(cls, profile: Profile | str) -> int:
        """Epochs in a profile.

        Raises:
            ValueError: If the model has none for it.
        """
        name = profile if isinstance(profile, str) else profile.name
        if name not in cls.epochs:
            raise ValueError(
                f"profile: {cls.name!r} has epochs for {', '.join(cls.epochs) or 'no profile'} "
                f"(its class attribute `epochs`), got {name!r}"
            )
        return cls.epochs[name]

    @classmethod
    def configure(cls, arm: PlanarArm, **changes: Any) -> ModelConfig:
        """`default_config`, for changes that may be misspelt.

        Raises:
            ValueError: If a hyperparameter is unknown or out of range.
        """
        known = cls.config_type.__dataclass_fields__
        check_known(f"hyperparameter of {cls.name!r}", changes, sorted(known))
        return cls.default_config(arm, **changes)

    @classmethod
    def count_parameters(cls, config: ModelConfig) -> int:
        """What `num_parameters` of a model with that config is, without making its weights."""
        with torch.device("meta"):
            return cls(config).num_parameters

    def forward(self, z: Tensor, tcp: Tensor) -> Tensor:
        """The same as `decode`."""
        return self.decode(z, tcp)

    @property
    def num_parameters(self) -> int:
        """Number of trainable parameters of what samples."""
        return sum(
            p.numel()
            for name, p in self.named_parameters()
            if p.requires_grad and self.samples_with(name)
        )

    @classmethod
    def samples_with(cls, name: str) -> bool:
        """Whether sampling needs the parameter or buffer of that name; see `training_only`."""
        return name.partition(".")[0] not in cls.training_only

    @property
    def device(self) -> torch.device:
        """Device of the parameters."""
        return next(self.parameters()).device

    @torch.no_grad()
    def _sample(self, tcp: Tensor, n: int, generator: Generator | None) -> Tensor:
        dtype = next(p.dtype for p in self.parameters() if p.is_floating_point())
        z = normal((len(tcp) * n, self.config.latent), generator, self.device, dtype)
        targets = tcp.to(self.device, dtype).repeat_interleave(n, dim=0)
        # On the CPU a slice whose hidden layers stay in the cache is twice as fast as all at once.
        rows = 1 << (12 if self.device.type == "cpu" else 18)
        parts = [
            self.decode(z[i : i + rows], targets[i : i + rows]) for i in range(0, len(z), rows)
        ]
        return torch.cat(parts).reshape(len(tcp), n, self.arm.dof)


def noise_like(values: Tensor, generator: Generator | None) -> Tensor:
    """Normal noise of the shape, dtype and device of `values`, drawn where the generator lives."""
    return noise(torch.randn, values.shape, generator, values.device, values.dtype)


def hidden_layers(inputs: int, neurons: int, count: int, slope: float = 0.0) -> nn.Sequential:
    """`count` linear layers of `neurons`, a LeakyReLU after each; a ReLU for slope 0."""
    layers: list[nn.Module] = []
    for size in [inputs] + [neurons] * (count - 1):
        layers += [nn.Linear(size, neurons), nn.LeakyReLU(slope) if slope else nn.ReLU()]
    return nn.Sequential(*layers)
