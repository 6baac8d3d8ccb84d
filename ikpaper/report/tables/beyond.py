"""Tables and statistics of the page beyond the paper: the benchmark's rows, and the flow's cost."""

from __future__ import annotations

import math
import operator
from collections.abc import Mapping, Sequence

import pandas as pd

from ikpaper.arm import PlanarArm
from ikpaper.evaluation import CHECK_REJECTED, LEVEL, as_text
from ikpaper.format import (
    cell,
    concise,
    extent,
    fixed,
    joined,
    percent,
    percent_extent,
    rounded,
    significant,
    with_interval,
)
from ikpaper.metrics import C2ST_EPOCHS
from ikpaper.models import CATALOGUE
from ikpaper.projection import PATIENCE, TOLERANCE
from ikpaper.report.tables.base import BRIEF, NETWORKS, formatted, interval, label, named
from ikpaper.statistics import mcnemar, paired_difference

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


def _shown(random: pd.DataFrame) -> pd.DataFrame:
    """Plain samplers, and the flows and look-up tables also with steps onto the target."""
    both = (*FLOWS, "lookup", "lookup-large")
    return random[(random["refine"] == 0) | random["sampler"].isin(both)]


def _of(random: pd.DataFrame, name: str, refine: int = 0) -> pd.DataFrame:
    """Rows of one sampler, by arm."""
    return random[(random["sampler"] == name) & (random["refine"] == refine)].set_index("dof")


def _closer(one: pd.DataFrame, other: pd.DataFrame) -> pd.Series:
    """On which arms of both the interval of the MMD^2 of `one` lies below the other's."""
    ends = pd.concat([one["mmd2_high"], other["mmd2_low"]], axis=1, join="inner")
    return ends["mmd2_high"] < ends["mmd2_low"]


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
    found = ((name, _of(random, name)) for name in _HOME)
    return pd.DataFrame(
        {
            "sampler": label(name),
            # Of equal distributions, an unbiased score is below zero half of the time.
            "mismatch, % of the prior's": extent((100 * group["mmd2"] / prior).clip(0.0), "{:.1f}"),
            "typical miss, % of the reach": extent(100 * group["e_resim"] ** 0.5 / reach, "{:.2f}"),
            "rejected, % of targets": extent(100 * group["rejected"]),
        }
        for name, group in found
    )


def home_numbers(random: pd.DataFrame, ahead: pd.Series) -> dict[str, str]:
    """Numbers of the front page's sentences, by key, and `lookup_plain_inn` of the conclusions.

    Closer is an interval of the MMD^2 below the other's, and the look-up table the smaller one.

    Args:
        random: As in `samplers`.
        ahead: The network that is closer to the posterior on each arm at other targets, by
            intervals and training runs; see `verdicts.ahead`.
    """
    cvae, inn = (_of(random, name) for name in NETWORKS)
    closer = _closer(cvae, inn) & (ahead == label("cvae"))
    plain = _closer(_of(random, "lookup"), inn)
    rejected = {name: _of(random, name)["rejected"] for name in _HOME}
    return {
        "home_cvae": f"{closer.sum() or 'none'} of {len(cvae)}",
        "lookup_plain_inn": f"{plain.sum() or 'none'} of {len(plain)}",
        **{f"home_rejected_{name}": percent_extent(share) for name, share in rejected.items()},
    }


