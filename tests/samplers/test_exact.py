import math

import numpy as np
import pytest
import torch
from scipy.stats import kstest

from ikpaper import ExactPosterior, PlanarArm, RailArm, RejectionPosterior
from ikpaper.evaluation.task import random_targets
from ikpaper.experiments.validation import three_link_posterior
from ikpaper.metrics import distinct_solutions, mmd2, two_sample_test
from ikpaper.samplers import exact

PAPER_TARGETS = {4: (2.25, 0.5), 6: (3.42, 0.68), 8: (4.05, 0.9), 10: (5.0, 0.53)}


def seeded(seed):
    return torch.Generator().manual_seed(seed)


def kolmogorov_smirnov(samples, grid, cdf):
    found = np.searchsorted(np.sort(samples), grid, side="right") / len(samples)
    return np.abs(found - cdf).max()


@pytest.mark.parametrize(("dof", "tcp"), PAPER_TARGETS.items())
def test_exact_samples_reach_the_target_and_are_distinct(dof, tcp, generator):
    arm = PlanarArm.paper(dof)
    draw = ExactPosterior(arm).draw(tcp, 1000, generator=generator)
    residual = arm.forward(draw.theta) - torch.tensor(tcp, dtype=torch.float64)
    assert residual.norm(dim=1).max() < 1e-9
    assert distinct_solutions(draw.theta, 1e-9) == 1000
    assert draw.theta.abs().max() <= math.pi
    assert draw.ess >= 10 * 1000


@pytest.mark.parametrize(
    ("lengths", "tcp"),
    [
        ([0.5] * 5 + [1.0], (3.4999, 0.0)),
        ([0.5] * 5 + [1.0], (1.0, 1.0)),
        ([0.5] * 9 + [1.0], (-3.0, 0.0)),
        ([0.5] * 3 + [1.0], (0.1, 0.0)),
    ],
)
def test_exact_copes_with_the_tails_and_the_edge(lengths, tcp, generator):
    arm = PlanarArm(lengths)
    draw = ExactPosterior(arm).draw(tcp, 500, generator=generator)
    residual = arm.forward(draw.theta) - torch.tensor(tcp, dtype=torch.float64)
    assert residual.norm(dim=1).max() < 1e-9
    assert distinct_solutions(draw.theta, 1e-12) == 500


@pytest.mark.parametrize(
    "tcp", [(1.8, 0.2), (1.2, 0.3), (1.9999, -0.2), (0.0, 0.0), (-1.0, 0.5), (1.5, 4.0)]
)
def test_exact_samples_on_a_rail_reach_the_target(tcp, generator):
    arm = RailArm.benchmark()
    draw = ExactPosterior(arm).draw(tcp, 300, generator=generator)
    residual = arm.forward(draw.theta) - torch.tensor(tcp, dtype=torch.float64)
    assert residual.norm(dim=1).max() < 1e-14
    assert distinct_solutions(draw.theta, 1e-9) == 300
    assert draw.theta[:, 1:].abs().max() <= math.pi


def test_a_rail_may_go_farther_than_an_angle_can(generator):
    arm = RailArm.benchmark()
    theta = ExactPosterior(arm, (5.0, 0.5, 0.5, 0.5)).sample([1.8, 8.0], 100, generator=generator)
    assert theta[:, 0].min() > math.pi


@pytest.mark.parametrize(
    ("arm", "tcp", "used"),
    [
        (PlanarArm.paper(4), (2.25, 0.5), "prior"),
        (PlanarArm.paper(8), (4.0, 1.0), "prior"),
        (PlanarArm.paper(6), (1.0, 1.0), "modes"),
        (RailArm.benchmark(), (1.8, 0.2), "prior"),
        (RailArm.benchmark(), (-1.0, 0.5), "modes"),
    ],
)
def test_every_stage_draws_from_the_same_posterior(arm, tcp, used):
    n = 1000
    usual = ExactPosterior(arm).draw(tcp, n, generator=seeded(1))
    assert usual.stage == used
    # The prior alone would take long where it is not the usual one.
    for stage in ("modes", "pairs") if used == "prior" else ("pairs",):
        draw = ExactPosterior(arm, stages=[stage]).draw(tcp, n, generator=seeded(2))
        assert draw.stage == stage
        assert two_sample_test(draw.theta, usual.theta, generator=seeded(9)).p_value > 0.01
        assert abs(float(mmd2(draw.theta, usual.theta, unbiased=True))) < 8e-4


