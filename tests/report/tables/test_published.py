import pandas as pd
import pytest

from ikpaper.profiles import get_profile
from ikpaper.report.tables import published


def test_a_schedule_is_read_off_the_record():
    rates = [1e-3] * 30 + [5e-5] * 24 + [1e-9] * 6
    history = [{"epoch": i, "learning_rate": rate} for i, rate in enumerate(rates, 1)]
    records = {4: {"history": history, "training": {"epochs": 60}}}
    (row,) = published.schedule(records).to_dict("records")
    assert (row["DoF"], row["first lowered after epoch"]) == (4, 31)
    # The ramp of epoch 31 of 60: 2 * 0.002^(1 - 30/60).
    assert row["weight of L_p(x) at that epoch"] == "9\xa0%"
    # 2 * 0.002^(1 - 54/60) is above 1; that of epoch 54 is not.
    assert row["full weight from epoch"] == 55
    # The rate of an epoch is what stands at the end of the one before.
    assert (row["rate at full weight"], row["rate at the end"]) == (
        "5.0\xa0·\xa010⁻⁵",
        "1.0\xa0·\xa010⁻⁹",
    )
    assert published.schedule_numbers(records) == {
        "lowered": "31",
        "lowered_weight": "9\xa0%",
        "full_weight": "55",
        "slower": "20",
    }


def test_printed_values_stand_beside_ours_by_prior():
    rows = pd.DataFrame(
        [
            ("cvae", 0.5, 0.05, 0.049, 0.051),
            ("exact", 0.5, 0.04, 0.039, 0.041),
            ("cvae", 0.2, 0.003, 0.002, 0.004),
            ("exact", 0.2, 0.002, 0.001, 0.003),
        ],
        columns=["sampler", "reference_sigma", "value", "low", "high"],
    )
    cvae, exact = published.printed(rows, 10).to_dict("records")
    assert cvae == {
        "sampler": "cVAE",
        "printed": "0.057",
        "ours, 0.5 rad": "0.0500 (0.0490 to 0.0510)",
        "ours, 0.2 rad": "0.0030 (0.0020 to 0.0040)",
    }
    assert exact["printed"] == "–"
    assert published.printed_numbers(rows, 10) == {
        "printed_cvae": "0.057",
        "printed_inn": "0.025",
        "printed_cvae_wide": "0.050",
        "printed_exact_wide": "0.040",
        "printed_cvae_narrow": "0.0030",
        "printed_exact_narrow": "0.0020",
    }


def scores(cvae, exact):
    """Tidy scores of two samplers on one arm, with intervals of 0.001 to either side."""
    rows = [
        (6, name, "e_posterior", value, value - 1e-3, value + 1e-3, 1000, 100)
        for name, value in (("cvae", cvae), ("exact", exact), ("rejection", 0.006))
    ]
    columns = ["dof", "sampler", "quantity", "value", "low", "high", "targets", "samples"]
    return pd.DataFrame(rows, columns=columns)


def test_what_is_left_is_told_where_it_is_above_the_exact_samplers_interval():
    # The authors' values for 6 joints are 0.00871 and 0.01229.
    told = published.left(scores(0.01, exact=0.008))
    assert told == {"left_cvae": "on no arm", "left_inn": "0.0043 with 6 joints"}
    (row,) = published.floor(scores(0.01, exact=0.008)).to_dict("records")
    assert row["exact posterior"] == "0.0080 (0.0070 to 0.0090)"
    assert (row["cVAE, above exact"], row["INN, above exact"]) == ("0.0007", "0.0043")


def test_the_edge_is_told_of_the_nearest_target_with_its_interval():
    edge = pd.DataFrame(
        {
            "gap": [0.05, 0.0037, 0.0037],
            "eps": [0.05, 0.05, 0.01],
            "mmd2": [0.001, 0.006, 0.0001],
            "low": [0.0009, 0.0055, 0.0],
            "high": [0.0011, 0.0062, 0.0002],
        }
    )
    singles = pd.DataFrame([{"dof": 6, "sampler": "exact", "e_posterior": 0.00596}])
    told = published.near_the_edge(edge, singles, get_profile("smoke"))
    assert told["edge"] == "0.37\xa0%"
    assert told["edge_bias"] == "0.0060 (0.0055 to 0.0062)"
    assert told["edge_exact"] == "0.0060"
    shares = told["edge_shares"].removesuffix("\xa0%").replace(" and", ",").split(", ")
    # Of 600 test targets; of the paper's 300,000, 81, 51, 27 and 12 %.
    assert [int(share) for share in shares] == pytest.approx([81, 51, 27, 12], abs=6)
