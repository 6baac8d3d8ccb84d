"""Scores of training runs with several seeds, in one table."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from ikpaper.files import write_text


def save_seed(scores: pd.DataFrame, table: Path) -> None:
    """Put the scores of one training run, with a column `seed`, into a table of such runs.

    Rows of the same profile, DoF, sampler and seed are replaced; the table stays sorted.
    """
    names = ["profile", "dof", "sampler", "seed"]
    known = pd.read_csv(table) if table.exists() else pd.DataFrame(columns=list(scores.columns))
    runs = set(scores[names].itertuples(index=False, name=None))
    kept = known[[run not in runs for run in known[names].itertuples(index=False, name=None)]]
    merged = scores if kept.empty else pd.concat([kept, scores], ignore_index=True)
    merged = merged.sort_values(names, kind="stable")
    write_text(table, merged.to_csv(index=False))
