"""Chebyshev interpolation on an interval, and when it is good enough for the field of a line."""

from __future__ import annotations

import math
from collections.abc import Callable

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
    return _least_gap(lambda gap: error_bound(order, gap, shares), tolerance)


def _least_gap(bound: Callable[[float], float], tolerance: float) -> float:
    low, high = LEAST_GAP, 1e3
    while bound(high) > tolerance:
        high *= 1e3
    for _ in range(200):
        middle = math.sqrt(low * high)
        low, high = (low, middle) if bound(middle) < tolerance else (middle, high)
    return high


def segment_error_bound(order: int, gap: float) -> float:
    r"""Largest error of interpolating a segment's field, relative to b / 2π ∫ ds / R².

    R are the distances from the segment to the point of the box that is nearest to it.

    Parameters
    ----------
    order : int
        Number of nodes along the axis.
    gap : float
        Least distance, less one half-width, from the segment to the middles of all lines through
        the box along that axis, in half-widths along it.

    Returns
    -------
    float

    Notes
    -----
    Along an axis of the box, the field of each point of the segment is made of
    :math:`R_i R_j R_k/R^5` and :math:`R_i/R^3`, with branch points at a distance of at least
    :math:`\tau = 1 + \text{gap}` from the middle of the interval. Interpolation at the zeros of
    :math:`T_n` is worst where they are on the axis; it then leaves

    .. math:: \frac{T_n(t)}{T_n(\tau)}\Bigl[\frac{T_n'(\tau)}{T_n(\tau)(\tau-t)}
              + \frac{1}{(\tau-t)^2}\Bigr]

    of :math:`1/(\tau-t)^2`. Mura's integral has three terms of the second kind, of shares up to
    1/4 each, and one of the first, of 3/4. The interpolation along the other axes multiplies the
    sum by the squared Lebesgue constant.
    """
    tau = 1.0 + gap
    decay = math.cosh(order * math.acosh(tau)) if order * math.acosh(tau) < 700 else math.inf
    slope = order / math.sqrt(tau * tau - 1.0)
    lebesgue = 1.0 + 2.0 / math.pi * math.log(order + 1.0)
    return lebesgue**2 * 1.5 * tau**2 * (slope / gap + 1.0 / gap**2) / decay


def least_segment_gap(order: int, tolerance: float) -> float:
    """Return the gap from which on `segment_error_bound` stays below `tolerance`."""
    return _least_gap(lambda gap: segment_error_bound(order, gap), tolerance)
