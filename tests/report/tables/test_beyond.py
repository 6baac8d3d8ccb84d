import pandas as pd
import pytest
import torch
from scipy.stats import binomtest

from ikpaper.metrics import C2ST_EPOCHS
from ikpaper.report.tables import beyond, comparison


def row(sampler, dof, refine=0, **changes):
    """A row of the benchmark; what a test does not name is the same in all."""
    scores = {"mmd2": 1e-3, "mmd2_low": 9e-4, "mmd2_high": 1.1e-3, "rejected": 0.5}
    checks = {
        "checks": 100,
        "mmd2_check": 1e-2,
        "mmd2_check_low": 9e-3,
        "mmd2_check_high": 1.1e-2,
        "rejected_check": 0.25,
        "c2st": 0.6,
        "c2st_low": 0.59,
        "c2st_high": 0.61,
    }
    others = {
        "e_resim": 1e-4,
        "e_resim_worst": 1e-3,
        "missed": 0,
        "samples_per_second": 1e5,
        "targets": 1000,
        "samples": 1000,
        "only_this": 0,
        "only_exact": 0,
        "at": "random",
    }
    place = {"sampler": sampler, "dof": dof, "refine": refine}
    return {**place, **scores, **checks, **others, **changes}


@pytest.fixture
def random():
    flows = [(name, steps) for name in ("flow", "flow-fast") for steps in (0, 3)]
    return pd.DataFrame(
        [
            *(row("exact", dof, rejected=0.053, rejected_check=0.04) for dof in (4, 6)),
            *(row("prior", dof, mmd2=0.02) for dof in (4, 6)),
            *(row(*flow[:1], dof, flow[1]) for dof in (4, 6) for flow in flows),
        ]
    )


def test_samplers_stand_side_by_side_over_arms(random):
    random.loc[(random["sampler"] == "flow") & (random["dof"] == 6), "mmd2"] = 2e-3
    table = beyond.by_arm(random, [("flow", 0), ("flow", 3), ("prior", 0), ("inn", 0)])
    assert list(table["sampler"]) == ["flow", "flow, refine=3", "prior"]
    assert list(table["MMD², 4 DoF"]) == ["0.0010", "0.0010", "0.020"]
    assert list(table["MMD², 6 DoF"]) == ["0.0020", "0.0020", "0.020"]
    # An arm that a sampler has no row for.
    table = beyond.by_arm(
        random[(random["sampler"] != "prior") | (random["dof"] == 4)], [("flow", 0), ("prior", 0)]
    )
    assert list(table["MMD², 6 DoF"]) == ["0.0020", "–"]


def test_pairs_are_tested_by_mcnemar(random):
    first = (random["sampler"] == "flow") & (random["refine"] == 0) & (random["dof"] == 4)
    random.loc[first, ["only_this", "only_exact", "rejected"]] = [30, 10, 0.073]
    table = beyond.paired(random)
    assert list(table["DoF"]) == [4] * 3 + [6] * 3
    assert table["p"][0] == f"{binomtest(10, 40).pvalue:.4f}"
    assert set(table["p"][1:]) == {"1.0"}
    # 2 %, with the standard error of a mean of 30 ones, 10 minus ones and 960 zeros.
    error = pd.Series([1] * 30 + [-1] * 10 + [0] * 960).std(ddof=0) / 1000**0.5
    ends = (100 * (0.02 + sign * 1.959964 * error) for sign in (-1, 1))
    assert table["difference"][0] == "+2.0 % ({:.1f} to {:.1f})".format(*ends)
    assert (table["rejected"][0], table["exact"][0]) == ("7.3\xa0%", "5.3\xa0%")
    numbers = beyond.paired_numbers(random)
    assert (numbers["pairs"], numbers["pairs_unequal"]) == ("6", "1")
    assert numbers["pairs_unequal_corrected"] == "1"
    assert numbers["pairs_share"] == "5.50\xa0%"
    assert numbers["exact_check"] == "4 %"
    random.loc[first, ["only_this", "only_exact"]] = [24, 10]
    # Below .05, and not below a sixth of it.
    assert beyond.paired_numbers(random)["pairs_unequal_corrected"] == "0"


def test_many_samples_stand_beside_the_exact_sampler():
    fields = {"targets": 100, "samples": 10_000}
    rows = pd.DataFrame(
        [
            row("exact", 4, **fields, rejected=0.05, only_this=0, only_exact=0),
            row("flow", 4, **fields, rejected=0.20, only_this=18, only_exact=3, mmd2_high=5e-6),
            row("exact", 6, **fields, rejected=0.04, only_this=0, only_exact=0),
            row("flow", 6, **fields, rejected=0.06, only_this=4, only_exact=2, mmd2_high=4e-6),
        ]
    )
    table = beyond.many_samples(rows)
    assert table[["DoF", "rejected", "exact"]].values.tolist() == [
        [4, "20.0\xa0%", "5.0\xa0%"],
        [6, "6.0\xa0%", "4.0\xa0%"],
    ]
    assert table["p"][0] == f"{binomtest(3, 21).pvalue:.4f}"
    numbers = beyond.many_samples_numbers(rows)
    assert numbers["more_unequal"] == "on 1 of 2 arms"
    assert (numbers["more_flow"], numbers["more_samples"]) == ("6 to 20 %", "10,000")


def test_stops_of_classifiers_are_compared_at_equal_cost():
    accuracies = torch.tensor([0.5, 0.6, 0.7, 0.8])
    stops = (C2ST_EPOCHS, 4 * C2ST_EPOCHS, None)
    rows = pd.DataFrame([beyond.classifier_stop("cvae", stop, accuracies) for stop in stops])
    table = beyond.classifier_stops(rows)
    assert list(table["epochs"]) == [str(C2ST_EPOCHS), str(4 * C2ST_EPOCHS), "to the end"]
    # 0.15 above 0.5 with a spread of 0.129 over 4 targets; four times the epochs, half of that.
    found = list(table["standard errors from 0.5, at equal cost"])
    assert found == ["2.3", "1.2", "–"]
    assert table["C2ST"][0].startswith("0.65 (")


def test_the_papers_networks_are_compared_by_every_score():
    better, worse = {"c2st_low": 0.5, "c2st_high": 0.55}, {"c2st_low": 0.6, "c2st_high": 0.65}
    random = pd.DataFrame(
        [
            *(row("cvae", dof, **better) for dof in (4, 6)),
            row("inn", 4, **worse, mmd2_low=1e-4, mmd2_high=2e-4),
            row("inn", 6, c2st_low=0.54, c2st_high=0.6, mmd2_low=2e-3, mmd2_high=3e-3),
            row("cvae", 4, 3),
        ]
    )
    assert list(comparison.networks(random)["sampler"]) == ["cVAE", "cVAE", "INN", "INN"]
    assert comparison.networks_numbers(random) == {
        "by_scores": "by the paper's kernel the cVAE on 1 of 2 arms, the INN on 1; by several "
        "bandwidths undecided on all 2 arms; by the classifier the cVAE on 1 of 2 arms, undecided "
        "on 1"
    }
