"""Runs every page anew beside the published ones, and certifies that they agree."""

from __future__ import annotations

import csv
import io
import json
import time
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from ikpaper.checks import check_count
from ikpaper.cluster import as_processes, as_tasks, connected, cpus_here
from ikpaper.files import project_root, write_json, write_text
from ikpaper.format import concise
from ikpaper.identity import file_digest, provenance
from ikpaper.profiles import PUBLISHED
from ikpaper.progress import Progress, duration
from ikpaper.report.compare import TOLERANCES, VERDICTS, Comparison, compare
from ikpaper.report.pages import PAGES, Page, PageError, choose, load_records, run_page, status

#: File in the folder of a reproduced page that says what it was made from.
_STAMP = "run.json"
#: In its provenance, what may be another for a page that is not run again.
_ANY = ("revision", "cpu_threads")
_HEADER = ["page", "output", "numbers", *VERDICTS, "farthest from what is published"]

#: Of each output, this many differences are printed.
_SHOWN = 5


def reproduce(
    *,
    only: Collection[str] = (),
    fresh: bool = False,
    publish: bool = False,
    parallel: int | None = None,
    address: str | None = None,
    cpus: float = 1,
    root: Path | None = None,
    pages: Sequence[Page] = PAGES,
) -> int:
    """Run pages anew from the published weights and compare every number with the published one.

    Pages are made in `.cache/reproduce/`; those of the book stay as they are. A page that was
    made there before, from the same inputs and with the same provenance (see
    `identity.provenance`) but for the revision, is not run again. Prints a certificate and writes
    it to `.cache/reproduce/certificate.csv`.

    Args:
        only: Names of pages; all by default.
        fresh: Run also what was run before.
        publish: Write the certificate into the book, too, with its sums and what they say. With
            some pages alone, all others keep what they have on it.
        parallel: Pages at a time; by default as many as this machine has CPUs. None reads what
            another makes: it reads what is published.
        address: Ray cluster for the pages, see `cluster.connected`, instead of this machine. Its
            nodes must see the checkout under the same path.
        cpus: CPUs of a page there, and its threads.
        root: Folder of the project; by default this one.
        pages: All pages of the book.

    Returns:
        0, or 1 if a notebook failed or a number is out of its tolerance.

    Raises:
        ValueError: If a page is unknown, if some are to be published and others are not on the
            certificate of the book yet, or if nobody answers at the address.
    """
    root = root or project_root()
    folder, results = root / ".cache" / "reproduce", root / "book" / "results"
    chosen = choose(only, pages)
    others = [page.name for page in pages if page not in chosen] if publish else []
    # Before the work, which takes minutes.
    _rows_of(results / "certificate.csv", others)
    records = load_records(root)
    costs = {page.name: page.cost for page in status(only=only, root=root, pages=pages)}
    progress = Progress(sum(costs.values()))
    labels = [f"[{number}/{len(chosen)}] {page.name}" for number, page in enumerate(chosen, 1)]
    failures = dict.fromkeys(range(len(chosen)), "")
    waiting = [
        i for i, page in enumerate(chosen) if fresh or not _is_made(page, folder / page.name, root)
    ]
    progress.skip(sum(costs[page.name] for i, page in enumerate(chosen) if i not in waiting))
    # The longest first, so that none of them is started last.
    waiting.sort(key=lambda i: -costs[chosen[i].name])
    calls = {i: (chosen[i], folder / chosen[i].name, root) for i in waiting}
    if waiting:
        progress.show(f"running {len(waiting)} of {len(chosen)} pages")
    for i, (failures[i], seconds) in _made(calls, parallel, address, cpus):
        progress.advance(costs[chosen[i].name], f"{labels[i]}: ran {duration(seconds)}")
    comparisons: list[Comparison] = []
    for i, page in enumerate(chosen):
        if failures[i]:
            found = [Comparison(page.name, f"{page.name}.ipynb")]
            found[0].differs(failures[i])
        else:
            published = records.get(page.name, {}).get("outputs", {})
            found = certify(page.name, published, folder / page.name, root / "book")
        comparisons += found
        progress.say(f"{labels[i]}: {_counted(found)}")
        for each in found:
            for phrase in each.outside[:_SHOWN]:
                progress.say(f"    {each.output}: {phrase}")
    rows = _rows(comparisons)
    write_text(folder / "certificate.csv", _csv([_HEADER, *rows]))
    if publish:
        order = [page.name for page in pages]
        # As they are now: another run may have certified some of them meanwhile.
        kept = _rows_of(results / "certificate.csv", others)
        whole = sorted([*rows, *kept], key=lambda row: order.index(row[0]))
        write_text(results / "certificate.csv", _csv([_HEADER, *whole]))
        write_text(results / "certificate-pages.csv", _csv(_by_page(whole)))
        write_text(results / "certificate.md", _sentence(whole))
        stamps = [_stamp(folder / page.name) for page in chosen]
        write_text(results / "certificate-runs.csv", _runs(records.values(), stamps))
        write_text(results / "certificate-tolerances.csv", _tolerances())
    agree = all(each.agrees for each in comparisons)
    print(f"{'Reproduced' if agree else 'NOT reproduced'}: {_counted(comparisons)}")
    print(f"The certificate is in {(folder / 'certificate.csv').relative_to(root)}")
    return 0 if agree else 1


