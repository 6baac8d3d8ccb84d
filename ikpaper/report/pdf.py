"""The whole book as one PDF: `python -m ikpaper.report.pdf BOOK.html OUT.pdf`.

Chromium prints the book that Sphinx has put on a single page, with an outline from its headings.
`CHROMIUM` names another browser than `chromium`.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from pathlib import Path

#: Until all equations are drawn and all pictures are there.
_READY = """
async () => {
  for (let i = 0; i < 600 && !window.MathJax?.startup?.promise; i++)
    await new Promise(done => setTimeout(done, 100));
  await window.MathJax?.startup?.promise;
  document.querySelectorAll("details").forEach(each => each.open = false);
  // Files beside the book: on paper there are none, and their addresses are of this machine.
  document.querySelectorAll("a[href]").forEach(each => {
    if (each.protocol === "file:" && each.pathname !== location.pathname)
      each.removeAttribute("href");
  });
  await Promise.all([...document.images].filter(image => image.loading !== "lazy")
    .map(image => image.decode().catch(() => {})));
}
"""
_FOOTER = """
<div style="width: 100%; font: 8px sans-serif; color: #5f6b76; text-align: center">
  <span class="pageNumber"></span>
</div>
"""


def main(argv: list[str] | None = None) -> int:
    """Print the book; 0 if it is there."""
    parser = argparse.ArgumentParser(prog="python -m ikpaper.report.pdf", description=__doc__)
    parser.add_argument("html", type=Path, help="the book on a single page")
    parser.add_argument("pdf", type=Path, help="the file to write")
    arguments = parser.parse_args(argv)
    wanted = os.environ.get("CHROMIUM", "chromium")
    chromium = shutil.which(wanted)
    if chromium is None:
        parser.error(f"no {wanted} on this machine; install Chromium or set CHROMIUM")

    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        options = ["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"]
        browser = playwright.chromium.launch(executable_path=chromium, args=options)
        page = browser.new_page(color_scheme="light", viewport={"width": 1280, "height": 900})
        page.set_default_timeout(600_000)
        page.goto(arguments.html.resolve().as_uri())
        page.evaluate(_READY)
        page.pdf(
            path=arguments.pdf,
            format="A4",
            margin={"top": "18mm", "bottom": "18mm", "left": "16mm", "right": "16mm"},
            display_header_footer=True,
            header_template="<span></span>",
            footer_template=_FOOTER,
            print_background=True,
            outline=True,
            tagged=True,
        )
        browser.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
