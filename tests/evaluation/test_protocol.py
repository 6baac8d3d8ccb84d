import numpy as np
import pytest
import torch

import ikpaper
from ikpaper import metrics
from ikpaper.evaluation import PaperProtocol, single_target
from ikpaper.profiles import PROFILES

SMOKE = PROFILES["smoke"]


@pytest.fixture(scope="module")
def protocol():
    return PaperProtocol(ikpaper.PlanarArm.paper(dof=6), SMOKE)


@pytest.fixture(scope="module")
def scores(protocol):
    return protocol.score(
        {
            "exact": protocol.exact(),
            "rejection": protocol.rejection(),
            "prior": ikpaper.Prior(protocol.arm),
        }
    )


def test_ratio_to_the_prior_and_verbatim_resimulation(scores):
    table = scores.set_index(["sampler", "quantity"])
    assert table.loc[("prior", "mmd2_ratio"), ["value", "low", "high"]].tolist() == [1, 1, 1]
    ratio = table.loc[("exact", "mmd2"), "value"] / table.loc[("prior", "mmd2"), "value"]
    assert table.loc[("exact", "mmd2_ratio"), "value"] == pytest.approx(ratio)
    verbatim = table.loc[("prior", "e_resim_test")]
    assert verbatim["targets"] == SMOKE.samples - SMOKE.training_samples
    assert verbatim["samples"] == 1
    # Two estimates of the same expectation.
    assert verbatim["value"] == pytest.approx(table.loc[("prior", "e_resim"), "value"], rel=0.7)
    assert table.loc[("exact", "e_posterior_wide"), "value"] > 0.01
    assert ("exact", "e_resim_test") not in table.index


def test_exact_ranks_before_rejection_before_prior(scores):
    # Four quantities and the ratio each, and the single samples of the prior.
    assert len(scores) == 3 * 5 + 1
    assert set(scores.loc[scores["quantity"] == "e_resim_test", "sampler"]) == {"prior"}
    value = scores.set_index(["sampler", "quantity"])["value"]
    assert value["exact", "e_resim"] < 1e-20 < value["rejection", "e_resim"] < 0.05**2
    assert value["prior", "mmd2"] > value["rejection", "mmd2"]
    assert abs(value["exact", "mmd2"]) < 5e-3
    assert (scores["low"] <= scores["value"]).all()
    assert (scores["value"] <= scores["high"]).all()
    assert set(scores["profile"]) == {"smoke"}


def test_the_prior_of_reference_samples_is_in_the_settings_where_it_is_another_one(protocol):
    settings = protocol.settings()
    assert settings["wide"]["truth_sigma"] == (0.5,) * 6
    assert "truth_sigma" not in {**settings["paper"], **settings["exact"]}


def test_scores_are_the_same_each_time(protocol):
    prior = {"prior": ikpaper.Prior(protocol.arm)}
    again = PaperProtocol(protocol.arm, SMOKE).score(prior)
    assert protocol.score(prior).equals(again)


def test_e_posterior_is_the_v_statistic_to_rejection_samples(protocol, scores):
    theta = protocol.paper_task.draw(ikpaper.Prior(protocol.arm))
    expected = [
        float(metrics.mmd2(a, b)) for a, b in zip(theta, protocol.paper_task.reference, strict=True)
    ]
    value = scores.set_index(["sampler", "quantity"])["value"]
    assert value["prior", "e_posterior"] == pytest.approx(np.mean(expected), abs=1e-7)


def test_any_object_with_the_method_is_a_sampler(protocol):
    class Straight:
        def sample(self, tcp, n, *, generator=None):
            return torch.zeros(len(tcp), n, 6)

    table = protocol.score({"straight": Straight()})
    assert np.isfinite(table["value"]).all()


def test_what_decides_the_scores_is_told(protocol):
    other = PaperProtocol(ikpaper.PlanarArm.paper(dof=4), SMOKE)
    assert protocol.settings() != other.settings()
    assert {"scoring", "metrics", "dataset", "exact", "rejection"} == protocol.versions().keys()


def test_single_target_scores(arm, generator):
    tcp = (3.42, 0.68)
    exact = ikpaper.ExactPosterior(arm)
    draws = [exact.sample(tcp, 100, generator=generator) for _ in range(3)]
    table = single_target(arm, tcp, {"exact": draws[0]}, rejection=draws[1], exact=draws[2])
    row = table.iloc[0]
    assert row["distinct"] == row["samples"] == 100
    assert row["hull_area"] < 1e-20
    assert row["e_posterior"] == pytest.approx(float(metrics.mmd2(draws[0], draws[1])))
    assert row["mmd2"] == pytest.approx(float(metrics.mmd2(draws[0], draws[2], unbiased=True)))
