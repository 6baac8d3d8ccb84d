import io
import re
from html.parser import HTMLParser

import pytest
from sphinx.application import Sphinx
from sphinx.util.docutils import docutils_namespace

from ikpaper.report.sphinx_tables import keys, visible

HEADER = ["DoF", "sampler", "MMD²", "rejected", "C2ST", "samples/s", "targets", "profile"]
BODY = [
    ["4", "flow", "0.0018 (0.0015 to 0.0021)", "5 %", "0.5", "10", "1,000", "paper"],
    ["4", "look-up table, 10⁵", "−2 · 10⁻⁵ (−4 · 10⁻⁵ to 1 · 10⁻⁵)", "6 %", "–", "20", "1,000", ""],
    ["6", "flow", "0.1", "7 %", "0.6", "30", "1,000", "paper"],
]

TYPED = [
    ["file", "made by", "from"],
    ["weights/paper/flow-06dof-seed42.safetensors", "ikpaper train", "settings of a profile"],
]


def test_columns_that_are_the_same_in_all_rows_are_left_out_first():
    assert visible([HEADER, *BODY]) == ([0, 1, 2, 3, 4, 5], [6])
    assert visible([HEADER, *BODY], 3) == ([0, 1, 2], [6])
    # Two rows, and a small table, show what they have.
    assert visible([HEADER, *BODY[:2]]) == ([0, 1, 2, 3, 4, 5], [])
    assert visible([["a", "b"], ["1", "x"], ["2", "x"], ["3", "x"]]) == ([0, 1], [])


def test_keys_tell_rows_apart():
    assert keys([["a", "x"], ["b", "x"]]) == 1
    assert keys(BODY) == 2
    assert keys([["a", "x"], ["a", "x"]]) == 1


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """A book of one page with the table and a small one, as HTML, and its folder."""
    root = tmp_path_factory.mktemp("book")
    rows = [HEADER, *BODY]
    text = "\n".join(",".join(f'"{cell}"' for cell in row) for row in rows)
    (root / "tables").mkdir()
    (root / "tables" / "scores.csv").write_text(text + "\n", encoding="utf-8")
    (root / "tables" / "small.csv").write_text('what,"MMD²"\na,0.1\nb,0.2\n', encoding="utf-8")
    (root / "conf.py").write_text('extensions = ["ikpaper.report.sphinx_tables"]\n')
    (root / "index.rst").write_text(
        "Title\n=====\n\n"
        ".. csv-table:: Scores.\n   :file: tables/scores.csv\n   :header-rows: 1\n\n"
        ".. csv-table:: Small.\n   :file: tables/small.csv\n   :header-rows: 1\n\n"
        ".. csv-table:: Typed.\n\n   one, two\n\n"
        f".. csv-table:: Typed and wide.\n   :header: {', '.join(TYPED[0])}\n\n"
        f"   {', '.join(TYPED[1])}\n"
    )
    folders = [str(root), str(root), str(root / "html"), str(root / "doctrees")]
    # What an app registers with docutils is not left to the next one.
    with docutils_namespace():
        Sphinx(*folders, "html", status=None, warningiserror=True).build()
    return (root / "html" / "index.html").read_text(encoding="utf-8"), root


class Tables(HTMLParser):
    """Cells of all tables: their tags and their texts, without those for narrow screens."""

    def __init__(self):
        super().__init__()
        self.tables, self.labels = [], []
        self._inside = self._skip = False

    def handle_starttag(self, tag, attributes):
        if tag == "table":
            self.tables.append([])
        if tag == "tr":
            self.tables[-1].append([])
        if tag in ("td", "th"):
            self.tables[-1][-1].append([tag, ""])
            self._inside = True
        self._skip = dict(attributes).get("class") == "column"

    def handle_endtag(self, tag):
        self._skip = False
        self._inside = self._inside and tag not in ("td", "th")

    def handle_data(self, data):
        if self._skip:
            self.labels.append(data)
        elif self._inside:
            self.tables[-1][-1][-1][1] += data


def test_a_table_shows_six_columns_and_names_the_others_below(built):
    html, root = built
    parser = Tables()
    parser.feed(html)
    scores = parser.tables[0]
    assert [text.strip() for _, text in scores[0]] == HEADER[:6]
    for row, cells in zip(BODY, scores[1:], strict=True):
        assert [tag for tag, _ in cells] == ["th", "th", "td", "td", "td", "td"]
        shown = [" ".join(text.split()) for _, text in cells]
        assert shown == [re.sub(r" \((.*)\)", r" \1", cell) for cell in row[:6]]
    below = re.search(r'<p class="below-table">(.*?)</p>', html, re.S)[1]
    assert "In every row: targets 1,000. " in below
    paper = '<span class="on-paper">book/tables/scores.csv</span>'
    assert re.sub(r"<[^>]*>", "", below.replace(paper, "")).endswith(
        "Whole table (CSV). Columns left out: “profile”."
    )
    assert paper in below
    link = re.search(r'href="(_downloads/[^"]*scores.csv)"', below)[1]
    whole = (root / "html" / link).read_text(encoding="utf-8")
    assert whole == (root / "tables" / "scores.csv").read_text(encoding="utf-8")


def test_intervals_stand_on_a_line_of_their_own(built):
    spans = re.findall(r'<span class="interval">(.*?)</span>', built[0])
    assert spans == ["0.0015 to 0.0021", "−4 · 10⁻⁵ to 1 · 10⁻⁵"]


def test_cells_name_their_columns_for_narrow_screens(built):
    parser = Tables()
    parser.feed(built[0])
    row = ["DoF: ", "MMD²: ", "rejected: ", "C2ST: ", "samples/s: "]
    assert parser.labels == [*row * 3, *["MMD²: "] * 2, "made by: ", "from: "]
    classes = re.findall(r'<table class="([^"]*)"', built[0])
    assert ["cards" in each.split() for each in classes] == [True, False, False, True]


def test_a_missing_file_is_reported(tmp_path):
    (tmp_path / "conf.py").write_text('extensions = ["ikpaper.report.sphinx_tables"]\n')
    (tmp_path / "index.rst").write_text(
        "Title\n=====\n\n.. csv-table:: Scores.\n   :file: none.csv\n   :header-rows: 1\n"
    )
    folders = [str(tmp_path), str(tmp_path), str(tmp_path / "html"), str(tmp_path / "doctrees")]
    warnings = io.StringIO()
    with docutils_namespace():
        Sphinx(*folders, "html", status=None, warning=warnings).build()
    assert "none.csv" in warnings.getvalue()
