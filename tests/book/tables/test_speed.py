from ikpaper.report.tables import speed
from tests.report.committed import assert_committed, result


def test_tables_are_the_committed_ones():
    bench, steps = result("bench"), result("bench-breakdown")
    sampling = speed.throughput(bench, "sampling", (1000,))
    made = {
        "training-speed": speed.throughput(bench, "training", (250, 1000, 4000)),
        "sampling-speed": sampling.drop(columns="batch"),
        **{f"speed-{each}": speed.others(bench, each) for each in speed.OTHERS},
        "speed-breakdown": speed.breakdown(steps),
    }
    assert_committed(made)


def test_ratios_are_those_of_what_was_measured():
    table = result("bench")
    better = table["plain"] / table["ours"]
    higher = table["unit"].str.endswith("/s")
    better[higher] = (table["ours"] / table["plain"])[higher]
    assert (better - table["ratio"]).abs().max() < 1e-6
    assert {"inn", "cvae"} <= set(table["model"].dropna()) <= {"inn", "cvae", "flow-fast"}
