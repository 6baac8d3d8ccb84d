import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

import ikpaper
from ikpaper import metrics
from ikpaper.evaluation import Task, draw, random_targets, sampling_rate
from ikpaper.evaluation.task import Scores
from ikpaper.identity import digest
from ikpaper.profiles import PROFILES

ARM = ikpaper.PlanarArm([0.5, 0.5, 0.5, 1.0])


def test_exact_samples_pass_and_the_prior_fails():
    task = Task.random(ARM, 12, samples=100)
    settings = {"permutations": 99, "checks": 5}
    exact = task.score(ikpaper.ExactPosterior(ARM), **settings).summary()
    prior = task.score(ikpaper.Prior(ARM), **settings).summary()
    assert exact["mmd2_low"] < 1e-3 < prior["mmd2_low"]
    assert exact["rejected"] < 0.4 < prior["rejected"]
    assert exact["c2st_low"] < 0.55 < prior["c2st_low"]
    assert exact["mmd2_check_low"] < 5e-3 < prior["mmd2_check_low"]
    assert exact["rejected_check"] < 0.5 < prior["rejected_check"]
    assert (exact["missed"], prior["missed"]) == (0, 12 * 100)
    assert np.isnan(prior["e_resim_on_target"])
    assert exact["checks"] == 5
    assert exact["e_resim"] < 1e-25
    assert exact["rejected"] * 12 == round(exact["rejected"] * 12)
    # A percent of 12 targets is none.
    assert np.isnan(prior["mmd2_worst1"])


def test_scores_are_those_of_the_metrics():
    task = Task.random(ARM, 3, samples=100, seed=5)
    prior = ikpaper.Prior(ARM)
    found = task.score(prior)
    draws = [torch.Generator().manual_seed(15 + stream) for stream in range(2)]
    truth = ikpaper.ExactPosterior(ARM).sample(task.tcp, 100, generator=draws[0])
    theta = prior.sample(task.tcp, 100, generator=draws[1])
    mmd2 = [float(metrics.mmd2(a, b, unbiased=True)) for a, b in zip(theta, truth, strict=True)]
    assert found.targets["mmd2"].tolist() == pytest.approx(mmd2, abs=1e-7)
    errors = metrics.resimulation_error(ARM, theta, task.tcp)
    assert found.targets["e_resim"].tolist() == pytest.approx(errors.tolist())
    summary = found.summary()
    assert summary["mmd2"] == pytest.approx(np.mean(mmd2), abs=1e-7)
    assert summary["e_resim_worst"] == pytest.approx(float(errors.max()))
    absent = ("c2st", "c2st_low", "mmd2_check", "rejected", "rejected_check")
    assert all(math.isnan(summary[name]) for name in absent)
    assert summary["checks"] == 0
    # The test's statistic is the same number, by another way.
    tested = task.score(prior, permutations=9).targets
    assert tested["mmd2"].tolist() == pytest.approx(mmd2, abs=1e-7)
    assert tested["p_value"].between(0.1, 1).all()


def test_first_targets_are_checked_by_another_kernel_and_a_classifier():
    task = Task.random(ARM, 4, samples=60)
    prior = ikpaper.Prior(ARM)
    plain, checked = (task.score(prior, permutations=19, checks=n).targets for n in (0, 2))
    # What a target is checked by does not move its other scores.
    for name in ("mmd2", "p_value", "e_resim"):
        assert checked[name].tolist() == plain[name].tolist()
    theta = task.draw(prior)[:2]
    expected = [
        float(metrics.mmd2(a, b, unbiased=True, kernel="multi-bandwidth"))
        for a, b in zip(theta, task.reference[:2], strict=True)
    ]
    assert checked["mmd2_check"][:2].tolist() == pytest.approx(expected, abs=1e-6)
    accuracies = metrics.c2st_batch(theta, task.reference[:2], seed=0)
    assert checked["c2st"][:2].tolist() == accuracies.tolist()
    assert checked.loc[2:, ["mmd2_check", "p_value_check", "c2st"]].isna().all(axis=None)
    # Without a test, the kernel's score is the same number by another way.
    untested = task.score(prior, checks=2).targets["mmd2_check"]
    assert untested[:2].tolist() == pytest.approx(expected, abs=1e-6)


def test_rejections_are_counted_in_pairs():
    def scores(*p_values):
        return Scores(pd.DataFrame({"p_value": p_values}), 2)

    one, other = scores(0.01, 0.05, 0.9, 0.01), scores(0.01, 0.06, 0.01, 0.9)
    assert one.rejected().tolist() == [True, True, False, True]
    assert one.rejected_alone(other) == {"only_this": 2, "only_exact": 1}
    # Of fewer targets, those that both have.
    assert scores(0.01, 0.9).rejected_alone(other) == {"only_this": 0, "only_exact": 0}
    assert other.rejected_alone(scores(0.9)) == {"only_this": 1, "only_exact": 0}


