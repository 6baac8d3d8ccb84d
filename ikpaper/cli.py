"""Command line: `ikpaper train`, `evaluate`, `sample`, `benchmark`, `report` and more."""

from __future__ import annotations

import argparse
import importlib
import os
import re
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

import ikpaper
from ikpaper.arm import PlanarArm, RailArm
from ikpaper.checks import check_count
from ikpaper.cluster import cluster_address
from ikpaper.files import project_root
from ikpaper.inventory import KINDS, accept, all_runs, inventory
from ikpaper.matmul import use_fast_matmul
from ikpaper.models import CATALOGUE, NetworkSampler, model_type
from ikpaper.paper import SEARCH_TRIALS, Ranges
from ikpaper.profiles import PROFILES, PUBLISHED, Profile, get_profile
from ikpaper.progress import duration
from ikpaper.training import PRECISIONS, TrainingRun, resolve_device, train_all, train_on_cluster
from ikpaper.weights import find_weights, load

__all__ = ["main"]

#: A negative number as argparse does not know it, which takes it for an option.
_NEGATIVE = re.compile(r"-(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|-(inf|nan)", re.IGNORECASE)


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit status. Errors of the user are one line, not a trace."""
    for stream in (sys.stdout, sys.stderr):
        # A terminal or a file that cannot hold a Greek letter gets a question mark.
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    arguments = _parser().parse_args(_guarded(sys.argv[1:] if argv is None else argv))
    # So that a plain kill takes the same clean way out as Ctrl-C.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    if argv is None:
        # It holds for the whole process, which is this command's.
        use_fast_matmul()
    try:
        if arguments.of_checkout:
            project_root()
        _import(arguments.modules)
        status = arguments.command(arguments) or 0
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever reads has enough. What is left in the buffer goes nowhere, without a complaint.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except (ValueError, OSError, FloatingPointError, RuntimeError) as error:
        print(f"ikpaper {arguments.verb}: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        continues = arguments.resumes and not getattr(arguments, "fresh", False)
        note = "; the same command continues" if continues else ""
        print(f"\nikpaper {arguments.verb}: interrupted{note}", file=sys.stderr)
        return 130
    return status


def _guarded(argv: Sequence[str]) -> list[str]:
    """Arguments whose negative numbers argparse does not take for options: a space precedes."""
    return [f" {argument}" if _NEGATIVE.fullmatch(argument) else argument for argument in argv]


def _import(modules: Sequence[str]) -> None:
    """Import modules of the user, also from the working directory, that define models."""
    if modules:
        sys.path.insert(0, "")
    for name in modules:
        try:
            importlib.import_module(name)
        except Exception as error:
            kind = type(error).__name__
            raise ValueError(f"--import {name}: {kind}: {error}") from error


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="ikpaper", description=__doc__)
    parser.add_argument("--version", action="version", version=f"ikpaper {ikpaper.__version__}")
    parser.add_argument(
        "--import",
        dest="modules",
        action="append",
        default=[],
        metavar="MODULE",
        help="a module that defines models of your own, which are then known by their names",
    )
    parser.set_defaults(resumes=False, of_checkout=False)
    verbs = parser.add_subparsers(dest="verb", required=True)

    train = verbs.add_parser(
        "train",
        help="train models; what is trained already is kept",
        description="Train models. Weights go to the folder that the environment variable "
        "IKPAPER_WEIGHTS names; by default to weights/ of the checkout, or outside of one to the "
        "user's data folder.",
    )
    _model_arguments(train, required=False, profile="quick")
    train.add_argument(
        "--all", action="store_true", help="every model of the profile, for the paper's arms"
    )
    train.add_argument(
        "--retries",
        type=int,
        default=0,
        help="how often to repeat an epoch that diverges, with other noise (default 0: stop)",
    )
    train.add_argument(
        "--fresh",
        action="store_true",
        help="train again from the start, also what is published and kept otherwise",
    )
    train.add_argument(
        "--precision",
        choices=PRECISIONS,
        help="of the products between hidden layers (default: the model's)",
    )
    _resource_arguments(train, "run on a cluster")
    train.set_defaults(command=_train, resumes=True)

    evaluate = verbs.add_parser("evaluate", help="score a trained model against ground truth")
    _model_arguments(evaluate)
    evaluate.add_argument(
        "--save", action="store_true", help="put the rows also into book/results/seeds.csv"
    )
    evaluate.set_defaults(command=_evaluate)

    benchmark = verbs.add_parser(
        "benchmark", help="score all published samplers; what is measured already is kept"
    )
    _dof_argument(benchmark)
    benchmark.add_argument("--targets", type=int, default=1000, help="random targets (1000)")
    benchmark.add_argument("--fresh", action="store_true", help="measure again")
    benchmark.set_defaults(command=_benchmark, resumes=True, of_checkout=True)

    baselines = verbs.add_parser(
        "baselines",
        help="train posteriors of sbi and flow and score both; what is measured already is kept",
    )
    _dof_argument(baselines, default=[6])
    baselines.add_argument("--epochs", type=int, help="of each baseline (default: as published)")
    baselines.add_argument("--targets", type=int, default=200, help="random targets (200)")
    _profile_argument(baselines, PUBLISHED)
    baselines.add_argument("--fresh", action="store_true", help="train and score again")
    baselines.set_defaults(command=_baselines, resumes=True, of_checkout=True)

    search = verbs.add_parser(
        "search", help="search hyperparameters; what is finished already is kept"
    )
    _model_arguments(search, profile="search", device=False)
    search.add_argument("--trials", type=int, default=SEARCH_TRIALS, help="trials in all (100)")
    search.add_argument("--epochs", type=int, default=60, help="epochs of a trial (60)")
    search.add_argument(
        "--objective",
        default="loss",
        help="loss: training loss of the last epoch, as in the paper (default); held-out: scores "
        "at test targets",
    )
    search.add_argument("--method", default="bayesian", help="bayesian (default) or random")
    search.add_argument(
        "--early-stopping", action="store_true", help="stop trials that lag behind (not the paper)"
    )
    search.add_argument(
        "--range",
        nargs=3,
        action="append",
        default=[],
        metavar=("NAME", "LOW", "HIGH"),
        help="another range of a hyperparameter",
    )
    search.add_argument(
        "--precision", default="float32", choices=PRECISIONS, help="default: float32"
    )
    search.add_argument("--parallel", type=int, help="trials at a time (default: one a CPU)")
    _resource_arguments(search, "trial")
    search.add_argument("--folder", type=Path, help="folder of the study")
    search.set_defaults(command=_search, resumes=True)

    confirm = verbs.add_parser(
        "confirm",
        help="train and score trials of a study with more data; what is scored already is kept",
    )
    confirm.add_argument("folder", type=Path, help="folder of the study")
    confirm.add_argument(
        "--count", type=int, default=1, help="trials, from the best to the worst (1: the best)"
    )
    confirm.add_argument(
        "--printed", action="store_true", help="the hyperparameters that the slides print, instead"
    )
    _profile_argument(confirm, PUBLISHED)
    confirm.add_argument(
        "--retries", type=int, default=3, help="how often to repeat an epoch that diverges (3)"
    )
    confirm.add_argument("--fresh", action="store_true", help="train and score again")
    confirm.set_defaults(command=_confirm, resumes=True, of_checkout=True)

    ablate = verbs.add_parser("ablate", help="train and score what differs in one choice")
    _profile_argument(ablate, "ablation")
    ablate.add_argument("--only", nargs="+", default=[], metavar="STUDY", help="only these studies")
    ablate.add_argument("--fresh", action="store_true", help="also what the table has")
    ablate.set_defaults(command=_ablate, resumes=True, of_checkout=True)

    scaling = verbs.add_parser("scaling", help="train and score the flow for arms of many joints")
    _profile_argument(scaling, "quick")
    scaling.add_argument("--dof", type=int, nargs="+", help="numbers of joints (default: 4 to 32)")
    scaling.add_argument("--fresh", action="store_true", help="also what the table has")
    scaling.set_defaults(command=_scaling, resumes=True, of_checkout=True)

    sample = verbs.add_parser("sample", help="joint angles for one target, as CSV")
    _model_arguments(sample, models=[*CATALOGUE, "exact"], seed="--model-seed")
    sample.add_argument("--tcp", type=float, nargs=2, required=True, metavar=("X", "Y"))
    sample.add_argument("-n", type=int, default=10, help="samples (default 10)")
    sample.add_argument("--seed", dest="draw", type=int, help="seed of the samples (42)")
    sample.set_defaults(command=_sample)

    report = verbs.add_parser("report", help="run the notebooks and write the book's pages")
    _profile_argument(report, PUBLISHED)
    _page_arguments(report)
    report.set_defaults(command=_report, resumes=True, of_checkout=True)

    reproduce = verbs.add_parser(
        "reproduce",
        help="run the pages anew beside the published ones and compare every number",
    )
    _page_arguments(reproduce)
    reproduce.add_argument(
        "--publish", action="store_true", help="put the certificate into the book"
    )
    reproduce.set_defaults(command=_reproduce, resumes=True, of_checkout=True)

    status = verbs.add_parser(
        "status", help="list weights, rows of results, studies and pages: current or not, and why"
    )
    status.add_argument(
        "kinds", nargs="*", metavar="KIND", help=f"only these: {', '.join(KINDS)}, studies"
    )
    status.set_defaults(command=_status, of_checkout=True)

    check = verbs.add_parser("accept", help="take what somebody has checked for current, as it is")
    check.add_argument("kind", choices=KINDS, help=", ".join(KINDS), metavar="KIND")
    check.add_argument(
        "names", nargs="*", metavar="NAME", help="as status has them (default: all that differ)"
    )
    check.add_argument("--reason", required=True, help="what was checked; it stays on record")
    check.set_defaults(command=_accept, of_checkout=True)
    return parser


def _dof_argument(
    parser: argparse.ArgumentParser, default: Sequence[int] = PlanarArm.PAPER_DOF
) -> None:
    arms = ", ".join(map(str, default))
    parser.add_argument(
        "--dof", type=int, nargs="+", default=list(default), help=f"only these arms ({arms})"
    )


def _profile_argument(parser: argparse.ArgumentParser, default: str | None) -> None:
    known = f"one of {', '.join(PROFILES)}"
    by_default = default or f"{PUBLISHED}, or the largest with weights"
    parser.add_argument("--profile", default=default, help=f"{known} (default: {by_default})")


def _page_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--only", nargs="+", default=[], metavar="PAGE", help="only these pages")
    parser.add_argument("--fresh", action="store_true", help="run again what is up to date")


def _resource_arguments(parser: argparse.ArgumentParser, what: str) -> None:
    parser.add_argument(
        "--address", help="Ray cluster to join, HOST:PORT or auto (default: RAY_ADDRESS, or none)"
    )
    parser.add_argument(
        "--cpus", type=float, default=1, help=f"CPUs and threads of a {what}, or a share (1)"
    )
    parser.add_argument("--gpus", type=float, default=0.0, help=f"GPUs of a {what}, or a share (0)")


def _resources(arguments: argparse.Namespace) -> dict[str, Any]:
    if arguments.cpus <= 0 or arguments.gpus < 0:
        raise ValueError(
            f"expected more than 0 CPUs and no negative GPUs, got {arguments.cpus:g} and "
            f"{arguments.gpus:g}"
        )
    return {"cpus": arguments.cpus, "gpus": arguments.gpus}


def _model_arguments(
    parser: argparse.ArgumentParser,
    *,
    required: bool = True,
    models: Sequence[str] = (),
    profile: str | None = None,
    device: bool = True,
    seed: str = "--seed",
) -> None:
    names = list(models or CATALOGUE)
    parser.add_argument("--model", required=required, help=f"one of {', '.join(names)}")
    which = parser.add_mutually_exclusive_group(required=required)
    which.add_argument("--dof", type=int, help="one of the paper's arms")
    which.add_argument(
        "--lengths", type=float, nargs="+", help="link lengths of an arm of your own"
    )
    which.add_argument(
        "--rail", type=float, nargs="+", help="link lengths of an arm whose base slides on a rail"
    )
    _profile_argument(parser, profile)
    parser.add_argument(
        seed, dest="seed", type=int, help="seed of the training (default: the profile's, 42)"
    )
    if device:
        parser.add_argument("--device", default="cpu", help="cpu, cuda or auto")


def _arm(arguments: argparse.Namespace) -> PlanarArm:
    if arguments.rail:
        return RailArm(arguments.rail)
    return PlanarArm(arguments.lengths) if arguments.lengths else PlanarArm.paper(arguments.dof)


def _names_arm(arguments: argparse.Namespace) -> bool:
    return arguments.dof is not None or bool(arguments.lengths or arguments.rail)


def _seed(asked: int | None, profile: Profile) -> int:
    """The seed that was asked for, or the profile's."""
    if asked is None:
        return profile.seed
    if asked >= 2**32:
        raise ValueError(f"seed: expected a whole number below 2^32, got {asked}")
    return check_count("seed", asked, 0)


