import json

import pandas as pd
import pytest

from ikpaper import paper
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
    four, ten = (
        arm.findings(result(f"scores-{dof:02d}"), result("seeds"), PlanarArm.paper(dof))
        for dof in (4, 10)
    )
    assert four["mmd2_finding"].startswith(
        "The cVAE is closer to the posterior: over 200 test targets, the unbiased MMD² is"
    )
    assert four["mmd2_finding"].endswith("which is 3.4\xa0% and 21\xa0% of the prior's.")
    assert four["e_posterior_finding"].startswith("The INN is ahead by the paper's own score")
    assert four["resim_finding"].startswith("The cVAE is closer to the target: the TCP misses ")
    # As on the page of the conclusions.
    assert ten["resim_finding"].startswith(
        "Which network is closer to the target is undecided, since the INN lies among the cVAE's "
        "training runs: the TCP misses the target by"
    )
    # Where there are several runs of the INN, too, their range counts.
    runs = result("seeds").query("sampler == 'cvae'")
    inn = runs.query("dof == 4 and seed != 42").assign(sampler="inn")
    both = arm.findings(result("scores-04"), pd.concat([runs, inn]), PlanarArm.paper(4))
    assert both["mmd2_finding"].startswith(
        "Which network is closer to the posterior is undecided, since the ranges over the "
        "networks' training runs overlap: over 200"
    )
    assert four["mmd2_reference"].endswith("18\xa0% of the prior's: it is farther than the cVAE.")
    assert ten["mmd2_reference"].endswith("it is closer than both networks.")


def test_networks_whose_intervals_overlap_are_undecided():
    scores = result("scores-06")
    wide = scores.assign(low=scores["value"] - 1, high=scores["value"] + 1)
    told = arm.findings(wide, result("seeds"), PlanarArm.paper(6))
    for key in ("mmd2_finding", "resim_finding", "e_posterior_finding"):
        assert told[key].startswith("Which network is ")
        assert " is undecided" in told[key]


def test_other_targets_have_their_means_and_their_tails():
    random = result("benchmark").query("at == 'random' and dof == 6")
    told = arm.other_targets(random, PlanarArm.paper(6))
    assert told.startswith("Over 1,000 other targets, the unbiased MMD² is 0.00095 for the cVAE")
    assert "2.6\xa0% and 16\xa0% of the prior's" in told
    assert told.endswith(
        "makes up 14 to 17\xa0% of the MMD² and 21 to 27\xa0% of the squared miss."
    )


def test_one_target_is_described_beside_its_ground_truth():
    six, ten = (arm.at_target(result(f"figures-{dof:02d}"), paper.TARGETS[dof]) for dof in (6, 10))
    assert six.startswith("At (3.42, 0.68), the target of the figures, the unbiased MMD² to")
    assert six.endswith(": the paper's ground truth is farther than both networks.")
    assert "is 0.00014 for rejection sampling, 0.0029 for the cVAE" in ten
    assert ten.endswith("is closer than both networks.")
    level = result("figures-10").set_index("sampler")
    level.loc["rejection", "mmd2"] = -0.00011
    told = arm.at_target(level.reset_index(), paper.TARGETS[10])
    assert "is −0.00011 (no difference found) for rejection sampling" in told
    assert arm.distinct(result("figures-04"), "numerical") == "995 of 1,000 solutions differ"
    notes = arm.panel_notes(result("figures-06"))
    assert notes["arms"]["inn"] == r"$e_\mathrm{posterior}$ = 0.0043"
    assert notes["hulls"]["cvae"] == "area 0.00048\nperimeter 0.11"


def test_equal_links_are_counted():
    assert arm.links(PlanarArm.paper(10)) == "9 × 0.5 and 1"
    assert arm.links(PlanarArm([0.4, 0.4, 0.9, 0.4])) == "2 × 0.4, 0.9 and 0.4"


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
