import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from weakbeam.crystal.lattice import UnitCell, unit
from weakbeam.crystal.materials import material
from weakbeam.crystal.orientation import (
    sample_from_crystal_euler,
    sample_from_crystal_mount,
    sample_from_crystal_quaternion,
    sample_from_crystal_ub,
    symmetric_orientation,
    turned_upright,
)

INDICES = st.tuples(*[st.integers(-6, 6)] * 3).filter(any)
TRICLINIC = UnitCell(4.1, 5.3, 6.7, 81.0, 97.0, 103.0)
CELLS = st.builds(
    UnitCell,
    *[st.floats(2.0, 15.0)] * 3,
    *[st.floats(65.0, 110.0)] * 3,
)
ANGLES = st.floats(-7.0, 7.0)


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


@given(CELLS, ANGLES, ANGLES, ANGLES)
def test_ub_of_another_program_gives_the_same_lattice(cell, phi1, phi, phi2):
    """Busing & Levy (1967), as in ImageD11: a* along x, b* in the plane of x and y."""
    assume(cell.volume > 0.1 * cell.a * cell.b * cell.c)
    a, b, c = (np.linalg.norm(v) / (2 * np.pi) for v in cell.reciprocal.T)
    unit_vectors = unit(cell.reciprocal.T)
    cos_beta, cos_gamma = unit_vectors[2] @ unit_vectors[0], unit_vectors[0] @ unit_vectors[1]
    sin_beta, sin_gamma = np.sqrt(1 - cos_beta**2), np.sqrt(1 - cos_gamma**2)
    cos_alpha_direct = np.cos(np.radians(cell.alpha))
    b_matrix = np.array(
        [
            [a, b * cos_gamma, c * cos_beta],
            [0.0, b * sin_gamma, -c * sin_beta * cos_alpha_direct],
            [0.0, 0.0, 1.0 / cell.c],
        ]
    )
    turn = sample_from_crystal_euler(phi1, phi, phi2)
    found = sample_from_crystal_ub(cell, turn @ b_matrix)
    np.testing.assert_allclose(found @ found.T, np.eye(3), atol=1e-12)
    # Where each reciprocal-lattice vector points is what UB says and what images depend on.
    for hkl in ((1, 0, 0), (0, 1, 0), (1, -2, 3)):
        expected = turn @ b_matrix @ hkl
        np.testing.assert_allclose(
            found @ cell.plane_normal(hkl) / (2 * np.pi), expected, atol=1e-9
        )


def test_rows_of_the_inverse_of_ub_are_the_cell_edges():
    turn = sample_from_crystal_quaternion((0.3, -0.5, 0.8, 0.1))
    ub = turn @ TRICLINIC.reciprocal / (2 * np.pi)
    np.testing.assert_allclose(np.linalg.inv(ub), (turn @ TRICLINIC.direct).T, atol=1e-12)
    np.testing.assert_allclose(sample_from_crystal_ub(TRICLINIC, ub), turn, atol=1e-12)


def test_orientation_of_a_strained_ub_is_the_nearest_rotation():
    turn = sample_from_crystal_quaternion((0.9, 0.1, 0.3, -0.2))
    stretch = np.eye(3) + 1e-3 * np.array([[1.0, 0.5, 0.0], [0.5, -2.0, 1.0], [0.0, 1.0, 0.5]])
    ub = np.linalg.inv(turn @ stretch @ TRICLINIC.direct).T
    np.testing.assert_allclose(sample_from_crystal_ub(TRICLINIC, ub), turn, atol=1e-12)


@pytest.mark.parametrize(
    ("factor", "message"),
    [
        (1.01, r"is of the cell 4.0594, .* the crystal has 4.1, 5.3, 6.7 angstrom, 81, 97, 103"),
        (2 * np.pi, "it must be without the factor 2π"),
    ],
)
def test_ub_of_another_cell_is_refused(factor, message):
    ub = factor * TRICLINIC.reciprocal / (2 * np.pi)
    with pytest.raises(ValueError, match=message):
        sample_from_crystal_ub(TRICLINIC, ub)


@pytest.mark.parametrize(
    ("ub", "message"),
    [
        (np.diag([0.25, 0.25, -0.25]), "left-handed"),
        (np.ones((3, 3)), "singular"),
        (np.zeros((3, 3)), "singular"),
    ],
)
def test_ub_that_is_no_lattice_is_refused(ub, message):
    with pytest.raises(ValueError, match=message):
        sample_from_crystal_ub(UnitCell.cubic(4.0), ub)


