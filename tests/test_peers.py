import itertools
import re
import sys
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest
import torch

import ikpaper
from ikpaper import judging, peers, tables
from ikpaper.cli import main
from ikpaper.evaluation import evaluate
from ikpaper.judging import random_targets
from ikpaper.peers import COLUMNS, SbiSampler, as_text, benchmark_peers, train_peer
from ikpaper.profiles import get_profile

ROOT = Path(__file__).resolve().parents[1]
ARM = ikpaper.PlanarArm.paper(dof=4)


class Posterior:
    """Draws from a distribution, with what sbi's posteriors have."""

    def __init__(self, distribution):
        self.distribution = distribution

    def sample_batched(self, shape, x, *, max_sampling_batch_size, show_progress_bars):
        assert max_sampling_batch_size * len(x) <= 100_000
        assert not show_progress_bars
        return self.distribution.sample((*shape, len(x)))


class Trainer:
    """Counts epochs as sbi does, and lets a clock go on by what an epoch takes."""

    takes, converges = itertools.repeat(0.01), 1000

    def __init__(self, prior, *, tracker, show_progress_bars):
        self.prior, self.epoch, self.limits = prior, 0, []
        self.summary = {"epochs_trained": []}
        type(self).last = self

    def append_simulations(self, theta, tcp):
        assert (theta.dtype, tcp.dtype) == (torch.float32, torch.float32)
        self.tcp = tcp
        return self

    def train(self, *, max_num_epochs, resume_training, calibration_kernel):
        assert max_num_epochs >= 1
        assert resume_training == bool(self.epoch)
        self.limits.append(max_num_epochs)
        while self.epoch <= max_num_epochs and self.epoch < self.converges:
            self.clock.now += next(self.takes)
            assert torch.equal(calibration_kernel(self.tcp), torch.ones(len(self.tcp)))
            torch.rand(3)
            self.epoch += 1
        self.summary["epochs_trained"].append(self.epoch)
        return torch.nn.Linear(2, 3)

    def build_posterior(self):
        return Posterior(self.prior)


@pytest.fixture
def without_sbi(monkeypatch):
    """Stands for sbi, with a clock that only its training moves."""
    clock = SimpleNamespace(now=100.0)
    trainer = type("Trainer", (Trainer,), {"clock": clock})
    library = SimpleNamespace(
        inference=SimpleNamespace(NPE=trainer, FMPE=trainer), __version__="0.0"
    )
    monkeypatch.setattr(peers, "_import_sbi", lambda: library)
    monkeypatch.setattr(peers, "time", SimpleNamespace(monotonic=lambda: clock.now))
    return trainer


def test_training_ends_with_the_epoch_in_which_the_clock_runs_out(without_sbi):
    without_sbi.takes = itertools.repeat(10.0)
    seen = []
    peer = train_peer("npe", ARM, 35.0, profile="smoke", watch=seen.append)
    assert (peer.epochs, peer.seconds, peer.parameters) == (4, 40.0, 9)
    assert without_sbi.last.limits == [1, 3]
    assert seen == [10.0, 20.0, 30.0, 40.0]


def test_epochs_that_get_faster_are_followed_by_more(without_sbi):
    without_sbi.takes = itertools.chain([12.0, 12.0], itertools.repeat(10.0))
    peer = train_peer("npe", ARM, 100.0, profile="smoke")
    assert (peer.epochs, peer.seconds) == (10, 104.0)
    assert without_sbi.last.limits == [1, 8, 9]


def test_a_peer_that_converges_is_done(without_sbi):
    without_sbi.takes, without_sbi.converges = itertools.repeat(1.0), 7
    peer = train_peer("fmpe", ARM, 100.0, profile="smoke")
    assert (peer.epochs, peer.seconds) == (7, 7.0)
    assert without_sbi.last.limits == [1, 99]


