import pandas as pd

from ikpaper.format import percent, with_interval
from ikpaper.report.tables import baselines


def test_numbers_of_the_text():
    rows = pd.DataFrame(
        {
            "dof": [6, 6, 6, 6, 8],
            "sampler": ["flow", "npe", "npe", "npe", "npe"],
            "most_epochs": [60, 34, 17, 34, 17],
            "mmd2": [1.324e-5, 0.0052, 0.00834, 0.0047, 0.01],
            "mmd2_low": [1.2e-5, 0.0040, 0.0069, 0.0040, 0.009],
            "mmd2_high": [1.5e-5, 0.0060, 0.0101, 0.0060, 0.011],
            "rejected": [0.05, 0.98, 1.0, 0.97, 1.0],
            "e_resim": [6.8e-8, 0.004, 0.00586, 0.004, 0.006],
            "training_threads": [1, 2, 2, 2, 1],
        }
    )
    assert baselines.numbers(rows) == {
        "joints": "6",
        "threads": "1 or 2",
        "mmd_flow": with_interval(1.324e-5, 1.2e-5, 1.5e-5).partition(" (")[0],
        "mmd_npe": "0.0083",
        "resim_flow": "6.8\xa0·\xa010⁻⁸",
        "resim_npe": "0.0059",
        "rejected_flow": percent(0.05),
        "rejected_npe": percent(1.0),
        "longer_npe": "0.0047 to 0.0052",
        "epochs_longer_npe": "34",
        "rejected_longer_npe": "97.0 to 98.0\xa0%",
    }


def test_what_the_kinematics_give_is_told():
    rows = pd.DataFrame(
        {
            "dof": [4, 6] * 2,
            "sampler": ["flow"] * 2 + ["flow-plain"] * 2,
            "refine": 0,
            "e_resim": [1e-8, 1e-8, 2e-6, 1e-6],
            "mmd2_low": 0.0,
            "mmd2_high": 1e-5,
        }
    )
    assert baselines.kinematics(rows) == (
        "For the precision, yes; for the MMD², no: with the kinematics a flow is closer to the "
        "target on 2 of 2 arms, by the factor 100 to 200, and its MMD² is smaller, by intervals "
        "that do not overlap, on 0 of 2."
    )


def test_a_training_has_a_row_and_only_rates_of_one_run_compare():
    scores = dict.fromkeys(("mmd2", "mmd2_low", "mmd2_high", "rejected"), 0.1)
    scores |= {"e_resim": 0.1, "e_resim_worst": 0.2, "missed": 0, "parameters": 9, "targets": 200}
    rows = pd.DataFrame(
        {
            "dof": 6,
            "sampler": ["exact", "flow", "npe", "npe"],
            "samples_per_second": [40.0, 10.0, 30.0, 20.0],
            "training_seconds": [None, 60.0, 120.0, 240.0],
            "epochs": [None, 60, 17, 34],
            "most_epochs": [0, 60, 17, 34],
            "training_seed": [0, 42, 42, 43],
            "library": "",
            "profile": "paper",
            "refine": 0,
            "samples": 1000,
            "at": "random",
            **scores,
        }
    )
    table = baselines.baselines(rows)
    assert list(table["rate over the flow's"]) == ["4.0", "1.0", "3.0", "–"]
    assert list(table["training"])[1:] == [
        "1.0 min, 60 epochs, seed 42",
        "2.0 min, 17 epochs, seed 42",
        "4.0 min, 34 epochs, seed 43",
    ]
