"""Scores of sample sets: MMD, re-simulation error, convex hull, distinct solutions."""

from __future__ import annotations

import contextlib
import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
import torch
from scipy.spatial import ConvexHull, QhullError, cKDTree
from torch import Generator, Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from ikpaper.arm import PlanarArm, TensorLike, as_tensor
from ikpaper.checks import (
    check_count,
    check_finite,
    check_generator,
    check_positive,
    check_seed,
)

#: Raise when numbers change.
VERSION = 1

Kernel = Callable[[Tensor], Tensor]


def _unsquared(distance: Tensor, h: float = 1.2) -> Tensor:
    return h**2 / (h**2 + distance)


def _squared(distance: Tensor, h: float = 1.2) -> Tensor:
    return h**2 / (h**2 + distance**2)


def _multi(distance: Tensor) -> Tensor:
    squared = distance**2
    return sum((h**2 / (h**2 + squared) for h in (0.05, 0.2, 0.9)), torch.zeros_like(squared))


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

#: Epochs after which the classifiers of `c2st_batch` stop. At equal cost, many targets and a short
#: training tell more than the other way round: training longer separates the sets of one target
#: better, and spreads targets apart. Page Beyond compares stops.
C2ST_EPOCHS = 25

#: Targets whose classifiers are trained together, and samples of a batch.
_CLASSIFIED, _BATCH = 8, 200

#: When a loss stands still for scikit-learn, and after how many epochs that ends a training.
_LOSS_TOLERANCE, _PATIENCE, _MOST_EPOCHS = 1e-4, 10, 10_000

#: Largest coordinate, after centring, up to which distances are taken by a matrix product.
_NEAR = 30.0

#: Rows of a kernel matrix that are computed at a time, so that they stay in the cache.
_ROWS = 128


def _shaped(name: str, values: TensorLike, *shape: int | str) -> Tensor:
    """`values` as a tensor, if they are numbers and their shape is `shape`.

    Args:
        name: Of the argument.
        values: What was passed.
        *shape: Length of each axis; a letter stands for any length but 0.
    """
    tensor = as_tensor(values, name)
    fits = len(shape) == tensor.ndim and all(
        length > 0 if isinstance(wanted, str) else length == wanted
        for length, wanted in zip(tensor.shape, shape, strict=True)
    )
    if not fits:
        expected = f"({', '.join(map(str, shape))}{',' if len(shape) == 1 else ''})"
        raise ValueError(
            f"{name}: expected shape {expected} without an empty axis, got {tuple(tensor.shape)}"
        )
    return tensor


def _finite(name: str, values: TensorLike, *shape: int | str) -> Tensor:
    """As `_shaped`, if all numbers are finite, and in single precision or better."""
    tensor = check_finite(name, _shaped(name, values, *shape))
    return tensor if tensor.dtype == torch.float64 else tensor.float()


def _sample_sets(a: TensorLike, b: TensorLike, least: int) -> tuple[Tensor, Tensor]:
    """Two sample sets (n, d) and (m, d) of one dtype, checked."""
    a, b = _finite("a", a, "n", "d"), _finite("b", b, "m", "d")
    if a.shape[1] != b.shape[1]:
        raise ValueError(
            f"a, b: expected samples of one width, got {tuple(a.shape)} and {tuple(b.shape)}"
        )
    if min(len(a), len(b)) < least:
        raise ValueError(f"a, b: expected at least {least} samples each, got {len(a)} and {len(b)}")
    dtype = torch.promote_types(a.dtype, b.dtype)
    return a.to(dtype), b.to(dtype)


def _kernel(kernel: str | Kernel) -> Kernel:
    """A kernel by name; a function passes through."""
    if callable(kernel):
        return kernel
    if not isinstance(kernel, str) or kernel not in KERNELS:
        raise ValueError(
            f"kernel: expected a function of the distance or one of {', '.join(KERNELS)}, "
            f"got {kernel!r}"
        )
    return KERNELS[kernel]


def distance(x: Tensor, y: Tensor) -> Tensor:
    """Euclidean distances (..., n, m) of points (..., n, d) and (..., m, d), in full precision."""
    # The matrix-product shortcut of cdist loses half of the digits of small distances.
    return torch.cdist(x, y, compute_mode="donot_use_mm_for_euclid_dist")


