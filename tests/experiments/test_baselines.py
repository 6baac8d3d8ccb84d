import re
import sys
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest
import torch

import ikpaper
from ikpaper.cli import main
from ikpaper.evaluation import Task
from ikpaper.experiments import baselines
from ikpaper.experiments.baselines import BASELINES, COLUMNS, experiment, train_baseline
from ikpaper.profiles import get_profile
from ikpaper.samplers import SbiSampler

ROOT = Path(__file__).resolve().parents[2]
ARM = ikpaper.PlanarArm.paper(dof=4)


class Posterior:
    """Draws from a distribution, with what sbi's posteriors have."""

    def __init__(self, distribution):
        self.distribution = distribution

    def sample_batched(self, shape, x, *, show_progress_bars):
        assert not show_progress_bars
        return self.distribution.sample((*shape, len(x)))


class Trainer:
    """Counts epochs as sbi does."""

    converges = 1000

    def __init__(self, prior, *, tracker, show_progress_bars):
        self.prior = prior
        self.summary = {"epochs_trained": []}
        type(self).last = self

    def append_simulations(self, theta, tcp):
        assert (theta.dtype, tcp.dtype) == (torch.float32, torch.float32)
        self.tcp = tcp
        return self

    def train(self, *, max_num_epochs):
        assert max_num_epochs >= 1
        torch.rand(3)
        self.summary["epochs_trained"].append(min(max_num_epochs + 1, self.converges))
        return torch.nn.Linear(2, 3)

    def build_posterior(self):
        return Posterior(self.prior)


@pytest.fixture
def without_sbi(monkeypatch):
    """Stands for sbi."""
    trainer = type("Trainer", (Trainer,), {})
    library = SimpleNamespace(inference=SimpleNamespace(NPE=trainer, FMPE=trainer))
    monkeypatch.setattr(baselines, "import_sbi", lambda: library)
    monkeypatch.setattr(
        baselines, "version", lambda name: "0.0" if name == "sbi" else ikpaper.__version__
    )
    return trainer


def test_training_takes_the_epochs_asked_for(without_sbi):
    _, trained = train_baseline("npe", ARM, epochs=5, profile="smoke")
    assert (trained["epochs"], trained["parameters"]) == (5, 9)
    _, usual = train_baseline("fmpe", ARM, profile="smoke")
    assert usual["epochs"] == BASELINES["fmpe"][1]


def test_a_baseline_that_converges_is_done(without_sbi):
    without_sbi.converges = 7
    _, trained = train_baseline("fmpe", ARM, epochs=100, profile="smoke")
    assert trained["epochs"] == 7


def test_the_seed_decides_the_training(without_sbi):
    def weights(**options):
        train = without_sbi.train
        found = []

        def kept(self, **arguments):
            network = train(self, **arguments)
            found.append(network.weight.detach().clone())
            return network

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(without_sbi, "train", kept)
            train_baseline("npe", ARM, profile="smoke", **options)
        return found[0]

    usual = get_profile("smoke").seed
    assert torch.equal(weights(), weights(seed=usual))
    assert not torch.equal(weights(), weights(seed=usual + 1))


def test_baselines_learn_from_the_data_set_with_its_prior(without_sbi):
    train_baseline("npe", ARM, profile="smoke")
    profile = get_profile("smoke")
    assert len(without_sbi.last.tcp) == profile.training_samples
    assert without_sbi.last.prior.stddev == pytest.approx([profile.sigma] * 4)


@pytest.mark.parametrize(
    ("name", "epochs", "message"),
    [
        ("maf", 2, "unknown baseline 'maf'; known: npe, fmpe"),
        ("npe", 1, "epochs: .* at least 2, got 1"),
        ("npe", 2.5, "epochs: .* got 2.5"),
    ],
)
def test_bad_input_is_refused(without_sbi, name, epochs, message):
    with pytest.raises(ValueError, match=message):
        train_baseline(name, ARM, epochs=epochs, profile="smoke")


def test_samples_come_from_the_generator_alone(without_sbi):
    before = torch.get_rng_state()
    sampler, _ = train_baseline("npe", ARM, profile="smoke")
    draw = partial(sampler.sample, [[2.2, 0.3], [2.1, -0.3]], 5)
    first, second = (draw(generator=torch.Generator().manual_seed(1)) for _ in range(2))
    assert first.shape == (2, 5, 4)
    assert torch.equal(first, second)
    assert not torch.equal(first, draw(generator=torch.Generator().manual_seed(2)))
    assert torch.equal(torch.get_rng_state(), before)
    assert not torch.equal(draw(), draw())
    assert sampler.sample([2.2, 0.3], 5).shape == (5, 4)
    with pytest.raises(ValueError, match=r"radii from 0 to 2\.5"):
        sampler.sample([9.0, 0.0], 5)


@pytest.fixture
def small(project, without_sbi):
    """Opens the small experiment of one arm anew, as another process would."""
    return lambda: experiment([4], targets=2, trainings=[(1, 42)], profile="smoke")


def test_every_sampler_has_a_row_and_is_scored_once(small, monkeypatch, capsys):
    rows = small().run()
    assert list(rows.columns) == list(COLUMNS)
    assert list(rows["sampler"]) == ["exact", "flow", "npe", "fmpe"]
    assert rows["mmd2"].notna().all()
    assert list(rows["library"].str.split().str[0]) == ["ikpaper", "ikpaper", "sbi", "sbi"]
    assert "[3/4] npe 4 DoF, 17 epochs, seed 42: MMD² to exact" in capsys.readouterr().err
    monkeypatch.setattr(Task, "score", lambda *_, **__: pytest.fail("scored again"))
    again = small().run()
    pd.testing.assert_frame_equal(again, rows, check_exact=False, check_dtype=False)


