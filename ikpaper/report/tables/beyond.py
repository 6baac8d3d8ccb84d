"""Tables and statistics of the page beyond the paper: the benchmark's rows, and the flow's cost."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pandas as pd
from scipy.stats import norm
from torch import Tensor

from ikpaper.arm import PlanarArm
from ikpaper.evaluation import CHECK_REJECTED, LEVEL, as_text
from ikpaper.format import (
    cell,
    concise,
    extent,
    fixed,
    joined,
    percent,
    rounded,
    significant,
)
from ikpaper.metrics import C2ST_EPOCHS
from ikpaper.models import CATALOGUE
from ikpaper.projection import PATIENCE, TOLERANCE
from ikpaper.report.tables.base import BRIEF, NETWORKS, formatted, interval, label, named
from ikpaper.statistics import bootstrap_interval, mcnemar

__all__ = [
    "FLOWS",
    "KINEMATICS",
    "NO_LEARNING",
    "aims",
    "amortised",
    "amortised_numbers",
    "benchmark_numbers",
    "by_arm",
    "classifier_stop",
    "classifier_stops",
    "flow_steps",
    "flow_steps_numbers",
    "home",
    "home_numbers",
    "likelihood",
    "likelihood_numbers",
    "many_samples",
    "many_samples_numbers",
    "paired",
    "paired_numbers",
    "projection",
    "samplers",
    "tails",
]

#: The samplers that this project adds.
FLOWS = ("flow", "flow-fast")

#: Steps onto the target of those rows that have them.
_STEPS = 3

#: Samplers of the front page.
_HOME = ("exact", "flow", *NETWORKS, "prior")

#: What no learning gives, with the paper's networks beside it: samplers and their steps.
NO_LEARNING = (
    *(("prior", 0), ("prior", _STEPS), ("numerical", 0)),
    *((name, steps) for name in ("lookup", "lookup-large") for steps in (0, _STEPS)),
    *((name, 0) for name in NETWORKS),
)

#: The flow in parts: its kinematics alone, its network alone, and both.
KINEMATICS = tuple((name, 0) for name in ("prior", "flow-guess", "flow-plain", "flow"))

#: Samplers that are compared with the exact one in pairs.
_PAIRED = (("flow", 0), ("flow-fast", 0), ("flow-fast", _STEPS))

#: The INN by the paper's losses, and by maximum likelihood, of the same size and smaller.
_LIKELIHOOD = ("inn", "inn-ml", "inn-ml-small")


def _refined(name: str, steps: int) -> str:
    return label(name) + (f", refine={steps}" if steps else "")


def _shown(random: pd.DataFrame) -> pd.DataFrame:
    """Plain samplers, and the flows and look-up tables also with steps onto the target."""
    both = (*FLOWS, "lookup", "lookup-large")
    return random[(random["refine"] == 0) | random["sampler"].isin(both)]


def _of(random: pd.DataFrame, name: str, refine: int = 0) -> pd.DataFrame:
    """Rows of one sampler, by arm."""
    return random[(random["sampler"] == name) & (random["refine"] == refine)].set_index("dof")


def samplers(random: pd.DataFrame, dof: int) -> pd.DataFrame:
    """All samplers on one arm.

    Args:
        random: The published benchmark at random targets; see `evaluation.results`.
        dof: Which of its arms.
    """
    columns = [*BRIEF, "parameters", "training [min]", "profile"]
    return named(_shown(random[random["dof"] == dof]), columns)


def home(random: pd.DataFrame) -> pd.DataFrame:
    """The answer in five rows: how far from the posterior, and how far from the target.

    Args:
        random: As in `samplers`.
    """
    prior = _of(random, "prior")["mmd2"]
    reach = pd.Series({dof: PlanarArm.paper(dof).reach for dof in prior.index})
    rows = []
    for name in _HOME:
        mine = _of(random, name)
        rows.append(
            {
                "sampler": label(name),
                # Of equal distributions, an unbiased score is below zero half of the time.
                "mismatch, % of the prior's": extent(
                    (100 * mine["mmd2"] / prior).clip(lower=0.0), "{:.1f}"
                ),
                "typical miss, % of the reach": extent(
                    100 * mine["e_resim"] ** 0.5 / reach, "{:.2f}"
                ),
                "distinguished from exact, % of targets": extent(100 * mine["rejected"], "{:.0f}"),
            }
        )
    return pd.DataFrame(rows)


def home_numbers(random: pd.DataFrame) -> dict[str, str]:
    """Numbers of the front page's sentences, by key; `random` as in `samplers`."""
    cvae, inn = (_of(random, name) for name in NETWORKS)
    closer = (cvae["mmd2_high"] < inn["mmd2_low"]).sum()
    numbers = {"home_cvae": f"{closer} of {len(cvae)}", "home_arms": joined(cvae.index)}
    for name in _HOME:
        share = extent(100 * _of(random, name)["rejected"], "{:.0f}")
        numbers[f"home_rejected_{name}"] = f"{share} %"
    return numbers


