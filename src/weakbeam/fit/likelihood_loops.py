"""Compiled loop of the likelihood: all sums over the pixels of an image in one pass."""

from __future__ import annotations

import math

from weakbeam.core.arrays import Floats
from weakbeam.core.compiled import compiled
from weakbeam.fit.observation import Bools

_LARGE = 1e250


@compiled
def add_image(
    counts: Floats,
    good: Bools,
    columns: Floats,
    coefficients: Floats,
    background: float,
    gain: float,
    floor: float,
    gradient: Floats,
    observed: Floats,
    expected: Floats,
) -> tuple[float, float, int]:
    r"""Add up the log-likelihood of an image and its derivatives.

    Parameters
    ----------
    counts : (pixels,) ndarray
        Counts above dark (ADU).
    good : (pixels,) ndarray of bool
        Pixels that count.
    columns : (k, pixels) ndarray
        What the expected signal is a linear combination of, beside a constant.
    coefficients : (k,) ndarray
        Their factors.
    background : float
        The constant (ADU).
    gain, floor : float
        Of the noise.
    gradient : (k + 1,) ndarray
        Is set to the derivatives with respect to the coefficients and the background.
    observed, expected : (k + 1, k + 1) ndarray
        Are set to the second derivatives with opposite sign, as they are and as they are expected
        to be.

    Returns
    -------
    log_likelihood : float
        Without its constant :math:`-\tfrac12 \ln 2\pi` per pixel.
    chi_square : float
        Sum of the squared residuals over their variance.
    pixels : int
        How many count.
    """
    count = len(coefficients)
    gradient[:] = 0.0
    observed[:] = 0.0
    expected[:] = 0.0
    chi_square, logarithms, product, pixels = 0.0, 0.0, 1.0, 0
    for i in range(len(counts)):
        if not good[i]:
            continue
        pixels += 1
        signal = background
        for k in range(count):
            signal += coefficients[k] * columns[k, i]
        slope = gain if signal > 0.0 else 0.0
        variance = floor + slope * signal
        inverse = 1.0 / variance
        residual = counts[i] - signal
        share = residual * inverse
        square = residual * share
        growth = slope * inverse
        chi_square += square
        # One logarithm of a product of many variances.
        product *= variance
        if product > _LARGE or product < 1.0 / _LARGE:
            logarithms += math.log(product)
            product = 1.0
        score = share + 0.5 * growth * (square - 1.0)
        curvature = inverse * (1.0 + slope * share) ** 2 - 0.5 * growth * growth
        information = inverse + 0.5 * growth * growth
        for k in range(count):
            value = columns[k, i]
            gradient[k] += score * value
            for j in range(k + 1):
                observed[k, j] += curvature * value * columns[j, i]
                expected[k, j] += information * value * columns[j, i]
            observed[count, k] += curvature * value
            expected[count, k] += information * value
        gradient[count] += score
        observed[count, count] += curvature
        expected[count, count] += information
    for k in range(count + 1):
        for j in range(k):
            observed[j, k] = observed[k, j]
            expected[j, k] = expected[k, j]
    logarithms += math.log(product)
    return -0.5 * (chi_square + logarithms), chi_square, pixels
