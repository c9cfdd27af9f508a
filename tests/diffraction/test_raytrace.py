"""Ray tracing against the closed form, against exact kinematics, and against itself."""

import math

import numpy as np
import pytest
from id06_optics import APERTURE, id06, oblique
from instruments import changed
from scipy import stats

from weakbeam.diffraction import raytrace
from weakbeam.diffraction.geometry import symmetric_geometry
from weakbeam.diffraction.raytrace import RayOptics, sample_rays, trace
from weakbeam.instrument.stops import (
    AbsorbingWire,
    CentralBlock,
    KnifeBlade,
    RoundOpening,
    SquareOpening,
)


def chi_square_per_bin(kernel, acceptance, nodes=4):
    """Compare counts with the closed form integrated over each voxel by Gauss-Legendre nodes."""
    node, weight = np.polynomial.legendre.leggauss(nodes)
    fine = [
        c[:, None] + step / 2 * node for c, step in zip(kernel.centers, kernel.steps, strict=True)
    ]
    rock, roll, two_theta = (x.ravel() for x in fine)
    plane = acceptance.density_rock_two_theta(rock[:, None], two_theta)
    n1, n2, n3 = kernel.shape
    plane = plane.reshape(n1, nodes, n3, nodes)
    p13 = np.einsum("iajb,a,b->ij", plane, weight / 2, weight / 2)
    p2 = acceptance.density_roll(roll).reshape(n2, nodes) @ (weight / 2)
    expected = kernel.rays * kernel.voxel_volume * np.einsum("ik,j->ijk", p13, p2)
    used = expected > 200
    residual = (kernel.counts - expected)[used] / np.sqrt(expected[used])
    return np.mean(residual**2), used.sum()


def test_covariance_and_published_widths():
    instrument = id06()
    kernel = trace(RayOptics(instrument), 8_000_000, (200, 100, 100))
    rms = np.sqrt(np.diag(kernel.covariance()))
    difference = (kernel.covariance() - instrument.covariance()) / np.outer(rms, rms)
    assert np.abs(difference).max() < 2e-3
    np.testing.assert_allclose(rms, [7.835e-5, 9.918e-4, 1.0222e-3], rtol=1e-3)
    assert kernel.covariance()[0, 2] / rms[0] / rms[2] == pytest.approx(0.240, abs=1e-3)
    assert kernel.outside < 1e-6
    assert kernel.table.sum(dtype=float) * kernel.voxel_volume == pytest.approx(1 - kernel.outside)
    assert kernel.throughput == pytest.approx(
        instrument.optics.passed_by_condenser * instrument.optics.passed_by_aperture**2, rel=1e-12
    )


def test_widths_under_a_small_square_aperture():
    q = sample_rays(RayOptics(id06(stops=(SquareOpening(93.9e-6),))), 2_000_000)
    np.testing.assert_allclose(q.std(axis=0), [7.835e-5, 1.727e-4, 3.017e-4], rtol=1.5e-3)
    assert np.abs(q[:, 1]).max() < 93.9e-6 / (2 * math.sin(id06().theta))


@pytest.mark.parametrize("horizontal", [0.0, 2.0e-4])
def test_counts_follow_the_closed_form(horizontal):
    instrument = id06(divergence_horizontal=horizontal)
    kernel = trace(RayOptics(instrument), 20_000_000, (60, 30, 30))
    chi_square, bins = chi_square_per_bin(kernel, instrument)
    assert bins > 5_000
    assert chi_square == pytest.approx(1.0, abs=0.05)


def test_counts_under_a_square_aperture_follow_the_closed_form_of_that_aperture():
    kernel = trace(RayOptics(id06(stops=(SquareOpening(2e-4),))), 5_000_000, (40, 20, 20))
    chi_square, bins = chi_square_per_bin(kernel, id06(aperture=2e-4))
    assert bins > 1_000
    assert chi_square == pytest.approx(1.0, abs=0.05)
    assert kernel.throughput == pytest.approx(
        id06().optics.passed_by_condenser * id06(aperture=2e-4).optics.passed_by_aperture ** 2,
        rel=1e-12,
    )