@pytest.mark.parametrize("tcp", [(2.4, 0.0), (2.1, 0.9), (1.0, 1.0)])
def test_a_first_joint_that_is_held_leaves_an_arm_of_one_joint_less(tcp):
    n, shorter = 1500, PlanarArm([0.5, 0.5, 1.0])
    held = ExactPosterior(PlanarArm.paper(4), [1e-6, 0.2, 0.2, 0.2])
    draw = held.draw(tcp, n, generator=seeded(1))
    assert draw.stage == "pairs"
    residual = held.arm.forward(draw.theta) - torch.tensor(tcp, dtype=torch.float64)
    assert residual.norm(dim=1).max() < 1e-12
    assert float(draw.theta[:, 0].std()) == pytest.approx(1e-6, rel=0.1)
    expected = ExactPosterior(shorter).sample((tcp[0] - 0.5, tcp[1]), n, generator=seeded(2))
    assert two_sample_test(draw.theta[:, 1:], expected, generator=seeded(3)).p_value > 0.01
    assert (draw.theta[:, 1:].std(0) / expected.std(0) - 1).abs().max() < 0.1


def test_a_rail_that_is_held_leaves_an_arm_on_a_fixed_base():
    n, tcp = 1500, (1.8, 0.2)
    held = ExactPosterior(RailArm.benchmark(), [1e-6, 0.5, 0.5, 0.5])
    draw = held.draw(tcp, n, generator=seeded(1))
    assert draw.stage == "pairs"
    expected = ExactPosterior(PlanarArm([0.5, 0.5, 1.0]), 0.5).sample(tcp, n, generator=seeded(2))
    assert two_sample_test(draw.theta[:, 1:], expected, generator=seeded(3)).p_value > 0.01


def test_at_the_base_the_first_joint_is_free():
    # The other two close a triangle, in two ways that the prior has equally often.
    arm, sigma, n = PlanarArm([0.6, 0.5, 0.4]), 0.7, 5000
    theta = ExactPosterior(arm, sigma).sample([0.0, 0.0], n, generator=seeded(1))
    assert arm.forward(theta).norm(dim=1).max() < 1e-12
    corner = math.acos((0.6**2 + 0.5**2 - 0.4**2) / (2 * 0.6 * 0.5))
    np.testing.assert_allclose(theta[:, 1].abs(), math.pi - corner, atol=1e-12)
    assert abs(float((theta[:, 1] > 0).double().mean()) - 0.5) < 4 * 0.5 / math.sqrt(n)
    grid = np.linspace(-math.pi, math.pi, 2001)
    cdf = torch.distributions.Normal(0.0, sigma).cdf(torch.from_numpy(grid)).numpy()
    cdf = (cdf - cdf[0]) / (cdf[-1] - cdf[0])
    assert kolmogorov_smirnov(theta[:, 0].numpy(), grid, cdf) < 1.63 / math.sqrt(n)


@pytest.mark.slow
def test_rejection_near_the_base_cannot_be_told_from_exact():
    arm, n = PlanarArm([0.4, 0.5, 0.65, 0.3]), 400
    tcp = torch.tensor([(0.0, 0.0), (1e-8, 0.0), (0.01, -0.01)], dtype=torch.float64)
    exact = ExactPosterior(arm, 0.9).sample(tcp, n, generator=seeded(1))
    kept = RejectionPosterior(arm, 0.9, 0.03).sample(tcp, n, generator=seeded(2))
    for a, b in zip(exact, kept, strict=True):
        assert two_sample_test(a, b, generator=seeded(3)).p_value > 0.01


