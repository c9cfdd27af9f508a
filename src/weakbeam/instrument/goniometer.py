"""Rotations of the goniometer."""

from __future__ import annotations

import numpy as np

from weakbeam.core.arrays import Floats


def rotation_x(angle: float) -> Floats:
    """Active right-handed rotation by `angle` (rad) about x."""
    c, s = np.cos(angle), np.sin(angle)
    return np.array([[1.0, 0.0, 0.0], [0.0, c, -s], [0.0, s, c]])


def rotation_y(angle: float) -> Floats:
    """Active right-handed rotation by `angle` (rad) about y."""
    c, s = np.cos(angle), np.sin(angle)
    return np.array([[c, 0.0, s], [0.0, 1.0, 0.0], [-s, 0.0, c]])


def rotation_z(angle: float) -> Floats:
    """Active right-handed rotation by `angle` (rad) about z."""
    c, s = np.cos(angle), np.sin(angle)
    return np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]])


def lab_from_sample(mu: float, omega: float, chi: float, phi: float) -> Floats:
    """Goniometer setting Γ = R_y(μ) R_z(ω) R_x(-χ) R_y(φ), angles in rad.

    Parameters
    ----------
    mu, omega, chi, phi : float
        Motors, outermost first. χ counts as published, left-handed about +x.

    Returns
    -------
    (3, 3) ndarray
        Maps components in the sample frame to components in the laboratory frame.

    Notes
    -----
    docs/explanation/physics.md, A3. In the symmetric geometry the Bragg setting is μ = -θ.
    """
    return rotation_y(mu) @ rotation_z(omega) @ rotation_x(-chi) @ rotation_y(phi)
