"""The world of measured stacks: right where its answers are known without it."""

import numpy as np
import pytest
from measured_world import (
    World,
    beta_polyline,
    beta_stroh,
    counted,
    cubic_stiffness,
    expected_counts,
    ideal_stack,
)
from reference_cases import DEFAULT, B
from renderer import beta_straight, image, unit

BURGERS = np.array([B, 0, -B])
LINES = ([1, -2, 1], [1, 0, -1], [2, -1, -1])


@pytest.fixture(scope="module")
def points():
    return np.random.default_rng(0).normal(size=(40, 3))


def test_table_of_the_acceptance_gives_the_slow_renderers_images():
    positions = np.array([[1.5e-4, 2e-4, 1e-4], [0, 0, 0]])
    frames = ideal_stack(World(subpixels=1), positions)
    for frame, (phi, chi, arm) in zip(frames, positions, strict=True):
        slow = image(DEFAULT | {"phi": phi, "chi": chi, "two_theta": arm})
        assert np.linalg.norm(frame - slow) < 3e-4 * np.linalg.norm(slow)


@pytest.mark.parametrize("line", LINES)
def test_straight_chain_is_a_straight_line(points, line):
    straight = beta_straight(points, BURGERS, line, 0.334)
    chain = beta_polyline(points, BURGERS, np.outer([-2, 0.3, 4], unit(line)), 0.334)
    np.testing.assert_allclose(chain, straight, atol=1e-6 * np.abs(straight).max())


@pytest.mark.parametrize("line", LINES)
def test_nearly_isotropic_medium_is_isotropic(points, line):
    nu = 0.334
    constants = 2 * (1 - nu) / (1 - 2 * nu), 2 * nu / (1 - 2 * nu), 1 + 1e-4
    straight = beta_straight(points, BURGERS, line, nu)
    stroh = beta_stroh(points, BURGERS, line, constants)
    np.testing.assert_allclose(stroh, straight, atol=2e-4 * np.abs(straight).max())


def test_anisotropic_line_is_in_balance_with_its_burgers_vector_around_it():
    copper = (168.4, 121.4, 75.4)
    t = unit([2, -1, -1])
    m = unit(np.cross(t, [1, 2, 4]))
    n = np.cross(t, m)
    turn = 2 * np.pi * np.arange(400) / 400
    circle = np.outer(np.cos(turn), m) + np.outer(np.sin(turn), n)
    along = np.outer(-np.sin(turn), m) + np.outer(np.cos(turn), n)
    beta = beta_stroh(circle, BURGERS, t, copper)
    step = 2 * np.pi / 400
    np.testing.assert_allclose(np.einsum("nij,nj->i", beta, along) * step, BURGERS, atol=1e-9)
    stress = np.einsum("ijkl,nkl->nij", cubic_stiffness(*copper), beta)
    force = np.einsum("nij,nj->i", stress, circle) * step
    np.testing.assert_allclose(force, 0, atol=1e-9)


def test_mismatches_do_what_they_say():
    optics = DEFAULT | {"shape": [12, 20], "nz": 21, "lines": []}
    at = np.array([[0.0, 0, 0]])
    plain = expected_counts(World(optics), at)[0]
    np.testing.assert_allclose(plain, 1000, rtol=1e-4)
    shifted = expected_counts(World(optics, offsets=(1.5e-4, 0, 0)), at)[0]
    bent = expected_counts(World(optics, bend_rock=(1.5e-4,)), at)[0]
    np.testing.assert_allclose(bent, shifted, rtol=1e-12)
    assert shifted.mean() < 500
    lit = expected_counts(World(optics, illumination=(1, 0.4), background=(50,)), at)[0]
    np.testing.assert_allclose(lit[:, [0, -1]], [[650, 1450]] * 12, rtol=1e-4)
    frame = counted(World(optics, full=900, hot=3, turns=1), at, seed=1)[0]
    assert frame.shape == (20, 12)
    assert np.count_nonzero(frame > 900) == 3
