import dataclasses
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import ikpaper
from ikpaper.models import CATALOGUE, model_type
from ikpaper.profiles import PROFILES
from ikpaper.training import (
    Diverged,
    Outdated,
    TrainingRun,
    accept,
    train,
    train_all,
    train_model,
    trained,
    trained_models,
)
from ikpaper.training.train import check_kept
from ikpaper.weights import load_record

ROOT = Path(__file__).resolve().parents[2]
SMOKE = PROFILES["smoke"]
#: What is published, as small as a test allows.
PAPER = dataclasses.replace(PROFILES["paper"], samples=400, batch=100)


#: Networks as small as they come.
SMALL = {"inn": {"neurons": 8, "coupling_layers": 2, "subnet_layers": 2}}


def small(name="cvae", **settings):
    network = SMALL.get(name, {"neurons": 8})
    return TrainingRun.of(name, 4, **{"profile": "smoke", **network, **settings})


def published(name="cvae", **settings):
    # A seed of which nothing is published.
    return small(name, **{"profile": PAPER, "epochs": 1, "seed": 7, **settings})


@pytest.fixture
def weights(tmp_path, monkeypatch):
    """The folder of all weights, where no option says another."""
    monkeypatch.setenv("IKPAPER_WEIGHTS", str(tmp_path))
    return tmp_path


def equal_weights(first, second):
    return all(
        torch.equal(value, second.state_dict()[key]) for key, value in first.state_dict().items()
    )


def checkpoint(run, directory):
    return run.path(directory).with_suffix(".checkpoint")


@pytest.mark.parametrize("name", ["cvae", "inn", "flow"])
def test_a_run_is_recorded_loaded_and_not_repeated(name, tmp_path):
    run = small(name)
    model, record = train(run, directory=tmp_path)
    assert len(record["history"]) == run.epochs
    assert record["num_parameters"] == model.num_parameters
    assert record["key"] == run.identity().key
    assert record["versions"][name] == 1
    assert record["precision"] == run.precision
    assert {"packages", "source", "revision"} <= set(record["provenance"])
    assert load_record(run.path(tmp_path)) == json.loads(json.dumps(record))
    assert not list(tmp_path.rglob("*.checkpoint"))
    stamp = run.path(tmp_path).stat().st_mtime_ns
    again, same = train(run, directory=tmp_path)
    assert run.path(tmp_path).stat().st_mtime_ns == stamp
    assert same["seconds"] == record["seconds"]
    assert equal_weights(model, again)
    # A setting of the training, not of the model that comes out.
    assert model.precision is again.precision is None


def test_training_lowers_the_loss(tmp_path):
    _, record = train(TrainingRun.of("cvae", 4, profile="smoke"), directory=tmp_path)
    first, last = (sum(record["history"][i]["terms"].values()) for i in (0, -1))
    assert last < first


def test_a_run_that_changed_trains_again(tmp_path, monkeypatch):
    train(small(), directory=tmp_path)
    monkeypatch.setattr(model_type("cvae"), "version", 2)
    _, record = train(small(), directory=tmp_path)
    assert record["versions"]["cvae"] == 2
    assert load_record(small().path(tmp_path))["versions"]["cvae"] == 2


#: Trains, and kills its own process once the checkpoint of the second epoch is written.
KILLED = """
import json, os, signal, sys, torch
from ikpaper.training import TrainingLoop, TrainingRun, train

torch.set_num_threads(int(sys.argv[4]))
epochs = TrainingLoop.epochs

def killed(self):
    for report in epochs(self):
        yield report
        if report.epoch == 2 and report.complete:
            os.kill(os.getpid(), signal.SIGKILL)

TrainingLoop.epochs = killed
network = json.loads(sys.argv[2])
run = TrainingRun.of(sys.argv[1], 4, profile="smoke", epochs=3, **network)
train(run, directory=sys.argv[3])
"""