def _load(arguments: argparse.Namespace, arm: PlanarArm) -> tuple[Profile, NetworkSampler]:
    """The model that was asked for, with its profile: by default the largest there are weights of.

    Where there are none, it is `quick`, that of `ikpaper train`.
    """
    model_type(arguments.model)
    names = [arguments.profile] if arguments.profile else [*reversed([*PROFILES]), "quick"]
    for profile in map(get_profile, names):
        seed = _seed(arguments.seed, profile)
        if find_weights(arguments.model, arm, profile, seed).exists():
            break
    device = resolve_device(arguments.device)
    model = load(arguments.model, arm=arm, profile=profile, seed=seed, device=device)
    if profile.name not in (arguments.profile, PUBLISHED):
        print(f"ikpaper {arguments.verb}: the model of profile {profile.name}", file=sys.stderr)
    return profile, model


def _train(arguments: argparse.Namespace) -> None:
    settings: dict[str, Any] = {
        "profile": arguments.profile,
        "seed": _seed(arguments.seed, get_profile(arguments.profile)),
        "precision": arguments.precision,
    }
    if arguments.all and (arguments.model or _names_arm(arguments)):
        raise ValueError("expected either --all or --model with an arm, got both")
    if arguments.all:
        runs = all_runs(**settings)
    elif arguments.model is None or not _names_arm(arguments):
        raise ValueError("expected --all, or --model with --dof, --lengths or --rail")
    else:
        runs = [TrainingRun.of(arguments.model, arm=_arm(arguments), **settings)]
    options = {"fresh": arguments.fresh, "retries": arguments.retries}
    address, resources = cluster_address(arguments.address), _resources(arguments)
    if address is None and resources != {"cpus": 1, "gpus": 0}:
        raise ValueError("--cpus and --gpus are for a cluster (--address); here it is --device")
    if address is not None and arguments.device != "cpu":
        raise ValueError("--device is for training here; on a cluster --gpus asks for GPUs")
    if address is None:
        train_all(runs, device=arguments.device, **options)
    else:
        train_on_cluster(runs, address=address, **resources, **options)


