import os
import subprocess
import sys

import pytest

from ikpaper.files import atomic, digest, scratch, write_json, write_text


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


def test_digest_sees_values_and_contents_and_not_dates(tmp_path):
    file = tmp_path / "f.py"
    file.write_text("1")
    keys = [digest({"a": 1, "b": 2}, files=[file]), digest({"b": 2, "a": 1}, files=[file])]
    assert keys[0] == keys[1]
    os.utime(file, (1, 1))
    assert digest({"a": 1, "b": 2}, files=[file]) == keys[0]
    file.write_text("2")
    assert digest({"a": 1, "b": 2}, files=[file]) != keys[0]
    assert digest("ab", "c") != digest("a", "bc")
