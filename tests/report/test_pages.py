import dataclasses
import json

import pytest

from ikpaper.files import write_json
from ikpaper.profiles import PROFILES
from ikpaper.report.pages import (
    Page,
    accept,
    build_pages,
    choose,
    load_records,
    publishable,
    status,
    write_codecheck,
    write_readme_table,
)

HEADER = """# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---
"""
GOOD = (
    HEADER
    + """
# %% [markdown]
# (sec-one-dof)=
# # One
#
# See {numref}`fig-x-dof`.

# %% tags=["parameters"]
dof = 1
profile = "quick"
book = ""

# %% mystnb={"figure": {"name": "fig-x-dof"}, "image": {"alt": "a b"}}
import sys
from pathlib import Path
print("seen")
print("un" + "seen", file=sys.stderr)
folder = Path(book) / "results"
folder.mkdir(exist_ok=True)
(folder / f"one-{dof}.csv").write_text(f"{profile}\\n")
"""
)
PAGES = (
    Page("first", source="one", parameters={"dof": 4}, title="The first"),
    Page("second", source="one", parameters={"dof": 6}, reads=("one-4.csv",)),
)


@pytest.fixture
def project(tmp_path):
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "notebooks" / "one.py").write_text(GOOD)
    return tmp_path


def build(project, **options):
    return build_pages("smoke", root=project, pages=PAGES, **options)


def current(project):
    return {page.name: page.current for page in status("smoke", root=project, pages=PAGES)}


def reasons(project):
    return {page.name: page.reason for page in status("smoke", root=project, pages=PAGES)}


def ran(capsys):
    return [
        line.split()[1].rstrip(":")
        for line in capsys.readouterr().err.splitlines()
        if "done in" in line
    ]


def test_pages_are_made_once_and_again_when_something_changed(project, capsys):
    assert reasons(project) == {"first": "never run", "second": "never run"}
    assert build(project) == 0
    assert ran(capsys) == ["first", "second"]
    page = json.loads((project / "book" / "first.ipynb").read_text())
    text = json.dumps(page)
    assert "# The first" in "".join(page["cells"][0]["source"])
    assert "sec-one-04" in text
    assert "fig-x-04" in text
    assert "unseen" not in text
    assert str(project) not in text
    assert (project / "book" / "results" / "one-4.csv").read_text() == "smoke\n"
    record = load_records(project)["first"]
    assert set(record["outputs"]) == {"first.ipynb", "results/one-4.csv"}
    assert current(project) == {"first": True, "second": True}

    before = (project / "book" / "first.ipynb").read_bytes()
    assert build(project) == 0
    assert ran(capsys) == []

    (project / "book" / "first.ipynb").write_text("tampered")
    assert reasons(project)["first"] == "book/first.ipynb is not what the page wrote"
    build(project)
    assert ran(capsys) == ["first"]
    assert (project / "book" / "first.ipynb").read_bytes() == before

    (project / "book" / "results" / "one-4.csv").write_text("other\n")
    assert reasons(project)["second"].startswith("input book/results/one-4.csv: ")
    build(project, only=["second"])
    assert ran(capsys) == ["second"]

    (project / "notebooks" / "one.py").write_text(GOOD + "\n# %%\n1 + 1\n")
    build(project)
    assert ran(capsys) == ["first", "second"]


def test_what_is_committed_decides_and_not_this_machine(project, tmp_path, capsys):
    build(project)
    records = load_records(project)
    records["first"]["provenance"] = {"revision": "another"}
    write_json(project / "book" / "pages.json", records)
    capsys.readouterr()
    assert not (project / ".cache" / "report" / "first").exists()
    build(project)
    assert ran(capsys) == []
    (page, _) = status("smoke", root=project, pages=PAGES)
    assert page.made == "another, torch unknown"
    assert page.cost == records["first"]["seconds"]


def test_an_accepted_page_is_current_as_it_is(project, capsys):
    build(project)
    path = project / "book" / "first.ipynb"
    path.write_text(path.read_text() + "\n")
    (project / "notebooks" / "one.py").write_text(GOOD + "\n")
    capsys.readouterr()
    accept(["first"], "smoke", reason="read", root=project, pages=PAGES)
    assert current(project) == {"first": True, "second": False}
    records = json.loads((project / "book" / "pages.json").read_text())
    assert records["first"]["accepted"][0]["reason"] == "read"
    build(project, only=["first"])
    assert ran(capsys) == []
    (project / "book" / "second.ipynb").unlink()
    with pytest.raises(ValueError, match=r"page second lacks second\.ipynb; run: ikpaper report"):
        accept(["second"], "smoke", reason="read", root=project, pages=PAGES)


