"""Checks of calibration: what can be asked of a sampler without exact samples to hold it against.

All compare, over many simulations (theta_i from the prior, y_i = f(theta_i)), theta_i with samples
of the posterior at y_i: ranks among n samples are uniform on 0, ..., n for the true posterior.
They are necessary, not sufficient: a sampler can pass and be wrong. What a check can see depends
on the quantity whose ranks it takes (Modrak et al., 2023).
"""

from __future__ import annotations

import torch
from scipy.stats import kstwo
from torch import Tensor

from ikpaper.arm import PlanarArm, TensorLike, as_tensor
from ikpaper.checks import Sigma, check_count, check_finite, check_positive, check_seed
from ikpaper.metrics import Classifiers, learning

#: Raise when numbers change.
VERSION = 1

#: Steps of a classifier, and points of each class in a step.
_STEPS, _BATCH = 300, 100


def ranks(truth: TensorLike, samples: TensorLike) -> Tensor:
    """How many samples of a quantity are below its true value.

    Of the joint angles themselves, these are the ranks (N, dof) of simulation-based calibration
    (Talts et al., 2018), a joint at a time; of the posterior density, those of the coverage of its
    highest-density regions.

    Args:
        truth: The quantity at theta_i, shape (N, ...).
        samples: The quantity at the samples, shape (N, n, ...).

    Returns:
        Integers from 0 to n, shape (N, ...).

    Raises:
        ValueError: If the shapes do not belong together, or a number is not finite.
    """
    true, drawn = as_tensor(truth, "truth"), as_tensor(samples, "samples")
    if drawn.ndim < 2 or drawn.shape[:1] + drawn.shape[2:] != true.shape or not drawn.numel():
        raise ValueError(
            "samples: expected shape (N, n, ...) for truth of shape (N, ...), got "
            f"{tuple(drawn.shape)} for {tuple(true.shape)}"
        )
    return (check_finite("samples", drawn) < check_finite("truth", true)[:, None]).sum(dim=1)


def tarp_ranks(theta: TensorLike, samples: TensorLike, references: TensorLike) -> Tensor:
    """Ranks (N,) of the distance to a reference: TARP (Lemos et al., 2023).

    How many samples are nearer to the reference than theta_i. References may depend on the target
    and not on theta_i otherwise. Where they do not depend on it, the prior passes, too.

    Args:
        theta: Joint angles drawn from the prior, shape (N, dof).
        samples: Samples at their TCPs, shape (N, n, dof).
        references: A point for each simulation, shape (N, dof).

    Raises:
        ValueError: As `ranks`.
    """
    true, drawn = as_tensor(theta, "theta"), as_tensor(samples, "samples")
    ranks(true, drawn)  # Their shapes and numbers.
    points = check_finite("references", as_tensor(references, "references")).to(true)
    if points.shape != true.shape:
        raise ValueError(
            f"references: expected shape {tuple(true.shape)}, got {tuple(points.shape)}"
        )
    return ranks((true - points).norm(dim=-1), (drawn - points[:, None]).norm(dim=-1))


def log_density(arm: PlanarArm, theta: TensorLike, sigma: Sigma | None = None) -> Tensor:
    """Logarithm of the posterior density on the solution manifold, but for a constant.

    log p(theta) - log det(J J^T) / 2, by the co-area formula: the constant depends on the target
    alone, so that ranks do not change with it. Of samples that miss their target it is the density
    at what they reach instead.

    Args:
        arm: The arm.
        theta: Joint angles, shape (..., dof).
        sigma: Standard deviation of the prior; by default the arm's own.

    Returns:
        Shape (...).
    """
    angles = as_tensor(theta, "theta").double()
    x, y = arm.jacobian(angles).unbind(-2)
    gram = x.square().sum(-1) * y.square().sum(-1) - (x * y).sum(-1).square()
    scaled = angles / torch.tensor(arm.prior_sigma(sigma), dtype=angles.dtype)
    return -0.5 * (scaled.square().sum(-1) + gram.log())


