from ikpaper.report.tables import scaling
from tests.report.committed import assert_committed, result


def test_the_table_is_the_committed_one():
    assert_committed({"scaling": scaling.longer_arms(result("scaling"))})
