"""Directions that lie in lattice planes, and those that nearly do."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from weakbeam.crystal.lattice import Miller, UnitCell, miller, unit

_LARGEST = 9
"""Largest index of the directions that are tried."""

_SAME_DEG = 0.01
"""A direction with larger indices must be nearer by this (degrees) to be worth naming."""


def out_of_plane_deg(cell: UnitCell, hkl: Sequence[int], uvw: Sequence[int]) -> float:
    """Angle (degrees) by which the direction [uvw] leaves the planes (hkl).

    Exactly 0 where hu + kv + lw = 0, whatever the cell: no rounding of its edges counts.
    """
    h, u = miller(hkl, "hkl"), miller(uvw, "uvw")
    if sum(a * b for a, b in zip(h, u, strict=True)) == 0:
        return 0.0
    sine = abs(float(unit(cell.direction(u)) @ unit(cell.plane_normal(h))))
    return math.degrees(math.asin(min(sine, 1.0)))


def nearest_in_plane(
    cell: UnitCell, hkl: Sequence[int], uvw: Sequence[int]
) -> list[tuple[Miller, float]]:
    """Lattice directions in the planes (hkl) that are nearest to a direction [uvw].

    Parameters
    ----------
    cell : UnitCell
        The unit cell.
    hkl : sequence of 3 int
        The planes.
    uvw : sequence of 3 int
        A direction that is not normal to them.

    Returns
    -------
    list of (tuple of 3 int, float)
        Indices, and the angle (degrees) to the projection of [uvw] into the planes. The nearest
        with indices up to 9 is the first, and then that of smaller indices which is nearest.
    """
    span = np.arange(-_LARGEST, _LARGEST + 1)
    grid = np.stack(np.meshgrid(span, span, span, indexing="ij"), axis=-1).reshape(-1, 3)
    h, k, m = miller(hkl, "hkl")
    # Planes of large indices may hold none of these, but always those that lie in an axial plane.
    grid = np.concatenate([grid, [[0, m, -k], [-m, 0, h], [k, -h, 0]]])
    grid = grid[(grid @ np.array([h, k, m]) == 0) & np.any(grid, axis=1)]
    grid = grid[np.gcd.reduce(grid, axis=1) == 1]
    normal, wanted = unit(cell.plane_normal((h, k, m))), cell.direction(miller(uvw, "uvw"))
    projection = unit(wanted - (wanted @ normal) * normal)
    directions = np.array([unit(cell.direction(miller(row))) for row in grid.tolist()])
    # The arc tangent tells a direction from its projection where the arc cosine cannot.
    across = np.linalg.norm(np.cross(directions, projection), axis=1)
    angles = np.degrees(np.arctan2(across, directions @ projection)).tolist()
    size = np.abs(grid).max(axis=1), np.abs(grid).sum(axis=1)
    nearest: list[tuple[Miller, float]] = []
    for index in np.lexsort(size[::-1]).tolist():
        if not nearest or angles[index] < nearest[-1][1] - _SAME_DEG:
            u, v, w = grid[index].tolist()
            nearest.append(((u, v, w), angles[index]))
    return nearest[:-3:-1]
