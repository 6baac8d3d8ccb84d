import dataclasses
import json
import math
import os
import signal
import subprocess
import sys
import time

import pytest
import torch

import ikpaper
from ikpaper import files, models, training
from ikpaper.profiles import PROFILES
from ikpaper.training import TrainingRun, resolve_device, resolve_precision, train
from ikpaper.weights import load_record, weights_path

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def equal_weights(first, second):
    theirs = second.state_dict()
    return all(torch.equal(value, theirs[key]) for key, value in first.state_dict().items())


def path_of(run, directory):
    return weights_path(run.name, run.arm, run.profile, run.seed, directory)


@pytest.mark.parametrize("name", ["cvae", "inn", "flow"])
def test_a_run_is_recorded_loaded_and_not_repeated(name, tmp_path):
    run = TrainingRun.of(name, 4, profile="smoke")
    model, record = train(run, directory=tmp_path)
    assert len(record["history"]) == run.epochs
    assert record["num_parameters"] == model.num_parameters
    assert load_record(path_of(run, tmp_path)) == json.loads(json.dumps(record))
    assert not list(tmp_path.rglob("*.checkpoint"))
    stamp = path_of(run, tmp_path).stat().st_mtime_ns
    again, same = train(run, directory=tmp_path)
    assert path_of(run, tmp_path).stat().st_mtime_ns == stamp
    assert same["seconds"] == record["seconds"]
    assert equal_weights(model, again)


def test_training_lowers_the_loss(tmp_path):
    _, record = train(TrainingRun.of("cvae", 4, profile="smoke"), directory=tmp_path)
    first, last = (sum(record["history"][i]["terms"].values()) for i in (0, -1))
    assert last < first


def test_other_settings_have_other_keys():
    run = TrainingRun.of("cvae", 4, profile="smoke")
    others = [
        TrainingRun.of("inn", 4, profile="smoke"),
        TrainingRun.of("cvae", 6, profile="smoke"),
        TrainingRun.of("cvae", 4, profile="quick"),
        TrainingRun.of("cvae", 4, profile="smoke", seed=1),
        TrainingRun.of("cvae", arm=ikpaper.PlanarArm([0.5, 0.5, 0.5, 0.9]), profile="smoke"),
    ]
    keys = [r.key() for r in (run, *others)]
    assert len(set(keys)) == len(keys)
    assert TrainingRun.of("cvae", 4, profile="smoke").key() == keys[0]


KILLED = """
import os, signal, sys
from ikpaper import files, models, training
from ikpaper.training import TrainingRun, train

epochs = iter(range(100))
original = training.TrainingLoop.run_epoch

def run_epoch(self, *arguments):
    original(self, *arguments)
    if next(epochs) == 1:
        os.kill(os.getpid(), signal.SIGKILL)

training.TrainingLoop.run_epoch = run_epoch
train(TrainingRun.of(sys.argv[1], 4, profile=PROFILE), directory=sys.argv[2])
"""


@pytest.mark.parametrize("name", ["cvae", "inn", "flow"])
def test_a_killed_run_continues_to_the_same_weights(name, tmp_path):
    smoke = PROFILES["smoke"]
    epochs = {"cvae": 4, "inn": 3, "flow": 4}
    profile = type(smoke)(**{**vars(smoke), "epochs": epochs, "samples": 1000})
    run = TrainingRun.of(name, 4, profile=profile)
    whole, _ = train(run, directory=tmp_path / "whole")

    setup = (
        "from ikpaper.profiles import PROFILES\nsmoke = PROFILES['smoke']\n"
        f"PROFILE = type(smoke)(**{{**vars(smoke), 'epochs': {epochs}, 'samples': 1000}})\n"
        "import torch\ntorch.set_num_threads(2)\n"
    )
    directory = str(tmp_path / "killed")
    killed = subprocess.run(
        [sys.executable, "-c", setup + KILLED, name, directory], cwd=ROOT, check=False
    )
    assert killed.returncode == -signal.SIGKILL
    assert path_of(run, directory).with_suffix(".checkpoint").exists()
    assert not path_of(run, directory).exists()
    resumed, record = train(run, directory=directory)
    assert [row["epoch"] for row in record["history"]] == list(range(1, run.epochs + 1))
    assert equal_weights(whole, resumed)


def test_a_checkpoint_of_another_run_is_not_used(tmp_path):
    run = TrainingRun.of("cvae", 4, profile="smoke")
    checkpoint = path_of(run, tmp_path).with_suffix(".checkpoint")
    checkpoint.parent.mkdir(parents=True)
    checkpoint.write_bytes(b"no checkpoint at all")
    _, record = train(run, directory=tmp_path)
    assert len(record["history"]) == run.epochs


