"""Trained models on disk: safetensors beside a JSON file that says where they come from."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from safetensors.torch import save as serialize

from ikpaper.arm import PlanarArm
from ikpaper.files import atomic, digest, project_root, write_json
from ikpaper.models import NetworkSampler, model_type
from ikpaper.profiles import Profile, get_profile

__all__ = [
    "environment",
    "load",
    "load_record",
    "load_with_record",
    "restore",
    "save",
    "store",
    "weights_path",
]


def weights_path(
    name: str,
    arm: PlanarArm,
    profile: str | Profile,
    seed: int,
    directory: str | os.PathLike[str] | None = None,
) -> Path:
    """Where the weights of a training run are kept; its JSON file has the suffix `.json`.

    Args:
        name: Model name.
        arm: The arm.
        profile: Profile of the run.
        seed: Seed of the run.
        directory: Folder of all weights; by default the environment variable
            `IKPAPER_WEIGHTS`, or `weights/` of the project.
    """
    root = Path(directory or os.environ.get("IKPAPER_WEIGHTS") or project_root() / "weights")
    arm_name = f"{arm.dof:02d}dof"
    if arm != PlanarArm.like_paper(arm.dof):
        arm_name += "-" + digest(arm.lengths)[:8]
    return root / get_profile(profile).name / f"{name}-{arm_name}-seed{seed}.safetensors"


def save(model: NetworkSampler, path: Path, record: dict[str, Any]) -> dict[str, Any]:
    """Save a model and the record of its training; returns the record with what it adds.

    The JSON file is written last and holds the hash of the weights: a pair that does not belong
    together, as a kill between the two would leave, reads as missing.
    """
    model_type(model.name)
    state = {
        key: value.detach().cpu().contiguous()
        for key, value in model.state_dict().items()
        if model.samples_with(key)
    }
    data = serialize(state)
    complete = {
        **record,
        "model": model.name,
        "config": dataclasses.asdict(model.config),
        "num_parameters": model.num_parameters,
        "sha256": hashlib.sha256(data).hexdigest(),
    }
    store(path, data, complete)
    return complete


def store(path: Path, data: bytes, record: dict[str, Any]) -> None:
    """Write safetensors, then the complete record that belongs to them."""
    with atomic(path) as partial:
        partial.write_bytes(data)
    write_json(path.with_suffix(".json"), record)


def load_record(path: Path) -> dict[str, Any] | None:
    """The JSON record beside weights, or None if weights or record are missing or differ."""
    try:
        record = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
        weights = path.read_bytes()
    except (FileNotFoundError, json.JSONDecodeError):
        return None
    return record if hashlib.sha256(weights).hexdigest() == record["sha256"] else None


def load(
    name: str,
    dof: int | None = None,
    *,
    arm: PlanarArm | None = None,
    profile: str | Profile = "paper",
    seed: int = 42,
    directory: str | os.PathLike[str] | None = None,
    device: torch.device | str = "cpu",
) -> NetworkSampler:
    """A trained model, ready to sample.

    Args:
        name: Model name.
        dof: Number of joints of one of the paper's arms; or else
        arm: any arm that a model was trained for.
        profile: Profile it was trained with.
        seed: Seed of the training run.
        directory: Folder of all weights; see `weights_path`.
        device: Where to put the parameters.

    Raises:
        ValueError: If the name or the arm is unknown.
        FileNotFoundError: If there are no such weights; the message names the command that
            makes them.
    """
    model_type(name)
    if (dof is None) == (arm is None):
        raise ValueError(f"load: expected either dof or arm, got dof={dof!r} and arm={arm!r}")
    arm = arm if arm is not None else PlanarArm.paper(dof)  # type: ignore[arg-type]
    return load_with_record(name, arm, get_profile(profile), seed, directory)[0].to(device)


def load_with_record(
    name: str,
    arm: PlanarArm,
    profile: Profile,
    seed: int,
    directory: str | os.PathLike[str] | None = None,
) -> tuple[NetworkSampler, dict[str, Any]]:
    """As `load`, with the record of the training."""
    kind = model_type(name)
    path = weights_path(name, arm, profile, seed, directory)
    record = load_record(path)
    if record is None:
        if arm == PlanarArm.like_paper(arm.dof):
            of_arm = f"--dof {arm.dof}"
        else:
            option = "--rail" if arm.rails else "--lengths"
            of_arm = " ".join([option, *map(str, arm.lengths[arm.rails :])])
        raise FileNotFoundError(
            f"no weights of {name!r} for {arm} in {path}; make them with: ikpaper train "
            f"--model {name} {of_arm} --profile {profile.name} --seed {seed}"
        )
    return restore(kind, path, record), record


def restore(kind: type[NetworkSampler], path: Path, record: dict[str, Any]) -> NetworkSampler:
    """The model that `record` describes, with the weights in `path`."""
    settings: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in record["config"].items()
    }
    model = kind(kind.config_type(**settings))
    try:
        keys = model.load_state_dict(load_file(path), strict=False)
        wanted = [key for key in keys.missing_keys if kind.samples_with(key)]
        if wanted or keys.unexpected_keys:
            raise RuntimeError(f"lacks {wanted}, has {keys.unexpected_keys} too many")
    except (SafetensorError, RuntimeError) as error:
        raise ValueError(f"{path} does not hold the weights of {kind.name!r}: {error}") from error
    return model.eval()


def environment() -> dict[str, Any]:
    """Versions and source revision that a result was made with."""
    packages = {}
    for package in ("ikpaper", "torch", "numpy", "scipy", "FrEIA"):
        try:
            packages[package] = version(package)
        except PackageNotFoundError:
            packages[package] = "not installed"
    return {
        "python": platform.python_version(),
        "machine": platform.machine(),
        "cpu_threads": torch.get_num_threads(),
        "packages": packages,
        "revision": _revision(),
    }


def _revision() -> str:
    try:
        described = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=12"],
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            check=True,
            timeout=10,
        )
    except (OSError, subprocess.SubprocessError):
        return "unknown"
    return described.stdout.strip()
