"""The map of the code in CONTRIBUTING.md holds: imports go down, or left on the same floor."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
LIBRARY = ROOT / "ikpaper"
FILES = sorted(LIBRARY.rglob("*.py"))


def rooms_on_the_map():
    """Rooms and modules of the map, from the bottom up, and on each floor from the left."""
    text = (ROOT / "CONTRIBUTING.md").read_text().split("## The map of the code")[1]
    floors = [
        line.split("|")[1].split() for line in text.splitlines() if re.match(r"\d+ +\|", line)
    ]
    return [name for floor in reversed(floors) for name in floor]


def room(path):
    """The folder below `ikpaper` that a file is in, or the module that it is."""
    return path.relative_to(LIBRARY).parts[0].removesuffix(".py")


def imports(path):
    """What a file imports of this library: modules as tuples of names, and what from them."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "ikpaper":
            module = tuple(node.module.split(".")[1:])
            for alias in node.names:
                yield (module, alias.name) if module else ((alias.name,), "")
        elif isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.split(".")[0] == "ikpaper":
                    yield tuple(alias.name.split(".")[1:]), ""


def test_the_map_has_every_room_once():
    rooms = {room(path) for path in FILES} - {"__init__", "__main__"}
    assert sorted(rooms_on_the_map()) == sorted(rooms)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(LIBRARY)))
def test_imports_go_down_or_left(path):
    here = room(path)
    if here in ("__init__", "__main__"):
        pytest.skip("the face of the whole library")
    rank = {name: i for i, name in enumerate(rooms_on_the_map())}
    # The command line may use the face of the whole library.
    below = {module[0] for module, _ in imports(path) if module or here != "cli"}
    above = [name for name in below if rank[name] > rank[here]]
    assert not above, f"{here} imports {', '.join(above)} from above it"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(LIBRARY)))
def test_what_is_private_stays_in_its_module(path):
    private = [f"{'.'.join(module)}.{name}" for module, name in imports(path) if name[:1] == "_"]
    assert not private


def face(name):
    """What a room re-exports; nothing if it has no face."""
    tree = ast.parse((LIBRARY / name / "__init__.py").read_text())
    return {
        alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(LIBRARY)))
def test_rooms_are_entered_by_their_face(path):
    for module, name in imports(path):
        if len(module) > 1 and module[0] != room(path):
            assert name not in face(module[0]), f"{name}: import it from ikpaper.{module[0]}"
