import dataclasses
import json
import pickle

import pytest
import torch

import ikpaper
from ikpaper import models, training
from ikpaper.profiles import PROFILES
from ikpaper.training import TrainingRun, resolve_device, train
from ikpaper.weights import DamagedWeights, load_record


def test_other_settings_have_other_keys():
    smoke = PROFILES["smoke"]
    run = TrainingRun.of("cvae", 4, profile="smoke")
    others = [
        TrainingRun.of("inn", 4, profile="smoke"),
        TrainingRun.of("cvae", 6, profile="smoke"),
        TrainingRun.of("cvae", 4, profile="quick"),
        TrainingRun.of("cvae", 4, profile="smoke", seed=1),
        TrainingRun.of("cvae", 4, profile="smoke", epochs=3),
        TrainingRun.of("cvae", 4, profile="smoke", precision="bfloat16"),
        TrainingRun.of("cvae", 4, profile="smoke", neurons=9),
        TrainingRun.of("cvae", arm=ikpaper.PlanarArm([0.5, 0.5, 0.5, 0.9]), profile="smoke"),
        *(
            TrainingRun.of("cvae", 4, profile=dataclasses.replace(smoke, **change))
            for change in (
                {"samples": 2100}, {"batch": 100}, {"train_fraction": 0.6}, {"sigma": 0.3},
            )
        ),
        TrainingRun.of("cvae", 4, profile=dataclasses.replace(smoke, seed=7), seed=42),
    ]  # fmt: skip
    keys = [r.identity().key for r in (run, *others)]
    assert len(set(keys)) == len(keys)
    assert TrainingRun.of("cvae", 4, profile="smoke").identity().key == keys[0]
    # What is evaluated later decides nothing.
    more_targets = dataclasses.replace(smoke, targets=99, exact_samples=7)
    assert TrainingRun.of("cvae", 4, profile=more_targets).identity().key == keys[0]


def test_versions_and_the_teachers_weights_are_part_of_the_key(monkeypatch):
    run = TrainingRun.of("flow-fast", 4, profile="smoke")
    before = run.identity("a" * 64)
    assert before.versions == {
        "training": training.VERSION, "dataset": 1, "flow-fast": 1, "flow": 1
    }  # fmt: skip
    assert run.identity("b" * 64).differs(before.record()) != []
    monkeypatch.setattr(models.Flow, "version", 2)
    assert run.identity("a" * 64).differs(before.record()) == ["version of flow: 1 -> 2"]
    other = TrainingRun.of("cvae", 4, profile="smoke").identity()
    assert "flow" not in other.versions


def test_precision_is_the_recipes_unless_it_is_given():
    assert TrainingRun.of("inn", 4, profile="smoke").precision == "bfloat16"
    assert TrainingRun.of("cvae", 4, profile="smoke").precision == "float32"
    assert TrainingRun.of("inn", 4, profile="smoke", precision="float32").precision == "float32"
    for precision in ("half", "auto"):
        with pytest.raises(
            ValueError, match=f"unknown precision of 'cvae' '{precision}'; known: float32, b"
        ):
            TrainingRun.of("cvae", 4, profile="smoke", precision=precision)
    with pytest.raises(ValueError, match=r"precision of 'flow' 'bfloat16'; known: float32$"):
        TrainingRun.of("flow", 4, profile="smoke", precision="bfloat16")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"name": "gan", "dof": 4}, "unknown model 'gan'"),
        ({"name": "cvae", "dof": 7}, "4, 6, 8, 10"),
        ({"name": "cvae", "dof": 4, "profile": "huge"}, "smoke, quick, ablation, search, paper"),
        ({"name": "cvae"}, "either dof or arm"),
        ({"name": "cvae", "dof": 4, "epochs": 0}, "epochs: expected"),
        ({"name": "cvae", "dof": 4, "seed": -1}, "seed: expected"),
        ({"name": "cvae", "dof": 4, "seed": 99999999999999999999}, "seed: expected"),
        (
            {"name": "cvae", "dof": 4, "depth": 3},
            "unknown hyperparameter of 'cvae' 'depth'; known: ",
        ),
    ],
)
def test_bad_settings_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        TrainingRun.of(**options)


