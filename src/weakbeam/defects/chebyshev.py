"""Chebyshev interpolation on an interval, and when it is good enough for the field of a line."""

from __future__ import annotations

import math

import numpy as np

from weakbeam.core.arrays import Floats

LEAST_GAP = 1.5
"""Lines that come closer to a box, in its half-widths, are never interpolated."""


def nodes(order: int) -> Floats:
    """Zeros of T_order, the places of interpolation in (−1, 1)."""
    return np.asarray(np.cos(np.pi * (np.arange(order) + 0.5) / order))


def coefficients_from_values(order: int) -> Floats:
    """Matrix (order, order) that turns values at the nodes into Chebyshev coefficients."""
    angles = np.pi * (np.arange(order) + 0.5) / order
    matrix = 2.0 / order * np.cos(np.arange(order)[:, None] * angles)
    matrix[0] *= 0.5
    return np.asarray(matrix)


def restriction(order: int, wider: int, scale: float, offset: float) -> Floats:
    """Matrix (order, wider) that carries a polynomial to the part offset + scale·t of its interval.

    Parameters
    ----------
    order, wider : int
        Number of coefficients on the part and on the whole; exact if `order` is not the smaller.
    scale, offset : float
        Half-width and centre of the part, in half-widths of the whole.

    Returns
    -------
    (order, wider) ndarray
    """
    places = offset + scale * nodes(order)
    values = np.polynomial.chebyshev.chebvander(places, wider - 1)
    return np.asarray(coefficients_from_values(order) @ values)


Shares = tuple[float, float, float]
"""What simple, double and triple poles have in a field, relative to b/2πd: see `error_bound`."""

ISOTROPIC: Shares = (3.0, 1.0, 0.0)
"""Of a line in an isotropic medium, whose field is made of 1/z and z̄/z²."""


def error_bound(order: int, gap: float, shares: Shares = ISOTROPIC) -> float:
    r"""Largest error of interpolating a line's field, relative to b / 2πd.

    Parameters
    ----------
    order : int
        Number of nodes along the axis.
    gap : float
        Least distance from the box to the line, in half-widths of the box along that axis, all seen
        along the line. Along the widest axis it must not be less than `LEAST_GAP`.
    shares : tuple of 3 float
        Of the poles of each order; see the notes.

    Returns
    -------
    float

    Notes
    -----
    Seen along the line and along one axis of the box, the field in an isotropic medium is made of
    :math:`1/z` and :math:`\bar z/z^2` with a pole at a distance of at least
    :math:`\tau = 1 + \text{gap}` from the middle of the interval. Interpolation at the zeros of
    :math:`T_n` leaves exactly :math:`T_n(t)/T_n(t^*)` of the simple pole; differentiating by
    :math:`t^*` gives those of higher order. Together they leave at most
    :math:`(s_0 + s_1 k + s_2 k^2)/T_n(\tau)` with :math:`k = n(\tau+1)/\sqrt{\tau^2-1}`. The
    interpolation along the other axes multiplies this by the squared Lebesgue constant, and by the
    ratio of the largest and smallest distance from box to line, at most 1 + 6 / `LEAST_GAP`.
    """
    tau = 1.0 + gap
    decay = math.cosh(order * math.acosh(tau)) if order * math.acosh(tau) < 700 else math.inf
    step = order * (tau + 1.0) / math.sqrt(tau * tau - 1.0)
    pole = shares[0] + step * (shares[1] + step * shares[2])
    lebesgue = 1.0 + 2.0 / math.pi * math.log(order + 1.0)
    return lebesgue**2 * (1.0 + 6.0 / LEAST_GAP) * pole / decay


def least_gap(order: int, tolerance: float, shares: Shares = ISOTROPIC) -> float:
    """Return the gap, at least `LEAST_GAP`, from which on the error stays below `tolerance`."""
    low, high = LEAST_GAP, 1e3
    while error_bound(order, high, shares) > tolerance:
        high *= 1e3
    for _ in range(200):
        middle = math.sqrt(low * high)
        low, high = (
            (low, middle) if error_bound(order, middle, shares) < tolerance else (middle, high)
        )
    return high
