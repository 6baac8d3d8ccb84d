import math
import re
import tracemalloc
import warnings

import numpy as np
import pytest
import torch
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.stats import kstest, permutation_test
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import KFold, cross_val_score
from sklearn.neural_network import MLPClassifier
from sklearn.preprocessing import StandardScaler

from ikpaper import metrics
from ikpaper.arm import PlanarArm, RailArm
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


def test_second_derivative_of_mmd2_is_refused(generator):
    a, b = torch.randn(2, 4, 2, generator=generator, dtype=torch.float64)
    a.requires_grad_()
    assert torch.autograd.gradcheck(lambda x: mmd2(x, b), a)
    with pytest.raises(NotImplementedError, match="derivative"):
        torch.autograd.functional.hessian(lambda x: mmd2(x, b), a)


@pytest.mark.parametrize("kernel", list(KERNELS))
def test_distances_are_exact_far_from_the_origin(kernel, generator):
    draws = 0.01 * torch.randn(2, 60, 3, generator=generator, dtype=torch.float64)
    # What single precision leaves of samples around 1000.
    a, b = (1000 + draws).float()
    floor = float(metrics.mmd2_floor(a.double(), 60, 60, kernel=kernel))
    assert float(metrics.mmd2_floor(a, 60, 60, kernel=kernel)) == pytest.approx(floor, rel=1e-3)
    expected = naive_mmd2(a.tolist(), b.tolist(), kernel, unbiased=True)
    assert float(mmd2(a, b, True, kernel=kernel)) == pytest.approx(expected, abs=1e-6)
    test = metrics.two_sample_test(a, b, kernel=kernel, permutations=1, generator=generator)
    assert test.mmd2 == pytest.approx(expected, abs=1e-6)


def test_distances_are_exact_beside_an_outlier(generator):
    a, b = 0.01 * torch.randn(2, 30, 2, generator=generator, dtype=torch.float64)
    a[0] = 1e7
    expected = naive_mmd2(a.tolist(), b.tolist(), "multi-bandwidth", unbiased=True)
    found = metrics.two_sample_test(a, b, kernel="multi-bandwidth", generator=generator)
    assert found.mmd2 == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_samples_are_scored_in_single(dtype, generator):
    a, b = torch.randn(2, 20, 3, generator=generator).to(dtype)
    assert mmd2(a, b).dtype == torch.float32
    assert mmd2(a, b) == mmd2(a.float(), b.float())
    assert mmd2(a, b.double()).dtype == torch.float64
    assert metrics.mmd2_floor(a, 5, 5) == metrics.mmd2_floor(a.float(), 5, 5)


def scores(a, b, arm):
    """Every metric of two sample sets (n, 6), and of the first set's TCPs."""
    tcp, seeded = [2.0, 1.0], torch.Generator().manual_seed(0)
    points = arm.forward(a)
    return [
        float(mmd2(a, b)),
        float(metrics.mmd2_floor(a, 9, 9)),
        *metrics.two_sample_test(a, b, permutations=20, generator=seeded),
        metrics.c2st(a, b, folds=2),
        float(metrics.resimulation_error(arm, a, tcp)),
        metrics.hull_area(points, tcp),
        metrics.hull_perimeter(points, tcp),
        metrics.distinct_solutions(a),
        metrics.effective_sample_size(a[:, 0]),
    ]


def test_metrics_take_samples_in_any_form(arm, generator):
    a, b = torch.randn(2, 20, 6, generator=generator, dtype=torch.float64)
    expected = scores(a, b, arm)
    arrays = (a.numpy(), b.numpy())
    assert scores(*arrays, arm) == expected
    assert scores(*(array.astype(">f8") for array in arrays), arm) == expected
    assert scores(a.clone().requires_grad_(), b, arm) == expected
    assert float(mmd2(a.tolist(), b.tolist())) == expected[0]
    assert metrics.c2st(a.tolist(), b.tolist(), folds=2) == expected[4]