def mean_kernel(
    a: TensorLike,
    b: TensorLike | None = None,
    *,
    unbiased: bool = False,
    kernel: str | Kernel = "paper",
) -> Tensor:
    """Mean of a kernel over pairs of samples, of which `mmd2` is made.

    Args:
        a: Samples, shape (n, d).
        b: Samples, shape (m, d), for pairs of one of each; by default both are of `a`.
        unbiased: Leave out the pairs of a sample with itself.
        kernel: As for `mmd2`.

    Raises:
        ValueError: As `mmd2`.
    """
    a, other = _sample_sets(a, a if b is None else b, 2 if unbiased and b is None else 1)
    return _mean_kernel(_kernel(kernel), a, None if b is None else other, unbiased)


def _mean_kernel(k: Kernel, a: Tensor, b: Tensor | None = None, unbiased: bool = False) -> Tensor:
    """`mean_kernel` of samples that are checked already."""
    n, total = len(a), a.new_zeros(())
    # Rows by rows, so that they stay in the cache.
    for start in range(0, n, _ROWS):
        rows = a[start : start + _ROWS]
        if b is not None:
            total = total + k(distance(rows, b)).sum()
            continue
        # The matrix is symmetric: what lies beyond the diagonal stands for both halves.
        square, beyond = k(distance(rows, a[start:])).tensor_split([len(rows)], dim=1)
        total = total + square.sum() + 2 * beyond.sum()
    if b is not None:
        return total / (n * len(b))
    if not unbiased:
        return total / n**2
    return (total - n * _at_zero(k, a)) / (n * (n - 1))


