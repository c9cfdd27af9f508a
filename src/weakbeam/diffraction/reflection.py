"""Bragg's law."""

from __future__ import annotations

import math

from weakbeam.instrument.beam import HC_KEV_ANGSTROM, wavelength


def bragg_angle(d_spacing: float, energy_kev: float) -> float:
    """Bragg angle θ with λ = 2 d sinθ.

    Parameters
    ----------
    d_spacing : float
        Spacing of the lattice planes (Å).
    energy_kev : float
        Photon energy (keV).

    Returns
    -------
    float
        θ in rad.

    Raises
    ------
    ValueError
        When the wavelength exceeds 2 d; the message gives the smallest energy that would do.
    """
    sine = wavelength(energy_kev) / (2.0 * d_spacing)
    if sine >= 1.0:
        least = HC_KEV_ANGSTROM / (2.0 * d_spacing)
        raise ValueError(f"out of reach at {energy_kev:g} keV; it needs more than {least:.4g} keV")
    return math.asin(sine)
