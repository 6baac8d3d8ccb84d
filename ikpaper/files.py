"""Files that are either whole or absent, and folders that go away."""

from __future__ import annotations

import ast
import contextlib
import hashlib
import inspect
import json
import os
import shutil
import tempfile
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import Any

__all__ = [
    "atomic",
    "digest",
    "locked",
    "project_root",
    "scratch",
    "sources",
    "write_json",
    "write_text",
]

#: Characters that the path of the folder for temporary files may have.
_SHORT = 16


def project_root() -> Path:
    """Folder that holds `weights/` and `book/`: the checkout, or the working directory."""
    checkout = Path(__file__).resolve().parents[1]
    return checkout if (checkout / "pyproject.toml").exists() else Path.cwd()


@contextlib.contextmanager
def atomic(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a path beside `path` to write to; rename it onto `path` only if all went well.

    Whatever happens before the rename, a reader of `path` sees the old file or none.
    """
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    _sweep(target)
    partial = target.parent / f".{os.getpid()}.partial.{target.name}"
    try:
        yield partial
        with open(partial, "rb") as written:
            os.fsync(written.fileno())
        os.replace(partial, target)
    finally:
        partial.unlink(missing_ok=True)


def _sweep(target: Path) -> None:
    """Remove what killed processes left beside `target`."""
    for leftover in target.parent.glob(f".*.partial.{target.name}"):
        pid = leftover.name.split(".")[1]
        if pid.isdigit() and not _alive(int(pid)):
            leftover.unlink(missing_ok=True)


@contextlib.contextmanager
def scratch() -> Iterator[Path]:
    """A folder for temporary files, removed at the end; first those of killed processes are."""
    root = Path(tempfile.gettempdir())
    # Ray keeps sockets in there, whose paths may have 107 characters.
    if len(str(root)) > _SHORT and Path("/tmp").is_dir():
        root = Path("/tmp")
    for leftover in root.glob("ikpaper-*-*"):
        pid = leftover.name.split("-")[1]
        if pid.isdigit() and not _alive(int(pid)):
            shutil.rmtree(leftover, ignore_errors=True)
    folder = tempfile.mkdtemp(prefix=f"ikpaper-{os.getpid()}-", dir=root)
    try:
        yield Path(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keep a folder, which is made if need be, to this process until the block ends, or it dies.

    Raises:
        RuntimeError: If another process has it.
    """
    import fcntl

    folder.mkdir(parents=True, exist_ok=True)
    handle = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise RuntimeError(f"another process is at work in {folder}; wait for it") from error
        yield
    finally:
        os.close(handle)


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Write `text` to `path` in one step."""
    with atomic(path) as partial:
        partial.write_text(text, encoding="utf-8")


def write_json(path: str | os.PathLike[str], data: Any) -> None:
    """Write `data` as readable JSON to `path` in one step."""
    write_text(path, json.dumps(data, indent=1, sort_keys=True) + "\n")


def digest(*parts: Any, files: Iterable[str | os.PathLike[str]] = ()) -> str:
    """Hash of values (through JSON) and of the contents of files: a content key."""
    sha = hashlib.sha256()
    for part in parts:
        sha.update(json.dumps(part, sort_keys=True, default=str).encode())
        sha.update(b"\0")
    for file in sorted(Path(f) for f in files):
        sha.update(file.name.encode())
        sha.update(file.read_bytes())
    return sha.hexdigest()[:24]


def sources(kind: type, ignored: Collection[str] = ()) -> list[Path]:
    """Files whose code decides what a class of this package does: its module, and its imports.

    Imports of imports, too; but for files whose names are `ignored`.
    """
    package = Path(__file__).parent
    found: set[Path] = set()
    waiting = [Path(inspect.getfile(kind))]
    while waiting:
        path = waiting.pop()
        if path in found or path.name in ignored or not path.is_file():
            continue
        found.add(path)
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            module = (node.module or "") if isinstance(node, ast.ImportFrom) else ""
            if module.startswith("ikpaper."):
                waiting.append(package.joinpath(*module.split(".")[1:]).with_suffix(".py"))
    return sorted(found)
