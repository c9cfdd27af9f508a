"""Strain, rotation, Nye tensor and circuits by what must be true of them."""

import numpy as np
import pytest
import scipy.linalg

from weakbeam.analysis.distortion_tensors import (
    ROTATION_OF_BETA,
    STRAIN_OF_BETA,
    circuit_integral,
    circuit_points,
    nye_tensor,
    rotation_of_distortion,
    smoothed_distortion,
    strain_of_distortion,
)

B = np.array([2e-4, -1e-4, 3e-4])


def screw_and_edge(points):
    """A field with circuits B about z: β_i = B_i ∇(angle)/2π."""
    x, y = points[..., 0], points[..., 1]
    turn = np.stack([-y, x, 0 * x], axis=-1) / (2.0 * np.pi * (x * x + y * y))[..., None]
    return B[:, None] * turn[..., None, :]


def test_rotation_has_no_strain_and_is_found_exactly():
    vector = np.array([2e-3, -5e-3, 1e-2])
    cross = np.array(
        [[0, -vector[2], vector[1]], [vector[2], 0, -vector[0]], [-vector[1], vector[0], 0]]
    )
    beta = scipy.linalg.expm(cross) - np.eye(3)
    assert np.abs(strain_of_distortion(beta)).max() < 1e-16
    assert np.abs(rotation_of_distortion(beta) - vector).max() < 1e-15


def test_strain_and_rotation_agree_with_the_polar_decomposition():
    beta = 1e-3 * np.random.default_rng(0).normal(size=(3, 3))
    turn, stretch = scipy.linalg.polar(np.eye(3) + beta)
    assert np.abs(strain_of_distortion(beta) - 0.5 * (stretch @ stretch - np.eye(3))).max() < 1e-15
    axis = 0.5 * np.array(
        [turn[2, 1] - turn[1, 2], turn[0, 2] - turn[2, 0], turn[1, 0] - turn[0, 1]]
    )
    assert np.abs(rotation_of_distortion(beta) - axis).max() < 1e-8
    assert np.abs(STRAIN_OF_BETA @ beta.ravel() - 0.5 * (beta + beta.T).ravel()).max() < 1e-18
    assert np.abs(ROTATION_OF_BETA @ beta.ravel() - axis).max() < 5e-6


def test_circuits_enclose_what_they_enclose():
    for corners, inside in (
        ([(-1, -1), (2, -1), (2, 1), (-1, 1)], 1.0),
        ([(-1, 1), (2, 1), (2, -1), (-1, -1)], 1.0),
        ([(0.5, 0.5), (2, 0.5), (1, 2)], 0.0),
    ):
        points, elements = circuit_points(corners, 0.02)
        assert np.abs(elements.sum(axis=0)).max() < 1e-12
        found = circuit_integral(screw_and_edge(points), elements)
        assert np.abs(found - inside * B).max() < 1e-7


def test_nye_tensor_integrates_to_the_burgers_vector():
    axis = np.arange(-20, 21) * 0.05 + 0.013
    x, y = np.meshgrid(axis, axis)
    alpha = nye_tensor(screw_and_edge(np.stack([x, y], axis=-1)), 0.05)
    assert np.isnan(alpha[..., :2]).all()
    total = np.nansum(alpha[..., 2], axis=(0, 1)) * 0.05**2
    assert np.abs(total - B).max() < 0.06 * np.abs(B).max()


def test_smoothing_lowers_noise_as_it_says():
    random = np.random.default_rng(1)
    beta = random.normal(size=(60, 60, 3, 3))
    covariance = np.broadcast_to(np.eye(9), (60, 60, 9, 9))
    mean, told = smoothed_distortion(beta, covariance, 2.0, 1.0)
    inner = slice(10, -10)
    assert np.std(mean[inner, inner]) == pytest.approx(np.sqrt(told[30, 30, 0, 0]), rel=0.05)


@pytest.mark.parametrize(
    "corners", [[(0, 0), (1, 1)], [(0, 0), (1, 1), (2, 2)], [(0, 0), (1, np.nan), (1, 1)]]
)
def test_circuits_that_are_none(corners):
    with pytest.raises(ValueError, match=r"corners|area"):
        circuit_points(corners, 0.1)
