"""Where files are, files that are either whole or absent, and folders that go away."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

#: Characters that the path of the folder for temporary files may have.
_SHORT = 16
#: Folders of a checkout that travel with the package, by their names there.
_PUBLISHED = {"results": "book/results", "weights": "weights"}


def find_project() -> Path | None:
    """The checkout of the repository: the one this package lies in, or the working directory."""
    for folder in (Path(__file__).parents[1], Path()):
        if (folder / "pyproject.toml").is_file() and (folder / "ikpaper" / "files.py").is_file():
            return folder.resolve()
    return None


def project_root() -> Path:
    """The checkout of the repository, for what needs one.

    Raises:
        RuntimeError: If there is none.
    """
    project = find_project()
    if project is None:
        raise RuntimeError(
            "this needs a checkout of the ikpaper repository: install it from one with "
            "'pip install -e .', or run this in its root"
        )
    return project


def published(relative: str | os.PathLike[str]) -> Path:
    """A published file: in the checkout, or else in the installed package.

    Args:
        relative: Path below `results/` or `weights/`, such as `results/benchmark.csv`.

    Raises:
        FileNotFoundError: If there is no such file.
    """
    kind, *below = Path(relative).parts
    project = find_project()
    roots = [] if project is None else [project / _PUBLISHED[kind]]
    roots.append(Path(__file__).resolve().parent / "_published" / kind)
    for root in roots:
        found = root.joinpath(*below)
        if found.is_file():
            return found
    where = " or ".join(map(str, roots))
    raise FileNotFoundError(f"{Path(relative).as_posix()} is not published: it is not in {where}")


@contextlib.contextmanager
def atomic(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a path beside `path` to write to; rename it onto `path` only if all went well.

    Whatever happens before the rename, a reader of `path` sees the old file or none.
    """
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    for leftover in _abandoned(target.parent, f".*.partial.{target.name}"):
        leftover.unlink(missing_ok=True)
    partial = target.parent / f".{os.getpid()}.partial.{target.name}"
    try:
        yield partial
        # Windows can only sync what is open for writing.
        with open(partial, "r+b") as written:
            os.fsync(written.fileno())
        os.replace(partial, target)
    finally:
        partial.unlink(missing_ok=True)


@contextlib.contextmanager
def scratch() -> Iterator[Path]:
    """A folder for temporary files, removed at the end; first those of killed processes are."""
    root = Path(tempfile.gettempdir())
    # Ray keeps sockets in there, whose paths may have 107 characters.
    if len(str(root)) > _SHORT and Path("/tmp").is_dir():
        root = Path("/tmp")
    for leftover in _abandoned(root, "ikpaper-*-*"):
        shutil.rmtree(leftover, ignore_errors=True)
    folder = tempfile.mkdtemp(prefix=f"ikpaper-{os.getpid()}-", dir=root)
    try:
        yield Path(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _abandoned(folder: Path, pattern: str) -> Iterator[Path]:
    """What processes that are gone left in a folder, named with their ids: `.ID.` or `-ID-`."""
    for path in folder.glob(pattern):
        pid = re.split("[.-]", path.name)[1]
        # On Windows, os.kill would end the process; what it left stays.
        if pid.isdigit() and os.name != "nt":
            try:
                os.kill(int(pid), 0)
            except ProcessLookupError:
                yield path
            except PermissionError:
                pass


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keep a folder, which is made if need be, to this process until the block ends, or it dies.

    Raises:
        RuntimeError: If another process has it.
    """
    from filelock import FileLock, Timeout

    folder.mkdir(parents=True, exist_ok=True)
    # Beside the folder, which may have to be empty.
    lock = FileLock(folder.with_name(f".{folder.name}.lock"), timeout=0)
    try:
        held = lock.acquire()
    except Timeout as error:
        raise RuntimeError(f"another process is at work in {folder}; wait for it") from error
    with held:
        yield


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Write `text` to `path` in one step."""
    with atomic(path) as partial:
        partial.write_text(text, encoding="utf-8")


def write_json(path: str | os.PathLike[str], data: Any) -> None:
    """Write `data` as readable JSON to `path` in one step."""
    write_text(path, json.dumps(data, indent=1, sort_keys=True) + "\n")
