from ikpaper.report.tables import benchmark
from tests.report.committed import as_csv, result, table


def test_tables_are_the_committed_ones():
    published = result("benchmark").query("dof == 6 and at == 'random' and samples == 1000")
    own = result("handwritten")
    assert as_csv(benchmark.handwritten(own, published)) == table("handwritten")
    assert as_csv(benchmark.rail(result("rail"))) == table("rail")
