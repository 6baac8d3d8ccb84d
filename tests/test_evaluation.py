import math

import numpy as np
import pytest
import torch
from scipy import stats

import ikpaper
from ikpaper import evaluation, metrics
from ikpaper.evaluation import Scorer, bootstrap_interval, evaluate, rank_correlation
from ikpaper.profiles import PROFILES


def test_evaluate_scores_target_by_target(arm, generator):
    tcp = torch.tensor([[3.3, 0.4], [3.2, -0.8]], dtype=torch.float64)
    reference = ikpaper.ExactPosterior(arm).sample(tcp, 50, generator=generator)
    prior = ikpaper.Prior(arm)

    def seeded():
        return torch.Generator().manual_seed(4)

    table = evaluate(prior, tcp, reference, arm=arm, unbiased=True, generator=seeded())
    drawn = prior.sample(tcp, 50, generator=seeded())
    for i, row in table.iterrows():
        assert row["mmd2"] == pytest.approx(float(metrics.mmd2(drawn[i], reference[i], True)))
        expected = float(metrics.resimulation_error(arm, drawn[i], tcp[i]))
        assert row["resimulation_error"] == pytest.approx(expected)
    assert table["tcp_x"].tolist() == tcp[:, 0].tolist()


def test_evaluate_refuses_references_of_other_targets(arm):
    with pytest.raises(ValueError, match=r"for 2 targets, got \(3, 5, 6\)"):
        evaluate(ikpaper.Prior(arm), torch.zeros(2, 2), torch.zeros(3, 5, 6), arm=arm)


def test_bootstrap_interval_agrees_with_the_normal_one():
    values = np.random.default_rng(0).normal(3.0, 2.0, 400)
    low, high = bootstrap_interval(values)
    half = 1.96 * values.std() / math.sqrt(len(values))
    assert low == pytest.approx(values.mean() - half, abs=0.15 * half)
    assert high == pytest.approx(values.mean() + half, abs=0.15 * half)


def test_bootstrap_of_one_value_is_that_value():
    assert bootstrap_interval([2.5]) == (2.5, 2.5)
    with pytest.raises(ValueError, match="number of values"):
        bootstrap_interval([])


def test_bootstrap_of_a_ratio_keeps_targets_in_pairs():
    rng = np.random.default_rng(1)
    scale = rng.lognormal(0.0, 1.0, 300)
    low, high = bootstrap_interval(0.5 * scale, over=scale)
    assert low == pytest.approx(0.5)
    assert high == pytest.approx(0.5)
    low, high = bootstrap_interval(0.5 * scale, over=rng.permutation(scale))
    assert low < 0.5 < high


def test_rank_correlation_has_an_interval_for_many_pairs_and_for_few():
    rng = np.random.default_rng(1)
    a = rng.normal(size=40)
    b = a + rng.normal(size=40)
    found, low, high = rank_correlation(a, b)
    assert found == pytest.approx(stats.spearmanr(a, b).statistic)
    theirs = stats.bootstrap(
        (a, b),
        lambda x, y: stats.spearmanr(x, y).statistic,
        paired=True,
        vectorized=False,
        method="percentile",
        n_resamples=2000,
        rng=rng,
    ).confidence_interval
    assert (low, high) == pytest.approx(tuple(theirs), abs=0.05)
    # Few pairs in perfect order prove little.
    found, low, high = rank_correlation([1, 2, 3, 4, 5, 6], [1, 2, 3, 4, 5, np.inf])
    assert (found, high) == pytest.approx((1.0, 1.0))
    assert 0.4 < low < 0.9
    assert rank_correlation([1, 2, 3, 4, 5, 6], [6, 5, 4, 3, 2, 1]) == pytest.approx(
        (-1.0, -1.0, -low)
    )
    with pytest.raises(ValueError, match="pairs: expected"):
        rank_correlation([1, 2], [1, 2])


def test_the_interval_of_a_rank_correlation_holds_what_it_says():
    rng = np.random.default_rng(5)
    truth = 6 / np.pi * np.arcsin(0.5 / 2)
    pairs = rng.multivariate_normal([0, 0], [[1, 0.5], [0.5, 1]], size=(400, 12))
    intervals = np.array([rank_correlation(*drawn.T)[1:] for drawn in pairs])
    covered = (intervals[:, 0] <= truth) & (truth <= intervals[:, 1])
    assert 0.92 <= covered.mean() <= 0.98


