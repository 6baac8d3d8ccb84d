"""Peers: posteriors that sbi trains on the same simulations, for as long as ours, judged beside it.

sbi (Boelts et al., 2025) is the reference library of simulation-based inference. It is optional:
nothing here imports it before it is needed.
"""

from __future__ import annotations

import contextlib
import io
import math
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import pandas as pd
import torch
from torch import Generator, Tensor

from ikpaper import judging
from ikpaper.arm import PlanarArm
from ikpaper.dataset import profile_dataset
from ikpaper.files import digest, project_root, sources
from ikpaper.posterior import ExactPosterior
from ikpaper.profiles import PUBLISHED, Profile, get_profile
from ikpaper.progress import Progress, duration
from ikpaper.sampler import (
    PosteriorSampler,
    Sampler,
    check_count,
    check_positive,
    check_sigma,
)
from ikpaper.tables import ResultTable, results_path
from ikpaper.training import TrainingRun, train_all
from ikpaper.weights import environment, load_with_record

if TYPE_CHECKING:
    from ikpaper.arm import TensorLike

__all__ = ["COLUMNS", "PEERS", "Peer", "SbiSampler", "as_text", "benchmark_peers", "train_peer"]

#: Trainers of `sbi.inference` by the name of their row, each with the network, the batch size and
#: the optimiser that sbi gives it by default: neural posterior estimation, which is a flow trained
#: by maximum likelihood (Greenberg et al., 2019), and flow matching (Wildberger et al., 2023).
PEERS: Mapping[str, str] = MappingProxyType({"npe": "NPE", "fmpe": "FMPE"})

#: Columns of the table, which are the scores, what the training took, and who did it.
COLUMNS = (*judging.COLUMNS, "epochs", "library")

#: Our model that sets the clock.
_OURS = "flow"

#: Rows of an arm, in the order of the table.
_ROWS = ("exact", _OURS, *PEERS)

#: Modules whose code decides the rows, besides those that score and the sampler's own.
_SOURCES = ("dataset", "peers")

#: Seconds that it takes to judge a target, roughly, for the time left.
_JUDGING = {"exact": 0.7, _OURS: 1.5, "npe": 0.6, "fmpe": 1.5}

#: Samples that sbi draws at a time: its default, and the bound to which it lowers that with a
#: warning, over all targets.
_DRAWN, _DRAWN_IN_ALL = 10_000, 100_000

#: What sbi warns of and is meant: the targets crowd near full reach, and the clock ends training.
_MEANT = ("Data has extreme outliers", "Maximum number of epochs")


