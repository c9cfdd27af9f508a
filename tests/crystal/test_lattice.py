import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from weakbeam.crystal.lattice import UnitCell, miller, unit

CELLS = {
    "triclinic": UnitCell(4.1, 5.3, 6.7, 81.0, 97.0, 103.0),
    "monoclinic": UnitCell(4.1, 5.3, 6.7, beta=103.0),
    "orthorhombic": UnitCell(4.1, 5.3, 6.7),
    "tetragonal": UnitCell(4.1, 4.1, 6.7),
    "rhombohedral": UnitCell(4.7, 4.7, 4.7, 57.0, 57.0, 57.0),
    "hexagonal": UnitCell.hexagonal(3.2, 5.2),
    "cubic": UnitCell.cubic(4.0495),
}
SYSTEMS = pytest.mark.parametrize("system", CELLS)
PLANES = [(1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 1, 0), (1, -1, 1), (-3, 1, 2), (2, 0, -5)]


def inverse_d_squared(system, cell, hkl):
    """1/d² as textbooks give it (International Tables B, section 1.1; Cullity, appendix 1)."""
    h, k, l = hkl  # noqa: E741
    a, b, c = cell.a, cell.b, cell.c
    match system:
        case "cubic":
            return (h * h + k * k + l * l) / a**2
        case "tetragonal":
            return (h * h + k * k) / a**2 + l * l / c**2
        case "orthorhombic":
            return h * h / a**2 + k * k / b**2 + l * l / c**2
        case "hexagonal":
            return 4 / 3 * (h * h + h * k + k * k) / a**2 + l * l / c**2
        case "rhombohedral":
            cos = math.cos(math.radians(cell.alpha))
            squares, products = h * h + k * k + l * l, h * k + k * l + h * l
            return (squares * (1 - cos**2) + 2 * products * (cos**2 - cos)) / (
                a**2 * (1 - 3 * cos**2 + 2 * cos**3)
            )
        case "monoclinic":
            beta = math.radians(cell.beta)
            return (
                h * h / a**2
                + k * k * math.sin(beta) ** 2 / b**2
                + l * l / c**2
                - 2 * h * l * math.cos(beta) / (a * c)
            ) / math.sin(beta) ** 2
        case _:
            alpha, beta, gamma = np.radians([cell.alpha, cell.beta, cell.gamma])
            s11 = (b * c * np.sin(alpha)) ** 2
            s22 = (a * c * np.sin(beta)) ** 2
            s33 = (a * b * np.sin(gamma)) ** 2
            s12 = a * b * c**2 * (np.cos(alpha) * np.cos(beta) - np.cos(gamma))
            s23 = a**2 * b * c * (np.cos(beta) * np.cos(gamma) - np.cos(alpha))
            s13 = a * b**2 * c * (np.cos(gamma) * np.cos(alpha) - np.cos(beta))
            squares = s11 * h * h + s22 * k * k + s33 * l * l
            return (squares + 2 * (s12 * h * k + s23 * k * l + s13 * h * l)) / cell.volume**2


@SYSTEMS
def test_direct_and_reciprocal_bases_are_dual(system):
    cell = CELLS[system]
    product = cell.direct.T @ cell.reciprocal / (2 * math.pi)
    np.testing.assert_allclose(product, np.eye(3), rtol=0, atol=1e-14)


@SYSTEMS
def test_basis_vectors_have_the_lengths_and_angles_of_the_cell(system):
    cell = CELLS[system]
    metric = cell.direct.T @ cell.direct
    np.testing.assert_allclose(np.sqrt(np.diag(metric)), [cell.a, cell.b, cell.c], rtol=1e-14)
    cosines = metric / np.sqrt(np.outer(np.diag(metric), np.diag(metric)))
    angles = np.degrees(np.arccos([cosines[1, 2], cosines[2, 0], cosines[0, 1]]))
    np.testing.assert_allclose(angles, [cell.alpha, cell.beta, cell.gamma], rtol=1e-13)


@SYSTEMS
def test_a_lies_along_x_and_b_in_the_xy_plane(system):
    basis = CELLS[system].direct
    assert basis[1, 0] == basis[2, 0] == basis[2, 1] == 0
    assert np.all(np.diag(basis) > 0)


@SYSTEMS
def test_volume_is_the_determinant(system):
    cell = CELLS[system]
    assert cell.volume == pytest.approx(np.linalg.det(cell.direct), rel=1e-14)
    assert np.linalg.det(cell.reciprocal) == pytest.approx(
        (2 * math.pi) ** 3 / cell.volume, rel=1e-13
    )


