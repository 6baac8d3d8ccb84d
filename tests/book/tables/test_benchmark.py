from ikpaper.report.tables import benchmark
from tests.report.committed import assert_committed, result


def test_tables_are_the_committed_ones():
    published = result("benchmark").query("dof == 6 and at == 'random' and samples == 1000")
    made = {
        "handwritten": benchmark.handwritten(result("handwritten"), published),
        "rail": benchmark.rail(result("rail")),
    }
    assert_committed(made)
