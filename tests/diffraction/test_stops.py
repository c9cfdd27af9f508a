"""Stops in closed form: against ray tracing, against each other, and what holds for any stop."""

import math

import numpy as np
import pytest
from instruments import BEAM, changed, symmetric_acceptance

from weakbeam.diffraction.acceptance_factors import AcceptanceFactors
from weakbeam.diffraction.raytrace import RayOptics, sample_rays, trace
from weakbeam.instrument import passage
from weakbeam.instrument.passage import Window, gaussian_moments, passages, transmission
from weakbeam.instrument.stops import (
    AbsorbingWire,
    CentralBlock,
    KnifeBlade,
    RoundOpening,
    SquareOpening,
)

OPEN = symmetric_acceptance(
    theta=math.radians(8.97317),
    **BEAM,
    lens=3.1e-4,
    aperture=1.0323e-3,
)

STOPS = {
    "square aperture": (SquareOpening(2.1e-4),),
    "knife edge above": (KnifeBlade(5e-5),),
    "knife edge below, roll": (KnifeBlade(-1e-4, "roll", "below"),),
    "central stop": (CentralBlock(1.5e-4),),
    "opaque wire": (AbsorbingWire(1.2e-4, 4e-5),),
    "wire": (AbsorbingWire(2e-4, 4e-5, "two_theta", 2.0),),
    "wire, roll": (AbsorbingWire(2e-4, -3e-5, "roll", 2.0),),
    "round aperture": (RoundOpening(4e-4),),
    "square behind wire": (AbsorbingWire(1.2e-4, 4e-5), SquareOpening(3e-4)),
}
EVERY_STOP = pytest.mark.parametrize("stops", STOPS.values(), ids=STOPS)


def with_stops(*stops, **changes):
    return changed(OPEN, stops=stops, **changes)


def voxel_means(kernel, acceptance, nodes):
    """Closed form averaged over each voxel; the sum of products of plane and line averages."""
    node, weight = np.polynomial.legendre.leggauss(nodes)
    fine = [
        (c[:, None] + step / 2 * node).ravel()
        for c, step in zip(kernel.centers, kernel.steps, strict=True)
    ]
    n1, n2, n3 = kernel.shape
    total = np.zeros(kernel.shape)
    factors = AcceptanceFactors(acceptance.theta, acceptance.optics)
    for term in acceptance.optics.products:
        plane = factors.rock_two_theta(fine[0][:, None], fine[2], term.two_theta)
        plane = plane.reshape(n1, nodes, n3, nodes)
        p13 = np.einsum("iajb,a,b->ij", plane, weight / 2, weight / 2)
        p2 = factors.roll(fine[1], term.roll).reshape(n2, nodes) @ (weight / 2)
        total += term.weight * np.einsum("ik,j->ijk", p13, p2)
    return total / (acceptance.optics.throughput * acceptance.optics.passed_by_aperture**2)


@EVERY_STOP
def test_ray_counts_follow_the_closed_form(stops):
    acceptance = with_stops(*stops)
    kernel = trace(RayOptics(acceptance), 6_000_000, (32, 24, 24))
    # Where a stop cuts through a voxel, only many nodes find the cut.
    expected = voxel_means(kernel, acceptance, 24) * kernel.rays * kernel.voxel_volume
    used = expected > 200
    residual = (kernel.table * kernel.rays * kernel.voxel_volume - expected)[used]
    assert used.sum() > 1000
    assert np.mean(residual**2 / expected[used]) == pytest.approx(1.0, abs=0.08)
    q = sample_rays(RayOptics(acceptance), 2_000_000, seed=1)
    rms = np.sqrt(np.diag(acceptance.covariance()))
    difference = (np.cov(q.T) - acceptance.covariance()) / np.outer(rms, rms)
    assert np.abs(difference).max() < 4e-3
    assert np.abs((q.mean(axis=0) - acceptance.mean()) / rms).max() < 3e-3
    passed = (
        acceptance.optics.throughput
        * OPEN.optics.passed_by_condenser
        * OPEN.optics.passed_by_aperture**2
    )
    assert kernel.throughput == pytest.approx(passed, rel=1.5e-3)