def test_what_is_measured_survives_what_comes_after(small, monkeypatch):
    complete = baselines.train_baseline

    def interrupted(name, *arguments, **options):
        if name == "fmpe":
            raise KeyboardInterrupt
        return complete(name, *arguments, **options)

    monkeypatch.setattr(baselines, "train_baseline", interrupted)
    with pytest.raises(KeyboardInterrupt):
        small().run()
    first = pd.read_csv(small().table.path)
    assert list(first["sampler"]) == ["exact", "flow", "npe"]
    monkeypatch.setattr(baselines, "train_baseline", complete)
    found = small().run()
    assert list(found["samples_per_second"].iloc[:3]) == list(first["samples_per_second"])


def test_other_epochs_train_the_baselines_again_and_nothing_else():
    keys = [
        [job.identity.key for job in experiment([4], profile="smoke", epochs=epochs).jobs]
        for epochs in (3, 4)
    ]
    assert [a == b for a, b in zip(*keys, strict=True)] == [True, True, False, False]


def test_longer_trainings_and_other_seeds_have_rows_of_their_own(project, without_sbi):
    trainings = [(1, 42), (2, 42), (2, 43)]
    shown = experiment([4], targets=2, trainings=trainings, profile="smoke")
    rows = shown.run().query("sampler == 'npe'")
    usual = BASELINES["npe"][1]
    assert list(rows["most_epochs"]) == list(rows["epochs"]) == [usual, 2 * usual, 2 * usual]
    assert list(rows["training_seed"]) == [42, 42, 43]
    assert rows["key"].is_unique
    # A training of the usual length from the usual seed is identified as if it were the only one.
    alone = experiment([4], targets=2, trainings=[(1, 42)], profile="smoke")
    assert {job.identity.key for job in alone.jobs} < {job.identity.key for job in shown.jobs}


def test_fresh_trains_our_model_again_too(small, project):
    def written():
        (path,) = project.rglob("flow-04dof-*.safetensors")
        return path.stat().st_mtime_ns

    small().run()
    first = written()
    small().run()
    assert written() == first
    small().run(fresh=True)
    assert written() > first


def test_other_profiles_and_epochs_have_tables_of_their_own():
    paths = [
        experiment(epochs=epochs, profile=profile).table.path
        for epochs, profile in ((None, "paper"), (None, "smoke"), (3, "paper"))
    ]
    assert [path.name for path in paths] == [
        "baselines.csv",
        "baselines-smoke.csv",
        "baselines-paper-3-epochs.csv",
    ]
    assert [path.parent.name for path in paths] == ["results", ".cache", ".cache"]


def test_command(project, without_sbi, capsys):
    command = ["baselines", "--dof", "4", "--profile", "smoke", "--targets", "2"]
    assert main([*command, "--epochs", "2"]) == 0
    assert re.search(r"4 DoF\n.*training .*\n.*exact .*\n.*flow.*\n", capsys.readouterr().out)
    assert main([*command, "--epochs", "-1"]) == 1
    assert "baselines: epochs: expected" in capsys.readouterr().err


def test_without_sbi_the_command_says_how_to_install_it(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "sbi", None)
    assert main(["baselines", "--dof", "6"]) == 1
    error = capsys.readouterr().err
    assert "pip install -r requirements-baselines.lock" in error
    assert error.count("\n") == 1


@pytest.fixture
def sbi(tmp_path, monkeypatch):
    """The library itself, in a working directory of its own."""
    pytest.importorskip("sbi")
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("name", BASELINES)
def test_trained_baselines_heed_the_target_and_leave_nothing_behind(name, sbi, tmp_path, capsys):
    before = torch.get_rng_state()
    trained, again = (train_baseline(name, ARM, epochs=20, profile="smoke") for _ in range(2))
    assert torch.equal(torch.get_rng_state(), before)
    assert capsys.readouterr() == ("", "")
    assert list(tmp_path.iterdir()) == []
    (sampler, origin), (other, its_origin) = trained, again
    assert origin["epochs"] == its_origin["epochs"] <= 20
    task = Task.random(ARM, 8, samples=50)
    assert torch.equal(task.draw(sampler), task.draw(other))
    assert not sampler.sample(task.tcp, 2).requires_grad
    found, prior = (task.score(s).mean("e_resim") for s in (sampler, ikpaper.Prior(ARM)))
    assert found < prior


def test_the_example_of_the_page_runs(sbi, monkeypatch, capsys):
    page = (ROOT / "notebooks" / "benchmark.py").read_text()
    text = re.sub(r"^# ?", "", page, flags=re.M)
    (example,) = (code for code in re.findall(r"```python\n(.*?)```", text, re.S) if "sbi" in code)
    code = example.replace("100_000", "600").replace("max_num_epochs=20", "max_num_epochs=1")
    assert code.count("600") == code.count("=1)") == 1
    monkeypatch.setattr(ikpaper, "benchmark", partial(ikpaper.benchmark, targets=2, samples=20))
    exec(code, {})
    assert "NPE" in capsys.readouterr().out


def test_any_posterior_of_sbi_is_a_sampler():
    distribution = torch.distributions.MultivariateNormal(torch.zeros(4), torch.eye(4))
    sampler = SbiSampler(ARM, Posterior(distribution))
    assert isinstance(sampler, ikpaper.Sampler)
    assert sampler.sample([2.2, 0.3], 3).shape == (3, 4)
