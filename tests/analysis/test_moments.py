"""Moments of a scan, and how the centre of mass answers a change of q (physics.md, E6)."""

import math

import numpy as np
import pytest
from instruments import changed

from weakbeam.analysis.moments import ScanMoments, com_response
from weakbeam.diffraction.acceptance import SymmetricAcceptance
from weakbeam.diffraction.geometry import symmetric_geometry
from weakbeam.instrument.optics import Optics

THETA = math.radians(8.97317)
CUT = SymmetricAcceptance(THETA, Optics(6e-5, 2.25e-4, 0.14e-3, 0.0, 3.1e-4, 1.0323e-3))
GAUSSIAN = changed(CUT, clip=math.inf, aperture=math.inf)


def filled(intensity, x):
    moments = ScanMoments(intensity.shape[1:], {"phi": float(np.mean(x))})
    for frame, position in zip(intensity, x, strict=True):
        moments.add(frame, {"phi": position})
    return moments


def test_moments_of_curves_with_known_shape():
    x = np.linspace(-6, 10, 1601)
    gauss = np.exp(-0.5 * ((x - 1.2) / 0.7) ** 2)
    exponential = np.where(x > 0, x * np.exp(-2 * x), 0.0)  # Gamma distribution of shape 2
    moments = filled(np.stack([gauss, exponential], axis=-1)[:, None, :], x)
    np.testing.assert_allclose(moments.center_of_mass("phi"), [[1.2, 1.0]], rtol=1e-4)
    widths = 2.354820045 * np.array([[0.7, math.sqrt(0.5)]])
    np.testing.assert_allclose(moments.fwhm("phi"), widths, rtol=1e-4)
    np.testing.assert_allclose(moments.skewness("phi"), [[0.0, math.sqrt(2)]], atol=1e-3)


def test_each_motor_of_a_mesh_has_its_own_moments():
    moments = ScanMoments((1, 1), {"phi": 0.0, "chi": 5.0})
    for phi, chi, value in [(0.0, 5.0, 1.0), (1.0, 5.0, 3.0), (0.0, 6.0, 4.0)]:
        moments.add([[value]], {"phi": phi, "chi": chi})
    assert moments.center_of_mass("phi")[0, 0] == pytest.approx(3 / 8)
    assert moments.center_of_mass("chi")[0, 0] == pytest.approx(5.5)


def test_dark_pixels_have_no_moments():
    moments = filled(np.array([[[1.0, 0.0, 1e-7, -1.0]], [[3.0, 0.0, 1e-7, 0.5]]]), [0.0, 1.0])
    for name in ("center_of_mass", "fwhm", "skewness"):
        assert np.isfinite(getattr(moments, name)("phi")).tolist() == [[True, False, False, False]]


def test_a_scan_without_light_has_no_moments():
    assert np.isnan(filled(np.zeros((3, 2, 2)), [0.0, 1.0, 2.0]).center_of_mass("phi")).all()


def test_a_curve_of_one_frame_has_no_skewness():
    moments = filled(np.array([[[0.0]], [[2.0]], [[0.0]]]), [0.0, 1.0, 2.0])
    assert moments.center_of_mass("phi")[0, 0] == 1.0
    assert moments.fwhm("phi")[0, 0] == 0.0
    assert np.isnan(moments.skewness("phi")[0, 0])


MESHES = {"phi": (0,), "chi": (1,), "arm": (2,), "phi, chi": (0, 1), "phi, arm": (0, 2)}


@pytest.mark.parametrize("motors", MESHES.values(), ids=MESHES.keys())
def test_response_of_a_gaussian(motors):
    """R = (E P Eᵀ)⁻¹ E P, with the precision P of the acceptance and the motor vectors E."""
    e = symmetric_geometry(THETA).motor_vectors[list(motors)]
    precision = np.linalg.inv(GAUSSIAN.covariance())
    expected = np.linalg.solve(e @ precision @ e.T, e @ precision)
    spread = np.linalg.inv(e @ precision @ e.T)
    axis = np.linspace(-9, 9, 91)
    corner = np.linalg.cholesky(spread)
    mesh = np.stack(np.meshgrid(*[axis] * len(motors), indexing="ij")).reshape(len(motors), -1)
    positions = corner @ mesh
    found = com_response(GAUSSIAN, positions.T @ e, positions)
    np.testing.assert_allclose(found, expected, rtol=0, atol=2e-6 * np.abs(expected).max())


