import math

import numpy as np
import pytest
import torch

import ikpaper
from ikpaper.dataset import profile_dataset
from ikpaper.profiles import PROFILES


def test_data_are_numpys_draw_and_torchs_split(arm):
    data = ikpaper.make_dataset(arm, 1000, sigma=0.2, seed=42)
    drawn = np.random.default_rng(42).normal(0, 0.2, (1000, 6))
    np.testing.assert_array_equal(data.theta, drawn)
    torch.testing.assert_close(data.tcp, arm.forward(drawn))
    train, test = torch.utils.data.random_split(
        range(1000), [700, 300], torch.Generator().manual_seed(42)
    )
    assert data.train_index.tolist() == list(train.indices)
    assert data.test_index.tolist() == list(test.indices)
    assert [len(part) for part in (*data.train, *data.test)] == [700, 700, 300, 300]


def test_a_profile_decides_the_data(arm):
    data = profile_dataset(arm, PROFILES["smoke"])
    assert len(data) == PROFILES["smoke"].samples
    assert len(data.train_index) == PROFILES["smoke"].training_samples


def test_an_arms_own_prior_goes_before_the_profiles():
    arm = ikpaper.RailArm.benchmark()
    data = profile_dataset(arm, PROFILES["smoke"])
    expected = torch.tensor([0.25, 0.5, 0.5, 0.5], dtype=torch.float64)
    torch.testing.assert_close(data.theta.std(dim=0), expected, rtol=0.05, atol=0)
    torch.testing.assert_close(data.tcp, arm.forward(data.theta))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"samples": 0}, "samples: .* got 0"),
        ({"sigma": 0.0}, "sigma: .* got 0.0"),
        ({"sigma": math.nan}, "sigma: .* got nan"),
        ({"sigma": (0.2, 0.3)}, r"sigma: .* 6 \(one a joint\), got 2"),
        ({"train_fraction": 1.0}, "train_fraction: .* got 1.0"),
    ],
)
def test_bad_input_is_refused(arm, options, message):
    with pytest.raises(ValueError, match=message):
        ikpaper.make_dataset(arm, **options)
