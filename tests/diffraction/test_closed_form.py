"""The closed form of the acceptance against its defining integral and against traced rays.

docs/explanation/physics.md, C1 to C4.
"""

import math
from itertools import pairwise

import numpy as np
import pytest
from instruments import changed, symmetric_acceptance
from scipy import stats
from scipy.integrate import quad

FWHM = 2.354820045
DEFAULT = symmetric_acceptance(
    theta=math.radians(8.97317),
    bandwidth=6e-5,
    divergence_vertical=0.53e-3 / FWHM,
    clip=0.14e-3,
    divergence_horizontal=0.0,
    lens=0.731e-3 / FWHM,
    aperture=1.0323e-3,
)
CASES = {
    "default": DEFAULT,
    "no cuts": changed(DEFAULT, clip=math.inf, aperture=math.inf),
    "tiny aperture": changed(DEFAULT, aperture=0.01e-3),
    "small stop": changed(DEFAULT, aperture=93.9e-6),
    "horizontal divergence": changed(DEFAULT, divergence_horizontal=0.2e-3, aperture=0.3e-3),
    "steep and pink": changed(DEFAULT, theta=0.6, bandwidth=4e-3),
    "fine beam": changed(DEFAULT, divergence_vertical=1.15e-5, clip=math.inf, lens=2.36e-4),
}
ACCEPTANCES = pytest.mark.parametrize("acceptance", CASES.values(), ids=CASES.keys())


def normal(x, sigma):
    return math.exp(-0.5 * (x / sigma) ** 2) / (math.sqrt(2 * math.pi) * sigma)


def rays(acceptance, count, seed=0):
    """q of traced rays, (count, 3), by the ray formulas C1."""
    random = np.random.default_rng(seed)

    def truncated(sigma, limit):
        if math.isinf(limit):
            return random.normal(0.0, sigma, count)
        edge = stats.norm.cdf(-limit / sigma)
        return sigma * stats.norm.ppf(random.uniform(edge, 1 - edge, count))

    s, c = math.sin(acceptance.theta), math.cos(acceptance.theta)
    energy = random.normal(0.0, acceptance.optics.bandwidth, count)
    vertical = truncated(acceptance.optics.divergence_vertical, acceptance.optics.clip)
    horizontal = random.normal(0.0, acceptance.optics.divergence_horizontal, count)
    delta = truncated(acceptance.optics.lens, acceptance.optics.aperture)
    xi = truncated(acceptance.optics.lens, acceptance.optics.aperture)
    return np.stack(
        [
            s * energy - c * vertical,
            (xi - horizontal) / (2 * s),
            c * energy + delta / (2 * s) - vertical * math.cos(2 * acceptance.theta) / (2 * s),
        ],
        axis=-1,
    )


def defining_integral(acceptance, q1, q3):
    """p_13 = 2 ∫ dζ N_v(ζ) N_ε((q1 + cζ)/s) N_a(w - ζ), both aperture cuts as limits."""
    s, c = math.sin(acceptance.theta), math.cos(acceptance.theta)
    w = 2 * s * q3 - 2 * c * q1
    low = max(-acceptance.optics.clip, w - acceptance.optics.aperture)
    high = min(acceptance.optics.clip, w + acceptance.optics.aperture)
    if low >= high:
        return 0.0

    def integrand(zeta):
        return (
            normal(zeta, acceptance.optics.divergence_vertical)
            * normal((q1 + c * zeta) / s, acceptance.optics.bandwidth)
            * normal(w - zeta, acceptance.optics.lens)
        )

    centre, width = -q1 / c, s / c * acceptance.optics.bandwidth
    weights = np.array(
        [acceptance.optics.divergence_vertical**-2, width**-2, acceptance.optics.lens**-2]
    )
    middle = weights @ [0.0, centre, w] / weights.sum()
    reach = weights.sum() ** -0.5
    # All that matters lies around the maximum of the integrand between the limits.
    top = min(max(middle, low), high)
    low, high = max(low, top - 12 * reach), min(high, top + 12 * reach)
    knots = [low, *(top + reach * k for k in range(-11, 12) if low < top + reach * k < high), high]
    total = sum(quad(integrand, a, b, epsabs=0, epsrel=1e-13)[0] for a, b in pairwise(knots))
    passed = math.erf(acceptance.optics.clip / acceptance.optics.divergence_vertical / math.sqrt(2))
    passed *= math.erf(acceptance.optics.aperture / acceptance.optics.lens / math.sqrt(2))
    return 2 * total / passed


