"""Runs the notebooks and writes the book's pages, redoing only what changed."""

from __future__ import annotations

import copy
import csv
import hashlib
import json
import re
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ikpaper.arm import PlanarArm, RailArm
from ikpaper.files import atomic, digest, project_root, write_json, write_text
from ikpaper.profiles import PUBLISHED, get_profile
from ikpaper.progress import Progress, duration
from ikpaper.weights import load_record, weights_path

__all__ = ["PAGES", "Page", "build_pages", "publishable", "write_readme_table"]


@dataclass(frozen=True)
class Page:
    """A page of the book made from a notebook.

    Attributes:
        name: Page, without suffix.
        source: Notebook in `notebooks/`, without suffix; the page's name by default.
        parameters: Parameters of the notebook, beside profile and book.
        title: Title of the page, where it differs from the notebook's.
        reads: Result files that it reads, beside its own, or patterns of such files.
        arms: Arms whose trained models it uses.
        models: Which of them.
        effort: Expected run time relative to other pages, for the time left.
    """

    name: str
    source: str = ""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    title: str = ""
    reads: tuple[str, ...] = ()
    arms: tuple[PlanarArm, ...] = ()
    models: tuple[str, ...] = ("cvae", "inn")
    effort: float = 10.0

    @property
    def notebook(self) -> str:
        """Name of the source notebook."""
        return self.source or self.name


def _arm_page(dof: int) -> Page:
    return Page(
        f"dof-{dof:02d}",
        source="dof",
        parameters={"dof": dof},
        title=f"The arm with {dof} joints",
        arms=(PlanarArm.paper(dof),),
        effort=40.0,
    )


#: Result files of the pages of all arms.
_SCORES = tuple(
    f"{table}-{dof:02d}" for dof in PlanarArm.PAPER_DOF for table in ("scores", "figures")
)

#: Pages in the order in which they are run: a page may read results of those before it.
PAGES = (
    Page("inverse-kinematics"),
    Page("data"),
    Page("models"),
    Page("ground-truth", effort=30.0),
    Page("hyperparameters"),
    *(_arm_page(dof) for dof in PlanarArm.PAPER_DOF),
    Page(
        "comparison",
        reads=(*_SCORES, "seeds", "ablations"),
        arms=tuple(PlanarArm.paper(dof) for dof in PlanarArm.PAPER_DOF),
        effort=15.0,
    ),
    Page(
        "published",
        reads=(*_SCORES, "ablations"),
        effort=30.0,
    ),
    Page(
        "studies",
        reads=(*_SCORES, "seeds", "studies/*/trials", "studies/*/confirmed"),
        effort=15.0,
    ),
    Page(
        "benchmark",
        reads=("benchmark",),
        arms=(RailArm.benchmark(),),
        models=("flow",),
        effort=20.0,
    ),
    Page("speed", reads=("bench", "bench-breakdown"), effort=4.0),
    Page("longer-arms", reads=("growth",), effort=2.0),
    Page("peers", reads=("peers",), effort=1.0),
    Page(
        "beyond",
        reads=("benchmark", "bench", "growth"),
        arms=(PlanarArm.paper(6),),
        models=("cvae", "inn", "flow", "flow-fast"),
        effort=15.0,
    ),
)


def build_pages(
    profile: str = PUBLISHED,
    *,
    only: Sequence[str] = (),
    fresh: bool = False,
    root: Path | None = None,
) -> int:
    """Run every notebook whose inputs changed and publish it as a page of the book.

    A page is up to date if its content key (notebook, parameters, library, lock file, results it
    reads, weights it uses) and the files it wrote are those of its last run on this machine.
    A notebook that fails leaves page and results as they were.

    Args:
        profile: Profile of all pages.
        only: Names of pages; all by default.
        fresh: Run also what is up to date.
        root: Folder of the project; by default this one.

    Returns:
        0, or 1 if a notebook failed.

    Raises:
        ValueError: If a page or the profile is unknown.
    """
    get_profile(profile)
    names = [page.name for page in PAGES]
    if unknown := sorted(set(only) - set(names)):
        raise ValueError(f"unknown page {', '.join(unknown)}; known: {', '.join(names)}")
    root = root or project_root()
    pages = [page for page in PAGES if not only or page.name in only]
    progress = Progress(sum(page.effort for page in pages))
    status = 0
    for number, page in enumerate(pages, 1):
        label = f"[{number}/{len(pages)}] {page.name}"
        key = _key(page, profile, root)
        if not fresh and _up_to_date(page, key, root):
            progress.skip(page.effort)
            progress.say(f"{label}: up to date")
            continue
        progress.show(f"{label}: running notebooks/{page.notebook}.py")
        start = time.monotonic()
        failure = _run(page, profile, key, root)
        if failure:
            progress.say(f"{label}: {failure}")
            status = 1
            break
        progress.advance(page.effort, label)
        progress.say(f"{label}: done in {duration(time.monotonic() - start)}")
    # Also after a failure: pages before it may have changed what the table shows.
    write_readme_table(root)
    return status


def write_readme_table(root: Path) -> None:
    """Put the summary of all samplers, as the book has it, between the marks in README.md."""
    summary, readme = root / "book" / "tables" / "summary.csv", root / "README.md"
    if not summary.exists() or not readme.exists():
        return
    with summary.open(encoding="utf-8", newline="") as file:
        header, *rows = csv.reader(file)
    lines = [header, ["---"] * len(header), *rows]
    table = "\n".join("| " + " | ".join(line) + " |" for line in lines)
    text = readme.read_text(encoding="utf-8")
    begin, end = "<!-- results:begin -->", "<!-- results:end -->"
    if begin in text and end in text:
        before, rest = text.split(begin, 1)
        after = rest.split(end, 1)[1]
        new = f"{before}{begin}\n{table}\n{end}{after}"
        if new != text:
            write_text(readme, new)


