"""Factors of every kind of acceptance in the engine, against the plain sum."""

import math

import numpy as np
import pytest
from instruments import BEAM, changed, symmetric_acceptance

from weakbeam.crystal.elasticity import IsotropicMedium
from weakbeam.defects.lines import StraightLine
from weakbeam.defects.straight import StraightDislocations
from weakbeam.diffraction.geometry import symmetric_geometry
from weakbeam.diffraction.kernel import Kernel
from weakbeam.diffraction.raytrace import RayOptics, trace
from weakbeam.imaging.direct import direct_images, q_of_rays
from weakbeam.imaging.engine import Engine
from weakbeam.imaging.factors import Slopes, factor_pairs
from weakbeam.imaging.rays import ray_grid
from weakbeam.instrument.beam import BeamProfile
from weakbeam.instrument.stops import (
    AbsorbingWire,
    CentralBlock,
    KnifeBlade,
    RoundOpening,
    SquareOpening,
)

GEOMETRY = symmetric_geometry(math.radians(8.97317))
OPEN = symmetric_acceptance(
    theta=GEOMETRY.theta,
    **BEAM,
    lens=3.1e-4,
    aperture=1.0323e-3,
)
FIELD = StraightDislocations(
    [StraightLine([2e-4, 0.0, 1.5e-4], [0.1, 1.0, 0.2], [0.1, 0.2, 0.1], 2.5e-4)],
    IsotropicMedium(0.334),
)
RAYS = ray_grid(GEOMETRY, (12, 17), 0.04, *BeamProfile(0.15).samples(9))
PHI, CHI = np.linspace(-2.4e-4, 2.4e-4, 5), np.linspace(-1e-3, 1e-3, 4)


def along_phi(angle):
    """What φ does to q when it turns by `angle`."""
    return tuple(angle * GEOMETRY.motor_vectors[0])


CASES = {
    "square": ({"stops": (SquareOpening(9.4e-5),)}, 1e-6),
    "knife": ({"stops": (KnifeBlade(5e-5),)}, 1e-6),
    "knife, roll": ({"stops": (KnifeBlade(5e-5, "roll", "below"),)}, 1e-6),
    "central": ({"stops": (CentralBlock(9.4e-5),)}, 1e-6),
    "opaque wire": ({"stops": (AbsorbingWire(9.4e-5),)}, 1e-6),
    "wire": ({"stops": (AbsorbingWire(9.4e-5, 2e-5, "two_theta", 3.0),)}, 4e-4),
    "wire, roll": ({"stops": (AbsorbingWire(9.4e-5, 2e-5, "roll", 3.0),)}, 4e-3),
    "round": ({"stops": (RoundOpening(3e-4),)}, 1e-6),
    "round, horizontal": (
        {"stops": (RoundOpening(3e-4),), "divergence_horizontal": 5e-5},
        1e-6,
    ),
    "round, moving": ({"stops": (RoundOpening(3e-4),), "motion": along_phi(5e-5)}, 1e-5),
    "blur": ({"motion": along_phi(5e-5)}, 2e-6),
    "spectrum": ({"spectrum": ((1.0, 0.0, 6e-5), (0.3, 2e-4, 3e-5))}, 1e-6),
    "uniform": ({"divergence_vertical": math.inf}, 1e-6),
    "blurred spectrum": (
        {
            "motion": along_phi(4e-5),
            "spectrum": ((1.0, 0.0, 6e-5), (0.5, 1e-4, 2e-4), (0.3, -3e-4, 1e-3)),
        },
        3e-6,
    ),
    "blur too fine for a spline": ({"motion": along_phi(3e-6), "bandwidth": 2e-6}, 1e-6),
    "moving chi": ({"motion": (0.0, 3e-4, 0.0)}, 1e-6),
    "moving chi, divergence": (
        {"motion": (0.0, 3e-4, 0.0), "divergence_horizontal": 5e-5},
        1e-6,
    ),
    "moving arm": ({"motion": (0.0, 0.0, -4e-4)}, 2e-6),
    "pink": ({"bandwidth": 1e-2}, 1e-6),
    "horizontal": ({"divergence_horizontal": 5e-5, "stops": (KnifeBlade(5e-5, "roll"),)}, 1e-6),
}


def shifts(values, motor):
    return np.asarray(values)[:, None] * GEOMETRY.motor_vectors[motor]