def test_a_clock_that_is_too_short_gives_two_epochs(without_sbi):
    assert train_peer("npe", ARM, 1e-6, profile="smoke").epochs == 2


def test_peers_learn_from_the_data_set_with_its_prior(without_sbi):
    train_peer("npe", ARM, 1e-6, profile="smoke")
    profile = get_profile("smoke")
    assert len(without_sbi.last.tcp) == profile.training_samples
    assert without_sbi.last.prior.stddev == pytest.approx([profile.sigma] * 4)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("maf", ARM, 1.0), "unknown peer 'maf'; known: npe, fmpe"),
        (("npe", ARM, 0.0), "seconds: .* got 0"),
        (("npe", ARM, float("inf")), "seconds: .* got inf"),
    ],
)
def test_bad_input_is_refused(without_sbi, arguments, message):
    with pytest.raises(ValueError, match=message):
        train_peer(*arguments, profile="smoke")


def test_samples_come_from_the_generator_alone(without_sbi):
    before = torch.get_rng_state()
    sampler = train_peer("npe", ARM, 1e-6, profile="smoke").sampler
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
def settings(tmp_path, without_sbi, monkeypatch):
    """Of a benchmark of one arm."""
    complete = judging.judge
    monkeypatch.setattr(
        judging, "judge", lambda *a, **k: complete(*a, **{**k, "samples": 20, "c2st_targets": 0})
    )
    return {
        "dofs": [4],
        "targets": 2,
        "profile": "smoke",
        "table": tmp_path / "t.csv",
        "directory": tmp_path,
    }


def test_every_sampler_has_a_row_and_is_judged_once(settings, monkeypatch, capsys):
    rows = benchmark_peers(**settings)
    assert list(rows.columns) == list(COLUMNS)
    assert list(rows["sampler"]) == ["exact", "flow", "npe", "fmpe"]
    assert rows["mmd2"].notna().all()
    ours, npe = rows.iloc[1], rows.iloc[2]
    # The clock is that of our training; one more epoch at most.
    assert ours["training_seconds"] <= npe["training_seconds"] < ours["training_seconds"] + 0.02
    assert list(rows["library"].str.split().str[0]) == ["ikpaper", "ikpaper", "sbi", "sbi"]
    told = capsys.readouterr().err
    assert "[1/1] flow 4 DoF, smoke, seed 42: training loss" in told
    assert "[3/4] npe 4 DoF: MMD² to exact" in told
    shown = as_text(rows)
    assert shown["training"].iloc[0] == "–"
    assert re.fullmatch(r"0:0\d in \d+ epochs", shown["training"].iloc[2])
    monkeypatch.setattr(judging, "judge", lambda *_, **__: pytest.fail("judged again"))
    again = benchmark_peers(**settings)
    pd.testing.assert_frame_equal(again, rows, check_exact=False, check_dtype=False)


def test_what_is_measured_survives_what_comes_after(settings, monkeypatch):
    complete = peers.train_peer

    def interrupted(name, *arguments, **options):
        if name == "fmpe":
            raise KeyboardInterrupt
        return complete(name, *arguments, **options)

    monkeypatch.setattr(peers, "train_peer", interrupted)
    with pytest.raises(KeyboardInterrupt):
        benchmark_peers(**settings)
    first = pd.read_csv(settings["table"])
    assert list(first["sampler"]) == ["exact", "flow", "npe"]
    # Rows of other arms and of other numbers of targets stay.
    pd.concat([first, first.assign(dof=6)]).to_csv(settings["table"], index=False)
    monkeypatch.setattr(peers, "train_peer", complete)
    found = benchmark_peers(**settings)
    assert list(found["samples_per_second"].iloc[:3]) == list(first["samples_per_second"])
    benchmark_peers(**{**settings, "targets": 1})
    kept = pd.read_csv(settings["table"])
    assert list(kept["dof"]) == [4] * 8 + [6] * 3
    assert list(kept["sampler"].iloc[:4]) == ["exact", "exact", "flow", "flow"]


