"""Axial strain from the angle at which the lattice diffracts."""

from __future__ import annotations

import math

import numpy as np

from weakbeam._typing import ArrayLike, Floats


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
