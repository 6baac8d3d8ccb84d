import math

import numpy as np
import pytest
import torch
from scipy.stats import kstest, permutation_test

from ikpaper import metrics
from ikpaper.metrics import KERNELS, mmd2


def naive_kernel(name, distance):
    if name == "paper":
        return 1.44 / (1.44 + distance)
    if name == "squared":
        return 1.44 / (1.44 + distance**2)
    return sum(h**2 / (h**2 + distance**2) for h in (0.05, 0.2, 0.9))


def naive_mmd2(a, b, name, unbiased):
    def mean(x, y, same):
        total, count = 0.0, 0
        for i, left in enumerate(x):
            for j, right in enumerate(y):
                if same and unbiased and i == j:
                    continue
                total += naive_kernel(name, math.dist(left, right))
                count += 1
        return total / count

    return mean(a, a, True) + mean(b, b, True) - 2 * mean(a, b, False)


@pytest.mark.parametrize("unbiased", [False, True])
@pytest.mark.parametrize("name", list(KERNELS))
def test_mmd2_agrees_with_a_double_loop(name, unbiased, generator):
    a = torch.randn(13, 4, generator=generator, dtype=torch.float64)
    b = 0.5 + torch.randn(17, 4, generator=generator, dtype=torch.float64)
    expected = naive_mmd2(a.tolist(), b.tolist(), name, unbiased)
    assert float(mmd2(a, b, unbiased, kernel=name)) == pytest.approx(expected, abs=1e-12)


def test_default_is_the_v_statistic_with_the_papers_kernel(generator):
    a, b = torch.randn(2, 9, 3, generator=generator)
    assert mmd2(a, b) == mmd2(a, b, unbiased=False, kernel="paper")
    assert float(mmd2(a, a)) == pytest.approx(0, abs=1e-6)


def test_unbiased_is_zero_on_average_and_v_statistic_is_at_its_floor(generator):
    draws = torch.randn(300, 2, 50, 3, generator=generator, dtype=torch.float64)
    u = np.array([float(mmd2(a, b, unbiased=True)) for a, b in draws])
    v = np.array([float(mmd2(a, b)) for a, b in draws])
    assert abs(u.mean()) < 4 * u.std() / math.sqrt(len(u))
    pool = torch.randn(2000, 3, generator=generator, dtype=torch.float64)
    floor = float(metrics.mmd2_floor(pool, 50, 50))
    assert abs(v.mean() - floor) < 4 * v.std() / math.sqrt(len(v))


def test_mmd2_is_differentiable_where_samples_meet(generator):
    a = torch.randn(5, 2, generator=generator, requires_grad=True)
    mmd2(a, a.detach().clone()).backward()
    assert torch.isfinite(a.grad).all()


@pytest.mark.parametrize(
    ("a", "b", "options", "message"),
    [
        (torch.zeros(3, 2), torch.zeros(3, 4), {}, r"\(3, 2\) and \(3, 4\)"),
        (torch.zeros(3), torch.zeros(3), {}, r"\(3,\) and \(3,\)"),
        (torch.zeros(1, 2), torch.zeros(3, 2), {"unbiased": True}, "at least 2 .* got 1 and 3"),
        (torch.zeros(0, 2), torch.zeros(3, 2), {}, "at least 1 .* got 0 and 3"),
        (torch.zeros(3, 2), torch.zeros(3, 2), {"kernel": "gauss"}, "paper, squared, multi"),
    ],
)
def test_mmd2_refuses_bad_input(a, b, options, message):
    with pytest.raises(ValueError, match=message):
        mmd2(a, b, **options)


def test_resimulation_error_is_the_formula_and_its_half(arm, generator):
    theta = torch.randn(3, 8, 6, generator=generator, dtype=torch.float64)
    tcp = torch.randn(3, 2, generator=generator, dtype=torch.float64)
    expected = []
    for samples, target in zip(theta, tcp, strict=True):
        errors = [math.dist(arm.forward(s).tolist(), target.tolist()) ** 2 for s in samples]
        expected.append(sum(errors) / len(errors))
    got = metrics.resimulation_error(arm, theta, tcp)
    np.testing.assert_allclose(got, expected)
    np.testing.assert_allclose(metrics.resimulation_error_halved(arm, theta, tcp), got / 2)
    assert float(metrics.resimulation_error(arm, theta[0], tcp[0])) == pytest.approx(expected[0])


def test_resimulation_error_refuses_shapes_that_do_not_match(arm):
    with pytest.raises(ValueError, match=r"\(4, 5, 6\) and \(3, 2\)"):
        metrics.resimulation_error(arm, torch.zeros(4, 5, 6), torch.zeros(3, 2))


def test_hull_of_a_square_has_its_area_and_perimeter():
    square = np.array([[0, 0], [2, 0], [2, 2], [0, 2], [1, 1]], dtype=float)
    assert metrics.hull_area(square, [1.0, 1.0], percentile=100) == pytest.approx(4.0)
    assert metrics.hull_perimeter(square, [1.0, 1.0], percentile=100) == pytest.approx(8.0)


