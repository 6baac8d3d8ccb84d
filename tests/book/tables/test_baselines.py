from ikpaper.report.tables import baselines
from tests.report.committed import as_csv, result, table


def test_the_table_is_the_committed_one():
    assert as_csv(baselines.baselines(result("baselines"))) == table("baselines")
