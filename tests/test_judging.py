import numpy as np
import pandas as pd
import pytest
import torch

import ikpaper
from ikpaper import judging, metrics
from ikpaper.judging import Refined, as_text, benchmark, benchmark_published, judge, random_targets
from ikpaper.training import TrainingRun, train

ARM = ikpaper.PlanarArm([0.5, 0.5, 0.5, 1.0])


def test_exact_samples_pass_and_the_prior_fails():
    tcp = random_targets(ARM, 12)
    settings = {"samples": 200, "c2st_targets": 1}
    exact = judge(ikpaper.ExactPosterior(ARM, 0.2), ARM, tcp, **settings)
    prior = judge(ikpaper.Prior(ARM, 0.2), ARM, tcp, **settings)
    assert exact["mmd2_low"] < 1e-3 < prior["mmd2_low"]
    assert exact["rejected"] < 0.4 < prior["rejected"]
    assert exact["c2st"] < 0.6 < prior["c2st"]
    assert (exact["on_target"], prior["on_target"]) == (1.0, 0.0)
    assert exact["e_resim"] < 1e-25
    assert prior["e_resim"] <= prior["e_resim_hardest"] <= prior["e_resim_worst"]


def test_scores_are_those_of_the_metrics():
    tcp = random_targets(ARM, 3)
    prior = ikpaper.Prior(ARM, 0.2)
    found = judge(prior, ARM, tcp, samples=100, c2st_targets=0, seed=5)
    draws = [torch.Generator().manual_seed(15 + stream) for stream in range(2)]
    truth = ikpaper.ExactPosterior(ARM, 0.2).sample(tcp, 100, generator=draws[0])
    theta = prior.sample(tcp, 100, generator=draws[1])
    mismatch = [float(metrics.mmd2(a, b, unbiased=True)) for a, b in zip(theta, truth, strict=True)]
    assert found["mmd2"] == pytest.approx(np.mean(mismatch), abs=1e-12)
    assert found["mmd2_hardest"] == pytest.approx(max(mismatch), abs=1e-12)
    errors = metrics.resimulation_error(ARM, theta, tcp)
    assert found["e_resim"] == pytest.approx(float(errors.mean()))
    assert np.isnan(found["c2st"])


def test_more_targets_begin_with_the_same_ones():
    assert torch.equal(random_targets(ARM, 5), random_targets(ARM, 9)[:5])


class Handwritten:
    """All that a sampler of somebody else's has."""

    def sample(self, tcp, n, *, generator=None):
        tcp = torch.as_tensor(tcp, dtype=torch.float64).reshape(-1, 2)
        return 0.2 * torch.randn(len(tcp), n, 4, generator=generator, dtype=torch.float64)


def test_anyones_sampler_can_be_refined():
    tcp = random_targets(ARM, 2)
    refined = Refined(Handwritten(), ARM, 8)
    theta = refined.sample(tcp, 50, generator=torch.Generator().manual_seed(0))
    assert theta.shape == (2, 50, 4)
    assert (ARM.forward(theta) - tcp[:, None]).norm(dim=-1).median() < 1e-9


def test_benchmark_prints_a_row_beside_the_published_ones(tmp_path, monkeypatch, capsys):
    published = tmp_path / "benchmark.csv"
    monkeypatch.setattr(judging, "_table", lambda: published)
    settings = {"arm": ARM, "targets": 2, "samples": 50}
    alone = benchmark(Handwritten(), **settings)
    assert list(alone["sampler"]) == ["yours"]
    row = {**alone.iloc[0].to_dict(), "sampler": "somebody"}
    pd.DataFrame([row, {**row, "dof": 6}, {**row, "at": "slides"}]).to_csv(published, index=False)
    capsys.readouterr()
    table = benchmark(Handwritten(), name="mine", refine=3, **settings)
    assert list(table["sampler"]) == ["mine", "somebody"]
    printed = capsys.readouterr().out
    assert "mine, refine=3" in printed
    assert "somebody" in printed
    assert table["e_resim"].iloc[0] < table["e_resim"].iloc[1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "either dof or arm"),
        ({"dof": 6, "arm": ARM}, "either dof or arm"),
        ({"dof": 5}, "4, 6, 8, 10"),
        ({"dof": 6, "targets": 0}, r"targets: .* got 0"),
        ({"dof": 6, "refine": -1}, r"refine: .* got -1"),
    ],
)
def test_bad_input_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        benchmark(Handwritten(), **arguments)


def test_published_samplers_are_judged_once(tmp_path, monkeypatch):
    monkeypatch.setattr(judging, "PUBLISHED", "smoke")
    monkeypatch.setattr(judging, "_FEWER", {"rejection": 1, "numerical": 1})
    quick = judging.judge
    monkeypatch.setattr(
        judging, "judge", lambda *a, **k: quick(*a, **{**k, "samples": 20, "c2st_targets": 0})
    )
    train(TrainingRun.of("cvae", 4, profile="smoke"), directory=tmp_path)
    settings = {"dofs": [4], "targets": 2, "table": tmp_path / "t.csv", "directory": tmp_path}
    table = benchmark_published(**settings)
    assert list(zip(table["sampler"], table["refine"], strict=True)) == [
        ("exact", 0),
        ("rejection", 0),
        ("numerical", 0),
        ("prior", 0),
        ("cvae", 0),
        ("cvae", 3),
    ]
    assert len(as_text(table)) == 6
    # What is measured is kept: the rates would differ.
    again = benchmark_published(**settings)
    assert list(again["samples_per_second"]) == list(
        pd.read_csv(settings["table"])["samples_per_second"]
    )
    # The table keeps rows of other arms.
    other = pd.read_csv(settings["table"]).assign(dof=6, key="other")
    pd.concat([pd.read_csv(settings["table"]), other]).to_csv(settings["table"], index=False)
    benchmark_published(**settings, fresh=True)
    assert sorted(pd.read_csv(settings["table"])["dof"]) == [4] * 6 + [6] * 6
