import dataclasses
import functools
from pathlib import Path

import jupytext
import nbformat
import numpy as np
import pandas as pd
import papermill
import pytest

from ikpaper import judging, peers
from ikpaper.arm import PlanarArm
from ikpaper.files import write_json
from ikpaper.growth import run_growth
from ikpaper.report import PAGES
from ikpaper.search import PRINTED, Study, spread
from ikpaper.training import TrainingRun, train

ROOT = Path(__file__).resolve().parents[1]
SOURCES = sorted((ROOT / "notebooks").glob("*.py"))


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.stem)
def test_the_pair_is_in_step_and_without_outputs(source):
    script = jupytext.read(source)
    notebook = nbformat.read(source.with_suffix(".ipynb"), as_version=4)

    def content(nb):
        return [(c.cell_type, c.source, dict(c.metadata)) for c in nb.cells]

    assert content(notebook) == content(script), "run: make notebooks"
    assert not any(c.get("outputs") for c in notebook.cells)


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.stem)
def test_cells_are_short_and_parameters_are_there(source):
    cells = jupytext.read(source).cells
    parameters = [c for c in cells if "parameters" in c.metadata.get("tags", [])]
    assert len(parameters) == 1
    assert {"profile", "book"} <= {
        line.split(" = ")[0] for line in parameters[0].source.split("\n")
    }
    assert max(len(c.source.splitlines()) for c in cells if c.cell_type == "code") <= 60


def test_every_notebook_makes_a_page():
    # A study takes hours: its notebook runs on its own.
    assert {page.notebook for page in PAGES} == {source.stem for source in SOURCES} - {"search"}


def test_papermill_runs_a_study(tmp_path):
    papermill.execute_notebook(
        str(ROOT / "notebooks" / "search.ipynb"),
        str(tmp_path / "out.ipynb"),
        parameters={
            "dof": 4,
            "model": "cvae",
            "trials": 3,
            "epochs": 2,
            "profile": "smoke",
            "folder": str(tmp_path / "study"),
        },
        kernel_name="python3",
        cwd=str(ROOT),
        progress_bar=False,
    )
    assert len(pd.read_csv(tmp_path / "study" / "trials.csv")) == 3
    assert len(svg_figures(tmp_path / "out.ipynb")) == 3


def test_a_study_in_a_folder_is_drawn_as_it_is(tmp_path):
    folder = made_up_study(tmp_path, "random")
    before = (folder / "trials.csv").read_bytes()
    run_page("search", tmp_path, folder=str(folder), trials=1, model="inn", dof=10)
    assert (folder / "trials.csv").read_bytes() == before
    told = glued(tmp_path / "out.ipynb")
    assert (told["model"], told["dof"], told["trials"]) == ("cVAE", "6", "30")


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("dof", {"dof": 10, "train": True}),
        ("ground-truth", {}),
        ("inverse-kinematics", {}),
        ("models", {}),
    ],
)
def test_papermill_runs_it(name, parameters, tmp_path, monkeypatch):
    monkeypatch.setenv("IKPAPER_WEIGHTS", str(tmp_path / "weights"))
    papermill.execute_notebook(
        str(ROOT / "notebooks" / f"{name}.ipynb"),
        str(tmp_path / "out.ipynb"),
        parameters={**parameters, "profile": "smoke"},
        kernel_name="python3",
        cwd=str(ROOT),
        progress_bar=False,
    )
    assert len(svg_figures(tmp_path / "out.ipynb")) >= 3


def run_page(name, where, **parameters):
    papermill.execute_notebook(
        str(ROOT / "notebooks" / f"{name}.ipynb"),
        str(where / "out.ipynb"),
        parameters={"book": str(where / "book"), **parameters},
        kernel_name="python3",
        cwd=str(ROOT),
        progress_bar=False,
    )


def glued(path):
    """What a notebook hands to the text of pages, by key."""
    executed = nbformat.read(path, as_version=4)
    outputs = [out for c in executed.cells if c.cell_type == "code" for out in c.outputs]
    return {
        out.metadata["scrapbook"]["name"]: next(iter(out.data.values())).strip("'")
        for out in outputs
        if "scrapbook" in out.get("metadata", {})
    }


def svg_figures(path):
    executed = nbformat.read(path, as_version=4)
    return [
        out for c in executed.cells if c.cell_type == "code" for out in c.outputs
        if "image/svg+xml" in out.get("data", {})
    ]  # fmt: skip


