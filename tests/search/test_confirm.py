import dataclasses
import math

import pandas as pd
import pytest

import ikpaper
from ikpaper.evaluation import PaperProtocol
from ikpaper.profiles import PROFILES
from ikpaper.search import AS_PRINTED, StudyRecord, Trial, confirm, confirmed
from ikpaper.training import TrainingRun, train
from tests.search.studies import finished_study

SMOKE = PROFILES["smoke"]
# No study's own: what is trained with it is no trial.
OTHER = dataclasses.replace(SMOKE, samples=1800)


@pytest.fixture(autouse=True)
def project(tmp_path, monkeypatch):
    """A folder in place of the checkout, for weights."""
    monkeypatch.setattr("ikpaper.experiments.runner.project_root", lambda: tmp_path)


def test_trials_are_confirmed_once(tmp_path, monkeypatch, capsys):
    folder = tmp_path / "study"
    finished_study(folder, [3.0, 1.0, math.nan, 2.0, 4.0, 5.0])
    options = {"profile": OTHER}
    best = confirm(folder, **options)
    assert set(best["trial"]) == {2}
    assert {"e_posterior", "mmd2", "e_resim", "loss"} <= set(best["quantity"])
    assert set(best["profile"]) == {"smoke"}
    assert set(best["objective"]) == {1.0}
    three = confirm(folder, count=3, **options)
    assert list(dict.fromkeys(three["trial"])) == [2, 1, 6]
    pd.testing.assert_frame_equal(StudyRecord(folder).confirmed, three)
    with monkeypatch.context() as patch:
        patch.setattr(TrainingRun, "build", lambda *_: pytest.fail("trained again"))
        pd.testing.assert_frame_equal(confirm(folder, count=3, **options), three)
    # What was trained is what the trial says.
    run = TrainingRun.of(
        *("cvae", 4),
        profile=OTHER,
        neurons=8,
        hidden_layers=1,
        weight_decay=1e-5,
        learning_rate=2e-3,
    )
    model, _ = train(run, directory=tmp_path / "other")
    wanted = PaperProtocol(run.arm, OTHER).score({"cvae": model}).set_index("quantity")["value"]
    value = best.set_index("quantity")["value"]
    assert value["mmd2"] == pytest.approx(wanted["mmd2"])
    with pytest.raises(ValueError, match="has 5 trials that ended well, got 6"):
        confirm(folder, count=6, **options)
    with pytest.raises(ValueError, match="holds no trials"):
        confirm(tmp_path, **options)


def test_rows_that_are_not_current_are_kept_until_fresh(tmp_path, monkeypatch, capsys):
    folder = tmp_path / "study"
    finished_study(folder, [1.0, 2.0])
    path = folder / "confirmed.csv"
    row = {"trial": 1, "objective": 1.0, "profile": "smoke", "quantity": "mmd2", "value": 0.5}
    # From before there were keys.
    pd.DataFrame([row, {**row, "trial": 2}]).to_csv(path, index=False)
    options = {"profile": OTHER}
    assert confirm(folder, **options)["value"].tolist() == [0.5]
    assert "trial 1, smoke: kept, though it differs (no identity" in capsys.readouterr().err
    assert len(confirm(folder, fresh=True, **options)) > 1
    assert StudyRecord(folder).confirmed.query("trial == 2")["value"].tolist() == [0.5]

    def standing(profile=OTHER):
        trials = confirmed(StudyRecord(folder), [(1, profile), (2, profile)])
        return [state.reason for state in trials.states()]

    assert standing() == ["", "no identity on record"]
    # Whatever decides a row is in its key.
    assert standing(dataclasses.replace(OTHER, exact_targets=2))[0].startswith("setting exact: ")
    monkeypatch.setattr("ikpaper.models.CVAE.version", 99)
    assert standing()[0] == "version of cvae: 1 -> 99"
    # By default, what the table has is asked for.
    jobs = confirmed(StudyRecord(folder)).jobs
    assert [(job.place["trial"], job.place["profile"]) for job in jobs] == [
        (1, "smoke"), (2, "smoke")
    ]  # fmt: skip


def test_what_the_slides_print_is_confirmed_as_a_trial(tmp_path):
    folder = tmp_path / "study"
    study = finished_study(folder, [1.0, 2.0])
    options = {"printed": True, "profile": "smoke"}
    rows = confirm(folder, **options)
    assert set(rows["trial"]) == {AS_PRINTED}
    # With the profile of the study, its loss is the objective of a trial with that setting.
    printed = {name: ikpaper.paper.CVAE_TABLE[4][name] for name in study.bounds}
    *_, last = Trial(study, printed).reports()
    value = rows.set_index("quantity")["value"]
    assert value["loss"] == last["objective"]
    assert value["loss: reconstruction"] + value["loss: kl"] == pytest.approx(value["loss"])
    finished_study(tmp_path / "other", [1.0], ikpaper.PlanarArm([0.4] * 4))
    with pytest.raises(ValueError, match="hyperparameters for their own arms, not for"):
        confirm(tmp_path / "other", **options)


@pytest.mark.parametrize("profile", [SMOKE, OTHER], ids=["as a trial", "as published"])
def test_divergence_is_a_row(profile, tmp_path):
    folder = tmp_path / "study"
    finished_study(folder, [1.0])
    table = pd.read_csv(folder / "trials.csv").assign(learning_rate=1e9)
    table.to_csv(folder / "trials.csv", index=False)
    rows = confirm(folder, profile=profile)
    assert rows["quantity"].tolist() == ["diverged"]
