"""Compares outputs of a page with the published ones, number by number, each with its tolerance."""

from __future__ import annotations

import base64
import csv
import io
import json
import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np

from ikpaper.format import as_ascii


@dataclass(frozen=True)
class Tolerance:
    """By how much a number may differ from the published one on another machine.

    Numbers agree if they differ by no more than `absolute`, or `relative` times the larger one.
    What is rounded for a reader (a decimal fraction or percentage in a table or text) may differ
    by one in its last place, too.

    Attributes:
        name: What the numbers are.
        quantities: Regular expression, searched for in "FILE: COLUMN", "PAGE: KEY" of a number
            for the text, "PAGE: figure NAME", "PAGE: pixels of NAME" and "PAGE: text".
        relative: Largest relative difference.
        absolute: Largest absolute difference, in the unit of the quantity.
        why: Where the difference comes from.
        apart: Measured by a clock or told of the machine: counted, never held to a tolerance.
    """

    name: str
    quantities: str
    relative: float = 0.0
    absolute: float = 0.0
    why: str = ""
    apart: bool = False


#: What is searched in turn: the first that matches holds.
TOLERANCES = (
    Tolerance("figures", r": figure ", absolute=0.5, why="half a point on the page"),
    Tolerance(
        "pictures", r": pixels of ", absolute=0.005, why="share of the pixels that differ in colour"
    ),
    Tolerance(
        "times and rates",
        r"second|samples/s\b|samples_per|\[(ms|min|h|s)\]|\bms a sample|_ms\b|µs|core hours"
        r"|: .*\btime\b"
        r"|^(amortised|hardware): |^beyond: (call|one|many)_",
        why="of the machine and its load: counted, not held to a tolerance",
        apart=True,
    ),
    Tolerance(
        "spread of C2ST",
        r"^(stops|classifier-stops): .*(spread|standard errors)",
        relative=0.3,
        absolute=0.01,
        why="of a few targets, whose classifiers amplify rounding",
    ),
    Tolerance(
        "C2ST",
        r"c2st|classif",
        absolute=0.03,
        why="the training of a classifier amplifies rounding",
    ),
    Tolerance(
        "permutation tests",
        r"rejected|p_value",
        absolute=0.02,
        why="p-values have steps, and a target may change sides",
    ),
    Tolerance(
        "counts over a threshold",
        r"missed|not converged|distinct|proposals|effective",
        relative=2e-3,
        absolute=2.0,
        why="a sample or two may change sides",
    ),
    Tolerance(
        "shares over a threshold",
        r"acceptance|: on target",
        relative=2e-3,
        why="a sample may change sides",
    ),
    Tolerance(
        "distances and areas",
        r"resim|E‖|residual|worst target|hull|perimeter|area",
        relative=2e-3,
        absolute=1e-11,
        why="samples differ by rounding; where the answer is zero, rounding is all there is",
    ),
    Tolerance(
        "MMD²",
        r"mmd|mismatch|posterior|statistic|floor|bias|prior",
        relative=2e-3,
        absolute=1e-6,
        why="samples differ by rounding; what is near zero is a difference of large sums",
    ),
    Tolerance(
        "counts and settings",
        r"parameters|epochs|targets|samples|trials|seed|dof\b|runs",
        why="the same everywhere",
    ),
    Tolerance("everything else", r"", relative=1e-4, absolute=1e-12, why="rounding"),
)

#: What becomes of a number; those before `outside` agree.
VERDICTS = ("identical", "six digits", "three digits", "in tolerance", "outside", "apart")

_NUMBER = re.compile(
    r"(?<![\w.#])[-−]?(?:\d{1,3}(?:,\d{3})+(?!\d)|\d+)(?:\.\d+)?"
    r"(?:[eE][-+]?\d+|\s·\s10[⁻⁰¹²³⁴⁵⁶⁷⁸⁹]+)?"
    # Nothing else may follow but the unit of a figure's size.
    r"(?!(?!pt\b)\w)(\s?%)?"
)
#: Names that matplotlib makes from the content of paths.
_NAME = re.compile(r'(?<=[ :]id=")[^"]*|(?<=href="#)[^"]*|(?<=url\(#)[^)]*')
#: Parts of a figure that are pictures.
_PICTURE = re.compile(r"data:image/png;base64,([A-Za-z0-9+/=\s]*)")
#: Colours that differ by no more than this share of their range look the same.
_COLOUR = 0.05


