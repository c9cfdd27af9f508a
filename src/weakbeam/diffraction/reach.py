"""What a goniometer reaches: the energies and tilts at which some ω brings planes to diffract.

Turned about the ω axis, Q runs on a circle at the latitude λ above the plane across that axis, and
Q_lab,x from -|Q| cos(μ + λ) to |Q| cos(μ - λ). It must reach -|Q|²/2k
(docs/explanation/physics.md, A3 and A4).
"""

from __future__ import annotations

import math

import numpy as np

from weakbeam.core.arrays import ArrayLike, Floats
from weakbeam.diffraction.goniometer_setting import (
    ALONG_AXIS,
    GoniometerSetting,
    solve_mu,
    solve_omega,
)
from weakbeam.instrument.beam import wavelength
from weakbeam.instrument.goniometer import rotation_x, rotation_y


def energy_limits(
    q_sample: ArrayLike, mu: float = 0.0, chi: float = 0.0, phi: float = 0.0
) -> tuple[float, float]:
    """Energies between which some ω brings a reflection onto the Ewald sphere.

    Parameters
    ----------
    q_sample, mu, chi, phi
        As for :func:`.setting_at`.

    Returns
    -------
    least, most : float
        In keV; the largest may be infinite, and both are where none does.
    """
    q = np.asarray(q_sample, dtype=np.float64)
    length, latitude = float(np.linalg.norm(q)), _latitude(q, chi, phi)
    lowest, highest = -math.cos(mu + latitude), math.cos(mu - latitude)
    # Q along the ω axis and upright: no wave is short enough.
    least = math.inf if lowest > -1e-12 else -_energy(length) / lowest
    most = math.inf if highest >= 0.0 or math.isinf(least) else -_energy(length) / highest
    return least, most


def mu_limits(
    q_sample: ArrayLike, energy_kev: float, chi: float = 0.0, phi: float = 0.0
) -> tuple[float, float] | None:
    """Tilts μ between which some ω brings a reflection onto the Ewald sphere.

    Parameters
    ----------
    q_sample, energy_kev, chi, phi
        As for :func:`.setting_at`.

    Returns
    -------
    first, last : float
        In rad; one and the same where Q lies along the ω axis. None if the wave is too long for
        the spacing of the planes.

    Notes
    -----
    |μ + λ| ≤ π/2 - θ and |μ - λ| ≤ π/2 + θ with the latitude λ.
    """
    q = np.asarray(q_sample, dtype=np.float64)
    sine = _energy(float(np.linalg.norm(q))) / energy_kev
    if sine >= 1.0:
        return None
    theta, latitude = math.asin(sine), _latitude(q, chi, phi)
    first = max(-latitude - (0.5 * math.pi - theta), latitude - (0.5 * math.pi + theta))
    last = min(-latitude + (0.5 * math.pi - theta), latitude + (0.5 * math.pi + theta))
    return first, last


def solve_within(
    q_sample: ArrayLike,
    energy_kev: float,
    mu_range: tuple[float, float],
    chi: float = 0.0,
    phi: float = 0.0,
) -> tuple[GoniometerSetting, ...]:
    """The settings at which a reflection diffracts, with the smallest tilt μ that is allowed.

    Parameters
    ----------
    q_sample, energy_kev, chi, phi
        As for :func:`.setting_at`.
    mu_range : pair of float
        Limits of the tilt (rad).

    Returns
    -------
    tuple of GoniometerSetting
        Two in the order of ω, or one where they are the same: Q then touches the Ewald sphere, or
        lies along the ω axis, and ω = 0 stands for all. None if no allowed tilt will do.

    Raises
    ------
    ArithmeticError
        If a solution misses the Laue condition.
    """
    limits = mu_limits(q_sample, energy_kev, chi, phi)
    if limits is None:
        return ()
    low, high = max(limits[0], mu_range[0]), min(limits[1], mu_range[1])
    if low > high + 1e-12:
        return ()
    mu = min(max(0.0, low), high)
    if mu not in limits:
        return solve_omega(q_sample, energy_kev, mu, chi, phi) or ()
    x, y, z = rotation_x(-chi) @ rotation_y(phi) @ np.asarray(q_sample, dtype=np.float64)
    along_axis = math.hypot(x, y) <= ALONG_AXIS * abs(z)
    beta = math.atan2(y, x)
    for omega in (0.0,) if along_axis else (math.pi - beta, -beta):
        turned = math.fmod(omega + 2.0 * math.pi, 2.0 * math.pi)
        for setting in solve_mu(q_sample, energy_kev, turned, chi, phi):
            if abs(setting.mu - mu) < 1e-6:
                return (setting,)
    return ()


def _latitude(q: Floats, chi: float, phi: float) -> float:
    x, y, z = rotation_x(-chi) @ rotation_y(phi) @ q
    return math.atan2(z, math.hypot(x, y))


def _energy(length: float) -> float:
    """Energy (keV) of the longest wave that a diffraction vector of `length` (1/Å) can reflect."""
    # |Q| = 2k, with k = 2π/λ and E λ the same for all waves.
    return wavelength(1.0) * length / (4.0 * math.pi)
