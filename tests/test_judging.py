import numpy as np
import pandas as pd
import pytest
import torch

import ikpaper
from ikpaper import judging, metrics, tables
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
    assert (exact["missed"], prior["missed"]) == (0, 12 * 200)
    assert np.isnan(prior["e_resim_on_target"])
    assert exact["c2st_targets"] == 1
    assert exact["e_resim"] < 1e-25
    assert exact["rejected"] * 12 == round(exact["rejected"] * 12)
    assert np.isnan(prior["mmd2_hardest"])


def test_an_arm_with_a_prior_of_its_own_is_judged_by_it(monkeypatch):
    monkeypatch.setattr(judging, "c2st", lambda *arguments, **options: 0.5)
    rail = ikpaper.RailArm.benchmark()
    settings = {"arm": rail, "targets": 8, "samples": 200}
    own = benchmark(ikpaper.ExactPosterior(rail, rail.sigma), **settings)
    other = benchmark(ikpaper.ExactPosterior(rail, 0.2), **settings)
    assert own["mmd2_low"].item() < 1e-3 < other["mmd2_low"].item()
    assert own["missed"].item() == 0
    widened = benchmark(ikpaper.ExactPosterior(rail, 0.2), sigma=0.2, **settings)
    assert widened["mmd2_low"].item() < 1e-3


def test_scores_are_those_of_the_metrics():
    tcp = random_targets(ARM, 3)
    prior = ikpaper.Prior(ARM, 0.2)
    found = judge(prior, ARM, tcp, samples=100, c2st_targets=0, seed=5)
    draws = [torch.Generator().manual_seed(15 + stream) for stream in range(2)]
    truth = ikpaper.ExactPosterior(ARM, 0.2).sample(tcp, 100, generator=draws[0])
    theta = prior.sample(tcp, 100, generator=draws[1])
    mismatch = [float(metrics.mmd2(a, b, unbiased=True)) for a, b in zip(theta, truth, strict=True)]
    assert found["mmd2"] == pytest.approx(np.mean(mismatch), abs=1e-7)
    errors = metrics.resimulation_error(ARM, theta, tcp)
    assert found["e_resim"] == pytest.approx(float(errors.mean()))
    assert found["e_resim_worst"] == pytest.approx(float(errors.max()))
    assert np.isnan(found["c2st"])
    found = judge(prior, ARM, tcp, samples=100, c2st_targets=0, seed=5, kernel="multi-bandwidth")
    pairs = zip(theta, truth, strict=True)
    mismatch = [metrics.mmd2(a, b, unbiased=True, kernel="multi-bandwidth") for a, b in pairs]
    assert found["mmd2"] == pytest.approx(float(torch.stack(mismatch).mean()), abs=1e-6)


class Half:
    """Exact for every other sample, and off by an angle for the rest."""

    def sample(self, tcp, n, *, generator=None):
        theta = ikpaper.ExactPosterior(ARM, 0.2).sample(tcp, n, generator=generator)
        theta[:, ::2] += 0.1
        return theta


def test_samples_on_target_are_counted():
    found = judge(Half(), ARM, random_targets(ARM, 2), samples=40, c2st_targets=0)
    assert found["missed"] == 40
    assert found["e_resim_on_target"] < 1e-25 < found["e_resim"]


def test_samples_that_miss_are_never_rounded_away():
    assert judging._on_target(0, 10**6) == "100 %"
    assert judging._on_target(3, 10**6) == "all but 3"
    assert judging._on_target(2000, 10**6) == "99.8 %"


def test_the_hardest_percent_is_the_mean_of_the_largest():
    values = list(range(300))
    assert judging._hardest(values) == pytest.approx(np.mean([297, 298, 299]))
    assert np.isnan(judging._hardest(values[:99]))


class Broken:
    def sample(self, tcp, n, *, generator=None):
        return torch.full((len(tcp), n, 4), float("nan"))


def test_samples_that_are_no_numbers_are_refused():
    with pytest.raises(ValueError, match=r"100 of 100 samples .* are not finite"):
        judge(Broken(), ARM, random_targets(ARM, 2), samples=50)


class Flat:
    """Forgets the axis of the targets, and returns a numpy array."""

    def sample(self, tcp, n, *, generator=None):
        return np.zeros((len(tcp) * n, 4))


