import copy
import dataclasses
import math
import pickle
import re

import pytest
import torch

from ikpaper.dataset import profile_dataset
from ikpaper.models import NetworkSampler, build
from ikpaper.profiles import PROFILES
from ikpaper.training import Diverged, TrainingLoop, TrainingRun

SMOKE = PROFILES["smoke"]


#: Networks as small as they come.
SMALL = {"inn": {"neurons": 8, "coupling_layers": 2, "subnet_layers": 2}}


def run_of(name, *, samples=2000, batch=200, epochs=2, **settings):
    profile = dataclasses.replace(SMOKE, samples=samples, batch=batch)
    settings = {**SMALL.get(name, {"neurons": 8}), **settings}
    return TrainingRun.of(name, 4, profile=profile, epochs=epochs, **settings)


def finish(loop):
    """The reports at the ends of the epochs."""
    return [report for report in loop.epochs() if report.complete]


def test_reports_say_how_far_the_training_is():
    loop = TrainingLoop(run_of("cvae", samples=2000, batch=10))
    reports = list(loop.epochs())
    assert [(r.epoch, r.batch) for r in reports] == [
        (1, 50), (1, 100), (1, 140), (2, 50), (2, 100), (2, 140)
    ]  # fmt: skip
    assert {(r.epochs, r.batches) for r in reports} == {(2, 140)}
    assert [r.complete for r in reports] == [False, False, True] * 2
    assert [r.terms is None for r in reports] == [True, True, False] * 2
    assert reports[1].epochs_done == pytest.approx(100 / 140)
    assert reports[-1].epochs_done == 2
    ends = [r for r in reports if r.complete]
    assert [row["terms"] for row in loop.history] == [r.terms for r in ends]
    assert [row["epoch"] for row in loop.history] == [1, 2]
    assert loop.epoch == 2
    assert list(loop.epochs()) == []


def test_an_epoch_is_the_same_steps_as_torch_would_take():
    """One epoch of the plainest recipe, against a loop written out with torch alone."""
    run = run_of("cvae", samples=1000, batch=100, epochs=1)
    loop = TrainingLoop(run)
    (report,) = finish(loop)

    model = run.build()
    theta, tcp = (part.float() for part in profile_dataset(run.arm, run.profile).train)
    config = model.config
    adam = torch.optim.Adam(
        model.parameters(), config.learning_rate, eps=config.adam_eps,
        weight_decay=config.weight_decay,
    )  # fmt: skip
    order = torch.randperm(700, generator=torch.Generator().manual_seed(run.seed))
    noise = torch.Generator().manual_seed(run.seed)
    losses = []
    for rows in order.split(100):
        terms = model.loss(theta[rows], tcp[rows], 0.0, noise)
        adam.zero_grad()
        sum(terms.values()).backward()
        adam.step()
        losses.append(sum(value.item() for value in terms.values()))
    assert sum(report.terms.values()) == pytest.approx(sum(losses) / 7, rel=1e-5)
    for name, value in loop.model.state_dict().items():
        torch.testing.assert_close(value, model.state_dict()[name], rtol=0, atol=1e-4)


class Recorded:
    """What each step of the optimiser found, seen from outside."""

    def __init__(self, monkeypatch):
        self.rates, self.sizes, self.dampings = [], [], []
        step = torch.optim.Adam.step

        def adam_step(optimizer, *arguments, **options):
            result = step(optimizer, *arguments, **options)
            self.rates.append(float(optimizer.param_groups[0]["lr"]))
            return result

        monkeypatch.setattr(torch.optim.Adam, "step", adam_step)


def test_the_learning_rate_warms_up(monkeypatch):
    recorded = Recorded(monkeypatch)
    run = run_of("inn", samples=10_000, batch=100)
    finish(TrainingLoop(run))
    config = run.config
    wanted = [config.learning_rate * min(1.0, (i + 1) / config.warmup) for i in range(140)]
    assert recorded.rates == pytest.approx(wanted)


def test_a_cosine_takes_the_rate_to_zero_and_batches_are_the_recipes(monkeypatch):
    recorded = Recorded(monkeypatch)
    run = run_of("flow", samples=2000, batch=70, epochs=4, warmup=10)
    assert run.batch == 140
    finish(TrainingLoop(run))
    steps = 4 * 10
    wanted = [
        2e-3 * min(1.0, (i + 1) / 10) * 0.5 * (1 + math.cos(math.pi * i / steps))
        for i in range(steps)
    ]
    assert recorded.rates == pytest.approx(wanted)


def test_what_is_kept_is_the_average_of_the_recipe(monkeypatch):
    run = run_of("flow", warmup=1)
    loop = TrainingLoop(run)
    started = loop.model.log_damping.item()
    values, step = [], loop.optimizer.step
    # The optimiser's method alone is watched: it has just moved the weights.
    monkeypatch.setattr(
        loop.optimizer, "step", lambda: (step(), values.append(loop.model.log_damping.item()))
    )
    finish(loop)
    average = started
    for i, value in enumerate(values):
        decay = min(0.999, (1 + i) / (10 + i))
        average = decay * average + (1 - decay) * value
    assert loop.result().log_damping.item() == pytest.approx(average, abs=1e-7)
    assert loop.result().log_damping.item() != values[-1]


def test_a_result_is_a_copy_that_samples_in_its_own_precision():
    loop = TrainingLoop(run_of("inn", epochs=2))
    epochs = loop.epochs()
    next(epochs)
    result = loop.result()
    kept = copy.deepcopy(result.state_dict())
    assert loop.model.precision == torch.bfloat16
    assert result.precision is None
    assert not result.training
    assert [report.epoch for report in epochs] == [2]
    assert loop.model.training
    assert all(torch.equal(value, result.state_dict()[name]) for name, value in kept.items())


