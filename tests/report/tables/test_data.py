import pandas as pd

from ikpaper.report.tables import data


def test_each_method_has_the_score_of_wrong_samples_beside_it():
    distances = pd.DataFrame({"distance": [0.012, 0.063], "limit": 0.0163})
    bias = pd.DataFrame(
        {"eps": [0.05, 0.01], "mmd2": [0.006, 1e-4], "low": [0.005, 5e-5], "high": [0.007, 2e-4]}
    )
    hmc = pd.DataFrame(
        {"iterations": [0, 20], "mmd2": [0.007, 2e-4], "low": [0.006, 1e-4], "high": [0.008, 3e-4]}
    )
    rows = data.validation(distances, bias, hmc)
    assert list(rows["where samples are wrong"]) == [
        "0.063 (prior 10\xa0% wider)",
        "0.0060 (ε = 0.05)",
        "0.0070 (where the chains start)",
    ]
    assert rows["exact sampler"][0] == "0.012"
    assert rows["exact sampler"][1].startswith("0.00010")
    assert rows["method"][2] == "constrained HMC, 20 iterations, 6 joints"
