"""Tables of the page on speed, from what `make bench` measures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from ikpaper.format import extent, joined, rounded, significant
from ikpaper.metrics import C2ST_EPOCHS
from ikpaper.report.tables.base import NETWORKS, Column, formatted, label

_KINDS = ("products", "activations", "copies", "other")


def throughput(bench: pd.DataFrame, what: str, sizes: Sequence[int]) -> pd.DataFrame:
    """Rates of training or sampling in each precision, beside the reference implementation's.

    Args:
        bench: Rows of `make bench`.
        what: `training` or `sampling`.
        sizes: Which batches.
    """
    chosen = _rows(bench, f"{what}, ")
    chosen = chosen[chosen["size"].isin(sizes)]
    rows = []
    for (model, dof, size), part in chosen.groupby(["model", "dof", "size"], sort=False):
        cells = {"model": label(str(model)), "DoF": dof, "batch": f"{size:,}"}
        records = {_precision(row["what"]): row for row in part.to_dict("records")}
        for precision, row in records.items():
            cells[f"ratio, {precision}"] = significant(row["ratio"], 2)
        cells["reference [samples/s]"] = rounded(part["plain"].iloc[0])
        for precision, row in records.items():
            cells[f"{precision} [samples/s]"] = rounded(row["ours"])
        rows.append(cells)
    return pd.DataFrame(rows)


#: What is compared besides training and sampling, by the start of its rows' names in `make bench`.
OTHERS: Mapping[str, str] = {
    "flow": "samples against FrEIA's INN",
    "mmd": "MMD, ",
    "exact": "exact against rejection sampling",
    "many": "exact samples of many targets",
    "c2st": "C2ST together",
    "test": "permutation test",
    "memory": "training memory",
    "runs": "runs with a thread each",
}


def others(bench: pd.DataFrame, comparison: str) -> pd.DataFrame:
    """What else was measured, one comparison at a time.

    Args:
        bench: As in `throughput`.
        comparison: Which of `OTHERS`.
    """
    rows = _rows(bench, OTHERS[comparison])
    (unit,) = rows["unit"].unique()
    number = rounded if unit == "samples/s" else 2
    columns: dict[str, Column] = {
        "model": ("model", lambda name: label(name) if isinstance(name, str) else "–"),
        "DoF": "dof",
        "size": ("size", "{:,}"),
        "variant": ("what", lambda what: what.partition(", ")[2]),
        "threads": "threads",
        "ratio": ("ratio", 2),
        f"ours [{unit}]": ("ours", number),
        f"reference [{unit}]": ("plain", number),
    }
    if rows["model"].isna().all():
        del columns["model"]
    for name, column in (("variant", "what"), ("threads", "threads")):
        if rows[column].nunique() == 1:
            del columns[name]
    return formatted(rows, columns)


def _rows(bench: pd.DataFrame, start: str) -> pd.DataFrame:
    """Those whose names start in this way."""
    return bench[bench["what"].str.startswith(start)]


def _precision(what: str) -> str:
    return what.split(", ")[1]


def breakdown(steps: pd.DataFrame) -> pd.DataFrame:
    """Where the time of a training step goes.

    Args:
        steps: Rows of `make bench` on its parts.
    """
    return formatted(
        steps,
        {
            "model": ("model", "dof", lambda name, dof: f"{label(name)}, {dof} DoF"),
            "precision": ("what", _precision),
            "GFLOP/s, of a large product's": ("gflops", "peak_gflops", "{:,.0f} of {:,.0f}"),
            **{f"{kind} [%]": (kind, lambda share: f"{100 * share:.0f}") for kind in _KINDS},
            "step [ms]": ("step_ms", 3),
        },
    )


def numbers(bench: pd.DataFrame, steps: pd.DataFrame) -> dict[str, str]:
    """Numbers for the text, by key: where it was measured, and rates of large products.

    Args:
        bench: As in `throughput`.
        steps: As in `breakdown`.
    """
    gain = steps["peak_gflops"] / steps["plain_peak_gflops"]
    bounds = gain.groupby(steps["what"].map(_precision)).median()
    on_gpu = "cuda" in set(bench["device"])
    exact, whats = _rows(bench, OTHERS["exact"]), ("training", "sampling")
    gains: dict[str, str] = {}
    # On one thread, and on all.
    for suffix, threads in (("_alone", bench["threads"].min()), ("", bench["threads"].max())):
        own = bench[bench["threads"] == threads]
        many, classifiers, test = (_rows(own, OTHERS[each]) for each in ("many", "c2st", "test"))
        as_in_tables = classifiers["what"].str.endswith(f" {C2ST_EPOCHS} epochs")
        gains |= {
            f"many_gain{suffix}": extent(many.query("size == 1")["ratio"]),
            f"many_gain_1000{suffix}": extent(many.query("size == 1000")["ratio"]),
            f"c2st_gain{suffix}": extent(classifiers.loc[as_in_tables, "ratio"]),
            f"test_gain{suffix}": extent(test["ratio"]),
        }
    return {
        "threads": str(bench["threads"].max()),
        "device": "CPU" if bench["device"].iloc[0] == "cpu" else "GPU",
        "gpu": "" if on_gpu else "No GPU was at hand: that path has not been run.",
        "eps": exact["what"].iloc[0].rpartition("= ")[2],
        **{f"{what}_gain": extent(_rows(bench, f"{what}, ")["ratio"]) for what in whats},
        **gains,
        "c2st_epochs": str(C2ST_EPOCHS),
        "against_bounds": _against(bench, bounds),
        "plain_peak": f"{steps['plain_peak_gflops'].median():,.0f}",
        **{f"bound_{precision}": significant(value, 2) for precision, value in bounds.items()},
    }


def _against(bench: pd.DataFrame, bounds: pd.Series) -> str:
    """How many times as fast training is as the reference, beside what its products allow."""
    rows = _rows(bench, "training, ").query("size == 1000")
    sentences = []
    for name in NETWORKS:
        parts = []
        for precision, bound in bounds.sort_values().items():
            own = rows[(rows["model"] == name) & (rows["what"].map(_precision) == precision)]
            above = (own["ratio"] > bound).sum()
            parts.append(
                f"{extent(own['ratio'])} times as fast in {precision} (more than "
                f"{significant(bound, 2)} on {above} of {len(own)} arms)"
            )
        sentences.append(f"The {label(name)} trains {joined(parts)}.")
    return " ".join(sentences)