def test_another_kernel_scores_otherwise():
    prior = ikpaper.Prior(ARM)
    task = Task.random(ARM, 3, samples=100, kernel="multi-bandwidth")
    theta = task.draw(prior)
    expected = [
        float(metrics.mmd2(a, b, unbiased=True, kernel="multi-bandwidth"))
        for a, b in zip(theta, task.reference, strict=True)
    ]
    assert task.score(prior).targets["mmd2"].tolist() == pytest.approx(expected, abs=1e-6)


def test_an_arm_with_a_prior_of_its_own_is_scored_by_it():
    rail = ikpaper.RailArm.benchmark()
    own, other = ikpaper.ExactPosterior(rail), ikpaper.ExactPosterior(rail, 0.2)
    task = Task.random(rail, 8, samples=200)
    assert task.score(own).interval("mmd2")[0] < 1e-3 < task.score(other).interval("mmd2")[0]
    assert task.score(own).summary()["missed"] == 0
    narrow = Task.random(rail, 8, samples=200, sigma=0.2)
    assert narrow.score(other).interval("mmd2")[0] < 1e-3


class Half:
    """Exact for every other sample, and off by an angle for the rest."""

    def sample(self, tcp, n, *, generator=None):
        theta = ikpaper.ExactPosterior(ARM).sample(tcp, n, generator=generator)
        theta[:, ::2] += 0.1
        return theta


def test_samples_on_target_are_counted():
    found = Task.random(ARM, 2, samples=40).score(Half()).summary()
    assert found["missed"] == 40
    assert found["e_resim_on_target"] < 1e-25 < found["e_resim"]


def test_the_worst_percent_is_the_mean_of_the_largest():
    task = Task.random(ARM, 300, samples=2)
    # Any reference will do.
    task = task.given(ikpaper.Prior(ARM).sample(task.tcp, 2))
    scores = task.score(ikpaper.Prior(ARM))
    values = scores.targets["mmd2"].sort_values()
    assert scores.summary()["mmd2_worst1"] == pytest.approx(values.iloc[-3:].mean())
    assert math.isnan(Scores(scores.targets.iloc[:99], 2).summary()["mmd2_worst1"])


class Answer:
    """A sampler that answers with what it is given, converted."""

    def __init__(self, convert):
        self.convert = convert

    def sample(self, tcp, n, *, generator=None):
        theta = ikpaper.ExactPosterior(ARM).sample(tcp, n, generator=generator)
        return self.convert(theta)


@pytest.mark.parametrize(
    "convert",
    [
        lambda theta: theta.numpy(),
        lambda theta: theta.tolist(),
        lambda theta: theta.numpy().astype(">f8"),
        lambda theta: theta + 2 * math.pi,
        lambda theta: theta.requires_grad_(),
    ],
    ids=["array", "lists", "big-endian", "a turn more", "with a graph"],
)
def test_the_same_samples_in_another_form_score_the_same(convert):
    task = Task.random(ARM, 2, samples=40)
    plain, other = task.score(ikpaper.ExactPosterior(ARM)), task.score(Answer(convert))
    assert other.mean("mmd2") == pytest.approx(plain.mean("mmd2"), abs=1e-9)
    assert other.summary()["missed"] == 0


@pytest.mark.parametrize(
    ("convert", "message"),
    [
        (lambda theta: theta * math.nan, r"expected finite numbers, got 100 of 100"),
        (lambda theta: theta.reshape(100, 4), r"expected shape \(2, 50, 4\) .* got \(100, 4\)"),
        (lambda theta: "samples", r"samples: expected an array of numbers"),
    ],
)
def test_answers_that_are_no_samples_are_refused_before_reference_samples(convert, message):
    task = Task.random(ARM, 2, samples=50)
    with pytest.raises(ValueError, match=message):
        task.score(Answer(convert))
    assert "reference" not in vars(task)


def test_angles_that_need_no_folding_keep_every_digit():
    theta = draw(ikpaper.ExactPosterior(ARM), ARM, torch.tensor([[2.3, 0.2]]), 50)
    again = draw(Answer(lambda _: theta), ARM, torch.tensor([[2.3, 0.2]]), 50)
    assert torch.equal(theta, again)


def test_targets_are_of_no_data_set():
    tcp = random_targets(ARM, 50, seed=42)
    data = ikpaper.make_dataset(ARM, 50, seed=42)
    assert torch.cdist(tcp, data.tcp).min() > 1e-6


def test_more_targets_begin_with_the_same_ones():
    assert torch.equal(random_targets(ARM, 5), random_targets(ARM, 9)[:5])


def test_targets_of_a_test_set_are_its_first():
    smoke = PROFILES["smoke"]
    task = Task.test_set(ARM, smoke)
    data = ikpaper.make_dataset(ARM, smoke.samples, seed=smoke.seed)
    assert torch.equal(task.tcp, data.test[1][: smoke.exact_targets])
    assert len(task) == smoke.exact_targets
    assert task.samples == smoke.exact_samples


