import base64
import io
import json

import numpy as np
import pytest
from matplotlib.image import imsave

from ikpaper.report.compare import compare, tolerance_of
from ikpaper.report.outputs import Outputs
from ikpaper.report.plots.style import new_figure

RESULTS = """sampler,quantity,value,low,high,seconds
inn,mmd2,0.0123456,0.011,0.0136,1.5
inn,c2st,0.91,0.9,0.93,2.5
inn,e_resim,1e-31,1e-32,1e-30,3.5
"""
TABLE = """sampler,MMD² to exact,rejected,C2ST,samples/s,parameters
INN,0.0123 (0.011 to 0.014),5.3 %,0.910,"33,594","1,108,872"
"""


@pytest.fixture
def both(tmp_path):
    """Compares what is published with what was made, given their texts."""

    def compared(published, made, output):
        for folder, text in (("published", published), ("made", made)):
            path = tmp_path / folder / output
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return compare(tmp_path / "published" / output, tmp_path / "made" / output, "p", output)

    return compared


def test_equal_files_agree_in_every_number(both):
    found = both(RESULTS, RESULTS, "results/scores.csv")
    assert found.agrees
    assert found.counts == {"identical": 9, "apart": 3}


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("0.0123456", "0.0124456"),
        ("0.91", "0.95"),
        ("1e-31", "1e-10"),
        ("inn,c2st", "cvae,c2st"),
        ("inn,e_resim,1e-31,1e-32,1e-30,3.5\n", ""),
        ("high", "upper"),
        ("0.0136", "nan"),
        ("0.0136", ""),
    ],
)
def test_a_changed_result_is_caught(both, old, new):
    found = both(RESULTS, RESULTS.replace(old, new), "results/scores.csv")
    assert not found.agrees
    assert found.outside
    assert found.worst == found.outside[0]


@pytest.mark.parametrize(
    ("old", "new", "verdict"),
    [
        ("0.0123456", "0.012345600001", "six digits"),
        ("0.0123456", "0.0123466", "three digits"),
        ("0.0123456", "0.0123656", "in tolerance"),
        ("0.91", "0.92", "in tolerance"),
        ("1e-31", "7e-31", "in tolerance"),
        ("3.5", "350.0", "apart"),
    ],
)
def test_what_rounding_and_clocks_change_is_not_held_against_it(both, old, new, verdict):
    found = both(RESULTS, RESULTS.replace(old, new), "results/scores.csv")
    assert found.agrees
    assert found.counts[verdict] == 1 + 2 * (verdict == "apart")


@pytest.mark.parametrize(
    ("old", "new", "agrees"),
    [
        ("0.0123 (", "0.0124 (", True),  # rounded to the other side
        ("0.0123 (", "0.0125 (", False),
        ("to 0.014", "to 0.016", False),
        ("5.3 %", "6.1 %", True),  # less than two targets in a hundred
        ("5.3 %", "9.3 %", False),
        ("0.910", "0.930", True),
        ("33,594", "13,594", True),
        ("1,108,872", "1,108,873", False),  # a count is exact
        ("INN,", "cVAE,", False),
    ],
)
def test_cells_of_tables_may_differ_in_the_last_place(both, old, new, agrees):
    assert both(TABLE, TABLE.replace(old, new), "tables/scores.csv").agrees == agrees


@pytest.mark.parametrize(
    ("old", "new", "agrees"),
    [
        ("1.2\xa0·\xa010⁻³", "1.3\xa0·\xa010⁻³", True),  # rounded to the other side
        ("1.2\xa0·\xa010⁻³", "1.4\xa0·\xa010⁻³", False),
        ("1.2\xa0·\xa010⁻³", "1.2\xa0·\xa010⁻⁴", False),
        ("−1.2\xa0·\xa010⁻³", "1.2\xa0·\xa010⁻³", False),
        ("0 (−9\xa0·\xa010⁻³", "1\xa0·\xa010⁻³ (−9\xa0·\xa010⁻³", True),
        # A label is text.
        ("look-up table, 10⁵", "look-up table, 10⁶", False),
    ],
)
def test_numbers_with_a_power_of_ten_are_numbers(both, old, new, agrees):
    made = [f'sampler,MMD²\nINN,"{each}"\n' for each in (old, new)]
    found = both(*made, "tables/scores.csv")
    assert found.agrees == agrees


def test_a_full_precision_number_has_no_last_place(both):
    assert not both("mmd2\n0.5\n", "mmd2\n0.6\n", "results/x.csv").agrees


def test_a_missing_file_is_caught_on_either_side(both, tmp_path):
    both(TABLE, TABLE, "tables/x.csv")
    (tmp_path / "made" / "tables" / "x.csv").unlink()
    arguments = (tmp_path / "published/tables/x.csv", tmp_path / "made/tables/x.csv")
    assert compare(*arguments, "p", "tables/x.csv").outside == ["tables/x.csv was not made"]
    assert compare(*arguments[::-1], "p", "tables/x.csv").outside == [
        "tables/x.csv is not published"
    ]


def drawn(folder, shift=0.0, points=5):
    figure = new_figure()
    axes = figure.subplots()
    axes.set(xlim=(0, 1), ylim=(0, 1))
    x = np.linspace(0.1, 0.9, points)
    axes.plot(x, x**2 + shift, marker="o")
    Outputs(folder).figure(figure, "f")
    return (folder / "figures" / "f.svg").read_text()