def over_arms(random: pd.DataFrame, samplers: Sequence[tuple[str, int]]) -> pd.DataFrame:
    """Smallest and largest scores over the arms, a row a sampler.

    Args:
        random: As in `samplers`.
        samplers: Names with their steps onto the target; what has no row is left out.
    """
    found = ((name, steps, _of(random, name, steps)) for name, steps in samplers)
    return pd.DataFrame(
        {
            "sampler": label(name, steps),
            "MMD² to exact": extent(group["mmd2"]),
            "rejected": percent_extent(group["rejected"], "{:.1f}"),
            "E‖f(θ) − y‖²": extent(group["e_resim"]),
            "samples/s": extent(group["samples_per_second"], rounded),
        }
        for name, steps, group in found
        if len(group)
    )


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
    test, the interval of the difference of the shares the one that agrees with it.

    Args:
        random: As in `samplers`.
    """
    return formatted(
        _paired_rows(random).sort_values("dof", kind="stable"),
        {
            "DoF": "dof",
            "sampler": ("sampler", "refine", label),
            "rejected": ("rejected", percent),
            "exact": ("rejected_exact", percent),
            "difference, %": ("only_this", "only_exact", "targets", _difference),
            "p": ("p", 2),
            "C2ST": interval("c2st"),
            "this alone": "only_this",
            "exact alone": "only_exact",
            CHECK_REJECTED: ("rejected_check", percent),
        },
    )


def paired_numbers(random: pd.DataFrame) -> dict[str, str]:
    """What could hide in the paired comparison, by key; `random` as in `samplers`.

    On how many of all comparisons the test rejects that the shares are equal; the largest end of
    the intervals of the difference of the shares; the largest end of the intervals of the flows'
    MMD^2, in units of the prior's; and shares that are rejected by the other kernel.
    """
    rows = _paired_rows(random)
    prior = _of(random, "prior")["mmd2"].loc[rows["dof"]].array
    checks = {name: _of(random, name)["rejected_check"] for name in ("exact", "flow")}
    return {
        "pairs": str(len(rows)),
        "pairs_unequal": str((rows["p"] <= LEVEL).sum() or "none"),
        "pairs_most": _most_hidden(rows),
        "pairs_share": percent((rows["mmd2_high"] / prior).max(), 2),
        **{f"check_{name}": percent_extent(shares) for name, shares in checks.items()},
    }


def pooled_numbers(random: pd.DataFrame, many: pd.DataFrame) -> dict[str, str]:
    """The flow and the exact sampler at the targets of all arms together, by key.

    Targets at which the flow alone is rejected (`pooled_flow`), the exact sampler alone
    (`pooled_exact`), and McNemar's p-value (`pooled_p`); with more samples `more_pooled_flow`
    and so on.

    Args:
        random: As in `samplers`.
        many: As `rows` in `many_samples`.
    """
    numbers: dict[str, str] = {}
    for prefix, rows in (("pooled", random), ("more_pooled", many)):
        pairs = _of(_paired_rows(rows), "flow")
        alone = [int(pairs[column].sum()) for column in ("only_this", "only_exact")]
        texts = (*map(str, alone), significant(mcnemar(*alone), 2))
        ends = ("flow", "exact", "p")
        numbers |= {f"{prefix}_{end}": text for end, text in zip(ends, texts, strict=True)}
    return numbers


def many_samples(rows: pd.DataFrame) -> pd.DataFrame:
    """The flow beside the exact sampler by more samples a target: see `paired`.

    Args:
        rows: Those of the benchmark at `many samples`.
    """
    pairs, ends = _paired_rows(rows), ["mmd2", "mmd2_low", "mmd2_high"]
    exact = _of(rows, "exact")[ends].add_prefix("exact_")
    return formatted(
        pairs.join(exact, on="dof"),
        {
            "DoF": "dof",
            "MMD², 10⁻⁶": (*ends, _in_millionths),
            "exact: MMD², 10⁻⁶": (*exact, _in_millionths),
            "rejected": ("rejected", percent),
            "exact: rejected": ("rejected_exact", percent),
            "difference, %": ("only_this", "only_exact", "targets", _difference),
            "p": ("p", 2),
            "targets": "targets",
            "samples": ("samples", "{:,}"),
        },
    )


def _in_millionths(value: float, low: float, high: float) -> str:
    return with_interval(1e6 * value, 1e6 * low, 1e6 * high)


def many_samples_numbers(rows: pd.DataFrame, random: pd.DataFrame) -> dict[str, str]:
    """What many samples show, by key.

    On how many arms the shares differ at 5 %, and the largest end of the intervals of that
    difference; on how many the MMD^2 is above zero, of the flow and of other exact samples; the
    flow's MMD^2 and the largest end of its intervals, in units of the prior's.

    Args:
        rows: As in `many_samples`.
        random: As in `samplers`.
    """
    pairs = _paired_rows(rows).set_index("dof")
    prior = _of(random, "prior")["mmd2"]
    above, exact = ((part["mmd2_low"] > 0).sum() for part in (pairs, _of(rows, "exact")))
    return {
        "more_samples": f"{pairs['samples'].max():,}",
        "more_targets": str(pairs["targets"].max()),
        "more_unequal": f"{(pairs['p'] <= LEVEL).sum() or 'none'} of {len(pairs)}",
        "more_pairs_most": _most_hidden(pairs),
        "more_above": f"{above or 'none'} of {len(pairs)}",
        "more_exact_above": f"{exact or 'none'} of {len(pairs)}",
        "more_share": percent_extent((pairs["mmd2"] / prior).dropna(), "{:.2f}"),
        "more_most": percent((pairs["mmd2_high"] / prior).max(), 2),
    }


def _most_hidden(pairs: pd.DataFrame) -> str:
    """The largest end of the intervals of a difference of paired shares."""
    counts = zip(pairs["only_this"], pairs["only_exact"], pairs["targets"], strict=True)
    return percent(max(paired_difference(*each)[2] for each in counts))


def _difference(this: int, other: int, targets: int) -> str:
    value, low, high = (100 * number for number in paired_difference(this, other, targets))
    return f"{fixed(value, 1, '+')} ({fixed(low, 1)} to {fixed(high, 1)})"


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


def tails(random: pd.DataFrame) -> pd.DataFrame:
    """Means beside the worst targets, the smallest and the largest over the arms.

    Args:
        random: As in `samplers`.
    """
    # Too few targets have no worst percent.
    rows = random[random["refine"] == 0].dropna(subset="mmd2_worst1")
    return pd.DataFrame(
        {
            "sampler": label(name),
            "MMD², mean": extent(group["mmd2"]),
            "MMD², worst 1 %": extent(group["mmd2_worst1"]),
            "E‖f(θ) − y‖², mean": extent(group["e_resim"]),
            "E‖f(θ) − y‖², worst 1 %": extent(group["e_resim_worst1"]),
        }
        for name, group in rows.groupby("sampler", sort=False)
    )


def tails_numbers(random: pd.DataFrame) -> dict[str, str]:
    """How many times the mean the worst percent is, by key; `random` as in `samplers`."""
    scores = {"mmd": ("mmd2", NETWORKS), "resim": ("e_resim", (*NETWORKS, "flow"))}
    return {
        f"tail_{of}_{name}": extent(_of(random, name).eval(f"{column}_worst1 / {column}"))
        for of, (column, names) in scores.items()
        for name in names
    }


def projection(random: pd.DataFrame) -> pd.DataFrame:
    """Samples before and after steps onto the target, the smallest and largest over the arms.

    Args:
        random: As in `samplers`.
    """
    names = random.loc[random["refine"] == _STEPS, "sampler"].unique()
    pairs = ((name, _of(random, name), _of(random, name, _STEPS)) for name in names)
    return pd.DataFrame(
        {
            "sampler": label(name),
            "MMD², before over after": extent(before["mmd2"] / after["mmd2"]),
            "rejected": percent_extent(before["rejected"]),
            "rejected after": percent_extent(after["rejected"]),
            "E‖f(θ) − y‖²": extent(before["e_resim"]),
            "E‖f(θ) − y‖² after": extent(after["e_resim"]),
        }
        for name, before, after in pairs
    )


def projection_numbers(random: pd.DataFrame) -> dict[str, str]:
    """What the steps do, by key; `random` as in `samplers`.

    By how much the MMD^2 falls, and how many of all samples do not converge.
    """
    after = random[random["refine"] == _STEPS]
    numbers = {
        f"falls_{name}": extent(_of(random, name)["mmd2"] / _of(random, name, _STEPS)["mmd2"])
        for name in (*NETWORKS, "lookup-large")
    }
    missed = int(after["missed"].sum())
    drawn = int((after["targets"] * after["samples"]).sum())
    return {**numbers, "missed": f"{missed or 'none'} of {drawn:,}"}


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

    For each sampler means over the arms, and shares of the best arm and the worst; on which arm
    the GAN is worst; how much closer to the target the kinematics bring the flow.
    """
    numbers = {
        "targets": f"{random['targets'].max():,}",
        "samples": f"{random['samples'].max():,}",
        "checks": f"{random['checks'].max():.0f}",
        "c2st_epochs": str(C2ST_EPOCHS),
        "tolerance": concise(TOLERANCE),
        "patience": str(PATIENCE),
    }
    for name in NETWORKS:
        closer = _closer(_of(random, "lookup-large", _STEPS), _of(random, name))
        numbers[f"lookup_{name}"] = f"{closer.sum()} of {len(closer)}"
    gan, prior = _of(random, "cgan")["mmd2"], _of(random, "prior")["mmd2"]
    worst = gan.idxmax()
    numbers["gan_worst_dof"] = str(worst)
    numbers["gan_worst_share"] = significant(gan[worst] / prior[worst], 2)
    plain, flow = (_of(random, name)["e_resim"] for name in ("flow-plain", "flow"))
    numbers["kinematics_resim"] = extent(plain / flow)
    for (name, refine), rows in random.groupby(["sampler", "refine"]):
        of = f"{name}_refined" if refine else str(name)
        numbers[f"mmd_{of}"] = significant(rows["mmd2"].mean(), 2)
        numbers[f"resim_{of}"] = significant(rows["e_resim"].mean(), 2)
        numbers[f"c2st_{of}"] = extent(rows["c2st"], "{:.3f}")
        numbers[f"rejected_{of}"] = percent_extent(rows["rejected"], "{:.1f}")
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
    """Shares rejected after two steps and the most of them, by key; `rows` as in `flow_steps`.

    After two steps, also of samples moved onto the target.
    """
    rejected = rows.set_index(["steps", "refine"])["rejected"]
    most, refine = (int(rows[name].max()) for name in ("steps", "refine"))
    of = {"two_steps": (2, 0), "two_steps_refined": (2, refine), "most_steps": (most, 0)}
    return {
        "step_targets": str(rows["targets"].max()),
        "most_steps": str(most),
        **{f"{key}_rejected": percent(rejected[place], 0) for key, place in of.items()},
    }


