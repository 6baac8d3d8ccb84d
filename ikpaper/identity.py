"""Identity of a result: its settings, the content of its inputs, and explicit versions.

A version is a small integer beside the code it speaks for: raise it when, and only when, numbers
change. Source text and package versions are provenance: they are recorded and decide nothing.
"""

from __future__ import annotations

import hashlib
import json
import platform
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from ikpaper.files import find_project


def digest(*parts: Any) -> str:
    """Hash of values that JSON can hold, 24 hexadecimal digits; tuples count as lists.

    Raises:
        TypeError: If a value is none that JSON can hold.
    """
    sha = hashlib.sha256()
    for part in parts:
        sha.update(json.dumps(_plain(part), sort_keys=True).encode())
        sha.update(b"\0")
    return sha.hexdigest()[:24]


def file_digest(path: Path) -> str:
    """SHA-256 of a file's content, as `sha256sum` prints it."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


@dataclass(frozen=True)
class Identity:
    """What decides a result: two results with the same key are the same numbers.

    Attributes:
        kind: What it is: `weights`, `row`, `study`, `page`, ...
        settings: Everything that was chosen, as JSON can hold it.
        inputs: Content hashes of what it was made from, by name: weights, result files.
        versions: Versions of the code that decides numbers, by name.
    """

    kind: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    inputs: Mapping[str, str] = field(default_factory=dict)
    versions: Mapping[str, int] = field(default_factory=dict)

    @cached_property
    def key(self) -> str:
        """The content key, 24 hexadecimal digits."""
        return digest(self.kind, self.settings, self.inputs, self.versions)

    def record(self) -> dict[str, Any]:
        """The identity as JSON holds it, with its key."""
        parts = {name: _plain(getattr(self, name)) for name in _PARTS}
        return {"key": self.key, "kind": self.kind, **parts}

    def differs(self, recorded: Mapping[str, Any]) -> list[str]:
        """What differs from a recorded identity, one phrase each; empty if nothing does.

        Args:
            recorded: What `record` returned when the result was made.
        """
        if not any(recorded.get(part) for part in _PARTS):
            return ["no identity on record"]
        found = []
        for part, word in _PARTS.items():
            then, now = recorded.get(part) or {}, _plain(getattr(self, part))
            for name in sorted({*then, *now}):
                before, after = then.get(name), now.get(name)
                if before != after:
                    found.append(f"{word} {name}: {_brief(before)} -> {_brief(after)}")
        if not found and recorded.get("key") != self.key:
            found.append("no identity on record")
        return found


@dataclass(frozen=True)
class State:
    """Whether a result is what today's settings, inputs and versions would give.

    Attributes:
        name: What it is called among its kind.
        reason: What differs; empty if it is current.
        made: Revision that it was made by, and with what, as far as that is on record.
        cost: Seconds to make it anew, roughly, if it is not.
    """

    name: str
    reason: str
    made: str
    cost: float

    @property
    def current(self) -> bool:
        """Whether it is up to date."""
        return not self.reason


#: Parts of an identity, and what one entry of each is called.
_PARTS = {"settings": "setting", "inputs": "input", "versions": "version of"}


def _plain(value: Any) -> Any:
    """A value as JSON gives it back: mappings become dicts, tuples lists."""
    if isinstance(value, Mapping):
        return {str(name): _plain(each) for name, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(each) for each in value]
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    raise TypeError(f"identity: expected what JSON can hold, got {type(value).__name__} {value!r}")


def _brief(value: Any) -> str:
    text = "none" if value is None else json.dumps(value)
    return text if len(text) <= 40 else f"{text[:37]}..."


def provenance(*more: str) -> dict[str, Any]:
    """Where a result was made: versions of Python and packages, machine, source, revision.

    Args:
        *more: Packages that took part beside those that always do.
    """
    import torch

    packages = {}
    for package in ("ikpaper", "torch", "numpy", "scipy", "scikit-learn", "FrEIA", *more):
        try:
            packages[package] = version(package)
        except PackageNotFoundError:
            packages[package] = "not installed"
    return {
        "python": platform.python_version(),
        "machine": platform.machine(),
        "cpu_threads": torch.get_num_threads(),
        "packages": packages,
        "source": source_digest(),
        "revision": _revision(),
    }


def made(record: Mapping[str, Any]) -> str:
    """Where a result was made, in a few words; empty if that is not on record."""
    origin = record.get("provenance") or {}
    if not origin:
        return ""
    packages = origin.get("packages", {})
    return f"{origin.get('revision', 'unknown')}, torch {packages.get('torch', 'unknown')}"


def accepted(record: Mapping[str, Any], reason: str) -> list[dict[str, Any]]:
    """What somebody has checked of a result, by its record, with one more reason."""
    return [*record.get("accepted", ()), {"reason": reason, "provenance": provenance()}]


def source_digest(package: Path | None = None) -> str:
    """Hash of a package's source, by default this one's: a note for people, in no key."""
    package = package or Path(__file__).parent
    sha = hashlib.sha256()
    for path in sorted(package.rglob("*.py")):
        sha.update(path.relative_to(package).as_posix().encode() + b"\0" + path.read_bytes())
    return sha.hexdigest()[:24]


def _revision() -> str:
    """The commit of the checkout, with `-dirty` if library or notebooks differ from it.

    Other files do not count: pages and results are written as they are made. An installed package
    has none: the repository that it may lie in is somebody else's.
    """
    if find_project() != Path(__file__).resolve().parents[1]:
        return "unknown"
    try:
        commit = _git("rev-parse", "--short=12", "HEAD")
        changed = _git("status", "--porcelain", "--", ".", "../notebooks")
    except (OSError, subprocess.SubprocessError):
        return "unknown"
    return f"{commit}-dirty" if changed else commit


def _git(*arguments: str) -> str:
    return subprocess.run(
        ["git", *arguments],
        cwd=Path(__file__).parent,
        capture_output=True,
        text=True,
        check=True,
        timeout=10,
    ).stdout.strip()
