import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from weakbeam.crystal.lattice import UnitCell, unit
from weakbeam.diffraction.geometry import diffraction_vector_change, symmetric_geometry
from weakbeam.diffraction.goniometer_setting import (
    LAUE_TOLERANCE,
    GoniometerSetting,
    checked,
    setting_angles,
)
from weakbeam.diffraction.oblique import solve_oblique
from weakbeam.diffraction.reflection import bragg_angle
from weakbeam.instrument.beam import wavelength
from weakbeam.instrument.goniometer import rotation_z

ALUMINIUM = UnitCell.cubic(4.0493)
ENERGY = 19.1

# Henningsson et al. (2025), table A.2: ω1, η1, ω2, η2 in degrees.
PUBLISHED = {
    (-1, -1, 3): (6.432, 20.233, 263.568, -20.233),
    (-1, 1, 3): (96.432, 20.233, 353.568, -20.233),
    (1, -1, 3): (173.568, -20.233, 276.432, 20.233),
    (1, 1, 3): (83.568, -20.233, 186.432, 20.233),
}

# |η|, θ in degrees of one member of a group of the same crystal.
GROUPS = {
    (2, 0, 2): (43.447, 13.103),
    (2, 2, 2): (53.060, 16.121),
    (1, 1, 1): (54.338, 7.980),
    (3, 1, 1): (71.774, 15.417),
    (2, 0, 0): (90.0, 9.225),
    (2, 2, 0): (90.0, 13.103),
    (3, 1, -1): (108.226, 15.417),
    (1, 1, -1): (125.662, 7.980),
    (2, 2, -2): (126.940, 16.121),
    (2, 0, -2): (136.553, 13.103),
    (1, 1, -3): (159.767, 15.417),
}


def random_rotation(generator: np.random.Generator) -> np.ndarray:
    q, r = np.linalg.qr(generator.normal(size=(3, 3)))
    q = q * np.sign(np.diag(r))
    return q * np.sign(np.linalg.det(q))


def random_cell(generator: np.random.Generator) -> UnitCell:
    return UnitCell(*generator.uniform(3, 9, 3), *generator.uniform(70, 110, 3))


def solved(hkl, cell=ALUMINIUM, orientation=None, energy=ENERGY):
    found = solve_oblique(cell, np.eye(3) if orientation is None else orientation, hkl, energy)
    assert found is not None
    return found


@pytest.mark.parametrize("hkl", PUBLISHED)
def test_published_table(hkl) -> None:
    first, second = solved(hkl)
    angles = [math.degrees(a) for s in (first, second) for a in (s.omega, s.eta)]
    np.testing.assert_allclose(angles, PUBLISHED[hkl], atol=1e-3)
    assert math.degrees(first.theta) == pytest.approx(15.417, abs=1e-3)
    assert second.theta == first.theta


@pytest.mark.parametrize("hkl", GROUPS)
def test_groups_of_the_same_crystal(hkl) -> None:
    eta, theta = GROUPS[hkl]
    for solution in solved(hkl):
        assert math.degrees(abs(solution.eta)) == pytest.approx(eta, abs=1e-3)
        assert math.degrees(solution.theta) == pytest.approx(theta, abs=1e-3)


