"""Oblique geometry: the ω about the vertical at which a reflection diffracts, and its azimuth η."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from weakbeam._typing import ArrayLike, Floats
from weakbeam.crystal.lattice import UnitCell, miller
from weakbeam.diffraction.frames import DiffractionGeometry
from weakbeam.diffraction.reflection import wavelength
from weakbeam.instrument.goniometer import rotation_z

LAUE_TOLERANCE = 1e-10
"""Largest |k_out - k_in - Q| / |Q| of a solution."""


@dataclass(frozen=True)
class ObliqueSolution:
    """One of the two settings at which a reflection diffracts.

    Parameters
    ----------
    theta : float
        Bragg angle (rad).
    omega : float
        Rotation of the sample about the vertical axis (rad), in [0, 2π).
    eta : float
        Azimuth of the diffracted beam about the incident one (rad), in (-π, π].
    """

    theta: float
    omega: float
    eta: float

    @cached_property
    def geometry(self) -> DiffractionGeometry:
        """The frames of the reflection at this setting, μ = 0.

        φ and χ stand on the ω axis: they turn about y and -x of the sample at rest, carried along
        by ω (docs/explanation/physics.md, A3 and A4).
        """
        lab_from_sample = rotation_z(self.omega)
        return DiffractionGeometry(
            theta=self.theta,
            eta=self.eta,
            lab_from_sample=lab_from_sample,
            phi_axis=lab_from_sample[:, 1],
            chi_axis=-lab_from_sample[:, 0],
        )

    def laue_residual(self, q_sample: ArrayLike, energy_kev: float) -> float:
        """How far the setting is from the Laue condition, |k_out - k_in - Q| / |Q|.

        Parameters
        ----------
        q_sample : (3,) array_like
            Diffraction vector in the sample frame (1/Å, with 2π).
        energy_kev : float
            Photon energy (keV).
        """
        q = np.asarray(q_sample, dtype=np.float64)
        k = 2.0 * math.pi / wavelength(energy_kev)
        change = k * (self.geometry.k_out_lab - np.array([1.0, 0.0, 0.0]))
        miss = change - self.geometry.lab_from_sample @ q
        return float(np.linalg.norm(miss) / np.linalg.norm(q))


def oblique_angles(q_sample: ArrayLike, energy_kev: float) -> tuple[Floats, Floats, Floats]:
    r"""Bragg angle, rotation and azimuth of the two solutions of many reflections.

    Parameters
    ----------
    q_sample : (..., 3) array_like
        Diffraction vectors :math:`Q = U B h` in the sample frame (1/Å, with 2π).
    energy_kev : float
        Photon energy (keV).

    Returns
    -------
    theta : (...) ndarray
        Bragg angle (rad).
    omega : (..., 2) ndarray
        Rotations about the vertical in [0, 2π), in increasing order.
    eta : (..., 2) ndarray
        Azimuths in (-π, π] that belong to them. NaN, as all three, where a reflection is out of
        reach.

    Notes
    -----
    The sample turned by ω about z must bring Q onto the Ewald sphere,
    :math:`Q_{lab,x} = -|Q|^2/2k`, so that
    :math:`\cos(\omega + \beta_0) = -|Q|^2 / (2 k Q_\perp)` with the polar parts
    :math:`Q_\perp, \beta_0` of Q about z, and
    :math:`\eta = \mathrm{atan2}(-k_{out,y}, k_{out,z})` (docs/explanation/physics.md, A4).
    Henningsson et al. (2025) write the same for any axis in half angles.
    """
    q = np.asarray(q_sample, dtype=np.float64)
    k = 2.0 * math.pi / wavelength(energy_kev)
    across = np.hypot(q[..., 0], q[..., 1])
    length_squared = (q * q).sum(axis=-1)
    with np.errstate(divide="ignore", invalid="ignore"):
        cosine = -length_squared / (2.0 * k * across)
        # NaN, from out of reach or Q along the axis, runs through all that follows.
        turn = np.arccos(np.where(cosine >= -1.0, cosine, np.nan))
    theta = np.arcsin(np.where(np.isnan(turn), np.nan, np.sqrt(length_squared) / (2.0 * k)))
    azimuth = np.stack([turn, -turn], axis=-1)
    # Zero minus zero keeps the sign of -0 out of atan2, which would turn η = π into -π.
    k_y = across[..., None] * np.sin(azimuth)
    eta = np.arctan2(0.0 - k_y, np.broadcast_to(q[..., 2, None], k_y.shape))
    omega = np.mod(azimuth - np.arctan2(q[..., 1], q[..., 0])[..., None], 2.0 * math.pi)
    # A negative rounding error wraps to a full turn, which is no turn.
    omega = np.where(omega > 2.0 * math.pi - 1e-13, 0.0, omega)
    order = np.argsort(omega, axis=-1)
    return theta, np.take_along_axis(omega, order, -1), np.take_along_axis(eta, order, -1)


def solve_oblique(
    cell: UnitCell, sample_from_crystal: ArrayLike, hkl: Sequence[int], energy_kev: float
) -> tuple[ObliqueSolution, ObliqueSolution] | None:
    """Both settings at which a reflection diffracts, by a rotation ω about the vertical.

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
    tuple of 2 ObliqueSolution, or None
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
    theta, omega, eta = oblique_angles(q, energy_kev)
    if np.isnan(theta):
        return None
    first, second = (
        checked(ObliqueSolution(float(theta), float(omega[i]), float(eta[i])), q, energy_kev)
        for i in (0, 1)
    )
    return first, second


def checked(solution: ObliqueSolution, q_sample: ArrayLike, energy_kev: float) -> ObliqueSolution:
    """Return the solution if it fulfils the Laue condition to `LAUE_TOLERANCE`.

    Raises
    ------
    ArithmeticError
        If it does not.
    """
    residual = solution.laue_residual(q_sample, energy_kev)
    if not residual < LAUE_TOLERANCE:
        raise ArithmeticError(f"the Laue condition is missed by {residual:.2g} of |Q|")
    return solution
