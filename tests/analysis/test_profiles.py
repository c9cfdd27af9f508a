"""Peaks and widths of curves with known ones."""

import numpy as np
import pytest

from weakbeam.analysis.profiles import curve_peak, half_maximum_width

X = np.array([-3.0, -2.0, -1.2, -0.5, 0.1, 0.8, 1.7, 2.5])


def test_a_parabola_gives_back_its_vertex_on_uneven_positions():
    centers, heights = np.array([[-0.7, 0.33], [0.8, -1.2]]), np.array([[5.0, 9.0], [20.0, 7.0]])
    curves = heights - 0.8 * (X[:, None, None] - centers) ** 2
    position, height = curve_peak(curves, X)
    np.testing.assert_allclose(position, centers, atol=1e-13)
    np.testing.assert_allclose(height, heights, rtol=1e-14)


def test_peak_at_an_end_stays_there_and_dark_curves_have_none():
    curves = np.stack([X - X[0] + 1.0, X[-1] - X + 1.0, np.zeros_like(X), np.ones_like(X)], axis=1)
    position, height = curve_peak(curves, X)
    np.testing.assert_allclose(position, [2.5, -3.0, np.nan, -3.0])
    np.testing.assert_allclose(height, [6.5, 6.5, np.nan, 1.0])


def test_width_of_a_triangle_and_of_a_gaussian():
    x = np.linspace(-5, 5, 4001)
    triangle = np.maximum(0.0, 1.0 - np.abs(x - 0.3) / 1.5)
    gauss = np.exp(-0.5 * (x / 0.4) ** 2)
    widths = half_maximum_width(np.stack([triangle, gauss], axis=1), x)
    np.testing.assert_allclose(widths, [1.5, 2.354820045 * 0.4], rtol=2e-6)


def test_width_belongs_to_the_highest_peak():
    x = np.arange(9.0)
    curve = np.array([0.0, 2.0, 0.0, 0.0, 4.0, 0.0, 3.0, 0.0, 0.0])
    assert half_maximum_width(curve[:, None], x)[0] == pytest.approx(1.0)


def test_a_curve_that_does_not_fall_to_half_has_no_width():
    curves = np.stack([np.arange(8.0), np.full(8, 3.0), np.zeros(8)], axis=1)
    assert np.isnan(half_maximum_width(curves, X)).all()


@pytest.mark.parametrize("positions", [[0.0, 1.0], [0.0, 2.0, 1.0]])
def test_positions_must_fit_and_increase(positions):
    for function in (curve_peak, half_maximum_width):
        with pytest.raises(ValueError, match="position"):
            function(np.ones((3, 4)), positions)
