from ikpaper.report.tables import scaling
from tests.report.committed import as_csv, result, table


def test_the_table_is_the_committed_one():
    assert as_csv(scaling.longer_arms(result("scaling"))) == table("scaling")
