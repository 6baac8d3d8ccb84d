"""What README.md shows runs, prints what stands below it, and leads somewhere."""

import contextlib
import io
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
#: Python, and what it prints.
PAIRS = re.findall(r"```python\n(.*?)```\n\n```text\n(.*?)```", README, re.S)


@pytest.mark.slow
def test_snippets_print_what_stands_below_them():
    names = {}
    assert len(PAIRS) >= 2
    for code, printed in PAIRS:
        shown = io.StringIO()
        with contextlib.redirect_stdout(shown):
            exec(code, names)
        assert shown.getvalue() == printed


@pytest.mark.slow
def test_the_table_of_a_sampler_of_ones_own_is_what_the_benchmark_prints():
    names = {}
    for code, _ in PAIRS:
        with contextlib.redirect_stdout(io.StringIO()):
            exec(code, names)
    code, shown = re.search(
        r"```python\n(table = .*?)```\n\n.*?\n\n```text\n(.*?)```", README, re.S
    ).groups()
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(code, names)
    rows = [" ".join(line.split()) for line in printed.getvalue().splitlines()]
    for line in shown.splitlines():
        # The first columns of a row, whose cells stand right-aligned.
        start = " ".join(line.split()) + " "
        assert any(row.startswith(start) for row in rows), start


def test_every_snippet_of_python_is_python():
    snippets = re.findall(r"```python\n(.*?)```", README, re.S)
    assert len(snippets) > len(PAIRS)
    for code in snippets:
        compile(code, "README.md", "exec")


def test_the_way_to_the_book_is_the_first_thing():
    commands = re.search(r"```bash\n(.*?)```", README, re.S)[1]
    assert commands.startswith("git clone ")
    assert "jupyter-book build book/" in commands
    assert README.index(commands) < README.index("## ")