def test_hull_leaves_out_the_farthest_points_and_holds_the_target():
    ring = [(math.cos(a), math.sin(a)) for a in np.linspace(0, 2 * math.pi, 97, endpoint=False)]
    points = np.array([*ring, (9, 9), (9, -9), (-9, 9)])
    assert metrics.hull_area(points, [0.0, 0.0]) == pytest.approx(math.pi, rel=1e-2)
    far = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    assert metrics.hull_area(far, [1.0, 1.0], 100) == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("points", "perimeter"),
    [([[0, 0]], 0.0), ([[0, 0], [1, 1]], 2 * math.sqrt(2)), ([[0, 0], [1, 0], [2, 0]], 4.0)],
)
def test_hull_without_extent_has_no_area(points, perimeter):
    assert metrics.hull_area(np.array(points, float), [0.0, 0.0], 100) == 0.0
    found = metrics.hull_perimeter(np.array(points, float), [0.0, 0.0], 100)
    assert found == pytest.approx(perimeter)


@pytest.mark.parametrize("percentile", [0, 101, -3])
def test_hull_refuses_percentiles_outside_0_to_100(percentile):
    with pytest.raises(ValueError, match=str(percentile)):
        metrics.hull_area(np.zeros((3, 2)), [0.0, 0.0], percentile)


def test_distinct_solutions_counts_groups():
    theta = torch.tensor([[0.0, 0.0], [0.0, 1e-4], [1.0, 0.0], [1.0, 0.0], [0.0, 2.0]])
    assert metrics.distinct_solutions(theta) == 3


def test_effective_sample_size_is_kishs():
    weights = torch.tensor([1.0, 2.0, 3.0, 4.0], dtype=torch.float64)
    expected = float(weights.sum() ** 2 / weights.square().sum())
    assert metrics.effective_sample_size(weights.log() - 700) == pytest.approx(expected)


def test_c2st_tells_distributions_apart(generator):
    a = torch.randn(300, 2, generator=generator)
    same = torch.randn(300, 2, generator=generator)
    apart = 4.0 + torch.randn(300, 2, generator=generator)
    assert metrics.c2st(a, same) == pytest.approx(0.5, abs=0.08)
    assert metrics.c2st(a, apart) > 0.98
    # Half of the samples of the other set lie where there are none of the first.
    half = torch.cat([same[:150], apart[:150]])
    assert metrics.c2st(a, half) == pytest.approx(0.75, abs=0.08)
    assert metrics.c2st(a, same) == metrics.c2st(a, same)


def test_c2st_refuses_sets_that_do_not_fit():
    with pytest.raises(ValueError, match=r"got \(3, 2\) and \(30, 2\)"):
        metrics.c2st(torch.zeros(3, 2), torch.zeros(30, 2))


def test_permutation_test_is_what_scipy_computes(generator):
    a = torch.randn(12, 2, generator=generator, dtype=torch.float64)
    b = 0.6 + torch.randn(9, 2, generator=generator, dtype=torch.float64)
    found = metrics.two_sample_test(a, b, permutations=4000, generator=generator)
    # In single precision.
    assert found.mmd2 == pytest.approx(float(mmd2(a, b, unbiased=True)), abs=1e-7)

    # SciPy relabels numbers: those of the samples.
    pooled = torch.cat([a, b])
    expected = permutation_test(
        (np.arange(12), np.arange(12, 21)),
        lambda x, y: float(mmd2(pooled[x.astype(int)], pooled[y.astype(int)])),
        n_resamples=2000,
        alternative="greater",
        vectorized=False,
        rng=np.random.default_rng(0),
    )
    assert found.p_value == pytest.approx(expected.pvalue, abs=0.03)


@pytest.mark.parametrize("kernel", sorted(metrics.KERNELS))
def test_permutation_test_adds_blocks_of_rows(kernel, generator):
    # Neither set fills whole blocks, and the points lie far from the origin.
    a, b = (
        50 + 0.3 * torch.randn(count, 6, generator=generator, dtype=torch.float64)
        for count in (150, 201)
    )
    found = metrics.two_sample_test(a, b, kernel=kernel, permutations=1, generator=generator)
    assert found.mmd2 == pytest.approx(float(mmd2(a, b, unbiased=True, kernel=kernel)), abs=1e-7)


def test_permutation_test_keeps_its_level_and_sees_a_shift(generator):
    draws = torch.randn(200, 2, 40, 3, generator=generator, dtype=torch.float64)
    p = [metrics.two_sample_test(a, b, generator=generator).p_value for a, b in draws]
    # Uniform up to what 200 draws and 200 permutations resolve.
    assert kstest(p, "uniform").pvalue > 0.001
    shifted = [metrics.two_sample_test(a, b + 0.8, generator=generator) for a, b in draws[:20]]
    assert max(test.p_value for test in shifted) < 0.1


def test_permutation_test_of_a_set_with_itself_finds_nothing(generator):
    a = torch.randn(20, 2, generator=generator, dtype=torch.float64)
    assert metrics.two_sample_test(a, a, generator=generator).p_value > 0.95
    with pytest.raises(ValueError, match=r"permutations: .* got 0"):
        metrics.two_sample_test(a, a, permutations=0)
    with pytest.raises(ValueError, match=r"two_sample_test: expected two sample sets"):
        metrics.two_sample_test(a, a[:, :1])