@pytest.mark.parametrize(
    ("stage", "sigma"),
    [
        ("prior", (0.5, 0.5, 0.5)),
        ("modes", (0.5, 0.5, 0.5)),
        ("pairs", (0.5, 0.5, 0.5)),
        ("pairs", (0.5, 0.5, 1e-2)),
        ("pairs", (1e-2, 0.5, 0.5)),
        pytest.param("pairs", (1e-3, 0.5, 0.5), marks=pytest.mark.slow),
    ],
)
def test_exact_agrees_with_an_integral_over_the_solution_curve(stage, sigma):
    arm, tcp, n = PlanarArm([1.0, 0.8, 0.6]), (1.6, 0.7), 10_000
    draw = ExactPosterior(arm, sigma, stages=[stage]).draw(tcp, n, generator=seeded(3))
    # Many points within what the narrowest prior lets through.
    points = int(max(200_000, 4000 / min(sigma)))
    theta, mass = three_link_posterior(arm, tcp, np.array(sigma), points)
    for joint in range(3):
        order = np.argsort(theta[:, joint])
        grid, cdf = theta[order, joint], np.cumsum(mass[order]) / mass.sum()
        # 1.63 / sqrt(n): rejects at 1 % for independent draws.
        found = kolmogorov_smirnov(draw.theta[:, joint].numpy(), grid, cdf)
        assert found < 1.63 / math.sqrt(n), joint


def test_exact_on_a_rail_agrees_with_an_integral_over_one_heading():
    arm, (x, y), sigma, n = RailArm([1.0, 0.8]), (1.4, 0.5), np.array([0.25, 0.5, 0.5]), 20_000
    _, l1, l2 = arm.lengths
    # In x, one heading decides the other up to the elbow; the rail takes what y lacks. The sine
    # keeps the integrand finite where the first link is horizontal.
    farthest = math.acos((x - l1) / l2)
    u = np.linspace(-np.pi / 2, np.pi / 2, 100_001)[1:-1]
    tail = farthest * np.sin(u)
    rails, masses = [], []
    for elbow in (1, -1):
        first = elbow * np.arccos((x - l2 * np.cos(tail)) / l1)
        rail = y - l1 * np.sin(first) - l2 * np.sin(tail)
        scaled = np.stack([rail, first, tail - first]) / sigma[:, None]
        rails.append(rail)
        masses.append(
            np.exp(-0.5 * (scaled**2).sum(axis=0)) * np.cos(u) / np.abs(l1 * np.sin(first))
        )
    rail, mass = np.concatenate(rails), np.concatenate(masses)
    order = np.argsort(rail)
    samples = ExactPosterior(arm, sigma).sample((x, y), n, generator=seeded(3))
    cdf = np.cumsum(mass[order]) / mass.sum()
    assert kolmogorov_smirnov(samples[:, 0].numpy(), rail[order], cdf) < 1.63 / math.sqrt(n)


@pytest.mark.slow
def test_exact_agrees_with_constrained_hmc():
    import mici

    arm, sigma = PlanarArm.paper(4), 0.5
    target, lengths = np.array([1.9, 0.8]), np.asarray(arm.lengths)

    def suffix_sums(links):
        return np.cumsum(links[..., ::-1], axis=-1)[..., ::-1]

    def constraint(q):
        phi = np.cumsum(q)
        return np.array([lengths @ np.cos(phi), lengths @ np.sin(phi)]) - target

    def jacobian(q):
        phi = np.cumsum(q)
        return suffix_sums(lengths * np.stack([-np.sin(phi), np.cos(phi)]))

    def hessian_product(q):
        # d^2 f / d theta_j d theta_k is minus the links from joint max(j, k) on.
        phi = np.cumsum(q)
        bend = -suffix_sums(lengths * np.stack([np.cos(phi), np.sin(phi)]))
        later = np.maximum.outer(np.arange(arm.dof), np.arange(arm.dof))
        return lambda m: np.einsum("cjk,ck->j", bend[:, later], m)

    system = mici.systems.DenseConstrainedEuclideanMetricSystem(
        neg_log_dens=lambda q: 0.5 * float(np.sum((q / sigma) ** 2)),
        grad_neg_log_dens=lambda q: q / sigma**2,
        constr=constraint,
        jacob_constr=jacobian,
        mhp_constr=hessian_product,
        dens_wrt_hausdorff=False,
    )
    sampler = mici.samplers.StaticMetropolisHMC(
        system,
        mici.integrators.ConstrainedLeapfrogIntegrator(system, step_size=0.25),
        rng=np.random.default_rng(1),
        n_step=6,
    )
    exact = ExactPosterior(arm, sigma).sample(target, 4000, generator=seeded(5))
    chains = sampler.sample_chains(
        n_warm_up_iter=0,
        n_main_iter=1000,
        init_states=[mici.states.ChainState(pos=q.numpy(), mom=None, dir=1) for q in exact[:4]],
        display_progress=False,
        trace_funcs=[lambda state: {"q": state.pos}],
    )
    drawn = torch.from_numpy(np.concatenate(chains.traces["q"]))
    assert abs(float(mmd2(drawn[::2], exact[:2000], unbiased=True))) < 3e-3
    assert (drawn.mean(0) - exact.mean(0)).abs().max() < 0.06
    assert (drawn.std(0) - exact.std(0)).abs().max() < 0.06


