"""Command line: `ikpaper train`, `evaluate`, `benchmark`, `search`, `report` and more."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from ikpaper.arm import PlanarArm, RailArm
from ikpaper.cluster import cluster_address, train_on_cluster
from ikpaper.models import CATALOGUE, model_type
from ikpaper.paper import SEARCH_TRIALS, Ranges
from ikpaper.profiles import PROFILES, PUBLISHED, get_profile
from ikpaper.training import PRECISIONS, TrainingRun, resolve_device, train_all

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit status. Errors of the user are one line, not a trace."""
    parser = _parser()
    arguments = parser.parse_args(argv)
    # So that a plain kill takes the same clean way out as Ctrl-C.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        return arguments.command(arguments) or 0
    except (ValueError, OSError, FloatingPointError, RuntimeError) as error:
        print(f"ikpaper {arguments.verb}: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(
            f"\nikpaper {arguments.verb}: interrupted; the same command continues", file=sys.stderr
        )
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="ikpaper", description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)

    train = verbs.add_parser("train", help="train models; what is trained already is kept")
    _model_arguments(train, required=False)
    train.add_argument(
        "--all", action="store_true", help="every model of the profile, for the paper's arms"
    )
    train.add_argument(
        "--retries",
        type=int,
        default=0,
        help="how often to repeat an epoch that diverges, with other noise (default 0: stop)",
    )
    train.add_argument("--fresh", action="store_true", help="train again from the start")
    train.add_argument(
        "--precision",
        default="auto",
        choices=PRECISIONS,
        help="of the products between hidden layers (default: the faster one here)",
    )
    _resource_arguments(train, "run on a cluster")
    train.set_defaults(command=_train)

    evaluate = verbs.add_parser("evaluate", help="score a trained model against ground truth")
    _model_arguments(evaluate)
    evaluate.add_argument(
        "--save", action="store_true", help="put the rows also into book/results/seeds.csv"
    )
    evaluate.set_defaults(command=_evaluate)

    benchmark = verbs.add_parser(
        "benchmark", help="judge all published samplers; what is measured already is kept"
    )
    benchmark.add_argument(
        "--dof", type=int, nargs="+", default=list(PlanarArm.PAPER_DOF), help="only these arms"
    )
    benchmark.add_argument("--targets", type=int, default=1000, help="random targets (1000)")
    benchmark.add_argument("--fresh", action="store_true", help="measure again")
    benchmark.set_defaults(command=_benchmark)

    peers = verbs.add_parser(
        "peers",
        help="train posteriors of sbi for as long as flow and judge both; what is measured already "
        "is kept",
    )
    peers.add_argument(
        "--dof", type=int, nargs="+", default=list(PlanarArm.PAPER_DOF), help="only these arms"
    )
    peers.add_argument(
        "--seconds", type=float, help="to train for (default: what the arm's flow took)"
    )
    peers.add_argument("--targets", type=int, default=1000, help="random targets (1000)")
    peers.add_argument("--profile", default=PUBLISHED, help=f"one of {', '.join(PROFILES)}")
    peers.add_argument("--fresh", action="store_true", help="train and judge again")
    peers.set_defaults(command=_peers)

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
    search.add_argument("--precision", default="float32", help="float32 (default) or bfloat16")
    search.add_argument("--parallel", type=int, help="trials at a time (default: one a CPU)")
    _resource_arguments(search, "trial")
    search.add_argument("--folder", type=Path, help="folder of the study")
    search.set_defaults(command=_search)

    confirm = verbs.add_parser(
        "confirm", help="train and score trials of a study with more data; it resumes"
    )
    confirm.add_argument("folder", type=Path, help="folder of the study")
    confirm.add_argument(
        "--count", type=int, default=1, help="trials, from the best to the worst (1: the best)"
    )
    confirm.add_argument(
        "--printed", action="store_true", help="the hyperparameters that the slides print, instead"
    )
    confirm.add_argument("--profile", default=PUBLISHED, help=f"one of {', '.join(PROFILES)}")
    confirm.add_argument(
        "--retries", type=int, default=3, help="how often to repeat an epoch that diverges (3)"
    )
    confirm.set_defaults(command=_confirm)

    ablate = verbs.add_parser("ablate", help="train and score what differs in one choice")
    ablate.add_argument("--profile", default="ablation", choices=list(PROFILES))
    ablate.add_argument("--only", nargs="+", default=[], metavar="STUDY", help="only these studies")
    ablate.add_argument("--fresh", action="store_true", help="also what the table has")
    ablate.set_defaults(command=_ablate)

    growth = verbs.add_parser("growth", help="train and judge the flow for arms of many joints")
    growth.add_argument("--profile", default="quick", help=f"one of {', '.join(PROFILES)}")
    growth.add_argument("--dof", type=int, nargs="+", help="numbers of joints (default: 4 to 32)")
    growth.add_argument("--fresh", action="store_true", help="also what the table has")
    growth.set_defaults(command=_growth)

    sample = verbs.add_parser("sample", help="joint angles for one target, as CSV")
    _model_arguments(sample, models=[*CATALOGUE, "exact"])
    sample.add_argument("--tcp", type=float, nargs=2, required=True, metavar=("X", "Y"))
    sample.add_argument("-n", type=int, default=10, help="samples (default 10)")
    sample.set_defaults(command=_sample)

    report = verbs.add_parser("report", help="run the notebooks and write the book's pages")
    report.add_argument("--profile", default=PUBLISHED, choices=list(PROFILES))
    report.add_argument("--only", nargs="+", default=[], metavar="PAGE", help="only these pages")
    report.add_argument("--fresh", action="store_true", help="run again what is up to date")
    report.set_defaults(command=_report)
    return parser


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
    profile: str = "quick",
    device: bool = True,
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
    parser.add_argument("--profile", default=profile, help=f"one of {', '.join(PROFILES)}")
    parser.add_argument("--seed", type=int, help="seed (default: the profile's, 42)")
    if device:
        parser.add_argument("--device", default="cpu", help="cpu, cuda or auto")