@pytest.mark.parametrize(
    "changes",
    [
        {"stops": (KnifeBlade(1e-4),)},
        {"stops": (KnifeBlade(-APERTURE / 8, "roll", "below"),)},
        {"stops": (CentralBlock(APERTURE / 4),)},
        {"stops": (AbsorbingWire(1.5e-4, 5e-5, "two_theta", 0.8),)},
        {"stops": (AbsorbingWire(APERTURE / 4, 0.0, "roll"), KnifeBlade(-2e-4))},
        {"divergence_vertical": math.inf},
        {"spectrum": ((3.0, 1e-4, 4e-5), (1.0, -2e-4, 8e-5))},
        {"bandwidth": 4e-3},
        {"phi_blur": 2e-4},
    ],
)
def test_counts_of_every_instrument_follow_its_closed_form(changes):
    # Edges of the stops along roll coincide with edges of the voxels, where p jumps.
    instrument, shape, nodes = id06(**changes), (24, 8, 12), (8, 2, 8)
    kernel = trace(RayOptics(instrument), 2_000_000, shape, seed=1)
    rules = [np.polynomial.legendre.leggauss(n) for n in nodes]
    places = [
        (center[:, None] + step / 2 * node).ravel()
        for center, step, (node, _) in zip(kernel.centers, kernel.steps, rules, strict=True)
    ]
    density = instrument.density(np.stack(np.meshgrid(*places, indexing="ij"), axis=-1))
    density = density.reshape([n for pair in zip(shape, nodes, strict=True) for n in pair])
    mean = np.einsum("iajbkc,a,b,c->ijk", density, *(weight / 2 for _, weight in rules))
    expected = kernel.rays * kernel.voxel_volume * mean
    used = expected > 200
    assert used.sum() > 200
    chi_square = np.mean((kernel.counts - expected)[used] ** 2 / expected[used])
    assert chi_square == pytest.approx(1.0, abs=4 * math.sqrt(2 / used.sum()))
    assert kernel.throughput == pytest.approx(
        instrument.optics.passed_by_condenser
        * instrument.optics.passed_by_aperture**2
        * instrument.optics.throughput,
        rel=3e-3,
    )


def test_round_aperture():
    # What is left of a two-dimensional Gaussian within a circle, in closed form.
    radius, instrument = 4e-4, id06(clip=1e-9, stops=(RoundOpening(4e-4),))
    q = sample_rays(RayOptics(instrument), 200_000)
    sine, cosine = math.sin(instrument.theta), math.cos(instrument.theta)
    delta = 2 * (sine * q[:, 2] - cosine * q[:, 0])
    square = (delta**2 + (2 * sine * q[:, 1]) ** 2) / instrument.optics.lens**2
    inside = stats.chi2(2).cdf((radius / instrument.optics.lens) ** 2)
    assert square.max() * instrument.optics.lens**2 < radius**2 * 1.00001
    assert stats.kstest(square, lambda x: stats.chi2(2).cdf(x) / inside).pvalue > 0.01
    kernel = trace(RayOptics(instrument), 1_000_000, (2, 2, 2))
    assert kernel.throughput == pytest.approx(
        instrument.optics.passed_by_condenser * inside, rel=3e-3
    )


def test_uncut_gaussians():
    instrument = id06(clip=math.inf, aperture=math.inf)
    q = sample_rays(RayOptics(instrument), 1_000_000, seed=3)
    rms = q.std(axis=0)
    difference = (np.cov(q.T) - instrument.covariance()) / np.outer(rms, rms)
    assert np.abs(difference).max() < 5e-3
    white = np.linalg.solve(np.linalg.cholesky(instrument.covariance()), q.T)
    assert stats.kstest(white[0], "norm").pvalue > 0.01
    assert stats.kstest((white**2).sum(axis=0), stats.chi2(3).cdf).pvalue > 0.01
    kernel = trace(RayOptics(instrument), 1_000_000, (20, 20, 20))
    assert 0.0 < kernel.outside < 1e-5


def test_exact_kinematics_differ_little_from_linear_ones():
    # The figures are those of docs/explanation/physics.md, C1.
    linear = sample_rays(RayOptics(id06()), 400_000)
    exact = sample_rays(RayOptics(id06(), exact=True), 400_000)
    change = exact - linear
    assert np.abs(change).max() < 4e-6
    np.testing.assert_allclose(change[:, 0].mean(), -3.0e-7, rtol=0.1)
    np.testing.assert_allclose(change.std(axis=0), [3.0e-7, 6e-8, 6e-8], rtol=0.2)
    assert (np.abs(exact.std(axis=0) / linear.std(axis=0) - 1.0) < 1e-2).all()