def certify(page: str, published: Collection[str], made: Path, book: Path) -> list[Comparison]:
    """Compare a page's outputs with the published ones.

    Args:
        page: The page.
        published: Names of its outputs, relative to `book`.
        made: Folder with the outputs of another run, laid out as `book`.
        book: Folder of what is published.
    """
    names = {path.relative_to(made).as_posix() for path in made.glob("*/*")}
    names |= {path.name for path in made.glob(f"{page}.ipynb")}
    everything = sorted(names | set(published) | {f"{page}.ipynb"})
    return [compare(book / name, made / name, page, name) for name in everything]


def _stamp(folder: Path) -> dict[str, Any]:
    """What the page in a folder was made from; empty if there is none."""
    try:
        return json.loads((folder / _STAMP).read_text(encoding="utf-8"))
    except (FileNotFoundError, json.JSONDecodeError):
        return {}


def _is_made(page: Page, folder: Path, root: Path) -> bool:
    """Whether the folder holds a whole run of the page from today's inputs."""
    stamp = _stamp(folder)
    # Also from today's code and packages: that is what is to be shown.
    made, now = stamp.get("provenance", {}), provenance()
    same = all(made.get(fact) == now[fact] for fact in now if fact not in _ANY)
    if not same or stamp["key"] != page.identity(PUBLISHED, root).key:
        return False
    return all(
        (folder / name).exists() and file_digest(folder / name) == sha256
        for name, sha256 in stamp["outputs"].items()
    )


def _made(
    calls: Mapping[int, tuple[Page, Path, Path]],
    parallel: int | None,
    address: str | None,
    cpus: float,
) -> Iterator[tuple[int, tuple[str, float]]]:
    """What `_make` returns for each call, in the order in which they end."""
    if not calls:
        return
    if address is None:
        parallel = min(check_count("parallel", parallel or cpus_here()), len(calls))
        if parallel > 1:
            yield from as_processes(_make, calls, parallel=parallel)
        else:
            yield from ((i, _make(*call)) for i, call in calls.items())
        return
    with connected(address):
        for i, found in as_tasks(_make, calls, cpus=cpus):
            _, folder, _ = calls[i]
            if isinstance(found, BaseException):
                found = f"given up after {type(found).__name__}: {found}", 0.0
            elif not found[0] and not (folder / _STAMP).exists():
                found = f"its node does not share the folder {folder} with this machine", 0.0
            yield i, found


def _make(page: Page, folder: Path, root: Path) -> tuple[str, float]:
    """Run a page; returns what went wrong, or nothing, and the seconds that it took."""
    start = time.monotonic()
    key = page.identity(PUBLISHED, root).key
    try:
        outputs = run_page(page, PUBLISHED, folder, root)
    except PageError as error:
        return str(error), time.monotonic() - start
    seconds = time.monotonic() - start
    stamp = {"key": key, "outputs": outputs, "seconds": seconds, "provenance": provenance()}
    write_json(folder / _STAMP, stamp)
    return "", seconds