def _arm(arguments: argparse.Namespace) -> PlanarArm:
    if arguments.rail:
        return RailArm(arguments.rail)
    return PlanarArm(arguments.lengths) if arguments.lengths else PlanarArm.paper(arguments.dof)


def _names_arm(arguments: argparse.Namespace) -> bool:
    return arguments.dof is not None or bool(arguments.lengths or arguments.rail)


def _train(arguments: argparse.Namespace) -> None:
    settings: dict[str, Any] = {
        "profile": arguments.profile,
        "seed": arguments.seed,
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


def all_runs(profile: str, **settings: Any) -> list[TrainingRun]:
    """Every model that the profile trains, for the arms of the paper; teachers come first."""
    numbers = get_profile(profile)
    return [
        TrainingRun.of(name, dof, profile=profile, **settings)
        for name in numbers.epochs
        for dof in numbers.arms.get(name, PlanarArm.PAPER_DOF)
    ]


def _evaluate(arguments: argparse.Namespace) -> None:
    from ikpaper.evaluation import Scorer, save_seed
    from ikpaper.files import project_root
    from ikpaper.posterior import Prior
    from ikpaper.weights import load

    arm, profile = _arm(arguments), get_profile(arguments.profile)
    seed = profile.seed if arguments.seed is None else arguments.seed
    if arguments.save and arm != PlanarArm.like_paper(arm.dof):
        raise ValueError(f"--save is for the paper's arms, whose tables have no column for {arm}")
    model = load(
        arguments.model,
        arm=arm,
        profile=profile,
        seed=seed,
        device=resolve_device(arguments.device),
    )
    scorer = Scorer(arm, profile)
    samplers = {arguments.model: model, "prior": Prior(arm, profile.sigma_for(arm))}
    scores = scorer.score_all(samplers)
    print(scores.to_string(index=False))
    if arguments.save:
        own = scores[scores["sampler"] == arguments.model].assign(seed=seed)
        save_seed(own, project_root() / "book" / "results" / "seeds.csv")


def _benchmark(arguments: argparse.Namespace) -> None:
    from ikpaper.judging import as_text, benchmark_published

    table = benchmark_published(
        dofs=arguments.dof, targets=arguments.targets, fresh=arguments.fresh
    )
    for (dof, at), part in table.groupby(["dof", "at"]):
        print(f"\n{dof} DoF, {at} targets\n{as_text(part).to_string(index=False)}")


def _peers(arguments: argparse.Namespace) -> None:
    from ikpaper.peers import as_text, benchmark_peers

    table = benchmark_peers(
        dofs=arguments.dof,
        seconds=arguments.seconds,
        targets=arguments.targets,
        profile=arguments.profile,
        fresh=arguments.fresh,
    )
    for dof, part in table.groupby("dof"):
        print(f"\n{dof} DoF\n{as_text(part).to_string(index=False)}")


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
        seed=profile.seed if arguments.seed is None else arguments.seed,
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
    from ikpaper.ablation import VARIANTS, run_ablations

    studies = list(dict.fromkeys(variant.study for variant in VARIANTS))
    if unknown := sorted(set(arguments.only) - set(studies)):
        raise ValueError(f"unknown study {', '.join(unknown)}; known: {', '.join(studies)}")
    chosen = [v for v in VARIANTS if not arguments.only or v.study in arguments.only]
    run_ablations(chosen, profile=arguments.profile, fresh=arguments.fresh)


def _growth(arguments: argparse.Namespace) -> None:
    from ikpaper.growth import DOF, run_growth

    run_growth(arguments.dof or DOF, profile=arguments.profile, fresh=arguments.fresh)


def _sample(arguments: argparse.Namespace) -> None:
    from ikpaper.posterior import ExactPosterior
    from ikpaper.weights import load

    arm, profile = _arm(arguments), get_profile(arguments.profile)
    seed = profile.seed if arguments.seed is None else arguments.seed
    if arguments.model == "exact":
        sampler: Any = ExactPosterior(arm, profile.sigma_for(arm))
    else:
        device = resolve_device(arguments.device)
        sampler = load(arguments.model, arm=arm, profile=profile, seed=seed, device=device)
    generator = torch.Generator().manual_seed(seed)
    theta = sampler.sample(arguments.tcp, arguments.n, generator=generator)
    print(",".join(f"theta_{j}" for j in range(1, arm.dof + 1)))
    for row in theta.tolist():
        print(",".join(f"{angle:.9g}" for angle in row))


def _report(arguments: argparse.Namespace) -> int:
    from ikpaper.report import build_pages

    return build_pages(arguments.profile, only=arguments.only, fresh=arguments.fresh)


if __name__ == "__main__":
    sys.exit(main())