def test_autocast_changes_no_score(arm, generator):
    a, b = torch.randn(2, 20, 6, generator=generator)
    expected = scores(a, b, arm)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert scores(a, b, arm) == expected


ARM = PlanarArm.paper(6)
SAMPLE = torch.linspace(-1, 1, 24).reshape(4, 6)
PLANE, TCP = SAMPLE[:, :2], torch.ones(2)

#: Every argument that holds numbers: its name, a value that is right, and a call with another.
ARGUMENTS = [
    ("a", SAMPLE, lambda x: mmd2(x, SAMPLE)),
    ("b", SAMPLE, lambda x: mmd2(SAMPLE, x)),
    ("a", SAMPLE, lambda x: metrics.two_sample_test(x, SAMPLE)),
    ("b", SAMPLE, lambda x: metrics.two_sample_test(SAMPLE, x)),
    ("a", SAMPLE, lambda x: metrics.c2st(x, SAMPLE, folds=2)),
    ("b", SAMPLE, lambda x: metrics.c2st(SAMPLE, x, folds=2)),
    ("samples", SAMPLE, lambda x: metrics.mmd2_floor(x, 4, 4)),
    ("theta", SAMPLE, lambda x: metrics.resimulation_error(ARM, x, TCP)),
    ("tcp", TCP, lambda x: metrics.resimulation_error(ARM, SAMPLE, x)),
    ("theta", SAMPLE, lambda x: metrics.resimulation_error_halved(ARM, x, TCP)),
    ("points", PLANE, lambda x: metrics.hull_area(x, TCP)),
    ("tcp", TCP, lambda x: metrics.hull_area(PLANE, x)),
    ("points", PLANE, lambda x: metrics.hull_perimeter(x, TCP)),
    ("tcp", TCP, lambda x: metrics.hull_perimeter(PLANE, x)),
    ("points", PLANE, lambda x: metrics.hull_points(x, TCP)),
    ("tcp", TCP, lambda x: metrics.hull_points(PLANE, x)),
    ("theta", SAMPLE, metrics.distinct_solutions),
    ("log_weights", SAMPLE[:, 0], metrics.effective_sample_size),
]


@pytest.mark.parametrize(("name", "right", "call"), ARGUMENTS)
def test_metrics_refuse_what_has_no_answer(name, right, call):
    call(right)
    for bad in (math.nan, math.inf):
        wrong = right.clone()
        wrong.view(-1)[1] = bad
        with pytest.raises(ValueError, match=rf"^{name}: .*finite"):
            call(wrong)
    for nonsense in (None, "text", [[1.0, 2.0], [3.0]]):
        with pytest.raises(ValueError, match=rf"^{name}: "):
            call(nonsense)
    for wrong in (right[:0], right[None, None], right.sum()):
        with pytest.raises(ValueError, match=rf"^{name}: .*{re.escape(str(tuple(wrong.shape)))}"):
            call(wrong)


@pytest.mark.parametrize("metric", [mmd2, metrics.two_sample_test, metrics.c2st])
def test_sample_sets_are_of_one_width(metric):
    with pytest.raises(ValueError, match=r"^a, b: .* \(4, 6\) and \(4, 2\)"):
        metric(SAMPLE, PLANE)


