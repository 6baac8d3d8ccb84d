import contextlib
import dataclasses
import json
import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import psutil
import pytest
import torch

import ikpaper
from ikpaper import files, search
from ikpaper.cli import main
from ikpaper.evaluation import Scorer, evaluate
from ikpaper.models import CATALOGUE, build
from ikpaper.profiles import PROFILES
from ikpaper.search import Study, StudyRecord, confirm, held_out, load_studies, run_study, space
from ikpaper.training import TrainingRun, train

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
SMOKE = PROFILES["smoke"]
# No study's own: what is trained with it is no trial.
OTHER = dataclasses.replace(SMOKE, name="other")
STUDY = ["search", "--model", "cvae", "--dof", "4", "--profile", "smoke", "--epochs", "2"]
# Small networks, so that trials take as long as a test allows.
SMALL = ["--range", "neurons", "8", "64", "--range", "hidden_layers", "1", "3"]


def start(*arguments, **options):
    # A process of its own: Ray listens where the first import in a process says.
    return subprocess.Popen(
        [sys.executable, "-m", "ikpaper.cli", *STUDY, *SMALL, *map(str, arguments)],
        cwd=ROOT,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


def finished(folder):
    path = folder / "trials.csv"
    return pd.read_csv(path) if path.exists() else pd.DataFrame()


def test_the_ranges_are_tables_i_and_ii():
    assert CATALOGUE["cvae"].search_ranges is ikpaper.paper.CVAE_RANGES
    assert CATALOGUE["inn"].search_ranges is ikpaper.paper.INN_RANGES
    found = space(ikpaper.paper.INN_RANGES)
    priors = {name: dimension.prior for name, dimension in found.items()}
    assert priors["learning_rate"] == priors["weight_decay"] == "log-uniform"
    assert type(found["neurons"]).__name__ == "Integer"
    for name, kind in CATALOGUE.items():
        for dof in ikpaper.PlanarArm.PAPER_DOF:
            config = build(name, dof=dof).config
            for parameter, (low, high) in kind.search_ranges.items():
                assert low <= getattr(config, parameter) <= high


def test_trials_are_the_papers():
    study = Study("inn", ikpaper.PlanarArm.paper(6))
    run = study.run({"neurons": 100, "learning_rate": 1e-3})
    assert run.profile.training_samples == ikpaper.paper.SEARCH_SAMPLES
    assert (run.epochs, run.profile.batch) == (60, 1000)
    assert dict(run.changes) == {"neurons": 100, "learning_rate": 1e-3}


def test_held_out_is_one_for_the_prior_and_weighs_both_scores():
    arm = ikpaper.PlanarArm.paper(4)
    scorer = Scorer(arm, SMOKE)
    assert held_out(scorer, ikpaper.Prior(arm, 0.2))["objective"] == pytest.approx(1.0)
    own, prior = (
        evaluate(
            sampler,
            scorer.exact_targets,
            scorer.exact_samples,
            arm=arm,
            unbiased=True,
            generator=torch.Generator().manual_seed(0),
        )
        for sampler in (build("cvae", dof=4), ikpaper.Prior(arm, 0.2))
    )
    shares = [own[name].mean() / prior[name].mean() for name in ("mmd2", "resimulation_error")]
    found = held_out(scorer, build("cvae", dof=4))
    assert found["objective"] == pytest.approx(math.sqrt(shares[0] * shares[1]))
    assert found["mmd2_exact"] == pytest.approx(own["mmd2"].mean())
    # The exact sampler reaches what the samples resolve.
    assert held_out(scorer, scorer.exact())["objective"] < 1e-10


def test_a_study_is_run_killed_and_continued(tmp_path):
    folder = tmp_path / "study"
    process = start("--trials", 6, "--epochs", 40, "--folder", folder)
    deadline = time.monotonic() + 240
    while len(finished(folder)) < 2:
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < deadline
        time.sleep(0.1)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    before = finished(folder)
    process = start("--trials", len(before) + 2, "--epochs", 40, "--folder", folder)
    _, log = process.communicate(timeout=240)
    assert process.returncode == 0, log
    record = StudyRecord(folder)
    table = record.trials
    study = Study(
        "cvae",
        ikpaper.PlanarArm.paper(4),
        profile=SMOKE,
        epochs=40,
        ranges={**ikpaper.paper.CVAE_RANGES, "neurons": (8, 64), "hidden_layers": (1, 3)},
    )
    assert record.study == study
    assert table["trial"].tolist() == list(range(1, len(before) + 3))
    pd.testing.assert_frame_equal(table[: len(before)], before)
    assert table["learning_rate"].is_unique
    assert set(table["outcome"]) == {"trained"}
    assert f"[{len(table)}/{len(table)}]" in log
    assert "Traceback" not in log
    # The objective is the loss of the very training run that the row describes.
    row = table.iloc[-1]
    _, trained = train(study.run(record.configuration(row)), directory=tmp_path / "weights")
    loss = sum(trained["history"][-1]["terms"].values())
    assert row["objective"] == pytest.approx(loss, rel=1e-3)


def test_nothing_is_left_in_home_and_nobody_else_can_connect(tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    process = start(
        *("--trials", 9, "--objective", "held-out", "--early-stopping", "--method", "random"),
        *("--epochs", 9),
        *("--folder", tmp_path / "study"),
        env={**os.environ, "HOME": str(home)},
    )
    addresses = set()
    while process.poll() is None:
        addresses |= listening(process.pid)
        time.sleep(0.2)
    assert process.returncode == 0, process.stderr.read()
    assert addresses
    assert addresses <= {"127.0.0.1", "::ffff:127.0.0.1", "::1"}
    # Libraries keep caches there; what is meant is results, tokens and logs.
    assert not {path.name for path in home.iterdir()} - {".cache", ".config"}
    assert not list(Path("/tmp").glob(f"ikpaper-{process.pid}-*"))
    table = StudyRecord(tmp_path / "study").trials
    assert set(table["cpus"]) == {1.0}
    scored = table["objective"].notna()
    assert table["mmd2_exact"].notna().equals(scored)
    assert set(table["outcome"][~scored]) == {"stopped: lagging"}
    assert set(table["outcome"][scored]) == {"trained"}


def listening(root):
    """Addresses on which the descendants of a process listen."""
    found = set()
    with contextlib.suppress(psutil.Error):
        for process in psutil.Process(root).children(recursive=True):
            with contextlib.suppress(psutil.Error):
                found |= {
                    connection.laddr.ip
                    for connection in process.net_connections(kind="tcp")
                    if connection.status == psutil.CONN_LISTEN
                }
    return found


def finished_study(folder, objectives, arm=None):
    """The folder of a study whose trials ended with these objectives."""
    arm = arm or ikpaper.PlanarArm.paper(4)
    study = Study("cvae", arm, profile=SMOKE, epochs=2)
    rows = [
        {
            "trial": i,
            "objective": value,
            "loss": value,
            "outcome": "trained",
            "learning_rate": 1e-3 * i,
            "hidden_layers": 1,
            "neurons": 8,
            "weight_decay": 1e-5,
            "epochs": 2,
            "seconds": 1.0,
            "cpus": 1.0,
            "gpus": 0.0,
            "seed": 42,
            "profile": "smoke",
        }
        for i, value in enumerate(objectives, 1)
    ]
    folder.mkdir()
    (folder / "study.json").write_text(json.dumps(study.settings()))
    pd.DataFrame(rows, columns=study.columns).to_csv(folder / "trials.csv", index=False)
    return study


def test_trials_are_confirmed_once(tmp_path, monkeypatch, capsys):
    folder = tmp_path / "study"
    finished_study(folder, [3.0, 1.0, math.nan, 2.0, 4.0, 5.0])
    options = {"profile": OTHER, "directory": tmp_path / "weights"}
    best = confirm(folder, **options)
    assert set(best["trial"]) == {2}
    assert {"e_posterior", "mmd2_exact", "e_resim", "loss"} <= set(best["quantity"])
    assert set(best["profile"]) == {"other"}
    three = confirm(folder, count=3, **options)
    assert list(dict.fromkeys(three["trial"])) == [2, 1, 6]
    assert "[1/3] trial 2: scored already" in capsys.readouterr().err
    monkeypatch.setattr("ikpaper.search.train", lambda *_, **__: pytest.fail("trained again"))
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
    wanted = Scorer(run.arm, OTHER).score("cvae", model).set_index("quantity")["value"]
    found = best.set_index("quantity")["value"]
    assert found["mmd2_exact"] == pytest.approx(wanted["mmd2_exact"])
    with pytest.raises(ValueError, match="has 5 trials that ended well, got 6"):
        confirm(folder, count=6, **options)
    with pytest.raises(ValueError, match="holds no trials"):
        confirm(tmp_path, **options)


def test_what_the_slides_print_is_confirmed_as_a_trial(tmp_path):
    folder = tmp_path / "study"
    study = finished_study(folder, [1.0, 2.0])
    options = {"printed": True, "directory": tmp_path / "weights"}
    rows = confirm(folder, profile="smoke", **options)
    assert set(rows["trial"]) == {search.PRINTED}
    # With the profile of the study, its loss is the objective of a trial with that setting.
    printed = {name: ikpaper.paper.CVAE_TABLE[4][name] for name in study.bounds}
    *_, last = search._reports(search._loop(study.run(printed)), study)
    found = rows.set_index("quantity")["value"]
    assert found["loss"] == last["objective"]
    assert found["loss: reconstruction"] + found["loss: kl"] == pytest.approx(found["loss"])
    # A trial that is confirmed later keeps it.
    rows = confirm(folder, profile="smoke", directory=tmp_path / "weights")
    assert set(rows["trial"]) == {search.PRINTED, 1}
    finished_study(tmp_path / "other", [1.0], ikpaper.PlanarArm([0.4] * 4))
    with pytest.raises(ValueError, match="hyperparameters for their own arms, not for"):
        confirm(tmp_path / "other", profile="smoke", **options)


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


@pytest.mark.parametrize("profile", [SMOKE, OTHER], ids=["as a trial", "as published"])
def test_divergence_is_a_row(profile, tmp_path):
    folder = tmp_path / "study"
    finished_study(folder, [1.0])
    table = pd.read_csv(folder / "trials.csv").assign(learning_rate=1e9)
    table.to_csv(folder / "trials.csv", index=False)
    rows = confirm(folder, profile=profile, directory=tmp_path / "weights")
    assert rows["quantity"].tolist() == ["diverged"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--model", "gan"], "unknown model 'gan'; known: cvae, inn"),
        (["--dof", "5"], "4, 6, 8, 10"),
        (["--trials", "0"], "trials: expected"),
        (["--epochs", "0"], "epochs: expected"),
        (["--seed", "-1"], "seed: expected a number from 0 to 2^32 - 1, got -1"),
        (["--parallel", "0"], "parallel: expected"),
        (["--cpus", "0"], "more than 0 CPUs"),
        (["--objective", "luck"], "loss, held-out, got 'luck'"),
        (["--method", "grid"], "bayesian, random, got 'grid'"),
        (["--range", "neurons", "300", "200"], "range of neurons: expected two rising bounds"),
        (["--range", "learning_rate", "0", "1"], "above 0 on a logarithmic scale"),
        (["--range", "learning_rate", "nan", "1"], "range of learning_rate: expected two rising"),
        (["--range", "learning_rate", "1", "inf"], "range of learning_rate: expected two rising"),
        (["--precision", "bfloat17"], "float32, bfloat16, got 'bfloat17'"),
        (["--address", "ray://127.0.0.1:10001"], "HOST:PORT of its head"),
        (["--range", "neurons", "a", "b"], "two numbers of type int, got a b"),
        (["--range", "depth", "1", "2"], "unknown hyperparameter 'depth'; known: learning_rate"),
        (["--address", "127.0.0.1:9"], "no Ray cluster answers at '127.0.0.1:9'"),
        (["--address", "nowhere"], "expected HOST:PORT or auto, got 'nowhere'"),
    ],
)
def test_bad_input_is_one_sentence(arguments, message, tmp_path, capsys):
    assert main([*STUDY, "--folder", str(tmp_path / "study"), *arguments]) == 1
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not (tmp_path / "study").exists()


def test_a_folder_of_another_study_is_left_alone(tmp_path, capsys):
    folder = tmp_path / "study"
    folder.mkdir()
    (folder / "notes.txt").write_text("mine")
    assert main([*STUDY, "--folder", str(folder)]) == 1
    assert "holds files, but no study" in capsys.readouterr().err
    study = Study("cvae", ikpaper.PlanarArm.paper(4), profile=SMOKE, epochs=3)
    (folder / "notes.txt").rename(tmp_path / "notes.txt")
    (folder / "study.json").write_text(json.dumps(study.settings()))
    before = (folder / "study.json").read_bytes()
    assert main([*STUDY, "--folder", str(folder)]) == 1
    assert "holds a study with epochs 3, not 2; choose another folder" in capsys.readouterr().err
    assert (folder / "study.json").read_bytes() == before


def test_damaged_settings_and_files_in_the_place_of_folders_are_named(tmp_path, capsys):
    folder = tmp_path / "study"
    folder.write_text("")
    assert main([*STUDY, "--folder", str(folder)]) == 1
    assert "study is a file; choose a folder" in capsys.readouterr().err
    folder.unlink()
    folder.mkdir()
    for content, what in (("{", "Expecting"), ("[]", "it holds no settings")):
        (folder / "study.json").write_text(content)
        assert main([*STUDY, "--folder", str(folder)]) == 1
        assert f"study.json is damaged: {what}" in capsys.readouterr().err
    (folder / "study.json").unlink()
    folder.rmdir()
    finished_study(folder, [1.0])
    settings = json.loads((folder / "study.json").read_text())
    confirmed = ["confirm", str(folder), "--profile", "smoke"]
    del settings["lengths"]
    (folder / "study.json").write_text(json.dumps(settings))
    assert main(confirmed) == 1
    assert "study.json is damaged: it lacks 'lengths'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("content", "what"),
    [("", "No columns to parse"), ("trial,objective\n", "it lacks learning_rate")],
)
def test_a_damaged_table_of_trials_is_named(content, what, tmp_path, capsys):
    folder = tmp_path / "study"
    finished_study(folder, [1.0])
    (folder / "trials.csv").write_text(content)
    confirmed = ["confirm", str(folder), "--profile", "smoke"]
    continued = [*STUDY, "--folder", str(folder)]
    for command in (confirmed, continued):
        assert main(command) == 1
        error = capsys.readouterr().err
        assert f"trials.csv is damaged: {what}" in error
        assert error.count("\n") == 1