def test_random_triclinic_crystals_fulfil_the_laue_condition() -> None:
    generator = np.random.default_rng(20)
    reached = missed = 0
    for _ in range(200):
        cell, orientation = random_cell(generator), random_rotation(generator)
        hkl, energy = generator.integers(-4, 5, 3), generator.uniform(8, 40)
        if not hkl.any():
            continue
        q = orientation @ cell.reciprocal @ hkl
        k = 2 * math.pi * energy / 12.398419843
        found = solve_oblique(cell, orientation, hkl.tolist(), energy)
        if found is None:
            # No point of the circle that Q runs on comes near the Ewald sphere.
            circle = np.stack([rotation_z(a) @ q for a in np.linspace(0, 2 * math.pi, 721)])
            beyond = np.linalg.norm(circle + np.array([k, 0, 0]), axis=1) - k
            assert np.all(beyond > 0)
            missed += 1
            continue
        reached += 1
        assert found[0].omega <= found[1].omega
        for solution in found:
            turned = rotation_z(solution.omega) @ q
            k_out = np.array([k, 0, 0]) + turned
            assert abs(np.linalg.norm(k_out) - k) < 1e-10 * np.linalg.norm(q)
            drawn = k * solution.geometry.k_out_lab
            assert np.linalg.norm(drawn - k_out) < LAUE_TOLERANCE * np.linalg.norm(q)
            assert solution.laue_residual(q, energy) < LAUE_TOLERANCE
            assert solution.theta == pytest.approx(
                bragg_angle(float(cell.d_spacing(hkl)), energy), rel=1e-12
            )
            assert 0 <= solution.omega < 2 * math.pi
            assert -math.pi < solution.eta <= math.pi
    assert reached > 100
    assert missed > 5


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_the_half_angle_form_has_the_same_roots(seed: int) -> None:
    """Published for any axis: a quadratic in tan(ω/2), here about z."""
    generator = np.random.default_rng(seed)
    q, k = generator.normal(size=3), 4.0 + generator.uniform()
    theta, omega, _ = setting_angles(q, 12.398419843 * k / (2 * math.pi))
    axis = np.array([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 0.0]])
    beam = np.array([k, 0.0, 0.0])
    a0, a1 = -beam @ axis @ axis @ q, beam @ axis @ q
    a2 = beam @ (np.eye(3) + axis @ axis) @ q + 0.5 * q @ q
    discriminant = a1**2 - (a2 - a0) * (a0 + a2)
    assert np.isnan(theta) == (discriminant < 0)
    if discriminant > 1e-6:
        half = np.tan(omega / 2)
        residual = (a2 - a0) * half**2 + 2 * a1 * half + a0 + a2
        np.testing.assert_allclose(residual / (1 + half**2), 0, atol=1e-11 * k * k)


def test_frames_of_a_solution_agree_with_its_diffraction_vector() -> None:
    generator = np.random.default_rng(3)
    for _ in range(10):
        cell, orientation = random_cell(generator), random_rotation(generator)
        found = solve_oblique(cell, orientation, (1, 1, 0), 30.0)
        for solution in found or ():
            geometry = solution.geometry
            q = unit(orientation @ cell.plane_normal((1, 1, 0)))
            np.testing.assert_allclose(geometry.q0_sample, q, atol=1e-12)
            basis = geometry.lab_from_imaging
            s, c = math.sin(2 * solution.theta), math.cos(2 * solution.theta)
            se, ce = math.sin(solution.eta), math.cos(solution.eta)
            np.testing.assert_allclose(basis[:, 0], [c, -s * se, s * ce], atol=1e-12)
            np.testing.assert_allclose(basis[:, 1], [0, ce, se], atol=1e-12)
            np.testing.assert_allclose(basis[:, 2], [-s, -c * se, c * ce], atol=1e-12)


def test_dilatation_is_seen_along_the_diffraction_vector_only() -> None:
    """An expansion ε gives q = -ε (sinθ, 0, cosθ) in the imaging frame of every reflection."""
    generator = np.random.default_rng(4)
    for _ in range(10):
        cell, orientation = random_cell(generator), random_rotation(generator)
        for solution in solve_oblique(cell, orientation, (0, 1, 1), 30.0) or ():
            geometry = solution.geometry
            change = diffraction_vector_change(1e-4 * np.eye(3), geometry.q0_sample)
            expected = [math.sin(solution.theta), 0, math.cos(solution.theta)]
            seen = geometry.imaging_from_sample @ change
            np.testing.assert_allclose(seen, -1e-4 / 1.0001 * np.array(expected), atol=1e-15)


