import pandas as pd
import pytest

from ikpaper.experiments.calibration import CHECKS
from ikpaper.report.tables import calibration

SAMPLERS = (("exact", 0, 0.05), ("prior", 0, 1.0), ("prior", 3, 0.7), ("inn", 0, 0.9))


@pytest.fixture
def rows():
    """Two arms, on which the last two checks see whatever differs, and the others the INN."""

    def p_value(name, check):
        seeing = check in CHECKS[-2:]
        return 1e-6 if name != "exact" and (seeing or name == "inn") else 0.5

    return calibration.joined_rows(
        pd.DataFrame(
            {
                "sampler": name,
                "dof": dof,
                "refine": refine,
                "check": check,
                "simulations": 1000,
                "samples": 127,
                "p_value": p_value(name, check),
                "coverage_50": 0.4 if dof == 4 else 0.45,
                "coverage_90": 0.9,
                "power_100": 0.25,
                "power_300": 0.5,
            }
            for dof in (4, 6)
            for name, refine, _ in SAMPLERS
            for check in CHECKS
        ),
        pd.DataFrame(SAMPLERS, columns=["sampler", "refine", "rejected"]).merge(
            pd.DataFrame({"dof": [4, 6]}), how="cross"
        ),
    )


def test_samplers_stand_in_the_order_of_the_rows_with_what_exact_samples_say(rows):
    found = calibration.by_sampler(rows, 4)
    assert list(found["sampler"]) == ["exact posterior", "prior", "prior, refine=3", "INN"]
    assert list(found["rejected"]) == ["5.0\xa0%", "100.0\xa0%", "70.0\xa0%", "90.0\xa0%"]
    assert list(found["p, SBC"]) == ["0.50", "0.50", "0.50", "<\xa00.0001"]
    assert list(found["p, mean TARP"]) == ["0.50", *["<\xa00.0001"] * 3]


def test_a_check_has_a_row_with_what_it_sees(rows):
    found = calibration.checks(rows).set_index("check")
    assert list(found["finds the prior"]) == ["0 of 2"] * 4 + ["2 of 2"] * 2
    # Beside the prior, two samplers on two arms.
    assert list(found["finds others"]) == ["2 of 4"] * 4 + ["4 of 4"] * 2
    assert (found["exact samples, 100"] == "25.0\xa0%").all()
    assert (found["power, 300"] == "50\xa0%").all()


def test_numbers_of_the_text(rows):
    numbers = calibration.numbers(rows)
    assert numbers["arms"] == "4 and 6"
    assert numbers["simulations"] == "1,000"
    assert (numbers["prior_sbc"], numbers["prior_tarp-mean"]) == ("0 of 2", "2 of 2")
    assert numbers["inn_hpd"] == "2 of 2"
    assert numbers["inn_coverage"] == "40 to 45\xa0%"
    assert (numbers["exact_found"], numbers["exact_count"]) == ("0", "12")
    assert (numbers["passed_prior_sbc"], numbers["passed_prior_classifier"]) == ("2 of 2", "0 of 2")
    assert (numbers["best"], numbers["wrong_best"]) == ("mean TARP and classifier", "4 of 4")


def test_numbers_of_what_passes_all_checks_and_of_steps_onto_the_target(rows):
    moved = rows[rows["sampler"] == "inn"].assign(refine=3, p_value=0.2)
    numbers = calibration.numbers(pd.concat([rows, moved]))
    # The INN that was moved, on two arms, of six samplers but the prior as it is.
    assert numbers["unseen"] == "2 of 6"
    assert (numbers["hpd_plain"], numbers["hpd_moved"]) == ("2 of 2", "0 of 2")


def test_the_figure_has_steps_where_they_change_much(rows):
    more = pd.concat([rows, rows.assign(sampler="flow", refine=3), rows.assign(refine=3)])
    kept = calibration.shown(more).groupby("sampler")["refine"].max()
    assert kept.to_dict() == {"exact": 0, "inn": 3, "prior": 3}