@ACCEPTANCES
def test_rock_density_equals_the_defining_integral_from_the_centre_to_the_tails(acceptance):
    width = np.sqrt(np.diag(acceptance.covariance()))
    for a in (-4.0, -1.9, -1.0, -0.2, 0.0, 1.0, 1.7, 3.0):
        for b in (-3.5, -1.0, 0.0, 0.3, 2.0, 4.0):
            q1, q3 = a * width[0], b * width[2]
            expected = defining_integral(acceptance, q1, q3)
            found = float(acceptance.density_rock_two_theta(q1, q3))
            assert found == pytest.approx(expected, rel=1e-10, abs=1e-250)


@pytest.mark.parametrize("q1", [1.6e-4, 2.0e-4, 2.5e-4, 3.5e-4])
def test_rock_density_keeps_its_digits_far_outside_the_condenser(q1):
    expected = defining_integral(DEFAULT, q1, 1e-4)
    found = float(DEFAULT.density_rock_two_theta(q1, 1e-4))
    assert 0.0 < expected < 1e-2 * DEFAULT.density_rock_two_theta(0.0, 0.0)
    assert found == pytest.approx(expected, rel=1e-10)


@ACCEPTANCES
def test_roll_density_equals_the_defining_integral(acceptance):
    s, spread = acceptance.factors.sin, acceptance.optics.divergence_horizontal
    passed = math.erf(acceptance.optics.aperture / acceptance.optics.lens / math.sqrt(2))
    for x in np.array([-4.1, -0.99, 0.0, 0.7, 2.0, 6.0]) * min(
        acceptance.optics.lens, acceptance.optics.aperture
    ):
        if spread == 0.0:
            expected = normal(x, acceptance.optics.lens) * (abs(x) < acceptance.optics.aperture)
        else:
            limit = acceptance.optics.aperture
            expected = quad(
                lambda xi, x=x: normal(xi, acceptance.optics.lens) * normal(xi - x, spread),
                -limit, limit, epsabs=0, epsrel=1e-13,
            )[0]  # fmt: skip
        found = float(acceptance.density_roll(x / (2 * s)))
        assert found == pytest.approx(2 * s * expected / passed, rel=1e-10)


@ACCEPTANCES
def test_density_integrates_to_one(acceptance):
    width = np.sqrt(np.diag(acceptance.covariance()))
    q2 = np.linspace(-8, 8, 20001) * width[1]
    q1 = np.linspace(-10, 10, 1501)[:, None] * width[0]
    # Along the ridge of the density, so that a grid resolves it.
    slope = acceptance.covariance()[0, 2] / acceptance.covariance()[0, 0]
    q3 = slope * q1 + np.linspace(-8, 8, 1501) * width[2]
    step = (q1[1, 0] - q1[0, 0]) * (q3[0, 1] - q3[0, 0])
    assert acceptance.density_roll(q2).sum() * (q2[1] - q2[0]) == pytest.approx(1.0, abs=2e-4)
    total = acceptance.density_rock_two_theta(q1, q3).sum() * step
    assert total == pytest.approx(1.0, abs=2e-3 if acceptance.optics.aperture < 5e-5 else 1e-5)