@pytest.mark.parametrize(("changes", "tolerance"), CASES.values(), ids=CASES)
def test_engine_equals_the_plain_sum(changes, tolerance):
    acceptance = changed(OPEN, **changes)
    engine = Engine(FIELD, GEOMETRY, RAYS, acceptance)
    images = engine.images(shifts(PHI, 0), shifts(CHI, 1))
    settings = [[phi, chi, 0.0] for chi in CHI for phi in PHI]
    q = q_of_rays(FIELD, GEOMETRY, RAYS)
    plain = direct_images(q, RAYS, GEOMETRY, acceptance, settings).reshape(images.shape)
    assert plain.max() > 0.05
    assert np.abs(images - plain).max() < tolerance * plain.max()
    assert images.min() >= 0.0


@pytest.mark.parametrize(
    "changes",
    [case for name, (case, _) in CASES.items() if not name.startswith("round")],
    ids=[name for name in CASES if not name.startswith("round")],
)
def test_slopes_are_those_of_the_values(changes):
    acceptance = changed(OPEN, **changes)
    rng = np.random.default_rng(4)
    q = rng.normal(size=(3, 2, 400)) * np.array([1e-4, 1e-4, 3e-4])[:, None, None]
    weights, motors = rng.uniform(0.5, 1.0, (2, 400)), shifts(PHI, 0)
    edge = min(acceptance.factors.sin * acceptance.optics.bandwidth, 5e-5)
    steps = np.full(3, 0.01 * edge)

    def values(moved):
        out = np.empty((2, len(PHI), 400), np.float32)
        rock.fill(q, motors + moved, weights, out)
        return out.astype(float)

    for rock in [pair.rock for pair in factor_pairs(acceptance.factors)][:2]:
        filled = Slopes(*(np.empty((2, len(PHI), 400), np.float32) for _ in range(3)))
        rock.fill_slopes(q, motors, weights, steps, filled)
        np.testing.assert_allclose(filled[0], values(0.0), rtol=1e-6, atol=1e-9)
        for component, slope in ((0, filled[1]), (2, filled[2])):
            step = steps * np.eye(3)[component]
            expected = (values(step) - values(-step)) / (2.0 * steps[component])
            # The values have kinks, across which differences are anything.
            away = np.quantile(np.abs(slope - expected), 0.995)
            assert away < 2e-3 * np.abs(expected).max()


@pytest.mark.parametrize(
    "stop", [RoundOpening(3e-4), AbsorbingWire(2e-4, axis="roll", optical_depth=0.1)]
)
def test_a_joint_of_two_windows_is_no_gap(stop):
    """The perfect crystal at χ = 0 lies exactly where two windows of ξ meet."""
    field = StraightDislocations([], IsotropicMedium(0.334))
    engine = Engine(field, GEOMETRY, RAYS, changed(OPEN, stops=(stop,)))
    at_rest, beside = engine.images(shifts([0.0], 0), shifts([0.0, 1e-8], 1))[:, 0]
    np.testing.assert_allclose(at_rest, beside, rtol=1e-2)
    assert at_rest.min() > 0.8


def test_moments_under_a_central_stop_equal_sums_over_frames():
    engine = Engine(FIELD, GEOMETRY, RAYS, changed(OPEN, stops=(CentralBlock(9.4e-5),)))
    frames = engine.images(shifts(PHI, 0), shifts(CHI, 1)).astype(float)
    rock, roll = np.stack([np.ones(5), PHI, np.ones(5)]), np.stack([np.ones(4), np.ones(4), CHI])
    moments = engine.moments(shifts(PHI, 0), shifts(CHI, 1), rock, roll)
    sums = np.einsum("jixy,ki,kj->kxy", frames, rock, roll)
    scale = np.abs(sums).max(axis=(1, 2), keepdims=True)
    assert (np.abs(moments - sums) / scale).max() < 1e-5


def smooth_kernel(acceptance, bins=(241, 41, 301)):
    """Tabulate the closed form itself, without the noise of rays."""
    reach = [3.5e-4, 3.6e-3, 3.6e-3]
    edges = tuple(np.linspace(-r, r, n + 1) for r, n in zip(reach, bins, strict=True))
    centers = [(edge[1:] + edge[:-1]) / 2 for edge in edges]
    density = acceptance.density(np.stack(np.meshgrid(*centers, indexing="ij"), axis=-1))
    throughput = (
        OPEN.optics.passed_by_condenser
        * OPEN.optics.passed_by_aperture**2
        * acceptance.optics.throughput
    )
    return Kernel(edges, density.astype(np.float32), 10**9, 0.0, throughput)