@pytest.mark.parametrize("wide", ["divergence", "lens", "bandwidth"])
def test_exact_kinematics_is_elastic(wide):
    # With all but one group of variables at rest, one wavevector is known, and subtracting it
    # from Q must leave the other on its sphere, far beyond where linear kinematics holds.
    theta, rest = math.radians(15.417), 1e-14
    widths = {"clip": math.inf, "aperture": math.inf}
    instrument = id06(
        theta=theta,
        bandwidth=0.05 if wide == "bandwidth" else rest,
        divergence_vertical=0.05 if wide == "divergence" else rest,
        divergence_horizontal=0.05 if wide == "divergence" else 0.0,
        lens=0.05 if wide == "lens" else rest,
        **widths,
    )
    geometry = oblique(theta, math.radians(20.233))
    q = sample_rays(RayOptics(instrument, geometry, exact=True), 1000)
    beam, k_out = geometry.lab_from_imaging.T @ [1.0, 0.0, 0.0], np.array([1.0, 0.0, 0.0])
    total = 2 * math.sin(theta) * q + (k_out - beam)
    if wide == "divergence":
        np.testing.assert_allclose(np.linalg.norm(k_out - total, axis=1), 1.0, atol=1e-12)
    elif wide == "lens":
        np.testing.assert_allclose(np.linalg.norm(beam + total, axis=1), 1.0, atol=1e-12)
    else:
        along = np.array([math.sin(theta), 0.0, math.cos(theta)])
        np.testing.assert_allclose(q, np.outer(q @ along, along), atol=1e-12)
    assert q.std() > 1e-2


@pytest.mark.parametrize("eta_deg", [0.0, 20.233, -75.0, 90.0, 160.0])
def test_map_in_oblique_geometry(eta_deg):
    theta, eta = math.radians(15.417), math.radians(eta_deg)
    s, c, c2 = math.sin(theta), math.cos(theta), math.cos(2 * theta)
    se, ce = math.sin(eta), math.cos(eta)
    optics = RayOptics(id06(theta=theta), oblique(theta, eta))
    published = [
        [s, -c * ce, c * se, 0, 0],
        [0, -se / (2 * s), -ce / (2 * s), 0, 1 / (2 * s)],
        [c, -c2 * ce / (2 * s), c2 * se / (2 * s), 1 / (2 * s), 0],
    ]
    np.testing.assert_allclose(optics.ray_map[:, :5], published, atol=1e-12)
    # A change of energy acts as a dilatation does: along (sinθ, 0, cosθ) for every azimuth.
    np.testing.assert_allclose(optics.ray_map[:, 0], [s, 0, c], atol=1e-12)


def test_divergence_stays_in_the_laboratory():
    # Correlations of docs/explanation/physics.md, C2; none would appear if the cloud were turned
    # rigidly with the azimuth of the reflection.
    theta, eta = math.radians(15.417), math.radians(20.2)
    q = sample_rays(RayOptics(id06(theta=theta), oblique(theta, eta)), 2_000_000)
    correlation = np.corrcoef(q.T)
    assert abs(correlation[0, 1]) == pytest.approx(0.085, abs=3e-3)
    assert abs(correlation[1, 2]) == pytest.approx(0.017, abs=3e-3)


def test_phi_blur_is_a_uniform_motion():
    theta = id06().theta
    still, moving = RayOptics(id06()), RayOptics(id06(phi_blur=1e-3))
    shift = sample_rays(moving, 100_000) - sample_rays(still, 100_000)
    np.testing.assert_allclose(shift[:, 1], 0.0, atol=1e-12)
    np.testing.assert_allclose(shift[:, 2], -math.tan(theta) * shift[:, 0], atol=1e-12)
    phi = shift[:, 0] / math.cos(theta)
    assert stats.kstest(phi, stats.uniform(-5e-4, 1e-3).cdf).pvalue > 0.01


