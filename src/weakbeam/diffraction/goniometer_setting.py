"""Settings of the goniometer at which a reflection diffracts.

The goniometer stacks Γ = R_y(μ) R_z(ω) R_x(-χ) R_y(φ), outermost first. The diffraction vector
carried by the two inner motors, Q' = R_x(-χ) R_y(φ) U B h, is split into its part Q'_z along the ω
axis and Q'_⊥ across it, at azimuth β. The Laue condition Q_lab,x = -|Q|²/2k is then

    cosμ Q'_⊥ cos(ω + β) + sinμ Q'_z = -|Q|²/2k

(docs/explanation/physics.md, A3 and A4). The symmetric geometry, Q along the ω axis and μ = -θ, and
the oblique one, μ = χ = φ = 0, are special cases.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from weakbeam.core.arrays import ArrayLike, Floats
from weakbeam.diffraction.geometry import DiffractionGeometry
from weakbeam.instrument.beam import wavelength
from weakbeam.instrument.goniometer import lab_from_sample, rotation_x, rotation_y, rotation_z

LAUE_TOLERANCE = 1e-10
"""Largest |k_out - k_in - Q| / |Q| of a setting."""

ALONG_AXIS = 1e-9
"""Q'_⊥ / |Q| below which Q lies along the ω axis."""