@pytest.mark.slow
@pytest.mark.parametrize("name", ["cvae", "inn", "flow"])
def test_a_killed_run_continues_to_the_same_weights(name, tmp_path):
    run = small(name, epochs=3)
    whole, _ = train(run, directory=tmp_path / "whole")
    directory = tmp_path / "killed"
    network = json.dumps(dict(run.changes))
    arguments = [name, network, str(directory), str(torch.get_num_threads())]
    killed = subprocess.run([sys.executable, "-c", KILLED, *arguments], cwd=ROOT, check=False)
    assert killed.returncode == -signal.SIGKILL
    state = torch.load(checkpoint(run, directory), weights_only=True)
    assert state["epoch"] == 2
    assert not run.path(directory).exists()
    resumed, record = train(run, directory=directory)
    assert [row["epoch"] for row in record["history"]] == [1, 2, 3]
    assert equal_weights(whole, resumed)


#: The command line, whose second checkpoint stops half-way through its bytes, for ever.
STUCK = """
import io, sys, time, torch
from ikpaper.cli import main

save, calls = torch.save, []

def stuck(state, path):
    calls.append(path)
    if len(calls) < 2:
        return save(state, path)
    data = io.BytesIO()
    save(state, data)
    with open(path, "wb") as partial:
        partial.write(data.getvalue()[: len(data.getvalue()) // 2])
        partial.flush()
        print("half", flush=True)
        time.sleep(600)

torch.save = stuck
sys.exit(main(["train", "--model", "cvae", "--dof", "4", "--profile", "smoke"]))
"""


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_a_command_that_ends_while_it_writes_leaves_the_epoch_before(how, tmp_path):
    run = TrainingRun.of("cvae", 4, profile="smoke")
    process = subprocess.Popen(
        [sys.executable, "-c", STUCK],
        cwd=ROOT,
        env={**os.environ, "IKPAPER_WEIGHTS": str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout.readline() == "half\n"
    during = {path.name for path in tmp_path.rglob("*") if path.is_file()}
    assert len(during) == 2
    process.send_signal(how)
    process.communicate(timeout=60)
    assert process.returncode != 0
    left = {path.name for path in tmp_path.rglob("*") if path.is_file()}
    whole = checkpoint(run, tmp_path)
    if how == signal.SIGTERM:
        assert left == {whole.name}
    # Of a process that could not tidy up, the next one sweeps what is left.
    assert torch.load(whole, weights_only=True)["epoch"] == 1
    train(run, directory=tmp_path)
    left = {path.name for path in tmp_path.rglob("*") if path.is_file()}
    assert left == {run.path().name, run.path().with_suffix(".json").name}


def spoil(monkeypatch, broken):
    """Let the KL term be infinite where `broken(state of the generator, progress)`."""
    kind = model_type("cvae")
    original = kind.loss

    def loss(self, theta, tcp, progress, generator=None):
        state = generator.get_state().tolist()
        terms = original(self, theta, tcp, progress, generator)
        factor = float("inf") if broken(state, progress) else 1.0
        return {**terms, "kl": terms["kl"] * factor}

    monkeypatch.setattr(kind, "loss", loss)


def test_divergence_keeps_the_checkpoint(tmp_path, monkeypatch, capsys):
    run = small()
    spoil(monkeypatch, lambda state, progress: progress > 0)
    with pytest.raises(Diverged, match="kl is inf in epoch 2, batch 1"):
        train(run, directory=tmp_path)
    assert "the checkpoint of epoch 1 is kept" in capsys.readouterr().err
    assert torch.load(checkpoint(run, tmp_path), weights_only=True)["epoch"] == 1
    assert not run.path(tmp_path).exists()


def test_a_retry_repeats_the_epoch_with_other_noise(tmp_path, monkeypatch):
    run = small()
    # The state of the generator at the start of epoch 2, for which alone the loss fails.
    fatal = []

    def broken(state, progress):
        if progress > 0 and not fatal:
            fatal.append(state)
        return state in fatal

    with monkeypatch.context() as patch:
        spoil(patch, broken)
        model, record = train(run, directory=tmp_path / "a", retries=1)
        assert record["divergences"] == ["kl is inf in epoch 2, batch 1"]
        assert [row["epoch"] for row in record["history"]] == [1, 2]
        # As an interrupted run would meet it again: the same end.
        again, _ = train(run, directory=tmp_path / "b", retries=1)
        assert equal_weights(model, again)
    calm, record = train(run, directory=tmp_path / "c", retries=1)
    assert record["divergences"] == []
    assert not equal_weights(model, calm)


def test_a_checkpoint_of_another_run_is_not_used(tmp_path):
    run = small()
    checkpoint(run, tmp_path).parent.mkdir(parents=True)
    checkpoint(run, tmp_path).write_bytes(b"no checkpoint at all")
    _, record = train(run, directory=tmp_path)
    assert len(record["history"]) == run.epochs


def test_published_weights_are_overwritten_only_if_asked_to(weights, monkeypatch, capsys):
    train(published())
    monkeypatch.setattr(model_type("cvae"), "version", 2)
    path = published().path()
    before = path.read_bytes(), path.with_suffix(".json").read_bytes()
    for run, what in (
        (published(), "version of cvae: 1 -> 2"),
        (published(kl_weight=0.1), "setting config.kl_weight: 0.0067 -> 0.1"),
    ):
        with pytest.raises(Outdated, match=f"{what}.*--fresh trains"):
            train(run)
    with pytest.raises(Outdated):
        train(published(), directory=weights)
    monkeypatch.chdir(weights.parent)
    with pytest.raises(Outdated):
        train(published(), directory=weights.name)
    record = path.with_suffix(".json")
    kept = record.rename(path.with_suffix(".kept"))
    with pytest.raises(Outdated, match="they have no record"):
        train(published())
    with pytest.raises(Outdated, match="they have no record"):
        train_all([published()])
    # A training that was killed between writing weights and record goes on.
    checkpoint(published(), weights).touch()
    assert check_kept(published()) is None
    checkpoint(published(), weights).unlink()
    kept.rename(record)
    # Notebooks take them as they are.
    _, record = trained(published(), train_here=True)
    assert record["versions"]["cvae"] == 1
    # Several: said, counted, and the others go on.
    other = published(seed=1)
    capsys.readouterr()
    records = train_all([published(), other])
    said = capsys.readouterr().err
    assert [record["versions"]["cvae"] for record in records] == [1, 2]
    assert "kept, though they differ (version of cvae: 1 -> 2)" in said
    assert "2 models: 1 trained, 0 there and current, 1 kept though they differ" in said
    assert (path.read_bytes(), path.with_suffix(".json").read_bytes()) == before
    _, record = train(published(), fresh=True)
    assert record["versions"]["cvae"] == 2
    # Elsewhere they are nobody's but the caller's.
    train(published(), directory=weights / "own")
    monkeypatch.setattr(model_type("cvae"), "version", 3)
    assert train(published(), directory=weights / "own")[1]["versions"]["cvae"] == 3


def test_when_all_are_there_nothing_is_built(weights, monkeypatch, capsys):
    runs = [small(), small(seed=1)]
    assert len(train_all(runs)) == 2
    capsys.readouterr()
    kind = model_type("cvae")
    monkeypatch.setattr(kind, "__init__", lambda *_: pytest.fail("a network was built"))
    records = train_all(runs)
    assert [record["seed"] for record in records] == [42, 1]
    assert capsys.readouterr().err == "all 2 models are there and current; none was trained\n"


def test_a_model_learns_from_another_and_follows_it(tmp_path):
    teacher, pupil = (TrainingRun.of(name, 4, profile="smoke") for name in ("flow", "flow-fast"))
    with pytest.raises(FileNotFoundError, match="no weights of 'flow'"):
        train(pupil, directory=tmp_path)
    _, taught = train(teacher, directory=tmp_path)
    _, record = train(pupil, directory=tmp_path)
    assert record["inputs"] == {"teacher": taught["sha256"]}
    assert pupil.compare(tmp_path)[1] == []
    # Another teacher of the same name: the pupil is not current.
    train(TrainingRun.of("flow", 4, profile="smoke", neurons=8), directory=tmp_path, fresh=True)
    (difference,) = pupil.compare(tmp_path)[1]
    assert difference.startswith("input teacher: ")
    with pytest.raises(ValueError, match=f"with teacher '{taught['sha256']}', not "):
        accept(pupil, tmp_path, reason="")
    # Without one, it is taken as it was.
    for file in tmp_path.rglob("flow-04*"):
        file.unlink()
    assert pupil.compare(tmp_path)[1] == []


def test_what_somebody_has_checked_is_accepted(tmp_path, monkeypatch):
    run = small()
    model, record = train(run, directory=tmp_path)
    monkeypatch.setattr(model_type("cvae"), "version", 2)
    assert run.compare(tmp_path)[1] == ["version of cvae: 1 -> 2"]
    accepted = accept(run, tmp_path, reason="the same numbers at three targets")
    assert run.compare(tmp_path) == (json.loads(json.dumps(accepted)), [])
    assert accepted["accepted"][-1]["reason"] == "the same numbers at three targets"
    for name in ("sha256", "history", "provenance", "seconds", "config"):
        assert accepted[name] == json.loads(json.dumps(record[name]))
    assert equal_weights(train(run, directory=tmp_path)[0], model)


def test_weights_without_an_identity_on_record_are_accepted(tmp_path):
    run = small()
    _, record = train(run, directory=tmp_path)
    for name in ("key", "kind", "settings", "versions"):
        del record[name]
    run.path(tmp_path).with_suffix(".json").write_text(json.dumps(record))
    assert run.compare(tmp_path)[1] == ["no identity on record"]
    accept(run, tmp_path, reason="as it was")
    assert run.compare(tmp_path)[1] == []


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"neurons": 9}, "config.neurons 8, not 9"),
        ({"precision": "bfloat16"}, "precision 'float32', not 'bfloat16'"),
        ({"epochs": 3}, "epochs 2, not 3"),
        ({"profile": dataclasses.replace(SMOKE, samples=4000)}, "samples 2000, not 4000"),
        ({"profile": dataclasses.replace(SMOKE, sigma=0.3)}, "sigma .*0.2.*, not .*0.3"),
    ],
)
def test_what_was_trained_in_another_way_is_not_accepted(change, what, tmp_path):
    train(small(), directory=tmp_path)
    with pytest.raises(ValueError, match=f"was trained with {what}"):
        accept(small(**change), tmp_path, reason="")
    with pytest.raises(FileNotFoundError, match="no weights in"):
        accept(small(seed=5), tmp_path, reason="")


