"""The catalogue of models: build one by name.

To add a model, define a subclass of `NetworkSampler` that has a `name`, anywhere: it is registered
by that, and `build`, training and weights find it.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import torch

from ikpaper.arm import PlanarArm, resolve_arm
from ikpaper.checks import check_known, check_seed
from ikpaper.models.base import NETWORKS, ModelConfig, NetworkSampler, Recipe
from ikpaper.models.cgan import CGAN, CGANConfig
from ikpaper.models.cvae import CVAE, CVAEConfig
from ikpaper.models.flow import Flow, FlowConfig, PlainFlow
from ikpaper.models.flow_fast import FlowFast, FlowFastConfig
from ikpaper.models.inn import INN, INNConfig
from ikpaper.models.inn_ml import INNML, INNMLConfig, INNMLSmall
from ikpaper.sampler import seeded

__all__ = [
    "CATALOGUE",
    "CGAN",
    "CVAE",
    "INN",
    "INNML",
    "CGANConfig",
    "CVAEConfig",
    "Flow",
    "FlowConfig",
    "FlowFast",
    "FlowFastConfig",
    "INNConfig",
    "INNMLConfig",
    "INNMLSmall",
    "ModelConfig",
    "NetworkSampler",
    "PlainFlow",
    "Recipe",
    "build",
    "count_parameters",
    "model_type",
]

# The order of the library's own in tables; those that are defined outside come after them.
for _kind in (CVAE, INN, INNML, INNMLSmall, CGAN, PlainFlow, Flow, FlowFast):
    NETWORKS[_kind.name] = NETWORKS.pop(_kind.name)

#: Models by name; also those that are defined outside of this package.
CATALOGUE: Mapping[str, type[NetworkSampler]] = MappingProxyType(NETWORKS)


def model_type(name: str) -> type[NetworkSampler]:
    """Class of a model by its name.

    Raises:
        ValueError: If there is no such model; the message lists the known ones.
    """
    check_known("model", [name], CATALOGUE)
    return CATALOGUE[name]


def build(
    name: str,
    dof: int | None = None,
    *,
    arm: PlanarArm | None = None,
    seed: int = 42,
    device: torch.device | str = "cpu",
    **changes: Any,
) -> NetworkSampler:
    """An untrained model; the paper's have its hyperparameters (Tables III and IV).

    Args:
        name: Name in `CATALOGUE`.
        dof: Number of joints of one of the paper's arms; or else
        arm: any arm with at least 3 joints. One without a row in the paper's tables gets the
            hyperparameters of the nearest DoF.
        seed: Seed of the initial weights; torch's global generator is left as it was.
        device: Where the parameters live.
        **changes: Hyperparameters that differ, by their names in the model's config.

    Raises:
        ValueError: If the name, the arm or a hyperparameter is unknown or out of range.

    Example:
        >>> build("inn", dof=6).num_parameters
        2772084
    """
    kind = model_type(name)
    config = kind.configure(resolve_arm("build", dof, arm), **changes)
    with seeded(check_seed(seed)):
        model = kind(config)
    return model.to(device)


def count_parameters(name: str, arm: PlanarArm, **changes: Any) -> int:
    """`num_parameters` of what `build(name, arm=arm, **changes)` makes, without making it."""
    kind = model_type(name)
    return kind.count_parameters(kind.configure(arm, **changes))
