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

_WIDER = 2
"""Cells by which directions that are looked up at once may differ, along each edge."""

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
def interpolate_sum(
    table: Floats,
    cells: int,
    directions: Floats,
    shares: Floats,
    nodes: int,
    room: Floats,
    values: Floats,
) -> None:
    """Sum of what a table of odd functions has for a few directions, each with a share.

    Directions that are in one cell of the table, or next to each other, are looked up at once.

    Parameters
    ----------
    table, cells
        As of :func:`interpolate`.
    directions : (3, m) ndarray
        Of any length.
    shares : (m,) ndarray
        Of each.
    nodes : int
        How many of them.
    room : (7 k,) ndarray
        To work in.
    values : (k,) ndarray
        Filled.
    """
    ex, ey, ez = directions[0, 0], directions[1, 0], directions[2, 0]
    if abs(ex) >= abs(ey) and abs(ex) >= abs(ez):
        face = 0
    elif abs(ey) >= abs(ez):
        face = 1
    else:
        face = 2
    half = 0.5 * cells
    after, last = (face + 1) % 3, (face + 2) % 3
    count = values.size
    # Cells from the first to the last, in rows and columns.
    iv, iw, jv, jw = cells, cells, 0, 0
    same = True
    for node in range(nodes):
        scale = half / directions[face, node]
        v, w = directions[after, node] * scale + half, directions[last, node] * scale + half
        same = same and 0.0 <= v <= cells and 0.0 <= w <= cells
        kv, kw = max(min(int(v), cells - 1), 0), max(min(int(w), cells - 1), 0)
        iv, iw, jv, jw = min(iv, kv), min(iw, kw), max(jv, kv), max(jw, kw)
    if same and jv - iv <= _WIDER and jw - iw <= _WIDER:
        # Weights of all points, of all directions together.
        for k in range((6 + _WIDER) ** 2):
            room[k] = 0.0
        for node in range(nodes):
            main = directions[face, node]
            scale = half / main
            v, w = directions[after, node] * scale + half, directions[last, node] * scale + half
            kv, kw = max(min(int(v), cells - 1), 0), max(min(int(w), cells - 1), 0)
            share = shares[node] if main > 0.0 else -shares[node]
            a, b = _spline(v - kv), _spline(w - kw)
            first = (6 + _WIDER) * (kv - iv) + kw - iw
            for j in range(6):
                row = share * a[j]
                for k in range(6):
                    room[first + (6 + _WIDER) * j + k] += row * b[k]
        rows = cells + 2 * _MARGIN + 1
        side = rows * count
        at = (face * rows + iv) * side + iw * count
        for k in range(count):
            values[k] = 0.0
        for k in range(6 + jw - iw):
            first = at + k * count
            t0, t1 = table[first : first + count], table[first + side :]
            t2, t3 = table[first + 2 * side :], table[first + 3 * side :]
            t4, t5 = table[first + 4 * side :], table[first + 5 * side :]
            w0, w1, w2 = room[k], room[6 + _WIDER + k], room[2 * (6 + _WIDER) + k]
            w3, w4 = room[3 * (6 + _WIDER) + k], room[4 * (6 + _WIDER) + k]
            w5 = room[5 * (6 + _WIDER) + k]
            for c in range(count):
                values[c] += (
                    w0 * t0[c] + w1 * t1[c] + w2 * t2[c] + w3 * t3[c] + w4 * t4[c] + w5 * t5[c]
                )
        for j in range(6, 6 + jv - iv):
            first = at + j * side
            run = table[first : first + (6 + jw - iw) * count]
            for k in range(6 + jw - iw):
                share = room[(6 + _WIDER) * j + k]
                for c in range(count):
                    values[c] += share * run[k * count + c]
        return
    total = room[6 * count : 7 * count]
    for k in range(count):
        total[k] = 0.0
    for node in range(nodes):
        opposite = interpolate(
            table,
            cells,
            directions[0, node],
            directions[1, node],
            directions[2, node],
            room,
            values,
        )
        share = -shares[node] if opposite else shares[node]
        for k in range(count):
            total[k] += share * values[k]
    for k in range(count):
        values[k] = total[k]


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