@given(ANGLES, ANGLES, ANGLES)
def test_euler_angles_are_the_transpose_of_the_matrix_of_texture_analysis(phi1, phi, phi2):
    """Bunge (1982), equation 2.50, element by element."""
    c1, s1, c, s = np.cos(phi1), np.sin(phi1), np.cos(phi), np.sin(phi)
    c2, s2 = np.cos(phi2), np.sin(phi2)
    g = np.array(
        [
            [c1 * c2 - s1 * s2 * c, s1 * c2 + c1 * s2 * c, s2 * s],
            [-c1 * s2 - s1 * c2 * c, -s1 * s2 + c1 * c2 * c, c2 * s],
            [s1 * s, -c1 * s, c],
        ]
    )
    np.testing.assert_allclose(sample_from_crystal_euler(phi1, phi, phi2), g.T, atol=1e-14)


def test_goss_and_brass_components():
    """{011}<100> and {011}<211>, plane parallel to z of the sample, direction along x."""
    for angles, normal, along in (
        ((0.0, 45.0, 0.0), (0, 1, 1), (1, 0, 0)),
        ((35.2644, 45.0, 0.0), (0, 1, 1), (2, -1, 1)),
    ):
        turn = sample_from_crystal_euler(*np.radians(angles))
        np.testing.assert_allclose(turn @ unit(normal), [0, 0, 1], atol=1e-6)
        np.testing.assert_allclose(np.abs(turn @ unit(along)), [1, 0, 0], atol=1e-6)


def test_a_known_orientation_in_the_forms_of_other_programs():
    """The a axis 30° from x towards y; then 30°, 40°, 50° as orix and DAMASK write them."""
    turned = sample_from_crystal_euler(np.radians(30), 0.0, 0.0)
    np.testing.assert_allclose(turned[:, 0], [np.sqrt(0.75), 0.5, 0], atol=1e-15)
    u = sample_from_crystal_euler(*np.radians([30.0, 40.0, 50.0]))
    scipy = Rotation.from_euler("ZXZ", [30, 40, 50], degrees=True)
    np.testing.assert_allclose(u, scipy.as_matrix(), atol=1e-15)
    x, y, z, w = scipy.as_quat()
    np.testing.assert_allclose(u, sample_from_crystal_quaternion([w, x, y, z]), atol=1e-15)
    # damask.Rotation.from_Euler_angles(...).as_quaternion() of 3.1.0, from_euler(...).data of orix
    # 0.15; both give this matrix, from the sample to the crystal.
    damask = [0.71984631, 0.33682409, -0.05939117, 0.60402277]
    orix = [0.71984631, -0.33682409, 0.05939117, -0.60402277]
    matrix = [
        [0.26325835, 0.82959837, 0.49240388],
        [-0.90961589, 0.04341204, 0.41317591],
        [0.3213938, -0.5566704, 0.76604444],
    ]
    np.testing.assert_allclose(u.T, matrix, atol=1e-8)
    np.testing.assert_allclose(sample_from_crystal_quaternion(damask), u, atol=2e-8)
    np.testing.assert_allclose(sample_from_crystal_quaternion(orix), u.T, atol=2e-8)
    al = material("Al").cell
    ub = u @ al.reciprocal / (2 * np.pi)  # as ImageD11 has it
    np.testing.assert_allclose(sample_from_crystal_ub(al, ub), u, atol=1e-14)


@pytest.mark.parametrize("axis", np.eye(3))
def test_quaternion_turns_right_handed(axis):
    half = np.radians(20.0)
    turn = sample_from_crystal_quaternion([5 * np.cos(half), *(5 * np.sin(half) * axis)])
    assert_rotation(turn)
    np.testing.assert_allclose(turn @ axis, axis, atol=1e-15)
    across = np.roll(axis, 1)
    expected = np.cos(2 * half) * across + np.sin(2 * half) * np.cross(axis, across)
    np.testing.assert_allclose(turn @ across, expected, atol=1e-15)


def test_quaternion_of_no_length_is_refused():
    for quaternion in ((0, 0, 0, 0), (np.nan, 0, 0, 1)):
        with pytest.raises(ValueError, match="finite and not zero"):
            sample_from_crystal_quaternion(quaternion)


@given(CELLS, INDICES, st.floats(0.0, 3.0), ANGLES)
def test_upright_by_the_smallest_rotation(cell, hkl, lean, azimuth):
    assume(
        np.linalg.norm(np.cross(unit(cell.direction((1, 2, 3))), unit(cell.plane_normal(hkl))))
        > 0.01
    )
    level = symmetric_orientation(cell, hkl, (1, 2, 3))
    axis = (np.cos(lean / 2), *(np.sin(lean / 2) * np.array([np.cos(azimuth), np.sin(azimuth), 0])))
    leaning = sample_from_crystal_quaternion(axis) @ level
    np.testing.assert_allclose(turned_upright(leaning, cell, hkl), level, atol=1e-9)
