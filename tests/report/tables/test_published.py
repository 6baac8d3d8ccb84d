import pandas as pd

from ikpaper.report.tables import published


def test_a_schedule_is_read_off_the_record():
    rates = [1e-3] * 30 + [5e-5] * 24 + [1e-9] * 6
    history = [{"epoch": i, "learning_rate": rate} for i, rate in enumerate(rates, 1)]
    records = {4: {"history": history, "training": {"epochs": 60}}}
    (row,) = published.schedule(records).to_dict("records")
    assert (row["DoF"], row["first lowered after epoch"]) == (4, 31)
    # The ramp of epoch 31 of 60: 2 * 0.002^(1 - 30/60).
    assert row["weight of L_p(x) then"] == "9\xa0%"
    # 2 * 0.002^(1 - 54/60) is above 1; that of epoch 54 is not.
    assert row["full weight from epoch"] == 55
    # The rate of an epoch is what stands at the end of the one before.
    assert (row["rate then"], row["rate at the end"]) == ("5.0\xa0·\xa010⁻⁵", "1.0\xa0·\xa010⁻⁹")
    assert published.schedule_numbers(records) == {
        "lowered": "31",
        "lowered_weight": "9 %",
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
