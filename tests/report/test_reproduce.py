import csv
import json
import re

import pytest

from ikpaper.cluster import cpus_here
from ikpaper.files import write_json
from ikpaper.report.pages import Page, build_pages, load_records
from ikpaper.report.reproduce import reproduce

NOTEBOOK = """# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # One

# %% tags=["parameters"]
profile = "quick"
book = ""

# %%
import numpy as np
import pandas as pd
from ikpaper.report import Outputs
from ikpaper.report.plots.style import new_figure

out = Outputs(book)
out.result(pd.DataFrame({"mmd2": [0.0123], "seconds": [1.5]}), "scores")
out.table(pd.DataFrame({"sampler": ["INN"], "MMD²": ["0.0123"]}), "scores")
out.number("mmd2", "0.0123")

# %%
figure = new_figure()
figure.subplots().plot([0.0, 1.0, 2.0], [0.0, 1.0, 4.0])
out.figure(figure, "line")
"""
PAGES = (Page("one"), Page("two", source="one"))


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    root = tmp_path_factory.mktemp("project")
    (root / "notebooks").mkdir()
    (root / "notebooks" / "one.py").write_text(NOTEBOOK)
    assert build_pages(root=root, pages=PAGES[:1]) == 0
    assert reproduce(root=root, pages=PAGES[:1]) == 0
    return root


@pytest.fixture
def book(built):
    """The book of a project that was built and reproduced once; changes of it are taken back."""
    before = {path: path.read_bytes() for path in (built / "book").rglob("*") if path.is_file()}
    yield built / "book"
    for path, content in before.items():
        path.write_bytes(content)


def again(book):
    return reproduce(root=book.parent, pages=PAGES[:1])


def certificate(root):
    with (root / ".cache" / "reproduce" / "certificate.csv").open() as file:
        return {row["output"]: row for row in csv.DictReader(file)}


def test_every_output_is_on_the_certificate_and_the_book_is_left_alone(book, capsys):
    before = {path: path.read_bytes() for path in book.rglob("*") if path.is_file()}
    assert again(book) == 0
    rows = certificate(book.parent)
    assert set(rows) == set(load_records(book.parent)["one"]["outputs"])
    assert {row["outside"] for row in rows.values()} == {"0"}
    assert rows["results/scores.csv"]["apart"] == "1"
    assert {path: path.read_bytes() for path in book.rglob("*") if path.is_file()} == before
    assert capsys.readouterr().out.startswith("Reproduced: ")


