"""Command line: `ikpaper train`, `evaluate`, `sample`, `benchmark`, `report` and more."""

from __future__ import annotations

import argparse
import importlib
import os
import re
import signal
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

import ikpaper
from ikpaper.arm import PlanarArm, RailArm
from ikpaper.checks import check_known, check_seed
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

if TYPE_CHECKING:
    import pandas as pd

    from ikpaper.experiments import Experiment


#: Commands that need no checkout.
_ANYWHERE = ("train", "evaluate", "search", "sample")
#: Commands that start from the beginning when they were interrupted.
_UNRESUMED = ("evaluate", "sample", "playground", "status", "accept")

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
        if arguments.verb not in _ANYWHERE:
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
        # Rates are of one run, and are kept when it ends.
        anew = getattr(arguments, "fresh", False) or getattr(arguments, "rates", False)
        continues = arguments.verb not in _UNRESUMED and not anew
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


class _Parser(argparse.ArgumentParser):
    """A parser, also of one command, that knows the options which several commands have."""

    def add_flag(self, name: str, help: str) -> None:
        """An option that is given or not."""
        self.add_argument(name, action="store_true", help=help)

    def add_whole(self, name: str, help: str, default: int | None = None) -> None:
        """A whole number."""
        self.add_argument(name, type=int, default=default, help=help)

    def add_dof(self, default: Sequence[int] = PlanarArm.PAPER_DOF) -> None:
        """Some of the paper's arms."""
        arms = ", ".join(map(str, default))
        self.add_argument(
            "--dof", type=int, nargs="+", default=list(default), help=f"only these arms ({arms})"
        )

    def add_profile(self, default: str | None) -> None:
        """A profile by name."""
        known = f"one of {', '.join(PROFILES)}"
        by_default = default or f"{PUBLISHED}, or the largest with weights"
        self.add_argument("--profile", default=default, help=f"{known} (default: {by_default})")

    def add_pages(self) -> None:
        """Which pages to run."""
        self.add_argument("--only", nargs="+", default=[], metavar="PAGE", help="only these pages")
        self.add_flag("--fresh", "run again what is up to date")

    def add_cluster(self, what: str) -> None:
        """A cluster, and the CPUs that each of the tasks takes of it."""
        cluster = "Ray cluster to join, HOST:PORT or auto (default: RAY_ADDRESS, or none)"
        cpus = f"CPUs and threads of a {what}, or a share (1)"
        self.add_argument("--address", help=cluster)
        self.add_argument("--cpus", type=float, default=1, help=cpus)

    def add_work(self, what: str, again: str) -> None:
        """Whether to do again what is done, and where its parts run."""
        self.add_flag("--fresh", again)
        self.add_cluster(f"{what} on a cluster")

    def add_resources(self, what: str) -> None:
        """A cluster, and all that each of the tasks takes of it."""
        self.add_cluster(what)
        gpus = f"GPUs of a {what}, or a share (0)"
        self.add_argument("--gpus", type=float, default=0.0, help=gpus)

    def add_model(
        self,
        *,
        required: bool = True,
        models: Iterable[str] = CATALOGUE,
        profile: str | None = None,
        device: bool = True,
        seed: str = "--seed",
    ) -> None:
        """A model of an arm, and how it is trained."""
        self.add_argument("--model", required=required, help=f"one of {', '.join(models)}")
        which = self.add_mutually_exclusive_group(required=required)
        which.add_argument("--dof", type=int, help="one of the paper's arms")
        for name, arm in (("--lengths", "of your own"), ("--rail", "whose base slides on a rail")):
            which.add_argument(name, type=float, nargs="+", help=f"link lengths of an arm {arm}")
        self.add_profile(profile)
        training = "seed of the training (default: the profile's, 42)"
        self.add_argument(seed, dest="seed", type=int, help=training)
        if device:
            self.add_argument("--device", default="cpu", help="cpu, cuda or auto")


