import numpy as np
import pytest

from weakbeam.defects.chebyshev import (
    LEAST_GAP,
    coefficients_from_values,
    error_bound,
    least_gap,
    nodes,
    restriction,
)


def test_coefficients_of_a_polynomial_are_exact():
    wanted = np.array([0.3, -1.0, 2.0, 0.25, -0.5])
    values = np.polynomial.chebyshev.chebval(nodes(5), wanted)
    np.testing.assert_allclose(coefficients_from_values(5) @ values, wanted, atol=1e-14)


def test_a_polynomial_is_handed_down_without_loss():
    whole = np.array([0.3, -1.0, 2.0, 0.25])
    t = np.linspace(-1, 1, 50)
    for order in (4, 6):
        part = restriction(order, 4, 0.5, -0.5) @ whole
        expected = np.polynomial.chebyshev.chebval(0.5 * t - 0.5, whole)
        np.testing.assert_allclose(np.polynomial.chebyshev.chebval(t, part), expected, atol=1e-14)


@pytest.mark.parametrize("order", [1, 3, 8])
@pytest.mark.parametrize("gap", [1.5, 4.0, 30.0])
def test_interpolated_poles_keep_their_bound(order, gap):
    t = np.linspace(-1, 1, 401)
    matrix = coefficients_from_values(order)
    for angle in np.linspace(0, np.pi, 19):
        pole = (1 + gap) * np.exp(1j * angle)
        for function in (
            lambda x, pole=pole: 1 / (x - pole),
            lambda x, pole=pole: (x - pole.conjugate()) / (x - pole) ** 2,
        ):
            found = np.polynomial.chebyshev.chebval(t, matrix @ function(nodes(order)))
            error = np.abs(found - function(t)) * np.abs(t - pole)
            assert error.max() < error_bound(order, gap)


@pytest.mark.parametrize("order", [1, 2, 5, 8])
@pytest.mark.parametrize("tolerance", [1e-1, 1e-4, 1e-12])
def test_the_least_gap_just_meets_the_tolerance(order, tolerance):
    gap = least_gap(order, tolerance)
    assert error_bound(order, 1.0001 * gap) < tolerance
    assert gap == pytest.approx(LEAST_GAP) or error_bound(order, 0.999 * gap) > tolerance