def test_a_model_in_one_call(weights):
    model = train_model("cvae", dof=4, profile="smoke", neurons=8)
    assert model.config.neurons == 8
    assert model.sample([1.5, 0.3], 10).shape == (10, 4)
    again = ikpaper.load("cvae", dof=4, profile="smoke")
    assert equal_weights(model, again)
    arm = ikpaper.PlanarArm([0.4, 0.4, 0.9])
    assert train_model("cvae", arm=arm, profile="smoke", epochs=1, neurons=8).arm == arm
    with pytest.raises(ValueError, match="either dof or arm"):
        train_model("cvae", profile="smoke")


def test_models_of_one_arm(weights):
    with pytest.raises(FileNotFoundError, match="no weights of 'cvae'"):
        trained_models(["cvae", "flow"], 4, "smoke", train_here=False)
    made = trained_models(["cvae", "flow"], 4, "smoke", train_here=True)
    there = trained_models(["cvae", "flow"], 4, "smoke", train_here=False)
    assert list(made) == list(there) == ["cvae", "flow"]
    for name in made:
        assert equal_weights(made[name][0], there[name][0])


def test_published_weights_are_current(monkeypatch):
    monkeypatch.delenv("IKPAPER_WEIGHTS", raising=False)
    monkeypatch.setattr(TrainingRun, "build", lambda _: pytest.fail("a network was built"))
    runs = [
        TrainingRun.of(name, dof, profile="paper")
        for name, kind in CATALOGUE.items()
        for dof in kind.published_arms
        if "paper" in kind.epochs
    ]
    assert len(runs) >= 25
    assert [differences for run in runs if (differences := run.compare()[1])] == []
