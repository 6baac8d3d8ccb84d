import pandas as pd
import pytest
import torch

from ikpaper import PlanarArm
from ikpaper.models import CATALOGUE
from ikpaper.report.plots.style import (
    COLORS,
    LABELS,
    MARKERS,
    is_narrow,
    narrow,
    new_figure,
    new_grid,
    outer_labels,
    shared_legend,
    style,
    to_svg,
)
from ikpaper.sampler import PosteriorSampler


class Zero(PosteriorSampler):
    name = "zero-of-the-test"
    label = "all zero"
    colour = "#123456"
    marker = "*"

    def __init__(self):
        self.arm = PlanarArm.paper(4)

    def _sample(self, tcp, n, generator):
        return torch.zeros(len(tcp), n, 4)


@pytest.mark.parametrize(
    ("name", "label", "color", "marker"),
    [
        ("cvae", "cVAE", "#0072b2", "o"),
        ("inn", "INN", "#d55e00", "s"),
        ("flow-fast", "flow, one evaluation", "#aa4499", ">"),
        ("exact", "exact posterior", "#009e73", "D"),
        ("rejection", "rejection sampling", "#56b4e9", "v"),
        ("numerical", "numerical solver", "#cc79a7", "h"),
        ("prior", "prior", "#8a97a3", "x"),
        ("zero-of-the-test", "all zero", "#123456", "*"),
    ],
)
def test_samplers_look_as_their_classes_say(name, label, color, marker):
    assert (LABELS[name], COLORS[name], MARKERS[name]) == (label, color, marker)
    assert pd.Series([name]).map(LABELS).tolist() == [label]


def test_a_name_that_is_no_samplers_is_its_own_label():
    assert LABELS["somebody's"] == "somebody's"
    assert LABELS["npe"] == "sbi, NPE"
    # Of some colour and marker, and none of ours.
    assert COLORS["somebody's"] not in [COLORS[name] for name in CATALOGUE]
    assert MARKERS["somebody's"]


def test_ours_come_first_and_in_one_order():
    names = list(MARKERS)
    assert names[:8] == [
        "cvae",
        "inn",
        "inn-ml",
        "inn-ml-small",
        "cgan",
        "flow-plain",
        "flow",
        "flow-fast",
    ]
    assert "zero-of-the-test" in names


def test_equal_figures_are_equal_documents():
    def draw():
        figure = new_figure()
        figure.subplots().plot([1, 2, 3], label="$x^2$")
        return to_svg(figure)

    assert draw() == draw()
    assert "<dc:date>" not in draw()


@style
def panels(count, columns, **options):
    figure, grid = new_grid(count, columns, height=2.0, **options)
    for number, ax in enumerate(grid.flat[:count]):
        ax.plot([0, number + 1], label=f"curve {number}")
    outer_labels(grid, "x", "y")
    shared_legend(figure, grid.flat[:count], count)
    return figure


def places(figure):
    """Row and column of the axes that are shown, in the order of the grid."""
    shown = [ax for ax in figure.axes if ax.get_visible()]
    specs = {ax.lines[0].get_label(): ax.get_subplotspec() for ax in shown}
    return [(specs[name].rowspan.start, specs[name].colspan.start) for name in sorted(specs)]


@pytest.mark.parametrize(
    ("count", "columns", "options", "expected"),
    [
        (3, 3, {}, [(0, 0), (1, 0), (2, 0)]),
        (3, 3, {"stacked": (2, 1.5)}, [(0, 0), (0, 1), (1, 0)]),
        (3, 2, {}, [(0, 0), (1, 0), (2, 0)]),
        (4, 2, {"by_column": True}, [(0, 0), (2, 0), (1, 0), (3, 0)]),
        (1, 1, {}, [(0, 0)]),
    ],
)
def test_a_narrow_figure_has_the_same_panels_below_one_another(count, columns, options, expected):
    figure = panels(count, columns, **options)
    again = narrow(figure)
    assert again.get_figwidth() < 3.8 < figure.get_figwidth()
    assert places(again) == expected
    assert not is_narrow()
    legend = again.legends[0]
    assert [text.get_text() for text in legend.get_texts()] == [
        f"curve {number}" for number in range(count)
    ]
    # Nothing is cut off.
    again.draw_without_rendering()
    box = again.get_tightbbox()
    assert box.x0 > -0.02
    assert box.x1 < again.get_figwidth() + 0.02


def test_narrow_panels_share_what_wide_ones_share():
    again = narrow(panels(4, 2, sharex="col", sharey=True))
    for ax in again.axes:
        ax.set_ylim(0, 7)
    assert {ax.get_ylim() for ax in again.axes} == {(0.0, 7.0)}
    first, second, third, _ = again.axes
    first.set_xlim(0, 9)
    assert third.get_xlim() == (0.0, 9.0)
    assert second.get_xlim() != (0.0, 9.0)


def test_only_outer_panels_are_labelled_in_either_layout():
    figure = panels(3, 2)
    for layout, below in ((figure, 2), (narrow(figure), 1)):
        shown = [ax for ax in layout.axes if ax.get_visible()]
        assert [bool(ax.get_xlabel()) for ax in shown].count(True) == below
        for ax in shown:
            assert bool(ax.get_ylabel()) == (ax.get_subplotspec().colspan.start == 0)


def test_a_figure_that_cannot_be_drawn_again_has_no_narrow_version():
    assert narrow(new_figure()) is None


def test_figures_have_no_ground():
    assert "#ffffff" not in to_svg(panels(2, 2))