def _parser() -> _Parser:
    parser = _Parser(prog="ikpaper", description=__doc__)
    parser.add_argument("--version", action="version", version=f"ikpaper {ikpaper.__version__}")
    parser.add_argument(
        "--import",
        dest="modules",
        action="append",
        default=[],
        metavar="MODULE",
        help="a module that defines models of your own, which are then known by their names",
    )
    verbs = parser.add_subparsers(dest="verb", required=True)

    def add(command: Callable[[argparse.Namespace], int | None], help: str) -> _Parser:
        verb = verbs.add_parser(command.__name__.removeprefix("_"), help=help)
        verb.set_defaults(command=command)
        return verb

    train = add(_train, "train models; what is trained already is kept")
    train.description = (
        "Train models. Weights go to the folder that the environment variable IKPAPER_WEIGHTS "
        "names; by default to weights/ of the checkout, or outside of one to the user's data "
        "folder."
    )
    train.add_model(required=False, profile="quick")
    train.add_flag("--all", "every model of the profile, for the paper's arms")
    repeats = "how often to repeat an epoch that diverges"
    train.add_whole("--retries", f"{repeats}, with other noise (default 0: stop)", 0)
    train.add_flag(
        "--fresh", "train again from the start, also what is published and kept otherwise"
    )
    precision = "of the products between hidden layers (default: the model's)"
    train.add_argument("--precision", choices=PRECISIONS, help=precision)
    train.add_resources("run on a cluster")

    evaluate = add(_evaluate, "score a trained model against ground truth")
    evaluate.add_model()
    evaluate.add_flag("--save", "put the rows also into book/results/seeds.csv")

    benchmark = add(_benchmark, "score all published samplers; what is measured already is kept")
    benchmark.add_dof()
    benchmark.add_whole("--targets", "random targets (1000)", 1000)
    benchmark.add_flag("--rates", "measure nothing but the rates of all rows, in one run")
    benchmark.add_work("sampler", "measure again")

    calibrate = add(
        _calibrate,
        "check the calibration of all published samplers; what is measured already is kept",
    )
    calibrate.add_dof()
    calibrate.add_work("sampler", "measure again")

    baselines = add(
        _baselines,
        "train posteriors of sbi and flow and score both; what is measured already is kept",
    )
    baselines.add_dof([6])
    baselines.add_whole("--epochs", "of each baseline (default: as published)")
    baselines.add_whole("--targets", "random targets (200)", 200)
    baselines.add_profile(PUBLISHED)
    baselines.add_work("baseline", "train and score again")

    search = add(_search, "search hyperparameters; what is finished already is kept")
    search.add_model(profile="search", device=False)
    search.add_whole("--trials", "trials in all (100)", SEARCH_TRIALS)
    search.add_whole("--epochs", "epochs of a trial (60)", 60)
    search.add_argument(
        "--objective",
        default="loss",
        help="loss: training loss of the last epoch, as in the paper (default); held-out: scores "
        "at test targets",
    )
    search.add_argument("--method", default="bayesian", help="bayesian (default) or random")
    search.add_flag("--early-stopping", "stop trials that lag behind (not the paper)")
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
    search.add_whole("--parallel", "trials at a time (default: one a CPU)")
    search.add_resources("trial")
    search.add_argument("--folder", type=Path, help="folder of the study")

    confirm = add(
        _confirm, "train and score trials of a study with more data; what is scored already is kept"
    )
    confirm.add_argument("folder", type=Path, help="folder of the study")
    confirm.add_whole("--count", "trials, from the best to the worst (1: the best)", 1)
    confirm.add_flag("--printed", "the hyperparameters that the slides print, instead")
    confirm.add_profile(PUBLISHED)
    confirm.add_whole("--retries", f"{repeats} (3)", 3)
    confirm.add_work("trial", "train and score again")

    ablate = add(_ablate, "train and score what differs in one choice")
    ablate.add_profile("ablation")
    ablate.add_argument("--only", nargs="+", default=[], metavar="STUDY", help="only these studies")
    ablate.add_work("run", "train and score again")

    scaling = add(_scaling, "train and score the flow for arms of many joints")
    scaling.add_profile("quick")
    joints = "numbers of joints (default: 4 to 32; in full 16 and 32)"
    scaling.add_argument("--dof", type=int, nargs="+", help=joints)
    scaling.add_flag(
        "--full",
        "the published profile, for less time, other widths and numbers of steps, too (an hour)",
    )
    scaling.add_work("run", "train and score again")

    sample = add(_sample, "joint angles for one target, as CSV")
    sample.add_model(models=[*CATALOGUE, "exact"], seed="--model-seed")
    sample.add_argument("--tcp", type=float, nargs=2, required=True, metavar=("X", "Y"))
    sample.add_whole("-n", "samples (default 10)", 10)
    sample.add_argument("--seed", dest="draw", type=int, help="seed of the samples (42)")

    report = add(_report, "run the notebooks and write the book's pages")
    report.add_profile(PUBLISHED)
    report.add_pages()

    reproduce = add(
        _reproduce, "run the pages anew beside the published ones and compare every number"
    )
    reproduce.add_pages()
    reproduce.add_flag("--publish", "put the certificate into the book")
    reproduce.add_whole("--parallel", "pages at a time (default: one a CPU)")
    reproduce.add_cluster("page on a cluster")

    add(_playground, "write the compact weights that the book's playground page loads")

    status = add(
        _status, "list weights, rows of results, studies and pages: current or not, and why"
    )
    kinds = ", ".join(KINDS)
    status.add_argument("kinds", nargs="*", metavar="KIND", help=f"only these: {kinds}, studies")

    check = add(_accept, "take what somebody has checked for current, as it is")
    check.add_argument("kind", choices=KINDS, help=kinds, metavar="KIND")
    names = "as status has them (default: all that differ)"
    check.add_argument("names", nargs="*", metavar="NAME", help=names)
    check.add_argument("--reason", required=True, help="what was checked; it stays on record")
    return parser


