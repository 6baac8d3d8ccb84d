import numpy as np
import pytest

from ikpaper.report.plots import diagrams
from ikpaper.report.plots.style import narrow


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
    for layout in filter(None, (figure, narrow(figure))):
        (ax,) = layout.axes
        assert names <= {text.get_text() for text in ax.texts}
        layout.draw_without_rendering()
        for text in ax.texts:
            box = text.get_window_extent()
            assert layout.bbox.contains(*box.min), text.get_text()
            assert layout.bbox.contains(*box.max), text.get_text()


@pytest.mark.parametrize("draw", [diagrams.cvae, diagrams.inn])
def test_a_narrow_diagram_runs_down_the_page(draw):
    figure = draw()
    again = narrow(figure)
    assert again.get_figheight() > again.get_figwidth()
    theta = [
        next(text for text in layout.axes[0].texts if text.get_text() == r"$\theta$").get_position()
        for layout in (figure, again)
    ]
    # What is at the left comes first.
    assert theta[0][0] < 2
    assert theta[1][1] > 10


def test_the_flow_carries_the_prior_onto_the_solutions():
    left, right = diagrams.flow().axes
    curve, *paths = (line.get_xydata() for line in left.lines if line.get_marker() == "None")
    start, end = (line.get_xydata() for line in left.lines if line.get_marker() == "o")
    assert len(paths) == len(start) == len(end)
    # Every end has the height that is asked for: so does the curve.
    heights = [np.sin(q[:, 0]) + np.sin(q.sum(axis=1)) for q in (curve, end)]
    np.testing.assert_allclose(heights[0], heights[0][0], atol=1e-9)
    np.testing.assert_allclose(heights[1], heights[0][0], atol=0.02)
    assert np.abs(np.sin(start[:, 0]) + np.sin(start.sum(axis=1)) - heights[0][0]).mean() > 0.5
    assert len(right.texts) == 4
