import pytest
import torch
from torch import Generator

from ikpaper import products
from ikpaper.products import fast_products

SETTINGS = products._SETTINGS
needs_settings = pytest.mark.skipif(SETTINGS is None, reason="this torch has no such setting")


def product() -> tuple[torch.Tensor, torch.Tensor]:
    draw = Generator().manual_seed(3)
    a, b = torch.randn(2, 300, 128, generator=draw), torch.randn(2, 128, 128, generator=draw)
    return torch.bmm(a, b), torch.bmm(a.double(), b.double())


def test_products_stay_in_float32():
    with fast_products():
        ours, reference = product()
    assert ours.dtype == torch.float32
    torch.testing.assert_close(ours.double(), reference, rtol=1e-5, atol=1e-4)


@needs_settings
def test_torchs_setting_is_as_before_afterwards_even_after_an_error():
    before = SETTINGS.fp32_precision

    @fast_products()
    def fails():
        with fast_products():
            raise KeyError

    with pytest.raises(KeyError):
        fails()
    assert SETTINGS.fp32_precision == before


@needs_settings
def test_a_processor_that_would_round_keeps_its_own_products(monkeypatch):
    monkeypatch.setattr(products, "_exact", lambda: False)
    with fast_products():
        assert SETTINGS.fp32_precision == "none"


@needs_settings
@pytest.mark.parametrize(("error", "exact"), [(0.0, True), (1e-3, False)])
def test_rounded_products_are_noticed(monkeypatch, error, exact):
    matmul = torch.Tensor.__matmul__

    def rounded(a, b):
        result = matmul(a, b)
        return result * (1 + error) if a.dtype == torch.float32 else result

    monkeypatch.setattr(torch.Tensor, "__matmul__", rounded)
    assert products._exact.__wrapped__() is exact
