import json
import re

import pytest
from sphinx.application import Sphinx
from sphinx.util.docutils import docutils_namespace

from ikpaper.report.plots.style import narrow, new_grid, style, to_svg

PAGE = """(sec-home)=
# Title

What this page is about.

```{figure} figures/home.svg
:name: fig-home
:alt: Two panels with a "curve" each.

A caption. Left: one curve, which is left out. A panel (right) without.
```

```{figure} figures/other.svg
:name: fig-other
:alt: A figure for wide screens.

Another caption.
```
"""


REFERENCE = """# Reference

Set `--dof 6`.

```{eval-rst}
.. autoproperty:: ikpaper.arm.RailArm.inner_radius

.. autodata:: ikpaper.paper.CVAE_TABLE

.. autoclass:: ikpaper.report.pages.Page
```
"""


@style
def drawn():
    figure, grid = new_grid(2)
    grid[0, 0].plot([1, 2], color="#0072b2")
    return figure


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """A small book in the folders that the build makes of the real one."""
    book = tmp_path_factory.mktemp("book")
    (book / "figures").mkdir()
    figure = drawn()
    for name in ("home", "other"):
        (book / "figures" / f"{name}.svg").write_text(to_svg(figure))
    (book / "figures" / "home-narrow.svg").write_text(to_svg(narrow(figure)))
    (book / "figures" / "summary.png").write_bytes(b"a picture")
    (book / "index.md").write_text(PAGE + "\n```{toctree}\npage\nreference\n```\n")
    (book / "reference.md").write_text(REFERENCE)
    cell = {"cell_type": "markdown", "id": "a", "metadata": {}}
    notebook = {
        "cells": [cell | {"source": ["# Page\n\nSee {ref}`sec-home` and {numref}`fig-other`."]}],
        "metadata": {"kernelspec": {"name": "python3", "display_name": "Python 3"}},
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    (book / "page.ipynb").write_text(json.dumps(notebook))
    options = {
        "extensions": ["myst_nb", "sphinx.ext.napoleon", "ikpaper.report.sphinx"],
        "html_theme": "sphinx_book_theme",
        "html_copy_source": False,
        "nb_execution_mode": "off",
        "numfig": True,
        "napoleon_use_ivar": True,
        "python_use_unqualified_type_names": True,
    }
    folders = [str(book / name) for name in ("html", "doctrees")]
    # What an app registers with docutils is not left to the next one.
    with docutils_namespace():
        Sphinx(str(book), None, *folders, "html", options, status=None, warning=None).build()
    return book / "html"


def test_a_figure_has_a_version_for_every_screen_and_mode(built):
    html = (built / "index.html").read_text()
    light, dark = re.findall(r"<picture>(.*?)</picture>", html)[:2]
    for picture, mode in ((light, ""), (dark, "-dark")):
        assert f'<img class="only-{"dark" if mode else "light"}"' in picture
        assert f'src="_images/home{mode}.svg"' in picture
        assert f'media="(max-width: 600px)" srcset="_images/home-narrow{mode}.svg"' in picture
        assert 'alt="Two panels with a &quot;curve&quot; each."' in picture
    names = {path.name for path in (built / "_images").glob("*.svg")}
    assert names == {
        *(f"home{layout}{mode}.svg" for layout in ("", "-narrow") for mode in ("", "-dark")),
        "other.svg",
        "other-dark.svg",
    }
    assert "#0072b2" in (built / "_images" / "home.svg").read_text()
    assert "#0072b2" not in (built / "_images" / "home-dark.svg").read_text()


def test_a_figure_without_a_narrow_version_is_shown_as_it_is(built):
    html = (built / "index.html").read_text()
    assert len(re.findall("<picture>", html)) == 4
    assert len(re.findall("<source", html)) == 2


def test_a_figure_is_offered_for_download(built):
    html = (built / "index.html").read_text()
    for name in ("home", "other"):
        assert f'href="_images/{name}.svg" download' in html
        assert (built / "_images" / f"{name}.svg").is_file()


def test_a_page_describes_itself(built):
    html = (built / "index.html").read_text()
    assert '<meta name="description" content="What this page is about."/>' in html
    assert '<meta property="og:title" content="Title"/>' in html
    assert '<meta property="og:image" content="_images/summary.png"/>' in html
    assert (built / "_images" / "summary.png").read_bytes() == b"a picture"


def test_only_a_notebook_is_offered_as_one(built):
    assert ".ipynb" not in (built / "index.html").read_text()
    assert 'href="_downloads/page.ipynb"' in (built / "page.html").read_text()
    (cell,) = json.loads((built / "_downloads" / "page.ipynb").read_text())["cells"]
    assert cell["source"] == "# Page\n\nSee *Title* and Figure 2."


def test_a_caption_says_where_panels_stand_on_either_screen(built):
    html = (built / "index.html").read_text()
    caption = re.search(r'<span class="caption-text">(A caption.*?)<a', html, re.DOTALL)[1]
    narrow_text = re.sub(r'<span class="on-wide">.*?</span>', "", caption)
    assert "First: one curve, which is left out. A panel (second) without." in re.sub(
        "<[^>]*>", "", narrow_text
    )
    wide_text = re.sub(r'<span class="on-narrow">.*?</span>', "", caption)
    assert "Left: one curve, which is left out. A panel (right) without." in re.sub(
        "<[^>]*>", "", wide_text
    )


def test_a_colon_in_a_description_makes_no_type(built):
    text = re.sub("<[^>]*>", "", (built / "reference.html").read_text())
    assert "Zero: the base moves to where" in text
    assert "Table III: hyperparameters of the cVAE by DoF" in text
    assert "Type:" not in text


def test_a_signature_is_split_between_parameters_only(built):
    text = re.sub("<[^>]*>", "", (built / "reference.html").read_text())
    assert "parameters: ~collections.abc.Mapping[str, ~typing.Any] = ..." in text.replace(
        "Mapping[str, Any]", "~collections.abc.Mapping[str, ~typing.Any]"
    )


def test_names_of_options_do_not_break(built):
    html = (built / "reference.html").read_text()
    assert '<span class="pre option">--dof</span> <span class="pre">6</span>' in html