def classifier_stops(rows: pd.DataFrame) -> pd.DataFrame:
    """When classifiers of a C2ST stop, and what that does.

    Args:
        rows: See `experiments.costs.classifier_stops`; a training to the end has no fixed cost.
    """
    return formatted(
        rows.assign(
            stop=[str(epochs) if epochs else "to the end" for epochs in rows["epochs"]],
            errors=_standard_errors(rows),
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


def _standard_errors(rows: pd.DataFrame) -> pd.Series:
    """Standard errors between accuracies and 0.5, with the targets that equal cost affords."""
    affordable = rows["targets"].max() * C2ST_EPOCHS / rows["epochs"].replace(0, math.nan)
    return (rows["c2st"] - 0.5) / rows["spread"] * affordable**0.5


def classifier_stops_numbers(rows: pd.DataFrame) -> dict[str, str]:
    """Which training tells the cVAE best from exact samples at equal cost, by key.

    Args:
        rows: As in `classifier_stops`.
    """
    known = rows.assign(errors=_standard_errors(rows)).set_index(["sampler", "epochs"])
    errors = known["errors"]["cvae"]
    best = int(errors.idxmax())
    return {
        "stop_best": str(best),
        "stop_best_errors": significant(errors[best], 2),
        "stop_used_errors": significant(errors[C2ST_EPOCHS], 2),
    }


#: Ways to ask for samples, by column of `amortised`.
_CALLS: Mapping[str, str] = {
    "call": "µs for one sample of one target",
    "one": "µs a sample, one for each of many targets",
    "many": "µs a sample, 1,000 for each of a few",
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
    return formatted(rows, {"sampler": ("sampler", "refine", label), **columns})


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
        # From run to run such a ratio moves by tens of per cent.
        f"{column}_{name}{'_refined' * bool(refine)}": significant(value, 1)
        for (name, refine), row in times.iterrows()
        for column, value in row.items()
    }
    return {
        **ratios,
        "exact_ms": significant(1e3 * seconds["call"]["exact", 0], 2),
        "solver_ms": significant(1e3 / _of(random, "numerical")["samples_per_second"][dof], 2),
    }
