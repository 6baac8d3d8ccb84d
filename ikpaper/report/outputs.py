"""What a notebook is given, and what it leaves behind: figures, results, tables, numbers."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from ikpaper.arm import PlanarArm
from ikpaper.checks import check_count, check_known
from ikpaper.files import atomic, project_root, write_text
from ikpaper.models import model_type
from ikpaper.profiles import get_profile

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure


#: MIME type of a figure's version for narrow screens, in the outputs of a notebook that runs.
NARROW = "application/vnd.ikpaper.narrow+svg"


def parameters(**given: Any) -> SimpleNamespace:
    """Parameters of a notebook as values to use, whatever `papermill -p` made of them.

    papermill reads `-p train no` as the string "no", which Python takes for true, and
    `-p dof 6.0` as a float. Here booleans may be true, false, yes, no, 1 or 0 in any case, whole
    numbers "6" and 6.0; profiles are given by name and become a `Profile`.

    Args:
        **given: Parameters of the notebook by name: `dof`, `trials`, `epochs`, `seed`, `train`,
            `model`, `profile`, `trials_profile`, `book`, `folder`, `studies`.

    Returns:
        The values as attributes of these names.

    Raises:
        ValueError: If a name is unknown or a value is not one of its kind; the message names it.

    Example:
        >>> parameters(dof="6", train="no").train
        False
    """
    check_known("parameter", given, _PARAMETERS)
    values = {}
    for name, value in given.items():
        try:
            values[name] = _PARAMETERS[name](value)
        except (TypeError, ValueError) as error:
            raise ValueError(f"{name}: {error}") from error
    return SimpleNamespace(**values)


def _boolean(value: Any) -> bool:
    text = str(value).strip().lower()
    if text not in _BOOLEANS:
        raise ValueError(f"expected true, false, yes, no, 1 or 0, got {value!r}")
    return _BOOLEANS[text]


#: Spellings of a boolean; a number that papermill made a float is one, too.
_BOOLEANS = dict.fromkeys(("true", "yes", "1", "1.0"), True) | dict.fromkeys(
    ("false", "no", "0", "0.0"), False
)


def _whole(value: Any) -> int:
    try:
        return check_count("number", float(value) if isinstance(value, str) else value, 0)
    except ValueError as error:
        raise ValueError(f"expected a whole number of at least 0, got {value!r}") from error


def _path(value: Any) -> str:
    if not isinstance(value, (str, os.PathLike)):
        raise ValueError(f"expected a folder or an empty text, got {value!r}")
    return os.path.expanduser(value)


#: How a notebook's parameters are read, by name.
_PARAMETERS: Mapping[str, Callable[[Any], Any]] = {
    **dict.fromkeys(("dof", "trials", "epochs", "seed"), _whole),
    "train": _boolean,
    "model": lambda value: model_type(value).name,
    **dict.fromkeys(("profile", "trials_profile"), get_profile),
    **dict.fromkeys(("book", "folder", "studies"), _path),
}

#: Commands that make results, where no page does.
_MADE_BY = {
    "ablations": "make ablations",
    "baselines": "ikpaper baselines",
    "bench": "make bench",
    "bench-breakdown": "make bench",
    "benchmark": "ikpaper benchmark",
    "calibration": "ikpaper calibrate",
    "scaling": "ikpaper scaling",
    "scaling-full": "ikpaper scaling --full",
    "seeds": "ikpaper evaluate --save",
}


class _Shown:
    """What a cell displays, by MIME type."""

    def __init__(self, bundle: Mapping[str, str]) -> None:
        self._bundle = dict(bundle)

    def __repr__(self) -> str:
        # Without an address, so that a page is the same when it is run again.
        return "<figure>"

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        return self._bundle


class Outputs:
    """Shows what a notebook computes and, if `folder` is given, saves it for the book.

    Args:
        folder: Where to save, with subfolders `figures`, `results` and `tables`. Empty: save
            nothing, as when a notebook is run by hand.
    """

    def __init__(self, folder: str | os.PathLike[str] = "") -> None:
        self.folder = Path(folder) if str(folder) else None
        self._keys: set[str] = set()

    def figure(self, figure: Figure, name: str = "", *, png: bool = False) -> Any:
        """The figure for display as the last value of a cell.

        Of a figure without a name, the version for narrow screens is displayed, too, under the
        type `NARROW`, if there is a folder to save in: `report.pages` takes it from there.

        Args:
            figure: The figure.
            name: Saved as `figures/<name>.svg`, and `figures/<name>-narrow.svg` for narrow
                screens, if given.
            png: Whether `figures/<name>.png` is saved, too, for a reader to download.
        """
        from ikpaper.report.plots.style import narrow, to_png, to_svg

        shown = {"image/svg+xml": to_svg(figure)}
        again = narrow(figure) if self.folder else None
        if again and not name:
            shown[NARROW] = to_svg(again)
        if self.folder and name:
            path = self.folder / "figures" / name
            write_text(path.with_name(f"{name}.svg"), shown["image/svg+xml"])
            if again:
                write_text(path.with_name(f"{name}-narrow.svg"), to_svg(again))
            if png:
                with atomic(path.with_name(f"{name}.png")) as partial:
                    partial.write_bytes(to_png(figure))
        return _Shown(shown)

    def result(self, frame: pd.DataFrame, name: str) -> pd.DataFrame:
        """Full-precision numbers, saved as `results/<name>.csv`."""
        return self._csv(frame, Path("results") / f"{name}.csv")

    def read(self, name: str) -> pd.DataFrame:
        """A result file of this run, or else the one in the book.

        Raises:
            FileNotFoundError: If no page has made it yet; the message names the command.
        """
        import pandas as pd

        for folder in (self.folder, project_root() / "book"):
            path = folder / "results" / f"{name}.csv" if folder else None
            if path and path.exists():
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
        """Makes a number available to the text of the book's pages as a glue key.

        Raises:
            ValueError: If the page has a number by this key already, of which one would be lost.
        """
        from myst_nb import glue

        if key in self._keys:
            raise ValueError(f"key: this page has a number {key!r} already")
        self._keys.add(key)
        glue(key, value if isinstance(value, str) else float(value), display=False)

    def numbers(self, *found: Mapping[str, str]) -> None:
        """Numbers for the text by their keys; see `number`."""
        for numbers in found:
            for key, text in numbers.items():
                self.number(key, text)

    def _csv(self, frame: pd.DataFrame, relative: Path) -> pd.DataFrame:
        if self.folder:
            with atomic(self.folder / relative) as partial:
                frame.to_csv(partial, index=False, lineterminator="\n")
        return frame