def test_divergence_names_epoch_and_term_and_keeps_the_checkpoint(tmp_path, monkeypatch):
    run = TrainingRun.of("cvae", 4, profile="smoke")
    kind = type(run.build())
    original = kind.loss

    def loss(self, theta, tcp, progress, generator=None):
        terms = original(self, theta, tcp, progress, generator)
        return {**terms, "kl": terms["kl"] * float("nan")} if progress > 0 else terms

    monkeypatch.setattr(kind, "loss", loss)
    with pytest.raises(FloatingPointError, match="kl is nan in epoch 2"):
        train(run, directory=tmp_path)
    checkpoint = path_of(run, tmp_path).with_suffix(".checkpoint")
    assert torch.load(checkpoint, weights_only=True)["epoch"] == 1
    assert not path_of(run, tmp_path).exists()


def test_a_retry_repeats_the_epoch_with_other_noise(tmp_path, monkeypatch):
    run = TrainingRun.of("cvae", 4, profile="smoke")
    kind = type(run.build())
    original = kind.loss
    # The state of the generator at the start of epoch 2, for which alone the loss fails.
    fatal = []

    def loss(self, theta, tcp, progress, generator=None):
        state = generator.get_state().tolist()
        terms = original(self, theta, tcp, progress, generator)
        if progress > 0 and not fatal:
            fatal.append(state)
        return {**terms, "kl": terms["kl"] * float("inf")} if state in fatal else terms

    monkeypatch.setattr(kind, "loss", loss)
    model, record = train(run, directory=tmp_path / "a", retries=1)
    assert record["divergences"] == ["kl is inf in epoch 2, batch 1"]
    assert [row["epoch"] for row in record["history"]] == [1, 2]
    # As an interrupted run would meet it again: the same end.
    again, _ = train(run, directory=tmp_path / "b", retries=1)
    assert equal_weights(model, again)
    monkeypatch.setattr(kind, "loss", original)
    calm, record = train(run, directory=tmp_path / "c", retries=1)
    assert record["divergences"] == []
    assert not equal_weights(model, calm)


def test_a_loss_that_rises_manyfold_has_diverged(tmp_path, monkeypatch):
    run = TrainingRun.of("cvae", 4, profile="smoke")
    kind = type(run.build())
    original = kind.loss

    def loss(self, theta, tcp, progress, generator=None):
        terms = original(self, theta, tcp, progress, generator)
        return {**terms, "kl": terms["kl"] + 1e6} if progress > 0 else terms

    monkeypatch.setattr(kind, "loss", loss)
    with pytest.raises(FloatingPointError, match=r"rose from .* to 1e\+06 in epoch 2, most.* kl"):
        train(run, directory=tmp_path)


def test_a_terminated_command_leaves_no_partial_files(tmp_path):
    command = [sys.executable, "-m", "ikpaper.cli", "train", "--model", "inn", "--dof", "4"]
    process = subprocess.Popen(
        [*command, "--profile", "quick"],
        cwd=ROOT,
        env={**os.environ, "IKPAPER_WEIGHTS": str(tmp_path)},
        stderr=subprocess.DEVNULL,
    )
    time.sleep(4)
    process.terminate()
    process.wait(timeout=60)
    assert process.returncode != 0
    left = [p.name for p in tmp_path.rglob("*") if p.is_file()]
    assert all(name.endswith(".checkpoint") for name in left), left


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"name": "gan", "dof": 4}, "unknown model 'gan'"),
        ({"name": "cvae", "dof": 7}, "4, 6, 8, 10"),
        ({"name": "cvae", "dof": 4, "profile": "huge"}, "smoke, quick, ablation, search, paper"),
        ({"name": "cvae"}, "either dof or arm"),
    ],
)
def test_unknown_names_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        TrainingRun.of(**options)


def test_auto_precision_is_settled_once_and_recorded(tmp_path):
    _, record = train(TrainingRun.of("inn", 4, profile="smoke"), directory=tmp_path)
    assert record["precision"] in ("float32", "bfloat16")
    _, record = train(TrainingRun.of("cvae", 4, profile="smoke"), directory=tmp_path)
    assert record["precision"] == "float32"
    run = TrainingRun.of("cvae", 4, profile="smoke", precision="bfloat16")
    assert resolve_precision("bfloat16", run.build()) == "bfloat16"
    model, record = train(run, directory=tmp_path)
    assert record["precision"] == "bfloat16"
    # A setting of the training, not of the model that comes out.
    assert model.precision is None
    with pytest.raises(ValueError, match="float32, bfloat16, got 'half'"):
        TrainingRun.of("cvae", 4, precision="half")


