"""Scores of sample sets: MMD, re-simulation error, convex hull, distinct solutions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from scipy.spatial import ConvexHull, QhullError, cKDTree
from torch import Generator, Tensor

from ikpaper.arm import PlanarArm, as_tensor
from ikpaper.products import fast_products
from ikpaper.sampler import check_count, check_positive

if TYPE_CHECKING:
    from ikpaper.arm import TensorLike

__all__ = [
    "KERNELS",
    "TwoSampleTest",
    "c2st",
    "distinct_solutions",
    "effective_sample_size",
    "hull_area",
    "hull_perimeter",
    "hull_points",
    "mmd2",
    "mmd2_floor",
    "resimulation_error",
    "resimulation_error_halved",
    "two_sample_test",
]

Kernel = Callable[[Tensor], Tensor]


def _unsquared(distance: Tensor, h: float = 1.2) -> Tensor:
    return h**2 / (h**2 + distance)


def _squared(distance: Tensor, h: float = 1.2) -> Tensor:
    return h**2 / (h**2 + distance**2)


def _multi(distance: Tensor, bandwidths: tuple[float, ...] = (0.05, 0.2, 0.9)) -> Tensor:
    return sum(_squared(distance, h) for h in bandwidths)  # type: ignore[return-value]


#: Kernels by name, each a function of the Euclidean distance.
#:
#: - `paper`: h^2 / (h^2 + d), h = 1.2: the paper's, with the distance **not** squared.
#: - `squared`: h^2 / (h^2 + d^2), h = 1.2: inverse multiquadratic, as in Ardizzone et al. (2018).
#: - `multi-bandwidth`: sum of `squared` over h = 0.05, 0.2 and 0.9.
KERNELS: Mapping[str, Kernel] = MappingProxyType(
    {"paper": _unsquared, "squared": _squared, "multi-bandwidth": _multi}
)


#: What single precision adds to the V-statistic at most, in units of (1/n + 1/m) k(0).
_ROUNDING = 1e-6

#: Rows of a kernel matrix that are computed at a time.
_ROWS = 64


def mmd2(
    a: TensorLike,
    b: TensorLike,
    unbiased: bool = False,
    *,
    kernel: str | Kernel = "paper",
) -> Tensor:
    """Squared maximum mean discrepancy between two sample sets (Gretton et al., 2008).

    The default is what the paper calls e_posterior for one target: its kernel, and the biased
    V-statistic in which every sample also meets itself. The unbiased U-statistic leaves those
    pairs out; it is zero on average for equal distributions and can be negative.

    Args:
        a: Samples, shape (n, d).
        b: Samples, shape (m, d).
        unbiased: U-statistic instead of V-statistic.
        kernel: Name in `KERNELS`, or a function of the Euclidean distance.

    Returns:
        A scalar tensor, differentiable in `a` and `b`.

    Raises:
        ValueError: If the sets are not matrices of the same width, are empty, have fewer than
            two samples with `unbiased`, or if the kernel is unknown.
    """
    a, b, function = _compared("mmd2", a, b, kernel, 2 if unbiased else 1)

    def gram(x: Tensor, y: Tensor) -> Tensor:
        # The matrix-product shortcut of cdist loses half of the digits of small distances.
        return function(torch.cdist(x, y, compute_mode="donot_use_mm_for_euclid_dist"))

    aa, bb, ab = gram(a, a), gram(b, b), gram(a, b)
    if unbiased:
        return _mean_off_diagonal(aa) + _mean_off_diagonal(bb) - 2 * ab.mean()
    return aa.mean() + bb.mean() - 2 * ab.mean()


def _compared(
    name: str, a: TensorLike, b: TensorLike, kernel: str | Kernel, least: int
) -> tuple[Tensor, Tensor, Kernel]:
    """Two sample sets, checked and of one dtype, and their kernel."""
    a, b = as_tensor(a), as_tensor(b)
    if a.ndim != 2 or b.ndim != 2 or a.shape[1] != b.shape[1]:
        raise ValueError(
            f"{name}: expected two sample sets of shapes (n, d) and (m, d), "
            f"got {tuple(a.shape)} and {tuple(b.shape)}"
        )
    if min(len(a), len(b)) < least:
        raise ValueError(
            f"{name}: expected at least {least} samples a set, got {len(a)} and {len(b)}"
        )
    if isinstance(kernel, str):
        if kernel not in KERNELS:
            raise ValueError(f"unknown kernel {kernel!r}; known: {', '.join(KERNELS)}")
        kernel = KERNELS[kernel]
    dtype = torch.promote_types(a.dtype, b.dtype)
    return a.to(dtype), b.to(dtype), kernel


class TwoSampleTest(NamedTuple):
    """Outcome of a two-sample test.

    Attributes:
        mmd2: Unbiased MMD^2 of the two sets.
        p_value: How often sets of one distribution differ as much.
    """

    mmd2: float
    p_value: float


def two_sample_test(
    a: TensorLike,
    b: TensorLike,
    *,
    kernel: str | Kernel = "paper",
    permutations: int = 200,
    generator: Generator | None = None,
) -> TwoSampleTest:
    """Permutation test of equal distributions, with the MMD as its statistic.

    The p-value is the share of random relabellings of the pooled samples whose V-statistic is at
    least that of the labels given, these included (Gretton et al., 2012, section 5). Under equal
    distributions it falls below any level with that probability at most.

    Args:
        a: Samples, shape (n, d).
        b: Samples, shape (m, d).
        kernel: As for `mmd2`.
        permutations: Number of relabellings.
        generator: Source of randomness, on the CPU.

    Raises:
        ValueError: As unbiased `mmd2`, and if there are no permutations.
    """
    check_count("permutations", permutations)
    a, b, function = _compared("two_sample_test", a, b, kernel, 2)
    n, m, pooled = len(a), len(b), torch.cat([a, b]).double()
    signs = torch.cat([pooled.new_full((n,), 1 / n), pooled.new_full((m,), -1 / m)])
    orders = [torch.randperm(len(pooled), generator=generator) for _ in range(permutations)]
    labels = torch.stack([signs, *(signs[order] for order in orders)], dim=1)
    statistic, (aa, bb, ab), own = _quadratic_forms(pooled, labels, n, function)
    unbiased = (aa - n * own) / (n * (n - 1)) + (bb - m * own) / (m * (m - 1)) - 2 * ab / (n * m)
    # A relabelling that swaps or keeps the sets differs by rounding alone.
    rounding = _ROUNDING * (1 / n + 1 / m) * own
    at_least = statistic >= statistic[0] - rounding
    return TwoSampleTest(unbiased, float(at_least.double().mean()))


def _quadratic_forms(
    pooled: Tensor, labels: Tensor, n: int, kernel: Kernel
) -> tuple[Tensor, tuple[float, float, float], float]:
    """V-statistics l^T K l of the columns l of `labels`, which sum to zero.

    In single precision, in blocks of rows that stay in the cache. Distances come from products in
    double, which leaves an error of 1e-8 of the points' extent at most.

    Args:
        pooled: Points of both sets, shape (n + m, d), float64.
        labels: Shape (n + m, relabellings), float64.
        n: Points of the first set.
        kernel: Of the Euclidean distance.

    Returns:
        The statistics; the sums of the kernel within the first set, within the second, and
        between the two; and the kernel at distance 0.
    """
    points = pooled - pooled.mean(dim=0)
    squares = points.square().sum(dim=1)
    own = float(kernel(points.new_zeros(1)))
    single = labels.float()
    forms = labels.new_zeros(labels.shape[1])
    within = torch.zeros(2, 2, dtype=torch.float64)
    for start in range(0, len(points), _ROWS):
        rows = slice(start, start + _ROWS)
        distance = (points[rows] @ points.T).mul_(-2).add_(squares).add_(squares[rows, None])
        distance = distance.clamp_(min=0).float().sqrt_()
        distance.diagonal(start).zero_()
        block = kernel(distance)
        first = max(0, min(n - start, len(block)))
        for side, part in enumerate((block[:first], block[first:])):
            within[side, 0] += part[:, :n].sum(dtype=torch.float64)
            within[side, 1] += part[:, n:].sum(dtype=torch.float64)
        # A constant makes no difference to labels that sum to zero, but to rounding.
        with fast_products():
            products = (block - own) @ single
        forms += (labels[rows] * products).sum(dim=0)
    (aa, ab), (_, bb) = within.tolist()
    return forms, (aa, bb, ab), own


def _mean_off_diagonal(gram: Tensor) -> Tensor:
    n = len(gram)
    return (gram.sum() - gram.diagonal().sum()) / (n * (n - 1))


def mmd2_floor(samples: TensorLike, n: int, m: int, *, kernel: str = "paper") -> Tensor:
    """What the V-statistic shows on average for n against m samples of one distribution.

    (1/n + 1/m) (k(0) - E k(x, x')), with the expectation over independent pairs, estimated
    from `samples` of that distribution, shape (N, d).
    """
    samples = as_tensor(samples)
    gram = KERNELS[kernel](torch.cdist(samples, samples))
    return (1 / n + 1 / m) * (gram.diagonal().mean() - _mean_off_diagonal(gram))


def c2st(a: TensorLike, b: TensorLike, *, seed: int = 0, folds: int = 5) -> float:
    """Classifier two-sample test (Lopez-Paz and Oquab, 2017), with sbibm's classifier.

    Cross-validated accuracy of a perceptron with two hidden layers of 10 d units that tells
    samples of `a` from samples of `b`, standardised together: 0.5 for equal distributions, 1
    for distributions that it can tell apart. It takes seconds for sets of 1000.

    Args:
        a: Samples, shape (n, d).
        b: Samples, shape (m, d).
        seed: Seed of folds and classifiers.
        folds: Number of folds.

    Raises:
        ValueError: If the sets are not matrices of the same width, or smaller than the folds.
    """
    from joblib import parallel_config
    from sklearn.model_selection import KFold, cross_val_score
    from sklearn.neural_network import MLPClassifier

    x, y = (as_tensor(samples).detach().cpu().double().numpy() for samples in (a, b))
    if x.ndim != 2 or y.ndim != 2 or x.shape[1] != y.shape[1] or min(len(x), len(y)) < folds:
        raise ValueError(
            f"c2st: expected two sample sets (n, d) and (m, d) of at least {folds} samples, "
            f"got {x.shape} and {y.shape}"
        )
    width = 10 * x.shape[1]
    classifier = MLPClassifier((width, width), max_iter=10_000, random_state=seed)
    data = np.concatenate([x, y])
    spread = data.std(axis=0)
    data = (data - data.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
    labels = np.repeat([0, 1], [len(x), len(y)])
    splits = KFold(folds, shuffle=True, random_state=seed)
    # A process a fold, with one thread each: on products this small, threads only wait.
    with parallel_config("loky", n_jobs=-1, inner_max_num_threads=1):
        return float(cross_val_score(classifier, data, labels, cv=splits).mean())


def resimulation_error(arm: PlanarArm, theta: TensorLike, tcp: TensorLike) -> Tensor:
    """Re-simulation error E||f(theta) - tcp||^2, the slides' formula.

    Args:
        arm: The arm whose forward kinematics f is used.
        theta: Joint angles, shape (n, dof), or (B, n, dof) for a batch of targets.
        tcp: Targets, shape (2,), or (B, 2) for a batch.

    Returns:
        The mean over samples: a scalar, or shape (B,) for a batch, in squared units of length.

    Raises:
        ValueError: If the shapes do not belong together.
    """
    theta, tcp = as_tensor(theta), as_tensor(tcp)
    if theta.ndim != tcp.ndim + 1 or tcp.ndim not in (1, 2) or theta.shape[:-2] != tcp.shape[:-1]:
        raise ValueError(
            "resimulation_error: expected theta (n, dof) with tcp (2,), or (B, n, dof) with "
            f"(B, 2); got {tuple(theta.shape)} and {tuple(tcp.shape)}"
        )
    error = arm.forward(theta) - tcp.unsqueeze(-2)
    return error.square().sum(dim=-1).mean(dim=-1)


def resimulation_error_halved(arm: PlanarArm, theta: TensorLike, tcp: TensorLike) -> Tensor:
    """The authors' variant: mean over samples *and both coordinates*, half of the formula."""
    return resimulation_error(arm, theta, tcp) / 2


def hull_points(points: TensorLike, tcp: TensorLike, percentile: float = 97) -> np.ndarray:
    """The `percentile` % of `points` (n, 2) nearest to `tcp` (2,), and `tcp` itself as last row.

    Raises:
        ValueError: If shapes or percentile are off.
    """
    points = as_tensor(points).detach().cpu().double()
    tcp = as_tensor(tcp).detach().cpu().double()
    if points.ndim != 2 or points.shape[1] != 2 or not len(points) or tcp.shape != (2,):
        raise ValueError(
            "hull: expected points (n, 2) with n >= 1 and a tcp (2,), "
            f"got {tuple(points.shape)} and {tuple(tcp.shape)}"
        )
    if not 0 < percentile <= 100:
        raise ValueError(f"hull: expected a percentile above 0, at most 100, got {percentile}")
    distance = (points - tcp).norm(dim=1)
    keep = max(1, round(len(points) * percentile / 100))
    return torch.cat([points[distance.argsort(stable=True)[:keep]], tcp[None]]).numpy()


def hull_area(points: TensorLike, tcp: TensorLike, percentile: float = 97) -> float:
    """Area of the convex hull of the re-simulated points nearest to the target (Figure 4).

    Zero if the points have no extent in two directions. The paper prints the perimeter under
    this name: see `hull_perimeter`.

    Args:
        points: Re-simulated TCPs, shape (n, 2).
        tcp: Target, shape (2,); part of the hull.
        percentile: Share of the points kept, nearest first, in percent.
    """
    hull = _hull(hull_points(points, tcp, percentile))
    # For points in the plane SciPy's `volume` is the area and its `area` the perimeter.
    return 0.0 if hull is None else float(hull.volume)


def hull_perimeter(points: TensorLike, tcp: TensorLike, percentile: float = 97) -> float:
    """Perimeter of the hull of `hull_area`: the number that the paper prints as its area."""
    kept = hull_points(points, tcp, percentile)
    hull = _hull(kept)
    if hull is not None:
        return float(hull.area)
    # Points on a line: there and back.
    centred = kept - kept.mean(axis=0)
    _, _, axes = np.linalg.svd(centred, full_matrices=False)
    return float(2 * np.ptp(centred @ axes[0]))


def _hull(points: np.ndarray) -> ConvexHull | None:
    if len(points) < 3:
        return None
    try:
        return ConvexHull(points)
    except QhullError:
        return None


def distinct_solutions(theta: TensorLike, tolerance: float = 1e-3) -> int:
    """Number of different joint angle vectors in `theta` (n, dof).

    Vectors within `tolerance` (radians, Euclidean) of each other count as one, transitively.
    """
    check_positive("tolerance", tolerance)
    values = as_tensor(theta).detach().cpu().double().numpy()
    if values.ndim != 2 or not len(values):
        raise ValueError(f"distinct_solutions: expected theta (n, dof), got {values.shape}")
    pairs = cKDTree(values).query_pairs(tolerance, output_type="ndarray")
    links = coo_matrix((np.ones(len(pairs)), pairs.T), shape=(len(values), len(values)))
    return int(connected_components(links, directed=False)[0])


def effective_sample_size(log_weights: Tensor) -> float:
    """Kish's effective sample size (sum w)^2 / sum w^2 of importance weights given as logs."""
    total = torch.logsumexp(log_weights, 0)
    return float(torch.exp(2 * total - torch.logsumexp(2 * log_weights, 0)))