@pytest.mark.parametrize(
    ("message", "call"),
    [
        ("at least 2 samples each, got 1 and 4", lambda: mmd2(SAMPLE[:1], SAMPLE, True)),
        ("at least 2 .* got 4 and 1", lambda: metrics.two_sample_test(SAMPLE, SAMPLE[:1])),
        ("at least 5 .* got 4 and 4", lambda: metrics.c2st(SAMPLE, SAMPLE)),
        ("number of samples: .* at least 2, got 1", lambda: metrics.mmd2_floor(SAMPLE[:1], 1, 1)),
        ("^n: .* got 0", lambda: metrics.mmd2_floor(SAMPLE, 0, 1)),
        ("^m: .* got 2.5", lambda: metrics.mmd2_floor(SAMPLE, 1, 2.5)),
        ("permutations: .* got 0", lambda: metrics.two_sample_test(SAMPLE, SAMPLE, permutations=0)),
        ("generator: .* got 0", lambda: metrics.two_sample_test(SAMPLE, SAMPLE, generator=0)),
        ("folds: .* got 1", lambda: metrics.c2st(SAMPLE, SAMPLE, folds=1)),
        ("seed: .* got -1", lambda: metrics.c2st(SAMPLE, SAMPLE, folds=2, seed=-1)),
        (r"^a: .*\(B, n, d\)", lambda: metrics.c2st_batch(SAMPLE, [SAMPLE])),
        ("at least 5 samples a target", lambda: metrics.c2st_batch([SAMPLE], [SAMPLE])),
        ("as many targets", lambda: metrics.c2st_batch([SAMPLE], [SAMPLE] * 2, folds=2)),
        ("epochs: .* got 0", lambda: metrics.c2st_batch([SAMPLE], [SAMPLE], epochs=0)),
        (r"theta: .*\(n, 6\)", lambda: metrics.resimulation_error(ARM, PLANE, TCP)),
        ("tolerance: .* got 0", lambda: metrics.distinct_solutions(SAMPLE, 0)),
        (r"theta: .*\(n, 6\)", lambda: metrics.distinct_solutions(PLANE, arm=ARM)),
        (
            "the largest to be finite, got -inf",
            lambda: metrics.effective_sample_size([-math.inf] * 3),
        ),
    ],
)
def test_metrics_name_a_number_that_is_out_of_range(message, call):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize("at_zero", [math.nan, math.inf])
def test_a_kernel_that_is_not_finite_has_no_p_value(at_zero):
    with pytest.raises(ValueError, match=r"^kernel: expected finite"):
        metrics.two_sample_test(SAMPLE, SAMPLE, kernel=lambda d: torch.where(d > 0, d, at_zero))


@pytest.mark.parametrize("kernel", ["gauss", None, 3, ["paper"]])
def test_an_unknown_kernel_lists_the_known(kernel):
    for call in (
        lambda: mmd2(SAMPLE, SAMPLE, kernel=kernel),
        lambda: metrics.two_sample_test(SAMPLE, SAMPLE, kernel=kernel),
        lambda: metrics.mmd2_floor(SAMPLE, 4, 4, kernel=kernel),
    ):
        with pytest.raises(ValueError, match=r"^kernel: .* paper, squared, multi-bandwidth, got"):
            call()


def test_a_kernel_may_be_a_function(generator):
    a, b = torch.randn(2, 70, 3, generator=generator, dtype=torch.float64)
    own = {"kernel": KERNELS["squared"]}
    assert mmd2(a, b, **own) == mmd2(a, b, kernel="squared")
    assert metrics.mmd2_floor(a, 9, 9, **own) == metrics.mmd2_floor(a, 9, 9, kernel="squared")
    tests = [
        metrics.two_sample_test(a, b, generator=torch.Generator().manual_seed(0), kernel=kernel)
        for kernel in ("squared", KERNELS["squared"])
    ]
    assert tests[0] == tests[1]


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
    with pytest.raises(ValueError, match=r"theta: .* \(3, n, 6\) .* got \(4, 5, 6\)"):
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


@pytest.mark.parametrize("percentile", [0, 101, -3, math.nan, "97", None])
def test_hull_refuses_percentiles_outside_0_to_100(percentile):
    with pytest.raises(ValueError, match=f"percentile: .*{percentile}"):
        metrics.hull_area(np.zeros((3, 2)), [0.0, 0.0], percentile)


def test_distinct_solutions_counts_groups():
    theta = torch.tensor([[0.0, 0.0], [0.0, 1e-4], [1.0, 0.0], [1.0, 0.0], [0.0, 2.0]])
    assert metrics.distinct_solutions(theta) == 3


