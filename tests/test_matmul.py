"""Products through oneDNN: a setting that a user turns on, and that nothing here touches."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch import Generator

from ikpaper import models
from ikpaper.matmul import fast_matmul, multiplies_bfloat16, use_fast_matmul

SETTING = getattr(torch.backends.mkldnn, "matmul", None)
needs_setting = pytest.mark.skipif(SETTING is None, reason="this torch has no such setting")


@pytest.fixture(autouse=True)
def default():
    """Each test starts and ends with torch's default."""
    use_fast_matmul(False)
    yield
    use_fast_matmul(False)


def product() -> tuple[torch.Tensor, torch.Tensor]:
    draw = Generator().manual_seed(3)
    a, b = torch.randn(2, 300, 128, generator=draw), torch.randn(2, 128, 128, generator=draw)
    return torch.bmm(a, b), torch.bmm(a.double(), b.double())


def test_products_stay_in_float32():
    use_fast_matmul()
    values, exact = product()
    assert values.dtype == torch.float32
    torch.testing.assert_close(values.double(), exact, rtol=1e-5, atol=1e-4)


def test_subnormal_numbers_count_as_zero_while_it_is_on():
    if not torch.set_flush_denormal(False):
        pytest.skip("this processor has no such setting")
    subnormal = torch.full((8,), 1e-39)
    use_fast_matmul()
    assert (subnormal * 1).eq(0).all()
    use_fast_matmul(False)
    assert (subnormal * 1).ne(0).all()


@needs_setting
def test_it_says_whether_it_is_on_and_goes_off_again():
    before = SETTING.fp32_precision
    on = use_fast_matmul()
    assert on is (SETTING.fp32_precision != before)
    assert use_fast_matmul() is fast_matmul() is on
    assert use_fast_matmul(False) is fast_matmul() is False
    assert SETTING.fp32_precision == before
    assert torch.get_float32_matmul_precision() == "highest"


@needs_setting
@pytest.mark.parametrize(("error", "on"), [(0.0, True), (1e-3, False)])
def test_a_processor_that_would_round_keeps_torchs_products(monkeypatch, error, on):
    original = torch.Tensor.__matmul__

    def rounded(a, b):
        # In double precision and rounded here: the same on every processor.
        values = original(a.double(), b.double()).to(a.dtype)
        return values * (1 + error) if a.dtype == torch.float32 else values

    monkeypatch.setattr(torch.Tensor, "__matmul__", rounded)
    before = SETTING.fp32_precision
    assert use_fast_matmul() is on
    assert (SETTING.fp32_precision == before) is not on


def test_a_torch_without_the_choice_stays_as_it_is(monkeypatch):
    monkeypatch.setattr(torch.backends, "mkldnn", SimpleNamespace())
    assert use_fast_matmul() is False


@needs_setting
@pytest.mark.parametrize("name", ["cvae", "flow", "inn"])
def test_sampling_in_threads_leaves_the_setting_alone(name):
    model = models.build(name, dof=4).eval()
    seen = set()

    def sample(seed):
        theta = model.sample([2.0, 0.5], 200, generator=Generator().manual_seed(seed))
        seen.add(SETTING.fp32_precision)
        return theta

    before = SETTING.fp32_precision
    alone = [sample(seed) for seed in range(4)]
    with ThreadPoolExecutor(4) as threads:
        together = list(threads.map(sample, [0, 1, 2, 3] * 4))
    assert seen == {before}
    assert torch.get_float32_matmul_precision() == "highest"
    for seed, theta in enumerate(together):
        torch.testing.assert_close(theta, alone[seed % 4], rtol=1e-5, atol=1e-5)


def test_samples_agree_to_rounding_with_the_setting_on_and_off():
    model = models.build("cvae", dof=6).eval()
    values = []
    for on in (False, True):
        use_fast_matmul(on)
        values.append(model.sample([2.0, 0.5], 500, generator=Generator().manual_seed(0)))
    torch.testing.assert_close(*values, rtol=1e-4, atol=1e-5)


def test_an_older_torch_cannot_tell_what_is_multiplied(monkeypatch):
    monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    assert multiplies_bfloat16.__wrapped__() is True


def test_bfloat16_is_multiplied_where_the_kernel_lists_the_instructions():
    listed = Path("/proc/cpuinfo")
    if not listed.exists() or not hasattr(torch.cpu, "get_capabilities"):
        pytest.skip("nothing here lists the processor's instructions")
    words = set(listed.read_text().split())
    assert multiplies_bfloat16() is bool(words & {"avx512_bf16", "amx_bf16", "bf16", "svebf16"})
