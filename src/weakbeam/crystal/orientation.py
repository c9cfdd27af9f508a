"""Orientations: how the crystal sits in the sample.

An orientation U = sample_from_crystal turns components in the Cartesian crystal frame into
components in the sample frame; its ROWS are the sample axes expressed in the crystal.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from weakbeam._typing import Floats
from weakbeam.crystal.lattice import UnitCell, miller, unit

_PARALLEL = 1e-6  # sine of the smallest angle at which two directions count as different
_ORTHOGONAL = 1e-9  # largest cosine between mount axes that count as orthogonal


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


def _words(indices: Sequence[int]) -> str:
    return " ".join(str(int(i)) for i in indices)
