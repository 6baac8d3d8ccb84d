import pytest

from ikpaper.arm import PlanarArm
from ikpaper.report.tables import calibration
from tests.report.committed import as_csv, result, table


@pytest.fixture(scope="module")
def rows():
    measured = result("benchmark")
    return calibration.joined_rows(result("calibration"), measured[measured["at"] == "random"])


def test_the_tables_are_those_of_the_page(rows):
    assert as_csv(calibration.checks(rows)) == table("calibration-checks")
    for dof in PlanarArm.PAPER_DOF:
        assert as_csv(calibration.by_sampler(rows, dof)) == table(f"calibration-{dof:02d}")


def test_every_sampler_has_its_test_with_exact_samples_beside(rows):
    assert rows["rejected"].notna().all()
