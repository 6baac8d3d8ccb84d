"""Float32 matrix products on the CPU through oneDNN: a setting of the process, off by default.

torch takes products from MKL, which keeps to AVX2 on processors that are not Intel's; oneDNN uses
AVX-512 on those too, which makes them 2.2 times as fast there. torch offers oneDNN for float32
only under the name of a lower precision that the processor may or may not have: so products are
looked at first, and where they come out rounded, nothing is changed.

Subnormal numbers count as zero, too. Weight decay leaves them in networks by the hundred thousand,
and products with them take up to a hundred times as long on some processors.

For products in bfloat16, `multiplies_bfloat16` says whether the processor is made for them.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import torch
from torch import Generator

#: What torch calls oneDNN where it offers a choice for products on the CPU, and its default.
_ONEDNN, _DEFAULT = "bf16", "none"

#: Relative error above which a product is not float32: bfloat16 makes 1e-3, TF32 1e-4.
_TOLERANCE = 1e-5


def use_fast_matmul(on: bool = True) -> bool:
    """Compute float32 products on the CPU with oneDNN from here on, if they stay float32.

    For a program to call at its start, before other threads compute: it holds for the whole
    process and all of torch, which is why the library itself never calls it. Results agree with
    those of the default to rounding. While it is on, `torch.get_float32_matmul_precision()` raises
    a RuntimeError, since torch has no name there for this choice.

    Subnormal numbers count as zero from here on as well, in this thread and those that it starts.

    Args:
        on: Whether to use oneDNN; False goes back to torch's defaults.

    Returns:
        Whether oneDNN is used. It stays off where this torch has no such choice, or where products
        would be rounded to bfloat16 (newer Intel processors) instead of being float32.

    Example:
        >>> ikpaper.matmul.use_fast_matmul()  # doctest: +SKIP
        True
    """
    torch.set_flush_denormal(on)
    # Older versions of torch offer no choice.
    setting: Any = getattr(torch.backends.mkldnn, "matmul", None)
    if setting is None:
        return False
    setting.fp32_precision = _ONEDNN if on else _DEFAULT
    if on and not _is_float32():
        setting.fp32_precision = _DEFAULT
        return False
    return on


def fast_matmul() -> bool:
    """Whether float32 products on the CPU are oneDNN's at present, as `use_fast_matmul` asks."""
    setting: Any = getattr(torch.backends.mkldnn, "matmul", None)
    return setting is not None and setting.fp32_precision == _ONEDNN


@cache
def multiplies_bfloat16() -> bool:
    """Whether the processor has instructions for products in bfloat16.

    Versions of torch before 2.11 cannot tell; then the answer is that it has.
    """
    query = getattr(torch.cpu, "get_capabilities", None)
    if query is None:
        return True
    has = query()
    # Of Intel and AMD, of ARM.
    return any(has.get(name) for name in ("avx512_bf16", "amx_bf16", "bf16", "sve_bf16"))


def _is_float32() -> bool:
    """Whether products, as they are set now, are in float32."""
    draw = Generator().manual_seed(0)
    # Large enough for any implementation that is chosen by size.
    rows, square = (torch.randn(n, 256, generator=draw) for n in (1024, 256))
    product, exact = rows @ square, rows.double() @ square.double()
    return float((product - exact).abs().max() / exact.abs().max()) < _TOLERANCE
