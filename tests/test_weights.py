import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

import ikpaper
from ikpaper import models
from ikpaper.weights import load, load_record, save, weights_path

ARMS = [
    ikpaper.PlanarArm.paper(4),
    ikpaper.PlanarArm([0.4, 0.7, 0.2, 0.9]),
    ikpaper.RailArm.benchmark(),
]


@pytest.fixture(params=[(name, arm) for name in models.CATALOGUE for arm in ARMS], ids=str)
def saved(request, tmp_path):
    name, arm = request.param
    prior = {"sigma": arm.sigma} if arm.sigma and "flow" in name else {}
    model = models.build(name, arm=arm, neurons=12, seed=5, **prior).eval()
    path = weights_path(name, arm, "paper", 42, tmp_path)
    save(model, path, {"key": "k", "history": []})
    return model, path, tmp_path


def test_a_loaded_model_draws_the_same_samples(saved):
    model, _, directory = saved
    loaded = load(model.name, arm=model.arm, directory=directory)
    assert loaded.config == model.config
    draws = [
        m.sample([1.5, 0.3], 20, generator=torch.Generator().manual_seed(1))
        for m in (model, loaded)
    ]
    assert torch.equal(*draws)


def test_what_only_training_needs_is_not_published(tmp_path):
    model = models.build("cgan", arm=ARMS[0], neurons=12)
    path = weights_path("cgan", ARMS[0], "paper", 42, tmp_path)
    record = save(model, path, {"key": "k", "history": []})
    names = load_file(path)
    assert names
    assert all(name.startswith("generator.") for name in names)
    assert record["num_parameters"] == sum(value.numel() for value in names.values())


def test_weights_and_record_that_do_not_belong_together_read_as_missing(saved):
    model, path, directory = saved
    path.write_bytes(path.read_bytes()[:-4] + b"\0\0\0\1")
    assert load_record(path) is None
    with pytest.raises(FileNotFoundError):
        load(model.name, arm=model.arm, directory=directory)


def test_weights_of_another_architecture_are_refused(saved):
    model, path, directory = saved
    record = json.loads(path.with_suffix(".json").read_text())
    record["config"]["neurons"] = 13
    path.with_suffix(".json").write_text(json.dumps(record))
    with pytest.raises(ValueError, match="does not hold the weights"):
        load(model.name, arm=model.arm, directory=directory)


@pytest.mark.parametrize(
    ("arm", "options"),
    [
        (ARMS[0], "--dof 4"),
        (ARMS[1], r"--lengths 0\.4 0\.7 0\.2 0\.9"),
        (ARMS[2], r"--rail 0\.5 0\.5 1\.0"),
    ],
)
def test_missing_weights_name_the_command_that_makes_them(arm, options, tmp_path):
    command = f"ikpaper train --model inn {options} --profile paper --seed 42"
    with pytest.raises(FileNotFoundError, match=command):
        load("inn", arm=arm, directory=tmp_path)


def test_unknown_names_are_refused(tmp_path):
    with pytest.raises(ValueError, match="known: cvae, inn"):
        load("mdn", dof=6, directory=tmp_path)
    with pytest.raises(ValueError, match="4, 6, 8, 10"):
        load("inn", dof=3, directory=tmp_path)
    with pytest.raises(ValueError, match="smoke, quick, ablation, search, paper"):
        load("inn", dof=6, profile="big", directory=tmp_path)


def test_paths_tell_arms_profiles_and_seeds_apart(tmp_path):
    paths = {
        weights_path("inn", arm, profile, seed, tmp_path)
        for arm in ARMS
        for profile in ("smoke", "paper")
        for seed in (1, 2)
    }
    assert len(paths) == 12


def test_the_environment_variable_moves_the_weights(tmp_path, monkeypatch):
    monkeypatch.setenv("IKPAPER_WEIGHTS", str(tmp_path))
    assert tmp_path in weights_path("inn", ARMS[0], "paper", 42).parents


def test_published_weights_are_small():
    folder = Path(__file__).resolve().parents[1] / "weights"
    assert sum(path.stat().st_size for path in folder.rglob("*.safetensors")) < 60e6
