"""Round apertures at their rim: against plain quadrature and rays drawn here, in any geometry."""

import math
from dataclasses import replace

import numpy as np
import pytest
from id06_optics import oblique
from instruments import symmetric_acceptance

from weakbeam.diffraction.oblique_acceptance import oblique_acceptance
from weakbeam.instrument.optics import Optics
from weakbeam.instrument.passage import passages
from weakbeam.instrument.stops import CentralBlock, KnifeBlade, RoundOpening, SquareOpening

THETA = math.radians(8.97317)
SINE, COSINE = math.sin(THETA), math.cos(THETA)
RADIUS = 1.1268e-4
"""Of 60 µm across in the back focal plane of the default lens."""
BANDWIDTH, VERTICAL, CLIP, LENS, APERTURE = 6e-5, 2.2507e-4, 1.4e-4, 3.10427e-4, 1.0323e-3


def optics(*stops, horizontal=0.0):
    return Optics(BANDWIDTH, VERTICAL, CLIP, horizontal, LENS, APERTURE, tuple(stops))


def symmetric(*stops, horizontal=0.0):
    widths = optics(*stops, horizontal=horizontal)
    names = ("bandwidth", "divergence_vertical", "clip", "divergence_horizontal", "lens")
    values = {name: getattr(widths, name) for name in (*names, "aperture", "stops")}
    return symmetric_acceptance(theta=THETA, **values)


def at_the_rim(count, seed=1):
    """q of a crystal turned by φ and χ such that its rays pass close to the rim, and some more."""
    draw = np.random.default_rng(seed)
    turn = draw.uniform(0.0, 2.0 * math.pi, count)
    reach = RADIUS * draw.uniform(0.85, 1.1, count)
    delta, xi = reach * np.cos(turn), reach * np.sin(turn)
    phi = delta / 2.0 + draw.normal(size=count) * 1e-5
    return np.stack([phi * COSINE, xi / (2.0 * SINE), -phi * SINE], axis=1)


def quadrature(q, eta, horizontal, passes, nodes):
    """Sum over the divergences of what energy and lens make of q, in no unit in particular."""
    zeta_v = CLIP * ((np.arange(nodes[0]) + 0.5) / nodes[0] * 2.0 - 1.0)
    beam = np.exp(-0.5 * (zeta_v / VERTICAL) ** 2)
    zeta_h, share = np.zeros(1), np.ones(1)
    if horizontal:
        zeta_h = 5.0 * horizontal * ((np.arange(nodes[1]) + 0.5) / nodes[1] * 2.0 - 1.0)
        share = np.exp(-0.5 * (zeta_h / horizontal) ** 2)
        share /= share.sum()
    along = zeta_v[:, None] * math.cos(eta) - zeta_h * math.sin(eta)
    across = zeta_v[:, None] * math.sin(eta) + zeta_h * math.cos(eta)
    total = []
    for rock, roll, two_theta in np.atleast_2d(q):
        energy = (rock + COSINE * along) / SINE
        delta = 2.0 * SINE * two_theta - 2.0 * COSINE * rock - along
        xi = 2.0 * SINE * roll + across
        weight = (energy / BANDWIDTH) ** 2 + (delta**2 + xi**2) / LENS**2
        value = np.exp(-0.5 * weight) * passes(delta, xi)
        value *= (abs(delta) < APERTURE) & (abs(xi) < APERTURE)
        total.append(beam @ value @ share)
    return np.array(total)


def in_circle(delta, xi):
    return delta**2 + xi**2 < RADIUS**2


def everything(delta, xi):
    return np.ones(np.broadcast_shapes(delta.shape, xi.shape))


@pytest.mark.parametrize("degrees", [0.0, 20.233, -126.0, 90.0])
def test_without_horizontal_divergence_the_circle_is_exact(degrees):
    eta = math.radians(degrees)
    stop = optics(RoundOpening(RADIUS))
    ours = oblique_acceptance(stop, oblique(THETA, eta)) if degrees else symmetric(*stop.stops)
    q, nodes = at_the_rim(300), (20_000, 1)
    expected = quadrature(q, eta, 0.0, in_circle, nodes)
    expected /= quadrature(np.zeros(3), eta, 0.0, everything, nodes)
    assert expected.max() > 0.3
    np.testing.assert_allclose(ours.relative(q), expected, rtol=0, atol=3e-4)
    assert len(ours.terms) == 1


@pytest.mark.parametrize("degrees", [0.0, 20.233])
@pytest.mark.parametrize("horizontal", [4.25e-6, 3e-5])
def test_with_horizontal_divergence_the_circle_is_right_to_3_parts_in_1000(degrees, horizontal):
    eta = math.radians(degrees)
    stop = optics(RoundOpening(RADIUS), horizontal=horizontal)
    ours = (
        oblique_acceptance(stop, oblique(THETA, eta))
        if degrees
        else symmetric(*stop.stops, horizontal=horizontal)
    )
    q, nodes = at_the_rim(60), (1200, 800)
    expected = quadrature(q, eta, horizontal, in_circle, nodes)
    expected /= quadrature(np.zeros(3), eta, horizontal, everything, nodes)
    np.testing.assert_allclose(ours.relative(q), expected, rtol=0, atol=3e-3)


