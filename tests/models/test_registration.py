"""A model that is defined outside of the package is one like any other."""

import json
import subprocess
import sys

import pytest

from ikpaper import models
from ikpaper.models import CATALOGUE, NetworkSampler

# In a process of its own: what is registered once stays.
PROGRAM = """
import json, sys
import torch
import ikpaper
from ikpaper import models
from ikpaper.training import TrainingRun, train

before = list(models.CATALOGUE)
from tests.models.affine import Affine

run = TrainingRun.of("affine", 4, profile="smoke", spread=0.1)
model, record = train(run, directory=sys.argv[1])
loaded = ikpaper.load("affine", dof=4, profile="smoke", directory=sys.argv[1])
draw = lambda model: model.sample([2.0, 0.5], 16, generator=torch.Generator().manual_seed(0))
print(json.dumps({
    "added": [name for name in models.CATALOGUE if name not in before],
    "kind": models.model_type("affine") is Affine and type(loaded) is Affine,
    "losses": [row["terms"]["square"] for row in record["history"]],
    "spread": loaded.config.spread,
    "parameters": [
        models.count_parameters("affine", model.arm), record["num_parameters"], 4 * 4 + 4
    ],
    "same": torch.equal(draw(model), draw(loaded)),
}))
"""


@pytest.mark.slow
def test_a_model_of_ones_own_is_built_trained_saved_and_loaded(tmp_path):
    found = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert found.returncode == 0, found.stderr
    result = json.loads(found.stdout.splitlines()[-1])
    assert result["added"] == ["affine"]
    assert result["kind"]
    assert len(result["losses"]) == 3
    assert result["losses"][-1] < result["losses"][0]
    assert result["spread"] == 0.1
    assert len(set(result["parameters"])) == 1
    assert result["same"]


def test_the_catalogue_holds_the_networks_among_the_samplers():
    assert {"cvae", "inn", "inn-ml", "inn-ml-small", "cgan", "flow", "flow-fast"} <= set(CATALOGUE)
    assert len(CATALOGUE) == len(list(CATALOGUE))
    assert "exact" not in CATALOGUE
    with pytest.raises(KeyError):
        CATALOGUE["exact"]
    for name, kind in CATALOGUE.items():
        assert issubclass(kind, NetworkSampler)
        assert kind.name == name
        assert models.model_type(name) is kind


def test_models_tell_each_other_apart():
    """Figures need a label, a colour and a marker of its own for each."""
    for attribute in ("label", "colour", "marker"):
        values = [getattr(kind, attribute) for kind in CATALOGUE.values()]
        assert len(set(values)) == len(values)


def test_a_profile_without_epochs_is_named():
    assert models.Flow.epochs_for("paper") == 60
    with pytest.raises(ValueError, match=r"profile: 'cgan' has epochs for smoke, paper .* 'quick'"):
        models.CGAN.epochs_for("quick")