def test_exact_gives_up_naming_the_effective_sample_size(arm):
    with pytest.raises(RuntimeError, match=r"effective sample size .* expected 10000 for n=1000"):
        ExactPosterior(arm, max_proposals=2000).sample([1.0, 1.0], 1000)


@pytest.mark.parametrize("lengths", [[1.0], [1.0, 1.0]])
def test_exact_needs_three_joints(lengths):
    with pytest.raises(ValueError, match=f"at least 3 joints, got {len(lengths)}"):
        ExactPosterior(PlanarArm(lengths))


@pytest.mark.parametrize(
    ("arm", "tcp"),
    [
        (PlanarArm.paper(4), [2.5, 0.0]),
        (PlanarArm.paper(4), torch.tensor([1.5, 2.0])),
        # Their types have rounded these to just outside of the reach.
        (PlanarArm.paper(4), torch.tensor([1.2, 2.1932]).half()),
        (PlanarArm([0.3, 0.3, 0.3]), torch.tensor([0.54, 0.72])),
        (PlanarArm([3.0, 0.5, 0.5]), [0.0, -2.0]),
        (PlanarArm([0.5, 1.0, 0.5]), [0.0, 0.0]),
        (RailArm.benchmark(), [2.0, 0.7]),
        (RailArm.benchmark(), [-2.0, 50.0]),
    ],
)
def test_exact_refuses_a_target_that_one_configuration_reaches(arm, tcp, generator):
    state = generator.get_state()
    for ask in (
        lambda: ExactPosterior(arm).sample(tcp, 10, generator=generator),
        lambda: ExactPosterior(arm).closed_pair(tcp, 1),
    ):
        with pytest.raises(
            ValueError, match=r"at the boundary of the workspace.* a single configuration"
        ):
            ask()
    # It did not even try.
    assert torch.equal(generator.get_state(), state)


@pytest.mark.parametrize(
    ("arm", "tcp"),
    [
        (PlanarArm.paper(4), (2.5 - 1e-9, 0.0)),
        (PlanarArm.paper(10), (0.0, 5.5 - 1e-7)),
        (PlanarArm([4.0, 0.5, 0.5, 0.5, 0.5]), (2.0 + 1e-9, 0.0)),
        (RailArm.benchmark(), (2.0 - 1e-10, 0.2)),
    ],
)
def test_exact_copes_with_what_is_next_to_the_boundary(arm, tcp, generator):
    theta = ExactPosterior(arm).sample(tcp, 200, generator=generator)
    residual = arm.forward(theta) - torch.tensor(tcp, dtype=torch.float64)
    assert residual.norm(dim=1).max() < 1e-13
    assert distinct_solutions(theta, 1e-9) == 200
    # Along a straight arm's manifold the prior is flat: mirrored, it is the same set.
    mirrored = torch.atan2(torch.tensor(tcp[1]), torch.tensor(tcp[0])) if not arm.rails else 0.0
    centred = torch.cat([theta[:, :1] - (tcp[1] if arm.rails else mirrored), theta[:, 1:]], dim=1)
    straight = torch.remainder(centred + math.pi / 2, math.pi) - math.pi / 2
    assert (straight.mean(0).abs() < 5 * straight.std(0) / math.sqrt(200)).all()