STOPS = {
    "central stop": ((CentralBlock(5e-5),), lambda d, x: (abs(d) >= 5e-5) | (abs(x) >= 5e-5)),
    "knife": ((KnifeBlade(2e-5, "roll"),), lambda d, x: x > 2e-5),
    "square": ((SquareOpening(9e-5),), lambda d, x: (abs(d) < 9e-5) & (abs(x) < 9e-5)),
    "rounder": ((RoundOpening(1.4e-4),), lambda d, x: d**2 + x**2 < 1.4e-4**2),
}


@pytest.mark.parametrize("name", STOPS)
@pytest.mark.parametrize("first", [True, False])
def test_a_circle_goes_with_other_stops(name, first):
    others, passes = STOPS[name]
    circle = (RoundOpening(RADIUS),)
    ours = symmetric(*(circle + others if first else others + circle))
    q, nodes = at_the_rim(200), (20_000, 1)
    q[::2] *= 0.5

    def both(delta, xi):
        return in_circle(delta, xi) & passes(delta, xi)

    expected = quadrature(q, 0.0, 0.0, both, nodes)
    expected /= quadrature(np.zeros(3), 0.0, 0.0, everything, nodes)
    np.testing.assert_allclose(ours.relative(q), expected, rtol=0, atol=3e-4)


def test_rays_drawn_at_the_rim_pass_as_often_as_they_should():
    """φ = 0.09 mrad, χ = 0.2 mrad: slabs let 0.596 through where the circle lets 0.568."""
    phi, chi = 9e-5, 2e-4
    centre = np.array([phi * COSINE, chi, -phi * SINE])
    half_box = np.array([2e-6, 1e-6])
    open_, closed = symmetric(), symmetric(RoundOpening(RADIUS))
    assert float(closed.relative(centre)) == pytest.approx(0.5676, abs=5e-4)
    draw = np.random.default_rng(3)
    counts = np.zeros(2)
    xi = 2.0 * SINE * chi
    for _ in range(20):
        # Only q_2θ depends on δ: δ is drawn evenly over what the box can hold, and weighs as the
        # lens transmits it; ζ_v and ε as the beam has them.
        zeta = draw.normal(size=1_000_000) * VERTICAL
        energy = draw.normal(size=zeta.size) * BANDWIDTH
        rock = SINE * energy - COSINE * zeta
        near = (abs(zeta) < CLIP) & (abs(rock - centre[0]) < half_box[0])
        zeta, energy = zeta[near], energy[near]
        straight = 2.0 * SINE * (centre[2] - COSINE * energy) + zeta * math.cos(2.0 * THETA)
        delta = straight + 2.0 * SINE * half_box[1] * draw.uniform(-1.0, 1.0, zeta.size)
        inside = delta**2 + xi**2 < RADIUS**2
        lens = np.exp(-0.5 * (delta / LENS) ** 2)
        counts += np.array([lens @ inside, lens.sum()])
    share, rays = counts[0] / counts[1], counts[1]
    error = math.sqrt(share * (1.0 - share) / rays)
    node = np.linspace(-1.0, 1.0, 41)
    box = centre + np.stack(np.meshgrid(node, [0.0], node, indexing="ij"), -1).reshape(-1, 3) * [
        half_box[0],
        0.0,
        half_box[1],
    ]
    expected = closed.relative(box).sum() / open_.relative(box).sum()
    assert error < 0.002
    assert abs(share - expected) < 4.0 * error


def test_a_circle_beyond_the_corners_is_none():
    (term,) = passages(1.0, [RoundOpening(1.5)])
    assert math.isinf(term.radius)
    (term,) = passages(1.0, [RoundOpening(1.4)])
    assert term.radius == 1.4
    assert symmetric(RoundOpening(1.5 * APERTURE)).factors is not None


def test_slabs_stand_for_a_circle_only_where_something_blurs_them():
    assert symmetric(RoundOpening(RADIUS)).factors is None
    blurred = symmetric(RoundOpening(RADIUS), horizontal=4.25e-6)
    assert blurred.factors is not None
    sharp = symmetric(RoundOpening(RADIUS), horizontal=1e-8)
    assert sharp.factors is None
    few, many = (
        len(replace(blurred.optics, divergence_horizontal=width).products) for width in (1e-5, 1e-6)
    )
    assert many > 2 * few


@pytest.mark.parametrize("radius", [RADIUS, 4e-4])
def test_what_a_circle_lets_through(radius):
    """Of two Gaussian angles, 1 - exp(-r²/2σ²)."""
    alone = Optics(BANDWIDTH, VERTICAL, CLIP, 0.0, LENS, math.inf, (RoundOpening(radius),))
    assert alone.throughput == pytest.approx(-math.expm1(-0.5 * (radius / LENS) ** 2), rel=1e-4)