@EVERY_STOP
@pytest.mark.parametrize("horizontal", [0.0, 5e-5])
def test_density_is_normalised_and_so_are_its_projections(stops, horizontal, monkeypatch):
    monkeypatch.setattr(passage, "ROUND_SLABS", 8)
    acceptance = with_stops(*stops, divergence_horizontal=horizontal)
    grid = [np.linspace(-r, r, n) for r, n in ((3.2e-4, 121), (3.6e-3, 721), (3.6e-3, 721))]
    steps = [axis[1] - axis[0] for axis in grid]
    plane = acceptance.density_rock_two_theta(grid[0][:, None], grid[2])
    assert plane.sum() * steps[0] * steps[2] == pytest.approx(1.0, abs=4e-3)
    assert acceptance.density_roll(grid[1]).sum() * steps[1] == pytest.approx(1.0, abs=8e-3)
    assert acceptance.density_rock(grid[0]).sum() * steps[0] == pytest.approx(1.0, abs=1e-6)
    along = acceptance.density_two_theta(grid[2])
    assert along.sum() * steps[2] == pytest.approx(1.0, abs=4e-3)
    np.testing.assert_allclose(plane.sum(axis=0) * steps[0], along, atol=2e-3 * along.max())
    joint = acceptance.density_roll_two_theta(grid[1][:, None], grid[2])
    np.testing.assert_allclose(joint.sum(axis=0) * steps[1], along, atol=1e-2 * along.max())


@EVERY_STOP
def test_a_stop_never_adds_intensity(stops):
    q = np.random.default_rng(1).normal(size=(4000, 3)) * [1.5e-4, 1e-3, 1e-3]
    behind, without = with_stops(*stops).relative(q), OPEN.relative(q)
    assert (behind <= without * (1 + 1e-12) + 1e-15).all()
    assert (behind >= -1e-12).all()
    assert without.max() <= 1.0 + 1e-12
    assert behind.sum() < 0.99 * without.sum()


@pytest.mark.parametrize(
    "stop",
    [
        SquareOpening(math.inf),
        KnifeBlade(-math.inf),
        KnifeBlade(math.inf, "roll", "below"),
        CentralBlock(1e-12),
        RoundOpening(1.0),
        AbsorbingWire(1e-15),
        AbsorbingWire(1e-4, optical_depth=1e-14),
    ],
    ids=lambda stop: type(stop).__name__,
)
def test_a_stop_out_of_the_way_changes_nothing(stop):
    q = np.random.default_rng(2).normal(size=(500, 3)) * [8e-5, 8e-4, 8e-4]
    np.testing.assert_allclose(with_stops(stop).relative(q), OPEN.relative(q), rtol=1e-9)
    assert with_stops(stop).optics.throughput == pytest.approx(1.0, rel=1e-9)


@pytest.mark.parametrize("horizontal", [0.0, 5e-5])
def test_inside_and_outside_add_up_to_all(horizontal):
    beam = changed(OPEN, divergence_horizontal=horizontal)
    q = np.random.default_rng(3).normal(size=(2000, 3)) * [1e-4, 1e-3, 1e-3]
    whole = beam.relative(q)
    for inside, outside in (
        (SquareOpening(1.7e-4), CentralBlock(1.7e-4)),
        (KnifeBlade(3e-5), KnifeBlade(3e-5, side="below")),
        (KnifeBlade(3e-5, "roll"), KnifeBlade(3e-5, "roll", "below")),
    ):
        parts = [changed(beam, stops=(stop,)) for stop in (inside, outside)]
        np.testing.assert_allclose(sum(part.relative(q) for part in parts), whole, rtol=1e-10)
        assert sum(part.optics.throughput for part in parts) == pytest.approx(1.0, rel=1e-12)


def test_square_aperture_is_the_aperture_of_a_smaller_lens():
    q = np.random.default_rng(4).normal(size=(500, 3)) * [8e-5, 3e-4, 3e-4]
    small = changed(OPEN, aperture=2e-4)
    np.testing.assert_allclose(with_stops(SquareOpening(2e-4)).density(q), small.density(q))


def test_spectrum_of_one_gaussian_is_the_bandwidth_and_parts_add_up():
    q = np.random.default_rng(5).normal(size=(500, 3)) * [8e-5, 8e-4, 8e-4]
    one = changed(OPEN, spectrum=((3.0, 0.0, OPEN.optics.bandwidth),))
    np.testing.assert_allclose(one.density(q), OPEN.density(q), rtol=1e-13)
    narrow = changed(OPEN, bandwidth=3e-5)
    shift = 2e-4 * np.array([OPEN.factors.sin, 0.0, OPEN.factors.cos])
    two = changed(OPEN, spectrum=((1.0, 0.0, 6e-5), (3.0, 2e-4, 3e-5)))
    mixed = 0.25 * OPEN.density(q) + 0.75 * narrow.density(q - shift)
    np.testing.assert_allclose(two.density(q), mixed, rtol=1e-12)


