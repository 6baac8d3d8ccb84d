"""The map of the code in CONTRIBUTING.md holds: imports go down, or left on the same floor."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
MAP = (ROOT / "CONTRIBUTING.md").read_text().split("## The map of the code")[1]


def order():
    rows = [line.split()[1:] for line in MAP.splitlines() if re.match(r"\d   ", line)]
    modules = {path.stem for path in (ROOT / "ikpaper").glob("*.py")} | {"models", "plots"}
    modules.discard("__init__")
    return [name for row in reversed(rows) for name in row if name in modules], modules


def imported(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("ikpaper."):
            yield node.module.split(".")[1]
        elif isinstance(node, ast.ImportFrom) and node.module == "ikpaper":
            yield from (alias.name for alias in node.names)


def test_every_module_is_on_the_map():
    placed, modules = order()
    assert sorted(set(placed)) == sorted(modules)


def test_modules_import_only_what_stands_below_or_to_their_left():
    placed, modules = order()
    rank = {name: placed.index(name) for name in modules}
    for path in (ROOT / "ikpaper").rglob("*.py"):
        name = path.relative_to(ROOT / "ikpaper").parts[0].removesuffix(".py")
        if name == "__init__":
            continue
        for other in imported(path):
            assert other == name or rank[other] < rank[name], f"{path.name} imports {other}"