@SYSTEMS
@pytest.mark.parametrize("hkl", PLANES)
def test_d_spacing_agrees_with_the_textbook(system, hkl):
    cell = CELLS[system]
    expected = 1 / math.sqrt(inverse_d_squared(system, cell, hkl))
    assert cell.d_spacing(hkl) == pytest.approx(expected, rel=1e-13)


@SYSTEMS
def test_plane_normal_times_direction_counts_planes(system):
    cell = CELLS[system]
    for hkl in PLANES:
        for uvw in PLANES:
            expected = 2 * math.pi * np.dot(hkl, uvw)
            found = cell.plane_normal(hkl) @ cell.direction(uvw)
            assert found == pytest.approx(expected, abs=1e-12)


def test_arrays_of_indices():
    cell = CELLS["triclinic"]
    np.testing.assert_allclose(
        cell.plane_normal(PLANES), [cell.plane_normal(hkl) for hkl in PLANES], rtol=1e-15
    )
    np.testing.assert_allclose(
        cell.d_spacing(PLANES), [cell.d_spacing(hkl) for hkl in PLANES], rtol=1e-15
    )


def test_bases_cannot_be_changed_in_place():
    cell = CELLS["cubic"]
    with pytest.raises(ValueError, match="read-only"):
        cell.direct[0, 0] = 1.0
    with pytest.raises(ValueError, match="read-only"):
        cell.reciprocal[0, 0] = 1.0


def test_equal_cells_are_equal_and_hash_alike():
    assert UnitCell.cubic(4.0) == UnitCell(4.0, 4.0, 4.0)
    assert hash(UnitCell.cubic(4.0)) == hash(UnitCell(4.0, 4.0, 4.0))


@given(
    lengths=st.tuples(*[st.floats(1.0, 30.0)] * 3),
    angles=st.tuples(*[st.floats(60.0, 110.0)] * 3),
)
def test_duality_holds_for_any_cell(lengths, angles):
    cell = UnitCell(*lengths, *angles)
    product = cell.direct.T @ cell.reciprocal / (2 * math.pi)
    np.testing.assert_allclose(product, np.eye(3), rtol=0, atol=1e-11)


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        ((0, 1, 1), "length a = 0"),
        ((1, -2, 1), "length b = -2"),
        ((1, 1, math.inf), "length c = inf"),
        ((1, 1, math.nan), "length c = nan"),
        ((1, 1, 1, 0, 90, 90), "alpha = 0"),
        ((1, 1, 1, 90, 180, 90), "beta = 180"),
        ((1, 1, 1, 90, 90, math.nan), "gamma = nan"),
        ((1, 1, 1, 30, 40, 80), "enclose no volume"),
        ((1, 1, 1, 30, 40, 70), "enclose no volume"),
        ((1, 1, 1, 120, 120, 120), "enclose no volume"),
        ((1, 1, 1, 130, 120, 119), "enclose no volume"),
    ],
)
def test_impossible_cells_are_refused(cell, message):
    with pytest.raises(ValueError, match=message) as error:
        UnitCell(*cell)
    assert "\n" not in str(error.value)


def test_zero_indices_have_no_spacing():
    with pytest.raises(ValueError, match="no spacing"):
        CELLS["cubic"].d_spacing((0, 0, 0))


def test_miller_takes_whole_numbers_of_any_type():
    assert miller(np.array([1, -2, 1])) == (1, -2, 1)
    assert miller([1.0, 2.0, np.float64(3)]) == (1, 2, 3)
    assert all(type(i) is int for i in miller(np.array([1, -2, 1])))


@pytest.mark.parametrize(
    ("indices", "message"),
    [
        ((0, 0, 0), "no direction"),
        ((1, 2), "three indices"),
        ((1, 1, -2, 0), "three indices"),
        ((1, 0.5, 0), "whole numbers"),
        ((1, math.nan, 0), "whole numbers"),
        ((1, math.inf, 0), "whole numbers"),
    ],
)
def test_miller_refuses_what_is_no_plane(indices, message):
    with pytest.raises(ValueError, match=message):
        miller(indices)


def test_unit_vectors():
    vectors = np.array([[3.0, 0.0, 4.0], [0.0, -2.0, 0.0]])
    np.testing.assert_allclose(unit(vectors), [[0.6, 0, 0.8], [0, -1, 0]], rtol=1e-15)
    for impossible in ((0, 0, 0), (1, 0, math.nan), (math.inf, 0, 0)):
        with pytest.raises(ValueError, match="no direction"):
            unit(impossible)
