"""Marginals of the acceptance of the symmetric geometry in one component of q."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from weakbeam.core.arrays import ArrayLike, Floats
from weakbeam.diffraction.acceptance_factors import AcceptanceFactors
from weakbeam.diffraction.quadrature import normal_between
from weakbeam.instrument.passage import Window


def rock_marginal(factors: AcceptanceFactors, q_rock: ArrayLike) -> Floats:
    """Density of q_rock' alone: a quadrature of the joint density over all lens angles.

    Parameters
    ----------
    factors : AcceptanceFactors
        The instrument; its aperture and stops, which act on the lens angles, do not enter.
    q_rock : array_like
        Dimensionless.

    Returns
    -------
    ndarray
    """
    theta, optics = factors.theta, factors.optics
    q1 = np.asarray(q_rock, dtype=np.float64)
    reach = 9.0 * optics.lens + min(optics.clip, 9.0 * optics.divergence_vertical)
    node, weight = np.polynomial.legendre.leggauss(200)
    # δ = w - ζ covers the lens; at fixed q_rock', dw = 2 sinθ dq_2θ.
    w = reach * node
    q3 = (0.5 * w + q1[..., None] * math.cos(theta)) / math.sin(theta)
    density = factors.rock_two_theta(q1[..., None], q3, [Window(-math.inf, math.inf)])
    return np.asarray(density @ weight * reach / (2.0 * math.sin(theta)))


def two_theta_marginal(
    factors: AcceptanceFactors, q_two_theta: ArrayLike, windows: Sequence[Window]
) -> Floats:
    """Density of q_2θ of the rays whose δ passes; a quadrature over ζ_v, all that is left.

    A motion of φ during the exposure, which changes q_2θ by sinθ φ, is small beside the lens and
    left out here.

    Parameters
    ----------
    factors : AcceptanceFactors
        The instrument.
    q_two_theta : array_like
        Dimensionless.
    windows
        As for :meth:`.AcceptanceFactors.rock_two_theta`, and so is the integral.
    """
    theta, optics = factors.theta, factors.optics
    sine, cosine = math.sin(theta), math.cos(theta)
    q3 = np.asarray(q_two_theta, dtype=np.float64)
    reach = min(optics.clip, 8.0 * optics.divergence_vertical)
    node, weight = np.polynomial.legendre.leggauss(96)
    zeta, weight = reach * node, reach * weight
    if math.isfinite(optics.divergence_vertical):
        weight = weight * np.exp(-0.5 * (zeta / optics.divergence_vertical) ** 2)
    weight /= weight.sum()
    total = np.zeros(q3.shape)
    for share, centre, rms in optics.energies:
        # y + ζ cos2θ = 2 sinθ cosθ ε + δ: a Gaussian and a Gaussian cut by windows.
        y = 2.0 * sine * (q3 - centre * cosine)
        x = y[..., None] + zeta * math.cos(2 * theta)
        smear = math.sin(2 * theta) * rms
        variance = smear**2 + optics.lens**2
        middle = x * optics.lens**2 / variance
        width = smear * optics.lens / math.sqrt(variance)
        gauss = np.exp(-0.5 * x**2 / variance) / math.sqrt(2 * math.pi * variance)
        for window in windows:
            ends = (window.low - middle) / width, (window.high - middle) / width
            inside = gauss * normal_between(*ends)
            total += share * window.transmission * (inside @ weight)
    return np.asarray(2.0 * sine * total)
