import numpy as np
import pandas as pd
import pytest

from ikpaper.report.plots import calibration


def test_a_cell_is_the_power_of_a_check_and_the_last_column_the_test_with_exact_samples():
    rows = pd.DataFrame(
        [
            ("prior", 0, 4, "sbc", 0.1, 1.0),
            ("prior", 0, 4, "tarp", 0.2, 1.0),
            ("inn", 0, 6, "sbc", 0.3, 0.9),
            ("inn", 0, 6, "tarp", 0.4, 0.9),
        ],
        columns=["sampler", "refine", "dof", "check", "power_100", "rejected"],
    )
    figure = calibration.power(rows, 100, {"tarp": "TARP", "sbc": "SBC"})
    four, six = (ax for ax in figure.axes if ax.get_title())
    assert [text.get_text() for text in four.get_yticklabels()] == ["prior", "INN"]
    assert [text.get_text() for text in six.get_xticklabels()] == ["TARP", "SBC", "exact samples"]
    shown = [np.ma.filled(ax.images[0].get_array(), np.nan) for ax in (four, six)]
    # A sampler that an arm does not have is blank.
    assert shown[0] == pytest.approx(np.array([[0.2, 0.1, 1.0], [np.nan] * 3]), nan_ok=True)
    assert shown[1] == pytest.approx(np.array([[np.nan] * 3, [0.4, 0.3, 0.9]]), nan_ok=True)
