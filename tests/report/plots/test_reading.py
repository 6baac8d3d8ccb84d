import torch

from ikpaper.report.plots.reading import pairs
from ikpaper.report.plots.style import narrow


def test_every_pair_has_a_panel_with_both_sets():
    names = {"a": "one fault", "b": "another"}
    clouds = {(kind, value): torch.full((50, 4), value) for kind in names for value in (0.25, 0.5)}
    figure = pairs(torch.zeros(80, 4), clouds, names, shown=30)
    for ax, (_, value) in zip(figure.axes, clouds, strict=True):
        reference, faulty = (cloud.get_offsets() for cloud in ax.collections)
        assert len(reference) == len(faulty) == 30
        assert (reference == 0).all()
        assert (faulty == value).all()
    for drawn in (figure, narrow(figure)):
        rows = [ax.get_subplotspec().rowspan.start for ax in drawn.axes]
        assert rows == [0, 0, 1, 1]
        named = [[text.get_text() for text in ax.texts] for ax in drawn.axes]
        assert named == [["one fault"], [], ["another"], []]
        titles = [ax.get_title().strip() for ax in drawn.axes]
        assert titles == ["MMD$^2$ = 0.25", "MMD$^2$ = 0.5", "", ""]
