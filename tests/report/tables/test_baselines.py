import pandas as pd

from ikpaper.report.tables import baselines


def test_numbers_of_the_text():
    rows = pd.DataFrame(
        {
            "sampler": ["exact", "flow", "npe", "flow", "npe"],
            "mmd2": [7e-6, 1e-5, 0.008, 2e-5, 0.0072],
            "e_resim": [3e-31, 6e-8, 0.005, 8e-8, 0.006],
            "training_threads": [None, 1, 1, 2, 1],
        }
    )
    assert baselines.numbers(rows) == {
        "threads": "1 or 2",
        "mmd_exact": "7.0\xa0·\xa010⁻⁶",
        "mmd_flow": "1.5\xa0·\xa010⁻⁵",
        "mmd_npe": "0.0076",
        "resim_exact": "< 10⁻²⁰",
        "resim_flow": "7.0\xa0·\xa010⁻⁸",
        "resim_npe": "0.0055",
    }
