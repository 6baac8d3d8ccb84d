from ikpaper.report.tables import scaling
from tests.report.committed import assert_committed, result


def test_the_tables_are_the_committed_ones():
    assert_committed(
        {
            "scaling": scaling.longer_arms(result("scaling")),
            "scaling-full": scaling.in_full(result("scaling-full")),
        }
    )