def _pick(arguments: argparse.Namespace, *names: str) -> dict[str, Any]:
    """Options for a function that calls them by the same names."""
    return {name: getattr(arguments, name) for name in names}


def _cluster(arguments: argparse.Namespace) -> dict[str, Any]:
    if arguments.cpus <= 0:
        raise ValueError(f"expected more than 0 CPUs, got {arguments.cpus:g}")
    return {"address": cluster_address(arguments.address), "cpus": arguments.cpus}


def _resources(arguments: argparse.Namespace) -> dict[str, Any]:
    if arguments.gpus < 0:
        raise ValueError(f"expected no negative number of GPUs, got {arguments.gpus:g}")
    return {**_cluster(arguments), "gpus": arguments.gpus}


def _arm(arguments: argparse.Namespace) -> PlanarArm:
    if arguments.rail:
        return RailArm(arguments.rail)
    return PlanarArm(arguments.lengths) if arguments.lengths else PlanarArm.paper(arguments.dof)


def _seed(asked: int | None, profile: Profile) -> int:
    """The seed that was asked for, or the profile's."""
    if asked is None:
        return profile.seed
    return check_seed(asked, bits=32)


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
    settings = _pick(arguments, "profile", "precision")
    settings["seed"] = _seed(arguments.seed, get_profile(arguments.profile))
    has_arm = any(each is not None for each in _pick(arguments, "dof", "lengths", "rail").values())
    if arguments.all and (arguments.model or has_arm):
        raise ValueError("expected either --all or --model with an arm, got both")
    if arguments.all:
        runs = all_runs(**settings)
    elif arguments.model is None or not has_arm:
        raise ValueError("expected --all, or --model with --dof, --lengths or --rail")
    else:
        runs = [TrainingRun.of(arguments.model, arm=_arm(arguments), **settings)]
    options = _pick(arguments, "fresh", "retries")
    cluster = _resources(arguments)
    address = cluster["address"]
    if address is None and cluster != {"address": None, "cpus": 1, "gpus": 0}:
        raise ValueError("--cpus and --gpus are for a cluster (--address); here it is --device")
    if address is not None and arguments.device != "cpu":
        raise ValueError("--device is for training here; on a cluster --gpus asks for GPUs")
    if address is None:
        train_all(runs, device=arguments.device, **options)
    else:
        train_on_cluster(runs, **cluster, **options)


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


def _run(experiment: Experiment, arguments: argparse.Namespace) -> pd.DataFrame:
    return experiment.run(fresh=arguments.fresh, **_cluster(arguments))