def _evaluate(arguments: argparse.Namespace) -> None:
    from ikpaper.evaluation import PaperProtocol
    from ikpaper.experiments.seeds import save_seed
    from ikpaper.samplers import Prior

    arm = _arm(arguments)
    if arguments.save and arm != PlanarArm.like_paper(arm.dof):
        raise ValueError(f"--save is for the paper's arms, whose tables have no column for {arm}")
    # Before the work, which takes minutes: outside of a checkout there is no table.
    table = project_root() / "book" / "results" / "seeds.csv" if arguments.save else None
    profile, model = _load(arguments, arm)
    samplers = {arguments.model: model, "prior": Prior(arm, profile.sigma_for(arm))}
    scores = PaperProtocol(arm, profile).score(samplers)
    if table is not None:
        seed = _seed(arguments.seed, profile)
        save_seed(scores[scores["sampler"] == arguments.model].assign(seed=seed), table)
    print(scores.to_string(index=False))


def _benchmark(arguments: argparse.Namespace) -> None:
    from ikpaper.evaluation import as_text
    from ikpaper.experiments.published import run_published

    table = run_published(dofs=arguments.dof, targets=arguments.targets, fresh=arguments.fresh)
    for (dof, at), part in table.groupby(["dof", "at"]):
        print(f"\n{dof} DoF, {at} targets\n{as_text(part).to_string(index=False)}")


