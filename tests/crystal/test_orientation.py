import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from weakbeam.crystal.lattice import UnitCell, unit
from weakbeam.crystal.materials import material
from weakbeam.crystal.orientation import sample_from_crystal_mount, symmetric_orientation

INDICES = st.tuples(*[st.integers(-6, 6)] * 3).filter(any)
TRICLINIC = UnitCell(4.1, 5.3, 6.7, 81.0, 97.0, 103.0)
CELLS = st.builds(
    UnitCell,
    *[st.floats(2.0, 15.0)] * 3,
    *[st.floats(65.0, 110.0)] * 3,
)


def assert_rotation(matrix):
    np.testing.assert_allclose(matrix @ matrix.T, np.eye(3), rtol=0, atol=1e-14)
    assert np.linalg.det(matrix) == pytest.approx(1, abs=1e-14)


def test_default_orientation_of_aluminium():
    found = symmetric_orientation(material("Al").cell, (-1, 1, -1), (1, 0, -1))
    expected = np.array([[1, 0, -1], [-1, -2, -1], [-1, 1, -1]]) / np.sqrt([[2], [6], [3]])
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-15)


@given(cell=CELLS, hkl=INDICES, uvw=INDICES)
def test_symmetric_orientation_of_any_crystal(cell, hkl, uvw):
    q, direction = unit(cell.plane_normal(hkl)), unit(cell.direction(uvw))
    assume(np.linalg.norm(np.cross(q, direction)) > 1e-3)
    rotation = symmetric_orientation(cell, hkl, uvw)
    assert_rotation(rotation)
    np.testing.assert_allclose(rotation @ q, [0, 0, 1], rtol=0, atol=1e-14)
    x, y, _ = rotation @ direction
    assert x > 0
    assert y == pytest.approx(0, abs=1e-13)


def test_a_direction_in_the_planes_needs_no_projection():
    rotation = symmetric_orientation(TRICLINIC, (1, 1, 2), (1, 1, -1))
    along_x = rotation @ unit(TRICLINIC.direction((1, 1, -1)))
    np.testing.assert_allclose(along_x, [1, 0, 0], rtol=0, atol=1e-15)


def test_orientation_is_rebuilt_for_every_reflection():
    cell = material("Al").cell
    for hkl in ((0, 0, 2), (1, 1, 1), (1, 3, 1), (-1, 1, -1)):
        rotation = symmetric_orientation(cell, hkl, (1, 2, 0))
        np.testing.assert_allclose(
            rotation @ cell.plane_normal(hkl),
            [0, 0, np.linalg.norm(cell.plane_normal(hkl))],
            atol=1e-14,
        )


@pytest.mark.parametrize("sign", [1, -1])
def test_x_axis_along_the_diffraction_vector_is_refused(sign):
    with pytest.raises(ValueError, match="parallel to the diffraction vector") as error:
        symmetric_orientation(material("Al").cell, (1, 1, 1), (sign, sign, sign))
    assert "\n" not in str(error.value)


def test_equal_indices_are_not_parallel_in_a_skew_cell():
    assert_rotation(symmetric_orientation(TRICLINIC, (1, 1, 1), (1, 1, 1)))


def test_zero_indices_are_refused():
    with pytest.raises(ValueError, match="hkl = 0 0 0"):
        symmetric_orientation(TRICLINIC, (0, 0, 0), (1, 0, 0))
    with pytest.raises(ValueError, match="x_axis = 0 0 0"):
        symmetric_orientation(TRICLINIC, (1, 0, 0), (0, 0, 0))


def test_mount_has_the_normals_as_rows():
    cell = material("Al").cell
    mount = sample_from_crystal_mount(cell, (1, 0, -1), (-1, -2, -1), (-1, 1, -1))
    assert_rotation(mount)
    np.testing.assert_allclose(mount @ unit(cell.plane_normal((1, 0, -1))), [1, 0, 0], atol=1e-15)
    np.testing.assert_allclose(mount @ unit(cell.plane_normal((-1, 1, -1))), [0, 0, 1], atol=1e-15)
    symmetric = symmetric_orientation(cell, (-1, 1, -1), (1, 0, -1))
    np.testing.assert_allclose(mount, symmetric, rtol=0, atol=1e-15)


def test_mount_of_a_hexagonal_crystal_uses_plane_normals():
    cell = material("Mg").cell
    # (2 −1 0) and (0 1 0) are orthogonal in the reciprocal lattice; [2 −1 0] and [0 1 0] are not.
    mount = sample_from_crystal_mount(cell, (2, -1, 0), (0, 1, 0), (0, 0, 1))
    assert_rotation(mount)
    np.testing.assert_allclose(mount, np.diag([1.0, 1.0, 1.0]), rtol=0, atol=1e-14)


@pytest.mark.parametrize(
    ("mount", "message"),
    [
        (((1, 0, 0), (0, 1, 0), (0, 1, 1)), "y .* and z .* enclose 45.0000 degrees"),
        (((1, 0, 0), (1, 0, 1000000), (0, 1, 0)), "orthogonal"),
        (((1, 0, 0), (0, 0, 1), (0, 1, 0)), "left-handed"),
        (((0, 0, 0), (0, 0, 1), (0, 1, 0)), "mount x = 0 0 0"),
    ],
)
def test_skew_and_left_handed_mounts_are_refused(mount, message):
    with pytest.raises(ValueError, match=message) as error:
        sample_from_crystal_mount(material("Al").cell, *mount)
    assert "\n" not in str(error.value)