@ACCEPTANCES
def test_density_is_even_and_a_product_of_two_factors(acceptance):
    width = np.sqrt(np.diag(acceptance.covariance()))
    q = np.random.default_rng(4).normal(size=(1000, 3)) * width
    density = acceptance.density(q)
    np.testing.assert_allclose(acceptance.density(-q), density, rtol=1e-12)
    product = acceptance.density_rock_two_theta(q[:, 0], q[:, 2]) * acceptance.density_roll(q[:, 1])
    np.testing.assert_allclose(density, product, rtol=2e-15)
    assert acceptance.peak == acceptance.density([0.0, 0.0, 0.0])
    assert density.max() <= acceptance.peak


@ACCEPTANCES
def test_marginals_equal_integrals_of_the_joint_density(acceptance):
    width = np.sqrt(np.diag(acceptance.covariance()))
    slope = acceptance.covariance()[0, 2] / acceptance.covariance()[2, 2]
    for a in (-1.3, 0.0, 0.6, 1.8):
        along = np.linspace(-9, 9, 40001) * width[2]
        found = acceptance.density_rock_two_theta(a * width[0], along).sum() * (along[1] - along[0])
        expected = float(acceptance.density_rock(a * width[0]))
        assert found == pytest.approx(
            expected, rel=1e-3 if acceptance.optics.aperture < 5e-5 else 1e-6
        )
        across = slope * a * width[2] + np.linspace(-9, 9, 40001) * width[0]
        found = acceptance.density_rock_two_theta(across, a * width[2]).sum()
        found *= across[1] - across[0]
        expected = float(acceptance.density_two_theta(a * width[2]))
        assert found == pytest.approx(expected, rel=1e-6, abs=1e-30)


@ACCEPTANCES
def test_marginals_and_covariance_match_traced_rays(acceptance):
    q = rays(acceptance, 400_000)
    for k, marginal in enumerate(
        (acceptance.density_rock, acceptance.density_roll, acceptance.density_two_theta)
    ):
        edges = np.quantile(q[:, k], np.linspace(0, 1, 51))
        counts = np.histogram(q[:, k], edges)[0]
        fine = np.linspace(edges[:-1], edges[1:], 201)
        share = np.trapezoid(marginal(fine), fine, axis=0)
        expected = share / share.sum() * counts.sum()
        chi2 = np.sum((counts[1:-1] - expected[1:-1]) ** 2 / expected[1:-1])
        assert chi2 < 48 + 5 * math.sqrt(2 * 48)
        assert share[1:-1].sum() == pytest.approx(0.96, abs=2e-3)
    found, exact = np.cov(q.T), acceptance.covariance()
    scale = np.sqrt(np.outer(np.diag(exact), np.diag(exact)))
    np.testing.assert_allclose(found / scale, exact / scale, rtol=0, atol=8e-3)


def test_joint_density_matches_traced_rays():
    q = rays(DEFAULT, 1_000_000, seed=1)
    width = np.sqrt(np.diag(DEFAULT.covariance()))
    edges = np.linspace(-2, 2, 17)
    counts = np.histogram2d(q[:, 0], q[:, 2], [edges * width[0], edges * width[2]])[0]
    middle = (np.arange(16 * 32) + 0.5) / 32 * 0.25 - 2
    density = DEFAULT.density_rock_two_theta(middle[:, None] * width[0], middle * width[2])
    cell = width[0] * width[2] * (0.25 / 32) ** 2
    expected = 1e6 * cell * density.reshape(16, 32, 16, 32).sum((1, 3))
    chi2 = np.sum((counts - expected) ** 2 / expected)
    assert chi2 == pytest.approx(256, abs=5 * math.sqrt(2 * 256))


def test_the_roll_direction_is_independent_of_the_other_two():
    q = rays(DEFAULT, 400_000, seed=2) / np.sqrt(np.diag(DEFAULT.covariance()))
    for function in (np.square, np.cos, np.abs):
        correlation = np.corrcoef(function(q).T)
        assert np.abs(correlation[1, [0, 2]]).max() < 8e-3


