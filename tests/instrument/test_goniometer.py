import math

import numpy as np
import pytest

from weakbeam.instrument.goniometer import lab_from_sample, rotation_x, rotation_y, rotation_z

X, Y, Z = np.eye(3)


@pytest.mark.parametrize(
    ("rotation", "axis", "before", "after"),
    [(rotation_x, X, Y, Z), (rotation_y, Y, Z, X), (rotation_z, Z, X, Y)],
)
def test_rotations_are_right_handed(rotation, axis, before, after):
    np.testing.assert_allclose(rotation(math.pi / 2) @ before, after, atol=1e-15)
    np.testing.assert_allclose(rotation(0.7) @ axis, axis, atol=1e-15)
    np.testing.assert_allclose(rotation(0.3) @ rotation(0.4), rotation(0.7), atol=1e-15)


def test_bragg_setting_tilts_the_planes_towards_the_source():
    theta = 0.2
    q = lab_from_sample(-theta, 0.0, 0.0, 0.0) @ Z
    np.testing.assert_allclose(q, [-math.sin(theta), 0.0, math.cos(theta)], atol=1e-15)


def test_each_motor_turns_about_its_own_axis():
    small = 1e-7
    for name, turn in {
        "mu": np.cross(Y, np.eye(3)).T,
        "omega": np.cross(Z, np.eye(3)).T,
        "chi": np.cross(-X, np.eye(3)).T,
        "phi": np.cross(Y, np.eye(3)).T,
    }.items():
        motors = {"mu": 0.0, "omega": 0.0, "chi": 0.0, "phi": 0.0, name: small}
        np.testing.assert_allclose((lab_from_sample(**motors) - np.eye(3)) / small, turn, atol=1e-6)


def test_inner_motors_ride_on_the_outer_ones():
    mu, omega, chi, phi = 0.3, 0.5, 0.7, 1.1
    steps = [rotation_y(mu), rotation_z(omega), rotation_x(-chi), rotation_y(phi)]
    vector = np.array([0.2, -0.4, 0.9])
    expected = vector
    for step in reversed(steps):
        expected = step @ expected
    np.testing.assert_allclose(lab_from_sample(mu, omega, chi, phi) @ vector, expected, atol=1e-15)
