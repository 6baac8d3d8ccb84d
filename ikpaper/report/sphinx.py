"""Sphinx extension of the book: figures for every screen, downloads, and what describes a page.

The published figure is one SVG document for a layout, without a ground. From it, the build makes
one in colours for dark mode (`report.dark`), and shows the version for narrow screens,
`figures/<name>-narrow.svg`, where there is one.
"""

from __future__ import annotations

import json
import re
import shutil
from contextlib import suppress
from functools import cache, partial
from html import escape
from pathlib import Path
from textwrap import shorten
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx

from ikpaper.files import write_json, write_text
from ikpaper.report.dark import dark_svg
from ikpaper.report.download import glued, readable

#: Below this width of the window, in pixels, the versions for narrow screens are shown.
_NARROW = 600
#: Where a caption says on which side a panel stands, and what it says of stacked panels.
_SIDE = re.compile(r"(\b(?:Left|Right)(?=:)|(?<=\()(?:left|right)(?=[,):]))")
_FOLLOWING = {"Left": "First", "Right": "Second", "left": "first", "right": "second"}
#: Longest description of a page, in characters.
_DESCRIPTION = 200
#: What Sphinx and its extensions write that a screen reader cannot use: a label that hides the
#: text of a button, lists whose entries are none, and parameters as a list without terms; and names
#: of options, which lines must not break after their dashes.
_MENDED = (
    (' aria-label="Toggle hidden content"', ""),
    ('<div role="list" class="citation-list">', '<div class="citation-list">'),
    (' role="doc-biblioentry"', ""),
    (r"<dl>\n<dd>(<em .*?)</dd>\n</dl>", r'<span class="sig-lines"><span>\1</span></span>'),
    (r"</dd>\n<dd>(?=<em class=\"sig-param)", "</span><span>"),
    (r'<span class="pre">(?=--?\w)', '<span class="pre option">'),
)
#: Picture of the book where a link to it is shown, relative to the sources.
_CARD = Path("figures", "summary.png")


