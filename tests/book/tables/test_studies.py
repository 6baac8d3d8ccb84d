import dataclasses
import math
import shutil

import pandas as pd
import pytest

from ikpaper.profiles import get_profile
from ikpaper.report.tables import studies as tables
from ikpaper.search import AS_PRINTED, load_studies
from tests.report.committed import BOOK, arms, assert_committed, result

TRIAL, PAPER = get_profile("search"), get_profile("paper")


@pytest.fixture(scope="module")
def studies():
    return tables.Studies.load(TRIAL)


@pytest.fixture(scope="module")
def scores():
    return arms("scores")


def test_tables_are_the_committed_ones(studies, scores):
    made = {
        "studies": tables.overview(studies),
        "found-cvae": tables.found(studies, "cvae"),
        "found-inn": tables.found(studies, "inn"),
        "bounds": tables.bounds(studies),
        "ranks": tables.ranks(studies),
        "found-trials": tables.winners(tables.as_trials(studies), TRIAL),
        "found-scores": tables.winners(tables.in_full(studies, scores, PAPER), PAPER),
    }
    assert_committed(made)


def test_the_text_says_how_studies_differ_from_the_papers(studies):
    told = tables.protocol(studies)
    assert told.startswith(
        "The studies of the INN were cut short after 17 to 21 trials, of which 4 to 7 ran to "
        "their end. All 100 of them in full would take about 11 core hours here. So successive "
        "halving, which is not in the paper, "
        "stops trials whose loss lags behind;"
    )
    assert told.endswith("Products of the subnets are in bfloat16 for the INN.")
    assert tables.short_studies(studies) == (
        "The cVAE's studies have 100 trials, the INN's 17 to 21."
    )
    whole = tuple(r for r in studies.records if len(r.trials) == 100)
    assert tables.protocol(dataclasses.replace(studies, records=whole)) == ""


def test_the_text_compares_proposals_with_random_trials(studies):
    assert tables.surrogate(studies) == (
        "cVAE, 6 DoF: the best of the first 50 Bayesian trials has an objective of 82.5, that of "
        "50 random ones (2 seeds) 83.4."
    )
    assert tables.early(studies) == (
        "No proposal of the surrogate was better than the random trials that open the study of "
        "INN, 4 DoF (7 proposals); INN, 6 DoF (11 proposals)."
    )
    assert tables.collapse(studies).replace("\xa0", " ") == (
        "Of the random trials of cVAE, 6 DoF, 28 of 50 end within 1 % of 202, with 5 or more "
        "hidden layers. Of those, 2 trained again ended with a KL term of 2.8 · 10⁻⁵ or "
        "less: the decoder answers with a mean, whatever its latent (posterior collapse)."
    )
    assert tables.good_trials(studies.first["cvae", 6]) == (
        "hidden layers 3 to 4 (searched: 3 to 15), learning rate 0.000197 to 0.00145 (searched: "
        "0.0001 to 0.01), neurons per layer 200 to 500 (searched: the same) and weight decay "
        "10⁻⁵ to 0.001 (searched: the same)"
    )
    bayesian = tuple(r for r in studies.records if r.study.method == "bayesian")
    alone = dataclasses.replace(studies, records=bayesian)
    assert tables.surrogate(alone) == tables.collapse(alone) == ""


def test_a_winner_that_two_arms_share_counts_once(studies):
    assert tables.at_bounds(studies) == {
        "bound_count": "13",
        "bound_values": "31",
        "bound_expected": "3.9",
        "bound_shared": "The winners of INN (4, 6 DoF) are one random trial, which counts once.",
    }
    place = ("cvae", 4)
    one = dataclasses.replace(studies, records=(studies.first[place],))
    # Of two logarithmic ranges 4 % each; of 13 whole numbers two, of 301 fourteen.
    assert tables.at_bounds(one) == {
        "bound_count": "1",
        "bound_values": "4",
        "bound_expected": f"{0.08 + 2 / 13 + 14 / 301:.2f}",
        "bound_shared": "",
    }


