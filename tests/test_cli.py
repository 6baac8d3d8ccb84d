import os
import signal
import subprocess
import sys

import pytest
import torch

import ikpaper
from ikpaper.cli import main
from ikpaper.inventory import all_runs

FLOW = ["--model", "flow", "--dof", "6", "--tcp"]


@pytest.fixture(autouse=True)
def weights(tmp_path, monkeypatch):
    monkeypatch.setenv("IKPAPER_WEIGHTS", str(tmp_path))
    return tmp_path


def command(*arguments, **variables):
    return subprocess.run(
        [sys.executable, "-m", "ikpaper", *arguments],
        env={**os.environ, **variables},
        capture_output=True,
        check=False,
    )


@pytest.mark.slow
def test_train_evaluate_and_sample(capsys):
    model = ["--model", "cvae", "--lengths", "0.5", "0.5", "0.5", "0.9", "--profile", "smoke"]
    assert main(["train", *model]) == 0
    assert "[1/1] cvae 4 DoF, smoke" in capsys.readouterr().err
    assert main(["evaluate", *model]) == 0
    assert " mmd2 " in capsys.readouterr().out
    assert main(["sample", *model, "--tcp", "2.2", "0.3", "-n", "3"]) == 0
    header, *rows = capsys.readouterr().out.splitlines()
    assert header == "theta_1,theta_2,theta_3,theta_4"
    assert [len(row.split(",")) for row in rows] == [4, 4, 4]


@pytest.mark.slow
def test_the_same_commands_take_an_arm_on_a_rail(capsys):
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


def test_a_model_can_leave_out_arms():
    runs = [(run.name, run.arm.dof) for run in all_runs("paper")]
    assert [dof for name, dof in runs if name == "inn-ml"] == [8]
    assert [dof for name, dof in runs if name == "inn-ml-small"] == [4, 6, 8, 10]


@pytest.mark.parametrize("profile", ikpaper.PROFILES)
def test_teachers_come_before_those_they_teach(profile):
    runs = all_runs(profile)
    for number, run in enumerate(runs):
        assert run.teacher is None or run.teacher in runs[:number]


def test_published_weights_are_what_is_sampled_by_default(capsys):
    assert main(["sample", *FLOW, "-1e-3", "5.E-1", "-n", "3", "--seed", "7"]) == 0
    output, errors = capsys.readouterr()
    assert errors == ""
    generator = torch.Generator().manual_seed(7)
    theta = ikpaper.load("flow", dof=6).sample([-1e-3, 0.5], 3, generator=generator)
    rows = [[float(value) for value in line.split(",")] for line in output.splitlines()[1:]]
    torch.testing.assert_close(torch.tensor(rows), theta.float(), atol=1e-6, rtol=1e-6)


def test_what_was_trained_is_sampled_without_naming_its_profile(capsys):
    model = ["--model", "cvae", "--lengths", "0.5", "0.5", "0.5", "0.9"]
    assert main(["train", *model, "--profile", "smoke"]) == 0
    assert main(["sample", *model, "--tcp", "2.2", "0.3"]) == 0
    assert capsys.readouterr().err.splitlines()[-1] == "ikpaper sample: the model of profile smoke"


def test_a_reader_may_have_enough():
    """As `ikpaper sample ... | head -2` does."""
    code = "import sys; [sys.stdout.write(sys.stdin.readline()) for _ in range(2)]"
    sampler = subprocess.Popen(
        [sys.executable, "-m", "ikpaper", "sample", *FLOW, "3", "0.8", "-n", "3000"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    read = subprocess.run(
        [sys.executable, "-c", code], stdin=sampler.stdout, capture_output=True, check=True
    )
    sampler.stdout.close()
    assert read.stdout.startswith(b"theta_1")
    assert sampler.stderr.read() == b""
    assert sampler.wait() == 141


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252"])
def test_output_that_a_terminal_cannot_show_costs_no_result(encoding, tmp_path):
    (tmp_path / "greek.py").write_text(
        "print('f(\\N{GREEK SMALL LETTER THETA})')", encoding="utf-8"
    )
    done = command(
        "--import",
        "greek",
        "sample",
        *FLOW,
        "3",
        "0.8",
        PYTHONIOENCODING=encoding,
        PYTHONPATH=str(tmp_path),
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.startswith(b"f(?)")


def test_a_model_of_ones_own_is_known_by_its_name(tmp_path):
    (tmp_path / "mine.py").write_text(
        "from types import MappingProxyType\n"
        "from ikpaper.models import CVAE\n"
        "class Mine(CVAE):\n"
        "    name = 'mine'\n"
        "    epochs = MappingProxyType({'smoke': 1})\n"
    )
    model = ["--model", "mine", "--dof", "4", "--profile", "smoke"]
    done = command("--import", "mine", "train", *model, PYTHONPATH=str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert b"unknown model 'mine'" in command("train", *model).stderr


def test_the_version_and_help_are_there():
    assert command("--version").stdout.decode().split() == ["ikpaper", ikpaper.__version__]
    assert b"IKPAPER_WEIGHTS" in command("train", "--help").stdout


@pytest.mark.parametrize(
    ("arguments", "continues"),
    [
        (["train", "--model", "cvae", "--dof", "4", "--profile", "smoke"], True),
        (["train", "--model", "cvae", "--dof", "4", "--profile", "smoke", "--fresh"], False),
        (["sample", *FLOW, "3", "0.8"], False),
        (["benchmark", "--rates"], False),
    ],
)
def test_only_what_continues_says_so_when_interrupted(arguments, continues, monkeypatch, capsys):
    def interrupt(*_, **__):
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr("ikpaper.cli.train_all", interrupt)
    monkeypatch.setattr("ikpaper.cli.load", interrupt)
    monkeypatch.setattr("ikpaper.experiments.published.time_published", interrupt)
    # Python leaves the signal ignored where it was when it started, as in a background job.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        assert main(arguments) == 130
    finally:
        signal.signal(signal.SIGINT, before)
    assert ("the same command continues" in capsys.readouterr().err) == continues


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
        (
            ["sample", "--model", "inn", "--lengths", "1", "1", "2", "--tcp", "3", "1"],
            "make them with: ikpaper train --model inn --lengths 1.0 1.0 2.0 --profile quick",
        ),
        (
            ["sample", *FLOW, "3", "1", "--seed", "99999999999999999999"],
            "a whole number from 0 to 2^32 - 1",
        ),
        (["sample", *FLOW, "3", "1", "--seed", "-1"], "seed: expected"),
        (["sample", *FLOW, "3", "1", "-n", "-5"], "got -5"),
        (["sample", *FLOW, "-inf", "1"], "expected finite"),
        (
            ["--import", "no_such_module", "sample", *FLOW, "3", "1"],
            "no_such_module: ModuleNotFoundError: No",
        ),
        (["status", "everything"], "unknown kind 'everything'; known: weights, benchmark"),
        (
            ["accept", "pages", "no-page", "--reason", "read"],
            "unknown name among pages 'no-page'",
        ),
        (["sample", "--model", "exact", "--dof", "6", "--tcp", "9", "1"], "radii from 0 to 3.5"),
    ],
)
def test_errors_are_one_line(arguments, message, capsys):
    assert main(arguments) == 1
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_a_module_of_ones_own_that_is_broken_is_named(tmp_path, monkeypatch, capsys):
    (tmp_path / "broken.py").write_text("def half(:")
    monkeypatch.syspath_prepend(tmp_path)
    assert main(["--import", "broken", "sample", *FLOW, "3", "1"]) == 1
    assert "--import broken: SyntaxError" in capsys.readouterr().err
