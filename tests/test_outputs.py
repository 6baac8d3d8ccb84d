import pandas as pd
import pytest

from ikpaper import outputs
from ikpaper.outputs import Outputs, significant, with_interval
from ikpaper.plots.style import new_figure
from ikpaper.progress import Progress, duration


@pytest.mark.parametrize(
    ("value", "digits", "text"),
    [
        (0.012345, 3, "0.0123"),
        (123456.7, 3, "123,457"),
        (1.0, 2, "1.0"),
        (9.999, 3, "10.00"),
        (1.234e-7, 3, "1.23e-7"),
        (-4.4e-5, 2, "-4.4e-5"),
        (0.0, 3, "0"),
        (float("nan"), 3, "–"),
    ],
)
def test_significant(value, digits, text):
    assert significant(value, digits) == text


def test_with_interval():
    assert with_interval(0.0123, 0.0110, 0.0136) == "0.0123 (0.011 to 0.014)"


def test_without_a_folder_nothing_is_saved(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    frame = pd.DataFrame({"a": [1]})
    out = Outputs("")
    assert out.result(frame, "x") is frame
    out.figure(new_figure(), "x")
    assert not list(tmp_path.iterdir())


def test_results_tables_and_figures_have_their_folders(tmp_path):
    out = Outputs(tmp_path)
    out.result(pd.DataFrame({"a": [0.1]}), "x")
    out.table(pd.DataFrame({"a": ["one"]}), "y")
    out.figure(new_figure(), "z")
    made = sorted(str(p.relative_to(tmp_path)) for p in tmp_path.glob("*/*"))
    assert made == ["figures/z.svg", "results/x.csv", "tables/y.csv"]
    assert out.read("x")["a"].tolist() == [0.1]


def test_equal_figures_are_equal_files(tmp_path):
    def draw(name):
        figure = new_figure()
        figure.subplots().plot([1, 2, 3], label="$x^2$")
        Outputs(tmp_path).figure(figure, name)
        return (tmp_path / "figures" / f"{name}.svg").read_bytes()

    assert draw("a") == draw("b")


def test_a_missing_result_names_the_command(tmp_path, monkeypatch):
    monkeypatch.setattr(outputs, "project_root", lambda: tmp_path)
    with pytest.raises(FileNotFoundError, match=r"peers\.csv is missing; .* ikpaper peers"):
        Outputs().read("peers")
    with pytest.raises(FileNotFoundError, match=r"no-such\.csv is missing; .* ikpaper report"):
        Outputs(tmp_path).read("no-such")


def test_progress_extrapolates_from_what_was_worked(capsys):
    progress = Progress(10.0, every=0.0)
    progress.skip(5.0)
    progress.advance(2.5, "halfway")
    progress.say("done")
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith(" 75%  halfway  [0:00 gone, 0:00 left]")
    assert lines[1] == "done"


@pytest.mark.parametrize(("seconds", "text"), [(5, "0:05"), (65, "1:05"), (3661, "1:01:01")])
def test_duration(seconds, text):
    assert duration(seconds) == text


def test_results_of_all_arms_are_of_one_profile(tmp_path):
    out = Outputs(tmp_path)
    for dof in (4, 6, 8, 10):
        out.result(pd.DataFrame({"dof": [dof], "profile": ["smoke"]}), f"scores-{dof:02d}")
    assert out.read_arms("scores", "smoke")["dof"].tolist() == [4, 6, 8, 10]
    out.result(pd.DataFrame({"dof": [6], "profile": ["quick"]}), "scores-06")
    with pytest.raises(ValueError, match="of profile quick, expected smoke; run: ikpaper report"):
        out.read_arms("scores", "smoke")
