import pandas as pd

from ikpaper.report.tables import ablations

RUNS = pd.DataFrame(
    [
        ("default", "INN as published", "ablation", 1, 0.4, 1.0),
        ("schedule", "plateau of the sum, as the authors have it", "quick", 1, 0.02, 0.10),
        ("schedule", "plateau of the sum, as the authors have it", "quick", 2, 0.04, 0.12),
        ("schedule", "plateau of the sum without the ramp", "quick", 1, 0.03, 0.11),
        ("schedule", "plateau of the sum without the ramp", "quick", 2, 0.05, 0.13),
        ("schedule", "cosine", "quick", 1, 0.010, 0.05),
        ("schedule", "cosine", "quick", 2, 0.005, 0.06),
    ],
    columns=["study", "variant", "profile", "seed", "mmd2", "e_resim_test"],
).assign(model="inn", dof=8, outcome="trained", precision="bfloat16")
FOUR = RUNS[RUNS["study"] == "schedule"].assign(dof=4)


def test_schedules_have_a_table_of_their_own():
    assert ablations.ablations(RUNS)["variant"].tolist() == ["INN as in this book"]
    table = ablations.schedules(RUNS)
    assert table["learning rate"].tolist() == RUNS["variant"].unique()[1:].tolist()
    assert table["runs"].tolist() == [2, 2, 2]
    both = ablations.schedules(pd.concat([RUNS, FOUR]))
    assert both["model"].tolist() == ["INN, 4 DoF"] * 3 + ["INN, 8 DoF"] * 3
    assert both["learning rate"].tolist() == table["learning rate"].tolist() * 2


def test_a_schedule_differs_where_no_run_lies_among_those_of_the_authors():
    numbers = ablations.schedule_effects(RUNS)
    assert numbers["schedule_full_weight"] == (
        "with 8 joints the MMD² and the re-simulation error are within the spread of seeds"
    )
    # The runs' means: .0075 over .03, and .055 over .11.
    assert numbers["schedule_cosine"] == (
        "with 8 joints the MMD² is 0.25 times and the re-simulation error 0.50 times as large"
    )
    assert numbers["schedule_samples"] == "42,000"
    assert numbers["schedule_runs"] == "2 with 8 joints"


def test_each_arm_is_told_about_and_none_by_a_single_run():
    numbers = ablations.schedule_effects(pd.concat([RUNS, FOUR.assign(mmd2=1.0)]))
    assert numbers["schedule_cosine"] == (
        "with 8 joints the MMD² is 0.25 times and the re-simulation error 0.50 times as large; "
        "with 4 joints the re-simulation error is 0.50 times as large, "
        "the MMD² within the spread of seeds"
    )
    single = ablations.schedule_effects(pd.concat([RUNS, FOUR[FOUR["seed"] == 1]]))
    assert "4 joints" not in single["schedule_cosine"] + single["schedule_full_weight"]
    assert single["schedule_runs"] == "2 with 8 joints and 1 with 4 joints"


def test_a_schedule_with_a_run_that_diverged_is_not_the_better_one():
    lost = FOUR.copy()
    lost.loc[lost.index[-1], ["outcome", "mmd2", "e_resim_test"]] = ["diverged", None, None]
    row = ablations.schedules(pd.concat([RUNS, lost])).iloc[2]
    assert row["learning rate"] == "cosine"
    assert (row["model"], row["runs"], row["diverged"]) == ("INN, 4 DoF", 2, 1)
    # The other run's scores are below those of the authors' schedule.
    numbers = ablations.schedule_effects(pd.concat([RUNS, lost]))
    assert numbers["schedule_cosine"].endswith(
        "with 4 joints the MMD² and the re-simulation error are within the spread of seeds"
    )