def test_other_text_is_published_without_another_run(project, capsys, monkeypatch):
    build(project)
    before = json.loads((project / "book" / "first.ipynb").read_text())
    capsys.readouterr()
    # What the cell would do now shows whether it runs.
    result = project / "book" / "results" / "one-4.csv"
    written = result.stat().st_mtime_ns
    rewritten = GOOD.replace("# See {numref}", "# Look at {numref}").replace('"a b"', '"a c"')
    (project / "notebooks" / "one.py").write_text(rewritten)
    for reason in reasons(project).values():
        assert reason.startswith("input text: ")
    assert {page.cost for page in status("smoke", root=project, pages=PAGES)} == {1.0}
    assert build(project) == 0
    log = capsys.readouterr().err
    assert "first: its text is new, its numbers are as they were" in log
    assert "done in" not in log
    assert result.stat().st_mtime_ns == written
    assert current(project) == {"first": True, "second": True}
    # But for its text the page is the one that ran, labels and injected parameters included.
    text = json.dumps(before).replace("See {numref}", "Look at {numref}").replace("a b", "a c")
    assert json.loads((project / "book" / "first.ipynb").read_text()) == json.loads(text)
    # With another version, or another file that it reads, it runs.
    (project / "notebooks" / "one.py").write_text(rewritten.replace("# Look at", "# Behold"))
    monkeypatch.setattr("ikpaper.report.pages.VERSION", -1)
    assert reasons(project)["first"].startswith("input text: ")
    build(project, only=["first"])
    assert ran(capsys) == ["first"]
    # Code, a tag or the name of a figure is another matter.
    for old, new in (
        ('print("seen")', 'print("heard")'),
        ('tags=["parameters"]', 'tags=["parameters", "hide-input"]'),
        ('{"name": "fig-x-dof"}', '{"name": "fig-y-dof"}'),
    ):
        assert old in rewritten
        (project / "notebooks" / "one.py").write_text(rewritten.replace(old, new))
        assert "input code: " in reasons(project)["first"]


def test_a_comment_in_code_needs_no_other_run(project, capsys):
    build(project)
    commented = GOOD.replace('print("seen")', '# Why it is printed.\n\nprint("seen")  # "#"')
    (project / "notebooks" / "one.py").write_text(commented)
    for reason in reasons(project).values():
        assert reason.startswith("input text: ")
    capsys.readouterr()
    assert build(project) == 0
    assert ran(capsys) == []
    assert "# Why it is printed." in (project / "book" / "first.ipynb").read_text()
    # What does not parse fails when it runs, and not before.
    (project / "notebooks" / "one.py").write_text(GOOD + "\n# %%\nprint(\n")
    assert "input code: " in reasons(project)["first"]
    # What only looks like a comment is code, and so is an empty line of a text.
    (project / "notebooks" / "one.py").write_text(GOOD.replace('"seen"', '"seen # here"'))
    assert "input code: " in reasons(project)["first"]
    text = 'print("seen", """a\n\nb""")'
    (project / "notebooks" / "one.py").write_text(GOOD.replace('print("seen")', text))
    build(project, only=["first"])
    (project / "notebooks" / "one.py").write_text(
        GOOD.replace('print("seen")', text.replace("\n\n", "\n"))
    )
    assert "input code: " in reasons(project)["first"]


def test_a_page_that_was_never_run_cannot_be_accepted(project):
    with pytest.raises(ValueError, match="page first was never run"):
        accept(["first"], "smoke", reason="read", root=project, pages=PAGES)


def test_a_failing_notebook_leaves_the_page_and_names_the_cell(project, capsys):
    build(project, only=["first"])
    before = {p: p.read_bytes() for p in (project / "book").rglob("*") if p.is_file()}
    (project / "notebooks" / "one.py").write_text(
        GOOD.replace("smoke", "x") + "\n# %%\nraise KeyError('gone')\n"
    )
    capsys.readouterr()
    assert build(project) == 1
    message = capsys.readouterr().err
    assert "notebooks/one.py failed in cell" in message
    assert "KeyError: 'gone'" in message
    assert {p: p.read_bytes() for p in (project / "book").rglob("*") if p.is_file()} == before


def test_a_pages_identity_names_weights_and_versions_but_no_source(project):
    (page,) = choose(["dof-06"])
    record = page.identity("paper", project).record()
    assert set(record["inputs"]) == {
        "code",
        "text",
        "book/results/benchmark.csv",
        "book/results/seeds.csv",
        "weights cvae-06dof-seed42",
        "weights inn-06dof-seed42",
    }
    assert {"report", "scoring", "metrics", "cvae", "inn", "exact"} <= set(record["versions"])
    assert record["settings"]["parameters"] == {"dof": 6}


