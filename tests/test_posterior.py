import math

import numpy as np
import pytest
import torch

from ikpaper import ExactPosterior, PlanarArm, Prior, RailArm, RejectionPosterior
from ikpaper.metrics import distinct_solutions, mmd2, two_sample_test

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
    draw = ExactPosterior(arm, arm.sigma).draw(tcp, 300, generator=generator)
    residual = arm.forward(draw.theta) - torch.tensor(tcp, dtype=torch.float64)
    assert residual.norm(dim=1).max() < 1e-14
    assert distinct_solutions(draw.theta, 1e-9) == 300
    assert draw.theta[:, 1:].abs().max() <= math.pi


def test_a_rail_may_go_farther_than_an_angle_can(generator):
    arm = RailArm.benchmark()
    theta = ExactPosterior(arm, (5.0, 0.5, 0.5, 0.5)).sample([1.8, 8.0], 100, generator=generator)
    assert theta[:, 0].min() > math.pi


def test_rejection_on_a_rail_cannot_be_told_from_exact():
    arm, n = RailArm.benchmark(), 1000
    tcp = torch.tensor([[1.8, 0.2], [1.7, -0.8], [1.9, 0.1]], dtype=torch.float64)
    exact = ExactPosterior(arm, arm.sigma).sample(tcp, n, generator=seeded(1))
    kept = RejectionPosterior(arm, arm.sigma, 0.02).sample(tcp, n, generator=seeded(2))
    for a, b in zip(exact, kept, strict=True):
        assert two_sample_test(a, b, generator=seeded(3)).p_value > 0.05
        assert (a.mean(0) - b.mean(0)).abs().max() < 0.05
        assert (a.std(0) - b.std(0)).abs().max() < 0.05


def test_tail_proposals_do_not_change_what_is_drawn():
    # The same target through the prior's proposals alone and through those around the modes.
    arm, tcp, n = PlanarArm.paper(8), (4.0, 1.0), 2000
    exact, plain = ExactPosterior(arm), ExactPosterior(arm)
    plain._POOR = 0.0
    a = exact.sample(tcp, n, generator=seeded(1))
    b = plain.sample(tcp, n, generator=seeded(2))
    assert abs(float(mmd2(a, b, unbiased=True))) < 5e-4


@pytest.mark.parametrize("sigma", [0.2, (0.1, 0.4, 0.2, 0.3)])
def test_rejection_converges_to_exact(sigma):
    arm, tcp, n = PlanarArm.paper(4), (2.3, 0.6), 1500
    exact = ExactPosterior(arm, sigma).sample(tcp, n, generator=seeded(1))
    gaps = []
    for eps in (0.2, 0.05, 0.01):
        kept = RejectionPosterior(arm, sigma, eps).sample(tcp, n, generator=seeded(2))
        gaps.append(float(mmd2(kept, exact, unbiased=True)))
    assert gaps[0] > 2e-3
    assert gaps[0] > gaps[1] > gaps[2]
    assert abs(gaps[2]) < 6e-4


def three_link_posterior(arm, tcp, sigma, points=200_001):
    """CDF of theta_1 by integration over the one-dimensional solution set."""
    l1, l2, l3 = arm.lengths
    tail = np.linspace(-np.pi, np.pi, points)  # heading of the last link
    wrist = np.asarray(tcp)[:, None] - l3 * np.stack([np.cos(tail), np.sin(tail)])
    r2 = (wrist**2).sum(axis=0)
    cosine = (r2 - l1**2 - l2**2) / (2 * l1 * l2)
    reachable = np.abs(cosine) < 1
    angles, masses = [], []
    for elbow in (1, -1):
        theta2 = elbow * np.arccos(np.where(reachable, cosine, 0))
        theta1 = np.arctan2(wrist[1], wrist[0]) - np.arctan2(
            l2 * np.sin(theta2), l1 + l2 * np.cos(theta2)
        )
        theta = np.stack([theta1, theta2, tail - theta1 - theta2], axis=1)
        theta = np.pi - np.mod(np.pi - theta, 2 * np.pi)
        jacobian = arm.jacobian(torch.from_numpy(theta)).numpy()
        gram = jacobian @ jacobian.transpose(0, 2, 1)
        density = np.exp(-0.5 * (theta / sigma) ** 2).prod(axis=1) / np.sqrt(np.linalg.det(gram))
        # Arc length in joint space per step of the heading; jumps are wraps, not motion.
        step = np.gradient(np.unwrap(theta, axis=0), tail, axis=0)
        mass = np.where(reachable, density * np.linalg.norm(step, axis=1), 0)
        edge = reachable & ~(np.roll(reachable, 1) & np.roll(reachable, -1))
        mass[edge] = 0
        angles.append(theta[:, 0])
        masses.append(mass)
    angle, mass = np.concatenate(angles), np.concatenate(masses)
    order = np.argsort(angle)
    return angle[order], np.cumsum(mass[order]) / mass.sum()


