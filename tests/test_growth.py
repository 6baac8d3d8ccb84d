import pandas as pd
import pytest

from ikpaper.growth import run_growth


def test_arms_are_trained_and_judged_once(tmp_path):
    settings = {
        "profile": "smoke",
        "targets": 3,
        "table": tmp_path / "growth.csv",
        "root": tmp_path,
    }
    first = run_growth([3], **settings)
    both = run_growth([5, 3], **settings)
    assert list(both["dof"]) == [3, 5]
    # The arm that was there keeps its row, measured times and all.
    assert both.iloc[0].to_dict() == first.iloc[0].to_dict()
    kept = pd.read_csv(settings["table"])
    assert list(kept["dof"]) == [3, 5]
    assert (kept["mmd2"] < kept["mmd2_prior"]).all()
    assert (kept[["samples_per_second", "exact_samples_per_second"]] > 0).all(axis=None)
    assert kept["parameters"].is_monotonic_increasing


def test_a_profile_without_the_model_is_refused(tmp_path):
    with pytest.raises(ValueError, match="no epochs for 'cgan'"):
        run_growth([4], model="cgan", profile="quick", table=tmp_path / "t.csv", root=tmp_path)
