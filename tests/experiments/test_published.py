import pandas as pd
import pytest

import ikpaper
from ikpaper import projection
from ikpaper.evaluation import Task
from ikpaper.experiments import published
from ikpaper.experiments.published import COLUMNS, experiment
from ikpaper.experiments.runner import Experiment
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
def small(weights, project, monkeypatch):
    """A small experiment with these weights, or what it has at targets of one kind."""
    monkeypatch.setenv("IKPAPER_WEIGHTS", str(weights))

    def of(dofs=(4,), at=None, **changes):
        whole = experiment(dofs, **{"targets": 2, "samples": 20, "profile": "smoke", **changes})
        jobs = [job for job in whole.jobs if at in (None, job.place["at"])]
        return Experiment(jobs, whole.table)

    return of


@pytest.fixture
def jobs(small):
    return lambda **changes: small(at="random", **changes).jobs


# What a smoke training gives is far from the target, and some of it stays there.
@pytest.mark.filterwarnings("ignore:.* have not converged")
def test_published_samplers_are_scored_once(small, project):
    table = small(at="random").run()
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
    again = small(at="random").run()
    saved = pd.read_csv(project / ".cache" / "benchmark-2.csv")
    assert list(again["samples_per_second"]) == list(saved["samples_per_second"])


@pytest.mark.filterwarnings("ignore:.* have not converged")
def test_rows_are_those_of_the_samplers_alone(jobs, weights):
    job = next(job for job in jobs(samples=40) if job.place["sampler"] == "flow")
    plain, refined = job.measure(Progress(1.0), False)
    arm = ikpaper.PlanarArm.paper(4)
    flow = load_with_record("flow", arm, PROFILES["smoke"], 42, weights)[0]
    task = Task.random(arm, 2, samples=40)
    assert plain["mmd2"] == task.score(flow, permutations=99).mean("mmd2")
    assert refined["mmd2"] == task.score(ikpaper.Refined(flow, 3), permutations=99).mean("mmd2")


def test_exact_sampler_and_flow_have_rows_of_many_samples(small):
    table = small(at="many samples", samples=30).run()
    assert list(table["sampler"]) == ["exact", "flow"]
    assert table[["refine", "samples", "targets", "checks"]].values.tolist() == [[0, 300, 2, 0]] * 2
    # The same targets as those of the other rows.
    task = Task.random(ikpaper.PlanarArm.paper(4), 2, samples=300)
    assert table["mmd2"][0] == task.score(task.truth, permutations=99).mean("mmd2")


def test_at_the_slides_targets_there_are_rows_too(small):
    # The slides show a target for 6 and 10 joints, and none for 4.
    found = small([4, 6]).jobs
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
    assert experiment().table.path.name == "benchmark.csv"
    other = experiment(targets=2).table.path
    assert (other.name, other.parent.name) == ("benchmark-2.csv", ".cache")


def test_rates_are_measured_anew_in_one_run(project, monkeypatch):
    path = experiment().table.path
    path.parent.mkdir(parents=True)
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
    published.time_published([4])
    found = pd.read_csv(path).set_index(["sampler", "refine", "at"])
    assert asked == [("Prior", 10), ("Refined", 10)]
    rates = found["samples_per_second"]
    assert (rates["prior", 0, "random"], rates["prior", 3, "random"]) == (5.0, 5.0)
    assert rates["prior", 0, "slides"] == rates["sampler of another one", 0, "random"] == 0
    assert set(found["key"]) == {"k"}
    assert set(found["mmd2"]) == {0.25}