def test_kernel_does_not_depend_on_threads_or_chunks(monkeypatch):
    stops = (RoundOpening(5e-4), AbsorbingWire(1e-4, 2e-5, "roll", 0.7))
    optics = RayOptics(id06(stops=stops))
    first = trace(optics, 700_001, (20, 10, 10), seed=5, workers=1)
    for workers, chunk in ((3, 1 << 19), (2, 10_007), (1, 100_003)):
        monkeypatch.setattr(raytrace, "_CHUNK", chunk)
        other = trace(optics, 700_001, (20, 10, 10), seed=5, workers=workers)
        np.testing.assert_array_equal(other.table, first.table)
        assert (other.rays, other.throughput) == (first.rays, first.throughput)
    assert (trace(optics, 700_001, (20, 10, 10), seed=6).table != first.table).any()


def test_cloud_and_kernel_hold_the_same_rays():
    optics = RayOptics(id06(stops=(CentralBlock(1e-4),)))
    kernel = trace(optics, 300_000, (8, 8, 8), seed=2)
    q = sample_rays(optics, kernel.rays, seed=2)
    counts, _ = np.histogramdd(q, bins=kernel.edges)
    np.testing.assert_array_equal(counts, kernel.counts)
    np.testing.assert_array_equal(sample_rays(optics, 1000, seed=2), q[:1000])


@pytest.mark.parametrize(
    "stop",
    [
        SquareOpening(math.inf),
        KnifeBlade(-math.inf),
        KnifeBlade(math.inf, "roll", "below"),
        RoundOpening(math.inf),
        CentralBlock(1e-30),
        AbsorbingWire(1e-30),
        AbsorbingWire(1e-4, optical_depth=1e-30),
    ],
)
def test_an_open_stop_changes_nothing(stop):
    plain = trace(RayOptics(id06()), 200_000, (20, 10, 10))
    opened = trace(RayOptics(id06(stops=(stop,))), 200_000, (20, 10, 10))
    np.testing.assert_array_equal(opened.table, plain.table)
    assert opened.throughput == plain.throughput


@pytest.mark.parametrize(
    "stop", [RoundOpening(3e-4), CentralBlock(2e-4), AbsorbingWire(1e-4, 5e-5, "two_theta", 0.5)]
)
def test_a_stop_only_takes_rays_away(stop):
    box = RayOptics(id06()).ranges()
    plain = trace(RayOptics(id06()), 500_000, (20, 10, 10), box)
    stopped = trace(RayOptics(id06(stops=(stop,))), 500_000, (20, 10, 10), box)
    assert (stopped.counts <= plain.counts).all()
    assert stopped.rays < plain.rays
    assert (stopped.throughput * stopped.table <= plain.throughput * plain.table * 1.000001).all()


@pytest.mark.parametrize(
    ("inside", "outside"),
    [
        (SquareOpening(2e-4), CentralBlock(2e-4)),
        (KnifeBlade(1e-4), KnifeBlade(1e-4, side="below")),
        (KnifeBlade(-2e-4, "roll"), KnifeBlade(-2e-4, "roll", "below")),
    ],
)
def test_inside_and_outside_make_all(inside, outside):
    bins, box = (20, 10, 10), RayOptics(id06()).ranges()
    n = 2_000_000
    every, passed, blocked = (
        trace(RayOptics(id06(stops=stops)), n, bins, box, seed=seed)
        for seed, stops in enumerate([(), (inside,), (outside,)])
    )
    assert passed.throughput + blocked.throughput == pytest.approx(every.throughput, rel=1e-3)
    # Rays per voxel of an uncut beam of n rays, and the variance of the difference.
    weights = [k.throughput * n / k.rays for k in (every, passed, blocked)]
    rates = [w * k.counts for w, k in zip(weights, (every, passed, blocked), strict=True)]
    variance = sum(w * rate for w, rate in zip(weights, rates, strict=True))
    used = rates[0] > 200
    residual = (rates[1] + rates[2] - rates[0])[used] / np.sqrt(variance[used])
    assert used.sum() > 300
    assert np.mean(residual**2) == pytest.approx(1.0, abs=0.25)


