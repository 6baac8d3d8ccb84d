import pandas as pd
import pytest

from ikpaper.experiments.scaling import run_scaling, scaling_jobs


def test_arms_are_trained_and_scored_once(tmp_path):
    settings = {
        "profile": "smoke",
        "targets": 3,
        "table": tmp_path / "scaling.csv",
        "root": tmp_path,
    }
    first = run_scaling([3], **settings)
    both = run_scaling([5, 3], **settings)
    assert list(both["dof"]) == [3, 5]
    # The arm that was there keeps its row, measured times and all.
    assert both.iloc[0].to_dict() == first.iloc[0].to_dict()
    kept = pd.read_csv(settings["table"])
    assert list(kept["dof"]) == [3, 5]
    assert (kept["mmd2"] < kept["mmd2_prior"]).all()
    assert (kept[["samples_per_second", "exact_samples_per_second"]] > 0).all(axis=None)
    assert kept["parameters"].is_monotonic_increasing


def test_training_and_scores_decide_a_row():
    (job,) = scaling_jobs([4], profile="smoke", targets=3)
    (other,) = scaling_jobs([4], profile="smoke", targets=4)
    (model,) = scaling_jobs([4], model="cvae", profile="smoke", targets=3)
    assert job.identity.key == scaling_jobs([4], profile="smoke", targets=3)[0].identity.key
    assert len({job.identity.key, other.identity.key, model.identity.key}) == 3
    assert {"training", "scoring", "metrics", "dataset", "exact", "prior", "flow"} == set(
        job.identity.versions
    )


def test_a_profile_without_the_model_is_refused(tmp_path):
    with pytest.raises(ValueError, match="profile: 'cgan' has epochs for"):
        run_scaling([4], model="cgan", profile="quick", table=tmp_path / "t.csv", root=tmp_path)