@pytest.mark.parametrize("tolerance", [1e-3, 0.2, 0.6])
def test_distinct_solutions_are_the_clusters_of_scipy(tolerance, generator):
    # Angles so small that the circle makes no difference.
    theta = 0.5 * torch.randn(300, 2, generator=generator, dtype=torch.float64)
    clusters = fcluster(linkage(theta.numpy(), "single"), tolerance, "distance")
    assert metrics.distinct_solutions(theta, tolerance) == clusters.max()


def test_distinct_solutions_compares_angles_on_the_circle():
    theta = torch.tensor([[math.pi, 1.0], [1e-6 - math.pi, 1.0], [math.pi, 1 + 4 * math.pi]])
    assert metrics.distinct_solutions(theta.double()) == 1
    assert metrics.distinct_solutions([[-1e-20], [0.0], [2 * math.pi]]) == 1
    # A rail's position is no angle.
    rail = RailArm.benchmark()
    theta = torch.zeros(3, 4, dtype=torch.float64)
    theta[1, 0], theta[2, 1] = -2 * math.pi, 2 * math.pi
    assert metrics.distinct_solutions(theta, arm=rail) == 2
    assert metrics.distinct_solutions(theta) == 1


def test_distinct_solutions_needs_little_memory_for_many_alike():
    theta = np.tile([0.1, 0.2, 0.3], (10_000, 1))
    tracemalloc.start()
    assert metrics.distinct_solutions(theta) == 1
    # Alike, but not identical.
    assert metrics.distinct_solutions(theta + 1e-8 * np.arange(10_000)[:, None]) == 1
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 50e6


def test_effective_sample_size_is_kishs():
    weights = torch.tensor([1.0, 2.0, 3.0, 4.0], dtype=torch.float64)
    expected = float(weights.sum() ** 2 / weights.square().sum())
    assert metrics.effective_sample_size(weights.log() - 700) == pytest.approx(expected)
    padded = torch.cat([weights, weights.new_zeros(3)])
    assert metrics.effective_sample_size(padded.log()) == pytest.approx(expected)


def test_c2st_tells_distributions_apart(generator):
    a = torch.randn(300, 2, generator=generator)
    same = torch.randn(300, 2, generator=generator)
    apart = 4.0 + torch.randn(300, 2, generator=generator)
    accuracy = metrics.c2st(a, same)
    assert accuracy == pytest.approx(0.5, abs=0.08)
    assert metrics.c2st(a, same) == accuracy
    assert metrics.c2st(a, apart) > 0.98
    # Half of the samples of the other set lie where there are none of the first.
    half = torch.cat([same[:150], apart[:150]])
    assert metrics.c2st(a, half) == pytest.approx(0.75, abs=0.08)


@pytest.mark.parametrize("epochs", [30, pytest.param(None, marks=pytest.mark.slow)])
def test_c2st_of_many_targets_trains_the_classifiers_of_scikit_learn(epochs, generator):
    n, m, width, seeds = 301, 242, 4, range(3)
    stop = {} if epochs is None else {"n_iter_no_change": epochs}
    a, b = (torch.randn(3, rows, width, generator=generator) for rows in (n, m))
    # Equal, shifted, and of a width and a correlation that only nonlinear classifiers see.
    b[1] += 0.5
    b[2, :, 0] = b[2, :, 1]
    b[2] *= torch.tensor([2.0, 2.0, 1.0, 100.0])
    found = torch.stack([metrics.c2st_batch(a, b, epochs=epochs, seed=seed) for seed in seeds])
    assert (found.shape, found.dtype) == ((3, 3), torch.float64)
    labels = np.repeat([0, 1], [n, m])
    for i in range(3):
        data = StandardScaler().fit_transform(torch.cat([a[i], b[i]]).numpy())
        expected = []
        for seed in seeds:
            classifier = MLPClassifier(
                (10 * width, 10 * width),
                max_iter=epochs or 10_000,
                random_state=seed,
                **stop,
            )
            splits = KFold(5, shuffle=True, random_state=seed)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ConvergenceWarning)
                expected.append(cross_val_score(classifier, data, labels, cv=splits).mean())
        assert float(found[:, i].mean()) == pytest.approx(
            np.mean(expected), abs=0.03 if epochs else 0.05
        ), i
    equal, shifted, spread = found.mean(dim=0)
    assert equal < 0.6 < shifted < 0.75 < spread