def test_a_scan_in_the_dark_has_no_response():
    e = symmetric_geometry(THETA).motor_vectors[[0]]
    positions = np.linspace(0.09, 0.1, 5)[None]
    assert np.isnan(com_response(GAUSSIAN, positions.T @ e, positions)).all()


def test_response_of_a_rocking_curve_is_not_that_of_q_rock():
    """COM_φ = -[q_rock - (Σ_rp/Σ_pp) q_par]: close to -q_rock'/cosθ for a small bandwidth."""
    geometry = symmetric_geometry(THETA)
    phi = np.linspace(-2e-3, 2e-3, 4001)
    shifts = phi[:, None] * geometry.motor_vectors[0]
    in_sample = com_response(GAUSSIAN, shifts, phi[None])[0] @ geometry.imaging_from_sample
    turn = geometry.imaging_from_sample
    sigma = turn.T @ GAUSSIAN.covariance() @ turn
    np.testing.assert_allclose(in_sample, [1, 0, -sigma[0, 2] / sigma[2, 2]], rtol=0, atol=2e-6)
    assert in_sample[2] > 0.04
    sharp = changed(GAUSSIAN, bandwidth=1e-6, divergence_vertical=1e-6)
    narrow = com_response(sharp, 0.02 * shifts, 0.02 * phi[None])[0] @ geometry.imaging_from_sample
    assert narrow[2] == pytest.approx(math.tan(THETA), rel=2e-2)


def test_the_condenser_lets_the_centre_of_mass_follow_less():
    """With the cuts, the response follows from the sums over the frames that are taken."""
    geometry = symmetric_geometry(THETA)
    phi = np.linspace(-6e-4, 6e-4, 241)
    shifts = phi[:, None] * geometry.motor_vectors[0]
    response = com_response(CUT, shifts, phi[None])[0]
    q = 1e-6 * np.array([0.3, 0.0, 1.0])

    def centre(at):
        weights = CUT.density(shifts + at)
        return weights @ phi / weights.sum()

    assert centre(q) == pytest.approx(-response @ q, rel=1e-3)
    assert centre(np.zeros(3)) == pytest.approx(0.0, abs=1e-12)


def test_kurtosis_of_curves_with_known_shape():
    x = np.linspace(-8, 8, 3201)
    gauss = np.exp(-0.5 * ((x - 0.3) / 0.9) ** 2)
    box = (np.abs(x) < 2.0).astype(float)
    laplace = np.exp(-np.abs(x) / 0.3)
    moments = filled(np.stack([gauss, box, laplace], axis=-1)[:, None, :], x)
    np.testing.assert_allclose(moments.kurtosis("phi"), [[0.0, -1.2, 3.0]], atol=2e-3)


def test_many_frames_at_once_give_the_sums_of_one_by_one():
    random = np.random.default_rng(5)
    frames, phi, chi = random.random((40, 6, 9)), random.random(40), random.random(40)
    slow, fast = (ScanMoments((6, 9), {"phi": 0.4, "chi": 0.6}) for _ in range(2))
    for frame, a, b in zip(frames, phi, chi, strict=True):
        slow.add(frame, {"phi": a, "chi": b})
    for part in (slice(0, 17), slice(17, 40)):
        fast.add_frames(frames[part], {"phi": phi[part], "chi": chi[part]})
    np.testing.assert_allclose(fast.intensity, slow.intensity, rtol=1e-14)
    for motor in ("phi", "chi"):
        np.testing.assert_allclose(fast.powers[motor], slow.powers[motor], rtol=1e-11, atol=1e-13)