def test_the_learning_rate_warms_up(tmp_path, monkeypatch):
    rates = []
    original = torch.optim.Adam.step

    def step(self, *arguments, **options):
        rates.append(self.param_groups[0]["lr"])
        return original(self, *arguments, **options)

    monkeypatch.setattr(torch.optim.Adam, "step", step)
    smoke = PROFILES["smoke"]
    profile = type(smoke)(**{**vars(smoke), "epochs": {"inn": 2}, "samples": 10_000, "batch": 100})
    run = TrainingRun.of("inn", 4, profile=profile)
    config = run.build().config
    train(run, directory=tmp_path)
    wanted = [config.learning_rate * min(1.0, (i + 1) / config.warmup) for i in range(140)]
    assert rates == pytest.approx(wanted)


def test_a_cosine_takes_the_rate_to_zero_and_batches_are_the_recipes(tmp_path, monkeypatch):
    rates, sizes = [], []
    original = training.TrainingLoop._step

    def step(self, theta, tcp):
        rates.append(self.optimizer.param_groups[0]["lr"])
        sizes.append(len(theta))
        return original(self, theta, tcp)

    monkeypatch.setattr(training.TrainingLoop, "_step", step)
    smoke = PROFILES["smoke"]
    profile = type(smoke)(**{**vars(smoke), "epochs": {"flow": 4}, "samples": 2000, "batch": 70})
    run = TrainingRun.of("flow", 4, profile=profile, neurons=8, warmup=10)
    _, record = train(run, directory=tmp_path)
    steps = 4 * 10
    assert sizes == [140] * steps
    assert record["training"]["batch"] == 140
    expected = [
        2e-3 * min(1.0, (i + 1) / 10) * 0.5 * (1 + math.cos(math.pi * i / steps))
        for i in range(steps)
    ]
    assert rates == pytest.approx(expected)


def test_what_is_kept_is_the_average_of_the_recipe(tmp_path, monkeypatch):
    seen = []
    original = training.TrainingLoop._step

    def step(self, theta, tcp):
        values = original(self, theta, tcp)
        seen.append(self.model.log_damping.item())
        return values

    run = TrainingRun.of("flow", 4, profile="smoke", neurons=8, warmup=1)
    started = run.build().log_damping.item()
    monkeypatch.setattr(training.TrainingLoop, "_step", step)
    model, _ = train(run, directory=tmp_path)
    average = started
    for i, value in enumerate(seen):
        decay = min(0.999, (1 + i) / (10 + i))
        average = decay * average + (1 - decay) * value
    assert model.log_damping.item() == pytest.approx(average, abs=1e-7)
    assert model.log_damping.item() != seen[-1]


def test_a_key_covers_the_models_own_code_and_no_other():
    def names(name):
        return {path.name for path in files.sources(models.model_type(name), training._NO_SOURCES)}

    assert names("inn") == {
        "arm.py", "base.py", "coupling.py", "inn.py", "mmd.py", "paper.py", "products.py",
        "stacked.py"
    }  # fmt: skip
    assert {"flow.py", "flow_fast.py", "projection.py"} <= names("flow-fast")
    assert "flow_fast.py" not in names("flow")


def test_models_refuse_a_precision_they_do_not_have():
    with pytest.raises(ValueError, match="'flow' computes in float32, got 'bfloat16'"):
        TrainingRun.of("flow", 4, profile="smoke", precision="bfloat16")


def test_a_model_that_knows_its_prior_gets_the_profiles():
    wide = dataclasses.replace(PROFILES["smoke"], sigma=0.5)
    assert TrainingRun.of("flow", 4, profile=wide).build().config.sigma == 0.5
    assert TrainingRun.of("flow", 4, profile=wide, sigma=0.3).build().config.sigma == 0.3
    rail = ikpaper.RailArm.benchmark()
    assert TrainingRun.of("flow", arm=rail, profile=wide).build().config.sigma == rail.sigma


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("name", ["cvae", "cgan", "flow", "inn", "inn-ml"])
def test_captured_steps_are_the_steps(name, tmp_path, monkeypatch):
    smoke = PROFILES["smoke"]
    profile = type(smoke)(**{**vars(smoke), "samples": 4000})
    run = TrainingRun.of(name, 4, profile=profile, precision="float32")
    _, record = train(run, device="cuda", directory=tmp_path / "captured")
    monkeypatch.setattr(training._Captured, "WARM_UP", 10**9)
    _, other = train(run, device="cuda", directory=tmp_path / "eager")
    for ours, theirs in zip(record["history"], other["history"], strict=True):
        assert ours["terms"] == pytest.approx(theirs["terms"], rel=1e-2)
    assert record["device"].startswith("cuda")


def test_devices():
    assert resolve_device("cpu").type == "cpu"
    if not torch.cuda.is_available():
        assert resolve_device("auto").type == "cpu"
        with pytest.raises(ValueError, match="no CUDA device"):
            resolve_device("cuda")