def _counted(comparisons: Sequence[Comparison]) -> str:
    counts = sum((each.counts for each in comparisons), Counter[str]())
    return (
        f"{counts.total() - counts['apart']:,} numbers: {counts['identical']:,} identical, "
        f"{counts['six digits']:,} to six digits, {counts['three digits']:,} to three, "
        f"{counts['in tolerance']:,} within tolerance, {counts['outside']:,} outside; "
        f"{counts['apart']:,} times and rates apart"
    )


def _rows(comparisons: Sequence[Comparison]) -> list[list[str]]:
    """What became of the numbers of each output."""
    rows = []
    for each in comparisons:
        counts = [each.counts[verdict] for verdict in VERDICTS]
        compared = each.counts.total() - each.counts["apart"]
        rows.append([each.page, each.output, *map(str, (compared, *counts)), each.worst])
    return rows


def _by_page(rows: Sequence[Sequence[str]]) -> list[list[str]]:
    """What became of the numbers of each page, and of all of them."""
    pages = [("all pages", list(rows))]
    pages += [(page, list(own)) for page, own in groupby(rows, key=lambda row: row[0])]
    return [
        ["page", "outputs", "numbers", *VERDICTS],
        *([page, str(len(own)), *(f"{count:,}" for count in _sums(own))] for page, own in pages),
    ]


def _sums(rows: Iterable[Sequence[str]]) -> list[int]:
    """Of the rows of a certificate, how many numbers there are, and how many of each verdict."""
    counts = [[int(count) for count in row[2 : 3 + len(VERDICTS)]] for row in rows]
    return [sum(column) for column in zip(*counts, strict=True)]


def _sentence(rows: Sequence[Sequence[str]]) -> str:
    """What a certificate says, in one sentence."""
    total, *counts = _sums(rows)
    found = dict(zip(VERDICTS, counts, strict=True))
    if found["identical"] == total:
        said = f"All {total:,} numbers of {len(rows):,} outputs are identical"
    else:
        said = (
            f"Of {total:,} numbers of {len(rows):,} outputs, {found['identical']:,} are identical, "
            f"{found['six digits'] + found['three digits'] + found['in tolerance']:,} within their "
            f"tolerance and {found['outside']:,} outside"
        )
    return f"{said}; {found['apart']:,} times and rates are counted apart.\n"


def _rows_of(certificate: Path, names: Collection[str]) -> list[list[str]]:
    """Rows that pages have on a certificate.

    Raises:
        ValueError: If one has none.
    """
    if not names:
        return []
    text = certificate.read_text(encoding="utf-8") if certificate.exists() else ""
    rows = [row for row in csv.reader(io.StringIO(text)) if row[0] in names]
    if missing := sorted(set(names) - {row[0] for row in rows}):
        raise ValueError(f"publish: {', '.join(missing)} are on no certificate yet; run all pages")
    return rows


def _runs(published: Iterable[Mapping[str, Any]], again: Iterable[Mapping[str, Any]]) -> str:
    """What made the published pages, and what made them again."""
    whole = [[record for record in records if record] for records in (published, again)]
    columns = [[_machine(record["provenance"]) for record in records] for records in whole]
    rows = [["", "published", "this run"]]
    for name in _machine(provenance()):
        rows.append(
            [name, *(", ".join(sorted({made.get(name, "–") for made in each})) for each in columns)]
        )
    minutes = [sum(record["seconds"] for record in records) / 60 for records in whole]
    rows.append(["pages", *(str(len(records)) for records in whole)])
    rows.append(["minutes, one page after the other", *(f"{each:.1f}" for each in minutes)])
    return _csv(rows)


def _machine(record: Mapping[str, Any]) -> dict[str, str]:
    facts = {"Python": record["python"], "machine": record["machine"]}
    facts |= {"threads": record["cpu_threads"], **record["packages"]}
    return {name: str(value) for name, value in facts.items()}


def _tolerances() -> str:
    rows = [["what", "relative", "absolute", "why"]]
    for each in TOLERANCES:
        limits = ["–", "–"] if each.apart else [concise(each.relative), concise(each.absolute)]
        rows.append([each.name, *limits, each.why])
    return _csv(rows)


def _csv(rows: Iterable[Sequence[str]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()
