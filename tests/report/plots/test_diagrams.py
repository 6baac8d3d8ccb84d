import numpy as np
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