def test_reference_samples_drawn_in_inference_mode_can_be_trained_on():
    task = Task.random(ARM, 2, samples=10)
    with torch.inference_mode():
        task.score(ikpaper.Prior(ARM))
    weight = torch.ones(1, dtype=torch.float64, requires_grad=True)
    (weight * task.reference).square().sum().backward()
    assert float(weight.grad) == pytest.approx(2 * float(task.reference.square().sum()))


def test_the_first_targets_keep_their_reference_samples():
    task = Task.random(ARM, 4, samples=20)
    part = task.first(2)
    assert torch.equal(part.reference, task.reference[:2])
    assert part.settings() != task.settings()
    with pytest.raises(ValueError, match=r"reference: expected shape \(2, 20, 4\)"):
        part.given(task.reference)


def test_one_target_is_scored_with_other_samples_each_time():
    task = Task.at(ARM, (2.2, 0.5), repeats=3, samples=50)
    assert len(set(task.score(ikpaper.Prior(ARM)).targets["mmd2"])) == 3


def test_what_decides_a_score_is_told():
    task = Task.random(ARM, 2, samples=20)
    same = Task.random(ARM, 2.0, samples=np.int64(20), sigma=np.full((4, 1), 0.2))
    assert task.settings() == same.settings()
    others = [
        Task.random(ARM, 3, samples=20),
        Task.random(ARM, 2, samples=21),
        Task.random(ARM, 2, samples=20, seed=1),
        Task.random(ARM, 2, samples=20, sigma=0.3),
        Task.random(ARM, 2, samples=20, kernel="squared"),
        Task.random(ikpaper.PlanarArm([0.5, 0.5, 0.6, 1.0]), 2, samples=20),
        Task.at(ARM, (2.2, 0.5), samples=20),
        Task.test_set(ARM, PROFILES["smoke"]),
        replace(task, truth=ikpaper.ExactPosterior(ARM, 0.2, together=True)),
    ]
    assert all(other.settings() != task.settings() for other in others)
    assert task.versions().keys() == {"scoring", "metrics", "dataset", "exact"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"targets": 0}, "targets: .* got 0"),
        ({"samples": 1}, "samples: .* at least 2, got 1"),
        ({"seed": -1}, "seed: .* got -1"),
        ({"sigma": (0.2, 0.3)}, "sigma: .* got 2"),
    ],
)
def test_numbers_out_of_range_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        Task.random(ARM, **change)


@pytest.mark.parametrize(
    ("message", "call"),
    [
        ("checks: .* got -1", lambda task: task.score(ikpaper.Prior(ARM), checks=-1)),
        (
            "permutations: .* got 2.5",
            lambda task: task.score(ikpaper.Prior(ARM), permutations=2.5),
        ),
        ("count: .* got 0", lambda task: task.first(0)),
        ("targets: .* got 0", lambda task: task.rate(ikpaper.Prior(ARM), 0)),
        ("targets: .* got 1.5", lambda _: Task.test_set(ARM, PROFILES["smoke"], targets=1.5)),
        ("repeats: .* got 0", lambda _: Task.at(ARM, [2.0, 0.4], repeats=0)),
        (r"tcp: expected shape \(2,\)", lambda _: Task.at(ARM, [[2.0, 0.4]])),
        ("tcp: ", lambda _: Task.at(ARM, "there")),
    ],
)
def test_numbers_out_of_range_are_refused_by_name(message, call):
    task = Task.random(ARM, 2, samples=10)
    with pytest.raises(ValueError, match=message):
        call(task)


def test_numbers_in_another_form_are_the_same_task():
    plain = Task.at(ARM, (2.0, 0.4), repeats=2, samples=10)
    for tcp in (torch.tensor([2.0, 0.4], dtype=torch.float64), np.array([2.0, 0.4])):
        other = Task.at(ARM, tcp, repeats=2.0, samples=1e1)
        assert digest(other.settings()) == digest(plain.settings())
    scores = plain.score(ikpaper.Prior(ARM), permutations=20.0, checks=1.0)
    assert scores.targets["c2st"].count() == 1


def test_a_task_outlives_the_mode_that_it_was_made_in():
    with torch.inference_mode():
        task = Task.random(ARM, 2, samples=10)
    weight = torch.ones(1, dtype=torch.float64, requires_grad=True)
    (weight * task.tcp).square().sum().backward()
    assert weight.grad is not None


def test_the_rate_counts_samples():
    class Counted(ikpaper.Prior):
        drawn = 0

        def sample(self, tcp, n, *, generator=None):
            self.drawn += n * len(tcp)
            return super().sample(tcp, n, generator=generator)

    sampler = Counted(ARM)
    assert sampling_rate(sampler, torch.tensor([[2.0, 0.5]]), 10, arm=ARM) > 0
    assert sampler.drawn % 10 == 0
    assert sampler.drawn > 0
