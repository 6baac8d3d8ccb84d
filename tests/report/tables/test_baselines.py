from ikpaper.report.tables import baselines
from tests.report.committed import as_csv, result, table


def test_the_table_is_the_committed_one():
    assert as_csv(baselines.baselines(result("baselines"))) == table("baselines")


def test_numbers_of_the_text():
    assert baselines.numbers(result("baselines")) == {
        "threads": "1",
        "c2st_targets": "3",
        "mmd_exact": "6.9e-6",
        "mmd_flow": "1.3e-5",
        "mmd_fmpe": "0.00061",
        "mmd_npe": "0.0080",
        "resim_exact": "3.3e-31",
        "resim_flow": "6.8e-8",
        "resim_fmpe": "0.00093",
        "resim_npe": "0.0055",
    }