@dataclass(frozen=True)
class GoniometerSetting:
    """The motors of the goniometer at a Bragg setting, and where the beam goes.

    Parameters
    ----------
    theta : float
        Bragg angle (rad).
    omega : float
        Rotation about the vertical axis that μ carries (rad).
    eta : float
        Azimuth of the diffracted beam about the incident one (rad), in (-π, π].
    mu, chi, phi : float
        The other motors (rad): μ outermost, φ innermost, χ left-handed about +x as published.
    """

    theta: float
    omega: float
    eta: float
    mu: float = 0.0
    chi: float = 0.0
    phi: float = 0.0

    @cached_property
    def geometry(self) -> DiffractionGeometry:
        """The frames of the reflection at this setting.

        φ turns about the y axis of the sample, χ about the -x axis that μ and ω carry.
        """
        turned = lab_from_sample(self.mu, self.omega, self.chi, self.phi)
        carrier = rotation_y(self.mu) @ rotation_z(self.omega)
        return DiffractionGeometry(
            theta=self.theta,
            eta=self.eta,
            lab_from_sample=turned,
            phi_axis=turned[:, 1],
            chi_axis=-carrier[:, 0],
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


def setting_angles(
    q_sample: ArrayLike, energy_kev: float, mu: float = 0.0, chi: float = 0.0, phi: float = 0.0
) -> tuple[Floats, Floats, Floats]:
    r"""Bragg angle, ω and η of the two solutions of many reflections, the other motors given.

    Parameters
    ----------
    q_sample : (..., 3) array_like
        Diffraction vectors :math:`Q = U B h` in the sample frame (1/Å, with 2π).
    energy_kev : float
        Photon energy (keV).
    mu, chi, phi : float
        Motors (rad).

    Returns
    -------
    theta : (...) ndarray
        Bragg angle (rad).
    omega : (..., 2) ndarray
        Rotations in [0, 2π), in increasing order.
    eta : (..., 2) ndarray
        Azimuths in (-π, π] that belong to them. NaN, as all three, where no ω brings the
        reflection onto the Ewald sphere, or every ω does because Q lies along its axis.

    Notes
    -----
    :math:`\cos(\omega + \beta) = -(|Q|^2/2k + \sin\mu\,Q'_z) / (\cos\mu\,Q'_\perp)` and
    :math:`\eta = \mathrm{atan2}(-k_{out,y}, k_{out,z})` (docs/explanation/physics.md, A4).
    Henningsson et al. (2025) write the same for any axis in half angles.
    """
    q = np.asarray(q_sample, dtype=np.float64)
    carried = q @ (rotation_x(-chi) @ rotation_y(phi)).T
    k = 2.0 * math.pi / wavelength(energy_kev)
    length = np.linalg.norm(q, axis=-1)
    across, along = np.hypot(carried[..., 0], carried[..., 1]), carried[..., 2]
    with np.errstate(divide="ignore", invalid="ignore"):
        across = np.where(across > ALONG_AXIS * length, across, np.nan)
        cosine = -(length**2 / (2.0 * k) + math.sin(mu) * along) / (math.cos(mu) * across)
        # NaN, from out of reach or Q along the axis, runs through all that follows.
        turn = np.arccos(np.where(np.abs(cosine) <= 1.0, cosine, np.nan))
    theta = np.arcsin(np.where(np.isnan(turn), np.nan, length / (2.0 * k)))
    azimuth = np.stack([turn, -turn], axis=-1)
    # Zero minus zero keeps the sign of -0 out of atan2, which would turn η = π into -π.
    k_y = across[..., None] * np.sin(azimuth)
    k_z = math.cos(mu) * along - math.sin(mu) * across * np.cos(turn)
    eta = np.arctan2(0.0 - k_y, np.broadcast_to(k_z[..., None], k_y.shape))
    beta = np.arctan2(carried[..., 1], carried[..., 0])
    omega = np.mod(azimuth - beta[..., None], 2.0 * math.pi)
    # A negative rounding error wraps to a full turn, which is no turn.
    omega = np.where(omega > 2.0 * math.pi - 1e-13, 0.0, omega)
    order = np.argsort(omega, axis=-1)
    return theta, np.take_along_axis(omega, order, -1), np.take_along_axis(eta, order, -1)


def solve_omega(
    q_sample: ArrayLike, energy_kev: float, mu: float = 0.0, chi: float = 0.0, phi: float = 0.0
) -> tuple[GoniometerSetting, GoniometerSetting] | None:
    """Both settings at which a reflection diffracts, the other motors given.

    Parameters
    ----------
    q_sample, energy_kev, mu, chi, phi
        As for :func:`setting_angles`, of one reflection.

    Returns
    -------
    tuple of 2 GoniometerSetting, or None
        In the order of ω; None if no rotation, or every one, fulfils the Laue condition. Both
        fulfil it to `LAUE_TOLERANCE`.

    Raises
    ------
    ArithmeticError
        If a solution misses the Laue condition.
    """
    theta, omega, eta = setting_angles(q_sample, energy_kev, mu, chi, phi)
    if np.isnan(theta):
        return None
    first, second = (
        checked(
            GoniometerSetting(float(theta), float(omega[i]), float(eta[i]), mu, chi, phi),
            q_sample,
            energy_kev,
        )
        for i in (0, 1)
    )
    return first, second


def solve_mu(
    q_sample: ArrayLike,
    energy_kev: float,
    omega: float = 0.0,
    chi: float = 0.0,
    phi: float = 0.0,
) -> tuple[GoniometerSetting, ...]:
    """The settings at which a reflection diffracts by a tilt μ, the other motors given.

    Parameters
    ----------
    q_sample, energy_kev, omega, chi, phi
        As for :func:`setting_at`.

    Returns
    -------
    tuple of GoniometerSetting
        At most two, the smaller |μ| first; only |μ| < π/2 counts.

    Raises
    ------
    ArithmeticError
        If a solution misses the Laue condition.
    """
    q = np.asarray(q_sample, dtype=np.float64)
    k = 2.0 * math.pi / wavelength(energy_kev)
    # Q_lab,x = x cosμ + z sinμ = ρ cos(μ - ψ).
    x, _, z = lab_from_sample(0.0, omega, chi, phi) @ q
    radius, psi = math.hypot(x, z), math.atan2(z, x)
    wanted = -float(q @ q) / (2.0 * k)
    # A touching solution must not be lost to a rounding error.
    if radius == 0.0 or abs(wanted) > radius * (1.0 + 1e-15):
        return ()
    turn = math.acos(max(wanted / radius, -1.0))
    both = [math.remainder(psi + sign * turn, 2.0 * math.pi) for sign in (1.0, -1.0)]
    tilts = sorted({mu for mu in both if abs(mu) < 0.5 * math.pi}, key=abs)
    return tuple(setting_at(q, energy_kev, mu, omega, chi, phi) for mu in tilts)


def setting_at(
    q_sample: ArrayLike, energy_kev: float, mu: float, omega: float, chi: float, phi: float
) -> GoniometerSetting:
    """The setting of motors that fulfil the Laue condition, with its θ and η.

    Parameters
    ----------
    q_sample : (3,) array_like
        Diffraction vector U B h in the sample frame (1/Å, with 2π).
    energy_kev : float
        Photon energy (keV).
    mu, omega, chi, phi : float
        Motors (rad).

    Raises
    ------
    ArithmeticError
        If they do not fulfil the Laue condition.
    """
    q = np.asarray(q_sample, dtype=np.float64)
    k = 2.0 * math.pi / wavelength(energy_kev)
    theta = math.asin(min(float(np.linalg.norm(q)) / (2.0 * k), 1.0))
    _, y, z = lab_from_sample(mu, omega, chi, phi) @ q
    eta = math.atan2(0.0 - y, z)
    return checked(GoniometerSetting(theta, omega, eta, mu, chi, phi), q, energy_kev)


def sphere_distance(
    q_sample: ArrayLike, energy_kev: float, mu: float, omega: float, chi: float, phi: float
) -> float:
    """Distance of Q from the Ewald sphere relative to |Q|: | |k_in + Q| - k | / |Q|.

    It is |k_out - k_in - Q| / |Q| with k_out along k_in + Q, the least that any beam has.

    Parameters
    ----------
    q_sample, energy_kev, mu, omega, chi, phi
        As for :func:`setting_at`.
    """
    k = 2.0 * math.pi / wavelength(energy_kev)
    q_lab = lab_from_sample(mu, omega, chi, phi) @ np.asarray(q_sample, dtype=np.float64)
    beyond = np.linalg.norm(np.array([k, 0.0, 0.0]) + q_lab) - k
    return float(abs(beyond) / np.linalg.norm(q_lab))


def checked(
    setting: GoniometerSetting, q_sample: ArrayLike, energy_kev: float
) -> GoniometerSetting:
    """Return the setting if it fulfils the Laue condition to `LAUE_TOLERANCE`.

    Raises
    ------
    ArithmeticError
        If it does not.
    """
    residual = setting.laue_residual(q_sample, energy_kev)
    if not residual < LAUE_TOLERANCE:
        raise ArithmeticError(f"the Laue condition is missed by {residual:.2g} of |Q|")
    return setting
