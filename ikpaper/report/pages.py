"""Runs the notebooks and writes the book's pages, redoing only what changed.

`book/pages.json` says of each page what decided it (its identity), which files it wrote, and where
and how long it ran. It is committed with the pages, so that a clone knows which are current.
"""

from __future__ import annotations

import copy
import csv
import io
import json
import re
import shutil
import time
import tokenize
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ikpaper import dataset, evaluation, metrics, paper, projection
from ikpaper.arm import PlanarArm, RailArm
from ikpaper.checks import check_known
from ikpaper.files import atomic, project_root, write_json, write_text
from ikpaper.identity import Identity, State, accepted, digest, file_digest, made, provenance
from ikpaper.profiles import PUBLISHED, get_profile
from ikpaper.progress import Progress, duration
from ikpaper.report.download import markdown_table
from ikpaper.report.outputs import NARROW
from ikpaper.sampler import SAMPLERS
from ikpaper.weights import load_record, weights_path

#: Raise when pages must be made anew though neither notebooks nor their inputs changed.
VERSION = 3

#: What made each page, in the checkout.
_RECORDS = Path("book", "pages.json")
#: Seconds that a page is expected to take that has not been run yet.
_UNKNOWN = 60.0
#: The input of a page that is its text, and seconds to publish it where nothing else changed.
_TEXT, _REWRITE = "text", 1.0


@dataclass(frozen=True)
class Page:
    """A page of the book made from a notebook.

    Attributes:
        name: Page, without suffix.
        source: Notebook in `notebooks/`, without suffix; the page's name by default.
        parameters: Parameters of the notebook, beside profile and book.
        title: Title of the page, where it differs from the notebook's.
        reads: Files in `book/results` that it reads, beside its own, or patterns of such files.
        arms: Arms whose trained models it uses.
        models: Which of them.
        samplers: Samplers that it draws from, by name, and models of which it shows more than
            what was measured.
        reported: Whether it shows numbers that the paper reports.
    """

    name: str
    source: str = ""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    title: str = ""
    reads: tuple[str, ...] = ()
    arms: tuple[PlanarArm, ...] = ()
    models: tuple[str, ...] = ("cvae", "inn")
    samplers: tuple[str, ...] = ()
    reported: bool = False

    @property
    def notebook(self) -> str:
        """Name of the source notebook."""
        return self.source or self.name

    def identity(self, profile: str, root: Path) -> Identity:
        """What decides the page: its notebook, what it reads, and versions of what it calls.

        Of the notebook, code and text are apart: other text needs no other run. Of a table, the
        page of one arm reads the rows of that arm.
        """
        results = root / "book" / "results"
        files = {
            path.relative_to(root).as_posix(): path
            for name in self.reads
            for path in (sorted(results.glob(name)) or [results / name])
        }
        if self.reported:
            files["reported"] = Path(paper.__file__).with_name("reported.csv")
        dof = self.parameters.get("dof")
        inputs = {
            name: _read_digest(path, dof) if path.exists() else "none"
            for name, path in files.items()
        }
        there = (root / "notebooks" / f"{self.notebook}.py").exists()
        cells = read_notebook(root, self.notebook)["cells"] if there else []
        inputs["code"] = digest(*map(_computed, cells))
        inputs[_TEXT] = digest(self.title, *map(_written, cells))
        for arm in self.arms:
            for name in self.models:
                path = weights_path(name, arm, profile, get_profile(profile).seed)
                record = load_record(path)
                inputs[f"weights {path.stem}"] = record["sha256"] if record else "none"
        names = (*self.samplers, *(self.models if self.arms else ()))
        versions = {"report": VERSION, **{name: SAMPLERS[name].version for name in names}}
        if names:
            versions |= {
                "scoring": evaluation.task.VERSION,
                "metrics": metrics.VERSION,
                "dataset": dataset.VERSION,
                "projection": projection.VERSION,
            }
        settings = {
            "name": self.name,
            "parameters": dict(self.parameters),
            "profile": asdict(get_profile(profile)),
        }
        return Identity("page", settings, inputs, versions)


def _read_digest(path: Path, dof: int | None) -> str:
    """Digest of a result file, or of what it has for one arm: rows without `dof` are of any."""
    if dof is None:
        return file_digest(path)
    with path.open(newline="", encoding="utf-8") as file:
        rows = csv.DictReader(file)
        return digest(
            rows.fieldnames, [row for row in rows if row.get("dof") in (None, "", str(dof))]
        )


