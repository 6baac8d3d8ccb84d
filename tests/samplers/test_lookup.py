import pytest
import torch

from ikpaper import metrics
from ikpaper.samplers import LargeLookupTable, LookupTable


def test_it_gives_the_entries_nearest_to_the_target(arm, generator):
    table = LookupTable(arm, 0.2, entries=500)
    tcp = torch.tensor([[3.0, 0.8], [3.2, -0.4]], dtype=torch.float64)
    theta = table.sample(tcp, 20, generator=generator)
    for target, found in zip(tcp, theta, strict=True):
        distance = (arm.forward(table.theta) - target).norm(dim=1)
        expected = distance.sort().values[:20]
        own = (arm.forward(found) - target).norm(dim=1)
        torch.testing.assert_close(own.sort().values, expected)
        # In random order, or the first samples would be closer than the others.
        assert not torch.equal(own, expected)


def test_its_entries_are_prior_samples(arm):
    table = LookupTable(arm, 0.2, entries=4000, seed=1)
    assert table.theta.std() == pytest.approx(0.2, rel=0.02)
    assert torch.equal(table.theta, LookupTable(arm, 0.2, entries=4000, seed=1).theta)
    assert not torch.equal(table.theta[:10], LookupTable(arm, 0.2, entries=10).theta)


def test_more_entries_are_nearer(arm, generator):
    tcp, miss = [3.0, 0.8], []
    for entries in (1000, 100_000):
        theta = LookupTable(arm, 0.2, entries=entries).sample(tcp, 20, generator=generator)
        miss.append(float(metrics.resimulation_error(arm, theta, tcp)))
    assert miss[1] < miss[0] / 20
    assert LargeLookupTable.ENTRIES == 10 * LookupTable.ENTRIES


def test_it_has_no_more_samples_than_entries(arm):
    with pytest.raises(ValueError, match="n: expected at most the table's 50 entries, got 51"):
        LookupTable(arm, entries=50).sample([3.0, 0.8], 51)
    with pytest.raises(ValueError, match="entries: expected a whole number"):
        LookupTable(arm, entries=0)
