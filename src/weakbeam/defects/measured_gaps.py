"""From where on segments in an anisotropic medium are interpolated, found by trying.

Green's function of a medium has poles near to real directions, but how strong they are matters as
much as how near. Instead of a bound for all media, what interpolation leaves of a point of a line
is looked at for that medium, on a lattice of directions; it falls steadily with the distance.
"""

from __future__ import annotations

import math

import numpy as np

from weakbeam.core.arrays import Floats
from weakbeam.core.compiled import compiled
from weakbeam.defects.chebyshev import coefficients_from_values, nodes
from weakbeam.defects.directions import interpolate
from weakbeam.defects.green import LEVI_CIVITA

LEAST_GAP = 0.8
"""Segments that come closer to a box, in its half-widths, are never interpolated."""

_DIRECTIONS = 1500
_BETWEEN = 9
"""Directions of sources from the middle of an interval, and points of it that are looked at."""

_SAFETY = 1.25
"""By what the error may be larger between these directions and points."""


def measured_error(
    order: int, gap: float, derivatives: Floats, cells: int, stiffness: Floats
) -> float:
    r"""Largest error of interpolating the field of a point of a line, relative to b / 2π R².

    R is the distance to the point of the interval that is nearest to it.

    Parameters
    ----------
    order : int
        Number of nodes along the axis.
    gap : float
        Distance from the middle of the interval, less one half-width, in half-widths.
    derivatives, cells
        Table of a medium: see :class:`.MediumTables`.
    stiffness : (3, 3, 3, 3) ndarray
        C_ijkl in the unit of the table, in the frame whose axes intervals lie along.
    """
    tau = 1.0 + gap
    # A spiral has directions that are spread evenly, on half of the sphere: the rest is the same.
    height = (np.arange(_DIRECTIONS) + 0.5) / _DIRECTIONS
    turn = np.pi * (3.0 - math.sqrt(5.0)) * np.arange(_DIRECTIONS)
    across = np.sqrt(1.0 - height**2)
    sources = tau * np.stack([across * np.cos(turn), across * np.sin(turn), height], axis=1)
    between = np.linspace(-1.0, 1.0, _BETWEEN)
    transform = coefficients_from_values(order)
    at = np.polynomial.chebyshev.chebvander(between, order - 1) @ transform
    worst = 0.0
    for axis in range(3):
        own = sources[:, axis]
        nearest = tau**2 - own**2 + np.maximum(np.abs(own) - 1.0, 0.0) ** 2
        left = _field(between, axis, sources, derivatives, cells)
        left -= np.einsum(
            "tn,nsk->tsk", at, _field(nodes(order), axis, sources, derivatives, cells)
        )
        left *= nearest[None, :, None]
        # Only the largest, as components of β go with those of the derivatives.
        size = np.abs(left).max(axis=2)
        chosen = left.reshape(-1, 18)[np.argsort(size, axis=None)[-40:]]
        worst = max(worst, float(np.sqrt(_squares(chosen, stiffness).max())))
    return 2.0 * np.pi * _SAFETY * worst


def measured_gap(
    order: int, tolerance: float, derivatives: Floats, cells: int, stiffness: Floats
) -> float:
    """Return the gap, at least `LEAST_GAP`, from which on that error stays below `tolerance`."""
    low, high = LEAST_GAP, 4.0
    if measured_error(order, low, derivatives, cells, stiffness) < tolerance:
        return low
    while measured_error(order, high, derivatives, cells, stiffness) > tolerance:
        low, high = high, 4.0 * high
    for _ in range(7):
        middle = math.sqrt(low * high)
        error = measured_error(order, middle, derivatives, cells, stiffness)
        low, high = (low, middle) if error < tolerance else (middle, high)
    return high


def _squares(derivatives: Floats, stiffness: Floats) -> Floats:
    """Squares (n, 3, 3) of the components of β, summed over unit Burgers vectors and lines."""
    pairs = [[0, 5, 4], [5, 1, 3], [4, 3, 2]]
    g = derivatives.reshape(-1, 6, 3)[:, pairs]
    stress = np.einsum("pqmn,sipq->simn", stiffness, g, optimize=True)
    field = np.einsum("jnh,simn->sijmh", LEVI_CIVITA, stress)
    return np.asarray(np.sum(field**2, axis=(3, 4)))


@compiled
def _field(places: Floats, axis: int, sources: Floats, derivatives: Floats, cells: int) -> Floats:
    """Derivatives of Green's function (t, s, 18) at places on an axis, of sources (s, 3)."""
    found = np.empty((places.shape[0], sources.shape[0], 18))
    room = np.empty(108)
    for t in range(places.shape[0]):
        for s in range(sources.shape[0]):
            x, y, z = -sources[s, 0], -sources[s, 1], -sources[s, 2]
            if axis == 0:
                x += places[t]
            elif axis == 1:
                y += places[t]
            else:
                z += places[t]
            values = found[t, s]
            opposite = interpolate(derivatives, cells, x, y, z, room, values)
            share = (-1.0 if opposite else 1.0) / (x * x + y * y + z * z)
            for k in range(18):
                values[k] *= share
    return found