def test_motors_turn_about_their_axes() -> None:
    solution = solved((-1, -1, 3))[0]
    geometry = solution.geometry
    turn = rotation_z(solution.omega)
    q = geometry.q0_lab
    phi, chi, arm = geometry.motor_vectors
    to_imaging = geometry.lab_from_imaging.T
    np.testing.assert_allclose(phi, to_imaging @ np.cross(turn @ [0, 1, 0], q), atol=1e-14)
    np.testing.assert_allclose(chi, to_imaging @ np.cross(turn @ [-1, 0, 0], q), atol=1e-14)
    np.testing.assert_allclose(arm, [0, 0, -0.5 / math.sin(solution.theta)], atol=1e-14)


def test_upright_scattering_is_the_symmetric_geometry() -> None:
    """Q tilted back by θ diffracts at ω = 0, straight up."""
    d, energy = 2.0, 17.0
    theta = bragg_angle(d, energy)
    q = 2 * math.pi / d * np.array([-math.sin(theta), 0.0, math.cos(theta)])
    _, omega, eta = setting_angles(q, energy)
    # Q touches the sphere: both solutions are one, found to the root of the rounding error.
    turned = np.minimum(omega, 2 * math.pi - omega)
    np.testing.assert_allclose(turned, 0, atol=1e-6)
    np.testing.assert_allclose(eta, 0, atol=1e-6)
    upright = symmetric_geometry(theta)
    solution = GoniometerSetting(theta, 0.0, 0.0).geometry
    np.testing.assert_allclose(solution.lab_from_imaging, upright.lab_from_imaging, atol=1e-14)
    np.testing.assert_allclose(solution.q0_lab, upright.q0_lab, atol=1e-14)


@pytest.mark.parametrize(
    ("hkl", "energy"),
    [((0, 0, 2), 19.1), ((1, 1, 1), 2.0), ((0, 1, 7), 40.0)],
    ids=["along the axis", "too long a wave", "too near the axis"],
)
def test_out_of_reach(hkl, energy) -> None:
    assert solve_oblique(ALUMINIUM, np.eye(3), hkl, energy) is None


def test_many_at_once_equal_one_by_one() -> None:
    hkl = [(1, 1, 1), (0, 0, 2), (3, 1, -1)]
    theta, omega, eta = setting_angles(ALUMINIUM.plane_normal(hkl), ENERGY)
    assert np.isnan(theta[1])
    assert np.isnan(omega[1]).all()
    assert np.isnan(eta[1]).all()
    for index in (0, 2):
        for number, solution in enumerate(solved(hkl[index])):
            assert (solution.omega, solution.eta) == (omega[index, number], eta[index, number])


def test_beams_straight_down_have_a_positive_azimuth() -> None:
    k = 2 * math.pi / wavelength(ENERGY)
    # Touching the sphere from below: k_out lies in the vertical plane exactly.
    theta = 0.2
    q = 2 * k * math.sin(theta) * np.array([-math.sin(theta), 0.0, -math.cos(theta)])
    _, omega, eta = setting_angles(q * (1 - 1e-15), ENERGY)
    assert np.all(np.isnan(eta) | (np.abs(eta) > math.pi - 1e-6))
    assert not np.any(eta == -math.pi)
    assert not np.any(omega >= 2 * math.pi)


def test_an_orientation_that_is_no_rotation_is_noticed() -> None:
    solution = solved((1, 1, 1))[0]
    with pytest.raises(ArithmeticError, match="Laue condition is missed"):
        checked(solution, 1.01 * ALUMINIUM.plane_normal((1, 1, 1)), ENERGY)


def test_indices_must_be_whole_numbers() -> None:
    with pytest.raises(ValueError, match="whole numbers"):
        solve_oblique(ALUMINIUM, np.eye(3), (1, 0.5, 0), ENERGY)
