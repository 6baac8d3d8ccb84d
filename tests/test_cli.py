import os
import subprocess
import sys
from pathlib import Path

import pytest

from ikpaper.cli import all_runs, main
from ikpaper.models import model_type
from ikpaper.profiles import PROFILES

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(autouse=True)
def weights(tmp_path, monkeypatch):
    monkeypatch.setenv("IKPAPER_WEIGHTS", str(tmp_path))
    return tmp_path


def test_train_evaluate_and_sample(capsys):
    model = ["--model", "cvae", "--lengths", "0.5", "0.5", "0.5", "0.9", "--profile", "smoke"]
    assert main(["train", *model]) == 0
    assert "[1/1] cvae 4 DoF, smoke" in capsys.readouterr().err
    assert main(["evaluate", *model]) == 0
    assert "mmd2_exact" in capsys.readouterr().out
    assert main(["sample", *model, "--tcp", "2.2", "0.3", "-n", "3"]) == 0
    header, *rows = capsys.readouterr().out.splitlines()
    assert header == "theta_1,theta_2,theta_3,theta_4"
    assert [len(row.split(",")) for row in rows] == [4, 4, 4]


def test_the_same_commands_take_an_arm_on_a_rail(capsys, monkeypatch):
    monkeypatch.setattr("ikpaper.evaluation.c2st", lambda *arguments: 0.5)
    model = ["--model", "flow", "--rail", "0.5", "0.5", "1.0", "--profile", "smoke"]
    assert main(["train", *model]) == 0
    assert main(["evaluate", *model]) == 0
    assert "sigma = 0.25, 0.5, 0.5, 0.5" in capsys.readouterr().out
    assert main(["sample", *model, "--tcp", "1.8", "3.0", "-n", "3"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 4
    exact = ["--model", "exact", "--rail", "0.5", "0.5", "1.0"]
    assert main(["sample", *exact, "--tcp", "2.1", "0.0"]) == 1
    assert "distances from 0 to 2" in capsys.readouterr().err


def test_all_are_the_profiles_models_for_the_papers_arms():
    runs = [(run.name, run.arm.dof) for run in all_runs("quick")]
    assert len(runs) == len(set(runs))
    assert {("cvae", 4), ("inn", 10), ("flow", 6)} <= set(runs)
    assert {dof for _, dof in runs} == {4, 6, 8, 10}


def test_a_profile_can_leave_out_arms():
    runs = [(run.name, run.arm.dof) for run in all_runs("paper")]
    assert [dof for name, dof in runs if name == "inn-ml"] == [8]
    assert [dof for name, dof in runs if name == "inn-ml-small"] == [4, 6, 8, 10]


def test_teachers_come_before_those_they_teach():
    for profile in PROFILES.values():
        names = list(profile.epochs)
        for name in names:
            teacher = model_type(name).teacher
            assert teacher is None or names.index(teacher) < names.index(name)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "--model", "gan", "--dof", "6"], "unknown model 'gan'; known: cvae, inn"),
        (["train", "--model", "inn", "--dof", "5"], "4, 6, 8, 10"),
        (
            ["train", "--model", "inn", "--dof", "6", "--profile", "big"],
            "smoke, quick, ablation, search, paper",
        ),
        (["train"], "expected --all, or --model"),
        (["train", "--all", "--dof", "6"], "either --all or --model with an arm"),
        (["train", "--all", "--gpus", "1"], "are for a cluster (--address); here it is --device"),
        (
            ["train", "--all", "--device", "cuda", "--address", "127.0.0.1:9"],
            "on a cluster --gpus asks",
        ),
        (
            ["evaluate", "--model", "cvae", "--lengths", "1", "1", "2", "--save"],
            "--save is for the paper's arms",
        ),
        (["sample", "--model", "inn", "--dof", "6", "--tcp", "3", "1"], "make them with: ikpaper"),
        (["sample", "--model", "exact", "--dof", "6", "--tcp", "9", "1"], "radii from 0 to 3.5"),
    ],
)
def test_errors_are_one_line(arguments, message, capsys):
    assert main(arguments) == 1
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_import_is_quiet_light_and_leaves_generators_alone():
    code = (
        "import random, sys, numpy, torch\n"
        "before = random.getstate(), numpy.random.get_state()[1].tolist(), torch.get_rng_state()\n"
        "import ikpaper\n"
        "after = random.getstate(), numpy.random.get_state()[1].tolist(), torch.get_rng_state()\n"
        "assert before[:2] == after[:2] and torch.equal(before[2], after[2])\n"
        "heavy = {'ray', 'matplotlib', 'skopt', 'papermill'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env=os.environ,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == done.stderr == ""
