import pytest

from ikpaper.report.plots import diagrams


@pytest.mark.parametrize(
    ("draw", "names"),
    [
        (diagrams.cvae, {"encoder", "decoder", r"$\theta$", r"$y$", "training", "sampling"}),
        (diagrams.inn, {"coupling\nblock", r"$\Pi$", r"$z$", r"$\hat y$", "forward", "inverse"}),
        (
            diagrams.coupling_block,
            {f"${name}_{half}$" for name in "stuv" for half in (1, 2)} | {r"$\odot$", "$+$", "$-$"},
        ),
    ],
)
def test_a_diagram_names_its_parts_within_its_frame(draw, names):
    figure = draw()
    (ax,) = figure.axes
    assert names <= {text.get_text() for text in ax.texts}
    (left, right), (low, high) = ax.get_xlim(), ax.get_ylim()
    for text in ax.texts:
        x, y = text.get_position()
        assert left < x < right
        assert low < y < high