def test_modes_are_searched_once(arm, monkeypatch):
    searched = []
    search = exact.minimize
    monkeypatch.setattr(exact, "minimize", lambda *a, **k: searched.append(0) or search(*a, **k))
    sampler = ExactPosterior(
        PlanarArm.paper(4),
        [1e-6, 0.2, 0.2, 0.2],
        stages=("prior", "modes"),
        max_proposals=300_000,
    )
    with pytest.raises(RuntimeError, match="effective sample size"):
        sampler.sample([2.4, 0.0], 500, generator=seeded(1))
    assert 1 <= len(searched) <= 20


def test_many_samples_are_drawn_in_blocks():
    arm, tcp, n = PlanarArm.paper(4), (2.4, 0.3), 500_001
    # A limit that all blocks together exceed.
    sampler = ExactPosterior(arm, oversampling=1.5, max_proposals=400_000)
    draw = sampler.draw(tcp, n, generator=seeded(1))
    assert draw.theta.shape == (n, 4)
    assert len(draw.theta.unique(dim=0)) == n
    assert draw.proposals > 400_000
    assert draw.pool > draw.ess >= 1.5 * n
    first, last = sampler.draw(tcp, 20_000, generator=seeded(1)), draw.theta[-20_000:]
    assert torch.equal(draw.theta[:20_000], first.theta)
    assert two_sample_test(first.theta[:2000], last[:2000], generator=seeded(2)).p_value > 0.01


def test_blocks_serve_what_one_pool_cannot():
    sampler = ExactPosterior(PlanarArm.paper(4), oversampling=2, max_proposals=700_000)
    draw = sampler.draw((2.25, 0.5), 60_000, generator=seeded(1))
    assert len(draw.theta.unique(dim=0)) == 60_000
    assert draw.proposals > 700_000


@pytest.mark.parametrize("tcp", ["far", [1.0], [[2.0, 0.5]], [[2.0, 0.5], [2.1, 0.4]], None, 3])
def test_what_is_not_one_target_is_refused_by_name(tcp):
    sampler = ExactPosterior(PlanarArm.paper(4))
    for ask in (lambda: sampler.draw(tcp, 10), lambda: sampler.closed_pair(tcp, 1)):
        with pytest.raises(ValueError, match="tcp: expected"):
            ask()


def test_settings_are_checked_by_name():
    arm = PlanarArm.paper(4)
    sampler = ExactPosterior(arm)
    for name, value in [
        ("oversampling", 0),
        ("max_proposals", 1.5),
        ("stages", ()),
        ("stages", ("modes", "prior")),
        ("stages", ("all",)),
        ("stages", "prior"),
    ]:
        with pytest.raises(ValueError, match=f"{name}: expected"):
            ExactPosterior(arm, **{name: value})
    for n in (0, 2.5, "ten", None):
        with pytest.raises(ValueError, match="n: expected"):
            sampler.draw([2.0, 0.5], n)
    with pytest.raises(ValueError, match="generator: expected"):
        sampler.draw([2.0, 0.5], 10, generator=0)
    for k in (0, 4, 1.5, "two"):
        with pytest.raises(ValueError, match="k: expected"):
            sampler.closed_pair([2.0, 0.5], k)
    with pytest.raises(ValueError, match="seed: expected"):
        sampler.closed_pair([2.0, 0.5], 1, seed=-1)


def test_numbers_of_numpy_are_numbers():
    sampler = ExactPosterior(PlanarArm.paper(4))
    pair = sampler.closed_pair(np.array([2.0, 0.5], ">f8"), np.int64(2), seed=np.int32(3))
    assert torch.equal(pair, sampler.closed_pair([2.0, 0.5], 2, seed=3))
    draws = [sampler.draw([2.0, 0.5], n, generator=seeded(1)) for n in (10, np.int16(10), 1e1)]
    assert torch.equal(draws[0].theta, draws[1].theta)
    assert torch.equal(draws[0].theta, draws[2].theta)


def test_samples_have_no_graph():
    lengths = torch.tensor([0.5, 0.5, 0.5, 1.0], requires_grad=True)
    sigma = torch.full((4,), 0.2, requires_grad=True)
    sampler = ExactPosterior(PlanarArm(lengths), sigma)
    tcp = torch.tensor([2.2, 0.4], requires_grad=True)
    assert not sampler.draw(tcp, 10, generator=seeded(1)).theta.requires_grad
    assert not sampler.closed_pair(tcp, 1).requires_grad


