from ikpaper.report.tables import baselines
from tests.report.committed import assert_committed, result


def test_the_table_is_the_committed_one():
    assert_committed({"baselines": baselines.baselines(result("baselines"))})
