import pandas as pd

from ikpaper.report.tables import reading
from tests.report.committed import result

ROWS = pd.DataFrame(
    [
        {"fault": kind, "value": value, "size": size, "e_resim": miss**2, "rejected": share}
        for kind, value, size, miss, share in (
            ("none", 0.0, 0.0, 0.0, 0.05),
            ("blurred", 1e-5, 0.02, 0.035, 0.05),
            ("cut", 1e-5, 0.004, 0.0, 0.1),
            ("blurred", 1e-3, 0.08, 0.35, 1.0),
            ("cut", 1e-3, 0.1, 0.0, 1.0),
            ("blurred", 1e-2, 0.17, 0.7, 1.0),
            ("cut", 1e-2, 0.36, 0.0, 1.0),
        )
    ]
).assign(c2st=0.5, targets=40, checks=6, samples=1000, mmd2_spread=1.3e-4)


def test_sizes_have_their_units():
    table = reading.faults(ROWS, reach=3.5)
    assert list(table["MMD²"][:3]) == ["0", "10⁻⁵", "10⁻⁵"]
    assert list(table["size"][:3]) == ["–", "0.020 rad", "0.40\xa0%"]
    assert list(table["typical miss, % of the reach"][1:4]) == ["1.00", "0.00", "10.00"]


def test_numbers_of_the_text_are_those_of_the_tables():
    random = result("benchmark").query("at == 'random'")
    numbers = reading.numbers(ROWS, 3.5, result("statistic-floor"), random)
    assert numbers["rejected_small"] == "5 to 10\xa0%"
    assert (numbers["none_rejected"], numbers["repeats"]) == ("2 of 40", "40")
    assert numbers["cut_large"] == "36\xa0%"
    assert numbers["blurred_middle_miss"] == "10.0\xa0%"
    # As drawn: prior samples moved onto the target are another sampler.
    prior = random[(random["sampler"] == "prior") & (random["refine"] == 0)]["mmd2"]
    low, high = map(float, numbers["mmd_prior"].split(" to "))
    assert abs(low / prior.min() - 1) < 0.05
    assert abs(high / prior.max() - 1) < 0.05
