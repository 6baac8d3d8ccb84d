"""The committed book, as files; `tests/browser.py` looks at what is built from it."""

import csv
import json
import re
from collections import Counter
from pathlib import Path

import pytest
import yaml

from ikpaper.arm import PlanarArm
from ikpaper.report.pages import PAGES, load_records, status, write_codecheck, write_readme_table

ROOT = Path(__file__).resolve().parents[2]
BOOK = ROOT / "book"
TOC = yaml.safe_load((BOOK / "_toc.yml").read_text())
NAMES = [TOC["root"], *(c["file"] for part in TOC["parts"] for c in part["chapters"])]


def page_file(name):
    found = [BOOK / f"{name}{suffix}" for suffix in (".md", ".ipynb")]
    return next((file for file in found if file.exists()), found[0])


def cells_of(name):
    return json.loads((BOOK / f"{name}.ipynb").read_text())["cells"]


def text_of(name):
    file = page_file(name)
    if file.suffix == ".md":
        return file.read_text()
    return "\n".join("".join(c["source"]) for c in cells_of(name) if c["cell_type"] == "markdown")


def test_config_and_toc_are_links_at_the_root():
    for name in ("_config.yml", "_toc.yml"):
        assert (ROOT / name).resolve() == BOOK / name


@pytest.mark.parametrize("name", NAMES)
def test_every_page_of_the_toc_is_there(name):
    assert page_file(name).exists()
    assert re.search(r"^\(sec-[\w-]+\)=\n# ", text_of(name), re.M), "a labelled title"


def test_every_notebook_page_is_in_the_toc():
    assert {page.name for page in PAGES} <= set(NAMES)


@pytest.mark.parametrize("name", [page.name for page in PAGES])
def test_executed_notebooks_are_clean(name):
    for cell in cells_of(name):
        if cell["cell_type"] != "code":
            continue
        assert {"hide-input", "remove-cell", "show-input"} & set(cell["metadata"]["tags"])
        for output in cell["outputs"]:
            assert output["output_type"] != "error"
            assert output.get("name") != "stderr"
            shown = "remove-cell" not in cell["metadata"]["tags"]
            if shown and "image/svg+xml" in output.get("data", {}):
                figure = cell["metadata"]["mystnb"]
                assert figure["figure"]["name"].startswith("fig-")
                assert len(figure["figure"]["caption"]) > 20
                assert len(figure["image"]["alt"]) > 40


def test_labels_are_unique():
    labels = Counter()
    for name in NAMES:
        labels.update(re.findall(r"^\((sec-[\w-]+)\)=", text_of(name), re.M))
        labels.update(re.findall(r"^:(?:name|label): (\S+)", text_of(name), re.M))
        if page_file(name).suffix == ".ipynb":
            for cell in cells_of(name):
                figure = cell["metadata"].get("mystnb", {}).get("figure")
                labels.update([figure["name"]] if figure else [])
    assert not {label for label, count in labels.items() if count > 1}
    assert not [label for label in labels if label.endswith("-dof")]


def test_tables_and_figures_that_pages_name_are_there_and_no_others():
    text = "\n".join(text_of(name) for name in NAMES)
    tables = set(re.findall(r"^:file: (\S+)", text, re.M))
    figures = set(re.findall(r"\{figure\} (\S+)|\{download\}`\w+ <(figures/\S+)>`", text))
    figures = {path for pair in figures for path in pair if path}
    tables -= {path for path in tables if re.match("results/(certificate|playground)", path)}
    assert tables == {str(p.relative_to(BOOK)) for p in (BOOK / "tables").glob("*")}
    found = {str(path.relative_to(BOOK)) for path in (BOOK / "figures").glob("*")}
    narrow = {path for path in found if path.endswith("-narrow.svg")}
    assert figures == found - narrow
    # Each is of a figure of some page.
    cells = [cell for page in PAGES for cell in cells_of(page.name)]
    labels = [cell["metadata"].get("mystnb", {}).get("figure", {}).get("name") for cell in cells]
    labels += re.findall(r"^:name: (fig-\S+)", text, re.M)
    assert narrow <= {f"figures/{(label or '')[4:]}-narrow.svg" for label in labels}


def test_glued_numbers_exist_where_they_are_said_to():
    keys = {
        name: {
            output["metadata"]["scrapbook"]["name"].removeprefix("application/papermill.record/")
            for cell in cells_of(name)
            for output in cell.get("outputs", [])
            if "scrapbook" in output.get("metadata", {})
        }
        for name in (page.name for page in PAGES)
    }
    used = 0
    for name in NAMES:
        for target in re.findall(r"\{glue:text\}`([^`]+)`", text_of(name)):
            page, _, key = target.rpartition("::")
            key = key.split(":")[0]
            assert key in keys[page.removesuffix(".ipynb") or name], (name, target)
            used += 1
    assert used > 30


