import pandas as pd
import pytest

import ikpaper
from ikpaper import projection
from ikpaper.evaluation import Task
from ikpaper.experiments import published
from ikpaper.experiments.published import COLUMNS, published_jobs, published_table
from ikpaper.experiments.runner import run_jobs
from ikpaper.models import Flow
from ikpaper.profiles import PROFILES
from ikpaper.progress import Progress
from ikpaper.training import TrainingRun, train
from ikpaper.weights import load_with_record


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """Folder with what a smoke training of a flow and its student gives."""
    folder = tmp_path_factory.mktemp("weights")
    for name in ("flow", "flow-fast"):
        train(TrainingRun.of(name, 4, profile="smoke"), directory=folder)
    return folder


@pytest.fixture
def jobs(weights):
    return lambda **changes: [
        job
        for job in published_jobs(
            [4],
            **{"targets": 2, "samples": 20, **changes},
            profile="smoke",
            directory=weights,
        )
        if job.place["at"] == "random"
    ]


# What a smoke training gives is far from the target, and some of it stays there.
@pytest.mark.filterwarnings("ignore:.* have not converged")
def test_published_samplers_are_scored_once(jobs, tmp_path):
    path = tmp_path / "t.csv"
    table = run_jobs(jobs(), published_table(path=path))
    both = ("prior", "lookup", "lookup-large", "flow-guess", "flow", "flow-fast")
    assert list(zip(table["sampler"], table["refine"], strict=True)) == [
        ("exact", 0),
        ("rejection", 0),
        ("numerical", 0),
        *((name, steps) for name in both for steps in (0, 3)),
    ]
    assert tuple(table.columns) == COLUMNS
    rows = table.set_index(["sampler", "refine"])
    # A student's training takes its teacher's too.
    assert rows["training_seconds"]["flow-fast", 0] > rows["training_seconds"]["flow", 0] > 0
    # After steps, only of what nobody would use without them.
    unchecked = [("flow", 3), ("flow-guess", 3)]
    assert (rows["checks"].drop(unchecked) == 2).all()
    assert (rows["checks"].loc[unchecked] == 0).all()
    # Pairs count the same targets as the shares do.
    more = rows["only_this"] - rows["only_exact"]
    shares = rows["rejected"] - rows["rejected"]["exact", 0]
    assert (more / 2).tolist() == pytest.approx(shares.tolist())
    # What is measured is kept: the rates would differ.
    again = run_jobs(jobs(), published_table(path=path))
    assert list(again["samples_per_second"]) == list(pd.read_csv(path)["samples_per_second"])


@pytest.mark.filterwarnings("ignore:.* have not converged")
def test_rows_are_those_of_the_samplers_alone(jobs, weights):
    job = next(job for job in jobs(samples=40) if job.place["sampler"] == "flow")
    plain, refined = job.measure(Progress(1.0))
    arm = ikpaper.PlanarArm.paper(4)
    flow = load_with_record("flow", arm, PROFILES["smoke"], 42, weights)[0]
    task = Task.random(arm, 2, samples=40)
    assert plain["mmd2"] == task.score(flow, permutations=99).mean("mmd2")
    assert refined["mmd2"] == task.score(ikpaper.Refined(flow, 3), permutations=99).mean("mmd2")


def test_exact_sampler_and_flow_have_rows_of_many_samples(weights, tmp_path):
    jobs = [
        job
        for job in published_jobs([4], targets=2, samples=30, profile="smoke", directory=weights)
        if job.place["at"] == "many samples"
    ]
    assert [job.place["sampler"] for job in jobs] == ["exact", "flow"]
    table = run_jobs(jobs, published_table(path=tmp_path / "t.csv"))
    assert table[["refine", "samples", "targets", "checks"]].values.tolist() == [[0, 300, 2, 0]] * 2
    # The same targets as those of the other rows.
    task = Task.random(ikpaper.PlanarArm.paper(4), 2, samples=300)
    assert table["mmd2"][0] == task.score(task.truth, permutations=99).mean("mmd2")


def test_at_the_slides_targets_there_are_rows_too(weights):
    # The slides show a target for 6 and 10 joints, and none for 4.
    found = list(published_jobs([4, 6], targets=2, samples=20, profile="smoke", directory=weights))
    at = {(job.place["dof"], job.place["at"]) for job in found}
    everywhere = {(dof, name) for dof in (4, 6) for name in ("random", "many samples")}
    assert at == everywhere | {(6, "slides")}
    labels = [job.label for job in found]
    assert labels[0] == "exact 4 DoF, random targets"
    assert "exact 6 DoF, slides targets" in labels
    assert len(set(labels)) == len(labels)


def _keys(jobs):
    return {job.place["sampler"]: job.identity.key for job in jobs}


def test_what_a_row_is_made_of_decides_its_key_and_nothing_else(jobs, monkeypatch):
    before = _keys(jobs())
    assert before == _keys(jobs())
    assert not set(before.values()) & set(_keys(jobs(targets=3)).values())
    monkeypatch.setattr(Flow, "version", 2)
    changed = {name for name, key in _keys(jobs()).items() if key != before[name]}
    assert changed == {"flow", "flow-guess"}
    monkeypatch.setattr(Flow, "version", 1)
    monkeypatch.setattr(projection, "VERSION", projection.VERSION + 1)
    changed = {name for name, key in _keys(jobs()).items() if key != before[name]}
    assert changed == {"prior", "lookup", "lookup-large", "flow-guess", "flow", "flow-fast"}


def test_other_weights_have_other_keys(jobs, monkeypatch):
    before = _keys(jobs())
    complete = published.load_record

    def other(path):
        record = complete(path)
        return record and {**record, "sha256": "0" * 64}

    monkeypatch.setattr(published, "load_record", other)
    after = _keys(job for job in jobs() if job.place["sampler"] in ("flow", "prior"))
    assert after["prior"] == before["prior"]
    assert after["flow"] != before["flow"]


def test_other_numbers_of_targets_have_a_table_of_their_own():
    assert published_table().path.name == "benchmark.csv"
    other = published_table(2).path
    assert (other.name, other.parent.name) == ("benchmark-2.csv", ".cache")


def test_rates_are_measured_anew_in_one_run(tmp_path, monkeypatch):
    path = tmp_path / "t.csv"
    columns = dict.fromkeys(COLUMNS, 0)
    rows = [
        {**columns, "sampler": name, "dof": 4, "refine": steps, "at": at, "mmd2": 0.25, "key": "k"}
        for name, steps, at in (
            *(("prior", 0, "random"), ("prior", 3, "random"), ("prior", 0, "slides")),
            ("sampler of another one", 0, "random"),
        )
    ]
    pd.DataFrame(rows).to_csv(path, index=False)
    asked = []

    def rate(self, sampler, targets):
        asked.append((type(sampler).__name__, targets))
        return 5.0

    monkeypatch.setattr(Task, "rate", rate)
    published.time_published(dofs=[4], table=path, directory=tmp_path)
    found = pd.read_csv(path).set_index(["sampler", "refine", "at"])
    assert asked == [("Prior", 10), ("Refined", 10)]
    rates = found["samples_per_second"]
    assert (rates["prior", 0, "random"], rates["prior", 3, "random"]) == (5.0, 5.0)
    assert rates["prior", 0, "slides"] == rates["sampler of another one", 0, "random"] == 0
    assert set(found["key"]) == {"k"}
    assert set(found["mmd2"]) == {0.25}
