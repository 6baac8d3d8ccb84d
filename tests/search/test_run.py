import contextlib
import dataclasses
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import psutil
import pytest
import torch

import ikpaper
from ikpaper import files
from ikpaper.cli import main
from ikpaper.profiles import PROFILES
from ikpaper.search import Study, StudyRecord, run_study
from ikpaper.search.run import TrialLog, halving
from ikpaper.training import TrainingLoop
from tests.search.studies import finished_study

ROOT = Path(__file__).resolve().parents[2]
SMOKE = PROFILES["smoke"]
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


@pytest.mark.slow
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
    sessions = json.loads((folder / "sessions.json").read_text())
    assert [session["after"] for session in sessions] == [0, len(before)]
    assert f"torch {torch.__version__}" in record.made
    # The objective is the loss of the very training run that the row describes.
    row = table.iloc[-1]
    *_, end = TrainingLoop(study.run(record.configuration(row))).epochs()
    loss = sum(end.terms.values())
    assert row["objective"] == pytest.approx(loss, rel=1e-3)


@pytest.mark.slow
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
    assert table["mmd2"].notna().equals(scored)
    assert set(table["outcome"][~scored]) == {"stopped: lagging"}
    assert set(table["outcome"][scored]) == {"trained"}
    # What was compared is on record, for when the study continues.
    rungs = pd.read_csv(tmp_path / "study" / "rungs.csv")
    reached = table.set_index("trial")["epochs"]
    assert set(rungs["epochs"]) == {1, 3, 9}
    for epochs in (1, 3, 9):
        compared = rungs.loc[rungs["epochs"] == epochs, "trial"]
        assert set(compared) == set(reached.index[reached >= epochs])


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


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--model", "gan"], "unknown model 'gan'; known: cvae, inn"),
        (["--dof", "5"], "4, 6, 8, 10"),
        (["--trials", "0"], "trials: expected"),
        (["--epochs", "0"], "epochs: expected"),
        (["--seed", str(2**32)], "seed: expected a whole number"),
        (["--parallel", "0"], "parallel: expected"),
        (["--cpus", "0"], "more than 0 CPUs"),
        (["--objective", "luck"], "unknown objective 'luck'; known: loss, held-out"),
        (["--method", "grid"], "unknown method 'grid'; known: bayesian, random"),
        (["--range", "neurons", "300", "200"], "range of neurons: expected two rising bounds"),
        (["--range", "learning_rate", "0", "1"], "above 0 on a logarithmic scale"),
        (["--range", "learning_rate", "nan", "1"], "range of learning_rate: expected two rising"),
        (["--range", "learning_rate", "1", "inf"], "range of learning_rate: expected two rising"),
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
    (folder / "study.json").write_text(json.dumps(study.stamp()))
    before = (folder / "study.json").read_bytes()
    assert main([*STUDY, "--folder", str(folder)]) == 1
    assert (
        "holds another study (setting epochs: 3 -> 2); choose another folder"
        in capsys.readouterr().err
    )
    assert (folder / "study.json").read_bytes() == before


def test_a_study_of_other_code_is_left_alone(tmp_path):
    folder = tmp_path / "study"
    study = finished_study(folder, [1.0, 0.5])
    path = folder / "study.json"
    stamp = {**json.loads(path.read_text()), "versions": study.identity().versions}
    path.write_text(json.dumps(stamp))
    assert len(run_study(study, trials=2, folder=folder)) == 2
    path.write_text(json.dumps({**stamp, "versions": {**stamp["versions"], "cvae": 0}}))
    with pytest.raises(ValueError, match=r"holds another study .version of cvae: 0 -> 1.; choose"):
        run_study(study, trials=2, folder=folder)


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


@pytest.mark.slow
def test_a_study_is_worked_on_by_one_process_at_a_time(tmp_path):
    finished_study(tmp_path / "study", [1.0])
    command = [sys.executable, "-m", "ikpaper.cli", "confirm", str(tmp_path / "study")]
    with files.locked(tmp_path / "study"):
        other = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert other.returncode == 1
    assert "confirm: another process is at work in" in other.stderr