def test_ratio_to_the_prior_and_verbatim_resimulation(arm):
    scorer = Scorer(arm, PROFILES["smoke"])
    scores = scorer.score_all({"prior": ikpaper.Prior(arm), "exact": scorer.exact()})
    table = scores.set_index(["sampler", "quantity"])
    assert table.loc[("prior", "mmd2_ratio"), ["value", "low", "high"]].tolist() == [1, 1, 1]
    ratio = (
        table.loc[("exact", "mmd2_exact"), "value"] / table.loc[("prior", "mmd2_exact"), "value"]
    )
    assert table.loc[("exact", "mmd2_ratio"), "value"] == pytest.approx(ratio)
    verbatim = table.loc[("prior", "e_resim_test")]
    smoke = PROFILES["smoke"]
    assert verbatim["targets"] == smoke.samples - smoke.training_samples
    assert verbatim["samples"] == 1
    # Two estimates of the same expectation.
    assert verbatim["value"] == pytest.approx(table.loc[("prior", "e_resim"), "value"], rel=0.7)
    assert table.loc[("exact", "e_posterior_wide"), "value"] > 0.01
    assert ("exact", "e_resim_test") not in table.index


def test_benchmark_ranks_exact_before_rejection_before_prior(arm):
    scorer = Scorer(arm, PROFILES["smoke"])
    samplers = {
        "exact": scorer.exact(),
        "rejection": scorer.rejection(),
        "prior": ikpaper.Prior(arm),
    }
    scores = scorer.score_all(samplers)
    # Four quantities and the ratio each; C2ST but for the prior, whose are the single samples.
    assert len(scores) == 3 * 5 + 3
    assert set(scores.loc[scores["quantity"] == "c2st", "sampler"]) == {"exact", "rejection"}
    assert set(scores.loc[scores["quantity"] == "e_resim_test", "sampler"]) == {"prior"}
    value = scores.set_index(["sampler", "quantity"])["value"]
    assert value["exact", "e_resim"] < 1e-20 < value["rejection", "e_resim"] < 0.05**2
    assert value["prior", "mmd2_exact"] > value["rejection", "mmd2_exact"]
    assert abs(value["exact", "mmd2_exact"]) < 5e-3
    assert (scores["low"] <= scores["value"]).all()
    assert (scores["value"] <= scores["high"]).all()
    assert set(scores["profile"]) == {"smoke"}


def test_benchmark_is_deterministic(arm):
    scores = [Scorer(arm, PROFILES["smoke"]).score("prior", ikpaper.Prior(arm)) for _ in range(2)]
    assert scores[0].equals(scores[1])


def test_any_object_with_the_method_is_a_sampler(arm):
    class Straight:
        def sample(self, tcp, n, *, generator=None):
            return torch.zeros(len(tcp), n, 6)

    table = Scorer(arm, PROFILES["smoke"]).score("straight", Straight())
    assert np.isfinite(table["value"]).all()


def test_acceptance_rate_agrees_with_the_share_by_hand(arm):
    def seeded():
        return torch.Generator().manual_seed(1)

    rate = evaluation.acceptance_rate(arm, (3.4, 0.2), 0.3, proposals=4000, generator=seeded())
    points = arm.forward(ikpaper.Prior(arm).draw(4000, seeded())).tolist()
    assert rate == sum(math.dist(p, (3.4, 0.2)) <= 0.3 for p in points) / 4000


def test_rejection_bias_grows_with_the_tolerance(arm, generator):
    table = evaluation.rejection_bias(
        arm, {"t": (3.42, 0.68)}, (0.2, 0.02), n=300, repeats=2, generator=generator
    )
    assert table["mmd2"][0] > table["mmd2"][1]
    assert table["acceptance"][0] > table["acceptance"][1]


def test_statistic_floor_meets_its_closed_form(arm, generator):
    table = evaluation.statistic_floor(arm, (3.42, 0.68), (50,), repeats=30, generator=generator)
    assert table["v_statistic"][0] == pytest.approx(table["floor"][0], rel=0.25)
    assert abs(table["u_statistic"][0]) < 0.3 * table["floor"][0]


def test_single_target_scores(arm, generator):
    tcp = (3.42, 0.68)
    exact = ikpaper.ExactPosterior(arm)
    draws = [exact.sample(tcp, 100, generator=generator) for _ in range(3)]
    table = evaluation.single_target(
        arm, tcp, {"exact": draws[0]}, rejection=draws[1], exact=draws[2]
    )
    row = table.iloc[0]
    assert row["distinct"] == row["samples"] == 100
    assert row["hull_area"] < 1e-20
    assert row["e_posterior"] == pytest.approx(float(metrics.mmd2(draws[0], draws[1])))


def test_sampling_rate_is_positive(arm, generator):
    assert evaluation.sampling_rate(ikpaper.Prior(arm), torch.tensor([3.0, 0.5]), 10) > 0
