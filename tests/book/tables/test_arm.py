import json

import pandas as pd
import pytest

from ikpaper.arm import PlanarArm
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
    random = result("benchmark").query(f"at == 'random' and dof == {dof}")
    made = arm.single(result(f"figures-{dof:02d}"), random)
    assert_committed({f"single-{dof:02d}": made})


def test_findings_are_those_of_the_arm():
    four, ten = (arm.findings(result(f"scores-{dof:02d}"), PlanarArm.paper(dof)) for dof in (4, 10))
    assert four["mmd2_finding"].startswith("The cVAE is closer to the posterior: the unbiased MMD²")
    assert four["mmd2_finding"].endswith("which is 3.4 % and 21 % of the prior's.")
    assert four["e_posterior_finding"].startswith("The INN is ahead by the paper's own score")
    assert ten["resim_finding"].startswith("The INN is closer to the target: the TCP misses it by")
    assert four["mmd2_reference"].endswith("18 % of the prior's: it is farther than the cVAE.")
    assert ten["mmd2_reference"].endswith("it is closer than both networks.")


def test_networks_whose_intervals_overlap_are_undecided():
    scores = result("scores-06")
    wide = scores.assign(low=scores["value"] - 1, high=scores["value"] + 1)
    told = arm.findings(wide, PlanarArm.paper(6))
    for key in ("mmd2_finding", "resim_finding", "e_posterior_finding"):
        assert told[key].startswith("Which network is ")
        assert " is undecided" in told[key]


def test_one_target_is_described_beside_its_ground_truth():
    assert arm.at_target(result("figures-06")).endswith(
        ": the paper's ground truth is farther than both networks."
    )
    assert arm.at_target(result("figures-10")).endswith("is closer than both networks.")
    notes = arm.panel_notes(result("figures-06"))
    assert notes["arms"]["inn"] == r"$e_\mathrm{posterior}$ = 0.0045"
    assert notes["hulls"]["cvae"] == "area 0.00060\nperimeter 0.11"


def test_training_is_described_without_its_log():
    records = {
        name: json.loads((BOOK.parent / f"weights/paper/{name}-06dof-seed42.json").read_text())
        for name in ("cvae", "inn")
    }
    told = arm.trainings(records)
    assert told.startswith("The cVAE has 166,814 parameters and was trained for 60 epochs. The INN")
    assert "Its training diverged 11 times, each time in an epoch that was then repeated" in told
    records["inn"]["divergences"] = records["inn"]["divergences"][:1]
    assert "Its training diverged once, in an epoch" in arm.trainings(records)
    terms = arm.training_terms(records, get_profile("paper"), 6)
    pd.testing.assert_frame_equal(terms, result("training-06"))