def test_a_model_that_knows_its_prior_gets_the_datas():
    wide = dataclasses.replace(PROFILES["smoke"], sigma=0.5)
    assert TrainingRun.of("flow", 4, profile=wide).build().config.sigma == 0.5
    assert TrainingRun.of("flow", 4, profile=wide, sigma=0.3).build().config.sigma == 0.3
    rail = ikpaper.RailArm.benchmark()
    assert TrainingRun.of("flow", arm=rail, profile=wide).build().config.sigma == rail.sigma


@pytest.mark.parametrize("name", list(models.CATALOGUE))
def test_the_config_of_a_run_is_that_of_its_model(name):
    run = TrainingRun.of(name, 6, profile="smoke", neurons=12)
    assert run.config == run.build().config
    assert pickle.loads(pickle.dumps(run)) == run


def test_costs_build_no_network(monkeypatch):
    small, large = (
        TrainingRun.of("inn", d, profile="paper", neurons=n) for d, n in ((4, 20), (6, 90))
    )
    monkeypatch.setattr(torch.nn.Module, "__init__", lambda *_, **__: pytest.fail("built"))
    assert 0 < small.cost() < large.cost()


def test_what_differs_is_named(tmp_path):
    run = TrainingRun.of("cvae", 4, profile="smoke")
    assert run.compare(tmp_path) == (None, ["no weights"])
    _, record = train(run, directory=tmp_path)
    assert run.compare(tmp_path) == (load_record(run.path(tmp_path)), [])
    other = TrainingRun.of("cvae", 4, profile="smoke", neurons=20, epochs=5)
    assert other.compare(tmp_path)[1] == [
        f"setting config.neurons: {run.config.neurons} -> 20", "setting epochs: 2 -> 5"
    ]  # fmt: skip
    # A record from before there were identities.
    path = run.path(tmp_path).with_suffix(".json")
    old = {name: value for name, value in record.items() if name not in ("settings", "versions")}
    path.write_text(json.dumps(old))
    assert run.compare(tmp_path)[1] == ["no identity on record"]


def test_weights_that_cannot_be_used_are_named(tmp_path):
    run = TrainingRun.of("cvae", 4, profile="smoke")
    path = run.path(tmp_path)
    path.parent.mkdir(parents=True)
    path.write_bytes(b"")
    path.with_suffix(".json").write_text("{")
    with pytest.raises(DamagedWeights, match=path.stem):
        run.compare(tmp_path)


def test_devices():
    assert resolve_device("cpu").type == "cpu"
    if not torch.cuda.is_available():
        assert resolve_device("auto").type == "cpu"
        with pytest.raises(ValueError, match="no CUDA device"):
            resolve_device("cuda")


def test_the_schedule_is_the_runs_and_no_other_key_moves():
    default, cosine = (
        TrainingRun.of("inn", 4, profile="smoke", schedule=s) for s in (None, "cosine")
    )
    assert default == TrainingRun.of("inn", 4, profile="smoke", schedule="plateau")
    assert "schedule" not in default.identity().settings
    assert cosine.identity().settings["schedule"] == "cosine"
    # What the recipe says is the model's own, whatever its name.
    flow = TrainingRun.of("flow", 4, profile="smoke")
    assert flow.schedule == "cosine"
    assert "schedule" not in flow.identity().settings
    with pytest.raises(ValueError, match="unknown schedule 'step'; known: plateau"):
        TrainingRun.of("inn", 4, profile="smoke", schedule="step")


def test_a_teacher_is_trained_by_its_own_schedule():
    run = TrainingRun.of("flow-fast", 4, profile="smoke", schedule="plateau")
    assert run.teacher.schedule == "cosine"