def test_results_are_of_one_profile():
    found = set()
    for file in sorted((BOOK / "results").glob("*.csv")):
        # Tables of training runs of several profiles, which they state.
        if file.name in ("ablations.csv", "benchmark.csv", "scaling.csv", "seeds.csv"):
            continue
        with file.open() as rows:
            found |= {row["profile"] for row in csv.DictReader(rows) if "profile" in row}
    assert len(found) == 1


def test_every_arm_has_its_results():
    for dof in PlanarArm.PAPER_DOF:
        for table in ("scores", "figures", "training"):
            assert (BOOK / "results" / f"{table}-{dof:02d}.csv").exists()


def test_the_readme_table_is_the_books(tmp_path):
    (tmp_path / "book").mkdir()
    (tmp_path / "book" / "tables").symlink_to(BOOK / "tables")
    (tmp_path / "README.md").write_text((ROOT / "README.md").read_text())
    write_readme_table(tmp_path)
    assert (tmp_path / "README.md").read_text() == (ROOT / "README.md").read_text()
    assert "<!-- results:begin -->\n| sampler |" in (ROOT / "README.md").read_text()


def test_links_of_the_readme_lead_somewhere():
    links = re.findall(r"\]\(([^)#:]+)\)", (ROOT / "README.md").read_text())
    assert len(links) > 8
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_every_part_of_the_slides_has_a_place_and_an_outcome():
    rows = re.findall(r"^\| (.+) \| (.+) \| (.*) \| (.+) \|$", text_of("slides"), re.M)
    rows = [row for row in rows if row[0] != "In the slides"]
    assert len(rows) > 30
    words = r"reproduced|corrected|extended|taken over|\{glue:text\}`\S+`"
    for part, here, code, outcome in rows:
        assert re.search(r"\{(ref|numref|eq)\}`", here), part
        # The references have no code.
        assert re.match(r"\{py:\w+\}`", code) or "References" in part, part
        assert re.fullmatch(words, outcome), part


def test_every_page_is_current():
    assert {page.name: page.reason for page in status() if not page.current} == {}


def test_pages_wrote_all_tables_and_figures_and_each_wrote_its_own():
    outputs = Counter(name for each in load_records(ROOT).values() for name in each["outputs"])
    assert max(outputs.values()) == 1
    paths = [*(BOOK / "tables").iterdir(), *(BOOK / "figures").iterdir()]
    assert {str(path.relative_to(BOOK)) for path in paths} <= set(outputs)


def test_the_codecheck_manifest_lists_what_the_pages_wrote(tmp_path):
    check = yaml.safe_load((ROOT / "codecheck.yml").read_text())
    assert check["version"] == "https://codecheck.org.uk/spec/config/1.0/"
    listed = [each["file"] for each in check["manifest"]]
    records = load_records(ROOT)
    assert listed == [f"book/{name}" for page in PAGES for name in records[page.name]["outputs"]]
    assert all((ROOT / name).is_file() for name in listed)
    (tmp_path / "book").symlink_to(BOOK)
    (tmp_path / "codecheck.yml").write_text((ROOT / "codecheck.yml").read_text())
    write_codecheck(tmp_path)
    assert (tmp_path / "codecheck.yml").read_text() == (ROOT / "codecheck.yml").read_text()


def test_the_certificate_is_of_these_pages_and_nothing_is_outside():
    with (BOOK / "results" / "certificate.csv").open() as file:
        rows = list(csv.DictReader(file))
    outputs = {name for each in load_records(ROOT).values() for name in each["outputs"]}
    assert {row["output"] for row in rows} == outputs
    assert {row["outside"] for row in rows} == {"0"}


def test_no_absolute_paths_in_what_is_published():
    published = [*BOOK.glob("*.*"), *(BOOK / "results").iterdir(), *(BOOK / "tables").iterdir()]
    published += (ROOT / "notebooks").iterdir()
    pattern = re.compile(r"(?<![\w.])/(?:home|root|tmp|work|Users)/\w")
    for file in published:
        if file.is_file():
            found = pattern.search(file.read_text(encoding="utf-8"))
            assert not found, (file, found and found.group())


def test_no_fence_of_backticks_has_backticks_in_its_title():
    # CommonMark takes it for text, and all that follows for code: a fence of colons may have them.
    sources = [*BOOK.glob("*.md"), *(ROOT / "notebooks").glob("*.py")]
    titles = re.compile(r"^(?:# )?```\S.*`", re.MULTILINE)
    assert [path.name for path in sources if titles.search(path.read_text())] == []
