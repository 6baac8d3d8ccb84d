"""The built book as a browser shows it from disk: `python -m tests.browser [html-dir]`.

Not collected by pytest: it needs a built book and a Chromium, and `.ci/run` runs it after the
build. `CHROMIUM` names another browser than `chromium`; `--screenshots DIR` keeps a picture of
every page in light and dark mode and on a narrow screen.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

ROOT = Path(__file__).resolve().parents[1]
WIDE = {"width": 1280, "height": 900}
NARROW = {"width": 390, "height": 844}
SEARCHES = ("coupling", "posterior", "hull", "reproducing", "mmd2")
LOCAL = ("file:", "data:", "blob:", "about:")

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
    await image.decode().catch(() => {});
    const name = decodeURI(image.src.split("/").pop().slice(0, 60));
    if (!image.complete || !image.naturalWidth) problems.push("broken image: " + name);
  }
  const figures = [...document.querySelectorAll("article figure img, article .cell_output img")];
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
    arguments = parser.parse_args(argv)
    html = arguments.html.resolve()

    failed = passed = 0
    problems: list[str] = []
    with launched(parser, arguments) as context:
        checks: list[tuple[str, Any]] = [
            (name, lambda tab, name=name: check_page(tab, html / name, arguments.screenshots))
            for name in pages()
        ]
        checks += [
            (f"search for '{word}'", lambda tab, word=word: check_search(tab, html, word))
            for word in SEARCHES
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
    seen = tab.evaluate(INSPECT)
    problems = list(seen["problems"])
    for mode in ("light", "dark"):
        tab.emulate_media(color_scheme=mode)
        if wrong := once_settled(tab, lambda mode=mode: wrong_colours(tab, mode)):
            problems.append(wrong)
        keep(mode)
    tab.emulate_media(color_scheme="light")
    tab.set_viewport_size(NARROW)
    if overflow := once_settled(tab, lambda: tab.evaluate(OVERFLOW)):
        problems.append(overflow)
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


if __name__ == "__main__":
    sys.exit(main())