def read_notebook(root: Path, name: str) -> dict[str, Any]:
    """The source of a page, `notebooks/NAME.py`, as a notebook without outputs.

    Raises:
        FileNotFoundError: If there is no such file.
    """
    import jupytext

    return json.loads(json.dumps(jupytext.read(root / "notebooks" / f"{name}.py")))


def _computed(cell: Mapping[str, Any]) -> list[Any]:
    """What of a cell decides what a run makes: code, tags, and the name of its figure."""
    if cell["cell_type"] != "code":
        return []
    metadata = cell["metadata"]
    figure = metadata.get("mystnb", {}).get("figure", {}).get("name", "")
    return [_without_comments(cell["source"]), metadata.get("tags", []), figure]


def _without_comments(source: str) -> str:
    """Python code without comments and empty lines; code that does not parse as it is."""
    lines, strings = source.splitlines(), set()
    try:
        tokens = [*tokenize.generate_tokens(io.StringIO(source).readline)]
    except (tokenize.TokenError, SyntaxError):
        return source
    for token in tokens:
        row, column = token.start
        if token.type == tokenize.COMMENT:
            lines[row - 1] = lines[row - 1][:column]
        elif token.end[0] > row and token.string.strip():
            # In a text over several lines, empty ones count.
            strings |= {*range(row - 1, token.end[0])}
    kept = ((i, line if i in strings else line.rstrip()) for i, line in enumerate(lines))
    return "\n".join(line for i, line in kept if line or i in strings)


def _written(cell: Mapping[str, Any]) -> list[Any]:
    """What of a cell is text: Markdown, captions, descriptions of figures, comments.

    Of code it is all of it: the page shows it, and other code needs another run anyway.
    """
    metadata = {name: value for name, value in cell["metadata"].items() if name != "tags"}
    return [cell["cell_type"], cell["source"], metadata]


def _arm_page(dof: int) -> Page:
    return Page(
        f"dof-{dof:02d}",
        source="dof",
        parameters={"dof": dof},
        title=f"The arm with {dof} joints",
        reads=("benchmark.csv", "seeds.csv"),
        arms=(PlanarArm.paper(dof),),
        samplers=("exact", "rejection", "prior", "numerical"),
    )


#: Result files of the pages of all arms.
_SCORES = tuple(
    f"{table}-{dof:02d}.csv" for dof in PlanarArm.PAPER_DOF for table in ("scores", "figures")
)

#: Those of all studies.
_STUDIES = ("studies/*/*.csv", "studies/*/study.json")

#: Pages in the order in which they are run: a page may read results of those before it.
PAGES = (
    Page("inverse-kinematics", samplers=("exact", "numerical")),
    Page("data", samplers=("prior",)),
    Page("models", samplers=("cvae", "inn", "flow")),
    Page("ground-truth", samplers=("exact", "rejection", "prior")),
    Page("hyperparameters", samplers=("cvae", "inn")),
    *(_arm_page(dof) for dof in PlanarArm.PAPER_DOF),
    Page(
        "published",
        reads=(*_SCORES, "ablations.csv"),
        arms=tuple(PlanarArm.paper(dof) for dof in PlanarArm.PAPER_DOF),
        samplers=("exact", "rejection", "prior"),
        reported=True,
    ),
    Page(
        "comparison",
        reads=(*_SCORES, "seeds.csv", "ablations.csv", "benchmark.csv", "printed-mismatch.csv"),
        arms=tuple(PlanarArm.paper(dof) for dof in PlanarArm.PAPER_DOF),
        reported=True,
    ),
    Page("studies", reads=(*_SCORES, "seeds.csv", *_STUDIES)),
    Page(
        "benchmark",
        reads=("benchmark.csv",),
        arms=(RailArm.benchmark(),),
        models=("flow",),
        samplers=("exact", "rejection", "prior"),
    ),
    Page(
        "summary",
        reads=(*_SCORES, "seeds.csv", "ablations.csv", "benchmark.csv", *_STUDIES),
        reported=True,
    ),
    Page("reading", reads=("benchmark.csv", "statistic-floor.csv"), samplers=("exact", "prior")),
    Page("speed", reads=("bench.csv", "bench-breakdown.csv")),
    Page("longer-arms", reads=("scaling.csv", "scaling-full.csv")),
    Page("baselines", reads=("baselines.csv", "benchmark.csv")),
    Page(
        "beyond",
        reads=("benchmark.csv", "bench.csv", "scaling.csv"),
        arms=(PlanarArm.paper(6),),
        models=("cvae", "inn", "flow", "flow-fast"),
        samplers=("exact",),
    ),
    Page("calibration", reads=("calibration.csv", "benchmark.csv")),
)


