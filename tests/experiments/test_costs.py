import math

import pytest
import torch

import ikpaper
from ikpaper import models
from ikpaper.evaluation import PERMUTATIONS, Task
from ikpaper.experiments import costs
from ikpaper.metrics import c2st_batch
from ikpaper.profiles import PROFILES

SMOKE = PROFILES["smoke"]
ARM = ikpaper.PlanarArm.paper(4)


def test_a_flow_is_scored_by_its_steps_and_keeps_its_own():
    flow = models.build("flow", arm=ARM, neurons=8).eval()
    rows = costs.flow_steps(flow, SMOKE, (1, 3))
    assert rows[["steps", "refine"]].to_numpy().tolist() == [[1, 0], [1, 2], [3, 0], [3, 2]]
    assert flow.steps == flow.config.steps
    flow.steps = 3
    task = Task.random(ARM, SMOKE.exact_targets // 2, samples=SMOKE.exact_samples, seed=1)
    expected = task.score(flow, permutations=PERMUTATIONS).summary()
    assert rows["mmd2"][2] == pytest.approx(expected["mmd2"])
    assert (rows["e_resim"][[1, 3]] < rows["e_resim"][[0, 2]].to_numpy()).all()


def test_classifiers_are_stopped_at_the_same_samples():
    model = models.build("cvae", arm=ARM, neurons=8).eval()
    rows = costs.classifier_stops(model, SMOKE, (2, 5))
    assert rows[["sampler", "epochs"]].to_numpy().tolist() == [
        *([name, epochs] for name in ("exact", "cvae") for epochs in (2, 5))
    ]
    task = Task.random(ARM, SMOKE.exact_targets, samples=SMOKE.exact_samples, seed=2)
    accuracy = c2st_batch(task.draw(model), task.reference, epochs=5)
    assert rows["c2st"][3] == pytest.approx(float(accuracy.mean()))
    assert rows["spread"][3] == pytest.approx(float(accuracy.std()))
    assert (rows["c2st_low"] <= rows["c2st"]).all()


def test_a_sample_is_timed_as_its_share_of_a_call():
    class Counted(ikpaper.Prior):
        calls = ()

        def _sample(self, tcp, n, generator):
            Counted.calls = (*Counted.calls, (len(tcp), n))
            return super()._sample(tcp, n, generator)

    sampler = Counted(ARM)
    rows = costs.times_of_a_sample({("prior", 0): sampler, ("prior", 2): sampler}, ARM, SMOKE, 30)
    assert rows[["sampler", "refine"]].to_numpy().tolist() == [["prior", 0], ["prior", 2]]
    assert {(1, 1), (30, 1), (20, 1000)} <= set(Counted.calls)
    seconds = torch.tensor(rows[["call", "one", "many"]].to_numpy())
    assert seconds.gt(0).all()
    assert seconds.lt(math.inf).all()
