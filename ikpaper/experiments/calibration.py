"""What checks of calibration see of every published sampler: their p-values and their power."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
from torch import Generator, Tensor

from ikpaper import calibration, evaluation, metrics
from ikpaper.arm import PlanarArm, TensorLike, as_tensor
from ikpaper.checks import check_count
from ikpaper.evaluation import LEVEL, draw
from ikpaper.experiments.published import (
    CLASSICAL,
    GUESS,
    Entry,
    Remembering,
    published_entries,
)
from ikpaper.experiments.runner import Experiment, Job, ResultTable, results_path
from ikpaper.identity import digest
from ikpaper.models import CATALOGUE
from ikpaper.profiles import PUBLISHED, get_profile
from ikpaper.progress import Progress
from ikpaper.sampler import Sampler, refined
from ikpaper.samplers import LookupTable, Prior

#: Simulations of the published table, and samples at each.
SIMULATIONS, SAMPLES = 1000, 127

#: Simulations of smaller sets, and how many random sets of a size tell the power of a check.
SIZES, SUBSETS = (100, 300), 100

#: Levels of the regions whose coverage is measured.
COVERAGES = (0.5, 0.9)

#: The checks by name, as the table has them.
#:
#: - `sbc`: ranks of the joint angles, one at a time, with Bonferroni's correction.
#: - `hpd`: ranks of the posterior density, see `calibration.log_density`.
#: - `tarp`: distance to a reference drawn from the prior, which ignores the target.
#: - `tarp-nearest`: distance to the prior sample, of many, whose TCP is nearest to the target.
#: - `tarp-mean`: distance to the mean of the nearest ones, about the mean of the posterior.
#: - `classifier`: output of a classifier of joint angles and targets.
CHECKS = ("sbc", "hpd", "tarp", "tarp-nearest", "tarp-mean", "classifier")

#: Published samplers that are left out: this one takes hours.
SKIPPED = ("numerical",)

#: Columns of the table.
COLUMNS = (
    *("sampler", "dof", "refine", "check", "simulations", "samples", "p_value"),
    *(f"coverage_{100 * level:.0f}" for level in COVERAGES),
    *(f"power_{size}" for size in SIZES),
    *("profile", "key"),
)

#: Samples that look-up tables are asked for, as in the benchmark: fewer would be nearer.
_ASKED = 1000

#: Prior samples among which references are found, and how many are averaged. The seed makes
#: their table another than that of the sampler.
_ENTRIES, _NEAREST, _TABLE_SEED = 100_000, 200, 1

#: Simulations that a sampler is asked for at a time.
_CHUNK = 100

#: Seconds for a thousand simulations, roughly, for the time left.
_SECONDS = {"flow": 20.0, "flow-plain": 20.0, GUESS: 20.0, "inn": 15.0, "inn-ml": 15.0}
_SECONDS_ELSE = 5.0


def experiment(
    dofs: Sequence[int] = PlanarArm.PAPER_DOF,
    *,
    simulations: int = SIMULATIONS,
    samples: int = SAMPLES,
    profile: str = PUBLISHED,
) -> Experiment:
    """The calibration of all published samplers.

    Prior, look-up tables and models also with three Gauss-Newton steps. The power of a check with
    fewer simulations, `SIZES`, is the share of `SUBSETS` random subsets that it rejects at
    `evaluation.LEVEL`; of the classifier, which is trained for each, those are as many disjoint
    ones as there are. For exact samples it estimates the level that the check keeps. All samplers
    of an arm are checked with the same simulations and subsets.

    A sampler has a row for every check: `p_value` and coverages over all simulations (for checks
    whose ranks order the samples of a region), and a power for each size.

    Args:
        dofs: Which of the paper's arms.
        simulations: Number of simulations, each of joint angles from the prior and their TCP;
            another one than published has a table of its own.
        samples: Samples at each.
        profile: Profile of the models.
    """
    simulations = check_count("simulations", simulations, 4)
    samples = check_count("samples", samples)
    numbers = get_profile(profile)
    jobs = []
    for dof in dofs:
        arm = PlanarArm.paper(dof)
        simulated = _Simulations(arm, arm.prior_sigma(numbers.sigma), simulations, samples)
        entries = (each for each in published_entries(arm, numbers) if each.name not in SKIPPED)
        jobs += [_job(simulated, entry, profile) for entry in entries]
    path = results_path("calibration", str(simulations), published=simulations == SIMULATIONS)
    order = {"sampler": (*CLASSICAL, *CATALOGUE)}
    return Experiment(jobs, ResultTable(path, COLUMNS, ("dof", "sampler"), order))


@dataclass(frozen=True)
class _Simulations:
    """Simulations of an arm that samplers are checked with.

    Attributes:
        arm: The arm.
        sigma: Standard deviation of the prior, one a joint.
        count: Number of simulations.
        samples: Samples at each.
    """

    arm: PlanarArm
    sigma: tuple[float, ...]
    count: int
    samples: int

    def settings(self) -> dict[str, Any]:
        """What decides the numbers of a check, as JSON holds it, but for the sampler."""
        return {
            "lengths": self.arm.lengths,
            "sigma": self.sigma,
            "simulations": self.count,
            "samples": self.samples,
            "sizes": SIZES,
            "subsets": SUBSETS,
            "coverages": COVERAGES,
            "level": LEVEL,
            "asked": _ASKED,
            "references": [_ENTRIES, _NEAREST, _TABLE_SEED],
        }

    def draw(self, sampler: Sampler, tcp: Tensor) -> Tensor:
        """Samples (N, samples, dof) at the targets."""
        generator = _seeded("samples")
        parts = [
            draw(sampler, self.arm, part, self.samples, generator) for part in tcp.split(_CHUNK)
        ]
        return torch.cat(parts)


@lru_cache(maxsize=1)
@torch.inference_mode(False)
def _truth(simulations: _Simulations) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
    """Joint angles, their TCPs, and references of each check that has them, all (N, ...)."""
    arm, count = simulations.arm, simulations.count
    prior = Prior(arm, simulations.sigma)
    theta = prior.draw(count, _seeded("simulations"))
    tcp = arm.forward(theta)
    table = LookupTable(arm, simulations.sigma, entries=_ENTRIES, seed=_TABLE_SEED)
    generator = _seeded("references")
    references = {
        "tarp": prior.draw(count, generator),
        "tarp-nearest": table.sample(tcp, 1, generator=generator)[:, 0],
        "tarp-mean": torch.cat(
            [
                table.sample(part, _NEAREST, generator=generator).mean(dim=1)
                for part in tcp.split(_CHUNK)
            ]
        ),
    }
    return theta, tcp, references


def _seeded(what: str) -> Generator:
    """A generator whose stream no data set, table or task shares."""
    return torch.Generator().manual_seed(int(digest(f"calibration {what}")[:15], 16))


def _job(simulations: _Simulations, entry: Entry, profile: str) -> Job:
    arm = simulations.arm

    def measure(progress: Progress, fresh: bool) -> list[dict[str, Any]]:
        plain: Sampler = entry.load()
        if isinstance(plain, LookupTable):
            plain = _Asked(plain, _ASKED)
        # Rows of all steps share the samples.
        plain = Remembering(plain)
        _, tcp, _ = _truth(simulations)
        rows = []
        for steps in entry.steps:
            samples = simulations.draw(refined(plain, steps, arm), tcp)
            for row in _checked(simulations, samples):
                rows.append({"refine": steps, "profile": profile, **row})
        return rows

    versions = {
        "calibration": calibration.VERSION,
        "metrics": metrics.VERSION,
        "scoring": evaluation.task.VERSION,
        Prior.name: Prior.version,
        LookupTable.name: LookupTable.version,
    }
    return Job(
        {"dof": arm.dof, "sampler": entry.name},
        entry.identity("calibration", simulations.settings(), versions),
        f"{entry.name} {arm.dof} DoF",
        _SECONDS.get(entry.name, _SECONDS_ELSE) * simulations.count / 1000,
        measure,
        lambda row: f"{row['check']} p = {row['p_value']:.2g}",
    )


def _checked(simulations: _Simulations, samples: Tensor) -> Iterator[dict[str, Any]]:
    """A row for each check of samples (N, n, dof)."""
    arm, n = simulations.arm, simulations.samples
    theta, tcp, references = _truth(simulations)

    def parts_of(ranks: Tensor) -> Callable[[int], Sequence[Tensor]]:
        return lambda size: [ranks[rows] for rows in _subsets(simulations.count, size)]

    def learned(size: int) -> Sequence[Tensor]:
        return calibration.classifier_ranks(theta, tcp, samples, size=size).unbind()

    densities = (
        -calibration.log_density(arm, each, simulations.sigma) for each in (theta, samples)
    )
    # What gives ranks of subsets of a size.
    ranks: dict[str, Callable[[int], Sequence[Tensor]]] = {
        "sbc": parts_of(calibration.ranks(theta, samples)),
        "hpd": parts_of(calibration.ranks(*densities)),
        **{
            name: parts_of(calibration.tarp_ranks(theta, samples, reference))
            for name, reference in references.items()
        },
        "classifier": learned,
    }
    for name in CHECKS:
        (whole,) = ranks[name](simulations.count)
        row: dict[str, Any] = {
            "check": name,
            "simulations": simulations.count,
            "samples": n,
            "p_value": calibration.uniformity(whole, n),
        }
        if name not in ("sbc", "classifier"):
            for level in COVERAGES:
                row[f"coverage_{100 * level:.0f}"] = calibration.coverage(whole, n, level)
        for size in SIZES:
            if size < simulations.count:
                p_values = [calibration.uniformity(part, n) for part in ranks[name](size)]
                rejected = sum(p_value <= LEVEL for p_value in p_values)
                row[f"power_{size}"] = rejected / len(p_values)
        yield row


def _subsets(count: int, size: int) -> Sequence[Tensor]:
    """Rows of random subsets of a size; all rows, once, where it is that of all."""
    if size == count:
        return [torch.arange(count)]
    generator = _seeded("subsets")
    return [torch.randperm(count, generator=generator)[:size] for _ in range(SUBSETS)]


class _Asked:
    """A sampler that is always asked for many samples, of which the first ones are taken."""

    def __init__(self, sampler: Sampler, least: int) -> None:
        self._sampler, self._least = sampler, least

    def sample(self, tcp: TensorLike, n: int, *, generator: Generator | None = None) -> Tensor:
        """As the sampler itself."""
        theta = as_tensor(self._sampler.sample(tcp, max(n, self._least), generator=generator))
        return theta[..., :n, :]
