"""Orientations: how the crystal sits in the sample.

An orientation U = sample_from_crystal turns components in the Cartesian crystal frame into
components in the sample frame; its ROWS are the sample axes expressed in the crystal.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from weakbeam.core.arrays import ArrayLike, Floats
from weakbeam.crystal.lattice import UnitCell, miller, unit

_PARALLEL = 1e-6  # sine of the smallest angle at which two directions count as different
_ORTHOGONAL = 1e-9  # largest cosine between mount axes that count as orthogonal

UB_TOLERANCE = 0.01
"""Largest deviation of the metric of a UB matrix from that of the cell: 0.5 % of an edge, or 0.5
degrees of a right angle."""


def symmetric_orientation(cell: UnitCell, hkl: Sequence[int], x_axis: Sequence[int]) -> Floats:
    """Orientation of the symmetric geometry, with the planes (hkl) facing up.

    ẑ is the unit vector of B h, x̂ that of A u made perpendicular to ẑ, and ŷ = ẑ × x̂
    (docs/explanation/physics.md, A2).

    Parameters
    ----------
    cell : UnitCell
        The unit cell.
    hkl : sequence of 3 int
        The reflection; its diffraction vector becomes the z axis of the sample.
    x_axis : sequence of 3 int
        Direction [uvw] of the crystal that points along x of the sample, after projection.

    Returns
    -------
    ndarray, shape (3, 3)
        Rotation sample_from_crystal.

    Raises
    ------
    ValueError
        If indices are no non-zero integers, or the direction is parallel to the diffraction vector.
    """
    z = unit(cell.plane_normal(miller(hkl, "hkl")))
    towards_x = unit(cell.direction(miller(x_axis, "x_axis")))
    across = np.cross(z, towards_x)
    if np.linalg.norm(across) < _PARALLEL:
        raise ValueError(
            f"x_axis [{_words(x_axis)}] is parallel to the diffraction vector of ({_words(hkl)}): "
            "choose a direction that is not normal to the planes"
        )
    # The second projection removes the rounding that a small angle between x and z magnifies.
    y = unit(across)
    y = unit(y - (y @ z) * z)
    return np.stack([np.cross(y, z), y, z])


def sample_from_crystal_mount(
    cell: UnitCell, x: Sequence[int], y: Sequence[int], z: Sequence[int]
) -> Floats:
    """Orientation of a crystal mounted with three plane normals along the sample axes.

    Parameters
    ----------
    cell : UnitCell
        The unit cell.
    x, y, z : sequence of 3 int
        Miller indices of the planes whose normals lie along x, y and z of the sample.

    Returns
    -------
    ndarray, shape (3, 3)
        Rotation sample_from_crystal, the unit normals as its rows
        (docs/explanation/physics.md, A2).

    Raises
    ------
    ValueError
        If the normals are not orthogonal or make a left-handed set.
    """
    planes = {"x": x, "y": y, "z": z}
    rows = np.stack([unit(cell.plane_normal(miller(p, f"mount {n}"))) for n, p in planes.items()])
    cosines = rows @ rows.T
    for i, j in ((0, 1), (1, 2), (2, 0)):
        if abs(cosines[i, j]) >= _ORTHOGONAL:
            angle = np.degrees(np.arccos(np.clip(cosines[i, j], -1, 1)))
            first, second = list(planes)[i], list(planes)[j]
            raise ValueError(
                f"mount normals {first} ({_words(planes[first])}) and {second} "
                f"({_words(planes[second])}) enclose {angle:.4f} degrees: they must be orthogonal"
            )
    if np.linalg.det(rows) < 0:
        raise ValueError(
            f"mount x ({_words(x)}), y ({_words(y)}), z ({_words(z)}) is left-handed: "
            "reverse one of the three"
        )
    return rows


def sample_from_crystal_ub(cell: UnitCell, ub: ArrayLike) -> Floats:
    """Orientation of a crystal whose UB matrix was measured.

    The rows of UB⁻¹ are the cell edges a, b, c in the sample, whatever Cartesian axes the program
    that wrote it gives to the crystal. U is the rotation nearest to (UB⁻¹)ᵀ A⁻¹, its polar factor.

    Parameters
    ----------
    cell : UnitCell
        The unit cell.
    ub : (3, 3) array_like
        Columns a*, b*, c* in the sample frame (1/Å, without 2π), as in ImageD11, whose frame is the
        one used here: x along the beam, z up.

    Returns
    -------
    ndarray, shape (3, 3)
        Rotation sample_from_crystal.

    Raises
    ------
    ValueError
        If the matrix is singular or left-handed, or its cell deviates from `cell`: the metric
        a_i·a_j by more than `UB_TOLERANCE` of |a_i||a_j|.
    """
    matrix = np.asarray(ub, dtype=np.float64)
    volume = float(np.linalg.det(matrix))
    if abs(volume) <= 1e-12 * float(np.linalg.norm(matrix)) ** 3:
        raise ValueError("is singular: its columns a*, b*, c* lie in a plane")
    if volume < 0.0:
        raise ValueError("is left-handed: its determinant must be positive")
    edges = np.linalg.inv(matrix).T
    metric, expected = edges.T @ edges, cell.direct.T @ cell.direct
    scale = np.sqrt(np.outer(np.diag(expected), np.diag(expected)))
    if np.any(np.abs(metric - expected) > UB_TOLERANCE * scale):
        matrix_cell = _cell_words(metric)
        hint = ""
        if np.all(np.abs(metric * (2.0 * np.pi) ** 2 - expected) <= UB_TOLERANCE * scale):
            hint = "; it must be without the factor 2π"
        raise ValueError(
            f"is of the cell {matrix_cell}, the crystal has {_cell_words(expected)}{hint}"
        )
    left, _, right = np.linalg.svd(edges @ np.linalg.inv(cell.direct))
    return np.asarray(left @ right)


def sample_from_crystal_euler(phi1: float, phi: float, phi2: float) -> Floats:
    """Orientation from the Euler angles of Bunge (rad).

    The sample's axes are turned by φ1 about z, by Φ about the new x and by φ2 about the new z, and
    are then those of the crystal. The rotation matrix g of texture analysis takes components in the
    sample to components in the crystal; returned is its transpose, U = gᵀ = Rz(φ1) Rx(Φ) Rz(φ2)
    (Bunge 1982, Texture Analysis in Materials Science, section 2.1).
    """
    sum_, difference, half = (phi1 + phi2) / 2.0, (phi1 - phi2) / 2.0, phi / 2.0
    return sample_from_crystal_quaternion(
        (
            math.cos(half) * math.cos(sum_),
            math.sin(half) * math.cos(difference),
            math.sin(half) * math.sin(difference),
            math.cos(half) * math.sin(sum_),
        )
    )


def sample_from_crystal_quaternion(quaternion: ArrayLike) -> Floats:
    """Orientation from a quaternion.

    Parameters
    ----------
    quaternion : (4,) array_like
        w, x, y, z with w = cos α/2 of the right-handed rotation by α about (x, y, z) that turns the
        sample's axes into the crystal's; of any length.

    Returns
    -------
    ndarray, shape (3, 3)
        Rotation sample_from_crystal.

    Raises
    ------
    ValueError
        If the quaternion is zero or not finite.
    """
    q = np.asarray(quaternion, dtype=np.float64)
    length = float(np.linalg.norm(q))
    if not (np.isfinite(length) and length > 0.0):
        raise ValueError("quaternion must be finite and not zero")
    (w, x, y, z), vector = q / length, q[1:] / length
    cross = np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])
    return np.asarray(
        (w * w - vector @ vector) * np.eye(3) + 2.0 * np.outer(vector, vector) + 2.0 * w * cross
    )


def rotations_of_quaternions(quaternions: ArrayLike) -> Floats:
    """Many rotations at once, as :func:`sample_from_crystal_quaternion` has one.

    Parameters
    ----------
    quaternions : (..., 4) array_like
        w, x, y, z, of any length.

    Returns
    -------
    (..., 3, 3) ndarray
        NaN where a quaternion is zero or not finite.
    """
    q = np.asarray(quaternions, dtype=np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        w, x, y, z = np.moveaxis(q / np.linalg.norm(q, axis=-1, keepdims=True), -1, 0)
    rows = (
        (w * w + x * x - y * y - z * z, 2.0 * (x * y - w * z), 2.0 * (x * z + w * y)),
        (2.0 * (x * y + w * z), w * w - x * x + y * y - z * z, 2.0 * (y * z - w * x)),
        (2.0 * (x * z - w * y), 2.0 * (y * z + w * x), w * w - x * x - y * y + z * z),
    )
    return np.stack([np.stack(row, axis=-1) for row in rows], axis=-2)


def turned_upright(sample_from_crystal: ArrayLike, cell: UnitCell, hkl: Sequence[int]) -> Floats:
    """Turn a crystal by the smallest rotation that brings the normal of (hkl) along z.

    Parameters
    ----------
    sample_from_crystal : (3, 3) array_like
        The orientation before; the normal must not point down.
    cell : UnitCell
        The unit cell.
    hkl : sequence of 3 int
        The planes that are to face up.

    Returns
    -------
    ndarray, shape (3, 3)
        Rotation sample_from_crystal.
    """
    before = np.asarray(sample_from_crystal, dtype=np.float64)
    x, y, z = before @ unit(cell.plane_normal(miller(hkl)))
    # z + 1, y, -x is twice the cosine of half the angle times the quaternion of the rotation.
    return sample_from_crystal_quaternion((1.0 + z, y, -x, 0.0)) @ before


def _cell_words(metric: Floats) -> str:
    lengths = np.sqrt(np.diag(metric))
    cosines = metric / np.outer(lengths, lengths)
    angles = np.degrees(np.arccos([cosines[1, 2], cosines[2, 0], cosines[0, 1]]))
    edges = ", ".join(f"{length:.5g}" for length in lengths)
    return f"{edges} angstrom, {', '.join(f'{angle:.5g}' for angle in angles)} deg"


def _words(indices: Sequence[int]) -> str:
    return " ".join(str(int(i)) for i in indices)
