"""Frames of a reflection, the motors, and the change of q, against exact kinematics (A3, D1)."""

import math

import numpy as np
import pytest

from weakbeam.diffraction.geometry import (
    DiffractionGeometry,
    diffraction_vector_change,
    symmetric_geometry,
)
from weakbeam.instrument.goniometer import lab_from_sample, rotation_x, rotation_y, rotation_z

THETAS = [math.radians(8.9732), math.radians(15.417), math.radians(33.0)]
BEAM = np.array([1.0, 0.0, 0.0])


@pytest.mark.parametrize("theta", THETAS)
def test_symmetric_geometry_diffracts_elastically_into_the_vertical_plane(theta):
    geometry = symmetric_geometry(theta)
    expected = [math.cos(2 * theta), 0.0, math.sin(2 * theta)]
    np.testing.assert_allclose(geometry.k_out_lab, expected, atol=1e-15)
    np.testing.assert_allclose(geometry.q0_sample, [0.0, 0.0, 1.0], atol=1e-15)
    # k_in + 2 sinθ Q̂ has the length of k_in.
    k_out = BEAM + 2 * math.sin(theta) * geometry.lab_from_sample @ [0, 0, 1]
    np.testing.assert_allclose(k_out, geometry.k_out_lab, atol=1e-15)


@pytest.mark.parametrize("eta", [0.0, 0.353, -1.2, math.pi / 2])
def test_imaging_axes_are_the_beam_the_roll_and_increasing_two_theta(eta):
    theta, small = THETAS[1], 1e-6
    geometry = DiffractionGeometry(theta, eta, np.eye(3), BEAM, BEAM)
    further = DiffractionGeometry(theta + small / 2, eta, np.eye(3), BEAM, BEAM)
    axes = geometry.lab_from_imaging
    np.testing.assert_allclose(axes.T @ axes, np.eye(3), atol=1e-15)
    assert np.linalg.det(axes) == pytest.approx(1.0)
    assert abs(axes[0, 1]) < 1e-15
    rise = (further.k_out_lab - geometry.k_out_lab) / small
    np.testing.assert_allclose(axes[:, 2], rise, atol=1e-6)
    assert math.atan2(-geometry.k_out_lab[1], geometry.k_out_lab[2]) == pytest.approx(eta)


@pytest.mark.parametrize("eta", [0.0, 0.353, -1.2, math.pi / 2])
@pytest.mark.parametrize("theta", THETAS)
def test_an_expansion_gives_the_same_q_for_every_azimuth(theta, eta):
    sample = rotation_z(0.7) @ rotation_x(0.3)
    geometry = DiffractionGeometry(theta, eta, sample, BEAM, BEAM)
    expansion = 1e-4
    q = diffraction_vector_change(expansion * np.eye(3), geometry.q0_sample)
    q = geometry.imaging_from_sample @ q
    expected = -expansion / (1 + expansion) * np.array([math.sin(theta), 0, math.cos(theta)])
    np.testing.assert_allclose(q, expected, rtol=0, atol=1e-18)


def exact_q(theta, phi, chi, arm):
    """q seen by the acceptance of a perfect crystal: goniometer and detector arm without series.

    The arm turns the objective; what it accepts is centred on the q of the ray that leaves the
    sample at 2θ + T.
    """
    setting = lab_from_sample(mu=-theta, omega=0.0, chi=chi, phi=phi)
    q_lab = setting @ [0.0, 0.0, 1.0]
    q0_lab = lab_from_sample(mu=-theta, omega=0.0, chi=0.0, phi=0.0) @ [0.0, 0.0, 1.0]
    towards = np.array([math.cos(2 * theta + arm), 0.0, math.sin(2 * theta + arm)])
    straight_on = np.array([math.cos(2 * theta), 0.0, math.sin(2 * theta)])
    centre = (towards - straight_on) / (2 * math.sin(theta))
    imaging_from_lab = rotation_y(-2 * theta).T
    return imaging_from_lab @ (q_lab - q0_lab - centre)


@pytest.mark.parametrize("theta", THETAS)
@pytest.mark.parametrize("motor", range(3))
def test_motor_vectors_are_the_derivative_of_exact_kinematics(theta, motor):
    vectors = symmetric_geometry(theta).motor_vectors
    step = 1e-4 * np.eye(3)[motor]
    slope = (exact_q(theta, *step) - exact_q(theta, *-step)) / 2e-4
    np.testing.assert_allclose(vectors[motor], slope, rtol=0, atol=1e-7)