def test_a_pages_identity_holds_all_that_it_reads(project):
    def inputs(name):
        return choose([name])[0].identity("paper", project).inputs

    assert {"reported", "book/results/scores-04.csv"} <= set(inputs("comparison"))
    study = project / "book" / "results" / "studies" / "one"
    study.mkdir(parents=True)
    (study / "trials.csv").write_text("trial\n")
    (study / "study.json").write_text("{}")
    before = inputs("studies")
    assert {f"book/results/studies/one/{name}" for name in ("trials.csv", "study.json")} <= set(
        before
    )
    (study / "study.json").write_text("[]")
    assert inputs("studies") != before
    # A page that shows a model's structure moves with the model.
    assert "inn" in choose(["models"])[0].identity("paper", project).versions


def test_a_page_of_one_arm_reads_the_rows_of_that_arm(project):
    table = project / "book" / "results" / "seeds.csv"
    table.parent.mkdir(parents=True)
    (page,) = choose(["dof-06"])

    def key(*rows):
        table.write_text("\n".join(["dof,sampler,value", *rows, ""]))
        return page.identity("paper", project).key

    own = key("4,cvae,1", "6,cvae,2")
    assert key("6,cvae,2", "4,cvae,1", "8,inn,3") == own
    assert key("4,cvae,1", "6,cvae,3") != own
    assert key("4,cvae,1", "6,cvae,2", "6,inn,3") != own


def test_other_numbers_of_a_profile_make_another_page(project, monkeypatch):
    (page,) = choose(["dof-06"])
    key = page.identity("paper", project).key
    other = dataclasses.replace(PROFILES["paper"], exact_targets=7)
    monkeypatch.setattr("ikpaper.report.pages.get_profile", lambda name: other)
    assert page.identity("paper", project).key != key


def test_unknown_pages_list_the_known(project):
    with pytest.raises(ValueError, match="unknown page 'third'; known: first, second"):
        build(project, only=["third"])


def cell(kind, source, **metadata):
    extra = {"outputs": [], "execution_count": 1} if kind == "code" else {}
    return {"cell_type": kind, "source": source, "metadata": metadata, "id": "random", **extra}


def test_publishable_strips_what_changes_at_every_run():
    notebook = {
        "cells": [
            cell("markdown", "# Title"),
            cell("code", "x = 1", tags=["parameters"]),
            cell("code", "x = 2", tags=["injected-parameters"], papermill={"duration": 1.5}),
            cell("code", "x", execution={"time": "now"}),
            cell("code", "x", tags=["remove-output"]),
            cell("code", "x", tags=["show-input"]),
        ],
        "metadata": {"papermill": {"start": "now"}, "language_info": {"version": "3.11.7"}},
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    page = publishable(notebook, Page("p"))
    tags = [c["metadata"].get("tags") for c in page["cells"]]
    assert tags == [
        None,
        ["parameters", "remove-cell"],
        ["injected-parameters", "remove-cell"],
        ["hide-input"],
        ["remove-output", "hide-input"],
        ["show-input"],
    ]
    assert "papermill" not in json.dumps(page)
    assert "3.11.7" not in json.dumps(page)
    assert [c["id"] for c in page["cells"]] == [f"cell-{i:03d}" for i in range(6)]
    assert notebook["cells"][0]["id"] == "random"


def test_the_readme_has_the_books_tables(tmp_path):
    tables = tmp_path / "book" / "tables"
    tables.mkdir(parents=True)
    (tables / "home.csv").write_text('a,b\n1,"2, 3"\n')
    readme = tmp_path / "README.md"
    before = "top\n<!-- results:begin -->\nold\n<!-- results:end -->\nend\n"
    readme.write_text(before)
    write_readme_table(tmp_path)
    # There is nothing to show before both are there.
    assert readme.read_text() == before
    (tables / "conclusions.csv").write_text("c\nHolds\n")
    write_readme_table(tmp_path)
    assert readme.read_text() == (
        "top\n<!-- results:begin -->\n| a | b |\n| --- | --- |\n| 1 | 2, 3 |\n"
        "\n| c |\n| --- |\n| Holds |\n<!-- results:end -->\nend\n"
    )


def test_the_codecheck_manifest_lists_what_pages_wrote(project):
    (project / "codecheck.yml").write_text("a: b\n# manifest:begin\n# manifest:end\nc: d\n")
    build(project, only=["first"])
    assert (project / "codecheck.yml").read_text() == (
        "a: b\n# manifest:begin\nmanifest:\n"
        "  - file: book/first.ipynb\n"
        '    comment: "page first: the page as an executed notebook"\n'
        "  - file: book/results/one-4.csv\n"
        '    comment: "page first: numbers in full precision"\n'
        "# manifest:end\nc: d\n"
    )
    before = (project / "codecheck.yml").read_bytes()
    write_codecheck(project, PAGES)
    assert (project / "codecheck.yml").read_bytes() == before
