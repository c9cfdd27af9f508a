"""Functions of a direction, tabulated on the faces of a cube about the origin.

They are even or odd, so that three faces have all directions. A face has its own axis as 1 and the
two after it from -1 to 1; between its points functions are splines of the fifth degree.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from weakbeam.core.arrays import Floats
from weakbeam.core.compiled import compiled

_MARGIN = 2
"""Points of a table beyond each edge of a face."""

_RUN_IN = 7
"""Points beyond these: what the ends are taken to be fades by 0.43 from point to point."""

_SPLINE = np.array([1.0, 26.0, 66.0, 26.0, 1.0]) / 120.0
"""Values of the spline of fifth degree at its points."""


def tabulated(function: Callable[[Floats], Floats], cells: int) -> Floats:
    """Coefficients of the splines on three faces, 3 (cells + 5)² k in a row.

    Parameters
    ----------
    function : callable
        k functions of directions, unit vectors (n, 3) to (n, k), that are smooth.
    cells : int
        Along each edge. The error falls as the sixth power.
    """
    beyond = _MARGIN + _RUN_IN
    places = -1.0 + 2.0 / cells * (np.arange(cells + 1 + 2 * beyond) - beyond)
    v, w = np.meshgrid(places, places, indexing="ij")
    faces = []
    for face in range(3):
        points = np.empty((v.size, 3))
        points[:, face] = 1.0
        points[:, (face + 1) % 3], points[:, (face + 2) % 3] = v.ravel(), w.ravel()
        values = function(points / np.linalg.norm(points, axis=1, keepdims=True))
        values = values.reshape(*v.shape, -1)
        inverse = _coefficients_from_values(len(places))
        found = np.einsum("av,bw,vwk->abk", inverse, inverse, values, optimize=True)
        kept = slice(_RUN_IN, -_RUN_IN)
        faces.append(found[kept, kept].reshape(-1, values.shape[2]))
    return np.concatenate(faces).ravel()


def _coefficients_from_values(count: int) -> Floats:
    """From values at `count` points to coefficients of the splines about them."""
    of_values = sum(
        value * np.eye(count, k=shift) for shift, value in zip(range(-2, 3), _SPLINE, strict=True)
    )
    right = np.eye(count)
    # At the ends c = f - f''/4, with the second differences of the points inside.
    for row, inner in ((0, 1), (1, 1), (count - 2, count - 2), (count - 1, count - 2)):
        of_values[row] = np.eye(count)[row]
        right[row, inner - 1 : inner + 2] -= 0.25 * np.array([1.0, -2.0, 1.0])
    return np.asarray(np.linalg.solve(of_values, right))


@compiled
def interpolate(
    table: Floats, cells: int, ex: float, ey: float, ez: float, room: Floats, values: Floats
) -> bool:
    """What a table has for a direction, or for the opposite one.

    Parameters
    ----------
    table : (m,) ndarray
        Of `tabulated`.
    cells : int
        Along each edge.
    ex, ey, ez : float
        The direction, of any length.
    room : (6 k,) ndarray
        To work in.
    values : (k,) ndarray
        Filled.

    Returns
    -------
    bool
        Whether these are the values of the opposite direction.
    """
    if abs(ex) >= abs(ey) and abs(ex) >= abs(ez):
        face, main, v, w = 0, ex, ey, ez
    elif abs(ey) >= abs(ez):
        face, main, v, w = 1, ey, ez, ex
    else:
        face, main, v, w = 2, ez, ex, ey
    half = 0.5 * cells
    scale = half / main
    v, w = v * scale + half, w * scale + half
    # What is not a number must not lead out of the table either.
    iv, iw = max(min(int(v), cells - 1), 0), max(min(int(w), cells - 1), 0)
    count = values.size
    rows = cells + 2 * _MARGIN + 1
    side, run = rows * count, 6 * count
    at = (face * rows + iv) * side + iw * count
    # Six slices, as long runs of one index are what the compiler turns into vector instructions.
    t0, t1, t2 = table[at : at + run], table[at + side :], table[at + 2 * side :]
    t3, t4, t5 = table[at + 3 * side :], table[at + 4 * side :], table[at + 5 * side :]
    w0, w1, w2, w3, w4, w5 = _spline(v - iv)
    for k in range(run):
        room[k] = w0 * t0[k] + w1 * t1[k] + w2 * t2[k] + w3 * t3[k] + w4 * t4[k] + w5 * t5[k]
    w0, w1, w2, w3, w4, w5 = _spline(w - iw)
    for k in range(count):
        values[k] = (
            w0 * room[k]
            + w1 * room[count + k]
            + w2 * room[2 * count + k]
            + w3 * room[3 * count + k]
            + w4 * room[4 * count + k]
            + w5 * room[5 * count + k]
        )
    return main < 0.0


@compiled
def _spline(u: float) -> tuple[float, float, float, float, float, float]:
    """Weights of six points about a cell at the place u, 0 to 1, in it."""
    v, share = 1.0 - u, 1.0 / 120.0
    u2, v2 = u * u, v * v
    return (
        v2 * v2 * v * share,
        (1.0 + v * (5.0 + v * (10.0 + v * (10.0 + v * (5.0 - v * 5.0))))) * share,
        (26.0 + v * (50.0 + v * (20.0 + v * (-20.0 + v * (-20.0 + v * 10.0))))) * share,
        (26.0 + u * (50.0 + u * (20.0 + u * (-20.0 + u * (-20.0 + u * 10.0))))) * share,
        (1.0 + u * (5.0 + u * (10.0 + u * (10.0 + u * (5.0 - u * 5.0))))) * share,
        u2 * u2 * u * share,
    )
