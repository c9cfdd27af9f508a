"""The light of a point behind an aperture, against what optics knows in closed form."""

import math

import numpy as np
import pytest
from instruments import BEAM
from scipy.special import j1

from weakbeam.instrument.optics import Optics
from weakbeam.instrument.pupil import pupil
from weakbeam.instrument.stops import (
    AbsorbingWire,
    CentralBlock,
    KnifeBlade,
    RoundOpening,
    SquareOpening,
)

K = 2 * math.pi / 7.293e-5
"""Wavenumber at 17 keV (1/µm)."""

STEPS = {
    "straight": np.diag([0.042, 0.04]),
    "turned": np.array([[0.0, 0.04], [0.045, 0.0]]),
    "skew": np.array([[0.03, 0.01], [-0.012, 0.04]]),
}
HALF, STEP = 30, 0.3


def pattern(steps, lens=1e3, aperture=1.2e-3, stops=()):
    """Intensity on a grid of (row, column), and u, v (µm) there along 2θ and roll."""
    optics = Optics(**BEAM, lens=lens, aperture=aperture, stops=stops)
    found = pupil(optics, K * STEPS[steps], HALF * STEP).intensity(HALF, STEP)
    x = STEP * np.arange(-HALF, HALF + 1)
    places = np.stack(np.meshgrid(x, x, indexing="ij"))
    return found, *np.tensordot(STEPS[steps], places, axes=1)


def line_integral(low, high, places, lens, times=lambda t: 1.0):
    """Integral of a Gaussian amplitude times another from low to high with the phase of a place."""
    edges = np.linspace(low, high, 4001)
    t = 0.5 * (edges[1:] + edges[:-1])
    amplitude = np.exp(-(t**2) / (4 * lens**2)) * times(t) * (edges[1] - edges[0])
    unique, where = np.unique(places.round(9), return_inverse=True)
    return (np.exp(1j * K * np.outer(unique, t)) @ amplitude)[where].reshape(places.shape)


@pytest.mark.parametrize("steps", STEPS)
@pytest.mark.parametrize("half_width", [9.4e-5, 2.1e-4, 1.03e-3])
def test_a_square_aperture_makes_a_product_of_sinc_squared(steps, half_width):
    found, u, v = pattern(steps, stops=(SquareOpening(half_width),))
    wanted = (np.sinc(K * half_width * u / np.pi) * np.sinc(K * half_width * v / np.pi)) ** 2
    np.testing.assert_allclose(found / found.max(), wanted, atol=1e-9)


@pytest.mark.parametrize("steps", STEPS)
@pytest.mark.parametrize("radius", [1e-4, 3.3e-4, 1e-3])
def test_a_round_aperture_makes_an_airy_pattern(steps, radius):
    found, u, v = pattern(steps, stops=(RoundOpening(radius),))
    z = np.maximum(K * radius * np.hypot(u, v), 1e-9)
    np.testing.assert_allclose(found / found.max(), (2 * j1(z) / z) ** 2, atol=1e-9)


def test_a_gaussian_lens_makes_a_gaussian():
    found, u, v = pattern("skew", lens=3.1e-4, aperture=math.inf)
    sigma = 1 / (2 * K * 3.1e-4)
    wanted = np.exp(-(u**2 + v**2) / (2 * sigma**2))
    np.testing.assert_allclose(found / found.max(), wanted, atol=1e-6)


@pytest.mark.parametrize("steps", ["straight", "skew"])
def test_a_block_takes_away_the_field_of_a_square(steps):
    lens, a, b = 3.1e-4, 9e-4, 1.2e-4
    found, u, v = pattern(steps, lens, a, (CentralBlock(b),))
    whole = line_integral(-a, a, u, lens) * line_integral(-a, a, v, lens)
    taken = line_integral(-b, b, u, lens) * line_integral(-b, b, v, lens)
    wanted = np.abs(whole - taken) ** 2
    scale = abs(np.linalg.det(K * STEPS[steps])) ** 2
    np.testing.assert_allclose(found / scale, wanted, atol=1e-5 * wanted.max())


@pytest.mark.parametrize("steps", ["straight", "turned"])
def test_blades_and_wires_act_along_their_axes(steps):
    lens, a = 3.1e-4, 9e-4
    wire, blade = AbsorbingWire(1.5e-4, 3e-5, "roll", 1.5), KnifeBlade(-1e-4, "two_theta")
    found, u, v = pattern(steps, lens, a, (wire, blade))

    def through(xi):
        x = (xi - wire.position) / wire.radius
        return np.exp(-0.5 * wire.optical_depth * np.sqrt(np.maximum(1 - x**2, 0)))

    field = line_integral(-1e-4, a, u, lens) * line_integral(-a, a, v, lens, through)
    scale = abs(np.linalg.det(K * STEPS[steps])) ** 2
    wanted = np.abs(field) ** 2
    np.testing.assert_allclose(found / scale, wanted, atol=1e-5 * wanted.max())


def test_all_light_that_passes_falls_somewhere():
    """Parseval, for apertures that cut each other: a circle and a square that cuts its sides."""
    stops = (RoundOpening(3e-4), SquareOpening(2.5e-4))
    optics = Optics(**BEAM, lens=2e-4, aperture=1e-3, stops=stops)
    passing = pupil(optics, K * STEPS["skew"], 40.0)
    intensity = passing.intensity(200, 0.2)
    assert 0.2**2 * intensity.sum() == pytest.approx(4 * np.pi**2 * passing.light, rel=0.02)
    rng = np.random.default_rng(3)
    delta, xi = rng.uniform(-2.5e-4, 2.5e-4, (2, 400_000))
    light = np.exp(-(delta**2 + xi**2) / (2 * 2e-4**2)) * (np.hypot(delta, xi) < 3e-4)
    area = 5e-4**2 * abs(np.linalg.det(K * STEPS["skew"]))
    assert passing.light == pytest.approx(area * light.mean(), rel=4e-3)