def test_a_closed_pair_is_two_ways_to_the_same_target(arm):
    pair = ExactPosterior(arm, 0.4).closed_pair((2.6, 0.9), k=3)
    reached = arm.forward(pair)
    np.testing.assert_allclose(reached, np.tile((2.6, 0.9), (2, 1)), atol=1e-12)
    closed = (pair[0] - pair[1]).abs() > 1e-9
    assert closed.nonzero().flatten().tolist() == [0, 3]


@pytest.mark.parametrize(
    ("dof", "count"),
    [
        *((dof, 4000) for dof in PAPER_TARGETS),
        *(pytest.param(dof, 100_000, marks=pytest.mark.slow) for dof in (4, 10)),
    ],
)
def test_single_samples_at_many_targets_are_distributed_as_the_prior(dof, count):
    # Of a target drawn with the prior's own samples, one exact sample is a sample of the prior.
    arm = PlanarArm.paper(dof)
    tcp = random_targets(arm, count, 0.2, 5)
    theta = ExactPosterior(arm, 0.2, together=True).sample(tcp, 1, generator=seeded(1))[:, 0]
    residual = arm.forward(theta) - tcp
    assert residual.norm(dim=1).max() < 1e-9
    for joint in theta.T:
        assert kstest(joint.numpy() / 0.2, "norm").pvalue > 0.01 / dof
    # Not only one by one: along a direction in which the posterior is narrow, too.
    total = theta.sum(dim=1).numpy() / (0.2 * math.sqrt(dof))
    assert kstest(total, "norm").pvalue > 0.01


def test_a_few_samples_of_each_target_are_those_of_a_large_draw():
    arm, tcp, n = PlanarArm.paper(6), (3.42, 0.68), 3
    exact = ExactPosterior(arm, together=True)
    batch = torch.tensor([tcp] * 400, dtype=torch.float64)
    few = exact.sample(batch, n, generator=seeded(1))
    assert distinct_solutions(few.flatten(0, 1), 1e-9) == 400 * n
    large = ExactPosterior(arm).sample(tcp, 1200, generator=seeded(2))
    for a in (few.flatten(0, 1), few[:, 0]):
        assert two_sample_test(a, large, generator=seeded(3)).p_value > 0.01


@pytest.mark.parametrize(("sigma", "tcp"), [(0.07, (-2.0, 0.5)), (0.04, (2.0, 2.0))])
def test_far_in_the_tail_many_targets_get_samples_of_their_posterior(sigma, tcp):
    arm = PlanarArm.paper(6)
    many = ExactPosterior(arm, sigma, together=True).sample([tcp] * 200, 1, generator=seeded(1))
    alone = ExactPosterior(arm, sigma).sample(tcp, 200, generator=seeded(2))
    test = two_sample_test(many[:, 0] / sigma, alone / sigma, generator=seeded(3))
    assert test.p_value > 0.01
    energies = [0.5 * (theta / sigma).square().sum(-1).mean() for theta in (many, alone)]
    assert float(energies[0]) == pytest.approx(float(energies[1]), rel=0.01)


