"""Oblique geometry: the ω about the vertical at which a reflection diffracts, and its azimuth η."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from weakbeam.core.arrays import ArrayLike
from weakbeam.crystal.lattice import UnitCell, miller
from weakbeam.diffraction.goniometer_setting import GoniometerSetting, solve_omega


def solve_oblique(
    cell: UnitCell, sample_from_crystal: ArrayLike, hkl: Sequence[int], energy_kev: float
) -> tuple[GoniometerSetting, GoniometerSetting] | None:
    """Both settings at which a reflection diffracts, by a rotation ω about the vertical.

    The other motors stand at zero (docs/explanation/physics.md, A4).

    Parameters
    ----------
    cell : UnitCell
        The unit cell.
    sample_from_crystal : (3, 3) array_like
        Orientation U at ω = 0.
    hkl : sequence of 3 int
        The reflection.
    energy_kev : float
        Photon energy (keV).

    Returns
    -------
    tuple of 2 GoniometerSetting, or None
        In the order of ω; None if no rotation brings the reflection onto the Ewald sphere. Both
        fulfil the Laue condition to `LAUE_TOLERANCE`.

    Raises
    ------
    ValueError
        If hkl are no integers or all zero.
    ArithmeticError
        If a solution misses the Laue condition, which takes an orientation that is no rotation.
    """
    q = np.asarray(sample_from_crystal, dtype=np.float64) @ cell.plane_normal(miller(hkl))
    return solve_omega(q, energy_kev)
