import pytest
import torch

from ikpaper import models
from ikpaper.models.fast.coupling import CouplingChain

BFLOAT16 = torch.bfloat16


@pytest.fixture(params=[4, 7])
def inn(request):
    arm = models.build("inn", dof=4).arm.like_paper(request.param)
    return models.build("inn", arm=arm, neurons=24, coupling_layers=3)


def gradients(inn, x, run):
    x = x.clone().requires_grad_()
    y, log_det = run(x)
    leaves = [x, *(p for p in inn.parameters() if p.requires_grad)]
    return torch.autograd.grad(y.square().sum() + log_det.sum(), leaves)


@pytest.mark.parametrize("rev", [False, True])
def test_the_chain_is_the_map_of_freia(inn, rev, generator):
    x = 0.3 * torch.randn(60, inn.config.dof, generator=generator)

    def fast(x):
        chain = CouplingChain(inn.blocks)
        return chain.inverse(x) if rev else chain.forward(x)

    def plain(x):
        return inn.blocks(x, rev=rev)

    for ours, theirs in zip(fast(x), plain(x), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)
    theirs = gradients(inn, x, plain)
    for ours, wanted in zip(gradients(inn, x, fast), theirs, strict=True):
        assert (ours - wanted).norm() <= 1e-5 * wanted.norm()


def test_bfloat16_subnets_invert_as_well_as_float32(inn, generator):
    x = 0.3 * torch.randn(60, inn.config.dof, generator=generator)
    errors = {}
    for precision in (None, BFLOAT16):
        chain = CouplingChain(inn.blocks, precision)
        y, log_det = chain.forward(x)
        back, back_log_det = chain.inverse(y)
        errors[precision] = (back - x).abs().max()
        torch.testing.assert_close(back_log_det, -log_det, rtol=1e-4, atol=1e-3)
    rounded, _ = CouplingChain(inn.blocks, BFLOAT16).forward(x)
    exact, _ = CouplingChain(inn.blocks).forward(x)
    assert not torch.equal(rounded, exact)
    # Far below what bfloat16 resolves (0.4 %): rounding is the same in both directions.
    assert errors[BFLOAT16] < 1e-4
