"""Figures in colours for a dark page, made from those for a white one."""

from __future__ import annotations

import base64
import io
import re

import numpy as np

#: Lightness on a white page, and on a dark one: white becomes the page's ground, ink becomes light,
#: and what lies between stays as visible as it was. It falls throughout, so that of two shades of a
#: scale the one that stands out more still does.
_LIGHTNESS = (
    (0.0, 0.30, 0.45, 0.55, 0.65, 0.76, 0.85, 0.93, 1.0),
    (0.97, 0.92, 0.80, 0.74, 0.70, 0.66, 0.50, 0.33, 0.182),
)

#: From linear RGB to cone responses, and from their cube roots to OKLab (Ottosson, 2020).
_TO_CONES = np.array(
    [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ]
)
_TO_LAB = np.array(
    [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ]
)

_COLOUR = re.compile(r'(?<=[:\s"])#[0-9a-fA-F]{6}\b')
_PICTURE = re.compile(r"(?<=data:image/png;base64,)[A-Za-z0-9+/=\s]+")


def dark_colours(colours: np.ndarray) -> np.ndarray:
    """Colours of the same hue for a dark ground.

    Args:
        colours: sRGB, shape (n, 3), 0 to 255.

    Returns:
        sRGB in bytes, shape (n, 3).
    """
    encoded = np.asarray(colours, dtype=float) / 255
    linear = np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)
    lab = np.cbrt(linear @ _TO_CONES.T) @ _TO_LAB.T
    lab[:, 0] = np.interp(lab[:, 0], *_LIGHTNESS)
    cones = (lab @ np.linalg.inv(_TO_LAB).T) ** 3
    linear = (cones @ np.linalg.inv(_TO_CONES).T).clip(0, 1)
    encoded = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return np.rint(255 * encoded).astype(np.uint8)


def dark_svg(svg: str) -> str:
    """A figure for a dark page: its colours and those of the pictures in it.

    Args:
        svg: A document with a transparent ground, colours as `#rrggbb`, pictures as PNG.
    """
    dark = _COLOUR.sub(lambda found: _dark_hex(found.group()), svg)
    dark = _PICTURE.sub(lambda found: _dark_png(found.group()), dark)
    # What has no colour of its own is black.
    return dark.replace("<svg ", f'<svg fill="{_dark_hex("#000000")}" ', 1)


def _dark_hex(colour: str) -> str:
    (new,) = dark_colours(np.array([list(bytes.fromhex(colour[1:]))]))
    return f"#{bytes(new).hex()}"


def _dark_png(encoded: str) -> str:
    from PIL import Image

    pixels = np.array(Image.open(io.BytesIO(base64.b64decode(encoded))).convert("RGBA"))
    colours, place = np.unique(pixels[..., :3].reshape(-1, 3), axis=0, return_inverse=True)
    pixels[..., :3] = dark_colours(colours)[place.ravel()].reshape(*pixels.shape[:2], 3)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="png")
    return base64.b64encode(buffer.getvalue()).decode("ascii")
