import copy
import os
import pickle
import subprocess
import sys

import pytest

import ikpaper
from ikpaper import PlanarArm, RailArm

HEAVY = ("torch", "numpy", "scipy", "pandas", "FrEIA", "sklearn", "matplotlib", "ray", "skopt")


def run(code, **variables):
    return subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        check=False,
    )


def test_import_is_quiet_and_loads_nothing():
    done = run(f"import sys, ikpaper; print(sorted(set({HEAVY!r}) & set(sys.modules)))")
    assert (done.stdout, done.stderr) == ("[]\n", "")


def test_arms_samplers_and_networks_need_no_plots_tables_or_clusters():
    code = (
        "import sys, ikpaper\n"
        "arm = ikpaper.PlanarArm.paper(6)\n"
        "ikpaper.ExactPosterior(arm, 0.2).sample([3, 0.8], 2)\n"
        "ikpaper.models.build('flow', dof=6).sample([3, 0.8], 2)\n"
        "print({'FrEIA', 'pandas', 'sklearn', 'matplotlib', 'ray', 'skopt'} & set(sys.modules))"
    )
    done = run(code)
    assert (done.stdout, done.stderr) == ("set()\n", "")


def test_import_leaves_generators_alone():
    code = (
        "import random, numpy, torch\n"
        "def states():\n"
        "    own = numpy.random.get_state()[1].tolist()\n"
        "    return random.getstate(), own, torch.get_rng_state().tolist()\n"
        "before = states()\n"
        "import ikpaper\n"
        "[getattr(ikpaper, name) for name in ikpaper.__all__]\n"
        "assert states() == before\n"
    )
    done = run(code)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_every_public_name_is_there_and_listed():
    for name in ikpaper.__all__:
        assert getattr(ikpaper, name) is not None
        assert name in dir(ikpaper)
    with pytest.raises(AttributeError, match="no attribute 'tarin'"):
        ikpaper.tarin  # noqa: B018


def test_rooms_do_not_hide_public_functions():
    import ikpaper.evaluation
    import ikpaper.training

    assert callable(ikpaper.benchmark)
    assert callable(ikpaper.results)
    assert callable(ikpaper.train)


def public_things():
    arm, rail = PlanarArm.paper(4), RailArm.benchmark()
    networks = [ikpaper.models.build(name, dof=4) for name in ikpaper.models.CATALOGUE]
    truths = [ikpaper.ExactPosterior, ikpaper.Prior, ikpaper.NumericalSolver]
    return [
        arm,
        rail,
        *ikpaper.PROFILES.values(),
        *networks,
        *(kind(arm, 0.2) for kind in truths),
        ikpaper.RejectionPosterior(arm, 0.2, 0.05),
        ikpaper.Refined(networks[0]),
        ikpaper.Task.random(arm, 2, samples=10),
    ]


def test_what_is_public_pickles_and_copies():
    for thing in public_things():
        for other in (pickle.loads(pickle.dumps(thing)), copy.deepcopy(thing)):
            assert type(other) is type(thing)
    for name in ikpaper.__all__:
        value = getattr(ikpaper, name)
        if callable(value):
            assert pickle.loads(pickle.dumps(value)) is value
    assert pickle.loads(pickle.dumps(ikpaper.PROFILES)) == ikpaper.PROFILES
