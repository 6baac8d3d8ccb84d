import jupytext
import nbformat
import pandas as pd
import papermill.cli
import pytest

from ikpaper.profiles import get_profile
from ikpaper.report import Outputs, outputs, parameters
from ikpaper.report.outputs import NARROW
from ikpaper.report.plots.style import new_figure, new_grid, style


@pytest.mark.parametrize(
    ("name", "given", "value"),
    [
        *[("train", text, True) for text in (True, 1, 1.0, "true", "True", "yes", "1")],
        *[("train", text, False) for text in (False, 0, "false", "no", "No", "0")],
        *[("dof", number, 6) for number in (6, 6.0, "6", "6.0")],
        ("profile", "smoke", get_profile("smoke")),
        ("model", "inn", "inn"),
        ("book", "", ""),
    ],
)
def test_parameters_are_read_as_papermill_passes_them(name, given, value):
    read = getattr(parameters(**{name: given}), name)
    assert read == value
    assert type(read) is type(value)


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("train", "maybe"),
        ("train", 2),
        ("train", None),
        ("dof", 6.5),
        ("dof", "six"),
        ("dof", True),
        ("dof", float("inf")),
        ("dof", -1),
        ("profile", "large"),
        ("profile", 3),
        ("model", "rnn"),
        ("book", 3),
    ],
)
def test_a_parameter_of_another_kind_is_refused_by_name(name, given):
    with pytest.raises(ValueError, match=f"^{name}: "):
        parameters(**{name: given})


def test_an_unknown_parameter_is_refused_by_name():
    with pytest.raises(ValueError, match="unknown parameter 'trian'; known: dof, "):
        parameters(trian=True)


NOTEBOOK = """# %% tags=["parameters"]
dof = 6
train = False

# %%
from ikpaper.report import parameters
given = parameters(dof=dof, train=train)
print(given.dof, given.train)
"""


@pytest.mark.parametrize(
    ("options", "printed"),
    [
        (["-p", "train", "false"], "6 False"),
        (["-p", "train", "no"], "6 False"),
        (["-p", "train", "True"], "6 True"),
        (["-p", "dof", "6.0"], "6 False"),
    ],
)
def test_papermills_command_line_is_understood(options, printed, tmp_path):
    notebook = jupytext.reads(NOTEBOOK, fmt="py:percent")
    notebook.metadata["kernelspec"] = {
        "name": "python3",
        "display_name": "Python 3",
        "language": "python",
    }
    nbformat.write(notebook, tmp_path / "in.ipynb")
    paths = [str(tmp_path / name) for name in ("in.ipynb", "out.ipynb")]
    arguments = [*paths, *options, "--no-progress-bar", "--log-level", "ERROR"]
    papermill.cli.papermill.main(arguments, standalone_mode=False)
    executed = nbformat.read(paths[1], as_version=4)
    assert executed.cells[-1].outputs[0].text.strip() == printed


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
        Outputs(tmp_path).figure(figure, name, png=True)
        return [(tmp_path / "figures" / f"{name}.{kind}").read_bytes() for kind in ("svg", "png")]

    assert draw("a") == draw("b")
    assert draw("a")[1].startswith(b"\x89PNG")


def test_a_missing_result_names_the_command(tmp_path, monkeypatch):
    monkeypatch.setattr(outputs, "project_root", lambda: tmp_path)
    with pytest.raises(FileNotFoundError, match=r"scaling\.csv is missing; .* ikpaper scaling"):
        Outputs().read("scaling")
    with pytest.raises(FileNotFoundError, match=r"no-such\.csv is missing; .* ikpaper report"):
        Outputs(tmp_path).read("no-such")


def test_results_of_all_arms_are_of_one_profile(tmp_path):
    out = Outputs(tmp_path)
    for dof in (4, 6, 8, 10):
        out.result(pd.DataFrame({"dof": [dof], "profile": ["smoke"]}), f"scores-{dof:02d}")
    assert out.read_arms("scores", "smoke")["dof"].tolist() == [4, 6, 8, 10]
    out.result(pd.DataFrame({"dof": [6], "profile": ["quick"]}), "scores-06")
    with pytest.raises(ValueError, match="of profile quick, expected smoke; run: ikpaper report"):
        out.read_arms("scores", "smoke")


@style
def drawn():
    figure, _ = new_grid(2)
    return figure


def test_a_figure_is_saved_for_narrow_screens_too(tmp_path):
    shown = Outputs(tmp_path).figure(drawn(), "a")._repr_mimebundle_()
    assert sorted(path.name for path in tmp_path.glob("*/*")) == ["a-narrow.svg", "a.svg"]
    assert shown == {"image/svg+xml": (tmp_path / "figures" / "a.svg").read_text()}
    # Without a name, the page that is made of the notebook names it.
    bundle = Outputs(tmp_path).figure(drawn())._repr_mimebundle_()
    assert bundle[NARROW] == (tmp_path / "figures" / "a-narrow.svg").read_text()
    assert list(Outputs().figure(drawn())._repr_mimebundle_()) == ["image/svg+xml"]


def test_a_number_for_the_text_has_a_key_of_its_own():
    out = Outputs()
    out.number("rejected", "5 %")
    with pytest.raises(ValueError, match="key: this page has a number 'rejected' already"):
        out.number("rejected", "7 %")
    out.numbers({"passed": "95 %"}, {})
    with pytest.raises(ValueError, match="'passed'"):
        out.numbers({"found": "3"}, {"passed": "1"})
