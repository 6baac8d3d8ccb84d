import os
import subprocess
import sys
from pathlib import Path

import pytest

from ikpaper.files import (
    atomic,
    find_project,
    locked,
    project_root,
    published,
    scratch,
    write_json,
    write_text,
)

ROOT = Path(__file__).resolve().parents[1]


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path):
    target = tmp_path / "a.txt"
    write_text(target, "old")

    def fail_halfway():
        with atomic(target) as partial:
            partial.write_text("new, but")
            raise RuntimeError("halfway")

    with pytest.raises(RuntimeError, match="halfway"):
        fail_halfway()
    assert target.read_text() == "old"
    assert os.listdir(tmp_path) == ["a.txt"]


def test_what_a_killed_process_left_is_swept_by_the_next_write(tmp_path):
    target = tmp_path / "a.txt"
    code = (
        "import os, signal, sys; from ikpaper.files import atomic\n"
        "with atomic(sys.argv[1]) as partial:\n"
        "    partial.write_text('half'); os.kill(os.getpid(), signal.SIGKILL)"
    )
    subprocess.run([sys.executable, "-c", code, str(target)], check=False)
    assert not target.exists()
    assert len(os.listdir(tmp_path)) == 1
    write_text(target, "whole")
    assert os.listdir(tmp_path) == ["a.txt"]


def test_scratch_goes_away_also_that_of_killed_processes():
    code = (
        "import os, signal; from ikpaper.files import scratch\n"
        "with scratch() as folder:\n"
        "    print(folder, flush=True); os.kill(os.getpid(), signal.SIGKILL)"
    )
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    leftover = done.stdout.strip()
    assert os.path.isdir(leftover)
    with scratch() as folder:
        assert not os.path.exists(leftover)
        (folder / "file").write_text("x")
        with scratch() as other:
            assert folder.is_dir()
            assert other != folder
    assert not folder.exists()


def test_folders_are_made(tmp_path):
    write_json(tmp_path / "x" / "y.json", {"b": 1, "a": [1.5]})
    assert (tmp_path / "x" / "y.json").read_text().startswith('{\n "a"')


def test_a_checkout_is_found_from_everywhere_and_holds_what_is_published(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert find_project() == project_root() == ROOT
    assert published("results/benchmark.csv") == ROOT / "book" / "results" / "benchmark.csv"
    weights = "weights/paper/cvae-04dof-seed42.json"
    assert published(weights) == ROOT / weights
    with pytest.raises(FileNotFoundError, match=r"results/nothing\.csv is not published"):
        published("results/nothing.csv")


def test_a_folder_is_locked_for_others_until_the_block_ends(tmp_path):
    folder = tmp_path / "study"
    code = (
        "import sys, pathlib; from ikpaper.files import locked\n"
        "try:\n"
        "    with locked(pathlib.Path(sys.argv[1])): print('free')\n"
        "except RuntimeError as error: print(error)"
    )

    def other():
        command = [sys.executable, "-c", code, str(folder)]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    with locked(folder):
        assert other() == f"another process is at work in {folder}; wait for it\n"
        assert os.listdir(folder) == []
    assert other() == "free\n"


def test_a_killed_process_leaves_no_lock(tmp_path):
    code = (
        "import os, signal, sys, pathlib; from ikpaper.files import locked\n"
        "with locked(pathlib.Path(sys.argv[1])): os.kill(os.getpid(), signal.SIGKILL)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path / "study")], check=False)
    assert done.returncode < 0
    with locked(tmp_path / "study"):
        pass