def test_the_text_says_how_ranks_and_winners_turned_out(studies, scores):
    assert tables.rank_counts(studies) == {
        "ranks_count": "12",
        "ranks_clear": "1",
        "ranks_negative": "none",
        "ranks_without": "4",
        "ranks_open": "For the INN the question is open: no study has 8 trials that were trained "
        "anew.",
    }
    assert tables.worth(tables.as_trials(studies), "Trained as briefly as a trial") == (
        "Trained as briefly as a trial, the found settings have the lower training loss for all 8 "
        "networks, the lower MMD² for 2 and the lower re-simulation error for 5 (the higher for "
        "1)."
    )
    assert tables.worth(tables.in_full(studies, scores, PAPER), "Trained in full") == (
        "Trained in full (cVAE only), the found settings have the lower MMD² for 1 of 4 networks "
        "and the lower re-simulation error for 1 (the higher for 2)."
    )
    assert tables.untrained(studies, PAPER) == (
        "Not trained in full, with the core hours that would take here: INN, 4 DoF (8.6); "
        "INN, 6 DoF (9.8); INN, 8 DoF (12); INN, 10 DoF (12)."
    )
    assert tables.beside_seeds(studies, result("seeds"), PAPER) == (
        "Beside training runs with the printed hyperparameters that differ in the seed alone, the "
        "MMD² of what was found is below all of them for the cVAE (4 DoF), among them for the "
        "cVAE (6, 10 DoF), above all of them for the cVAE (8 DoF); the re-simulation error of "
        "what was found is among them for the cVAE (4, 8 DoF), above all of them for the cVAE "
        "(6, 10 DoF)."
    )


def test_studies_that_search_something_else_are_left_out(tmp_path):
    source = BOOK / "results" / "studies" / "cvae-06dof-seed42"
    shutil.copytree(source, tmp_path / "studies" / source.name)
    other = tmp_path / "studies" / "other"
    shutil.copytree(source, other)
    settings = other / "study.json"
    settings.write_text(settings.read_text().replace('"loss"', '"held-out"'))
    trials = pd.read_csv(other / "trials.csv").assign(mmd2=0.0, e_resim=0.0)
    trials.to_csv(other / "trials.csv", index=False)
    assert len(load_studies(tmp_path / "studies")) == 2
    (record,) = tables.Studies.load(TRIAL, tmp_path / "studies").records
    assert record.folder.name == source.name
    shutil.rmtree(tmp_path / "studies" / source.name)
    with pytest.raises(FileNotFoundError, match="ikpaper search"):
        tables.Studies.load(TRIAL, tmp_path / "studies")


def test_a_run_that_diverged_counts_as_the_worst(tmp_path):
    source = BOOK / "results" / "studies" / "cvae-06dof-seed42"
    folder = tmp_path / source.name
    shutil.copytree(source, folder)
    confirmed = pd.read_csv(folder / "confirmed.csv")
    best = tables.Studies.load(TRIAL, tmp_path).first["cvae", 6].best["trial"]
    lost = confirmed["trial"] == best
    row = confirmed[lost & (confirmed["profile"] == "quick")].iloc[:1]
    again = confirmed[lost & (confirmed["profile"] == "search")].iloc[:1]
    rows = [part.assign(quantity="diverged", value=math.nan) for part in (row, again)]
    kept = confirmed[~(lost & confirmed["profile"].isin(["quick", "search"]))]
    pd.concat([kept, *rows]).to_csv(folder / "confirmed.csv", index=False)
    studies = tables.Studies.load(TRIAL, tmp_path)
    (ranks,) = tables.ranks(studies).to_dict("records")
    assert (ranks["trials"], ranks["diverged"]) == (10, 1)
    (panel,) = tables.rank_panels(studies).values()
    assert panel.sort_values("objective")["mmd2"].iloc[0] == math.inf
    (winner,) = tables.winners(tables.as_trials(studies), TRIAL).to_dict("records")
    assert winner["e_posterior, found"] == "diverged" != winner["e_posterior, printed"]
    assert winner["e_posterior, ratio"] == "diverged"
    assert tables.worth(tables.as_trials(studies), "Trained") == ""
    assert AS_PRINTED not in panel.index
