import pytest

from ikpaper.report.tables import ablations
from tests.report.committed import assert_committed, result


@pytest.fixture(scope="module")
def runs():
    return result("ablations")


def test_tables_are_the_committed_ones(runs):
    made = {
        "inverse-losses": ablations.inverse_losses(runs),
        "ablations": ablations.ablations(runs),
        "ablation-profile": ablations.budget(runs),
    }
    assert_committed(made)


def test_effects_of_the_inverse_losses_are_told(runs):
    told = ablations.inverse_effects(runs)
    assert told.startswith(
        "without L_x: 1.8 times the MMD², beyond the spread of seeds and 0.99 times the "
        "re-simulation error; without L_p(x): 1.1 times the MMD² and 1.1 times"
    )
    assert told.endswith("3.0 times the re-simulation error, beyond the spread of seeds.")


def test_divergences_are_counted(runs):
    assert ablations.divergences(runs) == {
        "warm_runs": "8",
        "warm_diverged": "2",
        "cold_runs": "5",
        "cold_diverged": "1",
        "linear_runs": "3",
        "linear_diverged": "3",
    }


def test_runs_that_differ_in_the_seed_are_compared(runs):
    assert ablations.seed_factors(runs) == {"warm_factor": "1.6", "cold_factor": "21"}