class PageError(RuntimeError):
    """A notebook failed; says in which cell, and where the failed run is."""


def choose(only: Collection[str] = (), pages: Sequence[Page] = PAGES) -> list[Page]:
    """Pages by name, in their order; all by default.

    Raises:
        ValueError: If a page is unknown.
    """
    check_known("page", only, [page.name for page in pages])
    return [page for page in pages if not only or page.name in only]


def load_records(root: Path) -> dict[str, Any]:
    """What `book/pages.json` says of each page; empty if there is no such file."""
    path = root / _RECORDS
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def status(
    profile: str = PUBLISHED,
    *,
    only: Collection[str] = (),
    root: Path | None = None,
    pages: Sequence[Page] = PAGES,
) -> list[State]:
    """Which pages are current, why others are not, and what running each costs, current or not.

    Args:
        profile: Profile of the pages.
        only: Names of pages; all by default.
        root: Folder of the project; by default this one.
        pages: All pages of the book.

    Raises:
        ValueError: If a page or the profile is unknown.
    """
    get_profile(profile)
    root = root or project_root()
    records = load_records(root)
    states = []
    for page in choose(only, pages):
        record = records.get(page.name)
        reasons = _reasons(page, profile, root, record)
        cost = record["seconds"] if record else _UNKNOWN
        if _only_text(reasons):
            cost = _REWRITE
        states.append(State(page.name, "; ".join(reasons), made(record or {}), cost))
    return states


def _reasons(page: Page, profile: str, root: Path, record: Mapping[str, Any] | None) -> list[str]:
    """Why a page is not current, one phrase each."""
    if record is None:
        return ["never run"]
    reasons = page.identity(profile, root).differs(record["identity"])
    for name, sha256 in record["outputs"].items():
        path = root / "book" / name
        if not path.exists():
            reasons.append(f"book/{name} is missing")
        elif file_digest(path) != sha256:
            reasons.append(f"book/{name} is not what the page wrote")
    return reasons


def _only_text(reasons: Sequence[str]) -> bool:
    """Whether a page is not current for its text alone."""
    return len(reasons) == 1 and reasons[0].startswith(f"input {_TEXT}: ")


def accept(
    names: Collection[str],
    profile: str = PUBLISHED,
    *,
    reason: str,
    root: Path | None = None,
    pages: Sequence[Page] = PAGES,
) -> None:
    """Record pages as current that somebody has checked: as they are, with today's identity.

    Args:
        names: Names of pages; all if empty.
        profile: Their profile.
        reason: What was checked; it stays on record.
        root: Folder of the project; by default this one.
        pages: All pages of the book.

    Raises:
        ValueError: If a page is unknown, was never run, or a file of it is missing.
    """
    root = root or project_root()
    records = load_records(root)
    for page in choose(names, pages):
        if page.name not in records:
            raise ValueError(f"page {page.name} was never run; run: ikpaper report")
        outputs = records[page.name]["outputs"]
        if missing := [name for name in outputs if not (root / "book" / name).exists()]:
            raise ValueError(f"page {page.name} lacks {', '.join(missing)}; run: ikpaper report")
        records[page.name] |= {
            "identity": page.identity(profile, root).record(),
            "outputs": {name: file_digest(root / "book" / name) for name in outputs},
            "accepted": accepted(records[page.name], reason),
        }
    write_json(root / _RECORDS, records)