@pytest.mark.parametrize("theta", THETAS)
def test_motors_stay_linear_over_a_scan(theta):
    vectors = symmetric_geometry(theta).motor_vectors
    settings = np.array([0.6e-3, -2e-3, 0.8e-3])
    np.testing.assert_allclose(settings @ vectors, exact_q(theta, *settings), rtol=0, atol=8e-6)


@pytest.mark.parametrize("theta", THETAS)
def test_motor_vectors_as_printed(theta):
    """A3: q_c = q_s + (φ + T/2, χ, -(T/2) cotθ), and the same in the imaging frame (E3)."""
    geometry = symmetric_geometry(theta)
    in_sample = geometry.motor_vectors @ geometry.imaging_from_sample
    printed = [[1, 0, 0], [0, 1, 0], [0.5, 0, -0.5 / math.tan(theta)]]
    np.testing.assert_allclose(in_sample, printed, atol=1e-14)
    s, c = math.sin(theta), math.cos(theta)
    printed = [[c, 0, -s], [0, 1, 0], [0, 0, -0.5 / s]]
    np.testing.assert_allclose(geometry.motor_vectors, printed, atol=1e-14)


@pytest.mark.parametrize("theta", THETAS)
def test_an_expanded_crystal_is_back_in_the_centre_at_smaller_two_theta(theta):
    geometry, expansion = symmetric_geometry(theta), 1e-6
    change = diffraction_vector_change(expansion * np.eye(3), geometry.q0_sample)
    q = geometry.imaging_from_sample @ change
    arm, phi = -2 * expansion * math.tan(theta), expansion * math.tan(theta)
    left = q + np.array([phi, 0.0, arm]) @ geometry.motor_vectors
    np.testing.assert_allclose(left, 0.0, atol=2 * expansion**2)
    wrong = q + np.array([phi, 0.0, -arm]) @ geometry.motor_vectors
    assert np.abs(wrong).max() > expansion


def test_a_rotated_lattice_changes_q_as_rotating_the_motor_does():
    """χ is left-handed about x, as published; φ right-handed about y."""
    geometry, small = symmetric_geometry(THETAS[0]), 1e-4
    for rotation, motor in ((rotation_y(small), 0), (rotation_x(-small), 1)):
        q = diffraction_vector_change(rotation - np.eye(3), geometry.q0_sample)
        np.testing.assert_allclose(
            geometry.imaging_from_sample @ q, small * geometry.motor_vectors[motor], atol=1e-8
        )


def test_the_change_of_q_is_exact():
    """H(R) = R - I for a rotation, and F⁻ᵀ - I for any deformation."""
    random = np.random.default_rng(3)
    q0 = np.array([0.36, 0.48, 0.8])
    rotation = rotation_x(0.3) @ rotation_y(-0.8) @ rotation_z(1.9)
    found = diffraction_vector_change(rotation - np.eye(3), q0)
    np.testing.assert_allclose(found, (rotation - np.eye(3)) @ q0, rtol=0, atol=1e-15)
    beta = 0.1 * random.normal(size=(20, 3, 3))
    expected = (np.linalg.inv(np.eye(3) + beta).transpose(0, 2, 1) - np.eye(3)) @ q0
    np.testing.assert_allclose(diffraction_vector_change(beta, q0), expected, atol=1e-14)


def test_the_change_of_q_keeps_the_digits_of_small_distortions():
    q0, beta = np.array([0.0, 0.6, 0.8]), 1e-12 * np.arange(1.0, 10.0).reshape(3, 3)
    found = diffraction_vector_change(beta, q0)
    np.testing.assert_allclose(found, -beta.T @ q0, rtol=1e-10)


@pytest.mark.parametrize(
    "gradient", [np.full((3, 3), np.nan), np.diag([np.inf, 0, 0]), np.diag([-1.5, 0, 0])]
)
def test_points_without_a_lattice_give_nan_and_spare_their_neighbours(gradient):
    both = np.stack([gradient, 1e-3 * np.eye(3)])
    q = diffraction_vector_change(both, np.array([0.0, 0.0, 1.0]))
    assert np.isnan(q[0]).all()
    np.testing.assert_allclose(q[1], [0, 0, -1e-3 / 1.001], rtol=1e-13)
