import torch

from ikpaper.report.plots.reading import pairs


def test_every_pair_has_a_panel_with_both_sets():
    names = {"a": "one fault", "b": "another"}
    clouds = {(kind, value): torch.full((50, 4), value) for kind in names for value in (0.25, 0.5)}
    figure = pairs(torch.zeros(80, 4), clouds, names, shown=30)
    assert [ax.get_title() for ax in figure.axes[:2]] == ["MMD$^2$ = 0.25", "MMD$^2$ = 0.5"]
    for ax, (_, value) in zip(figure.axes, clouds, strict=True):
        reference, faulty = (cloud.get_offsets() for cloud in ax.collections)
        assert len(reference) == len(faulty) == 30
        assert (reference == 0).all()
        assert (faulty == value).all()
    assert [text.get_text() for ax in figure.axes for text in ax.texts] == ["one fault", "another"]