def _benchmark(arguments: argparse.Namespace) -> None:
    from ikpaper.evaluation import as_text, terminal_text
    from ikpaper.experiments import published

    if arguments.rates:
        table = published.time_published(arguments.dof)
    else:
        table = _run(published.experiment(arguments.dof, targets=arguments.targets), arguments)
    for (dof, at), part in table.groupby(["dof", "at"]):
        print(f"\n{dof} DoF, {at} targets\n{terminal_text(as_text(part))}")


def _calibrate(arguments: argparse.Namespace) -> None:
    from ikpaper.experiments import calibration

    for dof, part in _run(calibration.experiment(arguments.dof), arguments).groupby("dof"):
        wide = part.pivot(index=["sampler", "refine"], columns="check", values="p_value")
        print(f"\n{dof} DoF, p-values\n{wide.to_string(float_format='{:.2g}'.format)}")


def _baselines(arguments: argparse.Namespace) -> None:
    from ikpaper.evaluation import terminal_text
    from ikpaper.experiments import baselines
    from ikpaper.report.tables.baselines import baselines as formatted

    # Before the work, which takes minutes without it, too.
    baselines.import_sbi()
    options = _pick(arguments, "epochs", "targets", "profile")
    table = _run(baselines.experiment(arguments.dof, **options), arguments)
    for dof, part in table.groupby("dof"):
        print(f"\n{dof} DoF\n{terminal_text(formatted(part))}")


def _search(arguments: argparse.Namespace) -> None:
    from ikpaper.search import Study, run_study

    profile = get_profile(arguments.profile)
    study = Study(
        arguments.model,
        _arm(arguments),
        profile=profile,
        seed=_seed(arguments.seed, profile),
        ranges=_ranges(arguments),
        **_pick(arguments, "objective", "method", "epochs", "early_stopping", "precision"),
    )
    options = _pick(arguments, "trials", "folder", "parallel")
    run_study(study, **options, **_resources(arguments))


def _confirm(arguments: argparse.Namespace) -> None:
    from ikpaper.search import confirm

    options = _pick(arguments, "count", "printed", "profile", "retries", "fresh")
    confirm(arguments.folder, **options, **_cluster(arguments))


def _ranges(arguments: argparse.Namespace) -> Ranges:
    """The model's ranges of the search, with those that `--range` changes."""
    ranges = dict(model_type(arguments.model).search_ranges)
    for name, *bounds in arguments.range:
        check_known("hyperparameter", [name], ranges)
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
    from ikpaper.experiments.ablations import VARIANTS, experiment

    studies = list(dict.fromkeys(variant.study for variant in VARIANTS))
    check_known("study", arguments.only, studies)
    chosen = [v for v in VARIANTS if not arguments.only or v.study in arguments.only]
    _run(experiment(chosen, arguments.profile), arguments)


def _scaling(arguments: argparse.Namespace) -> None:
    from ikpaper.experiments import scaling

    if arguments.full:
        experiment = scaling.full_experiment(arguments.dof or scaling.FULL_DOF)
    else:
        experiment = scaling.experiment(arguments.dof or scaling.DOF, profile=arguments.profile)
    _run(experiment, arguments)


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


def _playground(arguments: argparse.Namespace) -> None:
    from ikpaper.report.playground import export

    # Weights in half precision reach below what counts as zero with fast products.
    use_fast_matmul(False)
    export()


def _reproduce(arguments: argparse.Namespace) -> int:
    from ikpaper.report.reproduce import reproduce

    options = _pick(arguments, "only", "fresh", "publish", "parallel")
    return reproduce(**options, **_cluster(arguments))


def _status(arguments: argparse.Namespace) -> None:
    for kind, items in inventory(arguments.kinds).items():
        current = sum(item.current for item in items)
        cost = sum(item.cost for item in items if not item.current)
        todo = "" if current == len(items) else f"; about {duration(cost)} to bring up to date"
        print(f"{kind}: {current} of {len(items)} current{todo}")
        for item in items:
            made = f" (made by {item.made})" if item.made else ""
            state = "current" if item.current else f"{item.reason}; about {duration(item.cost)}"
            print(f"  {item.name}: {state}{made}")


def _accept(arguments: argparse.Namespace) -> None:
    for name in accept(arguments.kind, arguments.names, reason=arguments.reason):
        print(f"{arguments.kind}: accepted {name}")


if __name__ == "__main__":
    sys.exit(main())