def test_a_moved_line_of_a_figure_is_caught(both, tmp_path):
    figure = drawn(tmp_path)
    assert both(figure, figure, "figures/f.svg").agrees
    # Rounding moves it by a thousandth of a point, and changes the names of its markers.
    assert both(figure, drawn(tmp_path, 1e-6), "figures/f.svg").agrees
    assert not both(figure, drawn(tmp_path, 0.01), "figures/f.svg").agrees
    assert not both(figure, drawn(tmp_path, points=6), "figures/f.svg").agrees


def test_the_size_of_a_figure_is_compared_as_a_number(both):
    # Where sums are rounded otherwise, another digit of a height that is fitted to its content.
    figure = '<svg width="266.4pt" height="609.774265pt" viewBox="0 0 266.4 609.774265">'
    assert both(figure, figure.replace("609.774265", "609.774275"), "figures/f.svg").agrees
    assert both(figure, figure.replace("609.774265", "609.77427"), "figures/f.svg").agrees
    assert not both(figure, figure.replace("609.774265pt", "611.774265pt"), "figures/f.svg").agrees
    assert not both(figure, figure.replace("pt", "px"), "figures/f.svg").agrees


def png(shift):
    pixels = np.zeros((40, 40, 3))
    pixels[:, 20 + shift : 22 + shift] = 1.0
    file = io.BytesIO()
    imsave(file, pixels)
    return file.getvalue()


def picture(shift):
    return f'<image xlink:href="data:image/png;base64,{base64.b64encode(png(shift)).decode()}"/>'


def test_a_moved_line_in_a_picture_is_caught(both):
    assert both(picture(0), picture(0), "figures/f.svg").agrees
    moved = both(picture(0), picture(1), "figures/f.svg")
    assert moved.outside == ["f: pixels of f: 0 published, now 0.05"]


def test_a_picture_to_download_is_compared_by_its_pixels(tmp_path):
    for name, shift in (("published", 0), ("same", 0), ("moved", 1)):
        (tmp_path / name).write_bytes(png(shift))
    output = "figures/f.png"
    assert compare(tmp_path / "published", tmp_path / "same", "p", output).agrees
    moved = compare(tmp_path / "published", tmp_path / "moved", "p", output)
    assert moved.outside == ["f: pixels of f: 0 published, now 0.05"]


def notebook(number="'0.0123'", printed="mmd2 0.5", source="x = 1", figure="<path d='M 1 2'/>"):
    def cell(*outputs, **metadata):
        return {"cell_type": "code", "source": source, "outputs": outputs, "metadata": metadata}

    glue = {"scrapbook": {"name": "application/papermill.record/mmd2"}}
    figures = {"figure": {"name": "fig-a"}}
    cells = [
        cell(
            {"output_type": "display_data", "metadata": glue, "data": {"text/plain": number}},
            {"output_type": "stream", "name": "stdout", "text": [printed]},
        ),
        cell(
            {"output_type": "execute_result", "data": {"image/svg+xml": [figure]}}, mystnb=figures
        ),
    ]
    return json.dumps({"cells": cells})


@pytest.mark.parametrize(
    ("change", "phrase"),
    [
        ({"number": "'0.0223'"}, "p: mmd2, cell 1: 0.0123 published, now 0.0223"),
        ({"printed": "mmd2 0.7"}, "p: text, cell 1: 0.5 published, now 0.7"),
        ({"printed": "c2st 0.5"}, "p: text, cell 1: 'mmd2 #' published, now 'c2st #'"),
        ({"source": "x = 2"}, "p: the source of cell 1 differs"),
        ({"figure": "<path d='M 1 9'/>"}, "p: figure fig-a, cell 2: 2 published, now 9"),
    ],
)
def test_what_changes_in_a_notebook_is_caught_by_name(both, change, phrase):
    assert both(notebook(), notebook(), "p.ipynb").counts == {"identical": 4}
    assert both(notebook(), notebook(**change), "p.ipynb").outside[0] == phrase


@pytest.mark.parametrize(
    ("quantity", "kind"),
    [
        ("benchmark: samples_per_second", "times and rates"),
        ("amortised: call", "times and rates"),
        ("speed-breakdown: step [ms]", "times and rates"),
        ("scores-04: c2st", "C2ST"),
        ("single-04: E‖f(θ) − y‖²", "distances and areas"),
        ("scores-04: e_posterior_wide", "MMD²"),
        ("scores-04: share of the prior's", "MMD²"),
        ("training-04: value", "everything else"),
        ("beyond: figure fig-pareto", "figures"),
    ],
)
def test_tolerances_are_found_by_the_name_of_the_quantity(quantity, kind):
    assert tolerance_of(quantity).name == kind


def test_a_glued_number_may_have_a_power_of_ten(both):
    texts = (notebook(repr(f"1.{digit}\xa0·\xa010⁻³")) for digit in (2, 3, 4))
    published, made, other = texts
    assert both(published, made, "p.ipynb").agrees
    assert both(published, other, "p.ipynb").outside == [
        "p: mmd2, cell 1: 1.2\xa0·\xa010⁻³ published, now 1.4\xa0·\xa010⁻³"
    ]
