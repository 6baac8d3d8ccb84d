import pandas as pd
import pytest

from ikpaper.report.tables.base import (
    NAME,
    by_sampler,
    extent,
    formatted,
    interval,
    joined,
    label,
    reported,
    rounded,
)


def test_cells_are_made_of_one_column_or_of_several():
    rows = [
        {"sampler": "cvae", "dof": 4, "m": 0.01234, "m_low": 0.011, "m_high": 0.0136},
        {"sampler": "of my own", "dof": 6, "m": float("nan"), "m_low": 0.0, "m_high": 0.0},
    ]
    columns = {"sampler": NAME, "DoF": "dof", "MMD²": interval("m"), "short": ("m", rounded(1))}
    assert formatted(rows, columns).to_dict("list") == {
        "sampler": ["cVAE", "of my own"],
        "DoF": [4, 6],
        "MMD²": ["0.0123 (0.011 to 0.014)", "–"],
        "short": ["0.01", "–"],
    }


@pytest.mark.parametrize(
    ("words", "text"), [([], ""), ([4], "4"), ([4, 6], "4 and 6"), ((4, 6, 8), "4, 6 and 8")]
)
def test_words_are_listed(words, text):
    assert joined(words) == text


def test_extent_and_labels():
    assert extent([0.5, 0.0123, 3]) == "0.012 to 3.0"
    assert (label("inn"), label("of my own")) == ("INN", "of my own")


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
