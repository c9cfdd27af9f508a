"""What interpolation leaves of points of lines in a medium, against the isotropic closed form."""

import numpy as np
import pytest
from mura import LEVI_CIVITA, isotropic_stiffness

from weakbeam.crystal.elasticity import AnisotropicMedium
from weakbeam.defects.anisotropic_segments import tables_of
from weakbeam.defects.green import relative_stiffness
from weakbeam.defects.measured_gaps import LEAST_GAP, measured_error, measured_gap

NU = 0.3


def greens_derivative(r):
    """G_ip,q (D10) times 16π(1 − ν), shear modulus 1, at r (..., 3)."""
    distance = np.linalg.norm(r, axis=-1)[..., None, None, None]
    n, delta = r / distance[..., 0, 0], np.eye(3)
    first = -(3 - 4 * NU) * np.einsum("ip,...q->...ipq", delta, n)
    third = -3 * np.einsum("...i,...p,...q->...ipq", n, n, n)
    others = np.einsum("iq,...p->...ipq", delta, n) + np.einsum("pq,...i->...ipq", delta, n)
    return (first + third + others) / distance**2


@pytest.mark.parametrize(("order", "gap"), [(4, 3.0), (8, 1.2)])
def test_the_error_in_an_isotropic_medium_is_that_of_its_closed_form(order, gap):
    matrix = np.diag([2.0] * 3 + [1.0] * 3)
    matrix[:3, :3] += 2.0 * NU / (1.0 - 2.0 * NU)
    medium = AnisotropicMedium(matrix)
    tables, stiffness = tables_of(medium), relative_stiffness(medium)
    found = measured_error(order, gap, tables.derivatives, tables.cells, stiffness)
    at = np.cos(np.pi * (np.arange(order) + 0.5) / order)
    t = np.linspace(-1.0, 1.0, 81)
    axis, worst = np.array([1.0, 0.0, 0.0]), 0.0
    for angle in np.linspace(0.0, np.pi, 181):
        source = (1.0 + gap) * np.array([np.cos(angle), np.sin(angle), 0.0])
        g = [greens_derivative(places[:, None] * axis - source) for places in (at, t)]
        left = np.polynomial.polynomial.polyval(
            t, np.polynomial.polynomial.polyfit(at, g[0].reshape(order, -1), order - 1)
        ).T.reshape(-1, 3, 3, 3)
        stress = np.einsum("pqmn,sipq->simn", isotropic_stiffness(NU), left - g[1])
        field = np.einsum("jnh,simn->sijmh", LEVI_CIVITA, stress) / (16 * np.pi * (1 - NU))
        nearest = np.linalg.norm(t[:, None] * axis - source, axis=1).min()
        size = 2 * np.pi * nearest**2 * np.sqrt(np.sum(field**2, axis=(3, 4)))
        worst = max(worst, size.max())
    # What is found leaves room for what is between its directions, and not too much.
    assert 1.0 <= found / worst <= 1.5


def test_gaps_keep_the_error_below_what_is_allowed_and_are_the_least():
    matrix = np.diag([47.0] * 3 + [75.4] * 3)
    matrix[:3, :3] += 121.4
    medium = AnisotropicMedium(matrix)
    tables = tables_of(medium)
    rest = tables.derivatives, tables.cells, relative_stiffness(medium)
    gap = measured_gap(6, 1e-3, *rest)
    assert measured_error(6, gap, *rest) <= 1e-3 < measured_error(6, 0.93 * gap, *rest)
    assert measured_gap(8, 0.1, *rest) == LEAST_GAP
