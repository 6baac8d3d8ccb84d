import pytest
import torch

from ikpaper import metrics
from ikpaper.models.mmd import mmd2_loss


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