def setup(app: Sphinx) -> dict[str, Any]:
    """Connect to the builders of HTML, and to what reads signatures."""
    app.setup_extension("sphinx.ext.autodoc")
    app.connect("autodoc-process-signature", _parsable)
    # After napoleon.
    app.connect("autodoc-process-docstring", _rejoin, priority=900)
    app.connect("doctree-resolved", _show_figures)
    # After the theme, which makes the buttons.
    app.connect("html-page-context", _describe, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def _parsable(
    app: Sphinx, what: str, name: str, obj: Any, options: Any, signature: str, returns: str
) -> tuple[str, str] | None:
    """A signature that Python can parse: one that it cannot, Sphinx would split at every comma."""
    return (signature.replace("<factory>", "..."), returns) if signature else None


def _rejoin(app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Put together what napoleon splits: it takes what stands before a first colon for a type."""
    if what in ("attribute", "data", "property") and lines[-2:-1] == [""]:
        _, mark, before = lines[-1].partition(":type: ")
        if mark:
            lines[:] = [f"{before}: {lines[0]}", *lines[1:-2]]


def _show_figures(app: Sphinx, doctree: nodes.document, page: str) -> None:
    """Put every SVG figure as an element that fits the screen and the mode, with a download."""
    if app.builder.format != "html":
        return
    images = Path(app.outdir, "_images")
    folder = "../" * page.count("/") + "_images/"
    for image in list(doctree.findall(nodes.image)):
        path = Path(app.srcdir, image["uri"])
        if path.suffix != ".svg" or not path.is_file():
            continue
        figure = image.parent if isinstance(image.parent, nodes.figure) else None
        label = next(iter(figure["ids"]), "") if figure else ""
        name = label.removeprefix("fig-") or path.stem
        sources = {"": path, "-narrow": Path(app.srcdir, "figures", f"{name}-narrow.svg")}
        shapes = {}
        for layout, source in sources.items():
            if source.is_file():
                svg = source.read_text(encoding="utf-8")
                shapes[layout] = _size(svg)
                write_text(images / f"{name}{layout}.svg", svg)
                write_text(images / f"{name}{layout}-dark.svg", dark_svg(svg))
        alt = image.get("alt", "")
        html = "".join(_picture(folder + name, mode, alt, shapes) for mode in ("", "-dark"))
        image.replace_self(nodes.raw("", html, format="html"))
        if figure and (caption := figure.next_node(nodes.caption)):
            link = (
                f' <a class="figure-download" href="{folder}{name}.svg" download'
                f' aria-label="Download this figure as SVG">SVG</a>'
            )
            caption += nodes.raw("", link, format="html")
            if "-narrow" in shapes:
                _say_where(caption)


def _say_where(caption: nodes.caption) -> None:
    """Let a caption call panels first and second where they stand below one another."""
    for text in list(caption.findall(nodes.Text)):
        parts: list[nodes.Node] = []
        # Every second part is a match.
        for number, part in enumerate(_SIDE.split(text.astext())):
            if number % 2:
                parts.append(nodes.inline("", part, classes=["on-wide"]))
                parts.append(nodes.inline("", _FOLLOWING[part], classes=["on-narrow"]))
            else:
                parts.append(nodes.Text(part))
        text.parent.replace(text, parts)


def _size(svg: str) -> str:
    """Width and height of a document as attributes, in pixels of CSS."""
    found = re.search(r'width="([\d.]+)pt" height="([\d.]+)pt"', svg)
    if found is None:
        return ""
    width, height = (round(float(points) * 4 / 3) for points in found.groups())
    return f'width="{width}" height="{height}"'


def _picture(path: str, mode: str, alt: str, shapes: dict[str, str]) -> str:
    """The figure in one mode, for all screens that it was drawn for."""
    narrow = (
        f'<source media="(max-width: {_NARROW}px)" srcset="{path}-narrow{mode}.svg"'
        f" {shapes['-narrow']}/>"
        if "-narrow" in shapes
        else ""
    )
    # A browser need not load what is not shown.
    shown = 'class="only-dark" loading="lazy"' if mode else 'class="only-light"'
    image = f'<img {shown} src="{path}{mode}.svg" alt="{escape(alt)}" {shapes[""]}/>'
    return f"<picture>{narrow}{image}</picture>"


def _describe(
    app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: nodes.document | None
) -> None:
    """Say what a page is about in its head, and offer it as a notebook if it is one."""
    if listed := context.get("generate_toctree_html"):
        context["generate_toctree_html"] = lambda *args, **options: str(
            listed(*args, **options)
        ).replace("<summary>", '<summary aria-label="Pages below">')
    if doctree is None:
        return
    for written, mended in _MENDED:
        context["body"] = re.sub(written, mended, context["body"], flags=re.DOTALL)
    tags = {"og:title": f"{context['title']}", "og:type": "article"}
    paragraph = next(iter(doctree.findall(_is_text)), None)
    if paragraph is not None:
        text = shorten(paragraph.astext(), _DESCRIPTION, placeholder=" …")
        tags |= {"description": text, "og:description": text}
    if Path(app.srcdir, _CARD).is_file():
        (Path(app.outdir) / "_images").mkdir(exist_ok=True)
        shutil.copyfile(Path(app.srcdir, _CARD), Path(app.outdir, "_images", _CARD.name))
        tags |= {"og:image": context["pathto"](f"_images/{_CARD.name}", 1)}
        tags |= {"twitter:card": "summary_large_image"}
    for name, content in tags.items():
        kind = "property" if name.startswith("og:") else "name"
        context["metatags"] += f'<meta {kind}="{name}" content="{escape(content)}"/>\n'
    notebook = Path(app.srcdir, f"{page}.ipynb")
    download = f"_downloads/{page}.ipynb"
    if notebook.is_file():
        plain = readable(_read(notebook), Path(app.srcdir), partial(_role, app, page))
        write_json(Path(app.outdir, download), plain)
    for group in context.get("header_buttons", ()):
        if group["label"] == "download-buttons":
            # The theme's link is to a copy of the source, which is not made.
            group["buttons"] = [
                button for button in group["buttons"] if button["type"] == "javascript"
            ]
            if notebook.is_file():
                link = {
                    "type": "link",
                    "url": context["pathto"](download, 1),
                    "text": ".ipynb",
                    "icon": "fas fa-code",
                    "tooltip": "Download this page as a notebook",
                    "label": "download-notebook-button",
                }
                group["buttons"].insert(0, link)


def _is_text(node: nodes.Node) -> bool:
    return isinstance(node, nodes.paragraph) and isinstance(node.parent, nodes.section)


@cache
def _read(notebook: Path) -> dict[str, Any]:
    return json.loads(notebook.read_text(encoding="utf-8"))


def _role(app: Sphinx, page: str, role: str, content: str) -> str:
    """What a role of a page says, as plain text; its content as code if the role is another one.

    Args:
        app: The application, with all pages read.
        page: The page.
        role: Name of the role.
        content: What stands in it.
    """
    data = app.env.domaindata
    # Of a label that is not there, Sphinx has warned.
    with suppress(KeyError):
        if role == "glue:text":
            other, _, key = content.rpartition("::")
            key, _, form = key.partition(":")
            value = glued(_read(Path(app.srcdir, other or f"{page}.ipynb")))[key]
            return value if form in ("", "s") else format(float(value), form)
        if role == "ref":
            titled = re.fullmatch(r"(.+) <.+>", content)
            return titled[1] if titled else f"*{data['std']['labels'][content][2]}*"
        if role == "numref":
            numbers = app.env.toc_fignumbers.get(data["std"]["anonlabels"][content][0], {})
            for kind in ("figure", "table"):
                if content in numbers.get(kind, {}):
                    return f"{kind.title()} {numbers[kind][content][-1]}"
        if role == "eq":
            return f"equation {data['math']['objects'][content][1]}"
        if role == "cite":
            return f"[{content.replace(',', ', ')}]"
    return f"`{content}`"
