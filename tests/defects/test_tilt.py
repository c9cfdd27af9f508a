"""A lattice that turns evenly from place to place."""

from __future__ import annotations

import numpy as np
from scipy.spatial.transform import Rotation

from weakbeam.defects.field import evaluate
from weakbeam.defects.tilt import TiltGradient

SLOPES = np.array([[0.01, -0.02, 0.0], [0.03, 0.005, 0.01], [0.0, 0.004, -0.02]])


def test_is_a_rotation_at_every_point():
    points = np.random.default_rng(0).normal(size=(50, 3))
    origin = np.array([0.3, -0.2, 0.1])
    beta = evaluate(TiltGradient(SLOPES, origin), points)
    turns = Rotation.from_rotvec((points - origin) @ SLOPES.T).as_matrix()
    # Angles to 0.1 rad; the series leaves out what is of the sixth order.
    np.testing.assert_allclose(beta, turns - np.eye(3), atol=1e-9)
    np.testing.assert_allclose(evaluate(TiltGradient(SLOPES, origin), origin[None]), 0.0)


def test_digits_of_small_angles_are_kept():
    beta = evaluate(TiltGradient(1e-10 * SLOPES), np.ones((1, 3)))[0]
    x, y, z = 1e-10 * SLOPES.sum(axis=1)
    np.testing.assert_allclose(beta[[2, 0, 1], [1, 2, 0]], [x, y, z], rtol=1e-10)
    assert abs(np.trace(beta)) < 1e-20


def test_turns_and_moves_with_the_sample():
    rotation = Rotation.from_rotvec([0.3, -0.5, 0.2]).as_matrix()
    by = np.array([0.1, 0.2, -0.4])
    lattice, points = TiltGradient(SLOPES), np.random.default_rng(1).normal(size=(20, 3))
    beta = evaluate(lattice, points)
    turned = evaluate(lattice.turned(rotation), points @ rotation.T)
    np.testing.assert_allclose(turned, rotation @ beta @ rotation.T, atol=1e-15)
    np.testing.assert_allclose(evaluate(lattice.moved(by), points + by), beta, atol=1e-15)
