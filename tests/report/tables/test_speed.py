import pandas as pd

from ikpaper.report.tables import speed


def test_numbers_of_the_text():
    bench = pd.DataFrame({"threads": [2, 2], "device": ["cpu", "cpu"]})
    steps = pd.DataFrame(
        {
            "what": [f"a training step, {kind}" for kind in ("float32", "bfloat16", "float32")],
            "peak_gflops": [400.0, 840.0, 420.0],
            "plain_peak_gflops": [200.0, 210.0, 200.0],
        }
    )
    assert speed.numbers(bench, steps) == {
        "threads": "2",
        "device": "CPU",
        "gpu": "No GPU was at hand: that path has not been run.",
        "plain_peak": "200",
        "bound_bfloat16": "4.0",
        "bound_float32": "2.0",
    }
    on_gpu = speed.numbers(bench.assign(device="cuda"), steps)
    assert (on_gpu["device"], on_gpu["gpu"]) == ("GPU", "")
