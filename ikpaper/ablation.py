"""Ablations: the choices that the slides leave out, each varied on its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pandas as pd

from ikpaper.evaluation import Scorer
from ikpaper.files import digest, project_root
from ikpaper.profiles import Profile, get_profile
from ikpaper.progress import Progress, duration
from ikpaper.tables import ResultTable, results_path
from ikpaper.training import TrainingRun, train

__all__ = ["COLUMNS", "VARIANTS", "Variant", "run_ablations"]

#: Columns of the table of results.
COLUMNS = (
    "study",
    "variant",
    "model",
    "dof",
    "profile",
    "seed",
    "precision",
    "outcome",
    "loss",
    "mmd2_exact",
    "e_resim",
    "key",
)

_NO_CHANGES: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True)
class Variant:
    """One way of training a model, beside the default one.

    Attributes:
        study: What is varied.
        label: This variant of it.
        model: Model name.
        dof: Number of joints of the paper's arm.
        changes: Hyperparameters that differ from the defaults.
        precision: Of the products between hidden layers.
        seeds: Seeds of the training runs.
    """

    study: str
    label: str
    model: str = "inn"
    dof: int = 8
    changes: Mapping[str, Any] = field(default_factory=lambda: _NO_CHANGES)
    precision: str = "bfloat16"
    seeds: tuple[int, ...] = (42, 43, 44)

    def run(self, profile: str | Profile, seed: int) -> TrainingRun:
        """The training run of a seed."""
        return TrainingRun.of(
            self.model,
            self.dof,
            profile=profile,
            seed=seed,
            precision=self.precision,
            **self.changes,
        )


#: The default training comes first: every other variant differs from it in one choice. The INN is
#: that of 8 DoF, the smallest of Table IV, the cVAE that of 6 DoF.
VARIANTS = (
    Variant("default", "INN as published", seeds=(42, 43, 44, 45, 46)),
    Variant("default", "cVAE as published", "cvae", 6, precision="float32"),
    Variant("precision", "INN, float32", precision="float32"),
    Variant("precision", "cVAE, bfloat16", "cvae", 6),
    Variant("start", "no warm-up", changes={"warmup": 0}, seeds=(42, 43, 44, 45, 46)),
    Variant("last activation", "linear last layer", changes={"activate_last": False}),
    Variant("inverse losses", "without L_x", changes={"weight_x": 0.0}),
    Variant("inverse losses", "without L_p(x)", changes={"weight_p": 0.0}),
    Variant("inverse losses", "without both", changes={"weight_x": 0.0, "weight_p": 0.0}),
    Variant("ramp", "L_p(x) at full weight from the start", changes={"ramp": 1.0}),
    Variant("noise", "no noise", changes={"noise": 0.0}),
    Variant(
        "loss weights", "L_z and L_p(x) times 0.1", changes={"weight_z": 100.0, "weight_p": 100.0}
    ),
    Variant("loss weights", "L_y times 10", changes={"weight_y": 0.1}),
)


def run_ablations(
    variants: Sequence[Variant] = VARIANTS,
    *,
    profile: str | Profile = "ablation",
    fresh: bool = False,
    table: Path | None = None,
    root: Path | None = None,
) -> pd.DataFrame:
    """Train and score every variant that the table lacks; the table is written after each.

    A run that diverges is a result too: its `outcome` says where, its scores are missing. A row
    is current as long as its settings are: hours of training are not repeated over a comment in
    the code; for a change that matters, use `fresh`.

    Args:
        variants: What to train.
        profile: How much data and how many epochs, and how many targets to score.
        fresh: Train and score also what the table has.
        table: File of results; by default `book/results/ablations.csv`, and for profiles other
            than `ablation` one of their own in `.cache/`.
        root: Folder of weights and checkpoints, which are not kept for readers; by default
            `.cache/ablations/`.
    """
    profile = get_profile(profile)
    table = table or results_path("ablations", profile.name, published=profile.name == "ablation")
    # In the order of `VARIANTS`.
    order = {
        "study": [variant.study for variant in VARIANTS],
        "variant": [variant.label for variant in VARIANTS],
    }
    results = ResultTable(table, COLUMNS, ("study", "variant", "seed"), order)
    root = root or project_root() / ".cache" / "ablations"
    jobs = [(variant, variant.run(profile, seed)) for variant in variants for seed in variant.seeds]
    progress = Progress(sum(run.cost() for _, run in jobs))
    # Reference samples are drawn once an arm.
    scorers = {run.arm: Scorer(run.arm, profile) for _, run in jobs}
    keys = [digest(variant.study, variant.label, run.settings_key()) for variant, run in jobs]
    for number, (key, (variant, run)) in enumerate(zip(keys, jobs, strict=True), 1):
        if key in results and not fresh:
            progress.skip(run.cost())
            continue
        row = _measure(variant, run, scorers[run.arm], root, progress)
        results.add({**row, "key": key})
        progress.say(
            f"[{number}/{len(jobs)}] {variant.study}: {variant.label}, seed {run.seed}: "
            f"{row['outcome']}, {duration(row['seconds'])}"
        )
    return results.rows(keys)


def _measure(
    variant: Variant, run: TrainingRun, scorer: Scorer, root: Path, progress: Progress
) -> dict[str, Any]:
    """Train and score one run."""
    row: dict[str, Any] = {
        "study": variant.study,
        "variant": variant.label,
        "model": run.name,
        "dof": run.arm.dof,
        "profile": run.profile.name,
        "seed": run.seed,
        "precision": run.precision,
    }
    directory = root / digest(variant.study, variant.label)[:12]
    try:
        model, record = train(run, directory=directory, progress=progress)
    except FloatingPointError as error:
        where = str(error).split(": ", 1)[1].split(";")[0]
        return {**row, "outcome": f"diverged: {where}", "seconds": 0.0}
    scores = scorer.score(run.name, model)
    value = scores.set_index("quantity")["value"]
    return {
        **row,
        "outcome": "trained",
        "loss": sum(record["history"][-1]["terms"].values()),
        "mmd2_exact": value["mmd2_exact"],
        "e_resim": value["e_resim_test"],
        "seconds": record["seconds"],
    }
