"""Trained models on disk: safetensors beside a JSON file that says where they come from.

Weights are looked for, and kept, in the folder that the environment variable `IKPAPER_WEIGHTS`
names, or else in `weights/` of the checkout, or outside of one in the user's data folder.
Published weights that are not there are taken from the installed package.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
from pathlib import Path
from typing import Any

import torch
from platformdirs import user_data_path
from safetensors import SafetensorError
from safetensors.torch import load as deserialize
from safetensors.torch import save as serialize
from torch import Tensor

from ikpaper.arm import PlanarArm, resolve_arm
from ikpaper.checks import check_seed
from ikpaper.files import atomic, find_project, published, write_json
from ikpaper.identity import digest
from ikpaper.models import NetworkSampler, model_type
from ikpaper.profiles import PUBLISHED, Profile, get_profile
from ikpaper.sampler import seeded

#: What every record says.
_RECORDED = {"model": str, "config": dict, "num_parameters": int, "sha256": str}

#: How a file begins that stands for one in Git LFS.
_LFS = b"version https://git-lfs"


class DamagedWeights(ValueError):
    """Weights or their record are there and cannot be used."""

    def __init__(self, path: Path, what: str) -> None:
        super().__init__(path, what)
        self.path, self.what = path, what

    def __str__(self) -> str:
        project = find_project()
        if self.path.is_relative_to(Path(__file__).resolve().parent):
            remedy = "reinstall it: pip install --force-reinstall --no-deps ikpaper"
        elif project is not None and self.path.is_relative_to(project / "weights" / PUBLISHED):
            both = self.path.relative_to(project).with_suffix("").as_posix()
            remedy = f"restore it, if it was published: git checkout -- '{both}.*'"
        else:
            remedy = "delete it, and train anew with: ikpaper train"
        return f"{self.path} is damaged: {self.what}; {remedy}"


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
        directory: Folder of all weights, in which `~` is the home folder; by default the one in
            the environment variable `IKPAPER_WEIGHTS`, or else `weights/` of the checkout, or
            outside of one `weights/` in the user's data folder.
    """
    seed = check_seed(seed)
    chosen = directory or os.environ.get("IKPAPER_WEIGHTS")
    if chosen:
        root = Path(chosen).expanduser()
    else:
        root = (find_project() or user_data_path("ikpaper", appauthor=False)) / "weights"
    arm_name = f"{arm.dof:02d}dof"
    if arm != PlanarArm.like_paper(arm.dof):
        arm_name += "-" + digest(arm.lengths)[:8]
    return root / get_profile(profile).name / f"{name}-{arm_name}-seed{seed}.safetensors"


def find_weights(
    name: str,
    arm: PlanarArm,
    profile: str | Profile,
    seed: int,
    directory: str | os.PathLike[str] | None = None,
) -> Path:
    """Where the weights of a training run are: as `weights_path`, or else published ones.

    Those that are published count only if no `directory` is given.
    """
    path = weights_path(name, arm, profile, seed, directory)
    if directory is None and not path.exists():
        try:
            return published(Path("weights") / path.parent.name / path.name)
        except FileNotFoundError:
            pass
    return path


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
    # Weights without a record read as missing: a kill in between costs them, and damages nothing.
    path.with_suffix(".json").unlink(missing_ok=True)
    with atomic(path) as partial:
        partial.write_bytes(data)
    write_json(path.with_suffix(".json"), record)


def load_record(path: Path) -> dict[str, Any] | None:
    """The JSON record beside weights, or None if weights or record are missing.

    Raises:
        DamagedWeights: If one of them cannot be used, or they do not belong together.
    """
    beside = path.with_suffix(".json")
    try:
        weights, text = path.read_bytes(), beside.read_bytes()
    except FileNotFoundError:
        return None
    if text.startswith(_LFS):
        raise DamagedWeights(beside, "it is a Git LFS pointer instead of a record")
    try:
        # Some editors begin UTF-8 with a byte order mark, which changes nothing.
        record = json.loads(text.decode("utf-8-sig"))
    except ValueError as error:
        raise DamagedWeights(beside, f"it is not JSON ({error})") from error
    if not isinstance(record, dict):
        raise DamagedWeights(beside, f"it holds a {type(record).__name__} instead of a record")
    wrong = [name for name, kind in _RECORDED.items() if not isinstance(record.get(name), kind)]
    if wrong:
        raise DamagedWeights(beside, f"it lacks {', '.join(wrong)}, or they are of another type")
    if weights.startswith(_LFS):
        raise DamagedWeights(path, "it is a Git LFS pointer instead of weights")
    if hashlib.sha256(weights).hexdigest() != record["sha256"]:
        what = f"its {len(weights):,} bytes are not those whose SHA-256 is on record"
        raise DamagedWeights(path, what)
    return record


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
        ValueError: If the name or the arm is unknown, or the weights are damaged (then a
            `DamagedWeights`); the message says how they are restored.
        FileNotFoundError: If there are no such weights; the message names the command that
            makes them.
    """
    model_type(name)
    arm = resolve_arm("load", dof, arm)
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
    path = find_weights(name, arm, profile, seed, directory)
    record = load_record(path)
    if record is None:
        if arm == PlanarArm.like_paper(arm.dof):
            of_arm = f"--dof {arm.dof}"
        else:
            option = "--rail" if arm.rails else "--lengths"
            of_arm = " ".join([option, *map(str, arm.lengths[arm.rails :])])
        there = f"{path} without its record {path.with_suffix('.json').name}"
        raise FileNotFoundError(
            f"no weights of {name!r} for {arm}: expected {there if path.exists() else path}; "
            f"make them with: ikpaper train --model {name} {of_arm} --profile {profile.name} "
            f"--seed {seed}"
        )
    return restore(kind, path, record), record


def restore(kind: type[NetworkSampler], path: Path, record: dict[str, Any]) -> NetworkSampler:
    """The model that `record` describes, with the weights in `path`.

    Raises:
        DamagedWeights: If the weights, or the record's config, are of another architecture.
    """
    settings: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in record["config"].items()
    }
    try:
        # Initial weights, which are replaced; those of `training_only` parts are any.
        with seeded(0):
            model = kind(kind.config_type(**settings))
        values = {key: _flushed(value) for key, value in deserialize(path.read_bytes()).items()}
        keys = model.load_state_dict(values, strict=False)
        wanted = [key for key in keys.missing_keys if kind.samples_with(key)]
        if wanted or keys.unexpected_keys:
            raise RuntimeError(f"it lacks {wanted}, and has {keys.unexpected_keys} too many")
    except (SafetensorError, RuntimeError, TypeError, ValueError) as error:
        what = f"it does not hold the weights of {kind.name!r} on record ({error})"
        raise DamagedWeights(path, what) from error
    return model.eval()


def _flushed(values: Tensor) -> Tensor:
    """`values` with zeros in place of subnormal numbers, which weight decay leaves by the thousand.

    They are too small to change a sample, and products with them take up to a hundred times as
    long on some processors.
    """
    if not values.is_floating_point():
        return values
    return values.masked_fill(values.abs() < torch.finfo(values.dtype).tiny, 0.0)