def by_arm(random: pd.DataFrame, samplers: Sequence[tuple[str, int]]) -> pd.DataFrame:
    """MMD^2 of some samplers on all arms side by side, and the extent of other scores.

    Args:
        random: As in `samplers`.
        samplers: Names with their steps onto the target; what has no row is left out.
    """
    rows = []
    for name, steps in samplers:
        mine = _of(random, name, steps)
        if len(mine):
            rows.append(
                {
                    "sampler": _refined(name, steps),
                    **{
                        f"MMD², {dof} DoF": significant(value, 2)
                        for dof, value in mine["mmd2"].items()
                    },
                    "rejected": f"{extent(100 * mine['rejected'], '{:.1f}')} %",
                    "E‖f(θ) − y‖²": extent(mine["e_resim"]),
                    "samples/s": extent(mine["samples_per_second"], rounded),
                }
            )
    return pd.DataFrame(rows).fillna("–")


def _paired_rows(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows of flows that were counted in pairs with the exact sampler, with its share beside."""
    flows = rows.set_index(["sampler", "refine"])
    flows = flows.loc[flows.index.isin(_PAIRED)].reset_index()
    flows = flows.dropna(subset="only_this").astype({"only_this": int, "only_exact": int})
    pairs = zip(flows["only_this"], flows["only_exact"], strict=True)
    return flows.assign(
        rejected_exact=_of(rows, "exact")["rejected"].loc[flows["dof"]].array,
        p=[mcnemar(*pair) for pair in pairs],
    )


def paired(random: pd.DataFrame) -> pd.DataFrame:
    """Flows and exact sampler at the same targets: who is rejected where the other is not.

    Both are tested against the same reference samples. The p-value is that of McNemar's exact
    test, the interval of the difference of the shares Wald's for pairs.

    Args:
        random: As in `samplers`.
    """
    return formatted(
        _paired_rows(random).sort_values("dof", kind="stable"),
        {
            "DoF": "dof",
            "sampler": ("sampler", "refine", _refined),
            "rejected": ("rejected", percent),
            "exact": ("rejected_exact", percent),
            "difference": ("only_this", "only_exact", "targets", _difference),
            "p": ("p", 2),
            "C2ST": interval("c2st"),
            "this alone": "only_this",
            "exact alone": "only_exact",
            CHECK_REJECTED: ("rejected_check", percent),
        },
    )


def paired_numbers(random: pd.DataFrame) -> dict[str, str]:
    """What could hide in the paired comparison, by key; `random` as in `samplers`.

    On how many of all comparisons the test rejects that the shares are equal, at 5 % and after
    Bonferroni's correction; the largest end of the intervals of the difference of the shares;
    and the largest end of the intervals of the flows' MMD^2, in units of the prior's.
    """
    rows = _paired_rows(random)
    prior = _of(random, "prior")["mmd2"].loc[rows["dof"]].array
    counts = zip(rows["only_this"], rows["only_exact"], rows["targets"], strict=True)
    return {
        "pairs": str(len(rows)),
        "pairs_unequal": str((rows["p"] <= LEVEL).sum()),
        "pairs_unequal_corrected": str((rows["p"] <= LEVEL / len(rows)).sum()),
        "pairs_most": percent(max(_wald(*each)[2] for each in counts)),
        "pairs_share": percent((rows["mmd2_high"] / prior).max(), 2),
        "exact_check": f"{extent(100 * _of(random, 'exact')['rejected_check'], '{:.0f}')} %",
    }


def many_samples(rows: pd.DataFrame) -> pd.DataFrame:
    """The flow beside the exact sampler by more samples a target: see `paired`.

    Args:
        rows: Those of the benchmark at `many samples`.
    """
    return formatted(
        _paired_rows(rows),
        {
            "DoF": "dof",
            "rejected": ("rejected", percent),
            "exact": ("rejected_exact", percent),
            "difference": ("only_this", "only_exact", "targets", _difference),
            "p": ("p", 2),
            "MMD² to exact": interval("mmd2"),
            "targets": "targets",
            "samples": ("samples", "{:,}"),
        },
    )


def many_samples_numbers(rows: pd.DataFrame) -> dict[str, str]:
    """What many samples show, by key; `rows` as in `many_samples`.

    On which arms the shares differ at 5 %, the shares, and the MMD^2 with the largest end of its
    intervals.
    """
    pairs = _paired_rows(rows)
    unequal = pairs.loc[pairs["p"] <= LEVEL, "dof"]
    return {
        "more_samples": f"{pairs['samples'].max():,}",
        "more_targets": str(pairs["targets"].max()),
        "more_unequal": f"on {len(unequal)} of {len(pairs)} arms",
        "more_flow": f"{extent(100 * pairs['rejected'], '{:.0f}')} %",
        "more_exact": f"{extent(100 * pairs['rejected_exact'], '{:.0f}')} %",
        "more_mmd2": extent(pairs["mmd2"]),
        "more_above": f"on {(pairs['mmd2_low'] > 0).sum()} of {len(pairs)} arms",
        "more_mmd2_most": significant(pairs["mmd2_high"].max(), 2),
    }


def _wald(this: int, other: int, targets: int) -> tuple[float, float, float]:
    """Difference of two paired shares with its interval (95 %)."""
    difference = (this - other) / targets
    half = norm.ppf(0.975) * math.sqrt(this + other - (this - other) ** 2 / targets) / targets
    return difference, difference - half, difference + half


def _difference(this: int, other: int, targets: int) -> str:
    value, low, high = (100 * number for number in _wald(this, other, targets))
    return f"{fixed(value, 1, '+')} % ({fixed(low, 1)} to {fixed(high, 1)})"


def aims(random: pd.DataFrame, bench: pd.DataFrame, scaling: pd.DataFrame) -> pd.DataFrame:
    """What the project asks of its flows, and whether it was reached.

    Args:
        random: As in `samplers`.
        bench: Rows of `make bench`.
        scaling: The flow of a newcomer's training; see `experiments.scaling`.
    """
    arms = sorted(random["dof"].unique())
    against_freia = bench["what"] == f"samples against FrEIA's INN, {_STEPS} steps onto the target"
    rates = bench[against_freia].set_index("dof")["ratio"]
    trained = scaling.set_index("dof")
    profile = f"profile {scaling['profile'].iloc[0]}"
    best = pd.concat([_of(random, name)["mmd2"] for name in NETWORKS], axis=1).min(axis=1)
    scores = (
        ("MMD² to exact, unbiased", "mmd2", 0, 1e-4, 2, FLOWS),
        ("rejected", "rejected", 0, 0.07, percent, FLOWS),
        ("C2ST", "c2st", 0, 0.53, "{:.3f}", FLOWS),
        ("E‖f(θ) − y‖²", "e_resim", 0, 1e-6, 2, FLOWS[:1]),
        (f"E‖f(θ) − y‖², refine={_STEPS}", "e_resim", _STEPS, 1e-12, 2, FLOWS),
    )
    rows = [
        (name, score, _of(random, name, refine)[column], "at most", bound, form)
        for score, column, refine, bound, form, names in scores
        for name in names
    ]
    minutes, share = trained["training_seconds"] / 60, trained["mmd2"] / best
    faster = f"samples/s, refine={_STEPS}, over the INN's in FrEIA"
    closer = f"MMD² over the better of the paper's two, {profile}"
    rows += [
        ("flow-fast", faster, rates, "at least", 5, "{:.1f}"),
        ("flow", f"training [min], {profile}", minutes, "at most", 2, "{:.1f}"),
        ("flow", closer, share, "at most", 1, "{:.2f}"),
    ]
    meets = {"at most": operator.le, "at least": operator.ge}
    return pd.DataFrame(
        {
            "sampler": label(name),
            "score": score,
            "aim": f"{side} {percent(bound) if form is percent else concise(bound)}",
            "reached": extent(by_arm[arms], form),
            "met on": f"{int(meets[side](by_arm[arms], bound).sum())} of {len(arms)} arms",
            **{f"{dof} DoF": cell(form, by_arm[dof]) for dof in arms},
        }
        for name, score, by_arm, side, bound, form in rows
    )


def tails(measured: pd.DataFrame) -> pd.DataFrame:
    """Means beside the worst targets and those of the slides.

    Args:
        measured: The published benchmark at all targets.
    """
    place = ["dof", "sampler", "refine"]
    slides = measured.loc[measured["at"] == "slides", [*place, "mmd2", "e_resim"]]
    # Too few targets have no worst percent.
    rows = _shown(measured[measured["at"] == "random"]).dropna(subset="mmd2_worst1")
    return formatted(
        rows.merge(slides, on=place, how="left", suffixes=("", "_slides")),
        {
            "DoF": "dof",
            "sampler": ("sampler", "refine", _refined),
            "MMD², mean": ("mmd2", 2),
            "MMD², worst 1 %": ("mmd2_worst1", 2),
            "E‖f(θ) − y‖², mean": ("e_resim", 2),
            "E‖f(θ) − y‖², worst 1 %": ("e_resim_worst1", 2),
            "E‖f(θ) − y‖², worst target": ("e_resim_worst", 2),
            "MMD², slides' target": ("mmd2_slides", 2),
            "E‖f(θ) − y‖², slides' target": ("e_resim_slides", 2),
            "profile": "profile",
        },
    )


def projection(random: pd.DataFrame) -> pd.DataFrame:
    """Samples before and after steps onto the target; `random` as in `samplers`."""
    before, after = (random[random["refine"] == steps] for steps in (0, _STEPS))
    pairs = before.merge(after, on=["dof", "sampler"], suffixes=("", "_after"))
    return formatted(
        pairs.assign(drawn=pairs["targets"] * pairs["samples"]),
        {
            "DoF": "dof",
            "sampler": ("sampler", label),
            "MMD²": ("mmd2", "mmd2_after", _change(2)),
            "rejected": ("rejected", "rejected_after", _change(percent)),
            "E‖f(θ) − y‖²": ("e_resim", "e_resim_after", _change(2)),
            "not converged": ("missed_after", "drawn", "{:,} of {:,}"),
            "E‖f(θ) − y‖² of those that converged": ("e_resim_on_target_after", 2),
            "profile": "profile",
        },
    )


def _change(form: int | Callable[..., str]) -> Callable[[float, float], str]:
    return lambda before, after: f"{cell(form, before)} → {cell(form, after)}"


def likelihood(random: pd.DataFrame) -> pd.DataFrame:
    """The INN by the paper's losses and by maximum likelihood; `random` as in `samplers`."""
    rows = random[(random["refine"] == 0) & random["sampler"].isin(_LIKELIHOOD)]
    columns = ["DoF", "sampler", "MMD² to exact", "rejected", "E‖f(θ) − y‖²", "training [min]"]
    return named(rows, [*columns, "parameters", "worst target", "profile"])


def likelihood_numbers(random: pd.DataFrame) -> dict[str, str]:
    """How many times the INN's errors are those after a training by likelihood, by key."""
    inn, large, small = (_of(random, name) for name in _LIKELIHOOD)
    numbers = {"ml_dof": joined(large.index)}
    for of, column in (("mmd", "mmd2"), ("resim", "e_resim")):
        for size, other in (("large", large), ("small", small)):
            times = (inn[column] / other[column]).dropna()
            numbers[f"ml_{size}_{of}"] = extent(times)
            numbers[f"ml_{size}_{of}_better"] = f"{int((times > 1).sum())} of {len(times)}"
    return numbers


def benchmark_numbers(random: pd.DataFrame) -> dict[str, str]:
    """Numbers for the text, by key; `random` as in `samplers`.

    For each sampler means over the arms, and shares of the best arm and the worst; on which arms
    the GAN is best and worst.
    """
    numbers = {
        "targets": f"{random['targets'].max():,}",
        "samples": f"{random['samples'].max():,}",
        "checks": f"{random['checks'].max():.0f}",
        "c2st_epochs": str(C2ST_EPOCHS),
        "tolerance": concise(TOLERANCE),
        "patience": str(PATIENCE),
    }
    for key, steps, other in (
        ("lookup_cvae", _STEPS, "cvae"),
        ("lookup_inn", _STEPS, "inn"),
        ("lookup_plain_inn", 0, "inn"),
    ):
        ends = pd.concat(
            [_of(random, "lookup-large", steps)["mmd2_high"], _of(random, other)["mmd2_low"]],
            axis=1,
            join="inner",
        )
        numbers[key] = f"{int((ends['mmd2_high'] < ends['mmd2_low']).sum())} of {len(ends)}"
    gan, prior = _of(random, "cgan")["mmd2"], _of(random, "prior")["mmd2"]
    for which, dof in (("best", gan.idxmin()), ("worst", gan.idxmax())):
        numbers[f"gan_{which}"] = significant(gan[dof], 2)
        numbers[f"gan_{which}_dof"] = str(dof)
        numbers[f"gan_{which}_share"] = significant(gan[dof] / prior[dof], 2)
    for (name, refine), rows in random.groupby(["sampler", "refine"]):
        of = f"{name}_refined" if refine else str(name)
        numbers[f"mmd_{of}"] = significant(rows["mmd2"].mean(), 2)
        numbers[f"resim_{of}"] = significant(rows["e_resim"].mean(), 2)
        numbers[f"c2st_{of}"] = extent(rows["c2st"], "{:.3f}")
        numbers[f"rejected_{of}"] = extent(100 * rows["rejected"], "{:.1f}") + " %"
        if name in CATALOGUE:
            numbers[f"parameters_{of}"] = f"{rows['parameters'].mean():,.0f}"
    return numbers


def flow_steps(rows: pd.DataFrame) -> pd.DataFrame:
    """The flow with fewer steps.

    Args:
        rows: `evaluation.Scores.summary` by `steps` of the integration and `refine`.
    """
    columns = ["MMD² to exact", "rejected", "E‖f(θ) − y‖²", "worst target", "profile"]
    cells = as_text(rows, columns)
    cells.insert(0, "midpoint steps", list(rows["steps"]))
    cells.insert(1, "steps onto the target", list(rows["refine"]))
    return cells.assign(evaluations=list(2 * rows["steps"]))


def flow_steps_numbers(rows: pd.DataFrame) -> dict[str, str]:
    """What one step, two and the most of them do, by key; `rows` as in `flow_steps`."""
    plain = rows[rows["refine"] == 0].set_index("steps")
    most = int(plain.index.max())
    counts = {"one_step": 1, "two_steps": 2, "most_steps": most}
    return {
        "step_targets": str(rows["targets"].max()),
        "one_step": significant(plain["e_resim"][1] / plain["e_resim"][2], 2),
        "most_steps": str(most),
        **{f"{key}_rejected": percent(plain["rejected"][n], 0) for key, n in counts.items()},
    }


def classifier_stop(name: str, epochs: int | None, accuracy: Tensor) -> dict[str, Any]:
    """A row of `classifier_stops` from accuracies (B,), a target each."""
    low, high = bootstrap_interval(accuracy.tolist())
    return {
        "sampler": name,
        "epochs": epochs or 0,
        "targets": len(accuracy),
        "c2st": float(accuracy.mean()),
        "c2st_low": low,
        "c2st_high": high,
        "spread": float(accuracy.std()),
    }


def classifier_stops(rows: pd.DataFrame) -> pd.DataFrame:
    """When classifiers of a C2ST stop, and what that does.

    Args:
        rows: Those of `classifier_stop`, where 0 epochs are a training to the end, which has no
            fixed cost.
    """
    shown = max(rows["targets"])
    affordable = shown * C2ST_EPOCHS / rows["epochs"].replace(0, math.nan)
    errors = (rows["c2st"] - 0.5) / rows["spread"] * affordable**0.5
    return formatted(
        rows.assign(
            stop=[str(epochs) if epochs else "to the end" for epochs in rows["epochs"]],
            errors=errors,
        ),
        {
            "sampler": ("sampler", label),
            "epochs": "stop",
            "targets": "targets",
            "C2ST": interval("c2st"),
            "spread over targets": ("spread", "{:.3f}"),
            "standard errors from 0.5, at equal cost": ("errors", 2),
        },
    )


#: Ways to ask for samples, by column of `amortised`.
_CALLS: Mapping[str, str] = {
    "call": "µs for one sample of one target",
    "one": "µs a sample, one for each of many targets",
    "many": "µs a sample, 1000 for each of a few",
}


def amortised(rows: pd.DataFrame) -> pd.DataFrame:
    """Time for a sample, by what is asked for.

    Args:
        rows: Columns sampler, refine, and seconds a sample in `call` (one sample of one target),
            `one` (one for each of many targets) and `many` (a thousand for each of a few).
    """
    columns = {
        header: (column, lambda seconds: significant(1e6 * seconds, 2))
        for column, header in _CALLS.items()
    }
    return formatted(rows, {"sampler": ("sampler", "refine", _refined), **columns})


def amortised_numbers(rows: pd.DataFrame, random: pd.DataFrame, dof: int) -> dict[str, str]:
    """Speed in multiples of the exact sampler's, and times of a solution, by key.

    Args:
        rows: As in `amortised`.
        random: As in `samplers`.
        dof: Arm of the rows.
    """
    seconds = rows.set_index(["sampler", "refine"])[list(_CALLS)]
    # Not every profile trains them all.
    others = seconds.reindex([("flow", 0), ("flow-fast", 0), ("flow-fast", _STEPS)])
    times = seconds.loc["exact", 0] / others
    ratios = {
        f"{column}_{name}{'_refined' * bool(refine)}": significant(value, 2)
        for (name, refine), row in times.iterrows()
        for column, value in row.items()
    }
    return {
        **ratios,
        "exact_ms": significant(1e3 * seconds["call"]["exact", 0], 2),
        "solver_ms": significant(1e3 / _of(random, "numerical")["samples_per_second"][dof], 2),
    }
