import math

import pytest
import torch

import ikpaper
from ikpaper.metrics import mmd2, resimulation_error
from ikpaper.models import build
from ikpaper.profiles import PROFILES
from ikpaper.search import Study, Trial, held_out, trial
from ikpaper.training import TrainingLoop

SMOKE = PROFILES["smoke"]
SETTINGS = {"hidden_layers": 1, "neurons": 8, "weight_decay": 1e-5}


def study(**options):
    return Study("cvae", ikpaper.PlanarArm.paper(4), profile=SMOKE, **options)


def reports(study, configuration):
    rows = list(Trial(study, {**SETTINGS, **configuration}).reports())
    return [row["outcome"] for row in rows], [row["objective"] for row in rows]


def test_only_a_trial_that_ends_well_has_an_objective():
    outcomes, objectives = reports(study(epochs=3), {"learning_rate": 1e-3})
    assert outcomes == ["running", "running", "trained"]
    assert [math.isnan(value) for value in objectives] == [True, True, False]
    outcomes, objectives = reports(study(epochs=3), {"learning_rate": 1e30})
    assert outcomes[-1].startswith("diverged: ")
    assert " in epoch " in outcomes[-1]
    assert math.isnan(objectives[-1])


def test_the_objective_is_the_loss_of_the_training_run():
    configuration = {**SETTINGS, "learning_rate": 1e-3}
    *_, last = Trial(study(epochs=2), configuration).reports()
    loop = TrainingLoop(study(epochs=2).run(configuration))
    *_, end = loop.epochs()
    assert last["objective"] == last["loss"] == sum(end.terms.values())


def test_a_hopeless_trial_ends_by_the_papers_rule(monkeypatch):
    configuration = {"learning_rate": 1e-3}
    assert reports(study(epochs=4), configuration)[0][-1] == "trained"
    monkeypatch.setattr(trial, "SEARCH_HOPELESS_AFTER", 2)
    monkeypatch.setattr(trial, "SEARCH_HOPELESS_LOSS", 1.0)
    outcomes, objectives = reports(study(epochs=4), configuration)
    assert len(outcomes) == 2
    assert outcomes[-1].startswith("stopped: loss ")
    assert math.isnan(objectives[-1])


def test_held_out_is_one_for_the_prior_and_weighs_both_scores():
    task = study(objective="held-out").task()
    arm, prior = task.arm, ikpaper.Prior(task.arm, 0.2)
    assert held_out(task, prior)["objective"] == pytest.approx(1.0)
    model = build("cvae", dof=4)
    # By hand, from samples of the same stream.
    means = []
    for sampler in (model, prior):
        generator = torch.Generator().manual_seed(0)
        theta = sampler.sample(task.tcp, task.samples, generator=generator).double()
        theta = arm.wrapped(theta)
        distances = [
            float(mmd2(own, true, unbiased=True))
            for own, true in zip(theta, task.reference, strict=True)
        ]
        errors = resimulation_error(arm, theta, task.tcp)
        means.append((sum(distances) / len(distances), float(errors.mean())))
    (distance, error), (prior_distance, prior_error) = means
    scores = held_out(task, model)
    assert scores["mmd2"] == pytest.approx(distance, rel=1e-6)
    assert scores["e_resim"] == pytest.approx(error, rel=1e-6)
    shares = (distance / prior_distance) * (error / prior_error)
    assert scores["objective"] == pytest.approx(math.sqrt(shares), rel=1e-6)
    # The exact sampler reaches what the samples resolve.
    assert held_out(task, ikpaper.ExactPosterior(arm))["objective"] < 1e-10


def test_a_trial_can_be_valued_at_test_targets():
    held_out_study = study(epochs=1, objective="held-out")
    trial = Trial(held_out_study, {**SETTINGS, "learning_rate": 1e-3})
    (row,) = trial.reports()
    wanted = held_out(held_out_study.task(), trial.loop.result())
    assert {name: row[name] for name in wanted} == pytest.approx(wanted)
    assert row["loss"] != row["objective"]