def test_covariance_of_the_default_as_printed():
    # The printed numbers come from widths with 2.35 and 2.355 for the ratio of FWHM and σ.
    printed = changed(DEFAULT, divergence_vertical=0.53e-3 / 2.355, lens=0.731e-3 / 2.35)
    covariance = printed.covariance()
    rms = np.sqrt(np.diag(covariance))
    np.testing.assert_allclose(rms, [7.835e-5, 9.918e-4, 1.0222e-3], rtol=5e-4)
    assert covariance[0, 2] / (rms[0] * rms[2]) == pytest.approx(0.240, abs=1e-3)
    turn = np.array(
        [
            [DEFAULT.factors.cos, 0, DEFAULT.factors.sin],
            [0, 1, 0],
            [-DEFAULT.factors.sin, 0, DEFAULT.factors.cos],
        ]
    )
    crystal = turn.T @ covariance @ turn
    rms = np.sqrt(np.diag(crystal))
    np.testing.assert_allclose(rms, [1.596e-4, 9.92e-4, 1.0127e-3], rtol=5e-4)
    assert crystal[0, 2] / (rms[0] * rms[2]) == pytest.approx(-0.877, abs=1e-3)
    stopped = np.sqrt(np.diag(changed(printed, aperture=93.9e-6).covariance()))
    np.testing.assert_allclose(stopped, [7.835e-5, 1.727e-4, 3.017e-4], rtol=5e-4)


def test_a_stop_acts_on_the_whole_angle_of_the_ray():
    """|δ| and |ξ| are cut at the aperture, not at twice it: nothing passes beyond."""
    stop = CASES["small stop"]
    edge = stop.optics.aperture / (2 * stop.factors.sin)
    assert stop.density_roll(0.999 * edge) > 0.9 * stop.density_roll(0.0)
    assert stop.density_roll(1.001 * edge) == 0.0
    beyond = (stop.optics.clip + 1.001 * stop.optics.aperture) / (2 * stop.factors.sin)
    assert stop.density_rock_two_theta(0.0, beyond) == 0.0


def test_share_of_the_beam_that_passes():
    assert DEFAULT.optics.passed_by_condenser == pytest.approx(
        stats.norm.cdf(0.14 / 0.53 * FWHM) * 2 - 1, rel=1e-12
    )
    assert CASES["no cuts"].optics.passed_by_aperture == 1.0


@pytest.mark.filterwarnings("error")
@ACCEPTANCES
def test_no_cut_gives_no_warning(acceptance):
    q = np.array([[0.0, 0.0, 0.0], [1e-4, -1e-4, 1e-3], [0.1, 0.1, 0.1]])
    assert np.isfinite(acceptance.density(q)).all()
    for marginal in (acceptance.density_rock, acceptance.density_two_theta):
        assert np.isfinite(marginal(q[:, 0])).all()


def test_a_wide_cut_is_no_cut():
    wide = changed(DEFAULT, clip=0.1, aperture=0.1)
    q = np.random.default_rng(5).normal(size=(100, 3)) * 1e-3
    np.testing.assert_allclose(wide.density(q), CASES["no cuts"].density(q), rtol=1e-12)


def test_without_cuts_the_density_is_the_gaussian_of_its_covariance():
    open_case = changed(CASES["no cuts"], divergence_horizontal=1e-4)
    covariance = open_case.covariance()
    q = np.random.default_rng(6).multivariate_normal(np.zeros(3), covariance, 100)
    expected = stats.multivariate_normal(np.zeros(3), covariance).pdf(q)
    np.testing.assert_allclose(open_case.density(q), expected, rtol=1e-9)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"theta": 0.0}, "theta"),
        ({"theta": 1.6}, "theta"),
        ({"bandwidth": 0.0}, "bandwidth"),
        ({"divergence_vertical": -1.0}, "divergence_vertical"),
        ({"lens": math.inf}, "lens"),
        ({"clip": 0.0}, "clip"),
        ({"aperture": math.nan}, "aperture"),
        ({"divergence_horizontal": -1e-9}, "divergence_horizontal"),
    ],
)
def test_impossible_widths_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        changed(DEFAULT, **changes)
