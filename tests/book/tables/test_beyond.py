import pandas as pd
import pytest

from ikpaper.report.tables import beyond
from tests.report.committed import assert_committed, result


@pytest.fixture(scope="module")
def measured():
    return result("benchmark")


@pytest.fixture(scope="module")
def random(measured):
    return measured[measured["at"] == "random"]


def test_tables_are_the_committed_ones(measured, random):
    many = measured[measured["at"] == "many samples"]
    made = {
        **{f"beyond-{dof:02d}": beyond.samplers(random, dof) for dof in (4, 6, 8, 10)},
        "aims": beyond.aims(random, result("bench"), result("scaling")),
        "tails": beyond.tails(random),
        "projection": beyond.projection(random),
        "likelihood": beyond.likelihood(random),
        "no-learning": beyond.over_arms(random, beyond.NO_LEARNING),
        "kinematics": beyond.over_arms(random, beyond.KINEMATICS),
        "home": beyond.home(random),
        "paired": beyond.paired(random),
        "many-samples": beyond.many_samples(many),
        "stops": beyond.classifier_stops(result("classifier-stops")),
        "flow-steps": beyond.flow_steps(result("flow-steps")),
        "amortised": beyond.amortised(result("amortised")),
    }
    assert_committed(made)


def test_numbers_of_the_text(measured, random):
    numbers = beyond.benchmark_numbers(random)
    known = {
        "targets": "1,000",
        "checks": "100",
        "c2st_epochs": "25",
        "patience": "50",
        "tolerance": "10⁻⁶",
        "gan_worst_dof": "10",
        "gan_worst_share": "1.9",
        "mmd_inn": "0.0067",
        "mmd_inn_refined": "0.0055",
        "resim_cvae_refined": "3.8\xa0·\xa010⁻¹⁴",
        "c2st_inn-ml": "0.566",
        "rejected_cvae_refined": "51.4 to 85.0\xa0%",
        "rejected_numerical": "100.0\xa0%",
        "kinematics_resim": "64 to 102",
        "parameters_flow": "103,304",
        "lookup_cvae": "4 of 4",
        "lookup_inn": "4 of 4",
    }
    assert {key: numbers[key] for key in known} == known
    ahead = pd.Series("cVAE", [4, 6, 8, 10])
    assert beyond.home_numbers(random, ahead.mask(ahead.index == 4, "undecided"))["home_cvae"] == (
        "3 of 4"
    )
    assert beyond.home_numbers(random, ahead) == {
        "home_cvae": "4 of 4",
        "lookup_plain_inn": "4 of 4",
        "home_rejected_exact": "4 to 6\xa0%",
        "home_rejected_flow": "4 to 7\xa0%",
        "home_rejected_cvae": "69 to 94\xa0%",
        "home_rejected_inn": "96 to 100\xa0%",
        "home_rejected_prior": "100\xa0%",
    }
    # The conclusions say that more samples show a difference over all arms together.
    pooled = beyond.pooled_numbers(random, measured.query("at == 'many samples'"))
    assert (pooled["pooled_flow"], pooled["pooled_exact"]) == ("200", "169")
    assert float(pooled["pooled_p"]) > 0.05 > float(pooled["more_pooled_p"])
    pairs = beyond.paired_numbers(random)
    assert (pairs["pairs"], pairs["pairs_unequal"]) == ("12", "none")
    assert beyond.likelihood_numbers(random) == {
        "ml_dof": "8",
        "ml_large_mmd": "4.0",
        "ml_large_mmd_better": "1 of 1",
        "ml_small_mmd": "1.9 to 2.8",
        "ml_small_mmd_better": "4 of 4",
        "ml_large_resim": "29",
        "ml_large_resim_better": "1 of 1",
        "ml_small_resim": "4.0 to 48",
        "ml_small_resim_better": "4 of 4",
    }


def test_no_other_sampler_is_cheaper_and_closer_than_those_the_text_names(random):
    best = set()
    chance = random.loc[random["sampler"] == "exact", "mmd2_high"].max()
    for _, rows in random.groupby("dof"):
        rates, errors = rows["samples_per_second"], rows["mmd2"].clip(lower=chance)
        for name, rate, error in zip(rows["sampler"], rates, errors, strict=True):
            beaten = (rates >= rate) & (errors <= error) & ((rates > rate) | (errors < error))
            best |= set() if beaten.any() else {name}
    assert best == {"prior", "lookup", "lookup-large", "flow-fast"}


def test_an_aim_is_met_only_by_what_is_within_its_bound(random):
    worse = random.assign(mmd2=random["mmd2"].where(random["dof"] != 6, 1.0))
    rows = beyond.aims(worse, result("bench"), result("scaling"))
    assert set(rows[rows["score"] == "MMD² to exact, unbiased"]["met on"]) == {"3 of 4 arms"}
    slower = result("bench").assign(ratio=4.9)
    rows = beyond.aims(random, slower, result("scaling"))
    (least,) = rows[rows["aim"].str.startswith("at least")].to_dict("records")
    assert (least["10 DoF"], least["met on"]) == ("4.9", "0 of 4 arms")


def test_steps_of_the_flow_are_compared():
    rows = result("flow-steps")
    numbers = beyond.flow_steps_numbers(rows)
    # Whatever space stands before the unit.
    assert {key: text.split()[0] for key, text in numbers.items()} == {
        "step_targets": "100",
        "most_steps": "16",
        "two_steps_rejected": "88",
        "two_steps_refined_rejected": "6",
        "most_steps_rejected": "7",
    }


def test_speed_is_told_in_multiples_of_the_exact_samplers(random):
    rows = pd.DataFrame(
        [("exact", 0, 8e-3, 8e-3, 1e-5), ("flow", 0, 4e-3, 1e-5, 2e-5)],
        columns=["sampler", "refine", "call", "one", "many"],
    )
    numbers = beyond.amortised_numbers(rows, random.assign(samples_per_second=125.0), 6)
    assert (numbers["call_flow"], numbers["one_flow"], numbers["many_flow"]) == (
        "2",
        "800",
        "0.5",
    )
    # Not every profile has trained it.
    assert numbers["call_flow-fast"] == numbers["many_flow-fast_refined"] == "–"
    assert (numbers["exact_ms"], numbers["solver_ms"]) == ("8.0", "8.0")
