import pandas as pd
import pytest
import torch

from ikpaper import PlanarArm
from ikpaper.models import CATALOGUE
from ikpaper.report.plots.style import COLORS, LABELS, MARKERS, new_figure, to_svg
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
