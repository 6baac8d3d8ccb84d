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
