"""Curves of the perfect crystal (physics.md, E6)."""

import numpy as np
import pytest
from default_instrument import ACCEPTANCE, GEOMETRY, engine_images, rays
from scipy.optimize import brentq

from weakbeam.assemble import assemble
from weakbeam.experiment import Experiment
from weakbeam.run.frames import perfect_intensity

DIRECTIONS = {
    "phi": (1.0, 0.0, 0.0),
    "chi": (0.0, 1.0, 0.0),
    "arm": (0.0, 0.0, 1.0),
    "strain": (-0.5, 0.0, 1.0),
}


def curve(direction, position):
    settings = np.multiply.outer(position, DIRECTIONS[direction])
    return ACCEPTANCE.density(settings @ GEOMETRY.motor_vectors) / ACCEPTANCE.peak


ROCKING = [(130, 0.665), (140, 0.376), (150, 0.106), (160, 0.0122), (170, 5.2e-4)]


@pytest.mark.parametrize(("microrad", "intensity"), ROCKING)
def test_rocking_curve(microrad, intensity):
    digit = {0.0122: 1e-4, 5.2e-4: 1e-5}.get(intensity, 1e-3)
    for side in (1e-6, -1e-6):
        assert curve("phi", side * microrad) == pytest.approx(intensity, abs=0.6 * digit)


@pytest.mark.parametrize(
    ("direction", "fwhm"),
    [("phi", 272e-6), ("chi", 2.35e-3), ("arm", 0.733e-3), ("strain", 0.546e-3)],
)
def test_full_widths_at_half_maximum(direction, fwhm):
    half = brentq(lambda x: curve(direction, x) - 0.5, 0.0, 2 * fwhm)
    assert 2 * half == pytest.approx(fwhm, rel=5e-3)


def test_strain_that_the_strain_scan_spans():
    half = brentq(lambda x: curve("strain", x) - 0.5, 0.0, 1e-3)
    assert half / np.tan(GEOMETRY.theta) == pytest.approx(1.7e-3, rel=0.02)


def test_the_empty_experiment_has_these_curves():
    settings = np.outer([130e-6, 150e-6, 170e-6], [1, 0, 0])
    found = perfect_intensity(assemble(Experiment()), settings)
    np.testing.assert_allclose(found, curve("phi", settings[:, 0]), rtol=1e-6)


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_the_engine_follows_the_curves_into_the_tails(direction):
    position = np.linspace(-2, 2, 9) * {"phi": 1.5e-4, "chi": 1.2e-3}.get(direction, 5e-4)
    settings = np.outer(position, DIRECTIONS[direction])
    found = engine_images([], settings, rays(shape=(1, 2)))[:, 0, 0]
    expected = curve(direction, position)
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-12)