def test_samples_of_another_shape_are_refused():
    with pytest.raises(ValueError, match=r"expected shape \(2, 50, 4\) .* got \(100, 4\)"):
        judge(Flat(), ARM, random_targets(ARM, 2), samples=50)


def test_rows_are_current_as_long_as_the_code_of_sampler_and_scores_is(tmp_path, monkeypatch):
    monkeypatch.setattr(judging, "PUBLISHED", "smoke")
    train(TrainingRun.of("flow", 4, profile="smoke"), directory=tmp_path)
    (entry,) = [e for e in judging._entries([4], 2, tmp_path) if (e.name, e.refine) == ("flow", 0)]
    seen = []
    monkeypatch.setattr(judging, "digest", lambda *_, files: seen.extend(files))
    entry.key  # noqa: B018
    names = {path.name for path in seen}
    assert {"flow.py", "base.py", "projection.py", "judging.py", "metrics.py"} <= names
    assert "inn.py" not in names


def test_targets_are_of_no_data_set():
    tcp = random_targets(ARM, 50, seed=42)
    data = ikpaper.make_dataset(ARM, 50, seed=42)
    assert torch.cdist(tcp, data.tcp).min() > 1e-6


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
    settings = {"arm": ARM, "targets": 2, "samples": 50}  # of the paper's rule for lengths
    alone = benchmark(Handwritten(), **settings)
    assert list(alone["sampler"]) == ["yours"]
    row = {**alone.iloc[0].to_dict(), "sampler": "cvae"}
    others = [{**row, "dof": 6}, {**row, "at": "slides"}, {**row, "samples": 1000}]
    pd.DataFrame([row, *others]).to_csv(published, index=False)
    capsys.readouterr()
    table = benchmark(Handwritten(), name="mine", refine=3, **settings)
    assert list(table["sampler"]) == ["mine", "cvae"]
    printed = capsys.readouterr().out
    assert "mine, refine=3" in printed
    assert "cvae" in printed
    assert table["e_resim"].iloc[0] < table["e_resim"].iloc[1]
    other = benchmark(Handwritten(), kernel="squared", **settings)
    assert list(other["sampler"]) == ["yours"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "either dof or arm"),
        ({"dof": 6, "arm": ARM}, "either dof or arm"),
        ({"dof": 5}, "4, 6, 8, 10"),
        ({"dof": 6, "targets": 0}, r"targets: .* got 0"),
        ({"dof": 6, "refine": -1}, r"refine: .* got -1"),
        ({"dof": 6, "sigma": (0.2, 0.3)}, r"sigma: .* got 2"),
    ],
)
def test_bad_input_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        benchmark(Handwritten(), **arguments)


def test_other_numbers_of_targets_have_a_table_of_their_own(tmp_path, monkeypatch):
    monkeypatch.setattr(tables, "project_root", lambda: tmp_path)
    monkeypatch.setattr(judging, "PUBLISHED", "smoke")
    entries = judging._entries
    monkeypatch.setattr(judging, "_entries", lambda *given: [next(iter(entries(*given)))])
    benchmark_published(dofs=[4], targets=2, directory=tmp_path)
    assert [path.name for path in tmp_path.rglob("*.csv")] == ["benchmark-2.csv"]


def test_a_students_training_takes_its_teachers_too(tmp_path, monkeypatch):
    monkeypatch.setattr(judging, "PUBLISHED", "smoke")
    seconds = {
        name: train(TrainingRun.of(name, 4, profile="smoke"), directory=tmp_path)[1]["seconds"]
        for name in ("flow", "flow-fast")
    }
    entries = {e.name: e.origin for e in judging._entries([4], 2, tmp_path)}
    assert entries["flow"]["training_seconds"] == seconds["flow"]
    assert entries["flow-fast"]["training_seconds"] == pytest.approx(sum(seconds.values()))


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
    # Rows of other arms stay; those of what has changed are replaced.
    first = pd.read_csv(settings["table"])
    pd.concat([first, first.assign(dof=6, key="other")]).to_csv(settings["table"], index=False)
    benchmark_published(**{**settings, "targets": 1})
    kept = pd.read_csv(settings["table"])
    assert sorted(kept["dof"]) == [4] * 6 + [6] * 6
    assert set(kept["targets"][kept["dof"] == 4]) == {1}
    # Ground truth first, models in the order of the catalogue.
    assert list(dict.fromkeys(kept["sampler"])) == [
        "exact",
        "rejection",
        "numerical",
        "prior",
        "cvae",
    ]