def test_classifiers_that_are_left_train_on_as_they_were(generator):
    points = torch.randn(8, 6, 30, 2, generator=generator)
    labels = torch.rand(6, 30, 1, generator=generator).round()
    left = torch.tensor([True, False, True, True, False, True])

    def trained(drop_after):
        classifiers = metrics.Classifiers(3, 2, torch.Generator().manual_seed(1), kinds=2)
        chosen = torch.ones(6, dtype=torch.bool)
        for i, batch in enumerate(points):
            if i == drop_after:
                chosen = left
                classifiers.keep(chosen)
            loss = classifiers.step(batch[chosen], labels[chosen])
        return loss[left[chosen]], classifiers.logits(points[0, chosen])[left[chosen]]

    for some, all_of_them in zip(trained(4), trained(None), strict=True):
        torch.testing.assert_close(some, all_of_them)


def test_a_classifier_trains_until_its_loss_has_stood_still_for_ten_epochs(monkeypatch):
    #: Epochs over which the loss of each classifier falls by more than the tolerance.
    falls = torch.tensor([3.0, 12.0, 3.0, 1.0])
    epochs, dropped = [], []

    class Classifiers:
        def __init__(self, count, width, generator, *, kinds):
            self.left = torch.arange(count * kinds)

        def step(self, points, labels):
            epochs.append(len(epochs) + 1)
            fallen = torch.minimum(torch.tensor(float(len(epochs))), falls[self.left])
            # The rest falls by too little to count.
            return points.shape[1] * (9.0 - 2e-4 * fallen - 1e-7 * len(epochs))

        def logits(self, points):
            return points.new_ones(len(points), points.shape[1], 1)

        def keep(self, chosen):
            dropped.append((len(epochs), self.left[~chosen].tolist()))
            self.left = self.left[chosen]

    monkeypatch.setattr(metrics, "Classifiers", Classifiers)
    a, b = torch.zeros(2, 20, 3), torch.ones(2, 20, 3)
    found = metrics.c2st_batch(a, b, epochs=None, folds=2)
    assert dropped == [(12, [3]), (14, [0, 2])]
    assert len(epochs) == 23
    # All are told to be of the second set, which half of them are, in both folds together.
    assert found.tolist() == [0.5, 0.5]


def test_c2st_of_a_target_does_not_depend_on_those_beside_it(generator):
    a, b = (torch.randn(10, 50, 3, generator=generator) for _ in range(2))
    b[::2] += 0.5
    found = metrics.c2st_batch(a, b, epochs=5)
    for i in (0, 9):
        alone = metrics.c2st_batch(a[i : i + 1], b[i : i + 1], epochs=5)
        assert float(alone) == pytest.approx(float(found[i]), abs=1e-9)
    assert torch.equal(found, metrics.c2st_batch(a, b, epochs=5))
    assert not torch.equal(found, metrics.c2st_batch(a, b, epochs=5, seed=1))
    with torch.inference_mode():
        assert torch.equal(found, metrics.c2st_batch(a, b, epochs=5))


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
    def p_value(a, b):
        return metrics.two_sample_test(a, b, permutations=99, generator=generator).p_value

    draws = torch.randn(200, 2, 40, 3, generator=generator, dtype=torch.float64)
    # Uniform up to what 200 draws and 99 permutations resolve.
    assert kstest([p_value(a, b) for a, b in draws], "uniform").pvalue > 0.001
    assert max(p_value(a, b + 0.8) for a, b in draws[:20]) < 0.1


def test_permutation_test_of_a_set_with_itself_finds_nothing(generator):
    a = torch.randn(20, 2, generator=generator, dtype=torch.float64)
    assert metrics.two_sample_test(a, a, generator=generator).p_value > 0.95
