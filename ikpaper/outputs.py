"""What a notebook leaves behind: figures, result files, tables and numbers for the text."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ikpaper.arm import PlanarArm
from ikpaper.files import atomic, project_root, write_text

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

__all__ = ["Outputs", "over_runs", "significant", "with_interval"]


def significant(value: float, digits: int = 3) -> str:
    """A number to so many significant digits, for a cell of a table or for the text."""
    if value != value:
        return "–"
    if value == 0:
        return "0"
    exponent = int(f"{value:e}".split("e")[1])
    if -4 <= exponent < 6:
        return f"{value:,.{max(0, digits - 1 - exponent)}f}"
    mantissa = f"{value / 10.0**exponent:.{digits - 1}f}"
    return f"{mantissa}e{exponent}"


def with_interval(value: float, low: float, high: float) -> str:
    """A value with its interval, as `0.0123 (0.0110 to 0.0136)`."""
    if value != value:
        return "–"
    return f"{significant(value)} ({significant(low, 2)} to {significant(high, 2)})"


def over_runs(values: Iterable[float]) -> str:
    """Mean of several training runs with the smallest and the largest; of one run, its value."""
    found = [value for value in values if value == value]
    if not found:
        return "–"
    if len(found) == 1:
        return significant(found[0])
    return with_interval(sum(found) / len(found), min(found), max(found))


#: Commands that make results, where no page does.
_MADE_BY = {
    "ablations": "make ablations",
    "bench": "make bench",
    "bench-breakdown": "make bench",
    "benchmark": "ikpaper benchmark",
    "growth": "ikpaper growth",
    "peers": "ikpaper peers",
    "seeds": "ikpaper evaluate --save",
}


class Outputs:
    """Shows what a notebook computes and, if `folder` is given, saves it for the book.

    Args:
        folder: Where to save, with subfolders `figures`, `results` and `tables`. Empty: save
            nothing, as when a notebook is run by hand.
    """

    def __init__(self, folder: str | os.PathLike[str] = "") -> None:
        self.folder = Path(folder) if str(folder) else None

    def figure(self, figure: Figure, name: str = "") -> Any:
        """The figure for display as the last value of a cell; saved as `figures/<name>.svg`."""
        from IPython.display import SVG

        from ikpaper.plots.style import to_svg

        svg = to_svg(figure)
        if self.folder and name:
            write_text(self.folder / "figures" / f"{name}.svg", svg)
        return SVG(svg)

    def result(self, frame: pd.DataFrame, name: str) -> pd.DataFrame:
        """Full-precision numbers, saved as `results/<name>.csv`."""
        return self._csv(frame, Path("results") / f"{name}.csv")

    def read(self, name: str) -> pd.DataFrame:
        """A result file of this run, or else the one in the book.

        Raises:
            FileNotFoundError: If no page has made it yet; the message names the command.
        """
        import pandas as pd

        folders = [self.folder] if self.folder else []
        for folder in [*folders, project_root() / "book"]:
            path = folder / "results" / f"{name}.csv"
            if path.exists():
                return pd.read_csv(path)
        command = _MADE_BY.get(name, "ikpaper report")
        raise FileNotFoundError(f"book/results/{name}.csv is missing; make it with: {command}")

    def read_arms(self, name: str, profile: str) -> pd.DataFrame:
        """The result files `<name>-04` to `<name>-10` of the paper's arms as one table.

        Raises:
            FileNotFoundError: As for `read`.
            ValueError: If a file is of another profile.
        """
        import pandas as pd

        frames = [self.read(f"{name}-{dof:02d}") for dof in PlanarArm.PAPER_DOF]
        found = pd.concat(frames, ignore_index=True)
        if others := set(found["profile"]) - {profile}:
            raise ValueError(
                f"{name}: results of profile {', '.join(sorted(others))}, expected {profile}; "
                f"run: ikpaper report --profile {profile}"
            )
        return found

    def table(self, frame: pd.DataFrame, name: str) -> pd.DataFrame:
        """A table of formatted cells, saved as `tables/<name>.csv` for a csv-table directive."""
        return self._csv(frame, Path("tables") / f"{name}.csv")

    def number(self, key: str, value: float | str) -> None:
        """Makes a number available to the text of the book's pages as a glue key."""
        from myst_nb import glue

        glue(key, value if isinstance(value, str) else float(value), display=False)

    def _csv(self, frame: pd.DataFrame, relative: Path) -> pd.DataFrame:
        if self.folder:
            with atomic(self.folder / relative) as partial:
                frame.to_csv(partial, index=False, lineterminator="\n")
        return frame