def classifier_ranks(
    theta: TensorLike,
    tcp: TensorLike,
    samples: TensorLike,
    *,
    size: int | None = None,
    seed: int = 0,
) -> Tensor:
    """Ranks of a quantity that is learned: how sure a classifier is that it sees the truth.

    A classifier learns, on the first half of the simulations, to tell pairs (theta_i, y_i) from
    pairs of a sample and y_i; the ranks are those of its output in the second half. It is the
    classifier of C2ST over theta and y together (Lopez-Paz and Oquab, 2017), and of the global
    test of L-C2ST (Linhart et al., 2023). As its data are not those that it is asked about, ranks
    are uniform for the true posterior whatever it has learned (Yao and Domke, 2023): no
    classifiers of a null hypothesis need be trained.

    Args:
        theta: Joint angles drawn from the prior, shape (N, dof).
        tcp: Their TCPs, shape (N, 2).
        samples: Samples at the TCPs, shape (N, n, dof).
        size: Simulations of a subset, each with a classifier of its own, which are trained
            together; by default all N. What is left over is not used.
        seed: Seed of weights and batches.

    Returns:
        Integers from 0 to n, shape (N // size, size - size // 2).

    Raises:
        ValueError: If the shapes do not belong together, a number is not finite, or a subset has
            fewer than 4 simulations or more than there are.
    """
    true, drawn = as_tensor(theta, "theta"), as_tensor(samples, "samples")
    targets = check_finite("tcp", as_tensor(tcp, "tcp"))
    ranks(true, drawn)  # Their shapes and numbers.
    if targets.ndim != 2 or len(targets) != len(true):
        raise ValueError(f"tcp: expected shape ({len(true)}, 2), got {tuple(targets.shape)}")
    size = check_count("size", len(true) if size is None else size, 4)
    if size > len(true):
        raise ValueError(f"size: expected at most {len(true)} simulations, got {size}")
    subsets, half = len(true) // size, size // 2
    seed = check_seed(seed)
    with learning():
        joint = torch.cat([drawn, targets[:, None].expand(-1, drawn.shape[1], -1)], dim=2)
        # The truth is the first of n + 1.
        joint = torch.cat([torch.cat([true, targets], dim=1)[:, None], joint], dim=1).detach()
        joint = joint[: subsets * size].double().unflatten(0, (subsets, size))
        known, asked = joint[:, :half], joint[:, half:]
        spread = known[:, :, 0].std(dim=1)
        place = known[:, :, 0].mean(dim=1)
        known, asked = (
            ((part - place[:, None, None]) / spread[:, None, None]).float()
            for part in (known, asked)
        )
        generator = torch.Generator().manual_seed(seed)
        classifiers = Classifiers(subsets, joint.shape[-1], generator)
        batch = min(half, _BATCH)
        labels = (torch.arange(2 * batch) < batch).float()[None, :, None].expand(subsets, -1, -1)
        for _ in range(_STEPS):
            rows = torch.randperm(half, generator=generator)[:batch]
            others = torch.randint(1, joint.shape[2], (batch,), generator=generator)
            classifiers.step(torch.cat([known[:, rows, 0], known[:, rows, others]], dim=1), labels)
        with torch.no_grad():
            # A simulation at a time has n + 1 points, all of them more than fit into a cache.
            found = torch.cat(
                [classifiers.logits(part.flatten(1, 2)) for part in asked.split(100, dim=1)], dim=1
            ).reshape(asked.shape[:3])
    return ranks(found[..., 0].flatten(), found[..., 1:].flatten(0, 1)).view(subsets, -1)


def uniformity(counts: TensorLike, n: int) -> float:
    """P-value of whether ranks are uniform on 0, ..., n (Kolmogorov and Smirnov).

    Distribution functions are compared where ranks can be, so that the test, which is made for
    continuous quantities, keeps its level for any number of ranks; it is a little conservative.
    Of several columns, the least p-value times their number (Bonferroni).

    Args:
        counts: Ranks, shape (N,) or (N, columns).
        n: Samples that each is a rank among.

    Raises:
        ValueError: If the shape is another, or a rank is not from 0 to n.
    """
    n, found = check_count("n", n), _counts(counts, n)
    columns = found.reshape(len(found), -1).T
    steps = torch.arange(1, n + 2, dtype=torch.float64) / (n + 1)
    shares = torch.stack([column.bincount(minlength=n + 1) for column in columns]).cumsum(dim=1)
    largest = float((shares / len(found) - steps).abs().max())
    return float(min(1.0, kstwo.sf(largest, len(found)) * len(columns)))


def coverage(counts: TensorLike, n: int, level: float) -> float:
    """Share of simulations in whose regions of `level` the truth lies; of the truth's, `level`.

    A region holds what comes first: of ranks of -log density the densest samples, of
    `tarp_ranks` those nearest to the reference. Less than `level` is overconfident, more is
    underconfident.

    Args:
        counts: Ranks, shape (N,) or (N, columns).
        n: Samples that each is a rank among.
        level: Probability of the regions, from 0 to 1.

    Raises:
        ValueError: As `uniformity`, or if the level is out of its range.
    """
    n, found = check_count("n", n), _counts(counts, n)
    if check_positive("level", level) > 1:
        raise ValueError(f"level: expected a probability, got {level}")
    # The last of the ranks counts in part.
    return float((level * (n + 1) - found.double()).clamp(0, 1).mean())


def _counts(counts: TensorLike, n: int) -> Tensor:
    found = check_finite("counts", as_tensor(counts, "counts"))
    if found.ndim not in (1, 2) or not found.numel():
        raise ValueError(f"counts: expected shape (N,) or (N, columns), got {tuple(found.shape)}")
    whole = found.long()
    if (whole != found).any() or (whole < 0).any() or (whole > n).any():
        raise ValueError(
            f"counts: expected whole numbers from 0 to {n}, got {found.min()} to {found.max()}"
        )
    return whole