def tolerance_of(quantity: str) -> Tolerance:
    """The tolerance of a quantity, by its name."""
    return next(each for each in TOLERANCES if re.search(each.quantities, quantity, re.IGNORECASE))


@dataclass
class Comparison:
    """How a page's output agrees with the published one.

    Attributes:
        page: The page.
        output: File, relative to `book/`.
        counts: How many numbers have which of the `VERDICTS`.
        outside: What does not agree, one phrase each; text that differs counts as a number.
        worst: The number nearest to its tolerance, or farthest beyond, in words.
    """

    page: str
    output: str
    counts: Counter[str] = field(default_factory=Counter)
    outside: list[str] = field(default_factory=list)
    worst: str = ""
    _strain: float = 0.0

    @property
    def agrees(self) -> bool:
        """Whether nothing is out of its tolerance."""
        return not self.counts["outside"]

    def differs(self, phrase: str) -> None:
        """Count something else than a number that does not agree."""
        self.counts["outside"] += 1
        self.outside.append(phrase)
        self.worst, self._strain = phrase, math.inf

    def text(self, published: str, made: str, quantity: str, where: str = "") -> None:
        """Compare the numbers in two texts, and what stands between them."""
        name = f"{quantity}, {where}" if where else quantity
        tolerance = tolerance_of(quantity)
        between = [_NUMBER.sub("#", text).split() for text in (published, made)]
        if between[0] == between[1]:
            pairs = zip(_NUMBER.finditer(published), _NUMBER.finditer(made), strict=True)
            for old_number, new_number in pairs:
                self._number(old_number, new_number, tolerance, name)
        elif tolerance.apart:
            self.counts["apart"] += 1
        else:
            words = enumerate(zip_longest(*between))
            start = next(place for place, (left, right) in words if left != right)
            old, new = (" ".join(each[start : start + 6]) or "nothing" for each in between)
            self.differs(f"{name}: {old!r} published, now {new!r}")

    def svg(self, published: str, made: str, quantity: str, where: str = "") -> None:
        """Compare two figures: coordinates, and parts of it that are pictures, by pixels."""
        old, new = (_PICTURE.sub("", _NAME.sub("", text)) for text in (published, made))
        self.text(old, new, quantity, where)
        quantity = quantity.replace(": figure ", ": pixels of ")
        for old, new in zip(_PICTURE.findall(published), _PICTURE.findall(made), strict=False):
            self.picture(base64.b64decode(old), base64.b64decode(new), quantity, where)

    def picture(self, published: bytes, made: bytes, quantity: str, where: str = "") -> None:
        """Compare two pictures, PNG, by the share of their pixels that differ."""
        share = 0.0 if published == made else _unlike(published, made)
        self.text("0", repr(share) if share else "0", quantity, where)

    def _number(
        self, published: re.Match[str], made: re.Match[str], tolerance: Tolerance, name: str
    ) -> None:
        if tolerance.apart or published.group() == made.group():
            self.counts["apart" if tolerance.apart else "identical"] += 1
            return
        (old, unit), (new, other_unit) = _value(published), _value(made)
        difference, size = abs(new - old), max(abs(old), abs(new))
        # Results are in full precision: there, 0.5 has no last place.
        last = 0.0 if self.output.startswith("results/") else 1.001 * max(unit, other_unit)
        allowed = max(tolerance.absolute, tolerance.relative * size, last)
        relative = difference / size if size else 0.0
        strain = difference / allowed if allowed else math.inf
        phrase = f"{name}: {published.group()} published, now {made.group()}"
        if strain > 1:
            verdict = "outside"
            self.outside.append(phrase)
        elif relative <= 5e-7:
            verdict = "six digits"
        else:
            verdict = "three digits" if relative <= 5e-4 else "in tolerance"
        self.counts[verdict] += 1
        if strain > self._strain and verdict != "six digits":
            self.worst, self._strain = phrase, strain


def _value(number: re.Match[str]) -> tuple[float, float]:
    """A printed number, and what one in its last place is worth; counts have no such leeway."""
    percent = number.group(1) or ""
    text = as_ascii(number.group().removesuffix(percent)).replace(",", "")
    mantissa, _, exponent = text.lower().partition("e")
    places = len(mantissa.partition(".")[2])
    scale = 0.01 if percent else 1.0
    rounded = places or exponent or percent
    unit = scale * 10.0 ** (int(exponent or 0) - places) if rounded else 0.0
    return scale * float(text), unit