def _key(page: Page, profile: str, root: Path) -> str:
    library = [*root.glob("ikpaper/**/*.py"), root / "ikpaper" / "reported.csv"]
    results = root / "book" / "results"
    read = [
        path
        for name in page.reads
        for path in (sorted(results.glob(f"{name}.csv")) or [results / f"{name}.csv"])
    ]
    files = [
        root / "notebooks" / f"{page.notebook}.py",
        root / "requirements.lock",
        *library,
        *read,
    ]
    weights = []
    for arm in page.arms:
        for name in page.models:
            path = weights_path(name, arm, profile, get_profile(profile).seed)
            record = load_record(path)
            weights.append(record["sha256"] if record else "none")
    present = [file for file in files if file.exists()]
    missing = [file.name for file in files if not file.exists()]
    return digest(
        page.name, page.title, dict(page.parameters), profile, weights, missing, files=present
    )


def _stamp(page: Page, root: Path) -> Path:
    return root / ".cache" / "report" / f"{page.name}.json"


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _up_to_date(page: Page, key: str, root: Path) -> bool:
    try:
        stamp = json.loads(_stamp(page, root).read_text())
    except (FileNotFoundError, json.JSONDecodeError):
        return False
    return stamp["key"] == key and all(
        (root / name).exists() and _sha256(root / name) == sha256
        for name, sha256 in stamp["files"].items()
    )


def _run(page: Page, profile: str, key: str, root: Path) -> str:
    """Execute and publish one page; what went wrong, or nothing."""
    import jupytext
    import papermill

    staging = root / ".cache" / "report" / page.name
    shutil.rmtree(staging, ignore_errors=True)
    staging.mkdir(parents=True)
    source = root / "notebooks" / f"{page.notebook}.py"
    executed = staging / f"{page.name}.ipynb"
    parameters = {**page.parameters, "profile": profile, "book": str(staging)}
    if page.arms:
        # What is published is evaluated as it is; the other profiles train what is missing.
        parameters["train"] = profile != PUBLISHED
    try:
        papermill.execute_notebook(
            jupytext.read(source),
            str(executed),
            parameters=parameters,
            kernel_name="python3",
            cwd=str(root),
            progress_bar=False,
            # A warning about its transport, which stays on this machine, for every kernel.
            extra_arguments=["--log-level=CRITICAL"],
        )
    except papermill.PapermillExecutionError as error:
        return (
            f"notebooks/{page.notebook}.py failed in cell {error.cell_index}: {error.ename}: "
            f"{error.evalue}; the page is as it was, the failed run is in "
            f"{executed.relative_to(root)}"
        )
    notebook = publishable(json.loads(executed.read_text(encoding="utf-8")), page)
    written = []
    for made in sorted(staging.glob("*/*")):
        target = root / "book" / made.relative_to(staging)
        with atomic(target) as partial:
            shutil.copyfile(made, partial)
        written.append(target)
    target = root / "book" / f"{page.name}.ipynb"
    write_text(target, json.dumps(notebook, indent=1, ensure_ascii=False, sort_keys=True) + "\n")
    written.append(target)
    files = {str(path.relative_to(root)): _sha256(path) for path in written}
    write_json(_stamp(page, root), {"key": key, "files": files})
    shutil.rmtree(staging)
    return ""


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
        metadata = cell["metadata"]
        tags = [tag for tag in metadata.get("tags", []) if tag != "papermill-error-cell-tag"]
        if cell["cell_type"] == "code":
            hidden = {"parameters", "injected-parameters"} & set(tags)
            if hidden:
                tags.append("remove-cell")
            elif not {"remove-cell", "show-input"} & set(tags):
                tags.append("hide-input")
            if {"remove-cell", "remove-output"} & set(tags):
                # Only what pages ask for by name is kept of outputs that nobody sees.
                cell["outputs"] = [out for out in cell["outputs"] if _is_glue(out)]
            cell["outputs"] = [
                out
                for out in cell["outputs"]
                if not (out["output_type"] == "stream" and out["name"] == "stderr")
            ]
        kept = {name: metadata[name] for name in ("mystnb", "image", "figure") if name in metadata}
        cell["metadata"] = {**kept, **({"tags": tags} if tags else {})}
        source = "".join(cell["source"])
        if "injected-parameters" in tags:
            # The folder that this run wrote to means nothing to a reader.
            source = re.sub(r"^book = .*$", 'book = ""', source, flags=re.M)
        if not titled and cell["cell_type"] == "markdown" and re.search(r"^# ", source, re.M):
            source = re.sub(r"^# .*$", f"# {page.title}", source, count=1, flags=re.M)
            titled = True
        if dof is not None:
            source = _number_labels(source, dof)
            cell["metadata"] = json.loads(_number_labels(json.dumps(cell["metadata"]), dof))
        cell["source"] = source
    result["metadata"] = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    return result


def _is_glue(output: Mapping[str, Any]) -> bool:
    return "scrapbook" in output.get("metadata", {})


def _number_labels(text: str, dof: int) -> str:
    return re.sub(r"\b([a-z]+(?:-[a-z]+)*)-dof\b", rf"\1-{dof:02d}", text)
