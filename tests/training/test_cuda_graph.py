import dataclasses

import pytest
import torch

from ikpaper.models import build
from ikpaper.profiles import PROFILES
from ikpaper.training import TrainingLoop, TrainingRun
from ikpaper.training.cuda_graph import CapturedStep

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")


@pytest.mark.parametrize("name", ["cvae", "cgan", "flow", "flow-fast", "inn", "inn-ml"])
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_captured_steps_are_the_steps(name, precision, monkeypatch):
    profile = dataclasses.replace(PROFILES["smoke"], samples=4000)
    if precision not in type(build(name, dof=4)).precisions:
        pytest.skip(f"{name} computes in float32")
    run = TrainingRun.of(name, 4, profile=profile, epochs=2, precision=precision)
    teacher = build("flow", dof=4, device="cuda").eval() if run.teacher else None

    def terms():
        loop = TrainingLoop(run, "cuda", teacher)
        return [report.terms for report in loop.epochs() if report.complete]

    captured = terms()
    monkeypatch.setattr(
        "ikpaper.training.loop.CapturedStep",
        lambda step, generator: CapturedStep(step, generator, warm_up=10**9),
    )
    for graph, eager in zip(captured, terms(), strict=True):
        assert graph == pytest.approx(eager, rel=1e-2)


def test_replays_draw_new_numbers_in_the_generators_order():
    def draw(generator, warm_up):
        step = CapturedStep(
            lambda a, b: a + torch.randn(a.shape, generator=generator, device="cuda"),
            generator,
            warm_up,
        )
        zeros = torch.zeros(8, 2, device="cuda")
        return torch.stack([step(zeros, zeros) for _ in range(6)])

    captured, eager = (draw(torch.Generator("cuda").manual_seed(0), count) for count in (2, 10**9))
    torch.testing.assert_close(captured, eager, rtol=0, atol=0)


def test_another_batch_size_is_not_replayed():
    generator = torch.Generator("cuda")
    step = CapturedStep(lambda a, b: (a * b).sum(dim=0), generator, warm_up=1)
    for rows in (4, 4, 4, 3, 4):
        a = torch.full((rows, 2), 2.0, device="cuda")
        assert step(a, a).tolist() == [4.0 * rows] * 2
