"""The variables of a ray: what they do to q, and how they are distributed."""

from __future__ import annotations

import math

import numpy as np

from weakbeam.core.arrays import Floats
from weakbeam.instrument.optics import Optics
from weakbeam.instrument.passage import Window, gaussian_moments

Motion = tuple[float, float, float]
"""How far (q_rock', q_roll, q_2θ) moves during the exposure."""

AT_REST: Motion = (0.0, 0.0, 0.0)


def check_setting(theta: float, motion: Motion) -> None:
    """Refuse a Bragg angle or a motion that no reflection has.

    Raises
    ------
    ValueError
        When the Bragg angle is not between 0 and π/2, or the motion not finite.
    """
    if not 0.0 < theta < math.pi / 2:
        raise ValueError(f"theta {theta} is not between 0 and π/2")
    if not all(map(math.isfinite, motion)):
        raise ValueError(f"motion {motion} is not finite")


def ray_map(theta: float, eta: float, motion: Motion) -> Floats:
    r"""Linear map from (ε, ζ_v, ζ_h, δ, ξ) and the moment of the exposure to q, imaging frame.

    Parameters
    ----------
    theta, eta : float
        Bragg angle and azimuth of the diffracted beam (rad).
    motion : tuple of 3 float
        How far q moves during the exposure, whose moments run from -1/2 to 1/2.

    Returns
    -------
    (3, 6) ndarray

    Notes
    -----
    With :math:`\zeta_\parallel = \zeta_v\cos\eta - \zeta_h\sin\eta` and :math:`\zeta_\perp =
    \zeta_v\sin\eta + \zeta_h\cos\eta`, :math:`q_{rock'} = s\varepsilon - c\zeta_\parallel`,
    :math:`q_{roll} = (\xi - \zeta_\perp)/2s`, :math:`q_{2\theta} = c\varepsilon + (\delta -
    \zeta_\parallel\cos 2\theta)/2s` (docs/explanation/physics.md, C1).
    """
    s, c, c2 = math.sin(theta), math.cos(theta), math.cos(2.0 * theta)
    cosine, sine = math.cos(eta), math.sin(eta)
    half = 0.5 / s
    columns = [
        (s, 0.0, c),
        (-c * cosine, -half * sine, -half * c2 * cosine),
        (c * sine, -half * cosine, half * c2 * sine),
        (0.0, 0.0, half),
        (0.0, half, 0.0),
        motion,
    ]
    return np.array(columns).T


def angles_moved(theta: float, motion: Motion) -> float:
    """How far the angles ζ_v and δ (rad) that belong to a q move during the exposure, at most."""
    rock, _, two_theta = motion
    across = 2.0 * (two_theta * math.sin(theta) - rock * math.cos(theta))
    return max(abs(rock) / math.cos(theta), abs(across))


def ray_moments(optics: Optics) -> tuple[Floats, Floats]:
    """Mean and covariance of (ε, ζ_v, ζ_h, δ, ξ) and the moment of the exposure, ± 1/2.

    Parameters
    ----------
    optics : Optics
        Beam, lens and stops; every truncation counts (docs/explanation/physics.md, C3).

    Returns
    -------
    mean : (6,) ndarray
    covariance : (6, 6) ndarray
    """
    centre = sum(w * e for w, e, _ in optics.energies)
    spread = sum(w * (rms**2 + e**2) for w, e, rms in optics.energies) - centre**2
    if math.isinf(optics.divergence_vertical):
        beam = optics.clip**2 / 3.0
    else:
        window = [Window(-optics.clip, optics.clip)]
        moments = gaussian_moments(window, optics.divergence_vertical)
        beam = moments[2] / moments[0]
    first, second = np.zeros(2), np.zeros((2, 2))
    for term, a, b in optics.lens_moments:
        factor = term.weight / optics.passed
        first += factor * np.array([a[1] * b[0], a[0] * b[1]])
        cross = a[1] * b[1]
        second += factor * np.array([[a[2] * b[0], cross], [cross, a[0] * b[2]]])
    mean = np.array([centre, 0.0, 0.0, *first, 0.0])
    covariance = np.diag([spread, beam, optics.divergence_horizontal**2, 0.0, 0.0, 1.0 / 12.0])
    covariance[3:5, 3:5] = second - np.outer(first, first)
    return mean, covariance
