import json

import pandas as pd
import pytest

from ikpaper.profiles import get_profile
from ikpaper.report.tables import arm
from tests.report.committed import BOOK, assert_committed, result

DOFS = (4, 6, 8, 10)


@pytest.mark.parametrize("dof", DOFS)
def test_scores_are_the_committed_ones(dof):
    assert_committed({f"scores-{dof:02d}": arm.scores(result(f"scores-{dof:02d}"))})


def test_a_quantity_that_was_not_measured_has_no_column():
    scores = result("scores-06")
    without = arm.scores(scores[scores["quantity"] != "mmd2_ratio"])
    assert list(without.columns) == list(arm.scores(scores).columns.drop("share of the prior's"))


@pytest.mark.parametrize("dof", DOFS)
def test_scores_at_one_target_are_the_committed_ones(dof):
    seconds = result(f"timing-{dof:02d}").set_index("sampler")["seconds"]
    made = arm.single(result(f"figures-{dof:02d}"), seconds.to_dict())
    assert_committed({f"single-{dof:02d}": made})


def test_training_is_told_from_the_records():
    records = {
        name: json.loads((BOOK.parent / f"weights/paper/{name}-06dof-seed42.json").read_text())
        for name in ("cvae", "inn")
    }
    told = arm.trainings(records)
    assert told.startswith("The cVAE has 166,814 parameters and was trained for 60 epochs. The INN")
    assert "It diverged 11 times, " in told
    assert "noise: L_x is nan in epoch 2, batch 395; L_p(x) is nan in epoch 3" in told
    terms = arm.training_terms(records, get_profile("paper"), 6)
    pd.testing.assert_frame_equal(terms, result("training-06"))
