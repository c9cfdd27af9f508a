"""The acceptance at any azimuth: against the symmetric one, quadrature and ray tracing."""

import math
from dataclasses import replace

import numpy as np
import pytest
from id06_optics import id06, oblique

from weakbeam.diffraction.oblique_acceptance import oblique_acceptance
from weakbeam.diffraction.raytrace import RayOptics, sample_rays, trace
from weakbeam.instrument.stops import (
    AbsorbingWire,
    CentralBlock,
    KnifeBlade,
    RoundOpening,
    SquareOpening,
)

FREE = {"clip": math.inf, "aperture": math.inf}
OPTICS = {
    "id06": {},
    "no clip": {"clip": math.inf},
    "no cuts": FREE,
    "uniform divergence": {"divergence_vertical": math.inf},
    "square stop": {"stops": (SquareOpening(9.4e-5),)},
    "central stop and knife": {"stops": (CentralBlock(1e-4), KnifeBlade(-2e-4, "roll", "above"))},
    "two lines": {"spectrum": ((1.0, -4e-5, 5e-5), (0.4, 9e-5, 3e-5))},
}
AZIMUTHS = (0.353, -2.0, math.pi / 2, 3.1)


def build(eta, **changes):
    symmetric = id06(**changes)
    geometry = oblique(symmetric.theta, eta)
    return oblique_acceptance(symmetric.optics, geometry, symmetric.motion)


def some_q(acceptance, count=3000):
    turn = np.linalg.cholesky(2.0 * acceptance.covariance())
    return np.random.default_rng(5).normal(size=(count, 3)) @ turn.T


@pytest.mark.parametrize("optics", OPTICS.values(), ids=OPTICS.keys())
def test_azimuth_zero_is_the_symmetric_geometry(optics):
    ours, symmetric = build(0.0, **optics), id06(**optics)
    q = some_q(ours)
    np.testing.assert_allclose(
        ours.density(q), symmetric.density(q), rtol=0, atol=1e-11 * symmetric.open.peak
    )
    np.testing.assert_array_equal(sum(term(q) for term in symmetric.terms), ours.density(q))
    np.testing.assert_allclose(ours.covariance(), symmetric.covariance(), rtol=1e-12, atol=1e-24)
    np.testing.assert_allclose(ours.mean(), symmetric.mean(), rtol=1e-12, atol=1e-20)
    np.testing.assert_allclose(
        ours.relative(q), symmetric.relative(q), rtol=0, atol=1e-11 * symmetric.open.peak
    )


@pytest.mark.parametrize("eta", AZIMUTHS)
def test_closed_form_equals_quadrature_over_the_divergence(eta):
    """The plain sum over ζ_v of what energy and lens make of q."""
    optics, theta = id06().optics, id06().theta
    s, c = math.sin(theta), math.cos(theta)
    zeta = optics.clip * ((np.arange(20_000) + 0.5) / 10_000 - 1.0)
    share = np.exp(-0.5 * (zeta / optics.divergence_vertical) ** 2)
    share /= share.sum()
    ours = build(eta)
    q = some_q(ours, 100)[:, :, None]
    epsilon = (q[:, 0] + c * math.cos(eta) * zeta) / s
    delta = 2 * s * q[:, 2] - 2 * c * q[:, 0] - math.cos(eta) * zeta
    xi = 2 * s * q[:, 1] + math.sin(eta) * zeta

    def gauss(x, sigma):
        return np.exp(-0.5 * (x / sigma) ** 2) / (math.sqrt(2 * math.pi) * sigma)

    inside = (abs(delta) < optics.aperture) & (abs(xi) < optics.aperture)
    value = gauss(epsilon, optics.bandwidth) * gauss(delta, optics.lens) * gauss(xi, optics.lens)
    expected = 4 * s * (value * inside) @ share / optics.passed_by_aperture**2
    # A jump of the aperture between two nodes is worth 1e-6 of the peak.
    np.testing.assert_allclose(ours.density(q[:, :, 0]), expected, rtol=0, atol=3e-6 * ours.peak)