def spoiled(monkeypatch, name, spoil):
    """Let a term of a model's loss be what `spoil(value, progress)` makes of it."""
    kind = type(build(name, dof=4))
    original = kind.loss

    def loss(self, theta, tcp, progress, generator=None):
        terms = original(self, theta, tcp, progress, generator)
        return {**terms, "kl": spoil(terms["kl"], progress)}

    monkeypatch.setattr(kind, "loss", loss)


def test_a_term_that_is_not_finite_is_named_with_its_batch(monkeypatch):
    count = iter(range(10**6))

    def spoil(value, progress):
        return value * (float("nan") if next(count) == 140 + 71 else 1.0)

    spoiled(monkeypatch, "cvae", spoil)
    loop = TrainingLoop(run_of("cvae", batch=10))
    with pytest.raises(Diverged) as caught:
        finish(loop)
    error = caught.value
    assert isinstance(error, FloatingPointError)
    assert error.where == "kl is nan in epoch 2, batch 72"
    assert str(error) == f"cvae 4 DoF, smoke, seed 42: {error.where}"
    assert loop.epoch == 1


def test_a_loss_that_rises_manyfold_has_diverged(monkeypatch):
    spoiled(monkeypatch, "cvae", lambda value, progress: value + (1e6 if progress else 0))
    with pytest.raises(Diverged, match=r"to 1e\+06 in epoch 2, most of it kl") as caught:
        finish(TrainingLoop(run_of("cvae")))
    before = re.search(r"the loss rose from (\S+) to", caught.value.where)[1]
    assert 10 * float(before) < 1e6
    # Unless somebody wants to see it rise.
    assert len(finish(TrainingLoop(run_of("cvae"), rise=math.inf))) == 2


def test_divergence_survives_a_process_boundary():
    again = pickle.loads(pickle.dumps(Diverged("cvae", "kl is inf in epoch 3, batch 7")))
    assert (type(again), again.where) == (Diverged, "kl is inf in epoch 3, batch 7")
    assert str(again) == "cvae: kl is inf in epoch 3, batch 7"


def equal(first, second):
    return all(
        torch.equal(value, second.state_dict()[name]) for name, value in first.state_dict().items()
    )


@pytest.mark.parametrize("name", ["cvae", "inn", "flow"])
def test_a_state_continues_to_the_same_weights(name, tmp_path):
    run = run_of(name, epochs=3)
    whole = TrainingLoop(run, key="same")
    for report in whole.epochs():
        if report.epoch == 2:
            torch.save(whole.state(), tmp_path / "state")
    resumed = TrainingLoop(run, key="same")
    assert resumed.resume(tmp_path / "state") == 2
    assert [report.epoch for report in resumed.epochs()] == [3]
    assert equal(whole.result(), resumed.result())
    assert [row["terms"] for row in resumed.history] == [row["terms"] for row in whole.history]


def test_a_state_of_another_run_or_device_is_not_used(tmp_path):
    run = run_of("cvae")
    loop = TrainingLoop(run, key="this")
    assert loop.resume(tmp_path / "nothing") == 0
    (tmp_path / "state").write_bytes(b"no state at all")
    assert loop.resume(tmp_path / "state") == 0
    torch.save({**loop.state(), "epoch": 1, "key": "other"}, tmp_path / "state")
    assert loop.resume(tmp_path / "state") == 0
    torch.save({**loop.state(), "epoch": 1, "device": "cuda"}, tmp_path / "state")
    with pytest.raises(ValueError, match="was made on cuda, got cpu; continue there"):
        loop.resume(tmp_path / "state")


def test_other_noise_depends_on_run_epoch_and_attempt_alone():
    def first_loss(attempt):
        loop = TrainingLoop(run_of("cvae", epochs=1))
        if attempt:
            loop.vary(attempt)
        return finish(loop)[0].terms

    assert first_loss(1) == first_loss(1)
    assert first_loss(0) != first_loss(1) != first_loss(2)


def test_training_after_a_sample_in_inference_mode():
    loop = TrainingLoop(run_of("cgan"))
    with torch.inference_mode():
        loop.result().sample([1.5, 0.3], 4)
    assert len(finish(loop)) == 2
    assert isinstance(loop.result(), NetworkSampler)


@pytest.mark.parametrize(
    ("schedule", "lowered"), [("plateau", True), ("plateau-at-full-weight", False)]
)
def test_a_ramp_lowers_the_rate_unless_the_schedule_takes_it_out(schedule, lowered, monkeypatch):
    run = run_of("inn", epochs=30, schedule=schedule, warmup=0)

    def loss(model, theta, tcp, progress, generator=None):
        # One term that falls all the time, and one of which the weight alone rises, by more.
        still = 0.0 * model.encode(theta)[0].sum()
        return {"L_y": still + 0.1 * (1 - progress), "L_p(x)": still + model.ramp(progress)}

    monkeypatch.setattr(run.kind, "loss", loss)
    loop = TrainingLoop(run, rise=math.inf)
    finish(loop)
    rates = [row["learning_rate"] for row in loop.history]
    assert (rates[-1] < rates[0]) == lowered


def test_another_schedule_than_the_recipes_can_be_asked_for(monkeypatch):
    recorded = Recorded(monkeypatch)
    run = run_of("cvae", epochs=4, schedule="cosine", warmup=0)
    finish(TrainingLoop(run))
    steps = len(recorded.rates)
    wanted = [0.5 * (1 + math.cos(math.pi * i / steps)) for i in range(steps)]
    assert recorded.rates == pytest.approx([run.config.learning_rate * rate for rate in wanted])
