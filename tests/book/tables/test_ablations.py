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


def test_effects_of_variants_are_told(runs):
    told = ablations.effects(runs)
    assert told["effect_without_x"] == (
        "the MMD² is 1.8 times as large, the re-simulation error within the spread of seeds"
    )
    within = "the MMD² and the re-simulation error are within the spread of seeds"
    assert told["effect_without_p"] == told["effect_float32"] == within
    assert told["effect_without_both"] == (
        "the MMD² is 3.6 times and the re-simulation error 3.0 times as large"
    )
    assert told["effect_more_y"].startswith("the MMD² is 1.6 times as large")


def test_divergences_are_counted(runs):
    assert ablations.divergences(runs) == {
        "warm_runs": "5",
        "warm_diverged": "1",
        "cold_runs": "5",
        "cold_diverged": "1",
        "linear_runs": "3",
        "linear_diverged": "3",
    }


def test_runs_that_differ_in_the_seed_are_compared(runs):
    assert ablations.spreads(runs) == {
        "warm_factor": "1.6",
        "cold_factor": "21",
        "default_resim": "0.029 to 0.048",
        "float32_resim": "0.048 to 0.055",
        "less_mmd": "0.010 to 0.54",
    }


def test_one_seed_fails_with_each_schedule_and_the_others_agree(runs):
    # As the page says.
    eight = runs[(runs["study"] == "schedule") & (runs["dof"] == 8)]
    mmd2 = eight.pivot(index="variant", columns="seed", values="mmd2")
    assert mmd2.shape == (3, 3)
    assert (mmd2[43].isna() | (mmd2[43] > 5 * mmd2[[42, 44]].max(axis=1))).all()
    assert mmd2[[42, 44]].max(axis=None) < 1.3 * mmd2[[42, 44]].min(axis=None)
    told = ablations.schedule_effects(runs)
    for key in ("schedule_full_weight", "schedule_cosine"):
        assert told[key].endswith(
            "with 8 joints the MMD² and the re-simulation error are within the spread of seeds"
        )


def test_with_four_joints_the_seed_matters_more_than_the_schedule(runs):
    # As the page says.
    four = runs[(runs["study"] == "schedule") & (runs["dof"] == 4)]
    mmd2 = four.pivot(index="variant", columns="seed", values="mmd2")
    assert mmd2.shape == (3, 3)
    assert mmd2.notna().all(axis=None)
    by_schedule = mmd2.max(axis=0) / mmd2.min(axis=0)
    by_seed = mmd2.max(axis=1) / mmd2.min(axis=1)
    assert by_schedule.max() < by_seed.min()