@pytest.mark.parametrize("eta", AZIMUTHS)
@pytest.mark.parametrize("horizontal", [0.0, 5e-5])
def test_covariance_and_integral_of_the_density(eta, horizontal):
    ours = build(eta, divergence_horizontal=horizontal)
    rays = sample_rays(RayOptics(ours, oblique(ours.theta, eta)), 200_000, seed=3)
    rms = np.sqrt(np.diag(ours.covariance()))
    difference = (np.cov(rays.T) - ours.covariance()) / np.outer(rms, rms)
    assert np.abs(difference).max() < 0.015
    wide = 1.5 * ours.covariance()
    z = np.random.default_rng(1).normal(size=(40_000, 3))
    drawn = np.exp(-0.5 * (z**2).sum(1)) / math.sqrt((2 * math.pi) ** 3 * np.linalg.det(wide))
    ratio = ours.density(z @ np.linalg.cholesky(wide).T) / drawn
    assert abs(ratio.mean() - 1) < 5 * ratio.std() / math.sqrt(len(z))


def test_without_cuts_it_is_the_gaussian_of_its_covariance():
    ours = build(0.6, **FREE)
    assert ours.optics.uncut
    assert len(ours.terms) == 1
    q, covariance = some_q(ours), ours.covariance()
    gauss = np.exp(-0.5 * np.einsum("ni,ij,nj->n", q, np.linalg.inv(covariance), q))
    gauss /= math.sqrt((2 * math.pi) ** 3 * np.linalg.det(covariance))
    np.testing.assert_allclose(ours.density(q), gauss, rtol=1e-9)
    spread = build(0.6, **FREE, divergence_horizontal=8e-5)
    covariance = spread.covariance()
    gauss = np.exp(-0.5 * np.einsum("ni,ij,nj->n", q, np.linalg.inv(covariance), q))
    gauss /= math.sqrt((2 * math.pi) ** 3 * np.linalg.det(covariance))
    np.testing.assert_allclose(spread.density(q), gauss, rtol=0, atol=1e-6 * spread.peak)


def test_even_without_one_sided_stops():
    ours = build(-1.1)
    q = some_q(ours)
    np.testing.assert_allclose(ours.density(-q), ours.density(q), rtol=0, atol=1e-11 * ours.peak)


def test_turning_the_symmetric_acceptance_is_no_substitute():
    """The divergences stay in the laboratory's axes (docs/explanation/physics.md, H 5)."""
    eta = math.radians(20.0)
    ours, symmetric = build(eta), id06()
    difference = np.abs(ours.relative(some_q(ours)) - symmetric.relative(some_q(ours)))
    assert difference.max() > 0.02


def test_a_motion_is_an_average_over_its_path():
    vector = (0.9, 0.2, -0.1)
    still = build(0.4)
    motion = tuple(2e-4 * part for part in vector)
    moved = replace(still, motion=motion)
    q = some_q(still, 50)
    path = np.linspace(-1e-4, 1e-4, 4001)
    average = np.mean([still.density(q + x * np.array(vector)) for x in path], axis=0)
    np.testing.assert_allclose(moved.density(q), average, rtol=0, atol=1e-3 * still.peak)
    assert moved.covariance()[0, 0] > still.covariance()[0, 0]


@pytest.mark.parametrize("horizontal", [0.0, 5e-5])
@pytest.mark.parametrize("eta", [0.353, math.pi / 2])
def test_projections_are_integrals_of_the_density(eta, horizontal):
    ours = build(eta, divergence_horizontal=horizontal)
    axes = [5 * x * np.linspace(-1, 1, 61) for x in np.sqrt(np.diag(ours.covariance()))]
    projections = ours.projections(*axes)
    kept = [(0, 1), (0, 2), (1, 2)]
    for (one, other), projection in zip(kept, projections, strict=True):
        third = 3 - one - other
        fine = np.linspace(1.4 * axes[third][0], 1.4 * axes[third][-1], 2001)
        for i, j in ((30, 30), (36, 27), (25, 40)):
            q = np.empty((fine.size, 3))
            q[:, one], q[:, other], q[:, third] = axes[one][i], axes[other][j], fine
            integral = ours.density(q).sum() * (fine[1] - fine[0])
            assert projection[i, j] == pytest.approx(integral, abs=2e-4 * projection.max())


