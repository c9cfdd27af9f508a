"""Remounts: the sample taken off and put back so that other planes face up.

A remount is a rotation S of the sample frame. Everything that is fixed to the crystal turns with
it: U' = S U, positions r' = S r, distortions β' = S β Sᵀ, and the diffraction vector of the new
reflection is U' B h' (docs/explanation/physics.md, A2).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from weakbeam.core.arrays import ArrayLike, Floats
from weakbeam.crystal.lattice import Miller, UnitCell, miller, unit
from weakbeam.crystal.orientation import symmetric_orientation

HIGHEST_INDEX = 10
"""Largest Miller index of a plane that a remount may turn upwards."""

ALIGNED = 1e-4
"""Largest angle (rad) between a plane normal and z of the sample that counts as none."""


def remounted(
    sample_from_crystal: ArrayLike,
    cell: UnitCell,
    hkl_from: Sequence[int],
    hkl_to: Sequence[int],
    x_axis: Sequence[int],
) -> Floats:
    """Orientation after a remount from one reflection of the symmetric geometry to another.

    Parameters
    ----------
    sample_from_crystal : (3, 3) array_like
        The orientation before.
    cell : UnitCell
        The unit cell.
    hkl_from, hkl_to : sequence of 3 int
        The planes that face up before and after.
    x_axis : sequence of 3 int
        Direction [uvw] that points along x of the sample afterwards, after projection.

    Returns
    -------
    ndarray, shape (3, 3)
        The orientation U' afterwards; its third row is the unit vector of B h'.

    Raises
    ------
    ValueError
        If the first planes do not face up before, or x_axis is normal to the second ones.
    """
    angle = tilt(sample_from_crystal, cell, hkl_from)
    if angle > ALIGNED:
        raise ValueError(
            f"({' '.join(map(str, hkl_from))}) leaves z of the sample by "
            f"{math.degrees(angle):.4g} deg before the remount"
        )
    return symmetric_orientation(cell, hkl_to, x_axis)


def remounted_by(
    rotation: ArrayLike, sample_from_crystal: ArrayLike, cell: UnitCell
) -> tuple[Floats, Miller]:
    """Orientation after a remount that is given as a rotation, and the planes that then face up.

    Parameters
    ----------
    rotation : (3, 3) array_like
        S, which takes components in the sample before to components afterwards.
    sample_from_crystal : (3, 3) array_like
        The orientation before.
    cell : UnitCell
        The unit cell.

    Returns
    -------
    sample_from_crystal : ndarray, shape (3, 3)
        The orientation U' = S U afterwards.
    hkl : tuple of 3 int
        The planes that face up, without common factor.

    Raises
    ------
    ValueError
        If S is no rotation, or no plane of indices up to `HIGHEST_INDEX` faces up afterwards.
    """
    turn = np.asarray(rotation, dtype=np.float64)
    if not np.allclose(turn @ turn.T, np.eye(3), atol=1e-6) or np.linalg.det(turn) < 0.0:
        raise ValueError("a remount must be a rotation: orthogonal, with determinant +1")
    after = turn @ np.asarray(sample_from_crystal, dtype=np.float64)
    # The components of a reciprocal-lattice vector along a, b, c are its indices.
    upwards = cell.direct.T @ after[2]
    largest = np.abs(upwards).max()
    best = math.inf
    for index in range(1, HIGHEST_INDEX + 1):
        nearest = np.rint(upwards * (index / largest)).astype(int)
        hkl = miller(nearest.tolist())
        angle = tilt(after, cell, hkl)
        if angle < ALIGNED:
            return after, hkl
        best = min(best, angle)
    raise ValueError(
        f"a remount must turn a plane of low indices up: the nearest one with indices up to "
        f"{HIGHEST_INDEX} is {math.degrees(best):.3g} deg away"
    )


def carried(
    vectors: ArrayLike, sample_from_crystal_before: ArrayLike, sample_from_crystal_after: ArrayLike
) -> Floats:
    """Carry positions or directions along with the crystal in a remount, r' = U' Uᵀ r.

    Parameters
    ----------
    vectors : (..., 3) array_like
        Components in the sample frame before.
    sample_from_crystal_before, sample_from_crystal_after : (3, 3) array_like
        The two orientations U and U'.

    Returns
    -------
    (..., 3) ndarray
        Components in the sample frame after: the same places of the crystal.
    """
    before, after = (
        np.asarray(u, dtype=np.float64)
        for u in (sample_from_crystal_before, sample_from_crystal_after)
    )
    return np.asarray(vectors, dtype=np.float64) @ (after @ before.T).T


def tilt(sample_from_crystal: ArrayLike, cell: UnitCell, hkl: Sequence[int]) -> float:
    """Angle (rad) between the normal of the planes (hkl) and z of the sample."""
    normal = np.asarray(sample_from_crystal) @ unit(cell.plane_normal(miller(hkl)))
    return math.atan2(math.hypot(normal[0], normal[1]), normal[2])