def test_a_study_is_worked_on_by_one_process_at_a_time(tmp_path):
    finished_study(tmp_path / "study", [1.0])
    command = [sys.executable, "-m", "ikpaper.cli", "confirm", str(tmp_path / "study")]
    with files.locked(tmp_path / "study"):
        other = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert other.returncode == 1
    assert "confirm: another process is at work in" in other.stderr


def reports(study, configuration):
    found = list(search._reports(search._loop(study.run(configuration)), study))
    return [report["outcome"] for report in found], [report["objective"] for report in found]


SETTINGS = {"hidden_layers": 1, "neurons": 8, "weight_decay": 1e-5}


def test_only_a_trial_that_ends_well_has_an_objective():
    study = Study("cvae", ikpaper.PlanarArm.paper(4), profile=SMOKE, epochs=3)
    outcomes, objectives = reports(study, {**SETTINGS, "learning_rate": 1e-3})
    assert outcomes == ["running", "running", "trained"]
    assert [math.isnan(value) for value in objectives] == [True, True, False]
    outcomes, objectives = reports(study, {**SETTINGS, "learning_rate": 1e30})
    assert outcomes[-1].startswith("diverged: ")
    assert math.isnan(objectives[-1])


def test_a_hopeless_trial_ends_by_the_papers_rule(monkeypatch):
    monkeypatch.setattr(search, "SEARCH_HOPELESS_AFTER", 2)
    study = Study("cvae", ikpaper.PlanarArm.paper(4), profile=SMOKE, epochs=4)
    configuration = {**SETTINGS, "learning_rate": 1e-3}
    assert reports(study, configuration)[0][-1] == "trained"
    monkeypatch.setattr(search, "SEARCH_HOPELESS_LOSS", 1.0)
    outcomes, objectives = reports(study, configuration)
    assert len(outcomes) == 2
    assert outcomes[-1].startswith("stopped: loss ")
    assert math.isnan(objectives[-1])


