"""What the motors do to q, however far they stand from the Bragg setting.

Sample, rays and arm are turned to the nearest of a grid of settings exactly. About it the motors
shift q of all rays by the same (docs/explanation/physics.md, A3). The grid is so coarse that usual
scans stay about its origin, the Bragg setting, and so fine that what is neglected does not show.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from weakbeam.core.arrays import ArrayLike, Floats
from weakbeam.diffraction.geometry import DiffractionGeometry
from weakbeam.instrument.goniometer import rotation_y

REFERENCE_STEP = 5e-3
"""Distance (rad) along φ, χ and 2θ between the settings about which q is linear in them."""

Reference = tuple[float, float, float]
"""φ, χ and 2θ (rad) from the Bragg setting."""

AT_BRAGG: Reference = (0.0, 0.0, 0.0)


def nearest_references(offsets: ArrayLike) -> Floats:
    """The nearest settings of the grid, for offsets (rad) of any motor and of any shape."""
    steps = np.round(np.asarray(offsets, dtype=np.float64) / REFERENCE_STEP)
    # Zero is added to make 0 of -0.
    return np.asarray(REFERENCE_STEP * steps + 0.0)


@dataclass(frozen=True)
class TurnedReflection:
    """What an engine needs of a reflection, with sample and arm turned away from the Bragg setting.

    Parameters
    ----------
    theta : float
        Bragg angle (rad).
    q0_sample : (3,) ndarray
        Unit diffraction vector of the perfect lattice, in the sample.
    imaging_from_sample : (3, 3) ndarray
        Rotation from the turned sample to the imaging frame that the arm has carried along.
    sample_turn : (3, 3) ndarray
        What turns points and directions that stayed in the laboratory, in the sample frame.
    """

    theta: float
    q0_sample: Floats
    imaging_from_sample: Floats
    sample_turn: Floats


def turned_reflection(geometry: DiffractionGeometry, reference: Reference) -> TurnedReflection:
    """The reflection with the motors at a reference.

    Parameters
    ----------
    geometry : DiffractionGeometry
        At the Bragg setting.
    reference : tuple of 3 float
        φ, χ and 2θ (rad) from there.
    """
    phi, chi, arm = reference
    turn = _rotation(geometry.chi_axis, chi) @ _rotation(geometry.phi_axis, phi)
    lab_from_sample = turn @ geometry.lab_from_sample
    return TurnedReflection(
        theta=geometry.theta,
        q0_sample=geometry.q0_sample,
        imaging_from_sample=_imaging_from_lab(geometry, arm) @ lab_from_sample,
        sample_turn=lab_from_sample.T @ geometry.lab_from_sample,
    )


def motor_shifts(
    geometry: DiffractionGeometry, reference: Reference, offsets: ArrayLike
) -> tuple[Floats, Floats]:
    r"""What φ with 2θ, and what χ, add to q of the rays of a reference.

    Parameters
    ----------
    geometry : DiffractionGeometry
        At the Bragg setting.
    reference : tuple of 3 float
        φ, χ and 2θ (rad) from there.
    offsets : (n, 3) array_like
        φ, χ and 2θ (rad) from the Bragg setting, near the reference.

    Returns
    -------
    rock, roll : (n, 3) ndarray
        To be added. Of a symmetric reflection only the second shifts q along roll, and it does
        nothing else.

    Notes
    -----
    The arm at T sees :math:`q_c(T) = (\hat k_{out}(T) - \hat x) / 2\sin\theta`, in units of the
    diffraction vector of the perfect lattice. Light comes from where q is small, so that it is
    :math:`q_c` that φ and χ turn about the reference, to first order. What the arm moves is exact,
    and turned back with φ: along with a strain scan only q along the diffraction vector changes.
    """
    given = np.asarray(offsets, dtype=np.float64)
    phi, chi, arm = reference
    chi_turn = _rotation(geometry.chi_axis, chi)
    phi_axis = chi_turn @ geometry.phi_axis
    imaging_from_lab = _imaging_from_lab(geometry, arm)
    at_reference = _seen(geometry, imaging_from_lab[0])
    per_phi, per_chi = (
        imaging_from_lab @ np.cross(axis, at_reference) for axis in (phi_axis, geometry.chi_axis)
    )
    perfect = chi_turn @ _rotation(geometry.phi_axis, phi) @ geometry.q0_lab
    start = imaging_from_lab @ (perfect - at_reference)
    zero = np.zeros(len(given))
    k_out = np.stack([np.cos(given[:, 2]), zero, np.sin(given[:, 2])], axis=1)
    moved = _seen(geometry, k_out @ geometry.lab_from_imaging.T) - at_reference
    away = given - reference
    rock = away[:, :1] * per_phi - _turned(moved, phi_axis, -away[:, 0]) @ imaging_from_lab.T
    # Where the sample is turned along roll already, that is part of what χ does.
    along_roll = np.array([0.0, 1.0, 0.0])
    return rock + start * (1.0 - along_roll), away[:, 1:2] * per_chi + start * along_roll


def perfect_q(geometry: DiffractionGeometry, offsets: ArrayLike) -> Floats:
    """Where the perfect crystal stands in the acceptance at some settings.

    Parameters
    ----------
    geometry : DiffractionGeometry
        At the Bragg setting.
    offsets : (..., 3) array_like
        φ, χ and 2θ (rad) from there.

    Returns
    -------
    (..., 3) ndarray
        q in the imaging frame, as engines take it.
    """
    given = np.asarray(offsets, dtype=np.float64)
    settings = given.reshape(-1, 3)
    references = nearest_references(settings)
    q = np.empty_like(settings)
    far = references.any()
    each, where = np.unique(references if far else references[:1], axis=0, return_inverse=True)
    for number, (phi, chi, arm) in enumerate(each.tolist()):
        some = where.ravel() == number if far else slice(None)
        q[some] = np.add(*motor_shifts(geometry, (phi, chi, arm), settings[some]))
    return q.reshape(given.shape)


def _imaging_from_lab(geometry: DiffractionGeometry, arm: float) -> Floats:
    """To the imaging frame, with the arm at some angle (rad) from 2θ."""
    return np.asarray((geometry.lab_from_imaging @ rotation_y(-arm)).T)


def _seen(geometry: DiffractionGeometry, k_out: Floats) -> Floats:
    """Diffraction vectors that lead to beams (..., 3), in units of that of the perfect lattice."""
    return np.asarray((k_out - [1.0, 0.0, 0.0]) / (2.0 * math.sin(geometry.theta)))


def _rotation(axis: Floats, angle: float) -> Floats:
    """Active right-handed rotation by `angle` (rad) about a unit vector."""
    return _turned(np.eye(3), axis, np.full(3, angle)).T


def _turned(vectors: Floats, axis: Floats, angles: Floats) -> Floats:
    """Vectors (n, 3), each turned by an angle (rad) about a unit vector (Rodrigues)."""
    sine, versed = np.sin(angles)[:, None], 2.0 * np.sin(0.5 * angles)[:, None] ** 2
    across = np.cross(axis, vectors)
    return np.asarray(vectors + sine * across + versed * np.cross(axis, across))