@dataclass(frozen=True)
class SbiSampler(PosteriorSampler):
    """A posterior that sbi has trained, on the CPU, as a sampler.

    sbi draws from torch's global generator; here it draws from the generator that it is given,
    and leaves the global one as it was.

    Attributes:
        arm: The arm whose joint angles are sbi's parameters and whose TCPs are its observations.
        posterior: What sbi's `build_posterior()` returns.
    """

    arm: PlanarArm
    posterior: Any

    def _sample(self, tcp: Tensor, n: int, generator: Generator | None) -> Tensor:
        device = None if generator is None else generator.device
        seed = int(torch.randint(2**62, (), generator=generator, device=device))
        with torch.random.fork_rng(devices=[]), torch.no_grad():
            torch.manual_seed(seed)
            theta = self.posterior.sample_batched(
                (n,),
                x=tcp.float(),
                max_sampling_batch_size=min(_DRAWN, max(1, _DRAWN_IN_ALL // len(tcp))),
                show_progress_bars=False,
            )
        return theta.transpose(0, 1)


@dataclass(frozen=True)
class Peer:
    """A trained peer.

    Attributes:
        sampler: Its posterior.
        seconds: What the training took.
        epochs: Passes over its training samples, which are 90 % of ours: sbi validates on the rest.
        parameters: Number of trainable parameters.
    """

    sampler: SbiSampler
    seconds: float
    epochs: int
    parameters: int


def train_peer(
    name: str,
    arm: PlanarArm,
    seconds: float,
    *,
    profile: str | Profile = PUBLISHED,
    watch: Callable[[float], None] = lambda elapsed: None,
) -> Peer:
    """Train a peer on the training samples of a profile until the clock runs out, or it converges.

    sbi is asked for as many epochs as should fill the time, by those before, and for 2 at least:
    a peer has at least the time that it is compared with, and may have some epochs more. An
    interrupted training starts anew. The weights are those of the epoch that validates best, as
    sbi keeps them. Everything that is not said here is sbi's default.

    Args:
        name: Name in `PEERS`.
        arm: The arm.
        seconds: Time to train for.
        profile: Where simulations, prior and seed come from.
        watch: Called with the seconds so far, once a batch.

    Raises:
        ValueError: If there is no such peer, or `seconds` is not finite and positive.
        RuntimeError: If sbi is not installed; the message says how to install it.
    """
    if name not in PEERS:
        raise ValueError(f"unknown peer {name!r}; known: {', '.join(PEERS)}")
    check_positive("seconds", seconds)
    kind = getattr(_import_sbi().inference, PEERS[name])
    profile = get_profile(profile)
    theta, tcp = (part.float() for part in profile_dataset(arm, profile).train)
    spread = torch.tensor(check_sigma(profile.sigma_for(arm), arm.dof))
    prior = torch.distributions.MultivariateNormal(torch.zeros(arm.dof), spread.square().diag())
    with torch.random.fork_rng(devices=[]), _quiet():
        torch.manual_seed(profile.seed)
        start = time.monotonic()

        def weigh(x: Tensor) -> Tensor:
            """All samples alike; sbi asks once a batch."""
            watch(time.monotonic() - start)
            return torch.ones(len(x))

        trainer = kind(prior, tracker=_NoTracker(), show_progress_bars=False)
        trainer.append_simulations(theta, tcp)
        # sbi trains for one epoch more than this, and takes nothing below 1.
        epochs, limit = 0, 1
        while True:
            network = trainer.train(
                max_num_epochs=limit, resume_training=epochs > 0, calibration_kernel=weigh
            )
            epochs, elapsed = trainer.summary["epochs_trained"][-1], time.monotonic() - start
            if epochs <= limit or elapsed >= seconds:
                break
            # All that fits at once: each resumption goes back to the best weights so far, and
            # counts as an epoch without improvement.
            limit = epochs - 1 + math.ceil((seconds - elapsed) * epochs / elapsed)
        posterior = trainer.build_posterior()
    parameters = sum(p.numel() for p in network.parameters() if p.requires_grad)
    return Peer(SbiSampler(arm, posterior), elapsed, epochs, parameters)


def _import_sbi() -> Any:
    try:
        import sbi.inference
    except ImportError as error:
        raise RuntimeError(
            "this needs sbi, which is not installed; install with: "
            "pip install -r requirements-peers.lock"
        ) from error
    return sbi


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without sbi's lines on standard output and the warnings that say what is meant."""
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        for message in _MEANT:
            warnings.filterwarnings("ignore", message)
        yield


class _NoTracker:
    """A tracker of sbi that keeps nothing; by default, sbi leaves a folder `sbi-logs` behind."""

    log_dir = None

    def log_metric(self, name: str, value: float, step: int | None = None) -> None:
        pass

    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        pass

    def log_params(self, params: dict[str, Any]) -> None:
        pass

    def add_figure(self, name: str, figure: Any, step: int | None = None) -> None:
        pass

    def flush(self) -> None:
        pass


def benchmark_peers(
    *,
    dofs: Sequence[int] = PlanarArm.PAPER_DOF,
    seconds: float | None = None,
    targets: int = 1000,
    profile: str | Profile = PUBLISHED,
    fresh: bool = False,
    table: Path | None = None,
    directory: Path | None = None,
) -> pd.DataFrame:
    """Train each peer for as long as `flow` and judge it; the table is written after each row.

    Beside the peers stand the exact posterior and `flow`, judged in the same run at the same
    targets, which are the first of the published benchmark. `flow` is trained here as well,
    as published: a clock of another machine would say nothing. Rows whose settings and code have
    not changed are kept, as are those that this call is not about.

    Args:
        dofs: Which of the paper's arms.
        seconds: Time to train peers for; by default what the training of the arm's `flow` took.
        targets: Number of random targets.
        profile: Where simulations, prior, seed and samples a target come from.
        fresh: Train and judge also what the table has.
        table: File of results; by default `book/results/peers.csv`, and for another profile than
            the published one, or another clock, a file of its own in `.cache/`.
        directory: Folder of the weights of `flow`; by default `.cache/peers/`.

    Returns:
        The rows that this call is about, with `COLUMNS`.

    Raises:
        ValueError: If a number is out of range.
        RuntimeError: If sbi is not installed.
    """
    check_count("targets", targets)
    if seconds is not None:
        check_positive("seconds", seconds)
    _import_sbi()
    profile = get_profile(profile)
    published = profile.name == PUBLISHED and seconds is None
    name = "peers" if seconds is None else f"peers-{seconds:g}s"
    table = table or results_path(name, profile.name, published=published)
    results = ResultTable(table, COLUMNS, ("dof", "sampler", "targets"), {"sampler": _ROWS})
    directory = directory or project_root() / ".cache" / "peers"
    ours = [TrainingRun.of(_OURS, dof, profile=profile) for dof in dofs]
    train_all(ours, directory=directory, fresh=fresh)
    entries = [
        entry for dof in dofs for entry in _entries(dof, seconds, targets, profile, directory)
    ]
    progress = Progress(sum(entry.cost for entry in entries))
    for number, entry in enumerate(entries, 1):
        if entry.key in results and not fresh:
            progress.skip(entry.cost)
            continue
        row = entry.row(progress)
        results.add(row)
        progress.say(
            f"[{number}/{len(entries)}] {entry.label}: MMD² to exact {row['mmd2']:.3g}, "
            f"E‖f(θ) − y‖² {row['e_resim']:.3g}, training {_training(row)}"
        )
    return results.rows(entry.key for entry in entries)


def as_text(
    table: pd.DataFrame,
    columns: Sequence[str] = judging.PRINTED,
    labels: Mapping[str, str] = MappingProxyType({}),
) -> pd.DataFrame:
    """The columns of `judging.as_text`, and what a training took in which library."""
    training = [_training(row) for row in table.to_dict("records")]
    text = judging.as_text(table, columns, labels)
    return text.assign(training=training, library=list(table["library"]))


def _training(row: Mapping[str, Any]) -> str:
    if pd.isna(row.get("training_seconds")):
        return "–"
    return f"{duration(row['training_seconds'])} in {row['epochs']:.0f} epochs"


@dataclass
class _Part:
    """A part of the work, reported by what share of it is done."""

    progress: Progress
    units: float
    note: str
    told: float = 0.0

    def reach(self, share: float) -> None:
        now = self.units * min(share, 1.0)
        self.progress.advance(now - self.told, self.note)
        self.told = now


@dataclass
class _Watched:
    """A sampler that reports for how many targets it has been asked."""

    sampler: Sampler
    asked: Callable[[int], None]
    count: int = 0

    def sample(self, tcp: TensorLike, n: int, *, generator: Generator | None = None) -> Tensor:
        theta = self.sampler.sample(tcp, n, generator=generator)
        self.count += len(theta)
        self.asked(self.count)
        return theta


@dataclass(frozen=True)
class _Entry:
    """One row to measure.

    Attributes:
        name: Of the row.
        arm: The arm.
        profile: Samples a target, and the prior.
        tcp: Targets (N, 2).
        train: Returns the sampler, with the columns that say where it comes from.
        clock: Seconds that `train` takes, roughly.
        decides: What decides the sampler, besides the code of `_SOURCES`.
        code: More files that do.
    """

    name: str
    arm: PlanarArm
    profile: Profile
    tcp: Tensor
    train: Callable[[Progress], tuple[Sampler, dict[str, Any]]]
    clock: float = 0.0
    decides: tuple[Any, ...] = ()
    code: tuple[Path, ...] = ()

    @property
    def label(self) -> str:
        return _label(self.name, self.arm)

    @property
    def judging(self) -> float:
        """Seconds that the judging takes, roughly."""
        return _JUDGING[self.name] * len(self.tcp)

    @property
    def cost(self) -> float:
        return self.clock + self.judging

    @cached_property
    def key(self) -> str:
        """Changes with sampler, training, targets and the code that trains and scores."""
        package, profile = Path(__file__).parent, self.profile
        scoring = (profile.sigma, profile.exact_samples, profile.c2st_targets)
        settings = (self.name, self.arm.lengths, self.tcp.tolist(), scoring)
        files = {package / f"{name}.py" for name in _SOURCES}
        files |= {*judging.scoring_sources(), *self.code}
        return digest(settings, self.decides, files=files)

    def row(self, progress: Progress) -> dict[str, Any]:
        sampler, origin = self.train(progress)
        part = _Part(progress, self.judging, f"{self.label}: judging")
        scores = judging.judge(
            _Watched(sampler, lambda count: part.reach(count / len(self.tcp))),
            self.arm,
            self.tcp,
            samples=self.profile.exact_samples,
            sigma=self.profile.sigma,
            c2st_targets=self.profile.c2st_targets,
        )
        return {
            "sampler": self.name,
            "dof": self.arm.dof,
            "refine": 0,
            "at": "random",
            **scores,
            "profile": self.profile.name,
            "key": self.key,
            **origin,
        }


def _label(name: str, arm: PlanarArm) -> str:
    return f"{name} {arm.dof} DoF"


def _entries(
    dof: int, seconds: float | None, targets: int, profile: Profile, directory: Path
) -> Iterator[_Entry]:
    arm = PlanarArm.paper(dof)
    common = (arm, profile, judging.random_targets(arm, targets, profile.sigma))
    exact = ExactPosterior(arm, profile.sigma)
    library = f"ikpaper {environment()['packages']['ikpaper']}"
    yield _Entry("exact", *common, lambda progress: (exact, {"library": library}))
    model, record = load_with_record(_OURS, arm, profile, profile.seed, directory)
    origin = {
        "parameters": model.num_parameters,
        "training_seconds": record["seconds"],
        "epochs": record["training"]["epochs"],
        "training_threads": record["environment"]["cpu_threads"],
        "training_device": record["device"],
        "library": library,
    }
    yield _Entry(
        _OURS,
        *common,
        lambda progress: (model, origin),
        decides=(record["sha256"],),
        code=tuple(sources(type(model))),
    )
    clock = record["seconds"] if seconds is None else seconds
    data = (profile.samples, profile.train_fraction, profile.seed)
    for name in PEERS:
        train = partial(_train, name, arm, clock, profile)
        decides = (PEERS[name], data, clock, _library())
        yield _Entry(name, *common, train, clock=clock, decides=decides)


def _train(
    name: str, arm: PlanarArm, clock: float, profile: Profile, progress: Progress
) -> tuple[Sampler, dict[str, Any]]:
    part = _Part(progress, clock, f"{_label(name, arm)}: training")
    peer = train_peer(
        name, arm, clock, profile=profile, watch=lambda elapsed: part.reach(elapsed / clock)
    )
    part.reach(1.0)
    return peer.sampler, {
        "parameters": peer.parameters,
        "training_seconds": round(peer.seconds, 2),
        "epochs": peer.epochs,
        "training_threads": torch.get_num_threads(),
        "training_device": "cpu",
        "library": _library(),
    }


def _library() -> str:
    return f"sbi {_import_sbi().__version__}"
