import pytest

from ikpaper import paper
from ikpaper.arm import PlanarArm

COLUMNS = ["source", "dof", "model", "quantity", "value", "note"]


def test_reported_numbers_are_complete():
    reported = paper.reported()
    assert list(reported.columns) == COLUMNS
    assert not reported.duplicated(["source", "dof", "model", "quantity"]).any()
    for source in ("report_figure", "authors_results"):
        for quantity in ("e_posterior", "e_resim_halved"):
            rows = reported[(reported["source"] == source) & (reported["quantity"] == quantity)]
            assert sorted(zip(rows["model"], rows["dof"], strict=True)) == [
                (model, dof) for model in ("cvae", "inn") for dof in PlanarArm.PAPER_DOF
            ]
    assert (reported["note"].str.len() > 0).all()


def test_the_correct_prior_reverses_the_published_ranking():
    reported = paper.reported().set_index(["source", "quantity", "model", "dof"])
    reported = reported["value"].sort_index()
    for dof in (6, 8, 10):
        plotted = reported["report_figure", "e_posterior"]
        corrected = reported["authors_results", "e_posterior"]
        assert plotted["inn", dof] < plotted["cvae", dof]
        assert corrected["inn", dof] > corrected["cvae", dof]


@pytest.mark.parametrize(
    ("table", "ranges"),
    [(paper.CVAE_TABLE, paper.CVAE_RANGES), (paper.INN_TABLE, paper.INN_RANGES)],
)
def test_winners_lie_within_the_search_ranges(table, ranges):
    for row in table.values():
        for name, (low, high) in ranges.items():
            assert low <= row[name] <= high


def test_targets_can_be_reached():
    for dof, tcp in paper.TARGETS.items():
        PlanarArm.paper(dof).check_targets(tcp)
