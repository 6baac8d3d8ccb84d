import pandas as pd

from ikpaper.report.tables import scaling


def test_numbers_of_the_text():
    rows = pd.DataFrame(
        {
            "dof": [4, 8, 16],
            "profile": "quick",
            "targets": 200,
            "mmd2": [1e-4, 2e-4, 1e-3],
            "mmd2_prior": [0.05, 0.04, 0.02],
            "rejected": [0.08, 0.145, 0.6],
            "training_seconds": [24.6, 30.0, 33.4],
            "samples_per_second": [10.0, 10.0, 10.0],
            "exact_samples_per_second": [30.0, 9.0, 3.0],
        }
    )
    assert scaling.numbers(rows) == {
        "shortest": "4",
        "longest": "16",
        "scaling_profile": "quick",
        "targets": "200",
        "overtakes": "8",
        "fastest": "25",
        "slowest": "33",
        "share_longest": "5.0 %",
        # The longest arm of at most ten joints.
        "share_10": "0.50 %",
        "rejected_longest": "60 %",
        "rejected_10": "14 %",
    }
    slow = rows.assign(samples_per_second=1.0)
    assert scaling.numbers(slow)["overtakes"] == "no number of"
