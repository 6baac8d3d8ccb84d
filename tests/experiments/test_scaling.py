import pandas as pd
import pytest

from ikpaper.arm import PlanarArm
from ikpaper.evaluation import Task
from ikpaper.experiments.scaling import experiment, full_experiment


def test_arms_are_trained_and_scored_once(project):
    settings = {"profile": "smoke", "targets": 3}
    first = experiment([3], **settings).run()
    both = experiment([5, 3], **settings).run()
    assert list(both["dof"]) == [3, 5]
    # The arm that was there keeps its row, measured times and all.
    assert both.iloc[0].to_dict() == first.iloc[0].to_dict()
    kept = pd.read_csv(project / ".cache" / "scaling-smoke.csv")
    assert list(kept["dof"]) == [3, 5]
    assert (kept["mmd2"] < kept["mmd2_prior"]).all()
    assert (kept[["samples_per_second", "exact_samples_per_second"]] > 0).all(axis=None)
    assert kept["parameters"].is_monotonic_increasing


def test_training_and_scores_decide_a_row():
    (job,) = experiment([4], profile="smoke", targets=3).jobs
    (other,) = experiment([4], profile="smoke", targets=4).jobs
    (model,) = experiment([4], model="cvae", profile="smoke", targets=3).jobs
    (same,) = experiment([4], profile="smoke", targets=3).jobs
    assert job.identity.key == same.identity.key
    assert len({job.identity.key, other.identity.key, model.identity.key}) == 3
    assert {"training", "scoring", "metrics", "dataset", "exact", "prior", "flow"} == set(
        job.identity.versions
    )


def test_a_profile_without_the_model_is_refused():
    with pytest.raises(ValueError, match="profile: 'cgan' has epochs for"):
        experiment([4], model="cgan", profile="quick")


@pytest.mark.filterwarnings("ignore:.* have not converged")
def test_trainings_in_full_stand_beside_exact_samples(project):
    settings = {"trainings": ((1, 8), (2, 16)), "steps": (1, 4), "profile": "smoke", "targets": 3}
    rows = full_experiment([5], **settings).run()
    names = ["sampler", "epochs", "neurons", "steps", "refine"]
    assert rows[names].fillna(-1).values.tolist() == [
        ["exact", 0, 0, -1, 0],
        *(["flow", 1, 8, 16, refine] for refine in (0, 3)),
        *(["flow", 2, 16, steps, refine] for steps in (1, 4) for refine in (0, 3)),
    ]
    # Targets that the test rejects are counted in pairs with those of exact samples.
    exact, flow = rows.iloc[0], rows.iloc[1:]
    more = (flow["only_this"] - flow["only_exact"]) / 3
    assert more.tolist() == pytest.approx((flow["rejected"] - exact["rejected"]).tolist())
    assert (flow.loc[flow["refine"] == 3, "e_resim"].to_numpy() < 0.1).all()
    task = Task.random(PlanarArm.like_paper(5), 3, samples=exact["samples"], sigma=0.2)
    assert exact["mmd2"] == task.score(task.truth, permutations=99).mean("mmd2")
    # What is there is kept, times and all.
    assert full_experiment([5], **settings).run().equals(rows)


def test_published_trainings_in_full_are_those_of_the_flow():
    jobs = full_experiment().jobs
    assert {job.place["dof"] for job in jobs} == {16, 32}
    assert {job.place["sampler"] for job in jobs} == {"exact", "flow"}
    assert len({job.identity.key for job in jobs}) == len(jobs)