@pytest.mark.parametrize("stops", [(), (KnifeBlade(5e-5),)], ids=["open", "knife"])
def test_tabulated_acceptance_gives_the_images_of_the_closed_form(stops):
    acceptance = changed(OPEN, stops=stops)
    closed = Engine(FIELD, GEOMETRY, RAYS, acceptance)
    table = Engine(FIELD, GEOMETRY, RAYS, acceptance, kernel=smooth_kernel(acceptance))
    images = [engine.images(shifts(PHI, 0), shifts(CHI, 1)) for engine in (closed, table)]
    assert np.abs(images[0] - images[1]).max() < 0.03 * images[0].max()
    powers = np.ones((1, 5)), np.ones((1, 4))
    total = table.moments(shifts(PHI, 0), shifts(CHI, 1), *powers)
    np.testing.assert_allclose(total[0], images[1].sum(axis=(0, 1)), rtol=1e-5)


def test_table_is_interpolated_as_the_kernel_says():
    kernel = trace(RayOptics(OPEN), 200_000, (30, 20, 20))
    engine = Engine(FIELD, GEOMETRY, RAYS, OPEN, kernel=kernel)
    images = engine.images(shifts(PHI, 0), shifts(CHI, 1))
    q = q_of_rays(FIELD, GEOMETRY, RAYS)
    scale = (
        kernel.throughput
        / OPEN.optics.passed_by_condenser
        / OPEN.optics.passed_by_aperture**2
        / OPEN.peak
    )
    for j, chi in enumerate(CHI):
        for i, phi in enumerate(PHI):
            density = kernel.density(q + np.array([phi, chi, 0.0]) @ GEOMETRY.motor_vectors)
            plain = (density @ RAYS.sample_weights * scale).reshape(engine.shape)
            np.testing.assert_allclose(images[j, i], plain, atol=1e-6 * scale * kernel.peak)


def test_vignetting_moves_the_centre_of_the_lens_with_the_field_position():
    engine = Engine(FIELD, GEOMETRY, RAYS, OPEN, vignetting=-1e-4)
    images = engine.images(shifts(PHI, 0), shifts(CHI, 1))
    q = q_of_rays(FIELD, GEOMETRY, RAYS).reshape(*engine.shape, -1, 3)
    s, c = OPEN.factors.sin, OPEN.factors.cos
    zeta, weight = np.polynomial.legendre.leggauss(300)
    zeta = OPEN.optics.clip * zeta[:, None]
    for row, column in ((0, 0), (11, 16), (3, 12)):
        # Direction of the ray through the middle of the lens, at height v and offset y.
        v = -RAYS.row_positions[row] * math.sin(2 * GEOMETRY.theta)
        delta_0, xi_0 = -1e-4 * v, -1e-4 * RAYS.column_positions[column]
        for j, chi in enumerate(CHI):
            for i, phi in enumerate(PHI):
                moved = q[row, column] + np.array([phi, chi, 0.0]) @ GEOMETRY.motor_vectors
                energy = (moved[:, 0] + c * zeta) / s
                delta = 2 * s * moved[:, 2] - 2 * c * moved[:, 0] - zeta - delta_0
                xi = 2 * s * moved[:, 1] - xi_0
                log = (zeta / OPEN.optics.divergence_vertical) ** 2 + (
                    energy / OPEN.optics.bandwidth
                ) ** 2
                log = log + (delta / OPEN.optics.lens) ** 2 + (xi / OPEN.optics.lens) ** 2
                passes = (np.abs(delta) < OPEN.optics.aperture) & (
                    np.abs(xi) < OPEN.optics.aperture
                )
                value = weight @ (np.exp(-log / 2) * passes) @ RAYS.sample_weights
                at_rest = (
                    -((zeta / OPEN.optics.divergence_vertical) ** 2)
                    - (c * zeta / s / OPEN.optics.bandwidth) ** 2
                )
                peak = weight @ np.exp((at_rest - (zeta / OPEN.optics.lens) ** 2) / 2)
                assert images[j, i, row, column] == pytest.approx(value / peak[0], abs=2e-5)
    mean_q, _ = engine.mean_q()
    np.testing.assert_allclose(mean_q, Engine(FIELD, GEOMETRY, RAYS, OPEN).mean_q()[0], atol=1e-15)
