"""The built book as a browser shows it from disk: `python -m tests.browser [html-dir]`.

Not collected by pytest: it needs a built book and a Chromium, and `.ci/run` runs it after the
build. `CHROMIUM` names another browser than `chromium`; `--screenshots DIR` keeps a picture of
every page in light and dark mode and on a narrow screen; `--only PAGE ...` looks at some pages.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlsplit

ROOT = Path(__file__).resolve().parents[1]
WIDE = {"width": 1280, "height": 900}
NARROW = {"width": 390, "height": 844}
SEARCHES = ("coupling", "posterior", "hull", "reproducing", "mmd2")
LOCAL = ("file:", "data:", "blob:", "about:")
AXE = ROOT / "tests" / "vendor" / "axe-core" / "axe.min.js"

# Runs in the page once all is loaded; a problem is a line of text.
INSPECT = r"""
async () => {
  const problems = [];
  const maths = [...document.querySelectorAll(".math")];
  if (maths.length) {
    for (let i = 0; i < 600 && !window.MathJax?.startup?.promise; i++)
      await new Promise(done => setTimeout(done, 100));
    if (!window.MathJax?.startup?.promise) problems.push("MathJax did not start");
    else await MathJax.startup.promise;
  }
  for (const math of maths) {
    const rest = math.cloneNode(true);
    const containers = rest.querySelectorAll("mjx-container");
    containers.forEach(container => container.remove());
    const left = rest.textContent;
    if (!containers.length || /\\[(\[a-zA-Z]|\$/.test(left))
      problems.push("equation not rendered: " + math.textContent.trim().slice(0, 60));
  }
  for (const error of document.querySelectorAll("mjx-merror, [data-mjx-error]"))
    problems.push("error in equation: " + error.getAttribute("data-mjx-error"));

  const images = [...document.querySelectorAll("img")];
  for (const image of images) {
    image.loading = "eager";
    await image.decode().catch(() => {});
    const name = decodeURI(image.src.split("/").pop().slice(0, 60));
    if (!image.complete || !image.naturalWidth) problems.push("broken image: " + name);
  }
  const figures = [...document.querySelectorAll("article figure img, article .cell_output img")]
    .filter(image => image.offsetParent);
  for (const image of figures) {
    const alt = (image.getAttribute("alt") || "").trim();
    if (!/\s/.test(alt) || /\.(svg|png|jpe?g|gif|webp)$/i.test(alt))
      problems.push(`figure without a description, alt="${alt}": ` + image.src.split("/").pop());
  }

  if (!document.title.trim()) problems.push("no title");
  const article = document.querySelector("article");
  if (!article?.querySelector("h1")?.textContent.trim()) problems.push("no heading");
  if (article) {
    const text = article.cloneNode(true);
    text.querySelectorAll("pre, code, script, style, .math").forEach(node => node.remove());
    for (const left of text.textContent.match(/\{[a-z:]+\}`|\$[^$\n]+\$|\[\?+\]/g) || [])
      problems.push("markup left in the text: " + left);
  }
  return {problems, equations: maths.length, figures: figures.length};
}
"""

# What is wider than the screen and not in a box of its own that scrolls.
OVERFLOW = r"""
() => {
  const width = document.documentElement.scrollWidth;
  if (width <= window.innerWidth + 1) return "";
  const scrolls = node => node && (/auto|scroll|hidden/.test(getComputedStyle(node).overflowX)
    || scrolls(node.parentElement));
  const wide = [...document.querySelectorAll("article *")].filter(node =>
    node.getBoundingClientRect().right > window.innerWidth + 1 && !scrolls(node.parentElement));
  const name = node => node.tagName.toLowerCase() + "." + (node.getAttribute("class") || "");
  const named = wide.slice(0, 3).map(node => name(node) + " " + node.textContent.slice(0, 30));
  return `${width} px wide on a screen of ${window.innerWidth} px: ` + named.join("; ");
}
"""

# Tables that do not fit into their boxes, behind tabs, too.
CUT = r"""
() => {
  const tabs = [...document.querySelectorAll(".sd-tab-content")];
  tabs.forEach(tab => tab.style.display = "block");
  const boxes = [...document.querySelectorAll("article .pst-scrollable-table-container")];
  const cut = boxes.filter(box => box.scrollWidth > box.clientWidth + 1).map(box =>
    `table of ${box.scrollWidth} px in a box of ${box.clientWidth} px: `
    + box.textContent.trim().slice(0, 50));
  tabs.forEach(tab => tab.style.display = "");
  return cut.join("; ");
}
"""

# Figures that a narrow screen shrinks until their text cannot be read.
SHRUNK = r"""
() => [...document.querySelectorAll("article figure img, article .cell_output img")]
  .filter(image => image.offsetParent && image.clientWidth < 0.75 * image.naturalWidth)
  .map(image => `${image.currentSrc.split("/").pop()} is shown at `
    + Math.round(100 * image.clientWidth / image.naturalWidth) + " % of its size").join("; ")
"""

# Violations of WCAG that axe-core calls serious or critical.
ACCESSIBLE = r"""
async () => {
  const found = await axe.run(document, {resultTypes: ["violations"], preload: false});
  return found.violations.filter(each => ["serious", "critical"].includes(each.impact))
    .map(each => `${each.id} (${each.nodes.length}): ${each.nodes[0].target.join(" ")} `
      + (each.nodes[0].any[0]?.message || each.help));
}
"""

# Where the middle of the first figure is, in pixels from the top.
FIRST_FIGURE = r"""
() => {
  const images = [...document.querySelectorAll("article figure img")];
  const box = images.find(image => image.offsetParent)?.getBoundingClientRect();
  return box ? box.top + window.scrollY + box.height / 2 : null;
}
"""

# Perceived lightness, 0 to 255, of the page's ground and of its text.
LIGHTNESS = r"""
() => {
  const lightness = colour => {
    const [r, g, b] = colour.match(/[\d.]+/g).map(Number);
    return 0.3 * r + 0.59 * g + 0.11 * b;
  };
  const body = getComputedStyle(document.body);
  const text = getComputedStyle(document.querySelector("article p") || document.body);
  return [document.documentElement.dataset.theme, lightness(body.backgroundColor),
          lightness(text.color)];
}
"""


def main(argv: list[str] | None = None) -> int:
    """Check every page; 0 if there is no problem."""
    parser = argparse.ArgumentParser(prog="python -m tests.browser", description=__doc__)
    parser.add_argument("html", nargs="?", type=Path, default=ROOT / "book" / "_build" / "html")
    parser.add_argument("--screenshots", type=Path, metavar="DIR", help="keep pictures there")
    parser.add_argument("--only", nargs="+", metavar="PAGE", help="pages, without suffix")
    arguments = parser.parse_args(argv)
    html = arguments.html.resolve()

    failed = passed = 0
    problems: list[str] = []
    with launched(parser, arguments) as context:
        checks: list[tuple[str, Any]] = [
            (name, lambda tab, name=name: check_page(tab, html / name, arguments.screenshots))
            for name in pages()
            if not arguments.only or Path(name).stem in arguments.only
        ]
        if not arguments.only:
            checks += [
                (f"search for '{word}'", lambda tab, word=word: check_search(tab, html, word))
                for word in SEARCHES
            ]
            checks += [
                ("home", lambda tab: check_home(tab, html / "index.html")),
                ("keyboard", lambda tab: check_keyboard(tab, html / "index.html")),
                ("links", lambda tab: check_links(html)),
            ]
        for name, check in checks:
            tab = context.new_page()
            found = watch(tab)
            note = check(tab)
            tab.close()
            found += note[1]
            print(f"{name}: {note[0]}" + (f", {len(found)} problems" if found else ""), flush=True)
            problems += [f"{name}: {problem}" for problem in dict.fromkeys(found)]
            failed, passed = failed + bool(found), passed + (not found)
    for problem in problems:
        print(problem, file=sys.stderr)
    print(f"browser: {passed} passed, {failed} failed")
    return 1 if problems else 0


@contextlib.contextmanager
def launched(parser: argparse.ArgumentParser, arguments: argparse.Namespace) -> Iterator[Any]:
    """A browser's context of wide tabs; without book or browser, an error of the command line."""
    html = arguments.html.resolve()
    if not (html / "index.html").exists():
        parser.error(f"no book in {html}; build it with: make book")
    wanted = os.environ.get("CHROMIUM", "chromium")
    chromium = shutil.which(wanted)
    if chromium is None:
        parser.error(f"no {wanted} on this machine; install Chromium or set CHROMIUM")
    if arguments.screenshots:
        arguments.screenshots.mkdir(parents=True, exist_ok=True)

    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        options = ["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"]
        browser = playwright.chromium.launch(executable_path=chromium, args=options)
        context = browser.new_context(viewport=WIDE)
        context.set_default_timeout(60_000)
        yield context
        browser.close()


def pages() -> Iterator[str]:
    """HTML files of the table of contents, in its order."""
    import yaml

    def walk(node: dict[str, Any]) -> Iterator[str]:
        for key in ("root", "file"):
            if key in node:
                yield f"{node[key]}.html"
        for key in ("parts", "chapters", "sections"):
            for child in node.get(key, []):
                yield from walk(child)

    return walk(yaml.safe_load((ROOT / "book" / "_toc.yml").read_text(encoding="utf-8")))


def watch(tab: Any) -> list[str]:
    """A list that fills with what goes wrong in a tab while it loads pages."""
    found: list[str] = []
    tab.on("request", lambda r: r.url.startswith(LOCAL) or found.append(f"request to {r.url}"))
    tab.on("requestfailed", lambda r: found.append(f"not found: {r.url}"))
    tab.on("pageerror", lambda error: found.append(f"script error: {error}"))
    tab.on("console", lambda m: m.type == "error" and found.append(f"console: {m.text}"))
    return found


def check_page(tab: Any, file: Path, screenshots: Path | None) -> tuple[str, list[str]]:
    """A summary of a page and its problems, in light and dark mode and on a narrow screen."""
    if not file.exists():
        return "missing", ["the page was not built"]

    def keep(kind: str) -> None:
        if screenshots:
            tab.screenshot(path=screenshots / f"{file.stem}-{kind}.png", full_page=True)

    tab.emulate_media(color_scheme="light")
    tab.goto(file.as_uri())
    # Half way between two modes, colours have no contrast.
    tab.add_style_tag(content="*, ::before, ::after { transition: none !important; }")
    seen = tab.evaluate(INSPECT)
    problems = list(seen["problems"])
    for mode in ("light", "dark"):
        tab.emulate_media(color_scheme=mode)
        if wrong := once_settled(tab, lambda mode=mode: wrong_colours(tab, mode)):
            problems.append(wrong)
        keep(mode)
        tab.evaluate(AXE.read_text(encoding="utf-8"))
        problems += [f"{mode} mode: {found}" for found in tab.evaluate(ACCESSIBLE)]
    tab.emulate_media(color_scheme="light")
    for screen in (WIDE, NARROW):
        tab.set_viewport_size(screen)
        for script in (OVERFLOW, CUT):
            if wide := once_settled(tab, lambda script=script: tab.evaluate(script)):
                problems.append(wide)
    if shrunk := once_settled(tab, lambda: tab.evaluate(SHRUNK)):
        problems.append(shrunk)
    keep("narrow")
    return f"{seen['figures']} figures, {seen['equations']} equations", problems


def once_settled(tab: Any, problem: Callable[[], str]) -> str:
    """A problem of a page that is still there ten seconds after a change of the screen, or "".

    The theme and the layout answer events, and on a busy machine that takes longer than any
    fixed pause.
    """
    for _ in range(100):
        if not (found := problem()):
            return ""
        tab.wait_for_timeout(100)
    return found


def wrong_colours(tab: Any, mode: str) -> str:
    """What of the page is not in the colours of a mode."""
    theme, ground, text = tab.evaluate(LIGHTNESS)
    dark = mode == "dark"
    if theme == mode and (ground < 100) == dark and (text > 150) == dark:
        return ""
    return f"{mode} mode: theme {theme}, ground {ground:.0f} and text {text:.0f} of 255"


def check_search(tab: Any, html: Path, word: str) -> tuple[str, list[str]]:
    """How many results the search page gives for a word; none is a problem."""
    tab.goto((html / "search.html").as_uri() + f"?q={quote(word)}")
    tab.wait_for_function(
        "/\\d/.test(document.querySelector('#search-results .search-summary')?.textContent)"
        " || /did not match/.test(document.querySelector('#search-results')?.textContent)"
    )
    count = tab.locator("#search-results ul.search li").count()
    return f"{count} results", [] if count else ["no result"]


def check_home(tab: Any, file: Path) -> tuple[str, list[str]]:
    """Whether the first figure of the home page is seen without scrolling, at least by half."""
    tab.goto(file.as_uri())
    middle = tab.evaluate(FIRST_FIGURE)
    if middle is None:
        return "no figure", ["the home page has no figure"]
    seen = middle <= WIDE["height"]
    problem = f"the middle of the first figure is at {middle:.0f} px, below {WIDE['height']}"
    return f"first figure at {middle:.0f} px", [] if seen else [problem]


def check_keyboard(tab: Any, file: Path) -> tuple[str, list[str]]:
    """Whether the keyboard alone reaches the text and the search."""
    tab.goto(file.as_uri())
    problems = []
    tab.keyboard.press("Tab")
    if tab.evaluate("document.activeElement.getAttribute('href')") != "#main-content":
        problems.append("the first stop is not the link to the text")
    tab.keyboard.press("Enter")
    if tab.evaluate("location.hash") != "#main-content":
        problems.append("the link to the text does not lead there")
    is_open = "() => document.querySelector('#pst-search-dialog')?.open ?? null"

    def wrong(state: bool) -> str:
        return "" if tab.evaluate(is_open) is state else "stays " + ("closed", "open")[not state]

    for keys, state in (("Control+k", True), ("Escape", False)):
        tab.keyboard.press(keys)
        if problem := once_settled(tab, lambda state=state: wrong(state)):
            problems.append(f"after {keys}, the search {problem}")
    return "skip link and search", problems


class Anchors(HTMLParser):
    """What a page links to, and what links may lead to on it."""

    def __init__(self) -> None:
        super().__init__()
        self.links: list[str] = []
        self.names: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name == "id" or (tag, name) == ("a", "name"):
                self.names.add(value or "")
            elif name in ("href", "src") and value and tag != "base":
                self.links.append(value)


@cache
def anchors(file: Path) -> Anchors:
    """Links and anchors of a page."""
    found = Anchors()
    found.feed(file.read_text(encoding="utf-8"))
    return found


def check_links(html: Path) -> tuple[str, list[str]]:
    """Links of all pages that lead to no file of the book, or to no place on a page of it."""
    dead, count = [], 0
    for file in sorted(html.glob("*.html")):
        for link in anchors(file).links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc or link == "#":
                continue
            count += 1
            target = (file.parent / unquote(parts.path)).resolve() if parts.path else file
            place = unquote(parts.fragment)
            if not target.is_file() or (
                place and target.suffix == ".html" and place not in anchors(target).names
            ):
                dead.append(f"{file.name} links to {link}, which is not there")
    return f"{count} links", dead


if __name__ == "__main__":
    sys.exit(main())