def _baselines(arguments: argparse.Namespace) -> None:
    from ikpaper.experiments.baselines import run_baselines
    from ikpaper.report.tables.baselines import baselines

    table = run_baselines(
        dofs=arguments.dof,
        epochs=arguments.epochs,
        targets=arguments.targets,
        profile=arguments.profile,
        fresh=arguments.fresh,
    )
    for dof, part in table.groupby("dof"):
        print(f"\n{dof} DoF\n{baselines(part).to_string(index=False)}")


def _search(arguments: argparse.Namespace) -> None:
    from ikpaper.search import Study, run_study

    profile = get_profile(arguments.profile)
    study = Study(
        arguments.model,
        _arm(arguments),
        objective=arguments.objective,
        method=arguments.method,
        profile=profile,
        epochs=arguments.epochs,
        seed=_seed(arguments.seed, profile),
        early_stopping=arguments.early_stopping,
        precision=arguments.precision,
        ranges=_ranges(arguments),
    )
    run_study(
        study,
        trials=arguments.trials,
        folder=arguments.folder,
        parallel=arguments.parallel,
        address=arguments.address,
        **_resources(arguments),
    )


def _confirm(arguments: argparse.Namespace) -> None:
    from ikpaper.search import confirm

    confirm(
        arguments.folder,
        count=arguments.count,
        printed=arguments.printed,
        profile=arguments.profile,
        retries=arguments.retries,
        fresh=arguments.fresh,
    )


