"""Axial strain from the angle, or the energy, at which the lattice diffracts."""

from __future__ import annotations

import math

import numpy as np

from weakbeam.core.arrays import ArrayLike, Floats


def axial_strain(two_theta_change: ArrayLike, theta: float) -> Floats:
    r"""Strain along the diffraction vector from a change of the scattering angle.

    Parameters
    ----------
    two_theta_change : array_like
        :math:`\Delta 2\theta` (rad): where the 2θ or strain scan has its centre of mass or peak,
        less that of the lattice which counts as unstrained.
    theta : float
        Bragg angle of that lattice (rad).

    Returns
    -------
    ndarray
        :math:`\varepsilon = -\Delta 2\theta / (2 \tan\theta)`, positive for an expanded lattice
        (Bragg's law; docs/explanation/physics.md, A3).

    Raises
    ------
    ValueError
        If the Bragg angle is not between 0 and 90 degrees.
    """
    if not 0.0 < theta < 0.5 * math.pi:
        raise ValueError(f"a Bragg angle of {math.degrees(theta):g} deg is not between 0 and 90")
    change = np.asarray(two_theta_change, dtype=np.float64)
    return np.asarray(-change / (2.0 * math.tan(theta)))


def axial_strain_of_energy(monochromator: ArrayLike, reference: float) -> Floats:
    r"""Strain along the diffraction vector from the energy at which the lattice diffracts.

    Parameters
    ----------
    monochromator : array_like
        Bragg angle :math:`\theta_m` of the monochromator (rad) where the scan has its centre of
        mass or peak.
    reference : float
        The same of the lattice that counts as unstrained.

    Returns
    -------
    ndarray
        :math:`\varepsilon = \lambda / \lambda_0 - 1 = \sin\theta_m / \sin\theta_{m,0} - 1`,
        positive for an expanded lattice.

    Raises
    ------
    ValueError
        If the reference is not between 0 and 90 degrees.

    Notes
    -----
    Sample and arm stand still, so that :math:`\lambda = 2 d \sin\theta` (Bragg's law) follows d;
    and :math:`\lambda = 2 d_m \sin\theta_m`. To first order
    :math:`\varepsilon = \cot\theta_m\,\Delta\theta_m = -\Delta E / E`.
    """
    if not 0.0 < reference < 0.5 * math.pi:
        angle = math.degrees(reference)
        raise ValueError(f"a monochromator at {angle:g} deg is not between 0 and 90")
    angles = np.asarray(monochromator, dtype=np.float64)
    return np.asarray(np.sin(angles) / math.sin(reference) - 1.0)