def build_pages(
    profile: str = PUBLISHED,
    *,
    only: Collection[str] = (),
    fresh: bool = False,
    root: Path | None = None,
    pages: Sequence[Page] = PAGES,
) -> int:
    """Run every notebook whose inputs changed and publish it as a page of the book.

    A notebook that fails leaves page and results as they were.

    Args:
        profile: Profile of all pages.
        only: Names of pages; all by default.
        fresh: Run also what is current.
        root: Folder of the project; by default this one.
        pages: All pages of the book.

    Returns:
        0, or 1 if a notebook failed.

    Raises:
        ValueError: If a page or the profile is unknown.
    """
    root = root or project_root()
    chosen = choose(only, pages)
    costs = {each.name: each.cost for each in status(profile, only=only, root=root, pages=pages)}
    progress = Progress(sum(costs.values()))
    failed = 0
    for number, page in enumerate(chosen, 1):
        label = f"[{number}/{len(chosen)}] {page.name}"
        # Pages before this one may have changed what it reads.
        reasons = _reasons(page, profile, root, load_records(root).get(page.name))
        if not reasons and not fresh:
            progress.skip(costs[page.name])
            progress.say(f"{label}: current")
            continue
        why = f" ({'; '.join(reasons)})" if reasons else ""
        if _only_text(reasons) and not fresh:
            _rewrite(page, profile, root)
            progress.advance(costs[page.name], label)
            progress.say(f"{label}: its text is new, its numbers are as they were")
            continue
        progress.show(f"{label}: running notebooks/{page.notebook}.py{why}")
        identity, start = page.identity(profile, root), time.monotonic()
        staging = root / ".cache" / "report" / page.name
        try:
            outputs = run_page(page, profile, staging, root)
        except PageError as error:
            progress.say(f"{label}: {error}; the page is as it was")
            failed = 1
            break
        for name in outputs:
            with atomic(root / "book" / name) as partial:
                shutil.copyfile(staging / name, partial)
        seconds = time.monotonic() - start
        records = load_records(root)
        records[page.name] = {
            "identity": identity.record(),
            "outputs": outputs,
            "provenance": provenance(),
            "seconds": round(seconds, 1),
        }
        known = {each.name for each in pages}
        write_json(root / _RECORDS, {name: records[name] for name in records if name in known})
        shutil.rmtree(staging)
        progress.advance(costs[page.name], label)
        progress.say(f"{label}: done in {duration(seconds)}")
    # Also after a failure: pages before it may have changed what these show.
    write_readme_table(root)
    write_codecheck(root, pages)
    return failed


def _rewrite(page: Page, profile: str, root: Path) -> None:
    """Publish the text of a page's notebook anew, with the outputs that the page has."""
    path = root / "book" / f"{page.name}.ipynb"
    write_text(path, rewritten(page, root))
    records = load_records(root)
    records[page.name]["identity"] = page.identity(profile, root).record()
    records[page.name]["outputs"][path.name] = file_digest(path)
    write_json(root / _RECORDS, records)


def rewritten(page: Page, root: Path) -> str:
    """A page with the text that its notebook has now, and the outputs that the page has.

    The notebook's code must be that of the page's run.
    """
    path = root / "book" / f"{page.name}.ipynb"
    published = json.loads(path.read_text(encoding="utf-8"))
    run = [cell for cell in published["cells"] if cell["cell_type"] == "code"]
    cells = []
    for cell in read_notebook(root, page.notebook)["cells"]:
        cells.append(cell)
        if cell["cell_type"] == "code":
            cell |= {name: run[0][name] for name in ("outputs", "execution_count")}
            del run[0]
            if run and "injected-parameters" in run[0]["metadata"].get("tags", ()):
                cells.append(run.pop(0))
    return _as_json(publishable({**published, "cells": cells}, page))


def _as_json(notebook: Mapping[str, Any]) -> str:
    return json.dumps(notebook, indent=1, ensure_ascii=False, sort_keys=True) + "\n"


def run_page(page: Page, profile: str, folder: Path, root: Path) -> dict[str, str]:
    """Execute a page's notebook; its files lie in `folder` as they will in `book/`.

    Returns:
        Digests of the files by their names relative to `folder`.

    Raises:
        PageError: If a cell fails.
    """
    import nbformat
    import papermill

    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    executed = folder / "executed.ipynb"
    parameters = {**page.parameters, "profile": profile, "book": str(folder)}
    if page.arms:
        # What is published is evaluated as it is; the other profiles train what is missing.
        parameters["train"] = profile != PUBLISHED
    try:
        papermill.execute_notebook(
            nbformat.from_dict(read_notebook(root, page.notebook)),
            str(executed),
            parameters=parameters,
            kernel_name="python3",
            cwd=str(root),
            progress_bar=False,
            # A warning about its transport, which stays on this machine, for every kernel.
            extra_arguments=["--log-level=CRITICAL"],
        )
    except papermill.PapermillExecutionError as error:
        raise PageError(
            f"notebooks/{page.notebook}.py failed in cell {error.cell_index}: {error.ename}: "
            f"{error.evalue}; the failed run is in {executed.relative_to(root)}"
        ) from error
    notebook = publishable(json.loads(executed.read_text(encoding="utf-8")), page)
    executed.unlink()
    for name, svg in _narrow_figures(notebook):
        write_text(folder / "figures" / f"{name}-narrow.svg", svg)
    write_text(folder / f"{page.name}.ipynb", _as_json(notebook))
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): file_digest(path) for path in files}