def compare(published: Path, made: Path, page: str, output: str) -> Comparison:
    """Compare one output of a page, by the kind of file: .csv, .svg, .png or .ipynb.

    Args:
        published: The committed file.
        made: The file of another run.
        page: The page.
        output: Its name, relative to `book/`.
    """
    found = Comparison(page, output)
    for path, phrase in ((published, "is not published"), (made, "was not made")):
        if not path.is_file():
            found.differs(f"{output} {phrase}")
            return found
    suffix, stem = Path(output).suffix, Path(output).stem
    if suffix == ".png":
        found.picture(published.read_bytes(), made.read_bytes(), f"{stem}: pixels of {stem}")
        return found
    old, new = (path.read_text(encoding="utf-8") for path in (published, made))
    if suffix == ".csv":
        _compare_tables(found, *(list(csv.reader(text.splitlines())) for text in (old, new)))
    elif suffix == ".ipynb":
        _compare_notebooks(found, json.loads(old), json.loads(new))
    else:
        found.svg(old, new, f"{stem}: figure {stem}")
    return found


def _compare_tables(found: Comparison, old: list[list[str]], new: list[list[str]]) -> None:
    stem = Path(found.output).stem
    if old[:1] != new[:1] or len(old) != len(new):
        shapes = [f"{len(table) - 1} rows of {', '.join(table[0])}" for table in (old, new)]
        found.differs(f"{stem}: {shapes[0]} published, now {shapes[1]}")
        return
    header = old[0]
    for number, (row, other) in enumerate(zip(old[1:], new[1:], strict=True), 1):
        # Of a long table, the column says less than the quantity that the row names.
        quantity = dict(zip(header, row, strict=True)).get("quantity", "")
        for column, cell, made in zip(header, row, other, strict=True):
            name = quantity if quantity and column in ("value", "low", "high") else column
            found.text(cell, made, f"{stem}: {name}", f"row {number}")


def _compare_notebooks(found: Comparison, old: Mapping[str, Any], new: Mapping[str, Any]) -> None:
    if len(old["cells"]) != len(new["cells"]):
        found.differs(f"{len(old['cells'])} cells published, now {len(new['cells'])}")
        return
    for number, (cell, other) in enumerate(zip(old["cells"], new["cells"], strict=True), 1):
        where = f"cell {number}"
        if "".join(cell["source"]) != "".join(other["source"]):
            found.differs(f"{found.page}: the source of {where} differs")
            continue
        texts = [list(_texts(found.page, each)) for each in (cell, other)]
        if [quantity for quantity, _ in texts[0]] != [quantity for quantity, _ in texts[1]]:
            found.differs(f"{found.page}: other outputs in {where}")
            continue
        for (quantity, text), (_, made) in zip(*texts, strict=True):
            compare_as = found.svg if ": figure " in quantity else found.text
            compare_as(text, made, quantity, where)


def _texts(page: str, cell: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """What a cell put out: name of the quantity, and text."""
    figure = cell["metadata"].get("mystnb", {}).get("figure", {}).get("name", "")
    for output in cell.get("outputs", ()):
        key = output.get("metadata", {}).get("scrapbook", {}).get("name", "")
        if key:
            # Texts are stored as their repr, which escapes the spaces within numbers.
            text = "".join(next(iter(output["data"].values()))).replace(r"\xa0", "\xa0")
            yield f"{page}: {key.split('/')[-1]}", text
            continue
        for kind, data in output.get("data", {"text/plain": output.get("text", "")}).items():
            text = "".join(data) if isinstance(data, (str, list)) else json.dumps(data)
            yield f"{page}: {f'figure {figure}' if kind == 'image/svg+xml' else 'text'}", text


def _unlike(published: bytes, made: bytes) -> float:
    """Share of the pixels that differ in two pictures, PNG."""
    from matplotlib.image import imread

    old, new = (imread(io.BytesIO(content)) for content in (published, made))
    if old.shape != new.shape:
        return 1.0
    return float((np.abs(old - new).max(axis=-1) > _COLOUR).mean())