def _ranges(arguments: argparse.Namespace) -> Ranges:
    """The model's ranges of the search, with those that `--range` changes."""
    ranges = dict(model_type(arguments.model).search_ranges)
    for name, *bounds in arguments.range:
        if name not in ranges:
            raise ValueError(f"unknown hyperparameter {name!r}; known: {', '.join(ranges)}")
        kind = type(ranges[name][0])
        try:
            low, high = (kind(bound) for bound in bounds)
        except ValueError:
            raise ValueError(
                f"range of {name}: expected two numbers of type {kind.__name__}, got "
                f"{' '.join(bounds)}"
            ) from None
        ranges[name] = (low, high)
    return ranges


def _ablate(arguments: argparse.Namespace) -> None:
    from ikpaper.experiments.ablations import VARIANTS, run_ablations

    studies = list(dict.fromkeys(variant.study for variant in VARIANTS))
    if unknown := sorted(set(arguments.only) - set(studies)):
        raise ValueError(f"unknown study {', '.join(unknown)}; known: {', '.join(studies)}")
    chosen = [v for v in VARIANTS if not arguments.only or v.study in arguments.only]
    run_ablations(chosen, profile=arguments.profile, fresh=arguments.fresh)


def _scaling(arguments: argparse.Namespace) -> None:
    from ikpaper.experiments.scaling import DOF, run_scaling

    run_scaling(arguments.dof or DOF, profile=arguments.profile, fresh=arguments.fresh)


def _sample(arguments: argparse.Namespace) -> None:
    from ikpaper.samplers import ExactPosterior

    arm = _arm(arguments)
    if arguments.model == "exact":
        profile = get_profile(arguments.profile or PUBLISHED)
        sampler: Any = ExactPosterior(arm, profile.sigma_for(arm))
    else:
        profile, sampler = _load(arguments, arm)
    generator = torch.Generator().manual_seed(_seed(arguments.draw, profile))
    theta = sampler.sample(arguments.tcp, arguments.n, generator=generator)
    print(",".join(f"theta_{j}" for j in range(1, arm.dof + 1)))
    for row in theta.tolist():
        print(",".join(f"{angle:.9g}" for angle in row))


def _report(arguments: argparse.Namespace) -> int:
    from ikpaper.report.pages import build_pages

    return build_pages(arguments.profile, only=arguments.only, fresh=arguments.fresh)


def _reproduce(arguments: argparse.Namespace) -> int:
    from ikpaper.report.reproduce import reproduce

    return reproduce(only=arguments.only, fresh=arguments.fresh, publish=arguments.publish)


def _status(arguments: argparse.Namespace) -> None:
    known = (*KINDS, "studies")
    if unknown := sorted(set(arguments.kinds) - set(known)):
        raise ValueError(f"unknown kind {', '.join(unknown)}; known: {', '.join(known)}")
    items = inventory(arguments.kinds or known)
    for kind in dict.fromkeys(item.kind for item in items):
        of_kind = [item for item in items if item.kind == kind]
        current = sum(item.current for item in of_kind)
        cost = sum(item.cost for item in of_kind)
        todo = "" if current == len(of_kind) else f"; about {duration(cost)} to bring up to date"
        print(f"{kind}: {current} of {len(of_kind)} current{todo}")
        for item in of_kind:
            made = f" (made by {item.made})" if item.made else ""
            state = "current" if item.current else f"{item.reason}; about {duration(item.cost)}"
            print(f"  {item.name}: {state}{made}")


def _accept(arguments: argparse.Namespace) -> None:
    for name in accept(arguments.kind, arguments.names, reason=arguments.reason):
        print(f"{arguments.kind}: accepted {name}")


if __name__ == "__main__":
    sys.exit(main())