def test_wire_attenuates_along_its_chord():
    radius, position, depth = 1.5e-4, 1e-4, 0.8
    instrument = id06()
    kernel = trace(
        RayOptics(changed(instrument, stops=(AbsorbingWire(radius, position, "roll", depth),))),
        4_000_000,
        (1, 400, 1),
    )
    xi = 2 * instrument.factors.sin * kernel.centers[1]
    chord = 2 * np.sqrt(np.maximum(radius**2 - (xi - position) ** 2, 0.0))
    transmission = np.exp(-depth * chord / (2 * radius))
    density = stats.norm(scale=instrument.optics.lens).pdf(xi) * transmission
    expected = kernel.rays * density / density.sum()
    used = expected > 200
    chi_square = np.mean((kernel.counts.ravel() - expected)[used] ** 2 / expected[used])
    assert chi_square == pytest.approx(1.0, abs=0.25)
    uncut = instrument.optics.passed_by_condenser * instrument.optics.passed_by_aperture
    step = xi[1] - xi[0]
    assert kernel.throughput == pytest.approx(uncut * density.sum() * step, rel=2e-3)


def test_stops_act_on_the_whole_angle():
    # δ + ζ_v is twice (q_2θ sinθ - q_rock' cosθ); the knife acts on δ, not on half of it.
    instrument, place = id06(clip=1e-9), 1.5e-4
    q = sample_rays(RayOptics(id06(clip=1e-9, stops=(KnifeBlade(place),))), 500_000)
    delta = 2 * (instrument.factors.sin * q[:, 2] - instrument.factors.cos * q[:, 0])
    assert place - 1e-8 < delta.min() < place + 1e-8
    half_normal = stats.truncnorm(
        place / instrument.optics.lens,
        APERTURE / instrument.optics.lens,
        scale=instrument.optics.lens,
    )
    assert stats.kstest(delta, half_normal.cdf).pvalue > 0.01


def test_far_knife_edges_keep_their_digits():
    instrument, far = id06(aperture=math.inf), 7 * 3.1106e-4
    for side, sign in (("above", 1.0), ("below", -1.0)):
        knife = RayOptics(changed(instrument, stops=(KnifeBlade(sign * far, "roll", side),)))
        xi = 2 * instrument.factors.sin * sign * sample_rays(knife, 100_000)[:, 1]
        assert xi.min() >= far
        assert xi.mean() == pytest.approx(
            stats.truncnorm(7, 40).mean() * instrument.optics.lens, rel=1e-4
        )
        assert knife.drawn_fraction == pytest.approx(
            instrument.optics.passed_by_condenser * stats.norm.sf(7), rel=1e-9
        )


def test_progress_counts_every_ray():
    told = []
    trace(RayOptics(id06()), 1_234_567, (2, 2, 2), progress=told.append, workers=2)
    assert sum(told) == 1_234_567


@pytest.mark.parametrize(
    "make",
    [
        lambda: SquareOpening(0.0),
        lambda: SquareOpening(math.nan),
        lambda: RoundOpening(-1.0),
        lambda: CentralBlock(0.0),
        lambda: AbsorbingWire(1e-4, optical_depth=-1.0),
        lambda: AbsorbingWire(1e-4, axis="diagonal"),
        lambda: KnifeBlade(math.nan),
        lambda: KnifeBlade(0.0, side="left"),
        lambda: RayOptics(id06(stops=(KnifeBlade(2e-3),))),
        lambda: RayOptics(
            id06(
                stops=(
                    KnifeBlade(1e-4),
                    KnifeBlade(0.0, side="below"),
                )
            )
        ),
        lambda: RayOptics(id06(), symmetric_geometry(0.2)),
        lambda: RayOptics(id06(motion=(math.nan, 0.0, 0.0))),
        lambda: trace(RayOptics(id06()), 0),
        lambda: trace(RayOptics(id06()), 10, (1, 0, 1)),
        lambda: trace(RayOptics(id06()), 10, ranges=[[0, 1], [0, 1], [1, 0]]),
        lambda: trace(RayOptics(id06()), 1000, (1, 1, 1), ranges=[[1, 2]] * 3),
        lambda: trace(RayOptics(id06()), 10, (1, 1, 1), seed=-1),
        lambda: sample_rays(RayOptics(id06()), -1),
    ],
)
def test_nonsense_is_refused_in_one_line(make):
    with pytest.raises(ValueError, match=r"^[^\n]+$"):
        make()