def test_exact_agrees_with_an_integral_over_the_solution_curve():
    arm, tcp, n = PlanarArm([1.0, 0.8, 0.6]), (1.6, 0.7), 20_000
    samples = ExactPosterior(arm, 0.5).sample(tcp, n, generator=seeded(3))
    grid, cdf = three_link_posterior(arm, tcp, 0.5)
    # 1.63 / sqrt(n): rejects at 1 % for independent draws.
    assert kolmogorov_smirnov(samples[:, 0].numpy(), grid, cdf) < 1.63 / math.sqrt(n)


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


def test_exact_refuses_the_base_as_target(arm):
    with pytest.raises(ValueError, match="away from the base"):
        ExactPosterior(arm).sample([0.0, 0.0], 10)


def test_closures_are_two_ways_to_the_same_target(arm):
    pair = ExactPosterior(arm, 0.4).closures((2.6, 0.9), k=3)
    reached = arm.forward(pair)
    np.testing.assert_allclose(reached, np.tile((2.6, 0.9), (2, 1)), atol=1e-12)
    closed = (pair[0] - pair[1]).abs() > 1e-9
    assert closed.nonzero().flatten().tolist() == [0, 3]


def test_rejection_samples_are_within_eps_and_from_the_prior(arm, generator):
    tcp = torch.tensor([[3.3, 0.5], [3.4, -0.3], [3.42, 0.68]], dtype=torch.float64)
    theta = RejectionPosterior(arm, eps=0.1).sample(tcp, 50, generator=generator)
    distance = (arm.forward(theta) - tcp[:, None]).norm(dim=-1)
    assert distance.max() <= 0.1
    # Uniform over the disc, to first order: the mean square is half of eps squared.
    assert float(distance.square().mean()) == pytest.approx(0.005, rel=0.2)


def test_rejection_gives_up_naming_what_it_got(arm):
    with pytest.raises(RuntimeError, match=r"of 1000 samples accepted .* eps=1e-06"):
        RejectionPosterior(arm, eps=1e-6, max_proposals=1000).sample([3.0, 0.5], 1000)


def test_prior_has_its_moments_and_density(arm, generator):
    sigma = torch.tensor([0.1, 0.2, 0.3, 0.4, 0.5, 0.6], dtype=torch.float64)
    prior = Prior(arm, sigma.tolist())
    theta = prior.draw(20_000, generator)
    torch.testing.assert_close(theta.std(0), sigma, rtol=0.03, atol=0)
    expected = torch.distributions.Normal(0.0, sigma).log_prob(theta)
    torch.testing.assert_close(prior.log_density(theta), expected)


@pytest.mark.parametrize("sigma", [0.0, -1.0, math.nan, math.inf, [0.1, 0.2], [0.1] * 5 + [0.0]])
@pytest.mark.parametrize("kind", [Prior, ExactPosterior, RejectionPosterior])
def test_bad_sigma_is_refused(arm, kind, sigma):
    with pytest.raises(ValueError, match="sigma: expected"):
        kind(arm, sigma)


@pytest.mark.parametrize("eps", [0.0, -0.1, math.nan])
def test_bad_eps_is_refused(arm, eps):
    with pytest.raises(ValueError, match="eps: expected"):
        RejectionPosterior(arm, eps=eps)