def made_up_study(root, method, ranges=None, dof=6):
    """A study of 30 trials, eight of them trained in full, whose objective ranks all scores."""
    study = Study("cvae", PlanarArm.paper(dof), method=method)
    study = dataclasses.replace(study, ranges={**study.bounds, **(ranges or {})})
    folder = root / (study.name + "-other" * bool(ranges))
    rng = np.random.default_rng(len(method))
    rows = []
    for trial in range(1, 31):
        drawn = {
            name: int(rng.integers(low, high + 1))
            if isinstance(low, int)
            else low * (high / low) ** rng.random()
            for name, (low, high) in study.bounds.items()
        }
        loss = 1.0 + abs(np.log(drawn["learning_rate"] / 1e-3))
        own = {"trial": trial, "objective": loss, "loss": loss, "outcome": "trained"}
        own |= {"epochs": 60, "seconds": 9.0, "cpus": 1.0, "seed": 42, "profile": "search"}
        rows.append({**drawn, **own})
    write_json(folder / "study.json", study.settings())
    pd.DataFrame(rows, columns=study.columns).to_csv(folder / "trials.csv", index=False)
    table = pd.DataFrame(rows)
    printed = {"trial": PRINTED, "objective": np.nan}
    chosen = [("paper", row, row["objective"]) for row in spread(table, 8).to_dict("records")]
    chosen += [("search", printed, 2.0), ("search", spread(table, 1).iloc[0], 1.0)]
    # A loss has no interval.
    quantities = {
        "e_posterior": (1e-2, 0.0),
        "mmd2_exact": (1e-3, 0.0),
        "e_resim_test": (1e-4, 0.0),
        "loss": (-1.0, np.nan),
    }
    full = [
        {
            "trial": row["trial"],
            "objective": row["objective"],
            "profile": profile,
            "quantity": quantity,
            "value": factor * size,
            "low": low,
            "high": low + 1.0,
        }
        for profile, row, size in chosen
        for quantity, (factor, low) in quantities.items()
    ]
    pd.DataFrame(full).to_csv(folder / "confirmed.csv", index=False)
    return folder


def test_papermill_runs_the_page_on_the_search(tmp_path):
    for method in ("bayesian", "random"):
        made_up_study(tmp_path / "studies", method)
    # Not the paper's, and not shown.
    made_up_study(tmp_path / "studies", "bayesian", ranges={"neurons": (8, 16)})
    # Nothing has ended well yet.
    folder = made_up_study(tmp_path / "studies", "bayesian", dof=8)
    (folder / "confirmed.csv").unlink()
    trials = pd.read_csv(folder / "trials.csv")
    trials.assign(objective=np.nan).to_csv(folder / "trials.csv", index=False)
    run_page("studies", tmp_path, studies=str(tmp_path / "studies"))
    assert len(svg_figures(tmp_path / "out.ipynb")) == 4
    ranks = pd.read_csv(tmp_path / "book" / "tables" / "ranks.csv").iloc[0]
    # Here the objective ranks every score, and the full training loss the other way round.
    assert ranks["e_posterior"].startswith("1.00 ")
    assert ranks["training loss"].startswith("-1.00 ")
    found = pd.read_csv(tmp_path / "book" / "tables" / "found-cvae.csv")
    assert list(found["setting"]) == ["range", "printed", "found"]
    assert list(found["learning rate"][:2]) == ["0.0001 to 0.01", "0.0041"]
    other = pd.read_csv(tmp_path / "book" / "tables" / "found-inn.csv")
    assert list(other["setting"]) == ["no study yet"]
    # Of the printed setting the loss, as a trial's; it is the lower one here, the scores are not.
    assert list(found["objective"][1:2]) == ["-2.00"]
    told = glued(tmp_path / "out.ipynb")
    assert "cVAE (4, 8, 10 DoF)" in told["pending"]
    assert "of 1 winners, what was found has the lower e_posterior in 1, MMD" in told["as_trials"]
    assert told["as_trials"].endswith("training loss in 0")
    # Those of random search end alike: what is told of them was not measured here.
    assert not told["collapse"]
    counts = [told[f"ranks_{name}"] for name in ("count", "positive", "clear", "against")]
    assert counts == ["6", "6", "6", "0"]
    trials = pd.read_csv(tmp_path / "book" / "tables" / "found-trials.csv")
    assert list(trials["setting"]) == ["printed", "found"]
    assert list(trials["training loss"]) == [-2.0, -1.0]
    (bounds,) = pd.read_csv(tmp_path / "book" / "tables" / "bounds.csv").to_dict("records")
    assert (bounds["network"], bounds["DoF"], bounds["trials"]) == ("cVAE", 6, 30)
    # Three layers of 200 neurons, weight decay 1e-5.
    printed = "hidden layers (lower), neurons per layer (lower), weight decay (lower)"
    assert bounds["printed"] == printed


