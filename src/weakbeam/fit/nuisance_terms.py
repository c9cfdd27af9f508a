"""Polynomials over a window: of a lattice's tilt, of the light along y, of a background."""

from __future__ import annotations

import numpy as np
from numpy.polynomial.legendre import legvander

from weakbeam.core.arrays import Floats

Shape = tuple[int, int]


def degrees(degree: int) -> list[tuple[int, int]]:
    """Degrees along rows and columns of the terms of a polynomial, the even one first."""
    return [(total - k, k) for total in range(degree + 1) for k in range(total + 1)]


def window_terms(shape: Shape, degree: int) -> Floats:
    """Products of Legendre polynomials over a window.

    Parameters
    ----------
    shape : (int, int)
        Rows and columns.
    degree : int
        Highest total degree.

    Returns
    -------
    (terms, rows, columns) ndarray
        In the order of :func:`degrees`. Each is 1 in size in the corner of the last row and column
        of the window, and all but the first have no mean over it (but for its pixels being
        discrete).
    """
    along = [legvander(_unit(length), degree) for length in shape]
    return np.stack([np.outer(along[0][:, i], along[1][:, j]) for i, j in degrees(degree)])


def light_terms(shape: Shape, degree: int, along_rows: bool = False) -> Floats:
    """Legendre polynomials of y, along which the light of a line beam differs.

    Parameters
    ----------
    shape : (int, int)
        Rows and columns.
    degree : int
        Highest degree.
    along_rows : bool
        Whether y grows with the row, in images that were turned by a quarter; else with the column.

    Returns
    -------
    (degree, rows, columns) ndarray
        Without the even one, which is the brightness.
    """
    length = shape[0 if along_rows else 1]
    values = legvander(_unit(length), degree)[:, 1:].T
    whole = values[:, :, None] if along_rows else values[:, None, :]
    return np.ascontiguousarray(np.broadcast_to(whole, (degree, *shape)))


def _unit(length: int) -> Floats:
    """Middles of pixels, from -1 to 1 between the outer edges of the window."""
    return (2.0 * np.arange(length) + 1.0) / length - 1.0
