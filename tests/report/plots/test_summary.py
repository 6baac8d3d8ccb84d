import pytest

from ikpaper import paper
from ikpaper.report.plots.summary import summary
from tests.report.committed import arms, result


@pytest.fixture(scope="module")
def figure():
    random = result("benchmark").query("at == 'random' and refine == 0")
    reported = paper.reported().query("quantity == 'e_posterior'")
    return summary(arms("scores"), reported, random)


def markers(ax, open_ones):
    """Heights of the markers of a panel."""
    lines = [line for line in ax.lines if line.get_marker() in ("o", "s", "D", "^", "x")]
    chosen = [line for line in lines if (line.get_markerfacecolor() == "none") == open_ones]
    return sorted(float(y) for line in chosen for y in line.get_ydata())


def test_panels_have_what_was_published_and_what_is_measured(figure):
    claim, measured, floor, past = figure.axes
    published = paper.reported().query("quantity == 'e_posterior'").groupby("source")["value"]
    plotted = sorted(published.get_group("report_figure"))
    assert markers(claim, True) == markers(measured, True) == pytest.approx(plotted)
    assert markers(floor, True) == pytest.approx(sorted(published.get_group("authors_results")))
    assert markers(claim, False) == []
    own = arms("scores")
    for ax, quantity, names in (
        (measured, "e_posterior_wide", ["prior", "exact", "cvae", "inn"]),
        (floor, "e_posterior", ["exact", "cvae", "inn"]),
    ):
        rows = own[(own["quantity"] == quantity) & own["sampler"].isin(names)]
        assert markers(ax, False) == pytest.approx(sorted(rows["value"]))
    assert len(markers(past, False)) == 20


def test_the_claim_and_what_it_measured_have_one_scale(figure):
    claim, measured, *_ = figure.axes
    assert claim.get_ylim() == measured.get_ylim()
    assert claim.get_ylim()[0] == 0
