import pandas as pd

from ikpaper.report.tables.base import (
    by_sampler,
    formatted,
    interval,
    label,
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


def test_values_lie_below_among_or_above_a_spread():
    spread = pd.DataFrame({"min": [1.0] * 4, "max": [2.0] * 4})
    found = sides(pd.Series([0.5, 1.0, 2.0, 2.5]), spread)
    assert list(found) == ["below", "among", "among", "above"]
    # In this order also where a side has none.
    assert list(sides(pd.Series([3.0]), spread[:1]).cat.categories) == ["below", "among", "above"]


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
