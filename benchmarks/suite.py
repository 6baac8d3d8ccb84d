"""`make bench`: ours against the reference implementation, into book/results/bench.csv."""

from __future__ import annotations

import argparse
import dataclasses
import multiprocessing
import platform
import re
import resource
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import Generator, Tensor

import ikpaper
from benchmarks import reference
from ikpaper import models
from ikpaper.evaluation import PERMUTATIONS
from ikpaper.files import write_text
from ikpaper.format import significant
from ikpaper.matmul import use_fast_matmul
from ikpaper.models.fast.mmd import mmd2_loss
from ikpaper.profiles import PROFILES
from ikpaper.progress import Progress
from ikpaper.training import TrainingLoop, TrainingRun, resolve_device

#: Arms larger than the paper's; their network is that of 10 DoF.
LARGER = (16, 32)
#: Arms up to which the exact sampler is measured.
LONG = (16, 32, 64, 100)
#: Epochs of classifiers that are trained together: those of the tables, and more.
C2ST = (ikpaper.metrics.C2ST_EPOCHS, 100)
BATCHES = (250, 4000)
#: Training steps of 1000 samples that one measurement times.
STEPS = {"inn": 8, "cvae": 40}
#: At this tolerance, rejection sampling is about as close to the truth as 1000 samples can tell.
EPS = 0.005
#: Targets and samples a target for sampling throughput.
TARGETS, SAMPLES = 50, 1000


