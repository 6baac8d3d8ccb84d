import pytest
import torch

from ikpaper import metrics
from ikpaper.models.fast.mmd import mmd2_loss


def value_and_gradients(loss, *sets):
    leaves = [s.clone().requires_grad_() for s in sets]
    value = loss(*leaves)
    return value.detach(), torch.autograd.grad(value, leaves)


@pytest.mark.parametrize(("n", "m"), [(50, 50), (300, 170)])
def test_value_and_gradients_are_those_of_the_metric(n, m, generator):
    a = torch.randn(n, 5, generator=generator, dtype=torch.float64)
    b = 0.5 + torch.randn(m, 5, generator=generator, dtype=torch.float64)
    ours, of_ours = value_and_gradients(lambda a, b: mmd2_loss(a, b, 1.2), a, b)
    theirs, of_theirs = value_and_gradients(metrics.mmd2, a, b)
    torch.testing.assert_close(ours, theirs, rtol=1e-6, atol=0)
    for gradient, wanted in zip(of_ours, of_theirs, strict=True):
        torch.testing.assert_close(gradient, wanted, rtol=1e-6, atol=1e-10)


def test_gradients_agree_with_finite_differences(generator):
    a = torch.randn(12, 3, generator=generator, dtype=torch.float64, requires_grad=True)
    b = torch.randn(9, 3, generator=generator, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda a, b: mmd2_loss(a, b, 0.7), (a, b))


def test_float32_agrees_with_float64(generator):
    a = 0.2 * torch.randn(400, 6, generator=generator, dtype=torch.float64)
    b = 0.2 * torch.randn(400, 6, generator=generator, dtype=torch.float64)
    exact, of_exact = value_and_gradients(lambda a, b: mmd2_loss(a, b, 1.2), a, b)
    single, of_single = value_and_gradients(lambda a, b: mmd2_loss(a, b, 1.2), a.float(), b.float())
    assert abs(single - exact) < 1e-6
    for gradient, wanted in zip(of_single, of_exact, strict=True):
        assert (gradient - wanted).norm() < 1e-4 * wanted.norm()


def test_samples_that_coincide_have_finite_gradients(generator):
    a = torch.randn(20, 4, generator=generator)
    ours, (gradient, _) = value_and_gradients(lambda a, b: mmd2_loss(a, b, 1.2), a, a.clone())
    assert abs(ours) < 1e-5
    assert torch.isfinite(gradient).all()
    assert gradient.abs().max() < 0.1


@pytest.mark.parametrize("second", [True, False])
def test_second_derivatives_agree_with_finite_differences(second, generator):
    a = torch.randn(6, 3, generator=generator, dtype=torch.float64, requires_grad=True)
    b = torch.randn(5, 3, generator=generator, dtype=torch.float64, requires_grad=second)
    leaves = (a, b) if second else (a,)
    assert torch.autograd.gradgradcheck(lambda a, b=b: mmd2_loss(a, b, 0.7), leaves)


def test_the_hessian_is_that_of_the_metric(generator):
    a = torch.randn(7, 3, generator=generator, dtype=torch.float64)
    b = torch.randn(5, 3, generator=generator, dtype=torch.float64)

    def cross(x, y):
        return (1.44 / (1.44 + (x[:, None] - y).square().sum(dim=2).sqrt())).mean()

    def own(x):
        # The distance of a point to itself has no derivative: it is left out.
        itself = torch.eye(len(x), dtype=x.dtype)
        squared = (x[:, None] - x).square().sum(dim=2) + itself
        return ((1.44 / (1.44 + squared.sqrt())) * (1 - itself)).sum() / len(x) ** 2

    def plain(a):
        return own(a) + own(b) - 2 * cross(a, b)

    hessian = torch.autograd.functional.hessian
    expected = hessian(plain, a)
    torch.testing.assert_close(hessian(lambda a: mmd2_loss(a, b, 1.2), a), expected)
    by_func = torch.func.jacrev(torch.func.grad(lambda a: mmd2_loss(a, b, 1.2)))(a)
    torch.testing.assert_close(by_func, expected)


@pytest.mark.filterwarnings("ignore:There is a performance drop")
@pytest.mark.parametrize("dims", [(0, None), (None, 0), (0, 0)])
def test_batches_of_sets(dims, generator):
    sets = [
        torch.randn((3, n, 2) if dim == 0 else (n, 2), generator=generator, dtype=torch.float64)
        for n, dim in zip((6, 5), dims, strict=True)
    ]

    def loss(a, b):
        return mmd2_loss(a, b, 1.2)

    for run in (loss, torch.func.grad(loss)):
        found = torch.func.vmap(run, dims)(*sets)
        for i in range(3):
            pair = (s[i] if s.ndim == 3 else s for s in sets)
            torch.testing.assert_close(found[i], run(*pair))