def _at_zero(k: Kernel, like: Tensor) -> Tensor:
    """What a kernel is for a sample and itself."""
    return k(like.new_zeros(1))[0]


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

    Coordinates are compared as they are: fold angles with `arm.wrapped` first, or samples that
    differ by whole turns count as different.

    Args:
        a: Samples, shape (n, d).
        b: Samples, shape (m, d).
        unbiased: U-statistic instead of V-statistic.
        kernel: Name in `KERNELS`, or a function of the Euclidean distance, finite wherever it is
            asked.

    Returns:
        A scalar tensor in the precision of the samples, at least single, and differentiable once
        in `a` and `b`: torch refuses the second derivative.

    Raises:
        ValueError: If the sets are not matrices of the same width, are empty or not finite, have
            fewer than two samples with `unbiased`, or if the kernel is unknown.
    """
    k, (a, b) = _kernel(kernel), _sample_sets(a, b, 2 if unbiased else 1)
    within_a, within_b = (_mean_kernel(k, each, unbiased=unbiased) for each in (a, b))
    return within_a + within_b - 2 * _mean_kernel(k, a, b)


def mmd2_floor(samples: TensorLike, n: int, m: int, *, kernel: str | Kernel = "paper") -> Tensor:
    """What the V-statistic shows on average for n against m samples of one distribution.

    (1/n + 1/m) (k(0) - E k(x, x')), with the expectation over independent pairs, estimated
    from `samples` of that distribution.

    Args:
        samples: At least two, shape (N, d).
        n: Samples in the first set.
        m: Samples in the second set.
        kernel: As for `mmd2`.

    Raises:
        ValueError: As unbiased `mmd2`, and if `n` or `m` is no positive whole number.
    """
    n, m, k = check_count("n", n), check_count("m", m), _kernel(kernel)
    samples = _finite("samples", samples, "N", "d")
    check_count("number of samples", len(samples), 2)
    pairs = _mean_kernel(k, samples, unbiased=True)
    return (1 / n + 1 / m) * (_at_zero(k, samples) - pairs)


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
        ValueError: As unbiased `mmd2`, and if there are no permutations, or `generator` is none.
    """
    return two_sample_tests(a, b, [kernel], permutations=permutations, generator=generator)[0]


def two_sample_tests(
    a: TensorLike,
    b: TensorLike,
    kernels: Sequence[str | Kernel],
    *,
    permutations: int = 200,
    generator: Generator | None = None,
) -> list[TwoSampleTest]:
    """`two_sample_test` by several kernels, which share distances and relabellings."""
    permutations, functions = check_count("permutations", permutations), list(map(_kernel, kernels))
    generator = check_generator(generator)
    a, b = _sample_sets(a, b, 2)
    n, m, points = len(a), len(b), torch.cat([a, b]).detach().double()
    signs = torch.cat([points.new_full((n,), 1 / n), points.new_full((m,), -1 / m)])
    orders = [torch.randperm(n + m, generator=generator) for _ in range(permutations)]
    labels = torch.stack([signs, *(signs[order] for order in orders)], dim=1)
    single = labels.float()
    # V-statistics l^T K l of the columns l of `labels`, in single precision. As they sum to zero,
    # a constant makes no difference but to rounding: k(0) is taken off the kernel.
    at_zero = [float(_at_zero(k, points)) for k in functions]
    forms = labels.new_zeros(len(functions), permutations + 1)
    # Sums of the kernel over pairs within a, within b, and of one of each in either order.
    sums = [[0.0, 0.0, 0.0] for _ in functions]
    distances = _Distances(points)
    with torch.autocast(points.device.type, enabled=False):
        for start in range(0, n + m, _ROWS):
            distance = distances.block(start, start + _ROWS)
            rows, first = labels[start : start + _ROWS], max(0, n - start)
            for i, k in enumerate(functions):
                block = k(distance) - at_zero[i]
                # The matrix is symmetric: what lies beyond the diagonal stands for both halves.
                block[:, len(block) :] *= 2
                forms[i] += (rows * (block @ single[start:])).sum(dim=0)
                (aa, ab), (ba, bb) = (
                    [float(x.sum(dtype=torch.float64)) for x in part.tensor_split([first], dim=1)]
                    for part in block.tensor_split([first])
                )
                for j, value in enumerate((aa, bb, ab + ba)):
                    sums[i][j] += value
    tests = []
    check_finite("kernel", forms)
    for form, zero, (within_a, within_b, between) in zip(forms, at_zero, sums, strict=True):
        unbiased = within_a / (n * (n - 1)) + within_b / (m * (m - 1)) - between / (n * m)
        # A relabelling that swaps or keeps the sets differs by rounding alone.
        at_least = form >= form[0] - _ROUNDING * (1 / n + 1 / m) * zero
        tests.append(TwoSampleTest(unbiased, float(at_least.double().mean())))
    return tests


class _Distances:
    """Distances of points (N, d) in float64 to those after them, a block of rows at a time.

    By a matrix product, which loses half of the digits of small distances: of float64, that leaves
    those of single precision, unless points are far apart in units of what kernels tell apart.
    """

    def __init__(self, points: Tensor) -> None:
        self._points = points - points.mean(dim=0)
        self._product = float(self._points.abs().max()) < _NEAR
        if not self._product:
            return
        squares, ones = self._points.square().sum(dim=1, keepdim=True), points.new_ones(1, 1)
        ones = ones.expand_as(squares)
        self._left = torch.cat([-2 * self._points, squares, ones], dim=1)
        self._right = torch.cat([self._points, ones, squares], dim=1).T.contiguous()

    def block(self, start: int, end: int) -> Tensor:
        """Distances of points `start` to `end` to all from `start` on, in single precision."""
        if not self._product:
            return distance(self._points[start:end], self._points[start:]).float()
        squared = (self._left[start:end] @ self._right[:, start:]).float()
        squared.diagonal().zero_()
        return squared.clamp_min_(0).sqrt_()


def c2st(a: TensorLike, b: TensorLike, *, seed: int = 0, folds: int = 5) -> float:
    """Classifier two-sample test (Lopez-Paz and Oquab, 2017), with sbibm's classifier.

    Cross-validated accuracy of a perceptron with two hidden layers of 10 d units that tells
    samples of `a` from samples of `b`, standardised together: 0.5 for equal distributions (the
    larger set's share, if one is larger), 1 for distributions that it can tell apart. It takes
    seconds for sets of 1000.

    Args:
        a: Samples, shape (n, d).
        b: Samples, shape (m, d).
        seed: Seed of folds and classifiers, below 2^32.
        folds: Number of folds, at least 2.

    Raises:
        ValueError: If the sets are not matrices of the same width, not finite, or smaller than
            the folds, or if a number is out of range.
    """
    from joblib import parallel_config
    from sklearn.model_selection import KFold, cross_val_score
    from sklearn.neural_network import MLPClassifier

    seed, folds = check_seed(seed, bits=32), check_count("folds", folds, 2)
    x, y = (samples.detach().cpu().double().numpy() for samples in _sample_sets(a, b, folds))
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


def c2st_batch(
    a: TensorLike,
    b: TensorLike,
    *,
    epochs: int | None = C2ST_EPOCHS,
    seed: int = 0,
    folds: int = 5,
) -> Tensor:
    """As `c2st` for many targets at once, by default with classifiers that stop early.

    The classifiers of all targets and folds are trained together: sbibm's two hidden layers of
    10 d units, Adam with rate .001 and batches of 200, without its weight decay (1e-4, which
    scikit-learn divides by the batch). sbibm trains until the loss stands still, hundreds of
    epochs for what is hard to tell apart; stopped early, accuracies are closer to 0.5.

    Targets share folds, initial weights and order of the samples: what one gets does not depend
    on those beside it, but for rounding, which hundreds of epochs amplify.

    Args:
        a: Samples, shape (B, n, d).
        b: Samples, shape (B, m, d).
        epochs: Passes over the samples; None: until a classifier's loss stands still, by
            scikit-learn's rule (no fall by 1e-4 for more than 10 epochs), 10,000 at most.
        seed: Seed of folds, weights and batches.
        folds: Number of folds, at least 2.

    Returns:
        Cross-validated accuracies, shape (B,), float64.

    Raises:
        ValueError: As `c2st`.
    """
    epochs = None if epochs is None else check_count("epochs", epochs)
    seed, folds = check_seed(seed), check_count("folds", folds, 2)
    a, b = _finite("a", a, "B", "n", "d"), _finite("b", b, "B", "m", "d")
    if (a.shape[0], a.shape[2]) != (b.shape[0], b.shape[2]):
        raise ValueError(
            f"a, b: expected samples of one width for as many targets, got {tuple(a.shape)} and "
            f"{tuple(b.shape)}"
        )
    if min(a.shape[1], b.shape[1]) < folds:
        raise ValueError(
            f"a, b: expected at least {folds} samples a target, got {a.shape[1]} and {b.shape[1]}"
        )
    with learning():
        points = torch.cat([a.detach().double().cpu(), b.detach().double().cpu()], dim=1)
        spread = points.std(dim=1, correction=0, keepdim=True)
        points = (points - points.mean(dim=1, keepdim=True)) / torch.where(spread > 0, spread, 1.0)
        labels = torch.arange(points.shape[1]) >= a.shape[1]
        accuracies = [
            _accuracy(part, labels, epochs, seed, folds)
            for part in points.float().split(_CLASSIFIED)
        ]
    return torch.cat(accuracies)


def _accuracy(x: Tensor, labels: Tensor, epochs: int | None, seed: int, folds: int) -> Tensor:
    """Accuracies (B,) of classifiers of points (B, n, d) with labels (n,), over all folds."""
    generator = torch.Generator().manual_seed(seed)
    count, width = x.shape[1:]
    tests = torch.randperm(count, generator=generator).tensor_split(folds)
    # Folds differ by one sample at most: a fold that has one more never trains on it.
    size = count - max(map(len, tests))
    trains = torch.stack(
        [
            torch.cat([*tests[:i], *tests[i + 1 :]])[
                torch.randperm(count - len(tests[i]), generator=generator)
            ][:size]
            for i in range(folds)
        ]
    )
    classifiers = Classifiers(len(x), width, generator, kinds=folds)
    targets = labels.to(x.dtype)[:, None]
    right = torch.zeros(len(x) * folds, dtype=torch.float64)
    # Those that still train, a target's folds in turn; their best loss, and epochs since then.
    training = torch.arange(len(right))
    best, waited = torch.full((len(right),), math.inf), torch.zeros(len(right))
    held = torch.zeros(folds, count, dtype=torch.bool)
    for i, rows in enumerate(tests):
        held[i, rows] = True
    most, patience = epochs or _MOST_EPOCHS, math.inf if epochs else _PATIENCE
    for epoch in range(1, most + 1):
        order = torch.stack([row[torch.randperm(size, generator=generator)] for row in trains])
        loss = torch.zeros(len(training))
        for rows in order[training % folds].split(_BATCH, dim=1):
            loss += classifiers.step(x[training[:, None] // folds, rows], targets[rows]) / size
        waited = torch.where(loss > best - _LOSS_TOLERANCE, waited + 1, 0)
        best = torch.minimum(best, loss)
        done = (waited > patience) | (epoch == most)
        if not done.any():
            continue
        with torch.no_grad():
            predicted = classifiers.logits(x[training // folds])[done, :, 0] > 0
        among = held[training[done] % folds]
        right[training[done]] = ((predicted == labels) & among).sum(dim=1).double() / among.sum(
            dim=1
        )
        training, best, waited = (values[~done] for values in (training, best, waited))
        if not len(training):
            break
        classifiers.keep(~done)
    return right.view(len(x), folds).mean(dim=1)


@contextlib.contextmanager
def learning() -> Iterator[None]:
    """Single precision and gradients, for what is trained here, whatever mode the caller is in."""
    with torch.autocast("cpu", enabled=False), torch.inference_mode(False), torch.enable_grad():
        yield


class Classifiers:
    """Classifiers of two hidden layers of 10 `width` units, trained side by side by Adam.

    Args:
        count: How often to repeat the initial weights.
        width: Width of a point.
        generator: Source of the initial weights.
        kinds: How many of them differ: there are `count` times `kinds` classifiers.
    """

    def __init__(self, count: int, width: int, generator: Generator, *, kinds: int = 1) -> None:
        self._parameters: list[Tensor] = []
        for before, after in itertools.pairwise((width, 10 * width, 10 * width, 1)):
            bound = math.sqrt(6 / (before + after))
            for shape in ((kinds, before, after), (kinds, 1, after)):
                weights = bound * (2 * torch.rand(shape, generator=generator) - 1)
                self._parameters.append(weights.repeat(count, 1, 1).requires_grad_())
        self._optimiser = torch.optim.Adam(self._parameters, lr=1e-3, fused=True)

    def logits(self, points: Tensor) -> Tensor:
        """Of points (count kinds, m, width), float32: shape (count kinds, m, 1)."""
        values = points
        for i in range(0, len(self._parameters), 2):
            weights, bias = self._parameters[i : i + 2]
            values = torch.baddbmm(bias, values.relu() if i else values, weights)
        return values

    def step(self, points: Tensor, labels: Tensor) -> Tensor:
        """One step on points, with labels (count kinds, m, 1) of 0 and 1.

        Returns:
            The loss of each before the step, summed over its points.
        """
        losses = binary_cross_entropy_with_logits(self.logits(points), labels, reduction="none")
        self._optimiser.zero_grad()
        (losses.sum() / points.shape[1]).backward()
        self._optimiser.step()
        return losses.detach().sum(dim=(1, 2))

    def keep(self, chosen: Tensor) -> None:
        """Train those on that are chosen, of those that are left, and drop the others.

        There must have been a step before.
        """
        for parameter in self._parameters:
            state = self._optimiser.state[parameter]
            for name in ("exp_avg", "exp_avg_sq"):
                state[name] = state[name][chosen]
            parameter.data = parameter.data[chosen]


def resimulation_error(arm: PlanarArm, theta: TensorLike, tcp: TensorLike) -> Tensor:
    """Re-simulation error E||f(theta) - tcp||^2, the slides' formula.

    Args:
        arm: The arm whose forward kinematics f is used.
        theta: Joint angles, shape (n, dof), or (B, n, dof) for a batch of targets.
        tcp: Targets, shape (2,), or (B, 2) for a batch.

    Returns:
        The mean over samples, a scalar, or shape (B,) for a batch, in squared units of length.

    Raises:
        ValueError: If the shapes do not belong together, or a number is not finite.
    """
    batch = ("B",) if as_tensor(tcp, "tcp").ndim == 2 else ()
    tcp = _finite("tcp", tcp, *batch, 2)
    theta = _finite("theta", theta, *tcp.shape[:-1], "n", arm.dof)
    return (arm.forward(theta) - tcp.unsqueeze(-2)).square().sum(dim=-1).mean(dim=-1)


def resimulation_error_halved(arm: PlanarArm, theta: TensorLike, tcp: TensorLike) -> Tensor:
    """The authors' variant: mean over samples *and both coordinates*, half of the formula."""
    return resimulation_error(arm, theta, tcp) / 2


def hull_points(points: TensorLike, tcp: TensorLike, percentile: float = 97) -> np.ndarray:
    """The `percentile` % of `points` (n, 2) nearest to `tcp` (2,), and `tcp` itself as last row.

    Raises:
        ValueError: If a shape or the percentile is off, there is no point, or one is not finite.
    """
    points = _finite("points", points, "n", 2).detach().cpu().double()
    tcp = _finite("tcp", tcp, 2).detach().cpu().double()
    percentile = check_positive("percentile", percentile)
    if percentile > 100:
        raise ValueError(f"percentile: expected at most 100, got {percentile}")
    distance = (points - tcp).norm(dim=1)
    keep = max(1, round(len(points) * percentile / 100))
    return torch.cat([points[distance.argsort(stable=True)[:keep]], tcp[None]]).numpy()


def hull_area(points: TensorLike, tcp: TensorLike, percentile: float = 97) -> float:
    """Area of the convex hull of the re-simulated points nearest to the target.

    As in Figure 4 of the slides. Zero if the points have no extent in two directions. The paper
    prints the perimeter under this name: see `hull_perimeter`.

    Args:
        points: Re-simulated TCPs, shape (n, 2).
        tcp: Target, shape (2,); part of the hull.
        percentile: Share of the points kept, nearest first, in percent.

    Raises:
        ValueError: As `hull_points`.
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


def distinct_solutions(
    theta: TensorLike, tolerance: float = 1e-3, *, arm: PlanarArm | None = None
) -> int:
    """Number of different joint angle vectors.

    Vectors within `tolerance` (Euclidean) of each other count as one, transitively. Angles are
    compared on the circle: whole turns make no difference. Memory is linear in n.

    Args:
        theta: Joint angles in radians, shape (n, dof).
        tolerance: In radians, and for a rail in the unit of the lengths.
        arm: The arm, if joints of it slide; without it, all columns are angles.

    Raises:
        ValueError: If `theta` is empty, not finite or not of the arm's width, or if the tolerance
            is not positive.
    """
    tolerance = check_positive("tolerance", tolerance)
    checked = _finite("theta", theta, "n", "dof" if arm is None else arm.dof)
    rails, turn = (0 if arm is None else arm.rails), 2 * np.pi
    positions, angles = np.split(checked.detach().cpu().double().numpy(), [rails], axis=1)
    angles = angles % turn
    # Rounding can leave a whole turn, where the tree expects less.
    angles[angles == turn] = 0.0
    points = np.unique(np.hstack([positions, angles]), axis=0)
    # A size of 0 means that a coordinate is not on a circle.
    tree = cKDTree(points, boxsize=[0.0] * rails + [turn] * angles.shape[1])
    groups, unseen = 0, set(range(len(points)))
    while unseen:
        groups, frontier = groups + 1, [unseen.pop()]
        while frontier and unseen:
            near = unseen.intersection(tree.query_ball_point(points[frontier.pop()], tolerance))
            unseen -= near
            frontier += near
    return groups


def effective_sample_size(log_weights: TensorLike) -> float:
    """Kish's effective sample size (sum w)^2 / sum w^2 of importance weights given as logs.

    Args:
        log_weights: Shape (n,), up to a common constant; minus infinity for a weight of 0.

    Raises:
        ValueError: If there is no weight above 0, or one is infinite or not a number.
    """
    weights = _shaped("log_weights", log_weights, "n").detach().double()
    if not torch.isfinite(largest := weights.max()):
        raise ValueError(f"log_weights: expected the largest to be finite, got {float(largest)}")
    total = torch.logsumexp(weights, 0)
    return float(torch.exp(2 * total - torch.logsumexp(2 * weights, 0)))