def _narrow_figures(notebook: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Figures for narrow screens, taken out of the outputs, by the figure's name: no `fig-`."""
    for cell in notebook["cells"]:
        name = cell["metadata"].get("mystnb", {}).get("figure", {}).get("name", "")
        for output in cell.get("outputs", ()):
            svg = output.get("data", {}).pop(NARROW, "")
            if svg and name:
                yield name.removeprefix("fig-"), "".join(svg)


def write_readme_table(root: Path) -> None:
    """Put two tables between the marks in README.md: the front page's, and the conclusions."""
    paths = [root / "book" / "tables" / f"{name}.csv" for name in ("home", "conclusions")]
    if all(path.exists() for path in paths):
        home, conclusions = (markdown_table(path.read_text(encoding="utf-8")) for path in paths)
        lines = [home, "", conclusions]
        _between(root / "README.md", "<!-- results:begin -->", lines, "<!-- results:end -->")


def write_codecheck(root: Path, pages: Sequence[Page] = PAGES) -> None:
    """List all outputs of the pages between the marks in codecheck.yml."""
    records = load_records(root)
    lines = ["manifest:"]
    for page in pages:
        for name in records.get(page.name, {}).get("outputs", ()):
            what = _KINDS.get(name.partition("/")[0], "the page as an executed notebook")
            if name.endswith("-narrow.svg"):
                what = "a figure as narrow screens show it"
            lines += [f"  - file: book/{name}", f'    comment: "page {page.name}: {what}"']
    _between(root / "codecheck.yml", "# manifest:begin", lines, "# manifest:end")


#: What the folders of `book/` hold.
_KINDS = {
    "figures": "a figure that another page shows",
    "results": "numbers in full precision",
    "tables": "a table as the book shows it",
}


def _between(path: Path, begin: str, lines: Iterable[str], end: str) -> None:
    """Put lines between two marks in a file, if it is there and has them."""
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    if begin not in text or end not in text:
        return
    before, rest = text.split(begin, 1)
    new = "\n".join([before + begin, *lines, end + rest.split(end, 1)[1]])
    if new != text:
        write_text(path, new)


def publishable(notebook: Mapping[str, Any], page: Page) -> dict[str, Any]:
    """An executed notebook as a page: titled, labelled, without what changes at every run.

    Labels and figure names that end in `-dof` get the arm's number instead, since the same
    notebook makes several pages. Code is folded, but for cells tagged `show-input`; parameter
    cells are left out.
    """
    result = copy.deepcopy(dict(notebook))
    dof = page.parameters.get("dof")
    titled = not page.title
    for number, cell in enumerate(result["cells"]):
        cell["id"] = f"cell-{number:03d}"
        metadata, source = cell["metadata"], "".join(cell["source"])
        tags = [tag for tag in metadata.get("tags", []) if tag != "papermill-error-cell-tag"]
        if cell["cell_type"] == "code":
            if {"parameters", "injected-parameters"} & set(tags):
                tags = [*(tag for tag in tags if tag != "remove-cell"), "remove-cell"]
            elif not {"remove-cell", "show-input"} & set(tags):
                tags.append("hide-input")
            # Of outputs that nobody sees, only what pages ask for by name is kept.
            seen = not {"remove-cell", "remove-output"} & set(tags)
            cell["outputs"] = [
                output
                for output in cell["outputs"]
                if "scrapbook" in output.get("metadata", {})
                or (seen and output.get("name") != "stderr")
            ]
        if "injected-parameters" in tags:
            # The folder that this run wrote to means nothing to a reader.
            source = re.sub(r"^book = .*$", 'book = ""', source, flags=re.M)
        if not titled and cell["cell_type"] == "markdown":
            source, count = re.subn(r"^# .*$", f"# {page.title}", source, count=1, flags=re.M)
            titled = count > 0
        kept = {"tags": tags} if tags else {}
        kept |= {name: metadata[name] for name in ("mystnb", "image", "figure") if name in metadata}
        if dof is not None:
            source = _number_labels(source, dof)
            kept = json.loads(_number_labels(json.dumps(kept), dof))
        cell |= {"metadata": kept, "source": source}
    result["metadata"] = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    return result


def _number_labels(text: str, dof: int) -> str:
    return re.sub(r"\b([a-z]+(?:-[a-z]+)*)-dof\b", rf"\1-{dof:02d}", text)
