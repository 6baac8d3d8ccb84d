import pandas as pd

from ikpaper.format import percent
from ikpaper.report.tables import scaling


def test_numbers_of_the_text():
    rows = pd.DataFrame(
        {
            "dof": [4, 8, 16],
            "profile": "quick",
            "targets": 200,
            "mmd2": [1e-4, 2e-4, 1e-3],
            "mmd2_prior": [0.05, 0.04, 0.02],
            "rejected": [0.08, 0.145, 0.6],
            "training_seconds": [24.6, 30.0, 33.4],
            "samples_per_second": [10.0, 10.0, 10.0],
            "exact_samples_per_second": [30.0, 9.0, 3.0],
        }
    )
    assert scaling.numbers(rows) == {
        "shortest": "4",
        "longest": "16",
        "scaling_profile": "quick",
        "targets": "200",
        "overtakes": "8",
        "fastest": "25",
        "slowest": "33",
        "share_longest": percent(0.05, 2),
        # The longest arm of at most ten joints.
        "share_10": percent(0.005, 2),
        "rejected_longest": percent(0.6),
        "rejected_10": percent(0.145),
    }
    slow = rows.assign(samples_per_second=1.0)
    assert scaling.numbers(slow)["overtakes"] == "no number of"


def test_trainings_in_full_are_compared_with_exact_samples():
    def row(sampler, epochs, steps, refine, rejected, only_this, only_exact):
        scores = {"mmd2": 1e-4, "mmd2_low": 5e-5, "mmd2_high": 2e-4, "e_resim": 10.0**-refine}
        return {
            "dof": 16,
            "sampler": sampler,
            "epochs": epochs,
            "neurons": 128 if epochs else 0,
            "steps": steps,
            "refine": refine,
            "rejected": rejected,
            "only_this": only_this,
            "only_exact": only_exact,
            **scores,
            "targets": 200,
            "training_seconds": 60.0 * epochs,
        }

    rows = pd.DataFrame(
        [
            row("exact", 0, None, 0, 0.05, None, None),
            *(row("flow", 6, 16, refine, 0.4, 75, 5) for refine in (0, 3)),
            *(row("flow", 60, 64, refine, 0.06, 7, 5) for refine in (0, 3)),
        ]
    )
    table = scaling.in_full(rows)
    assert list(table["epochs"]) == ["exact", "6", "60"]
    assert list(table["neurons"]) == ["–", "128", "128"]
    assert list(table["rejected"]) == ["5.0\xa0%", "40.0\xa0%", "6.0\xa0%"]
    assert list(table["rejected, refine=3"]) == ["–", "40.0\xa0%", "6.0\xa0%"]
    assert list(table["steps"]) == ["–", "16", "64"]
    assert list(table["E‖f(θ) − y‖², refine=3"]) == ["–", "0.0010", "0.0010"]
    numbers = scaling.in_full_numbers(rows)
    assert (numbers["full_joints"], numbers["full_rejected"]) == ("16", percent(0.06))
    assert numbers["full_answer"] == "With 16 joints, as far as 200 targets can tell, yes"
    text = numbers["full_verdict"]
    assert text.startswith("with 16 joints at 6.0\xa0% of the targets after 60 epochs")
    assert "exact samples are at 5.0\xa0% (undecided, p = " in text
    rows.loc[rows["epochs"] == 60, ["only_this", "only_exact"]] = [30, 5]
    worse = scaling.in_full_numbers(rows)
    assert "(more often, p = " in worse["full_verdict"]
    assert worse["full_answer"] == "Not with 16 joints"


def test_what_time_and_neurons_change_is_told_at_equal_steps():
    def row(epochs, neurons, steps, refine, rejected):
        return {"sampler": "flow" if epochs else "exact", "epochs": epochs, "neurons": neurons} | {
            "dof": 16,
            "steps": steps,
            "refine": refine,
            "rejected": rejected,
            "only_this": 7,
            "only_exact": 5,
            "targets": 200,
        }

    trained = ((6, 128, 0.4), (20, 64, 0.3), (20, 128, 0.2), (20, 256, 0.1), (60, 128, 0.05))
    rows = [row(0, 0, None, 0, 0.05)]
    rows += [row(e, n, 16, refine, share) for e, n, share in trained for refine in (0, 3)]
    rows += [row(60, 128, 64, refine, 0.06) for refine in (0, 3)]
    numbers = scaling.in_full_numbers(pd.DataFrame(rows))
    assert numbers["full_time"] == (
        "40.0\xa0% with 6, 20.0\xa0% with 20 and 5.0\xa0% with 60 (16 joints)"
    )
    assert numbers["full_widths"] == (
        "30.0\xa0% with 64, 20.0\xa0% with 128 and 10.0\xa0% with 256 (16 joints)"
    )
    assert numbers["full_rejected"] == percent(0.06)
