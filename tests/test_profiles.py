import copy
import pickle
from dataclasses import replace

import pytest

from ikpaper.arm import PlanarArm, RailArm
from ikpaper.models import model_type
from ikpaper.profiles import PROFILES, get_profile


def test_the_paper_profile_is_the_protocol():
    profile = get_profile("paper")
    assert (profile.samples, profile.batch, profile.seed) == (1_000_000, 1000, 42)
    assert [model_type(name).epochs_for(profile) for name in ("cvae", "inn")] == [60, 60]
    assert (profile.targets, profile.posterior_samples) == (1000, 100)
    assert (profile.sigma, profile.eps, profile.train_fraction) == (0.2, 0.05, 0.7)
    assert profile.training_samples == 700_000


def test_the_search_trains_on_the_papers_number_of_samples():
    assert get_profile("search").training_samples == 10_000


def test_an_arm_with_a_prior_of_its_own_keeps_it():
    rail, profile = RailArm.benchmark(), get_profile("smoke")
    assert profile.sigma_for(PlanarArm.paper(4)) == 0.2
    assert profile.sigma_for(rail) == rail.sigma


@pytest.mark.parametrize("name", list(PROFILES))
def test_profiles_pickle_and_copy(name):
    profile = get_profile(name)
    assert pickle.loads(pickle.dumps(profile)) == copy.deepcopy(profile) == profile
    assert get_profile(profile) is profile
    assert len({profile, copy.copy(profile)}) == 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"batch": 0}, "batch: .* at least 1, got 0"),
        ({"samples": 2.5}, "samples: .* got 2.5"),
        ({"train_fraction": 1.0}, "train_fraction: .* got 1.0"),
        ({"sigma": -0.2}, "sigma: .* got -0.2"),
        ({"seed": -1}, "seed: .* got -1"),
    ],
)
def test_a_profile_out_of_range_is_refused(change, message):
    with pytest.raises(ValueError, match=message):
        replace(get_profile("smoke"), **change)
    assert replace(get_profile("smoke"), batch=200.0).batch == 200


@pytest.mark.parametrize("name", ["full", None, ["paper"]])
def test_unknown_profiles_list_the_known(name):
    message = r"unknown profile .*; known: smoke, quick, ablation, search, paper"
    with pytest.raises(ValueError, match=message):
        get_profile(name)