def test_an_arm_in_millimetres_has_the_samples_of_one_in_metres():
    metres, millimetres = RailArm([0.5, 0.5, 1.0]), RailArm([500.0, 500.0, 1000.0])
    theta = ExactPosterior(metres).sample([1.8, 0.2], 200, generator=seeded(1))
    scaled = ExactPosterior(millimetres).sample([1800.0, 200.0], 200, generator=seeded(1))
    scaled[:, 0] /= 1000.0
    torch.testing.assert_close(scaled, theta, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("stages", [["modes"], ["pairs"]])
def test_many_targets_are_served_alone_without_the_stage_prior(stages):
    arm, tcp = PlanarArm.paper(4), [(2.25, 0.5), (2.0, 1.0)]
    together, alone = (ExactPosterior(arm, stages=stages, together=how) for how in (True, False))
    samples = together.sample(tcp, 20, generator=seeded(1))
    assert torch.equal(samples, alone.sample(tcp, 20, generator=seeded(1)))


def test_what_a_target_gets_does_not_depend_on_those_after_it():
    arm = PlanarArm.paper(6)
    exact, easy = ExactPosterior(arm, together=True), (3.42, 0.68)
    # At the base, in the tail and next to full reach, targets are served one by one.
    hard = [(0.0, 0.0), (-2.0, 0.5), (3.4999, 0.0)]
    batch = exact.sample([easy, *hard, easy], 2, generator=seeded(4))
    assert torch.equal(batch[0], exact.sample(easy, 2, generator=seeded(4)))
    tcp = torch.tensor([easy, *hard, easy], dtype=torch.float64)
    assert (arm.forward(batch) - tcp[:, None]).norm(dim=-1).max() < 1e-9
    assert not torch.equal(batch[0], batch[-1])


@pytest.mark.parametrize(("n", "count", "few"), [(1, 300, 40), (1000, 6, 2)])
def test_how_many_proposals_a_target_needs_does_not_change_what_others_get(n, count, few):
    arm = PlanarArm.paper(10)
    exact, tcp = ExactPosterior(arm, 0.2, together=True), random_targets(arm, count, 0.2, 7)
    batch = exact.sample(tcp, n, generator=seeded(4))
    # Functions of whole vectors may round otherwise at their ends.
    torch.testing.assert_close(batch[:few], exact.sample(tcp[:few], n, generator=seeded(4)))


def test_samples_of_one_target_among_many_vary_as_independent_ones():
    arm, n = PlanarArm.paper(4), 500
    batch = torch.tensor([PAPER_TARGETS[4]] * 100, dtype=torch.float64)
    theta = ExactPosterior(arm, 0.2, together=True).sample(batch, n, generator=seeded(1))
    # Spread evenly over the pairs that close them, their means would vary half as much.
    ratio = n * theta.mean(dim=1).var(dim=0) / theta.flatten(0, 1).var(dim=0)
    assert ratio.min() > 0.7
    assert ratio.max() < 1.4


def test_a_thousand_samples_among_many_are_those_of_their_posterior():
    arm, tcp = PlanarArm.paper(10), random_targets(PlanarArm.paper(10), 3, 0.2, 8)
    many = ExactPosterior(arm, 0.2, together=True).sample(tcp, 1000, generator=seeded(1))
    for samples, target in zip(many, tcp, strict=True):
        alone = ExactPosterior(arm, 0.2).sample(target, 1000, generator=seeded(2))
        assert two_sample_test(samples, alone, generator=seeded(3)).p_value > 0.01


def test_samples_of_many_targets_are_distinct_although_weights_are_uneven():
    arm = PlanarArm.paper(10)
    tcp = random_targets(arm, 200, 0.2, 6)
    theta = ExactPosterior(arm, 0.2, oversampling=1.0, together=True).sample(
        tcp, 150, generator=seeded(1)
    )
    assert all(distinct_solutions(samples, 1e-12) == 150 for samples in theta)


@pytest.mark.parametrize("tcp", [(0.0, 0.0), (1e-7, 0.0), (3.4999, 0.0), (-2.0, 0.5)])
def test_hard_targets_among_many_get_samples_of_their_posterior(tcp):
    arm = PlanarArm.paper(6)
    batch = torch.tensor([tcp] * 12, dtype=torch.float64)
    many = ExactPosterior(arm, together=True).sample(batch, 50, generator=seeded(1)).flatten(0, 1)
    alone = ExactPosterior(arm).sample(tcp, 600, generator=seeded(2))
    assert two_sample_test(many, alone, generator=seeded(3)).p_value > 0.01


def test_a_target_among_many_that_cannot_be_served_is_named():
    exact = ExactPosterior(PlanarArm.paper(4), max_proposals=2000, together=True)
    with pytest.raises(RuntimeError, match=r"tcp \[-1\.9, 0\.0\]"):
        exact.sample([(2.25, 0.5), (-1.9, 0.0)], 1, generator=seeded(1))
    with pytest.raises(ValueError, match="boundary"):
        exact.sample([(2.25, 0.5), (2.5, 0.0)], 1, generator=seeded(1))