@dataclass
class Bench:
    """The benchmarks with their settings.

    Attributes:
        device: Where both implementations run.
        rounds: Measurements of either side, taken in turns; the best counts.
    """

    device: torch.device
    rounds: int

    def jobs(self) -> Iterator[tuple[str, Callable[[], list[dict[str, Any]]]]]:
        """What there is to measure: a label, and a function that returns rows."""
        for name in ("inn", "cvae"):
            for dof in (*ikpaper.PlanarArm.PAPER_DOF, *LARGER):
                yield f"training {name}", lambda n=name, d=dof: self.training(n, d)
            for batch in BATCHES:
                yield f"training {name}", lambda n=name, b=batch: self.training(n, 8, b)
        for name in ("inn", "cvae"):
            for dof in ikpaper.PlanarArm.PAPER_DOF:
                yield f"sampling {name}", lambda n=name, d=dof: self.sampling(n, d)
        for dof in ikpaper.PlanarArm.PAPER_DOF:
            yield "sampling flow-fast", lambda d=dof: self.against_inn(d)
        for count in (100, 1000, 4000):
            yield "mmd", lambda c=count: self.mmd(c)
        for dof in (*ikpaper.PlanarArm.PAPER_DOF, *LARGER):
            yield "ground truth", lambda d=dof: self.ground_truth(d)
        for dof in (*ikpaper.PlanarArm.PAPER_DOF, *LONG):
            yield "many targets", lambda d=dof: self.many_targets(d)
        for dof in ikpaper.PlanarArm.PAPER_DOF:
            yield "c2st", lambda d=dof: self.c2st(d)
        for dof in ikpaper.PlanarArm.PAPER_DOF:
            yield "permutation test", lambda d=dof: self.permutation_test(d)
        for name in ("inn", "cvae"):
            for dof in ikpaper.PlanarArm.PAPER_DOF:
                yield f"memory {name}", lambda n=name, d=dof: self.memory(n, d)
                yield f"breakdown {name}", lambda n=name, d=dof: self.breakdown(n, d)
        if self.device.type == "cpu":
            for name in ("inn", "cvae"):
                for dof in ikpaper.PlanarArm.PAPER_DOF:
                    yield f"trials {name}", lambda n=name, d=dof: self.trials(n, d)

    def best(
        self, *ours: Callable[[], Any], theirs: Sequence[Callable[[], Any]] = ()
    ) -> list[float]:
        """Seconds of each side: the fastest of several rounds in turns, after one to warm up.

        Ours use the fast products of matrices, the reference implementation those of torch.
        """
        sides = [*((side, True) for side in ours), *((side, False) for side in theirs)]
        times: list[list[float]] = [[] for _ in sides]
        for _ in range(self.rounds + 1):
            for (side, fast), measured in zip(sides, times, strict=True):
                use_fast_matmul(fast)
                self._synchronise()
                start = time.perf_counter()
                side()
                self._synchronise()
                measured.append(time.perf_counter() - start)
        return [min(measured[1:]) for measured in times]

    def _synchronise(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize()

    def row(
        self, what: str, model: str, dof: int, size: int, ours: float, theirs: float, unit: str
    ) -> dict[str, Any]:
        """A row of the table; `ratio` is above 1 where ours is better."""
        better = theirs / ours if unit in ("s", "MiB") else ours / theirs
        return {
            "what": what,
            "model": model,
            "dof": dof,
            "size": size,
            "device": self.device.type,
            "processor": processor(),
            "threads": torch.get_num_threads(),
            "ours": ours,
            "plain": theirs,
            "unit": unit,
            "ratio": better,
        }

    def training(self, name: str, dof: int, batch: int = 1000) -> list[dict[str, Any]]:
        """Training throughput, one row for each precision of ours."""
        count = max(2, STEPS[name] * 1000 // batch) * batch
        loops = {p: training_loop(name, dof, count, batch, p, self.device) for p in PRECISIONS}
        yardstick = reference_trainer(name, dof, count, batch, self.device)
        sides = [lambda loop=loop: epoch(loop) for loop in loops.values()]
        *ours, slow = self.best(*sides, theirs=[yardstick.epoch])
        return [
            self.row(
                f"training, {precision}", name, dof, batch, count / fast, count / slow, "samples/s"
            )
            for precision, fast in zip(loops, ours, strict=True)
        ]

    def sampling(self, name: str, dof: int) -> list[dict[str, Any]]:
        """Sampling throughput over many targets, one row for each precision of ours."""
        model = models.build(name, dof=dof).to(self.device)
        tcp = targets(model.arm, TARGETS)
        ours, yardstick = (Generator(self.device).manual_seed(0) for _ in range(2))

        def draw(precision: str) -> None:
            model.precision = getattr(torch, precision)
            model.sample(tcp, SAMPLES, generator=ours)

        sides = [lambda precision=p: draw(precision) for p in PRECISIONS]
        *fast, slow = self.best(
            *sides, theirs=[lambda: reference.sample(model, tcp, SAMPLES, yardstick)]
        )
        count = TARGETS * SAMPLES
        return [
            self.row(
                f"sampling, {precision}",
                name,
                dof,
                SAMPLES,
                count / seconds,
                count / slow,
                "samples/s",
            )
            for precision, seconds in zip(PRECISIONS, fast, strict=True)
        ]

    def against_inn(self, dof: int) -> list[dict[str, Any]]:
        """The flow in one evaluation, moved onto the target, against the paper's INN as it is.

        A row for samples as the network draws them, and one with three more steps in float64.
        """
        fast, inn = (models.build(name, dof=dof).to(self.device) for name in ("flow-fast", "inn"))
        tcp = targets(inn.arm, TARGETS)
        ours, yardstick = (Generator(self.device).manual_seed(0) for _ in range(2))
        sides = [
            lambda sampler=sampler: sampler.sample(tcp, SAMPLES, generator=ours)
            for sampler in (ikpaper.Refined(fast, k) if k else fast for k in REFINED)
        ]
        with warnings.catch_warnings():
            # It is not trained, which has no influence on its speed: few samples converge.
            warnings.simplefilter("ignore")
            *times, slow = self.best(
                *sides, theirs=[lambda: reference.sample(inn, tcp, SAMPLES, yardstick)]
            )
        count = TARGETS * SAMPLES
        return [
            self.row(
                f"samples against FrEIA's INN, {refine} steps onto the target",
                "flow-fast",
                dof,
                SAMPLES,
                count / seconds,
                count / slow,
                "samples/s",
            )
            for refine, seconds in zip(REFINED, times, strict=True)
        ]

    def mmd(self, count: int, dof: int = 8) -> list[dict[str, Any]]:
        """The training loss of two sample sets, forward and backward."""
        generator = Generator().manual_seed(0)
        a, b = (torch.randn(count, dof, generator=generator).to(self.device) for _ in range(2))
        a.requires_grad_()
        repeats = max(2, 20_000 // count)

        def run(loss: Callable[[Tensor, Tensor, float], Tensor]) -> None:
            for _ in range(repeats):
                torch.autograd.grad(loss(a, b, 1.2), a)

        ours, slow = self.best(lambda: run(mmd2_loss), theirs=[lambda: run(reference.mmd2)])
        return [
            self.row("MMD, value and gradient", "", dof, count, ours / repeats, slow / repeats, "s")
        ]

    def ground_truth(self, dof: int) -> list[dict[str, Any]]:
        """Exact sampling against rejection sampling that is about as accurate; CPU."""
        count = 100 if dof <= max(ikpaper.PlanarArm.PAPER_DOF) else 20
        arm = ikpaper.PlanarArm.like_paper(dof)
        tcp = targets(arm, 1)[0]
        generator = Generator().manual_seed(0)
        exact = ikpaper.ExactPosterior(arm)
        rejection = ikpaper.RejectionPosterior(arm, eps=EPS)
        ours, slow = self.best(
            lambda: exact.sample(tcp, count, generator=generator),
            theirs=[lambda: rejection.sample(tcp, count, generator=generator)],
        )
        return [
            self.row(
                f"exact against rejection sampling, eps = {EPS:g}",
                "",
                dof,
                count,
                count / ours,
                count / slow,
                "samples/s",
            )
        ]

    def many_targets(self, dof: int) -> list[dict[str, Any]]:
        """Exact samples of many targets, together and one after the other; CPU."""
        short = dof in ikpaper.PlanarArm.PAPER_DOF
        sizes = {1: 400, SAMPLES: 40} if short else {1: 8, SAMPLES: 1}
        return [self._many_targets(dof, n, count) for n, count in sizes.items()]

    def _many_targets(self, dof: int, n: int, count: int) -> dict[str, Any]:
        arm = ikpaper.PlanarArm.like_paper(dof)
        tcp = targets(arm, count)
        generator = Generator().manual_seed(0)
        together, alone = (ikpaper.ExactPosterior(arm, together=how) for how in (True, False))
        ours, slow = self.best(
            lambda: together.sample(tcp, n, generator=generator),
            theirs=[lambda: alone.sample(tcp, n, generator=generator)],
        )
        what = "exact samples of many targets, together against one by one"
        return self.row(what, "", dof, n, count / ours, count / slow, "targets/s")

    def c2st(self, dof: int, count: int = 8) -> list[dict[str, Any]]:
        """C2ST of many targets together against scikit-learn's of one; CPU."""
        a, b = torch.randn(2, count, SAMPLES, dof, generator=Generator().manual_seed(0))
        sides = [lambda k=k: ikpaper.metrics.c2st_batch(a, b, epochs=k) for k in C2ST]
        *ours, slow = self.best(*sides, theirs=[lambda: ikpaper.metrics.c2st(a[0], b[0])])
        return [
            self.row(
                f"C2ST together against one by sbibm's protocol, {epochs} epochs",
                "",
                dof,
                SAMPLES,
                count / seconds,
                1 / slow,
                "targets/s",
            )
            for epochs, seconds in zip(C2ST, ours, strict=True)
        ]

    def permutation_test(self, dof: int) -> list[dict[str, Any]]:
        """The permutation test of one target, as all tables have it; CPU."""
        a, b = torch.randn(2, SAMPLES, dof, generator=Generator().manual_seed(0))
        ours, slow = self.best(
            lambda: ikpaper.metrics.two_sample_test(
                a, b, permutations=PERMUTATIONS, generator=Generator().manual_seed(1)
            ),
            theirs=[
                lambda: reference.two_sample_test(
                    a, b, 1.2, PERMUTATIONS, Generator().manual_seed(1)
                )
            ],
        )
        what = "permutation test"
        return [self.row(what, "", dof, SAMPLES, 1 / ours, 1 / slow, "targets/s")]

    def breakdown(self, name: str, dof: int) -> list[dict[str, Any]]:
        """Where a training step of ours spends its time, and how fast its products are."""
        return [self._breakdown(name, dof, precision) for precision in PRECISIONS]

    def _breakdown(self, name: str, dof: int, precision: str) -> dict[str, Any]:
        count = STEPS[name] * 1000
        loop = training_loop(name, dof, count, 1000, precision, self.device)
        use_fast_matmul()
        epoch(loop)
        start = time.perf_counter()
        epoch(loop)
        self._synchronise()
        step = (time.perf_counter() - start) / STEPS[name]
        activities = [torch.profiler.ProfilerActivity.CPU]
        if self.device.type == "cuda":
            activities.append(torch.profiler.ProfilerActivity.CUDA)
        with torch.profiler.profile(activities=activities) as profile:
            epoch(loop)
        on_gpu = self.device.type == "cuda"
        times: dict[str, float] = {}
        for event in profile.key_averages():
            kind = next((kind for kind, names in KINDS.items() if event.key in names), "other")
            spent = event.self_device_time_total if on_gpu else event.self_cpu_time_total
            times[kind] = times.get(kind, 0.0) + spent
        # Forward, and backward for weights and inputs; the INN makes three passes.
        passes = 3 if name == "inn" else 1
        work = 6 * passes * 1000 * loop.model.num_parameters / 1e9
        return {
            "what": f"a training step, {precision}",
            "model": name,
            "dof": dof,
            "size": 1000,
            "device": self.device.type,
            "step_ms": 1000 * step,
            "gflops": work / step,
            "peak_gflops": self._peak(precision),
            "plain_peak_gflops": self._peak("float32", fast=False),
            **{kind: times.get(kind, 0.0) / sum(times.values()) for kind in (*KINDS, "other")},
        }

    def _peak(self, precision: str, *, fast: bool = True, size: int = 1024) -> float:
        """GFLOP/s of the largest products that the networks could hope for."""
        a = torch.ones(2, size, size, dtype=getattr(torch, precision), device=self.device)

        def run() -> None:
            for _ in range(10):
                torch.bmm(a, a)

        (seconds,) = self.best(run) if fast else self.best(theirs=[run])
        return 10 * 2 * 2 * size**3 / 1e9 / seconds

    def memory(self, name: str, dof: int) -> list[dict[str, Any]]:
        """Memory that a few training steps add to a fresh process."""
        ours, slow = (
            peak_memory(side, name, dof, str(self.device)) for side in ("bfloat16", "reference")
        )
        return [self.row("training memory, bfloat16", name, dof, 1000, ours, slow, "MiB")]

    def trials(self, name: str, dof: int) -> list[dict[str, Any]]:
        """Runs side by side with a thread each, against one run with all threads."""
        threads = torch.get_num_threads()
        several, one = (
            max(training_rates(name, dof, runs, threads // runs) for _ in range(2))
            for runs in (threads, 1)
        )
        return [self.row("runs with a thread each", name, dof, 1000, several, one, "samples/s")]


PRECISIONS = ("float32", "bfloat16")
#: Steps onto the target after the flow in one evaluation.
REFINED = (0, 3)
#: Operations of torch by what they do in a training step.
KINDS = {
    "products": ("aten::bmm", "aten::baddbmm", "aten::mm", "aten::addmm"),
    "activations": ("aten::leaky_relu_", "aten::leaky_relu_backward"),
    "copies": ("aten::copy_", "aten::cat", "aten::stack"),
}


def processor() -> str:
    """What computes here, as the system names it."""
    path = Path("/proc/cpuinfo")
    names = re.findall(r"^model name\s*: (.+)$", path.read_text(), re.M) if path.exists() else []
    return names[0] if names else platform.processor()


def targets(arm: ikpaper.PlanarArm, count: int) -> Tensor:
    """Targets of the prior, shape (count, 2)."""
    theta = ikpaper.Prior(arm).draw(count, Generator().manual_seed(1))
    return arm.forward(theta)


def training_loop(
    name: str, dof: int, count: int, batch: int, precision: str | None, device: torch.device
) -> TrainingLoop:
    """The library's loop with epochs of `count` samples."""
    profile = dataclasses.replace(
        PROFILES["smoke"], name="bench", samples=round(count / 0.7), batch=batch
    )
    arm = ikpaper.PlanarArm.like_paper(dof)
    run = TrainingRun.of(name, arm=arm, profile=profile, epochs=1000, precision=precision)
    return TrainingLoop(run, device)


def epoch(loop: TrainingLoop) -> None:
    """One epoch without a word."""
    next(report for report in loop.epochs() if report.complete)


def reference_trainer(
    name: str, dof: int, count: int, batch: int, device: torch.device
) -> reference.Trainer:
    """The reference loop with the same data."""
    loop = training_loop(name, dof, count, batch, "float32", device)
    return reference.Trainer(loop.model, loop.inputs, loop.tcp, batch)


def training_rates(name: str, dof: int, runs: int, threads: int) -> float:
    """Samples a second of several runs at the same time, all together, in processes of their own.

    Precision is the default one.
    """
    context = multiprocessing.get_context("spawn")
    with context.Manager() as manager:
        barrier = manager.Barrier(runs)
        with context.Pool(runs) as pool:
            jobs = [(name, dof, threads, barrier)] * runs
            return sum(pool.starmap(_training_rate, jobs, chunksize=1))


def _training_rate(name: str, dof: int, threads: int, barrier: Any) -> float:
    torch.set_num_threads(threads)
    use_fast_matmul()
    count = STEPS[name] * 1000
    loop = training_loop(name, dof, count, 1000, None, torch.device("cpu"))
    epoch(loop)
    barrier.wait()
    start = time.perf_counter()
    epoch(loop)
    return count / (time.perf_counter() - start)


def peak_memory(side: str, name: str, dof: int, device: str) -> float:
    """MiB that three training steps take, measured in a process of their own."""
    context = multiprocessing.get_context("spawn")
    with context.Pool(1) as pool:
        return pool.apply(_peak_memory, (side, name, dof, device))


def _peak_memory(side: str, name: str, dof: int, device: str) -> float:
    where, count = torch.device(device), 3000
    if side == "reference":
        run = reference_trainer(name, dof, count, 1000, where).epoch
    else:
        use_fast_matmul()
        loop = training_loop(name, dof, count, 1000, side, where)
        run = lambda: epoch(loop)  # noqa: E731
    if where.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        run()
        return (torch.cuda.max_memory_allocated() - before) / 2**20
    before = _peak_resident()
    run()
    return _peak_resident() - before


def _peak_resident() -> float:
    """Largest resident size of this process so far, in MiB."""
    status = Path("/proc/self/status")
    if status.exists():
        # Linux counts in `ru_maxrss` also what the parent had when it started this process.
        return int(status.read_text().split("VmHWM:")[1].split()[0]) / 2**10
    unit = 1 if sys.platform == "darwin" else 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20


def merged(rows: list[dict[str, Any]], path: Path) -> pd.DataFrame:
    """The table in `path` with these rows new or in the place of old ones."""
    names = ["what", "model", "dof", "size", "device", "threads"]
    new = pd.DataFrame(rows)
    if not path.exists():
        return new
    known = pd.read_csv(path, keep_default_na=False)
    table = pd.concat([known, new], ignore_index=True)
    return table.drop_duplicates(names, keep="last").reset_index(drop=True)


def main() -> int:
    """Run the benchmarks that are asked for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--device", default="cpu", help="cpu, cuda or auto; for both sides")
    parser.add_argument("--only", default="", help="only benchmarks whose label contains this")
    parser.add_argument("--rounds", type=int, default=3, help="measurements, the best counts")
    parser.add_argument("--output", type=Path, default=Path("book/results"), help="folder")
    arguments = parser.parse_args()
    bench = Bench(resolve_device(arguments.device), arguments.rounds)
    jobs = [job for job in bench.jobs() if arguments.only in job[0]]
    if not jobs:
        labels = ", ".join(dict.fromkeys(label for label, _ in bench.jobs()))
        parser.error(f"--only: nothing is called {arguments.only!r}; there are: {labels}")
    progress = Progress(len(jobs), every=0.0)
    rows: list[dict[str, Any]] = []
    for label, measure in jobs:
        found = measure()
        rows += found
        name = "bench-breakdown" if label.startswith("breakdown") else "bench"
        path = arguments.output / f"{name}.csv"
        write_text(path, merged(found, path).to_csv(index=False))
        last = found[-1]
        progress.advance(1, f"{label}, {last['dof']} DoF: " + result(last))
    for kind in (False, True):
        table = pd.DataFrame([row for row in rows if ("step_ms" in row) == kind])
        if len(table):
            print(table.map(lambda v: significant(v, 3) if isinstance(v, float) else v).to_string())
    return 0


def result(row: dict[str, Any]) -> str:
    """What a row says, for the progress line."""
    if "ratio" in row:
        return f"{row['ratio']:.2f} times"
    return f"{row['products']:.0%} of {row['step_ms']:.0f} ms in products"