@pytest.mark.parametrize("optics", [{}, {"divergence_horizontal": 5e-5}, OPTICS["two lines"]])
def test_marginals_are_integrals_of_the_projections(optics):
    ours = build(-0.7, **optics)
    axes = [6 * x * np.linspace(-1, 1, 401) for x in np.sqrt(np.diag(ours.covariance()))]
    steps = [axis[1] - axis[0] for axis in axes]
    rock_roll, rock_two_theta, roll_two_theta = ours.projections(*axes)
    integrals = (
        (0, rock_roll.sum(axis=1) * steps[1]),
        (1, roll_two_theta.sum(axis=1) * steps[2]),
        (2, rock_two_theta.sum(axis=0) * steps[0]),
    )
    for component, expected in integrals:
        marginal = ours.marginal(component, axes[component])
        np.testing.assert_allclose(marginal, expected, rtol=0, atol=2e-3 * expected.max())
        assert marginal.sum() * steps[component] == pytest.approx(1.0, abs=2e-3)


def chi_square_per_bin(kernel, acceptance, nodes):
    """Counts against the density averaged over each voxel by Gauss-Legendre nodes."""
    fine, shares = [], []
    for centers, step, count in zip(kernel.centers, kernel.steps, nodes, strict=True):
        node, weight = np.polynomial.legendre.leggauss(count)
        fine.append(centers[:, None] + step / 2 * node)
        shares.append(weight / 2)
    expected = np.empty(kernel.shape)
    for i, rock in enumerate(fine[0]):
        q = np.stack(np.meshgrid(rock, fine[1].ravel(), fine[2].ravel(), indexing="ij"), axis=-1)
        density = acceptance.density(q).reshape(
            nodes[0], kernel.shape[1], nodes[1], kernel.shape[2], nodes[2]
        )
        expected[i] = np.einsum("ajbkc,a,b,c->jk", density, *shares)
    expected *= kernel.rays * kernel.voxel_volume
    used = expected > 200
    residual = (kernel.counts - expected)[used] / np.sqrt(expected[used])
    return np.mean(residual**2), used.sum()


TRACED = {
    "id06 at 20 degrees": (20.233, {}, (8, 3, 3)),
    "backwards and down": (-126.0, {}, (8, 3, 3)),
    "horizontal diffraction": (90.0, {}, (8, 3, 3)),
    "square stop": (20.233, {"stops": (SquareOpening(9.4e-5),)}, (8, 8, 8)),
    "round stop": (20.233, {"stops": (RoundOpening(5e-4),)}, (8, 8, 8)),
    "wire": (54.3, {"stops": (AbsorbingWire(5e-5, 5e-5, "roll"),)}, (8, 16, 3)),
    "horizontal divergence": (54.3, {"divergence_horizontal": 6e-5}, (8, 3, 3)),
}


@pytest.mark.parametrize("case", TRACED.values(), ids=TRACED.keys())
def test_ray_tracing_agrees(case):
    eta, changes, nodes = math.radians(case[0]), *case[1:]
    ours = build(eta, **changes)
    optics = RayOptics(ours, oblique(ours.theta, eta))
    kernel = trace(optics, 4_000_000, (24, 15, 15), seed=2)
    chi_square, bins = chi_square_per_bin(kernel, ours, nodes)
    assert bins > 700
    assert abs(chi_square - 1.0) < 4.0 * math.sqrt(2.0 / bins)


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [({"theta": 1.6}, r"theta 1\.6 is not between"), ({"motion": (0, math.inf, 0)}, "not finite")],
)
def test_a_setting_that_no_reflection_has_is_refused(changes, complaint):
    with pytest.raises(ValueError, match=complaint):
        replace(build(0.3), **changes)
