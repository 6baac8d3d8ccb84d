"""What `make bench` says counts only if both implementations compute the same."""

import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import torch

from benchmarks import reference
from ikpaper import metrics, models

ROOT = Path(__file__).resolve().parents[1]
SMALL = {"inn": {"neurons": 30, "coupling_layers": 3}, "cvae": {"neurons": 30}}


def losses(name, precision, theta, tcp, dtype=torch.float32):
    model = models.build(name, dof=6, **SMALL[name]).to(dtype)
    model.precision = precision
    ours = model.loss(theta, tcp, 0.7, torch.Generator().manual_seed(5))
    theirs = reference.loss(model, theta, tcp, 0.7, torch.Generator().manual_seed(5))
    return model, ours, theirs


def gradients(model, terms):
    leaves = [p for p in model.parameters() if p.requires_grad]
    found = torch.autograd.grad(torch.stack(list(terms.values())).sum(), leaves)
    return torch.cat([gradient.flatten() for gradient in found])


@pytest.fixture
def batch(arm, generator):
    theta = 0.2 * torch.randn(200, 6, generator=generator)
    return theta, arm.forward(theta)


@pytest.mark.parametrize("name", ["inn", "cvae"])
def test_loss_and_gradients_are_those_of_the_reference(name, batch):
    model, ours, theirs = losses(name, None, *batch)
    assert list(ours) == list(theirs)
    for term, value in theirs.items():
        torch.testing.assert_close(ours[term], value, rtol=1e-5, atol=2e-4)
    wanted = gradients(model, theirs)
    assert (gradients(model, ours) - wanted).norm() < 1e-5 * wanted.norm()


@pytest.mark.parametrize("name", ["inn", "cvae"])
def test_gradients_in_bfloat16_are_close(name, batch):
    model, ours, theirs = losses(name, torch.bfloat16, *batch)
    wanted = gradients(model, theirs)
    assert (gradients(model, ours) - wanted).norm() < 0.02 * wanted.norm()


@pytest.mark.parametrize("name", ["inn", "cvae"])
def test_sampling_is_that_of_the_reference(name, arm):
    model = models.build(name, dof=6, **SMALL[name])
    tcp = torch.tensor([[2.0, 0.5], [2.5, -0.3]])
    ours = model.sample(tcp, 300, generator=torch.Generator().manual_seed(1))
    theirs = reference.sample(model, tcp, 300, torch.Generator().manual_seed(1))
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)


def test_the_permutation_test_is_that_of_the_reference(generator):
    a, b = (torch.randn(n, 3, generator=generator) + 0.3 * k for k, n in enumerate((40, 30)))
    found, expected = (
        test(torch.Generator().manual_seed(5))
        for test in (
            lambda own: metrics.two_sample_test(a, b, permutations=60, generator=own),
            lambda own: reference.two_sample_test(a, b, 1.2, 60, own),
        )
    )
    assert found.mmd2 == pytest.approx(expected[0], abs=1e-6)
    assert found.p_value == pytest.approx(expected[1])


@pytest.mark.slow
def test_a_benchmark_measures_both_sides_and_keeps_other_rows(tmp_path):
    command = [sys.executable, "-m", "benchmarks", "--only", "mmd", "--rounds", "1"]
    command += ["--output", str(tmp_path)]
    other = {"what": "another", "model": "inn", "dof": 4, "size": 1, "device": "cpu"}
    other |= {"threads": 2, "ratio": 2.0}
    pd.DataFrame([other]).to_csv(tmp_path / "bench.csv", index=False)
    for _ in range(2):
        subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    table = pd.read_csv(tmp_path / "bench.csv")
    assert table["what"].tolist() == ["another", *["MMD, value and gradient"] * 3]
    measured = table[1:]
    assert (measured["plain"] / measured["ours"]).tolist() == pytest.approx(measured["ratio"])


def test_an_unknown_benchmark_is_refused():
    command = [sys.executable, "-m", "benchmarks", "--only", "everything"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "training inn" in done.stderr