def test_a_table_that_cannot_be_written_at_once_is_written_later(tmp_path, monkeypatch, capsys):
    study = finished_study(tmp_path / "study", [1.0, 0.5])
    log = search._Log(study, tmp_path / "study", 4, 1, 0)
    row = {**SETTINGS, "learning_rate": 1e-3, "objective": 2.0, "outcome": "trained", "seconds": 1}

    def full(*_):
        raise OSError("no space left")

    with monkeypatch.context() as patch:
        patch.setattr(search, "write_text", full)
        log.add(row)
    assert "cannot be written yet: no space left" in capsys.readouterr().err
    log.write()
    assert StudyRecord(tmp_path / "study").trials["objective"].tolist() == [1.0, 0.5, 2.0]


def test_a_study_in_which_nothing_works_is_given_up(tmp_path):
    # An error of ours is a row, and no reason to start the trial again.
    process = start("--trials", 30, "--folder", tmp_path / "study", "--range", "neurons", -9, -5)
    _, log = process.communicate(timeout=240)
    assert process.returncode == 1
    count = len(finished(tmp_path / "study"))
    # Those that were under way ended, too.
    assert 20 <= count < 30
    wanted = f"none of {count} trials ended well (the last: failed: ValueError: neurons: expected"
    assert wanted in log
    assert "starts again" not in log


def test_a_finished_study_is_not_run_again(tmp_path, capsys):
    study = finished_study(tmp_path / "study", [1.0, 0.5])
    table = run_study(study, trials=2, folder=tmp_path / "study")
    assert len(table) == 2
    assert "best of 2 trials is number 2, loss 0.5" in capsys.readouterr().err


def test_a_study_of_an_arm_on_a_rail_goes_on(tmp_path):
    arm = ikpaper.RailArm.benchmark()
    study = finished_study(tmp_path / "study", [1.0, 0.5], arm)
    assert study.settings()["sigma"] == [0.25, 0.5, 0.5, 0.5]
    assert StudyRecord(tmp_path / "study").study.arm == arm
    assert len(run_study(study, trials=2, folder=tmp_path / "study")) == 2


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


def test_runs_of_trials_are_training_runs():
    study = Study("cvae", ikpaper.PlanarArm.paper(4), profile=SMOKE, epochs=3)
    run = study.run({"neurons": 9})
    assert isinstance(run, TrainingRun)
    assert run.build().config.neurons == 9
    assert run.epochs == 3
