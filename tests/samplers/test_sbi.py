"""Posteriors of sbi as samplers, on a stand-in that draws as sbi does."""

from concurrent.futures import ThreadPoolExecutor

import torch

from ikpaper import PlanarArm
from ikpaper.sampler import GLOBAL_GENERATORS
from ikpaper.samplers import SbiSampler

ARM = PlanarArm([0.6, 0.5, 0.5])
TCP = [[1.2, 0.3], [0.9, -0.4], [1.0, 0.1]]


class Posterior:
    """Normal around (x, 0) with noise from torch's global generator, as sbi's are."""

    def __init__(self):
        self.scale = torch.tensor(0.1, requires_grad=True)

    def sample_batched(self, shape, x, show_progress_bars=True):
        assert x.dtype == torch.float32
        assert not show_progress_bars
        with ThreadPoolExecutor(1) as other:
            # Two samplers at once would draw from one stream.
            assert not other.submit(GLOBAL_GENERATORS.acquire, blocking=False).result()
        noise = torch.randn(*shape, len(x), ARM.dof) * self.scale
        return noise + torch.nn.functional.pad(x, (0, ARM.dof - 2))


SAMPLER = SbiSampler(ARM, Posterior())


def draw(tcp, n, seed=0):
    return SAMPLER.sample(tcp, n, generator=torch.Generator().manual_seed(seed))


def test_each_target_gets_its_own_samples():
    theta = draw(TCP, 2000)
    assert theta.shape == (3, 2000, 3)
    expected = torch.tensor([[*tcp, 0.0] for tcp in TCP])
    # 5 standard errors.
    torch.testing.assert_close(theta.mean(1), expected, atol=0.5 / 2000**0.5, rtol=0)
    noise = (theta - expected[:, None]).flatten(1)
    assert torch.corrcoef(noise).fill_diagonal_(0).abs().max() < 0.1
    assert not theta.requires_grad


def test_the_first_target_alone_gets_the_same_samples():
    for n in (1, 4, 16):
        assert torch.equal(draw(TCP, n)[0], draw(TCP[0], n))
        assert torch.equal(draw(TCP, n)[:2], draw(TCP[:2], n))


def test_a_seed_decides_and_the_global_generator_is_left_alone():
    state = torch.get_rng_state()
    first = draw(TCP, 5)
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(123)
    assert torch.equal(draw(TCP, 5), first)
    assert not torch.equal(draw(TCP, 5, seed=1), first)


def test_without_a_generator_the_global_one_decides_and_moves_on():
    torch.manual_seed(5)
    first, second = SAMPLER.sample(TCP, 5), SAMPLER.sample(TCP, 5)
    assert not torch.equal(first, second)
    torch.manual_seed(5)
    assert torch.equal(SAMPLER.sample(TCP, 5), first)


def test_a_generator_moves_on():
    generator = torch.Generator().manual_seed(0)
    first = SAMPLER.sample(TCP, 5, generator=generator)
    assert not torch.equal(SAMPLER.sample(TCP, 5, generator=generator), first)
