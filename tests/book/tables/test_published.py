import json

import pytest

from ikpaper.report.tables import published
from tests.report.committed import BOOK, arms, assert_committed, result


@pytest.fixture(scope="module")
def scores():
    return arms("scores")


def test_tables_are_the_committed_ones(scores):
    folder = BOOK.parent / "weights" / "paper"
    records = {
        dof: json.loads((folder / f"inn-{dof:02d}dof-seed42.json").read_text())
        for dof in (4, 6, 8, 10)
    }
    made = {
        "printed-mismatch": published.printed(result("printed-mismatch"), 10),
        "schedule": published.schedule(records),
        "winners": published.winners(scores, 0.2),
        "floor": published.floor(scores),
        "hulls": published.hulls(arms("figures")),
        "halved": published.halved(scores),
    }
    assert_committed(made)


def test_numbers_of_the_text(scores):
    assert published.wins(scores) == {
        "inn_plotted": "4 of 4",
        "inn_files": "0 of 4 (tied on 1)",
        "inn_wide": "4 of 4",
        "inn_narrow": "1 of 4",
        "inn_exact": "0 of 4",
    }
    assert published.wide_prior(scores) == {
        "exact_wide": "0.045 to 0.051",
        "prior_wide": "0.047 to 0.053",
        "plotted": "0.038 to 0.053",
    }
    assert published.left(scores) == {
        "left_cvae": "0.0003 to 0.0005 with 6 and 10 joints",
        "left_inn": "0.0040 to 0.0051 with 6, 8 and 10 joints",
    }
    assert published.halves(scores) == {"halves": "8", "halves_nearer": "6"}


def test_the_printed_value_of_the_cvae_alone_tells_the_priors_apart():
    rows = result("printed-mismatch").set_index(["sampler", "reference_sigma"])["value"]
    for name, printed, apart in (("cvae", 0.057, True), ("inn", 0.025, False)):
        narrow, wide = rows[name, 0.2], rows[name, 0.5]
        ratios = [max(printed / ours, ours / printed) for ours in (narrow, wide)]
        assert (max(ratios) > 2) == apart, name
        assert min(ratios) < 1.25, name
