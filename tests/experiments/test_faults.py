import pytest
import torch

from ikpaper import ExactPosterior, metrics
from ikpaper.experiments.faults import FAULTS, Faulty, score_faults, with_mismatch

TCP = (3.0, 0.8)
TARGET = torch.tensor(TCP, dtype=torch.float64)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("kind", FAULTS)
def test_a_fault_of_size_zero_is_none(arm, kind):
    drawn = Faulty(arm, kind, 0.0).sample(TARGET, 40, generator=seeded())
    exact = ExactPosterior(arm, 0.2).sample(TCP, 80, generator=seeded())
    assert torch.equal(drawn, exact[:40])


def test_faults_are_what_they_say(arm):
    batch = torch.tensor([TCP, (2.0, 1.0)], dtype=torch.float64)
    assert Faulty(arm, "cut", 0.3).sample(batch, 50, generator=seeded()).shape == (2, 50, arm.dof)
    exact = ExactPosterior(arm, 0.2).sample(TCP, 400, generator=seeded())[:200]
    cut = Faulty(arm, "cut", 0.3).sample(TARGET, 200, generator=seeded())
    assert metrics.resimulation_error(arm, cut, TCP) < 1e-20
    assert cut[:, 0].max() < exact[:, 0].max()
    kept = (cut == exact).all(dim=1)
    assert int(kept.sum()) == 140
    assert exact[~kept, 0].min() > exact[kept, 0].max()
    noisy = Faulty(arm, "blurred", 0.1).sample(TARGET, 200, generator=seeded())
    assert float((noisy - exact).std()) == pytest.approx(0.1, rel=0.1)
    mixed = Faulty(arm, "mixed", 0.5).sample(TARGET, 200, generator=seeded())
    assert 60 < int((mixed == exact).all(dim=1).sum()) < 140


def test_all_faults_are_of_the_same_exact_samples(arm, monkeypatch):
    drawn, sample = [], ExactPosterior.sample

    def counted(self, tcp, n, *, generator=None):
        drawn.append((tuple(torch.as_tensor(tcp).shape), n))
        return sample(self, tcp, n, generator=generator)

    monkeypatch.setattr(ExactPosterior, "sample", counted)
    # More pairs than a task asks for at a time.
    rows, _ = score_faults(arm, TCP, (0.01,), sigma=0.2, repeats=26, samples=10)
    assert len(rows) == 4
    # Reference samples, exact ones, and twice as many that all faults start from.
    assert drawn.count(((26, 2), 10)) == 2
    assert drawn.count(((26, 2), 20)) == 1


def test_an_unknown_fault_or_a_size_out_of_range_is_refused(arm):
    with pytest.raises(ValueError, match="bent"):
        Faulty(arm, "bent", 0.1)
    with pytest.raises(ValueError, match=r"size: expected 0 to 0\.5, got 0\.7"):
        Faulty(arm, "cut", 0.7)


@pytest.mark.slow
@pytest.mark.parametrize("kind", FAULTS)
def test_the_mismatch_is_the_one_asked_for(arm, kind):
    sampler = with_mismatch(arm, kind, TCP, 0.01, sigma=0.2)
    # Independent sets of samples, by the score that tables have.
    found = [
        metrics.mmd2(
            sampler.sample(TARGET, 800, generator=seeded(2 * seed + 5)),
            ExactPosterior(arm, 0.2).sample(TCP, 800, generator=seeded(2 * seed + 6)),
            unbiased=True,
        )
        for seed in range(3)
    ]
    assert float(sum(found) / 3) == pytest.approx(0.01, rel=0.35)


def test_a_mismatch_that_no_fault_has_is_refused(arm):
    with pytest.raises(ValueError, match="cut samples have an MMD"):
        with_mismatch(arm, "cut", TCP, 1.0, sigma=0.2, n=50)


def test_scores_have_a_row_for_exact_samples_and_one_a_fault(arm):
    rows, samplers = score_faults(arm, TCP, (0.005, 0.01), sigma=0.2, repeats=2, samples=100)
    assert list(rows["fault"]) == ["none", *FAULTS, *FAULTS]
    assert set(samplers) == {(kind, value) for kind in FAULTS for value in (0.005, 0.01)}
    sizes = rows.set_index(["fault", "value"])["size"]
    assert all(sizes[kind, 0.005] < sizes[kind, 0.01] for kind in FAULTS)
    assert rows["mmd2_spread"].notna().all()
