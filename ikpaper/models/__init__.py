"""The catalogue of models: build one by name.

To add a model, write a file with a subclass of `NetworkSampler` and name it in `CATALOGUE`.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import torch

from ikpaper.arm import PlanarArm
from ikpaper.models.base import ModelConfig, NetworkSampler
from ikpaper.models.cgan import CGAN, CGANConfig
from ikpaper.models.cvae import CVAE, CVAEConfig
from ikpaper.models.flow import Flow, FlowConfig
from ikpaper.models.flow_fast import FlowFast, FlowFastConfig
from ikpaper.models.inn import INN, INNConfig
from ikpaper.models.inn_ml import INNML, INNMLConfig, INNMLSmall

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
    "build",
    "model_type",
]

#: Models by name.
CATALOGUE: Mapping[str, type[NetworkSampler]] = MappingProxyType(
    {model.name: model for model in (CVAE, INN, INNML, INNMLSmall, CGAN, Flow, FlowFast)}
)


def model_type(name: str) -> type[NetworkSampler]:
    """Class of a model in the catalogue.

    Raises:
        ValueError: If there is no such model; the message lists the known ones.
    """
    if name not in CATALOGUE:
        raise ValueError(f"unknown model {name!r}; known: {', '.join(CATALOGUE)}")
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
    if (dof is None) == (arm is None):
        raise ValueError(f"build: expected either dof or arm, got dof={dof!r} and arm={arm!r}")
    arm = arm if arm is not None else PlanarArm.paper(dof)  # type: ignore[arg-type]
    known = set(kind.config_type.__dataclass_fields__)
    if unknown := sorted(set(changes) - known):
        raise ValueError(
            f"unknown hyperparameter {', '.join(unknown)} of {name!r}; known: "
            f"{', '.join(sorted(known))}"
        )
    config = kind.default_config(arm, **changes)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = kind(config)
    return model.to(device)
