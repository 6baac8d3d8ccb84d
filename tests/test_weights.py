import hashlib
import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

import ikpaper
from ikpaper import models
from ikpaper.weights import DamagedWeights, find_weights, load, load_record, save, weights_path

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


def test_subnormal_weights_are_loaded_as_zeros(tmp_path):
    model = models.build("cvae", arm=ARMS[0], neurons=12)
    tiny = torch.finfo(torch.float32).tiny
    weight = next(p for p in model.parameters() if p.ndim == 2)
    with torch.no_grad():
        weight[0, :3] = torch.tensor([tiny, tiny / 2, -tiny / 8])
    save(model, weights_path("cvae", ARMS[0], "quick", 42, tmp_path), {"key": "k", "history": []})
    loaded = load("cvae", arm=ARMS[0], profile="quick", directory=tmp_path)
    found = next(p for p in loaded.parameters() if p.ndim == 2)
    assert found[0, :3].tolist() == [tiny, 0.0, 0.0]
    assert torch.equal(found[1:], weight[1:])
    draws = [
        m.sample([1.5, 0.3], 20, generator=torch.Generator().manual_seed(1))
        for m in (model.eval(), loaded)
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


@pytest.fixture
def kept(tmp_path):
    """A model that is kept as a user's own: its path and record."""
    model = models.build("cvae", arm=ARMS[0], neurons=12)
    path = weights_path("cvae", ARMS[0], "quick", 42, tmp_path)
    return path, save(model, path, {"key": "k", "history": []})


def damage_truncated(path, record):
    path.write_bytes(path.read_bytes()[:100])


def damage_changed(path, record):
    path.write_bytes(path.read_bytes()[:-4] + b"\0\0\0\1")


def damage_pointer(path, record):
    path.write_text(f"version https://git-lfs.github.com/spec/v1\noid sha256:{record['sha256']}\n")


def damage_no_safetensors(path, record):
    path.write_bytes(b"x" * 100)
    record |= {"sha256": hashlib.sha256(b"x" * 100).hexdigest()}
    path.with_suffix(".json").write_text(json.dumps(record))


def damage_empty_record(path, record):
    path.with_suffix(".json").write_text("{}")


def damage_half_a_record(path, record):
    path.with_suffix(".json").write_text(json.dumps(record)[:50])


def damage_a_list_as_record(path, record):
    path.with_suffix(".json").write_text("[]")


def damage_no_text_as_record(path, record):
    path.with_suffix(".json").write_bytes(b"\xff\xfe\x00")


def damage_another_type(path, record):
    path.with_suffix(".json").write_text(json.dumps({**record, "config": None}))


def damage_unknown_hyperparameter(path, record):
    record["config"]["depth_of_nothing"] = 3
    path.with_suffix(".json").write_text(json.dumps(record))


@pytest.mark.parametrize(
    ("damage", "file", "what"),
    [
        (damage_truncated, "safetensors", "100 bytes are not those"),
        (damage_changed, "safetensors", "bytes are not those"),
        (damage_pointer, "safetensors", "a Git LFS pointer"),
        (damage_no_safetensors, "safetensors", "does not hold the weights of 'cvae'"),
        (damage_empty_record, "json", "it lacks model, config, num_parameters, sha256"),
        (damage_half_a_record, "json", "it is not JSON"),
        (damage_a_list_as_record, "json", "it holds a list"),
        (damage_no_text_as_record, "json", "it is not JSON"),
        (damage_another_type, "json", "it lacks config"),
        (damage_unknown_hyperparameter, "safetensors", "depth_of_nothing"),
    ],
)
def test_damaged_weights_say_what_is_damaged_and_how_it_is_restored(kept, damage, file, what):
    path, record = kept
    damage(path, record)
    with pytest.raises(DamagedWeights) as error:
        load("cvae", dof=4, profile="quick", directory=path.parents[1])
    assert str(error.value).startswith(f"{path.with_suffix('.' + file)} is damaged: ")
    assert what in str(error.value)
    assert str(error.value).endswith("delete it, and train anew with: ikpaper train")


def test_published_weights_are_restored_from_the_repository():
    path = weights_path("cvae", ARMS[0], "paper", 42)
    error = str(DamagedWeights(path, "it is short"))
    assert "git checkout -- 'weights/paper/cvae-04dof-seed42.*'" in error
    package = Path(ikpaper.__file__).parent / "_published" / "weights" / "paper" / path.name
    assert "pip install --force-reinstall" in str(DamagedWeights(package, "it is short"))


def test_a_record_may_begin_with_a_byte_order_mark(kept):
    path, _ = kept
    record, text = load_record(path), path.with_suffix(".json").read_bytes()
    path.with_suffix(".json").write_bytes(b"\xef\xbb\xbf" + text)
    assert record is not None
    assert load_record(path) == record


@pytest.mark.parametrize("suffix", [".safetensors", ".json"])
def test_half_a_pair_is_missing_and_not_damaged(kept, suffix):
    path, _ = kept
    path.with_suffix(suffix).unlink()
    assert load_record(path) is None
    expected = "without its record" if suffix == ".json" else str(path)
    with pytest.raises(FileNotFoundError, match=expected):
        load("cvae", dof=4, profile="quick", directory=path.parents[1])


def test_weights_of_another_architecture_are_refused(saved):
    model, path, directory = saved
    record = json.loads(path.with_suffix(".json").read_text())
    record["config"]["neurons"] = 13
    path.with_suffix(".json").write_text(json.dumps(record))
    with pytest.raises(DamagedWeights, match="does not hold the weights"):
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


def test_a_seed_is_checked_before_weights_are_looked_for(tmp_path):
    arm = ikpaper.PlanarArm.paper(4)
    expected = weights_path("cvae", arm, "paper", 42, tmp_path)
    assert weights_path("cvae", arm, "paper", 42.0, tmp_path) == expected
    for seed in (-1, 1.5, 2**64, "42"):
        with pytest.raises(ValueError, match="seed: expected a whole number"):
            load("cvae", dof=4, seed=seed)


def test_the_environment_variable_moves_the_weights(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    for value in (str(tmp_path / "w"), "~/w"):
        monkeypatch.setenv("IKPAPER_WEIGHTS", value)
        assert weights_path("inn", ARMS[0], "paper", 42).parents[1] == tmp_path / "w"
    assert weights_path("inn", ARMS[0], "paper", 42, "~/v").parents[1] == tmp_path / "v"


def test_published_weights_are_found_wherever_ones_own_are_kept(tmp_path, monkeypatch):
    monkeypatch.setenv("IKPAPER_WEIGHTS", str(tmp_path))
    there = find_weights("cvae", ARMS[0], "paper", 42)
    assert there.name == "cvae-04dof-seed42.safetensors"
    assert there.exists()
    own = weights_path("cvae", ARMS[0], "paper", 42)
    assert own.parents[1] == tmp_path
    save(models.build("cvae", arm=ARMS[0], neurons=12), own, {"key": "k"})
    assert find_weights("cvae", ARMS[0], "paper", 42) == own
    assert load("cvae", dof=4).config.neurons == 12


def test_published_weights_are_small():
    folder = Path(__file__).resolve().parents[1] / "weights"
    assert sum(path.stat().st_size for path in folder.rglob("*.safetensors")) < 60e6