def test_a_table_that_cannot_be_written_at_once_is_written_later(tmp_path, monkeypatch, capsys):
    study = finished_study(tmp_path / "study", [1.0, 0.5])
    log = TrialLog(study, tmp_path / "study", 4, 1, 0)
    row = {
        "hidden_layers": 1,
        "neurons": 8,
        "weight_decay": 1e-5,
        "learning_rate": 1e-3,
        "objective": 2.0,
        "outcome": "trained",
        "seconds": 1,
    }

    def full(*_):
        raise OSError("no space left")

    with monkeypatch.context() as patch:
        patch.setattr("ikpaper.search.run.write_text", full)
        log.add("a", row)
    assert "cannot be written yet: no space left" in capsys.readouterr().err
    log.write()
    assert StudyRecord(tmp_path / "study").trials["objective"].tolist() == [1.0, 0.5, 2.0]


def decide(scheduler, name, losses):
    """The losses of a trial up to where it is stopped."""
    from ray.tune.schedulers import TrialScheduler

    trial = SimpleNamespace(trial_id=name)
    scheduler.on_trial_add(None, trial)
    for epoch, loss in enumerate(losses, 1):
        result = {"epochs": epoch, "loss": loss}
        if scheduler.on_trial_result(None, trial, result) == TrialScheduler.STOP:
            return losses[:epoch]
    return losses


def test_successive_halving_that_continues_decides_as_if_it_had_never_ended(tmp_path):
    study = dataclasses.replace(finished_study(tmp_path / "study", []), epochs=9)
    study = dataclasses.replace(study, early_stopping=True)
    never_ended = halving(study.epochs, pd.DataFrame())
    generator = np.random.default_rng(0)
    stopped, alone = set(), set()
    for i in range(24):
        losses = (3 * generator.random() + generator.random(9)).tolist()
        # Every trial meets a scheduler that knows the earlier ones from disk alone.
        log = TrialLog(study, tmp_path / "study", 24, 1, 0)
        kept = decide(halving(study.epochs, log.rungs), "new", losses)
        assert kept == decide(never_ended, f"trial {i}", losses)
        for epoch, loss in enumerate(kept, 1):
            log.note("new", {"epochs": epoch, "loss": loss})
        row = {name: 1e-3 for name in study.bounds}
        log.add("new", {**row, "objective": kept[-1], "outcome": "trained", "seconds": 1})
        stopped.add(len(kept))
        alone.add(len(decide(halving(study.epochs, pd.DataFrame()), "new", losses)))
    # Losses after 1, 3 and 9 epochs decide; who begins anew stops nobody.
    assert stopped == {1, 3, 9}
    assert alone == {9}
    assert set(log.rungs["epochs"]) == {1, 3, 9}
    assert log.rungs["trial"].nunique() == 24


def test_losses_that_no_trial_or_a_damaged_file_tells_are_not_used(tmp_path):
    study = dataclasses.replace(finished_study(tmp_path / "study", [1.0]), early_stopping=True)
    rungs = tmp_path / "study" / "rungs.csv"
    # The second trial has no row: the command was killed between the two tables.
    rungs.write_text("trial,epochs,loss\n1,1,5.0\n2,1,6.0\n")
    assert TrialLog(study, tmp_path / "study", 4, 1, 0).rungs["trial"].tolist() == [1]
    rungs.write_text("trial,epochs\n1,1\n")
    with pytest.raises(ValueError, match=r"rungs.csv is damaged: .*loss.*; restore or delete it"):
        TrialLog(study, tmp_path / "study", 4, 1, 0)
    # Without early stopping nobody asks for it.
    plain = dataclasses.replace(study, early_stopping=False)
    assert TrialLog(plain, tmp_path / "study", 4, 1, 0).rungs.empty


@pytest.mark.slow
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