MOTIONS = {
    "phi": np.array([OPEN.factors.cos, 0.0, -OPEN.factors.sin]) * 1.2e-4,
    "chi": np.array([0.0, 1.0, 0.0]) * 4e-4,
    "arm": np.array([0.0, 0.0, -0.5 / OPEN.factors.sin]) * 2e-4,
    "all": np.array([1e-4, 3e-4, -2e-4]),
}


@pytest.mark.parametrize("horizontal", [0.0, 5e-5])
@pytest.mark.parametrize("motion", MOTIONS.values(), ids=MOTIONS.keys())
def test_a_motion_during_the_exposure_is_an_average_over_its_path(motion, horizontal):
    still = changed(OPEN, divergence_horizontal=horizontal)
    q = np.random.default_rng(6).normal(size=(200, 3)) * [1e-4, 3e-4, 3e-4]
    moving = changed(still, motion=tuple(motion))
    # A motion of roll and of the rest is taken as one of each: two paths that go their own way.
    steps = (np.arange(400) + 0.5) / 400 - 0.5
    rock, roll = motion * [1, 0, 1], motion * [0, 1, 0]
    paths = [rock] if not motion[1] else [roll] if not rock.any() else None
    if paths is None:
        with pytest.raises(ValueError, match="factorises"):
            moving.density(q)
        return
    average = np.mean([still.density(q + s * paths[0]) for s in steps], axis=0)
    np.testing.assert_allclose(moving.density(q), average, atol=2e-6 * OPEN.peak)
    variance = still.covariance() + np.outer(motion, motion) / 12.0
    np.testing.assert_allclose(moving.covariance(), variance, rtol=1e-12, atol=1e-20)


def test_uniform_divergence_is_the_limit_of_a_wide_gaussian():
    q = np.random.default_rng(7).normal(size=(300, 3)) * [8e-5, 5e-4, 5e-4]
    uniform = changed(OPEN, divergence_vertical=math.inf)
    wide = changed(OPEN, divergence_vertical=0.1)
    np.testing.assert_allclose(uniform.density(q), wide.density(q), rtol=1e-5)
    np.testing.assert_allclose(uniform.covariance(), wide.covariance(), rtol=1e-5, atol=1e-20)


def test_pink_beam_is_normalised():
    pink = changed(OPEN, bandwidth=1e-2)
    rock, two_theta = np.linspace(-8e-3, 8e-3, 801), np.linspace(-5.5e-2, 5.5e-2, 1501)
    plane = pink.density_rock_two_theta(rock[:, None], two_theta)
    area = (rock[1] - rock[0]) * (two_theta[1] - two_theta[0])
    assert plane.sum() * area == pytest.approx(1.0, abs=1e-3)


@pytest.mark.parametrize(
    "stops",
    [
        (KnifeBlade(2e-3),),
        (KnifeBlade(1e-4), KnifeBlade(-1e-4, side="below")),
        (CentralBlock(2e-3),),
    ],
)
def test_stops_that_let_nothing_through_are_refused(stops):
    with pytest.raises(ValueError, match="let nothing through"):
        with_stops(*stops)


def test_windows_transmit_what_they_say():
    windows = [Window(-1.0, 0.0, 0.25), Window(0.5, math.inf, 1.0)]
    np.testing.assert_array_equal(
        transmission(windows, [-2.0, -0.5, 0.25, 0.75, 9.0]), [0.0, 0.25, 0.0, 1.0, 1.0]
    )
    x = np.linspace(-12, 12, 2_000_001)
    gauss = np.exp(-0.5 * (x / 1.3) ** 2) / (1.3 * math.sqrt(2 * math.pi))
    numeric = [np.sum(transmission(windows, x) * x**k * gauss) * (x[1] - x[0]) for k in range(3)]
    np.testing.assert_allclose(gaussian_moments(windows, 1.3), numeric, rtol=1e-4)


def test_round_aperture_has_the_area_of_its_circle():
    (circle,) = passages(math.inf, [RoundOpening(2.0)])
    slabs = circle.slabs()
    area = sum(
        (term.roll[0].high - term.roll[0].low) * (term.two_theta[0].high - term.two_theta[0].low)
        for term in slabs
    )
    assert len(slabs) > 50
    assert area == pytest.approx(4 * math.pi, rel=1e-12)
