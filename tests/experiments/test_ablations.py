import dataclasses

import pandas as pd
import pytest

from ikpaper.experiments import ablations
from ikpaper.experiments.ablations import COLUMNS, VARIANTS, Variant, experiment
from ikpaper.models import build

SMALL = {"neurons": 8, "coupling_layers": 2}
TINY = Variant("default", "INN as published", dof=4, changes=SMALL, seeds=(1, 2))
BROKEN = Variant(
    "start", "no warm-up", dof=4, changes={**SMALL, "learning_rate": 1e6, "warmup": 0}, seeds=(1,)
)


def test_every_run_has_a_row_and_runs_once(project, monkeypatch):
    rows = experiment([TINY], "smoke").run()
    assert list(rows.columns) == list(COLUMNS)
    assert rows["seed"].tolist() == [1, 2]
    assert set(rows["outcome"]) == {"trained"}
    assert rows[["loss", "mmd2", "e_resim_test"]].notna().all(axis=None)
    monkeypatch.setattr(ablations, "train", lambda *_, **__: pytest.fail("trained again"))
    again = experiment([TINY], "smoke").run()
    # Nothing diverged: an empty column, whose type a file does not keep.
    assert rows.pop("where").isna().all()
    assert again.pop("where").isna().all()
    pd.testing.assert_frame_equal(again, rows, check_exact=False)


def test_divergence_is_a_result_and_other_studies_keep_their_rows(project):
    experiment([TINY], "smoke").run()
    (row,) = experiment([BROKEN], "smoke").run().to_dict("records")
    assert row["outcome"] == "diverged"
    assert "in epoch 1" in row["where"]
    assert pd.isna(row["mmd2"])
    saved = pd.read_csv(project / ".cache" / "ablations-smoke.csv")
    assert saved["study"].tolist() == ["default", "default", "start"]


def test_hyperparameters_precision_and_scores_decide_a_row():
    (first, second), (broken,) = (experiment([v], "smoke").jobs for v in (TINY, BROKEN))
    (quick, _) = experiment([TINY], "quick").jobs
    exact = dataclasses.replace(TINY, changes={**SMALL, "precision": "float32"})
    (single, _) = experiment([exact], "smoke").jobs
    jobs = [first, second, broken, quick, single]
    assert len({job.identity.key for job in jobs}) == 5
    assert {"training", "inn", "scoring", "exact"} < set(first.identity.versions)
    # No column is a score against rejection samples.
    assert "rejection" not in first.identity.versions


def test_how_often_an_epoch_may_be_repeated_decides_a_row():
    jobs = [
        experiment([dataclasses.replace(TINY, retries=count, seeds=(1,))], "smoke").jobs[0]
        for count in (0, 1, 10)
    ]
    assert len({job.identity.key for job in jobs}) == 3
    assert "retries" not in jobs[0].identity.settings


def test_two_arms_of_one_variant_have_a_row_each(project):
    arms = [dataclasses.replace(TINY, dof=dof, seeds=(1,)) for dof in (4, 6)]
    experiment(arms[:1], "smoke").run()
    rows = experiment(arms, "smoke").run()
    assert rows["dof"].tolist() == [4, 6]


def test_a_variant_keeps_its_own_profile_unless_another_is_asked_for():
    variant = dataclasses.replace(TINY, profile="quick", changes={**SMALL, "epochs": 3}, seeds=(1,))
    (own,), (asked,) = (experiment([variant], p).jobs for p in ("ablation", "smoke"))
    trained = [job.identity.settings["training"] for job in (own, asked)]
    assert [settings["samples"] for settings in trained] == [60_000, 2_000]
    assert [settings["epochs"] for settings in trained] == [3, 3]


def test_variants_differ_from_the_default_in_what_they_say():
    for variant in VARIANTS:
        model = build(variant.model, dof=variant.dof)
        default = {**dataclasses.asdict(model.config), "precision": model.recipe.precision}
        for name in set(variant.changes) - {"schedule", "epochs"}:
            assert default[name] != variant.changes[name], variant.label
    labels = [(each.study, each.label, each.model, each.dof) for each in VARIANTS]
    assert len(set(labels)) == len(labels)