def change(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


@pytest.mark.parametrize(
    ("output", "old", "new"),
    [
        ("results/scores.csv", "0.0123", "0.0223"),
        ("tables/scores.csv", "0.0123", "0.0223"),
        ("one.ipynb", "'0.0123'", "'0.0223'"),
    ],
)
def test_a_changed_number_is_caught(book, output, old, new, capsys):
    change(book / output, old, new)
    assert again(book) == 1
    printed = capsys.readouterr()
    assert "0.0223 published, now 0.0123" in printed.err
    assert printed.out.startswith("NOT reproduced: ")
    assert certificate(book.parent)[output]["outside"] == "1"


def test_a_moved_figure_line_is_caught(book):
    path = book / "figures" / "line.svg"
    line, number = re.findall(r"(\nL ([\d.]+))", path.read_text())[-1]
    change(path, line, f"\nL {float(number) + 1}")
    assert again(book) == 1
    assert certificate(book.parent)["figures/line.svg"]["outside"] != "0"


@pytest.mark.parametrize("output", ["results/scores.csv", "figures/line.svg", "one.ipynb"])
def test_a_missing_file_is_caught(book, output):
    (book / output).unlink()
    assert again(book) == 1
    assert certificate(book.parent)[output]["outside"] == "1"


def test_a_time_is_not_held_against_it(book):
    change(book / "results" / "scores.csv", "1.5", "1500.0")
    assert again(book) == 0


def test_what_was_run_is_kept_and_what_was_damaged_is_run_again(book, capsys):
    made = book.parent / ".cache" / "reproduce" / "one" / "results" / "scores.csv"
    stamp = made.parents[1] / "run.json"
    before = stamp.stat().st_mtime_ns
    assert again(book) == 0
    assert stamp.stat().st_mtime_ns == before
    made.write_text("mmd2,seconds\n0.7,1.5\n")
    assert again(book) == 0
    assert "0.0123" in made.read_text()


@pytest.mark.parametrize("what", ["source", "packages"])
def test_what_other_code_or_other_packages_have_run_is_run_again(what, book):
    assert again(book) == 0
    stamp = book.parent / ".cache" / "reproduce" / "one" / "run.json"
    content = json.loads(stamp.read_text())
    content["provenance"][what] = "another"
    stamp.write_text(json.dumps(content))
    assert again(book) == 0
    assert json.loads(stamp.read_text())["provenance"][what] != "another"


def test_a_notebook_that_fails_is_on_the_certificate(book, capsys):
    source = book.parent / "notebooks" / "one.py"
    try:
        source.write_text(NOTEBOOK + "\n# %%\nraise KeyError('gone')\n")
        assert again(book) == 1
    finally:
        source.write_text(NOTEBOOK)
    assert "KeyError: 'gone'" in capsys.readouterr().err
    assert (
        "failed in cell" in certificate(book.parent)["one.ipynb"]["farthest from what is published"]
    )


def test_the_certificate_of_all_pages_can_be_published(book):
    with pytest.raises(ValueError, match=r"publish: .* on no certificate yet; run all pages"):
        reproduce(root=book.parent, pages=PAGES, only=["one"], publish=True)
    assert reproduce(root=book.parent, pages=PAGES[:1], publish=True) == 0
    for name in ("certificate", "certificate-runs", "certificate-tolerances"):
        with (book / "results" / f"{name}.csv").open() as file:
            assert len(list(csv.reader(file))) > 3
        (book / "results" / f"{name}.csv").unlink()
    (book / "results" / "certificate-pages.csv").unlink()
    (book / "results" / "certificate.md").unlink()
    stamp = json.loads((book.parent / ".cache/reproduce/one/run.json").read_text())
    assert set(stamp["outputs"]) == set(load_records(book.parent)["one"]["outputs"])


def test_the_published_certificate_says_what_all_pages_come_to(book):
    results = book / "results"
    assert reproduce(root=book.parent, pages=PAGES[:1], publish=True) == 0
    (results / "certificate.csv").write_text(
        (results / "certificate.csv").read_text() + "two,two.ipynb,1005,1005,0,0,0,0,7,\n"
    )
    records = load_records(book.parent)
    records["one"]["seconds"] = 119.0
    write_json(book / "pages.json", records)
    assert reproduce(root=book.parent, pages=PAGES, only=["one"], publish=True) == 0
    with (results / "certificate-pages.csv").open() as file:
        whole, one, two = csv.DictReader(file)
    assert [each["page"] for each in (whole, one, two)] == ["all pages", "one", "two"]
    assert (two["outputs"], two["numbers"], two["identical"]) == ("1", "1,005", "1,005")
    outputs = int(one["outputs"]) + 1
    assert whole["outputs"] == str(outputs)
    assert whole["numbers"] == f"{int(one['numbers'].replace(',', '')) + 1005:,}"
    said = (results / "certificate.md").read_text()
    apart = int(one["apart"]) + 7
    assert said == (
        f"All {whole['numbers']} numbers of {outputs} outputs are identical; "
        f"{apart} times and rates are counted apart.\n"
    )
    with (results / "certificate-runs.csv").open() as file:
        *_, pages, minutes = csv.reader(file)
    assert pages == ["pages", "1", "1"]
    assert minutes[:2] == ["minutes, one page after the other", "2.0"]
    assert float(minutes[2]) < 2.0
    change(book / "results" / "certificate.csv", "1005,1005,0", "1005,1003,2")
    assert reproduce(root=book.parent, pages=PAGES, only=["one"], publish=True) == 0
    said = (results / "certificate.md").read_text()
    assert said.startswith(f"Of {whole['numbers']} numbers of {outputs} outputs, ")
    assert " are identical, 2 within their tolerance and 0 outside; " in said


def test_pages_that_are_not_run_keep_what_they_have_on_the_certificate(book):
    path = book / "results" / "certificate.csv"
    assert reproduce(root=book.parent, pages=PAGES[:1], publish=True) == 0
    before = path.read_text()
    other = "two,two.ipynb,5,5,0,0,0,0,0,\n"
    path.write_text(before + other)
    assert reproduce(root=book.parent, pages=PAGES, only=["one"], publish=True) == 0
    assert path.read_text() == before + other


def test_pages_that_another_run_certifies_meanwhile_keep_that(book):
    path, source = book / "results" / "certificate.csv", book.parent / "notebooks" / "one.py"
    assert reproduce(root=book.parent, pages=PAGES[:1], publish=True) == 0
    before, after = (f"two,two.ipynb,{n},{n},0,0,0,0,0,\n" for n in (5, 6))
    path.write_text(path.read_text() + before)
    change_it = f"text = open({str(path)!r}).read().replace({before!r}, {after!r})"
    try:
        source.write_text(f"{NOTEBOOK}\n# %%\n{change_it}\nopen({str(path)!r}, 'w').write(text);\n")
        reproduce(root=book.parent, pages=PAGES, only=["one"], publish=True)
    finally:
        source.write_text(NOTEBOOK)
    assert path.read_text().endswith(after)


@pytest.mark.slow
def test_pages_at_once_are_pages_one_after_the_other(built, capsys):
    assert build_pages(root=built, pages=PAGES) == 0
    assert reproduce(root=built, pages=PAGES, fresh=True, parallel=1) == 0
    rows = certificate(built)
    assert reproduce(root=built, pages=PAGES, fresh=True, parallel=2, publish=True) == 0
    assert certificate(built) == rows
    # In the order of the book, whichever ended first.
    found = re.findall(r"^\[\d/2\] (\w+): [\d,]+ numbers", capsys.readouterr().err, re.M)
    assert found == ["one", "two", "one", "two"]
    with (built / "book" / "results" / "certificate-runs.csv").open() as file:
        made = {row[""]: row["this run"] for row in csv.DictReader(file)}
    assert made["threads"] == str(max(1, cpus_here() // 2))


def test_a_number_of_pages_at_a_time_is_checked(book):
    with pytest.raises(ValueError, match="parallel: expected a whole number"):
        reproduce(root=book.parent, pages=PAGES[:1], fresh=True, parallel=-1)
