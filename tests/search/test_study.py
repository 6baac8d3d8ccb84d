import copy
import json
import math
import pickle

import pytest

import ikpaper
from ikpaper.models import CATALOGUE
from ikpaper.profiles import PROFILES
from ikpaper.search import Study, load_studies, space
from ikpaper.training import TrainingRun
from tests.search.studies import finished_study

SMOKE = PROFILES["smoke"]


def test_the_ranges_are_tables_i_and_ii():
    assert CATALOGUE["cvae"].search_ranges is ikpaper.paper.CVAE_RANGES
    assert CATALOGUE["inn"].search_ranges is ikpaper.paper.INN_RANGES
    found = space(ikpaper.paper.INN_RANGES)
    priors = {name: dimension.prior for name, dimension in found.items()}
    assert priors["learning_rate"] == priors["weight_decay"] == "log-uniform"
    assert type(found["neurons"]).__name__ == "Integer"
    for kind in CATALOGUE.values():
        for dof in ikpaper.PlanarArm.PAPER_DOF:
            config = kind.default_config(ikpaper.PlanarArm.paper(dof))
            for parameter, (low, high) in kind.search_ranges.items():
                assert low <= getattr(config, parameter) <= high


def test_trials_are_the_papers():
    study = Study("inn", ikpaper.PlanarArm.paper(6))
    run = study.run({"neurons": 100, "learning_rate": 1e-3})
    assert run.profile.training_samples == ikpaper.paper.SEARCH_SAMPLES
    assert (run.epochs, run.profile.batch) == (60, 1000)
    assert dict(run.changes) == {"neurons": 100, "learning_rate": 1e-3}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"precision": "half"}, "unknown precision 'half'; known: float32, bfloat16"),
        ({"seed": -1}, "seed: expected a whole number of at least 0, got -1"),
        ({"seed": 2**32}, "seed: expected a whole number from 0 to 2.32 - 1, got 4294967296"),
        ({"model": "flow"}, "model 'flow' has no ranges to search"),
    ],
)
def test_bad_settings_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        Study(**{"model": "cvae", "arm": ikpaper.PlanarArm.paper(4), **options})


def test_a_study_pickles_and_copies():
    study = Study("cvae", ikpaper.PlanarArm.paper(4))
    assert pickle.loads(pickle.dumps(study)) == copy.deepcopy(study) == study


def test_whole_numbers_given_as_floats_are_used_as_whole_numbers():
    study = Study("cvae", ikpaper.PlanarArm.paper(4), epochs=3.0, seed=7.0)
    assert study.stamp() == Study("cvae", ikpaper.PlanarArm.paper(4), epochs=3, seed=7).stamp()
    assert study.name == "cvae-04dof-seed7"


def test_names_tell_studies_apart():
    arm = ikpaper.PlanarArm.paper(6)
    studies = [
        Study("cvae", arm),
        Study("inn", arm),
        Study("cvae", ikpaper.PlanarArm.paper(4)),
        Study("cvae", ikpaper.PlanarArm([0.4] * 6)),
        Study("cvae", ikpaper.RailArm([0.5] * 4 + [1.0])),
        Study("cvae", arm, objective="held-out"),
        Study("cvae", arm, method="random"),
        Study("cvae", arm, early_stopping=True),
        Study("cvae", arm, profile=SMOKE),
        Study("cvae", arm, seed=43),
    ]
    assert len({study.name for study in studies}) == len(studies)


def test_versions_are_part_of_what_a_study_is(monkeypatch):
    study = Study("cvae", ikpaper.PlanarArm.paper(4), profile=SMOKE)
    before = study.identity()
    assert before.settings == study.settings()
    assert {"search", "training", "dataset", "cvae"} <= set(before.versions)
    assert "scoring" not in before.versions
    scored = Study("cvae", study.arm, profile=SMOKE, objective="held-out").identity()
    assert "scoring" in scored.versions
    monkeypatch.setattr(CATALOGUE["cvae"], "version", 2)
    assert study.identity().differs(before.record()) == ["version of cvae: 1 -> 2"]


def test_studies_are_found_and_read(tmp_path):
    assert load_studies(tmp_path) == []
    study = finished_study(tmp_path / "b", [3.0, 1.0, math.nan])
    finished_study(tmp_path / "a", [2.0])
    first, second = load_studies(tmp_path)
    assert (first.folder.name, second.folder.name) == ("a", "b")
    assert second.study == study
    assert second.best["trial"] == 2
    assert second.configuration(second.best) == {
        "learning_rate": 2e-3,
        "weight_decay": 1e-5,
        "hidden_layers": 1,
        "neurons": 8,
    }
    assert second.confirmed.empty


def test_where_trials_were_made_is_told_session_by_session(tmp_path):
    finished_study(tmp_path / "study", [2.0])
    (record,) = load_studies(tmp_path)
    assert record.made == ""
    sessions = [
        {"after": after, "provenance": {"revision": revision, "packages": {"torch": "2.13.0"}}}
        for after, revision in enumerate(["abc", "abc", "def"])
    ]
    (tmp_path / "study" / "sessions.json").write_text(json.dumps(sessions))
    assert record.made == "abc, torch 2.13.0; def, torch 2.13.0"
    (tmp_path / "study" / "sessions.json").write_text("[")
    with pytest.raises(ValueError, match=r"sessions\.json is damaged: .*; restore it"):
        assert record.made


def test_runs_of_trials_are_training_runs():
    study = Study("cvae", ikpaper.PlanarArm.paper(4), profile=SMOKE, epochs=3)
    run = study.run({"neurons": 9})
    assert isinstance(run, TrainingRun)
    assert run.build().config.neurons == 9
    assert run.epochs == 3
