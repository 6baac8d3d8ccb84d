import pytest
import torch

import ikpaper
from ikpaper.dataset import profile_dataset
from ikpaper.format import as_ascii
from ikpaper.profiles import get_profile
from ikpaper.report.tables.data import arms, exact_sampler
from tests.report.committed import as_csv, table


@pytest.mark.slow
def test_the_arms_are_the_committed_ones():
    sets = [
        profile_dataset(ikpaper.PlanarArm.paper(dof), get_profile("paper"))
        for dof in ikpaper.PlanarArm.PAPER_DOF
    ]
    assert as_csv(arms(sets)) == table("arms")


def test_the_exact_sampler_is_that_of_the_committed_table():
    made = exact_sampler(0.2, generator=torch.Generator().manual_seed(1))
    committed = table("exact-sampler").splitlines()
    assert as_csv(made).splitlines()[0] == committed[0]
    # Proposals, effective sample size and distinct samples survive another processor; the last
    # bits of residuals and of differences of sums do not.
    exact = ["DoF", "TCP", "proposals", "distinct samples"]
    assert [list(row) for row in made[exact].itertuples(index=False)] == [
        [4, "(2.25, 0.50)", "94,229", "1,000"],
        [6, "(3.42, 0.68)", "40,000", "1,000"],
        [8, "(4.05, 0.90)", "87,275", "1,000"],
        [10, "(5.00, 0.53)", "103,795", "1,000"],
    ]
    assert (made["largest residual"].map(as_ascii).astype(float) < 1e-14).all()
