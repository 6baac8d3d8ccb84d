import io
import sys

import numpy as np
import pandas as pd
import pytest
import torch

import ikpaper
from ikpaper.evaluation import as_text, benchmark, comparison, results, terminal_text
from ikpaper.evaluation.task import Task
from ikpaper.format import significant

ARM = ikpaper.PlanarArm.paper(dof=4)


class Handwritten:
    """All that a sampler of somebody else's has."""

    def sample(self, tcp, n, *, generator=None):
        tcp = torch.as_tensor(tcp, dtype=torch.float64).reshape(-1, 2)
        return 0.2 * torch.randn(len(tcp), n, 4, generator=generator, dtype=torch.float64)


@pytest.fixture(scope="module", autouse=True)
def without_classifiers():
    """They take most of the time, and tests of a task train one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(comparison, "CHECK_TARGETS", 0)
        yield


@pytest.fixture(scope="module")
def compared():
    return benchmark(Handwritten(), dof=4, targets=2)


def test_a_sampler_stands_beside_the_published_ones(compared):
    assert list(compared.table["sampler"])[:3] == ["Handwritten", "exact", "rejection"]
    published = results(dof=4)
    rows = published[(published["at"] == "random") & (published["samples"] == 1000)]
    pd.testing.assert_frame_equal(
        compared.table.iloc[1:][list(rows.columns)].reset_index(drop=True),
        rows.reset_index(drop=True),
        check_dtype=False,
    )
    assert len(compared.scores.targets) == 2


def test_a_result_prints_as_a_table_in_a_terminal_and_in_a_notebook(compared):
    assert "Handwritten" in str(compared)
    assert "MMD² to exact" in str(compared)
    assert str(compared) == repr(compared)
    assert "<td>Handwritten</td>" in compared._repr_html_()
    assert compared._repr_html_().count("<tr") == len(compared.table) + 1


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252"])
def test_a_result_prints_where_output_knows_few_characters(compared, encoding, monkeypatch):
    output = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    monkeypatch.setattr(sys, "stdout", output)
    print(compared)
    output.flush()
    assert b"Handwritten" in output.buffer.getvalue()


@pytest.mark.parametrize(
    ("encoding", "error"),
    [("utf-8", "1.2\xa0·\xa010⁻⁹"), ("ascii", "1.2e-9"), ("latin-1", "1.2e-9")],
)
def test_a_terminal_gets_numbers_that_it_can_show(encoding, error, monkeypatch):
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO(), encoding=encoding))
    cells = pd.DataFrame({"sampler": ["s"], "error": [significant(1.2e-9, 2)]})
    assert terminal_text(cells).split("\n")[1].split(None, 1) == ["s", error]


def test_published_rows_stand_beside_no_other_problem():
    settings = {"targets": 2, "samples": 50}
    for result in (
        benchmark(Handwritten(), dof=4, **settings),
        benchmark(Handwritten(), dof=4, kernel="squared", targets=2),
        benchmark(Handwritten(), dof=4, sigma=0.3, targets=2),
        benchmark(Handwritten(), arm=ikpaper.PlanarArm([0.6, 0.5, 0.5, 1.0]), targets=2),
    ):
        assert len(result.table) == 1


@pytest.mark.parametrize("sigma", [np.full(4, 0.2), torch.full((4,), 0.2), [0.2] * 4])
def test_the_published_prior_in_another_form_is_the_same(sigma, compared):
    found = benchmark(Handwritten(), dof=4, sigma=sigma, targets=2)
    assert len(found.table) == len(compared.table)
    assert found.table["mmd2"][0] == compared.table["mmd2"][0]


@pytest.mark.filterwarnings("ignore:.* have not converged")
def test_refinement_is_told(compared):
    refined = benchmark(Handwritten(), dof=4, refine=3, targets=2, name="mine")
    assert "mine, refine=3" in str(refined)
    assert refined.table["e_resim"][0] < compared.table["e_resim"][0]


def test_a_registered_sampler_goes_by_its_name():
    found = benchmark(ikpaper.Prior(ARM), arm=ARM, targets=2, samples=20, name=None)
    assert list(found.table["sampler"]) == ["prior"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "either dof or arm"),
        ({"dof": 4, "arm": ARM}, "either dof or arm"),
        ({"dof": 5}, "4, 6, 8, 10"),
        ({"dof": 4, "targets": 0}, r"targets: .* got 0"),
        ({"dof": 4, "refine": -1}, r"refine: .* got -1"),
        ({"dof": 4, "sigma": (0.2, 0.3)}, r"sigma: .* got 2"),
        ({"dof": 4, "kernel": "none"}, "kernel"),
    ],
)
def test_bad_input_is_refused_before_anything_is_drawn(arguments, message, monkeypatch):
    monkeypatch.setattr(Task, "draw", lambda *_: pytest.fail("drew samples"))
    with pytest.raises(ValueError, match=message):
        benchmark(Handwritten(), **arguments)


def test_what_is_no_sampler_is_refused():
    with pytest.raises(ValueError, match="sampler: expected an object with a method sample"):
        benchmark(lambda tcp, n: None, dof=4, targets=2)


def test_there_are_no_other_tables():
    with pytest.raises(FileNotFoundError, match="none"):
        results("none")


ROW = {
    "sampler": "s",
    "targets": 1000,
    "samples": 1000,
    "mmd2": 0.002,
    "mmd2_low": 0.001,
    "mmd2_high": 0.003,
    "e_resim": 1e-9,
    "e_resim_worst": 1e-8,
    "missed": 0,
    "samples_per_second": 12345.0,
}


@pytest.mark.parametrize(
    ("missed", "text"), [(0, "100\xa0%"), (3, "all but 3"), (2000, "99.8\xa0%"), (10**6, "0\xa0%")]
)
def test_samples_that_miss_are_never_rounded_away(missed, text):
    assert as_text(pd.DataFrame([{**ROW, "missed": missed}]))["on target"].item() == text


def test_cells_have_separators_and_missing_ones_are_dashes():
    row = as_text(pd.DataFrame([ROW])).iloc[0]
    assert (row["targets"], row["samples/s"], row["C2ST"]) == ("1,000", "12,000", "–")
