import pandas as pd

from ikpaper.report.tables import speed


def test_numbers_of_the_text():
    bench = pd.DataFrame(
        [
            ("training, float32", "inn", 1000, 2.5),
            ("training, bfloat16", "inn", 1000, 3.0),
            ("training, float32", "cvae", 1000, 1.5),
            ("training, bfloat16", "cvae", 1000, 3.5),
            ("training, bfloat16", "cvae", 4000, 7.0),
            ("sampling, float32", "inn", 1000, 2.0),
            ("exact against rejection sampling, eps = 0.005", None, 100, 9.0),
            ("exact samples of many targets, together against one by one", None, 1, 20.0),
            ("exact samples of many targets, together against one by one", None, 1000, 2.0),
            ("C2ST together against one by sbibm's protocol, 25 epochs", None, 1000, 15.0),
            ("C2ST together against one by sbibm's protocol, 100 epochs", None, 1000, 4.0),
        ],
        columns=["what", "model", "size", "ratio"],
    ).assign(threads=2, device="cpu")
    alone = pd.DataFrame(
        [("permutation test", 1000, 12.0), (bench["what"][9], 1000, 11.0)],
        columns=["what", "size", "ratio"],
    )
    bench = pd.concat([bench, alone.assign(threads=1, device="cpu")], ignore_index=True)
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
        "eps": "0.005",
        "training_gain": "1.5 to 7.0",
        "sampling_gain": "2.0",
        "many_gain": "20",
        "many_gain_1000": "2.0",
        "c2st_gain": "15",
        "test_gain": "–",
        "many_gain_alone": "–",
        "many_gain_1000_alone": "–",
        "c2st_gain_alone": "11",
        "test_gain_alone": "12",
        "c2st_epochs": "25",
        "against_bounds": (
            "The cVAE trains 1.5 times as fast in float32 (more than 2.0 on 0 of 1 arms) and 3.5 "
            "times as fast in bfloat16 (more than 4.0 on 0 of 1 arms). The INN trains 2.5 times as "
            "fast in float32 (more than 2.0 on 1 of 1 arms) and 3.0 times as fast in bfloat16 "
            "(more than 4.0 on 0 of 1 arms)."
        ),
        "plain_peak": "200",
        "bound_bfloat16": "4.0",
        "bound_float32": "2.0",
    }
    on_gpu = speed.numbers(bench.assign(device="cuda"), steps)
    assert (on_gpu["device"], on_gpu["gpu"]) == ("GPU", "")
