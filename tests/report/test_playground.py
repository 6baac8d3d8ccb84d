import json
import re

import pytest
import torch

from ikpaper import load
from ikpaper.arm import PlanarArm
from ikpaper.files import project_root
from ikpaper.models import build
from ikpaper.report.playground import LEVELS, SAMPLERS, START, common_targets, packed, unpacked
from ikpaper.report.plots.style import COLORS, LABELS
from ikpaper.samplers import Prior

SCRIPTS = project_root() / "book" / "_extra" / "playground" / "weights"
SMALL = {
    "cvae": {"neurons": 7, "hidden_layers": 2},
    "inn": {"neurons": 5, "subnet_layers": 3, "coupling_layers": 3},
    "flow": {"neurons": 6, "blocks": 1},
    "flow-fast": {"neurons": 6, "blocks": 1},
}


def small(name):
    """A small model with random weights, also where those of a new one are zero."""
    model = build(name, arm=PlanarArm.paper(4), **SMALL[name]).eval()
    generator = torch.Generator().manual_seed(0)
    for value in weights(model).values():
        value.copy_(0.3 * torch.randn(value.shape, generator=generator))
    return model


def weights(model):
    """Weights that are rounded, by name: of the cVAE those of its decoder, which samples."""
    state = {k: v for k, v in model.state_dict().items() if v.is_floating_point()}
    return {k: v for k, v in state.items() if model.name != "cvae" or k.startswith("decoder")}


@pytest.mark.parametrize("name", LEVELS)
def test_weights_come_back_to_half_a_step(name):
    model = small(name)
    found, levels = weights(unpacked(packed(model, 100))), 100
    for key, value in weights(model).items():
        step = value.abs().max() / (levels if value.ndim == 2 else 32767)
        assert (found[key] - value).abs().max() <= 0.501 * step, key


@pytest.mark.parametrize("name", LEVELS)
def test_with_many_levels_samples_stay_the_same(name):
    model = small(name)
    tcp = torch.tensor([2.2, 0.4])
    draws = [
        each.sample(tcp, 50, generator=torch.Generator().manual_seed(1))
        for each in (model, unpacked(packed(model, 32767)))
    ]
    assert torch.allclose(*draws, atol=1e-3)
    assert not torch.equal(*draws)


def test_packing_again_what_was_unpacked_changes_nothing():
    script = packed(small("inn"), 255)
    assert packed(unpacked(script), 255) == script


def test_a_matrix_of_zeros_survives():
    model = small("flow")
    torch.nn.init.zeros_(model.network.first.weight)
    assert not unpacked(packed(model, 127)).network.first.weight.any()


def test_the_region_holds_its_share_of_other_targets_too_and_excludes_the_rest():
    arm = PlanarArm.paper(6)
    prior = Prior(arm)
    generator = torch.Generator().manual_seed(0)
    region = common_targets(arm, arm.forward(prior.draw(200_000, generator)), 0.99)
    assert region.share == pytest.approx(0.99, abs=0.002)
    others = arm.forward(prior.draw(100_000, generator))
    assert region.contains(others).mean() == pytest.approx(0.99, abs=0.003)
    mirrored = others * torch.tensor([1, -1])
    assert (region.contains(mirrored) == region.contains(others)).all()
    rare = torch.tensor([[0.5, 0.0], [-3.0, 0.1], [0.0, 3.4], [3.6, 0.0]])
    assert not region.contains(rare).any()


def facts():
    text = (SCRIPTS / "arms.js").read_text(encoding="utf-8")
    return json.loads(re.search(r" = (\{.*\});", text)[1])


def test_the_page_has_every_arm_and_the_looks_of_the_books_figures():
    assert set(facts()["arms"]) == {str(dof) for dof in PlanarArm.PAPER_DOF}
    assert facts()["looks"] == {
        name: {"label": LABELS[name], "colour": COLORS[name]} for name in SAMPLERS
    }


def test_all_scripts_together_are_below_six_megabytes():
    files = sorted(path.name for path in SCRIPTS.iterdir())
    networks = [f"{name}-{dof:02d}.js" for name in LEVELS for dof in PlanarArm.PAPER_DOF]
    assert files == sorted([*networks, "arms.js"])
    assert sum(path.stat().st_size for path in SCRIPTS.iterdir()) < 6_000_000


@pytest.mark.slow
@pytest.mark.parametrize("dof", PlanarArm.PAPER_DOF)
@pytest.mark.parametrize("name", LEVELS)
def test_the_scripts_hold_the_published_weights(name, dof):
    found = weights(unpacked((SCRIPTS / f"{name}-{dof:02d}.js").read_text(encoding="utf-8")))
    wanted = weights(unpacked(packed(load(name, dof), LEVELS[name])))
    assert all(torch.equal(found[key], wanted[key]) for key in wanted)


def test_the_page_starts_as_the_front_pages_figure_and_among_training_targets():
    notebook = (project_root() / "notebooks" / "beyond.py").read_text(encoding="utf-8")
    x, y = START
    assert f"point = ({x} * arm.reach, {y} * arm.reach)" in notebook
    for dof in PlanarArm.PAPER_DOF:
        arm = PlanarArm.paper(dof)
        theta = Prior(arm, 0.2).draw(50_000, torch.Generator().manual_seed(0))
        start = arm.reach * torch.tensor([START])
        assert common_targets(arm, arm.forward(theta)).contains(start).all()