def test_the_page_on_the_search_waits_for_trials_with_more_data(tmp_path):
    folder = made_up_study(tmp_path / "studies", "bayesian")
    (folder / "confirmed.csv").unlink()
    run_page("studies", tmp_path, studies=str(tmp_path / "studies"))
    (ranks,) = pd.read_csv(tmp_path / "book" / "tables" / "ranks.csv").to_dict("records")
    assert ranks["trials"] == "–"


def test_papermill_runs_the_page_beyond_the_paper(tmp_path, monkeypatch):
    monkeypatch.setenv("IKPAPER_WEIGHTS", str(tmp_path / "weights"))
    monkeypatch.setattr(judging, "PUBLISHED", "smoke")
    quick = functools.partial(judging.judge, samples=20, c2st_targets=0)
    monkeypatch.setattr(judging, "judge", quick)
    for name in ("flow", "flow-fast"):
        train(TrainingRun.of(name, 6, profile="smoke"))
    table = tmp_path / "book" / "results" / "benchmark.csv"
    judging.benchmark_published(dofs=[6], targets=3, table=table)
    run_growth([6], profile="smoke", targets=3, table=table.with_name("growth.csv"), root=tmp_path)
    run_page("beyond", tmp_path, profile="smoke", train=True)
    # The Pareto front, and the one of the book's front page.
    assert len(svg_figures(tmp_path / "out.ipynb")) == 2
    assert (tmp_path / "book" / "figures" / "home.svg").exists()
    tables = tmp_path / "book" / "tables"
    aims = pd.read_csv(tables / "aims.csv")
    assert set(aims["met on"]) <= {"0 of 1 arms", "1 of 1 arms"}
    projection = pd.read_csv(tables / "projection.csv")
    assert list(projection["sampler"]) == ["flow", "flow, one evaluation"]
    # The numbers of steps, with and without a projection.
    assert len(pd.read_csv(tables / "flow-steps.csv")) == 10


def test_papermill_runs_the_page_on_ones_own_sampler(tmp_path, monkeypatch):
    monkeypatch.setenv("IKPAPER_WEIGHTS", str(tmp_path / "weights"))
    for train_here, samplers in (
        (False, ["exact posterior", "rejection sampling", "prior"]),
        (True, ["exact posterior", "rejection sampling", "flow", "prior"]),
    ):
        run_page("benchmark", tmp_path, profile="smoke", train=train_here)
        rail = pd.read_csv(tmp_path / "book" / "tables" / "rail.csv")
        assert list(rail["sampler"]) == samplers
        assert (rail["MMD² to exact"] != rail["MMD², multi-bandwidth"]).all()


def test_papermill_runs_the_page_on_longer_arms(tmp_path):
    table = tmp_path / "book" / "results" / "growth.csv"
    run_growth([3, 4], profile="smoke", targets=3, table=table, root=tmp_path / "weights")
    run_page("longer-arms", tmp_path)
    assert len(svg_figures(tmp_path / "out.ipynb")) == 1
    assert list(pd.read_csv(tmp_path / "book" / "tables" / "growth.csv")["DoF"]) == [3, 4]


def test_papermill_runs_the_page_on_peers(tmp_path):
    row = dict.fromkeys(peers.COLUMNS, 1.0) | {"dof": 4, "targets": 3, "samples": 20, "refine": 0}
    row |= {"missed": 30, "profile": "smoke", "library": "sbi 0", "parameters": 10}
    rows = [row | {"sampler": name} for name in ("exact", "flow", "npe", "fmpe")]
    unknown = dict.fromkeys(("training_seconds", "training_threads", "parameters"))
    results = tmp_path / "book" / "results"
    results.mkdir(parents=True)
    pd.DataFrame([rows[0] | unknown, *rows[1:]]).to_csv(results / "peers.csv", index=False)
    run_page("peers", tmp_path)
    table = pd.read_csv(tmp_path / "book" / "tables" / "peers.csv")
    assert list(table["sampler"]) == ["exact posterior", "flow", "sbi, NPE", "sbi, FMPE"]
    assert list(table["training"][:2]) == ["–", "0:01 in 1 epochs"]
