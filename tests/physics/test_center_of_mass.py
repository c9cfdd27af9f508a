"""The rule for the centre of mass of a Gaussian acceptance (physics.md, E6), by the engine."""

import math

import numpy as np
import pytest
from default_instrument import ACCEPTANCE, GEOMETRY, rays
from instruments import changed

from weakbeam.analysis.moments import com_response
from weakbeam.defects.field import UniformGradient
from weakbeam.imaging.engine import Engine

SOFT = changed(ACCEPTANCE, clip=math.inf, aperture=math.inf)
TURN = GEOMETRY.imaging_from_sample
SIGMA = TURN.T @ SOFT.covariance() @ TURN
"""Covariance in components (rock, roll, par) of the sample."""

GRADIENTS = {
    "expansion": 1e-4 * np.eye(3),
    "rotation about y": 1e-4 * np.array([[0, 0, 1], [0, 0, 0], [-1, 0, 0]]),
    "rotation about x": 1e-4 * np.array([[0, 0, 0], [0, 0, -1], [0, 1, 0]]),
    "shear": 1e-4 * np.array([[0, 0, 0], [0, 0, 0], [1, -2, 0]]),
    "anything": 1e-5 * np.array([[3, -1, 4], [1, -5, 9], [-2, 6, -5]]),
}


def q_in_sample(gradient):
    """Exact: (F⁻ᵀ - I) Q̂."""
    return (np.linalg.inv(np.eye(3) + gradient).T - np.eye(3)) @ [0.0, 0.0, 1.0]


def centre_of_mass(gradient, rock, roll, acceptance=SOFT):
    """Of one pixel over rock settings (φ, T) and roll settings χ: (φ, T, χ)."""
    phi, arm = np.array(rock).T
    per_phi, per_chi, per_arm = GEOMETRY.motor_vectors
    engine = Engine(UniformGradient(gradient), GEOMETRY, rays((1, 1), 1), acceptance)
    ones, flat = np.ones(len(rock)), np.ones(len(roll))
    total, of_phi, of_arm, of_chi = engine.moments(
        np.outer(phi, per_phi) + np.outer(arm, per_arm),
        np.outer(roll, per_chi),
        np.array([ones, phi, arm, ones]),
        np.array([flat, flat, flat, roll]),
    )[:, 0, 0]
    return np.array([of_phi, of_arm, of_chi]) / total


def reach(sigma, count=241):
    return np.linspace(-8, 8, count) * sigma


PHI = reach(np.linalg.inv(SIGMA)[0, 0] ** -0.5)
CHI = reach(SIGMA[1, 1] ** 0.5)


@pytest.mark.parametrize("gradient", GRADIENTS.values(), ids=GRADIENTS.keys())
def test_centre_of_mass_of_a_mosaicity_scan(gradient):
    """COM_φ = -[q_rock - (Σ_rp/Σ_pp) q_par] and COM_χ = -q_roll."""
    q_rock, q_roll, q_par = q_in_sample(gradient)
    phi, _, chi = centre_of_mass(gradient, [(p, 0.0) for p in PHI], CHI)
    expected = -(q_rock - SIGMA[0, 2] / SIGMA[2, 2] * q_par)
    size = np.abs(q_in_sample(gradient)).max()
    # Within 1e-6 of the width of the curve, or of q where that is larger.
    assert phi == pytest.approx(expected, abs=1e-6 * max(size, PHI[-1] / 8))
    assert chi == pytest.approx(-q_roll, abs=1e-6 * max(size, CHI[-1] / 8))


@pytest.mark.parametrize("gradient", GRADIENTS.values(), ids=GRADIENTS.keys())
def test_centre_of_mass_of_a_scan_of_the_detector_arm(gradient):
    """The same rule with e = (0, 0, -1/(2 sinθ)) in the imaging frame."""
    q = TURN @ q_in_sample(gradient)
    e = GEOMETRY.motor_vectors[2]
    precision = np.linalg.inv(SOFT.covariance())
    expected = -(e @ precision @ q) / (e @ precision @ e)
    width = (e @ precision @ e) ** -0.5
    found = centre_of_mass(gradient, [(0.0, t) for t in reach(width)], [0.0])[1]
    assert found == pytest.approx(expected, abs=1e-6 * width)


@pytest.mark.parametrize("gradient", GRADIENTS.values(), ids=GRADIENTS.keys())
def test_centre_of_mass_of_a_mesh_of_rocking_and_arm(gradient):
    """Both motors together span the diffraction plane, so that no correlation is left."""
    phi_sigma, arm_sigma = 2e-4, 6e-4
    mesh = [(p, t) for p in reach(phi_sigma, 121) for t in reach(arm_sigma, 121)]
    found = centre_of_mass(gradient, mesh, [0.0])[:2]
    q_rock, _, q_par = q_in_sample(gradient)
    arm = 2 * q_par * math.tan(GEOMETRY.theta)
    np.testing.assert_allclose(found, [-q_rock - arm / 2, arm], rtol=0, atol=1e-6 * arm_sigma)


def test_the_printed_response_predicts_a_cut_acceptance_too():
    """With clip and aperture of the default, COM = -R q with R from the frames that are taken."""
    gradient = 0.01 * GRADIENTS["anything"]
    phi = np.linspace(-6e-4, 6e-4, 241)
    found = centre_of_mass(gradient, [(p, 0.0) for p in phi], [0.0], ACCEPTANCE)[0]
    shifts = np.outer(phi, GEOMETRY.motor_vectors[0])
    expected = -com_response(ACCEPTANCE, shifts, phi[None]) @ TURN @ q_in_sample(gradient)
    assert found == pytest.approx(expected[0], rel=2e-3, abs=1e-11)
