import base64
import io

import numpy as np
import pytest
from PIL import Image

from ikpaper.report.dark import dark_colours, dark_svg
from ikpaper.report.plots.style import COLORS, INK, MUTED, NEUTRAL, new_figure, to_svg
from ikpaper.sampler import SAMPLERS

#: Ground of the theme in dark mode.
GROUND = "#121212"


def rgb(colour):
    return np.array([list(bytes.fromhex(colour[1:]))])


def luminance(colours):
    """Relative luminance of WCAG 2; colours in sRGB, shape (n, 3), 0 to 255."""
    share = np.asarray(colours) / 255
    linear = np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
    return linear @ [0.2126, 0.7152, 0.0722]


def contrast(one, other):
    low, high = sorted((luminance(one).item(), luminance(other).item()))
    return (high + 0.05) / (low + 0.05)


def test_white_becomes_the_ground_of_the_page():
    assert np.abs(dark_colours(rgb("#ffffff")).astype(int) - rgb(GROUND)).max() <= 2


@pytest.mark.parametrize("colour", sorted({COLORS[name] for name in SAMPLERS} | set(NEUTRAL)))
def test_colours_of_curves_stand_out_in_either_mode(colour):
    # What WCAG asks of graphics; the palette itself has a few that are paler on white.
    assert contrast(dark_colours(rgb(colour)), rgb(GROUND)) > 4.5


def test_ink_is_text_in_either_mode():
    assert contrast(dark_colours(rgb(INK)), rgb(GROUND)) > 10
    assert contrast(dark_colours(rgb(MUTED)), rgb(GROUND)) > 4.5


def test_greys_stay_grey_and_change_their_order():
    greys = np.repeat(np.arange(0, 256, 5)[:, None], 3, axis=1)
    dark = dark_colours(greys).astype(int)
    assert np.ptp(dark, axis=1).max() <= 1
    assert (np.diff(dark[:, 0]) <= 0).all()


def test_a_figure_keeps_everything_but_its_colours():
    figure = new_figure()
    ax = figure.subplots()
    ax.plot([1, 2], color="#0072b2")
    ax.scatter([1.0], [1.5], color="#d55e00", alpha=0.5, rasterized=True)
    svg = to_svg(figure)
    dark = dark_svg(svg)
    assert "#0072b2" in svg
    assert "#0072b2" not in dark
    assert svg.count("<path") == dark.count("<path")
    pictures = []
    for text in (svg, dark):
        encoded = text.split("data:image/png;base64,")[1].split('"')[0]
        pictures.append(np.array(Image.open(io.BytesIO(base64.b64decode(encoded)))))
    assert (pictures[0][..., 3] == pictures[1][..., 3]).all()
    seen = pictures[0][..., 3] > 100
    assert (pictures[1][seen][:, :3] == dark_colours(pictures[0][seen][:, :3])).all()
