"""Compiled loops over deformation on a regular grid: interpolation, and what lies at its edges."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from weakbeam.core.arrays import Floats
from weakbeam.core.compiled import compiled, inlined

PERFECT, DARK, EXTEND = 0, 1, 2
"""What is outside of a grid."""


@inlined
def _keys(t: float, weights: Floats) -> None:
    """Weights of four points about the second and the third (Keys 1981, a = -1/2)."""
    weights[0] = t * (-0.5 + t * (1.0 - 0.5 * t))
    weights[1] = 1.0 + t * t * (-2.5 + 1.5 * t)
    weights[2] = t * (0.5 + t * (2.0 - 1.5 * t))
    weights[3] = t * t * (-0.5 + 0.5 * t)


@compiled
def add_interpolated(
    gradient: Floats,
    points: Floats,
    values: NDArray[Any],
    lit: NDArray[np.bool_],
    first: Floats,
    spacing: Floats,
    low: Floats,
    high: Floats,
    outside: int,
    order: int,
    frame_from_grid: Floats,
) -> None:
    """Add the interpolated β of a grid.

    Parameters
    ----------
    gradient : (9, n) ndarray
        Rows xx, xy, xz, yx, ...; modified. NaN where nothing diffracts.
    points : (3, n) ndarray
        In µm.
    values : (nx + 2 m, ny + 2 m, nz + 2 m, 9) ndarray
        β along the axes of the grid, with a margin of m = (order + 1) / 2 points on every side.
    lit : (nx, ny, nz) ndarray of bool
        Which voxels diffract; of size 0 if all do.
    first : (3,) ndarray
        Where the first point without margin is, along the axes of the grid (µm).
    spacing : (3,) ndarray
        From point to point (µm).
    low, high : (3,) ndarray
        Faces of the whole grid (µm), of which `values` may be a part.
    outside : int
        `PERFECT`, `DARK` or `EXTEND`.
    order : int
        1: linear in each direction; 3: cubic.
    frame_from_grid : (3, 3) ndarray
        Rotation from the axes of the grid to the frame of points and gradient.
    """
    margin = (order + 1) // 2
    taps = order + 1
    counts = np.array([values.shape[c] - 2 * margin for c in range(3)])
    turn = frame_from_grid
    weights = np.empty((3, 4))
    start = np.empty(3, np.int64)
    nearest = np.empty(3, np.int64)
    here, half = np.empty((3, 3)), np.empty((3, 3))
    for p in range(points.shape[1]):
        inside = True
        for c in range(3):
            at = turn[0, c] * points[0, p] + turn[1, c] * points[1, p] + turn[2, c] * points[2, p]
            # A place that is not finite is nowhere.
            inside = inside and low[c] <= at <= high[c]
            at = min(max(at, low[c]), high[c])
            t = (at - first[c]) / spacing[c]
            t = min(max(t, -0.5), counts[c] - 0.5)
            cell = math.floor(t)
            start[c] = int(cell) + margin - (taps // 2 - 1)
            nearest[c] = min(max(math.floor(t + 0.5), 0), counts[c] - 1)
            t -= cell
            if order == 1:
                weights[c, 0] = 1.0 - t
                weights[c, 1] = t
            else:
                _keys(t, weights[c])
        if not inside and outside == PERFECT:
            continue
        dark = not inside and outside == DARK
        if lit.size > 0:
            dark = dark or not lit[nearest[0], nearest[1], nearest[2]]
        if dark:
            for k in range(9):
                gradient[k, p] = np.nan
            continue
        here[:] = 0.0
        for i in range(taps):
            for j in range(taps):
                for k in range(taps):
                    weight = weights[0, i] * weights[1, j] * weights[2, k]
                    voxel = values[start[0] + i, start[1] + j, start[2] + k]
                    for a in range(3):
                        for b in range(3):
                            here[a, b] += weight * voxel[3 * a + b]
        for a in range(3):
            for b in range(3):
                half[a, b] = (
                    turn[a, 0] * here[0, b] + turn[a, 1] * here[1, b] + turn[a, 2] * here[2, b]
                )
        for a in range(3):
            for b in range(3):
                gradient[3 * a + b, p] += (
                    half[a, 0] * turn[b, 0] + half[a, 1] * turn[b, 1] + half[a, 2] * turn[b, 2]
                )


@compiled
def count_jumps(
    values: NDArray[Any], lit: NDArray[np.bool_], margin: int, limit: float
) -> tuple[int, int]:
    """Pairs of neighbouring voxels that diffract, and those of them whose β differ much.

    Parameters
    ----------
    values : (nx + 2 m, ny + 2 m, nz + 2 m, 9) ndarray
        β, with a margin.
    lit : (nx, ny, nz) ndarray of bool
        Which voxels diffract; of size 0 if all do.
    margin : int
        m.
    limit : float
        Largest sum of the squared differences of the nine components that is not much.
    """
    nx, ny, nz = [values.shape[c] - 2 * margin for c in range(3)]
    pairs, jumps = 0, 0
    for i in range(nx):
        for j in range(ny):
            for k in range(nz):
                if lit.size > 0 and not lit[i, j, k]:
                    continue
                for axis in range(3):
                    a, b, c = i + (axis == 0), j + (axis == 1), k + (axis == 2)
                    if a == nx or b == ny or c == nz:
                        continue
                    if lit.size > 0 and not lit[a, b, c]:
                        continue
                    pairs += 1
                    total = 0.0
                    for n in range(9):
                        step = (
                            values[a + margin, b + margin, c + margin, n]
                            - values[i + margin, j + margin, k + margin, n]
                        )
                        total += step * step
                    jumps += total > limit
    return pairs, jumps


@compiled
def fill_next(values: NDArray[Any], known: NDArray[np.bool_], filled: NDArray[np.bool_]) -> None:
    """Fill the points next to known ones, so that interpolation has values on both sides.

    A value is extrapolated linearly, along the shortest of the 26 directions in which two points
    are known, and as the mean over all of these; where there is none it is the mean of the closest
    neighbours. So linear fields stay linear up to the edge.

    Parameters
    ----------
    values : (nx, ny, nz, 9) ndarray
        Modified.
    known : (nx, ny, nz) ndarray of bool
        Which points have values.
    filled : (nx, ny, nz) ndarray of bool
        Set where values have been filled in.
    """
    nx, ny, nz = known.shape
    total = np.empty(9)
    for i in range(nx):
        for j in range(ny):
            for k in range(nz):
                if known[i, j, k]:
                    continue
                # Most points that are not known are far from all that are.
                near = False
                for a in range(max(i - 1, 0), min(i + 2, nx)):
                    for b in range(max(j - 1, 0), min(j + 2, ny)):
                        for c in range(max(k - 1, 0), min(k + 2, nz)):
                            near = near or known[a, b, c]
                if not near:
                    continue
                for reach in (2, 1):
                    found = 0
                    for length in range(1, 4):
                        total[:] = 0.0
                        for n in range(27):
                            di, dj, dk = n // 9 - 1, n // 3 % 3 - 1, n % 3 - 1
                            if di * di + dj * dj + dk * dk != length:
                                continue
                            far_i, far_j, far_k = i + reach * di, j + reach * dj, k + reach * dk
                            if not (0 <= far_i < nx and 0 <= far_j < ny and 0 <= far_k < nz):
                                continue
                            if not known[i + di, j + dj, k + dk]:
                                continue
                            if not known[far_i, far_j, far_k]:
                                continue
                            found += 1
                            close, far = values[i + di, j + dj, k + dk], values[far_i, far_j, far_k]
                            for c in range(9):
                                # Both are the same point where one neighbour has to do.
                                total[c] += close[c] + (reach - 1) * (close[c] - far[c])
                        if found:
                            break
                    if found:
                        for c in range(9):
                            values[i, j, k, c] = total[c] / found
                        filled[i, j, k] = True
                        break
