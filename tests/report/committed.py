"""The book's committed results and tables, for tests that make the one from the other."""

from pathlib import Path

import pandas as pd

BOOK = Path(__file__).resolve().parents[2] / "book"


def result(name):
    return pd.read_csv(BOOK / "results" / f"{name}.csv")


def arms(name):
    return pd.concat([result(f"{name}-{dof:02d}") for dof in (4, 6, 8, 10)], ignore_index=True)


def table(name):
    return (BOOK / "tables" / f"{name}.csv").read_text(encoding="utf-8")


def as_csv(frame):
    return frame.to_csv(index=False, lineterminator="\n")


def assert_committed(made):
    """Fail naming a table, of some by name, that is not the committed one."""
    for name, frame in made.items():
        assert as_csv(frame) == table(name), name
