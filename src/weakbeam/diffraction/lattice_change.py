r"""From where the motors find a deformed lattice to what its diffraction vector has become.

With :math:`F^{-T} = I + H` the diffraction vector of the deformed lattice is :math:`|Q_0|\,(I +
H)\,\hat g`, linear in H without any approximation. So is what the motors find, once they themselves
are taken as the rotations that they are (docs/explanation/physics.md, J).
"""

from __future__ import annotations

import math

import numpy as np

from weakbeam.core.arrays import ArrayLike, Floats
from weakbeam.diffraction.geometry import DiffractionGeometry


def sample_turns(geometry: DiffractionGeometry, offsets: ArrayLike) -> Floats:
    """What takes vectors of the sample to the laboratory with φ and χ away from the Bragg setting.

    Parameters
    ----------
    geometry : DiffractionGeometry
        At the Bragg setting.
    offsets : (..., 3) array_like
        φ, χ and 2θ (rad) from there.

    Returns
    -------
    (..., 3, 3) ndarray
        Rotations; exact, χ outside of φ (docs/explanation/physics.md, A3).
    """
    given = np.asarray(offsets, dtype=np.float64)
    turned = _rotations(geometry.chi_axis, given[..., 1]) @ _rotations(
        geometry.phi_axis, given[..., 0]
    )
    return np.asarray(turned @ geometry.lab_from_sample)


def setting_q(geometry: DiffractionGeometry, offsets: ArrayLike) -> Floats:
    """Where the perfect crystal stands in the acceptance, with motors as exact rotations.

    Parameters
    ----------
    geometry, offsets
        As for :func:`sample_turns`.

    Returns
    -------
    (..., 3) ndarray
        q in the imaging frame of the Bragg setting; zero there.

    Notes
    -----
    :func:`weakbeam.diffraction.turned.perfect_q`, which images are made with, is linear in φ and χ
    about the nearest of a grid of settings, and differs by half the square of the way from there.
    """
    given = np.asarray(offsets, dtype=np.float64)
    beam = np.array([1.0, 0.0, 0.0])
    arm = given[..., 2]
    zero = np.zeros_like(arm)
    along = np.stack([np.cos(arm), zero, np.sin(arm)], axis=-1) @ geometry.lab_from_imaging.T
    seen = (along - beam) / (2.0 * math.sin(geometry.theta))
    lattice = sample_turns(geometry, given) @ geometry.q0_sample
    return np.asarray((lattice - seen) @ geometry.lab_from_imaging)


def lattice_change(geometry: DiffractionGeometry, q: ArrayLike, offsets: ArrayLike) -> Floats:
    r"""Change of the diffraction vector in the sample, :math:`H\,\hat g`.

    Parameters
    ----------
    geometry : DiffractionGeometry
        At the Bragg setting.
    q : (..., 3) array_like
        What the deformation adds to q in the imaging frame. Where the motors φ, χ and 2θ stand so
        that light passes at q = 0, that is minus :func:`setting_q` there.
    offsets : (..., 3) array_like
        φ, χ and 2θ (rad) from the Bragg setting at which it was found.

    Returns
    -------
    (..., 3) ndarray
        Relative to the length of the diffraction vector, in the sample frame.
    """
    in_lab = np.asarray(q, dtype=np.float64) @ geometry.lab_from_imaging.T
    turns = sample_turns(geometry, offsets)
    return np.asarray(np.einsum("...ij,...i->...j", turns, in_lab))


def displacement_gradient(change: ArrayLike) -> Floats:
    r""":math:`\beta = (I + H)^{-T} - I` from :math:`H = F^{-T} - I`, of shape (..., 3, 3).

    Exact, written so that small changes lose no digits; NaN where H is not finite.
    """
    h = np.asarray(change, dtype=np.float64)
    good = np.asarray(np.isfinite(h).all(axis=(-2, -1)))
    h = np.where(good[..., None, None], h, 0.0)
    # (I + H)⁻¹ − I = −(I + H)⁻¹ H
    inverse = -np.linalg.solve(np.eye(3) + h, h)
    return np.asarray(np.where(good[..., None, None], np.swapaxes(inverse, -1, -2), np.nan))


def _rotations(axis: Floats, angles: Floats) -> Floats:
    """Active right-handed rotations (..., 3, 3) about a unit vector (Rodrigues)."""
    x, y, z = axis
    across = np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])
    sine = np.sin(angles)[..., None, None]
    versed = 2.0 * np.sin(0.5 * angles)[..., None, None] ** 2
    return np.asarray(np.eye(3) + sine * across + versed * (across @ across))
