"""Marginals of the acceptance in one component of q, and the normal integral of its closed form."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from weakbeam.core.arrays import ArrayLike, Floats
from weakbeam.core.compiled import elementwise
from weakbeam.instrument.passage import Window

if TYPE_CHECKING:
    from weakbeam.diffraction.acceptance import Acceptance


def rock_marginal(acceptance: Acceptance, q_rock: ArrayLike) -> Floats:
    """Density of q_rock' alone: a quadrature of the joint density over all lens angles.

    Parameters
    ----------
    acceptance : Acceptance
        The instrument; its aperture and stops, which act on the lens angles, do not enter.
    q_rock : array_like
        Dimensionless.

    Returns
    -------
    ndarray
    """
    whole = replace(acceptance.open, aperture=math.inf, motion=acceptance.motion)
    q1 = np.asarray(q_rock, dtype=np.float64)
    reach = 9.0 * acceptance.lens + min(acceptance.clip, 9.0 * acceptance.divergence_vertical)
    node, weight = np.polynomial.legendre.leggauss(200)
    # δ = w - ζ covers the lens; at fixed q_rock', dw = 2 sinθ dq_2θ.
    w = reach * node
    q3 = (0.5 * w + q1[..., None] * acceptance.cos) / acceptance.sin
    density = whole.rock_two_theta(q1[..., None], q3, whole.passages[0].two_theta)
    return np.asarray(density @ weight * reach / (2.0 * acceptance.sin))


def two_theta_marginal(
    acceptance: Acceptance, q_two_theta: ArrayLike, windows: Sequence[Window]
) -> Floats:
    """Density of q_2θ of the rays whose δ passes; a quadrature over ζ_v, all that is left.

    A motion of φ during the exposure, which changes q_2θ by sinθ φ, is small beside the lens and
    left out here.

    Parameters
    ----------
    acceptance : Acceptance
        The instrument.
    q_two_theta : array_like
        Dimensionless.
    windows : sequence of Window
        Where δ passes.

    Returns
    -------
    ndarray
        Its integral is the probability that δ passes.
    """
    q3 = np.asarray(q_two_theta, dtype=np.float64)
    reach = min(acceptance.clip, 8.0 * acceptance.divergence_vertical)
    node, weight = np.polynomial.legendre.leggauss(96)
    zeta, weight = reach * node, reach * weight
    if math.isfinite(acceptance.divergence_vertical):
        weight = weight * np.exp(-0.5 * (zeta / acceptance.divergence_vertical) ** 2)
    weight /= weight.sum()
    total = np.zeros(q3.shape)
    for share, centre, rms in acceptance.energies:
        # y + ζ cos2θ = 2 sinθ cosθ ε + δ: a Gaussian and a Gaussian cut by windows.
        y = 2.0 * acceptance.sin * (q3 - centre * acceptance.cos)
        x = y[..., None] + zeta * math.cos(2 * acceptance.theta)
        smear = math.sin(2 * acceptance.theta) * rms
        variance = smear**2 + acceptance.lens**2
        middle = x * acceptance.lens**2 / variance
        width = smear * acceptance.lens / math.sqrt(variance)
        gauss = np.exp(-0.5 * x**2 / variance) / math.sqrt(2 * math.pi * variance)
        for window in windows:
            ends = (window.low - middle) / width, (window.high - middle) / width
            inside = gauss * normal_between(*ends)
            total += share * window.transmission * (inside @ weight)
    return np.asarray(2.0 * acceptance.sin * total)


@elementwise
def normal_between(low: Any, high: Any) -> Any:
    """Φ(high) - Φ(low), accurate in both tails because it is taken in the upper one."""
    if low < -high:
        low, high = -high, -low
    root = math.sqrt(0.5)
    return 0.5 * (math.erfc(low * root) - math.erfc(high * root))
