import pandas as pd

from ikpaper.report.tables.base import (
    by_sampler,
    formatted,
    interval,
    label,
    over_seeds,
    reported,
    sides,
)


def test_cells_are_made_of_one_column_or_of_several():
    rows = [
        {"sampler": "cvae", "dof": 4, "m": 0.01234, "m_low": 0.011, "m_high": 0.0136},
        {"sampler": "of my own", "dof": 6, "m": float("nan"), "m_low": 0.0, "m_high": 0.0},
    ]
    columns = {
        "sampler": ("sampler", label),
        "DoF": "dof",
        "MMD²": interval("m"),
        "short": ("m", 1),
        "both": ("dof", "m_low", "{} above {:.2f}"),
    }
    assert formatted(rows, columns).to_dict("list") == {
        "sampler": ["cVAE", "of my own"],
        "DoF": [4, 6],
        "MMD²": ["0.0123 (0.0110 to 0.0136)", "–"],
        "short": ["0.01", "–"],
        "both": ["4 above 0.01", "6 above 0.00"],
    }


def test_labels():
    assert (label("inn"), label("of my own")) == ("INN", "of my own")


def test_ranges_lie_below_among_or_above_others():
    others = pd.DataFrame({"min": [1.0] * 6, "max": [2.0] * 6})
    low = pd.Series([0.5, 1.0, 2.0, 2.5, 0.5, 0.5])
    ranges = pd.DataFrame({"min": low, "max": low + pd.Series([0, 0, 0, 0, 0.4, 2.5])})
    found = sides(ranges, others)
    assert list(found) == ["below", "among", "among", "above", "below", "among"]
    # In this order also where a side has none.
    assert list(sides(ranges[3:4], others[3:4]).cat.categories) == ["below", "among", "above"]


def test_a_score_ranges_over_the_published_run_and_those_that_were_repeated():
    scores = pd.DataFrame(
        {
            "profile": "paper",
            "dof": 8,
            "sampler": ["cvae", "inn", "prior"],
            "quantity": "mmd2",
            "value": [1.0, 4.0, 9.0],
            "low": 0.0,
            "high": 9.0,
            "targets": 2,
            "samples": 3,
        }
    )
    rows = [(42, 1.0), (43, 0.5), (44, 2.0)]
    runs = pd.DataFrame(rows, columns=["seed", "value"])
    runs = runs.assign(profile="paper", dof=8, sampler="cvae", quantity="mmd2")
    other = [
        runs.assign(dof=6, value=7.0),
        runs.assign(profile="quick", value=7.0),
        runs.assign(quantity="e_posterior", value=7.0),
    ]
    found = over_seeds(scores, pd.concat([runs, *other]), "mmd2")
    assert found.to_dict("index") == {
        (8, "cvae"): {"min": 0.5, "max": 2.0, "runs": 3},
        (8, "inn"): {"min": 4.0, "max": 4.0, "runs": 1},
    }


def test_a_row_a_sampler_in_the_order_of_the_scores():
    quantities = {"inn": {"e_resim": 2.0, "e_resim_test": 3.0}, "exact": {"e_resim": 1.0}}
    scores = pd.DataFrame(
        {
            "dof": dof,
            "sampler": name,
            "quantity": quantity,
            "value": value,
            "low": value - 1,
            "high": value + 1,
            "targets": 5,
            "samples": 7,
        }
        for dof in (10, 4)
        for name, values in quantities.items()
        for quantity, value in values.items()
    )
    wide = by_sampler(scores)
    assert list(wide.index) == [(10, "inn"), (10, "exact"), (4, "inn"), (4, "exact")]
    # One sample a test target where that was measured, else the other protocol.
    assert list(wide.loc[4, "e_resim_best"]) == [3.0, 1.0]
    assert list(wide.loc[4, "e_resim_best_high"]) == [4.0, 2.0]
    assert wide.loc[(4, "inn"), "e_resim_targets"] == 5
    assert pd.isna(wide.loc[(4, "exact"), "e_resim_test"])


def test_every_reported_number_has_one_place():
    for sources in (("report_figure",), ("authors_results",), ("slides", "report")):
        assert reported(*sources).index.is_unique
    assert reported("slides", "report")["hull_perimeter", 10, "inn"] == 1.15