def test_another_clock_trains_the_peers_again(settings):
    first = benchmark_peers(**settings, seconds=1.0)
    second = benchmark_peers(**settings, seconds=2.0)
    same = first["key"] == second["key"]
    assert same.tolist() == [True, True, False, False]
    assert len(pd.read_csv(settings["table"])) == 4


def test_fresh_trains_our_model_again_too(settings):
    def written():
        (path,) = settings["directory"].rglob("flow-04dof-*.safetensors")
        return path.stat().st_mtime_ns

    benchmark_peers(**settings)
    first = written()
    benchmark_peers(**settings)
    assert written() == first
    benchmark_peers(**settings, fresh=True)
    assert written() > first


def test_other_profiles_and_clocks_have_tables_of_their_own(settings, monkeypatch, tmp_path):
    for module in (tables, peers):
        monkeypatch.setattr(module, "project_root", lambda: tmp_path)
    del settings["table"], settings["directory"]
    benchmark_peers(**settings)
    benchmark_peers(**settings, seconds=1.0)
    assert sorted(path.name for path in tmp_path.glob(".cache/*")) == [
        "peers",
        "peers-1s-smoke.csv",
        "peers-smoke.csv",
    ]
    assert not (tmp_path / "book").exists()


def test_command(settings, monkeypatch, capsys):
    monkeypatch.setattr(peers, "results_path", lambda *_, **__: settings["table"])
    monkeypatch.setattr(peers, "project_root", lambda: settings["directory"])
    command = ["peers", "--dof", "4", "--profile", "smoke", "--targets", "2"]
    assert main([*command, "--seconds", "1"]) == 0
    assert re.search(r"4 DoF\n.*training .*\n.*exact .*\n.*flow .*\n", capsys.readouterr().out)
    assert main([*command, "--seconds", "-1"]) == 1
    assert "peers: seconds: expected" in capsys.readouterr().err


def test_without_sbi_the_command_says_how_to_install_it(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "sbi", None)
    assert main(["peers", "--dof", "6"]) == 1
    error = capsys.readouterr().err
    assert "pip install -r requirements-peers.lock" in error
    assert error.count("\n") == 1


@pytest.fixture
def sbi(tmp_path, monkeypatch):
    """The library itself, in a working directory of its own."""
    pytest.importorskip("sbi")
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("name", peers.PEERS)
def test_trained_peers_heed_the_target_and_leave_nothing_behind(
    name, sbi, tmp_path, monkeypatch, capsys
):
    ticks = itertools.count()
    monkeypatch.setattr(peers, "time", SimpleNamespace(monotonic=lambda: next(ticks)))
    before = torch.get_rng_state()
    # Ticks of a clock are training and validation batches: 6 and 1 an epoch, for either.
    peer, again = (train_peer(name, ARM, 150, profile="smoke") for _ in range(2))
    assert torch.equal(torch.get_rng_state(), before)
    assert capsys.readouterr() == ("", "")
    assert list(tmp_path.iterdir()) == []
    assert 150 / 8 < peer.epochs == again.epochs < 150 / 5
    assert 150 <= peer.seconds < 160
    tcp = random_targets(ARM, 8)
    generators = [torch.Generator().manual_seed(3) for _ in range(2)]
    theta, same = (
        side.sampler.sample(tcp, 50, generator=generator)
        for side, generator in zip((peer, again), generators, strict=True)
    )
    assert torch.equal(theta, same)
    assert not theta.requires_grad
    truth = ikpaper.ExactPosterior(ARM).sample(tcp, 50)
    scores = evaluate(peer.sampler, tcp, truth, arm=ARM).mean()
    prior = evaluate(ikpaper.Prior(ARM), tcp, truth, arm=ARM).mean()
    assert scores["resimulation_error"] < prior["resimulation_error"]


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
