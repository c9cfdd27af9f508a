"""Constants that the compiled factors of the acceptance need, from the acceptance itself."""

from __future__ import annotations

import math

from weakbeam.diffraction.acceptance import Acceptance

_UNBOUNDED = 1e6
"""Stands for an infinite aperture (rad), so that no infinity enters compiled arithmetic."""


def rock_optics(acceptance: Acceptance) -> tuple[float, ...]:
    """Constants of :func:`weakbeam.imaging.kernels.rock_factor`.

    Parameters
    ----------
    acceptance : Acceptance
        The instrument.

    Returns
    -------
    tuple of float
        sinθ, cosθ, three precisions, clip, aperture, and the scale that makes the density at
        q = 0 equal to 1.
    """
    inverse_width = math.sqrt(sum(acceptance.precisions))
    limit = min(acceptance.clip, acceptance.aperture)
    open_share = math.erf(limit * inverse_width / math.sqrt(2.0))
    return (
        acceptance.sin,
        acceptance.cos,
        *acceptance.precisions,
        min(acceptance.clip, _UNBOUNDED),
        min(acceptance.aperture, _UNBOUNDED),
        1.0 / open_share,
    )


def roll_optics(acceptance: Acceptance) -> tuple[float, ...]:
    """Constants of :func:`weakbeam.imaging.kernels.roll_factor`.

    Parameters
    ----------
    acceptance : Acceptance
        The instrument.

    Returns
    -------
    tuple of float
        2 sinθ, half the precision of the Gaussian, aperture, and for a beam with horizontal
        divergence the centre and inverse width of its cut by the aperture; last the scale.
    """
    lens, spread = acceptance.lens, acceptance.divergence_horizontal
    variance = lens**2 + spread**2
    aperture = min(acceptance.aperture, _UNBOUNDED)
    if spread == 0.0 or math.isinf(acceptance.aperture):
        return (2.0 * acceptance.sin, 0.5 / variance, aperture, 0.0, 0.0, 1.0)
    inverse_width = math.sqrt(variance) / (lens * spread)
    open_share = math.erf(aperture * inverse_width / math.sqrt(2.0))
    return (
        2.0 * acceptance.sin,
        0.5 / variance,
        aperture,
        lens**2 / variance,
        inverse_width,
        1.0 / open_share,
    )
